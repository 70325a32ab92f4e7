"""Multinomial logistic regression with an L1 penalty: the optimum to rounding, for few features. Arrays only."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TOLERANCE = 1e-6
"""Largest violation of the optimality conditions, as a share of the penalty."""
_MOST_STEPS = 200
_MOST_EXCHANGES = 500
_JOINING = 0.3
"""Coefficients at zero that want to leave it come in together when they want it by this share of the one that does most."""
_LEAST_DAMPING = 1e-9
_SUFFICIENT = 0.1
"""Share of the promised gain that a step must bring."""
_NEGLIGIBLE = 1e-15
"""Gain that rounding hides."""


def balanced_weights(classes: NDArray[np.intp]) -> Array:
    """Return the weights with which every class weighs as much as any other, and a row 1 on average.

    Parameters
    ----------
    classes : ndarray of int, (n,)
        From 0 to k - 1, each of them present.

    Returns
    -------
    ndarray of float64, (k,)
    """
    counts = np.bincount(classes)
    weights: Array = len(classes) / (len(counts) * counts)
    return weights


def fit_sparse_logistic(
    features: Array, classes: NDArray[np.intp], class_weights: Array, C: float, start: Array | None = None
) -> Array:
    """Fit a logistic regression with an L1 penalty on all but the intercepts.

    See `docs/methods/decoding.md`.

    Parameters
    ----------
    features : ndarray of float64, (n, p)
    classes : ndarray of int, (n,)
        From 0 to k - 1, each of them present.
    class_weights : ndarray of float64, (k,)
        Weight of a row of each class, k at least 2.
    C : float
        Weight of the likelihood against the penalty.
    start : ndarray of float64, (k, p + 1), optional
        Where to start; it changes the time and not the result.

    Returns
    -------
    ndarray of float64, (k, p + 1)
        Coefficients, the intercept last. With two classes the first row is zero; otherwise the coefficients of a feature
        have the median zero, which the penalty asks for or, with an even number of classes, leaves open; intercepts have
        the mean zero.
    """
    n_classes = len(class_weights)
    problem = _Problem(features, classes, class_weights, C)
    coefficients = np.zeros((n_classes, features.shape[1] + 1)) if start is None else start.copy()
    objective, probabilities = problem.at(coefficients)
    damping = _LEAST_DAMPING
    for _ in range(_MOST_STEPS):
        gradient = problem.gradient(probabilities)
        violation = problem.violation(coefficients, gradient)
        if violation.max() <= _TOLERANCE * problem.scale:
            break
        working = problem.movable & ((coefficients != 0) | (violation > _JOINING * violation.max()))
        old, slope, penalty = coefficients[working], gradient[working], problem.penalty[working]
        hessian = problem.hessian(probabilities, working)
        while True:
            proposal = coefficients.copy()
            new = _minimise_quadratic(_Quadratic(_damped(hessian, damping), slope, old, penalty))
            proposal[working] = new
            promised = float(slope @ (new - old) + penalty @ (np.abs(new) - np.abs(old)))
            reached, expected = problem.at(proposal)
            negligible = promised > -_NEGLIGIBLE * (1 + abs(objective))
            if negligible or reached <= objective + _SUFFICIENT * promised:
                break
            # far from where it was made the expansion says little
            damping *= 10
        coefficients, objective, probabilities = proposal, reached, expected
        damping = max(damping / 10, _LEAST_DAMPING)
        if negligible and damping == _LEAST_DAMPING:
            break
    if n_classes > 2:
        coefficients[:, :-1] -= np.median(coefficients[:, :-1], axis=0)
        coefficients[:, -1] -= coefficients[:, -1].mean()
    return coefficients


def decision_scores(features: Array, coefficients: Array) -> Array:
    """Return the logarithm of the probability of each class, up to a constant per row.

    Parameters
    ----------
    features : ndarray of float64, (n, p)
    coefficients : ndarray of float64, (k, p + 1)
        As fitted.

    Returns
    -------
    ndarray of float64, (n, k)
    """
    scores: Array = features @ coefficients[:, :-1].T + coefficients[:, -1]
    return scores


def moved_alike(coefficients: Array, before: Array, after: Array) -> Array:
    """Return coefficients moved as others moved, from where a search can start; those that would change their sign are zero.

    Parameters
    ----------
    coefficients, before, after : ndarray of float64, (k, p + 1)
    """
    moved = coefficients + after - before
    signs = np.sign(np.where(after != 0, after, coefficients))
    return np.where(np.sign(moved) == signs, moved, 0.0)


class _Problem:
    """Objective and derivatives: mean weighted negative log-likelihood plus penalty."""

    def __init__(self, features: Array, classes: NDArray[np.intp], class_weights: Array, C: float) -> None:
        n_rows, n_features = features.shape
        n_classes = len(class_weights)
        self.design = np.column_stack([features, np.ones(n_rows)])
        # each in one piece, which makes gathering some of them quick
        self.columns = np.ascontiguousarray(self.design.T)
        self.observed = np.eye(n_classes)[classes]
        self.weights = class_weights[classes] / n_rows
        self.scale = 1 / (C * n_rows)
        self.penalty = np.full((n_classes, n_features + 1), self.scale)
        self.penalty[:, -1] = 0
        self.movable = np.full(self.penalty.shape, True)
        if n_classes == 2:
            self.movable[0] = False

    def at(self, coefficients: Array) -> tuple[float, Array]:
        """Return the objective, and the probability of every class in every row."""
        scores = self.design @ coefficients.T
        scores -= scores.max(axis=1, keepdims=True)
        raised = np.exp(scores)
        total = raised.sum(axis=1)
        loss = self.weights @ (np.log(total) - (scores * self.observed).sum(axis=1))
        return float(loss + (self.penalty * np.abs(coefficients)).sum()), raised / total[:, None]

    def gradient(self, probabilities: Array) -> Array:
        slope: Array = (self.weights[:, None] * (probabilities - self.observed)).T @ self.design
        return slope

    def violation(self, coefficients: Array, gradient: Array) -> Array:
        """Return how far the smallest subgradient is from zero."""
        at_zero = np.maximum(np.abs(gradient) - self.penalty, 0)
        elsewhere = np.abs(gradient + self.penalty * np.sign(coefficients))
        violation: Array = np.where(coefficients == 0, at_zero, elsewhere) * self.movable
        return violation

    def hessian(self, probabilities: Array, working: NDArray[np.bool_]) -> Array:
        """Return the second derivatives among the working coefficients."""
        classes, columns = np.nonzero(working)
        roots = np.sqrt(self.weights)
        expected = self.columns[columns]
        expected *= (roots[:, None] * probabilities).T[classes]
        second: Array = -(expected @ expected.T)
        edges = np.searchsorted(classes, np.arange(len(working) + 1))
        for share, first, last in zip(np.sqrt(probabilities.T), edges[:-1], edges[1:], strict=True):
            of_class = self.columns[columns[first:last]]
            of_class *= share * roots
            second[first:last, first:last] += of_class @ of_class.T
        return second


def _damped(hessian: Array, damping: float) -> Array:
    """Return a matrix that is never singular, as it can be: a shift common to all classes changes no probability."""
    damped = hessian.copy()
    damped[np.diag_indices_from(damped)] += damping * np.trace(hessian) / len(hessian) + 1e-300
    return damped


class _Quadratic:
    """A quadratic plus an L1 penalty."""

    def __init__(self, hessian: Array, slope: Array, start: Array, penalty: Array) -> None:
        self.hessian, self.slope, self.start, self.penalty = hessian, slope, start, penalty

    def gradient(self, values: Array) -> Array:
        """Return the derivatives of the quadratic."""
        at: Array = self.slope + self.hessian @ (values - self.start)
        return at

    def height(self, values: Array, gradient: Array) -> float:
        """Return the function beside its value without penalty at the start."""
        return float((self.slope + gradient) @ (values - self.start) / 2 + self.penalty @ np.abs(values))


def _minimise_quadratic(quadratic: _Quadratic) -> Array:
    """Return the minimum: that for given signs, until the signs are right."""
    penalty, values, admitted_at = quadratic.penalty, quadratic.start, np.inf
    signs, free = np.sign(values), penalty == 0
    for _ in range(_MOST_EXCHANGES):
        values, gradient = _settle(quadratic, values, signs)
        excess = np.where((signs == 0) & ~free, np.abs(gradient) - penalty * (1 + 1e-9), -1.0)
        most, height = excess.max(), quadratic.height(values, gradient)
        if most <= 0:
            break
        # one by one when several together brought nothing
        joining = excess >= (_JOINING * most if height < admitted_at else most)
        signs[joining] = -np.sign(gradient[joining])
        admitted_at = height
    return values


def _settle(quadratic: _Quadratic, values: Array, signs: Array) -> tuple[Array, Array]:
    """Return the minimum for given signs, and the gradient there; signs that would change become zero."""
    penalty = quadratic.penalty
    gradient = quadratic.gradient(values)
    while True:
        support = np.flatnonzero((signs != 0) | (penalty == 0))
        force = (gradient + penalty * signs)[support]
        move = -np.linalg.solve(quadratic.hessian[np.ix_(support, support)], force)
        moved = values[support] + move
        crossing = (signs[support] * moved < 0) & (penalty[support] > 0)
        before, height = values, quadratic.height(values, gradient)
        values = before.copy()
        values[support] = np.where(crossing, 0.0, moved)
        gradient = quadratic.gradient(values)
        if not crossing.any():
            return values, gradient
        left = support[crossing]
        if not quadratic.height(values, gradient) < height:
            # too many at once: no further than to where the first of them changes its sign
            shares = np.where(crossing, np.abs(before[support]) / np.maximum(np.abs(move), 1e-300), 1.0)
            share = shares.min()
            left = support[crossing & (shares == share)]
            values = before.copy()
            values[support] += share * move
            values[left] = 0.0
            gradient = quadratic.gradient(values)
        signs[left] = 0.0
