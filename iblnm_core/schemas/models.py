"""Schemas of the results of models over mice, fitted to the trials of a target and event."""

from iblnm_core.schemas.keys import EVENT, TARGET, result_table
from iblnm_core.table_schema import Column, TableSchema

N_TRIALS = Column("n_trials", "integer", "trials that were fitted", "trials")
N_SUBJECTS = Column("n_subjects", "integer", "mice that they are of", "mice")


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


def model_table(
    folder: str, name: str, description: str, key: tuple[str, ...], columns: tuple[Column, ...]
) -> TableSchema:
    """Return the schema of a table whose rows are of one target and event each."""
    return result_table(folder, name, description, ("target_NM", "event", *key), (TARGET, EVENT, *columns))


LMM_COEFFICIENTS = model_table(
    "responses",
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

LMM_VARIANCE = model_table(
    "responses",
    "lmm_variance_explained_early",
    "Mixed model of the task: how much of the variance of responses it explains, one row per target and event.",
    (),
    (
        Column("marginal", "number", "share of the fixed effects"),
        Column("conditional", "number", "share of fixed effects and mice"),
        Column("residual_variance", "number", "of trials", "z²"),
        Column("subject_variance", "number", "of mice", "z²"),
        Column("log_likelihood", "number", "restricted; natural logarithm"),
        N_TRIALS,
        N_SUBJECTS,
        Column("coding", "text", "how contrast is coded"),
        Column("random_effects", "text", "what differs between mice: 1 (the intercept), or contrast too"),
        Column("contrast_centre", "number", "mean of the coded contrast, which was subtracted"),
    ),
)

LMM_PREDICTIONS = model_table(
    "responses",
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

LMM_MEANS = model_table(
    "responses",
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

LMM_SLOPES = model_table(
    "responses",
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

LMM_INTERACTIONS = model_table(
    "responses",
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


Q_VALUE = Column("q_value", "number", "false discovery rate over all rows", nullable=True)

ANOVA = model_table(
    "responses",
    "anova_subject_means",
    "Analysis of variance of the means by mouse, contrast, side and outcome: one row per target, event and effect.",
    ("Source",),
    (
        Column("Source", "text", "effect, such as contrast:side"),
        Column("F", "number", "its F value; null without error", nullable=True),
        Column("Num DF", "number", "degrees of freedom of the effect"),
        Column("Den DF", "number", "degrees of freedom of its error"),
        Column("Pr(>F)", "number", "p-value", nullable=True),
        Q_VALUE,
        Column("method", "text", "rm (within mice, balanced), or block (mice as blocks, unbalanced)"),
        N_SUBJECTS,
        Column("n_cells", "integer", "means that were analysed", "means"),
    ),
)

CONTRAST_CODING = model_table(
    "responses",
    "contrast_coding_comparison",
    "The model of the task with contrast coded in several ways: one row per target, event and coding.",
    ("coding",),
    (
        Column("coding", "text", "log, linear or rank"),
        Column("R2_marginal", "number", "share of variance of the fixed effects"),
        Column("AIC", "number", "Akaike's criterion, by maximum likelihood; smaller is better"),
        Column("BIC", "number", "the Bayesian criterion; smaller is better"),
        N_TRIALS,
        N_SUBJECTS,
    ),
)

_TIMING = Column("timing_col", "text", "log_reaction_time or log_movement_time")
_SCORES = {
    "r2_full": "R² of contrast, side, outcome and timing",
    "r2_drop_contrast": "R² without contrast",
    "r2_drop_timing": "R² without timing",
    "delta_r2_contrast": "what contrast adds: r2_full minus r2_drop_contrast",
    "delta_r2_timing": "what timing adds: r2_full minus r2_drop_timing",
}

MOVEMENT_LOSO = model_table(
    "movement_encoding",
    "loso_cv_model_comparison",
    "How well contrast and timing predict the responses of a mouse left out of the fit: one row per target, timing and mouse.",
    ("timing_col", "subject"),
    (
        _TIMING,
        Column("subject", "text", "the mouse that was left out"),
        Column("n_trials", "integer", "its trials", "trials"),
        *(Column(name, "number", text) for name, text in _SCORES.items()),
        *(Column(f"centred_{name}", "number", f"{text}; both sides centred") for name, text in _SCORES.items()),
    ),
)

MOVEMENT_LOSO_SUMMARY = model_table(
    "movement_encoding",
    "loso_cv_summary",
    "Means of these scores over mice: one row per target, timing and score.",
    ("timing_col", "measure"),
    (
        _TIMING,
        Column("measure", "text", "a score of `loso_cv_model_comparison`, such as delta_r2_contrast"),
        Column("mean", "number", "over the mice that were left out"),
        Column("sem", "number", "its standard error; null for one mouse", nullable=True),
        N_SUBJECTS,
    ),
)

TIMING_SLOPES = model_table(
    "movement_encoding",
    "per_contrast_slopes",
    "How responses go with the timing of movements, at each contrast: one row per target, contrast and timing.",
    ("contrast", "timing_col"),
    (
        Column("contrast", "number", "unsigned stimulus contrast", "%"),
        _TIMING,
        Column("timing_coef", "number", "per tenfold time", "z"),
        Column("timing_se", "number", "its standard error", "z"),
        Column("timing_p", "number", "two-sided, normal"),
        Q_VALUE,
        Column("r2_marginal", "number", "share of variance of the fixed effects"),
        N_TRIALS,
        N_SUBJECTS,
    ),
)

WHEEL_LMM = model_table(
    "movement_encoding",
    "wheel_lmm",
    "Whether the response tells how the mouse will move, at each contrast: one row per target, contrast and variable.",
    ("contrast", "dv"),
    (
        Column("contrast", "number", "unsigned stimulus contrast", "%"),
        Column("dv", "text", "reaction_time (s), movement_time (s) or peak_velocity (rad/s)"),
        Column("delta_r2", "number", "what the response adds to the marginal R²"),
        Column("base_r2_marginal", "number", "marginal R² of sides and choices"),
        Column("full_r2_marginal", "number", "the same with the response"),
        Column("lrt_chi2", "number", "likelihood ratio, one degree of freedom"),
        Column("lrt_pvalue", "number", "its p-value"),
        Column("lrt_qvalue", "number", "its false discovery rate over all rows"),
        Column("nm_coefficient", "number", "of the response, in units of dv per z"),
        Column("nm_pvalue", "number", "two-sided, normal", nullable=True),
        Column("nm_qvalue", "number", "its false discovery rate over all rows", nullable=True),
        N_TRIALS,
        N_SUBJECTS,
    ),
)


_FAMILY = (
    Column("family", "text", "task, movement, task_ceiling or movement_ceiling"),
    Column("movement_var", "text", "the movement variable that the family is about", nullable=True),
)
_FOLDS = (
    *_FAMILY,
    Column("fold", "text", "the mouse that was left out; aggregate for the mean over mice"),
    Column("predictor", "text", "what the model is compared without"),
    N_TRIALS,
)

FAMILY_VARIANCE = model_table(
    "responses",
    "response_lmm_r2",
    "How much each of several nested mixed models explains: one row per target, event, family and model.",
    ("family", "movement_var", "name"),
    (
        *_FAMILY,
        Column("name", "text", "full, or what was left out of it"),
        Column("marginal_r2", "number", "share of variance of the fixed effects"),
        Column("conditional_r2", "number", "share of fixed effects and mice"),
        N_TRIALS,
        N_SUBJECTS,
    ),
)

FAMILY_COEFFICIENTS = model_table(
    "responses",
    "response_lmm_coefficients",
    "Coefficients of the full model of every family: one row per target, event, family and term.",
    ("family", "movement_var", "term", "term_n"),
    (
        *_FAMILY,
        Column("term", "text", "term of the model, such as contrast:side"),
        Column("term_n", "integer", "column of the term, from 0: one for each level but the first"),
        Column("Coef.", "number", "estimate", "z"),
        Column("Std.Err.", "number", "its standard error", "z"),
        Column("z", "number", "estimate over standard error"),
        Column("P>|z|", "number", "two-sided, normal"),
        Q_VALUE,
        Column("ci_lower", "number", "lower end of its 95 % interval", "z"),
        Column("ci_upper", "number", "upper end of its 95 % interval", "z"),
    ),
)

FAMILY_MEANS = model_table(
    "responses",
    "response_lmm_means",
    "What the full model of the task predicts: one row per target, event, contrast and side.",
    ("family", "movement_var", "contrast", "side"),
    (
        *_FAMILY,
        Column("contrast", "number", "unsigned stimulus contrast", "%"),
        Column("side", "text", "contra or ipsi"),
        Column("predicted", "number", "by the fixed effects", "z"),
        Column("ci_lower", "number", "lower end of its 95 % interval", "z"),
        Column("ci_upper", "number", "upper end of its 95 % interval", "z"),
        Column("reference", "text", "balanced (other factors in the middle of their levels) or sample (at their mean)"),
    ),
)

FAMILY_CROSS_VALIDATION = model_table(
    "responses",
    "response_lmm_reliability_cv",
    "How well every family predicts mice that it was not fitted to: one row per target, event, family, mouse left out and predictor.",
    ("family", "movement_var", "fold", "predictor"),
    (
        *_FOLDS,
        Column("r2", "number", "of the full model on the mouse left out, both sides centred"),
        Column("delta_r2", "number", "what the predictor adds to it"),
    ),
)

FAMILY_JACKKNIFE = model_table(
    "responses",
    "response_lmm_reliability_jackknife",
    "How much what families explain depends on single mice: one row per target, event, family, mouse left out and predictor.",
    ("family", "movement_var", "fold", "predictor"),
    (
        *_FOLDS,
        Column("r2", "number", "marginal R² of the full model on all mice but this"),
        Column("delta_r2", "number", "what the predictor adds to it"),
    ),
)
