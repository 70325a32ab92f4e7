"""Schemas of the tables of cohort analyses: responses, the frame that models use."""

from dataclasses import replace
from pathlib import PurePosixPath

from iblnm_core.schemas.behaviour import BLOCK, CHOICE, FEEDBACK_TYPE, STIMULUS, TIMINGS, TRIAL, TRIAL_REGRESSORS
from iblnm_core.schemas.keys import EID, EVENT, FIBER, REGION, SUBJECT, TARGET
from iblnm_core.table_schema import Column, TableSchema

RESPONSES = TableSchema(
    "responses",
    PurePosixPath("results/responses/responses.pqt"),
    "The size of every response: one row per recording, event and trial.",
    ("eid", "fiber_idx", "event", "trial"),
    (
        EID,
        FIBER,
        SUBJECT,
        Column("session_type", "text", "training, biased, ephys, habituation, ...", nullable=True),
        Column("NM", "text", "neuromodulator of the session", nullable=True),
        replace(TARGET, nullable=True),
        replace(REGION, nullable=True),
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
        Column(
            "pre_event",
            "number",
            "mean of what was recorded in the window before the event, nothing masked or taken away",
            "z",
            nullable=True,
        ),
    ),
)

_CONDITION = (
    Column("contrast", "number", "unsigned stimulus contrast", "%"),
    Column("feedbackType", "integer", "1 reward, -1 error"),
    Column("n_trials", "integer", "trials whose first sample is known", "trials"),
)

RESPONSE_MATRIX = TableSchema(
    "response_matrix",
    PurePosixPath("results/responses/response_matrix.pqt"),
    "The mean size of the responses in every condition: one row per recording, a column per event, contrast, side and outcome.",
    ("eid", "fiber_idx"),
    (EID, replace(TARGET, nullable=True), FIBER),
    features=Column(
        "EVENT_cCONTRAST_SIDE_OUTCOME",
        "number",
        "mean size of the responses to the event in trials of this contrast (%), side (contra or ipsi) and outcome (correct or incorrect)",
        "z",
        nullable=True,
    ),
)

CONDITION_TRACES = TableSchema(
    "condition_traces",
    PurePosixPath("results/responses/condition_traces.pqt"),
    "The mean course of the responses: one row per recording, event, contrast and outcome.",
    ("eid", "fiber_idx", "event", "contrast", "feedbackType"),
    (
        EID,
        FIBER,
        Column("event", "text", "stimOn_times, firstMovement_times or feedback_times"),
        *_CONDITION,
        Column("start_s", "number", "first sample, relative to the event", "s"),
        Column("sampling_rate_hz", "number", "samples per second", "Hz"),
        Column("response", "numbers", "mean over the trials that are known at each sample, less its baseline", "z"),
    ),
)

MEAN_TRACES = TableSchema(
    "mean_traces",
    PurePosixPath("results/responses/mean_traces.pqt"),
    "The mean course of the responses of selected recordings: one row per recording, event, contrast, outcome and sample.",
    ("eid", "fiber_idx", "event", "contrast", "feedbackType", "time"),
    (
        EID,
        FIBER,
        SUBJECT,
        replace(TARGET, nullable=True),
        REGION,
        EVENT,
        *_CONDITION,
        Column("time", "number", "relative to the event", "s"),
        Column("response", "number", "mean over the trials that are known at this sample", "z", nullable=True),
    ),
)

MODELLING_FRAME = TableSchema(
    "modelling_frame",
    PurePosixPath("results/responses/modelling_frame.pqt"),
    "What all analyses of responses use: one row per selected recording, event and usable trial that has a response.",
    ("eid", "fiber_idx", "event", "trial"),
    (
        EID,
        FIBER,
        SUBJECT,
        Column("session_type", "text", "training, biased or ephys"),
        replace(TARGET, nullable=True),
        REGION,
        Column("hemisphere", "text", "l, r or empty"),
        EVENT,
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
