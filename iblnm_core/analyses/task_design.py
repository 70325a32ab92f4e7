"""Trials as a model of the task takes them: complete cases, groups, the columns of contrast * side * reward. Nothing is fitted here."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import Array, deviation_reward, deviation_side
from iblnm_core.analyses.outcomes import Status
from iblnm_core.errors import MissingPrerequisite

TERMS = (
    "Intercept",
    "contrast",
    "side",
    "contrast:side",
    "reward",
    "contrast:reward",
    "side:reward",
    "contrast:side:reward",
)
TRIAL_COLUMNS = ("subject", "contrast", "side", "feedbackType", "response")
EVENT_ORDER = ("stimOn", "firstMovement", "feedback")
MINIMUM_SUBJECTS = 2


@dataclass(frozen=True, eq=False)
class TaskTrials:
    """The complete trials of one group.

    Attributes
    ----------
    subject_names : tuple of str
    subjects : ndarray of intp, (n,)
        Place of each trial's subject among the names.
    contrast : ndarray of float64, (n,)
        Percent, unsigned.
    side, reward : ndarray of float64, (n,)
        Deviation codes.
    response : ndarray of float64, (n,)
    n_dropped : int
        Trials that were left out as something of them is not known.
    """

    subject_names: tuple[str, ...]
    subjects: NDArray[np.intp]
    contrast: Array
    side: Array
    reward: Array
    response: Array
    n_dropped: int

    @property
    def n_trials(self) -> int:
        """Number of complete trials."""
        return len(self.response)

    @property
    def n_subjects(self) -> int:
        """Number of subjects that have any."""
        return len(self.subject_names)

    @property
    def note(self) -> str | None:
        """What the reader should know of trials left out."""
        return f"{self.n_dropped} incomplete trials left out" if self.n_dropped else None

    def obstacle(self) -> Status | None:
        """Return why the task cannot be modelled, if it cannot."""
        if self.n_trials == 0:
            return Status.NO_DATA
        if self.n_subjects < MINIMUM_SUBJECTS:
            return Status.TOO_FEW_SUBJECTS
        if np.ptp(self.side) == 0 or np.ptp(self.reward) == 0:
            return Status.SINGLE_LEVEL
        if np.ptp(self.response) == 0:
            return Status.CONSTANT_RESPONSE
        return None


def complete_trials(trials: pd.DataFrame) -> TaskTrials:
    """Return the trials of which subject, contrast, side, outcome and a finite response are known.

    Parameters
    ----------
    trials : DataFrame
        One row per trial: subject, contrast (percent), side ('contra' or 'ipsi'), feedbackType (1 for reward), response.

    Raises
    ------
    MissingPrerequisite
        When one of the columns is not there.
    """
    absent = [name for name in TRIAL_COLUMNS if name not in trials.columns]
    if absent:
        raise MissingPrerequisite(f"trials have no column {', '.join(absent)}; expected {', '.join(TRIAL_COLUMNS)}")
    response = trials["response"].to_numpy(np.float64, na_value=np.nan)
    contrast = trials["contrast"].to_numpy(np.float64, na_value=np.nan)
    side = deviation_side(trials["side"])
    known = np.isfinite(response) & np.isfinite(contrast) & np.isfinite(side)
    known &= trials["subject"].notna().to_numpy() & trials["feedbackType"].notna().to_numpy()
    subjects, names = pd.factorize(trials["subject"].to_numpy(object)[known], sort=True)
    return TaskTrials(
        subject_names=tuple(str(name) for name in names),
        subjects=subjects.astype(np.intp),
        contrast=contrast[known],
        side=side[known],
        reward=deviation_reward(trials["feedbackType"])[known],
        response=response[known],
        n_dropped=int((~known).sum()),
    )


def task_columns(contrast: Array, side: Array, reward: Array) -> Array:
    """Return the columns of contrast * side * reward in the order of `TERMS`, (n, 8).

    Parameters
    ----------
    contrast : ndarray of float64, (n,)
        Coded and centred.
    side, reward : ndarray of float64, (n,)
        Deviation codes.
    """
    with_side = contrast * side
    columns = (contrast, side, with_side, reward, contrast * reward, side * reward, with_side * reward)
    return np.column_stack([np.ones(len(contrast)), *columns])


def event_label(event: str) -> str:
    """Return the name of an event without what only says that it is a column of times.

    Parameters
    ----------
    event : str
    """
    return event.removesuffix("_times")


def task_groups(trials: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield target, event label and trials of each group: targets by name, events as in a trial.

    Parameters
    ----------
    trials : DataFrame
        With columns target_NM and event.

    Raises
    ------
    MissingPrerequisite
        When one of them is not there.
    """
    absent = [name for name in ("target_NM", "event") if name not in trials.columns]
    if absent:
        raise MissingPrerequisite(f"trials have no column {', '.join(absent)}; groups are target_NM and event")
    labels = trials["event"].map(event_label)
    groups = {(str(key[0]), str(key[1])): rows for key, rows in trials.groupby(["target_NM", labels], observed=True)}
    for target, event in sorted(groups, key=_in_order):
        yield target, event, groups[target, event]


def _in_order(group: tuple[str, str]) -> tuple[str, int, str]:
    target, event = group
    return target, EVENT_ORDER.index(event) if event in EVENT_ORDER else len(EVENT_ORDER), event
