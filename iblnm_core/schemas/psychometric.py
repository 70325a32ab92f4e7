"""Schemas of how mice of each target choose, and how fast, by contrast."""

from iblnm_core.schemas.keys import SUBJECT, TARGET, result_table
from iblnm_core.table_schema import Column, TableSchema

_BLOCK = Column("probabilityLeft", "number", "probability of a stimulus on the left in the block")
_SOURCE = Column("source", "text", "fit (the fitted functions) or choices (what was chosen)")
_SIGNED = Column("signed_contrast", "number", "negative on the left", "%")
_CONTRAST = Column("contrast", "number", "unsigned stimulus contrast", "%")
_N_SUBJECTS = Column("n_subjects", "integer", "mice in the mean", "mice")
_N_SESSIONS = Column("n_sessions", "integer", "sessions of the mouse", "sessions")


def _table(name: str, description: str, key: tuple[str, ...], *columns: Column) -> TableSchema:
    return result_table("task_performance", name, description, key, columns)


PSYCHOMETRIC_CURVES = _table(
    "psychometric_curves",
    "How likely every mouse chooses right: one row per target, block, source, mouse and contrast.",
    ("target_NM", "probabilityLeft", "source", "subject", "signed_contrast"),
    TARGET,
    _BLOCK,
    _SOURCE,
    SUBJECT,
    _SIGNED,
    Column("probability", "number", "mean of the fitted functions of its sessions, or share of its choices, 0-1"),
    _N_SESSIONS,
    Column(
        "n_trials", "integer", "choices at the contrast; of fitted functions all that they were fitted to", "trials"
    ),
)

PSYCHOMETRIC_MEANS = _table(
    "psychometric_means",
    "The same over mice, each counted once: one row per target, block, source and contrast.",
    ("target_NM", "probabilityLeft", "source", "signed_contrast"),
    TARGET,
    _BLOCK,
    _SOURCE,
    _SIGNED,
    Column("mean", "number", "probability of a rightward choice, 0-1"),
    Column("sem", "number", "its standard error; null for one mouse", nullable=True),
    _N_SUBJECTS,
)

MOUSE_PARAMETERS = _table(
    "psychometric_parameters",
    "Parameters of the fitted functions of every mouse: one row per target, block, parameter and mouse.",
    ("target_NM", "probabilityLeft", "parameter", "subject"),
    TARGET,
    _BLOCK,
    Column(
        "parameter",
        "text",
        "bias (%), threshold (%), lapse_left (left choices on strong right stimuli) or lapse_right (right choices on strong left ones)",
    ),
    SUBJECT,
    Column("mean", "number", "over its sessions; in units of the parameter"),
    _N_SESSIONS,
    Column("n_at_bound", "integer", "of them, those whose estimate ended on a bound of the search", "sessions"),
)

REACTION_TIMES = _table(
    "reaction_times",
    "How fast every mouse starts to move: one row per target, mouse and contrast.",
    ("target_NM", "subject", "contrast"),
    TARGET,
    SUBJECT,
    _CONTRAST,
    *(
        Column(name, "number", f"{text} of its reaction times", "s")
        for name, text in (("q25", "lower quartile"), ("median", "median"), ("q75", "upper quartile"))
    ),
    _N_SESSIONS,
    Column("n_trials", "integer", "trials with a choice and a positive reaction time", "trials"),
)

REACTION_TIME_MEANS = _table(
    "reaction_time_means",
    "Geometric means over mice of the medians of their reaction times: one row per target and contrast.",
    ("target_NM", "contrast"),
    TARGET,
    _CONTRAST,
    Column("mean", "number", "each mouse counted once", "s"),
    Column("lower", "number", "one standard error below; null for one mouse", "s", nullable=True),
    Column("upper", "number", "one standard error above; null for one mouse", "s", nullable=True),
    _N_SUBJECTS,
)
