"""A gain of signal over reference for each frequency, for references that are noisy or lag. Experimental."""

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.baselines import block_means, block_places
from iblnm_core.corrections.motion import fit_motion, lowpassed, whole_blocks, whole_change
from iblnm_core.corrections.robust import NORMAL_MAD, median
from iblnm_core.corrections.steps import Baseline, MotionFit, SpectralGain
from iblnm_core.corrections.traces import Traces

Array = NDArray[np.float64]

_SLOWEST_HZ = 0.01
_SURE = 3.0
"""Coherence counts as far as it exceeds so many times what independent traces have."""


def predicted_motion(traces: Traces, baseline: Baseline, step: SpectralGain) -> Array:
    """Return what the reference predicts of the signal, frequency by frequency.

    Parameters
    ----------
    traces : Traces
    baseline : baseline step
        Of both bands.
    step : SpectralGain

    Returns
    -------
    ndarray of float64, (n,)
        Relative change, at the signal's times.
    """
    size = max(1, round(traces.rate_hz / step.rate_hz))
    rate = traces.rate_hz / size
    signal, reference = (
        _without_drift(block_means(whole_change(traces, name, baseline), size), rate)
        for name in ("signal", "reference")
    )
    line = fit_motion(traces, baseline, MotionFit())
    good = whole_blocks(traces.kept, size)
    left = lowpassed(signal - line.slope * reference, 1.0, rate)
    spread = median(np.abs(left[good])) / NORMAL_MAD
    outlying = ~good | (np.abs(left) > step.outlier * spread)
    steady = np.where(outlying, line.slope * reference, signal)
    response = _impulse_response(steady, reference, rate, step)
    predicted = np.convolve(reference, response, mode="same")
    return np.interp(np.arange(len(traces.times)), block_places(len(predicted), size), predicted)


def _without_drift(values: Array, rate: float) -> Array:
    coarse = max(1, round(rate))
    slow = lowpassed(block_means(values, coarse), _SLOWEST_HZ, rate / coarse, order=3)
    return values - np.interp(np.arange(len(values)), block_places(len(slow), coarse), slow)


def _impulse_response(signal: Array, reference: Array, rate: float, step: SpectralGain) -> Array:
    """Return the filter from reference to signal, odd length, lag 0 in the middle."""
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import csd, welch

    size = min(round(step.segment_s * rate), len(signal))
    segments = {"fs": rate, "window": "hann", "nperseg": size, "noverlap": size // 2}

    def smoothed(spectrum: Array) -> Array:
        averaged: Array = uniform_filter1d(spectrum, step.smoothed_bins, mode="nearest")
        return averaged

    of_reference = smoothed(welch(reference, **segments)[1])
    of_signal = smoothed(welch(signal, **segments)[1])
    raw = csd(reference, signal, **segments)[1]
    cross = smoothed(raw.real) + 1j * smoothed(raw.imag)
    coherence = np.abs(cross) ** 2 / (of_reference * of_signal)
    # segments overlap by half, and neighbouring bins are averaged
    independent = len(signal) / size * step.smoothed_bins
    trust = np.maximum(0, coherence - _SURE / independent) / coherence
    impulse = np.fft.irfft(cross / of_reference * trust, size)
    reach = round(step.longest_lag_s * rate)
    taper = np.hanning(2 * reach + 3)[1:-1]
    response: Array = np.concatenate([impulse[-reach:], impulse[: reach + 1]]) * taper
    return response
