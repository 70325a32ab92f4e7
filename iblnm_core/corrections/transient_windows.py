"""How many transients fall into windows around events, and for how long one could have been seen there."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from iblnm_core.correction_parameters import TransientParameters
from iblnm_core.corrections.transient_kinetics import UNIT
from iblnm_core.corrections.transients import Array, Detection, Places

PRE = "pre"
_DTYPES = {
    "event": "object",
    "window": "object",
    "trial": "int64",
    "count": "int64",
    "exposure_s": "float64",
    "mean_amplitude": "float64",
    "unit": "object",
}


def transient_windows(
    kinetics: pd.DataFrame,
    times: Array,
    detection: Detection,
    events: Mapping[str, Array],
    parameters: TransientParameters,
) -> pd.DataFrame:
    """Count transients in windows before, after and late after every event; see `docs/methods/transients.md`.

    Parameters
    ----------
    kinetics : DataFrame
        See `transient_kinetics`.
    times : ndarray of float64, (n,)
        Of the trace, s, session clock, increasing.
    detection : Detection
        Of that trace.
    events : mapping of str to ndarray of float64, (trials,)
        Times of the events that are analysed, s, session clock, one per trial; not a number where an event did not happen.
    parameters : TransientParameters

    Returns
    -------
    DataFrame
        A row per event, window (pre, post, late) and trial in which the event happened: event, window, trial, count,
        exposure_s (time in the window, before the next event of any kind, in which a transient could be found),
        mean_amplitude (fraction, not a number without transients), unit. Counts are over that same time.
    """
    peak_times, amplitudes = (kinetics[name].to_numpy(np.float64) for name in ("time", "amplitude"))
    edges, searched_s = _searched(times, detection)
    starts = np.sort(np.concatenate([*events.values(), [np.inf]]))
    windows = {PRE: parameters.pre_window_s, "post": parameters.post_window_s, "late": parameters.late_window_s}
    frames = []
    for event, at in events.items():
        trials = np.flatnonzero(np.isfinite(at))
        begin = at[trials]
        following = starts[np.searchsorted(starts, begin, side="right")]
        for window, (first, end) in windows.items():
            since = begin + first
            until = np.maximum(np.minimum(begin + end, following), since)
            low, high = np.searchsorted(peak_times, since), np.searchsorted(peak_times, until)
            columns = {
                "event": event,
                "window": window,
                "trial": trials,
                "count": high - low,
                "exposure_s": np.interp(until, edges, searched_s) - np.interp(since, edges, searched_s),
                "mean_amplitude": _means(amplitudes, low, high),
                "unit": UNIT,
            }
            frames.append(pd.DataFrame(columns))
    counted = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*_DTYPES])
    return counted.astype(_DTYPES)


def _searched(times: Array, detection: Detection) -> tuple[Array, Array]:
    """Return the edges between samples, and up to each the time in which transients could be found, s."""
    if not len(times):
        return np.zeros(1), np.zeros(1)
    half = 0.5 / detection.rate_hz
    edges = np.concatenate([[times[0] - half], (times[1:] + times[:-1]) / 2, [times[-1] + half]])
    return edges, np.concatenate([[0.0], np.cumsum(np.diff(edges) * detection.searched)])


def _means(values: Array, low: Places, high: Places) -> Array:
    """Return means over slices of values, those that are known."""
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    n = counts[high] - counts[low]
    return np.where(n > 0, (sums[high] - sums[low]) / np.maximum(n, 1), np.nan)


def window_rates(windows: pd.DataFrame) -> pd.DataFrame:
    """Return what the windows of one recording come to over its trials.

    Parameters
    ----------
    windows : DataFrame
        See `transient_windows`.

    Returns
    -------
    DataFrame
        A row per event and window, in their order: event, window, n_trials (with any exposure), n (transients),
        exposure_s, rate_per_min (all transients over all exposure), probability (share of these trials with at least
        one), mean_amplitude (over transients, fraction), change_from_pre_per_min (rate less that of the window before
        the event, over trials with exposure in both; not a number for that window itself), unit. What needs trials with
        exposure is not a number without.
    """
    seen = windows[windows["exposure_s"] > 0]
    before = seen[seen["window"] == PRE]
    rows = []
    for event, window in windows[["event", "window"]].drop_duplicates().itertuples(index=False):
        own = seen[(seen["event"] == event) & (seen["window"] == window)]
        measured = own[own["mean_amplitude"].notna()]
        n_measured = measured["count"].sum()
        row = {
            "event": event,
            "window": window,
            "n_trials": len(own),
            "n": own["count"].sum(),
            "exposure_s": own["exposure_s"].sum(),
            "rate_per_min": _per_min(own["count"], own["exposure_s"]),
            "probability": (own["count"] > 0).mean(),
            "mean_amplitude": measured["mean_amplitude"] @ measured["count"] / n_measured if n_measured else np.nan,
            "change_from_pre_per_min": np.nan if window == PRE else _change(own, before[before["event"] == event]),
            "unit": UNIT,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _change(own: pd.DataFrame, before: pd.DataFrame) -> float:
    """Return the difference of two windows' rates over the trials that have both, per minute."""
    both = own.merge(before, on="trial", suffixes=("", "_before"))
    return _per_min(both["count"], both["exposure_s"]) - _per_min(both["count_before"], both["exposure_s_before"])


def _per_min(counts: pd.Series, exposures_s: pd.Series) -> float:
    """Return all transients over all exposure: a window that is cut to a few milliseconds hardly counts."""
    exposure_s = float(exposures_s.sum())
    return 60 * float(counts.sum()) / exposure_s if exposure_s > 0 else np.nan
