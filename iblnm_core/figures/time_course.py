"""Figures of when the task changes the signal around an event, over mice: estimates with bands, and single mice."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from iblnm_core.analyses.analysis import Tables
from iblnm_core.analyses.task_design import TERMS
from iblnm_core.corrections.masks import runs
from iblnm_core.figures.correction_view import PERCENT
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import note
from iblnm_core.figures.responses import file_name
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order
from iblnm_core.parameters import Parameters

METHODS: Mapping[str, tuple[str, str]] = {
    "two_stage": ("", "a course per mouse, then their mean: mice may differ in the effect"),
    "random_intercept": (
        "_random_intercept",
        "one model with an intercept per mouse: false certainty wherever mice differ in the effect, for comparison only",
    ),
}
"""Methods: what the names of their files end with, and what captions say of them."""

_GREY, _EDGE = "#8c8c8c", "#303030"
_MOUSE: Mapping[str, Any] = {"color": "#9a9a9a", "linewidth": 0.5, "alpha": 0.8}
_SCALES = {"dff": (PERCENT, "dF/F, %"), "z": (1.0, "z")}


def draw_time_courses(tables: Tables, parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield a figure per event, correction and method: a panel per coefficient and target.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `TIME_COURSES` reads.
    parameters : Parameters
        Its primary correction is the one that files are not named by.
    theme : Theme
    """
    courses, subjects, outcomes = (tables[name] for name in TIME_COURSES.reads)
    # an outcome without target says that there is nothing at all
    judged = _judged(outcomes[outcomes["target_NM"].fillna("") != ""])
    known = pd.concat(
        [courses[["event", "correction"]], subjects[["event", "correction"]], judged[["event", "correction"]]]
    )
    if known.empty:
        yield nothing_drawn("time_courses", "Time courses over mice", "no selected recording has responses", courses)
        return
    for event in events_in_order(known["event"]):
        for correction in sorted(set(known.loc[known["event"] == event, "correction"])):
            own = {
                name: rows[(rows["event"] == event) & (rows["correction"] == correction)]
                for name, rows in (("courses", courses), ("subjects", subjects), ("outcomes", judged))
            }
            for method in METHODS:
                if method == "two_stage" or (own["courses"]["method"] == method).any():
                    yield _event(
                        event, correction, method, own, theme, named=correction != parameters.corrections.primary
                    )


def _judged(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return outcomes with the correction and the method that they are of."""
    parts = [str(variable).partition(", ") for variable in outcomes["variable"]]
    return outcomes.assign(correction=[part[0] for part in parts], method=[part[2] for part in parts])


def _event(
    event: str, correction: str, method: str, own: Mapping[str, pd.DataFrame], theme: Theme, *, named: bool
) -> Drawn:
    suffix, words = METHODS[method]
    name = f"time_courses_{file_name(event)}{f'_{file_name(correction)}' if named else ''}{suffix}"
    title = f"When the task changes the response to {event_label(event)}"
    courses = own["courses"][own["courses"]["method"] == method]
    outcomes = own["outcomes"][own["outcomes"]["method"] == method]
    targets = in_order({*courses["target_NM"], *own["subjects"]["target_NM"], *outcomes["target_NM"].dropna()})
    units = sorted({*courses["unit"], *own["subjects"]["unit"]})
    scale, unit = _SCALES[units[0]] if units else _SCALES["dff"]
    figure, grid = _grid(len(targets))
    for column, target in enumerate(targets):
        of_target = [rows[rows["target_NM"] == target] for rows in (courses, own["subjects"], outcomes)]
        why = _why(of_target[0], of_target[2])
        for line, term in enumerate(TERMS):
            course, mice = (rows[rows["coefficient"] == term] for rows in of_target[:2])
            _panel(grid[line, column], course, mice, theme.target_colour(target), scale, why)
        grid[0, column].set_title(f"{target}\n{_counts(of_target[0], of_target[1])}", fontsize=7.5)
        grid[-1, column].set_xlabel(f"time from {event_label(event)} (s)", fontsize=7.5)
    for axes, term in zip(grid[:, 0], TERMS, strict=True):
        axes.set_ylabel(f"{_called(term)}\n({unit})", fontsize=7.5)
    figure.suptitle(f"{title}\ncorrection {correction}, {method.replace('_', ' ')}", fontsize=9)
    figure.legend(handles=_handles(), loc="lower center", ncols=2, fontsize=7, borderaxespad=0.3)
    counts = {count: int(courses[count].max()) for count in ("n_sessions", "n_subjects", "n_trials") if len(courses)}
    caption = (
        f"{title}: coefficients of contrast (coded, centred), side and outcome (both ±½) and their products at every time, over mice; signal corrected by {correction}, "
        f"in {unit}. Method {method}: {words}. Light band: 95 %, joint over all times; dark band: 95 %, at each time by itself (pointwise); bars "
        f"below: times at which the joint band excludes zero. Grey lines: single mice. {_largest(counts)}Not corrected for coefficients, targets "
        "and events; the first such time is no onset."
    )
    missing = (
        ""
        if len(courses) or len(own["subjects"])
        else "; ".join(dict.fromkeys(filter(None, map(_sentence, outcomes.to_dict("records")))))
    )
    data = pd.concat([courses.assign(subject=None), own["subjects"].assign(method="single mouse")], ignore_index=True)
    return Drawn(name, figure, data, caption, counts, missing)


def _grid(n_targets: int) -> tuple[Figure, Any]:
    """Return a figure with its panels, coefficient x target; placed by hand, as a search for their places takes seconds."""
    width, height = max(0.95 + 1.85 * n_targets, 4.6), 2.0 + 1.15 * len(TERMS)
    edges = {"left": 0.85 / width, "right": 1 - 0.1 / width, "top": 1 - 1.0 / height, "bottom": 1.0 / height}
    figure = Figure(figsize=(width, height))
    spaces = {"hspace": 0.2, "wspace": 0.3}
    panels = figure.subplots(len(TERMS), n_targets, sharex=True, squeeze=False, gridspec_kw=edges | spaces)
    return figure, panels


def _called(term: str) -> str:
    return textwrap.fill(term.lower().replace(":", " \N{MULTIPLICATION SIGN} "), 16)


def _counts(courses: pd.DataFrame, subjects: pd.DataFrame) -> str:
    if len(courses):
        row = courses.iloc[0]
        return f"{row['n_subjects']} mice, {row['n_sessions']} sessions,\n{row['n_trials']:,} trials"
    of_mice = subjects.drop_duplicates("subject")
    if of_mice.empty:
        return "no mouse\n"
    return f"{len(of_mice)} mice, {of_mice['n_sessions'].sum()} sessions,\n{of_mice['n_trials'].sum():,} trials"


def _largest(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    words = ", ".join(f"{counts[name]:,} {name.removeprefix('n_').replace('subjects', 'mice')}" for name in counts)
    return f"At most {words} of a target; panels name those of each. "


def _why(courses: pd.DataFrame, outcomes: pd.DataFrame) -> str:
    """Return in words why a target has no bands; nothing where it has."""
    if len(courses):
        return ""
    words = [_sentence(row) for row in outcomes.to_dict("records")]
    return "; ".join(dict.fromkeys(filter(None, words))) or "no recording is selected"


def _sentence(row: Mapping[object, object]) -> str:
    """Return the first thing that an outcome says; nothing of one that came out."""
    if row["status"] == "ok":
        return ""
    status = str(row["status"]).replace("_", " ")
    detail = row["detail"]
    return f"{status}: {'; '.join(detail.split('; ')[:2])}" if isinstance(detail, str) else status


def _panel(axes: Axes, courses: pd.DataFrame, subjects: pd.DataFrame, colour: str, scale: float, why: str) -> None:
    axes.axvline(0, color=_GREY, linestyle="--", linewidth=0.6)
    axes.axhline(0, color=_GREY, linewidth=0.6)
    axes.tick_params(labelsize=7)
    for _, rows in subjects.groupby("subject", sort=True):
        of_mouse = rows.sort_values("time")
        axes.plot(of_mouse["time"], scale * of_mouse["estimate"], **_MOUSE)
    if courses.empty:
        low, high = axes.get_ylim()
        # words above lines
        axes.set_ylim(low, high + 0.6 * (high - low))
        note(axes, _wrapped(why), high=True)
        return
    rows = courses.sort_values("time")
    time = rows["time"].to_numpy(np.float64)
    columns = ("estimate", "lower", "upper", "joint_lower", "joint_upper")
    estimate, lower, upper, joint_lower, joint_upper = (scale * rows[name].to_numpy(np.float64) for name in columns)
    axes.fill_between(time, joint_lower, joint_upper, color=colour, alpha=0.2, linewidth=0)
    axes.fill_between(time, lower, upper, color=colour, alpha=0.45, linewidth=0)
    axes.plot(time, estimate, color=_EDGE, linewidth=1.1)
    _bars(axes, time, rows["significant"].to_numpy(np.bool_))


def _bars(axes: Axes, time: np.ndarray, significant: np.ndarray) -> None:
    """Draw where the joint band excludes zero, below everything else."""
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.14 * (high - low), high)
    half = float(np.median(np.diff(time))) / 2 if len(time) > 1 else 0.0
    across = axes.get_xaxis_transform()
    for first, last in runs(significant):
        ends = [time[first] - half, time[last - 1] + half]
        axes.plot(ends, [0.05, 0.05], color="black", linewidth=2.6, solid_capstyle="butt", transform=across)


def _wrapped(words: str, width: int = 26) -> str:
    return textwrap.fill(words, width)


def _handles() -> Sequence[Line2D | Patch]:
    return (
        Line2D([], [], color=_EDGE, linewidth=1.1, label="estimate"),
        Line2D([], [], **_MOUSE, label="single mice"),
        Patch(color=_EDGE, alpha=0.6, linewidth=0, label="95 % band at each time by itself"),
        Patch(color=_EDGE, alpha=0.2, linewidth=0, label="95 % band, joint over all times"),
        Line2D([], [], color="black", linewidth=2.6, label="joint band excludes zero"),
    )


TIME_COURSES = Family(
    "time_courses",
    "When contrast, side and outcome change the responses of each target to each event, over mice, with bands that hold at all times at once.",
    "responses",
    {
        "time_courses": None,
        "time_courses_subjects": None,
        "time_courses_outcomes": ("target_NM", "event", "variable", "status", "detail"),
    },
    draw_time_courses,
    ("corrections",),
)
"""The family of these figures."""
