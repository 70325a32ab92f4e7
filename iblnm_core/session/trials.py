"""Trials of one session: from the extracted table to documented columns, and the rules on them. No files here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from iblnm_core.errors import CorruptDataset, IncompleteEventTimes, InsufficientTrials
from iblnm_core.parameters import TrialParameters
from iblnm_core.session.blocks import JudgedBlocks

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_NAME = "_ibl_trials.table.pqt"

_REQUIRED = (
    "stimOn_times",
    "feedback_times",
    "feedbackType",
    "contrastLeft",
    "contrastRight",
    "intervals_0",
    "intervals_1",
)
# a habituation session has no choices
_OPTIONAL = ("response_times", "firstMovement_times", "choice", "probabilityLeft")

TRIAL_COLUMNS: tuple[str, ...] = (*_REQUIRED, *_OPTIONAL)
"""Columns that are read from the trial table."""


def trials_from_table(table: "pa.Table") -> pd.DataFrame:
    """Return the trials with documented columns and derived contrasts.

    See `docs/methods/trials.md`.

    Parameters
    ----------
    table : pyarrow.Table
        The extracted trial table, one row per trial; numeric columns.

    Returns
    -------
    DataFrame
        Columns of the table as float64 (times in s, session clock), `contrast` (percent), `signed_contrast` (percent,
        negative on the left; at zero contrast the sign bit carries the side) and `stim_side` (`left` or `right`).

    Raises
    ------
    CorruptDataset
        When the table is empty, lacks a required column, a column is not numeric, or a contrast is no fraction.
    """
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise CorruptDataset(
            f"{TABLE_NAME}: column {', '.join(missing)} missing; found {', '.join(table.column_names) or 'none'}"
        )
    if table.num_rows == 0:
        raise CorruptDataset(f"{TABLE_NAME}: 0 rows; expected one per trial", measured=0, threshold=1)
    trials = pd.DataFrame({name: _numbers(table, name) for name in TRIAL_COLUMNS if name in table.column_names})
    for name in ("contrastLeft", "contrastRight"):
        largest = float(trials[name].abs().max())
        if largest > 1:
            raise CorruptDataset(
                f"{TABLE_NAME}: column {name} reaches {largest:g}; expected fractions from 0 to 1",
                measured=largest,
                threshold=1,
            )
    left, right = trials.pop("contrastLeft"), trials.pop("contrastRight")
    return trials.assign(**contrasts(left.to_numpy(), right.to_numpy()))


def _numbers(table: "pa.Table", name: str) -> np.ndarray:
    import pyarrow as pa

    column = table.column(name)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise CorruptDataset(f"{TABLE_NAME}: column {name} is {column.type}; expected numbers")
    values: np.ndarray = column.to_numpy().astype(np.float64)
    return values


def contrasts(left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Return contrast, signed contrast and stimulus side from the contrasts on either side.

    Parameters
    ----------
    left, right : ndarray of float64, (n,)
        Contrast as a fraction; not a number on the side without stimulus.

    Returns
    -------
    dict
        `contrast` (n,) percent; `signed_contrast` (n,) percent, with a signed zero; `stim_side` (n,) text. A trial
        with neither contrast counts as right and 0, one with both takes the right contrast.
    """
    on_left = ~np.isnan(left)
    contrast = 100 * np.where(np.isnan(right), np.where(on_left, left, 0.0), right)
    side = np.where(on_left, "left", "right").astype(object)
    return {"contrast": contrast, "signed_contrast": np.where(on_left, -contrast, contrast), "stim_side": side}


def with_judged_blocks(trials: pd.DataFrame, judged: JudgedBlocks) -> pd.DataFrame:
    """Return trials with the block probabilities to go on with, those recorded, and where the two differ.

    Parameters
    ----------
    trials : DataFrame
        `probabilityLeft` as recorded.
    judged : JudgedBlocks
    """
    recorded = trials["probabilityLeft"]
    changed = ~np.isnan(judged.probabilities) & (judged.probabilities != recorded.to_numpy())
    return trials.assign(
        probabilityLeft=judged.probabilities, probabilityLeft_original=recorded, block_repaired=changed
    )


def check_enough_trials(trials: pd.DataFrame, parameters: TrialParameters) -> None:
    """Require the minimum number of trials.

    Raises
    ------
    InsufficientTrials
    """
    n, minimum = len(trials), parameters.minimum_trials
    if n < minimum:
        raise InsufficientTrials(f"n_trials={n} < MIN_NTRIALS={minimum}", measured=n, threshold=minimum)


def incomplete_events(trials: pd.DataFrame, events: Sequence[str], parameters: TrialParameters) -> tuple[str, ...]:
    """Return the events that have no column, or are known in too small a share of the trials."""
    return tuple(
        event
        for event in events
        if event not in trials or trials[event].notna().mean() < parameters.minimum_event_completeness
    )


def check_event_times(trials: pd.DataFrame, events: Sequence[str], parameters: TrialParameters) -> None:
    """Require complete event times.

    Raises
    ------
    IncompleteEventTimes
    """
    incomplete = incomplete_events(trials, events, parameters)
    if incomplete:
        shares = [f"{trials[event].notna().mean() if event in trials else 0.0:.3f}" for event in incomplete]
        raise IncompleteEventTimes(
            f"Incomplete events: {', '.join(incomplete)}",
            measured=", ".join(shares),
            threshold=parameters.minimum_event_completeness,
        )
