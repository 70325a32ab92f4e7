"""Figures of the main effects of the task under other choices of the analysis."""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iblnm_core.analyses.analysis import Tables
from iblnm_core.analyses.sensitivity import CHOICES
from iblnm_core.figures.family import Drawn, Family, nothing_drawn
from iblnm_core.figures.marks import note
from iblnm_core.figures.theme import Theme, event_label, events_in_order, in_order
from iblnm_core.parameters import Parameters

EFFECTS: Mapping[str, tuple[str, str]] = {
    "contrast": ("Effect of contrast", "highest less lowest contrast (z)"),
    "side": ("Effect of side", "contra less ipsi (z)"),
    "reward": ("Effect of the outcome", "correct less incorrect (z)"),
}
"""Effects, what figures call them, and what axes do."""

_FRAGILE = {"sign_changed": "sign", "halved": "half", "doubled": "double"}
_EDGE = "#303030"


def draw_sensitivity(tables: Tables, _parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield a figure per effect.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `SENSITIVITY` reads.
    _parameters : Parameters
        Not used: the table says what the root's own options are.
    theme : Theme
    """
    rows = tables["sensitivity"]
    for effect in EFFECTS:
        yield _effect(effect, rows[rows["effect"] == effect], tables["sensitivity_outcomes"], theme)


def _effect(effect: str, rows: pd.DataFrame, outcomes: pd.DataFrame, theme: Theme) -> Drawn:
    title, label = EFFECTS[effect]
    name, title = f"sensitivity_{effect}", f"{title} under other choices"
    if rows.empty:
        return nothing_drawn(name, title, _why(outcomes), rows)
    targets, events = in_order(rows["target_NM"]), events_in_order(rows["event"])
    places = {key: place for place, key in enumerate(_options(rows))}
    heights = {key: -(place + 0.6 * group) for key, place, group in _heights(places)}
    size = (7.5, 1.3 + len(targets) * (0.45 + 0.125 * len(places)))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(targets), len(events), squeeze=False, sharey=True, sharex="row")
    for line, target in enumerate(targets):
        for column, event in enumerate(events):
            axes = grid[line, column]
            own = rows[(rows["target_NM"] == target) & (rows["event"] == event)]
            _panel(axes, own, heights, theme.target_colour(target), theme.target_marker(target))
            axes.set_title(f"{target}, {event_label(event)}\n{_counts(own)}", fontsize=7.5)
            if line == len(targets) - 1:
                axes.set_xlabel(label)
    for axes in grid[:, 0]:
        axes.set_yticks(list(heights.values()), [f"{choice}: {option}" for choice, option in heights], fontsize=7)
        axes.set_ylim(min(heights.values()) - 0.8, 0.8)
    figure.suptitle(title)
    figure.legend(handles=_handles(), loc="outside lower center", ncols=3)
    caption = (
        f"{title}: estimates and 95 % intervals (t, few mice) of the mixed model of contrast, side and outcome with a random intercept "
        "per mouse, one choice varied at a time; filled: what this root does, open: other options. Trials and mice are those of the "
        "root's own options. Words beside: opposite sign, less than half or more than twice the root's own, where the interval of this "
        "does not hold 0. No correction."
    )
    counts = {"n_subjects": int(rows["n_subjects"].max()), "n_trials": int(rows["n_trials"].max())}
    return Drawn(name, figure, rows, caption, counts)


def _options(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return options, those of a choice together and the root's own first."""
    found = rows[["choice", "option", "is_own"]].drop_duplicates()
    keys = sorted((CHOICES.index(choice), not own, option) for choice, option, own in found.itertuples(index=False))
    return [(CHOICES[place], str(option)) for place, _, option in keys]


def _heights(places: Mapping[tuple[str, str], int]) -> Iterator[tuple[tuple[str, str], int, int]]:
    """Yield options with their place and the number of their choice: choices stand apart."""
    choices = list(dict.fromkeys(choice for choice, _ in places))
    for key, place in places.items():
        yield key, place, choices.index(key[0])


def _panel(axes: Axes, rows: pd.DataFrame, heights: Mapping[tuple[str, str], float], colour: str, marker: str) -> None:
    axes.axvline(0, color="#808080", linewidth=0.8)
    if rows.empty:
        note(axes, "no result")
        return
    mine = rows.loc[rows["is_own"], "estimate"]
    if len(mine):
        axes.axvline(float(mine.iloc[0]), color=colour, linewidth=0.8, linestyle=":")
    for row in rows.to_dict("records"):
        height = heights[row["choice"], row["option"]]
        axes.plot([row["ci_lower"], row["ci_upper"]], [height, height], color=colour, linewidth=1.1)
        axes.plot(
            row["estimate"],
            height,
            marker=marker,
            markersize=4.5,
            linestyle="none",
            markerfacecolor=colour if row["is_own"] else "white",
            markeredgecolor=_EDGE if row["is_own"] else colour,
            markeredgewidth=0.8,
        )
        if row["verdict"] in _FRAGILE:
            words = _FRAGILE[str(row["verdict"])]
            axes.annotate(
                words, (float(row["ci_upper"]), height), (3, 0), textcoords="offset points", va="center", fontsize=7
            )
    axes.margins(x=0.12)


def _counts(rows: pd.DataFrame) -> str:
    own = rows[rows["is_own"]]
    if own.empty:
        return "not fitted as the root does it"
    return f"{own['n_trials'].iloc[0]:,} trials of {own['n_subjects'].iloc[0]} mice"


def _handles() -> list[Line2D]:
    looks = (("this root", _EDGE), ("other options", "white"))
    handles = [
        Line2D([], [], linestyle="none", marker="o", markerfacecolor=fill, markeredgecolor=_EDGE, label=label)
        for label, fill in looks
    ]
    return [*handles, Line2D([], [], color=_EDGE, linestyle=":", linewidth=0.8, label="estimate of this root")]


def _why(outcomes: pd.DataFrame) -> str:
    counts = outcomes["status"].value_counts()
    words = [f"{n} {str(status).replace('_', ' ')}" for status, n in counts.items()]
    return f"no target and event could be fitted ({', '.join(words)})" if words else "no recording is selected"


SENSITIVITY = Family(
    "sensitivity",
    "Main effects of the task under other choices of the analysis.",
    "responses",
    {"sensitivity": None, "sensitivity_outcomes": ("status",)},
    draw_sensitivity,
)
"""The family of these figures."""
