"""The model of the task in every single recording: how its responses depend on contrast, side, outcome and pairs of them.

The solver is that of `least_squares`. What coefficients of many recordings have in common is told elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import ContrastCoding, code_contrast, deviation_reward, deviation_side
from iblnm_core.analyses.least_squares import LinearFits, fit_with_and_without
from iblnm_core.analyses.outcomes import Outcome, Status, recording_outcome_table
from iblnm_core.analyses.response_vectors import MATRIX_LEVELS
from iblnm_core.analyses.rows import require
from iblnm_core.errors import UnknownOption

Array = NDArray[np.float64]
Value = Literal["coef", "t"]

ANALYSIS = "session_glm"
INTERCEPT = "intercept"
TERMS = (INTERCEPT, "contrast", "side", "reward", "contrast:side", "contrast:reward", "side:reward")
"""Columns of the model, in their order."""
KEY = ("eid", "fiber_idx", "subject", "session_type", "target_NM", "brain_region", "hemisphere")
"""What a recording is known by."""
RECORDING_LEVELS = (*MATRIX_LEVELS, "subject")
"""Index of a matrix of coefficients."""
_TRIAL_COLUMNS = ("eid", "fiber_idx", "event", "trial", "contrast", "side", "feedbackType", "response")
_ORDER = ["target_NM", "event", "subject", "eid", "fiber_idx"]
_TYPES = {
    **dict.fromkeys(KEY, "object"),
    "fiber_idx": "int64",
    **dict.fromkeys(("event", "contrast_coding", "term"), "object"),
    **dict.fromkeys(("coef", "se", "t"), "float64"),
    **dict.fromkeys(("n_trials", "residual_df"), "int64"),
    **dict.fromkeys(("sigma", "r2"), "float64"),
}


@dataclass(frozen=True, eq=False)
class SessionGlm:
    """The models of all recordings.

    Attributes
    ----------
    coefficients : DataFrame
        `KEY`, event, contrast_coding, term, coef, se, t, n_trials, residual_df, sigma (SD of the residuals, z), r2; one
        row per fitted recording, event and term.
    outcomes : DataFrame
        A row for every recording and event: columns of an outcome table, and eid, fiber_idx, subject and brain_region.
    """

    coefficients: pd.DataFrame
    outcomes: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Trials:
    """Complete trials of all groups, sorted by them.

    Attributes
    ----------
    group : ndarray of intp, (n,)
    contrast : ndarray of float64, (n,)
        Percent.
    columns : ndarray of float64, (n, 3)
        Contrast (coded and centred on the mean of its group), side, reward.
    response : ndarray of float64, (n,)
    counts : ndarray of intp, (g,)
        Complete trials by group.
    missing : list of str or None, (g,)
        What a group without complete trials lacks; None where there are none at all.
    """

    group: NDArray[np.intp]
    contrast: Array
    columns: Array
    response: Array
    counts: NDArray[np.intp]
    missing: list[str | None]


def session_glm(
    frame: pd.DataFrame,
    recordings: pd.DataFrame,
    coding: ContrastCoding,
    levels: Sequence[float],
    minimum_trials: int = 20,
    events: Sequence[str] | None = None,
) -> SessionGlm:
    """Fit the model of the task to every recording and event.

    See `docs/methods/task_encoding.md`. The order of the rows does not matter.

    Parameters
    ----------
    frame : DataFrame
        Of the `modelling_frame` table: eid, fiber_idx, event, trial, contrast (percent), side (contra, ipsi or null),
        feedbackType, response (z). Rows of other recordings are left out.
    recordings : DataFrame
        `KEY`; one row per recording. Each has an outcome, whether it has trials or not.
    coding : {'log', 'linear', 'rank', 'log2'}
    levels : sequence of float
        Contrasts of the task, percent.
    minimum_trials : int
        Complete trials that a recording needs.
    events : sequence of str, optional
        Those to fit; all of the frame if not given.

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    UnknownOption
        When there is no such coding, or no such event among the trials.
    UnitError
        When contrasts are fractions where they must be percent.
    ValueError
        When a contrast is none of the levels of a rank, or a recording is there twice.
    """
    require(frame, _TRIAL_COLUMNS)
    require(recordings, KEY)
    groups = _groups(recordings, _events(frame, events))
    trials = _coded_trials(frame, groups, coding, levels)
    # an error needs more trials than columns
    needed = max(minimum_trials, len(TERMS) + 1)
    states = _standings(trials, needed)
    able = np.array([place for place, (status, _) in enumerate(states) if status is Status.OK], dtype=np.intp)
    fits, totals = _fits(trials, able)
    fitted = ~np.isnan(fits.r2)
    for place in able[~fitted]:
        states[place] = Status.SINGULAR_DESIGN, "the columns of the model depend on each other"
    return SessionGlm(
        _coefficient_table(groups, trials.counts, able, fitted, fits, totals, coding),
        _outcomes(groups, trials.counts, states),
    )


def coefficient_matrix(
    coefficients: pd.DataFrame, event: str, terms: Sequence[str] = TERMS[1:], value: Value = "coef"
) -> pd.DataFrame:
    """Return the coefficients of an event, a row per recording.

    Parameters
    ----------
    coefficients : DataFrame
        eid, fiber_idx, subject, target_NM, event, term and the value; one row per recording, event and term.
    event : str
    terms : sequence of str
        Those wanted, in this order.
    value : {'coef', 't'}
        Estimates, or estimates over their standard errors.

    Returns
    -------
    DataFrame of float64, (r, terms)
        Indexed by `RECORDING_LEVELS`, sorted by target, subject, session and fibre.
    """
    rows = coefficients[coefficients["event"].eq(event) & coefficients["term"].isin(list(terms))]
    by_term = rows.set_index([*RECORDING_LEVELS, "term"])[value]
    wide = by_term.unstack("term").reindex(columns=list(terms))  # noqa: PD010 - a term that is there twice is an error
    return wide.sort_index(level=["target_NM", "subject", "eid", "fiber_idx"])


def _events(frame: pd.DataFrame, events: Sequence[str] | None) -> list[str]:
    known = sorted(frame["event"].unique())
    if events is None:
        return known
    unknown = [event for event in events if event not in known]
    if unknown:
        raise UnknownOption(f"event {unknown[0]!r}; the trials have {', '.join(known) or 'none'}")
    return list(events)


def _groups(recordings: pd.DataFrame, events: Sequence[str]) -> pd.DataFrame:
    """Return every recording and event, in the order of the results."""
    keys = recordings[list(KEY)]
    if keys.duplicated(["eid", "fiber_idx"]).any():
        twice = keys[keys.duplicated(["eid", "fiber_idx"])].iloc[0]
        raise ValueError(f"recording {twice['eid']}, fibre {twice['fiber_idx']} is there twice; expected once")
    crossed = keys.merge(pd.DataFrame({"event": pd.Series(events, dtype=object)}), how="cross")
    return crossed.sort_values(_ORDER, kind="stable", ignore_index=True)


def _coded_trials(
    frame: pd.DataFrame, groups: pd.DataFrame, coding: ContrastCoding, levels: Sequence[float]
) -> _Trials:
    """Return the complete trials of every group, coded."""
    place = _places(frame, groups)
    values = {
        "contrast": frame["contrast"].to_numpy(np.float64),
        "side": deviation_side(frame["side"]),
        "feedbackType": frame["feedbackType"].to_numpy(np.float64),
        "response": frame["response"].to_numpy(np.float64),
    }
    known = {name: np.isfinite(column) for name, column in values.items()}
    complete = np.all(list(known.values()), axis=0)
    n_groups = len(groups)
    used = np.flatnonzero(complete & (place >= 0))
    # in the order of the trials, so that sums do not depend on that of the rows
    used = used[np.lexsort((frame["trial"].to_numpy()[used], place[used]))]
    group, contrast = place[used], values["contrast"][used]
    coded = code_contrast(contrast, coding, levels)
    counts = np.bincount(group, minlength=n_groups)
    centre = np.bincount(group, weights=coded, minlength=n_groups) / np.maximum(counts, 1)
    reward = deviation_reward(frame["feedbackType"].iloc[used])
    columns = np.column_stack([coded - centre[group], values["side"][used], reward])
    return _Trials(group, contrast, columns, values["response"][used], counts, _missing(known, place, n_groups))


def _places(frame: pd.DataFrame, groups: pd.DataFrame) -> NDArray[np.intp]:
    """Return the number of the group of every trial; -1 for none."""
    sessions, events = pd.Index(groups["eid"].unique()), pd.Index(groups["event"].unique())
    span = 1 + max((int(part["fiber_idx"].max()) for part in (frame, groups) if len(part)), default=0)

    def numbers(table: pd.DataFrame) -> NDArray[np.intp]:
        session, event = sessions.get_indexer(pd.Index(table["eid"])), events.get_indexer(pd.Index(table["event"]))
        number = (session * span + table["fiber_idx"].to_numpy(np.intp)) * max(len(events), 1) + event
        return np.where((session >= 0) & (event >= 0), number, -1)

    return pd.Index(numbers(groups)).get_indexer(pd.Index(numbers(frame)))


def _missing(known: dict[str, NDArray[np.bool_]], place: NDArray[np.intp], n_groups: int) -> list[str | None]:
    """Return the names of the values that no trial of a group has, or that none has at once."""
    some = place >= 0
    n_rows = np.bincount(place[some], minlength=n_groups)
    never = {name: np.bincount(place[some & mask], minlength=n_groups) == 0 for name, mask in known.items()}
    return [
        (", ".join(name for name, lacks in never.items() if lacks[group]) or "all at once") if n_rows[group] else None
        for group in range(n_groups)
    ]


def _standings(trials: _Trials, needed: int) -> list[tuple[Status, str | None]]:
    """Return whether each group can be fitted, as far as its columns tell."""
    present = np.flatnonzero(trials.counts)
    starts = np.concatenate([[0], np.cumsum(trials.counts)])[present]
    values = np.column_stack([trials.contrast, trials.columns[:, 1:], trials.response])
    varies = np.zeros((len(trials.counts), values.shape[1]), dtype=bool)
    if len(present):
        varies[present] = np.maximum.reduceat(values, starts) > np.minimum.reduceat(values, starts)
    states: list[tuple[Status, str | None]] = []
    for n_trials, missing, of_group in zip(trials.counts, trials.missing, varies, strict=True):
        if not n_trials:
            lacking = None if missing is None else f"no trial has a value of {missing}"
            states.append((Status.NO_DATA if missing is None else Status.MISSING_INPUT, lacking))
        elif n_trials < needed:
            states.append((Status.TOO_FEW_TRIALS, f"{n_trials} complete trials; expected at least {needed}"))
        elif not of_group[:3].all():
            single = ", ".join(name for name, two in zip(TERMS[1:4], of_group[:3], strict=True) if not two)
            states.append((Status.SINGLE_LEVEL, f"only one level of {single}"))
        else:
            states.append((Status.OK, None) if of_group[3] else (Status.CONSTANT_RESPONSE, None))
    return states


def _fits(trials: _Trials, able: NDArray[np.intp]) -> tuple[LinearFits, Array]:
    """Return the fits of some groups, and their total sums of squares."""
    if not len(able):
        empty = np.empty((0, len(TERMS)))
        return LinearFits(np.empty(0), np.empty((0, 0)), empty, empty), np.empty(0)
    contrast, side, reward = trials.columns.T
    products = (contrast * side, contrast * reward, side * reward)
    design = np.column_stack([np.ones(len(contrast)), trials.columns, *products])
    ends = np.cumsum(trials.counts)[able]
    pieces = [slice(end - count, end) for end, count in zip(ends, trials.counts[able], strict=True)]
    responses = [trials.response[piece] for piece in pieces]
    fits = fit_with_and_without([design[piece] for piece in pieces], responses, [])
    return fits, np.array([float(((y - y.mean()) ** 2).sum()) for y in responses])


def _coefficient_table(
    groups: pd.DataFrame,
    counts: NDArray[np.intp],
    able: NDArray[np.intp],
    fitted: NDArray[np.bool_],
    fits: LinearFits,
    totals: Array,
    coding: ContrastCoding,
) -> pd.DataFrame:
    """Return a row for each fitted group and term."""
    rows, n_terms = able[fitted], len(TERMS)
    freedom = counts[rows] - n_terms
    coef, errors = fits.coefficients[fitted].ravel(), fits.standard_errors[fitted].ravel()
    table = groups.loc[np.repeat(rows, n_terms)].reset_index(drop=True)
    columns: dict[str, Any] = {
        "contrast_coding": coding,
        "term": np.tile(np.array(TERMS, dtype=object), len(rows)),
        "coef": coef,
        "se": errors,
        # a response without noise has no error to be measured in
        "t": np.divide(coef, errors, out=np.full(len(coef), np.nan), where=errors > 0),
        "n_trials": np.repeat(counts[rows], n_terms),
        "residual_df": np.repeat(freedom, n_terms),
        "sigma": np.repeat(np.sqrt(totals[fitted] * (1 - fits.r2[fitted]) / freedom), n_terms),
        "r2": np.repeat(fits.r2[fitted], n_terms),
    }
    return table.assign(**columns)[list(_TYPES)].astype(_TYPES)


def _outcomes(
    groups: pd.DataFrame, counts: NDArray[np.intp], states: Sequence[tuple[Status, str | None]]
) -> pd.DataFrame:
    outcome = partial(Outcome, ANALYSIS, n_subjects=1)
    rows = [
        outcome(target_NM=target, event=event, status=status, n_trials=int(n_trials), detail=detail)
        for target, event, n_trials, (status, detail) in zip(
            groups["target_NM"], groups["event"], counts, states, strict=True
        )
    ]
    return recording_outcome_table(groups, rows)
