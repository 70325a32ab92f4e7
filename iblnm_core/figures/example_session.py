"""Half a minute of one recording of each target: events, photometry and wheel. Which recording, and what is read, stands in `example_recordings`."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.example_recordings import ENOUGH_TRIALS, PHOTOMETRY, WHEEL, read_examples
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import note, why_nothing
from iblnm_core.figures.responses import file_name
from iblnm_core.figures.theme import Theme
from iblnm_core.parameters import Parameters

_GREY, _EDGE = "#595959", "#202020"
_WHEEL_COLOUR = "#303030"
_ROWS = {"stimulus": 1.0, "feedback": 0.0}
_OUTCOMES = {1: "correct", -1: "incorrect"}
_LEFT, _RIGHT = 0.12, 0.9


def draw_example_session(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield one picture of each target.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `EXAMPLE_SESSION` reads, and those of `read_examples`.
    _parameters : Parameters
    theme : Theme
    """
    windows = tables["example_windows"]
    if windows.empty:
        yield nothing_drawn("example", "Example session", why_nothing(tables["selection"]), windows)
    for window in windows.to_dict("records"):
        target = window["target_NM"]
        name = f"example_{file_name(target)}"
        if window["missing"]:
            yield nothing_drawn(name, f"Example session, {target}", window["missing"], windows)
            continue
        trials, traces = (
            rows[rows["target_NM"] == target] for rows in (tables["example_trials"], tables["example_traces"])
        )
        figure = _picture(pd.Series(window), trials, traces, theme)
        counts = {"n_recordings": 1, "n_sessions": 1, "n_subjects": 1, "n_trials": int(window["n_trials"])}
        yield Drawn(name, figure, _drawn_rows(trials, traces), _caption(pd.Series(window)), counts)


def _picture(window: pd.Series, trials: pd.DataFrame, traces: pd.DataFrame, theme: Theme) -> Figure:
    figure = Figure(figsize=(7.5, 3.5))
    grid = figure.add_gridspec(
        3, 1, height_ratios=(0.55, 1.5, 1.0), left=_LEFT, right=_RIGHT, top=0.83, bottom=0.1, hspace=0.0
    )
    events, photometry, wheel = (figure.add_subplot(grid[row]) for row in range(3))
    for axes in (events, photometry, wheel):
        axes.set_xlim(window["start_s"], window["end_s"])
        axes.set_axis_off()
        for column, style in (("stimOn_times", "-"), ("feedback_times", "--")):
            for time in trials[column].dropna():
                axes.axvline(time, color="#b0b0b0", linestyle=style, linewidth=0.6, zorder=0)
    _marks(events, trials, theme)
    target = str(window["target_NM"])
    signal, velocity = (traces[traces["trace"] == trace] for trace in (PHOTOMETRY, WHEEL))
    _trace(photometry, signal, "photometry", "z", theme.target_colour(target))
    _trace(wheel, velocity, "wheel velocity\n(within trials)", "rad/s", _WHEEL_COLOUR)
    _time_bar(wheel)
    start, end = window["start_s"], window["end_s"]
    figure.text(
        0.01,
        0.965,
        f"{target}, {window['subject']}: {start:.0f} to {end:.0f} s of the session",
        fontsize=9,
        va="center",
    )
    _legend(figure, trials, theme)
    return figure


def _marks(axes: Axes, trials: pd.DataFrame, theme: Theme) -> None:
    """Draw stimuli, the darker the higher their contrast, and feedback."""
    axes.set_ylim(-0.6, 1.6)
    stimuli = trials[trials["stimOn_times"].notna()]
    for shade, shown in stimuli.groupby(_shades(stimuli)):
        axes.plot(
            shown["stimOn_times"], np.full(len(shown), _ROWS["stimulus"]), **_stimulus_style(str(shade)), clip_on=False
        )
    for feedback, outcome in _OUTCOMES.items():
        times = trials.loc[trials["feedbackType"] == feedback, "feedback_times"].dropna()
        axes.plot(times, np.full(len(times), _ROWS["feedback"]), **_outcome_style(outcome, theme), clip_on=False)
    for name, height in _ROWS.items():
        axes.text(-0.015, height, name, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=7.5)


def _shades(trials: pd.DataFrame) -> pd.Series:
    """Return a grey for every trial: white for the lowest contrast of the session, black for the highest."""
    steps = (trials["n_contrasts"] - 1).clip(lower=1)
    darkness = (trials["contrast_rank"] / steps).astype("float64").fillna(0.0)
    return (1 - darkness).map("{:.3f}".format)


def _stimulus_style(shade: str) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": "o",
        "markersize": 6,
        "markerfacecolor": shade,
        "markeredgecolor": _EDGE,
        "markeredgewidth": 0.8,
    }


def _outcome_style(outcome: str, theme: Theme) -> dict[str, Any]:
    correct = outcome == "correct"
    colour = theme.correct if correct else theme.incorrect
    return {
        "linestyle": "none",
        "marker": "^" if correct else "X",
        "markersize": 6,
        "markerfacecolor": colour if correct else "white",
        "markeredgecolor": colour,
        "markeredgewidth": 1.0,
    }


def _legend(figure: Figure, trials: pd.DataFrame, theme: Theme) -> None:
    stimuli = trials[trials["stimOn_times"].notna()].dropna(subset=["contrast"])
    levels = stimuli.assign(shade=_shades(stimuli)).drop_duplicates("contrast").sort_values("contrast")
    handles = [
        Line2D([], [], **_stimulus_style(shade), label=f"{contrast:g} %")
        for contrast, shade in zip(levels["contrast"], levels["shade"], strict=True)
    ]
    handles += [Line2D([], [], **_outcome_style(outcome, theme), label=outcome) for outcome in _OUTCOMES.values()]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(_LEFT - 0.02, 0.945),
        ncols=len(handles),
        handletextpad=0.1,
        columnspacing=1.2,
    )


def _trace(axes: Axes, rows: pd.DataFrame, name: str, unit: str, colour: str) -> None:
    """Draw one trace with its name on the left and a bar of its unit on the right."""
    axes.text(-0.015, 0.5, name, transform=axes.transAxes, ha="right", va="center", fontsize=7.5, color=colour)
    values = rows["value"].to_numpy(np.float64)
    if not np.isfinite(values).any():
        note(axes, "not known in this stretch")
        return
    axes.plot(rows["time_s"], values, color=colour, linewidth=1.0)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    extent = (high - low) or 1.0
    axes.set_ylim(low - 0.08 * extent, high + 0.08 * extent)
    size = round_size(extent / 3)
    across = axes.get_yaxis_transform()
    axes.plot([1.015, 1.015], [low, low + size], color="black", linewidth=1.6, transform=across, clip_on=False)
    axes.text(1.025, low + size / 2, f"{size:g} {unit}", transform=across, ha="left", va="center", fontsize=7.5)


def _time_bar(axes: Axes) -> None:
    start, end = axes.get_xlim()
    size = round_size((end - start) / 6)
    up = axes.get_xaxis_transform()
    axes.plot([end - size, end], [-0.1, -0.1], color="black", linewidth=1.6, transform=up, clip_on=False)
    axes.text(end - size / 2, -0.14, f"{size:g} s", transform=up, ha="center", va="top", fontsize=7.5)


def round_size(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is no larger than a positive value.

    Parameters
    ----------
    value : float
    """
    power = 10.0 ** math.floor(math.log10(value))
    return max(step for step in (1 * power, 2 * power, 5 * power) if step <= value * (1 + 1e-9))


def _caption(window: pd.Series) -> str:
    start, end, n_trials = window["start_s"], window["end_s"], int(window["n_trials"])
    if window["named"]:
        chosen = "named by `figures.example_eids`"
    else:
        chosen = (
            f"chosen for the highest share of correct choices ({window['fraction_correct']:.3f}) among {window['n_candidates']} selected biased and "
            "ephys recordings of the target, as far as their files have signal, trials and wheel"
        )
    length = f"{end - start:g} s"
    stretch = (
        f"the {length} with most whole trials ({n_trials})"
        if n_trials >= ENOUGH_TRIALS
        else f"{length} from the first stimulus ({n_trials} whole trials), as no {length} has {ENOUGH_TRIALS}"
    )
    return (
        f"{window['subject']}, session {window['eid']}, fibre {window['fiber_idx']} ({window['brain_region']}), {chosen}; {stretch}. Lines: stimulus (solid) and "
        "feedback (dashed); circles: stimuli, the darker the higher their contrast among those of the session. Signal in standard deviations "
        "of the session. The velocity of the wheel is stored from stimulus to feedback; between trials it is not known."
    )


def _drawn_rows(trials: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """Return everything in one table: traces and, with their contrast or outcome as value, events."""
    columns = ["trace", "trial", "time_s", "value"]
    stimuli = trials.assign(trace="stimulus", time_s=trials["stimOn_times"], value=trials["contrast"])
    feedback = trials.assign(trace="feedback", time_s=trials["feedback_times"], value=trials["feedbackType"])
    events = pd.concat([stimuli, feedback])[columns].dropna(subset=["time_s"])
    return pd.concat([events, traces[["trace", "time_s", "value"]]], ignore_index=True)


EXAMPLE_SESSION = Family(
    "example_session",
    "Half a minute of one recording of each target: stimuli and feedback, photometry, velocity of the wheel.",
    "responses",
    {
        "recordings": ("eid", "fiber_idx", "subject", "session_type", "brain_region", "target_NM"),
        "performance": ("eid", "fraction_correct"),
        "selection": None,
    },
    draw_example_session,
    read_sessions=read_examples,
)
