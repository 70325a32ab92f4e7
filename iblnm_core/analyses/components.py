"""What coefficients of many recordings have in common: principal and independent components, and how targets differ in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from iblnm_core.analyses.group_tests import TEST_COLUMNS, compare_groups
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.principal_axes import largest_positive, principal_axes
from iblnm_core.analyses.session_glm import RECORDING_LEVELS

Array = NDArray[np.float64]
Method = Literal["pca", "ica"]
Weighting = Literal["none", "cohort"]

ANALYSIS = "encoding_components"
VARIANTS: tuple[tuple[Method, Weighting], ...] = (("pca", "none"), ("pca", "cohort"), ("ica", "none"))
"""How components are found, and whether each target counts as much as any other."""
_CONSTANT = 1e-12
"""Of the mean: a smaller SD is rounding."""
_SMALLEST_SINGULAR = 1e-10
"""Of the largest: smaller ones are rounding."""
_MOST_ICA_STEPS = 1000
_ICA_SEED = 0

_VARIANT_TYPES = {"event": "object", "method": "object", "weighting": "object", "component": "int64"}
_COMPONENT_TYPES = {
    **_VARIANT_TYPES,
    "term": "object",
    "loading": "float64",
    "variance_ratio": "float64",
    "converged": "bool",
}
_SCORE_TYPES = {
    **dict.fromkeys(RECORDING_LEVELS, "object"),
    "fiber_idx": "int64",
    **_VARIANT_TYPES,
    "score": "float64",
}
_SUBJECT_TYPES = {
    "target_NM": "object",
    "subject": "object",
    **_VARIANT_TYPES,
    "mean": "float64",
    "sem": "float64",
    "n_recordings": "int64",
}
_TEST_TYPES = {**_VARIANT_TYPES, "level": "object", **TEST_COLUMNS}


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Components of a standardised matrix.

    Attributes
    ----------
    loadings : ndarray of float64, (k, f)
        Of unit length for principal components; for independent ones what a unit of each source adds to the features.
        The largest entry of each, whatever its sign, is positive.
    scores : ndarray of float64, (n, k)
    variance_ratio : ndarray of float64, (k,)
        Share of the variance of all features, 0-1.
    converged : bool
        Whether the search ended by itself; true where nothing is searched.
    """

    loadings: Array
    scores: Array
    variance_ratio: Array
    converged: bool = True


@dataclass(frozen=True, eq=False)
class ComponentTables:
    """Components of the coefficients of all events; `variant` is event, method, weighting and component (from 1).

    Attributes
    ----------
    components : DataFrame
        Variant, term, loading, variance_ratio, converged.
    scores : DataFrame
        `RECORDING_LEVELS`, variant, score.
    subjects : DataFrame
        target_NM, subject, variant, mean, sem (0 for a single recording), n_recordings.
    tests : DataFrame
        Variant, and the columns of `score_tests`.
    outcomes : DataFrame
        A row for every event and way to find components.
    """

    components: pd.DataFrame
    scores: pd.DataFrame
    subjects: pd.DataFrame
    tests: pd.DataFrame
    outcomes: pd.DataFrame


def cohort_weights(cohorts: Sequence[str] | ArrayLike) -> Array:
    """Return weights that give every cohort the same share, summing to the number of rows.

    Parameters
    ----------
    cohorts : sequence of str, (n,)
    """
    names, codes, counts = np.unique(np.asarray(cohorts, dtype=object), return_inverse=True, return_counts=True)
    weights: Array = len(codes) / (len(names) * counts[codes])
    return weights


def standardise(values: Array, weights: Array | None = None) -> Array:
    """Return columns with mean 0 and SD 1 (over n); one that does not vary becomes zero.

    Parameters
    ----------
    values : ndarray of float64, (n, f)
    weights : ndarray of float64, (n,), optional
        Of the rows, summing to n; equal if not given.
    """
    shares = np.full(len(values), 1 / max(len(values), 1)) if weights is None else weights / len(values)
    mean = shares @ values
    centred = values - mean
    spread = np.sqrt(shares @ centred**2)
    varies = spread > _CONSTANT * np.abs(mean)
    scaled: Array = np.where(varies, centred / np.where(varies, spread, 1.0), 0.0)
    return scaled


def principal_components(values: Array, n_components: int = 3, weights: Array | None = None) -> Decomposition:
    """Return the principal components of the standardised columns of a matrix.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    values : ndarray of float64, (n, f)
    n_components : int
        Most that are returned; never more than the rank.
    weights : ndarray of float64, (n,), optional
        Of the rows, in means, SDs and components alike.
    """
    scaled = standardise(values, weights)
    weighted = scaled if weights is None else np.sqrt(weights)[:, None] * scaled
    axes, lengths = principal_axes(weighted)
    kept = min(n_components, rank(lengths))
    variance = lengths**2
    ratio = variance[:kept] / variance.sum() if kept else variance[:0]
    return Decomposition(axes[:kept], scaled @ axes[:kept].T, ratio)


def independent_components(values: Array, n_components: int = 3) -> Decomposition:
    """Return the independent components of the standardised columns of a matrix, by their share of its variance.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    values : ndarray of float64, (n, f)
    n_components : int
        Most that are returned; never more than the rank.
    """
    import warnings

    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    scaled = standardise(values)
    kept = min(n_components, rank(np.linalg.svd(scaled, compute_uv=False)))
    if not kept:
        return Decomposition(np.empty((0, scaled.shape[1])), np.empty((len(scaled), 0)), np.empty(0))
    search = FastICA(kept, random_state=_ICA_SEED, max_iter=_MOST_ICA_STEPS, whiten="unit-variance")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sources = np.asarray(search.fit_transform(scaled), dtype=np.float64)
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    mixing = np.asarray(search.mixing_, dtype=np.float64).T
    ratio = sources.var(axis=0) * (mixing**2).sum(axis=1) / scaled.var(axis=0).sum()
    order = np.argsort(-ratio, kind="stable")
    signs = largest_positive(mixing)[order]
    return Decomposition(mixing[order] * signs[:, None], sources[:, order] * signs, ratio[order], converged)


def rank(singular: NDArray[np.floating[Any]]) -> int:
    """Return how many singular values are more than rounding.

    Parameters
    ----------
    singular : ndarray of float, (k,)
        The largest first.
    """
    return int((singular > _SMALLEST_SINGULAR * singular.max(initial=0.0)).sum())


def score_tests(scores: ArrayLike, targets: Sequence[str] | ArrayLike, level: str = "recording") -> pd.DataFrame:
    """Return whether scores differ between targets, over all of them and pair by pair.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    scores : array_like of float, (n,)
    targets : sequence of str, (n,)
        One with a single score is left out.
    level : str
        What a score is of.

    Returns
    -------
    DataFrame
        level, and the columns of tests between groups, sorted targets being the groups; without rows where there is
        nothing to compare.
    """
    values, names = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=object)
    groups = {str(name): values[names == name] for name in sorted(set(names))}
    _, tests = compare_groups({name: group for name, group in groups.items() if len(group) > 1})
    return tests.assign(level=level)


def subject_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score of every subject and target.

    Parameters
    ----------
    scores : DataFrame
        target_NM, subject, score; one row per recording.

    Returns
    -------
    DataFrame
        target_NM, subject, mean, sem (0 for a single recording), n_recordings; sorted by the first two.
    """
    groups = scores.groupby(["target_NM", "subject"], sort=True)["score"]
    means = groups.agg(mean="mean", sem="sem", n_recordings="size").reset_index()
    return means.assign(sem=means["sem"].fillna(0.0))


def component_tables(matrices: Mapping[str, pd.DataFrame], n_components: int = 3) -> ComponentTables:
    """Return the components of the coefficients of every event, in all ways to find them, and how targets differ in them.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    matrices : mapping of str to DataFrame
        By event, as `coefficient_matrix` returns it.
    n_components : int
        Most that are returned.
    """
    parts: dict[str, list[pd.DataFrame]] = {"components": [], "scores": [], "subjects": [], "tests": []}
    outcomes = []
    for event, matrix in matrices.items():
        values = matrix.to_numpy(np.float64)
        for method, weighting in VARIANTS:
            found = _decompose(values, matrix.index.get_level_values("target_NM"), method, weighting, n_components)
            outcomes.append(_outcome(event, f"{method}, {weighting}", matrix, found, n_components))
            for component in range(len(found.loadings)):
                key: Any = {"event": event, "method": method, "weighting": weighting, "component": component + 1}
                for name, rows in _rows_of(found, component, matrix):
                    parts[name].append(rows.assign(**key))
    types = {"components": _COMPONENT_TYPES, "scores": _SCORE_TYPES, "subjects": _SUBJECT_TYPES, "tests": _TEST_TYPES}
    return ComponentTables(
        **{name: _table(rows, types[name]) for name, rows in parts.items()}, outcomes=outcome_table(outcomes)
    )


def _decompose(values: Array, targets: Any, method: Method, weighting: Weighting, n_components: int) -> Decomposition:
    if not len(values):
        return Decomposition(np.empty((0, values.shape[1])), np.empty((0, 0)), np.empty(0))
    if method == "ica":
        return independent_components(values, n_components)
    weights = cohort_weights(targets) if weighting == "cohort" else None
    return principal_components(values, n_components, weights)


def _outcome(event: str, variant: str, matrix: pd.DataFrame, found: Decomposition, n_components: int) -> Outcome:
    n_found, detail = len(found.loadings), None
    status = Status.OK if found.converged else Status.NOT_CONVERGED
    if not n_found:
        status = Status.DEGENERATE if len(matrix) else Status.NO_DATA
        detail = "recordings do not differ" if len(matrix) else None
    elif not found.converged:
        detail = f"still moving after {_MOST_ICA_STEPS} steps; results are where it was"
    elif n_found < n_components:
        detail = f"coefficients differ in {n_found} directions only"
    n_subjects = matrix.index.get_level_values("subject").nunique()
    return Outcome(ANALYSIS, "", event, status, len(matrix), n_subjects, variable=variant, detail=detail)


def _rows_of(found: Decomposition, component: int, matrix: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of one component, by table."""
    loadings = {"term": list(matrix.columns), "loading": found.loadings[component]}
    shared = {"variance_ratio": found.variance_ratio[component], "converged": found.converged}
    yield "components", pd.DataFrame({**loadings, **shared})
    scores = matrix.index.to_frame(index=False).assign(score=found.scores[:, component])
    yield "scores", scores
    means = subject_means(scores)
    yield "subjects", means
    levels = (
        score_tests(scores["score"], scores["target_NM"]),
        score_tests(means["mean"], means["target_NM"], "subject"),
    )
    yield "tests", pd.concat(levels, ignore_index=True)


def _table(rows: Sequence[pd.DataFrame], types: Mapping[str, str]) -> pd.DataFrame:
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(types))
    return table[list(types)].astype(dict(types))
