"""Pictures of the responses of one session: every trial, and means by outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from iblnm_core.figures.theme import Theme, event_label
from iblnm_core.parameters import MagnitudeParameters
from iblnm_core.reports.pictures import WIDTH_IN
from iblnm_core.reports.reading import StoredSession
from iblnm_core.session.magnitudes import own_responses

Array = NDArray[np.float64]

LIMIT_Z = 3.0
"""Ends of the colour scale, z."""

_MOST_ROWS = 1_500
_PER_ROW = 3
OUTCOMES: Mapping[int, str] = {1: "correct", -1: "incorrect"}


@dataclass(frozen=True)
class EventResponses:
    """The responses of one fibre to one event, by outcome.

    Attributes
    ----------
    times : ndarray of float64, (w,)
        s, relative to the event.
    by_outcome : mapping of int to ndarray of float64, (n, w)
        z; trials in their order, those without any known sample left out.
    """

    times: Array
    by_outcome: Mapping[int, Array]


def by_event(
    stored: StoredSession, events: Sequence[str], parameters: MagnitudeParameters
) -> dict[str, dict[str, EventResponses]]:
    """Return responses by event and region: masked from the next event of the trial on, less their baseline.

    Parameters
    ----------
    stored : StoredSession
    events : sequence of str
        In the order that they have in a trial.
    parameters : MagnitudeParameters
    """
    found: dict[str, dict[str, EventResponses]] = {}
    outcome = stored.trials.get("feedbackType", pd.Series(np.nan, index=stored.trials.index))
    for group, responses in stored.responses.items():
        own = own_responses(responses, stored.trials, events, parameters)
        of_trial = outcome.reindex(own.trials).to_numpy()
        for place, event in enumerate(own.events):
            known = np.isfinite(own.values[place]).any(axis=1)
            rows = {kind: own.values[place][known & (of_trial == kind)] for kind in OUTCOMES}
            found.setdefault(event, {})[group] = EventResponses(own.times, rows)
    return {event: found[event] for event in [*events, *sorted(set(found) - set(events))] if event in found}


def mean_and_error(rows: Array) -> tuple[Array, Array]:
    """Return mean and standard error over trials, sample by sample, where at least two trials are known.

    Parameters
    ----------
    rows : ndarray of float64, (n, w)
    """
    n = np.isfinite(rows).sum(axis=0)
    enough = n >= 2
    total = np.nansum(rows, axis=0)
    mean = np.divide(total, n, out=np.full(rows.shape[1], np.nan), where=enough)
    squares = np.nansum((rows - mean) ** 2, axis=0)
    variance = np.divide(squares, n - 1, out=np.full(rows.shape[1], np.nan), where=enough)
    return mean, np.sqrt(np.divide(variance, n, out=variance, where=enough))


def responses_figure(event: str, of_groups: Mapping[str, EventResponses], theme: Theme) -> Figure:
    """Draw the responses to one event: per region every trial above, means below."""
    n_columns = min(len(of_groups), _PER_ROW)
    n_bands = -(-len(of_groups) // n_columns)
    height = 3.8 * n_bands
    figure = Figure(figsize=(WIDTH_IN, height))
    grid = figure.add_gridspec(
        3 * n_bands - 1,
        n_columns,
        height_ratios=([1.25, 1, 0.35] * n_bands)[:-1],
        left=0.075,
        right=0.91,
        top=1 - 0.3 / height,
        bottom=0.45 / height,
        hspace=0.22,
        wspace=0.3,
    )
    image = None
    for place, (group, responses) in enumerate(of_groups.items()):
        band, column = divmod(place, n_columns)
        above = figure.add_subplot(grid[3 * band, column])
        below = figure.add_subplot(grid[3 * band + 1, column], sharex=above)
        image = _heat_map(above, responses, group, theme) or image
        _means(below, responses, theme)
        above.tick_params(labelbottom=False)
        below.set_xlabel(f"time from {event_label(event)} (s)")
        if column == 0:
            below.set_ylabel("response (z)")
    if image is not None:
        bar = figure.add_axes((0.93, 1 - 1.75 / height, 0.012, 1.35 / height))
        figure.colorbar(image, cax=bar, ticks=[-LIMIT_Z, 0, LIMIT_Z], extend="both")
        bar.set_ylabel("z", rotation=0, labelpad=2)
    return figure


def _heat_map(axes: Axes, responses: EventResponses, group: str, theme: Theme) -> AxesImage | None:
    axes.set_title(group)
    rows = np.concatenate([responses.by_outcome[kind] for kind in OUTCOMES])
    axes.set_xlim(responses.times[0], responses.times[-1])
    if not len(rows):
        axes.text(0.5, 0.5, "no trials", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
        return None
    shown = _binned(rows)
    image = axes.imshow(
        shown,
        aspect="auto",
        interpolation="nearest",
        cmap=theme.diverging,
        vmin=-LIMIT_Z,
        vmax=LIMIT_Z,
        extent=(float(responses.times[0]), float(responses.times[-1]), float(len(rows)), 0.0),
    )
    axes.set_facecolor("#bdbdbd")
    n_correct = len(responses.by_outcome[1])
    if 0 < n_correct < len(rows):
        axes.axhline(n_correct, color="black", linewidth=1.0)
    axes.axvline(0, color="black", linewidth=0.6)
    middles = [(n_correct / 2, "correct", n_correct), ((n_correct + len(rows)) / 2, "incorrect", len(rows) - n_correct)]
    kept = [(place, word) for place, word, n in middles if n > 0.08 * len(rows)]
    axes.set_yticks([place for place, _ in kept], [word for _, word in kept], rotation=90, va="center", fontsize=7)
    axes.tick_params(axis="y", length=0)
    return image


def _binned(rows: Array) -> Array:
    """Return at most so many rows: means of neighbours, when there are more."""
    if len(rows) <= _MOST_ROWS:
        return rows
    parts = np.array_split(rows, _MOST_ROWS)
    return np.stack([part[0] if len(part) == 1 else mean_and_error(part)[0] for part in parts])


def _means(axes: Axes, responses: EventResponses, theme: Theme) -> None:
    axes.axvline(0, color="#8c8c8c", linewidth=0.6)
    axes.axhline(0, color="#8c8c8c", linewidth=0.6)
    styles = {1: (theme.correct, "-"), -1: (theme.incorrect, "--")}
    for kind, word in OUTCOMES.items():
        rows, (colour, style) = responses.by_outcome[kind], styles[kind]
        if len(rows) < 2:
            axes.plot([], [], style, color=colour, label=f"{word}, n = {len(rows)}")
            continue
        mean, error = mean_and_error(rows)
        axes.fill_between(responses.times, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0)
        axes.plot(responses.times, mean, style, color=colour, label=f"{word}, n = {len(rows)}")
    axes.legend(loc="upper left", handlelength=2.2)
    axes.margins(y=0.25)


def peak(responses: EventResponses, kind: int) -> float:
    """Return the largest mean of an outcome after the event, in absolute terms, z; not a number without two trials."""
    rows = responses.by_outcome[kind]
    if len(rows) < 2:
        return np.nan
    mean = mean_and_error(rows)[0][responses.times >= 0]
    known = mean[np.isfinite(mean)]
    return float(known[np.argmax(np.abs(known))]) if len(known) else np.nan
