"""How the metrics of signals are distributed in every target, on a scale on which metrics of any shape can be compared."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.outcomes import Outcome, Status
from iblnm_core.analyses.qc_signals import SIGNAL_METRICS
from iblnm_core.analyses.rows import Record, table_of

Array = NDArray[np.float64]

FEWEST_FOR_SCORES = 11
"""Values of a metric; fewer are shown as they are."""

FEWEST_FOR_VIOLIN = 10
"""Values of a target; of fewer no density is drawn."""

_QUANTILES, _JOINT_QUANTILES = 1000, 500
_SEED = 42
_SCORE_COLUMNS: Mapping[str, str] = {
    "eid": "object",
    "fiber_idx": "int64",
    "target_NM": "object",
    "subject": "object",
    "metric": "object",
    "value": "float64",
    "score": "float64",
    "scale": "object",
    "outlier": "bool",
    "joint_score": "float64",
}
_DISTRIBUTION_COLUMNS: Mapping[str, str] = {
    "target_NM": "object",
    "metric": "object",
    "n": "int64",
    "n_subjects": "int64",
    **dict.fromkeys(("mean", "sd", "minimum", "q25", "median", "q75", "maximum"), "float64"),
    "scale": "object",
    **dict.fromkeys(("score_q25", "score_median", "score_q75", "lower_fence", "upper_fence"), "float64"),
    "n_outliers": "int64",
    "inner_median": "float64",
    "violin": "bool",
}


def normal_scores(values: Array, n_quantiles: int = _QUANTILES) -> Array:
    """Return columns mapped by the ranks of their values to a standard normal distribution.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    values : ndarray of float64, (n, m)
        Finite.
    n_quantiles : int
        Places at which the distribution of a column is known, n at most.

    Returns
    -------
    ndarray of float64, (n, m)
        Standard deviations; the extremes of a column are -5.199 and 5.199.
    """
    from sklearn.preprocessing import QuantileTransformer

    transformer = QuantileTransformer(
        n_quantiles=min(n_quantiles, len(values)), output_distribution="normal", subsample=None, random_state=_SEED
    )
    return np.asarray(transformer.fit_transform(values), dtype=np.float64)


def complete_rows(signals: pd.DataFrame, metrics: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the signals of which all metrics are known that any signal has, and which metrics these are.

    Parameters
    ----------
    signals : DataFrame
    metrics : sequence of str

    Returns
    -------
    complete : DataFrame
        Rows of the signals; none when there is no such metric.
    present : list of str
        In the order of `metrics`.
    """
    known = np.isfinite(signals[list(metrics)].to_numpy(np.float64))
    there = known.any(axis=0)
    present = [metric for metric, found in zip(metrics, there, strict=True) if found]
    return signals[known[:, there].all(axis=1) & there.any()], present


def qc_scores(signals: pd.DataFrame) -> tuple[pd.DataFrame, list[Outcome]]:
    """Return what distributions of metrics are drawn from: every value of the signals that pass, and where it ranks.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    signals : DataFrame
        As `qc_signals` returns it.

    Returns
    -------
    scores : DataFrame
        One row per signal that passes and metric of `SIGNAL_METRICS` that is known: eid, fiber_idx, target_NM, subject, metric,
        value, score (normal, among the values of all targets; the value itself when they are fewer than `FEWEST_FOR_SCORES`),
        scale (normal or raw: which of both), outlier (bool: among the scores of its target), joint_score (normal, among the
        signals of which all metrics are known; not a number for others). Sorted by metric and signal.
    outcomes : list of Outcome
        One per metric, as the variable, which counts values.
    """
    passing = signals[signals["passes_basic_qc"]].sort_values(["eid", "fiber_idx"], ignore_index=True)
    joint = _joint_scores(passing)
    parts, outcomes = [], list[Outcome]()
    for metric in sorted(SIGNAL_METRICS):
        known = passing[np.isfinite(passing[metric])]
        values = known[metric].to_numpy(np.float64)
        scale = "normal" if len(values) >= FEWEST_FOR_SCORES else "raw"
        score = normal_scores(values[:, None])[:, 0] if scale == "normal" else values
        outlier = _outliers(score, known["target_NM"].to_numpy())
        ranked = {"value": values, "score": score, "outlier": outlier, "joint_score": joint.loc[known.index, metric]}
        parts.append(known.assign(metric=metric, scale=scale, **ranked))
        status = Status.OK if len(known) else Status.MISSING_INPUT if len(signals) else Status.NO_DATA
        n_subjects = known["subject"].nunique()
        outcomes.append(Outcome("qc_distributions", "", "", status, len(known), n_subjects, variable=metric))
    return pd.concat(parts, ignore_index=True)[list(_SCORE_COLUMNS)].astype(dict(_SCORE_COLUMNS)), outcomes


def _joint_scores(passing: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of all metrics among the signals that have them all."""
    complete, present = complete_rows(passing, SIGNAL_METRICS)
    joint = pd.DataFrame(np.nan, index=passing.index, columns=list(SIGNAL_METRICS))
    if len(complete) >= FEWEST_FOR_SCORES:
        joint.loc[complete.index, present] = normal_scores(complete[present].to_numpy(np.float64), _JOINT_QUANTILES)
    return joint


def _fences(scores: Array) -> tuple[float, float]:
    """Return the quartiles, farther out by one and a half of their distance."""
    lower, upper = np.percentile(scores, (25, 75))
    return float(lower - 1.5 * (upper - lower)), float(upper + 1.5 * (upper - lower))


def _outliers(scores: Array, targets: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which scores are beyond the fences of their target."""
    outlier = np.zeros(len(scores), dtype=bool)
    for target in np.unique(targets):
        members = targets == target
        lower, upper = _fences(scores[members])
        outlier[members] = (scores[members] < lower) | (scores[members] > upper)
    return outlier


def qc_distributions(scores: pd.DataFrame) -> pd.DataFrame:
    """Return how the metrics of signals are distributed in every target, and how to draw that.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    scores : DataFrame
        As `qc_scores` returns it.

    Returns
    -------
    DataFrame
        One row per target and metric that has values: target_NM, metric, n, n_subjects; of the values mean, sd (divisor n - 1;
        not a number for one), minimum, q25, median, q75, maximum; scale of the scores (normal or raw), and of them score_q25,
        score_median, score_q75, lower_fence, upper_fence, n_outliers (beyond the fences), inner_median (of those within);
        violin (bool: there are enough for a density).
    """
    groups = scores.groupby(["target_NM", "metric"])
    records = [
        {"target_NM": target, "metric": metric, **_of_values(rows), **_of_scores(rows)}
        for (target, metric), rows in groups
    ]
    return table_of(records, _DISTRIBUTION_COLUMNS)


def _of_values(rows: pd.DataFrame) -> Record:
    values = rows["value"].to_numpy(np.float64)
    places = np.percentile(values, (0, 25, 50, 75, 100))
    return {
        "n": len(values),
        "n_subjects": rows["subject"].nunique(),
        "mean": values.mean(),
        "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
        **dict(zip(("minimum", "q25", "median", "q75", "maximum"), places, strict=True)),
    }


def _of_scores(rows: pd.DataFrame) -> Record:
    scores, outlier = rows["score"].to_numpy(np.float64), rows["outlier"].to_numpy(bool)
    places = np.percentile(scores, (25, 50, 75))
    lower, upper = _fences(scores)
    return {
        "scale": rows["scale"].iloc[0],
        **dict(zip(("score_q25", "score_median", "score_q75"), places, strict=True)),
        "lower_fence": lower,
        "upper_fence": upper,
        "n_outliers": int(outlier.sum()),
        "inner_median": np.median(scores[~outlier]),
        "violin": len(scores) >= FEWEST_FOR_VIOLIN,
    }
