"""Trials as a model of the task takes them: complete cases, groups, the columns of contrast * side * reward. Nothing is fitted here."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import Array, deviation_reward, deviation_side
from iblnm_core.analyses.outcomes import Status
from iblnm_core.analyses.rows import complete_rows, require

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
    obstacle : Status or None
        Why the task cannot be modelled, if it cannot.
    note : str or None
        What the reader should know of trials left out.
    """

    subject_names: tuple[str, ...]
    subjects: NDArray[np.intp]
    contrast: Array
    side: Array
    reward: Array
    response: Array
    obstacle: Status | None
    note: str | None

    @property
    def n_trials(self) -> int:
        """Number of complete trials."""
        return len(self.response)

    @property
    def n_subjects(self) -> int:
        """Number of subjects that have any."""
        return len(self.subject_names)


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
    require(trials, TRIAL_COLUMNS)
    usable = complete_rows(
        trials, TRIAL_COLUMNS[1:], minimum_subjects=MINIMUM_SUBJECTS, two_levels=("side", "feedbackType")
    )
    rows = usable.rows
    subjects, names = pd.factorize(rows["subject"].to_numpy(object), sort=True)
    return TaskTrials(
        subject_names=tuple(str(name) for name in names),
        subjects=subjects.astype(np.intp),
        contrast=rows["contrast"].to_numpy(np.float64),
        side=deviation_side(rows["side"]),
        reward=deviation_reward(rows["feedbackType"]),
        response=rows["response"].to_numpy(np.float64),
        obstacle=usable.obstacle,
        note=usable.detail,
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


def event_labels(events: "pd.Series[str]") -> NDArray[np.object_]:
    """Return the labels of events, of which there are few among many rows.

    Parameters
    ----------
    events : Series of str, (n,)

    Returns
    -------
    ndarray of str, (n,)
        None where the event is.
    """
    codes, names = pd.factorize(events)
    labels: NDArray[np.object_] = np.array([*map(event_label, names), None], dtype=object)[codes]
    return labels


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
    require(trials, ("target_NM", "event"))
    labels = event_labels(trials["event"])
    groups = {(str(key[0]), str(key[1])): rows for key, rows in trials.groupby(["target_NM", labels], observed=True)}
    for target, event in sorted(groups, key=_in_order):
        yield target, event, groups[target, event]


def _in_order(group: tuple[str, str]) -> tuple[str, int, str]:
    target, event = group
    return target, EVENT_ORDER.index(event) if event in EVENT_ORDER else len(EVENT_ORDER), event
