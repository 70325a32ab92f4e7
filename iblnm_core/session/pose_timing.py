"""How paws and wheel go together in time: their cross-correlation in thirds of a session. Arrays only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

THIRDS = ("early", "mid", "late")
"""Parts of a session of equal duration, in their order."""
LARGEST_LAG_S = 5.0

_MINIMUM_TRACKED = 0.5
_NOTHING = 1e-9
_NOWHERE = (np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class PawWheelTiming:
    """Cross-correlation of the speeds of paws and wheel.

    Attributes
    ----------
    lags : ndarray of float64, (m,)
        s; positive where the paws lead.
    functions : ndarray of float64, (3, m)
        Correlation at every lag in each third; not a number where a third is too short for a lag, or tells nothing.
    peak_lags : ndarray of float64, (3,)
        s; not a number where there is no peak.
    peak_values : ndarray of float64, (3,)
        Largest correlation.
    """

    lags: Array
    functions: Array
    peak_lags: Array
    peak_values: Array

    @property
    def drift(self) -> float:
        """Lag of the last third minus that of the first, s."""
        return float(self.peak_lags[-1] - self.peak_lags[0])


def paw_wheel_timing(frame_times: Array, paw_speed: Array, wheel_times: Array, wheel_velocity: Array) -> PawWheelTiming:
    """Correlate the speed of the paws with that of the wheel in each third of the time that both were recorded.

    See `docs/methods/pose.md`.

    Parameters
    ----------
    frame_times : ndarray of float64, (n,)
        s, increasing.
    paw_speed : ndarray of float64, (n,)
        px/s between each frame and the one before; not a number where the paws were not tracked.
    wheel_times : ndarray of float64, (k,)
        s, on a regular grid.
    wheel_velocity : ndarray of float64, (k,)
        rad/s between each sample and the one before.
    """
    step = float(wheel_times[-1] - wheel_times[0]) / (len(wheel_times) - 1)
    largest = round(LARGEST_LAG_S / step)
    functions = np.full((len(THIRDS), 2 * largest + 1), np.nan)
    peaks = np.array([_NOWHERE] * len(THIRDS))
    if len(frame_times) > 1:
        # a speed between two moments belongs in the middle of them
        middles = (frame_times[1:] + frame_times[:-1]) / 2
        grid = wheel_times - step / 2
        both = (grid >= middles[0]) & (grid <= middles[-1])
        paws, wheel = np.interp(grid[both], middles, paw_speed[1:]), np.abs(wheel_velocity[both])
        thirds = zip(np.array_split(paws, len(THIRDS)), np.array_split(wheel, len(THIRDS)), strict=True)
        for place, (paws_in, wheel_in) in enumerate(thirds):
            lags = correlation_lags(len(paws_in), largest)
            found = cross_correlation(paws_in, wheel_in, lags)
            functions[place, lags + largest] = found
            lag, peaks[place, 1] = peak(lags, found)
            peaks[place, 0] = lag * step
    lags_s: Array = np.linspace(-largest * step, largest * step, 2 * largest + 1)
    return PawWheelTiming(lags_s, functions, peaks[:, 0], peaks[:, 1])


def correlation_lags(n_samples: int, largest: int) -> NDArray[np.int64]:
    """Return the lags at which so many samples are correlated: at least half of them overlap, and none is larger."""
    return np.arange(max(-(n_samples // 2), -largest), min((n_samples - 1) // 2, largest) + 1)


def cross_correlation(leading: Array, following: Array, lags: NDArray[np.int64]) -> Array:
    """Return the correlation of two signals at every lag.

    Parameters
    ----------
    leading : ndarray of float64, (n,)
        Not a number where it is unknown; such samples are left out.
    following : ndarray of float64, (n,)
    lags : ndarray of int64, (m,)
        Samples; at a positive one `leading` is compared with what `following` does later.

    Returns
    -------
    ndarray of float64, (m,)
        Sum of products of deviations from the means, over the root of the product of their sums of squares; between -1 and
        1. Not a number when a signal does not vary or less than half of `leading` is known.
    """
    known = ~np.isnan(leading)
    if not len(lags) or known.sum() < _MINIMUM_TRACKED * len(leading):
        return np.full(len(lags), np.nan)
    if np.ptp(leading[known]) == 0 or np.ptp(following) == 0:
        return np.full(len(lags), np.nan)
    first, second = np.zeros(len(leading)), following - following.mean()
    first[known] = leading[known] - leading[known].mean()
    # of the samples that are compared; one beyond an end weighs as much as that which follows on the other end
    reach = int(np.abs(lags).max())
    energy = _sums_of_products(known.astype(np.float64), np.pad(second**2, reach, "wrap"), lags + reach)
    correlation = np.full(len(lags), np.nan)
    # rounding leaves a little of what is nothing
    compared = energy > _NOTHING * (second**2).sum()
    products = _sums_of_products(first, second, lags)
    correlation[compared] = products[compared] / np.sqrt((first**2).sum() * energy[compared])
    return correlation


def _sums_of_products(first: Array, second: Array, lags: NDArray[np.int64]) -> Array:
    """Return the sum of first[t] * second[t + lag] over all t, at every lag; zero beyond the ends."""
    from scipy import fft

    # so long that nothing comes round from the other end
    length = fft.next_fast_len(max(len(first), len(second)) + int(np.abs(lags).max()), real=True)
    sums: Array = fft.irfft(np.conj(fft.rfft(first, length)) * fft.rfft(second, length), length)[lags]
    return sums


def peak(lags: NDArray[np.int64], values: Array) -> tuple[float, float]:
    """Return lag (samples, between samples by a parabola) and height of the largest value.

    At the edge of the lags there is no peak: its lag is not a number, its height is.
    """
    if not len(values) or np.isnan(values).all():
        return _NOWHERE
    place = int(np.nanargmax(values))
    height = float(values[place])
    if place in {0, len(values) - 1}:
        return np.nan, height
    before, after = float(values[place - 1]), float(values[place + 1])
    curvature = before - 2 * height + after
    shift = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return float(lags[place]) + shift, height
