"""Regressions on one predictor, many at once: logistic ones and lines. Arrays only."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST_ROWS = 3
"""A line through two points is always exact."""
_CONVERGED = 1e-8
_MOST_ITERATIONS = 100
_ROUNDING = 1e-12
_AT_A_TIME = 32
"""Predictors whose numbers fit into the processor's cache together."""


def logit_statistics(outcome: Array, predictors: Array) -> tuple[Array, Array]:
    """Return slope and McFadden's R² of a logistic regression on each of several predictors.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    outcome : ndarray of float64, (n,)
        0 or 1.
    predictors : ndarray of float64, (d, n)
        Not a number where a row has no value.

    Returns
    -------
    slope, r2 : ndarray of float64, (d,)
        Not a number with fewer than three values, one outcome, a constant predictor, or outcomes that the predictor separates.
    """
    known = np.isfinite(predictors) & np.isfinite(outcome)
    slope, r2 = (np.full(len(predictors), np.nan) for _ in range(2))
    rows = np.flatnonzero(_has_estimate(outcome, predictors, known))
    for first in range(0, len(rows), _AT_A_TIME):
        some = rows[first : first + _AT_A_TIME]
        slope[some], r2[some] = _fit_logits(outcome, predictors[some], known[some])
    return slope, r2


def _has_estimate(outcome: Array, predictors: Array, known: Bools) -> Bools:
    """Return for which predictors a finite maximum of the likelihood exists: outcomes overlap along the predictor."""
    ones = outcome == 1
    lowest, highest = (
        [fold(np.where(known & group, predictors, empty), axis=1, initial=empty) for group in (ones, ~ones)]
        for fold, empty in ((np.min, np.inf), (np.max, -np.inf))
    )
    overlap: Bools = (highest[0] > lowest[1]) & (highest[1] > lowest[0])
    overlap &= known.sum(axis=1) >= FEWEST_ROWS
    return overlap


def _fit_logits(outcome: Array, predictors: Array, known: Bools) -> tuple[Array, Array]:
    """Return slope and R² for predictors that all have an estimate."""
    # rows without a value weigh nothing
    weight = known.astype(np.float64)
    x = np.where(known, predictors, 0.0)
    sign = np.where(outcome == 1, 1.0, -1.0)
    n_known, n_ones = weight.sum(axis=1), (weight * (outcome == 1)).sum(axis=1)
    share = n_ones / n_known
    without = n_ones * np.log(share) + (n_known - n_ones) * np.log1p(-share)
    estimate = np.stack([np.log(share / (1 - share)), np.zeros(len(x))], axis=1)
    probability, likelihood = _observed_probability(estimate, x, sign, weight)
    slope, r2 = (np.full(len(x), np.nan) for _ in range(2))
    active = np.arange(len(x))
    for _ in range(_MOST_ITERATIONS):
        step = _newton_step(probability, x, sign, weight)
        proposed, probability, reached = _climb(estimate, step, likelihood, x, sign, weight)
        arrived = np.abs(proposed - estimate).max(axis=1) <= _CONVERGED
        estimate, likelihood = proposed, reached
        if arrived.any():
            done = active[arrived]
            slope[done], r2[done] = estimate[arrived, 1], 1 - likelihood[arrived] / without[done]
            going = ~arrived
            active, estimate, likelihood = active[going], estimate[going], likelihood[going]
            probability, x, weight = probability[going], x[going], weight[going]
        if not len(active):
            break
    return slope, r2


def _observed_probability(estimate: Array, x: Array, sign: Array, weight: Array) -> tuple[Array, Array]:
    """Return the probability of each observed outcome, and the log-likelihood of all."""
    # far from the data a probability of zero is as good as any
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        probability: Array = 1 / (1 + np.exp(-sign * (estimate[:, :1] + estimate[:, 1:] * x)))
        return probability, np.einsum("dn,dn->d", weight, np.log(probability))


def _newton_step(probability: Array, x: Array, sign: Array, weight: Array) -> Array:
    """Return the Newton step of intercept and slope, a row per predictor."""
    left = weight * (1 - probability)
    curvature = left * probability
    left *= sign
    curved = curvature * x
    gradient = left.sum(axis=1), np.einsum("dn,dn->d", left, x)
    a, b, c = curvature.sum(axis=1), curved.sum(axis=1), np.einsum("dn,dn->d", curved, x)
    step: Array = np.stack([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        step /= (a * c - b * b)[:, None]
    return step


def _climb(
    estimate: Array, step: Array, likelihood: Array, x: Array, sign: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """Return estimates a step on, halved where it would lead down, with their probabilities and log-likelihoods."""
    proposed = estimate + step
    probability, reached = _observed_probability(proposed, x, sign, weight)
    # rounding is no way down
    least = likelihood - _ROUNDING * np.abs(likelihood)
    down = np.flatnonzero(~(reached >= least))
    fraction = 0.5
    while len(down) and fraction > _CONVERGED:
        proposed[down] = estimate[down] + fraction * step[down]
        probability[down], reached[down] = _observed_probability(proposed[down], x[down], sign, weight[down])
        down = down[~(reached[down] >= least[down])]
        fraction /= 2
    return proposed, probability, reached


def line_statistics(predictor: Array, outcomes: Array) -> tuple[Array, Array]:
    """Return slope and R² of the least-squares line of each of several outcomes on a predictor.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    predictor : ndarray of float64, (n,)
    outcomes : ndarray of float64, (d, n)
        Not a number where a row has no value.

    Returns
    -------
    slope, r2 : ndarray of float64, (d,)
        Not a number with fewer than three values, or where predictor or outcome are constant.
    """
    known = np.isfinite(outcomes) & np.isfinite(predictor)
    n_known = known.sum(axis=1)
    enough = n_known >= FEWEST_ROWS
    count = np.maximum(n_known, 1)[:, None]
    centred = []
    for values in (np.broadcast_to(predictor, outcomes.shape), outcomes):
        filled = np.where(known, values, 0.0)
        centred.append(known * (filled - filled.sum(axis=1, keepdims=True) / count))
        extent = np.where(known, values, -np.inf).max(axis=1, initial=-np.inf)
        enough &= extent > np.where(known, values, np.inf).min(axis=1, initial=np.inf)
    x, y = centred
    xx, xy, yy = (np.einsum("dn,dn->d", a, b) for a, b in ((x, x), (x, y), (y, y)))
    slope, r2 = (np.full(len(outcomes), np.nan) for _ in range(2))
    slope[enough] = xy[enough] / xx[enough]
    r2[enough] = xy[enough] ** 2 / (xx[enough] * yy[enough])
    return slope, r2
