"""Pictures of the behaviour of one session: choices, outcomes and reaction times, and the wheel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from iblnm_core.figures.theme import Theme
from iblnm_core.reports.pictures import WIDTH_IN
from iblnm_core.reports.reading import StoredSession
from iblnm_core.reports.response_pictures import OUTCOMES, mean_and_error
from iblnm_core.session.performance import FITTED_BLOCKS
from iblnm_core.session.psychometric import PARAMETER_NAMES, count_choices, psychometric_function

Array = NDArray[np.float64]

RUNNING_TRIALS = 50
"""Trials of the running fraction of correct choices."""

_Z95 = 1.959963984540054
_BLOCK_STYLES: Mapping[str, tuple[str, str, str, str]] = {
    "psych_20": ("#d55e00", "v", "--", "20 % left"),
    "psych_50": ("#333333", "o", "-", "50 % left"),
    "psych_80": ("#0072b2", "^", ":", "80 % left"),
}

_SHADES: Mapping[str, str] = {"psych_20": "#f9d9c3", "psych_80": "#cbe0f0"}


def wilson(n_of: Array, n: Array) -> tuple[Array, Array]:
    """Return the 95 % Wilson interval of fractions.

    Parameters
    ----------
    n_of, n : ndarray of float64, (l,)
        Successes, and trials.
    """
    share = n_of / n
    middle = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 * np.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n**2)) / (1 + _Z95**2 / n)
    return middle - half, middle + half


def behaviour_figure(stored: StoredSession, theme: Theme) -> Figure:
    """Draw choices by contrast, the running fraction of correct choices, and reaction times."""
    figure = Figure(figsize=(WIDTH_IN, 2.9))
    panels = figure.subplots(
        1, 3, gridspec_kw={"left": 0.065, "right": 0.985, "top": 0.9, "bottom": 0.16, "wspace": 0.32}
    )
    _choices(panels[0], stored.trials, stored.performance)
    _running(panels[1], stored.trials)
    _reaction_times(panels[2], stored.trials, theme)
    return figure


def blocks_of(trials: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Return the trials of each block with a choice, by the prefix of its fit; blocks without any are left out."""
    if not {"choice", "probabilityLeft"} <= set(trials):
        return {}
    chosen = trials["choice"].isin([-1, 1]).to_numpy()
    masks = {
        prefix: chosen & np.isclose(trials["probabilityLeft"].to_numpy(), left)
        for prefix, left in FITTED_BLOCKS.items()
    }
    return {prefix: mask for prefix, mask in masks.items() if mask.any()}


def fitted(performance: Mapping[str, Any], prefix: str) -> Array | None:
    """Return the parameters of a fit in the order of the function; None when there is none, or one sits on a bound."""
    if performance.get(f"{prefix}_status") != "ok" or len(performance.get(f"{prefix}_at_bound", ())):
        return None
    return np.array([float(performance[f"{prefix}_{name}"]) for name in PARAMETER_NAMES])


def _choices(axes: Axes, trials: pd.DataFrame, performance: Mapping[str, Any]) -> None:
    axes.set_title("choices")
    axes.set_xlabel("signed contrast (%); right is positive")
    axes.set_ylabel("rightward choices (fraction)")
    # room above for the legend
    axes.set_ylim(-0.04, 1.5)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    blocks = blocks_of(trials)
    if not blocks:
        axes.text(0.5, 0.5, "no choices", transform=axes.transAxes, ha="center", va="center")
        return
    fine = np.linspace(-100, 100, 201)
    for prefix, mask in blocks.items():
        colour, marker, style, label = _BLOCK_STYLES[prefix]
        counts = count_choices(trials["signed_contrast"].to_numpy()[mask], trials["choice"].to_numpy()[mask] == -1)
        share = counts.n_right / counts.n_trials
        low, high = wilson(counts.n_right, counts.n_trials)
        axes.vlines(counts.levels, low, high, color=colour, linewidth=0.8)
        axes.plot(counts.levels, share, marker, color=colour, markersize=3.5, label=f"{label}, n = {mask.sum()}")
        parameters = fitted(performance, prefix)
        if parameters is not None:
            axes.plot(fine, psychometric_function(fine, parameters), style, color=colour, linewidth=1.2)
    axes.legend(loc="upper left", handletextpad=0.3, borderaxespad=0.2)


def running_fraction(trials: pd.DataFrame) -> Array:
    """Return the fraction of correct choices over the latest trials; not a number until there are so many.

    Parameters
    ----------
    trials : DataFrame
    """
    correct = (trials["feedbackType"] == 1).astype(float)
    chosen = trials["choice"].isin([-1, 1])
    return correct.where(chosen).rolling(RUNNING_TRIALS, min_periods=RUNNING_TRIALS // 2).mean().to_numpy()


def _running(axes: Axes, trials: pd.DataFrame) -> None:
    axes.set_title(f"correct choices, last {RUNNING_TRIALS} trials")
    axes.set_xlabel("trial")
    axes.set_ylabel("fraction correct")
    axes.set_ylim(0, 1.02)
    axes.axhline(0.5, color="#8c8c8c", linewidth=0.6)
    if not {"choice", "feedbackType"} <= set(trials):
        axes.text(0.5, 0.3, "no choices", transform=axes.transAxes, ha="center", va="center")
        return
    _shade_blocks(axes, trials)
    axes.plot(np.arange(len(trials)), running_fraction(trials), color="black")
    axes.set_xlim(0, max(len(trials) - 1, 1))


def _shade_blocks(axes: Axes, trials: pd.DataFrame) -> None:
    left = trials["probabilityLeft"].to_numpy() if "probabilityLeft" in trials else np.full(len(trials), 0.5)
    starts = np.flatnonzero(np.diff(left, prepend=np.nan) != 0)
    known: set[str] = set()
    for first, last in zip(starts, [*starts[1:], len(left)], strict=True):
        prefix = next((name for name, value in FITTED_BLOCKS.items() if np.isclose(left[first], value)), None)
        if prefix in {"psych_20", "psych_80"}:
            label = _BLOCK_STYLES[str(prefix)][-1]
            hatch = "////" if prefix == "psych_20" else None
            axes.axvspan(
                float(first),
                float(last),
                facecolor=_SHADES[str(prefix)],
                edgecolor="white",
                linewidth=0,
                hatch=hatch,
                zorder=0,
                label=None if label in known else label,
            )
            known.add(label)
    if known:
        axes.legend(loc="lower right", ncols=2, handlelength=1.2)


def _reaction_times(axes: Axes, trials: pd.DataFrame, theme: Theme) -> None:
    axes.set_title("reaction times")
    axes.set_xlabel("trial")
    axes.set_ylabel("stimulus to first movement (s)")
    if not {"stimOn_times", "firstMovement_times", "feedbackType"} <= set(trials):
        axes.text(0.5, 0.5, "first movements are unknown", transform=axes.transAxes, ha="center", va="center")
        return
    times = (trials["firstMovement_times"] - trials["stimOn_times"]).to_numpy()
    positive = times > 0
    if not positive.any():
        axes.text(0.5, 0.5, "first movements are unknown", transform=axes.transAxes, ha="center", va="center")
        return
    axes.set_yscale("log")
    looks = {1: (theme.correct, "o", theme.correct), -1: (theme.incorrect, "s", "none")}
    for kind, word in OUTCOMES.items():
        colour, marker, fill = looks[kind]
        chosen = positive & (trials["feedbackType"] == kind).to_numpy()
        axes.plot(
            np.flatnonzero(chosen),
            times[chosen],
            marker,
            color=colour,
            markerfacecolor=fill,
            markersize=2.4,
            markeredgewidth=0.6,
            linestyle="none",
            label=f"{word}, n = {chosen.sum()}",
        )
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda _value, _place: "")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 3)
    axes.legend(loc="upper left", ncols=2, handletextpad=0.1, columnspacing=0.8)


def wheel_figure(stored: StoredSession, theme: Theme) -> Figure:
    """Draw mean wheel speed after the stimulus, and how fast the wheel got at most, by outcome."""
    assert stored.wheel is not None
    figure = Figure(figsize=(WIDTH_IN, 2.5))
    left, right = figure.subplots(
        1, 2, gridspec_kw={"left": 0.065, "right": 0.985, "top": 0.89, "bottom": 0.19, "wspace": 0.22}
    )
    speed = np.abs(stored.wheel)
    times = np.arange(speed.shape[1]) / stored.wheel_rate_hz
    outcome = stored.trials["feedbackType"].to_numpy() if "feedbackType" in stored.trials else np.zeros(len(speed))
    peaks = _peaks(stored)
    edges = np.histogram_bin_edges(peaks[np.isfinite(peaks)], 30) if np.isfinite(peaks).any() else np.array([0.0, 1.0])
    for kind, word in OUTCOMES.items():
        colour, style = (theme.correct, "-") if kind == 1 else (theme.incorrect, "--")
        rows = speed[outcome[: len(speed)] == kind]
        rows = rows[np.isfinite(rows).any(axis=1)]
        if len(rows) >= 2:
            mean, error = mean_and_error(rows)
            left.fill_between(times, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0)
            left.plot(times, mean, style, color=colour, label=f"{word}, n = {len(rows)}")
        known = peaks[(outcome[: len(peaks)] == kind) & np.isfinite(peaks)]
        right.hist(
            known,
            edges,
            histtype="step",
            color=colour,
            linestyle=style,
            linewidth=1.4,
            label=f"{word}, n = {len(known)}",
        )
    left.set_title("mean speed after the stimulus")
    left.set_xlabel("time from stimulus (s)")
    left.set_ylabel("speed (rad/s)")
    right.set_title("fastest movement of each trial")
    right.set_xlabel("peak speed (rad/s)")
    right.set_ylabel("trials")
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best")
    return figure


def _peaks(stored: StoredSession) -> Array:
    if "peak_velocity" in stored.regressors:
        peaks: Array = np.abs(stored.regressors["peak_velocity"].to_numpy(np.float64))
        return peaks
    return np.full(len(stored.trials), np.nan)
