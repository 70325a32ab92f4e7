"""Schemas of how mice learn the task, and of how mice with different targets compare in it."""

from dataclasses import replace

from iblnm_core.schemas.behaviour import PERFORMANCE
from iblnm_core.schemas.keys import EID, SUBJECT, TARGET, result_table
from iblnm_core.table_schema import Column, TableSchema

_TYPE = Column("session_type", "text", "training, biased, ephys, ...", nullable=True)
_SESSION_N = Column(
    "session_n", "number", "number of the session of its mouse; those of one day share it", nullable=True
)
_METRIC = Column("metric", "text", "column of the `performance` table")
_PSYCHOMETRIC = tuple(column for column in PERFORMANCE.columns if column.name.startswith("psych_"))
_FRACTIONS = tuple(
    column
    for column in PERFORMANCE.columns
    if column.name in {"fraction_correct", "fraction_correct_easy", "nogo_fraction", "bias_shift"}
)


def _table(name: str, description: str, key: tuple[str, ...], *columns: Column) -> TableSchema:
    return result_table("task_performance", name, description, key, columns)


PERFORMANCE_TRAJECTORY = _table(
    "performance_trajectory",
    "How well every mouse did, session by session, from its first one with choices on: one row per session.",
    ("eid",),
    EID,
    SUBJECT,
    _TYPE,
    Column("start_time", "text", "as in the catalogue"),
    _SESSION_N,
    Column("day_n", "integer", "days since the first session of the mouse", "days", nullable=True),
    Column("targets", "texts", "targets of the fibres"),
    Column("has_photometry", "truth", "whether an extracted signal is listed"),
    Column("n_trials", "integer", "trials of the session", "trials", nullable=True),
    *_FRACTIONS,
    *(replace(column, nullable=True) for column in _PSYCHOMETRIC),
)

LEARNING_CURVES = _table(
    "learning_curves",
    "Means over mice by the number of their session: one row per target, metric and session number.",
    ("target_NM", "metric", "session_n"),
    replace(TARGET, description="target label such as VTA-DA; all for all mice"),
    _METRIC,
    replace(_SESSION_N, nullable=False),
    Column("mean", "number", "over mice, each counted once; in units of the metric"),
    Column("sem", "number", "its standard error; null for one mouse", nullable=True),
    Column("n_subjects", "integer", "mice in the mean", "mice"),
)

PSYCHOMETRIC_TRAJECTORIES = _table(
    "psychometric_trajectories",
    "Parameters of the psychometric functions, session by session: one row per session, block and parameter.",
    ("eid", "probabilityLeft", "parameter"),
    EID,
    SUBJECT,
    _TYPE,
    _SESSION_N,
    Column("probabilityLeft", "number", "probability of a stimulus on the left in the block"),
    Column("parameter", "text", "bias (%), threshold (%), lapse_left or lapse_right"),
    Column("value", "number", "estimate"),
    Column("at_bound", "truth", "whether it ended on a bound, and is no estimate"),
    Column("status", "text", "of the fit: ok or thin data"),
)

BIAS_SHIFT_TRAJECTORIES = _table(
    "bias_shift_trajectories",
    "How far the blocks move the psychometric function, over the sessions that have a shift: one row per session.",
    ("eid",),
    EID,
    SUBJECT,
    _SESSION_N,
    Column("shift_n", "integer", "number of the session among those of the mouse with a shift, from 1"),
    Column("bias_shift", "number", "as in the `performance` table", "%"),
)

STAGE_PROGRESS = _table(
    "stage_progress",
    "How many sessions every mouse needed to the next stage of training: one row per mouse.",
    ("subject",),
    SUBJECT,
    *(
        Column(f"n_{stage}", "integer", f"sessions of the type {stage}", "sessions")
        for stage in ("training", "biased", "ephys")
    ),
    Column("sessions_to_biased", "number", "training sessions before the first biased one", "sessions", nullable=True),
    Column("biased_sessions_to_ephys", "number", "biased ones before the first ephys one", "sessions", nullable=True),
    Column("censored_biased", "truth", "whether it was never seen in a biased session"),
    Column("censored_ephys", "truth", "whether it was never seen in an ephys session"),
)

STAGE_CURVES = _table(
    "stage_curves",
    "Share of mice that reached a stage within so many sessions: one row per stage and number of sessions.",
    ("stage", "n_sessions"),
    Column("stage", "text", "biased or ephys"),
    Column("n_sessions", "integer", "sessions of the stage before", "sessions"),
    Column("n_at_risk", "integer", "mice that were still under way", "mice"),
    Column("n_reached", "integer", "mice that reached it just then", "mice"),
    Column("n_censored", "integer", "mice that were last seen then", "mice"),
    Column("share", "number", "product-limit estimate of the share that has reached it, 0-1"),
    Column("share_of_reached", "number", "of the mice that ever reached it, 0-1; null where none did", nullable=True),
)

TARGET_COMPARISON = _table(
    "target_comparison",
    "Whether mice with different targets do the task differently: one row per metric, level and test.",
    ("metric", "level", "test", "target_a", "target_b"),
    _METRIC,
    Column("level", "text", "subject (means of mice; the one to use) or session"),
    Column("test", "text", "kruskal (all targets) or mannwhitney (two of them)"),
    Column("target_a", "text", "first target of a pair", nullable=True),
    Column("target_b", "text", "second target of a pair", nullable=True),
    Column("n_a", "integer", "values of the first target", nullable=True),
    Column("n_b", "integer", "values of the second target", nullable=True),
    Column("statistic", "number", "H, or U of the first target"),
    Column("p_value", "number", "two-sided"),
    Column("p_holm", "number", "the same, adjusted for all pairs of the metric and level", nullable=True),
    Column("n_shared", "integer", "mice that have both targets: the two are not independent", "mice", nullable=True),
)

TARGET_SUBJECTS = _table(
    "target_comparison_subjects",
    "Means of the mice behind the comparison: one row per target, mouse and metric.",
    ("target_NM", "subject", "metric"),
    TARGET,
    SUBJECT,
    _METRIC,
    Column("mean", "number", "over sessions, in units of the metric"),
    Column("sem", "number", "its standard error; null for one session", nullable=True),
    Column("n_sessions", "integer", "sessions in the mean", "sessions"),
)

TARGET_SESSIONS = _table(
    "target_comparison_sessions",
    "Values of the sessions behind the comparison: one row per session, target and metric.",
    ("eid", "target_NM", "metric"),
    EID,
    SUBJECT,
    TARGET,
    _METRIC,
    Column("value", "number", "in units of the metric"),
)
