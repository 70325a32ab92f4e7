"""Multinomial logistic regression with an L1 penalty: the optimum to rounding, for few features. Arrays only."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TOLERANCE = 1e-6
"""Largest violation of the optimality conditions, as a share of the penalty."""
_MOST_STEPS = 200
_MOST_EXCHANGES = 500
_JOINING = 0.5
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
    objective = problem.objective(coefficients)
    damping = _LEAST_DAMPING
    for _ in range(_MOST_STEPS):
        probabilities = problem.probabilities(coefficients)
        gradient = problem.gradient(probabilities)
        violation = problem.violation(coefficients, gradient)
        if violation.max() <= _TOLERANCE * problem.scale:
            break
        working = problem.movable & ((coefficients != 0) | (violation > 0))
        old, slope, penalty = coefficients[working], gradient[working], problem.penalty[working]
        hessian = problem.hessian(probabilities, working)
        while True:
            proposal = coefficients.copy()
            new = _minimise_quadratic(_damped(hessian, damping), slope, old, penalty)
            proposal[working] = new
            promised = float(slope @ (new - old) + penalty @ (np.abs(new) - np.abs(old)))
            reached = problem.objective(proposal)
            negligible = promised > -_NEGLIGIBLE * (1 + abs(objective))
            if negligible or reached <= objective + _SUFFICIENT * promised:
                break
            # far from where it was made the expansion says little
            damping *= 10
        coefficients, objective = proposal, reached
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


class _Problem:
    """Objective and derivatives: mean weighted negative log-likelihood plus penalty."""

    def __init__(self, features: Array, classes: NDArray[np.intp], class_weights: Array, C: float) -> None:
        n_rows, n_features = features.shape
        n_classes = len(class_weights)
        self.design = np.column_stack([features, np.ones(n_rows)])
        self.observed = np.eye(n_classes)[classes]
        self.weights = class_weights[classes] / n_rows
        self.scale = 1 / (C * n_rows)
        self.penalty = np.full((n_classes, n_features + 1), self.scale)
        self.penalty[:, -1] = 0
        self.movable = np.full(self.penalty.shape, True)
        if n_classes == 2:
            self.movable[0] = False

    def objective(self, coefficients: Array) -> float:
        scores = self.design @ coefficients.T
        highest = scores.max(axis=1, keepdims=True)
        normaliser = np.log(np.exp(scores - highest).sum(axis=1)) + highest[:, 0]
        loss = self.weights @ (normaliser - (scores * self.observed).sum(axis=1))
        return float(loss + (self.penalty * np.abs(coefficients)).sum())

    def probabilities(self, coefficients: Array) -> Array:
        scores = self.design @ coefficients.T
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: Array = raised / raised.sum(axis=1, keepdims=True)
        return shares

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
        design = self.design[:, columns]
        expected = design * probabilities[:, classes]
        weighted = expected * self.weights[:, None]
        second: Array = (design.T @ weighted) * (classes[:, None] == classes) - expected.T @ weighted
        return second


def _damped(hessian: Array, damping: float) -> Array:
    """Return a matrix that is never singular, as it can be: a shift common to all classes changes no probability."""
    damped = hessian.copy()
    damped[np.diag_indices_from(damped)] += damping * np.trace(hessian) / len(hessian) + 1e-300
    return damped


def _minimise_quadratic(hessian: Array, slope: Array, start: Array, penalty: Array) -> Array:
    """Return the minimum of a quadratic plus an L1 penalty: the minimum for given signs, until the signs are right."""
    values, signs, at = start.copy(), np.sign(start), slope
    free, admitted_at = penalty == 0, np.inf

    def height() -> float:
        return float((slope + at) @ (values - start) / 2 + penalty @ np.abs(values))

    for _ in range(_MOST_EXCHANGES):
        # coefficients at zero that want to leave it; one by one when several together brought nothing
        excess = np.where((signs == 0) & ~free, np.abs(at) - penalty * (1 + 1e-9), -1.0)
        most, reached = excess.max(), height()
        if most > 0:
            joining = excess >= (_JOINING * most if reached < admitted_at else most)
            signs[joining] = -np.sign(at[joining])
            admitted_at = reached
        elif _ > 0:
            break
        while True:
            support = np.flatnonzero((signs != 0) | free)
            move = -np.linalg.solve(hessian[np.ix_(support, support)], (at + penalty * signs)[support])
            proposal = values[support] + move
            crossing = (signs[support] * proposal < 0) & ~free[support]
            before, reached = values, height()
            values = before.copy()
            values[support] = np.where(crossing, 0.0, proposal)
            at = slope + hessian @ (values - start)
            if not crossing.any():
                break
            if height() < reached:
                signs[support[crossing]] = 0.0
                continue
            # too many at once: no further than to where the first of them changes its sign
            shares = np.where(crossing, np.abs(before[support]) / np.maximum(np.abs(move), 1e-300), 1.0)
            share = shares.min()
            left = support[crossing & (shares == share)]
            values = before.copy()
            values[support] += share * move
            values[left] = signs[left] = 0.0
            at = slope + hessian @ (values - start)
    return values
