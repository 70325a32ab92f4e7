"""How mice learn: performance and psychometric parameters session by session, and sessions to the next stage."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme
from iblnm_core.parameters import Parameters

MEASURES: Mapping[str, str] = {
    "fraction_correct": "correct choices (share)",
    "psych_50_bias": "bias (% contrast)",
    "psych_50_threshold": "threshold (% contrast)",
    "psych_50_lapse_left": "lapse, left choices",
    "psych_50_lapse_right": "lapse, right choices",
}
"""Columns of the trajectory that are drawn, and what axes call them."""

STAGE_TITLES: Mapping[str, str] = {
    "biased": "training sessions to the first biased one",
    "ephys": "biased sessions to the first on the ephys rig",
}
"""Stages that follow another, and what the axis of sessions is called."""

_ALL = "all"
_BLACK, _GREY = "#000000", "#8c8c8c"


def draw_learning_curves(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield trajectories of performance and parameters, sessions to the next stage, and shifts of the bias."""
    trajectory, curves = tables["performance_trajectory"], tables["learning_curves"]
    if trajectory.empty:
        reason = "no session of a mouse of the project has trials that can be used"
        yield nothing_drawn("trajectories", "Learning", reason, trajectory)
    else:
        yield _trajectories(trajectory, curves[curves["target_NM"] == _ALL])
    stages = tables["stage_curves"]
    if stages.empty:
        yield nothing_drawn("sessions_to_stage", "Sessions to the next stage", "no mouse came to another stage", stages)
    else:
        yield _stages(stages, theme)
    shifts = tables["bias_shift_trajectories"]
    if shifts.empty:
        yield nothing_drawn("bias_shift", "Shift of the bias", "no session has fits of both biased blocks", shifts)
    else:
        yield _shifts(shifts, curves[(curves["target_NM"] == _ALL) & (curves["metric"] == "bias_shift")])


def _trajectories(rows: pd.DataFrame, means: pd.DataFrame) -> Drawn:
    figure = Figure(figsize=(7.4, 5.4), layout="constrained")
    panels = figure.subplots(3, 2, sharex=True)
    for axes, (column, name) in zip(panels.flat, MEASURES.items(), strict=False):
        _lines(axes, rows, "session_n", column)
        own = means[means["metric"] == column].sort_values("session_n")
        _mean(axes, own)
        axes.set_ylabel(name)
        axes.margins(y=0.18)
        note(axes, f"{rows.loc[rows[column].notna(), 'subject'].nunique()} mice", high=True)
    for axes in panels.flat[len(MEASURES) :]:
        axes.set_axis_off()
    panels[0, 0].axhline(0.5, color="#404040", linestyle="--", linewidth=0.8)
    figure.supxlabel("session of the mouse", fontsize=8)
    figure.suptitle("Performance and psychometric parameters by session", x=0.01, ha="left")
    caption = (
        "Performance and parameters of the psychometric function (unbiased block) session by session. Grey: mice; black: mean over the mice that have the session, band "
        "± 1 SEM over them; mice leave as they finish, which alone can bend the mean."
    )
    counts = {"n_sessions": len(rows), "n_subjects": int(rows["subject"].nunique())}
    columns = ["eid", "subject", "session_type", "session_n", *MEASURES]
    return Drawn("trajectories", figure, rows[columns], caption, counts)


def _lines(axes: Axes, rows: pd.DataFrame, across: str, column: str) -> None:
    for _, own in rows.groupby("subject"):
        ordered = own.sort_values(across)
        x, y = (ordered[name].to_numpy(np.float64) for name in (across, column))
        axes.plot(x, y, color=_GREY, linewidth=0.7, marker=".", markersize=3)


def _mean(axes: Axes, rows: pd.DataFrame) -> None:
    number, mean, sem = (rows[name].to_numpy(np.float64) for name in ("session_n", "mean", "sem"))
    axes.plot(number, mean, color=_BLACK, linewidth=2)
    axes.fill_between(
        number, mean - np.nan_to_num(sem), mean + np.nan_to_num(sem), color=_BLACK, alpha=0.15, linewidth=0
    )


def _stages(rows: pd.DataFrame, theme: Theme) -> Drawn:
    figure = Figure(figsize=(7.4, 2.8), layout="constrained")
    panels = figure.subplots(1, len(STAGE_TITLES), sharey=True)
    for axes, (stage, title) in zip(panels, STAGE_TITLES.items(), strict=True):
        own = rows[rows["stage"] == stage].sort_values("n_sessions")
        number, of_reached = own["n_sessions"].to_numpy(np.float64), own["share_of_reached"].to_numpy(np.float64)
        colour = theme.session_types[stage]
        axes.step(number, own["share"], where="post", color=colour, linewidth=2, label="all mice")
        axes.step(number, of_reached, where="post", color=_GREY, linestyle="--", label="those that did")
        axes.set_xlabel(title)
        axes.set_xlim(-0.3, max(number.max(initial=0), 1) + 0.7)
        axes.locator_params(axis="x", integer=True)
        axes.set_ylim(0, 1.05)
        reached = f"{own['n_reached'].sum()} of {own['n_at_risk'].max()} mice" if len(own) else "no mouse"
        note(axes, reached, high=True)
    panels[0].set_ylabel("mice (share)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    caption = (
        "Share of mice that came to the next stage within so many sessions. Solid: of all mice, those that are still under way counted as long as they are "
        "followed (product limit); dashed: among those that came to it."
    )
    return Drawn("sessions_to_stage", figure, rows, caption, {"n_subjects": int(rows["n_at_risk"].max())})


def _shifts(rows: pd.DataFrame, means: pd.DataFrame) -> Drawn:
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    _lines(axes, rows, "session_n", "bias_shift")
    _mean(axes, means.sort_values("session_n"))
    axes.set_xlabel("session of the mouse")
    axes.set_ylabel("shift of the bias (% contrast)")
    axes.margins(y=0.18)
    note(axes, f"{rows['subject'].nunique()} mice, {len(rows)} sessions", high=True)
    caption = "Difference of the bias between the blocks with 80 and with 20 % of stimuli on the left, session by session. Grey: mice; black: mean over mice, band ± 1 SEM over them."
    counts = {"n_sessions": len(rows), "n_subjects": int(rows["subject"].nunique())}
    return Drawn("bias_shift", figure, rows, caption, counts)


LEARNING_CURVES = Family(
    "learning_curves",
    "How mice learn: performance and psychometric parameters by session, sessions to the next stage, shift of the bias.",
    "task_performance",
    {
        "performance_trajectory": ("eid", "subject", "session_type", "session_n", *MEASURES),
        "learning_curves": None,
        "stage_curves": None,
        "bias_shift_trajectories": None,
    },
    draw_learning_curves,
)
"""The family of these figures."""
