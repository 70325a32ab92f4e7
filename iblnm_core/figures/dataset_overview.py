"""How far sessions came, mouse by mouse, and how many recordings and mice of each target are complete."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from iblnm_core.analyses.analysis import Tables
from iblnm_core.analyses.dataset_overview import STEPS
from iblnm_core.figures.companion import Mark, marks_at
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.theme import SESSION_TYPES, Theme, in_order
from iblnm_core.parameters import Parameters

TITLES: Mapping[str, str] = {
    "recorded": "all sessions",
    "raw_data": "with raw data",
    "complete_data": "with complete data",
    "passes_qc": "that pass quality control",
    "video_ready": "that also have good video",
}
"""What the steps are called in titles."""

_MARKS: Mapping[str, str] = {"training": "t", "biased": "b", "ephys": "e"}
_LARGEST_MARKED = 40


def draw_dataset_overview(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the sessions of every mouse at each step, and what is complete of each target."""
    matrix, complete = tables["session_matrix"], tables["complete_recordings"]
    if matrix.empty:
        details = "; ".join(tables["dataset_overview_outcomes"]["detail"].dropna())
        yield nothing_drawn("sessions", "Sessions by mouse", details or "nothing was analysed", matrix)
    else:
        steps = list(STEPS)
        for place, step in enumerate(steps):
            reached = matrix["step"].map(steps.index) >= place
            yield _matrix(f"sessions_{place + 1}_{step}", matrix.assign(reached=reached), TITLES[step], theme)
    if complete.empty:
        yield nothing_drawn("complete_recordings", "Complete recordings", "no session passes quality control", complete)
    else:
        yield _complete(complete, theme)


def _matrix(name: str, rows: pd.DataFrame, words: str, theme: Theme) -> Drawn:
    first = rows.groupby("subject")["start_time"].min().sort_values()
    subjects = {subject: place for place, subject in enumerate(first.index)}
    numbered = rows[rows["session_n"].notna()]
    n_columns = int(numbered["session_n"].max()) if len(numbered) else 1
    figure = Figure(figsize=(max(4.5, 1.8 + 0.17 * n_columns), 1.1 + 0.19 * len(subjects)), layout="constrained")
    axes = figure.subplots()
    for (session_type, reached), own in numbered.groupby(["session_type", "reached"]):
        colour = theme.session_types.get(str(session_type), "#8c8c8c")
        axes.scatter(
            own["session_n"],
            own["subject"].map(subjects),
            s=70,
            marker="s",
            facecolor=colour if reached else "white",
            edgecolor=colour,
            linewidth=1.0,
        )
        if n_columns <= _LARGEST_MARKED and reached:
            _letters(axes, own, subjects, str(session_type))
    twice = numbered[numbered.duplicated(["subject", "session_n"], keep=False)]
    axes.scatter(twice["session_n"], twice["subject"].map(subjects), s=20, marker="x", color="#d55e00", zorder=4)
    axes.set_yticks(range(len(subjects)), [str(subject) for subject in subjects])
    axes.set_ylim(len(subjects) - 0.5, -0.5)
    axes.set_xlim(0.3, n_columns + 0.7)
    axes.set_xlabel("session of the mouse")
    n_reached = int(rows["reached"].sum())
    title = words if words.endswith("sessions") else f"sessions {words}"
    figure.suptitle(f"{title.capitalize()}: {n_reached} of {len(rows)}", x=0.01, ha="left")
    handles = [Patch(facecolor=theme.session_types[kind], label=f"{kind} ({_MARKS[kind]})") for kind in SESSION_TYPES]
    handles.append(Patch(facecolor="white", edgecolor="#606060", label="not at this step"))
    figure.legend(handles=handles, loc="outside right center")
    caption = (
        f"Sessions of every mouse, in order of its first one; filled: {words} ({n_reached} of {len(rows)} sessions of {len(subjects)} mice). One session per mouse and day; a cross "
        "marks two sessions of one number. The table says what kept each session from the next step."
    )
    counts = {"n_sessions": n_reached, "n_subjects": int(rows.loc[rows["reached"], "subject"].nunique())}
    return Drawn(name, figure, rows, caption, counts, marks=_marks(axes, numbered, subjects))


def _marks(axes: Axes, rows: pd.DataFrame, subjects: Mapping[object, int]) -> list[Mark]:
    """Return the cells of a matrix: which session each is, how far it came, and what stopped it there."""
    words = []
    for row in rows.to_dict("records"):
        stopped = f", stopped there by {row['stopped_by']}" if row["stopped_by"] else ""
        kind = row["session_type"] or "type unknown"
        when = f"{row['subject']}, {str(row['start_time'])[:10]}, session {row['session_n']:g} ({kind})"
        words.append(f"{when}\nfarthest step: {str(row['step']).replace('_', ' ')}{stopped}")
    return marks_at(axes, rows["session_n"], rows["subject"].map(subjects), rows["eid"], words)


def _letters(axes: Axes, rows: pd.DataFrame, subjects: Mapping[object, int], session_type: str) -> None:
    """Repeat in a letter what the colour of a cell says."""
    colour = "#202020" if session_type == "training" else "white"
    for number, subject in zip(rows["session_n"], rows["subject"], strict=True):
        axes.text(
            number, subjects[subject], _MARKS.get(session_type, "?"), ha="center", va="center", fontsize=7, color=colour
        )


def _complete(rows: pd.DataFrame, theme: Theme) -> Drawn:
    targets = in_order(rows["target_NM"])
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, column, words in ((left, "n_recordings", "complete recordings"), (right, "n_subjects", "mice with any")):
        table = rows.pivot_table(index="target_NM", columns="session_type", values=column, aggfunc="sum")
        cells = table.reindex(index=targets, columns=list(SESSION_TYPES)).fillna(0).to_numpy(np.int64)
        _bars(axes, cells, theme, stacked=column == "n_recordings")
        axes.set_xticks(range(len(targets)), targets, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_ylabel(words)
        axes.yaxis.get_major_locator().set_params(integer=True)
    handles = [Patch(facecolor=theme.session_types[kind], label=kind) for kind in SESSION_TYPES]
    figure.legend(handles=handles, loc="outside right upper")
    mice = rows.groupby("target_NM")["n_subjects_of_target"].first()
    listed = ", ".join(f"{target} {mice[target]}" for target in targets)
    caption = (
        "Recordings (fibre and session) that have all data and pass quality control, by target and session type, and the mice with at least one of each type. "
        f"Mice of any type: {listed}."
    )
    counts = {"n_recordings": int(rows["n_recordings"].sum())}
    return Drawn("complete_recordings", figure, rows, caption, counts)


def _bars(axes: Axes, table: np.ndarray, theme: Theme, *, stacked: bool) -> None:
    below = np.zeros(len(table))
    for place, session_type in enumerate(SESSION_TYPES):
        heights, colour = table[:, place], theme.session_types[session_type]
        shift = 0.0 if stacked else (place - 1) * 0.27
        axes.bar(
            np.arange(len(table)) + shift,
            heights,
            0.7 if stacked else 0.25,
            bottom=below if stacked else 0,
            color=colour,
        )
        for column, height in enumerate(heights):
            if height and stacked:
                ink = "#202020" if session_type == "training" else "white"
                axes.text(
                    column, below[column] + height / 2, str(height), ha="center", va="center", fontsize=7, color=ink
                )
            elif height:
                axes.text(column + shift, height, str(height), ha="center", va="bottom", fontsize=7)
        below += heights
    axes.margins(y=0.1)


DATASET_OVERVIEW = Family(
    "dataset_overview",
    "How far the sessions of every mouse came, and how many recordings of each target are complete.",
    "dataset_overview",
    {"session_matrix": None, "complete_recordings": None, "dataset_overview_outcomes": None},
    draw_dataset_overview,
    code_version="2",
)
"""The family of these figures."""
