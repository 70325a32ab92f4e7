"""Shape of single responses: size, time and area of every trial's trace. Means over trials are in `trial_mean_measures`."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from iblnm_core.correction_parameters import MeasureParameters
from iblnm_core.corrections.motion import lowpassed
from iblnm_core.corrections.robust import robust_sd

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
Measure = Literal[
    "mean",
    "peak",
    "time_to_peak",
    "latency",
    "slope",
    "auc",
    "auc_pos",
    "auc_neg",
    "width",
    "centroid",
    "peak_z",
]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""What is measured of a trace; all else that a response has is about these."""


@dataclass(frozen=True)
class BaselineSpread:
    """How much the trace varies before the events of a recording.

    Attributes
    ----------
    sd : float
        Of the trace that is measured, in its unit.
    smooth_sd : float
        Of the same trace after a low-pass.
    """

    sd: float
    smooth_sd: float


@dataclass(frozen=True)
class ResponseMeasures:
    """Measures of n responses to one event; not a number where there is none. Times count from the event.

    Attributes
    ----------
    polarity : float
        1 where the recording's mean response goes up, -1 where it goes down; not a number where no sample is known.
    mean : ndarray of float64, (n,)
        Over the early window, unit of the trace.
    peak : ndarray of float64, (n,)
        Extremum in the direction of the polarity, unit of the trace.
    time_to_peak : ndarray of float64, (n,)
        s.
    latency : ndarray of float64, (n,)
        First crossing of half the peak, s.
    slope : ndarray of float64, (n,)
        Between 20 % and 80 % of the peak, unit of the trace per s.
    auc, auc_pos, auc_neg : ndarray of float64, (n,)
        Area under the trace, and its parts above and below 0; unit of the trace times s.
    width : ndarray of float64, (n,)
        Time around the peak above half of it, s.
    centroid : ndarray of float64, (n,)
        Centre of what lies in the direction of the polarity, s.
    peak_z : ndarray of float64, (n,)
        Peak in standard deviations of the smooth baseline.
    masked_fraction : ndarray of float64, (n,)
        Share of the window's samples that are unknown, 0-1.
    peak_at_edge : ndarray of bool, (n,)
        The extremum is the first or last known sample: the real one may lie outside.
    peak_valid : ndarray of bool, (n,)
        The peak is clearly larger than what the baseline does.
    latency_valid : ndarray of bool, (n,)
        The same, and there is a latency.
    """

    polarity: float
    mean: Array
    peak: Array
    time_to_peak: Array
    latency: Array
    slope: Array
    auc: Array
    auc_pos: Array
    auc_neg: Array
    width: Array
    centroid: Array
    peak_z: Array
    masked_fraction: Array
    peak_at_edge: Flags
    peak_valid: Flags
    latency_valid: Flags


def smooth_trace(times: Array, values: Array, cutoff_hz: float) -> Array:
    """Return a trace after a low-pass, unknown where it was.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        On a regular grid, s; not a number where it is unknown.
    cutoff_hz : float

    Returns
    -------
    ndarray of float64, (m,)
        Unit of the values.
    """
    known = ~np.isnan(values)
    if not known.any():
        return values
    rate = (len(times) - 1) / float(times[-1] - times[0])
    smooth = lowpassed(np.interp(times, times[known], values[known]), cutoff_hz, rate)
    return np.where(known, smooth, np.nan)


def baseline_sd(values: Array, times: Array, window_s: tuple[float, float]) -> float:
    """Return the robust standard deviation of all samples before the events.

    Parameters
    ----------
    values : ndarray of float64, (n, w)
        Responses masked after the next event but *with* their baseline: without it only noise within the short window is left.
    times : ndarray of float64, (w,)
        s, relative to the event.
    window_s : tuple of float
        Start (included) and end (excluded) of the baseline.

    Returns
    -------
    float
        Unit of the values; not a number where none is known.
    """
    inside = values[:, window_places(times, window_s)]
    known = inside[~np.isnan(inside)]
    return robust_sd(known) if known.size else float("nan")


def mean_trace(values: Array, minimum_trial_share: float) -> Array:
    """Return the mean over trials at each sample, unknown where too few trials know it.

    Parameters
    ----------
    values : ndarray of float64, (n, w)
    minimum_trial_share : float
        0-1, of the trials that know the best known sample.

    Returns
    -------
    ndarray of float64, (w,)
    """
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    enough = (counts > 0) & (counts >= minimum_trial_share * counts.max(initial=0))
    totals = np.where(known, values, 0.0).sum(axis=0)
    means: Array = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=enough)
    return means


def response_polarity(values: Array, times: Array, parameters: MeasureParameters) -> float:
    """Return whether a recording's responses to an event go up or down: the sign of the mean trace where it is farthest from 0.

    Parameters
    ----------
    values : ndarray of float64, (n, w)
    times : ndarray of float64, (w,)
        s, relative to the event.
    parameters : MeasureParameters

    Returns
    -------
    float
        1 or -1; not a number where no sample of the window is known.
    """
    mean = mean_trace(values[:, window_places(times, parameters.window_s)], parameters.minimum_trial_share)
    if np.isnan(mean).all():
        return float("nan")
    return -1.0 if mean[np.nanargmax(np.abs(mean))] < 0 else 1.0


def response_measures(
    values: Array,
    times: Array,
    spread: BaselineSpread,
    early_window_s: tuple[float, float],
    parameters: MeasureParameters,
    polarity: float | None = None,
) -> ResponseMeasures:
    """Return the measures of a recording's responses to one event.

    See `docs/methods/response_measures.md`.

    Parameters
    ----------
    values : ndarray of float64, (n, w)
        Masked after the next event and less their baseline, dff or z; not a number where unknown.
    times : ndarray of float64, (w,)
        Regular, s, relative to the event.
    spread : BaselineSpread
    early_window_s : tuple of float
        Start (included) and end (excluded) of the window of the mean.
    parameters : MeasureParameters
    polarity : float, optional
        1 or -1; by default that of these responses.

    Returns
    -------
    ResponseMeasures
        In the order of the responses.

    Raises
    ------
    ValueError
        When a window holds no sample.
    """
    sign = response_polarity(values, times, parameters) if polarity is None else polarity
    window = window_places(times, parameters.window_s)
    step = float(np.median(np.diff(times)))
    inside = values[:, window]
    known = ~np.isnan(inside)
    n_reach = max(int(np.searchsorted(times, parameters.width_until_s, side="left")) - window.start, 1)
    trace = sign * values[:, window.start : max(window.stop, window.start + n_reach)]
    upright = trace[:, : inside.shape[1]]
    places, peak, at_edge, of_peak = _peaks(upright, known)
    latency, rise, width = _flanks(upright, trace[:, :n_reach], peak, places)
    areas = _areas(inside, known, step)
    # a comparison with not-a-number is false
    valid = (peak > 0) & (peak >= parameters.valid_peak_sds * spread.sd)
    start = times[window.start]
    return ResponseMeasures(
        polarity=sign,
        mean=_early_mean(values[:, window_places(times, early_window_s)], parameters.minimum_known_share),
        peak=sign * peak,
        time_to_peak=start + step * of_peak,
        latency=start + step * latency,
        slope=sign * 0.6 * peak / (step * rise),
        auc=areas[0] + areas[1],
        auc_pos=areas[0],
        auc_neg=areas[1],
        width=step * width,
        centroid=_centroid(upright, times[window]),
        peak_z=sign * peak / (spread.smooth_sd if spread.smooth_sd > 0 else np.nan),
        masked_fraction=1 - known.mean(axis=1),
        peak_at_edge=at_edge,
        peak_valid=valid,
        latency_valid=valid & ~np.isnan(latency),
    )


def window_places(times: Array, window_s: tuple[float, float]) -> slice:
    """Return the samples of a window.

    Parameters
    ----------
    times : ndarray of float64, (w,)
        Increasing, s.
    window_s : tuple of float
        Start (included) and end (excluded).

    Raises
    ------
    ValueError
        When the window holds no sample.
    """
    first, last = (int(place) for place in np.searchsorted(times, window_s, side="left"))
    if first >= last:
        raise ValueError(
            f"window {window_s} holds no sample; responses reach from {times[0]:g} s to {times[-1]:g} s"
            if len(times)
            else f"window {window_s} holds no sample; responses have none"
        )
    return slice(first, last)


def _early_mean(inside: Array, minimum_known_share: float) -> Array:
    known = ~np.isnan(inside)
    counts = known.sum(axis=1)
    enough = (counts > 0) & (counts >= minimum_known_share * inside.shape[1])
    totals = np.where(known, inside, 0.0).sum(axis=1)
    means: Array = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=enough)
    return means


def _peaks(upright: Array, known: Flags) -> tuple[Places, Array, Flags, Array]:
    """Return where the largest samples are, and height, edge and time (in samples) of the parabola through each and its neighbours."""
    n, last = len(upright), upright.shape[1] - 1
    rows = np.arange(n)
    places = np.where(known, upright, -np.inf).argmax(axis=1)
    top = upright[rows, places]
    before, after = upright[rows, np.maximum(places - 1, 0)], upright[rows, np.minimum(places + 1, last)]
    inner = (places > 0) & (places < last) & ~np.isnan(before) & ~np.isnan(after)
    bend = before - 2 * top + after
    curved = inner & (bend < 0)
    shift = np.divide(before - after, 2 * bend, out=np.zeros(n), where=curved)
    height = top - np.where(curved, (before - after) * shift / 4, 0.0)
    any_known = ~np.isnan(top)
    return places, height, any_known & ~inner, np.where(any_known, places + shift, np.nan)


def _flanks(window: Array, reach: Array, peak: Array, places: Places) -> tuple[Array, Array, Array]:
    """Return latency, time from 20 % to 80 % of the peak and width, all in samples.

    `reach` is the trace from the start of the window on, for as long as a width is looked for.
    """
    rising = np.where(peak > 0, peak, np.nan)
    half = rising / 2
    above = window >= half[:, None]
    first = above.argmax(axis=1)
    latency = _crossing(window, first - 1, half, first > 0)
    low, high = (_last_rise(window, window >= level[:, None], level, places) for level in (0.2 * rising, 0.8 * rising))
    rise = np.where(high > low, high - low, np.nan)

    after = ~(reach >= half[:, None]) & (np.arange(reach.shape[1]) > places[:, None])
    tops = above[np.arange(len(window)), places]
    fall = _crossing(reach, after.argmax(axis=1) - 1, half, after.any(axis=1) & tops)
    return latency, rise, fall - _last_rise(window, above, half, places)


def _last_rise(trace: Array, above: Flags, level: Array, places: Places) -> Array:
    """Return where a trace comes above a level for the last time before its peak, in samples."""
    before = ~above & (np.arange(trace.shape[1]) < places[:, None])
    last = trace.shape[1] - 1 - before[:, ::-1].argmax(axis=1)
    # the vertex of a parabola may be so much higher than the sample that no sample reaches the level
    tops = above[np.arange(len(trace)), places]
    return _crossing(trace, last, level, before.any(axis=1) & tops)


def _crossing(trace: Array, before: Places, level: Array, found: Flags) -> Array:
    """Return where a trace crosses a level after a sample, in samples; not a number where either sample is."""
    rows = np.flatnonzero(found)
    first = before[rows]
    start, end = trace[rows, first], trace[rows, first + 1]
    places = np.full(len(trace), np.nan)
    places[rows] = first + (level[rows] - start) / (end - start)
    return places


def _areas(inside: Array, known: Flags, step_s: float) -> tuple[Array, Array]:
    """Return the areas above and below 0, by trapezoids between neighbours that are both known."""
    pairs = known[:, :-1] & known[:, 1:]
    weights = np.zeros(inside.shape)
    weights[:, :-1] += pairs
    weights[:, 1:] += pairs
    weights *= np.where(known, inside, 0.0) * (step_s / 2)
    some = pairs.any(axis=1)
    above, below = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return np.where(some, above, np.nan), np.where(some, below, np.nan)


def _centroid(upright: Array, times: Array) -> Array:
    # of not-a-number and 0, fmax takes the number
    mass = np.fmax(upright, 0.0)
    total = mass.sum(axis=1)
    found: Array = np.divide(mass @ times, total, out=np.full(total.shape, np.nan), where=total > 0)
    return found
