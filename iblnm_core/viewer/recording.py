"""What a page shows of one recording: signals, and responses when they are asked for. What is missing or broken says so in its place."""

from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
from bokeh.models import Range1d

from iblnm_core.errors import CorruptArtifact
from iblnm_core.figures.theme import Theme
from iblnm_core.viewer import rendering
from iblnm_core.viewer.panes import Noticed, figure_pane, html_pane, wrapped_row
from iblnm_core.viewer.responses import ResponseFigures
from iblnm_core.viewer.signals import TraceFigure
from iblnm_core.viewer.state import ViewState
from iblnm_core.viewer.stored import SessionView
from iblnm_core.viewer.traces import Trace

CORRECTED = "corrected"


class RecordingPanels:
    """Figures of one recording after the other: made once, then given other data, so that a change is quick and zooms survive.

    Parameters
    ----------
    session : SessionView
    x_range : Range1d
        Session time, shared with all figures of the page.
    means_range : Range1d
        Of mean responses, shared likewise.
    theme : Theme
    chosen : callable or None
        Told the number of a trial whose row is clicked; None for figures that stand alone.
    """

    def __init__(
        self,
        session: SessionView,
        x_range: Range1d,
        means_range: Range1d,
        theme: Theme,
        chosen: Callable[[int], None] | None,
    ) -> None:
        self._session, self._means_range, self._theme, self._chosen = session, means_range, theme, chosen
        self.recording = ""
        bands = sorted({name for recording in session.recordings for name in session.band_names(recording)})
        self._bands = TraceFigure(
            {name: theme.bands.get(name, "#595959") for name in bands}, x_range, "recorded (a.u.)"
        )
        self._corrected = TraceFigure({CORRECTED: theme.bands["preprocessed"]}, x_range, "corrected (z)", zero=True)
        self.responses: ResponseFigures | None = None
        self._headings = html_pane(""), html_pane("")
        self._rows = tuple(Noticed(figure_pane(figure.figure, wide=True)) for figure in self._figures)
        signals = [row.pane for row in self._rows]
        self.signals = pn.Column(self._headings[0], *signals, sizing_mode="stretch_width")
        self._response_row = Noticed(wrapped_row())
        self.response_pane = pn.Column(self._headings[1], self._response_row.pane, sizing_mode="stretch_width")

    @property
    def _figures(self) -> tuple[TraceFigure, TraceFigure]:
        return self._bands, self._corrected

    @property
    def traces(self) -> list[TraceFigure]:
        """The figures over session time that have something to show."""
        return [figure for figure, row in zip(self._figures, self._rows, strict=True) if row.shown]

    @property
    def visible(self) -> bool:
        """Whether it is seen."""
        return bool(self.recording)

    def show(self, recording: str) -> None:
        """Take the signals of a recording, or none for the empty name; what is seen of them is drawn by `TraceFigure.redraw`."""
        self.recording = recording
        if not recording:
            return
        for heading in self._headings:
            heading.object = rendering.recording_html(recording, self._session.target(recording), self._theme)
        readers = (self._session.band_traces, self._corrected_traces)
        for figure, row, reader in zip(self._figures, self._rows, readers, strict=True):
            traces = self._read(partial(reader, recording), row, "preprocessed_signal")
            figure.traces = traces or {}

    def _corrected_traces(self, recording: str) -> dict[str, Trace]:
        trace = self._session.trace(recording, "preprocessed")
        return {} if trace is None else {CORRECTED: trace}

    def _read(self, read: Callable[[], Any], row: Noticed, output: str) -> Any:
        """Return what is stored; None when the row says why there is nothing."""
        try:
            found = read()
        except CorruptArtifact as error:
            row.say(rendering.notice_html(str(error), "broken"))
            return None
        if not found:
            row.say(rendering.notice_html(self._session.why_missing(output)))
            return None
        row.show()
        return found

    def show_responses(self, state: ViewState) -> None:
        """Draw the responses of the recording."""
        responses = self._read(partial(self._session.responses, self.recording), self._response_row, "responses")
        if responses is None:
            return
        if self.responses is None:
            parameters = self._session.root.parameters
            self.responses = ResponseFigures(
                responses, self._session.trials, parameters, self._theme, self._chosen, self._means_range
            )
            pairs = zip(self.responses.heat_maps, self.responses.means, strict=True)
            columns = [pn.Column(figure_pane(heat), figure_pane(means)) for heat, means in pairs]
            self.responses.show(responses, state)
            self._response_row.part.objects = columns
        else:
            self.responses.show(responses, state)

    @property
    def shown_responses(self) -> ResponseFigures | None:
        """The responses, when there are some to see."""
        return self.responses if self.visible and self._response_row.shown else None
