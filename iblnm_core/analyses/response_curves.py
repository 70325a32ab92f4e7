"""Responses of each target over mice: their mean course by contrast and outcome, and their size by contrast, side and outcome."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table

_CONDITION = ["target_NM", "event", "contrast", "feedbackType"]
_CELL = ["target_NM", "event", "side", "feedbackType", "contrast"]


def traces_by_target(traces: pd.DataFrame, minimum_trials: int) -> pd.DataFrame:
    """Return the mean course over mice of the responses of each target.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    traces : DataFrame
        The `mean_traces` table: one row per recording, event, contrast, outcome and sample.
    minimum_trials : int
        Of a mouse in a condition, all its recordings together; one with fewer does not count there.

    Returns
    -------
    DataFrame
        target_NM, event, contrast (%), feedbackType, time (s), mean (z; over mice, each the mean of its recordings), sem (z; over
        mice, not a number for one), n_subjects, n_recordings, n_trials (int64; of the condition).
    """
    known = traces[traces["target_NM"].notna()]
    per_recording = known.drop_duplicates([*_CONDITION, "eid", "fiber_idx"])
    cells = per_recording.groupby([*_CONDITION, "subject"], as_index=False).agg(
        n_trials=("n_trials", "sum"), n_recordings=("eid", "size")
    )
    cells = cells[cells["n_trials"] >= minimum_trials]
    of_mouse = known.groupby([*_CONDITION, "time", "subject"], as_index=False)["response"].mean()
    of_mouse = of_mouse.merge(cells, on=[*_CONDITION, "subject"], how="inner")
    return _over_mice(of_mouse, [*_CONDITION, "time"], "response").drop(columns="sem_within")


def contrast_curves(frame: pd.DataFrame, minimum_trials: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the size of the responses of each target by contrast, side and outcome, over mice, and how each group came out.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    frame : DataFrame
        The `modelling_frame` table.
    minimum_trials : int
        Of a mouse in a cell; one with fewer does not count there.

    Returns
    -------
    curves : DataFrame
        target_NM, event, side (contra, ipsi), feedbackType, contrast (%); mean and sem (z; over mice), sem_within (z; without what
        differs between mice in all cells, for as many conditions as there are), n_subjects, n_recordings, n_trials (int64).
    outcomes : DataFrame
        One row per target and event.
    """
    known = frame[frame["target_NM"].notna() & frame["side"].notna()]
    known = known.assign(recording=known.groupby(["eid", "fiber_idx"]).ngroup())
    cells = known.groupby([*_CELL, "subject"], as_index=False).agg(
        response=("response", "mean"), n_trials=("response", "size"), n_recordings=("recording", "nunique")
    )
    cells = cells[cells["n_trials"] >= minimum_trials]
    curves = _over_mice(cells, _CELL, "response")
    outcomes = [
        _outcome(str(target), str(event), rows, cells)
        for (target, event), rows in frame[frame["target_NM"].notna()].groupby(["target_NM", "event"])
    ]
    return curves, outcome_table(outcomes)


def _outcome(target: str, event: str, rows: pd.DataFrame, cells: pd.DataFrame) -> Outcome:
    own = cells[(cells["target_NM"] == target) & (cells["event"] == event)]
    n_trials, n_subjects = int(own["n_trials"].sum()), int(own["subject"].nunique())
    status, detail = Status.OK, ""
    if own.empty:
        status = Status.MISSING_INPUT if rows["side"].isna().all() else Status.TOO_FEW_TRIALS
        detail = "no side is known" if status is Status.MISSING_INPUT else "no mouse has enough trials in any cell"
    return Outcome("response_curves", target, event, status, n_trials, n_subjects, detail=detail)


def _over_mice(rows: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Return means over mice with both standard errors, from one row per mouse and group.

    Within mice: Cousineau 2005 with the correction of Morey 2008.
    """
    groups = ["target_NM", "event"]
    known = rows[np.isfinite(rows[value])]
    own = known.groupby([*groups, "subject"])[value].transform("mean")
    common = known.groupby(groups)[value].transform("mean")
    known = known.assign(centred=known[value] - own + common)
    table: pd.DataFrame = known.groupby(list(keys), as_index=False).agg(
        mean=(value, "mean"),
        sem=(value, "sem"),
        sem_within=("centred", "sem"),
        n_subjects=("subject", "nunique"),
        n_recordings=("n_recordings", "sum"),
        n_trials=("n_trials", "sum"),
    )
    n_conditions = table.groupby(groups)["mean"].transform("size").to_numpy(np.float64)
    correction = np.divide(n_conditions, n_conditions - 1, out=np.full(len(table), np.nan), where=n_conditions > 1)
    counts = dict.fromkeys(("n_subjects", "n_recordings", "n_trials"), "int64")
    table["sem_within"] *= np.sqrt(correction)
    return table.astype(counts)
