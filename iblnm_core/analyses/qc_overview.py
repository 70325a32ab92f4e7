"""The quality of all signals of the project: how its metrics go together, along which axes signals differ, and all tables."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.principal_axes import principal_axes
from iblnm_core.analyses.qc_distributions import complete_rows, normal_scores, qc_distributions, qc_scores
from iblnm_core.analyses.qc_signals import SIGNAL_METRICS, SLIDING_METRICS, qc_monthly, qc_signals
from iblnm_core.analyses.rows import Record, table_of

Array = NDArray[np.float64]

FEWEST_FOR_CORRELATIONS = 3
"""Signals with all metrics, below which metrics are not correlated."""

FEWEST_FOR_COMPONENTS = 10
"""Signals with all metrics, below which there are no components."""

COMPONENTS = ("PC1", "PC2")

_CORRELATION_COLUMNS: Mapping[str, str] = {
    "metric_a": "object",
    "metric_b": "object",
    "rho": "float64",
    "p_value": "float64",
    "n": "int64",
    "n_subjects": "int64",
}
_PCA_COLUMNS: Mapping[str, str] = {
    "eid": "object",
    "fiber_idx": "int64",
    "target_NM": "object",
    "subject": "object",
    "session_type": "object",
    "date": "object",
    **dict.fromkeys(COMPONENTS, "float64"),
}
_LOADING_COLUMNS: Mapping[str, str] = {
    "component": "object",
    "metric": "object",
    "loading": "float64",
    "variance_ratio": "float64",
}


def qc_overview(
    qc: pd.DataFrame,
    sessions: pd.DataFrame,
    errors: pd.DataFrame,
    *,
    minimum_unique_samples: float = 0.1,
    maximum_band_inversions: int = 0,
) -> dict[str, pd.DataFrame]:
    """Return all tables about the quality of the signals of the project.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    qc : DataFrame
        The `qc_photometry` table.
    sessions : DataFrame
        The `sessions` table.
    errors : DataFrame
        The `errors` table.
    minimum_unique_samples : float
        Share (0-1) that `n_unique_samples` must exceed.
    maximum_band_inversions : int

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `qc_signals`, `qc_monthly`, `qc_scores`, `qc_distributions`, `qc_correlations`, `qc_pca`,
        `qc_pca_loadings` and `qc_overview_outcomes`.
    """
    signals, of_signals = qc_signals(
        qc,
        sessions,
        errors,
        minimum_unique_samples=minimum_unique_samples,
        maximum_band_inversions=maximum_band_inversions,
    )
    scores, of_scores = qc_scores(signals)
    correlations, of_correlations = qc_correlations(signals)
    components, loadings, of_components = qc_pca(signals)
    return {
        "qc_signals": signals,
        "qc_monthly": qc_monthly(signals),
        "qc_scores": scores,
        "qc_distributions": qc_distributions(scores),
        "qc_correlations": correlations,
        "qc_pca": components,
        "qc_pca_loadings": loadings,
        "qc_overview_outcomes": outcome_table([of_signals, *of_scores, of_correlations, of_components]),
    }


def qc_correlations(signals: pd.DataFrame) -> tuple[pd.DataFrame, Outcome]:
    """Return how the metrics of signals that pass go together: Spearman's correlation of every two.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    signals : DataFrame
        As `qc_signals` returns it.

    Returns
    -------
    correlations : DataFrame
        One row per pair of metrics, over the signals of which all metrics are known that any signal has: metric_a, metric_b,
        rho, p_value (two-sided, of signals as if independent; neither for a metric that does not vary), n, n_subjects, q_value
        over all pairs.
    outcome : Outcome
        Counts these signals.
    """
    from scipy.stats import spearmanr

    complete, present, outcome = _usable(signals, SIGNAL_METRICS, "qc_correlations", FEWEST_FOR_CORRELATIONS)
    records = list[Record]()
    for first, second in combinations(present if outcome.status is Status.OK else (), 2):
        varies = np.ptp(complete[[first, second]].to_numpy(np.float64), axis=0).all()
        rho, p_value = spearmanr(complete[first], complete[second]) if varies else (np.nan, np.nan)
        counts = {"n": outcome.n_trials, "n_subjects": outcome.n_subjects}
        records.append({"metric_a": first, "metric_b": second, "rho": rho, "p_value": p_value, **counts})
    return table_of(records, _CORRELATION_COLUMNS, "p_value"), outcome


def _usable(
    signals: pd.DataFrame, metrics: tuple[str, ...], analysis: str, fewest: int
) -> tuple[pd.DataFrame, list[str], Outcome]:
    """Return the signals that pass and have all metrics, which these are, and whether they can be related to each other."""
    passing = signals[signals["passes_basic_qc"]].sort_values(["eid", "fiber_idx"], ignore_index=True)
    complete, present = complete_rows(passing, metrics)
    varying = np.ptp(complete[present].to_numpy(np.float64), axis=0) > 0 if len(complete) else np.zeros(0, dtype=bool)
    status = Status.OK
    if complete.empty:
        status = Status.MISSING_INPUT if len(signals) else Status.NO_DATA
    elif len(complete) < fewest:
        status = Status.TOO_FEW_TRIALS
    elif varying.sum() < 2:
        status = Status.CONSTANT_RESPONSE
    found = f"{len(complete)} of {len(passing)} signals that pass have all metrics"
    detail = f"{found}; of {len(metrics)} metrics {len(present)} are known and {varying.sum()} vary"
    outcome = Outcome(analysis, "", "", status, len(complete), complete["subject"].nunique(), detail=detail)
    return complete, present, outcome


def qc_pca(signals: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, Outcome]:
    """Return the two axes along which signals that pass differ most, by normal scores of their sliding metrics.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    signals : DataFrame
        As `qc_signals` returns it.

    Returns
    -------
    components : DataFrame
        One row per signal of which all metrics are known that any signal has: eid, fiber_idx, target_NM, subject, session_type,
        date, PC1, PC2 (standard deviations). Without rows for fewer than `FEWEST_FOR_COMPONENTS`, or when fewer than two
        metrics vary.
    loadings : DataFrame
        One row per component and metric: component (PC1 or PC2), metric, loading, variance_ratio of the component (0-1).
    outcome : Outcome
        Counts these signals.
    """
    complete, present, outcome = _usable(signals, SLIDING_METRICS, "qc_pca", FEWEST_FOR_COMPONENTS)
    if outcome.status is not Status.OK:
        return table_of([], _PCA_COLUMNS), table_of([], _LOADING_COLUMNS), outcome
    values = normal_scores(complete[present].to_numpy(np.float64))
    centred = values - values.mean(axis=0)
    axes, lengths = principal_axes(centred)
    loadings, ratios = axes[: len(COMPONENTS)], (lengths**2 / (lengths**2).sum())[: len(COMPONENTS)]
    components = complete.assign(**dict(zip(COMPONENTS, (centred @ loadings.T).T, strict=True)))
    records = [
        {"component": component, "metric": metric, "loading": loading, "variance_ratio": ratio}
        for component, of_component, ratio in zip(COMPONENTS, loadings, ratios, strict=True)
        for metric, loading in zip(present, of_component, strict=True)
    ]
    components = components[list(_PCA_COLUMNS)].astype(dict(_PCA_COLUMNS))
    return components, table_of(records, _LOADING_COLUMNS), outcome
