"""How many sessions mice took to come from one stage of the task to the next, also of those that never did."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from iblnm_core.analyses.outcomes import Outcome, Status
from iblnm_core.errors import UnknownOption

SESSIONS_BEFORE: Mapping[str, str] = {"biased": "sessions_to_biased", "ephys": "biased_sessions_to_ephys"}
"""Stages that follow another, and the column of the progress that counts the sessions before."""

_BEFORE: Mapping[str, str] = {"biased": "training", "ephys": "biased"}
_PROGRESS_COLUMNS: Mapping[str, str] = {
    "subject": "object",
    "n_training": "int64",
    "n_biased": "int64",
    "n_ephys": "int64",
    "sessions_to_biased": "float64",
    "biased_sessions_to_ephys": "float64",
    "censored_biased": "bool",
    "censored_ephys": "bool",
}
_CURVE_COLUMNS: Mapping[str, str] = {
    "stage": "object",
    "n_sessions": "int64",
    "n_at_risk": "int64",
    "n_reached": "int64",
    "n_censored": "int64",
    "share": "float64",
    "share_of_reached": "float64",
}


def stage_progress(trajectory: pd.DataFrame) -> pd.DataFrame:
    """Return how many sessions of each type every mouse had, and how many before the first of the next.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    trajectory : DataFrame
        subject, session_type and session_n of every session, as `performance_trajectory` has them.

    Returns
    -------
    DataFrame
        One row per subject, sorted: subject; n_training, n_biased, n_ephys; sessions_to_biased (training sessions with a smaller
        number than the first biased one; not a number without one), biased_sessions_to_ephys (likewise); censored_biased,
        censored_ephys (bool: the mouse had no such session, so that it is not known how many it would have taken).
    """
    types, numbers = trajectory["session_type"], trajectory["session_n"].astype("float64")
    subjects = pd.Index(np.sort(trajectory["subject"].unique()), name="subject")
    progress = pd.DataFrame(index=subjects)
    for name in ("training", "biased", "ephys"):
        counts = trajectory.loc[types == name, "subject"].value_counts()
        progress[f"n_{name}"] = counts.reindex(subjects, fill_value=0)
    for stage in SESSIONS_BEFORE:
        first = numbers[types == stage].groupby(trajectory["subject"]).min()
        earlier = (types == _BEFORE[stage]) & (numbers < trajectory["subject"].map(first))
        before = earlier.groupby(trajectory["subject"]).sum().reindex(subjects)
        reached = progress[f"n_{stage}"] > 0
        progress[SESSIONS_BEFORE[stage]] = before.where(reached).astype("float64")
        progress[f"censored_{stage}"] = ~reached
    return progress.reset_index()[list(_PROGRESS_COLUMNS)].astype(dict(_PROGRESS_COLUMNS))


def stage_curve(progress: pd.DataFrame, stage: str) -> tuple[pd.DataFrame, Outcome]:
    """Return which share of mice had come to a stage after so many sessions of the one before.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    progress : DataFrame
        As `stage_progress` returns it.
    stage : {'biased', 'ephys'}

    Returns
    -------
    curve : DataFrame
        A row for every number of sessions after which a mouse reached the stage or was seen no further: stage, n_sessions,
        n_at_risk (mice that had so many sessions and another), n_reached, n_censored (mice seen no further), share (0-1, of all
        mice: product limit), share_of_reached (0-1, of the mice that reached the stage; not a number without any).
    outcome : Outcome
        Its variable is the stage; it counts the sessions before, of all mice; its detail says how many mice are censored.

    Raises
    ------
    UnknownOption
        When there is no such stage.
    """
    if stage not in SESSIONS_BEFORE:
        raise UnknownOption(f"stage {stage!r}; expected {' or '.join(SESSIONS_BEFORE)}")
    # a mouse can only come to ephys sessions from biased ones, or past them
    mice = progress if stage == "biased" else progress[(progress["n_biased"] > 0) | (progress["n_ephys"] > 0)]
    censored = mice[f"censored_{stage}"].to_numpy(bool)
    sessions = mice[SESSIONS_BEFORE[stage]].fillna(mice[f"n_{_BEFORE[stage]}"]).to_numpy(np.int64)
    times = np.unique(sessions)
    n_reached = np.array([(sessions[~censored] == time).sum() for time in times], dtype=np.int64)
    n_censored = np.array([(sessions[censored] == time).sum() for time in times], dtype=np.int64)
    # a mouse with so many sessions and no further one was not there to have the next in the stage
    n_at_risk = n_reached[::-1].cumsum()[::-1] + n_censored[::-1].cumsum()[::-1] - n_censored
    share = 1 - np.cumprod(1 - n_reached / np.maximum(n_at_risk, 1))
    known = np.full(len(times), np.nan) if censored.all() else n_reached.cumsum() / max(n_reached.sum(), 1)
    counts = {"n_at_risk": n_at_risk, "n_reached": n_reached, "n_censored": n_censored}
    shares = {"share": share, "share_of_reached": known}
    curve = pd.DataFrame({"stage": stage, "n_sessions": times, **counts, **shares}, columns=list(_CURVE_COLUMNS))
    status = Status.OK if len(mice) else Status.MISSING_INPUT if len(progress) else Status.NO_DATA
    detail = f"{censored.sum()} of {len(mice)} mice never had such a session"
    outcome = Outcome("stage_progress", "", "", status, int(sessions.sum()), len(mice), variable=stage, detail=detail)
    return curve.astype(dict(_CURVE_COLUMNS)), outcome
