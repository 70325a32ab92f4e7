"""Figures of movement in the video: by what quality control says of it, and along with performance and timing."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from iblnm_core.analyses.analysis import Tables
from iblnm_core.analyses.pose_summary import SESSION
from iblnm_core.figures.companion import Mark, marks_at
from iblnm_core.figures.family import Drawn, Family, counts_of, nothing_drawn
from iblnm_core.figures.marks import jitter, note
from iblnm_core.figures.theme import SESSION_TYPES, Theme
from iblnm_core.parameters import Parameters
from iblnm_core.vocabulary import VIDEO_LABELS

MEASURES: Mapping[str, str] = {
    "paw": "paw speed\n(px/s)",
    "nose": "nose speed\n(px/s)",
    "tongue_speed": "tongue speed\n(px/s)",
    "tongue_likelihood": "tongue likelihood\n(0-1)",
}
"""Changes of movement with events, and what axes call them."""

TIMING: Mapping[str, str] = {
    "peak_value": "largest\ncorrelation",
    "abs_lag": "largest |lag|\n(s)",
    "abs_drift": "|drift of lag|\n(s)",
}
"""How paws and wheel go together, and what axes call it."""

AGAINST: Mapping[str, str] = {
    "fraction_correct": "fraction correct",
    "log_rt": "mean time to feedback\n(s, log axis)",
    "abs_lag": "largest |lag| of paws\nand wheel (s)",
    "peak_value": "largest correlation of\npaws and wheel",
    "abs_drift": "|drift of lag| (s)",
}
"""What the changes are held against."""

VERDICTS: Mapping[str, str] = {"NOT_SET": "N", "CRITICAL": "C", "FAIL": "F", "WARNING": "W", "PASS": "P"}
"""Verdicts from worst to best behind what is not set, and their letter on axes."""

_WIDTH_IN = 11.0
_FEWEST_OF_A_VIOLIN = 10
_WHISKER = 1.5
_SEED = 17
_SECONDS, _N_DATES = (0.2, 0.5, 1, 2, 5, 10, 20, 50), 5
_OTHER_MARKERS = ("x", "+", "D", "v", "*")
_SESSIONS = "Each session counts once; sessions of a mouse are not independent of each other."


def draw_pose_qc(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the figures of movement in the video.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `POSE_QC` reads.
    _parameters : Parameters
    theme : Theme
    """
    sessions, pairs = tables["pose_sessions"], tables["pose_correlations"]
    why = "" if len(sessions) else _why_none(tables["pose_summary_outcomes"])
    title = "Change of movement by what quality control says of the video"
    yield _verdict_grid("pose_qc_grid", title, MEASURES, sessions, why, theme)
    title = "Timing of paws and wheel by what quality control says of the video"
    yield _verdict_grid("pose_timing_grid", title, TIMING, sessions, why, theme)
    yield _correlation_grid("pose_corr_grid", sessions, pairs, why, theme, by_date=False)
    yield _correlation_grid("pose_corr_grid_by_date", sessions, pairs, why, theme, by_date=True)


def _why_none(outcomes: pd.DataFrame) -> str:
    details = [str(detail) for detail in outcomes["detail"].dropna()]
    return details[0] if details else "movement was not summarised over sessions"


def _verdict_grid(
    name: str, title: str, measures: Mapping[str, str], sessions: pd.DataFrame, why: str, theme: Theme
) -> Drawn:
    """Draw measures by the verdicts of all labels: a row of panels per measure, a column per label."""
    data = sessions[["eid", "subject", "session_type", *measures, *VIDEO_LABELS]]
    if why:
        return nothing_drawn(name, title, why, data)
    figure = Figure(figsize=(_WIDTH_IN, 1.3 + 1.55 * len(measures)), layout="constrained")
    grid = figure.subplots(len(measures), len(VIDEO_LABELS), sharex=True, sharey="row", squeeze=False)
    marks: list[Mark] = []
    for row, (measure, label) in enumerate(measures.items()):
        grid[row, 0].set_ylabel(label)
        for column, field in enumerate(VIDEO_LABELS):
            marks += _verdicts_panel(grid[row, column], sessions, measure, field, theme)
        _zero_lines(grid[row])
    for column, field in enumerate(VIDEO_LABELS):
        grid[0, column].set_title(_label_words(field), pad=14)
    figure.legend(
        handles=[
            Patch(
                facecolor=theme.verdicts[verdict],
                edgecolor="#303030",
                label=f"{letter}  {verdict.replace('_', ' ').lower()}",
            )
            for verdict, letter in VERDICTS.items()
        ],
        loc="outside lower center",
        ncols=len(VERDICTS),
    )
    figure.align_ylabels(grid[:, 0])
    counts = counts_of(data)
    figure.suptitle(f"{title}: {counts['n_sessions']} sessions of {counts['n_subjects']} mice")
    return Drawn(name, figure, data, _verdict_caption(measures, counts), counts, marks=marks)


def _verdict_caption(measures: Mapping[str, str], counts: Mapping[str, int]) -> str:
    what = (
        "Change of movement after an event against before the stimulus"
        if measures is MEASURES
        else "Largest correlation of paw and wheel speed, largest lag either way and drift of the lag over thirds of the session"
    )
    return (
        f"{what}, by the verdict of the left camera's quality control, of {counts['n_sessions']} sessions with a pose of "
        f"{counts['n_subjects']} mice, all session types. Outlines are densities of sessions within 1.5 interquartile ranges of the "
        f"quartiles, bars their median, open dots the others; groups below {_FEWEST_OF_A_VIOLIN} are dots only; above each the number "
        f"of sessions. No test. {_SESSIONS}"
    )


def _label_words(field: str) -> str:
    return field.removeprefix("qc_videoLeft_").replace("_", " ")


def _verdicts_panel(axes: Axes, sessions: pd.DataFrame, measure: str, field: str, theme: Theme) -> list[Mark]:
    """Draw one measure by the verdicts of one label, and return its dots."""
    marks: list[Mark] = []
    known = sessions.dropna(subset=[measure])
    for place, verdict in enumerate(VERDICTS):
        rows = known[known[field] == verdict]
        if len(rows):
            marks += _group(axes, place, rows, measure, theme.verdicts[verdict])
        axes.text(
            place, 1.02, str(len(rows)), transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=7
        )
    if known.empty:
        note(axes, "no session\nhas it")
    axes.set_xticks(range(len(VERDICTS)), list(VERDICTS.values()))
    axes.set_xlim(-0.6, len(VERDICTS) - 0.4)
    return marks


def _zero_lines(row: NDArray[np.object_]) -> None:
    """Draw where nothing changes into panels that show it anyway."""
    low, high = row[0].get_ylim()
    if low < 0 < high:
        for axes in row:
            axes.axhline(0, color="#9a9a9a", linewidth=0.6, zorder=0)


def inside_whiskers(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether values lie within 1.5 interquartile ranges of the quartiles.

    Parameters
    ----------
    values : ndarray of float64, (n,)

    Returns
    -------
    ndarray of bool, (n,)
    """
    low, high = np.percentile(values, [25, 75])
    reach = _WHISKER * (high - low)
    inside: NDArray[np.bool_] = (values >= low - reach) & (values <= high + reach)
    return inside


def _group(axes: Axes, place: int, rows: pd.DataFrame, measure: str, colour: str) -> list[Mark]:
    """Draw the sessions of one verdict as a violin with its outliers, or as dots when they are few."""
    values = rows[measure].to_numpy(np.float64)
    inside = inside_whiskers(values)
    dense = len(values) >= _FEWEST_OF_A_VIOLIN and np.ptp(values[inside]) > 0
    if dense:
        bodies = axes.violinplot([values[inside]], [place], widths=0.85, showextrema=False)["bodies"]
        for body in cast("Sequence[PolyCollection]", bodies):
            body.set(facecolor=colour, edgecolor="#303030", alpha=1.0, linewidth=0.7)
        median = float(np.median(values[inside]))
        axes.plot([place - 0.3, place + 0.3], [median, median], color="white", linewidth=3.0, solid_capstyle="butt")
        axes.plot([place - 0.3, place + 0.3], [median, median], color="black", linewidth=1.4, solid_capstyle="butt")
    dots = rows[~inside] if dense else rows
    places = place + jitter(len(dots), _SEED)
    axes.scatter(places, dots[measure], s=12, facecolor="none", edgecolor="#303030", linewidth=0.7)
    words = [
        f"{row['subject']}, {row['date']}, {row['session_type']}\n{measure.replace('_', ' ')} {row[measure]:.3g}"
        for row in dots.to_dict("records")
    ]
    return marks_at(axes, places, dots[measure], dots["eid"], words)


def _correlation_grid(
    name: str, sessions: pd.DataFrame, pairs: pd.DataFrame, why: str, theme: Theme, *, by_date: bool
) -> Drawn:
    """Draw every measure against everything it is held against, a dot per session, coloured by session type or date."""
    title = "Change of movement along with performance and timing"
    data = _long(sessions, pairs)
    if why:
        return nothing_drawn(name, title, why, data)
    figure = Figure(figsize=(9.0, 1.9 + 1.55 * len(MEASURES)), layout="constrained")
    grid = figure.subplots(len(MEASURES), len(AGAINST), sharex="col", sharey="row", squeeze=False)
    found = {(pair["measure"], pair["against"]): pair for pair in pairs.to_dict("records")}
    for row, measure in enumerate(MEASURES):
        grid[row, 0].set_ylabel(MEASURES[measure])
        for column, against in enumerate(AGAINST):
            axes, pair = grid[row, column], found[measure, against]
            _dots(axes, sessions, measure, against, theme, by_date=by_date)
            axes.set_title(_coefficient(pair), fontsize=7)
            if not pair["n"]:
                note(axes, "no session\nhas both")
    for column, against in enumerate(AGAINST):
        grid[-1, column].set_xlabel(AGAINST[against])
    figure.align_ylabels(grid[:, 0])
    _time_ticks(grid[-1, list(AGAINST).index("log_rt")])
    if by_date:
        _date_bar(figure, grid, sessions, theme)
    else:
        _type_legend(figure, sessions, theme)
    counts = counts_of(sessions)
    figure.suptitle(f"{title}: {counts['n_sessions']} sessions of {counts['n_subjects']} mice")
    caption = (
        f"Change of movement after an event against before the stimulus, of {counts['n_sessions']} sessions with a pose of "
        f"{counts['n_subjects']} mice, all session types; one dot per session, coloured by {'date' if by_date else 'session type'}. "
        "Above each panel Spearman's rank correlation over sessions that have both, its p and q (Benjamini-Hochberg over the "
        f"{len(pairs)} panels). {_SESSIONS} So p and q are too small."
    )
    return Drawn(name, figure, data, caption, counts)


def _long(sessions: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return a row per pair and session that has both."""
    parts = []
    for pair in pairs.to_dict("records"):
        measure, against = str(pair["measure"]), str(pair["against"])
        values = sessions[[*SESSION, against, measure]].dropna(subset=[against, measure])
        columns = [*SESSION, "x", "y"]
        parts.append(values.set_axis(columns, axis=1).assign(**{str(key): value for key, value in pair.items()}))
    return pd.concat(parts, ignore_index=True) if parts else pairs.reindex(columns=[*pairs.columns, *SESSION, "x", "y"])


def _coefficient(pair: Mapping[Hashable, Any]) -> str:
    if np.isnan(pair["rho"]):
        return "rho unknown"
    return f"rho = {round(pair['rho'], 2) + 0.0:.2f}\np = {pair['p_value']:.2g}, q = {pair['q_value']:.2g}"


def _looks(sessions: pd.DataFrame, theme: Theme) -> dict[str, tuple[str, str]]:
    """Return colour and marker of the session types there are."""
    known = {kind: (theme.session_types[kind], mark) for kind, mark in zip(SESSION_TYPES, "o^s", strict=True)}
    others = sorted(set(sessions["session_type"]) - set(known))
    known |= {kind: ("#595959", _OTHER_MARKERS[n % len(_OTHER_MARKERS)]) for n, kind in enumerate(others)}
    return {kind: look for kind, look in known.items() if (sessions["session_type"] == kind).any()}


def _dots(axes: Axes, sessions: pd.DataFrame, measure: str, against: str, theme: Theme, *, by_date: bool) -> None:
    x = np.exp(sessions[against]) if against == "log_rt" else sessions[against]
    if by_date:
        days = _days(sessions)
        # colours mean the same in every panel, whoever is in it
        norm = Normalize(days.min(), days.max())
        axes.scatter(x, sessions[measure], c=days, cmap=theme.density, norm=norm, s=12, linewidth=0)
        return
    for kind, (colour, marker) in _looks(sessions, theme).items():
        of_kind = sessions["session_type"] == kind
        dots = axes.scatter(x[of_kind], sessions[measure][of_kind], s=13, color=colour, marker=marker, linewidth=0.6)
        if marker not in "x+":
            dots.set_edgecolor("#303030")


def _days(sessions: pd.DataFrame) -> "pd.Series[float]":
    """Return the days since the epoch of sessions; not a number for an unknown date."""
    return (pd.to_datetime(sessions["date"]) - pd.Timestamp(0)) / pd.Timedelta(days=1)


def _time_ticks(axes: Axes) -> None:
    """Give an axis of times a logarithmic scale with ticks that are plain seconds."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xticks(_SECONDS, [f"{second:g}" for second in _SECONDS])
    axes.minorticks_off()
    # two ticks at least
    axes.set_xlim(min(low, 0.45), max(high, 1.1))


def _type_legend(figure: Figure, sessions: pd.DataFrame, theme: Theme) -> None:
    looks = _looks(sessions, theme)
    handles = [
        Line2D(
            [], [], color=colour, marker=marker, linestyle="none", markeredgecolor=None if marker in "x+" else "#303030"
        )
        for colour, marker in looks.values()
    ]
    labels = [f"{kind} ({(sessions['session_type'] == kind).sum()})" for kind in looks]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(looks))


def _date_bar(figure: Figure, grid: NDArray[np.object_], sessions: pd.DataFrame, theme: Theme) -> None:
    from matplotlib.cm import ScalarMappable

    days = _days(sessions).dropna()
    if days.empty:
        return
    colours = ScalarMappable(Normalize(days.min(), days.max()), theme.density)
    bar = figure.colorbar(colours, ax=grid, location="bottom", shrink=0.7, aspect=50, pad=0.02)
    ticks = np.unique(np.rint(np.linspace(days.min(), days.max(), _N_DATES)))
    bar.set_ticks(ticks.tolist(), labels=[f"{pd.Timestamp(0) + pd.Timedelta(days=day):%Y-%m-%d}" for day in ticks])
    bar.set_label("date of the session")


POSE_QC = Family(
    "pose_qc",
    "Movement of paws and face by what quality control says of the video, and along with performance and timing.",
    "qc_overview",
    {"pose_sessions": None, "pose_correlations": None, "pose_summary_outcomes": ("detail",)},
    draw_pose_qc,
)
