"""Responses as the screen shows them: what is hidden and taken away, the order of the rows, and the groups whose means are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.parameters import Parameters
from iblnm_core.reports.response_pictures import mean_and_error
from iblnm_core.session.regressors import trial_timings
from iblnm_core.session.responses import Responses, mask_after_next_event, subtract_baseline
from iblnm_core.viewer.state import Order


@dataclass(frozen=True, eq=False)
class Group:
    """Trials whose mean is drawn.

    Attributes
    ----------
    name : str
    outcome : int or None
        1 correct, -1 incorrect; None for all.
    share : float
        Contrast over the largest one; 1 for all trials.
    n_trials : int
    mean, error : ndarray of float64, (w,)
        Mean over trials and its standard error; not a number where fewer than two trials are known.
    """

    name: str
    outcome: int | None
    share: float
    n_trials: int
    mean: NDArray[np.float64]
    error: NDArray[np.float64]


def transformed(
    responses: Responses, trials: pd.DataFrame, parameters: Parameters, *, mask: bool, baseline: bool
) -> Responses:
    """Return responses with samples after the trial's next event hidden, then with what came before the event taken away.

    Parameters
    ----------
    responses : Responses
    trials : DataFrame
        Indexed by trial number.
    parameters : Parameters
    mask, baseline : bool
        Which of the two.
    """
    order = [event for event in parameters.responses.events if event in trials]
    shown = mask_after_next_event(responses, trials, order) if mask else responses
    return subtract_baseline(shown, parameters.magnitudes.baseline_window_s) if baseline else shown


def row_order(trials: pd.DataFrame, numbers: NDArray[np.int64], order: Order) -> NDArray[np.int64]:
    """Return the places of trials from the lowest row of a heat map up; equal ones stay in the order of the session.

    Parameters
    ----------
    trials : DataFrame
        All trials, indexed by trial number.
    numbers : ndarray of int64, (n,)
        Trials that have responses.
    order : {'trial', 'outcome', 'reaction_time'}
        Incorrect trials lie below correct ones, and in each the contrast falls from the bottom; what is not known comes last.
    """
    known = trials.reindex(numbers)
    by: pd.DataFrame
    if order == "outcome":
        by = pd.DataFrame({"outcome": outcomes(known), "contrast": -_column(known, "contrast")})
    elif order == "reaction_time":
        by = pd.DataFrame({"time": reaction_times(known)})
    else:
        return np.arange(len(numbers))
    by.index = pd.RangeIndex(len(by))
    ordered = by.sort_values([str(name) for name in by], kind="stable", na_position="last")
    return np.asarray(ordered.index, np.int64)


def outcomes(trials: pd.DataFrame) -> NDArray[np.float64]:
    """Return the outcome of trials: 1 correct, -1 incorrect, not a number when unknown."""
    return _column(trials, "feedbackType")


def reaction_times(trials: pd.DataFrame) -> NDArray[np.float64]:
    """Return the time from stimulus to first movement, s; not a number when one is unknown."""
    return trial_timings(trials)["reaction_time"].to_numpy(np.float64)


def _column(trials: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return trials[name].to_numpy(np.float64) if name in trials else np.full(len(trials), np.nan)


def groups(rows: NDArray[np.float64], trials: pd.DataFrame, order: Order) -> list[Group]:
    """Return the means that are drawn: of all trials, or by contrast and outcome when these order the rows.

    Parameters
    ----------
    rows : ndarray of float64, (n, w)
        z.
    trials : DataFrame
        The trials of the rows.
    order : {'trial', 'outcome', 'reaction_time'}
    """
    if order != "outcome":
        return [_group("all trials", None, 1.0, rows)]
    outcome, contrast = outcomes(trials), _column(trials, "contrast")
    contrasts = sorted(set(contrast[np.isfinite(contrast)]))
    largest = max(contrasts, default=1.0) or 1.0
    found = [
        _group(f"{value:g} % {name}", kind, value / largest, rows[(outcome == kind) & (contrast == value)])
        for kind, name in ((1, "correct"), (-1, "incorrect"))
        for value in contrasts
    ]
    return [group for group in found if group.n_trials]


def _group(name: str, outcome: int | None, share: float, rows: NDArray[np.float64]) -> Group:
    observed = rows[np.isfinite(rows).any(axis=1)]
    return Group(name, outcome, share, len(observed), *mean_and_error(observed))


def visible_trials(starts: Sequence[float] | NDArray[np.float64], window: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which trials start within what is seen of the signals.

    Parameters
    ----------
    starts : sequence of float
        s.
    window : tuple of float
    """
    times = np.asarray(starts, np.float64)
    return (times >= window[0]) & (times <= window[1])
