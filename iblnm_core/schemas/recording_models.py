"""Schemas of the results of models of single recordings, of tests that permute them, and of how they vary."""

from pathlib import PurePosixPath

from iblnm_core.schemas.keys import EID, EVENT, FIBER, REGION, SUBJECT, TARGET, result_table
from iblnm_core.schemas.models import N_TRIALS, Q_VALUE, model_table
from iblnm_core.table_schema import Column, TableSchema

RECORDING = (EID, FIBER, SUBJECT, REGION)
_PREDICTOR = Column("predictor", "text", "contrast, side, reward, choice_side, log_reaction_time or peak_velocity")
_N_DONORS = Column("n_donors", "integer", "recordings whose values stood in for its own", "recordings")


def _of_recordings(name: str, description: str, key: str, columns: tuple[Column, ...]) -> TableSchema:
    of_row = (EID, FIBER, SUBJECT, TARGET, REGION, EVENT)
    return result_table("responses", name, description, ("eid", "fiber_idx", "event", key), (*of_row, *columns))


DROP_ONE = _of_recordings(
    "response_ols_persession_dropone",
    "What each predictor adds to the model of one recording: one row per recording, event and predictor.",
    "predictor",
    (
        _PREDICTOR,
        Column("r2", "number", "of the full model"),
        Column("delta_r2", "number", "what the predictor and its interactions add to it"),
        N_TRIALS,
    ),
)

_N_RECORDINGS = Column("n_recordings", "integer", "its recordings", "recordings")

DROP_ONE_MICE = model_table(
    "responses",
    "response_ols_persession_mice",
    "Their means over the recordings of a mouse: one row per target, event, predictor and mouse.",
    ("predictor", "subject"),
    (
        _PREDICTOR,
        SUBJECT,
        Column("r2", "number", "of the full model, mean over recordings"),
        Column("delta_r2", "number", "what the predictor adds, mean over recordings"),
        _N_RECORDINGS,
    ),
)

SESSION_COEFFICIENTS = _of_recordings(
    "response_ols_persession_coefs",
    "Coefficients of the model of one recording: one row per recording, event and regressor.",
    "regressor",
    (
        Column("regressor", "text", "the same six as predictors"),
        Column("coef", "number", "estimate", "z"),
        Column("coef_se", "number", "its standard error", "z"),
        N_TRIALS,
    ),
)

SWAP_RECORDINGS = _of_recordings(
    "response_ols_persession_pvalues",
    "How seldom the values of other recordings add as much to the model of a recording as its own: one row per recording, event and predictor.",
    "predictor",
    (
        _PREDICTOR,
        Column("delta_r2", "number", "what the predictor adds"),
        Column("p_value", "number", "share of donors that add as much; null without donors", nullable=True),
        Q_VALUE,
        _N_DONORS,
        Column("n_failed", "integer", "donors that gave no model", "recordings"),
    ),
)

SWAP_MICE = model_table(
    "responses",
    "response_ols_persession_dropone_pvalues",
    "The same for the recordings of a mouse together: one row per target, event, predictor and mouse.",
    ("predictor", "subject"),
    (
        _PREDICTOR,
        SUBJECT,
        Column("mean_delta_r2", "number", "mean over its recordings of what the predictor adds"),
        Column("p_value", "number", "share of donors that add as much; null without donors", nullable=True),
        Q_VALUE,
        Column("n_sessions", "integer", "sessions in the mean", "sessions"),
        Column("n_recordings", "integer", "recordings in the mean", "recordings"),
        _N_DONORS,
        Column("n_failed", "integer", "donors that gave no model for one of its recordings", "recordings"),
    ),
)

_COMPONENT = (
    Column("regressor", "text", "whose coefficient varies"),
    Column("component", "text", "V_mouse (between mice) or V_session (between sessions of a mouse)"),
)

VARIANCE_SUMMARY = model_table(
    "responses",
    "response_varcomp_summary",
    "How much coefficients vary between mice and between sessions: one row per target, event, regressor and component.",
    ("regressor", "component"),
    (
        *_COMPONENT,
        Column("mean", "number", "of the posterior, in variances of the estimates"),
        Column("hdi_low", "number", "lower end of its shortest 94 % interval"),
        Column("hdi_high", "number", "upper end of its shortest 94 % interval"),
        Column("n_mice", "integer", "mice with enough sessions", "mice"),
        Column("n_sessions", "integer", "their sessions", "sessions"),
        Column("n_recordings", "integer", "their recordings", "recordings"),
    ),
)

VARIANCE_DENSITIES = model_table(
    "responses",
    "response_varcomp_violin",
    "Posteriors of these variances: one row per target, event, regressor, component and value.",
    ("regressor", "component", "x"),
    (
        *_COMPONENT,
        Column("x", "number", "decimal logarithm of the variance"),
        Column("density", "number", "per unit of x"),
    ),
)


def _baseline(model: str, description: str, slope: str) -> TableSchema:
    # named for its model below the folder, and for both among all tables
    return TableSchema(
        f"baseline_{model}",
        PurePosixPath(f"results/baseline/{model}.pqt"),
        description,
        ("eid", "fiber_idx"),
        (
            EID,
            FIBER,
            SUBJECT,
            TARGET,
            REGION,
            N_TRIALS,
            _N_DONORS,
            Column("n_failed", "integer", "draws that gave no statistic", "draws"),
            Column("p_value", "number", "share of the draws with as large an R²", nullable=True),
            Column(
                "p_value_donors", "number", "share of the donors with as large an R², each counted once", nullable=True
            ),
            Column("q_value", "number", "false discovery rate over all rows, of p_value_donors", nullable=True),
            Column("observed_slope", "number", slope),
            Column("observed_r2", "number", "of the recording's own trials"),
            Column("null_slope", "numbers", "slopes of the draws"),
            Column("null_r2", "numbers", "R² of the draws"),
        ),
    )


BASELINE_PERFORMANCE = _baseline(
    "performance",
    "Whether activity before the stimulus goes with being correct: one row per recording.",
    "logit of being correct per standard deviation of the activity",
)

BASELINE_REACTION_TIME = _baseline(
    "reaction_time",
    "Whether activity before the stimulus goes with how fast the mouse responds: one row per recording.",
    "activity, in standard deviations, per standard deviation of the log response time at the same contrast",
)

_BEHAVIOUR = Column("behaviour", "text", "performance or reaction_time: which of the two tables")

BASELINE_MICE = result_table(
    "baseline",
    "baseline_mice",
    "Their means over the recordings of a mouse: one row per table, target and mouse.",
    ("behaviour", "target_NM", "subject"),
    (
        _BEHAVIOUR,
        TARGET,
        SUBJECT,
        Column("observed_slope", "number", "mean over recordings"),
        Column("observed_r2", "number", "mean over recordings"),
        _N_RECORDINGS,
    ),
)

BASELINE_SHARES = result_table(
    "baseline",
    "baseline_shares",
    "In how many recordings of a target the baseline goes with behaviour: one row per table and target.",
    ("behaviour", "target_NM"),
    (
        _BEHAVIOUR,
        TARGET,
        Column("n_recordings", "integer", "recordings with a slope", "recordings"),
        Column("n_tested", "integer", "those with a q_value", "recordings"),
        Column("n_significant", "integer", "those with a q_value below 0.05", "recordings"),
        Column("share", "number", "of the tested recordings; null without any", nullable=True),
    ),
)
