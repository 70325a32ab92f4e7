"""What signal and reference share after their baselines are divided out: slope, and what is subtracted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.baselines import block_means, block_places, change_of
from iblnm_core.corrections.masks import Flags
from iblnm_core.corrections.robust import robust_regression
from iblnm_core.corrections.steps import Baseline, MotionFit
from iblnm_core.corrections.traces import Traces, bridged
from iblnm_core.errors import AllSamplesMasked
from iblnm_core.session.preprocessing import fit_isosbestic

Array = NDArray[np.float64]

_FIT_RATE_HZ = 6.0
_FEWEST_BLOCKS = 20


@dataclass(frozen=True)
class Motion:
    """What is taken off the signal.

    Attributes
    ----------
    subtracted : ndarray of float64, (n,)
        Relative change, at the signal's times.
    slope, intercept : float
        Of the signal on the reference; the slope as estimated, also where it was clipped.
    slope_ols : float
        Of plain least squares on the same traces.
    reference_r : float
        Correlation of the same traces.
    slope_clipped : bool
        A negative slope was taken for 0: the reference is not used.
    scale : float
        Robust standard deviation of the residuals.
    iterations : int
    weight_places, weights : ndarray of float64, (k,), or None
        Final weights of the fit and where they belong, in samples; None for least squares.
    """

    subtracted: Array
    slope: float
    intercept: float
    slope_ols: float
    reference_r: float
    slope_clipped: bool
    scale: float
    iterations: int
    weight_places: Array | None
    weights: Array | None


def lowpassed(values: Array, cutoff_hz: float, rate_hz: float, order: int = 2) -> Array:
    """Return a trace filtered forwards and backwards; unchanged where the cutoff is not below half the rate.

    Parameters
    ----------
    values : ndarray of float64, (n,)
        Finite.
    cutoff_hz, rate_hz : float
    order : int
    """
    from scipy.signal import butter, sosfiltfilt

    if cutoff_hz >= rate_hz / 2:
        return values
    sections = butter(order, cutoff_hz, "low", fs=rate_hz, output="sos")
    # the filter library gives a view that runs backwards, which all later steps would pay for
    return np.ascontiguousarray(sosfiltfilt(sections, values))


def whole_change(traces: Traces, channel: str, baseline: Baseline) -> Array:
    """Return the relative change of one band with its gaps bridged.

    Parameters
    ----------
    traces : Traces
    channel : {'signal', 'reference'}
    baseline : baseline step
    """
    return traces.shared(
        ("whole", channel, baseline),
        lambda: bridged(change_of(traces, channel, baseline), traces.kept, traces.rate_hz),
    )


def smooth_reference(traces: Traces, baseline: Baseline, cutoff_hz: float | None) -> Array:
    """Return the relative change of the reference below a cutoff, or all of it for None.

    Parameters
    ----------
    traces : Traces
    baseline : baseline step
    cutoff_hz : float or None
    """
    whole = whole_change(traces, "reference", baseline)
    if cutoff_hz is None:
        return whole
    return traces.shared(("smooth reference", baseline, cutoff_hz), lambda: lowpassed(whole, cutoff_hz, traces.rate_hz))


def fit_size(rate_hz: float) -> int:
    """Return how many samples make one of a fit trace."""
    return max(1, int(rate_hz / _FIT_RATE_HZ))


def fit_trace(traces: Traces, channel: str, baseline: Baseline, cutoff_hz: float, highpass_hz: float | None) -> Array:
    """Return the trace of one band that slopes are estimated from: block means of its relative change, band-limited.

    Parameters
    ----------
    traces : Traces
    channel : {'signal', 'reference'}
    baseline : baseline step
    cutoff_hz : float
    highpass_hz : float or None
        What is slower is taken off as well.
    """
    return traces.shared(
        ("fit trace", channel, baseline, cutoff_hz, highpass_hz),
        lambda: _band_limited(whole_change(traces, channel, baseline), traces.rate_hz, cutoff_hz, highpass_hz),
    )


def _band_limited(change: Array, rate_hz: float, cutoff_hz: float, highpass_hz: float | None) -> Array:
    size = fit_size(rate_hz)
    means = block_means(change, size)
    rate = rate_hz / size
    fast = lowpassed(means, cutoff_hz, rate)
    if highpass_hz is None:
        return fast
    coarse = max(1, int(rate))
    slow = lowpassed(block_means(fast, coarse), highpass_hz, rate / coarse, order=3)
    return fast - np.interp(np.arange(len(means)), block_places(len(slow), coarse), slow)


def band_of(traces: Traces, trace: Array) -> Array:
    """Return any relative change at the signal's times as it enters slopes and correlations: block means below 1 Hz.

    Parameters
    ----------
    traces : Traces
    trace : ndarray of float64, (n,)
        Finite.
    """
    return _band_limited(trace, traces.rate_hz, MotionFit.fit_cutoff_hz or np.inf, None)


def whole_blocks(flags: Flags, size: int) -> Flags:
    """Return which blocks hold good samples only."""
    n = len(flags) // size
    return np.asarray(flags[: n * size].reshape(n, size).all(axis=1), bool)


def fit_motion(traces: Traces, baseline: Baseline, step: MotionFit) -> Motion:
    """Estimate the motion of a recording from its reference; done once for all that ask for the same.

    Parameters
    ----------
    traces : Traces
    baseline : baseline step
        Of both bands.
    step : MotionFit

    Returns
    -------
    Motion

    Raises
    ------
    AllSamplesMasked
        When hardly any stretch of the fit traces is without a masked sample.
    """
    return traces.shared(("motion", baseline, step), lambda: _fit(traces, baseline, step))


def _fit(traces: Traces, baseline: Baseline, step: MotionFit) -> Motion:
    usable = traces.within(step.epoch)
    if step.fit_cutoff_hz is None:
        size = 1
        y, x = change_of(traces, "signal", baseline), change_of(traces, "reference", baseline)
    else:
        size = fit_size(traces.rate_hz)
        y, x = (
            fit_trace(traces, channel, baseline, step.fit_cutoff_hz, step.fit_highpass_hz)
            for channel in ("signal", "reference")
        )
    good = whole_blocks(usable, size)
    if np.count_nonzero(good) < _FEWEST_BLOCKS:
        raise AllSamplesMasked(f"{np.count_nonzero(good)} whole blocks for the slope; expected {_FEWEST_BLOCKS}")
    used = y[good], x[good]
    slope_ols, intercept, explained = fit_isosbestic(*used)
    r = float(np.sign(slope_ols) * np.sqrt(explained)) if np.isfinite(explained) else 0.0
    slope, scale, iterations, places, weights = slope_ols, np.nan, 0, None, None
    if step.norm != "ols" and np.ptp(used[1]) > 0:
        fit = robust_regression(used[1][None], used[0], step.norm, step.c)
        slope, intercept = (float(value) for value in fit.coefficients)
        scale, iterations, weights = fit.scale, fit.iterations, fit.weights
        places = block_places(len(y), size)[good]
    clipped = step.nonnegative and slope < 0
    subtracted = (0.0 if clipped else slope) * smooth_reference(traces, baseline, step.reference_cutoff_hz)
    if step.subtract_intercept:
        subtracted = subtracted + intercept
    return Motion(subtracted, slope, intercept, slope_ols, r, clipped, scale, iterations, places, weights)
