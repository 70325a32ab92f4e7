"""Measures that say when a correction must not be believed. What follows from them stands in `checks`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.baselines import course_of
from iblnm_core.corrections.masks import Bit, runs
from iblnm_core.corrections.motion import (
    Motion,
    band_of,
    fit_motion,
    fit_size,
    fit_trace,
    lowpassed,
    smooth_reference,
    whole_blocks,
    whole_change,
)
from iblnm_core.corrections.result import Corrected
from iblnm_core.corrections.robust import median, noise_sd, robust_sd
from iblnm_core.corrections.steps import MonotoneBaseline, MotionFit, RobustLowpass
from iblnm_core.corrections.traces import Traces, bridged
from iblnm_core.corrections.transients import transient_peaks
from iblnm_core.session.preprocessing import fit_isosbestic
from iblnm_core.session.signal_quality import percentiles, unique_share

Array = NDArray[np.float64]
Places = NDArray[np.intp]

RESPONSE_S = (0.1, 0.6)
BEFORE_S = (-0.2, 0.0)
_BEFORE_RISE_S = (-1.2, -0.8)
_AFTER_EVENT_S = 1.5
_SMOOTH_HZ = 3.0
_TREND_BLOCK_S = 60.0
_BASELINE, _MOTION = RobustLowpass(), MotionFit()
_EXPONENTIALS, _LEVEL = MonotoneBaseline(), MonotoneBaseline(rebound=False)


MEASURES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "reference_r": ("correlation of signal and reference below 1 Hz, baselines divided out", ""),
        "slope": ("robust slope of the signal on the reference below 1 Hz", ""),
        "slope_ols": ("the same by least squares", ""),
        "slope_disagreement": ("difference of the two over the larger one", ""),
        "slope_attenuation": ("least-squares slope of all frequencies over the robust one below 1 Hz", ""),
        "bleed": ("share of a transient outside events that shows in the reference, median", ""),
        "bleed_z": ("the same over its standard error", ""),
        "bleed_n": ("transients behind it", ""),
        "reference_bleaching_share": ("share of the reference's fluorescence that is lost over the session", ""),
        "bleaching_share": ("share of the signal's fluorescence that is lost over the session", ""),
        "rebound": ("1 where the signal's fluorescence recovers, else 0", ""),
        "bleaching_tau_s": ("mean time constant of the signal's decay, weighted by amplitude", "s"),
        "trend": ("level of the last sixth of the session less that of the first, bleaching and motion removed", ""),
        "trend_ratio": ("the same over the standard deviation of the corrected signal", ""),
        "snr": ("97.5th percentile less median of the corrected signal below 3 Hz, over the noise of its samples", ""),
        "flat_share": ("share of samples that equal the one before", ""),
        "unique_share": ("share of distinct values", ""),
        "masked_share": ("share of samples that are masked", ""),
        "longest_gap_s": ("longest masked stretch", "s"),
        "n_spikes": ("samples masked as spikes", "samples"),
    }
)
"""Measures of a fibre by name: what each is, and its unit."""


@dataclass(frozen=True)
class EventReference:
    """How the reference itself responds to an event.

    Attributes
    ----------
    t : float
        Mean over standard error, over trials.
    share : float
        Part of the reference in what an uncorrected response would be, 0 to 1.
    n : int
        Trials.
    """

    t: float
    share: float
    n: int


@dataclass(frozen=True)
class Diagnostics:
    """Measures of one fibre.

    Attributes
    ----------
    measures : mapping of str to float
        Of the fibre, with the steps of `robust` whatever is primary; see `docs/methods/corrections.md`. Not a number
        where it is not defined, as those of a reference that does not exist.
    of_corrections : mapping of str to mapping of str to float
        By correction: `residual_r` and `denominator_ratio`.
    events : mapping of str to EventReference
        By event.
    """

    measures: Mapping[str, float]
    of_corrections: Mapping[str, Mapping[str, float]]
    events: Mapping[str, EventReference]


def diagnose(
    traces: Traces, robust: Corrected, results: Mapping[str, Corrected], events: Mapping[str, Array]
) -> Diagnostics:
    """Measure how far the corrections of one fibre can be believed.

    Parameters
    ----------
    traces : Traces
    robust : Corrected
        Of `robust`, or of `no_reference` where there is no reference; must be ok.
    results : mapping of str to Corrected
        By correction; those that are not ok are left out.
    events : mapping of str to ndarray of float64
        Times of the events that are analysed, s, session clock; not a number where an event did not happen.

    Returns
    -------
    Diagnostics
    """
    whole = bridged(robust.dff, np.isfinite(robust.dff), traces.rate_hz)
    smooth = lowpassed(whole, _SMOOTH_HZ, traces.rate_hz)
    measures = _raw_measures(traces) | _signal_measures(traces, smooth)
    by_event: dict[str, EventReference] = {}
    if traces.reference is not None:
        motion = fit_motion(traces, _BASELINE, _MOTION)
        measures |= _reference_measures(traces, motion) | _bleed(traces, robust, smooth, events)
        measures["reference_bleaching_share"] = course_of(traces, "reference", _EXPONENTIALS).bleaching_share
        by_event = {name: _event_reference(traces, times, motion, smooth) for name, times in events.items()}
    of_corrections = {
        name: {"residual_r": residual_r(traces, result), "denominator_ratio": result.fit.denominator_ratio or np.nan}
        for name, result in results.items()
        if result.status == "ok"
    }
    return Diagnostics(measures, of_corrections, by_event)


def _raw_measures(traces: Traces) -> dict[str, float]:
    known = traces.signal[np.isfinite(traces.signal)]
    masked = runs(~traces.kept)
    longest = int(np.max(masked[:, 1] - masked[:, 0])) if len(masked) else 0
    return {
        "flat_share": float(np.mean(np.diff(known) == 0)),
        "unique_share": float(unique_share(known)),
        "masked_share": float(np.mean(~traces.kept)),
        "longest_gap_s": longest / traces.rate_hz,
        "n_spikes": float(np.count_nonzero(traces.mask & Bit.SPIKE)),
    }


def _signal_measures(traces: Traces, smooth: Array) -> dict[str, float]:
    signal = traces.channel("signal")
    noise = noise_sd(np.where(traces.kept, traces.signal, np.nan)) / float(signal[traces.kept].mean())
    good = smooth[traces.kept]
    high, middle = percentiles(good, (97.5, 50))
    course = course_of(traces, "signal", _EXPONENTIALS)
    return {
        "snr": (high - middle) / noise if noise > 0 else np.nan,
        "bleaching_share": course.bleaching_share,
        "rebound": float(course.rebound),
        "bleaching_tau_s": np.nan if course.tau_s is None else course.tau_s,
    } | _trend(traces, float(good.std()))


def _trend(traces: Traces, spread: float) -> dict[str, float]:
    """Return by how much the level drifts against decaying exponentials, motion removed."""
    # where none has a rebound, the fits with and without are one, and made already
    bands = ("signal",) if traces.reference is None else ("signal", "reference")
    rebounds = any(course_of(traces, band, _EXPONENTIALS).rebound for band in bands)
    baseline = _LEVEL if rebounds else _EXPONENTIALS
    level = whole_change(traces, "signal", baseline)
    if traces.reference is not None:
        level = level - fit_motion(traces, baseline, MotionFit(fit_highpass_hz=0.01)).subtracted
    size = round(_TREND_BLOCK_S * traces.rate_hz)
    n = len(level) // size
    blocks = np.where(traces.kept, level, np.nan)[: n * size].reshape(n, size)
    medians = np.array([median(row[np.isfinite(row)]) for row in blocks if np.isfinite(row).any()])
    sixth = max(1, len(medians) // 6)
    trend = median(medians[-sixth:]) - median(medians[:sixth]) if len(medians) else np.nan
    return {"trend": trend, "trend_ratio": trend / spread if spread > 0 else np.nan}


def _reference_measures(traces: Traces, motion: Motion) -> dict[str, float]:
    largest = max(abs(motion.slope), abs(motion.slope_ols))
    full = fit_isosbestic(*(whole_change(traces, name, _BASELINE)[traces.kept] for name in ("signal", "reference")))[0]
    return {
        "reference_r": motion.reference_r,
        "slope": motion.slope,
        "slope_ols": motion.slope_ols,
        "slope_disagreement": abs(motion.slope_ols - motion.slope) / largest if largest > 0 else np.nan,
        "slope_attenuation": full / motion.slope if motion.slope else np.nan,
    }


def residual_r(traces: Traces, result: Corrected) -> float:
    """Return the correlation of a corrected trace with the reference below 1 Hz: 0 where nothing shared is left.

    Parameters
    ----------
    traces : Traces
    result : Corrected
        Must be ok.

    Returns
    -------
    float
        Not a number without reference.
    """
    if traces.reference is None:
        return np.nan
    dff = result.dff
    if len(result.times) != len(traces.times):
        # computed without the samples that are missing in gaps
        dff = np.where(traces.kept, np.interp(traces.times, result.times, dff), np.nan)
    corrected = band_of(traces, bridged(dff, np.isfinite(dff), traces.rate_hz))
    reference = fit_trace(traces, "reference", _BASELINE, 1.0, None)
    good = whole_blocks(traces.kept, fit_size(traces.rate_hz))
    if np.ptp(corrected[good]) == 0 or np.ptp(reference[good]) == 0:
        return np.nan
    return float(np.corrcoef(corrected[good], reference[good])[0, 1])


def running_sums(trace: Array) -> Array:
    """Return the sums of a trace up to each sample, that one excluded, and of all of it, (n + 1,)."""
    return np.concatenate([[0.0], np.cumsum(trace)])


def window_means(sums: Array, places: Places, rate_hz: float, window_s: tuple[float, float]) -> Array:
    """Return the mean of a trace over a window around some samples, not a number where it leaves the trace.

    Parameters
    ----------
    sums : ndarray of float64, (n + 1,)
        See `running_sums`.
    places : ndarray of int, (p,)
    rate_hz : float
    window_s : (float, float)
        Start (included) and end (excluded), rounded to samples.
    """
    first, last = (round(edge * rate_hz) for edge in window_s)
    inside = (places + first >= 0) & (places + last < len(sums))
    means = np.full(len(places), np.nan)
    starts = places[inside]
    means[inside] = (sums[starts + last] - sums[starts + first]) / (last - first)
    return means


def responses(trace: Array, places: Places, rate_hz: float) -> Array:
    """Return the mean 0.1 to 0.6 s after some samples less that of the 0.2 s before.

    Parameters
    ----------
    trace : ndarray of float64, (n,)
    places : ndarray of int, (p,)
    rate_hz : float
    """
    sums = running_sums(trace)
    after, before = (window_means(sums, places, rate_hz, window) for window in (RESPONSE_S, BEFORE_S))
    change: Array = after - before
    return change


def _event_places(traces: Traces, times: Array) -> Places:
    known = times[np.isfinite(times)]
    known = known[(known >= traces.times[0]) & (known <= traces.times[-1])]
    places: Places = np.round(np.interp(known, traces.times, np.arange(len(traces.times)))).astype(np.intp)
    return places


def _event_reference(traces: Traces, times: Array, motion: Motion, smooth: Array) -> EventReference:
    places = _event_places(traces, times)
    reference = smooth_reference(traces, _BASELINE, _SMOOTH_HZ)
    found = responses(reference, places, traces.rate_hz)
    found = found[np.isfinite(found)]
    if len(found) < 2 or np.ptp(found) == 0:
        return EventReference(np.nan, np.nan, len(found))
    mean = float(found.mean())
    explained = max(motion.slope, 0) * abs(mean)
    total = explained + abs(float(np.nanmean(responses(smooth, places, traces.rate_hz))))
    t = mean / float(found.std(ddof=1) / np.sqrt(len(found)))
    return EventReference(t, explained / total if total > 0 else np.nan, len(found))


def _bleed(traces: Traces, robust: Corrected, smooth: Array, events: Mapping[str, Array]) -> dict[str, float]:
    """Return how much of a transient outside events shows in the reference."""
    peaks = transient_peaks(robust.dff, traces.rate_hz)
    for times in events.values():
        starts = np.sort(_event_places(traces, times))
        before = np.searchsorted(starts, peaks, side="right") - 1
        since = np.where(before >= 0, peaks - starts[before] if len(starts) else np.inf, np.inf)
        peaks = peaks[since > _AFTER_EVENT_S * traces.rate_hz]
    reference = smooth_reference(traces, _BASELINE, _SMOOTH_HZ)
    rises = [
        trace[peaks] - window_means(running_sums(trace), peaks, traces.rate_hz, _BEFORE_RISE_S)
        for trace in (reference, smooth)
    ]
    good = np.isfinite(rises[0]) & (rises[1] > 0)
    n = int(np.count_nonzero(good))
    if n < 2:
        return {"bleed": np.nan, "bleed_z": np.nan, "bleed_n": float(n)}
    ratios = rises[0][good] / rises[1][good]
    middle, error = median(ratios), 1.2533 * robust_sd(ratios) / np.sqrt(n)
    return {"bleed": middle, "bleed_z": middle / error if error > 0 else np.nan, "bleed_n": float(n)}
