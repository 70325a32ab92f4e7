"""The transients of one fibre: where they are, their mean course, how large they are, how often they come."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from iblnm_core.figures.correction_view import PERCENT, largest_transients
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme
from iblnm_core.session.corrections_layout import trace_of
from iblnm_core.session.transient_stage import transient_rows
from iblnm_core.storage.session_file import Part

Array = NDArray[np.float64]

EXCERPT_S = 60.0
"""Length of the close look."""
COURSE_S = (-1.0, 3.0)
"""Around the peak."""

_BIN_S = 60.0
_LEAST_KNOWN = 0.8
_BARS = 30
_COLOUR, _EDGE = "#9a9a9a", "#303030"
_MARKS = "#7a2a7f"


def transient_panel(corrections: Part, transients: Part, region: str, theme: Theme) -> Figure:
    """Draw the transients of one fibre.

    Parameters
    ----------
    corrections : Part
        The fibre's corrections, see `session.corrections_layout`.
    transients : Part
        Its transients, see `session.transient_stage`.
    region : str
        What the fibre is called.
    theme : Theme

    Raises
    ------
    CorrectionUnavailable
        When the correction that they were found in could not be computed.
    """
    name = str(transients.attributes["correction"])
    trace = trace_of(corrections, name)
    times, values = np.asarray(trace.index, np.float64), PERCENT * np.asarray(trace, np.float64)
    rows = transient_rows(transients)
    figure = Figure(figsize=(9.2, 4.4))
    figure.text(0.012, 0.965, f"{region}: {_facts(transients, name)}", fontsize=8, va="center")
    grid = figure.add_gridspec(2, 3, left=0.075, right=0.985, top=0.87, bottom=0.105, hspace=0.55, wspace=0.3)
    _excerpt(figure.add_subplot(grid[0, :]), times, values, rows, theme)
    _course(figure.add_subplot(grid[1, 0]), times, values, rows)
    _amplitudes(figure.add_subplot(grid[1, 1]), rows, transients)
    _rate(figure.add_subplot(grid[1, 2]), times, values, rows)
    return figure


def _facts(transients: Part, correction: str) -> str:
    about = transients.attributes
    words = [f"{about['n']} transients of {correction}"]
    rates = about.get("rate_per_min"), about.get("rate_inverted")
    if all(rate is not None and np.isfinite(rate) for rate in rates):
        words.append(f"{rates[0]:.3g} per minute; troughs by the same rules {rates[1]:.3g}")
    if about.get("separable") is False:
        words.append("not separable from fluctuation: these are not rates of events")
    return "; ".join(words)


def _excerpt(axes: Axes, times: Array, values: Array, rows: pd.DataFrame, theme: Theme) -> None:
    start = largest_transients(times, rows, EXCERPT_S)
    axes.set_ylabel("corrected dF/F (%)", fontsize=7.5)
    axes.set_xlabel("session time (s)", fontsize=7.5)
    axes.tick_params(labelsize=7)
    if start is None:
        axes.set(xticks=[], yticks=[])
        note(axes, "no transient was found")
        return
    end = start + EXCERPT_S
    shown = (times >= start) & (times <= end)
    axes.plot(times[shown], values[shown], color=theme.bands["preprocessed"], linewidth=0.7)
    own = rows[(rows["time"] >= start) & (rows["time"] <= end)]
    heights = PERCENT * (own["baseline"] + own["amplitude"])
    axes.plot(own["time"], heights, "v", color=_MARKS, markersize=4, markeredgecolor="white", markeredgewidth=0.4)
    axes.set_xlim(start, end)
    axes.set_title(f"{EXCERPT_S:g} s with the largest transients, {start:.0f} to {end:.0f} s", fontsize=8)


def aligned(times: Array, values: Array, rows: pd.DataFrame) -> tuple[Array, Array]:
    """Return the courses of transients around their peaks, each less its own baseline.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        s, session clock, regular; any unit.
    rows : DataFrame, n rows
        Columns time (s, session clock) and baseline (the unit of the values).

    Returns
    -------
    offsets : ndarray of float64, (w,)
        s, relative to the peak.
    courses : ndarray of float64, (n, w)
        Not a number where the trace is unknown.
    """
    interval = float(np.median(np.diff(times)))
    steps = np.arange(round(COURSE_S[0] / interval), round(COURSE_S[1] / interval) + 1)
    offsets = np.asarray(steps * interval, np.float64)
    at = rows["time"].to_numpy(np.float64)[:, None] + offsets
    courses: Array = np.interp(at, times, values, left=np.nan, right=np.nan)
    courses -= rows["baseline"].to_numpy(np.float64)[:, None]
    return offsets, courses


def _course(axes: Axes, times: Array, values: Array, rows: pd.DataFrame) -> None:
    axes.set_xlabel("time from peak (s)", fontsize=7.5)
    axes.set_ylabel("dF/F less baseline (%)", fontsize=7.5)
    axes.tick_params(labelsize=7)
    offsets, courses = aligned(times, values, rows.assign(baseline=PERCENT * rows["baseline"]))
    known = np.isfinite(courses)
    enough = known.sum(axis=0) >= 2
    if not enough.any():
        axes.set(xticks=[], yticks=[])
        note(axes, "fewer than two transients")
        return
    mean, spread = np.full((2, len(offsets)), np.nan)
    mean[enough] = np.nanmean(courses[:, enough], axis=0)
    spread[enough] = np.nanstd(courses[:, enough], axis=0, ddof=1)
    axes.axhline(0, color="#8c8c8c", linewidth=0.6)
    axes.fill_between(offsets, mean - spread, mean + spread, color=_COLOUR, alpha=0.4, linewidth=0)
    axes.plot(offsets, mean, color=_EDGE)
    axes.set_xlim(*COURSE_S)
    axes.set_title(f"mean ± SD of {int(known.any(axis=1).sum())} transients", fontsize=8)


def _amplitudes(axes: Axes, rows: pd.DataFrame, transients: Part) -> None:
    axes.set_xlabel("amplitude (%)", fontsize=7.5)
    axes.set_ylabel("transients", fontsize=7.5)
    axes.tick_params(labelsize=7)
    amplitudes = PERCENT * rows["amplitude"].dropna().to_numpy(np.float64)
    if not len(amplitudes):
        axes.set(xticks=[], yticks=[])
        note(axes, "no transient has an amplitude")
        return
    axes.hist(amplitudes, _BARS, color=_COLOUR, edgecolor=_EDGE, linewidth=0.4)
    threshold = transients.attributes.get("threshold")
    if threshold is not None and np.isfinite(threshold):
        axes.axvline(PERCENT * threshold, color=_EDGE, linestyle="--", linewidth=1.0)
    axes.set_title(f"median {np.median(amplitudes):.3g} %; dashed: least height", fontsize=8)


def rate_over_session(times: Array, values: Array, peaks: Array) -> tuple[Array, Array]:
    """Return middles of consecutive minutes and the rate in each: transients per minute that is known.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        s, session clock, regular; not a number where masked.
    peaks : ndarray of float64, (n,)
        s, session clock.

    Returns
    -------
    middles : ndarray of float64, (b,)
        s, session clock.
    rates : ndarray of float64, (b,)
        Not a number where more than a fifth is masked. A last minute that is not whole is left out.
    """
    edges = np.arange(times[0], times[-1] + 1e-9, _BIN_S)
    if len(edges) < 2:
        return np.empty(0), np.empty(0)
    interval = float(np.median(np.diff(times)))
    known_s = np.histogram(times[np.isfinite(values)], edges)[0] * interval
    counts = np.histogram(peaks, edges)[0]
    enough = known_s >= _LEAST_KNOWN * _BIN_S
    rates = np.divide(60 * counts, known_s, out=np.full(len(counts), np.nan), where=enough)
    return (edges[1:] + edges[:-1]) / 2, rates


def _rate(axes: Axes, times: Array, values: Array, rows: pd.DataFrame) -> None:
    axes.set_xlabel("session time (min)", fontsize=7.5)
    axes.set_ylabel("transients per minute", fontsize=7.5)
    axes.tick_params(labelsize=7)
    middles, rates = rate_over_session(times, values, rows["time"].to_numpy(np.float64))
    if not np.isfinite(rates).any():
        axes.set(xticks=[], yticks=[])
        note(axes, "no whole minute is known")
        return
    axes.plot(middles / 60, rates, "o-", color=_EDGE, markersize=2.5, linewidth=0.8)
    axes.set_ylim(0, 1.1 * float(np.nanmax(rates)) or 1.0)
    axes.set_title("rate, minute by minute", fontsize=8)
