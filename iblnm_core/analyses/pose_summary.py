"""Movement in the video, over sessions: one row of each, and how movement goes along with performance and timing. No figures."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from iblnm_core.analyses.analysis import Tables
from iblnm_core.analyses.outcomes import Outcome, Status, false_discovery_rate, outcome_table
from iblnm_core.schemas.pose import POSE
from iblnm_core.session.pose_timing import THIRDS
from iblnm_core.vocabulary import VIDEO_LABELS

MEASURES = ("paw", "nose", "tongue_speed", "tongue_likelihood")
"""Changes of movement with events."""

TIMING = ("peak_value", "abs_lag", "abs_drift")
"""How paws and wheel go together."""

AGAINST = ("fraction_correct", "log_rt", "abs_lag", "peak_value", "abs_drift")
"""What the changes are held against."""

READS: Mapping[str, tuple[str, ...]] = {
    "pose": tuple(POSE.column_names),
    "video": ("eid", "subject", "session_type", *VIDEO_LABELS),
    "performance": ("eid", "fraction_correct"),
    "sessions": ("eid", "start_time"),
}
"""Tables and columns that are read."""

SESSION = ("eid", "subject", "session_type", "date")
"""Columns that say which session a row is of."""

_FEWEST_PAIRS = 3


def pose_summary(tables: Tables) -> dict[str, pd.DataFrame]:
    """Return movement in the video over sessions.

    See `docs/methods/pose.md`.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those of `READS`.

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `pose_sessions`, `pose_correlations` and `pose_summary_outcomes`.
    """
    sessions = pose_sessions(tables)
    pairs = pose_correlations(sessions)
    detail = None if len(sessions) else _why_none(tables["pose"])
    status = Status.OK if len(sessions) else Status.NO_DATA
    outcome = Outcome("pose_summary", "", "", status, 0, sessions["subject"].nunique(), detail=detail)
    return {
        "pose_sessions": sessions,
        "pose_correlations": pairs if len(sessions) else pairs.head(0),
        "pose_summary_outcomes": outcome_table([outcome]),
    }


def _why_none(pose: pd.DataFrame) -> str:
    if pose.empty:
        return "no session has trials and times of the left camera"
    return f"none of {len(pose)} sessions with camera times has a LightningPose that can be used"


def pose_sessions(tables: Tables) -> pd.DataFrame:
    """Return one row per session with a pose: movement and timing, verdicts of the video, performance, type and date.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those of `READS`.

    Returns
    -------
    DataFrame
        With `log_rt` (ln s), `abs_lag` (s, largest over the thirds), `peak_value` (largest), `abs_drift` (s) and `date`.
    """
    pose = tables["pose"]
    rows = pose[pose["lp_exists"].astype(bool)].reset_index(drop=True)
    for name in ("video", "performance", "sessions"):
        rows = rows.merge(tables[name][list(READS[name])], on="eid", how="left", validate="one_to_one")
    lags = rows[[f"peak_lag_{third}" for third in THIRDS]]
    rows = rows.assign(
        log_rt=np.log(rows["mean_rt"].astype("float64")),
        abs_lag=lags.abs().max(axis=1),
        peak_value=rows[[f"peak_val_{third}" for third in THIRDS]].max(axis=1),
        abs_drift=rows["drift"].abs(),
        date=rows["start_time"].str[:10],
    )
    rows["session_type"] = rows["session_type"].fillna("unknown")
    rows[list(VIDEO_LABELS)] = rows[list(VIDEO_LABELS)].fillna("NOT_SET")
    columns = [*SESSION, *MEASURES, "fraction_correct", "log_rt", *TIMING, *VIDEO_LABELS]
    return rows[columns].sort_values("eid", ignore_index=True)


def pose_correlations(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's correlation of every measure with everything that it is held against, over sessions.

    Parameters
    ----------
    sessions : DataFrame
        As `pose_sessions` makes them.

    Returns
    -------
    DataFrame
        measure, against, n and n_subjects of sessions that have both, rho, p_value, q_value (Benjamini-Hochberg over all
        pairs); not a number for fewer than three sessions or values that do not vary.
    """
    from scipy.stats import spearmanr

    found = []
    for measure in MEASURES:
        for against in AGAINST:
            both = sessions[[measure, against, "subject"]].dropna(subset=[measure, against])
            varies = bool((np.ptp(both[[measure, against]], axis=0) > 0).all()) if len(both) else False
            rho, p_value = np.nan, np.nan
            if len(both) >= _FEWEST_PAIRS and varies:
                rho, p_value = map(float, spearmanr(both[measure], both[against]))
            found.append((measure, against, len(both), both["subject"].nunique(), rho, p_value))
    pairs = pd.DataFrame(found, columns=["measure", "against", "n", "n_subjects", "rho", "p_value"])
    return pairs.assign(q_value=false_discovery_rate(pairs["p_value"].to_numpy(np.float64)))
