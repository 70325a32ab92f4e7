"""Responses of each target over mice: their mean course by contrast and outcome, and their size by contrast, side and outcome."""

import numpy as np
import pandas as pd

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.traces import sample_times

_CONDITION = ["target_NM", "event", "contrast", "feedbackType"]
_GRID = ["start_s", "sampling_rate_hz"]
_COUNTS = ["n_subjects", "n_recordings", "n_trials"]
_TRACE_COLUMNS = [*_CONDITION, "time", "mean", "sem", *_COUNTS]
_CELL = ["target_NM", "event", "side", "feedbackType", "contrast"]


def traces_by_target(traces: pd.DataFrame, recordings: pd.DataFrame, minimum_trials: int) -> pd.DataFrame:
    """Return the mean course over mice of the responses of each target.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    traces : DataFrame
        The `condition_traces` table: one row per recording, event, contrast and outcome.
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    minimum_trials : int
        Of a mouse in a condition, all its recordings together; one with fewer does not count there.

    Returns
    -------
    DataFrame
        target_NM, event, contrast (%), feedbackType, time (s), mean (z; over mice, each the mean of its recordings), sem (z; over
        mice, not a number for one), n_subjects, n_recordings, n_trials (int64; of the condition).
    """
    known = recordings.loc[recordings["target_NM"].notna(), ["eid", "fiber_idx", "subject", "target_NM"]]
    rows = traces.merge(known, on=["eid", "fiber_idx"], how="inner")
    rows["event"] = rows["event"].str.removesuffix("_times")
    per_grid = [_traces_of_grid(own, minimum_trials) for _, own in rows.groupby([*_GRID, rows["response"].map(len)])]
    return pd.concat(per_grid, ignore_index=True) if per_grid else pd.DataFrame(columns=_TRACE_COLUMNS)


def _traces_of_grid(rows: pd.DataFrame, minimum_trials: int) -> pd.DataFrame:
    """Return the mean courses of traces that are sampled alike."""
    samples = pd.DataFrame(np.stack(list(rows["response"])), index=rows.index)
    in_mouse = [rows[name] for name in [*_CONDITION, "subject"]]
    of_mouse = samples.groupby(in_mouse).mean()
    counts = rows.groupby([*_CONDITION, "subject"]).agg(n_trials=("n_trials", "sum"), n_recordings=("eid", "size"))
    enough = counts["n_trials"] >= minimum_trials
    of_mouse, counts = of_mouse[enough], counts[enough].reset_index()
    over_mice = of_mouse.groupby(_CONDITION)
    measures = {"mean": over_mice.mean(), "sem": over_mice.sem(), "n_subjects": over_mice.count()}
    conditions, n_samples = measures["mean"].index, samples.shape[1]
    found = conditions.repeat(n_samples).to_frame(index=False)
    start, rate = rows[_GRID].iloc[0]
    found["time"] = np.tile(sample_times(start, rate, n_samples), len(conditions))
    for name, values in measures.items():
        found[name] = values.to_numpy().ravel()
    totals = counts.groupby(_CONDITION, as_index=False)[["n_recordings", "n_trials"]].sum()
    table = found[found["n_subjects"] > 0].merge(totals, on=_CONDITION)
    return table[_TRACE_COLUMNS].astype(dict.fromkeys(_COUNTS, "int64"))


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
    curves = _over_mice(cells)
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


def _over_mice(cells: pd.DataFrame) -> pd.DataFrame:
    """Return means over mice with both standard errors, from one row per mouse and cell.

    Within mice: Cousineau 2005 with the correction of Morey 2008.
    """
    groups = ["target_NM", "event"]
    own = cells.groupby([*groups, "subject"])["response"].transform("mean")
    common = cells.groupby(groups)["response"].transform("mean")
    table: pd.DataFrame = (
        cells.assign(centred=cells["response"] - own + common)
        .groupby(_CELL, as_index=False)
        .agg(
            mean=("response", "mean"),
            sem=("response", "sem"),
            sem_within=("centred", "sem"),
            n_subjects=("subject", "nunique"),
            n_recordings=("n_recordings", "sum"),
            n_trials=("n_trials", "sum"),
        )
    )
    n_conditions = table.groupby(groups)["mean"].transform("size").to_numpy(np.float64)
    correction = np.divide(n_conditions, n_conditions - 1, out=np.full(len(table), np.nan), where=n_conditions > 1)
    table["sem_within"] *= np.sqrt(correction)
    return table.astype(dict.fromkeys(_COUNTS, "int64"))
