"""Where a corrected trace has transients: peaks that rise above its noise. Their kinetics are not measured here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.correction_parameters import TransientParameters
from iblnm_core.corrections.baselines import block_means, block_places
from iblnm_core.corrections.masks import dilated
from iblnm_core.corrections.motion import lowpassed
from iblnm_core.corrections.robust import noise_sd
from iblnm_core.corrections.traces import bridged

Array = NDArray[np.float64]
Places = NDArray[np.intp]
Flags = NDArray[np.bool_]

_FEWEST_SAMPLES = 10
"""The filter takes no fewer."""


_DEFAULT = TransientParameters()


@dataclass(frozen=True)
class Detection:
    """The transients of one trace, and what they were found on.

    Attributes
    ----------
    rate_hz : float
    peaks : ndarray of int, (p,)
        Samples, increasing.
    prominences : ndarray of float64, (p,)
        Fraction.
    troughs : ndarray of int, (q,)
        Peaks of the inverted trace: real transients are positive, so their number is that of false peaks.
    smooth, level : ndarray of float64, (n,)
        Filtered trace and its local level, fraction; gaps are bridged. Not a number where there is too little to filter.
    searched : ndarray of bool, (n,)
        Where a transient could be found: not at masked samples, nor close to them.
    threshold : float
        Least height and prominence, fraction. Not a number where the noise is not known.
    """

    rate_hz: float
    peaks: Places
    prominences: Array
    troughs: Places
    smooth: Array
    level: Array
    searched: Flags
    threshold: float


def detect_transients(dff: Array, rate_hz: float, parameters: TransientParameters = _DEFAULT) -> Detection:
    """Find the peaks of a corrected trace that stand out of its sample noise, not out of its spread; and such troughs.

    Parameters
    ----------
    dff : ndarray of float64, (n,)
        Fraction, not a number where masked. Any length: where there is too little to filter, nothing is found.
    rate_hz : float
    parameters : TransientParameters

    Returns
    -------
    Detection
    """
    smooth, level, threshold = _filtered(dff, rate_hz, parameters)
    searched = _searched(dff, rate_hz, parameters)
    peaks, prominences = _stand_out(smooth - level, threshold, rate_hz, parameters)
    troughs, _ = _stand_out(level - smooth, threshold, rate_hz, parameters)
    found = searched[peaks]
    return Detection(
        rate_hz, peaks[found], prominences[found], troughs[searched[troughs]], smooth, level, searched, threshold
    )


def transient_peaks(dff: Array, rate_hz: float, k: float = 5.0, *, inverted: bool = False) -> Places:
    """Return the peaks of a corrected trace that stand out of its sample noise, not out of its spread.

    Parameters
    ----------
    dff : ndarray of float64, (n,)
        Fraction, not a number where masked.
    rate_hz : float
    k : float
        Least height above the local level and least prominence, in standard deviations of the filtered noise.
    inverted : bool
        Look for troughs: real transients are positive, so their number is that of false peaks.

    Returns
    -------
    ndarray of int, (p,)
        Samples.
    """
    parameters = TransientParameters(threshold_sd=k)
    smooth, level, threshold = _filtered(dff, rate_hz, parameters)
    peaks, _ = _stand_out(level - smooth if inverted else smooth - level, threshold, rate_hz, parameters)
    found: Places = peaks[_searched(dff, rate_hz, parameters)[peaks]]
    return found


def _searched(dff: Array, rate_hz: float, parameters: TransientParameters) -> Flags:
    """Return where a transient can be found: not at masked samples, nor close to them."""
    return ~dilated(~np.isfinite(dff), round(parameters.from_mask_s * rate_hz))


def _filtered(dff: Array, rate_hz: float, parameters: TransientParameters) -> tuple[Array, Array, float]:
    """Return the trace below the cutoff, its local level, and the threshold."""
    from scipy.ndimage import median_filter

    kept = np.isfinite(dff)
    size = max(1, round(rate_hz))
    # without two neighbours that are known there is no noise
    if len(dff) < max(size, _FEWEST_SAMPLES) or not (kept[1:] & kept[:-1]).any():
        unknown = np.full(len(dff), np.nan)
        return unknown, unknown, np.nan
    cutoff = min(parameters.cutoff_hz, 0.4 * rate_hz)
    smooth = lowpassed(bridged(dff, kept, rate_hz), cutoff, rate_hz)
    levels = median_filter(block_means(smooth, size), parameters.level_window_s, mode="nearest")
    level = np.interp(np.arange(len(smooth)), block_places(len(levels), size), levels)
    return smooth, level, float(parameters.threshold_sd * noise_sd(dff) * np.sqrt(cutoff / (rate_hz / 2)))


def _stand_out(above: Array, threshold: float, rate_hz: float, parameters: TransientParameters) -> tuple[Places, Array]:
    """Return peaks of a trace less its level, and their prominences."""
    from scipy.signal import find_peaks

    # out of no noise everything would stand out, down to rounding
    if not threshold > 0:
        return np.empty(0, np.intp), np.empty(0)
    peaks, found = find_peaks(
        above,
        height=threshold,
        prominence=threshold,
        wlen=2 * round(parameters.prominence_window_s / 2 * rate_hz) + 1,
        width=parameters.least_width_s * rate_hz,
        distance=max(1, round(parameters.least_apart_s * rate_hz)),
    )
    return peaks, found["prominences"]
