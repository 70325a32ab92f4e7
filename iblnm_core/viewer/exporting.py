"""What a viewer takes home: the samples that are seen, and the view as a page that needs no server."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from iblnm_core.viewer.traces import Trace

if TYPE_CHECKING:
    from bokeh.model import Model


def visible_samples(traces: Sequence[tuple[str, str, Trace]], window: tuple[float, float]) -> io.BytesIO:
    """Return all samples of a stretch as CSV: recording, signal, time (s), value.

    Parameters
    ----------
    traces : sequence of (str, str, Trace)
        Recording, name of the signal, and the signal.
    window : tuple of float
        s, both ends included.
    """
    frames = []
    for recording, name, trace in traces:
        seen = (trace.times >= window[0]) & (trace.times <= window[1])
        frames.append(
            pd.DataFrame(
                {"recording": recording, "signal": name, "time_s": trace.times[seen], "value": trace.values[seen]}
            )
        )
    rows = pd.concat(frames) if frames else pd.DataFrame(columns=["recording", "signal", "time_s", "value"])
    return io.BytesIO(rows.to_csv(index=False, lineterminator="\n").encode())


def standalone_page(figures: Sequence["Model"], title: str, words: str) -> io.BytesIO:
    """Return figures as a page that holds all it needs.

    Parameters
    ----------
    figures : sequence of Model
        One below the other; they belong to no other page.
    title : str
    words : str
        HTML that stands above them.
    """
    from bokeh.embed import file_html
    from bokeh.layouts import column
    from bokeh.models.widgets import Div
    from bokeh.resources import INLINE

    layout = column(Div(text=words, sizing_mode="stretch_width"), *figures, sizing_mode="stretch_width")
    return io.BytesIO(file_html(layout, INLINE, title).encode())
