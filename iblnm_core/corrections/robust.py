"""Robust numbers: spread by median deviation, and linear regression by iterated weights."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Norm = Literal["bisquare", "huber", "ols"]

NORMAL_MAD = 0.6744897501960817
"""Median absolute deviation of a standard normal variable."""
_MOST_PASSES = 50
_CLOSE = 1e-6


def median(values: Array) -> float:
    """Return the median of known values; several times faster than the general function, which looks for what is not a number.

    Parameters
    ----------
    values : ndarray of float64, (n,)
        Without such that are not a number. The median of no values is not a number.
    """
    if not len(values):
        return np.nan
    half = len(values) // 2
    ordered = np.partition(values, half)
    upper = float(ordered[half])
    return upper if len(values) % 2 else (float(ordered[:half].max()) + upper) / 2


def row_medians(rows: Array) -> Array:
    """Return the medians of rows of known values.

    Parameters
    ----------
    rows : ndarray of float64, (r, n)
    """
    half = rows.shape[1] // 2
    ordered = np.sort(rows, axis=1)
    upper: Array = ordered[:, half]
    return upper if rows.shape[1] % 2 else (ordered[:, half - 1] + upper) / 2


def robust_sd(values: Array, centre: float | None = None) -> float:
    """Return the standard deviation of a normal variable with the same median absolute deviation.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    centre : float, optional
        By default their median.
    """
    about = median(values) if centre is None else centre
    return median(np.abs(values - about)) / NORMAL_MAD


def noise_sd(values: Array) -> float:
    """Return the standard deviation of white noise, from differences of neighbours.

    Parameters
    ----------
    values : ndarray of float64, (n,)
        At the native rate; differences that are not finite are left out.
    """
    steps = np.diff(values)
    return robust_sd(steps[np.isfinite(steps)]) / float(np.sqrt(2))


def bisquare(u: Array) -> Array:
    """Return Tukey's weights of standardised residuals: $(1 - u^2)^2$ inside ±1, else 0."""
    inside = np.maximum(1 - u * u, 0)
    weights: Array = inside * inside
    return weights


@dataclass(frozen=True)
class RobustFit:
    """A linear regression.

    Attributes
    ----------
    coefficients : ndarray of float64, (p,)
    weights : ndarray of float64, (n,)
        Of the last pass, 0 to 1.
    scale : float
        Robust standard deviation of the residuals about 0.
    iterations : int
        Passes after the least squares start.
    least_squares : ndarray of float64, (p,)
        Coefficients of the start.
    """

    coefficients: Array
    weights: Array
    scale: float
    iterations: int
    least_squares: Array


def _weighted(columns: Array, target: Array, weights: Array) -> Array:
    weighted = columns * weights
    solution = np.linalg.lstsq(weighted @ columns.T, weighted @ target, rcond=None)[0]
    return np.asarray(solution, np.float64)


def robust_regression(columns: Array, target: Array, norm: Norm = "bisquare", c: float = 2.0) -> RobustFit:
    """Regress on columns and a constant, by iterated weights until the coefficients stand still.

    Parameters
    ----------
    columns : ndarray of float64, (p, n)
        Without the constant, whose coefficient is the last one.
    target : ndarray of float64, (n,)
    norm : {'bisquare', 'huber', 'ols'}
    c : float
        Where weights fall, in robust standard deviations of the residuals.

    Returns
    -------
    RobustFit
    """
    # centred columns keep the normal equations well conditioned; the constant is moved back at the end
    centres = np.asarray(columns.mean(axis=1), np.float64)
    design = np.vstack([columns - centres[:, None], np.ones(len(target))])
    spreads = np.append(design[:-1].std(axis=1), 1.0)
    weights: Array = np.ones(len(target))
    start = found = _weighted(design, target, weights)
    residual = target - found @ design
    scale = median(np.abs(residual)) / NORMAL_MAD
    passes = 0
    while norm != "ols" and scale > 0 and passes < _MOST_PASSES:
        u = residual / (c * scale)
        weights = bisquare(u) if norm == "bisquare" else 1 / np.maximum(np.abs(u), 1)
        before, found = found, _weighted(design, target, weights)
        change = float(np.abs(found - before) @ spreads)
        residual = target - found @ design
        passes += 1
        if change < _CLOSE * scale:
            break
        scale = median(np.abs(residual)) / NORMAL_MAD
    return RobustFit(_uncentred(found, centres), weights, scale, passes, _uncentred(start, centres))


def _uncentred(coefficients: Array, centres: Array) -> Array:
    moved = coefficients.copy()
    moved[-1] -= coefficients[:-1] @ centres
    return moved
