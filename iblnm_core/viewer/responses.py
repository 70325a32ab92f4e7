"""Figures of responses: per event every trial as a row of a heat map, and means below on the same time axis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, LinearColorMapper, Range1d
from bokeh.models.annotations import BoxAnnotation, ColorBar, Span
from bokeh.palettes import RdBu11, interp_palette
from bokeh.plotting import figure
from numpy.typing import NDArray

from iblnm_core.figures.theme import Theme, event_label
from iblnm_core.parameters import Parameters
from iblnm_core.session.responses import Responses
from iblnm_core.viewer import ordering
from iblnm_core.viewer.ordering import Group
from iblnm_core.viewer.signals import quiet
from iblnm_core.viewer.state import ViewState

_WIDTH, _HEAT, _MEANS = 330, 250, 150
_UNKNOWN, _INCORRECT = "#bdbdbd", "#8c8c8c"
_CONTRAST_GREYS = ("#f0f0f0", "#cfcfcf", "#a0a0a0", "#686868", "#202020")
_DARK = "#1a1a1a"
_STRIP_S = 0.06
"""Width of each strip beside a heat map, in seconds of its axis."""


class ResponseFigures:
    """The responses of one recording to every event.

    Parameters
    ----------
    responses : Responses
    trials : DataFrame
        All trials of the session, indexed by trial number.
    parameters : Parameters
    theme : Theme
    chosen : callable or None
        Told the number of a trial whose row is clicked; None for figures that stand alone.
    y_range : Range1d
        Of the means, shared by all recordings of a page.

    Attributes
    ----------
    extent : float
        How far the means reach from zero, with their errors.
    """

    def __init__(
        self,
        responses: Responses,
        trials: pd.DataFrame,
        parameters: Parameters,
        theme: Theme,
        chosen: Callable[[int], None] | None,
        y_range: Range1d,
    ) -> None:
        self._responses, self._trials, self._parameters = responses, trials, parameters
        known = parameters.responses.events
        self.events = [e for e in known if e in responses.events] + [e for e in responses.events if e not in known]
        self._rows = np.arange(0)
        self.chosen = chosen
        self.mapper = LinearColorMapper(palette=interp_palette(RdBu11, 255), low=-1, high=1, nan_color=_UNKNOWN)
        self.extent = 0.0
        self.y_range = y_range
        period = 1 / responses.sampling_rate_hz
        ends = float(responses.times[0]), float(responses.times[-1]) + period
        self.x_range = Range1d(start=ends[0] - 3.5 * _STRIP_S, end=ends[1])
        self._panels = {
            event: _EventPanel(self, event, theme, ends, place == len(self.events) - 1)
            for place, event in enumerate(self.events)
        }

    @property
    def heat_maps(self) -> list[Any]:
        """The figures of all trials, in the order of the events."""
        return [panel.heat for panel in self._panels.values()]

    @property
    def means(self) -> list[Any]:
        """The figures of the means, in the order of the events."""
        return [panel.means for panel in self._panels.values()]

    def times(self) -> NDArray[np.float64]:
        """Return the time of the samples, s relative to the event."""
        return self._responses.times

    def clicked(self, row: float) -> None:
        """Tell the trial of a row."""
        if self.chosen is not None and 0 <= row < len(self._rows):
            self.chosen(int(self._responses.trials[self._rows[int(row)]]))

    def show(self, responses: Responses, state: ViewState) -> None:
        """Draw the responses of a recording as a view asks for."""
        self._responses = responses
        # of what was recorded, whatever is hidden or taken away
        spread = float(np.nanstd(responses.values)) if np.isfinite(responses.values).any() else 1.0
        # halves of z: the labels of a scale that hardly changes are not laid out anew
        limit = np.ceil(6 * spread) / 2
        self.mapper.update(low=-limit, high=limit)
        self.update(state)

    def update(self, state: ViewState) -> None:
        """Draw what a view asks for: what is hidden, taken away, and how the rows lie."""
        shown = ordering.transformed(
            self._responses, self._trials, self._parameters, mask=state.mask, baseline=state.baseline
        )
        self._rows = ordering.row_order(self._trials, shown.trials, state.order)
        of_rows = self._trials.reindex(shown.trials)
        extent = 0.1
        for event, panel in self._panels.items():
            known = event in shown.events
            values = shown.values[shown.events.index(event)] if known else np.full(shown.values.shape[1:], np.nan)
            groups = ordering.groups(values, of_rows, state.order)
            panel.update(values[self._rows], of_rows.iloc[self._rows], groups, state)
            ends = [np.abs(group.mean) + np.nan_to_num(group.error) for group in groups]
            extent = max([extent, *(float(np.nanmax(end)) for end in ends if np.isfinite(end).any())])
        self.extent = extent
        self.mark(state)

    def mark(self, state: ViewState) -> None:
        """Mark the chosen trial, and the trials that are seen in the signals."""
        starts = self._trials["stimOn_times"].reindex(self._responses.trials).to_numpy(np.float64)
        seen = ordering.visible_trials(starts, state.window) if state.window else np.zeros(len(starts), dtype=bool)
        rows = np.flatnonzero(self._responses.trials[self._rows] == state.trial)
        for panel in self._panels.values():
            panel.mark(seen[self._rows], int(rows[0]) if len(rows) else None)


def _plot(**options: Any) -> Any:
    return figure(**options)


class _EventPanel:
    """Heat map and means of one event."""

    def __init__(
        self, owner: ResponseFigures, event: str, theme: Theme, ends: tuple[float, float], is_last: bool
    ) -> None:
        self._theme, self._event, self._times = theme, event, owner.times()
        shared: dict[str, Any] = {
            "x_range": owner.x_range,
            "frame_width": _WIDTH,
            "tools": "ypan,ywheel_zoom",
            "toolbar_location": None,
        }
        start, end = ends
        self._rows = Range1d(start=0, end=1)
        self.heat = _plot(y_range=self._rows, frame_height=_HEAT, title=event_label(event), **shared)
        self._image, self._strip = (ColumnDataSource({"image": [], "n": []}) for _ in range(2))
        self.heat.image("image", source=self._image, x=start, y=0, dw=end - start, dh="n", color_mapper=owner.mapper)
        palette = [theme.incorrect, _UNKNOWN, theme.correct, "#ffffff", _DARK, *_CONTRAST_GREYS]
        codes = LinearColorMapper(palette=palette, low=-1.5, high=len(palette) - 1.5)
        self.heat.image(
            "image", source=self._strip, x=start - 3.3 * _STRIP_S, y=0, dw=3 * _STRIP_S, dh="n", color_mapper=codes
        )
        self._codes: NDArray[np.float32] = np.zeros((0, 3), np.float32)
        self._sent = self._codes
        self._boundary = Span(location=0, dimension="width", line_color=_DARK, visible=False)
        self._marked = BoxAnnotation(fill_alpha=0, line_color=_DARK, line_width=2, visible=False)
        for annotation in (self._boundary, self._marked):
            self.heat.add_layout(annotation)
        if is_last:
            bar = ColorBar(color_mapper=owner.mapper, width=10, title="z", major_label_text_font_size="11px")
            self.heat.add_layout(bar, "right")
        if owner.chosen is not None:
            self.heat.on_event(Tap, lambda tap: owner.clicked(tap.y))
        self.heat.xaxis.visible = False
        self.means = _plot(y_range=owner.y_range, frame_height=_MEANS, **shared)
        self._lines = ColumnDataSource({name: [] for name in ("x", "y", "colour", "alpha", "dash", "name")})
        self._bands = ColumnDataSource({name: [] for name in ("x", "y", "colour")})
        self.means.patches("x", "y", source=self._bands, color="colour", alpha=0.2, line_color=None)
        self.means.multi_line(
            "x",
            "y",
            source=self._lines,
            line_color="colour",
            line_alpha="alpha",
            line_dash="dash",
            line_width=1.8,
            **({"legend_field": "name"} if is_last else {}),
        )
        if is_last:
            legend = self.means.legend[0]
            legend.update(border_line_color=None, label_text_font_size="10px", padding=0, spacing=0, glyph_height=14)
            self.means.add_layout(legend, "right")
        self.means.add_layout(Span(location=0, dimension="width", line_color="#404040", line_dash="dashed"))
        self.means.xaxis.axis_label = f"time from {event_label(event)} (s)"
        for plot in (self.heat, self.means):
            quiet(plot)
            plot.update(min_border_left=64, min_border_right=8)
            plot.add_layout(Span(location=0, dimension="height", line_color="#404040", line_dash="dashed"))
        self.heat.yaxis.axis_label = "trial (row)"
        self.means.yaxis.axis_label = "response (z)"

    def update(
        self, rows: NDArray[np.float64], trials: pd.DataFrame, groups: Sequence[Group], state: ViewState
    ) -> None:
        self._image.data = {"image": [rows.astype(np.float32)], "n": [len(rows)]}
        if self._rows.bounds != (0, len(rows)):
            self._rows.update(start=0, end=len(rows), bounds=(0, len(rows)))
        outcome = np.nan_to_num(ordering.outcomes(trials))
        contrast = trials["contrast"].to_numpy(np.float64) if "contrast" in trials else np.zeros(len(trials))
        known = sorted(set(contrast[np.isfinite(contrast)]))
        ranks = np.searchsorted(known, contrast) if known else np.zeros(len(trials))
        greys = 4 + np.clip(ranks, 0, len(_CONTRAST_GREYS) - 1)
        greys[~np.isfinite(contrast)] = 0
        self._codes = np.stack([np.full(len(trials), 2), greys, outcome], axis=1).astype(np.float32)
        n_incorrect = int((outcome == -1).sum())
        self._boundary.update(location=n_incorrect, visible=state.order == "outcome" and 0 < n_incorrect < len(trials))
        self._draw_groups(groups)

    def _draw_groups(self, groups: Sequence[Group]) -> None:
        colour = self._theme.events.get(self._event, "#303030")
        if self.means.legend:
            self.means.legend[0].visible = len(groups) > 1
        colours = [_INCORRECT if group.outcome == -1 else colour for group in groups]
        self._lines.data = {
            "x": [self._times] * len(groups),
            "y": [group.mean for group in groups],
            "colour": colours,
            "alpha": [0.25 + 0.75 * group.share for group in groups],
            "dash": ["dashed" if group.outcome == -1 else "solid" for group in groups],
            "name": [f"{group.name} (n = {group.n_trials})" for group in groups],
        }
        bands = [self._band(group) for group in groups] if len(groups) == 1 else []
        self._bands.data = {
            "x": [x for x, _ in bands],
            "y": [y for _, y in bands],
            "colour": [colour] * len(bands),
        }

    def _band(self, group: Group) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known = np.isfinite(group.mean) & np.isfinite(group.error)
        x, mean, error = self._times[known], group.mean[known], group.error[known]
        return np.concatenate([x, x[::-1]]), np.concatenate([mean - error, (mean + error)[::-1]])

    def mark(self, seen: NDArray[np.bool_], row: int | None) -> None:
        codes = self._codes.copy()
        codes[seen, 0] = 3
        if not np.array_equal(codes, self._sent):
            self._sent = codes
            self._strip.data = {"image": [codes], "n": [len(codes)]}
        if row is None:
            self._marked.visible = False
        else:
            self._marked.update(bottom=row, top=row + 1, visible=True)
