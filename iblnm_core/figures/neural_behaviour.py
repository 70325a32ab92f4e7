"""What recordings code against what mice do: scatters of canonical scores, and of how much both vary between sessions."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iblnm_core.figures.family import Drawn, counts_of, nothing_drawn
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order, stars

BLOCKS: Mapping[str, str] = {"task": "task terms", "movement": "movement terms"}
"""Blocks of terms, and what panels call them."""


def canonical_scores(scores: pd.DataFrame, summary: pd.DataFrame, theme: Theme) -> Drawn:
    """Return the picture of neural against behavioural scores, a panel per target and event.

    Parameters
    ----------
    scores, summary : DataFrame
        The tables `cca_scores` and `cca_summary`; the first variant of the latter is drawn.
    theme : Theme
    """
    name, title = "canonical_scores", "Neural and behavioural scores"
    known = scores.dropna(subset=["x_score", "y_score"])
    if summary.empty or known.empty:
        reason = "no target has enough recordings with coefficients and psychometric parameters"
        return nothing_drawn(name, title, reason, scores)
    variant = summary["variant"].iloc[0]
    rows, found = known[known["variant"] == variant], summary[summary["variant"] == variant]
    targets, events = in_order(found["target_NM"]), events_in_order(found["event"])
    figure = Figure(figsize=(7.4, 0.9 + 1.75 * len(targets)), layout="constrained")
    panels = figure.subplots(len(targets), len(events), squeeze=False)
    for line, target in enumerate(targets):
        for column, event in enumerate(events):
            axes = panels[line][column]
            own = rows[(rows["target_NM"] == target) & (rows["event"] == event)]
            axes.set_title(f"{target}, {event_label(event)}", fontsize=8)
            if own.empty:
                note(axes, "too few recordings")
                axes.set_axis_off()
                continue
            of_panel = found[(found["target_NM"] == target) & (found["event"] == event)]
            _scores(axes, own, of_panel.iloc[0], theme)
    figure.suptitle("What recordings code and how mice behave: first canonical pair", x=0.01, ha="left")
    figure.supxlabel("behavioural score (weighted sum of z-scores)", fontsize=8)
    figure.supylabel("neural score (weighted sum of z-scores)", fontsize=8)
    caption = (
        f"Scores of recordings on the first canonical pair ({variant}) of coefficients and psychometric parameters, one dot per recording. r is the canonical correlation in the "
        "sample, which is high whenever recordings are few; p from exchanging sessions; n recordings ('few': for so many variables). Filled, and stars: q < 0.05 (Benjamini-Hochberg)."
    )
    return Drawn(name, figure, rows, caption, counts_of(rows))


def _scores(axes: Axes, rows: pd.DataFrame, found: pd.Series, theme: Theme) -> None:
    target = str(rows["target_NM"].iloc[0])
    colour = theme.target_colour(target)
    face = colour if found["q_session"] < 0.05 else "none"
    marker = theme.target_marker(target)
    axes.scatter(rows["y_score"], rows["x_score"], s=16, facecolor=face, edgecolor=colour, marker=marker, linewidth=1)
    p_value = f"p {found['p_session']:.3f}{stars(found['q_session'])}" if np.isfinite(found["p_session"]) else "no p"
    words = f"r {found['correlation']:.2f}, {p_value}, n {len(rows)}{' (few)' if found['low_n'] else ''}"
    axes.set_title(f"{axes.get_title('left')}\n{words}", fontsize=8)


def dispersion_scatter(units: pd.DataFrame, tests: pd.DataFrame, theme: Theme) -> Drawn:
    """Return the picture of how much coefficients and behaviour of mice vary between sessions, a panel per block and event.

    Parameters
    ----------
    units, tests : DataFrame
        The tables `dispersion` and `dispersion_tests`.
    theme : Theme
    """
    name, title = "dispersion", "Dispersion of coefficients and of behaviour"
    if units.empty:
        reason = "no mouse has three sessions with both coefficients and psychometric parameters"
        return nothing_drawn(name, title, reason, units)
    targets, events = in_order(units["target_NM"]), events_in_order(units["event"])
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    panels = figure.subplots(len(BLOCKS), len(events), sharex=True, sharey=True, squeeze=False)
    for line, (block, words) in enumerate(BLOCKS.items()):
        for column, event in enumerate(events):
            axes = panels[line][column]
            own = units[(units["block"] == block) & (units["event"] == event)]
            axes.set_title(f"{words}, {event_label(event)}", fontsize=8)
            axes.margins(0.08)
            if own.empty:
                note(axes, "too few sessions")
                continue
            _units(axes, own, theme)
            axes.set_title(f"{axes.get_title('left')}\n{_correlation(tests, block, event)}", fontsize=8)
    figure.suptitle("How much coefficients and behaviour vary from session to session", x=0.01, ha="left")
    figure.supxlabel("dispersion of behaviour between sessions (SD)", fontsize=8)
    figure.supylabel("dispersion of coefficients between sessions (SD)", fontsize=8)
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=theme.target_marker(t),
            color=theme.target_colour(t),
            mec="#303030",
            label=t,
        )
        for t in targets
    ]
    figure.legend(handles=handles, loc="outside right upper")
    caption = (
        "How much coefficients of a mouse's recordings and its psychometric parameters vary from session to session, in standard deviations over all sessions; one mark per mouse "
        "and target with at least 3 sessions in both. r is Spearman's rank correlation over the marks, p two-sided and uncorrected; a mouse with two targets counts twice."
    )
    return Drawn(name, figure, units, caption, {"n_subjects": int(units["subject"].nunique())})


def _units(axes: Axes, rows: pd.DataFrame, theme: Theme) -> None:
    for target in in_order(rows["target_NM"]):
        own = rows[rows["target_NM"] == target]
        axes.scatter(
            own["behavioral_dispersion"],
            own["neural_dispersion"],
            s=28,
            color=theme.target_colour(target),
            marker=theme.target_marker(target),
            edgecolor="#303030",
            linewidth=0.5,
        )


def _correlation(tests: pd.DataFrame, block: str, event: str) -> str:
    found = tests[(tests["block"] == block) & (tests["event"] == event)].iloc[0]
    counted = f"n {found['n']} ({found['n_subjects']} mice)"
    if not np.isfinite(found["spearman_rho"]):
        return f"no correlation, {counted}"
    return f"r {found['spearman_rho']:.2f}, p {found['p_value']:.3f}, {counted}"
