"""Schemas of the courses of the task's effects around events: what each session gives to them, and what they are over mice."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID, EVENT, FIBER, SUBJECT, TARGET, result_table
from iblnm_core.table_schema import Column, TableSchema

_CORRECTION = Column("correction", "text", "name of the correction of the signal")
_UNIT = Column("unit", "text", "of the responses: dff (a fraction) or z")
_GROUP = (TARGET, EVENT, _CORRECTION)
_COEFFICIENT = Column("coefficient", "text", "term of the model, such as contrast:reward")
_TIME = Column("time", "number", "relative to the event", "s")
_KEY = tuple(column.name for column in _GROUP)

TIME_COURSE_SUMS = TableSchema(
    "time_course_sums",
    PurePosixPath("results/responses/time_course_sums.pqt"),
    "What models of whole time courses need of the trials: one row of sums per recording, event and correction.",
    ("eid", "fiber_idx", "event", "correction"),
    (
        EID,
        FIBER,
        EVENT,
        _CORRECTION,
        _UNIT,
        Column("n_trials", "integer", "trials with any known sample", "trials"),
        Column("start_s", "number", "first of the T samples, relative to the event", "s"),
        Column("sampling_rate_hz", "number", "samples per second", "Hz"),
        Column(
            "stim_side", "texts", "side of the stimulus in each of the c cells that trials fall into: left or right"
        ),
        Column("contrast", "numbers", "its contrast in each, %"),
        Column("feedbackType", "numbers", "1 reward or -1 error, in each"),
        Column("cell_trials", "numbers", "trials with any known sample, in each"),
        Column("counts", "numbers", "trials that are known at each sample, by cell: T times c numbers"),
        Column("totals", "numbers", "sum of their responses; T times c, in the unit of the responses"),
        Column("squares", "numbers", "sum of their squares; T times c, in its square"),
        Column(
            "residual_covariance",
            "numbers",
            "covariance between two samples of the residuals about the means of cells: the upper triangle of T by T, row by row, in the "
            "unit's square",
        ),
    ),
)

TIME_COURSES = result_table(
    "responses",
    "time_courses",
    "When the task changes the signal, over mice: one row per target, event, correction, method, coefficient and time.",
    (*_KEY, "method", "coefficient", "time"),
    (
        *_GROUP,
        Column(
            "method",
            "text",
            "two_stage (a course per mouse, then their mean) or random_intercept (false certainty where mice differ in the effect)",
        ),
        _COEFFICIENT,
        _TIME,
        Column("estimate", "number", "in `unit`"),
        Column("se", "number", "standard error, in `unit`"),
        Column("lower", "number", "lower end of the 95 % band that holds at this time by itself, in `unit`"),
        Column("upper", "number", "upper end of it"),
        Column("joint_lower", "number", "lower end of the 95 % band that holds at all times at once, in `unit`"),
        Column("joint_upper", "number", "upper end of it"),
        Column("significant", "truth", "whether the joint band leaves out 0 at this time"),
        Column("n_subjects", "integer", "mice", "mice"),
        Column("n_sessions", "integer", "their sessions", "sessions"),
        Column("n_trials", "integer", "their trials", "trials"),
        Column("joint_quantile", "number", "half width of the joint band, in standard errors"),
        Column(
            "p_joint",
            "number",
            "two-sided, of no effect of this coefficient at any time; not corrected for coefficients",
        ),
        Column("p_floor", "number", "the smallest that p_joint can be with so many mice or draws"),
        _UNIT,
    ),
)

TIME_COURSES_SUBJECTS = result_table(
    "responses",
    "time_courses_subjects",
    "When the task changes the signal of each mouse: one row per target, event, correction, mouse, coefficient and time.",
    (*_KEY, "subject", "coefficient", "time"),
    (
        *_GROUP,
        SUBJECT,
        _COEFFICIENT,
        _TIME,
        Column("estimate", "number", "least squares over the trials of the mouse, in `unit`"),
        Column("n_sessions", "integer", "its sessions", "sessions"),
        Column("n_trials", "integer", "its trials", "trials"),
        _UNIT,
    ),
)
