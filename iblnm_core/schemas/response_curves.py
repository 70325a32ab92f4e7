"""Schemas of responses over mice: courses by contrast and outcome, sizes by contrast, side and outcome."""

from iblnm_core.schemas.models import model_table
from iblnm_core.table_schema import Column

_CONTRAST = Column("contrast", "number", "of the stimulus", "%")
_FEEDBACK = Column("feedbackType", "integer", "1 correct, -1 incorrect")
_MEAN = Column("mean", "number", "over mice, each of which counts once", "z")
_SEM = Column("sem", "number", "standard error over mice; null for one mouse", "z", nullable=True)
_COUNTS = (
    Column("n_subjects", "integer", "mice", "mice"),
    Column("n_recordings", "integer", "recordings of these mice", "recordings"),
    Column("n_trials", "integer", "trials of these recordings", "trials"),
)

TRACES_BY_TARGET = model_table(
    "responses",
    "traces_by_target",
    "The mean course of the responses over mice: one row per target, event, contrast, outcome and sample.",
    ("contrast", "feedbackType", "time"),
    (_CONTRAST, _FEEDBACK, Column("time", "number", "relative to the event", "s"), _MEAN, _SEM, *_COUNTS),
)

CONTRAST_CURVES = model_table(
    "responses",
    "contrast_curves",
    "The size of the responses over mice: one row per target, event, side, outcome and contrast.",
    ("side", "feedbackType", "contrast"),
    (
        Column("side", "text", "contra or ipsi: the stimulus as seen from the fibre"),
        _FEEDBACK,
        _CONTRAST,
        _MEAN,
        _SEM,
        Column(
            "sem_within",
            "number",
            "standard error without what differs between mice in all conditions; null for one mouse",
            "z",
            nullable=True,
        ),
        *_COUNTS,
    ),
)
