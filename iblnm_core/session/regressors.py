"""What models of the responses take from a trial: how long things took, and how fast the wheel turned."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TIMINGS = {
    "reaction_time": ("stimOn_times", "firstMovement_times"),
    "movement_time": ("firstMovement_times", "feedback_times"),
    "response_time": ("stimOn_times", "feedback_times"),
}
"""Start and end of every interval of a trial."""


def trial_timings(trials: pd.DataFrame) -> pd.DataFrame:
    """Return how long the parts of every trial took.

    See `docs/methods/trials.md`.

    Parameters
    ----------
    trials : DataFrame
        Event times, s.

    Returns
    -------
    DataFrame
        `reaction_time`, `movement_time`, `response_time` (s); not a number where an event is unknown, and throughout
        where its column is missing.
    """
    unknown = pd.Series(np.nan, index=trials.index)
    return pd.DataFrame(
        {
            name: trials.get(end, unknown).to_numpy(np.float64) - trials.get(start, unknown).to_numpy(np.float64)
            for name, (start, end) in TIMINGS.items()
        }
    )


TASK_VARIABLES = ("signed_contrast", "contrast", "stim_side", "choice", "feedbackType", "probabilityLeft")


def trial_regressors(trials: pd.DataFrame, peaks: NDArray[np.float64] | None) -> pd.DataFrame:
    """Return one row per trial with what models take from it.

    Parameters
    ----------
    trials : DataFrame
    peaks : ndarray of float64, (n,) or None
        Peak velocity, rad/s; None without wheel.

    Returns
    -------
    DataFrame
        Task variables, timings, and `peak_velocity`; not a number for what the session does not have.
    """
    # a copy of the task's variables: rows stay whole when trials are computed anew and this is not
    variables = trials.reindex(columns=TASK_VARIABLES).reset_index(drop=True)
    peak_velocity = np.full(len(trials), np.nan) if peaks is None else peaks
    return pd.concat([variables, trial_timings(trials)], axis="columns").assign(peak_velocity=peak_velocity)
