"""Schema of the main effects of the task under other choices of the analysis."""

from iblnm_core.schemas.keys import EVENT, TARGET, result_table
from iblnm_core.schemas.models import N_SUBJECTS, N_TRIALS
from iblnm_core.table_schema import Column

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
        Column("choice", "text", "what is varied: blocks, contrast coding, duplicates, labels or fastest trials"),
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
