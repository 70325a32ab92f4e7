"""How the blocks move what mice of each target choose: psychometric functions, their parameters, shifts of the bias."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.contrast_axes import contrast_axis, places
from iblnm_core.figures.family import Drawn, counts_of, nothing_drawn
from iblnm_core.figures.marks import jitter, note, why_nothing
from iblnm_core.figures.theme import BLOCK_STYLES, Theme, in_order

PARAMETERS: Mapping[str, str] = {
    "bias": "bias\n(% contrast)",
    "threshold": "threshold\n(% contrast)",
    "lapse_right": "lower lapse: right\nchoices, strong left",
    "lapse_left": "upper lapse: left\nchoices, strong right",
}
"""Parameters in the order of their rows, and what axes call them."""

_GREY, _EDGE = "#b0b0b0", "#303030"


def by_block(tables: Tables, theme: Theme) -> Drawn:
    """Return the sheet of choices by block: a column for every target.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        `psychometric_means`, `psychometric_parameters`, `bias_shift_trajectories`, `recordings` and `selection`.
    theme : Theme
    """
    name, title = "psychometric_by_block", "Choices by block and target"
    means, parameters = tables["psychometric_means"], tables["psychometric_parameters"]
    targets = in_order(parameters["target_NM"])
    if not targets:
        return nothing_drawn(name, title, why_nothing(tables["selection"]), parameters)
    figure = Figure(figsize=(1.6 + 1.75 * len(targets), 1.3 + 1.45 * (len(PARAMETERS) + 2)), layout="constrained")
    grid = figure.subplots(len(PARAMETERS) + 2, len(targets), squeeze=False, sharey="row")
    shifts = _shifts_of_targets(tables)
    for panels, target in zip(grid.T, targets, strict=True):
        of_target = _of(parameters, target)
        _curves(panels[0], _of(means, target), theme)
        panels[0].set_title(target)
        for axes, parameter in zip(panels[1:-1], PARAMETERS, strict=True):
            _values(axes, of_target[of_target["parameter"] == parameter], theme)
        for axes in panels[1:-2]:
            axes.tick_params(labelbottom=False)
        panels[-2].set_xlabel("block", fontsize=7)
        _shift(panels[-1], _of(shifts, target), theme)
    labels = ("right choices (share)", *PARAMETERS.values(), "shift of the bias\n(% contrast)")
    for axes, label in zip(grid[:, 0], labels, strict=True):
        axes.set_ylabel(label)
    figure.align_ylabels(grid[:, 0])
    title_of_blocks = "stimuli on the left in the block"
    figure.legend(handles=_legend(theme), loc="outside lower left", ncols=3, title=title_of_blocks, alignment="left")
    counts = counts_of(parameters)
    figure.suptitle(f"{title} ({counts['n_subjects']} mice)", x=0.01, ha="left")
    bounds = parameters.groupby("parameter")[["n_at_bound", "n_sessions"]].sum()
    on_bound = int(bounds["n_at_bound"].sum()) / int(bounds["n_sessions"].sum())
    caption = (
        "First row: mean over mice of the fitted functions (lines), share of right choices with SEM over mice (dots); contrasts in equal steps. Rows of "
        "parameters: each dot is a mouse, the mean over its sessions with a determined fit of the block; grey lines join its blocks, boxes are quartiles over mice, "
        f"whiskers reach to the last mouse within 1.5 interquartile ranges; {on_bound:.0%} of all estimates are bounds of the search. Last row: bias in blocks "
        f"of 80 % minus that in blocks of 20 %, session by session; each line is a mouse. {counts['n_subjects']} mice, each counted once in every target that it has a fibre in. "
        "Lapses are named for the choice. No test."
    )
    return Drawn(name, figure, parameters, caption, counts)


def _of(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    return rows[rows["target_NM"] == target]


def _shifts_of_targets(tables: Tables) -> pd.DataFrame:
    """Return the shifts of the selected sessions, once for each of their targets."""
    members = tables["recordings"][["eid", "target_NM"]].drop_duplicates().dropna()
    return tables["bias_shift_trajectories"].merge(members, on="eid")


def _curves(axes: Axes, means: pd.DataFrame, theme: Theme) -> None:
    axes.axhline(0.5, color=_GREY, linewidth=0.7)
    axes.axvline(0.0, color=_GREY, linewidth=0.7)
    n_mice = []
    for block, (style, marker) in BLOCK_STYLES.items():
        own = means[means["probabilityLeft"] == block]
        fitted, chosen = (own[own["source"] == source] for source in ("fit", "choices"))
        n_mice.append(int(fitted["n_subjects"].max()) if len(fitted) else 0)
        colour = theme.blocks[block]
        axes.plot(places(fitted["signed_contrast"]), fitted["mean"], color=colour, linestyle=style, linewidth=1.5)
        axes.errorbar(
            places(chosen["signed_contrast"]),
            chosen["mean"],
            chosen["sem"].fillna(0.0),
            color=colour,
            marker=marker,
            markersize=3.5,
            markeredgecolor=_EDGE,
            markeredgewidth=0.4,
            linestyle="none",
            linewidth=0.8,
        )
    contrast_axis(axes, signed=True)
    # names of all nine contrasts would overlap at this width
    shown = [-100.0, -12.5, 0.0, 12.5, 100.0]
    axes.set_xticks(places(shown), [f"{contrast:g}" for contrast in shown])
    axes.set_xlabel("contrast (%; negative: left)", fontsize=7)
    axes.set_ylim(min(-0.03, axes.get_ylim()[0]), max(1.03, axes.get_ylim()[1]))
    note(axes, _mice(n_mice), high=True)


def _mice(n_mice: list[int]) -> str:
    """Return in words of how many mice a panel is, by block when blocks differ."""
    if len(set(n_mice)) == 1:
        return f"{n_mice[0]} mice"
    return f"{', '.join(str(n) for n in n_mice)} mice"


def _values(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    """Draw one parameter: a box and the mice of each block."""
    blocks = list(BLOCK_STYLES)
    by_mouse = rows.pivot_table(index="subject", columns="probabilityLeft", values="mean").reindex(columns=blocks)
    aside = jitter(len(by_mouse), 0, 0.12)
    for of_mouse, shift in zip(by_mouse.to_numpy(np.float64), aside, strict=True):
        axes.plot(np.arange(len(blocks)) + shift, of_mouse, color=_GREY, linewidth=0.6, zorder=1)
    for place, block in enumerate(blocks):
        values = by_mouse[block].to_numpy(np.float64)
        known = np.isfinite(values)
        colour = theme.blocks[block]
        if known.any():
            line = {"color": colour, "linewidth": 1.0}
            axes.boxplot(
                [values[known]],
                positions=[place],
                widths=0.6,
                showfliers=False,
                boxprops=line,
                whiskerprops=line,
                capprops=line,
                medianprops={"color": "black", "linewidth": 1.4},
            )
        axes.plot(
            place + aside[known],
            values[known],
            linestyle="none",
            marker=BLOCK_STYLES[block][1],
            markersize=3.5,
            color=colour,
            markeredgecolor=_EDGE,
            markeredgewidth=0.4,
        )
    axes.set_xticks(range(len(blocks)), [f"{block:.0%}" for block in blocks])
    axes.set_xlim(-0.6, len(blocks) - 0.4)
    axes.margins(y=0.26)
    note(axes, _mice(by_mouse.notna().sum().tolist()), high=True)


def _shift(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    axes.set_xlabel("session of the mouse\nwith both blocks", fontsize=7)
    if rows.empty:
        note(axes, "no session with\nboth blocks")
        axes.set_xticks([])
        return
    target = str(rows["target_NM"].iloc[0])
    for _, own in rows.groupby("subject"):
        ordered = own.sort_values("shift_n")
        axes.plot(
            ordered["shift_n"],
            ordered["bias_shift"],
            color=theme.target_colour(target),
            marker=theme.target_marker(target),
            markersize=3,
            linewidth=0.8,
        )
    axes.locator_params(axis="x", integer=True)
    axes.margins(y=0.26)
    note(axes, f"{rows['subject'].nunique()} mice, {len(rows)} sessions", high=True)


def _legend(theme: Theme) -> list[Artist]:
    handles: list[Artist] = []
    for block, (style, marker) in BLOCK_STYLES.items():
        look: dict[str, Any] = {"color": theme.blocks[block], "linestyle": style, "marker": marker, "markersize": 4}
        handles.append(Line2D([], [], **look, markeredgecolor=_EDGE, markeredgewidth=0.4, label=f"{block:.0%}"))
    return handles
