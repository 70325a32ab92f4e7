"""Planted against recovered, corrections of photometry: simulated fibres whose neural signal is known."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.corrections.checks import findings
from iblnm_core.corrections.compute import correct_all
from iblnm_core.corrections.dark import DarkOffset
from iblnm_core.corrections.diagnostics import diagnose, responses
from iblnm_core.corrections.recipes import NAMED
from iblnm_core.corrections.result import Corrected
from iblnm_core.corrections.traces import Traces, prepare
from iblnm_core.demo.planted_fluorescence import RATE_HZ, SCENARIOS, PlantedRecording, plant
from iblnm_core.demo.statistic import Statistic
from iblnm_core.workers import results_of

Array = NDArray[np.float64]

SEEDS = tuple(range(6))
MEASURED = ("reference", "robust", "dff_exp", "control_fit", "no_reference", "no_reference_exp", "spectral")
"""All named corrections but the one that needs a baseline epoch."""
_SHOWN = ("reference", "robust", "dff_exp", "control_fit")
_WORSE_BY_NATURE = "slow_mismatch"
_SLOW_TRUTH = "tonic"
_LESS_NOISE = ("motion", "event_motion", "large_transients")
_TRUE_TO_SIZE = ("clean", "bleaching", "large_transients")
_LEAST_OF_EXPONENTIAL = MappingProxyType({"tonic": 0.85, "brightening": 0.80})
_SURE, _RARE = 5 / 6, 1 / 6
EXPECTED_CHECKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "clean": frozenset({"LowReferenceCorrelation"}),
        "weak_reference": frozenset({"NoisyReference"}),
        "noisy_reference": frozenset({"NoisyReference"}),
        "event_motion": frozenset({"EventLockedReference"}),
        "contaminated": frozenset({"ReferenceContaminated", "ResidualReference"}),
        "inverted_ref": frozenset({"FitMethodSensitive", "ReferenceContaminated", "ResidualReference"}),
        "slow_mismatch": frozenset({"NegativeReferenceSlope", "ResidualReference"}),
        "brightening": frozenset({"ResidualBleaching", "BaselineRebound"}),
    }
)
"""Checks that must fire, by scenario; in scenarios without entry none may."""
POSSIBLE_CHECKS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "event_motion": frozenset({"ResidualReference"}),
        "contaminated": frozenset({"EventLockedReference"}),
        "inverted_ref": frozenset({"EventLockedReference"}),
        "slow_mismatch": frozenset({"FitMethodSensitive", "ReferenceContaminated"}),
        "tonic": frozenset({"ResidualBleaching"}),
    }
)
"""Checks that may fire as well: what is planted is near their thresholds."""
_SILENT = 2e-4
_MEASURES = ("correlation", "bias", "invented", "null_rms", "drift")
_Medians = Mapping[tuple[str, str], Mapping[str, float]]
"""Of each measure, by scenario and correction."""


def recover_corrections(
    scenarios: Sequence[str] = tuple(SCENARIOS),
    seeds: Sequence[int] = SEEDS,
    names: Sequence[str] = MEASURED,
    *,
    workers: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Correct simulated fibres and hold the results against what was planted.

    Parameters
    ----------
    scenarios : sequence of str
        Keys of `SCENARIOS`.
    seeds : sequence of int
    names : sequence of str
        Keys of `recipes.NAMED`; `robust` is always among them.
    workers : int
        Processes.

    Returns
    -------
    measures : DataFrame
        One row per scenario, seed and correction; `dark, subtracted` is a scenario of its own. `correlation` with the
        planted signal, `bias` of the mean evoked response (relative), `invented` response where none was planted,
        `null_rms` where nothing is planted, and `drift` of the level from the first to the last sixth, in % dF/F.
    fired : DataFrame
        scenario, seed, check: the advisory checks that fired, those on a correction for `robust` only.
    """
    tasks = [(scenario, seed) for scenario in scenarios for seed in seeds]
    parts = list(results_of(partial(_recovered, tuple(names)), tasks, workers=workers))
    measures, fired = (pd.DataFrame([row for part in parts for row in part[place]]) for place in (0, 1))
    return (
        measures.sort_values(["scenario", "seed", "correction"], ignore_index=True),
        fired.reindex(columns=["scenario", "seed", "check"]).sort_values(
            ["scenario", "seed", "check"], ignore_index=True
        ),
    )


def _recovered(
    names: tuple[str, ...], task: tuple[str, int]
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    scenario, seed = task
    planted = plant(SCENARIOS[scenario], seed)
    wanted = [NAMED[name] for name in dict.fromkeys((*names, "robust"))]
    traces = prepare(planted.times, planted.signal, planted.times, planted.reference)
    results = correct_all(traces, wanted)
    rows = list(_rows(scenario, seed, planted, results.values()))
    fired = [{"scenario": scenario, "seed": seed, "check": name} for name in _fired(traces, results["robust"], planted)]
    if planted.dark:
        offset = DarkOffset(planted.dark, "constant")
        known = prepare(planted.times, planted.signal, planted.times, planted.reference, dark=(offset, offset))
        rows += _rows(f"{scenario}, subtracted", seed, planted, correct_all(known, wanted).values())
    return rows, fired


def _fired(traces: Traces, robust: Corrected, planted: PlantedRecording) -> list[str]:
    events = {"evoking": planted.events, "silent": planted.silent_events}
    found = findings(diagnose(traces, robust, {"robust": robust}, events))
    return sorted({finding.check.name for finding in found})


def _rows(
    scenario: str, seed: int, planted: PlantedRecording, results: Iterable[Corrected]
) -> Iterable[dict[str, object]]:
    for result in results:
        yield {"scenario": scenario, "seed": seed, "correction": result.name, **_measured(planted, result.dff)}


def _measured(planted: PlantedRecording, dff: Array) -> dict[str, float]:
    known = np.isfinite(dff)
    trace = np.interp(planted.times, planted.times[known], dff[known])
    at, silent = (np.round(times * RATE_HZ).astype(np.intp) for times in (planted.events, planted.silent_events))
    found, true = (float(np.nanmean(responses(values, at, RATE_HZ))) for values in (trace, planted.neural))
    invented = float(np.nanmean(responses(trace, silent, RATE_HZ) - responses(planted.neural, silent, RATE_HZ)))
    # one level over the whole recording: the median of what remains is no part of the error
    null = (trace - planted.neural)[known & (planted.neural < _SILENT)]
    error = trace - planted.neural
    sixth = len(error) // 6
    return {
        "correlation": float(np.corrcoef(trace, planted.neural)[0, 1]),
        "bias": found / true - 1,
        "invented": 100 * invented,
        "null_rms": 100 * float(null.std()),
        "drift": 100 * float(error[-sixth:].mean() - error[:sixth].mean()),
    }


def correction_statistics(measures: pd.DataFrame, fired: pd.DataFrame) -> list[Statistic]:
    """Return what is said of corrections; everything is about medians over seeds.

    Parameters
    ----------
    measures, fired : DataFrame
        See `recover_corrections`; scenarios that were left out are not spoken of.
    """
    medians: _Medians = {
        (str(scenario), str(correction)): {name: float(rows[name].median()) for name in _MEASURES}
        for (scenario, correction), rows in measures.groupby(["scenario", "correction"])
    }
    known = [name for name in SCENARIOS if name in set(measures["scenario"])]
    n_seeds = measures["seed"].nunique()
    return [
        *(_correlation(medians, name) for name in known),
        *(_size(medians, name) for name in _TRUE_TO_SIZE if name in known),
        *(_noise(medians, name) for name in _LESS_NOISE if name in known),
        *(_locked(medians) if "event_motion" in known else ()),
        *(_dark(medians) if "dark" in known else ()),
        _drift(medians, known),
        *(_checks(fired, name, n_seeds) for name in known),
    ]


def _listed(medians: _Medians, scenario: str, measure: str, decimals: int) -> str:
    values = {name: medians[scenario, name][measure] for name in _SHOWN if (scenario, name) in medians}
    # what rounds to zero has no sign
    return ", ".join(f"{name} {round(value, decimals) + 0.0:.{decimals}f}" for name, value in values.items())


def _correlation(medians: _Medians, scenario: str) -> Statistic:
    robust, reference = (medians[scenario, name]["correlation"] for name in ("robust", "reference"))
    holds, accepted = robust >= reference - 0.005, "robust at least reference - 0.005"
    if scenario == _WORSE_BY_NATURE:
        holds, accepted = True, "reported: reference and signal drift in opposite directions"
    if scenario in _LEAST_OF_EXPONENTIAL:
        least = _LEAST_OF_EXPONENTIAL[scenario]
        holds &= medians[scenario, "dff_exp"]["correlation"] >= least
        accepted += f", dff_exp at least {least:.2f}"
    found = _listed(medians, scenario, "correlation", 3)
    return Statistic(f"correlation with the planted signal, {scenario}", "1", found, accepted, holds)


def _size(medians: _Medians, scenario: str) -> Statistic:
    return Statistic(
        f"error of the mean response, relative, {scenario}",
        "0",
        _listed(medians, scenario, "bias", 3),
        "robust within 0.015",
        abs(medians[scenario, "robust"]["bias"]) <= 0.015,
    )


def _noise(medians: _Medians, scenario: str) -> Statistic:
    robust, reference = (medians[scenario, name]["null_rms"] for name in ("robust", "reference"))
    return Statistic(
        f"RMS where nothing is planted, % dF/F, {scenario}",
        "0",
        _listed(medians, scenario, "null_rms", 3),
        "robust at most 0.90 times reference",
        robust <= 0.90 * reference,
    )


def _locked(medians: _Medians) -> Iterable[Statistic]:
    yield Statistic(
        "error of the mean response, relative, event_motion",
        "0",
        _listed(medians, "event_motion", "bias", 3),
        "robust at least -0.10",
        medians["event_motion", "robust"]["bias"] >= -0.10,
    )
    yield Statistic(
        "response to an event that evokes none, % dF/F, event_motion",
        "0",
        _listed(medians, "event_motion", "invented", 3),
        "robust at least -0.15",
        medians["event_motion", "robust"]["invented"] >= -0.15,
    )


def _dark(medians: _Medians) -> Iterable[Statistic]:
    yield Statistic(
        "error of the mean response, relative, dark offset left in",
        "-0.40",
        _listed(medians, "dark", "bias", 3),
        "robust within 0.03",
        abs(medians["dark", "robust"]["bias"] + 0.40) <= 0.03,
    )
    yield Statistic(
        "error of the mean response, relative, dark offset subtracted",
        "0",
        _listed(medians, "dark, subtracted", "bias", 3),
        "robust within 0.02",
        abs(medians["dark, subtracted", "robust"]["bias"]) <= 0.02,
    )


def _drift(medians: _Medians, scenarios: Sequence[str]) -> Statistic:
    drifts = {name: medians[name, "robust"]["drift"] for name in scenarios if name != _SLOW_TRUTH}
    worst = max(drifts, key=lambda name: abs(drifts[name]))
    return Statistic(
        "level of robust, last less first sixth, % dF/F",
        "0",
        f"largest {drifts[worst]:.3f} ({worst}), median of the absolute {np.median(np.abs(list(drifts.values()))):.3f}",
        "all within 0.15",
        abs(drifts[worst]) <= 0.15,
    )


def _checks(fired: pd.DataFrame, scenario: str, n_seeds: int) -> Statistic:
    expected = EXPECTED_CHECKS.get(scenario, frozenset())
    counts = fired[fired["scenario"] == scenario]["check"].value_counts()
    silent = {name for name in expected if counts.get(name, 0) < _SURE * n_seeds}
    unasked = set(counts.index) - expected - POSSIBLE_CHECKS.get(scenario, frozenset())
    false = {name for name in unasked if counts[name] > _RARE * n_seeds}
    return Statistic(
        f"checks that fire, {scenario}",
        ", ".join(sorted(expected)) or "none",
        ", ".join(f"{name} {counts[name]}" for name in sorted(counts.index)) or "none",
        f"those planted in at least {np.ceil(_SURE * n_seeds):.0f}, others in at most {np.floor(_RARE * n_seeds):.0f} of {n_seeds}",
        not silent and not false,
    )
