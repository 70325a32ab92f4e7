"""What corrections of a signal are made of: slow course, line on the isosbestic band, regular grid. Arrays only."""

from dataclasses import dataclass

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
        Line of the signal band on the reference band, both as relative change; not a number without one.
    iso_correlation : float
        Share of the signal's variance that the line explains.
    mean, standard_deviation : float
        Of the corrected signal before z-scoring, relative change.
    correction : str
        Name of the correction.
    """

    times: Array
    values: Array
    sampling_rate_hz: float
    iso_slope: float
    iso_intercept: float
    iso_correlation: float
    mean: float
    standard_deviation: float
    correction: str


def regular_grid(times: Array, rate_hz: float) -> Array:
    """Return regular times from the first sample on; they end before the last.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, increasing.
    rate_hz : float
    """
    return np.arange(times[0], times[-1], 1 / rate_hz)


def on_grid(grid: Array, times: Array, values: Array, longest_bridged_s: float | None) -> Array:
    """Interpolate a signal on a grid by a monotone piecewise cubic.

    Parameters
    ----------
    grid : ndarray of float64, (m,)
        s, increasing.
    times, values : ndarray of float64, (n,)
        s, increasing; finite.
    longest_bridged_s : float or None
        Inside longer gaps between samples the result is not a number; None to interpolate across any.

    Returns
    -------
    ndarray of float64, (m,)
        Not a number before the first sample and after the last.
    """
    from scipy.interpolate import PchipInterpolator

    interpolated: Array = PchipInterpolator(times, values, extrapolate=False)(grid)
    if longest_bridged_s is not None:
        interpolated[_inside_gaps(grid, times, longest_bridged_s)] = np.nan
    return interpolated


def _inside_gaps(grid: Array, times: Array, longest_bridged_s: float) -> NDArray[np.bool_]:
    """Return which points of a grid lie strictly between two samples that are too far apart."""
    wide = np.flatnonzero(np.diff(times) > longest_bridged_s)
    inside = np.zeros(len(grid), bool)
    for before, after in zip(times[wide], times[wide + 1], strict=True):
        inside |= (grid > before) & (grid < after)
    return inside


def check_processable(name: str, times: Array, values: Array, parameters: PreprocessingParameters) -> None:
    """Refuse a band that no correction can be computed of.

    Parameters
    ----------
    name : str
        What the band is called in messages.
    times, values : ndarray of float64, (n,)
    parameters : PreprocessingParameters

    Raises
    ------
    DegenerateSignal
        When it is too short or constant, or its times do not increase.
    """
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
