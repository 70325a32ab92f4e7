"""How well the mouse did the task in one session: fractions, psychometric functions by block, bias shift."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.parameters import PerformanceParameters, PsychometricParameters
from iblnm_core.session.blocks import BLOCK_SESSION_TYPES, UNBIASED, blocks_state
from iblnm_core.session.psychometric import ChoiceCounts, PsychometricFit, count_choices, fit_psychometrics

FITTED_BLOCKS: Mapping[str, float] = {"psych_50": UNBIASED, "psych_20": 0.2, "psych_80": 0.8}
"""Probability of a stimulus on the left in the blocks that are fitted, by the prefix of the columns."""

_RIGHT, _NO_GO = -1, 0


def task_performance(
    trials: pd.DataFrame,
    session_type: str | None,
    performance: PerformanceParameters,
    psychometric: PsychometricParameters,
) -> dict[str, Any]:
    """Return the performance of a session: one value per column of the `performance` table, without the id.

    See `docs/methods/task_performance.md`.

    Parameters
    ----------
    trials : DataFrame
        Trials of the session file, blocks repaired.
    session_type : str or None
        Sessions without blocks have one fit, to their unbiased trials.
    performance : PerformanceParameters
    psychometric : PsychometricParameters

    Returns
    -------
    dict
        Without choices (a habituation session) `status` is `not applicable`, and all that needs them is null.
    """
    row: dict[str, Any] = {
        "n_trials": len(trials),
        "contrasts": np.unique(trials["contrast"].to_numpy(np.float64)),
        "status": "ok" if "choice" in trials else "not applicable",
        "blocks": blocks_state(trials),
        "fraction_correct": np.nan,
        "fraction_correct_easy": np.nan,
        "nogo_fraction": np.nan,
    }
    fits = {}
    if "choice" in trials:
        row |= fractions(trials, performance)
        fits = _fits(trials, session_type, performance, psychometric)
    for prefix in FITTED_BLOCKS:
        row |= _fit_columns(prefix, fits.get(prefix))
    row["bias_shift"] = row["psych_80_bias"] - row["psych_20_bias"]
    return row


def fractions(trials: pd.DataFrame, parameters: PerformanceParameters) -> dict[str, float]:
    """Return the fractions of correct choices, of correct choices on easy trials, and of trials without choice.

    Parameters
    ----------
    trials : DataFrame
        `choice`, `feedbackType` and `contrast` (percent) by trial.
    parameters : PerformanceParameters
    """
    chosen = trials["choice"].to_numpy() != _NO_GO
    correct = trials["feedbackType"].to_numpy() == 1
    easy = chosen & (trials["contrast"].to_numpy() >= parameters.easy_contrast)
    return {
        "fraction_correct": float(correct[chosen].mean()) if chosen.any() else np.nan,
        "fraction_correct_easy": float(correct[easy].mean()) if easy.any() else np.nan,
        "nogo_fraction": float((~chosen).mean()),
    }


def choices_of(trials: pd.DataFrame, chosen: NDArray[np.bool_], parameters: PsychometricParameters) -> ChoiceCounts:
    """Count the choices of some trials by signed contrast.

    Parameters
    ----------
    trials : DataFrame
        `choice` and `signed_contrast` (percent) by trial.
    chosen : ndarray of bool, (n,)
        The trials.
    parameters : PsychometricParameters
    """
    choice = trials["choice"].to_numpy()
    used = chosen & (choice != _NO_GO) if parameters.no_go_trials == "left_out" else chosen
    contrast = np.nan_to_num(trials["signed_contrast"].to_numpy(np.float64)[used])
    return count_choices(contrast, choice[used] == _RIGHT)


def _fits(
    trials: pd.DataFrame,
    session_type: str | None,
    performance: PerformanceParameters,
    psychometric: PsychometricParameters,
) -> dict[str, PsychometricFit | None]:
    """Return the fit of every block that the session has, None for one with too few trials."""
    if "probabilityLeft" not in trials:
        everything = np.ones(len(trials), dtype=bool)
        return {"psych_50": fit_psychometrics([choices_of(trials, everything, psychometric)], psychometric)[0]}
    probability = trials["probabilityLeft"].to_numpy()
    wanted: dict[str, NDArray[np.bool_]] = {}
    recorded = trials["probabilityLeft_original"] if "probabilityLeft_original" in trials else trials["probabilityLeft"]
    first_look = recorded.to_numpy() if performance.unbiased_fit == "before_repair" else probability
    wanted["psych_50"] = first_look == UNBIASED
    if session_type in BLOCK_SESSION_TYPES:
        for prefix, value in FITTED_BLOCKS.items():
            of_block = probability == value
            if of_block.sum() >= performance.minimum_block_trials:
                wanted[prefix] = of_block
    counts = [choices_of(trials, chosen, psychometric) for chosen in wanted.values()]
    return dict(zip(wanted, fit_psychometrics(counts, psychometric), strict=True))


def _fit_columns(prefix: str, fit: PsychometricFit | None) -> dict[str, Any]:
    names = ("bias", "threshold", "lapse_left", "lapse_right", "r_squared", "log_likelihood")
    estimates = {f"{prefix}_{name}": np.nan if fit is None else getattr(fit, name) for name in names}
    return {
        **estimates,
        f"{prefix}_n_trials": None if fit is None else fit.n_trials,
        f"{prefix}_at_bound": [] if fit is None else list(fit.at_bound),
        f"{prefix}_status": None if fit is None else fit.status,
    }
