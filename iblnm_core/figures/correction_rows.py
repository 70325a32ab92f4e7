"""Rows of a correction over time: bands with baselines, relative changes, corrected signal, mask, what is left of the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from iblnm_core.corrections.masks import Bit, runs
from iblnm_core.figures.correction_looks import BITS, MOTION_COLOUR
from iblnm_core.figures.correction_view import Channel, CorrectionView, windowed_correlation
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme
from iblnm_core.figures.thinning import thinned

Array = NDArray[np.float64]

HEIGHTS = (1.0, 1.0, 1.2, 1.2, 0.55, 0.75)
"""Of the six rows, relative to each other."""

_INNER = (0.1, 99.9)
_POINTS = 1_100
_PIXELS = 550
_BASELINE: Mapping[str, Any] = {"color": "black", "linewidth": 1.0, "linestyle": "--"}
# samples beyond the axis would run through words otherwise
_LEGEND: Mapping[str, Any] = {
    "loc": "upper right",
    "ncols": 2,
    "fontsize": 7,
    "borderaxespad": 0.0,
    "borderpad": 0.2,
    "handlelength": 1.8,
    "columnspacing": 1.0,
    "frameon": True,
    "framealpha": 0.85,
    "edgecolor": "none",
}
_MASK_COLOUR = "#303030"
_UNITS_PER_S = {"min": 1 / 60, "s": 1.0}


@dataclass(frozen=True)
class Stretch:
    """What is shown of a session.

    Attributes
    ----------
    start_s, end_s : float
        Session clock.
    unit : {'min', 's'}
        Of the time axis.
    window_s : float
        Of the correlations in the last row.
    """

    start_s: float
    end_s: float
    unit: str
    window_s: float

    def of(self, times: Array) -> slice:
        """Return which of some increasing times lie within."""
        return slice(*np.searchsorted(times, (self.start_s, self.end_s)))


def draw_rows(
    panels: Sequence[Axes], view: CorrectionView, stretch: Stretch, theme: Theme, transients: pd.DataFrame | None = None
) -> None:
    """Draw six rows that share their axis of time.

    Parameters
    ----------
    panels : sequence of Axes, 6
    view : CorrectionView
    stretch : Stretch
    theme : Theme
    transients : DataFrame, optional
        Column time (s, session clock); marked on the corrected signal.
    """
    raw_signal, raw_reference, changes, corrected, mask, residual = panels
    _band(raw_signal, view.signal, stretch, theme.bands["GCaMP"])
    if view.reference is None:
        note(raw_reference, "no reference band is stored")
    else:
        _band(raw_reference, view.reference, stretch, theme.bands["Isosbestic"])
        if view.reference.baseline is None:
            note(raw_reference, f"{view.correction} stores no baseline of the reference", high=True)
    _changes(changes, view, stretch, theme)
    _line(corrected, view.times, view.corrected, stretch, theme.bands["preprocessed"], 0.6)
    _fit_limits(corrected, [view.corrected[stretch.of(view.times)]])
    if transients is not None:
        _triangles(corrected, transients["time"].to_numpy(np.float64), stretch)
    _mask(mask, view, stretch)
    _residual(residual, view, stretch)
    labels = ("signal\n(camera units)", "reference\n(camera units)", "dF/F (%)", "corrected\ndF/F (%)", "", "r")
    for axes, label in zip(panels, labels, strict=True):
        axes.set_ylabel(label, fontsize=7)
        axes.tick_params(labelsize=7, labelbottom=axes is panels[-1])
    scale = _UNITS_PER_S[stretch.unit]
    panels[-1].set_xlim(stretch.start_s * scale, stretch.end_s * scale)
    panels[-1].set_xlabel(f"session time ({stretch.unit})", fontsize=7.5)


def _line(
    axes: Axes,
    times: Array,
    values: Array,
    stretch: Stretch,
    colour: str,
    width: float,
    style: str = "-",
    label: str = "",
) -> None:
    own = stretch.of(times)
    x, y = thinned(times[own], values[own], _POINTS)
    axes.plot(x * _UNITS_PER_S[stretch.unit], y, style, color=colour, linewidth=width, label=label)


def _band(axes: Axes, channel: Channel, stretch: Stretch, colour: str) -> None:
    _line(axes, channel.times, channel.values, stretch, colour, 0.6)
    own = stretch.of(channel.times)
    shown = [channel.values[own]]
    if channel.baseline is not None:
        # it is stored once per second; no more is to be seen of it
        every = slice(own.start, own.stop, max((own.stop - own.start) // _PIXELS, 1))
        x = channel.times[every] * _UNITS_PER_S[stretch.unit]
        axes.plot(x, channel.baseline[every], **_BASELINE, label="baseline")
        axes.legend(**_LEGEND)
        shown.append(channel.baseline[own])
    _fit_limits(axes, shown)


def _changes(axes: Axes, view: CorrectionView, stretch: Stretch, theme: Theme) -> None:
    shown = []
    change = view.signal.change
    if change is None:
        note(axes, f"{view.correction} stores no baseline of the signal")
    else:
        _line(axes, view.signal.times, change, stretch, theme.bands["GCaMP"], 0.6, label="signal")
        shown.append(change[stretch.of(view.signal.times)])
    motion = view.fast.motion
    if motion is None:
        note(axes, f"{view.correction} uses no reference", high=True)
    else:
        label = "scaled reference" if view.motion_step is not None else "subtracted for the reference"
        _line(axes, view.fast.times, motion, stretch, MOTION_COLOUR, 0.8, label=label)
        shown.append(motion[stretch.of(view.fast.times)])
    _fit_limits(axes, shown)
    if shown:
        axes.legend(**_LEGEND)


def _fit_limits(axes: Axes, shown: Sequence[Array]) -> None:
    """Give an axis room for nearly all samples: one artefact would own it otherwise."""
    known = [values[np.isfinite(values)] for values in shown]
    edges = [np.percentile(values, _INNER) for values in known if len(values)]
    if not edges:
        note(axes, "not known in this stretch")
        return
    low, high = float(np.min(edges)), float(np.max(edges))
    extent = (high - low) or 1.0
    # room above for words
    axes.set_ylim(low - 0.08 * extent, high + 0.3 * extent)


def _triangles(axes: Axes, times: Array, stretch: Stretch) -> None:
    peaks = times[stretch.of(times)] * _UNITS_PER_S[stretch.unit]
    axes.plot(
        peaks, np.full(len(peaks), 0.93), "v", color="#7a2a7f", markersize=3, transform=axes.get_xaxis_transform()
    )


def _mask(axes: Axes, view: CorrectionView, stretch: Stretch) -> None:
    own = stretch.of(view.times)
    times, mask = view.times[own], view.mask[own]
    present = [bit for bit in BITS if (mask & bit).any()]
    axes.set_yticks([])
    if not present:
        note(axes, "no sample is masked")
        return
    size = max(len(mask) // _PIXELS, 1)
    bits = np.bitwise_or.reduceat(mask, np.arange(0, len(mask), size))
    edges = np.append(times[::size], stretch.end_s) * _UNITS_PER_S[stretch.unit]
    for place, bit in enumerate(present):
        spans = runs((bits & bit) != 0)
        ranges = [(float(edges[first]), float(edges[last] - edges[first])) for first, last in spans]
        axes.broken_barh(ranges, (place - 0.4, 0.8), facecolor=_MASK_COLOUR, edgecolor=_MASK_COLOUR, linewidth=0.6)
    axes.set_ylim(len(present) - 0.4, -0.6)
    axes.set_yticks(range(len(present)), [_words(bit, mask) for bit in present], fontsize=7)


def _words(bit: Bit, mask: NDArray[np.uint8]) -> str:
    share = 100 * np.count_nonzero(mask & bit) / len(mask)
    return f"{BITS[bit]} {share:.2g} %"


def _residual(axes: Axes, view: CorrectionView, stretch: Stretch) -> None:
    axes.axhline(0, color="#8c8c8c", linewidth=0.6)
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1])
    fast = view.fast
    if fast.motion is None or not view.moves:
        why = (
            "nothing was subtracted: the slope is negative"
            if view.about.get("slope_clipped")
            else "nothing was subtracted"
        )
        note(axes, why)
        return
    own = stretch.of(fast.times)
    middles, found = windowed_correlation(fast.times[own], fast.corrected[own], fast.motion[own], stretch.window_s)
    x = middles * _UNITS_PER_S[stretch.unit]
    axes.plot(x, found, "o-", color=_MASK_COLOUR, markersize=2.2, linewidth=0.7)
