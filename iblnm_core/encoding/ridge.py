"""Ridge regression from inner products: penalties, folds and left-out blocks without going back to the data. Arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Booleans = NDArray[np.bool_]

_CONSTANT = 1e-12
"""A column whose variance is a smaller share of its mean square is constant but for rounding errors."""
_REFLECTORS = 64
"""So many are applied together."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Rows in segments that are always used together, and which of these each fold is tested on and trained with.

    Attributes
    ----------
    segments : ndarray of int64, (n,)
        Segment of each row.
    tested, trained : ndarray of bool, (f, s)
        By fold and segment.
    """

    segments: NDArray[np.int64]
    tested: Booleans
    trained: Booleans


def contiguous_folds(positions: NDArray[np.int64], n_folds: int, purge: int) -> Folds:
    """Divide rows into folds of neighbours, each trained with rows at some distance from its own.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    positions : ndarray of int64, (n,)
        Places of the rows in time, increasing.
    n_folds : int
    purge : int
        Rows of a fold and rows that it is trained with are at least so many places apart.
    """
    rows = np.array_split(np.arange(len(positions)), n_folds)
    first = np.array([positions[of[0]] for of in rows])
    last = np.array([positions[of[-1]] for of in rows])
    # only here can it change what a row is used for
    edges = np.unique(np.concatenate([first, last + 1, first - max(purge, 1) + 1, last + max(purge, 1)]))
    _, starts, segments = np.unique(np.searchsorted(edges, positions, "right"), return_index=True, return_inverse=True)
    at = positions[starts]
    tested = (first[:, None] <= at) & (at <= last[:, None])
    near = (first[:, None] - purge < at) & (at < last[:, None] + purge)
    return Folds(segments.astype(np.int64), tested, ~(tested | near))


@dataclass(frozen=True, eq=False)
class Moments:
    """Inner products of response, columns and a constant, in segments of rows.

    Attributes
    ----------
    values : ndarray of float64, (s, p + 2, p + 2)
        The response comes first, the constant last.
    """

    values: Array

    def over(self, chosen: Booleans) -> Array:
        """Return the inner products over several choices of segments.

        Parameters
        ----------
        chosen : ndarray of bool, (c, s)

        Returns
        -------
        ndarray of float64, (c, p + 2, p + 2)
        """
        total: Array = np.tensordot(chosen.astype(np.float64), self.values, 1)
        return total


def moments_of(events: Any, dense: Array, response: Array, folds: Folds) -> Moments:
    """Return the inner products of a design and a response, segment by segment.

    Parameters
    ----------
    events : scipy.sparse.csr_array of float64, (n, p)
    dense : ndarray of float64, (n, d)
    response : ndarray of float64, (n,)
    folds : Folds

    Returns
    -------
    Moments
        Columns in the order events, dense.
    """
    n_segments, n_events = folds.tested.shape[1], events.shape[1]
    beside = np.column_stack([response, dense, np.ones(len(response))])
    size = n_events + beside.shape[1]
    # places of the columns: events stand between response and dense ones
    sparse, others = slice(1, 1 + n_events), np.r_[0, 1 + n_events : size]
    values = np.empty((n_segments, size, size))
    bounds = np.searchsorted(folds.segments, np.arange(n_segments + 1))
    for segment, (first, end) in enumerate(pairwise(bounds)):
        of_events, of_others, products = events[first:end], beside[first:end], values[segment]
        products[sparse, sparse] = (of_events.T @ of_events).toarray()
        products[sparse, others] = of_events.T @ of_others
        products[others, sparse] = products[sparse, others].T
        products[np.ix_(others, others)] = of_others.T @ of_others
    return Moments(values)


@dataclass(frozen=True, eq=False)
class Standardised:
    """What ridge regression needs of some rows, columns standardised on these rows.

    Attributes
    ----------
    products : ndarray of float64, (p + 1, p + 1)
        Inner products of response and columns, the response first.
    mean, scale : ndarray of float64, (p,)
        Of the columns; scale is the population standard deviation, or infinite for constant columns, which takes them out.
    response_mean : float
    """

    products: Array
    mean: Array
    scale: Array
    response_mean: float

    def raw(self, coefficients: Array) -> Array:
        """Return coefficients per unit of the columns, the intercept behind them.

        Parameters
        ----------
        coefficients : ndarray of float64, (p, c)
            Per standard deviation.

        Returns
        -------
        ndarray of float64, (p + 1, c)
        """
        slopes = coefficients / self.scale[:, None]
        return np.vstack([slopes, self.response_mean - self.mean @ slopes])


def standardise(moments: Array) -> Standardised:
    """Return the inner products of standardised columns and the centred response.

    Parameters
    ----------
    moments : ndarray of float64, (p + 2, p + 2)
        Inner products of response, columns and a constant.
    """
    from scipy.linalg import blas

    n_rows = moments[-1, -1]
    mean, squares = moments[-1, :-1] / n_rows, np.diagonal(moments)[:-1] / n_rows
    variance = squares - mean**2
    scale = np.sqrt(variance, out=np.full(len(mean), np.inf), where=variance > _CONSTANT * squares)
    scale[0] = 1.0
    weights = 1 / scale
    products = moments[:-1, :-1] * weights
    products *= weights[:, None]
    products = blas.dger(-n_rows, mean * weights, mean * weights, a=products.T, overwrite_a=1)
    return Standardised(products, mean[1:], scale[1:], float(mean[0]))


def ridge_path(moments: Array, penalties: Sequence[float]) -> Array:
    """Return the coefficients for several penalties.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    moments : ndarray of float64, (p + 2, p + 2)
        Inner products of response, columns and a constant.
    penalties : sequence of float, (a,)
        Positive, for columns with standard deviation 1.

    Returns
    -------
    ndarray of float64, (p + 1, a)
        Per unit of the columns, the intercept behind them.
    """
    from scipy.linalg import lapack

    rows = standardise(moments)
    workspace = int(lapack.dsytrd_lwork(len(rows.products), lower=1)[0])
    # an orthogonal transformation of the columns makes their products tridiagonal, and those with the response 0 but for the first
    reflectors, diagonal, beside, factors, _ = lapack.dsytrd(rows.products, lower=1, lwork=workspace, overwrite_a=1)
    target = np.zeros(len(rows.mean))
    target[0] = beside[0]
    # the solver wants something beside the diagonal, also where there is nothing
    beside = beside[min(1, len(beside) - 1) :]
    solved = np.stack([lapack.dptsv(diagonal[1:] + penalty, beside, target)[2] for penalty in penalties], axis=1)
    workspace = _REFLECTORS * (len(penalties) + _REFLECTORS)
    return rows.raw(lapack.dormqr("L", "N", reflectors[1:, :-1], factors, solved, workspace)[0])


def with_and_without(moments: Array, penalty: float, blocks: Sequence[slice]) -> Array:
    """Return the coefficients for one penalty, of all columns and without each of some blocks.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    moments : ndarray of float64, (p + 2, p + 2)
        Inner products of response, columns and a constant.
    penalty : float
        Positive, for columns with standard deviation 1.
    blocks : sequence of slice, (b,)

    Returns
    -------
    ndarray of float64, (p + 1, 1 + b)
        Per unit of the columns, 0 for those left out, the intercept behind them.
    """
    from scipy.linalg import lapack

    rows = standardise(moments)
    penalised = rows.products[1:, 1:].copy(order="F")
    penalised[np.diag_indices_from(penalised)] += penalty
    # the inverse of the penalised products is root.T @ root
    factor = lapack.dpotrf(penalised, lower=1, overwrite_a=1)[0]
    root = lapack.dtrtri(factor, lower=1, overwrite_c=1)[0]
    full = root.T @ (root @ rows.products[1:, 0])
    shifts = np.zeros((len(full), 1 + len(blocks)))
    for place, block in enumerate(blocks, start=1):
        # above its diagonal the root is zero
        within = root[block.start :, block]
        shifts[block.start :, place] = within @ np.linalg.solve(within.T @ within, full[block])
    coefficients = full[:, None] - root.T @ shifts
    for place, block in enumerate(blocks, start=1):
        coefficients[block, place] = 0.0
    return rows.raw(coefficients)


def squared_errors(moments: Array, coefficients: Array) -> Array:
    """Return the sums of squared residuals of some rows.

    Parameters
    ----------
    moments : ndarray of float64, (p + 2, p + 2)
        Inner products of response, columns and a constant.
    coefficients : ndarray of float64, (p + 1, c)
        The intercept is the last one.

    Returns
    -------
    ndarray of float64, (c,)
    """
    weights = np.vstack([np.ones(coefficients.shape[1]), -coefficients])
    errors: Array = np.einsum("ic,ic->c", weights, moments @ weights)
    return errors


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """Ridge regression with a penalty chosen by cross-validation.

    Attributes
    ----------
    penalty : float
        Of the model of all rows.
    coefficients : ndarray of float64, (p + 1,)
        Of the model of all rows, per unit of the columns, the intercept behind them.
    r2_in : float
        Of all rows by that model.
    fold_penalties : ndarray of float64, (f,)
        Chosen for each fold by the others.
    fold_coefficients : ndarray of float64, (p + 1, f)
        Of the model that each fold is predicted by.
    r2_held_out : float
        Of all rows, each predicted by the model of its fold.
    delta_r2 : ndarray of float64, (b,)
        What that loses without each block.
    r2_path : ndarray of float64, (a,)
        Of all rows held out, by penalty: what the penalty of all rows is chosen by.
    """

    penalty: float
    coefficients: Array
    r2_in: float
    fold_penalties: Array
    fold_coefficients: Array
    r2_held_out: float
    delta_r2: Array
    r2_path: Array


def fit_ridge(moments: Moments, folds: Folds, penalties: Sequence[float], blocks: Sequence[slice]) -> RidgeFit:
    """Fit a ridge regression, choose its penalty, and tell how well it predicts with all blocks and without each.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    moments : Moments
    folds : Folds
    penalties : sequence of float, (a,)
    blocks : sequence of slice, (b,)
    """
    grid, each = np.asarray(penalties), range(len(folds.tested))
    tested, trained = moments.over(folds.tested), moments.over(folds.trained)
    fold_penalties = grid[_inner_errors(moments, folds, tested, penalties).argmin(axis=1)]
    models = [with_and_without(trained[fold], fold_penalties[fold], blocks) for fold in each]
    errors = np.sum([squared_errors(tested[fold], models[fold]) for fold in each], axis=0)
    held_out = np.sum([squared_errors(tested[fold], ridge_path(trained[fold], penalties)) for fold in each], axis=0)
    penalty = float(grid[held_out.argmin()])
    total = tested.sum(axis=0)
    coefficients = with_and_without(total, penalty, ())
    spread = total[0, 0] - total[0, -1] ** 2 / total[-1, -1]
    return RidgeFit(
        penalty=penalty,
        coefficients=coefficients[:, 0],
        r2_in=float(1 - squared_errors(total, coefficients)[0] / spread),
        fold_penalties=fold_penalties,
        fold_coefficients=np.stack([model[:, 0] for model in models], axis=1),
        r2_held_out=float(1 - errors[0] / spread),
        delta_r2=(errors[1:] - errors[0]) / spread,
        r2_path=1 - held_out / spread,
    )


def _inner_errors(moments: Moments, folds: Folds, tested: Array, penalties: Sequence[float]) -> Array:
    """Return the squared errors that choose the penalty of each fold, made without any of its rows.

    The other folds are held out in turn. What is trained without two folds serves both, one being the fold and the other held out.
    """
    errors = np.zeros((len(folds.tested), len(penalties)))
    pairs = list(combinations(range(len(errors)), 2))
    trained = moments.over(np.array([folds.trained[one] & folds.trained[other] for one, other in pairs]))
    for pair, rows in zip(pairs, trained, strict=True):
        path = ridge_path(rows, penalties)
        for fold, other in (pair, pair[::-1]):
            errors[fold] += squared_errors(tested[other], path)
            # what is too near to the fold must not speak for any penalty
            for segment in np.flatnonzero(folds.tested[other] & ~folds.trained[fold]):
                errors[fold] -= squared_errors(moments.values[segment], path)
    return errors
