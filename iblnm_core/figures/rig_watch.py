"""Figures of the watch over the rigs: metrics of the quality of signals, week by week and laboratory by laboratory."""

import re
from collections.abc import Iterator, Mapping
from math import ceil

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from iblnm_core.analyses.analysis import Tables
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import date_axis
from iblnm_core.figures.theme import Theme
from iblnm_core.parameters import Parameters

METRICS: Mapping[str, str] = {
    "bleaching_tau": "bleaching time constant\n(s)",
    "bleaching_amplitude": "what bleaches\n(camera units)",
    "median_absolute_deviance": "noise: median absolute\ndeviance (camera units)",
    "percentile_distance": "percentile distance\n(ratio)",
    "iso_correlation": "R² on the\nisosbestic band",
    "n_unique_samples": "distinct samples\n(share)",
}
"""Metrics in the order of panels, and what axes call them."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#7a2a7f", "#56b4e9", "#8c510a", "#303030")
_STYLES: tuple[LineStyleType, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1)),
    (0, (3, 1, 1, 1)),
    (0, (1, 1)),
)
Look = tuple[str, LineStyleType]
"""Colour and line style of a laboratory."""

_MARKERS: Mapping[str, tuple[str, str, float]] = {
    "ok": ("o", "week near the reference", 2.5),
    "watch": ("^", "far from it", 6.0),
    "alarm": ("D", "very far from it", 6.0),
    "none": ("x", "too few recordings, or no reference", 4.0),
    "earlier": (".", "earlier than what is looked at", 2.5),
}
_SMALL = {"ok", "none", "earlier"}
_FEW = 4
"""With more laboratories than this, verdicts are counted, and steady laboratories have thin lines."""

_COLUMNS = 2


def draw_rig_watch(tables: Tables, parameters: Parameters, _theme: Theme) -> Iterator[Drawn]:
    """Yield a figure per band.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `RIG_WATCH` reads.
    parameters : Parameters
        Its section `rig_watch` is put into words.
    _theme : Theme
        Laboratories have no colour in it.
    """
    weekly, drift = tables["rig_weekly"], tables["rig_drift"]
    if weekly.empty:
        reason = "the overview of quality (`qc_signals`) has no recording of which a metric is known"
        yield nothing_drawn("rig_watch", "Rigs, week by week", reason, weekly)
        return
    labs = sorted(weekly["lab"].unique())
    looks = {lab: _look(place) for place, lab in enumerate(labs)}
    for band in sorted(weekly["band"].unique()):
        of_band = weekly[weekly["band"] == band]
        yield _band(str(band), of_band, drift[drift["band"] == band], looks, parameters)


def _look(place: int) -> Look:
    """Return the look of a laboratory by its place; all of the first 49 differ."""
    turn, colour = divmod(place, len(_COLOURS))
    return _COLOURS[colour], _STYLES[(colour + turn) % len(_STYLES)]


def _band(
    band: str,
    weekly: pd.DataFrame,
    drift: pd.DataFrame,
    looks: Mapping[str, Look],
    parameters: Parameters,
) -> Drawn:
    metrics = [metric for metric in METRICS if metric in set(weekly["metric"])]
    n_rows = ceil(len(metrics) / _COLUMNS)
    figure = Figure(figsize=(7.5, 1.2 + 2.1 * n_rows), layout="constrained")
    panels = list(figure.subplots(n_rows, _COLUMNS, sharex=True, squeeze=False).flat)
    for axes, metric in zip(panels, metrics, strict=False):
        of_metric = drift[drift["metric"] == metric]
        for lab, rows in weekly[weekly["metric"] == metric].groupby("lab", sort=True):
            verdicts = set(of_metric.loc[of_metric["lab"] == lab, "verdict"])
            _line(axes, rows, looks[str(lab)], quiet=len(looks) > _FEW and verdicts.isdisjoint({"watch", "alarm"}))
        for threshold in of_metric["threshold"].dropna().unique():
            axes.axhline(threshold, color="black", linestyle=(0, (6, 3)), linewidth=1.0)
            place = axes.get_yaxis_transform()
            axes.text(0.01, threshold, f"fails below {threshold:g}", transform=place, va="bottom", fontsize=7)
        axes.set_ylabel(METRICS[metric])
        axes.set_title(_verdicts(of_metric), fontsize=7.5)
        axes.margins(y=0.1)
        axes.yaxis.set_major_formatter("{x:.3g}")
        date_axis(axes)
    for axes in panels[len(metrics) :]:
        axes.remove()
    for axes in figure.axes[-_COLUMNS:]:
        # the panel above an absent one is the last of its column
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("week of the recordings")
    figure.legend(handles=_handles(looks), loc="outside lower center", ncols=4)
    # not every metric is known of every recording
    n = int(weekly.groupby(["metric", "lab"])["n_recordings"].sum().groupby("lab").max().sum())
    figure.suptitle(f"Rigs, week by week: {n} recordings of {band}, {weekly['week'].min()} to {weekly['week'].max()}")
    options = parameters.rig_watch
    caption = (
        f"Median (line) and quartiles (band) of the {band} recordings of each week and laboratory, which stands for its rig; weeks "
        f"without are gaps. A recording is one fibre of one session. Marks: {options.watch_mads:g} (triangles) or "
        f"{options.alarm_mads:g} (diamonds) median absolute deviations from the first {options.reference_weeks} of the last "
        f"{options.window_weeks} weeks; crosses: fewer than {options.minimum_recordings} recordings, or nothing to compare with. "
        f"Of more than {_FEW} laboratories, steady ones are thin, without band. Verdicts are those of rig_drift: Theil-Sen slope, 95 % interval, the same within mice; no correction."
    )
    name = "rig_watch_" + re.sub(r"\W+", "_", band)
    return Drawn(name, figure, weekly, caption, {"n_recordings": n})


def _line(axes: Axes, rows: pd.DataFrame, look: Look, *, quiet: bool) -> None:
    """Draw one laboratory; a quiet one among many is thin and has no quartiles."""
    colour, style = look
    dated = rows.set_axis(pd.DatetimeIndex(rows["week"])).sort_index()
    every = pd.date_range(dated.index.min(), dated.index.max(), freq="7D")
    known = dated[["median", "lower_quartile", "upper_quartile"]].reindex(every)
    alone = known["median"].shift(1).isna() & known["median"].shift(-1).isna()
    width = 0.6 if quiet else 1.1
    axes.plot(known.index, known["median"], color=colour, linestyle=style, linewidth=width, zorder=1 if quiet else 2)
    if not quiet:
        axes.fill_between(
            known.index, known["lower_quartile"], known["upper_quartile"], color=colour, alpha=0.15, linewidth=0
        )
    for flag, (marker, _, size) in _MARKERS.items():
        flagged = dated[dated["flag"] == flag]
        if quiet and flag in _SMALL:
            # a week between two gaps would not be seen
            flagged = flagged[flagged.index.isin(every[alone])]
        axes.plot(
            flagged.index,
            flagged["median"],
            linestyle="none",
            marker=marker,
            markersize=size * (0.6 if quiet else 1.0),
            color=colour,
            markeredgecolor=colour if flag in _SMALL else "black",
            markeredgewidth=0.5 if quiet else 0.8,
        )


def _verdicts(drift: pd.DataFrame) -> str:
    """Return the verdicts on a metric in words: of each laboratory, or how many have which."""
    if len(drift) > _FEW:
        counts = drift["verdict"].value_counts()
        words = [
            f"{counts[verdict]} {verdict.replace('_', ' ')}"
            for verdict in ("alarm", "watch", "ok", "too_few")
            if verdict in counts
        ]
        lines = [", ".join(words)]
        for verdict in ("alarm", "watch"):
            labs = sorted(drift.loc[drift["verdict"] == verdict, "lab"])
            more = f" and {len(labs) - _FEW} more" if len(labs) > _FEW else ""
            lines += [f"{verdict}: {', '.join(labs[:_FEW])}{more}"] if labs else []
        return "\n".join(lines)
    return "\n".join(
        f"{row['lab']}: {row['verdict'].replace('_', ' ')}, {row['n_recordings']} recordings of {row['n_mice']} mice"
        for row in drift.sort_values("lab").to_dict("records")
    )


def _handles(looks: Mapping[str, Look]) -> list[Line2D]:
    handles = []
    for lab, (colour, style) in looks.items():
        handles.append(Line2D([], [], color=colour, linestyle=style, linewidth=1.1, label=lab))
    for flag, (marker, label, size) in _MARKERS.items():
        edge = "#606060" if flag in _SMALL else "black"
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker=marker,
                markersize=size,
                color="#606060",
                markeredgecolor=edge,
                label=label,
            )
        )
    return handles


RIG_WATCH = Family(
    "rig_watch",
    "Quality of signals week by week and laboratory by laboratory, and which weeks are far from the reference.",
    "qc_overview",
    {"rig_weekly": None, "rig_drift": ("lab", "band", "metric", "verdict", "threshold", "n_recordings", "n_mice")},
    draw_rig_watch,
    ("rig_watch",),
)
"""The family of these figures."""
