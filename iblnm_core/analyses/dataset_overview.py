"""How far every session came, from being recorded to being of use, and how many recordings and mice of each target are complete."""

from collections.abc import Hashable, Mapping
from dataclasses import replace

import pandas as pd

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.qc_signals import EVERY_RECORDING
from iblnm_core.cohort.selection import REFERENCE_DISQUALIFIERS, resolve_duplicates, select
from iblnm_core.vocabulary import ANALYSED_SESSION_TYPES

STEPS: Mapping[str, tuple[str, ...]] = {
    "recorded": (),
    "raw_data": ("MissingRawData",),
    "complete_data": ("MissingExtractedData", "InsufficientTrials", "TrialsNotInPhotometryTime"),
    "passes_qc": ("QCValidationError", "FewUniqueSamples"),
    "video_ready": (),
}
"""How far a session can come, and the families of errors that keep it from each step."""

COMPLETE = "passes_qc"
"""The step at which a recording is complete."""

_VIDEO: Mapping[str, frozenset[str]] = {
    "qc_videoLeft_timestamps": frozenset({"PASS"}),
    "qc_videoLeft_dropped_frames": frozenset({"PASS"}),
    "qc_videoLeft_pin_state": frozenset({"PASS", "WARNING"}),
}
_NOT_PROFICIENT = "not_proficient"
_PROFICIENT = "proficient"


def dataset_overview(
    sessions: pd.DataFrame,
    performance: pd.DataFrame,
    errors: pd.DataFrame,
    *,
    minimum_performance: float,
    required_contrasts: frozenset[float],
) -> dict[str, pd.DataFrame]:
    """Return how far every session with a target of the project came, and what is complete of each target.

    See `docs/methods/selection.md`.

    Parameters
    ----------
    sessions, performance, errors : DataFrame
        These tables.
    minimum_performance : float
        Smallest fraction correct (0-1) of a training session of a proficient mouse.
    required_contrasts : frozenset of float
        Contrasts (%) that such a session has, and no others.

    Returns
    -------
    dict of str to DataFrame
        `session_matrix`, one row per session: eid, subject, start_time, session_type, session_n, day_n, n_recordings, proficiency, step
        (the last of `STEPS` it came to), stopped_by (error families that kept it from the next one, or the video). `complete_recordings`, one
        row per target, session type and proficiency: n_recordings, n_sessions, n_subjects. `dataset_overview_outcomes`.
    """
    chosen = select(sessions, errors, replace(EVERY_RECORDING, session_types=ANALYSED_SESSION_TYPES))
    families = _families(errors)
    bad = {eid for eid, names in families.items() if not names.isdisjoint(REFERENCE_DISQUALIFIERS)}
    known = chosen.sessions[~chosen.sessions["eid"].isin(resolve_duplicates(chosen.sessions, bad).index)]
    recordings = chosen.recordings[chosen.recordings["eid"].isin(known["eid"])]
    of_performance = performance.set_index("eid")
    rows = []
    for session in known.to_dict("records"):
        step, stopped_by = _reached(session, families.get(session["eid"], frozenset()))
        proficient = session["session_type"] != "training" or _is_proficient(
            of_performance, session["eid"], minimum_performance, required_contrasts
        )
        rows.append(
            {
                **{
                    name: session[name]
                    for name in ("eid", "subject", "start_time", "session_type", "session_n", "day_n")
                },
                "proficiency": _PROFICIENT if proficient else _NOT_PROFICIENT,
                "step": step,
                "stopped_by": stopped_by,
            }
        )
    names = ["eid", "subject", "start_time", "session_type", "session_n", "day_n", "proficiency", "step", "stopped_by"]
    matrix = pd.DataFrame(rows, columns=names)
    matrix["n_recordings"] = matrix["eid"].map(recordings["eid"].value_counts()).astype("int64")
    status = Status.OK if len(matrix) else Status.NO_DATA
    detail = (
        f"{len(matrix)} of {len(sessions)} sessions are of a type that is analysed and have a target of the project"
    )
    outcome = Outcome("dataset_overview", "", "", status, 0, matrix["subject"].nunique(), detail=detail)
    return {
        "session_matrix": matrix.sort_values(["subject", "session_n", "eid"], ignore_index=True),
        "complete_recordings": _complete(matrix, recordings),
        "dataset_overview_outcomes": outcome_table([outcome]),
    }


def _families(errors: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Return the classes of each session's errors, with those that they are kinds of."""
    found: dict[str, set[str]] = {}
    for eid, names in zip(errors["eid"], errors["error_family"], strict=True):
        found.setdefault(eid, set()).update(names.split())
    return {eid: frozenset(names) for eid, names in found.items()}


def _reached(session: Mapping[Hashable, object], families: frozenset[str]) -> tuple[str, str]:
    """Return the last step that a session came to, and what kept it from the next."""
    reached = ""
    for step, errors in STEPS.items():
        against = sorted(families & set(errors))
        if step == "video_ready":
            against = [name for name, good in _VIDEO.items() if session[name] not in good]
        if against:
            return reached, ", ".join(against)
        reached = step
    return reached, ""


def _is_proficient(performance: pd.DataFrame, eid: str, minimum: float, contrasts: frozenset[float]) -> bool:
    if eid not in performance.index:
        return False
    row = performance.loc[eid]
    return bool(row["fraction_correct"] >= minimum) and frozenset(row["contrasts"]) == contrasts


def _complete(matrix: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    """Return how many recordings, sessions and mice of each target are complete."""
    steps = list(STEPS)
    complete = matrix[matrix["step"].map(steps.index) >= steps.index(COMPLETE)]
    columns = ["eid", "subject", "session_type", "proficiency"]
    rows = recordings[["eid", "fiber_idx", "target_NM"]].merge(complete[columns], on="eid")
    counted = rows.groupby(["target_NM", "session_type", "proficiency"], as_index=False).agg(
        n_recordings=("eid", "size"), n_sessions=("eid", "nunique"), n_subjects=("subject", "nunique")
    )
    of_target = rows.groupby("target_NM")["subject"].nunique()
    return counted.assign(n_subjects_of_target=counted["target_NM"].map(of_target).astype("int64"))
