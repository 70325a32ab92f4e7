"""What became of every analysis of every group: one row each, whether a result came out or why not. No statistics here."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

OUTCOMES = "_outcomes"
"""How the names of tables of outcomes end."""


class Status(StrEnum):
    """How an analysis of one group ended."""

    OK = "ok"
    BOUNDARY = "boundary"
    """A result, with a random variance of zero."""
    TOO_FEW_SUBJECTS = "too_few_subjects"
    TOO_FEW_TRIALS = "too_few_trials"
    SINGLE_LEVEL = "single_level"
    """Only one stimulus side, outcome or choice."""
    CONSTANT_RESPONSE = "constant_response"
    SINGULAR_DESIGN = "singular_design"
    NOT_CONVERGED = "not_converged"
    INCOMPLETE_DESIGN = "incomplete_design"
    DEGENERATE = "degenerate"
    """So few groups for so many variables, or so little that varies, that the result is certain before the data are seen."""
    NO_VARIATION = "no_variation"
    """Mice, or residuals, that do not differ at all: nothing to compare an effect with."""
    NO_DONORS = "no_donors"
    MISSING_INPUT = "missing_input"
    NO_DATA = "no_data"


@dataclass(frozen=True)
class Outcome:
    """How an analysis of one group ended.

    Attributes
    ----------
    analysis : str
    target_NM, event : str
        The group; empty when the analysis is over all of them.
    status : Status
    n_trials, n_subjects : int
        What there was to analyse.
    contrast : float or None
        Percent, when the group is one contrast.
    variable : str or None
        Variable, coding or predictor, when the analysis has several.
    detail : str or None
        What the reader should know beside the status.
    """

    analysis: str
    target_NM: str  # noqa: N815 - as the field writes it
    event: str
    status: Status
    n_trials: int
    n_subjects: int
    contrast: float | None = None
    variable: str | None = None
    detail: str | None = None


OUTCOME_COLUMNS = (
    "analysis",
    "target_NM",
    "event",
    "contrast",
    "variable",
    "status",
    "n_trials",
    "n_subjects",
    "detail",
)


def outcome_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return outcomes as rows, in the order in which they are given."""
    rows = [{**asdict(outcome), "status": str(outcome.status)} for outcome in outcomes]
    table = pd.DataFrame(rows, columns=list(OUTCOME_COLUMNS))
    return table.astype({"contrast": "float64", "n_trials": "int64", "n_subjects": "int64"})


RECORDING_KEY = ("eid", "fiber_idx", "subject", "brain_region")
"""Columns by which an outcome says which recording it is about."""


def recording_outcome_table(recordings: pd.DataFrame, outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return outcomes as rows that say which recording they are about.

    Parameters
    ----------
    recordings : DataFrame
        `RECORDING_KEY`, a row for each outcome, in their order.
    outcomes : iterable of Outcome
    """
    keys = recordings[list(RECORDING_KEY)].reset_index(drop=True)
    return pd.concat([keys, outcome_table(outcomes)], axis=1)


def false_discovery_rate(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the q-values of a family of tests; those without a p-value have none and do not count.

    Parameters
    ----------
    p_values : sequence of float, (n,)

    Returns
    -------
    ndarray of float64, (n,)
        Smallest false discovery rate at which each test is called: Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57, 289.
    """
    values = np.asarray(p_values, dtype=np.float64)
    q_values = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    ranks = np.arange(1, len(order) + 1)
    scaled = values[order] * len(order) / ranks
    q_values[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q_values
