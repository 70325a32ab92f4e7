"""Whether groups differ, by ranks: all of them at once, then every two. What the groups are is up to the caller."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from iblnm_core.analyses.outcomes import Status
from iblnm_core.analyses.rows import Record, table_of

Array = NDArray[np.float64]

TEST_COLUMNS: Mapping[str, str] = {
    "test": "object",
    "group_a": "object",
    "group_b": "object",
    "n_a": "Int64",
    "n_b": "Int64",
    "statistic": "float64",
    "p_value": "float64",
    "p_holm": "float64",
}
"""Columns of tests between groups, and their types."""


def holm(p_values: Sequence[float] | Array) -> Array:
    """Return the p-values of a family of tests such that the chance of any false call in the family is bounded.

    Parameters
    ----------
    p_values : sequence of float, (n,)
        Those that are not a number have no adjusted one and do not count.

    Returns
    -------
    ndarray of float64, (n,)
        Never below the p-values, never above 1: Holm (1979), Scand. J. Stat. 6, 65.
    """
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    # the smallest is one of n, the next one of the n - 1 that are left
    scaled = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def compare_groups(samples: Mapping[str, ArrayLike]) -> tuple[Status, pd.DataFrame]:
    """Test whether groups differ, and which: Kruskal-Wallis over all, Mann-Whitney between every two.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    samples : mapping of str to array_like of float, (n,)
        Values by group, independent of each other. Values that are not finite are left out, and groups without any other.

    Returns
    -------
    status : Status
        OK; NO_DATA without values, MISSING_INPUT without finite ones, SINGLE_LEVEL with one group, CONSTANT_RESPONSE when all
        values are equal.
    tests : DataFrame
        The columns of `TEST_COLUMNS`: a row `kruskal` without names and sizes of groups, its statistic H; then a row
        `mannwhitney` for every two groups, in the order of the mapping, whose statistic U is that of `group_a`, two-sided,
        `p_holm` among them. Without rows unless the status is OK.
    """
    from scipy.stats import kruskal, mannwhitneyu

    values = {name: np.asarray(sample, dtype=np.float64) for name, sample in samples.items()}
    groups = {name: sample[np.isfinite(sample)] for name, sample in values.items() if np.isfinite(sample).any()}
    status = _status(values, groups)
    if status is not Status.OK:
        return status, table_of([], TEST_COLUMNS)
    omnibus = kruskal(*groups.values())
    pairs = list[Record]()
    for first, second in combinations(groups, 2):
        found = mannwhitneyu(groups[first], groups[second], alternative="two-sided")
        sizes = {"n_a": len(groups[first]), "n_b": len(groups[second])}
        result = {"statistic": float(found.statistic), "p_value": float(found.pvalue)}
        pairs.append({"test": "mannwhitney", "group_a": first, "group_b": second, **sizes, **result})
    adjusted = holm([pair["p_value"] for pair in pairs])
    overall = {
        **dict.fromkeys(("group_a", "group_b", "n_a", "n_b", "p_holm")),
        "test": "kruskal",
        "statistic": float(omnibus.statistic),
        "p_value": float(omnibus.pvalue),
    }
    tested = [{**pair, "p_holm": p_value} for pair, p_value in zip(pairs, adjusted, strict=True)]
    return status, table_of([overall, *tested], TEST_COLUMNS)


def _status(values: Mapping[str, Array], groups: Mapping[str, Array]) -> Status:
    """Return whether groups of finite values can be compared."""
    if not groups:
        return Status.MISSING_INPUT if any(sample.size for sample in values.values()) else Status.NO_DATA
    if len(groups) < 2:
        return Status.SINGLE_LEVEL
    everything = np.concatenate(list(groups.values()))
    return Status.CONSTANT_RESPONSE if np.ptp(everything) == 0 else Status.OK
