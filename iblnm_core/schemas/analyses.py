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

_TARGET = Column("target_NM", "text", "target label such as VTA-DA")
_EVENT = Column("event", "text", "stimOn, firstMovement or feedback")
_N_TRIALS = Column("n_trials", "integer", "trials that were fitted", "trials")
_N_SUBJECTS = Column("n_subjects", "integer", "mice that they are of", "mice")


def _intervals(of: str) -> tuple[Column, ...]:
    """Return the columns of both 95 % intervals of an estimate; null where a mouse's own effect has none."""
    return (
        Column("ci_lower", "number", f"lower end of the plain interval of {of}", "z", nullable=True),
        Column("ci_upper", "number", f"upper end of the plain interval of {of}", "z", nullable=True),
        Column("t_ci_lower", "number", "lower end of the interval that suits few mice", "z", nullable=True),
        Column("t_ci_upper", "number", "upper end of the interval that suits few mice", "z", nullable=True),
        Column("df", "number", "degrees of freedom of the interval that suits few mice", nullable=True),
    )


def _false_discovery(of: str) -> tuple[Column, ...]:
    """Return the columns of the false discovery rates of a table's plain and t-based p-values."""
    return (
        Column("q_value", "number", f"false discovery rate over all {of}, of the plain p-values", nullable=True),
        Column("t_q_value", "number", f"false discovery rate over all {of}, of the t-based p-values", nullable=True),
    )


def _lmm(name: str, description: str, key: tuple[str, ...], columns: tuple[Column, ...]) -> TableSchema:
    path = PurePosixPath(f"results/responses/{name}.pqt")
    return TableSchema(name, path, description, ("target_NM", "event", *key), (_TARGET, _EVENT, *columns))


LMM_COEFFICIENTS = _lmm(
    "lmm_coefficients_early",
    "Mixed model of the task: fixed effects, one row per target, event and term.",
    ("term",),
    (
        Column("term", "text", "term of the model, such as contrast:reward"),
        Column("Coef.", "number", "estimate", "z"),
        Column("Std.Err.", "number", "its standard error (generalised least squares)", "z"),
        Column("z", "number", "estimate over standard error"),
        Column("P>|z|", "number", "two-sided, normal"),
        Column("P>|t|", "number", "two-sided, with `df` degrees of freedom"),
        Column("observed_Std.Err.", "number", "standard error of the observed Hessian", "z", nullable=True),
        *_intervals("the estimate"),
        *_false_discovery("rows"),
    ),
)

LMM_VARIANCE = _lmm(
    "lmm_variance_explained_early",
    "Mixed model of the task: how much of the variance of responses it explains, one row per target and event.",
    (),
    (
        Column("marginal", "number", "share of the fixed effects"),
        Column("conditional", "number", "share of fixed effects and mice"),
        Column("residual_variance", "number", "of trials", "z²"),
        Column("subject_variance", "number", "of mice", "z²"),
        Column("log_likelihood", "number", "restricted; natural logarithm"),
        _N_TRIALS,
        _N_SUBJECTS,
        Column("coding", "text", "how contrast is coded"),
        Column("random_effects", "text", "what differs between mice: 1 (the intercept), or contrast too"),
        Column("contrast_centre", "number", "mean of the coded contrast, which was subtracted"),
    ),
)

LMM_PREDICTIONS = _lmm(
    "lmm_predictions_early",
    "Mixed model of the task: predicted responses, one row per target, event, side, outcome and contrast.",
    ("side", "reward", "contrast"),
    (
        Column("contrast", "number", "unsigned stimulus contrast", "%"),
        Column("side", "text", "contra or ipsi"),
        Column("reward", "text", "correct or incorrect"),
        Column("predicted", "number", "by the fixed effects", "z"),
        *_intervals("the prediction"),
    ),
)

LMM_MEANS = _lmm(
    "lmm_emm_early",
    "Mixed model of the task: estimated marginal means, one row per target, event, factor and level.",
    ("factor", "level"),
    (
        Column("factor", "text", "reward, side or contrast"),
        Column("level", "text", "level of the factor"),
        Column("mean", "number", "with the other factors as `reference` says", "z"),
        *_intervals("the mean"),
        Column("reference", "text", "balanced (in the middle of their levels) or sample (their mean)"),
    ),
)

LMM_SLOPES = _lmm(
    "lmm_contrast_slopes_early",
    "Mixed model of the task: effect of contrast by outcome, one row per target, event and outcome, and mouse where slopes differ.",
    ("reward", "type", "subject"),
    (
        Column("reward", "text", "correct or incorrect"),
        Column("slope", "number", "per unit of the coded contrast", "z"),
        *_intervals("the slope"),
        Column("type", "text", "population or subject"),
        Column("subject", "text", "the mouse; null for the population", nullable=True),
    ),
)

LMM_INTERACTIONS = _lmm(
    "lmm_interactions_early",
    "Mixed model of the task: effect of one factor at the levels of another, one row per target, event, pair and level.",
    ("effect_of", "at", "x_level"),
    (
        Column("effect_of", "text", "the factor whose effect it is"),
        Column("at", "text", "the other factor"),
        Column("x_level", "text", "its level"),
        Column("effect", "number", "of the factor at that level", "z"),
        *_intervals("the effect"),
        Column("p_interaction", "number", "of the interaction of the two; plain"),
        Column("t_p_interaction", "number", "of the interaction of the two; t-based"),
        *_false_discovery("rows"),
    ),
)

LMM_OUTCOMES = TableSchema(
    "lmm_outcomes",
    PurePosixPath("results/responses/lmm_outcomes.pqt"),
    "Mixed model of the task: how every target and event came out, or why it could not be fitted.",
    ("target_NM", "event"),
    (
        Column("analysis", "text", "the analysis"),
        _TARGET,
        _EVENT,
        Column("contrast", "number", "when it is of one contrast", "%", nullable=True),
        Column("variable", "text", "when it has several variables", nullable=True),
        Column("status", "text", "ok, boundary (no variance between mice), or why there is no result"),
        _N_TRIALS,
        _N_SUBJECTS,
        Column("detail", "text", "what else to know", nullable=True),
    ),
)

TASK_LMM = {
    "coefficients": LMM_COEFFICIENTS,
    "variance_explained": LMM_VARIANCE,
    "predictions": LMM_PREDICTIONS,
    "marginal_means": LMM_MEANS,
    "contrast_slopes": LMM_SLOPES,
    "interactions": LMM_INTERACTIONS,
}
"""Schemas of the tables of the task's mixed model, by their name in the analysis."""
