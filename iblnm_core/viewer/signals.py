"""Figures over the time of a session: bands, corrected signal, wheel, and a strip of events. Tables and traces in, Bokeh figures out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, PrintfTickFormatter, Range1d
from bokeh.models.annotations import BoxAnnotation, Span
from bokeh.plotting import figure

from iblnm_core.figures.theme import Theme, event_label
from iblnm_core.figures.thinning import thinned
from iblnm_core.viewer.ordering import outcomes, reaction_times
from iblnm_core.viewer.traces import Trace, between

POINTS = 2_400
"""Points of a line at most: two for every pixel of a wide screen."""

MOST_LINES = 60
"""Lines at events are drawn when no more events than this are seen: more of them would hide the signal."""

_DASHES = {"-": "solid", ":": "dotted", "--": "dashed"}
_MARKED = "#e69f00"
_NOTHING = Trace(np.zeros(0), np.zeros(0))
_OUTCOMES = {1.0: "correct", -1.0: "incorrect"}


class TraceFigure:
    """One or several traces over time; what is out of sight is not sent.

    Parameters
    ----------
    colours : mapping of str to str
        Of the traces, by the name in the legend.
    x_range : Range1d
        Shared with all figures over time.
    label : str
        Of the vertical axis.
    zero : bool
        Whether there is a line at zero.
    """

    def __init__(
        self,
        colours: Mapping[str, str],
        x_range: Range1d,
        label: str,
        *,
        zero: bool = False,
    ) -> None:
        self.traces: Mapping[str, Trace] = {}
        self.sources = {name: ColumnDataSource({"time": [], "value": []}, name=name) for name in colours}
        self._y_range = Range1d(start=0.0, end=1.0)
        self.figure = time_figure(x_range, label, 150, self._y_range)
        # numbers of one width: an axis that changes its own is laid out anew, and all figures with it
        self.figure.yaxis.formatter = PrintfTickFormatter(format="%7.3g")
        self.figure.yaxis.major_label_text_font = "monospace"
        if zero:
            self.figure.add_layout(Span(location=0, dimension="width", line_color="#404040", line_dash="dashed"))
        for name, source in self.sources.items():
            named = {"legend_label": name} if len(colours) > 1 else {}
            self.figure.line("time", "value", source=source, line_color=colours[name], line_width=1, **named)
        if len(colours) > 1:
            legend = self.figure.legend[0]
            self.figure.add_layout(legend, "right")
            legend.update(border_line_color=None, label_text_font_size="11px", padding=2)
        self.lines = ColumnDataSource({"time": [], "colour": [], "dash": []})
        self.figure.vspan(
            "time", source=self.lines, line_color="colour", line_dash="dash", line_width=1, line_alpha=0.8
        )
        self.marked = mark_box(self.figure)

    def redraw(self, start_s: float, end_s: float) -> None:
        """Send what is seen of every trace."""
        ends: list[float] = []
        for name, source in self.sources.items():
            seen = between(self.traces.get(name, _NOTHING), start_s, end_s)
            times, values = thinned(seen.times, seen.values, POINTS)
            source.data = {"time": times, "value": values}
            if np.isfinite(values).any():
                ends += [float(np.nanmin(values)), float(np.nanmax(values))]
        if ends:
            room = 0.05 * (max(ends) - min(ends)) or 0.5
            self._y_range.update(start=min(ends) - room, end=max(ends) + room)


def time_figure(x_range: Range1d, label: str, height: int, y_range: Range1d) -> Any:
    """Return an empty figure over the time of a session."""
    plot = figure(
        x_range=x_range,
        y_range=y_range,
        height=height,
        sizing_mode="stretch_width",
        tools="xpan,xwheel_zoom",
        active_drag="xpan",
        active_scroll="xwheel_zoom",
        toolbar_location=None,
        min_border_left=100,
        min_border_right=110,
    )
    plot.yaxis.axis_label = label
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
    # the strip of events has the one axis of time: labels cost more to lay out than lines to draw
    plot.xaxis.visible = False
    quiet(plot)
    return plot


def quiet(plot: Any) -> None:
    """Give a figure the sizes and the few lines that all figures of the viewer have."""
    plot.toolbar.logo = None
    plot.grid.visible = False
    plot.outline_line_color = None
    for axis in plot.axis:
        axis.update(axis_label_text_font_style="normal", axis_label_text_font_size="12px")
        axis.update(major_label_text_font_size="11px", minor_tick_line_color=None)


def mark_box(plot: Any) -> BoxAnnotation:
    """Return the box that marks a trial in a figure; not seen before it is given a place."""
    box = BoxAnnotation(left=0, right=0, fill_color=_MARKED, fill_alpha=0.25, line_color=_MARKED, visible=False)
    plot.add_layout(box)
    return box


class EventStrip:
    """Every event of every trial as a tick, in one row for each kind of event.

    Parameters
    ----------
    trials : DataFrame
    events : sequence of str
        In the order of a trial.
    x_range : Range1d
    theme : Theme
    """

    def __init__(self, trials: pd.DataFrame, events: Sequence[str], x_range: Range1d, theme: Theme) -> None:
        self._theme = theme
        self.events = [event for event in events if event in trials]
        labels = [event_label(event) for event in self.events]
        self.figure = time_figure(x_range, "", 110 if labels else 60, Range1d(start=len(labels) - 0.4, end=-0.6))
        self.figure.yaxis.ticker = list(range(len(labels)))
        self.figure.yaxis.major_label_overrides = dict(enumerate(labels))
        self.figure.xaxis.update(visible=True, axis_label="time (s)")
        self.marked = mark_box(self.figure)
        self._times = {event: trials[event].to_numpy(np.float64) for event in self.events}
        for row, event in enumerate(self.events):
            known = np.isfinite(self._times[event])
            source = ColumnDataSource(_ticks(trials[known], self._times[event][known], row))
            ticks = self.figure.line("time", "row", source=source, line_color=theme.events[event], line_width=1)
            tips = [("trial", "@trial"), ("time", "@time{0.00} s"), ("contrast", "@contrast"), ("side", "@side")]
            self.figure.add_tools(
                HoverTool(renderers=[ticks], line_policy="nearest", tooltips=[*tips, ("outcome", "@outcome")])
            )
            self.figure.hover.visible = False

    def lines(self, start_s: float, end_s: float, *, shown: bool) -> dict[str, list[Any]]:
        """Return the lines at events that are seen; none when they are not shown, or too many."""
        found: dict[str, list[Any]] = {"time": [], "colour": [], "dash": []}
        for event, times in self._times.items() if shown else ():
            seen = times[(times >= start_s) & (times <= end_s)]
            found["time"] += seen.tolist()
            found["colour"] += [self._theme.events[event]] * len(seen)
            found["dash"] += [_DASHES[self._theme.event_styles[event]]] * len(seen)
        return found if len(found["time"]) < MOST_LINES else {"time": [], "colour": [], "dash": []}


def _ticks(trials: pd.DataFrame, times: np.ndarray, row: int) -> dict[str, Any]:
    """Return one broken line that is a tick for every trial: drawn at once, a tenth of what so many marks cost."""
    words = _described(trials, times, row)
    ends = np.tile([row - 0.35, row + 0.35, np.nan], len(trials))
    return {**{name: np.repeat(np.asarray(column), 3) for name, column in words.items()}, "row": ends}


def _described(trials: pd.DataFrame, times: np.ndarray, row: int) -> dict[str, Any]:
    contrast = trials.get("contrast", pd.Series(np.nan, trials.index))
    return {
        "time": times,
        "row": np.full(len(trials), row),
        "trial": trials.index.to_numpy(),
        "contrast": [f"{value:g} %" if np.isfinite(value) else "unknown contrast" for value in contrast],
        "side": trials["stim_side"].astype(str).tolist() if "stim_side" in trials else ["unknown"] * len(trials),
        "outcome": [_OUTCOMES.get(outcome, "unknown") for outcome in outcomes(trials)],
    }


def describe_trial(trials: pd.DataFrame, trial: int) -> str:
    """Return a trial in a few words."""
    row = trials.loc[[trial]]
    words = _described(row, np.zeros(1), 0)
    time_s = reaction_times(row)[0]
    reaction = f", reaction time {time_s:.2f} s" if np.isfinite(time_s) else ""
    return f"trial {trial}: {words['contrast'][0]} {words['side'][0]}, {words['outcome'][0]}{reaction}"
