"""How a mouse behaved in a session, as seen from each of its fibres: the psychometric function with contra and ipsi for left and right."""

from functools import partial

import numpy as np
import pandas as pd

from iblnm_core.analyses.outcomes import Outcome, Status, recording_outcome_table
from iblnm_core.analyses.rows import require
from iblnm_core.analyses.session_glm import RECORDING_LEVELS

ANALYSIS = "behavioural_view"
PSYCHOMETRICS = ("psych_50_threshold", "psych_50_bias", "psych_50_lapse_left", "psych_50_lapse_right")
"""What is known of the behaviour of a session."""
LATERALISED = ("psych_50_threshold", "psych_50_bias", "psych_50_lapse_contra", "psych_50_lapse_ipsi")
"""The same as seen from a fibre."""
_RECORDING_COLUMNS = (*RECORDING_LEVELS, "hemisphere", "brain_region")


def behavioural_view(recordings: pd.DataFrame, performance: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the psychometric function of the session of every recording, seen from the side of its fibre.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    recordings : DataFrame
        eid, target_NM, fiber_idx, subject, hemisphere (l, r, or anything else for unknown), brain_region; one row per
        recording.
    performance : DataFrame
        Of the `performance` table: eid and `PSYCHOMETRICS`; one row per session.

    Returns
    -------
    view : DataFrame of float64, (r, 4)
        `LATERALISED` (%, %, and shares of 0-1) of the recordings of which all of it is known, indexed by
        `RECORDING_LEVELS` and sorted by target, subject, session and fibre. A lapse is named for the side of the choice.
    outcomes : DataFrame
        A row for every recording: columns of an outcome table, and eid, fiber_idx, subject and brain_region.

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    ValueError
        When a session or a recording is there twice.
    """
    require(recordings, _RECORDING_COLUMNS)
    require(performance, ("eid", *PSYCHOMETRICS))
    for table, key in ((recordings, ["eid", "fiber_idx"]), (performance, ["eid"])):
        if table.duplicated(key).any():
            twice = table.loc[table.duplicated(key), key].iloc[0].tolist()
            raise ValueError(f"{' and '.join(key)} {twice} are there twice; expected once")
    ordered = recordings[list(_RECORDING_COLUMNS)].sort_values(
        ["target_NM", "subject", "eid", "fiber_idx"], ignore_index=True
    )
    behaviour = performance.set_index("eid")[list(PSYCHOMETRICS)].astype("float64").reindex(ordered["eid"])
    values = _lateralised(ordered["hemisphere"], behaviour.reset_index(drop=True))
    values.index = pd.MultiIndex.from_frame(ordered[list(RECORDING_LEVELS)])
    complete = values.notna().all(axis=1)
    return values[complete], _outcomes(ordered, behaviour, set(performance["eid"]))


def _lateralised(hemisphere: "pd.Series[str]", behaviour: pd.DataFrame) -> pd.DataFrame:
    """Return what left and right are to a fibre; not a number where its side is unknown."""
    on_left = (hemisphere == "l").to_numpy()
    known = hemisphere.isin(["l", "r"]).to_numpy()
    threshold, bias, left, right = (behaviour[name].to_numpy() for name in PSYCHOMETRICS)
    columns = (
        threshold,
        np.where(on_left, bias, -bias),
        np.where(on_left, right, left),
        np.where(on_left, left, right),
    )
    table = dict(zip(LATERALISED, columns, strict=True))
    return pd.DataFrame({name: np.where(known, column, np.nan) for name, column in table.items()})


def _outcomes(recordings: pd.DataFrame, behaviour: pd.DataFrame, sessions: set[str]) -> pd.DataFrame:
    """Return how every recording came out."""
    outcome = partial(Outcome, ANALYSIS, event="", n_subjects=1)
    lacks = behaviour.isna().to_numpy()
    rows = []
    for place, recording in enumerate(recordings.itertuples(index=False)):
        detail = None
        if recording.hemisphere not in {"l", "r"}:
            detail = "hemisphere unknown"
        elif recording.eid not in sessions:
            detail = "no behaviour of the session"
        elif lacks[place].any():
            lacking = [name for name, is_lacking in zip(PSYCHOMETRICS, lacks[place], strict=True) if is_lacking]
            detail = f"no {', '.join(lacking)}"
        status = Status.OK if detail is None else Status.MISSING_INPUT
        rows.append(outcome(target_NM=str(recording.target_NM), status=status, n_trials=0, detail=detail))
    return recording_outcome_table(recordings, rows)
