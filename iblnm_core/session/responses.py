"""Peri-event responses: windows of a regular signal around events, and what is done to them before averaging."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.parameters import ResponseParameters

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Responses:
    """Responses of one fibre.

    Attributes
    ----------
    events : tuple of str, e
    times : ndarray of float64, (w,)
        s, relative to the event.
    trials : ndarray of int64, (n,)
        Trial numbers.
    values : ndarray of float64, (e, n, w)
        z; not a number where the window is not completely observed.
    sampling_rate_hz : int
    window_s : tuple of float
        Start (included) and end (excluded).
    """

    events: tuple[str, ...]
    times: Array
    trials: NDArray[np.int64]
    values: Array
    sampling_rate_hz: int
    window_s: tuple[float, float]

    def to_xarray(self) -> "xr.DataArray":
        """Return the responses as a labelled array with dimensions (event, trial, time)."""
        import xarray as xr

        coordinates = {"event": list(self.events), "trial": self.trials, "time": self.times}
        return xr.DataArray(self.values, coordinates, ("event", "trial", "time"))


def peri_event(
    times: Array,
    values: Array,
    event_times: Array,
    window_s: tuple[float, float],
    alignment: Literal["interpolated", "next_sample"],
    end_times: Array | None = None,
) -> tuple[Array, Array]:
    """Cut windows of a regularly sampled signal around events.

    See `docs/methods/responses.md`.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        Signal on a regular grid, s; not a number where it is unknown.
    event_times : ndarray of float64, (n,)
        s; not a number for a trial without the event.
    window_s : tuple of float
        Start (included) and end (excluded) relative to the event.
    alignment : {'interpolated', 'next_sample'}
        Signal interpolated at event + k / rate, or from the first sample at or after the event on.
    end_times : ndarray of float64, (n,), optional
        Absolute end per trial, instead of the window's: the window is as long as the longest, samples after a trial's
        own end are not a number.

    Returns
    -------
    offsets : ndarray of float64, (w,)
        s, relative to the event.
    rows : ndarray of float64, (n, w)
        Rows whose window is not completely observed are not a number.
    """
    rate = _rate_hz(times)
    start, end = window_s
    if end_times is not None:
        lengths = end_times - event_times
        end = float(lengths[np.isfinite(lengths)].max()) if np.isfinite(lengths).any() else abs(start)
    steps = np.arange(round(start * rate), round(end * rate))
    offsets = steps / rate
    rows = np.full((len(event_times), len(steps)), np.nan)
    # a comparison with not-a-number is false, which leaves trials without event out
    valid = (event_times + start >= times[0]) & (event_times + end <= times[-1])
    anchors = event_times[valid]
    if alignment == "next_sample":
        first = np.searchsorted(times, anchors, side="left")
        rows[valid] = values[np.clip(first[:, None] + steps, 0, len(values) - 1)]
    else:
        rows[valid] = np.interp(anchors[:, None] + offsets, times, values)
    own = np.full(rows.shape, True) if end_times is None else ~(offsets > (end_times - event_times)[:, None])
    # a signal is unknown inside its gaps, and a window with a part of one is not completely observed
    rows[(np.isnan(rows) & own).any(axis=1)] = np.nan
    rows[~own] = np.nan
    return offsets, rows


def extract_responses(
    times: Array, values: Array, trials: pd.DataFrame, events: Sequence[str], parameters: ResponseParameters
) -> Responses:
    """Return the responses of one fibre to several events.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        Preprocessed signal on a regular grid; s, z.
    trials : DataFrame
        One column per event, s.
    events : sequence of str
    parameters : ResponseParameters
    """
    rows = []
    offsets = np.empty(0)
    for event in events:
        event_times = trials[event].to_numpy(np.float64)
        offsets, found = peri_event(times, values, event_times, parameters.window_s, parameters.alignment)
        rows.append(found)
    rate = _rate_hz(times)
    numbers = trials.index.to_numpy(np.int64)
    return Responses(tuple(events), offsets, numbers, np.stack(rows), rate, parameters.window_s)


def _rate_hz(times: Array) -> int:
    """Return the sampling rate of a regular grid."""
    return round((len(times) - 1) / float(times[-1] - times[0]))


def mask_after_next_event(responses: Responses, trials: pd.DataFrame, events: Sequence[str]) -> Responses:
    """Blank, in every trial, the samples that come after the trial's next event.

    See `docs/methods/responses.md`. Comes before `subtract_baseline`: a next event that precedes its own takes the
    baseline with it.

    Parameters
    ----------
    responses : Responses
    trials : DataFrame
        One column per event, s; indexed by trial number.
    events : sequence of str
        Events in the order they have in a trial. Each is masked by the one that follows it here, the last by none.

    Returns
    -------
    Responses
        Samples later than the next event are not a number; one at its very time stays. A trial without the next event
        is not masked.
    """
    trials = trials.loc[responses.trials]
    values = responses.values.copy()
    for event, following in pairwise(events):
        if event in responses.events:
            until = (trials[following] - trials[event]).to_numpy(np.float64)
            values[responses.events.index(event), responses.times > until[:, None]] = np.nan
    return replace(responses, values=values)


def magnitudes(responses: Responses, window_s: tuple[float, float]) -> Array:
    """Return the mean of each response over a window.

    Parameters
    ----------
    responses : Responses
    window_s : tuple of float
        Start (included) and end (excluded) relative to the event.

    Returns
    -------
    ndarray of float64, (e, n)
        Over the known samples; not a number where none is known.

    Raises
    ------
    ValueError
        When the window holds no sample.
    """
    return _window_means(responses, window_s, "magnitude")[..., 0]


def subtract_baseline(responses: Responses, window_s: tuple[float, float]) -> Responses:
    """Subtract the mean of each trial over a window before the event.

    See `docs/methods/responses.md`.

    Parameters
    ----------
    responses : Responses
    window_s : tuple of float
        Start (included) and end (excluded) relative to the event.

    Returns
    -------
    Responses
        A trial whose baseline is unknown in all samples is not a number; single missing samples are left out.

    Raises
    ------
    ValueError
        When the window holds no sample.
    """
    return replace(responses, values=responses.values - _window_means(responses, window_s, "baseline"))


def _window_means(responses: Responses, window_s: tuple[float, float], kind: str) -> Array:
    """Return the mean over the known samples of a window, with the time axis kept."""
    first, last = np.searchsorted(responses.times, window_s, side="left")
    if first >= last:
        raise ValueError(
            f"{kind} window {window_s} holds no sample; responses reach from {responses.times[0]:g} s to "
            f"{responses.times[-1]:g} s"
        )
    inside = responses.values[..., first:last]
    known = ~np.isnan(inside)
    counts = known.sum(axis=-1, keepdims=True)
    totals = np.where(known, inside, 0.0).sum(axis=-1, keepdims=True)
    means: Array = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    return means
