"""How the task is encoded in responses: components of coefficients, what of them goes with behaviour, kernels of encoding models."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.heatmap import heatmap, symmetric
from iblnm_core.figures.marks import jitter
from iblnm_core.figures.neural_behaviour import canonical_scores, dispersion_scatter
from iblnm_core.figures.response_models import TERMS
from iblnm_core.figures.responses import file_name
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order, stars
from iblnm_core.parameters import Parameters


def draw_task_encoding(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the components of coefficients for each event, canonical correlations with behaviour, and how both vary."""
    loadings = tables["encoding_components"]
    chosen = loadings[(loadings["method"] == "pca") & (loadings["weighting"] == "none")]
    if chosen.empty:
        yield nothing_drawn("components", "Components of coefficients", "too few recordings have coefficients", chosen)
    for event in events_in_order(chosen["event"]):
        yield _components(event, chosen[chosen["event"] == event], tables["encoding_subject_scores"], theme)
    yield _canonical(tables["cca_summary"], theme)
    yield canonical_scores(tables["cca_scores"], tables["cca_summary"], theme)
    yield dispersion_scatter(tables["dispersion"], tables["dispersion_tests"], theme)


def _components(event: str, rows: pd.DataFrame, scores: pd.DataFrame, theme: Theme) -> Drawn:
    table = rows.pivot_table(index="component", columns="term", values="loading")
    terms = [term for term in TERMS if term in table.columns]
    values = table[terms].to_numpy(np.float64)
    ratios = rows.groupby("component")["variance_ratio"].first()
    own = scores[(scores["event"] == event) & (scores["method"] == "pca") & (scores["weighting"] == "none")]
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    above, below = np.asarray(figure.subfigures(2, 1), dtype=object)
    axes = above.subplots()
    texts = [[f"{value:.2f}" for value in line] for line in values]
    labels = [f"component {name} ({ratio:.0%})" for name, ratio in ratios.items()]
    columns = [term.replace(":", " \N{MULTIPLICATION SIGN} ") for term in terms]
    image = heatmap(axes, values, labels, columns, colours=theme.diverging, limits=symmetric(values), texts=texts)
    above.colorbar(image, ax=axes, pad=0.02).set_label("loading", fontsize=7.5)
    panels = below.subplots(1, len(table), sharey=True, squeeze=False)[0]
    for panel, component in zip(panels, table.index, strict=True):
        _scores(panel, own[own["component"] == component], theme)
        panel.set_title(f"component {component}")
    panels[0].set_ylabel("score, mean of the mouse")
    figure.suptitle(f"Coefficients of the responses to the {event_label(event)}", x=0.01, ha="left")
    caption = (
        f"Principal components of the coefficients of recordings for the {event_label(event)}. Above: loadings, with the share of the variance that each explains; "
        "below: scores, one mark per mouse (mean of its recordings, bars ± 1.96 SEM over them)."
    )
    counts = {"n_subjects": int(own["subject"].nunique())}
    return Drawn(f"components_{event}", figure, rows, caption, counts)


def _scores(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    axes.axhline(0, color="#404040", linestyle="--", linewidth=0.8)
    targets = in_order(rows["target_NM"])
    for place, target in enumerate(targets):
        own = rows[rows["target_NM"] == target]
        axes.errorbar(
            place + jitter(len(own), place),
            own["mean"],
            1.96 * own["sem"].fillna(0),
            linestyle="none",
            color=theme.target_colour(target),
            marker=theme.target_marker(target),
            markersize=5,
            markeredgecolor="#303030",
            markeredgewidth=0.4,
            linewidth=1,
        )
    labels = [f"{target} ({(rows['target_NM'] == target).sum()})" for target in targets]
    axes.set_xticks(range(len(targets)), labels, rotation=40, ha="right", rotation_mode="anchor")


def _canonical(summary: pd.DataFrame, theme: Theme) -> Drawn:
    if summary.empty:
        reason = "no target has enough recordings with coefficients and psychometric parameters"
        return nothing_drawn("canonical_correlation", "Canonical correlation", reason, summary)
    variants = list(dict.fromkeys(summary["variant"]))
    rows = summary[summary["variant"] == variants[0]]
    events, targets = events_in_order(rows["event"]), in_order(rows["target_NM"])
    figure = Figure(figsize=(7.4, 2.9), layout="constrained")
    panels = figure.subplots(1, len(events), sharey=True, squeeze=False)[0]
    for axes, event in zip(panels, events, strict=True):
        own = rows[rows["event"] == event].set_index("target_NM").reindex(targets)
        for place, (target, row) in enumerate(own.iterrows()):
            if not np.isfinite(row["correlation"]):
                continue
            significant = row["q_session"] < 0.05
            colour = theme.target_colour(str(target))
            axes.bar(
                place,
                row["correlation"],
                0.7,
                facecolor=colour if significant else "white",
                edgecolor=colour,
                linewidth=1.5,
            )
            words = f"{stars(row['q_session'])}\n{row['n_recordings']:.0f}{' (few)' if row['low_n'] else ''}"
            axes.text(place, row["correlation"] + 0.02, words, ha="center", fontsize=7)
        axes.set_xticks(range(len(targets)), targets, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_title(event_label(event))
        axes.set_ylim(0, 1.25)
    panels[0].set_ylabel("canonical correlation")
    caption = (
        f"First canonical correlation ({variants[0]}) of the coefficients of recordings with psychometric parameters, by target. Above each bar the number of "
        "recordings, and 'few' where these are few for so many variables; filled: q < 0.05 (permutation of sessions, Benjamini-Hochberg)."
    )
    counts = {"n_recordings": int(rows["n_recordings"].max()), "n_subjects": int(rows["n_subjects"].max())}
    return Drawn("canonical_correlation", figure, summary, caption, counts)


def draw_encoding_model(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield, for each target, the kernels of encoding models over mice, and what each block of them explains."""
    kernels, added = tables["encoding_kernels_by_target"], tables["encoding_delta_r2_by_target"]
    if kernels.empty:
        reason = "no selected recording has an encoding model; `iblnm run --only task_encoding` makes them"
        yield nothing_drawn("encoding_model", "Encoding models", reason, kernels)
    for target in in_order(kernels["target_NM"]):
        rows = kernels[kernels["target_NM"] == target]
        order = events_in_order(rows["term"])
        by_term = rows.groupby(["term", "level"], dropna=False, sort=False)
        groups = sorted(by_term, key=lambda group: order.index(str(group[0][0])))
        figure = Figure(figsize=(7.4, 1.0 + 1.7 * -(-len(groups) // 2)), layout="constrained")
        panels = figure.subplots(-(-len(groups) // 2), 2, sharex=True, squeeze=False)
        for axes, ((term, level), own) in zip(panels.flat, groups, strict=False):
            _kernels(axes, own)
            outcome = {"feedbackType=1": ", correct", "feedbackType=-1": ", incorrect"}.get(str(level), "")
            axes.set_title(f"{event_label(str(term)).replace('_', ' ')}{outcome}")
        for axes in panels.flat[len(groups) :]:
            axes.set_axis_off()
        figure.supxlabel("lag from event (s)", fontsize=8)
        figure.supylabel("kernel (z)", fontsize=8)
        figure.suptitle(f"{target}: kernels of encoding models", x=0.01, ha="left")
        counts = {name: int(rows[name].max()) for name in ("n_recordings", "n_subjects")}
        caption = (
            f"Kernels of the encoding models of {target}: means over mice, bands ± 1 SEM over them "
            f"({counts['n_subjects']} mice, {counts['n_recordings']} recordings)."
        )
        yield Drawn(f"kernels_{file_name(target)}", figure, rows, caption, counts)
    if len(added):
        yield _added(added, theme)


def _kernels(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axhline(0, color="#404040", linewidth=0.5)
    axes.axvline(0, color="#404040", linestyle="--", linewidth=0.8)
    styles = zip(
        ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7"),
        ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))),
        strict=True,
    )
    for (modulator, own), (colour, style) in zip(rows.groupby("modulator"), styles, strict=False):
        lag, mean, sem = (own[name].to_numpy(np.float64) for name in ("lag_s", "mean", "sem"))
        axes.plot(lag, mean, color=colour, linestyle=style, label=str(modulator).replace("_", " "))
        axes.fill_between(
            lag, mean - np.nan_to_num(sem), mean + np.nan_to_num(sem), color=colour, alpha=0.15, linewidth=0
        )
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7, handlelength=1.6)


def _added(rows: pd.DataFrame, theme: Theme) -> Drawn:
    blocks = sorted(set(rows["block"]))
    targets = in_order(rows["target_NM"])
    figure = Figure(figsize=(7.4, 1.0 + 0.36 * len(blocks)), layout="constrained")
    axes = figure.subplots()
    for order, target in enumerate(targets):
        own = rows[rows["target_NM"] == target].set_index("block").reindex(blocks)
        axes.errorbar(
            own["mean"],
            np.arange(len(blocks)) + (order - (len(targets) - 1) / 2) * 0.14,
            xerr=own["sem"].fillna(0),
            linestyle="none",
            color=theme.target_colour(target),
            marker=theme.target_marker(target),
            markersize=4.5,
            markeredgecolor="#303030",
            markeredgewidth=0.4,
            label=f"{target} ({own['n_subjects'].max():.0f} mice)",
        )
    axes.axvline(0, color="#404040", linestyle="--", linewidth=0.8)
    axes.set_yticks(range(len(blocks)), [name.replace("_times", "").replace("|", ", ") for name in blocks])
    axes.set_ylim(len(blocks) - 0.5, -0.5)
    axes.set_xlabel("ΔR² (cross-validated) when left out")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    caption = "What each block of kernels adds to the encoding model, cross-validated; means over mice, bars ± 1 SEM over them."
    counts = {name: int(rows[name].max()) for name in ("n_recordings", "n_subjects")}
    return Drawn("delta_r2", figure, rows, caption, counts)


ENCODING_FAMILIES = (
    Family(
        "task_encoding",
        "Components of the coefficients of recordings, and what of them goes with behaviour.",
        "task_encoding",
        {
            "encoding_components": None,
            "encoding_subject_scores": None,
            "cca_summary": None,
            "cca_scores": None,
            "dispersion": None,
            "dispersion_tests": None,
        },
        draw_task_encoding,
    ),
    Family(
        "encoding_model",
        "Kernels of encoding models over mice, and what each block of them explains.",
        "task_encoding",
        {"encoding_kernels_by_target": None, "encoding_delta_r2_by_target": None},
        draw_encoding_model,
    ),
)
"""These families."""
