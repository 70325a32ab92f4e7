"""How alike recordings are by their responses to all conditions, and whether these tell the target."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.heatmap import heatmap, symmetric
from iblnm_core.figures.theme import Theme, in_order
from iblnm_core.parameters import Parameters

_ALL = "all"


def draw_response_vectors(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the similarity of targets, and the decoder of the target."""
    yield _similarity(tables["response_similarity_targets"], theme)
    scores = tables["decoding_scores"]
    scores = scores[scores["features"] == _ALL]
    if scores.empty:
        reasons = "; ".join(tables["target_decoding_outcomes"]["detail"].dropna().unique())
        yield nothing_drawn("decoding", "Decoding the target", reasons or "nothing is selected", scores)
        return
    score = scores.iloc[0]
    counts = {"n_recordings": int(score["n_valid"]), "n_subjects": int(score["n_subjects"])}
    yield _confusion(tables["decoding_confusion"], score, counts)
    yield _features(tables["decoding_coefficients"], tables["decoding_contributions"], counts, theme)


def _similarity(rows: pd.DataFrame, theme: Theme) -> Drawn:
    pairs = rows[rows["features"] == _ALL]
    if pairs.empty:
        reason = "no two selected recordings have responses to the same conditions"
        return nothing_drawn("similarity", "Similarity of responses", reason, rows)
    targets = in_order([*pairs["target1"], *pairs["target2"]])
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    shown = {
        "similarity": ("n_pairs", "all pairs"),
        "cross_subject_similarity": ("n_cross_subject_pairs", "pairs of different mice"),
    }
    values = [_square(pairs, targets, name) for name in shown]
    limits = symmetric(np.concatenate(values))
    for axes, value, (number, title) in zip(figure.subplots(1, 2), values, shown.values(), strict=True):
        n_pairs = _square(pairs, targets, number)
        texts = [
            [f"{v:.2f}\n{n:.0f}" if np.isfinite(v) else "" for v, n in zip(*line, strict=True)]
            for line in zip(value, n_pairs, strict=True)
        ]
        image = heatmap(axes, value, targets, targets, colours=theme.diverging, limits=limits, texts=texts)
        axes.set_title(title)
    figure.colorbar(image, ax=figure.axes[:2], pad=0.02).set_label("cosine similarity", fontsize=7.5)
    caption = (
        "Mean cosine similarity of the response vectors of two recordings, by their targets; below each value the number of pairs. Left: all pairs; right: only "
        "pairs of different mice."
    )
    return Drawn("similarity", figure, pairs, caption)


def _square(pairs: pd.DataFrame, targets: list[str], value: str) -> np.ndarray:
    half = pairs.pivot_table(index="target1", columns="target2", values=value).reindex(index=targets, columns=targets)
    cells = half.to_numpy(np.float64)
    return np.where(np.isfinite(cells), cells, cells.T)


def _confusion(rows: pd.DataFrame, score: pd.Series, counts: dict[str, int]) -> Drawn:
    own = rows[rows["features"] == _ALL]
    targets = in_order(own["true"])
    share, number = (
        own.pivot_table(index="true", columns="predicted", values=name)
        .reindex(index=targets, columns=targets)
        .to_numpy(np.float64)
        for name in ("share", "n_recordings")
    )
    texts = [[f"{n:.0f}" if np.isfinite(n) else "0" for n in line] for line in number]
    figure = Figure(figsize=(4.2, 3.4), layout="constrained")
    axes = figure.subplots()
    image = heatmap(axes, np.nan_to_num(share), targets, targets, colours="Blues", limits=(0.0, 1.0), texts=texts)
    axes.set_xlabel("predicted target")
    axes.set_ylabel("target")
    axes.set_title(
        f"accuracy {score['accuracy']:.0%}, balanced {score['balanced_accuracy']:.0%}, chance {score['chance']:.0%}"
    )
    figure.colorbar(image, ax=axes, pad=0.02).set_label("share of the target's recordings", fontsize=7.5)
    caption = (
        "Target of each recording as decoded from its response vector by a sparse logistic model of the other mice. Cells are numbers of "
        f"recordings; {counts['n_recordings']} recordings of {counts['n_subjects']} mice."
    )
    return Drawn("confusion", figure, own, caption, counts)


def _features(coefficients: pd.DataFrame, contributions: pd.DataFrame, counts: dict[str, int], theme: Theme) -> Drawn:
    own = contributions[contributions["features"] == _ALL].sort_values("delta_held_out", ascending=False)
    features = list(own["feature"])
    table = coefficients[coefficients["features"] == _ALL].pivot_table(
        index="feature", columns="target_NM", values="coefficient"
    )
    targets = in_order(table.columns)
    values = table.reindex(index=features, columns=targets).to_numpy(np.float64)
    figure = Figure(figsize=(7.4, 1.2 + 0.2 * len(features)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
    texts = [[f"{value:.1f}" if abs(value) >= 0.05 else "" for value in line] for line in np.nan_to_num(values)]
    labels = [name.replace("_", " ") for name in features]
    image = heatmap(left, values, labels, targets, colours=theme.diverging, limits=symmetric(values), texts=texts)
    figure.colorbar(image, ax=left, pad=0.02).set_label("coefficient", fontsize=7.5)
    right.barh(range(len(features)), own["delta_held_out"], color="#505050")
    right.axvline(0, color="black", linewidth=0.8)
    right.set_ylim(len(features) - 0.5, -0.5)
    right.set_yticks([])
    right.locator_params(axis="x", nbins=4)
    right.set_xlabel("accuracy lost without it, mice left out")
    caption = (
        "What the decoder of the target uses. Left: coefficients of each target, of the model fitted to all mice; right: accuracy on mice left out that is lost when the feature is, "
        f"largest on top. {counts['n_recordings']} recordings of {counts['n_subjects']} mice."
    )
    return Drawn("decoder_features", figure, own, caption, counts)


VECTOR_FAMILIES = (
    Family(
        "response_vectors",
        "How alike recordings are by their responses to all conditions, and whether these tell the target.",
        "responses",
        {
            "response_similarity_targets": None,
            "decoding_scores": None,
            "decoding_confusion": None,
            "decoding_coefficients": None,
            "decoding_contributions": None,
            "target_decoding_outcomes": None,
        },
        draw_response_vectors,
    ),
)
"""These families."""
