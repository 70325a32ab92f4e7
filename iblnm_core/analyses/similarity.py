"""How alike the response vectors of recordings are: cosine similarities, their pairs, and their means over targets."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def cosine_similarity(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return the cosine of the angle between any two rows of a response matrix.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    matrix : DataFrame of float64, (r, f)
        Rows with a missing value are dropped.

    Returns
    -------
    DataFrame of float64, (c, c)
        Symmetric, of the c complete rows, labelled by them. A row of zeros is like none, not even itself: 0.
    """
    complete = matrix[matrix.notna().all(axis=1)]
    values = complete.to_numpy(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    directions = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)
    return pd.DataFrame(directions @ directions.T, index=complete.index, columns=complete.index)


def pair_table(similarity: pd.DataFrame, groups: Sequence[str] | ArrayLike) -> pd.DataFrame:
    """Return the similarity of every two recordings, each pair once.

    Parameters
    ----------
    similarity : DataFrame of float64, (r, r)
    groups : sequence of str, (r,)
        Such as the targets.

    Returns
    -------
    DataFrame, r (r - 1) / 2 rows
        `group1`, `group2`, `similarity`, and `comparison`: within if the groups are equal, else between. Row by row of
        the upper triangle.
    """
    names = np.asarray(groups, dtype=object)
    first, second = np.triu_indices(len(names), k=1)
    return pd.DataFrame(
        {
            "group1": names[first],
            "group2": names[second],
            "similarity": similarity.to_numpy(np.float64)[first, second],
            "comparison": np.where(names[first] == names[second], "within", "between"),
        }
    )


def target_means(
    similarity: pd.DataFrame,
    targets: Sequence[str] | ArrayLike,
    subjects: Sequence[str] | ArrayLike | None = None,
) -> pd.DataFrame:
    """Return the mean similarity of recordings of any two targets.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    similarity : DataFrame of float64, (r, r)
        Symmetric. Missing values do not count.
    targets : sequence of str, (r,)
    subjects : sequence of str, (r,), optional
        When given, pairs of recordings of the same subject do not count.

    Returns
    -------
    DataFrame of float64, (t, t)
        Symmetric, by the sorted targets; not a number where there is no pair. No recording is paired with itself.
    """
    values = similarity.to_numpy(np.float64)
    names, codes = np.unique(np.asarray(targets, dtype=object), return_inverse=True)
    own = np.arange(len(values)) if subjects is None else pd.factorize(np.asarray(subjects, dtype=object))[0]
    counted = (own[:, None] != own) & ~np.isnan(values)
    members = np.zeros((len(values), len(names)))
    members[np.arange(len(values)), codes] = 1
    # a pair within a target is met twice, in the sum and in the count
    sums = members.T @ np.where(counted, values, 0.0) @ members
    counts = members.T @ counted @ members
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return pd.DataFrame((means + means.T) / 2, index=names, columns=names)
