"""The psychometric function with two lapses: fitted by maximum likelihood, many data sets at once. Arrays only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.parameters import PsychometricParameters

Array = NDArray[np.float64]

BIAS, THRESHOLD, LAPSE_RIGHT, LAPSE_LEFT = range(4)
PARAMETER_NAMES = ("bias", "threshold", "lapse_right", "lapse_left")
"""Order of the parameters in arrays: beta, tau, gamma 1 and gamma 2 of `docs/methods/task_performance.md`."""

FitStatus = Literal["ok", "no trials", "thin data"]

_GRID_BIASES, _GRID_THRESHOLDS, _GRID_LAPSES = 15, 6, (0.1, 0.5, 0.9)
"""Points of the first look at the likelihood: so many biases and thresholds, and lapses as shares of their range."""
_N_STARTS = 4
_TINY = np.finfo(np.float64).eps
_MOST_ITERATIONS = 200
_CONVERGED_GAIN = 1e-10
_SMALLEST_DAMPING, _LARGEST_DAMPING = 1e-9, 1e7
_SMALLEST_PROBABILITY = 1e-9
_LIGHT_DAMPING = 1e-2


@dataclass(frozen=True)
class ChoiceCounts:
    """Choices by signed contrast.

    Attributes
    ----------
    levels : ndarray of float64, (l,)
        Signed contrasts, percent, increasing.
    n_trials, n_right : ndarray of float64, (l,)
        Trials, and those with a rightward choice.
    """

    levels: Array
    n_trials: Array
    n_right: Array


@dataclass(frozen=True)
class PsychometricFit:
    """The psychometric function of one set of trials.

    Attributes
    ----------
    status : {'ok', 'no trials', 'thin data'}
        Whether there was enough to fit; if not, all estimates are not a number.
    bias, threshold : float
        Percent contrast.
    lapse_left, lapse_right : float
        Lapses named for the choice: leftward choices on the strongest right stimuli, and rightward ones on the left.
    r_squared : float
        Over contrast levels, each with equal weight; not below 0.
    log_likelihood : float
        Natural logarithm, of the choices in their order.
    n_trials : int
    at_bound : tuple of str
        Parameters on a bound: their value says where the search ended, not what the mouse does.
    """

    status: FitStatus
    bias: float
    threshold: float
    lapse_left: float
    lapse_right: float
    r_squared: float
    log_likelihood: float
    n_trials: int
    at_bound: tuple[str, ...] = ()


def count_choices(signed_contrast: Array, right: NDArray[np.bool_]) -> ChoiceCounts:
    """Count choices by contrast level; the two sides of zero are one level.

    Parameters
    ----------
    signed_contrast : ndarray of float64, (n,)
        Percent.
    right : ndarray of bool, (n,)
        Whether the choice was rightward.
    """
    # adding zero makes one of the two zeros
    levels, places = np.unique(signed_contrast + 0.0, return_inverse=True)
    n_trials = np.bincount(places, minlength=len(levels)).astype(np.float64)
    n_right = np.bincount(places, weights=right, minlength=len(levels)).astype(np.float64)
    return ChoiceCounts(levels, n_trials, n_right)


def psychometric_function(contrast: Array, parameters: Array) -> Array:
    """Return the probability of a rightward choice.

    Parameters
    ----------
    contrast : ndarray of float64, (..., l)
        Signed, percent.
    parameters : ndarray of float64, (..., 4)
        In the order of `PARAMETER_NAMES`.
    """
    from scipy.special import erf

    bias, threshold, lapse_right, lapse_left = (parameters[..., place, None] for place in range(4))
    rising: Array = (erf((contrast - bias) / threshold) + 1) / 2
    probability: Array = lapse_right + (1 - lapse_right - lapse_left) * rising
    return probability


def fit_psychometrics(data: Sequence[ChoiceCounts], parameters: PsychometricParameters) -> list[PsychometricFit]:
    """Fit the psychometric function to many data sets at once.

    See `docs/methods/task_performance.md`. The same input gives the same result, whatever else is in the batch.

    Parameters
    ----------
    data : sequence of ChoiceCounts
    parameters : PsychometricParameters
    """
    enough = [_is_enough(counts, parameters) for counts in data]
    fitted = [counts for counts, able in zip(data, enough, strict=True) if able]
    lower, upper = np.array(parameters.bounds).T
    best = iter(_best_of_all_starts(fitted, lower, upper)) if fitted else iter(())
    fits = []
    for counts, able in zip(data, enough, strict=True):
        n_trials = int(counts.n_trials.sum())
        if not able:
            unknown = (np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
            fits.append(PsychometricFit("thin data" if n_trials else "no trials", *unknown, n_trials))
            continue
        estimate, log_likelihood = next(best)
        near = 1e-6 * (upper - lower)
        on_bound = (estimate - lower < near) | (upper - estimate < near)
        fits.append(
            PsychometricFit(
                "ok",
                bias=float(estimate[BIAS]),
                threshold=float(estimate[THRESHOLD]),
                lapse_left=float(estimate[LAPSE_LEFT]),
                lapse_right=float(estimate[LAPSE_RIGHT]),
                r_squared=_r_squared(counts, estimate),
                log_likelihood=float(log_likelihood),
                n_trials=n_trials,
                at_bound=tuple(name for name, on in zip(PARAMETER_NAMES, on_bound, strict=True) if on),
            )
        )
    return fits


def _is_enough(counts: ChoiceCounts, parameters: PsychometricParameters) -> bool:
    return bool(counts.n_trials.sum() > 0 and len(counts.levels) >= parameters.minimum_levels)


def _r_squared(counts: ChoiceCounts, estimate: Array) -> float:
    shares = counts.n_right / counts.n_trials
    residual = float(((shares - psychometric_function(counts.levels, estimate)) ** 2).sum())
    total = float(((shares - shares.mean()) ** 2).sum())
    if total == 0:
        return 1.0 if residual == 0 else 0.0
    return max(0.0, 1 - residual / total)


def _best_of_all_starts(data: Sequence[ChoiceCounts], lower: Array, upper: Array) -> list[tuple[Array, float]]:
    """Return the best estimate of every data set and its log-likelihood."""
    widest = max(len(counts.levels) for counts in data)
    levels, n_trials, n_right = (np.zeros((len(data), widest)) for _ in range(3))
    for place, counts in enumerate(data):
        # missing levels have no trials, and so no weight
        levels[place, : len(counts.levels)] = counts.levels
        n_trials[place, : len(counts.levels)] = counts.n_trials
        n_right[place, : len(counts.levels)] = counts.n_right
    starts = _starts(levels, n_trials, n_right, lower, upper)
    levels, n_trials, n_right = (np.repeat(array, _N_STARTS, axis=0) for array in (levels, n_trials, n_right))
    climb = _Climb(levels, n_trials, n_right, starts.reshape(-1, starts.shape[-1]), lower, upper)
    climb.run()
    by_start = climb.likelihood.reshape(len(data), _N_STARTS)
    best = by_start.argmax(axis=1) + np.arange(len(data)) * _N_STARTS
    return [(climb.estimate[row], climb.likelihood[row]) for row in best]


def _starts(levels: Array, n_trials: Array, n_right: Array, lower: Array, upper: Array) -> Array:
    """Return, for every data set, the most likely points of a grid, its local maxima first; (f, starts, 4)."""
    low, span = lower, upper - lower
    inside = np.linspace(0, 1, _GRID_BIASES + 2)[1:-1]
    axes = (
        low[BIAS] + span[BIAS] * inside,
        # thresholds matter by their ratio
        np.geomspace(low[THRESHOLD], upper[THRESHOLD], _GRID_THRESHOLDS),
        *(low[place] + span[place] * np.array(_GRID_LAPSES) for place in (LAPSE_RIGHT, LAPSE_LEFT)),
    )
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    flat = grid.reshape(-1, grid.shape[-1])
    likelihood = _log_likelihood(levels[:, None], n_trials[:, None], n_right[:, None], flat)
    by_lapse = likelihood.reshape(len(levels), _GRID_BIASES, _GRID_THRESHOLDS, -1)
    best = by_lapse.max(axis=-1)
    padded = np.pad(best, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    around = [padded[:, i : i + _GRID_BIASES, j : j + _GRID_THRESHOLDS] for i, j in shifts]
    is_maximum = (best >= np.max(around, axis=0)).reshape(len(levels), -1)
    values = best.reshape(len(levels), -1)
    order = np.lexsort((-values, ~is_maximum), axis=-1)[:, :_N_STARTS]
    lapses = by_lapse.argmax(axis=-1).reshape(len(levels), -1)
    chosen = np.take_along_axis(lapses, order, axis=1) + order * by_lapse.shape[-1]
    starts: Array = flat[chosen]
    return starts


def _log_likelihood(levels: Array, n_trials: Array, n_right: Array, estimate: Array) -> Array:
    probability = np.clip(psychometric_function(levels, estimate), _TINY, 1 - _TINY)
    total: Array = (n_right * np.log(probability) + (n_trials - n_right) * np.log1p(-probability)).sum(-1)
    return total


class _Climb:
    """Damped Newton steps inside a box, for many rows at once; each row is a search of its own."""

    def __init__(
        self, levels: Array, n_trials: Array, n_right: Array, starts: Array, lower: Array, upper: Array
    ) -> None:
        self.levels, self.n_trials, self.n_right = levels, n_trials, n_right
        self.lower, self.upper = lower, upper
        self.estimate = starts
        self.likelihood = self._likelihood(np.arange(len(starts)), starts)
        self.damping = np.full(len(starts), 1e-3)

    def run(self) -> None:
        """Let every row climb until it gains nothing any more."""
        rows = np.arange(len(self.estimate))
        for _ in range(_MOST_ITERATIONS):
            if not len(rows):
                return
            step, promised = self._step(rows)
            # a heavily damped step promises little wherever it is
            hopeless = (promised < _CONVERGED_GAIN) & (self.damping[rows] < _LIGHT_DAMPING)
            rows, step = rows[~hopeless], step[~hopeless]
            proposed = np.clip(self.estimate[rows] + step, self.lower, self.upper)
            likelihood = self._likelihood(rows, proposed)
            better = likelihood > self.likelihood[rows]
            self.estimate[rows[better]] = proposed[better]
            self.likelihood[rows[better]] = likelihood[better]
            self.damping[rows] = np.maximum(self.damping[rows] * np.where(better, 0.2, 5.0), _SMALLEST_DAMPING)
            rows = rows[self.damping[rows] < _LARGEST_DAMPING]

    def _likelihood(self, rows: NDArray[np.intp], estimate: Array) -> Array:
        return _log_likelihood(self.levels[rows], self.n_trials[rows], self.n_right[rows], estimate)

    def _step(self, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return the damped step of rows and the gain it promises; a parameter pressed against its bound stays there."""
        from scipy.special import erf

        bias, threshold, lapse_right, lapse_left = self.estimate[rows].T[..., None]
        n_trials, n_right = self.n_trials[rows], self.n_right[rows]
        z = (self.levels[rows] - bias) / threshold
        rising = (erf(z) + 1) / 2
        density = np.exp(-(z**2)) / (np.sqrt(np.pi) * threshold)
        span = 1 - lapse_right - lapse_left
        probability = np.clip(lapse_right + span * rising, _TINY, 1 - _TINY)
        gradient = np.stack([-span * density, -span * density * z, 1 - rising, -rising], axis=-1)
        pull = n_right / probability - (n_trials - n_right) / (1 - probability)
        score = np.einsum("rl,rlp->rp", pull, gradient)
        weights = n_right / np.maximum(probability, _SMALLEST_PROBABILITY) ** 2
        weights += (n_trials - n_right) / np.maximum(1 - probability, _SMALLEST_PROBABILITY) ** 2
        information = np.einsum("rl,rlp,rlq->rpq", weights, gradient, gradient)
        by_slope = pull * density * span / threshold
        by_lapse = (pull * density).sum(-1), (pull * density * z).sum(-1)
        curvature = np.zeros_like(information)
        curvature[:, BIAS, BIAS] = (-2 * by_slope * z).sum(-1)
        curvature[:, BIAS, THRESHOLD] = -(by_slope * (2 * z**2 - 1)).sum(-1)
        curvature[:, THRESHOLD, THRESHOLD] = (-2 * by_slope * z * (z**2 - 1)).sum(-1)
        for place in (LAPSE_RIGHT, LAPSE_LEFT):
            curvature[:, BIAS, place], curvature[:, THRESHOLD, place] = by_lapse
        upper_half = np.triu(curvature, 1)
        observed = information - curvature - upper_half.swapaxes(1, 2)
        at = self.estimate[rows]
        held = ((at <= self.lower) & (score < 0)) | ((at >= self.upper) & (score > 0))
        score[held] = 0
        for matrix in (information, observed):
            matrix[held] = 0
            matrix.swapaxes(1, 2)[held] = 0
            np.einsum("rpp->rp", matrix)[held] = 1
        # near a maximum its own curvature leads there fastest; elsewhere it may lead away
        convex = np.linalg.eigvalsh(observed)[:, 0] > 0
        information[convex] = observed[convex]
        diagonal = np.einsum("rpp->rp", information)
        diagonal *= 1 + self.damping[rows, None]
        # what the data say nothing about does not move
        diagonal += np.where(diagonal > 0, 0.0, 1.0)
        step: Array = np.linalg.solve(information, score[..., None])[..., 0]
        return step, np.einsum("rp,rp->r", step, score)
