"""Schemas of how far sessions came, and of what is complete."""

from iblnm_core.schemas.keys import EID, SUBJECT, TARGET, result_table
from iblnm_core.table_schema import Column

_TYPE = Column("session_type", "text", "training, biased or ephys")
_PROFICIENCY = Column(
    "proficiency", "text", "proficient: biased, ephys, or training done well with all contrasts; else not_proficient"
)

SESSION_MATRIX = result_table(
    "dataset_overview",
    "session_matrix",
    "How far every session with a target of the project came: one row per session.",
    ("subject", "session_n", "eid"),
    (
        EID,
        SUBJECT,
        Column("start_time", "text", "ISO 8601, local time"),
        _TYPE,
        Column("session_n", "number", "number among the subject's sessions", nullable=True),
        Column("day_n", "integer", "days since the subject's first session", "days"),
        Column("n_recordings", "integer", "fibres in a target of the project", "recordings"),
        _PROFICIENCY,
        Column("step", "text", "recorded, raw_data, complete_data, passes_qc or video_ready: the last it came to"),
        Column("stopped_by", "text", "errors or outcomes that kept it from the next step; empty when there is none"),
    ),
)

COMPLETE_RECORDINGS = result_table(
    "dataset_overview",
    "complete_recordings",
    "Recordings that have all data and pass quality control: one row per target, session type and proficiency.",
    ("target_NM", "session_type", "proficiency"),
    (
        TARGET,
        _TYPE,
        _PROFICIENCY,
        Column("n_recordings", "integer", "recordings", "recordings"),
        Column("n_sessions", "integer", "sessions that they are of", "sessions"),
        Column("n_subjects", "integer", "mice that they are of", "mice"),
        Column("n_subjects_of_target", "integer", "mice of the target, of all types together", "mice"),
    ),
)
