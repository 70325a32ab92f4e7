"""How much coefficients of recordings vary between mice and between sessions of a mouse: posteriors of both variances."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import note
from iblnm_core.figures.session_models import PREDICTORS
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order
from iblnm_core.parameters import Parameters

HALVES: Mapping[str, tuple[str, float, float, str]] = {
    "V_mouse": ("left: between mice", -1.0, 0.9, ""),
    "V_session": ("right, hatched: between sessions of a mouse", 1.0, 0.35, "////"),
}
"""Components: what the legend calls them, the side of their half, how opaque it is, and its hatching."""

_WIDTH = 0.4
_THINNEST = 0.01
_DARK = "#303030"


def draw_variance_components(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the posteriors of both variances of every coefficient."""
    densities, summary = tables["response_varcomp_violin"], tables["response_varcomp_summary"]
    if summary.empty:
        outcomes = tables["variance_components_outcomes"]
        details = outcomes["detail"].value_counts()
        reason = (
            f"of no coefficient is enough known: {details.index[0]}" if len(details) else "no recording has a model"
        )
        yield nothing_drawn("variance_components", "Variance between mice and sessions", reason, summary)
        return
    events = events_in_order(summary["event"])
    known = set(summary["regressor"])
    regressors = [name for name in PREDICTORS if name in known]
    targets = in_order(summary["target_NM"])
    figure = Figure(figsize=(7.4, 1.3 + 1.35 * len(regressors)), layout="constrained")
    panels = figure.subplots(len(regressors), len(events), sharex=True, sharey=True, squeeze=False)
    for line, regressor in enumerate(regressors):
        for column, event in enumerate(events):
            outlines, numbers = (
                rows[(rows["regressor"] == regressor) & (rows["event"] == event)] for rows in (densities, summary)
            )
            _violins(panels[line][column], outlines, numbers, targets, theme)
            panels[line][column].set_title(f"{PREDICTORS[regressor]}, {event_label(event)}", pad=12)
    for axes in panels[-1]:
        axes.set_xticks(range(len(targets)), targets, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.6, len(targets) - 0.4)
    figure.supylabel("variance of the coefficient (1: variance of all its estimates)", fontsize=8)
    patches = [Patch(facecolor=("#606060", opaque), hatch=h, label=name) for name, _, opaque, h in HALVES.values()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    caption = (
        "Posteriors of the variances of coefficients of single recordings, on a logarithmic axis: between mice (left halves) and between the sessions of a mouse (right, "
        "hatched); halves are scaled to the highest of their panel, and cut where they are thinner than 1 % of their widest place. Dots are posterior means, bars shortest intervals with 94 % of the "
        "posterior. Numbers above: mice with enough sessions."
    )
    counts = {name: int(summary[name].max()) for name in ("n_recordings", "n_sessions")}
    yield Drawn("variance_components", figure, summary, caption, {**counts, "n_subjects": int(summary["n_mice"].max())})


def _violins(axes: Axes, densities: pd.DataFrame, summary: pd.DataFrame, targets: list[str], theme: Theme) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if summary.empty:
        note(axes, "too few mice with enough sessions")
    highest = densities["density"].max()
    for place, target in enumerate(targets):
        of_target = summary[summary["target_NM"] == target]
        for component, (_, side, opaque, hatch) in HALVES.items():
            own = densities[(densities["target_NM"] == target) & (densities["component"] == component)].sort_values("x")
            own = own[own["density"] >= _THINNEST * own["density"].max()]
            numbers = of_target.loc[of_target["component"] == component, ["mean", "hdi_low", "hdi_high"]]
            variance = 10.0 ** own["x"].to_numpy(np.float64)
            edge = place + side * own["density"].to_numpy(np.float64) / highest * _WIDTH
            colour = (theme.target_colour(target), opaque)
            axes.fill_betweenx(variance, place, edge, facecolor=colour, edgecolor=_DARK, linewidth=0.4, hatch=hatch)
            for mean, low, high in numbers.to_numpy(np.float64):
                # an interval may reach down to zero, which has no place on the axis
                axes.plot([place + side * 0.05] * 2, [max(low, variance.min()), high], color="black", linewidth=1.2)
                axes.plot(place + side * 0.05, mean, "o", color="white", markeredgecolor="black", markersize=4)
        words = ", ".join(f"{n_mice}" for n_mice in of_target["n_mice"].unique())
        axes.text(place, 1.01, words, transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=7)


VARIANCE_COMPONENTS = Family(
    "variance_components",
    "How much coefficients of recordings vary between mice and between sessions of a mouse.",
    "responses",
    {"response_varcomp_violin": None, "response_varcomp_summary": None, "variance_components_outcomes": None},
    draw_variance_components,
)
"""This family."""
