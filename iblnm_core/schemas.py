"""One schema per stored table: columns, types, units, meaning, null rule. Documentation and UI tables come from here."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from iblnm_core.session.signal_quality import METRICS
from iblnm_core.table_schema import Column, TableSchema

_EID = Column("eid", "text", "session id")
_DATASETS = Column("datasets", "texts", "paths of the listed datasets below the session folder")

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
        _EID,
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
        _EID,
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
        Column(
            "invalid_extended_qc", "texts", "keys of the extended quality control that mean nothing, and what was found"
        ),
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
        _EID,
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

ERRORS = TableSchema(
    "errors",
    PurePosixPath("metadata/errors.pqt"),
    "Every typed error that stands against a session.",
    ("eid", "rule", "error_type", "error_message"),
    (
        _EID,
        Column("error_type", "text", "class of the error"),
        Column("error_message", "text", "what was found and expected"),
        Column("traceback", "text", "where it happened, for unexpected errors only", nullable=True),
        Column("asset", "text", "output that the rule belongs to"),
        Column("rule", "text", "the rule that does not hold"),
        Column("stage", "text", "stage of the command line"),
        Column("severity", "text", "fatal (stops outputs) or advisory"),
        Column("blocks_analysis", "truth", "whether cohort analyses leave the session out"),
        Column("error_family", "text", "the class and its parents; blockers match any of them"),
        Column("measured", "text", "value that the rule looked at", nullable=True),
        Column("threshold", "text", "limit that it was held against", nullable=True),
    ),
    unique=False,
)


def _metric_columns(name: str, unit: str = "") -> tuple[Column, ...]:
    """Return the columns of one sliding metric."""
    return (
        Column(name, "number", METRICS[name], unit, nullable=True),
        Column(f"{name}_spread", "number", "its standard deviation over the windows", unit, nullable=True),
        Column(f"{name}_whole", "number", "the same over the whole recording, not detrended", unit, nullable=True),
    )


QC_PHOTOMETRY = TableSchema(
    "qc_photometry",
    PurePosixPath("data/qc_photometry.pqt"),
    "Quality of the recordings: one row per session, fibre and band.",
    ("eid", "fiber_idx", "band"),
    (
        *_metric_columns("ar_score"),
        Column("band", "text", "GCaMP or Isosbestic"),
        Column(
            "bleaching_amplitude", "number", "what bleaches from the first sample on", "camera units", nullable=True
        ),
        Column(
            "bleaching_fit",
            "text",
            "ok, or why there is no time constant: no decay, slower than the recording, faster than the shortest, too short",
            nullable=True,
        ),
        Column("bleaching_r_squared", "number", "R² of the exponential on one-second means", nullable=True),
        Column("bleaching_tau", "number", "time constant of the bleaching; GCaMP row only", "s", nullable=True),
        Column("brain_region", "text", "recording target"),
        _EID,
        Column("fiber_idx", "integer", "position of the fibre in the session's lists"),
        Column(
            "iso_correlation", "number", "R² of the signal band on the isosbestic one; GCaMP row only", nullable=True
        ),
        *_metric_columns("median_absolute_deviance", "camera units"),
        Column("n_band_inversions", "integer", "consecutive frames under one LED", "frames", nullable=True),
        Column("n_early_samples", "integer", "frames too early by more than the tolerance", "frames", nullable=True),
        Column("n_gap_frames", "integer", "frames with unknown LED state", "frames", nullable=True),
        Column("n_gaps", "integer", "runs of such frames", nullable=True),
        Column(
            "n_invalid_samples", "integer", "frames marked as outside the synchronised range", "frames", nullable=True
        ),
        Column("n_stray_frames", "integer", "frames under neither configured LED", "frames", nullable=True),
        *_metric_columns("n_unique_samples"),
        Column("n_windows", "integer", "windows behind the metrics", nullable=True),
        *_metric_columns("percentile_asymmetry"),
        *_metric_columns("percentile_distance"),
        Column("verdict", "text", "ok, or the fatal errors of the recording"),
    ),
)

SESSION_STATUS = TableSchema(
    "session_status",
    PurePosixPath("metadata/session_status.pqt"),
    "Where every session stands: one row per session and output.",
    ("eid", "asset"),
    (
        _EID,
        Column("asset", "text", "output of the session step"),
        Column("subject", "text", "subject nickname"),
        Column("date", "text", "date of the session, ISO 8601"),
        Column("state", "text", "ok, failed, never run, out of date, source unavailable, interrupted, or delisted"),
        Column("reason", "text", "error type of a failure, or what changed", nullable=True),
        Column(
            "due",
            "text",
            "why it would be computed now: new, input, metadata, parameters, code, failed unexpectedly, source unavailable",
            nullable=True,
        ),
        Column(
            "message",
            "text",
            "message of the error that stopped the output, why the source could not be had, or what became of the session",
            nullable=True,
        ),
    ),
)

SELECTION = TableSchema(
    "selection",
    PurePosixPath("metadata/selection.pqt"),
    "What each filter removes from the catalogue before cohort analyses: one row per filter, in order.",
    ("position",),
    (
        Column("position", "integer", "place in the order of the filters, from 0"),
        Column("filter", "text", "name of the filter"),
        Column("removes_alone", "integer", "sessions of the whole catalogue that it removes", "sessions"),
        Column("removed_in_order", "integer", "sessions that it removes after those before it", "sessions"),
        Column("left", "integer", "sessions left after it", "sessions"),
    ),
)

RECORDINGS = TableSchema(
    "recordings",
    PurePosixPath("metadata/recordings.pqt"),
    "The recordings that cohort analyses use: one row per session and fibre.",
    ("eid", "fiber_idx"),
    (
        _EID,
        Column("fiber_idx", "integer", "position of the fibre in the session's lists"),
        Column("subject", "text", "subject nickname"),
        Column("start_time", "text", "session start, ISO 8601, lab-local"),
        Column("session_type", "text", "training, biased or ephys"),
        Column("lab", "text", "recording laboratory", nullable=True),
        Column("day_n", "integer", "days since the subject's first session", "days"),
        Column("session_n", "number", "dense rank of the date within the subject, from 1"),
        Column("session_length", "number", "end minus start", "s", nullable=True),
        Column("brain_region", "text", "recording target, hemisphere as suffix where known"),
        Column("hemisphere", "text", "l, r or empty"),
        Column("target_NM", "text", "target label such as VTA-DA", nullable=True),
    ),
)

TABLES: Mapping[str, TableSchema] = MappingProxyType(
    {
        table.name: table
        for table in (
            SESSION_INDEX,
            SESSIONS,
            SESSIONS_QC,
            FIBERS,
            ERRORS,
            QC_PHOTOMETRY,
            SESSION_STATUS,
            SELECTION,
            RECORDINGS,
        )
    }
)
"""All stored tables by name."""
