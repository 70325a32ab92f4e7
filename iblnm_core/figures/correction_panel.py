"""A correction over the whole session, and two close looks at it: six rows of time, the fit of the slope, spectra."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import NDArray

from iblnm_core.corrections.traces import bridged
from iblnm_core.figures.correction_looks import MOTION_COLOUR
from iblnm_core.figures.correction_rows import HEIGHTS, Stretch, draw_rows
from iblnm_core.figures.correction_view import FAST_HZ, PERCENT, CorrectionView, largest_transients, strongest_movement
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme

Array = NDArray[np.float64]

WINDOW_S = 60.0
"""Of the correlations over the session."""
CLOSE_S = 60.0
"""Length of a close look."""

_CLOSE_WINDOW_S = 10.0
_SEGMENT_S = 30.0
"""Of the spectra; halves of segments overlap."""
_SIZE_IN = (9.2, 6.2)
_TOP_IN, _BOTTOM_IN = 0.5, 0.42
_FIT_FILL, _SUBTRACTED_FILL = "#c9c9c9", "#ececec"
_HEXAGONS = 34
_OLS, _ROBUST = "#0072b2", "#d55e00"
_DENSITY = "cividis"
_FREQUENCIES_HZ = (0.03, 0.1, 0.3, 1.0, 3.0)


def correction_panel(view: CorrectionView, region: str, theme: Theme) -> Figure:
    """Draw a correction over the whole session.

    Parameters
    ----------
    view : CorrectionView
    region : str
        What the fibre is called.
    theme : Theme
    """
    figure = _page(view, region)
    grid = figure.add_gridspec(
        len(HEIGHTS), 1, height_ratios=HEIGHTS, left=0.115, right=0.63, hspace=0.14, **_edges(figure)
    )
    rows = _stacked(figure, [grid[row, 0] for row in range(len(HEIGHTS))])
    whole = Stretch(float(view.times[0]), float(view.times[-1]), "min", WINDOW_S)
    draw_rows(rows, view, whole, theme)
    rows[-1].set_ylabel(f"r in {WINDOW_S:g} s", fontsize=7)
    beside = figure.add_gridspec(
        3, 1, height_ratios=(1.5, 1.0, 0.8), left=0.715, right=0.95, hspace=0.42, **_edges(figure)
    )
    scatter, spectra, coherence = (figure.add_subplot(beside[row, 0]) for row in range(3))
    _scatter(scatter, view)
    _spectra(spectra, coherence, view, theme)
    return figure


def correction_zoom(view: CorrectionView, transients: pd.DataFrame, region: str, theme: Theme) -> Figure:
    """Draw a minute in which the reference moves most, and a minute with the largest transients.

    Parameters
    ----------
    view : CorrectionView
    transients : DataFrame
        Those of the fibre's primary correction: columns time (s, session clock) and amplitude.
    region : str
        What the fibre is called.
    theme : Theme
    """
    figure = _page(view, region)
    chosen = (
        ("strongest movement of the reference", strongest_movement(view, CLOSE_S), "there is no reference"),
        ("largest transients", largest_transients(view.times, transients, CLOSE_S), "no transient was found"),
    )
    grid = figure.add_gridspec(
        len(HEIGHTS), 2, height_ratios=HEIGHTS, left=0.115, right=0.985, hspace=0.14, wspace=0.3, **_edges(figure)
    )
    for column, (what, start, why) in enumerate(chosen):
        rows = _stacked(figure, [grid[row, column] for row in range(len(HEIGHTS))])
        if start is None:
            for axes in rows:
                axes.set_axis_off()
            rows[2].set_axis_on()
            rows[2].set(xticks=[], yticks=[], title=what)
            note(rows[2], why)
            continue
        draw_rows(rows, view, Stretch(start, start + CLOSE_S, "s", _CLOSE_WINDOW_S), theme, transients)
        rows[-1].set_ylabel(f"r in {_CLOSE_WINDOW_S:g} s", fontsize=7)
        rows[0].set_title(f"{what}: {start:.0f} to {start + CLOSE_S:.0f} s", fontsize=8)
    return figure


def _page(view: CorrectionView, region: str) -> Figure:
    figure = Figure(figsize=_SIZE_IN)
    primary = "primary correction" if view.is_primary else "not the primary correction"
    title = f"{region}: {view.correction} ({primary}); {_facts(view)}"
    figure.text(0.012, 1 - 0.15 / _SIZE_IN[1], title, fontsize=8, va="center")
    return figure


def _facts(view: CorrectionView) -> str:
    about = view.about
    words = []
    if about.get("slope") is not None:
        used = ", negative: not used" if about.get("slope_clipped") else ""
        words.append(f"slope {about['slope']:.3g}{used}")
    residual = about.get("residual_r")
    if residual is not None and np.isfinite(residual):
        words.append(f"residual r {round(residual, 2) + 0.0:.2f} below 1 Hz")
    words.append(f"dark offset {view.dark[0][0]:.3g} / {view.dark[1][0]:.3g} ({view.dark[0][1]})")
    words.append(f"{about['n_masked'] / about['n_samples']:.1%} of samples masked")
    return "; ".join(words)


def _edges(figure: Figure) -> dict[str, float]:
    height = figure.get_figheight()
    return {"top": 1 - _TOP_IN / height, "bottom": _BOTTOM_IN / height}


def _stacked(figure: Figure, places: Sequence[SubplotSpec]) -> list[Axes]:
    """Return panels, one per place of a grid, that share their axis of time."""
    rows: list[Axes] = []
    for place in places:
        rows.append(figure.add_subplot(place, sharex=rows[0] if rows else None))
    return rows


def _scatter(axes: Axes, view: CorrectionView) -> None:
    axes.set_title("what the slope is fitted to", fontsize=8)
    axes.set_xlabel("reference dF/F (%)", fontsize=7.5)
    axes.set_ylabel("signal dF/F (%)", fontsize=7.5)
    axes.tick_params(labelsize=7)
    traces = view.fit_traces
    if traces is None or not len(traces[0]):
        axes.set(xticks=[], yticks=[])
        note(axes, f"{view.correction} fits no slope between relative changes")
        return
    x, y, weight = traces
    weighted = bool(np.isfinite(weight).any())
    shades = axes.hexbin(
        x,
        y,
        C=weight if weighted else None,
        gridsize=_HEXAGONS,
        mincnt=1,
        bins=None if weighted else "log",
        cmap=_DENSITY,
        linewidths=0.1,
        vmin=0 if weighted else None,
        vmax=1 if weighted else None,
    )
    bar = axes.figure.colorbar(shades, ax=axes, pad=0.02, aspect=18)
    bar.set_label("mean weight" if weighted else "samples", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    bar.ax.minorticks_off()
    bar.ax.yaxis.set_major_formatter("{x:g}")
    _slopes(axes, view, x, y)


def _slopes(axes: Axes, view: CorrectionView, x: Array, y: Array) -> None:
    slope, ols = float(view.about["slope"]), float(view.about["slope_ols"])
    ends = np.array([x.min(), x.max()])
    low, high = axes.get_ylim()
    # a line of least squares goes through the means of what it is fitted to
    axes.plot(
        ends, y.mean() + ols * (ends - x.mean()), "--", color=_OLS, linewidth=1.6, label=f"least squares {ols:.3g}"
    )
    if view.fast.weight is not None:
        line = PERCENT * float(view.about["intercept"]) + slope * ends
        axes.plot(ends, line, "-", color=_ROBUST, linewidth=1.6, label=f"robust {slope:.3g}")
    axes.set_ylim(low, high + 0.28 * (high - low))
    axes.legend(loc="upper left", fontsize=7, borderaxespad=0.1)


def _spectra(above: Axes, below: Axes, view: CorrectionView, theme: Theme) -> None:
    from scipy.signal import coherence, welch

    above.set_ylabel("power (%²/Hz)", fontsize=7.5)
    below.set_ylabel("coherence", fontsize=7.5)
    below.set_xlabel("frequency (Hz)", fontsize=7.5)
    for axes in (above, below):
        axes.tick_params(labelsize=7)
    motion = view.fast.motion
    known = np.isfinite(view.fast.signal)
    size = min(round(_SEGMENT_S * FAST_HZ), len(known))
    if motion is None or not view.moves or not known.any():
        for axes in (above, below):
            axes.set(xticks=[], yticks=[])
            note(axes, "nothing was subtracted for a reference")
        return
    signal, moved = (bridged(np.where(known, values, 0.0), known, FAST_HZ) for values in (view.fast.signal, motion))
    looks = ((signal, theme.bands["GCaMP"], "-", "signal"), (moved, MOTION_COLOUR, "--", "scaled reference"))
    for values, colour, style, label in looks:
        frequency, power = welch(values, FAST_HZ, nperseg=size)
        above.loglog(frequency[1:], power[1:], style, color=colour, linewidth=1.1, label=label)
    frequency, shared = coherence(signal, moved, FAST_HZ, nperseg=size)
    below.semilogx(frequency[1:], shared[1:], color="black", linewidth=1.0)
    below.set_ylim(0, 1)
    below.set_yticks([0, 0.5, 1])
    for axes in (above, below):
        axes.set_xlim(frequency[1], FAST_HZ / 2)
        axes.set_xticks(_FREQUENCIES_HZ, [f"{value:g}" for value in _FREQUENCIES_HZ])
        axes.minorticks_off()
        _bands(axes, view, float(frequency[1]))
    above.yaxis.set_major_formatter("{x:g}")
    above.legend(loc="lower left", fontsize=7, borderaxespad=0.1)
    above.set_title("dark grey: fitted; light grey: subtracted", fontsize=7.5)


def _bands(axes: Axes, view: CorrectionView, lowest: float) -> None:
    """Shade the frequencies that the slope is fitted to, and those of the reference that are subtracted."""
    step = view.motion_step
    if step is None:
        return
    highest = FAST_HZ / 2
    axes.axvspan(lowest, step["reference_cutoff_hz"] or highest, color=_SUBTRACTED_FILL, linewidth=0, zorder=0)
    fit_from = max(step["fit_highpass_hz"] or lowest, lowest)
    axes.axvspan(fit_from, step["fit_cutoff_hz"] or highest, color=_FIT_FILL, linewidth=0, zorder=0.5)
