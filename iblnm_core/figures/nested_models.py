"""Nested mixed models of responses over mice: what movement adds to the task, and how much results depend on single mice."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import jitter, note
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order
from iblnm_core.parameters import Parameters

VARIABLES: Mapping[str, str] = {
    "choice_side": "choice side",
    "log_reaction_time": "log reaction time",
    "peak_velocity": "peak velocity",
}
"""Movement variables, and what panels call them."""

LEFT_OUT: Mapping[str, str] = {
    "contrast": "contrast",
    "side": "side",
    "reward": "outcome",
    "interactions": "interactions",
    "movement": "movement",
}
"""Parts of the models that are left out in turn, and what axes call them."""

MODELS: Mapping[str, tuple[str, str, float]] = {
    "movement": ("task", "", 0.25),
    "interactions": ("task + movement", "////", 0.5),
    "full": ("task \N{MULTIPLICATION SIGN} movement", "", 1.0),
}
"""Models of movement families from small to large: how they are called, their hatching, and how opaque they are."""

KINDS: Mapping[str, tuple[str, str]] = {
    "cv": (
        "ΔR² on mice left out",
        "what the part adds to R² on a mouse that the model has not seen (both means taken away; below zero the part misleads)",
    ),
    "jackknife": (
        "ΔR² without one mouse",
        "what the part adds to the marginal R² when one mouse is left out (dots far apart: the result hangs on single mice)",
    ),
}
"""Tables of reliability by the end of their names: the axis, and what a dot is."""

_AGGREGATE = "aggregate"
_DARK = "#303030"


def draw_model_reliability(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield, for the model of the task and those with a movement variable, what their parts add in each fold."""
    outcomes = tables["model_families_outcomes"]
    for kind in KINDS:
        rows = tables[f"response_lmm_reliability_{kind}"]
        yield _reliability(kind, None, rows[rows["family"] == "task"], outcomes, theme)
        for variable in VARIABLES:
            own = rows[(rows["family"] == "movement") & (rows["movement_var"] == variable)]
            yield _reliability(kind, variable, own, outcomes, theme)


def _reliability(kind: str, variable: str | None, rows: pd.DataFrame, outcomes: pd.DataFrame, theme: Theme) -> Drawn:
    name = f"reliability_{kind}_{f'movement_{variable}' if variable else 'task'}"
    model = f"task and {VARIABLES[variable]}" if variable else "task"
    how = "cross-validation" if kind == "cv" else "jackknife"
    if rows.empty:
        family = "movement" if variable else "task"
        own = outcomes[(outcomes["analysis"] == f"{family}_reliability")]
        own = own[own["variable"] == variable] if variable else own
        return nothing_drawn(name, f"Model of the {model}, {how}", _why(own), rows)
    targets, events = in_order(rows["target_NM"]), events_in_order(rows["event"])
    figure = Figure(figsize=(7.4, 1.5 + 1.35 * len(targets)), layout="constrained")
    panels = figure.subplots(len(targets), len(events), sharey="row", sharex="col", squeeze=False)
    for column, event in enumerate(events):
        here = rows[rows["event"] == event]
        parts = [part for part in LEFT_OUT if part in set(here["predictor"])]
        for line, target in enumerate(targets):
            _folds(panels[line][column], here[here["target_NM"] == target], parts, theme)
        panels[0][column].set_title(event_label(event))
        labels = [VARIABLES[variable] if variable and part == "movement" else LEFT_OUT[part] for part in parts]
        panels[-1][column].set_xticks(range(len(parts)), labels, rotation=30, ha="right", rotation_mode="anchor")
        panels[-1][column].set_xlim(-0.5, len(parts) - 0.5)
    for line, target in enumerate(targets):
        panels[line][0].set_ylabel(target)
    figure.supylabel(KINDS[kind][0], fontsize=8)
    figure.suptitle(f"Model of the {model}, {how}: what each part adds", x=0.01, ha="left")
    caption = (
        f"Mixed model of the {model} over mice, {how}. A small dot is a mouse left out: {KINDS[kind][1]}. Large, with a black edge: mean over the folds; in the corner "
        "that of R² of the full model, and how many mice were left out in turn. No test is made."
    )
    folds = rows[rows["fold"] != _AGGREGATE]
    return Drawn(name, figure, rows, caption, {"n_subjects": int(folds["fold"].nunique())})


def _why(outcomes: pd.DataFrame) -> str:
    reasons = outcomes["status"].value_counts()
    words = [f"{status} in {count} groups of target and event" for status, count in reasons.items()]
    return "; ".join(words).replace("_", " ") or "no selected recording has responses that can be modelled"


def _folds(axes: Axes, rows: pd.DataFrame, parts: list[str], theme: Theme) -> None:
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    axes.margins(y=0.25)
    if rows.empty:
        note(axes, "no model")
        return
    target = str(rows["target_NM"].iloc[0])
    colour, marker = theme.target_colour(target), theme.target_marker(target)
    single = rows[rows["fold"] != _AGGREGATE].pivot_table(index="fold", columns="predictor", values="delta_r2")
    # mice stand left of their mean, each at the same place of every part
    shift = jitter(len(single), 0, 0.13) - 0.12
    mean = rows[rows["fold"] == _AGGREGATE].set_index("predictor").reindex(parts)
    for place, part in enumerate(parts):
        axes.scatter(place + shift, single[part], s=12, color=colour, marker=marker, alpha=0.55, linewidth=0)
    x = np.arange(len(parts)) + 0.16
    axes.scatter(x, mean["delta_r2"], s=42, color=colour, marker=marker, edgecolor="black", zorder=3)
    note(axes, f"R² {mean['r2'].max():.3f}, {len(single)} mice", high=True)


def draw_movement_variance(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield, for each event, how much models with and without movement variables explain."""
    shares = tables["response_lmm_r2"]
    rows = shares[(shares["family"] == "movement") & shares["name"].isin(list(MODELS))]
    if rows.empty:
        outcomes = tables["model_families_outcomes"]
        own = outcomes[outcomes["analysis"] == "movement_variance"]
        yield nothing_drawn("movement_variance", "What movement adds to the task", _why(own), rows)
    for event in events_in_order(rows["event"]):
        own = rows[rows["event"] == event]
        figure = Figure(figsize=(7.4, 3.0), layout="constrained")
        panels = figure.subplots(1, len(VARIABLES), sharey=True)
        for axes, (variable, name) in zip(panels, VARIABLES.items(), strict=True):
            _nested(axes, own[own["movement_var"] == variable], theme)
            axes.set_title(name)
        panels[0].set_ylabel("marginal R²")
        figure.suptitle(f"Responses to the {event_label(event)}: what movement adds to the task", x=0.01, ha="left")
        patches = [
            Patch(facecolor=("#606060", opaque), edgecolor=_DARK, hatch=hatch, label=name)
            for name, hatch, opaque in MODELS.values()
        ]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
        caption = (
            f"Share of the variance of responses to the {event_label(event)} that the fixed effects of mixed models explain (random intercept per mouse; the three models of a "
            "target and variable are fitted to the same trials): the task alone, with the movement variable, and with its products with the variables of the task. Number of "
            "mice below each target; no test is made."
        )
        counts = {"n_subjects": int(own["n_subjects"].max()), "n_trials": int(own["n_trials"].max())}
        yield Drawn(f"movement_variance_{event}", figure, own, caption, counts)


def _nested(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    targets = in_order(rows["target_NM"])
    labels = []
    for place, target in enumerate(targets):
        own = rows[rows["target_NM"] == target].set_index("name")
        for order, (model, (_, hatch, opaque)) in enumerate(MODELS.items()):
            share = float(own["marginal_r2"].get(model, np.nan))
            colour = (theme.target_colour(target), opaque)
            axes.bar(place + (order - 1) * 0.27, share, 0.25, facecolor=colour, edgecolor=_DARK, hatch=hatch, lw=0.5)
        labels.append(f"{target} ({own['n_subjects'].max()})")
    axes.set_xticks(range(len(targets)), labels, rotation=40, ha="right", rotation_mode="anchor")
    if rows.empty:
        note(axes, "no model")


NESTED_MODEL_FAMILIES = (
    Family(
        "model_reliability",
        "Mixed models of the responses over mice: what their parts add for mice left out, and without single mice.",
        "responses",
        {
            "response_lmm_reliability_cv": None,
            "response_lmm_reliability_jackknife": None,
            "model_families_outcomes": None,
        },
        draw_model_reliability,
    ),
    Family(
        "movement_variance",
        "Mixed models of the responses over mice: what variables of the movement explain beyond the task.",
        "responses",
        {"response_lmm_r2": None, "model_families_outcomes": None},
        draw_movement_variance,
    ),
)
"""These families."""
