"""Schema of the main effects of the task under other choices of the analysis."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID, EVENT, FIBER, TARGET, result_table
from iblnm_core.schemas.models import N_SUBJECTS, N_TRIALS
from iblnm_core.table_schema import Column, TableSchema

SENSITIVITY = result_table(
    "responses",
    "sensitivity",
    "Main effects of the task under other defensible choices, one varied at a time: one row per target, event, effect and option.",
    ("target_NM", "event", "effect", "choice", "option"),
    (
        TARGET,
        EVENT,
        Column(
            "effect",
            "text",
            "contrast (highest less lowest of the task), side (contra less ipsi) or reward (correct less not)",
        ),
        Column(
            "choice",
            "text",
            "what is varied: correction, baseline, blocks, contrast coding, duplicates, labels or fastest trials",
        ),
        Column("option", "text", "what it is in this row"),
        Column("is_own", "truth", "whether the root does it so"),
        Column("estimate", "number", "the effect", "z"),
        Column("standard_error", "number", "its standard error", "z"),
        Column("ci_lower", "number", "lower end of its 95 % interval, which suits few mice", "z"),
        Column("ci_upper", "number", "upper end of its 95 % interval", "z"),
        Column("p_value", "number", "two-sided, t-based; not corrected"),
        N_TRIALS,
        N_SUBJECTS,
        Column("ratio", "number", "estimate over that of the root's own option", nullable=True),
        Column("sign_changed", "truth", "whether the two have opposite signs"),
        Column(
            "verdict",
            "text",
            "own; unclear (the interval of the root's own holds 0, so that sign and ratio mean nothing); steady, sign_changed, halved or "
            "doubled",
        ),
    ),
)

RESPONSE_CELLS = TableSchema(
    "response_cells",
    PurePosixPath("results/responses/response_cells.pqt"),
    "Sizes of responses under other corrections and baselines than the root's own, added up over trials that models cannot tell apart: one "
    "row per recording, correction, baseline, event, side, contrast and outcome.",
    ("eid", "fiber_idx", "correction", "baseline", "event", "on_right", "contrast", "reward"),
    (
        EID,
        FIBER,
        Column("correction", "text", "name of the correction"),
        Column("baseline", "text", "baseline of the responses, relative to the event, or none"),
        EVENT,
        Column("on_right", "truth", "whether the stimulus was on the right"),
        Column("contrast", "number", "unsigned stimulus contrast", "%", nullable=True),
        Column("reward", "number", "deviation code of the outcome: 0.5 correct, -0.5 not", nullable=True),
        Column("n", "integer", "trials that models use", "trials"),
        Column("total", "number", "sum of the sizes", "z"),
        Column("squares", "number", "sum of their squares", "z²"),
        Column("lowest", "number", "least of them", "z"),
        Column("highest", "number", "largest of them", "z"),
    ),
)
