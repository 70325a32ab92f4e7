"""Mixed models of the responses over mice: what they explain, their coefficients and their marginal means."""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.heatmap import heatmap, symmetric
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order, stars
from iblnm_core.parameters import Parameters

TERMS = ("contrast", "side", "reward", "contrast:side", "contrast:reward", "side:reward", "contrast:side:reward")
"""Terms of the model of the task, but the intercept."""

_LEVELS = MappingProxyType(
    {"reward": ("incorrect", "correct"), "side": ("ipsi", "contra"), "contrast": ("0", "6.25", "12.5", "25", "100")}
)


def draw_response_models(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield, for each event, what the model of the task says of every target."""
    coefficients, variance = tables["lmm_coefficients_early"], tables["lmm_variance_explained_early"]
    if coefficients.empty:
        reasons = tables["task_lmm_outcomes"]["status"].value_counts()
        reason = "; ".join(f"{status}: {count} groups" for status, count in reasons.items())
        yield nothing_drawn("response_models", "Model of the responses", reason or "nothing is selected", coefficients)
    largest = float(variance["conditional"].max()) if len(variance) else 1.0
    for event in events_in_order(coefficients["event"]):
        rows = coefficients[coefficients["event"] == event]
        explained = variance[variance["event"] == event].set_index("target_NM")
        targets = in_order(rows["target_NM"])
        figure = Figure(figsize=(7.4, 5.6), layout="constrained")
        top, bottom = np.asarray(figure.subfigures(2, 1, height_ratios=(1.1, 1)), dtype=object)
        left, right = top.subplots(1, 2, width_ratios=(1, 1.9))
        _explained(left, explained.loc[targets], theme, largest)
        _coefficients(right, rows, targets, theme)
        means = tables["lmm_emm_early"]
        for axes, (factor, levels) in zip(bottom.subplots(1, 3, sharey=True), _LEVELS.items(), strict=True):
            own = means[(means["event"] == event) & (means["factor"] == factor)]
            _means(axes, own, targets, levels, theme)
            axes.set_title(factor)
        bottom.supylabel("predicted response (z)", fontsize=8)
        figure.suptitle(f"Model of the responses to the {event_label(event)}", x=0.01, ha="left")
        caption = (
            f"Mixed model of the early response to the {event_label(event)} (contrast, side, outcome and their products, a random "
            "intercept per mouse), one per target. Above: share of variance explained by fixed effects (light) and by these with mice "
            "(dark); coefficients with stars by false discovery rate over all rows (* 0.05, ** 0.01, *** 0.001; t-based, for few mice). "
            "Below: marginal means with 95 % intervals that suit few mice."
        )
        counts = {"n_subjects": int(explained["n_subjects"].max()), "n_trials": int(explained["n_trials"].max())}
        yield Drawn(f"response_models_{event}", figure, rows, caption, counts)


def _explained(axes: Axes, rows: pd.DataFrame, theme: Theme, largest: float) -> None:
    for place, (target, row) in enumerate(rows.iterrows()):
        colour = theme.target_colour(str(target))
        axes.barh(place - 0.2, row["marginal"], 0.38, color=colour, alpha=0.45)
        axes.barh(place + 0.2, row["conditional"], 0.38, color=colour)
        words = f"{row['n_subjects']} mice, {row['n_trials']} trials"
        axes.text(max(row["conditional"], 0.0) + 0.03 * largest, place, words, va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [str(target) for target in rows.index])
    axes.invert_yaxis()
    axes.set_xlim(0, max(2.1 * largest, 1e-3))
    axes.set_xlabel("R²: fixed (light), with mice (dark)")


def _coefficients(axes: Axes, rows: pd.DataFrame, targets: list[str], theme: Theme) -> None:
    def table(name: str) -> pd.DataFrame:
        return rows.pivot_table(index="target_NM", columns="term", values=name).reindex(
            index=targets, columns=list(TERMS)
        )

    values, q_values = table("Coef.").to_numpy(np.float64), table("t_q_value").to_numpy(np.float64)
    texts = [
        [f"{value:.2f}\n{stars(q)}" if np.isfinite(value) else "" for value, q in zip(*line, strict=True)]
        for line in zip(values, q_values, strict=True)
    ]
    columns = [term.replace(":", " \N{MULTIPLICATION SIGN} ") for term in TERMS]
    image = heatmap(axes, values, targets, columns, colours=theme.diverging, limits=symmetric(values), texts=texts)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("coefficient (z)", fontsize=7.5)


def _means(axes: Axes, rows: pd.DataFrame, targets: list[str], levels: tuple[str, ...], theme: Theme) -> None:
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    for place, target in enumerate(targets):
        own = rows[rows["target_NM"] == target].set_index("level").reindex(list(levels))
        shift = (place - (len(targets) - 1) / 2) * 0.12
        mean, low, high = (own[name].to_numpy(np.float64) for name in ("mean", "t_ci_lower", "t_ci_upper"))
        axes.errorbar(
            np.arange(len(levels)) + shift,
            mean,
            np.nan_to_num(np.stack([mean - low, high - mean])),
            color=theme.target_colour(target),
            marker=theme.target_marker(target),
            markersize=4.5,
            markeredgecolor="#303030",
            markeredgewidth=0.4,
            linewidth=1,
            label=target,
        )
    axes.set_xticks(range(len(levels)), levels)
    if rows.empty:
        note(axes, "no marginal means")


MODEL_FAMILIES = (
    Family(
        "response_models",
        "Mixed models of the responses over mice: variance explained, coefficients, marginal means.",
        "responses",
        {
            "lmm_coefficients_early": None,
            "lmm_variance_explained_early": None,
            "lmm_emm_early": None,
            "task_lmm_outcomes": None,
        },
        draw_response_models,
        ("analyses",),
    ),
)
"""These families."""
