"""Regressions on one predictor, many at once: logistic ones and lines. Arrays only."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST_ROWS = 3
"""A line through two points is always exact."""
_CONVERGED = 1e-8
_ALMOST = 1e-5
"""Change of any log odds by a Newton step after which the next one, of the order of its square, is below `_CONVERGED`."""
_PLAIN_STEPS = 7
_ROUGH_STEPS = 2
"""Of these, in single precision, which is enough on the way."""
_MOST_ITERATIONS = 100
_ROUNDING = 1e-12
_VARIES = 1e-6
"""Smallest share of a sum of squares that its part about the mean is, for this to be known to ten digits."""
_AT_A_TIME = 64
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
    ones = np.where(outcome == 1, 1.0, 0.0)
    for first in range(0, len(predictors), _AT_A_TIME):
        some = slice(first, first + _AT_A_TIME)
        slope[some], r2[some] = _plain_newton(ones, np.where(known[some], predictors[some], 0.0), known[some])
    # few are left: what has no estimate, and what plain steps do not lead to
    rows = np.flatnonzero(np.isnan(slope))
    if len(rows):
        rows = rows[_has_estimate(outcome, predictors[rows], known[rows])]
        slope[rows], r2[rows] = _fit_logits(outcome, predictors[rows], known[rows])
    return slope, r2


def _plain_newton(ones: Array, filled: Array, known: Bools) -> tuple[Array, Array]:
    """Return slope and R² where Newton steps arrive that start from the intercept alone: at the maximum or nowhere.

    Predictors are zero where they are not known.
    """
    n_known, n_ones = known.sum(axis=1), known @ ones
    observed, total = np.stack([n_ones, filled @ ones]), filled.sum(axis=1)
    reach = np.maximum(filled.max(axis=1, initial=0.0), -filled.min(axis=1, initial=0.0))
    # sums overflow or vanish where there is no estimate
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        share = n_ones / n_known
        # at the start the probability is the same in all rows
        estimate = np.stack([np.log(share / (1 - share)), np.zeros(len(filled))])
        expected = np.stack([n_ones, share * total])
        curvature = share * (1 - share) * np.stack([n_known, total, np.vecdot(filled, filled)])
        rough = filled.astype(np.float32)
        for number in range(_PLAIN_STEPS):
            estimate = estimate + _solved(curvature, observed - expected)
            x = rough if number < _ROUGH_STEPS else filled
            expected, curvature, inverse = _logit_sums(estimate, x, known.shape[1] - n_known)
            if number < _ROUGH_STEPS:
                continue
            step = _solved(curvature, observed - expected)
            arrived = np.abs(step[0]) + np.abs(step[1]) * reach <= _ALMOST
            if arrived.all():
                break
        # of the last step the likelihood is known from its derivatives
        unknown = (known.shape[1] - n_known) * np.log1p(np.exp(-estimate[0]))
        likelihood = np.vecdot(estimate.T, (observed - [n_known, total]).T) - np.log(inverse).sum(axis=1) + unknown
        likelihood += np.vecdot(step.T, (observed - expected).T) / 2
        chance = n_ones * np.log(share) + (n_known - n_ones) * np.log1p(-share)
        # steps tell nothing where the predictor hardly varies
        level, tilt, square = curvature
        arrived &= (n_known >= FEWEST_ROWS) & (level * square - tilt**2 > _VARIES * level * square)
        return np.where(arrived, estimate[1] + step[1], np.nan), np.where(arrived, 1 - likelihood / chance, np.nan)


def _logit_sums(
    estimate: Array, filled: "NDArray[np.floating]", n_unknown: NDArray[np.intp]
) -> tuple[Array, Array, Array]:
    """Return sums over known rows: of probabilities, their curvature, each also times the predictor; and 1 / probability."""
    intercept, slope = estimate.astype(filled.dtype)[:, :, None]
    inverse = filled * -slope
    inverse -= intercept
    np.exp(inverse, out=inverse)
    inverse += 1
    probability = 1 / inverse
    # a row without a value has the predictor zero
    elsewhere = 1 / (1 + np.exp(-estimate[0]))
    expected = np.stack([probability.sum(axis=1) - n_unknown * elsewhere, np.vecdot(probability, filled)])
    probability *= 1 - probability
    flat = probability.sum(axis=1) - n_unknown * elsewhere * (1 - elsewhere)
    probability *= filled
    return expected, np.stack([flat, probability.sum(axis=1), np.vecdot(probability, filled)]), inverse


def _solved(curvature: Array, gradient: Array) -> Array:
    """Return Newton steps of intercept and slope, (2, d)."""
    a, b, c = curvature
    step: Array = np.stack([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]]) / (a * c - b * b)
    return step


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
    gradient = np.stack([left.sum(axis=1), np.vecdot(left, x)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return _solved(np.stack([curvature.sum(axis=1), curved.sum(axis=1), np.vecdot(curved, x)]), gradient).T


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
    count = np.maximum(n_known, 1)
    x = np.where(np.isfinite(predictor), predictor, 0.0)
    x -= x.mean() if len(x) else 0.0
    y = np.where(known, outcomes, 0.0)
    mean = y.sum(axis=1) / count
    y -= mean[:, None]
    y *= known
    sums, squares = (known @ np.stack([x, x**2], axis=1)).T
    xx, xy, yy = squares - sums**2 / count, y @ x, np.vecdot(y, y)
    # differences of sums tell no constant from what hardly varies
    sound = (n_known >= FEWEST_ROWS) & (xx > _VARIES * squares) & (yy > _VARIES**2 * count * mean**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope, r2 = np.where(sound, [xy / xx, xy**2 / (xx * yy)], np.nan)
    if not sound.all():
        slope[~sound], r2[~sound] = _careful_lines(predictor, outcomes[~sound], known[~sound])
    return slope, r2


def _careful_lines(predictor: Array, outcomes: Array, known: Bools) -> tuple[Array, Array]:
    """Return slope and R² of lines whose predictor or outcome may be constant."""
    n_known = known.sum(axis=1)
    enough = n_known >= FEWEST_ROWS
    centred = []
    for values in (np.broadcast_to(predictor, outcomes.shape), outcomes):
        filled = np.where(known, values, 0.0)
        centred.append(known * (filled - filled.sum(axis=1, keepdims=True) / np.maximum(n_known, 1)[:, None]))
        extent = np.where(known, values, -np.inf).max(axis=1, initial=-np.inf)
        enough &= extent > np.where(known, values, np.inf).min(axis=1, initial=np.inf)
    x, y = centred
    xx, xy, yy = np.vecdot(x, x), np.vecdot(x, y), np.vecdot(y, y)
    slope, r2 = (np.full(len(outcomes), np.nan) for _ in range(2))
    slope[enough] = xy[enough] / xx[enough]
    r2[enough] = xy[enough] ** 2 / (xx[enough] * yy[enough])
    return slope, r2
