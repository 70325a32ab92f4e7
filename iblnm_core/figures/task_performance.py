"""Figures of how mice with fibres in each target do the task: choices and reaction times by contrast, and whether targets differ."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.contrast_axes import contrast_axis, places
from iblnm_core.figures.family import Drawn, Family, counts_of, nothing_drawn
from iblnm_core.figures.marks import jitter, note, why_nothing
from iblnm_core.figures.psychometric_blocks import by_block
from iblnm_core.figures.theme import Theme, in_order, stars
from iblnm_core.parameters import Parameters

_UNBIASED = 0.5
_METRICS = {
    "fraction_correct": "correct choices\n(share)",
    "psych_50_bias": "bias\n(% contrast)",
    "psych_50_threshold": "threshold\n(% contrast)",
    "psych_50_lapse_left": "lapse: left choices,\nstrong right stimuli",
    "psych_50_lapse_right": "lapse: right choices,\nstrong left stimuli",
}
_NOTHING = (
    "no recording is selected (the table selection says which filter removed how many), or none has determined fits"
)


def draw_task_performance(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the figures of how mice of each target do the task.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `TASK_PERFORMANCE` reads.
    _parameters : Parameters
    theme : Theme
    """
    yield _grid(tables, theme)
    yield by_block(tables, theme)
    yield _comparison(tables, theme)


def _grid(tables: Tables, theme: Theme) -> Drawn:
    name, title = "performance_grid", "Choices and reaction times by target"
    curves, times = tables["psychometric_curves"], tables["reaction_times"]
    unbiased = curves[curves["probabilityLeft"] == _UNBIASED]
    means = tables["psychometric_means"]
    means = means[means["probabilityLeft"] == _UNBIASED]
    targets = in_order([*unbiased["target_NM"], *times["target_NM"]])
    if not targets:
        return nothing_drawn(name, title, why_nothing(tables["selection"]), unbiased)
    figure = Figure(figsize=(7.5, 0.9 + 2.1 * len(targets)), layout="constrained")
    grid = figure.subplots(len(targets), 2, squeeze=False, sharex="col", sharey="col")
    for (left, right), target in zip(grid, targets, strict=True):
        _psychometric(left, _of(unbiased, target), _of(means, target), theme)
        _reaction_times(right, _of(times, target), _of(tables["reaction_time_means"], target), theme)
        left.set_title(target)
    contrast_axis(grid[-1, 0], signed=True)
    contrast_axis(grid[-1, 1], signed=False)
    for axes in grid[:, 0]:
        axes.set_ylabel("right choices (share)")
    for axes in grid[:, 1]:
        axes.set_ylabel("reaction time (s)")
    grid[0, 1].set_title("all blocks")
    n_mice = pd.concat([unbiased["subject"], times["subject"]]).nunique()
    figure.suptitle(f"{title} ({n_mice} mice)")
    caption = (
        "Left: unbiased block; thin lines are mice (mean of the fitted functions of their sessions), thick lines their mean, dots the share "
        "of right choices, mean and SEM over mice. Right: medians of the reaction times of mice (thin) in all blocks, geometric mean and "
        f"SEM over mice (thick). {n_mice} mice, each counted once in every target that it has a fibre in; contrasts in equal steps. No test."
    )
    return Drawn(name, figure, unbiased, caption, {"n_subjects": n_mice})


def _of(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    return rows[rows["target_NM"] == target]


def _psychometric(axes: Axes, curves: pd.DataFrame, means: pd.DataFrame, theme: Theme) -> None:
    axes.axhline(0.5, color="#9a9a9a", linestyle="--", linewidth=0.8)
    axes.axvline(0.0, color="#9a9a9a", linestyle="--", linewidth=0.8)
    fitted, chosen = (curves[curves["source"] == source] for source in ("fit", "choices"))
    if fitted.empty:
        note(axes, "no determined fit in the unbiased block")
        return
    target = str(curves["target_NM"].iloc[0])
    colour = theme.target_colour(target)
    for _, mouse in fitted.groupby("subject"):
        axes.plot(places(mouse["signed_contrast"]), mouse["probability"], color=colour, linewidth=0.7, alpha=0.6)
    mean, of_choices = (means[means["source"] == source] for source in ("fit", "choices"))
    axes.plot(places(mean["signed_contrast"]), mean["mean"], color=colour, linewidth=2.2)
    axes.errorbar(
        places(of_choices["signed_contrast"]),
        of_choices["mean"],
        of_choices["sem"].fillna(0.0),
        color=colour,
        marker=theme.target_marker(target),
        markersize=4.5,
        markeredgecolor="#303030",
        markeredgewidth=0.5,
        linestyle="none",
        linewidth=1.0,
    )
    n_trials = int(chosen["n_trials"].sum())
    note(axes, f"{fitted['subject'].nunique()} mice\n{n_trials} choices", high=True)
    axes.set_ylim(min(-0.03, axes.get_ylim()[0]), max(1.03, axes.get_ylim()[1]))


def _reaction_times(axes: Axes, times: pd.DataFrame, means: pd.DataFrame, theme: Theme) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    if times.empty:
        note(axes, "no reaction time")
        return
    target = str(times["target_NM"].iloc[0])
    colour = theme.target_colour(target)
    for _, mouse in times.groupby("subject"):
        axes.plot(places(mouse["contrast"]), mouse["median"], color=colour, linewidth=0.7, alpha=0.6)
    mean = means["mean"]
    below, above = (mean - means["lower"]).fillna(0.0), (means["upper"] - mean).fillna(0.0)
    axes.errorbar(
        places(means["contrast"]),
        mean,
        [below, above],
        color=colour,
        marker=theme.target_marker(target),
        markersize=4.5,
        markeredgecolor="#303030",
        markeredgewidth=0.5,
        linewidth=2.2,
        elinewidth=1.0,
    )
    axes.margins(y=0.15)
    note(axes, f"{times['subject'].nunique()} mice, {int(times['n_trials'].sum())} trials", high=True)


def _comparison(tables: Tables, theme: Theme) -> Drawn:
    name, title = "target_comparison", "Behaviour by target"
    subjects, tests = tables["target_comparison_subjects"], tables["target_comparison"]
    if subjects.empty:
        return nothing_drawn(name, title, why_nothing(tables["selection"]), subjects)
    targets = in_order(subjects["target_NM"])
    figure = Figure(figsize=(7.5, 1.3 + 0.32 * len(targets)), layout="constrained")
    panels = figure.subplots(1, len(_METRICS), sharey=True)
    by_mouse = tests[tests["level"] == "subject"]
    for axes, (metric, label) in zip(panels, _METRICS.items(), strict=True):
        of_metric = subjects[subjects["metric"] == metric]
        for height, target in enumerate(targets):
            _mice(axes, height, of_metric[of_metric["target_NM"] == target], theme)
        axes.set_xlabel(label)
        axes.set_title(_verdict(by_mouse[by_mouse["metric"] == metric]), fontsize=7.5)
        if of_metric.empty:
            note(axes, "no session has it")
    mice = subjects.groupby("target_NM")["subject"].nunique()
    panels[0].set_yticks(range(len(targets)), [f"{target} ({mice[target]})" for target in targets])
    panels[0].set_ylim(len(targets) - 0.4, -0.6)
    counts = counts_of(subjects)
    figure.suptitle(f"{title} ({counts['n_subjects']} mice; in brackets: mice of the target)")
    caption = (
        f"Boxes are quartiles of the means of {counts['n_subjects']} mice over their sessions, whiskers reach to the last mouse within 1.5 interquartile "
        "ranges; each dot is a mouse with 1.96 SEM over its sessions. Kruskal-Wallis test over means of mice; pairs by Mann-Whitney's test "
        "with Holm's correction, as far as p is below 0.05 (stars: 0.05, 0.01, 0.001). Lapses are named for the choice."
    )
    return Drawn(name, figure, subjects, caption, counts)


def _mice(axes: Axes, height: int, mice: pd.DataFrame, theme: Theme) -> None:
    if mice.empty:
        return
    target = str(mice["target_NM"].iloc[0])
    colour = theme.target_colour(target)
    line = {"color": colour, "linewidth": 1.2}
    axes.boxplot(
        [mice["mean"].to_numpy(np.float64)],
        positions=[height],
        orientation="horizontal",
        widths=0.62,
        showfliers=False,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops={"color": "black", "linewidth": 1.6},
    )
    axes.errorbar(
        mice["mean"],
        height + jitter(len(mice), height),
        xerr=1.96 * mice["sem"].fillna(0.0),
        marker=theme.target_marker(target),
        markersize=3.5,
        color=colour,
        markeredgecolor="#303030",
        markeredgewidth=0.5,
        linestyle="none",
        linewidth=0.7,
    )


def _verdict(tests: pd.DataFrame) -> str:
    """Return in words whether targets differ, and which."""
    overall = tests[tests["test"] == "kruskal"]
    if overall.empty:
        return "no test"
    p = float(overall["p_value"].iloc[0])
    pairs = tests[(tests["test"] == "mannwhitney") & (tests["p_holm"] < 0.05)].sort_values("p_holm")
    found = [
        f"{first} / {second} {stars(p_holm)}"
        for first, second, p_holm in zip(pairs["target_a"], pairs["target_b"], pairs["p_holm"], strict=True)
    ]
    return "\n".join([f"H = {float(overall['statistic'].iloc[0]):.1f}, p = {p:.2g}{stars(p)}", *found])


TASK_PERFORMANCE = Family(
    "task_performance",
    "How mice with fibres in each target choose, in every block, and how fast they move, by contrast; and whether targets differ.",
    "task_performance",
    {
        "psychometric_curves": None,
        "psychometric_means": None,
        "psychometric_parameters": None,
        "bias_shift_trajectories": None,
        "recordings": ("eid", "target_NM"),
        "reaction_times": None,
        "reaction_time_means": None,
        "target_comparison": None,
        "target_comparison_subjects": None,
        "selection": None,
    },
    draw_task_performance,
    code_version="2",
)
