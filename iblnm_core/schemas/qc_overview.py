"""Schemas of the overview of the quality of all recordings."""

from dataclasses import replace

from iblnm_core.schemas.keys import EID, FIBER, SUBJECT, TARGET, result_table
from iblnm_core.schemas.recording import QC_PHOTOMETRY
from iblnm_core.table_schema import Column, TableSchema

METRICS = (
    "n_unique_samples",
    "n_band_inversions",
    "median_absolute_deviance",
    "percentile_distance",
    "percentile_asymmetry",
    "ar_score",
    "bleaching_tau",
    "iso_correlation",
)
_OF_QC = {column.name: column for column in QC_PHOTOMETRY.columns}
_TYPE = Column("session_type", "text", "training, biased, ephys, habituation, ...", nullable=True)
_DATE = Column("date", "text", "day of the session, ISO")
_METRIC = Column("metric", "text", "column of `qc_signals`")


def _table(name: str, description: str, key: tuple[str, ...], *columns: Column) -> TableSchema:
    return result_table("qc_overview", name, description, key, columns)


QC_SIGNALS = _table(
    "qc_signals",
    "Quality of every signal band, of all session types: one row per session and fibre.",
    ("eid", "fiber_idx"),
    EID,
    FIBER,
    Column("brain_region", "text", "recording target"),
    Column("band", "text", "GCaMP"),
    TARGET,
    SUBJECT,
    _TYPE,
    _DATE,
    *(replace(_OF_QC[name], kind="number", nullable=True) for name in METRICS),
    Column("passes_unique", "truth", "whether the share of distinct samples is above its threshold"),
    Column("passes_inversions", "truth", "whether no two frames follow under one LED"),
    Column("passes_basic_qc", "truth", "whether both hold"),
    Column("verdict", "text", "as in `qc_photometry`"),
)

QC_DISTRIBUTIONS = _table(
    "qc_distributions",
    "How a metric is distributed over the signals of a target that pass: one row per target and metric.",
    ("target_NM", "metric"),
    TARGET,
    _METRIC,
    Column("n", "integer", "signals", "signals"),
    Column("n_subjects", "integer", "mice that they are of", "mice"),
    *(
        Column(name, "number", f"{text}, in units of the metric", nullable=name == "sd")
        for name, text in (
            ("mean", "mean"),
            ("sd", "standard deviation"),
            ("minimum", "smallest value"),
            ("q25", "lower quartile"),
            ("median", "median"),
            ("q75", "upper quartile"),
            ("maximum", "largest value"),
        )
    ),
    Column("scale", "text", "of what follows: normal (quantiles of a normal distribution) or raw"),
    *(
        Column(name, "number", text, nullable=True)
        for name, text in (
            ("score_q25", "lower quartile on that scale"),
            ("score_median", "median on that scale"),
            ("score_q75", "upper quartile on that scale"),
            ("lower_fence", "1.5 interquartile ranges below the lower quartile"),
            ("upper_fence", "1.5 interquartile ranges above the upper quartile"),
            ("inner_median", "median of what lies between the fences"),
        )
    ),
    Column("n_outliers", "integer", "signals beyond the fences", "signals"),
    Column("violin", "truth", "whether there are enough signals for a density"),
)

QC_SCORES = _table(
    "qc_scores",
    "Metrics of the signals that pass, also as quantiles of a normal distribution: one row per signal and metric.",
    ("eid", "fiber_idx", "metric"),
    EID,
    FIBER,
    TARGET,
    SUBJECT,
    _METRIC,
    Column("value", "number", "in units of the metric"),
    Column("score", "number", "as a quantile of a normal distribution, or as it is where there are few"),
    Column("scale", "text", "normal or raw"),
    Column("outlier", "truth", "beyond the fences of its target"),
    Column("joint_score", "number", "the same among signals that have all metrics", nullable=True),
)

QC_CORRELATIONS = _table(
    "qc_correlations",
    "How metrics go together: one row per pair.",
    ("metric_a", "metric_b"),
    Column("metric_a", "text", "first metric"),
    Column("metric_b", "text", "second metric"),
    Column("rho", "number", "Spearman's rank correlation", nullable=True),
    Column("p_value", "number", "two-sided; signals of a mouse are not independent", nullable=True),
    Column("n", "integer", "signals that have all metrics", "signals"),
    Column("n_subjects", "integer", "mice that they are of", "mice"),
    Column("q_value", "number", "false discovery rate over all pairs", nullable=True),
)

QC_PCA = _table(
    "qc_pca",
    "Principal components of the metrics in sliding windows: one row per signal.",
    ("eid", "fiber_idx"),
    EID,
    FIBER,
    TARGET,
    SUBJECT,
    _TYPE,
    _DATE,
    Column("PC1", "number", "score on the first component"),
    Column("PC2", "number", "score on the second component"),
)

QC_PCA_LOADINGS = _table(
    "qc_pca_loadings",
    "What these components are made of: one row per component and metric.",
    ("component", "metric"),
    Column("component", "text", "PC1 or PC2"),
    _METRIC,
    Column("loading", "number", "of unit length; the largest is positive"),
    Column("variance_ratio", "number", "share of the variance of the component, 0-1"),
)

QC_MONTHLY = _table(
    "qc_monthly",
    "Failures and bleaching over time: one row per month that has signals.",
    ("month",),
    Column("month", "text", "its first day, ISO"),
    Column("n_signals", "integer", "signals", "signals"),
    Column("n_unknown", "integer", "signals without these metrics, which fail", "signals"),
    *(
        Column(f"n_fail_{name}", "integer", f"signals that fail {text}", "signals")
        for name, text in (("unique", "for distinct samples"), ("inversions", "for frames"), ("basic", "for either"))
    ),
    *(
        Column(f"rate_fail_{name}", "number", f"share of signals that fail {text}", "%")
        for name, text in (("unique", "for distinct samples"), ("inversions", "for frames"), ("basic", "for either"))
    ),
    Column("tau_mean", "number", "mean time constant of the bleaching of those that pass", "s", nullable=True),
    Column("tau_sd", "number", "its standard deviation", "s", nullable=True),
    Column("tau_n", "integer", "signals in the mean", "signals"),
)
