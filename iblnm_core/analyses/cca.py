"""Canonical correlation of two views of the same recordings, in closed form. Arrays only; cohorts are elsewhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.analyses.components import rank, standardise

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class View:
    """One view, standardised, and what makes its columns uncorrelated.

    Attributes
    ----------
    standardised : ndarray of float64, (n, f)
        Columns with mean 0 and SD 1 (over n); those that do not vary are zero.
    basis : ndarray of float64, (n, k)
        Without ridge orthonormal columns that span the standardised ones; with it, shrunk ones.
    to_basis : ndarray of float64, (f, k)
        From standardised columns to the basis.
    """

    standardised: Array
    basis: Array
    to_basis: Array

    @property
    def n_varying(self) -> int:
        """Number of columns that vary."""
        return int(self.standardised.any(axis=0).sum())

    @classmethod
    def of(cls, values: Array, ridge: float = 0.0) -> "View":
        """Return the view of some columns.

        Parameters
        ----------
        values : ndarray of float64, (n, f)
        ridge : float
            Added to the diagonal of their correlation matrix.
        """
        scaled = standardise(values)
        left, singular, right = np.linalg.svd(scaled, full_matrices=False)
        kept = slice(rank(singular))
        shrunk = 1 / np.sqrt(singular[kept] ** 2 + len(scaled) * ridge)
        return cls(scaled, left[:, kept] * (singular[kept] * shrunk), right[kept].T * shrunk)


@dataclass(frozen=True, eq=False)
class CanonicalPair:
    """The pair of directions, one in either view, whose scores are most correlated.

    Attributes
    ----------
    correlation : float
        Of the two scores.
    x_weights : ndarray of float64, (f,)
        Of standardised columns, of unit length; zero for a column that does not vary. The largest, whatever its sign, is
        positive.
    y_weights : ndarray of float64, (g,)
        The same of the other view, with the sign that makes the correlation positive.
    """

    correlation: float
    x_weights: Array
    y_weights: Array


def canonical_pair(x: View, y: View) -> CanonicalPair:
    """Return the first canonical pair of two views.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    x, y : View
        Of the same n rows; some column of either varies.
    """
    left, _, right = np.linalg.svd(x.basis.T @ y.basis)
    x_weights, y_weights = _unit(x.to_basis @ left[:, 0]), _unit(y.to_basis @ right[0])
    sign = np.sign(x_weights[np.abs(x_weights).argmax()])
    x_weights, y_weights = sign * x_weights, sign * y_weights
    return CanonicalPair(pearson(x.standardised @ x_weights, y.standardised @ y_weights), x_weights, y_weights)


def canonical_correlations(x: View, y: View) -> Array:
    """Return all canonical correlations of two views without ridge, the largest first.

    Parameters
    ----------
    x, y : View
        Of the same n rows.
    """
    return np.asarray(np.linalg.svd(x.basis.T @ y.basis, compute_uv=False), dtype=np.float64)


def variance_extracted(values: Array, variate: Array) -> float:
    """Return the mean over columns of the squared correlation with a variate; 0 for a column that does not vary.

    Parameters
    ----------
    values : ndarray of float64, (n, f)
    variate : ndarray of float64, (n,)
    """
    scaled, of_variate = standardise(values), standardise(variate[:, None])
    shares = (scaled * of_variate).mean(axis=0) ** 2
    return float(shares.mean())


def pearson(first: Array, second: Array) -> float:
    """Return the correlation of two variables; not a number where one does not vary.

    Parameters
    ----------
    first, second : ndarray of float64, (n,)
    """
    both = standardise(np.column_stack([first, second]))
    if not both.any(axis=0).all():
        return np.nan
    return float((both[:, 0] * both[:, 1]).mean())


def cosine(first: Array, second: Array) -> float:
    """Return the cosine of the angle between two vectors; 0 if either is zero.

    Parameters
    ----------
    first, second : ndarray of float64, (f,)
    """
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / lengths if lengths else 0.0


def _unit(weights: Array) -> Array:
    unit: Array = weights / np.linalg.norm(weights)
    return unit
