"""Schema of the table about movement in the video."""

from dataclasses import replace
from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID, SUBJECT, VIDEO_OUTCOMES, result_table
from iblnm_core.schemas.models import N_SUBJECTS
from iblnm_core.table_schema import Column, TableSchema

_THIRDS = {"early": "first", "mid": "second", "late": "last"}


def _delta(name: str, description: str, unit: str = "") -> Column:
    return Column(name, "number", f"{description}, less that before the stimulus", unit, nullable=True)


POSE = TableSchema(
    "pose",
    PurePosixPath("metadata/pose.pqt"),
    "Movement of paws and face in the left camera's video: one row per session that has trials and camera times.",
    ("eid",),
    (
        EID,
        Column("lp_exists", "truth", "whether there is a LightningPose that could be used"),
        Column("motion_energy_exists", "truth", "whether there is a motion energy that could be used"),
        Column("mean_rt", "number", "mean time from stimulus to feedback", "s", nullable=True),
        _delta("paw", "speed of both paws after the first movement", "px/s"),
        _delta("nose", "speed of the nose after the stimulus", "px/s"),
        _delta("tongue_speed", "speed of both ends of the tongue after feedback", "px/s"),
        _delta("tongue_likelihood", "likelihood of the tongue (0-1) after feedback"),
        _delta("motion_energy", "motion energy after the stimulus", "arbitrary units"),
        Column("drift", "number", "peak_lag_late minus peak_lag_early", "s", nullable=True),
        *(
            Column(
                f"peak_lag_{third}",
                "number",
                f"by how much paws lead the wheel in the {words} third; null without a peak",
                "s",
                nullable=True,
            )
            for third, words in _THIRDS.items()
        ),
        *(
            Column(
                f"peak_val_{third}",
                "number",
                f"largest correlation of paw and wheel speed in the {words} third",
                nullable=True,
            )
            for third, words in _THIRDS.items()
        ),
    ),
)

_MEASURES = ("paw", "nose", "tongue_speed", "tongue_likelihood")

POSE_SESSIONS = result_table(
    "qc_overview",
    "pose_sessions",
    "Sessions with a pose: movement, its timing, verdicts of the video and performance, one row of each.",
    ("eid",),
    (
        EID,
        replace(SUBJECT, nullable=True),
        Column("session_type", "text", "training, biased, ephys, habituation, ..., or unknown"),
        Column("date", "text", "ISO 8601", nullable=True),
        *(column for column in POSE.columns if column.name in _MEASURES),
        Column("fraction_correct", "number", "share of correct choices (0-1)", nullable=True),
        Column(
            "log_rt", "number", "natural logarithm of the mean time from stimulus to feedback", "ln s", nullable=True
        ),
        Column("peak_value", "number", "largest correlation of paw and wheel speed, over the thirds", nullable=True),
        Column("abs_lag", "number", "largest lag of paws and wheel either way, over the thirds", "s", nullable=True),
        Column("abs_drift", "number", "size of the drift of the lag", "s", nullable=True),
        *(replace(column, nullable=False) for column in VIDEO_OUTCOMES),
    ),
)

POSE_CORRELATIONS = result_table(
    "qc_overview",
    "pose_correlations",
    "Change of movement along with performance and timing, over sessions: one row per pair.",
    ("measure", "against"),
    (
        Column("measure", "text", "paw, nose, tongue_speed or tongue_likelihood"),
        Column("against", "text", "what it is held against"),
        Column("n", "integer", "sessions that have both", "sessions"),
        N_SUBJECTS,
        Column("rho", "number", "Spearman's rank correlation", nullable=True),
        Column("p_value", "number", "two-sided", nullable=True),
        Column("q_value", "number", "Benjamini and Hochberg, over all pairs", nullable=True),
    ),
)
