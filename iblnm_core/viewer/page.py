"""The page of one session: controls, keys and address around the figures. One object for every browser that looks."""

import html
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.layouts import gridplot
from bokeh.models import Range1d
from panel.io import hold

from iblnm_core.errors import CorruptArtifact
from iblnm_core.figures.theme import THEMES
from iblnm_core.reports.texts import clean
from iblnm_core.viewer import rendering
from iblnm_core.viewer.catalogue import Search, neighbours
from iblnm_core.viewer.controls import NOTHING, Controls
from iblnm_core.viewer.exporting import standalone_page, visible_samples
from iblnm_core.viewer.labelling import Labelling
from iblnm_core.viewer.panes import Browser, Noticed, figure_pane, html_pane
from iblnm_core.viewer.recording import RecordingPanels
from iblnm_core.viewer.responses import ResponseFigures
from iblnm_core.viewer.signals import EventStrip, TraceFigure, describe_trial
from iblnm_core.viewer.state import ViewState
from iblnm_core.viewer.stored import SessionView

BEFORE_S, AFTER_S = 2.0, 4.0
"""What is seen around a trial that is chosen, s."""

_RESTED_AFTER_MS = 200

KEYS: Mapping[str, tuple[str, Callable[["SessionPage"], None] | None]] = MappingProxyType(
    {
        "n": ("next session of the list", None),
        "p": ("previous session", None),
        "r": ("next recording", lambda page: page.controls.next_region()),
        "j": ("next trial", lambda page: page.step_trial(1)),
        "k": ("previous trial", lambda page: page.step_trial(-1)),
        "ArrowRight": ("next trial", lambda page: page.step_trial(1)),
        "ArrowLeft": ("previous trial", lambda page: page.step_trial(-1)),
        "e": ("lines at events", lambda page: page.controls.toggle("events")),
        "b": ("take the baseline away", lambda page: page.controls.toggle("baseline")),
        "m": ("hide what follows the next event", lambda page: page.controls.toggle("mask")),
        "w": ("the wheel", lambda page: page.controls.toggle("wheel")),
        "s": ("next order of trials", lambda page: page.controls.next_order()),
        "0": ("see all of the session", lambda page: page.full_view()),
        "?": ("this list", lambda page: page.toggle_help()),
    }
)
"""What keys do, in words and in deed; the browser itself follows the links to other sessions."""


class SessionPage:
    """The page of a session for one browser.

    Parameters
    ----------
    session : SessionView
    state : ViewState
        What the address asks for.
    search : Search
        The list that the session was opened from.
    listed : DataFrame
        The sessions of that list, in order.
    alone : bool
        Whether figures are to work without this object.
    """

    controls: Controls

    def __init__(
        self, session: SessionView, state: ViewState, search: Search, listed: pd.DataFrame, *, alone: bool = False
    ) -> None:
        self.session, self._search, self._listed = session, search, listed
        self._theme = THEMES[session.root.parameters.figures.theme]
        self._names = list(session.recordings)
        region = state.region if state.region in self._names else next(iter(self._names), "")
        compare = state.compare if state.compare in self._names and state.compare != region else ""
        trial = state.trial if state.trial in session.trials.index else None
        self.state = replace(state, region=region, compare=compare, trial=trial)
        self._extent = session.extent()
        start, end = self.state.window or self._extent
        self.x_range = Range1d(start=start, end=end, bounds=self._extent, min_interval=0.1)
        self._waiting = False
        self._resting: Any = None
        chosen = None if alone else self.choose_trial
        self._means_range = Range1d(start=-1.0, end=1.0)
        self._panels = tuple(
            RecordingPanels(session, self.x_range, self._means_range, self._theme, chosen) for _ in range(2)
        )
        self._wheel = TraceFigure({"wheel": "#595959"}, self.x_range, "wheel (rad/s)", zero=True)
        self._wheel_row = Noticed(figure_pane(self._wheel.figure, wide=True))
        self._strip = EventStrip(session.trials, session.root.parameters.responses.events, self.x_range, self._theme)
        self._strip_pane = figure_pane(self._strip.figure, wide=True)
        self._empty = html_pane(rendering.notice_html(session.why_missing("preprocessed_signal")))
        self._signals = pn.Column(sizing_mode="stretch_width", css_classes=["signals"])
        self._key = html_pane(rendering.strip_key_html(self._theme))
        self._responses = pn.Column(sizing_mode="stretch_width", css_classes=["responses"])
        self._make_controls()

    def view(self) -> Any:
        """Return everything on the page; responses are drawn when the rest is seen."""
        self._fill()
        self._watch()
        pn.state.onload(self._show_responses)
        return pn.Column(
            self._browser,
            html_pane(self._heading(), sizing_mode="stretch_width", css_classes=["heading"]),
            html_pane(rendering.banner_html(self.session), sizing_mode="stretch_width", css_classes=["banner"]),
            self.controls.pane,
            self._help,
            self._signals,
            self._said,
            self._responses,
            self._labelling.pane,
            sizing_mode="stretch_width",
            css_classes=["viewer"],
        )

    def _fill(self) -> None:
        """Take the signals of the chosen recordings, and the wheel."""
        for panel, name in zip(self._panels, (self.state.region, self.state.compare), strict=True):
            if panel.recording != name:
                panel.show(name)
        if self.state.wheel and not self._wheel.traces:
            self._take_wheel()
        # what is laid out without data has to be laid out again
        self._redraw()
        signals = [panel.signals for panel in self._panels if panel.visible] or [self._empty]
        _lay_out(self._signals, [*signals, *([self._wheel_row.pane] if self.state.wheel else []), self._strip_pane])

    def _take_wheel(self) -> None:
        try:
            trace = self.session.wheel
        except CorruptArtifact as error:
            self._wheel_row.say(rendering.notice_html(str(error), "broken"))
            return
        if trace is None:
            self._wheel_row.say(rendering.notice_html(self.session.why_missing("wheel_velocity")))
        else:
            self._wheel.traces = {"wheel": trace}

    def _show_responses(self) -> None:
        for panel in self._panels:
            if panel.visible:
                panel.show_responses(self.state)
        self._fit_means()
        _lay_out(self._responses, [*(panel.response_pane for panel in self._panels if panel.visible), self._key])

    def _make_controls(self) -> None:
        self._browser = Browser(self.press, query=self._query(), page_title=self._title())
        self._browser.keys_known = [key for key, (_, does) in KEYS.items() if does is not None]
        downloads = {"csv": ("Visible samples (CSV)", self._csv), "html": ("This view (HTML)", self._html)}
        self.controls = Controls(self._names, self.state, self.press, downloads, self.session.eid)
        arrows = {"ArrowRight": "\N{RIGHTWARDS ARROW}", "ArrowLeft": "\N{LEFTWARDS ARROW}"}
        keys = rendering.keys_html([(arrows.get(key, key), words) for key, (words, _) in KEYS.items()])
        self._help = html_pane(keys, visible=False, css_classes=["list-of-keys"])
        self._said = html_pane(self._trial_words(), css_classes=["chosen-trial"])
        self._labelling = Labelling(self.session, self.state.region)

    def _watch(self) -> None:
        for end in ("start", "end"):
            self.x_range.on_change(end, self._moved)
        self.controls.region.param.watch(lambda change: self._show(region=change.new), "value")
        self.controls.compare.param.watch(
            lambda change: self._show(compare="" if change.new == NOTHING else change.new), "value"
        )
        self.controls.order.param.watch(lambda change: self._transform(order=change.new), "value")
        self.controls.boxes.param.watch(self._toggled, "value")

    # what follows from a change

    def _set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self._browser.param.update(query=self._query(), page_title=self._title())

    def _show(self, **changes: Any) -> None:
        """Show other recordings, over the same time."""
        self._set(**changes)
        if self.state.compare and self.state.compare == self.state.region:
            # watched itself: the rest follows from there
            self.controls.compare.value = NOTHING
            return
        with hold():
            self._fill()
            self._show_responses()
        self._labelling.show(self.state.region)

    def _toggled(self, change: Any) -> None:
        """Do what a check box stands for."""
        turned = set(change.new) ^ set(change.old)
        self._set(**{name: name in change.new for name in turned})
        if turned & {"baseline", "mask"}:
            self._transform()
        if "wheel" in turned:
            self._fill()
        if "events" in turned:
            self._draw_lines()

    def _transform(self, **changes: Any) -> None:
        """Draw the responses otherwise."""
        with hold():
            self._set(**changes)
            for responses in self._seen_responses():
                responses.update(self.state)
            self._fit_means()

    def _fit_means(self) -> None:
        """Make the axis of means as long as they need; one that nearly fits stays."""
        extent = max((responses.extent for responses in self._seen_responses()), default=1.0)
        if not 0.5 <= extent / float(self._means_range.end) <= 1.0:  # type: ignore[arg-type]  # no dates here
            self._means_range.update(start=-1.1 * extent, end=1.1 * extent)

    def _seen_responses(self) -> list[ResponseFigures]:
        shown = [panel.shown_responses for panel in self._panels]
        return [responses for responses in shown if responses is not None]

    def _moved(self, _name: str, _old: Any, _new: Any) -> None:
        """Draw once both ends are known: each comes as a change of its own."""
        document = self.x_range.document
        if not self._waiting and document is not None:
            self._waiting = True
            document.add_next_tick_callback(self._redraw_seen)

    def _redraw_seen(self) -> None:
        self._waiting = False
        with hold():
            self._redraw()
        document = self.x_range.document
        if self._resting is not None and document is not None:
            document.remove_timeout_callback(self._resting)
        self._resting = document.add_timeout_callback(self._rested, _RESTED_AFTER_MS) if document is not None else None

    def _rested(self) -> None:
        """Say in the address and beside the rows what is seen, once a hand that moved the signals rests."""
        self._resting = None
        start, end = self._seen()
        whole = start <= self._extent[0] and end >= self._extent[1]
        with hold():
            self._set(t0=None if whole else max(start, 0.0), t1=None if whole else end)
            self._mark_rows()

    def _seen(self) -> tuple[float, float]:
        return float(self.x_range.start), float(self.x_range.end)  # type: ignore[arg-type]  # no dates here

    def _traces(self) -> list[TraceFigure]:
        signals = [trace for panel in self._panels if panel.visible for trace in panel.traces]
        return [*signals, *([self._wheel] if self.state.wheel else [])]

    def _redraw(self) -> None:
        for trace in self._traces():
            trace.redraw(*self._seen())
        self._draw_lines()
        self._draw_mark()

    def _draw_lines(self) -> None:
        lines: Any = self._strip.lines(*self._seen(), shown=self.state.events)
        for trace in self._traces():
            trace.lines.data = lines

    def _draw_mark(self) -> None:
        span = self._span_of_trial()
        for box in [self._strip.marked, *(trace.marked for trace in self._traces())]:
            if span is None:
                box.visible = False
            else:
                box.update(left=span[0], right=span[1], visible=True)

    def _mark_rows(self) -> None:
        for responses in self._seen_responses():
            responses.mark(self.state)

    def _span_of_trial(self) -> tuple[float, float] | None:
        """Return from when to when the chosen trial has events, s."""
        if self.state.trial is None:
            return None
        row = self.session.trials.loc[self.state.trial]
        times = [float(row[event]) for event in self.session.root.parameters.responses.events if event in row.index]
        known = [time for time in times if np.isfinite(time)]
        return (min(known), max(known)) if known else None

    # what keys and clicks do

    def press(self, key: str) -> None:
        """Do what a key stands for; nothing for others."""
        _, does = KEYS.get(key, ("", None))
        if does is not None:
            does(self)

    def choose_trial(self, trial: int) -> None:
        """Mark a trial everywhere, and move the signals to it."""
        self._set(trial=trial)
        span = self._span_of_trial()
        if span is not None:
            self.x_range.update(start=span[0] - BEFORE_S, end=span[0] + AFTER_S)
        self._draw_mark()
        self._mark_rows()
        self._said.object = self._trial_words()

    def step_trial(self, step: int) -> None:
        """Go to the next trial or the one before; to the first that is seen when none is chosen."""
        trials = self.session.trials
        if trials.empty:
            return
        if self.state.trial is None:
            seen = np.flatnonzero(trials["stimOn_times"].to_numpy(np.float64) >= self._seen()[0])
            self.choose_trial(int(seen[0]) if len(seen) else 0)
        else:
            self.choose_trial(min(max(self.state.trial + step, 0), len(trials) - 1))

    def full_view(self) -> None:
        """See all of the session."""
        self.x_range.update(start=self._extent[0], end=self._extent[1])

    def toggle_help(self) -> None:
        """Show or hide the list of keys."""
        self._help.visible = not self._help.visible

    # words

    def _query(self) -> str:
        return rendering.full_query(self.state, self._search)

    def _title(self) -> str:
        return f"{clean(str(self.session.metadata.get('subject', '')))} {self.session.eid[:8]} {self.state.region}"

    def _heading(self) -> str:
        before, after, place = neighbours(self._listed, self.session.eid)
        addresses = [
            None if eid is None else rendering.session_address(self.state.of_other(eid), self._search)
            for eid in (before, after)
        ]
        return rendering.heading_html(self.session, addresses, place, len(self._listed), self._search)

    def _trial_words(self) -> str:
        if self.state.trial is None:
            return "<p>Click a row of a heat map, or press j, to choose a trial.</p>"
        return f"<p>{html.escape(describe_trial(self.session.trials, self.state.trial))}</p>"

    # what is taken home

    def _csv(self) -> io.BytesIO:
        traces = [
            (panel.recording, *named)
            for panel in self._panels
            if panel.visible
            for named in self.session.traces(panel.recording)
        ]
        return visible_samples(traces, self._seen())

    def _html(self) -> io.BytesIO:
        words = self._heading() + rendering.banner_html(self.session) + self._trial_words()
        # a figure can be on one page only
        copy = SessionPage(self.session, self.state, self._search, self._listed, alone=True)
        return standalone_page(copy.figures(), self._title(), words)

    def figures(self) -> list[Any]:
        """Return the figures alone, as they are seen."""
        self._fill()
        shown = [*(trace.figure for trace in self._traces()), self._strip.figure]
        self._show_responses()
        return [*shown, *(gridplot([panels.heat_maps, panels.means]) for panels in self._seen_responses())]


def _lay_out(column: Any, parts: list[Any]) -> None:
    """Put parts below each other, unless they are so already."""
    if column.objects != parts:
        column.objects = parts
