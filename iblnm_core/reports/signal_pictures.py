"""Pictures of the signals of one session: the whole recording, and half a minute of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from iblnm_core.figures.theme import Theme, event_label, events_in_order
from iblnm_core.figures.thinning import thinned
from iblnm_core.reports.pictures import WIDTH_IN
from iblnm_core.reports.reading import Band, StoredSession

if TYPE_CHECKING:
    from iblnm_core.session.preprocessing import PreprocessedSignal

Array = NDArray[np.float64]

ZOOM_S = 30.0
"""Length of the close look, s."""

_POINTS = 1_400
_BAND_NAMES = {"GCaMP": "470 nm", "Isosbestic": "415 nm"}
_FULL_HEIGHT_UP_TO = 5
_OUTSIDE = "#d9d9d9"


def whole_recording(stored: StoredSession, theme: Theme) -> Figure:
    """Draw all signals over the whole recording: recorded bands and corrected signal per region, outcomes below."""
    groups = list(stored.signals)
    height = 1.0 if len(groups) <= _FULL_HEIGHT_UP_TO else 0.5
    ratios = [height] * (2 * len(groups)) + [0.25]
    figure = Figure(figsize=(WIDTH_IN, 1.15 * sum(ratios) + 0.55))
    inches = figure.get_figheight()
    panels = figure.subplots(
        len(ratios),
        1,
        sharex=True,
        gridspec_kw={
            "height_ratios": ratios,
            "hspace": 0.16,
            "left": 0.085,
            "right": 0.865,
            "top": 1 - 0.12 / inches,
            "bottom": 0.42 / inches,
        },
    )
    span = _span(stored)
    for place, group in enumerate(groups):
        signal = stored.signals[group]
        _bands(panels[2 * place], stored.bands.get(group, {}), group, signal, theme)
        _corrected(panels[2 * place + 1], signal, group, theme)
    for axes in panels:
        _grey_outside(axes, stored, span)
    _outcomes(panels[-1], stored.trials, theme)
    panels[-1].set_xlim(span[0] / 60, span[1] / 60)
    panels[-1].set_xlabel("session time (min)")
    figure.align_ylabels(panels[:-1])
    return figure


def _span(stored: StoredSession) -> tuple[float, float]:
    """Return first and last time of anything that is drawn, s."""
    times = [band.times[[0, -1]] for bands in stored.bands.values() for band in bands.values() if len(band.times)]
    times += [signal.times[[0, -1]] for signal in stored.signals.values()]
    return float(np.min(times)), float(np.max(times))


def _bands(axes: Axes, bands: Mapping[str, Band], group: str, signal: "PreprocessedSignal", theme: Theme) -> None:
    inside_of_all = []
    for name, band in bands.items():
        inside = (band.times >= signal.times[0]) & (band.times <= signal.times[-1])
        median = float(np.nanmedian(band.values[inside])) if inside.any() else np.nan
        if not np.isfinite(median) or median == 0:
            continue
        relative = 100 * band.values.astype(np.float64) / median
        inside_of_all.append(np.nanpercentile(relative[inside], [0.1, 99.9]))
        times, values = thinned(band.times, relative, _POINTS)
        label = f"{_BAND_NAMES.get(name, name)}\nmedian {median:.3g}"
        style = "-" if name == "GCaMP" else "--"
        axes.plot(times / 60, values, style, color=theme.bands.get(name, "#595959"), linewidth=0.7, label=label)
    if inside_of_all:
        _limits(axes, float(np.min(inside_of_all)), float(np.max(inside_of_all)))
        axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), fontsize=7, handlelength=1.4, borderaxespad=0)
    else:
        axes.text(0.5, 0.5, "no recorded band is stored", transform=axes.transAxes, ha="center", va="center")
    axes.set_ylabel(f"{group}\n(% of median)", fontsize=7)


def _corrected(axes: Axes, signal: "PreprocessedSignal", group: str, theme: Theme) -> None:
    times, values = thinned(signal.times, signal.values, _POINTS)
    axes.plot(times / 60, values, color=theme.bands["preprocessed"], linewidth=0.6)
    known = signal.values[np.isfinite(signal.values)]
    if len(known):
        low, high = np.percentile(known, [0.1, 99.9])
        _limits(axes, float(low), float(high))
    axes.text(1.012, 0.5, "corrected signal", transform=axes.transAxes, va="center", fontsize=7)
    axes.set_ylabel(f"{group}\n(z)", fontsize=7)


def _limits(axes: Axes, low: float, high: float) -> None:
    margin = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)


def _grey_outside(axes: Axes, stored: StoredSession, span: tuple[float, float]) -> None:
    first = min(signal.times[0] for signal in stored.signals.values())
    last = max(signal.times[-1] for signal in stored.signals.values())
    for low, high in ((span[0], first), (last, span[1])):
        if high - low > 1.0:
            axes.axvspan(low / 60, high / 60, color=_OUTSIDE, linewidth=0, zorder=0)


def _outcomes(axes: Axes, trials: pd.DataFrame, theme: Theme) -> None:
    axes.set_yticks([])
    axes.set_ylim(0, 2)
    axes.spines["left"].set_visible(False)
    if not {"feedback_times", "feedbackType"} <= set(trials):
        axes.text(0.5, 0.5, "no trials", transform=axes.transAxes, ha="center", va="center", fontsize=7)
        return
    times = trials["feedback_times"].to_numpy() / 60
    for kind, base, colour, word in ((1, 1.1, theme.correct, "correct"), (-1, 0.1, theme.incorrect, "incorrect")):
        chosen = times[(trials["feedbackType"] == kind).to_numpy() & np.isfinite(times)]
        # one path with gaps is a third of the size of a mark each
        x = np.repeat(chosen, 3)
        y = np.tile([base, base + 0.8, np.nan], len(chosen))
        axes.plot(x, y, color=colour, linewidth=0.6, solid_capstyle="butt")
        axes.text(1.005, (base + 0.4) / 2, word, transform=axes.transAxes, va="center", fontsize=7, color=colour)
    axes.set_ylabel("feedback", fontsize=7, rotation=0, ha="right", va="center", labelpad=4)


def close_look(stored: StoredSession, events: Sequence[str], theme: Theme) -> tuple[Figure, tuple[float, float]]:
    """Draw half a minute from the middle of the session, with its events.

    Returns
    -------
    tuple of Figure and tuple of float
        With the stretch that is shown, s.
    """
    start = _middle(stored) - ZOOM_S / 2
    window = start, start + ZOOM_S
    groups = list(stored.signals)
    figure = Figure(figsize=(WIDTH_IN, 1.25 * len(groups) + 0.75))
    inches = figure.get_figheight()
    panels = figure.subplots(
        len(groups),
        1,
        sharex=True,
        squeeze=False,
        gridspec_kw={
            "hspace": 0.18,
            "left": 0.075,
            "right": 0.985,
            "top": 1 - 0.36 / inches,
            "bottom": 0.42 / inches,
        },
    )[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        signal = stored.signals[group]
        shown = (signal.times >= window[0]) & (signal.times <= window[1])
        axes.plot(signal.times[shown], signal.values[shown], color=theme.bands["preprocessed"], linewidth=0.9)
        axes.set_ylabel(f"{group}\ncorrected (z)", fontsize=7)
        for event in events_in_order(event for event in events if event in stored.trials):
            times = stored.trials[event].to_numpy()
            for number, time in enumerate(times[(times >= window[0]) & (times <= window[1])]):
                label = event_label(event) if number == 0 else None
                style = theme.event_styles.get(event, "-.")
                colour = theme.events.get(event, "#595959")
                axes.axvline(time, color=colour, linestyle=style, linewidth=1.0, label=label, zorder=0)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="upper left", ncols=3, bbox_to_anchor=(0.07, 1.0), borderaxespad=0.2)
    panels[-1].set_xlim(*window)
    panels[-1].set_xlabel("session time (s)")
    return figure, window


def _middle(stored: StoredSession) -> float:
    if "stimOn_times" in stored.trials and stored.trials["stimOn_times"].notna().any():
        return float(stored.trials["stimOn_times"].median())
    return float(np.median(next(iter(stored.signals.values())).times))
