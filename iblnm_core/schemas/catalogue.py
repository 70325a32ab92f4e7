"""Schemas of the upstream tables: what the source says of sessions and fibres, and the catalogue."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID, VIDEO_OUTCOMES
from iblnm_core.table_schema import Column, TableSchema

_DATASETS = Column("datasets", "texts", "paths of the listed datasets below the session folder")

_PLANNED_BLOCKS = Column(
    "planned_blocks",
    "text",
    "the task's plan of its blocks, JSON: lengths in trials, and the two probabilities; null when unknown",
    nullable=True,
)

_PROVENANCE_OF_NAMES = (
    Column("filled_regions", "texts", "regions that the source left blank and another dataset knew, as `ROI: region`"),
    Column(
        "n_subject_rows", "integer", "rows of the subject in the table of subjects; null without one", nullable=True
    ),
)
"""What the metadata rules need to know about where regions and genetics come from."""

SESSION_INDEX = TableSchema(
    "session_index",
    PurePosixPath("metadata/session_index.pqt"),
    "Raw session records as the source has them.",
    ("eid",),
    (
        EID,
        Column("subject", "text", "subject nickname"),
        Column("start_time", "text", "session start, ISO 8601, lab-local"),
        Column("number", "integer", "session number of the day"),
        Column("lab", "text", "recording laboratory; empty when unknown"),
        Column("task_protocol", "text", "task protocol; empty when unknown"),
        Column("folder", "text", "session folder below the root of the source"),
        _DATASETS,
        Column("projects", "texts", "projects of the session"),
        Column("users", "texts", "people who recorded it"),
        Column("genotype", "texts", "zygosities"),
        Column("end_time", "text", "session end, ISO 8601, lab-local", nullable=True),
        Column("strain", "text", "mouse strain", nullable=True),
        Column("line", "text", "mouse line", nullable=True),
        Column("url", "text", "address of the record in the source", nullable=True),
        Column("regions", "texts", "brain regions by fibre, spelled as in the source"),
        Column("region_source", "text", "dataset that the regions come from; empty when none names any"),
        *_PROVENANCE_OF_NAMES,
        Column(
            "implanted",
            "texts",
            "the subject's fibres in the table of fibres, as region and side; null without such a table",
            nullable=True,
        ),
        Column("qc", "text", "outcome of quality control", nullable=True),
        Column("extended_qc", "text", "extended quality control, JSON; null when the source has none", nullable=True),
        _PLANNED_BLOCKS,
        Column(
            "remote",
            "texts",
            "by dataset, as JSON: path, path on the data server, size in bytes, MD5; empty when on disk",
        ),
    ),
)

SESSIONS = TableSchema(
    "sessions",
    PurePosixPath("metadata/sessions.pqt"),
    "The catalogue: one row per session.",
    ("eid",),
    (
        EID,
        Column("subject", "text", "subject nickname"),
        Column("start_time", "text", "session start, ISO 8601, lab-local"),
        Column("number", "integer", "session number of the day"),
        Column("task_protocol", "text", "task protocol; empty when unknown"),
        Column(
            "session_type", "text", "training, biased, ephys, habituation, ...; null when not inferable", nullable=True
        ),
        Column("lab", "text", "recording laboratory", nullable=True),
        Column("NM", "text", "neuromodulator, when all fibres agree", nullable=True),
        Column("strain", "text", "mouse strain", nullable=True),
        Column("line", "text", "mouse line", nullable=True),
        Column("genotype", "texts", "zygosities"),
        Column("end_time", "text", "session end, ISO 8601, lab-local", nullable=True),
        Column("session_length", "number", "end minus start", "s", nullable=True),
        Column("day_n", "integer", "days since the subject's first session", "days"),
        Column("session_n", "number", "dense rank of the date within the subject, from 1"),
        Column("url", "text", "address of the record in the source", nullable=True),
        Column("projects", "texts", "projects of the session"),
        Column("users", "texts", "people who recorded it"),
        Column("brain_region", "texts", "recording targets by fibre, hemisphere as suffix where known"),
        Column("hemisphere", "texts", "l, r or empty, by fibre"),
        Column("target_NM", "texts", "target labels such as VTA-DA by fibre; null for an unknown target"),
        _DATASETS,
        Column(
            "region_source",
            "text",
            "where the regions come from: a dataset, `other sessions` of the subject, or the `table of fibres`; empty when unknown",
        ),
        *_PROVENANCE_OF_NAMES,
        Column(
            "fiber_sides",
            "texts",
            "by fibre, in the table of fibres: l, r, midline, both or absent; empty without such a table",
        ),
        Column(
            "duplicate_of", "text", "session of the same subject and day that is used instead of this", nullable=True
        ),
        _PLANNED_BLOCKS,
        Column(
            "invalid_extended_qc", "texts", "keys of the extended quality control that mean nothing, and what was found"
        ),
        *VIDEO_OUTCOMES,
    ),
)

FIBERS = TableSchema(
    "fibers",
    PurePosixPath("metadata/fibers.pqt"),
    "Implanted fibres: one row per fibre and source. Medio-lateral coordinates are positive on the right.",
    ("subject", "source", "fiber", "insertion"),
    (
        Column("subject", "text", "subject nickname"),
        Column("source", "text", "Alyx, or the table of fibres (`fibers.csv`, whose own sign is the opposite)"),
        Column("fiber", "text", "name of the fibre; in the table of fibres its region"),
        Column("insertion", "text", "id of the chronic insertion; empty in the table of fibres"),
        Column("brain_region", "text", "targeted region, without side", nullable=True),
        Column("hemisphere", "text", "side of the tip: l, r or midline", nullable=True),
        Column("provenance", "text", "where the coordinates come from", nullable=True),
        Column("entry_ml_um", "number", "entry, medio-lateral, positive right", "um", nullable=True),
        Column("entry_ap_um", "number", "entry, antero-posterior", "um", nullable=True),
        Column("entry_dv_um", "number", "entry, dorso-ventral", "um", nullable=True),
        Column("depth_um", "number", "length inside the brain", "um", nullable=True),
        Column("theta_deg", "number", "polar angle from the vertical", "degrees", nullable=True),
        Column("phi_deg", "number", "azimuth, in the source's own frame", "degrees", nullable=True),
        Column("tip_ml_um", "number", "tip, medio-lateral, positive right", "um", nullable=True),
        Column("tip_ap_um", "number", "tip, antero-posterior", "um", nullable=True),
        Column("tip_dv_um", "number", "tip, dorso-ventral", "um", nullable=True),
        Column("note", "text", "why there are no coordinates, or what is odd about them", nullable=True),
    ),
)

SESSIONS_QC = TableSchema(
    "sessions_qc",
    PurePosixPath("metadata/sessions_qc.pqt"),
    "Extended quality control as the database has it: one row per session and key.",
    ("eid", "key"),
    (
        EID,
        Column("key", "text", "qc_session for the session itself, else such as qc_videoLeft_timestamps"),
        Column(
            "outcome", "text", "PASS, WARNING, FAIL, CRITICAL or NOT_SET; null for what is none of them", nullable=True
        ),
        Column(
            "value", "number", "a number that is no outcome, such as the share of trials that passed", nullable=True
        ),
        Column("values", "texts", "further values of the key, each as JSON"),
    ),
)
