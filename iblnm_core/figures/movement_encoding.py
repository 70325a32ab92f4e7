"""What contrast and timing each add to models of the responses, and slopes over timing at each contrast."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.contrast_axes import places
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import jitter, note
from iblnm_core.figures.theme import Theme, in_order
from iblnm_core.parameters import Parameters

TIMINGS: Mapping[str, str] = {"log_reaction_time": "reaction time", "log_movement_time": "movement time"}
"""Timing variables and what panels call them."""

ADDED: Mapping[str, str] = {"delta_r2_contrast": "contrast", "delta_r2_timing": "timing"}
"""Columns of what is added to the model, and by what."""

_LIMIT = 0.05


def draw_movement_encoding(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the comparison of models on mice left out, and the slopes at each contrast."""
    models, means = tables["loso_cv_model_comparison"], tables["loso_cv_summary"]
    slopes = tables["per_contrast_slopes"]
    if models.empty:
        yield nothing_drawn(
            "model_comparison", "Contrast or timing", "no target has enough mice with enough trials", models
        )
    else:
        # the names of many targets need room
        width = max(7.4, 1.0 + 0.62 * len(TIMINGS) * means["target_NM"].nunique())
        figure = Figure(figsize=(width, 4.4), layout="constrained")
        panels = figure.subplots(len(ADDED), len(TIMINGS), sharey=True)
        for line, (column, added) in enumerate(ADDED.items()):
            for axes, (timing, name) in zip(panels[line], TIMINGS.items(), strict=True):
                own = means[(means["timing_col"] == timing) & (means["measure"] == column)]
                _held_out(axes, models[models["timing_col"] == timing], column, own, theme)
                axes.set_title(
                    f"{added if added == 'contrast' else name} beside {name if added == 'contrast' else 'contrast'}"
                )
            panels[line][0].set_ylabel("ΔR² on the mouse left out")
        caption = (
            "What contrast (above) and timing (below) add to a model of the stimulus response that holds the other, on a mouse that the model has not seen. "
            "Dots are mice left out, dashes and bars mean ± 1 SEM over them; below zero the predictor misleads."
        )
        counts = {"n_subjects": int(models["subject"].nunique())}
        yield Drawn("model_comparison", figure, models, caption, counts)
    if slopes.empty:
        yield nothing_drawn("timing_slopes", "Slopes over timing", "no contrast has enough trials of two mice", slopes)
        return
    figure = Figure(figsize=(7.4, 3.0), layout="constrained")
    for axes, (timing, name) in zip(figure.subplots(1, len(TIMINGS), sharey=True), TIMINGS.items(), strict=True):
        _slopes(axes, slopes[slopes["timing_col"] == timing], theme)
        axes.set_title(name)
    figure.axes[0].set_ylabel("slope (z per decade)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    caption = (
        "Slope of the stimulus response over the logarithm of timing, at each contrast (mixed model with a random intercept per mouse). Bars ± 1.96 standard errors; filled: q < 0.05 "
        "(Benjamini-Hochberg over all)."
    )
    counts = {"n_subjects": int(slopes["n_subjects"].max()), "n_trials": int(slopes["n_trials"].max())}
    yield Drawn("timing_slopes", figure, slopes, caption, counts)


def _held_out(axes: Axes, rows: pd.DataFrame, column: str, means: pd.DataFrame, theme: Theme) -> None:
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    targets = in_order(means["target_NM"])
    over_mice = means.set_index("target_NM").loc[targets]
    for place, target in enumerate(targets):
        values = rows.loc[rows["target_NM"] == target, column]
        axes.scatter(
            place + jitter(len(values), place),
            values,
            s=18,
            color=theme.target_colour(target),
            marker=theme.target_marker(target),
            edgecolor="#303030",
            linewidth=0.4,
        )
    mean, sem = (over_mice[name].to_numpy(np.float64) for name in ("mean", "sem"))
    axes.errorbar(range(len(targets)), mean, np.nan_to_num(sem), color="black", fmt="_", markersize=14, elinewidth=1)
    labels = [f"{target}\n{n} mice" for target, n in zip(targets, over_mice["n_subjects"], strict=True)]
    axes.set_xticks(range(len(targets)), labels)
    if not targets:
        note(axes, "no target has enough mice with enough trials")


def _slopes(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    targets = in_order(rows["target_NM"])
    for order, target in enumerate(targets):
        own = rows[rows["target_NM"] == target].sort_values("contrast")
        x = places(own["contrast"]) + (order - (len(targets) - 1) / 2) * 0.1
        colour, marker = theme.target_colour(target), theme.target_marker(target)
        slope, se = (own[name].to_numpy(np.float64) for name in ("timing_coef", "timing_se"))
        axes.errorbar(
            x, slope, 1.96 * np.nan_to_num(se), color=colour, linewidth=1, label=target, marker=marker, mfc="white"
        )
        significant = (own["q_value"] < _LIMIT).to_numpy()
        axes.plot(x[significant], slope[significant], marker, color=colour, markeredgecolor="#303030", zorder=4)
    contrasts = sorted(set(rows["contrast"]))
    axes.set_xticks(places(contrasts), [f"{contrast:g}" for contrast in contrasts])
    axes.set_xlabel("contrast (%)")


MOVEMENT_FAMILIES = (
    Family(
        "movement_encoding",
        "What contrast and timing each add to models of the responses, and slopes over timing at each contrast.",
        "movement_encoding",
        {"loso_cv_model_comparison": None, "loso_cv_summary": None, "per_contrast_slopes": None},
        draw_movement_encoding,
    ),
)
"""These families."""
