"""What corrections of a signal are made of: slow course, line on the isosbestic band, regular grid. Arrays only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.robust import median
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
    widths = np.diff(times)
    rises = np.diff(values) / widths
    slopes = _monotone_slopes(widths, rises)
    # the cubic of each interval, in powers of the time since its start
    excess = (slopes[:-1] + slopes[1:] - 2 * rises) / widths
    quadratic, cubic = (rises - slopes[:-1]) / widths - excess, excess / widths
    # several times faster than a search; where rounding takes the neighbour, its cubic has the same value there
    interval = np.minimum(np.interp(grid, times, np.arange(len(times))).astype(np.intp), len(widths) - 1)
    since = grid - times[interval]
    interpolated: Array = values[interval] + since * (
        slopes[interval] + since * (quadratic[interval] + since * cubic[interval])
    )
    interpolated[(grid < times[0]) | (grid > times[-1])] = np.nan
    if longest_bridged_s is not None:
        interpolated[_inside_gaps(grid, times, longest_bridged_s)] = np.nan
    return interpolated


def _monotone_slopes(widths: Array, rises: Array) -> Array:
    """Return the derivatives at the samples by Fritsch and Butland: 0 at extremes, else weighted harmonic means."""
    if len(rises) == 1:
        return np.repeat(rises, 2)
    before, after = 2 * widths[1:] + widths[:-1], widths[1:] + 2 * widths[:-1]
    slopes = np.zeros(len(rises) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (before + after) / (before / rises[:-1] + after / rises[1:])
    slopes[1:-1] = np.where(rises[:-1] * rises[1:] > 0, means, 0.0)
    slopes[0] = _edge_slope(*widths[:2], *rises[:2])
    slopes[-1] = _edge_slope(*widths[:-3:-1], *rises[:-3:-1])
    return slopes


def _edge_slope(width: float, next_width: float, rise: float, next_rise: float) -> float:
    """Return the derivative at an edge: three-point formula, kept from overshooting."""
    slope = ((2 * width + next_width) * rise - width * next_rise) / (width + next_width)
    if np.sign(slope) != np.sign(rise):
        return 0.0
    if np.sign(rise) != np.sign(next_rise) and abs(slope) > 3 * abs(rise):
        return 3 * rise
    return slope


def _inside_gaps(grid: Array, times: Array, longest_bridged_s: float) -> NDArray[np.bool_]:
    """Return which points of a grid lie strictly between two samples that are too far apart."""
    wide = np.flatnonzero(np.diff(times) > longest_bridged_s)
    firsts = np.searchsorted(grid, times[wide], side="right")
    lasts = np.searchsorted(grid, times[wide + 1], side="left")
    inside = np.zeros(len(grid), bool)
    for first, last in zip(firsts, lasts, strict=True):
        inside[first:last] = True
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

    rate = 1 / median(np.diff(times))
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
