"""Planted against recovered: the ruler cohort through the pipeline's own functions, in memory."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.presets import RULER_SEED, ruler_hour_plans, ruler_plans
from iblnm_core.demo.recording import SYNTHETIC, corrected_fibers, cut_recording
from iblnm_core.demo.recovery_behaviour import (
    BehaviourRecovered,
    block_statistics,
    recover_behaviour,
    timing_statistics,
)
from iblnm_core.demo.recovery_corrections import correction_statistics, recover_corrections
from iblnm_core.demo.recovery_curves import curve_statistics
from iblnm_core.demo.recovery_encoding import encoding_statistics, recover_encoding
from iblnm_core.demo.recovery_inference import InferenceRecovered, inference_statistics, recover_inference
from iblnm_core.demo.recovery_models import (
    artefact_statistics,
    cohort_frame,
    effect_statistics,
    recover_artefact,
    recover_effects,
    recover_slopes,
    slope_statistics,
)
from iblnm_core.demo.recovery_page import page
from iblnm_core.demo.recovery_vectors import VectorsRecovered, recover_vectors, vector_statistics
from iblnm_core.demo.session import SimulatedSession, simulate_session
from iblnm_core.demo.statistic import Statistic
from iblnm_core.demo.truth import MAGNITUDES, response_magnitudes, session_truth, trial_frame
from iblnm_core.parameters import Parameters
from iblnm_core.session.bleaching import fit_bleaching
from iblnm_core.storage.atomic import write_bytes
from iblnm_core.workers import results_of


@dataclass(frozen=True)
class Recovered:
    """What the pipeline finds of what was planted.

    Attributes
    ----------
    recordings : DataFrame
        One row per recording: the truth (see `truth.session_truth`), what the table of recordings has of it, and `found_tau`,
        `found_slope` and `found_sd` of the primary correction, and `least_squares_slope` of the correction `reference`.
    amplitudes : DataFrame
        One row per recording, event and trial: `expected_*` without noise, `found_*` from the recording.
    behaviour : BehaviourRecovered
    """

    recordings: pd.DataFrame
    amplitudes: pd.DataFrame
    behaviour: BehaviourRecovered


def recover(
    plans: Sequence[SessionPlan], seed: int, *, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> Recovered:
    """Simulate sessions and take them through the stages of the preset `default`.

    Parameters
    ----------
    plans : sequence of SessionPlan
        Sound ones, with blocks.
    seed : int
    workers : int
    progress : callable, optional
        Called with the number of sessions done and their total after each.
    """
    found: dict[str, Recovered] = {}
    for key, recovered in results_of(partial(_recover_one, seed), plans, workers=workers):
        found[key] = recovered
        if progress is not None:
            progress(len(found), len(plans))
    ordered = [found[key] for key in sorted(found)]
    return Recovered(
        pd.concat([one.recordings for one in ordered], ignore_index=True),
        pd.concat([one.amplitudes for one in ordered], ignore_index=True),
        BehaviourRecovered.concatenated([one.behaviour for one in ordered]),
    )


def _recover_one(seed: int, plan: SessionPlan) -> tuple[str, Recovered]:
    parameters = SYNTHETIC
    session = simulate_session(plan, seed)
    recordings, amplitudes = recover_recordings(session, seed, parameters)
    return str(plan.key), Recovered(recordings, amplitudes, recover_behaviour(session, seed, parameters))


def recover_recordings(
    session: SimulatedSession, seed: int, parameters: Parameters
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the photometry of a simulated session through the functions of the pipeline.

    Parameters
    ----------
    session : SimulatedSession
    seed : int
        Of the cohort.
    parameters : Parameters

    Returns
    -------
    recordings, amplitudes : DataFrame
        See `Recovered`.
    """
    truth = session_truth(session.plan, seed)
    recording = cut_recording(session, parameters)
    trials = trial_frame(session)
    rows, amplitudes = [], []
    signal = recording.bands[parameters.photometry.signal_band]
    for place, (fiber, made) in enumerate(corrected_fibers(recording, parameters)):
        tau = fit_bleaching(signal.times, signal.values[:, place], parameters.bleaching_fit)
        least_squares = fiber.results["reference"].fit.slope
        rows.append(
            {
                "found_tau": tau.tau_s,
                "found_slope": made.iso_slope,
                "least_squares_slope": least_squares,
                "found_sd": made.standard_deviation,
            }
        )
        planted = truth["amplitudes"]
        planted = planted[planted["fiber_idx"] == place]
        amplitudes.append(_with_found(planted, made.times, made.values, trials))
    recordings = pd.concat([truth["recordings"], pd.DataFrame(rows)], axis=1).assign(
        subject=session.plan.subject.name,
        session_type=session.plan.session_type,
        brain_region=truth["recordings"]["region"],
    )
    amplitude_rows = pd.concat(amplitudes, ignore_index=True)
    return recordings, amplitude_rows.merge(recordings[["eid", "fiber_idx", "target_NM"]], on=["eid", "fiber_idx"])


def _with_found(planted: pd.DataFrame, times: np.ndarray, values: np.ndarray, trials: pd.DataFrame) -> pd.DataFrame:
    found = planted.copy()
    for name in MAGNITUDES:
        of_event = response_magnitudes(times, values, trials, name)
        unknown = np.full(len(trials), np.nan)
        columns = [of_event.get(event, unknown) for event in dict.fromkeys(planted["event"])]
        found[name.replace("expected", "found")] = np.concatenate(columns)
    return found


@dataclass(frozen=True)
class ModelsRecovered:
    """What models of the responses find of what was planted.

    Attributes
    ----------
    effects, slopes, artefact : DataFrame
        See `recovery_models`.
    inference : InferenceRecovered
    vectors : VectorsRecovered
    """

    effects: pd.DataFrame
    slopes: pd.DataFrame
    artefact: pd.DataFrame
    inference: InferenceRecovered
    vectors: VectorsRecovered


def recover_models(recovered: Recovered, seed: int) -> ModelsRecovered:
    """Fit the models of responses to a cohort that was taken through the pipeline.

    Parameters
    ----------
    recovered : Recovered
    seed : int
        Of what is simulated beside it.
    """
    tables = (recovered.recordings, recovered.amplitudes, recovered.behaviour.regressors)
    masked, unmasked = (cohort_frame(*tables, definition, "unbiased") for definition in ("r1", "r2"))
    of_all_blocks = cohort_frame(*tables, "r2", "all")
    return ModelsRecovered(
        effects=recover_effects(unmasked, recovered.recordings),
        slopes=recover_slopes({"r1": masked, "r2": unmasked}),
        artefact=recover_artefact(of_all_blocks, recovered.recordings),
        inference=recover_inference(of_all_blocks, seed),
        vectors=recover_vectors(of_all_blocks, seed),
    )


def model_statistics(models: ModelsRecovered) -> dict[str, list[Statistic]]:
    """Return the comparisons of models, by the table of the page that they stand in.

    Parameters
    ----------
    models : ModelsRecovered
    """
    return {
        "effects": effect_statistics(models.effects),
        "slopes": slope_statistics(models.slopes),
        "artefact": artefact_statistics(models.artefact),
        "inference": inference_statistics(models.inference),
        "vectors": vector_statistics(models.vectors),
    }


def statistics(recovered: Recovered) -> dict[str, list[Statistic]]:
    """Return the comparisons of single sessions, by the table of the page that they stand in."""
    behaviour = recovered.behaviour
    return {
        "photometry": _photometry(recovered),
        "curves": curve_statistics(behaviour.curves, behaviour.fits),
        "blocks": block_statistics(behaviour),
        "timings": timing_statistics(behaviour),
    }


def _photometry(recovered: Recovered) -> list[Statistic]:
    table = recovered.recordings
    return [
        _bleaching(table),
        *_isosbestic(table),
        _scale(table),
        *(s for name in MAGNITUDES for s in _gains(recovered.amplitudes, name)),
        *_noise(recovered.amplitudes),
        _cells(recovered.amplitudes),
    ]


def _bleaching(table: pd.DataFrame) -> Statistic:
    ratio = (table["found_tau"] / table["bleaching_tau"]).dropna()
    middle, error = float(ratio.median()), float((ratio - 1).abs().quantile(0.95))
    return Statistic(
        "time constant of the bleaching",
        f"{table['bleaching_tau'].min():.0f} to {table['bleaching_tau'].max():.0f} s",
        f"median ratio {middle:.3f}; 95 % of {len(ratio)} within {100 * error:.1f} %",
        "median within 2 %, 95 % within 15 %",
        abs(middle - 1) <= 0.02 and error <= 0.15,
    )


def _isosbestic(table: pd.DataFrame) -> list[Statistic]:
    from_expected = table["least_squares_slope"] - table["iso_slope_expected"]
    from_planted = table["found_slope"] - table["iso_slope"]
    r = float(np.corrcoef(table["least_squares_slope"], table["iso_slope_expected"])[0, 1])
    bias = float(from_expected.mean())
    confounded = f"bias {from_planted.mean():+.3f}, SD {from_planted.std():.3f}"
    return [
        Statistic(
            "isosbestic slope of `reference`, as least squares must find it",
            "artefact, noise and what goes with movement",
            f"bias {bias:+.3f}, SD {from_expected.std():.3f}, r = {r:.2f}",
            "r at least 0.9, bias at most 0.05",
            r >= 0.9 and abs(bias) <= 0.05,
        ),
        Statistic(
            "isosbestic slope, primary correction", "artefact alone", confounded, "reported: confounded", holds=True
        ),
    ]


def _scale(table: pd.DataFrame) -> Statistic:
    ratio = table["found_sd"] / table["sigma"] * table["scale"]
    return Statistic(
        "standard deviation of the corrected signal / planted scale",
        "1",
        f"mean {ratio.mean():.3f}, SD {ratio.std():.3f}",
        "mean from 0.95 to 1.05",
        0.95 <= float(ratio.mean()) <= 1.05,
    )


def _gains(amplitudes: pd.DataFrame, name: str) -> list[Statistic]:
    """Compare magnitudes with those of a recording without noise, by target: the slope of one on the other."""
    found = name.replace("expected", "found")
    known = amplitudes.dropna(subset=[name, found])
    listed = []
    for event in MAGNITUDES[name][0]:
        slopes = {}
        for target, rows in known[known["event"] == event].groupby("target_NM"):
            if rows[name].std() > 0:
                slopes[str(target)] = float(np.polyfit(rows[name], rows[found], 1)[0])
        described = ", ".join(f"{target} {slope:.2f}" for target, slope in sorted(slopes.items()))
        holds = all(0.93 <= slope <= 1.07 for slope in slopes.values())
        title = f"gain of magnitudes, {name[-2:].upper()}, {event}"
        listed.append(Statistic(title, "1 on noise-free ones", described, "0.93 to 1.07", holds))
    return listed


_NOISE_Z = {"VTA-DA": 0.59, "DR-5HT": 0.59, "LC-NE": 0.68, "NBM-ACh": 0.69, "SNc-DA": 0.73}


def _noise(amplitudes: pd.DataFrame) -> list[Statistic]:
    known = amplitudes[amplitudes["event"] == "feedback_times"].dropna(subset=["expected_r1", "found_r1"])
    found = (known["found_r1"] - known["expected_r1"]).groupby(known["target_NM"]).std()
    near = [abs(found[target] / noise - 1) <= 0.15 for target, noise in _NOISE_Z.items() if target in found]
    described = ", ".join(f"{target} {found[target]:.2f}" for target in sorted(found.index))
    expected = ", ".join(f"{target} {noise:.2f}" for target, noise in sorted(_NOISE_Z.items()))
    return [Statistic("noise of one magnitude, z", expected, described, "within 15 %", all(near))]


def _cells(amplitudes: pd.DataFrame) -> Statistic:
    """Compare means over target, event and contrast."""
    known = amplitudes.dropna(subset=["expected_r2", "found_r2"])
    means = known.groupby(["target_NM", "event", "contrast_rank"])[["expected_r2", "found_r2"]].mean()
    error = float(np.sqrt(((means["found_r2"] - means["expected_r2"]) ** 2).mean()))
    r = float(np.corrcoef(means["found_r2"], means["expected_r2"])[0, 1])
    return Statistic(
        "cell means, target x event x contrast",
        "noise-free magnitudes",
        f"RMSE {error:.3f} z over {len(means)} cells, r = {r:.3f}",
        "RMSE at most 0.10",
        error <= 0.10,
    )


def write_page(target: Path, *, workers: int) -> None:
    """Measure everything on the ruler cohort and write the page, telling how far it is."""

    def tell(done: int, total: int) -> None:
        sys.stderr.write(f"\r{done} of {total} sessions")

    recovered = recover(ruler_plans(), RULER_SEED, workers=workers, progress=tell)
    sys.stderr.write("; models ...")
    found = statistics(recovered) | model_statistics(recover_models(recovered, RULER_SEED))
    sys.stderr.write(" task encoding ...")
    frame = cohort_frame(recovered.recordings, recovered.amplitudes, recovered.behaviour.regressors, "r2", "unbiased")
    encoding = recover_encoding(frame, recovered.recordings, ruler_hour_plans(), RULER_SEED, workers=workers)
    found |= encoding_statistics(encoding)
    sys.stderr.write(" corrections ...")
    found["corrections"] = correction_statistics(*recover_corrections(workers=workers))
    write_bytes(target, page(found, len(recovered.recordings)).encode())
    holds = [s.holds for rows in found.values() for s in rows]
    sys.stderr.write(f"\n{target}: {sum(holds)} of {len(holds)} statistics hold\n")
