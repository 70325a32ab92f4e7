"""Figures of the quality of all signals: whether they pass, metrics by target, how metrics go together. Months are elsewhere."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.companion import Mark, marks_at
from iblnm_core.figures.family import Drawn, Family, counts_of, nothing_drawn
from iblnm_core.figures.marks import jitter, note
from iblnm_core.figures.qc_months import draw_months
from iblnm_core.figures.theme import SESSION_TYPES, Theme, in_order, stars
from iblnm_core.parameters import Parameters

METRICS: Mapping[str, str] = {
    "median_absolute_deviance": "median absolute\ndeviance",
    "percentile_distance": "percentile\ndistance",
    "percentile_asymmetry": "percentile\nasymmetry",
    "ar_score": "predictability\n(AR score)",
    "bleaching_tau": "bleaching time\nconstant",
    "iso_correlation": "correlation with\nisosbestic band",
}
"""Metrics that describe a signal, and what figures call them."""

_UNITS: Mapping[str, str] = {"median_absolute_deviance": "camera units", "bleaching_tau": "s"}
"""Of the values; the others are ratios."""

_SIGNALS = "Each signal is one fibre of one session; signals of a mouse are not independent of each other."
_BINS = 50
_SEED = 11


def draw_photometry_qc(tables: Tables, parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the figures of the quality of all signals.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `PHOTOMETRY_QC` reads.
    parameters : Parameters
        Its section `signal_quality` has the threshold of distinct samples.
    theme : Theme
    """
    threshold = parameters.signal_quality.minimum_unique_samples
    yield _basic_criteria(tables, threshold, theme)
    yield _metrics_by_target(tables, theme)
    yield _metric_pairs(tables, theme)
    yield _components(tables, theme)
    yield from draw_months(tables["qc_monthly"], _why(tables, "qc_signals"), theme)


def _why(tables: Tables, analysis: str) -> str:
    """Return what the outcomes say of an analysis without result."""
    outcomes = tables["qc_overview_outcomes"]
    found = outcomes[outcomes["analysis"].isin([analysis, "qc_overview"])]
    words = [
        f"{str(status).replace('_', ' ')}: {detail or 'no detail'}"
        for status, detail in zip(found["status"], found["detail"], strict=True)
    ]
    return "; ".join(dict.fromkeys(words)) or "the analysis qc_overview has no outcome of it"


def _basic_criteria(tables: Tables, threshold: float, theme: Theme) -> Drawn:
    name, title = "basic_criteria", "Basic criteria of all signals"
    signals = tables["qc_signals"]
    data = signals[["eid", "fiber_idx", "subject", "target_NM", "n_unique_samples", "n_band_inversions"]]
    if signals.empty:
        return nothing_drawn(name, title, _why(tables, "qc_signals"), data)
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _distinct_samples(left, signals, threshold, theme)
    inversions = signals["n_band_inversions"]
    sizes = ((inversions <= 0).sum(), (inversions > 0).sum(), inversions.isna().sum())
    colours = [theme.verdicts[verdict] for verdict in ("PASS", "FAIL", "NOT_SET")]
    hatches = ("", "//", "..")
    bars = right.bar(range(3), sizes, color=colours, hatch=hatches, edgecolor="black", linewidth=0.6)
    right.bar_label(bars, padding=1)
    right.margins(y=0.12)
    right.set_xticks(range(3), ("none: pass", "some: fail", "unknown: fail"))
    right.set(xlabel="two frames in a row under one LED", ylabel="signals", title="Inversions of bands")
    counts = counts_of(signals)
    figure.suptitle(f"{title}: {len(signals)} signals of {counts['n_subjects']} mice")
    caption = (
        f"Share of distinct samples (dashed line: {threshold:g}, which a signal must exceed) and inversions of bands of "
        f"{len(signals)} signals in {counts['n_sessions']} sessions of {counts['n_subjects']} mice, all session types; what is "
        f"unknown fails. Counts of signals, no test. {_SIGNALS}"
    )
    return Drawn(name, figure, data, caption, counts)


def _distinct_samples(axes: Axes, signals: pd.DataFrame, threshold: float, theme: Theme) -> None:
    values = signals["n_unique_samples"]
    known = values.dropna()
    top = max(float(known.max()) if len(known) else 0.0, threshold) * 1.05
    axes.hist(known, bins=_BINS, range=(0.0, top), color="#9a9a9a", edgecolor="black", linewidth=0.4)
    axes.axvline(threshold, color=theme.verdicts["FAIL"], linestyle="--")
    place = axes.get_xaxis_transform()
    axes.text(threshold, 1.0, f" threshold {threshold:g}", transform=place, va="top", fontsize=7)
    passing = int(signals["passes_unique"].sum())
    unknown = int(values.isna().sum())
    title = f"{passing} pass, {len(signals) - passing - unknown} fail, {unknown} unknown"
    axes.set(xlabel="distinct samples (share of samples)", ylabel="signals", title=title)


def _metrics_by_target(tables: Tables, theme: Theme) -> Drawn:
    name, title = "metrics_by_target", "Metrics of the signals that pass, by target"
    scores = tables["qc_scores"]
    if scores.empty:
        return nothing_drawn(name, title, _none_passes(tables), scores)
    targets = in_order(scores["target_NM"])
    figure = Figure(figsize=(7.5, 1.6 + 0.5 * len(targets)), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True).flat
    marks: list[Mark] = []
    groups = {(str(row["metric"]), str(row["target_NM"])): row for row in tables["qc_distributions"].to_dict("records")}
    for axes, (metric, label) in zip(panels, METRICS.items(), strict=True):
        of_metric = scores[scores["metric"] == metric]
        for height, target in enumerate(targets):
            rows = of_metric[of_metric["target_NM"] == target]
            if rows.empty:
                continue
            marks += _violin(axes, height, rows, groups[metric, target], theme)
        axes.set_title(label)
        axes.set_yticks(range(len(targets)), targets)
        axes.set_ylim(len(targets) - 0.4, -0.6)
        raw = (of_metric["scale"] == "raw").any()
        axes.set_xlabel(f"value ({_UNITS.get(metric, 'ratio')})" if raw else "normal score (SD)")
        if of_metric.empty:
            note(axes, "no signal has it")
    figure.suptitle(f"{title}\nright of each row: signals / mice")
    counts = counts_of(scores)
    caption = (
        f"Metrics of {counts['n_recordings']} signals of {counts['n_subjects']} mice that pass the basic criteria, as normal scores "
        "(ranks among the values of all targets, as quantiles of a normal distribution; values as they are where there are ten or "
        "fewer). Outlines are densities of signals within 1.5 interquartile ranges of the quartiles, bars their median, open dots "
        f"the others; groups below ten are dots only. No test. {_SIGNALS}"
    )
    return Drawn(name, figure, scores, caption, counts, marks=marks)


def _violin(axes: Axes, height: int, rows: pd.DataFrame, group: Mapping[Hashable, Any], theme: Theme) -> list[Mark]:
    """Draw one metric of one target, and return its dots."""
    target = str(rows["target_NM"].iloc[0])
    colour, marker = theme.target_colour(target), theme.target_marker(target)
    inner = rows.loc[~rows["outlier"], "score"].to_numpy(np.float64)
    dense = bool(group["violin"]) and np.ptp(inner) > 0
    if dense:
        bodies = axes.violinplot([inner], [height], orientation="horizontal", widths=0.8, showextrema=False)["bodies"]
        for body in cast("Sequence[PolyCollection]", bodies):
            body.set(facecolor="none", edgecolor=colour, alpha=1.0, linewidth=1.2)
    dots = rows[rows["outlier"]] if dense else rows
    places = height + jitter(len(dots), _SEED)
    axes.scatter(dots["score"], places, s=12, marker=marker, facecolor="none", edgecolor=colour, linewidth=0.8)
    axes.plot([group["inner_median"]] * 2, [height - 0.28, height + 0.28], color="black", linewidth=1.6)
    axes.text(
        1.02,
        height,
        f"{group['n']} / {group['n_subjects']}",
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=7,
    )
    called = METRICS[str(group["metric"])].replace("\n", " ")
    unit = _UNITS.get(str(group["metric"]), "ratio")
    words = [f"{_signal(row)}\n{called} {row['value']:.3g} ({unit})" for row in dots.to_dict("records")]
    return marks_at(axes, dots["score"], places, dots["eid"], words)


def _signal(row: Mapping[Hashable, Any]) -> str:
    """Return in words which signal a row is of."""
    return f"{row['subject']}, {row['target_NM']}, fibre {row['fiber_idx']}"


def _none_passes(tables: Tables) -> str:
    signals = tables["qc_signals"]
    if signals.empty:
        return _why(tables, "qc_signals")
    return f"none of {len(signals)} signals passes the basic criteria and has a metric"


def _metric_pairs(tables: Tables, theme: Theme) -> Drawn:
    name, title = "metric_pairs", "How metrics go together"
    correlations = tables["qc_correlations"]
    if correlations.empty:
        return nothing_drawn(name, title, _why(tables, "qc_correlations"), correlations)
    present = [metric for metric in METRICS if metric in {*correlations["metric_a"], *correlations["metric_b"]}]
    by_metric = {
        str(metric): rows.set_index(["eid", "fiber_idx"]) for metric, rows in tables["qc_scores"].groupby("metric")
    }
    scores = {metric: by_metric[metric]["joint_score"] for metric in present}
    values = {metric: by_metric[metric]["value"] for metric in present}
    size = len(present)
    figure = Figure(figsize=(7.5, 7.2), layout="constrained")
    grid = figure.subplots(size, size, squeeze=False)
    for place, metric in enumerate(present):
        axes = grid[place, place]
        axes.hist(values[metric].dropna(), bins=20, color="#9a9a9a")
        axes.set_yticks([])
        axes.tick_params(labelsize=7)
        axes.locator_params(axis="x", nbins=2)
        axes.xaxis.set_major_formatter("{x:.3g}")
        axes.set_xlabel(_UNITS.get(metric, "ratio"), fontsize=7)
        grid[0, place].set_title(METRICS[metric], fontsize=7.5)
        grid[place, 0].set_ylabel(METRICS[metric], fontsize=7.5)
    of_pair = {frozenset((row["metric_a"], row["metric_b"])): row for row in correlations.to_dict("records")}
    for first, second in combinations(range(size), 2):
        x, y = scores[present[second]], scores[present[first]]
        _density(grid[first, second], x, y, theme)
        _coefficient(grid[second, first], of_pair[frozenset((present[first], present[second]))], theme)
    n, n_mice = int(correlations["n"].iloc[0]), int(correlations["n_subjects"].iloc[0])
    figure.suptitle(f"{title}: {n} signals of {n_mice} mice")
    caption = (
        f"Of {n} signals of {n_mice} mice that pass and have all metrics: above the diagonal their normal scores (ranks, SD; darker: "
        "more signals), below it Spearman's rank correlation with stars by q (Benjamini-Hochberg over all pairs; * 0.05, ** 0.01, "
        f"*** 0.001); on the diagonal the values in units of the metric. {_SIGNALS} So q is too small."
    )
    return Drawn(name, figure, correlations, caption, {"n_recordings": n, "n_subjects": n_mice})


def _density(axes: Axes, x: "pd.Series[float]", y: "pd.Series[float]", theme: Theme) -> None:
    known = pd.concat([x, y], axis=1, keys=("x", "y")).dropna()
    axes.set_xticks([])
    axes.set_yticks([])
    if len(known):
        axes.hexbin(
            known["x"], known["y"], gridsize=14, mincnt=1, bins="log", cmap=f"{theme.density}_r", linewidths=0.2
        )


def _coefficient(axes: Axes, pair: Mapping[Hashable, Any], theme: Theme) -> None:
    from matplotlib import colormaps

    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(True)
    rho, q = float(pair["rho"]), float(pair["q_value"])
    if np.isnan(rho):
        axes.text(0.5, 0.5, "constant", transform=axes.transAxes, ha="center", va="center", fontsize=7)
        return
    axes.set_facecolor(colormaps[theme.diverging]((rho + 1) / 2))
    colour = "white" if abs(rho) > 0.6 else "black"
    text = f"{round(rho, 2) + 0.0:.2f}{stars(q)}\nq = {q:.2g}"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=7, color=colour)


def _components(tables: Tables, theme: Theme) -> Drawn:
    name, title = "components", "Along which axes signals differ"
    scores = tables["qc_pca"]
    if scores.empty:
        return nothing_drawn(name, title, _why(tables, "qc_pca"), scores)
    shares = tables["qc_pca_loadings"].groupby("component")["variance_ratio"].first()
    figure = Figure(figsize=(7.5, 3.7), layout="constrained")
    by_target, by_date, by_type = figure.subplots(1, 3, sharex=True, sharey=True)
    looks = {
        target: (theme.target_colour(target), theme.target_marker(target)) for target in in_order(scores["target_NM"])
    }
    _groups(by_target, scores, "target_NM", looks)
    dates = pd.to_datetime(scores["date"])
    days = (dates - dates.min()).dt.days
    dots = by_date.scatter(scores["PC1"], scores["PC2"], c=days, cmap=theme.density, s=12, linewidth=0)
    bar = figure.colorbar(dots, ax=by_date, location="bottom", shrink=0.8)
    bar.set_label(f"days since {dates.min():%Y-%m-%d}")
    types = scores["session_type"].fillna("unknown")
    known = {kind: (theme.session_types[kind], mark) for kind, mark in zip(SESSION_TYPES, "o^s", strict=True)}
    others = dict.fromkeys(sorted(set(types) - set(known)), ("#595959", "x"))
    _groups(by_type, scores.assign(session_type=types), "session_type", {**known, **others})
    for axes, kind in zip((by_target, by_date, by_type), ("target", "date", "session type"), strict=True):
        axes.set(title=f"by {kind}", xlabel=f"PC1 ({shares['PC1']:.0%} of variance)")
    by_target.set_ylabel(f"PC2 ({shares['PC2']:.0%} of variance)")
    words = [
        f"{_signal(row)}, {str(row['date'])[:10]}, {row['session_type'] or 'type unknown'}\nPC1 {row['PC1']:.2f}, PC2 {row['PC2']:.2f}"
        for row in scores.to_dict("records")
    ]
    marks = [
        mark
        for axes in (by_target, by_date, by_type)
        for mark in marks_at(axes, scores["PC1"], scores["PC2"], scores["eid"], words)
    ]
    counts = counts_of(scores)
    figure.suptitle(f"{title}: {len(scores)} signals of {counts['n_subjects']} mice")
    caption = (
        "Principal components of the four metrics in sliding windows, as normal scores (ranks, not z-scores), of "
        f"{len(scores)} signals of {counts['n_subjects']} mice that pass and have them all; units are standard deviations. No test. {_SIGNALS}"
    )
    return Drawn(name, figure, scores, caption, counts, marks=marks)


def _groups(axes: Axes, scores: pd.DataFrame, column: str, looks: Mapping[str, tuple[str, str]]) -> None:
    """Draw signals by group, with the legend below."""
    for group, (colour, marker) in looks.items():
        rows = scores[scores[column] == group]
        if rows.empty:
            continue
        marks = axes.scatter(rows["PC1"], rows["PC2"], s=14, color=colour, marker=marker, linewidth=0.6, label=group)
        if marker != "x":
            marks.set_edgecolor("#303030")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=7, handletextpad=0.1)


_KEY = ("eid", "fiber_idx", "target_NM", "subject")

PHOTOMETRY_QC = Family(
    "photometry_qc",
    "Quality of all signals: basic criteria, metrics by target, how metrics go together, and all that over time.",
    "qc_overview",
    {
        "qc_signals": (*_KEY, "n_unique_samples", "n_band_inversions", "passes_unique", "passes_basic_qc"),
        "qc_scores": (*_KEY, "metric", "value", "score", "scale", "outlier", "joint_score"),
        "qc_distributions": ("target_NM", "metric", "n", "n_subjects", "inner_median", "violin"),
        "qc_correlations": None,
        "qc_pca": None,
        "qc_pca_loadings": None,
        "qc_monthly": None,
        "qc_overview_outcomes": ("analysis", "status", "detail"),
    },
    draw_photometry_qc,
    ("signal_quality",),
    code_version="2",
)
