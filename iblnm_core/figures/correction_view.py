"""One fibre under one stored correction, as its pictures show it: what is stored, on common clocks, in percent. Nothing is fitted here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.corrections.motion import lowpassed
from iblnm_core.corrections.normalisation import Unit
from iblnm_core.corrections.traces import bridged
from iblnm_core.session.corrections_layout import trace_of
from iblnm_core.storage.session_file import Part

Array = NDArray[np.float64]
BandSamples = tuple[Array, Array]
"""Times (n,), s, session clock, and values (n,), camera units, of one band as it is stored."""

FAST_HZ = 10.0
"""Samples per second of what is compared sample by sample."""

PERCENT = 100.0
_UNIT: Unit = "dff"
_LEAST_KNOWN = 0.8
"""Share of its samples that a stretch needs for anything to be said of it."""
_WINDOW_STEP_S = 10.0


@dataclass(frozen=True, eq=False)
class Channel:
    """One band above its dark offset.

    Attributes
    ----------
    times, values : ndarray of float64, (n,)
        s, session clock; camera units. Only what the corrected trace covers.
    baseline : ndarray of float64, (n,), or None
        Stored once per second, interpolated; None where the correction has none for this band.
    """

    times: Array
    values: Array
    baseline: Array | None

    @property
    def change(self) -> Array | None:
        """Relative change, percent, (n,); None without baseline."""
        return None if self.baseline is None else PERCENT * (self.values / self.baseline - 1)


@dataclass(frozen=True, eq=False)
class Fast:
    """What is compared sample by sample, ten times per second.

    Attributes
    ----------
    times : ndarray of float64, (k,)
        s, session clock.
    signal, corrected : ndarray of float64, (k,)
        Percent; not a number where nothing is known.
    reference, motion : ndarray of float64, (k,), or None
        Percent: the change of the reference, and what was subtracted for it.
    weight : ndarray of float64, (k,), or None
        Of the robust fit, 0 to 1.
    """

    times: Array
    signal: Array
    corrected: Array
    reference: Array | None
    motion: Array | None
    weight: Array | None


@dataclass(frozen=True, eq=False)
class CorrectionView:
    """One fibre under one stored correction.

    Attributes
    ----------
    correction : str
    is_primary : bool
    about : mapping of str to value
        Attributes of the correction: slope, residual_r, n_masked, ...
    dark : tuple of (float, str)
        What was subtracted from both bands, camera units, and where it is from: as the session file has it.
    steps : tuple of mapping
        Steps of the correction with their parameters.
    times, corrected : ndarray of float64, (m,)
        s, session clock; percent.
    mask : ndarray of uint8, (m,)
        Sums of `corrections.masks.Bit`.
    signal : Channel
    reference : Channel or None
        None where no such band is stored.
    fast : Fast
    """

    correction: str
    is_primary: bool
    about: Mapping[str, Any]
    dark: tuple[tuple[float, str], tuple[float, str]]
    steps: tuple[Mapping[str, Any], ...]
    times: Array
    corrected: Array
    mask: NDArray[np.uint8]
    signal: Channel
    reference: Channel | None
    fast: Fast

    @property
    def motion_step(self) -> Mapping[str, Any] | None:
        """Parameters of the step that fitted one slope; None where there is none."""
        return next((step for step in self.steps if step["step"] == "MotionFit"), None)

    @property
    def moves(self) -> bool:
        """Whether anything was subtracted for the reference."""
        return self.fast.motion is not None and bool(np.nanmax(np.abs(self.fast.motion), initial=0.0) > 0)

    @cached_property
    def fit_traces(self) -> tuple[Array, Array, Array] | None:
        """Reference, signal (percent) and weight (k,) in the band that the slope was estimated from; None without slope.

        Only samples at which both are known; weights are not a number where the fit had none.
        """
        step, reference = self.motion_step, self.fast.reference
        if step is None or reference is None:
            return None
        known = np.isfinite(reference) & np.isfinite(self.fast.signal)
        x, y = (_in_band(values, known, step) for values in (reference, self.fast.signal))
        weight = np.full(len(x), np.nan) if self.fast.weight is None else self.fast.weight
        return x[known], y[known], weight[known]


def stored_bands(part: Part) -> dict[str, BandSamples]:
    """Return the bands of a fibre as the session file has them, by name.

    Parameters
    ----------
    part : Part
        `photometry/{region}/bands` of a session file.
    """
    names = sorted({name.partition("/")[0] for name in part.datasets})
    return {
        name: (np.asarray(part.datasets[f"{name}/times"]), np.asarray(part.datasets[f"{name}/signal"]))
        for name in names
    }


def correction_view(
    part: Part, bands: Mapping[str, BandSamples], names: tuple[str, str], correction: str | None = None
) -> CorrectionView:
    """Return what pictures show of one fibre under one correction.

    Parameters
    ----------
    part : Part
        The fibre's corrections, see `session.corrections_layout`.
    bands : mapping of str to tuple of ndarray
        The bands that are stored, by name.
    names : tuple of str
        Names of the signal band and of the reference band.
    correction : str, optional
        The primary one by default.

    Raises
    ------
    UnknownCorrection
        When it is not stored.
    CorrectionUnavailable
        When it could not be computed; the message says why.
    """
    name = str(part.attributes["primary"]) if correction is None else correction
    trace = trace_of(part, name, _UNIT)
    times, corrected = np.asarray(trace.index, np.float64), PERCENT * np.asarray(trace, np.float64)
    own = {key.partition("/")[2]: value for key, value in part.attributes.items() if key.startswith(f"{name}/")}
    fit = {
        key.removeprefix(f"{name}/fit/"): np.asarray(values, np.float64)
        for key, values in part.datasets.items()
        if key.startswith(f"{name}/fit/")
    }
    dark = tuple((float(part.attributes[f"dark_{band}"]), str(part.attributes[source])) for band, source in _DARK)
    span = float(times[0]), float(times[-1])
    signal = _channel(bands[names[0]], dark[0][0], fit, "baseline_signal", span)
    reference = _channel(bands[names[1]], dark[1][0], fit, "baseline_reference", span) if names[1] in bands else None
    return CorrectionView(
        name,
        name == part.attributes["primary"],
        own,
        (dark[0], dark[1]),
        tuple(json.loads(own["steps"])),
        times,
        corrected,
        np.asarray(part.datasets["mask"], np.uint8),
        signal,
        reference,
        _fast(times, corrected, signal, reference, fit),
    )


_DARK = (("signal", "dark_source"), ("reference", "dark_source_reference"))


def _channel(band: BandSamples, dark: float, fit: Mapping[str, Array], name: str, span: tuple[float, float]) -> Channel:
    inside = (band[0] >= span[0]) & (band[0] <= span[1])
    times = np.asarray(band[0], np.float64)[inside]
    values = np.asarray(band[1], np.float64)[inside] - dark
    return Channel(times, values, np.interp(times, fit["times"], fit[name]) if name in fit else None)


def _fast(times: Array, corrected: Array, signal: Channel, reference: Channel | None, fit: Mapping[str, Array]) -> Fast:
    centres = fit.get("motion_times", np.arange(times[0], times[-1], 1 / FAST_HZ))
    change = None if reference is None else reference.change
    motion = fit.get("motion")
    own = signal.change
    return Fast(
        centres,
        np.full(len(centres), np.nan) if own is None else mean_around(centres, signal.times, own),
        mean_around(centres, times, corrected),
        None if reference is None or change is None else mean_around(centres, reference.times, change),
        None if motion is None else PERCENT * motion,
        fit.get("weight"),
    )


def mean_around(centres: Array, times: Array, values: Array) -> Array:
    """Return means of the known samples that are nearest to each of some times; not a number where there are none.

    Parameters
    ----------
    centres : ndarray of float64, (k,)
        s, increasing.
    times, values : ndarray of float64, (n,)

    Returns
    -------
    ndarray of float64, (k,)
    """
    known = np.isfinite(values)
    nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, times[known])
    n = np.bincount(nearest, minlength=len(centres))
    total = np.bincount(nearest, values[known], len(centres))
    means: Array = np.divide(total, n, out=np.full(len(centres), np.nan), where=n > 0)
    return means


def _in_band(values: Array, known: NDArray[np.bool_], step: Mapping[str, Any]) -> Array:
    """Return a trace in the band of a slope: the same filters, at another rate than that of the fit."""
    whole = bridged(np.where(known, values, 0.0), known, FAST_HZ)
    cutoff, slowest = step["fit_cutoff_hz"], step["fit_highpass_hz"]
    fast = whole if cutoff is None else lowpassed(whole, float(cutoff), FAST_HZ)
    return fast if slowest is None else fast - lowpassed(fast, float(slowest), FAST_HZ, order=3)


def windowed_correlation(times: Array, first: Array, second: Array, length_s: float) -> tuple[Array, Array]:
    """Return middles of consecutive windows and the correlation of two traces in each.

    Parameters
    ----------
    times, first, second : ndarray of float64, (k,)
        Ten per second; not a number where unknown.
    length_s : float

    Returns
    -------
    middles, correlations : ndarray of float64, (w,)
        Not a number where a fifth is unknown, or nothing varies.
    """
    size = round(length_s * FAST_HZ)
    starts = np.arange(0, len(times) - size + 1, size)
    found = np.full(len(starts), np.nan)
    for place, start in enumerate(starts):
        x, y = first[start : start + size], second[start : start + size]
        known = np.isfinite(x) & np.isfinite(y)
        if known.mean() >= _LEAST_KNOWN and np.ptp(x[known]) > 0 and np.ptp(y[known]) > 0:
            found[place] = np.corrcoef(x[known], y[known])[0, 1]
    return times[starts] + length_s / 2, found


def strongest_movement(view: CorrectionView, length_s: float) -> float | None:
    """Return where the stretch starts in which the reference varies most (standard deviation); None without reference.

    Parameters
    ----------
    view : CorrectionView
    length_s : float
        Stretches start every ten seconds.
    """
    values = view.fast.reference if view.fast.reference is not None else view.fast.motion
    if values is None:
        return None
    largest, found = 0.0, None
    for start in _starts(view.times, length_s):
        first, last = np.searchsorted(view.fast.times, (start, start + length_s))
        own = values[first:last]
        known = np.isfinite(own)
        if last > first and known.mean() >= _LEAST_KNOWN and np.std(own[known]) > largest:
            largest, found = float(np.std(own[known])), float(start)
    return found


def largest_transients(times: Array, transients: pd.DataFrame, length_s: float) -> float | None:
    """Return where the stretch starts whose transients have the largest amplitudes, added up; None without any.

    Parameters
    ----------
    times : ndarray of float64, (m,)
        Of the corrected trace, s, session clock.
    transients : DataFrame
        Columns time (s, session clock) and amplitude.
    length_s : float
        Stretches start every ten seconds.
    """
    known = transients.dropna(subset=["amplitude"])
    starts = _starts(times, length_s)
    if known.empty or not len(starts):
        return None
    order = known.sort_values("time")
    total = np.concatenate([[0.0], np.cumsum(order["amplitude"])])
    peaks = order["time"].to_numpy(np.float64)
    sums = total[np.searchsorted(peaks, starts + length_s)] - total[np.searchsorted(peaks, starts)]
    return float(starts[np.argmax(sums)]) if sums.max() > 0 else None


def _starts(times: Array, length_s: float) -> Array:
    return np.arange(times[0], times[-1] - length_s, _WINDOW_STEP_S)
