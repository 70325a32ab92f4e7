"""Responses of each target: their course by contrast and outcome, and their size by contrast, side and outcome."""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.contrast_axes import places
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order
from iblnm_core.parameters import Parameters

OUTCOMES = MappingProxyType({1: "correct", -1: "incorrect"})
SIDES = ("contra", "ipsi")
_EARLY_S = (0.1, 0.35)


def file_name(text: str) -> str:
    """Return a text as it can stand in the name of a file: letters, digits and underscores."""
    return "".join(character if character.isalnum() and character.isascii() else "_" for character in text)


def largest(rows: pd.DataFrame) -> dict[str, int]:
    """Return the largest counts among rows that are each over mice."""
    return {name: int(rows[name].max()) for name in ("n_recordings", "n_subjects") if len(rows)}


def draw_mean_traces(tables: Tables, parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield, for each target, the mean course of its responses to each event."""
    traces = tables["traces_by_target"]
    if traces.empty:
        reason = "no selected recording has responses to trials of a known contrast and outcome"
        yield nothing_drawn("mean_traces", "Mean responses", reason, traces)
    for target in in_order(traces["target_NM"]):
        rows = traces[traces["target_NM"] == target]
        events = events_in_order(rows["event"])
        figure = Figure(figsize=(1.0 + 2.2 * len(events), 4.2), layout="constrained")
        panels = figure.subplots(len(OUTCOMES), len(events), sharex=True, sharey=True, squeeze=False)
        for line, (feedback, outcome) in enumerate(OUTCOMES.items()):
            for column, event in enumerate(events):
                own = rows[(rows["event"] == event) & (rows["feedbackType"] == feedback)]
                _traces(panels[line][column], own, theme, target)
                panels[line][column].set_title(f"{event_label(event)}, {outcome}")
        figure.supxlabel("time from event (s)", fontsize=8)
        figure.supylabel("response (z)", fontsize=8)
        handles = {
            label: handle
            for axes in panels.flat
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles, loc="outside right upper", title="contrast")
        figure.suptitle(f"{target}: mean responses", x=0.01, ha="left")
        caption = (
            f"Mean response of {target} by contrast and outcome. Lines are means over mice, each the mean of its recordings, bands ± 1 SEM "
            f"over mice; mice with fewer than {parameters.analyses.minimum_trace_trials} trials of a condition are left out of it. "
            f"Grey: early window, {_EARLY_S[0]:g} to {_EARLY_S[1]:g} s. Panels name the largest number of mice and all trials."
        )
        yield Drawn(f"mean_traces_{file_name(target)}", figure, rows, caption, largest(rows))


def _traces(axes: Axes, rows: pd.DataFrame, theme: Theme, target: str) -> None:
    axes.axvspan(*_EARLY_S, color="#e8e8e8", zorder=0, linewidth=0)
    axes.axvline(0, color="#404040", linestyle="--", linewidth=0.8)
    axes.axhline(0, color="#404040", linewidth=0.5)
    colours = theme.contrast_colours(target)
    for contrast, own in rows.groupby("contrast"):
        colour = colours.get(float(str(contrast)), "#595959")
        time, mean, sem = (own[name].to_numpy(np.float64) for name in ("time", "mean", "sem"))
        axes.plot(time, mean, color=colour, label=f"{contrast:g} %")
        if np.isfinite(sem).any():
            axes.fill_between(time, mean - sem, mean + sem, color=colour, alpha=0.2, linewidth=0)
    if rows.empty:
        note(axes, "no trials")
        return
    trials = int(rows.groupby("contrast")["n_trials"].first().sum())
    note(axes, f"{rows['n_subjects'].max()} mice, {trials} trials", high=True)


def draw_contrast_curves(tables: Tables, parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield, for each target, the size of its responses by contrast, side and outcome."""
    curves, outcomes = tables["contrast_curves"], tables["response_curves_outcomes"]
    if curves.empty:
        reasons = outcomes.loc[outcomes["status"] != "ok", "detail"].dropna().unique()
        yield nothing_drawn(
            "contrast_curves", "Responses by contrast", "; ".join(reasons) or "nothing is selected", curves
        )
    for target in in_order(curves["target_NM"]):
        rows = curves[curves["target_NM"] == target]
        events = events_in_order(rows["event"])
        figure = Figure(figsize=(7.4, 0.9 + 1.9 * len(events)), layout="constrained")
        panels = figure.subplots(len(events), len(SIDES), sharey=True, squeeze=False)
        for line, event in enumerate(events):
            for column, side in enumerate(SIDES):
                axes = panels[line][column]
                own = rows[(rows["event"] == event) & (rows["side"] == side)]
                _curve(axes, own, theme, target)
                axes.set_title(f"{event_label(event)}, {side} stimulus")
                if line == len(events) - 1:
                    axes.set_xlabel("contrast (%)")
            panels[line][0].invert_xaxis()
            panels[line][0].set_ylabel("response (z)")
        handles = {
            label: handle
            for axes in panels.flat
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles, loc="outside right upper")
        figure.suptitle(f"{target}: responses by contrast", x=0.01, ha="left")
        caption = (
            f"Mean early response of {target} by contrast, side and outcome. Points are means over mice, bars ± 1 SEM within mice "
            "(Cousineau, with Morey's correction); cells of a mouse with fewer than "
            f"{parameters.analyses.minimum_cell_trials} trials are left out. Panels name the largest number of mice and all trials."
        )
        yield Drawn(f"contrast_curves_{file_name(target)}", figure, rows, caption, largest(rows))


def _curve(axes: Axes, rows: pd.DataFrame, theme: Theme, target: str) -> None:
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    colour, marker = theme.target_colour(target), theme.target_marker(target)
    for feedback, outcome in OUTCOMES.items():
        own = rows[rows["feedbackType"] == feedback].sort_values("contrast")
        if own.empty:
            continue
        axes.errorbar(
            places(own["contrast"]),
            own["mean"].to_numpy(np.float64),
            own["sem_within"].fillna(0).to_numpy(np.float64),
            color=colour,
            marker=marker,
            markersize=5,
            markerfacecolor=colour if feedback > 0 else "white",
            linestyle="-" if feedback > 0 else "--",
            label=outcome,
        )
    contrasts = sorted(set(rows["contrast"]))
    axes.set_xticks(places(contrasts), [f"{contrast:g}" for contrast in contrasts])
    axes.set_xlim(-0.3, 4.3)
    axes.margins(y=0.2)
    text = f"{rows['n_subjects'].max()} mice, {rows['n_trials'].sum()} trials" if len(rows) else "no trials"
    note(axes, text, high=True)


RESPONSE_FAMILIES = (
    Family(
        "mean_traces",
        "The mean course of the responses of each target to each event, by contrast and outcome.",
        "responses",
        {"traces_by_target": None},
        draw_mean_traces,
        ("analyses",),
    ),
    Family(
        "contrast_curves",
        "The size of the responses of each target by contrast, side and outcome.",
        "responses",
        {"contrast_curves": None, "response_curves_outcomes": None},
        draw_contrast_curves,
        ("analyses",),
    ),
)
"""These families."""
