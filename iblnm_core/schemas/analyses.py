"""Schemas of the tables of cohort analyses: responses, the frame that models use."""

from pathlib import PurePosixPath

from iblnm_core.schemas.behaviour import BLOCK, CHOICE, FEEDBACK_TYPE, STIMULUS, TIMINGS, TRIAL, TRIAL_REGRESSORS
from iblnm_core.schemas.keys import EID
from iblnm_core.table_schema import Column, TableSchema

_SUBJECT = Column("subject", "text", "subject nickname")
_FIBER = Column("fiber_idx", "integer", "position of the fibre in the session's lists")

RESPONSES = TableSchema(
    "responses",
    PurePosixPath("results/responses/responses.pqt"),
    "The size of every response: one row per recording, event and trial.",
    ("eid", "fiber_idx", "event", "trial"),
    (
        EID,
        _FIBER,
        _SUBJECT,
        Column("session_type", "text", "training, biased, ephys, habituation, ...", nullable=True),
        Column("NM", "text", "neuromodulator of the session", nullable=True),
        Column("target_NM", "text", "target label such as VTA-DA", nullable=True),
        Column("brain_region", "text", "recording target", nullable=True),
        Column("hemisphere", "text", "l, r or empty", nullable=True),
        Column("event", "text", "stimOn_times, firstMovement_times or feedback_times"),
        TRIAL,
        *STIMULUS,
        CHOICE,
        FEEDBACK_TYPE,
        BLOCK,
        TIMINGS[0],
        Column(
            "response_early",
            "number",
            "mean of the response in the early window, masked from the next event on, less its baseline",
            "z",
            nullable=True,
        ),
    ),
)

MODELLING_FRAME = TableSchema(
    "modelling_frame",
    PurePosixPath("results/responses/modelling_frame.pqt"),
    "What all analyses of responses use: one row per selected recording, event and usable trial that has a response.",
    ("eid", "fiber_idx", "event", "trial"),
    (
        EID,
        _FIBER,
        _SUBJECT,
        Column("session_type", "text", "training, biased or ephys"),
        Column("target_NM", "text", "target label such as VTA-DA", nullable=True),
        Column("brain_region", "text", "recording target"),
        Column("hemisphere", "text", "l, r or empty"),
        Column("event", "text", "stimOn, firstMovement or feedback"),
        TRIAL,
        Column("response", "number", "size of the response", "z"),
        *STIMULUS,
        Column("side", "text", "contra or ipsi: the stimulus as seen from the fibre", nullable=True),
        Column("relative_contrast", "number", "signed contrast, positive for contra", "%", nullable=True),
        CHOICE,
        Column("choice_side", "text", "contra or ipsi: the choice as seen from the fibre", nullable=True),
        FEEDBACK_TYPE,
        BLOCK,
        *TIMINGS,
        Column("log_reaction_time", "number", "decimal logarithm of the reaction time in s", nullable=True),
        Column("log_movement_time", "number", "decimal logarithm of the movement time in s", nullable=True),
        TRIAL_REGRESSORS.columns[-1],
    ),
)
