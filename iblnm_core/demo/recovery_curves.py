"""Psychometric curves, planted against recovered: each fit beside fits to simulated choices of the planted curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.demo.behaviour import SessionState, Trials
from iblnm_core.demo.identity import random_stream
from iblnm_core.demo.session import SimulatedSession
from iblnm_core.demo.statistic import COVERAGE, Statistic, least_coverage
from iblnm_core.parameters import Parameters
from iblnm_core.session.performance import FITTED_BLOCKS, task_performance
from iblnm_core.session.psychometric import PARAMETER_NAMES, ChoiceCounts, PsychometricFit, fit_psychometrics

Floats = NDArray[np.float64]

_SHIFT = "psych_80 - psych_20"
SIMULATED_FITS = 39
"""A value of the same distribution lies within the range of so many others with probability 38 / 40 = 0.95, whatever it is."""
_BLOCK_NAMES = {"psych_50": "50/50 block", "psych_20": "20/80 block", "psych_80": "80/20 block"}
_DECIMALS = {"bias": 1, "threshold": 1, "lapse_right": 3, "lapse_left": 3}


def recover_curves(
    session: SimulatedSession, trials: pd.DataFrame, seed: int, parameters: Parameters
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit the psychometric curves of a simulated session as the pipeline does.

    Parameters
    ----------
    session : SimulatedSession
        With blocks.
    trials : DataFrame
        Its trials as the session file has them.
    seed : int
        Of the cohort.
    parameters : Parameters

    Returns
    -------
    curves : DataFrame
        One row per fitted block (the shift of the bias is one too) and parameter: `planted`, `found`, `noise_free` (fitted
        to the expected choices), `on_bound`; and of fits to simulated choices of the planted curve at the same contrasts
        `simulated` and `simulated_on_bound`, arrays of (39,). Percent contrast, or probability.
    fits : DataFrame
        One row per block: `gain`, the log-likelihood of the fit less that of the planted curve.
    """
    rng = random_stream(seed, f"{session.plan.key}|simulated fits")
    row = task_performance(trials, session.plan.session_type, parameters.performance, parameters.psychometric)
    curves, fits = {}, []
    for prefix, value in FITTED_BLOCKS.items():
        planted = _planted_curve(session.behaviour.state, value)
        levels, n_trials, n_right, probability = _planted_choices(session.behaviour.trials, value)
        drawn = rng.binomial(n_trials.astype(np.int64), probability, (SIMULATED_FITS, len(levels)))
        data = [ChoiceCounts(levels, n_trials, right) for right in (n_trials * probability, *drawn.astype(np.float64))]
        noise_free, *simulated = fit_psychometrics(data, parameters.psychometric)
        curves[prefix] = _curve_rows(prefix, row, planted, noise_free, simulated)
        likelihood = float((n_right * np.log(probability) + (n_trials - n_right) * np.log1p(-probability)).sum())
        fits.append({"block": prefix, "gain": row[f"{prefix}_log_likelihood"] - likelihood})
    shift = _shift_row(curves["psych_80"][0], curves["psych_20"][0], row["bias_shift"])
    rows = [of_parameter for of_block in curves.values() for of_parameter in of_block]
    return pd.DataFrame([*rows, shift]), pd.DataFrame(fits)


def _planted_curve(state: SessionState, probability_left: float) -> dict[str, float]:
    # blocks of 0.2 and 0.8 are the whole shift apart
    bias = state.bias_50 + state.bias_shift * (probability_left - 0.5) / 0.6
    return {
        "bias": bias,
        "threshold": state.threshold,
        "lapse_right": state.lapse_right,
        "lapse_left": state.lapse_left,
    }


def _planted_choices(trials: Trials, probability_left: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return signed contrasts (%), numbers of choices and of those to the right, and the probability of these, by contrast."""
    chosen = (trials.probability_left == probability_left) & (trials.choice != 0)
    signed = np.where(trials.on_right, trials.contrast, -trials.contrast) + 0.0
    table = pd.DataFrame({"right": trials.choice == -1, "probability": trials.p_right})[chosen]
    by_level = table.groupby(signed[chosen])
    found = by_level["right"].agg(["size", "sum"]).assign(probability=by_level["probability"].mean())
    levels = found.index.to_numpy(np.float64)
    n_trials, n_right, probability = found.to_numpy(np.float64).T
    return levels, n_trials, n_right, probability


def _curve_rows(
    prefix: str,
    row: dict[str, Any],
    planted: dict[str, float],
    noise_free: PsychometricFit,
    simulated: Sequence[PsychometricFit],
) -> list[dict[str, Any]]:
    return [
        {
            "block": prefix,
            "parameter": name,
            "planted": planted[name],
            "found": row[f"{prefix}_{name}"],
            "noise_free": getattr(noise_free, name),
            "on_bound": name in row[f"{prefix}_at_bound"],
            "simulated": np.array([getattr(fit, name) for fit in simulated]),
            "simulated_on_bound": np.array([name in fit.at_bound for fit in simulated]),
        }
        for name in PARAMETER_NAMES
    ]


def _shift_row(of_80: dict[str, Any], of_20: dict[str, Any], found: float) -> dict[str, Any]:
    differences = {name: of_80[name] - of_20[name] for name in ("planted", "noise_free", "simulated")}
    either = {name: of_80[name] | of_20[name] for name in ("on_bound", "simulated_on_bound")}
    return {"block": _SHIFT, "parameter": "bias", "found": found, **differences, **either}


def curve_statistics(curves: pd.DataFrame, fits: pd.DataFrame) -> list[Statistic]:
    """Return what is said of psychometric curves.

    Parameters
    ----------
    curves, fits : DataFrame
        Of all sessions, see `recover_curves`.
    """
    by_parameter = [
        _of_parameter(
            f"{name}, {title}", _DECIMALS[name], curves[(curves["block"] == prefix) & (curves["parameter"] == name)]
        )
        for prefix, title in _BLOCK_NAMES.items()
        for name in PARAMETER_NAMES
    ]
    shift = _of_parameter("bias_shift, 80/20 less 20/80 block", _DECIMALS["bias"], curves[curves["block"] == _SHIFT])
    return [_noise_free(curves), _likelihood(fits), *by_parameter, shift]


def _noise_free(curves: pd.DataFrame) -> Statistic:
    of_fits = curves[curves["block"] != _SHIFT]
    error = (of_fits["noise_free"] - of_fits["planted"]).abs()
    is_lapse = of_fits["parameter"].str.startswith("lapse")
    contrast, lapse = float(error[~is_lapse].max()), float(error[is_lapse].max())
    return Statistic(
        "parameters fitted to expected choices",
        "every session's own",
        f"largest error {contrast:.4f} % contrast, {lapse:.6f} of a lapse; {len(of_fits) // 4} fits",
        "0.01 % contrast, 0.0001",
        contrast <= 0.01 and lapse <= 0.0001,
    )


def _likelihood(fits: pd.DataFrame) -> Statistic:
    from scipy.stats import chi2

    gain = fits["gain"].dropna()
    limit = float(chi2.ppf(COVERAGE, len(PARAMETER_NAMES)) / 2)
    within, least = float((gain <= limit).mean()), least_coverage(len(gain))
    return Statistic(
        "log-likelihood of a fit less that of the planted curve",
        f"from 0 to {limit:.2f} in 95 %",
        f"at least {gain.min():.2f}; {100 * within:.1f} % of {len(gain)} up to {limit:.2f}",
        f"never below 0; at least {100 * least:.1f} %",
        float(gain.min()) >= 0 and within >= least,
    )


def _of_parameter(title: str, decimals: int, rows: pd.DataFrame) -> Statistic:
    """Hold estimates against those of simulated choices: mean error, number on a bound, and how often they are in the range."""
    known = rows.dropna(subset=["found"])
    n, planted, found = len(known), known["planted"].to_numpy(), known["found"].to_numpy()
    simulated, aside = np.stack(known["simulated"].to_list()), np.stack(known["simulated_on_bound"].to_list())
    kept = known[~known["on_bound"].astype(bool)]
    error, n_aside = kept["found"] - kept["planted"], n - len(kept)
    of_simulated = pd.Series((simulated - planted[:, None])[~aside], dtype=np.float64)
    expected, expected_aside = float(of_simulated.mean()), n * float(aside.mean())
    by_chance = 3 * float(of_simulated.std()) / np.sqrt(max(len(kept), 1))
    # one on a bound can be chance even where none is expected
    aside_by_chance = max(3 * np.sqrt(expected_aside * (1 - expected_aside / n)), 1)
    covered = float(((simulated.min(axis=1) <= found) & (found <= simulated.max(axis=1))).mean())
    least = least_coverage(n)
    unfitted = f", {len(rows) - n} without fit" if n < len(rows) else ""

    def shown(value: float, sign: str = "") -> str:
        return f"{value:{sign}.{decimals}f}"

    return Statistic(
        title,
        f"mean {shown(kept['planted'].mean())}; {shown(planted.min())} to {shown(planted.max())}",
        f"mean {shown(kept['found'].mean())}, error {shown(error.mean(), '+')} (expected {shown(expected, '+')}), "
        f"SD {shown(error.std())}; coverage {100 * covered:.0f} %; "
        f"{n_aside} of {n} on a bound (expected {expected_aside:.0f}){unfitted}",
        f"error and number on a bound within 3 SE of expected, coverage at least {100 * least:.0f} %",
        abs(float(error.mean()) - expected) <= by_chance
        and abs(n_aside - expected_aside) <= aside_by_chance
        and covered >= least,
    )
