"""What a family of figures is: the tables it reads, and the function that draws them. Which there are stands in the registry."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from iblnm_core.analyses.analysis import Columns, Tables
from iblnm_core.figures.companion import Mark
from iblnm_core.figures.theme import Theme
from iblnm_core.parameters import Parameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawn:
    """One picture.

    Attributes
    ----------
    name : str
        Of its files, such as `mean_traces_VTA_DA`; letters, digits and underscores.
    figure : Figure
    data : DataFrame
        What was drawn, for whoever wants to check or redraw it.
    caption : str
        One or two sentences: what is shown, over what it is averaged, what bars are, n, test and correction.
    counts : mapping of str to int
        Those of n_recordings, n_sessions, n_subjects and n_trials that apply; of what was drawn, after every filter.
    missing : str
        Why there is nothing to see; empty when there is something.
    marks : sequence of Mark
        Those of which readers ask which session they are; a page beside the picture says it.
    """

    name: str
    figure: "Figure"
    data: pd.DataFrame
    caption: str
    counts: Mapping[str, int] = field(default_factory=dict)
    missing: str = ""
    marks: Sequence[Mark] = ()


@dataclass(frozen=True)
class Family:
    """Figures that are drawn together.

    Attributes
    ----------
    name : str
        Of the asset and of the folder below `figures`.
    description : str
    stage : str
        The stage of the command line that it belongs to.
    reads : mapping of str to tuple of str or None
        Tables that are drawn, by name, and their columns; all of them where None.
    draw : callable
        From the tables, the parameters and the theme to pictures, one after the other.
    sections : tuple of str
        Sections of the parameters that it shows or words.
    code_version : str
        Raised whenever the drawing changes.
    read_sessions : callable or None
        For what no table has: from the folder of the root, the tables and the parameters to further tables, read from a few session
        files; `draw` gets them beside the others, and the family is drawn anew whenever they changed.
    """

    name: str
    description: str
    stage: str
    reads: Mapping[str, Columns]
    draw: Callable[[Tables, Parameters, Theme], Iterator[Drawn]]
    sections: tuple[str, ...] = ()
    code_version: str = "1"
    read_sessions: Callable[[Path, Tables, Parameters], Tables] | None = None


def empty_figure(title: str, reason: str) -> "Figure":
    """Return a picture of nothing that says why there is nothing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 2.4))
    figure.text(0.5, 0.66, title, ha="center", va="center", fontsize=10)
    figure.text(0.5, 0.42, reason, ha="center", va="center", fontsize=8, color="#404040", wrap=True)
    return figure


def nothing_drawn(name: str, title: str, reason: str, columns: pd.DataFrame) -> Drawn:
    """Return the picture of nothing of a figure, with the columns that its table would have."""
    return Drawn(name, empty_figure(title, reason), columns.head(0), f"{title}: {reason}", {}, reason)


def counts_of(rows: pd.DataFrame) -> dict[str, int]:
    """Return how many recordings, sessions and subjects rows are of, as far as their columns say."""
    counts = {}
    if {"eid", "fiber_idx"} <= set(rows):
        counts["n_recordings"] = len(rows[["eid", "fiber_idx"]].drop_duplicates())
    for name, column in (("n_sessions", "eid"), ("n_subjects", "subject")):
        if column in rows:
            counts[name] = int(rows[column].nunique())
    return counts
