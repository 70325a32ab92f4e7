"""Schemas of how the task is encoded in responses: coefficients of recordings, their components, and what of them goes with behaviour."""

from dataclasses import replace

from iblnm_core.schemas.keys import EID, EVENT, FIBER, REGION, SUBJECT, TARGET, result_table
from iblnm_core.table_schema import Column, TableSchema

_BLOCK = Column("block", "text", "task or movement: which terms of the model")
_FIT = (
    Column("coef", "number", "estimate", "z"),
    Column("se", "number", "its standard error", "z"),
    Column("t", "number", "estimate over standard error"),
    Column("n_trials", "integer", "trials that were fitted", "trials"),
)


def _table(name: str, description: str, key: tuple[str, ...], columns: tuple[Column, ...]) -> TableSchema:
    return result_table("task_encoding", name, description, key, columns)


GLM_COEFFICIENTS = _table(
    "glm_coefficients",
    "Linear model of the responses of one recording by contrast, side and outcome: one row per recording, event and term.",
    ("eid", "fiber_idx", "event", "term"),
    (
        EID,
        FIBER,
        SUBJECT,
        Column("session_type", "text", "training, biased or ephys"),
        TARGET,
        REGION,
        Column("hemisphere", "text", "l, r or empty"),
        EVENT,
        Column("contrast_coding", "text", "how contrast is coded"),
        Column("term", "text", "intercept, contrast, side, reward, or a product of two"),
        *_FIT,
        Column("residual_df", "integer", "trials less terms"),
        Column("sigma", "number", "standard deviation of the residuals", "z"),
        Column("r2", "number", "share of the variance of the responses"),
    ),
)

BEHAVIOURAL_VIEW = _table(
    "behavioural_view",
    "Psychometric parameters as seen from the fibre: one row per recording.",
    ("eid", "fiber_idx"),
    (
        EID,
        TARGET,
        FIBER,
        SUBJECT,
        Column("psych_50_threshold", "number", "width of the psychometric function", "%"),
        Column("psych_50_bias", "number", "contrast of equal choice, positive where contra needs more", "%"),
        Column("psych_50_lapse_contra", "number", "lapse of strong ipsi stimuli to a contra choice"),
        Column("psych_50_lapse_ipsi", "number", "lapse of strong contra stimuli to an ipsi choice"),
    ),
)

_METHOD = (
    EVENT,
    Column("method", "text", "pca or ica"),
    Column("weighting", "text", "none, or cohort: every target counts the same"),
    Column("component", "integer", "number of the component, from 1"),
)
_METHOD_KEY = ("event", "method", "weighting", "component")

COMPONENTS = _table(
    "encoding_components",
    "Components of the coefficients of all recordings: one row per event, method, component and term.",
    (*_METHOD_KEY, "term"),
    (
        *_METHOD,
        Column("term", "text", "term of the model of a recording"),
        Column("loading", "number", "what the component is made of; the largest is positive"),
        Column("variance_ratio", "number", "share of the variance of the component, 0-1"),
        Column("converged", "truth", "whether the search ended where it should"),
    ),
)

COMPONENT_SCORES = _table(
    "encoding_scores",
    "Scores of recordings on these components: one row per event, method, component and recording.",
    (*_METHOD_KEY, "eid", "fiber_idx"),
    (EID, TARGET, FIBER, SUBJECT, *_METHOD, Column("score", "number", "score of the recording")),
)

COMPONENT_SUBJECTS = _table(
    "encoding_subject_scores",
    "Their means over the recordings of a mouse and target: one row per event, method, component, target and mouse.",
    (*_METHOD_KEY, "target_NM", "subject"),
    (
        TARGET,
        SUBJECT,
        *_METHOD,
        Column("mean", "number", "over recordings"),
        Column("sem", "number", "its standard error; 0 for one recording", nullable=True),
        Column("n_recordings", "integer", "recordings in the mean", "recordings"),
    ),
)

COMPONENT_TESTS = _table(
    "encoding_score_tests",
    "Whether scores differ between targets: one row per event, method, component, level and test.",
    (*_METHOD_KEY, "level", "test", "group_a", "group_b"),
    (
        *_METHOD,
        Column("level", "text", "subject (means of mice; the one to use) or recording"),
        Column("test", "text", "kruskal (all targets) or mannwhitney (two of them)"),
        Column("group_a", "text", "first target of a pair", nullable=True),
        Column("group_b", "text", "second target of a pair", nullable=True),
        Column("n_a", "integer", "values of the first target", nullable=True),
        Column("n_b", "integer", "values of the second target", nullable=True),
        Column("statistic", "number", "H, or U of the first target"),
        Column("p_value", "number", "two-sided"),
        Column("p_holm", "number", "the same, adjusted for all pairs of the component and level", nullable=True),
    ),
)

_VARIANT = Column("variant", "text", "linear, or ridge (penalised, chosen by mice left out)")

CCA_SUMMARY = _table(
    "cca_summary",
    "Canonical correlation of coefficients and behaviour in one target: one row per target, event and variant.",
    ("target_NM", "event", "variant"),
    (
        TARGET,
        EVENT,
        _VARIANT,
        Column("n_recordings", "integer", "recordings with all values", "recordings"),
        Column("n_sessions", "integer", "their sessions", "sessions"),
        Column("n_subjects", "integer", "their mice", "mice"),
        Column("n_features_x", "integer", "coefficients that vary"),
        Column("n_features_y", "integer", "psychometric parameters that vary"),
        Column("low_n", "truth", "fewer than three recordings per feature: noise alone correlates highly"),
        Column("correlation", "number", "of the two scores, in the sample", nullable=True),
        Column("held_out_correlation", "number", "of mice left out; ridge only", nullable=True),
        Column("p_session", "number", "when sessions swap their behaviour; too small where mice differ", nullable=True),
        Column("q_session", "number", "false discovery rate over all rows, of p_session", nullable=True),
        Column("p_subject", "number", "when mice do; null where none can", nullable=True),
        Column("n_exchangeable_sessions", "integer", "sessions that can swap", "sessions"),
        Column("n_exchangeable_subjects", "integer", "mice that can swap", "mice"),
        Column("n_permutations", "integer", "permutations behind each p"),
        Column("seed", "integer", "of the permutations; follows from the seed, event and target"),
        Column(
            "x_variance_extracted",
            "number",
            "share of the variance of coefficients that their score carries",
            nullable=True,
        ),
        Column("y_variance_extracted", "number", "the same of behaviour", nullable=True),
        Column("lambda_x", "number", "penalty on the coefficients' weights", nullable=True),
        Column("lambda_y", "number", "penalty on the weights of behaviour", nullable=True),
    ),
)

CCA_WEIGHTS = _table(
    "cca_weights",
    "What the scores are made of: one row per target, event, variant, view and feature.",
    ("target_NM", "event", "variant", "view", "feature"),
    (
        TARGET,
        EVENT,
        _VARIANT,
        Column("view", "text", "neural or behavioral"),
        Column("feature", "text", "term of the model, or psychometric parameter"),
        Column("weight", "number", "per standard deviation; of unit length, aligned over targets", nullable=True),
    ),
)

CCA_SCORES = _table(
    "cca_scores",
    "Scores of the recordings: one row per recording, event and variant.",
    ("eid", "fiber_idx", "event", "variant"),
    (
        EID,
        TARGET,
        FIBER,
        SUBJECT,
        EVENT,
        _VARIANT,
        Column("x_score", "number", "of the coefficients", nullable=True),
        Column("y_score", "number", "of behaviour", nullable=True),
    ),
)

CCA_CROSS_PROJECTION = _table(
    "cca_cross_projection",
    "How the weights of one target do on the recordings of another: one row per event, variant and two targets.",
    ("event", "variant", "data_target", "weight_target"),
    (
        EVENT,
        _VARIANT,
        Column("data_target", "text", "whose recordings"),
        Column("weight_target", "text", "whose weights"),
        Column("correlation", "number", "of the two scores", nullable=True),
    ),
)

CCA_WEIGHT_SIMILARITY = _table(
    "cca_weight_similarity",
    "How alike the weights of two targets are: one row per event, variant and two targets.",
    ("event", "variant", "target_a", "target_b"),
    (
        EVENT,
        _VARIANT,
        Column("target_a", "text", "first target"),
        Column("target_b", "text", "second target"),
        Column("neural_cosine", "number", "of the weights of coefficients", nullable=True),
        Column("behavioral_cosine", "number", "of the weights of behaviour", nullable=True),
    ),
)


def _of_block(schema: TableSchema) -> TableSchema:
    """Return a table of the correlation of one block of terms."""
    name = f"two_block_{schema.name}"
    return replace(
        schema,
        name=name,
        path=schema.path.with_name(f"{name}.pqt"),
        description=f"For task and movement apart. {schema.description}",
        key=("block", *schema.key),
        columns=(_BLOCK, *schema.columns),
    )


TWO_BLOCK_CCA = tuple(
    map(_of_block, (CCA_SUMMARY, CCA_WEIGHTS, CCA_SCORES, CCA_CROSS_PROJECTION, CCA_WEIGHT_SIMILARITY))
)

TWO_BLOCK_COEFFICIENTS = _table(
    "two_block_coefficients",
    "Linear model of the responses of one recording by task and movement: one row per recording, event and term.",
    ("eid", "fiber_idx", "event", "term"),
    (
        EID,
        FIBER,
        SUBJECT,
        TARGET,
        REGION,
        EVENT,
        replace(_BLOCK, description=f"{_BLOCK.description}; null for both", nullable=True),
        Column("term", "text", "term of the model, such as contrast:side"),
        *_FIT,
    ),
)

DISPERSION = _table(
    "dispersion",
    "How much coefficients and behaviour vary from session to session: one row per mouse, target, event and block.",
    ("subject", "target_NM", "event", "block"),
    (
        SUBJECT,
        TARGET,
        EVENT,
        _BLOCK,
        Column("neural_dispersion", "number", "of the coefficients, in standard deviations over sessions"),
        Column("behavioral_dispersion", "number", "of the psychometric parameters, likewise"),
        Column("n_neural_sessions", "integer", "sessions behind the first", "sessions"),
        Column("n_behavioral_sessions", "integer", "sessions behind the second", "sessions"),
    ),
)

DISPERSION_TESTS = _table(
    "dispersion_tests",
    "Whether the two go together: one row per event and block.",
    ("event", "block"),
    (
        EVENT,
        _BLOCK,
        Column("spearman_rho", "number", "rank correlation over mice and targets", nullable=True),
        Column("p_value", "number", "two-sided", nullable=True),
        Column("n", "integer", "mice and targets"),
        Column("n_subjects", "integer", "mice", "mice"),
    ),
)

_OF_FIBER = (EID, FIBER, replace(TARGET, nullable=True))

ENCODING_FITS = _table(
    "encoding_fits",
    "How well the encoding model of a recording predicts its signal: one row per recording.",
    ("eid", "fiber_idx"),
    (
        *_OF_FIBER,
        Column("status", "text", "ok, blocks_left_out (such as those that need a side), or why there is no model"),
        Column("alpha", "number", "penalty of the model of all bins", nullable=True),
        Column("r2_in", "number", "R² on the bins of the fit", nullable=True),
        Column("r2_cv", "number", "R² on held-out bins, everything chosen without them", nullable=True),
        Column("n_rows", "integer", "bins that were fitted", "bins"),
        Column("n_features", "integer", "columns of the design"),
        Column("intercept", "number", "signal without any event", "z", nullable=True),
    ),
)

_KERNEL = (
    Column("term", "text", "event, or continuous regressor"),
    Column("level", "text", "trials that the kernel is of; null for all", nullable=True),
    Column("modulator", "text", "what one unit of it is of: baseline, side, contrast, ..."),
    Column("lag_s", "number", "relative to the event", "s"),
)

ENCODING_KERNELS = _table(
    "encoding_kernels",
    "Kernels of the encoding models: one row per recording, kernel and lag.",
    ("eid", "fiber_idx", "term", "level", "modulator", "lag_s"),
    (*_OF_FIBER, *_KERNEL, Column("coef", "number", "the kernel", "z")),
)

_DELTA = (
    Column("block", "text", "kernel (event and modulator) or continuous regressor"),
    Column("delta_r2", "number", "what it adds to the held-out R²", nullable=True),
)

ENCODING_DELTA_R2 = _table(
    "encoding_delta_r2",
    "What every block adds to the encoding model: one row per recording and block.",
    ("eid", "fiber_idx", "block"),
    (*_OF_FIBER, *_DELTA, Column("status", "text", "ok, or why it is not in the model")),
)

_OVER_MICE = (
    Column("mean", "number", "over mice, each the mean of its recordings"),
    Column("sem", "number", "its standard error; null for one mouse", nullable=True),
    Column("n_subjects", "integer", "mice in the mean", "mice"),
    Column("n_recordings", "integer", "their recordings", "recordings"),
)

TARGET_KERNELS = _table(
    "encoding_kernels_by_target",
    "Kernels of selected recordings, over mice: one row per target, kernel and lag.",
    ("target_NM", "term", "level", "modulator", "lag_s"),
    (TARGET, *_KERNEL, *_OVER_MICE),
)

TARGET_DELTA_R2 = _table(
    "encoding_delta_r2_by_target",
    "What every block adds in selected recordings, over mice: one row per target and block.",
    ("target_NM", "block"),
    (TARGET, _DELTA[0], *_OVER_MICE),
)

TARGET_FITS = _table(
    "encoding_fits_by_target",
    "How well the encoding models of selected recordings predict, over mice: one row per target and measure.",
    ("target_NM", "measure"),
    (TARGET, Column("measure", "text", "r2_in or r2_cv"), *_OVER_MICE),
)
