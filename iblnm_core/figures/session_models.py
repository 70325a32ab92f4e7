"""Models of single recordings: what each predictor explains, mouse by mouse; what baselines say of performance and reaction time."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, counts_of, nothing_drawn
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order
from iblnm_core.parameters import Parameters

PREDICTORS: Mapping[str, str] = {
    "contrast": "contrast",
    "side": "side",
    "reward": "outcome",
    "choice_side": "choice side",
    "log_reaction_time": "log reaction time",
    "peak_velocity": "peak velocity",
}
"""Predictors of the model of a recording, and what panels call them."""

BASELINES: Mapping[str, str] = {
    "baseline_performance": "performance",
    "baseline_reaction_time": "log reaction time",
}
"""Tables of what comes before the stimulus, and what it is held against."""

_LIMIT = 0.05
_GREY = "#8c8c8c"


def draw_session_models(tables: Tables, parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield what every predictor adds to the models of recordings, and what the whole models explain."""
    rows, tests = tables["response_ols_persession_dropone"], tables["response_ols_persession_dropone_pvalues"]
    if rows.empty:
        least = parameters.analyses.minimum_recording_trials
        reason = f"no selected recording has {least} complete trials and both sides, outcomes and choices"
        yield nothing_drawn("drop_one", "Models of single recordings", reason, rows)
        return
    events = events_in_order(rows["event"])
    keys = ["target_NM", "event", "predictor", "subject"]
    tested = rows.merge(tests[[*keys, "q_value"]], on=keys, how="left")
    figure = Figure(figsize=(7.4, 1.0 + 1.45 * len(PREDICTORS)), layout="constrained")
    panels = figure.subplots(len(PREDICTORS), len(events), sharey="row", squeeze=False)
    for line, (predictor, name) in enumerate(PREDICTORS.items()):
        for column, event in enumerate(events):
            own = tested[(tested["predictor"] == predictor) & (tested["event"] == event)]
            _mice(panels[line][column], own, "delta_r2", theme)
            panels[line][column].set_title(f"{name}, {event_label(event)}")
        panels[line][0].set_ylabel("ΔR²")
    caption = (
        "What leaving a predictor out costs the linear model of each recording. Dots are recordings, dashes means of mice, mice in "
        "order of their mean. Coloured and filled: permutation of sessions within the mouse, q < 0.05 (Benjamini-Hochberg); grey and open: not, or too few "
        "sessions to test."
    )
    yield Drawn("drop_one", figure, tested, caption, counts_of(rows))
    whole = rows.drop_duplicates(["eid", "fiber_idx", "event"]).assign(q_value=0.0)
    figure = Figure(figsize=(7.4, 2.4), layout="constrained")
    panels = figure.subplots(1, len(events), sharey=True, squeeze=False)
    for axes, event in zip(panels[0], events, strict=True):
        _mice(axes, whole[whole["event"] == event], "r2", theme)
        axes.set_title(event_label(event))
    panels[0][0].set_ylabel("R² of the full model")
    caption = "Share of the variance that the linear model of each recording explains. Dots are recordings, dashes means of mice."
    yield Drawn("total_r2", figure, whole.drop(columns=["predictor", "delta_r2", "q_value"]), caption, counts_of(whole))


def _mice(axes: Axes, rows: pd.DataFrame, value: str, theme: Theme) -> None:
    """Draw recordings by mouse, mice by target in order of their mean."""
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    place, ticks = 0.0, {}
    for target in in_order(rows["target_NM"]):
        own = rows[rows["target_NM"] == target]
        means = own.groupby("subject")[value].mean().sort_values()
        start = place
        for subject in means.index:
            of_mouse = own[own["subject"] == subject]
            significant = bool((of_mouse["q_value"] < _LIMIT).any())
            colour = theme.target_colour(target) if significant else _GREY
            face = colour if significant else "none"
            axes.scatter(
                np.full(len(of_mouse), place),
                of_mouse[value],
                s=14,
                facecolor=face,
                edgecolor=colour,
                marker=theme.target_marker(target),
                linewidth=0.7,
            )
            axes.plot([place - 0.3, place + 0.3], [means[subject]] * 2, color=colour, linewidth=2)
            place += 0.7
        ticks[(start + place - 0.7) / 2] = f"{target}\n{len(means)} mice"
        place += 0.7
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="x", length=0)
    if rows.empty:
        note(axes, "no recording")


def draw_baseline_coding(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield how the baseline before the stimulus goes with performance and with reaction time."""
    for name, variable in BASELINES.items():
        rows = tables[name].dropna(subset=["observed_slope"])
        if rows.empty:
            reason = "no selected recording has enough trials with a baseline"
            yield nothing_drawn(name, f"Baseline and {variable}", reason, rows.drop(columns=["null_slope", "null_r2"]))
            continue
        figure = Figure(figsize=(7.4, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        _mice(left, rows, "observed_slope", theme)
        left.set_ylabel("slope over baseline (per z)")
        _shares(right, rows, theme)
        figure.suptitle(f"Baseline and {variable}", x=0.01, ha="left")
        caption = (
            f"Slope of {variable} over the baseline before the stimulus. Dots are recordings, dashes means of mice; a mouse is coloured and filled when any of its "
            "recordings has q < 0.05 (Benjamini-Hochberg over recordings; p by drawing other sessions in its place). "
            "Right: recordings with q < 0.05 of all tested ones."
        )
        yield Drawn(name, figure, rows.drop(columns=["null_slope", "null_r2"]), caption, counts_of(rows))


def _shares(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    tested = rows[rows["q_value"].notna()]
    targets = in_order(rows["target_NM"])
    for place, target in enumerate(targets):
        own = tested.loc[tested["target_NM"] == target, "q_value"]
        share = float((own < _LIMIT).mean()) if len(own) else 0.0
        axes.bar(place, share, 0.7, color=theme.target_colour(target), edgecolor="#303030", linewidth=0.5)
        axes.text(place, share + 0.02, f"{(own < _LIMIT).sum()} of {len(own)}", ha="center", fontsize=7)
    axes.set_xticks(range(len(targets)), targets, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_ylim(0, 1.1)
    axes.set_ylabel("recordings with q < 0.05")


SESSION_MODEL_FAMILIES = (
    Family(
        "session_models",
        "Models of single recordings: what each predictor explains, mouse by mouse.",
        "responses",
        {"response_ols_persession_dropone": None, "response_ols_persession_dropone_pvalues": None},
        draw_session_models,
        ("analyses",),
    ),
    Family(
        "baseline_coding",
        "Whether the baseline before the stimulus goes with performance and reaction time.",
        "responses",
        {"baseline_performance": None, "baseline_reaction_time": None},
        draw_baseline_coding,
        ("analyses",),
    ),
)
"""These families."""
