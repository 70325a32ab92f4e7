"""How transients rise and fall, and what those of a recording come to. Finding them is `transients`, counting them around events is not here."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.correction_parameters import TransientParameters
from iblnm_core.corrections.transients import Array, Detection, Flags, Places

KINETICS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "amplitude": ("peak less baseline", "dff"),
        "prominence": ("height over the lowest places beside the peak that no higher peak comes before", "dff"),
        "rise_s": ("from half the amplitude to the peak", "s"),
        "decay_s": ("from the peak back to half the amplitude", "s"),
        "width_s": ("rise and decay together", "s"),
        "area": ("integral of the trace less baseline, over rise and decay", "dff s"),
        "iei_s": ("from the transient before to this one, peak to peak", "s"),
    }
)
"""What is measured of a transient and summarised over a recording: meaning and unit."""
UNIT = "dff"
"""All sizes are relative changes, never z-scores: these depend on how active the recording is."""
_LEAST_BASELINE = 0.5
"""Share of the samples of its window that a baseline needs."""


def transient_kinetics(
    times: Array,
    dff: Array,
    detection: Detection,
    events: Mapping[str, Array],
    parameters: TransientParameters,
) -> pd.DataFrame:
    """Measure the transients of one corrected trace; see `docs/methods/transients.md`.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, session clock, increasing, as regular as the camera was.
    dff : ndarray of float64, (n,)
        Fraction, not a number where masked.
    detection : Detection
        Of that trace.
    events : mapping of str to ndarray of float64, (trials,)
        Times of the events that are analysed, s, session clock, one per trial; not a number where an event did not happen.
    parameters : TransientParameters

    Returns
    -------
    DataFrame
        A row per transient in order of time: transient (from 0), time (s, session clock), baseline, amplitude, prominence
        (fraction), rise_s, decay_s, width_s, area (fraction times s), iei_s, compound, event, trial, since_event_s; unit.
        What is not known is null.
    """
    kept = np.isfinite(dff)
    known = np.where(kept, detection.smooth, np.nan)
    places, heights = _vertices(detection.smooth, detection.peaks)
    peak_times = _at(places, times)
    baseline = _baselines(known, detection, parameters)
    crossings = _crossings(known, detection, baseline, heights, parameters)
    left, right = (_at(place, times) for place in crossings)
    decay = right - peak_times
    decay[decay > parameters.decay_within_s] = np.nan
    return pd.DataFrame(
        {
            "transient": np.arange(len(places), dtype=np.int64),
            "time": peak_times,
            "baseline": baseline,
            "amplitude": heights - baseline,
            "prominence": detection.prominences,
            "rise_s": peak_times - left,
            "decay_s": decay,
            "width_s": peak_times - left + decay,
            "area": np.where(np.isfinite(decay), _areas(times, detection.smooth, crossings, baseline), np.nan),
            "iei_s": _intervals(peak_times, detection.peaks, kept),
            "compound": _compound(peak_times, parameters.compound_within_s),
            **_last_events(peak_times, events, parameters.event_within_s),
            "unit": UNIT,
        }
    )


def transient_summary(
    kinetics: pd.DataFrame, dff: Array, detection: Detection, parameters: TransientParameters
) -> dict[str, float | bool | str | None]:
    """Return what the transients of a recording come to: one row of the table `transient_summary`, without its keys.

    Parameters
    ----------
    kinetics : DataFrame
        See `transient_kinetics`.
    dff : ndarray of float64, (n,)
        Fraction, not a number where masked.
    detection : Detection
        Of that trace.
    parameters : TransientParameters

    Returns
    -------
    dict of str to float, bool, str or None
        n, unmasked_s, rate_per_min and rate_inverted (per minute of what is not masked), share_compound (not a number
        without transients), threshold (fraction), separable (None when there is no rate), unit, and of every entry of
        `KINETICS` its median and median absolute deviation, in its unit.
    """
    unmasked_s = int(np.count_nonzero(np.isfinite(dff))) / detection.rate_hz
    n = len(kinetics)
    rate, inverted = (60 * count / unmasked_s if unmasked_s else np.nan for count in (n, len(detection.troughs)))
    row: dict[str, float | bool | str | None] = {
        "n": n,
        "unmasked_s": unmasked_s,
        "rate_per_min": rate,
        "rate_inverted": inverted,
        "share_compound": float(kinetics["compound"].mean()) if n else np.nan,
        "threshold": detection.threshold,
        "separable": separable(rate, inverted, parameters) if np.isfinite(detection.threshold) else None,
        "unit": UNIT,
    }
    for name in KINETICS:
        values = kinetics[name].to_numpy(np.float64)
        values = values[np.isfinite(values)]
        median = float(np.median(values)) if len(values) else np.nan
        row[f"{name}_median"] = median
        row[f"{name}_mad"] = float(np.median(np.abs(values - median))) if len(values) else np.nan
    return row


def separable(rate_per_min: float, rate_inverted: float, parameters: TransientParameters) -> bool:
    """Return whether transients can be told from fluctuation: if not, their rate is no rate of events.

    Parameters
    ----------
    rate_per_min, rate_inverted : float
        Of peaks and of troughs, per minute.
    parameters : TransientParameters
    """
    fluctuating = (
        rate_inverted > parameters.inverted_share * rate_per_min and rate_per_min > parameters.fluctuating_per_min
    )
    return not (fluctuating or rate_per_min >= parameters.crowded_per_min)


def _at(places: Array, values: Array) -> Array:
    """Return values between samples."""
    if not len(places):
        return np.empty(0)
    return np.interp(places, np.arange(len(values)), values)


def _vertices(smooth: Array, peaks: Places) -> tuple[Array, Array]:
    """Return where parabolas through a peak and its neighbours are highest, in samples, and how high."""
    before, at, after = smooth[peaks - 1], smooth[peaks], smooth[peaks + 1]
    slope, curvature = (after - before) / 2, before - 2 * at + after
    curved = curvature < 0
    # the level that was taken off where the peak was found may put the vertex just beyond
    offsets = np.where(curved, np.clip(-slope / np.where(curved, curvature, -1.0), -0.5, 0.5), 0.0)
    return peaks.astype(np.float64) + offsets, at + slope * offsets + curvature * offsets**2 / 2


def _around(known: Array, peaks: Places, first: int, last: int) -> Array:
    """Return samples from `first` to `last`, both included, around every peak; not a number outside the recording."""
    places = peaks[:, None] + np.arange(first, last + 1)
    inside = (places >= 0) & (places < len(known))
    return np.where(inside, known[np.where(inside, places, 0)], np.nan)


def _baselines(known: Array, detection: Detection, parameters: TransientParameters) -> Array:
    first, end = (round(edge * detection.rate_hz) for edge in parameters.baseline_window_s)
    samples = _around(known, detection.peaks, first, end - 1)
    there = np.isfinite(samples)
    counts = there.sum(axis=1)
    enough = counts >= _LEAST_BASELINE * samples.shape[1]
    sums = np.where(there, samples, 0.0).sum(axis=1)
    return np.where(enough, sums / np.maximum(counts, 1), np.nan)


def _crossings(
    known: Array, detection: Detection, baseline: Array, heights: Array, parameters: TransientParameters
) -> tuple[Array, Array]:
    """Return where the trace passes half the amplitude before and after every peak, in samples."""
    peaks, rate = detection.peaks, detection.rate_hz
    amplitude = heights - baseline
    # a peak on the flank of a larger one hardly rises above what was before it: its half widths would be chance
    half = np.where(amplitude > detection.threshold, baseline + amplitude / 2, np.nan)
    # some sample of the baseline's window is not above the baseline: the rise begins within it
    before = -_first_below(_around(known, peaks, round(parameters.baseline_window_s[0] * rate), 0)[:, ::-1], half)
    # a vertex lies up to half a sample after its peak
    after = _first_below(_around(known, peaks, 0, int(parameters.decay_within_s * rate) + 2), half)
    return peaks + before, peaks + after


def _first_below(samples: Array, half: Array) -> Array:
    """Return where rows fall to a value, in samples from their first; not a number if they do not, or are masked before."""
    if not len(samples):
        return np.empty(0)
    ends = ~(samples > half[:, None])
    # 0 as well where no sample is below
    first = np.argmax(ends, axis=1)
    rows = np.arange(len(samples))
    above, below = samples[rows, np.maximum(first - 1, 0)], samples[rows, first]
    with np.errstate(invalid="ignore", divide="ignore"):
        places = first - 1 + (above - half) / (above - below)
    return np.where(first > 0, places, np.nan)


def _areas(times: Array, smooth: Array, crossings: tuple[Array, Array], baseline: Array) -> Array:
    """Return the trapezoid integral of a trace less baseline between two places."""
    if not len(baseline):
        return np.empty(0)
    sums = np.concatenate([[0.0], np.cumsum((smooth[1:] + smooth[:-1]) / 2 * np.diff(times))])

    def until(places: Array) -> Array:
        whole = np.where(np.isfinite(places), places, 0.0).astype(np.intp)
        share = _at(places, times) - times[whole]
        total: Array = sums[whole] + share * (smooth[whole] + _at(places, smooth)) / 2
        return total

    left, right = crossings
    return until(right) - until(left) - baseline * (_at(right, times) - _at(left, times))


def _intervals(peak_times: Array, peaks: Places, kept: Flags) -> Array:
    """Return times since the peak before; not a number for the first, and where masked samples may hide one."""
    intervals = np.full(len(peaks), np.nan)
    masked_so_far = np.cumsum(~kept)[peaks]
    intervals[1:] = np.where(np.diff(masked_so_far) == 0, np.diff(peak_times), np.nan)
    return intervals


def _compound(peak_times: Array, within_s: float) -> NDArray[np.bool_]:
    close = np.diff(peak_times) <= within_s
    compound: NDArray[np.bool_] = np.zeros(len(peak_times), bool)
    compound[1:] |= close
    compound[:-1] |= close
    return compound


def _last_events(peak_times: Array, events: Mapping[str, Array], within_s: float) -> dict[str, object]:
    """Return the last event before each peak: its name, trial, and how long ago it was."""
    counts = [len(at) for at in events.values()]
    # the last entry stands for no event
    names = np.array([*np.repeat(np.array([*events], dtype=object), counts), None], dtype=object)
    trials = np.concatenate([*(np.arange(count) for count in counts), [0]]).astype(np.int64)
    at = np.concatenate([*events.values(), [-np.inf]])
    order = np.argsort(at, kind="stable")[: np.count_nonzero(~np.isnan(at))]
    last = order[np.searchsorted(at[order], peak_times, side="right") - 1]
    since = peak_times - at[last]
    none = since > within_s
    own = names[last]
    own[none] = None
    return {
        "event": own,
        "trial": pd.arrays.IntegerArray(trials[last], none),
        "since_event_s": np.where(none, np.nan, since),
    }
