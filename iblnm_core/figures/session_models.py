"""Models of single recordings: what each predictor explains, mouse by mouse; what baselines say of performance and reaction time."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.analyses.summaries import SIGNIFICANT
from iblnm_core.figures.companion import Mark, marks_at
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

BASELINES: Mapping[str, str] = {"performance": "performance", "reaction_time": "log reaction time"}
"""What the baseline before the stimulus is held against, as tables and as panels call it."""

_VALUES: Mapping[str, str] = {"delta_r2": "ΔR²", "r2": "R²", "observed_slope": "slope over baseline (per z)"}
"""What is drawn of recordings, and what it is called."""

_GREY = "#8c8c8c"
_OF_MOUSE = "_of_mouse"
"""What the names of columns with means of mice end in."""


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
    means = tables["response_ols_persession_mice"][[*keys, "r2", "delta_r2"]]
    tested = tested.merge(means, on=keys, how="left", suffixes=("", _OF_MOUSE))
    # the names of many targets need room
    width = max(7.4, 1.0 + 0.62 * len(events) * rows["target_NM"].nunique())
    figure = Figure(figsize=(width, 1.0 + 1.45 * len(PREDICTORS)), layout="constrained")
    panels = figure.subplots(len(PREDICTORS), len(events), sharey="row", squeeze=False)
    marks: list[Mark] = []
    for line, (predictor, name) in enumerate(PREDICTORS.items()):
        for column, event in enumerate(events):
            own = tested[(tested["predictor"] == predictor) & (tested["event"] == event)]
            marks += _mice(panels[line][column], own, "delta_r2", theme)
            panels[line][column].set_title(f"{name}, {event_label(event)}")
        panels[line][0].set_ylabel("ΔR²")
    caption = (
        "What leaving a predictor out costs the linear model of each recording. Dots are recordings, dashes means of mice, mice in "
        "order of their mean. Coloured and filled: permutation of sessions within the mouse, q < 0.05 (Benjamini-Hochberg); grey and open: not, or too few "
        "sessions to test."
    )
    yield Drawn("drop_one", figure, tested, caption, counts_of(rows), marks=marks)
    whole = tested.drop_duplicates(["eid", "fiber_idx", "event"]).assign(q_value=0.0)
    figure = Figure(figsize=(width, 2.4), layout="constrained")
    panels = figure.subplots(1, len(events), sharey=True, squeeze=False)
    marks = []
    for axes, event in zip(panels[0], events, strict=True):
        marks += _mice(axes, whole[whole["event"] == event], "r2", theme)
        axes.set_title(event_label(event))
    panels[0][0].set_ylabel("R² of the full model")
    caption = "Share of the variance that the linear model of each recording explains. Dots are recordings, dashes means of mice."
    shown = whole.drop(columns=["predictor", "delta_r2", f"delta_r2{_OF_MOUSE}", "q_value"])
    yield Drawn("total_r2", figure, shown, caption, counts_of(whole), marks=marks)


def _mice(axes: Axes, rows: pd.DataFrame, value: str, theme: Theme) -> list[Mark]:
    """Draw recordings by mouse, mice by target in order of their mean, and return the recordings."""
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    marks: list[Mark] = []
    place, ticks = 0.0, {}
    for target in in_order(rows["target_NM"]):
        own = rows[rows["target_NM"] == target]
        means = own.set_index("subject")[f"{value}{_OF_MOUSE}"].groupby(level=0).first().sort_values()
        start = place
        for subject in means.index:
            of_mouse = own[own["subject"] == subject]
            significant = bool((of_mouse["q_value"] < SIGNIFICANT).any())
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
            words = (
                f"{subject}, {target}, fibre {fiber}\n{_VALUES[value]} {number:.3g}"
                for fiber, number in zip(of_mouse["fiber_idx"], of_mouse[value], strict=True)
            )
            marks += marks_at(axes, [place] * len(of_mouse), of_mouse[value], of_mouse["eid"], words)
            axes.plot([place - 0.3, place + 0.3], [means[subject]] * 2, color=colour, linewidth=2)
            place += 0.7
        ticks[(start + place - 0.7) / 2] = f"{target}\n{len(means)} mice"
        place += 0.7
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="x", length=0)
    if rows.empty:
        note(axes, "no recording")
    return marks


def draw_baseline_coding(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield how the baseline before the stimulus goes with performance and with reaction time."""
    for behaviour, variable in BASELINES.items():
        name, shares = f"baseline_{behaviour}", tables["baseline_shares"]
        means = tables["baseline_mice"]
        means = means.loc[means["behaviour"] == behaviour, ["target_NM", "subject", "observed_slope"]]
        rows = tables[name].merge(means, on=["target_NM", "subject"], how="left", suffixes=("", _OF_MOUSE))
        if rows.empty:
            reason = "no selected recording has enough trials with a baseline"
            yield nothing_drawn(name, f"Baseline and {variable}", reason, rows.drop(columns=["null_slope", "null_r2"]))
            continue
        figure = Figure(figsize=(7.4, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        marks = _mice(left, rows, "observed_slope", theme)
        left.set_ylabel("slope over baseline (per z)")
        _shares(right, shares[shares["behaviour"] == behaviour], theme)
        figure.suptitle(f"Baseline and {variable}", x=0.01, ha="left")
        caption = (
            f"Slope of {variable} over the baseline before the stimulus. Dots are recordings, dashes means of mice; a mouse is coloured and filled when any of its "
            "recordings has q < 0.05 (Benjamini-Hochberg over recordings; p by drawing other sessions in its place). "
            "Right: recordings with q < 0.05 of all tested ones."
        )
        yield Drawn(name, figure, rows.drop(columns=["null_slope", "null_r2"]), caption, counts_of(rows), marks=marks)


def _shares(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    own = rows.set_index("target_NM")
    targets = in_order(own.index)
    for place, (target, row) in enumerate(own.loc[targets].iterrows()):
        share = float(np.nan_to_num(row["share"]))
        axes.bar(place, share, 0.7, color=theme.target_colour(str(target)), edgecolor="#303030", linewidth=0.5)
        words = f"{row['n_significant']} of {row['n_tested']}"
        axes.text(place, share + 0.03, words, ha="center", va="bottom", rotation=90, fontsize=7)
    axes.set_xticks(range(len(targets)), targets, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_ylim(0, 1.35)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_ylabel("share of recordings with q < 0.05")


SESSION_MODEL_FAMILIES = (
    Family(
        "session_models",
        "Models of single recordings: what each predictor explains, mouse by mouse.",
        "responses",
        {
            "response_ols_persession_dropone": None,
            "response_ols_persession_dropone_pvalues": None,
            "response_ols_persession_mice": None,
        },
        draw_session_models,
        ("analyses",),
        code_version="2",
    ),
    Family(
        "baseline_coding",
        "Whether the baseline before the stimulus goes with performance and reaction time.",
        "responses",
        {
            "baseline_performance": None,
            "baseline_reaction_time": None,
            "baseline_mice": None,
            "baseline_shares": None,
        },
        draw_baseline_coding,
        ("analyses",),
        code_version="2",
    ),
)
"""These families."""
