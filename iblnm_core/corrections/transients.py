"""Where a corrected trace has transients: peaks that rise above its noise. Their kinetics are not measured here."""

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.baselines import block_means, block_places
from iblnm_core.corrections.masks import dilated
from iblnm_core.corrections.motion import lowpassed
from iblnm_core.corrections.robust import noise_sd
from iblnm_core.corrections.traces import bridged

Array = NDArray[np.float64]
Places = NDArray[np.intp]

_CUTOFF_HZ = 4.0
_LEVEL_BLOCKS = 31
_PROMINENCE_WITHIN_S = 10.0
_LEAST_WIDTH_S = 0.1
_LEAST_APART_S = 0.2
_FROM_MASK_S = 0.5


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
    from scipy.ndimage import median_filter
    from scipy.signal import find_peaks

    kept = np.isfinite(dff)
    cutoff = min(_CUTOFF_HZ, 0.4 * rate_hz)
    smooth = lowpassed(bridged(dff, kept, rate_hz), cutoff, rate_hz)
    size = max(1, round(rate_hz))
    levels = median_filter(block_means(smooth, size), _LEVEL_BLOCKS, mode="nearest")
    level = np.interp(np.arange(len(smooth)), block_places(len(levels), size), levels)
    least = k * noise_sd(dff) * np.sqrt(cutoff / (rate_hz / 2))
    peaks, _ = find_peaks(
        level - smooth if inverted else smooth - level,
        height=least,
        prominence=least,
        wlen=2 * round(_PROMINENCE_WITHIN_S * rate_hz) + 1,
        width=_LEAST_WIDTH_S * rate_hz,
        distance=max(1, round(_LEAST_APART_S * rate_hz)),
    )
    near_mask = dilated(~kept, round(_FROM_MASK_S * rate_hz))
    found: Places = peaks[~near_mask[peaks]]
    return found
