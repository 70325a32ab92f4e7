"""From two raw bands to one corrected signal: bleaching, isosbestic fit, z-score, regular grid. Arrays only."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import DegenerateSignal
from iblnm_core.parameters import PreprocessingParameters

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PreprocessedSignal:
    """A corrected signal.

    Attributes
    ----------
    times : ndarray of float64, (m,)
        Regular grid, s, session clock.
    values : ndarray of float64, (m,)
        z-scored before it was put on the grid, so its own variance is near one, not one. Not a number inside gaps that
        are too long to interpolate across.
    sampling_rate_hz : float
    iso_slope, iso_intercept : float
        Line of the signal band on the reference band, both as relative change.
    iso_correlation : float
        Share of the signal's variance that the line explains.
    mean, standard_deviation : float
        Of the corrected signal before z-scoring, relative change.
    """

    times: Array
    values: Array
    sampling_rate_hz: float
    iso_slope: float
    iso_intercept: float
    iso_correlation: float
    mean: float
    standard_deviation: float


def preprocess(
    signal_times: Array,
    signal: Array,
    reference_times: Array,
    reference: Array,
    parameters: PreprocessingParameters,
    band_pairing: Literal["time", "position"],
    names: tuple[str, str] = ("signal", "reference"),
) -> PreprocessedSignal:
    """Correct a signal for bleaching and for what it shares with the isosbestic reference.

    See `docs/methods/preprocessing.md`.

    Parameters
    ----------
    signal_times, signal : ndarray of float64, (n,)
        s, session clock; camera units.
    reference_times, reference : ndarray of float64, (r,)
        Likewise for the reference band; paired by position it must have n samples too.
    parameters : PreprocessingParameters
    band_pairing : {'time', 'position'}
        Whether the reference is interpolated at the signal's times or taken sample by sample.
    names : tuple of str
        What the two bands are called in messages.

    Raises
    ------
    DegenerateSignal
        When either band is too short or constant, its times do not increase, its slow course is not positive, or
        nothing that varies is left after correction.
    """
    _check_processable(names[0], signal_times, signal, parameters)
    _check_processable(names[1], reference_times, reference, parameters)
    corrected = remove_bleaching(signal_times, signal, parameters, names[0])
    shared = remove_bleaching(reference_times, reference, parameters, names[1])
    if band_pairing == "time":
        shared = np.interp(signal_times, reference_times, shared)
    slope, intercept, explained = fit_isosbestic(corrected, shared)
    residual = corrected - (slope * shared + intercept)
    mean, deviation = float(np.mean(residual)), float(np.std(residual))
    if not (np.isfinite(deviation) and deviation > 0):
        raise DegenerateSignal(
            f"corrected {names[0]} has standard deviation {deviation}; expected a positive one",
            measured=deviation,
            threshold=0,
        )
    grid, values = on_regular_grid(
        signal_times, (residual - mean) / deviation, parameters.sampling_rate_hz, parameters.longest_bridged_gap_s
    )
    return PreprocessedSignal(grid, values, parameters.sampling_rate_hz, slope, intercept, explained, mean, deviation)


def on_regular_grid(
    times: Array, values: Array, rate_hz: float, longest_bridged_s: float | None
) -> tuple[Array, Array]:
    """Interpolate a signal on a regular grid by a monotone piecewise cubic.

    Parameters
    ----------
    times, values : ndarray of float64, (n,)
        s, increasing; finite.
    rate_hz : float
    longest_bridged_s : float or None
        Inside longer gaps between samples the result is not a number; None to interpolate across any.

    Returns
    -------
    grid, values : ndarray of float64, (m,)
        The grid starts at the first sample and ends before the last.
    """
    from scipy.interpolate import PchipInterpolator

    grid = np.arange(times[0], times[-1], 1 / rate_hz)
    interpolated: Array = PchipInterpolator(times, values)(grid)
    if longest_bridged_s is not None:
        interpolated[_inside_gaps(grid, times, longest_bridged_s)] = np.nan
    return grid, interpolated


def _inside_gaps(grid: Array, times: Array, longest_bridged_s: float) -> NDArray[np.bool_]:
    """Return which points of a grid lie strictly between two samples that are too far apart."""
    wide = np.flatnonzero(np.diff(times) > longest_bridged_s)
    inside = np.zeros(len(grid), bool)
    for before, after in zip(times[wide], times[wide + 1], strict=True):
        inside |= (grid > before) & (grid < after)
    return inside


def _check_processable(name: str, times: Array, values: Array, parameters: PreprocessingParameters) -> None:
    # the filter's own odd extension needs this many samples
    minimum = 6 * (parameters.bleaching_filter_order + 1) // 2 + 1
    if len(times) < minimum:
        raise DegenerateSignal(
            f"{name} band has {len(times)} samples inside the session; expected at least {minimum}",
            measured=len(times),
            threshold=minimum,
        )
    backwards = int(np.count_nonzero(~(np.diff(times) > 0)))
    if backwards:
        raise DegenerateSignal(
            f"times of the {name} band do not increase {backwards} times; expected increasing times",
            measured=backwards,
            threshold=0,
        )
    if np.ptp(values) == 0:
        raise DegenerateSignal(
            f"{name} band is constant at {values[0]:g} (SD 0); expected a signal that varies", measured=0, threshold=0
        )


def remove_bleaching(times: Array, values: Array, parameters: PreprocessingParameters, name: str = "signal") -> Array:
    """Return the relative change of a band against its own slow course.

    Parameters
    ----------
    times, values : ndarray of float64, (n,)
    parameters : PreprocessingParameters
    name : str
        What the band is called in messages.

    Returns
    -------
    ndarray of float64, (n,)

    Raises
    ------
    DegenerateSignal
        See `slow_course`.
    """
    baseline = slow_course(times, values, parameters, name)
    change: Array = (values - baseline) / baseline
    return change


def slow_course(times: Array, values: Array, parameters: PreprocessingParameters, name: str = "signal") -> Array:
    """Return the slow course of a band: a zero-phase low-pass.

    The edges are extended by point reflection, far enough for the filter's memory when the parameters say so.

    Parameters
    ----------
    times, values : ndarray of float64, (n,)
    parameters : PreprocessingParameters
    name : str
        What the band is called in messages.

    Returns
    -------
    ndarray of float64, (n,)
        In units of the band.

    Raises
    ------
    DegenerateSignal
        When it is not positive throughout, so that there is nothing to be relative to.
    """
    from scipy.signal import butter, sosfiltfilt

    rate = 1 / np.median(np.diff(times))
    sections = butter(parameters.bleaching_filter_order, parameters.bleaching_cutoff_hz, "low", fs=rate, output="sos")
    padding = None
    if parameters.bleaching_padding_s is not None:
        padding = min(round(parameters.bleaching_padding_s * rate), len(values) - 1)
    baseline: Array = sosfiltfilt(sections, values, padlen=padding)
    lowest = float(baseline.min())
    if not lowest > 0:
        raise DegenerateSignal(
            f"slow course of the {name} band falls to {lowest:g}; expected it above 0, as the change is relative to it",
            measured=lowest,
            threshold=0,
        )
    return baseline


def fit_isosbestic(signal: Array, reference: Array) -> tuple[float, float, float]:
    """Fit a line of the signal on the reference by least squares.

    Parameters
    ----------
    signal, reference : ndarray of float64, (n,)

    Returns
    -------
    slope, intercept, explained : float
        `explained` is the squared correlation.
    """
    centred, about = reference - reference.mean(), signal - signal.mean()
    spread = float(centred @ centred)
    slope = float(centred @ about) / spread if spread > 0 else 0.0
    intercept = float(signal.mean() - slope * reference.mean())
    total = float(about @ about)
    explained = slope**2 * spread / total if total > 0 else np.nan
    return slope, intercept, explained
