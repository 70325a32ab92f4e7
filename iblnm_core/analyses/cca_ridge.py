"""Canonical correlation with ridge: how much of either view is chosen by what it predicts of subjects left out. Arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

RIDGES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""What may be added to the diagonal of a correlation matrix."""
_MOST_FOLDS = 5
_SMALLEST_EIGENVALUE = 1e-10
"""Of the largest: smaller ones are rounding."""
_DIGITS = 12
"""Correlations that differ beyond are equal."""
_CHUNK = 200
"""Permutations at a time: memory does not grow with their number."""


@dataclass(frozen=True)
class RidgeChoice:
    """The penalties that predict best.

    Attributes
    ----------
    x_ridge, y_ridge : float
        The smallest of the best.
    held_out : float
        Correlation of scores of subjects that weights were not fitted to.
    """

    x_ridge: float
    y_ridge: float
    held_out: float


@dataclass(frozen=True, eq=False)
class _Training:
    """One view in the training rows of a fold, for several orders of its rows.

    Attributes
    ----------
    training, testing : ndarray of float64, (p, t, f) and (p, h, f)
        In SDs from the mean of the training rows.
    directions : ndarray of float64, (p, f, f)
        Eigenvectors of the correlations of the training rows.
    eigenvalues : ndarray of float64, (p, f)
    scale : ndarray of float64, (p, r, f)
        What each direction is multiplied with, by ridge; zero along directions without variance.
    """

    training: Array
    testing: Array
    directions: Array
    eigenvalues: Array
    scale: Array

    @classmethod
    def of(cls, rows: Array, held_out: NDArray[np.bool_]) -> "_Training":
        own = rows[:, ~held_out]
        mean, spread = own.mean(axis=1, keepdims=True), own.std(axis=1, keepdims=True)
        varies = spread > 1e-12 * np.abs(mean)
        scaled = np.where(varies, (rows - mean) / np.where(varies, spread, 1.0), 0.0)
        training, testing = scaled[:, ~held_out], scaled[:, held_out]
        values, directions = np.linalg.eigh(training.swapaxes(1, 2) @ training / training.shape[1])
        kept = (values > _SMALLEST_EIGENVALUE * values[:, -1:])[:, None]
        penalised = np.where(kept, values[:, None] + np.array(RIDGES)[:, None], 1.0)
        return cls(training, testing, directions, np.maximum(values, 0.0), np.where(kept, penalised**-0.5, 0.0))


def subject_folds(subjects: Sequence[str] | ArrayLike) -> NDArray[np.intp]:
    """Return the fold of each row, all rows of a subject in one: from the largest subject on, into the smallest fold.

    Parameters
    ----------
    subjects : sequence of str, (n,)
        At least two different ones; there are as many folds, but never more than five.

    Returns
    -------
    ndarray of intp, (n,)
    """
    _, codes, counts = np.unique(np.asarray(subjects, dtype=object), return_inverse=True, return_counts=True)
    sizes = np.zeros(min(_MOST_FOLDS, len(counts)), dtype=np.intp)
    folds = np.empty(len(counts), dtype=np.intp)
    for subject in np.argsort(-counts, kind="stable"):
        folds[subject] = sizes.argmin()
        sizes[folds[subject]] += counts[subject]
    return folds[codes]


def held_out_correlations(x: Array, y: Array, folds: NDArray[np.intp], order: NDArray[np.intp]) -> Array:
    """Return how well canonical pairs fitted to some folds hold in the others, for every ridge and order of rows.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    x : ndarray of float64, (n, f)
    y : ndarray of float64, (n, g)
    folds : ndarray of intp, (n,)
        Of the rows of `x`.
    order : ndarray of intp, (p, n)
        Which row of `y` comes to each place.

    Returns
    -------
    ndarray of float64, (p, r, r)
        By order, ridge of `x` and ridge of `y`; 0 where no direction predicts anything.
    """
    chunks = [_of_chunk(x, y, folds, order[start : start + _CHUNK]) for start in range(0, len(order), _CHUNK)]
    return np.concatenate(chunks)


def _of_chunk(x: Array, y: Array, folds: NDArray[np.intp], order: NDArray[np.intp]) -> Array:
    permuted = y[order]
    # products of scores of all held-out rows: of both views, of one with itself
    sums = np.zeros((3, len(order), len(RIDGES), len(RIDGES)))
    for fold in range(folds.max() + 1):
        of_x, of_y = _Training.of(x[None], folds == fold), _Training.of(permuted, folds == fold)
        x_scores, y_scores = _held_out_scores(of_x, of_y)
        products = (x_scores * y_scores, x_scores**2, y_scores**2)
        sums += np.stack([product.sum(axis=-1) for product in products])
    both, of_x_alone, of_y_alone = sums
    size = np.sqrt(of_x_alone * of_y_alone)
    return np.divide(both, size, out=np.zeros_like(both), where=size > 0)


def _held_out_scores(x: _Training, y: _Training) -> tuple[Array, Array]:
    """Return the scores of held-out rows in SDs of those of training rows, (p, r, r, h) each."""
    mixed = x.directions.swapaxes(1, 2) @ (x.training.swapaxes(1, 2) @ y.training) @ y.directions / x.training.shape[1]
    whitened = x.scale[:, :, None, :, None] * mixed[:, None, None] * y.scale[:, None, :, None, :]
    right = np.linalg.eigh(whitened.swapaxes(-1, -2) @ whitened)[1][..., -1]
    left = (whitened @ right[..., None])[..., 0]
    x_weights, y_weights = x.scale[:, :, None] * left, y.scale[:, None] * right
    return _scores(x, x_weights), _scores(y, y_weights)


def _scores(view: _Training, weights: Array) -> Array:
    """Return the scores of held-out rows from weights of the eigenvectors, (p, r, r, f)."""
    spread = np.sqrt((weights**2 * view.eigenvalues[:, None, None]).sum(axis=-1, keepdims=True))
    unit = np.divide(weights, spread, out=np.zeros_like(weights), where=spread > 0)
    along = (view.testing @ view.directions).swapaxes(1, 2)
    scores: Array = unit @ along[:, None]
    return scores


def choose_ridge(x: Array, y: Array, folds: NDArray[np.intp]) -> RidgeChoice:
    """Return the penalties whose canonical pair holds best in subjects that it was not fitted to.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    x : ndarray of float64, (n, f)
    y : ndarray of float64, (n, g)
    folds : ndarray of intp, (n,)
    """
    found = held_out_correlations(x, y, folds, np.arange(len(x))[None])[0]
    x_place, y_place = np.unravel_index(np.round(found, _DIGITS).argmax(), found.shape)
    return RidgeChoice(RIDGES[x_place], RIDGES[y_place], float(found[x_place, y_place]))


def best_held_out(x: Array, y: Array, folds: NDArray[np.intp], order: NDArray[np.intp]) -> Array:
    """Return the held-out correlation with the best penalties, chosen anew for every order of rows.

    Parameters
    ----------
    x : ndarray of float64, (n, f)
    y : ndarray of float64, (n, g)
    folds : ndarray of intp, (n,)
        Of the rows of `x`.
    order : ndarray of intp, (p, n)
        Which row of `y` comes to each place.

    Returns
    -------
    ndarray of float64, (p,)
    """
    best: Array = held_out_correlations(x, y, folds, order).max(axis=(1, 2))
    return best
