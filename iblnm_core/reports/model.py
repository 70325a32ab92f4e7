"""What is on a page, as plain records: everything a template shows is worked out before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["blocking", "warning", "ok", "unknown"]
"""How bad a verdict is; each has a colour, a sign and a word."""

_SHORT = 14

SIGNS: dict[Kind, str] = {"blocking": "✕", "warning": "!", "ok": "✓", "unknown": "\u2013"}


@dataclass(frozen=True)
class Banner:
    """The verdict on a session: a word and a sentence."""

    kind: Kind
    word: str
    sentence: str

    @property
    def sign(self) -> str:
        """The sign that repeats what the colour says."""
        return SIGNS[self.kind]


@dataclass(frozen=True)
class Fact:
    """A labelled value."""

    label: str
    value: str


@dataclass(frozen=True)
class Card:
    """One finding of a check that did not hold."""

    anchor: str
    kind: Kind
    title: str
    word: str
    meaning: str
    measured: str
    needed: str
    action: str
    error_type: str
    rule: str
    traceback: str = ""

    @property
    def sign(self) -> str:
        """The sign that repeats what the colour says."""
        return SIGNS[self.kind]

    @property
    def last_line(self) -> str:
        """The last line of the traceback."""
        return self.traceback.strip().rpartition("\n")[2]


@dataclass(frozen=True)
class Cell:
    """One cell of a table; with an anchor it is a value that failed, and links to its card; with a link, to a page."""

    text: str
    failed: str = ""
    link: str = ""

    @property
    def style(self) -> str:
        """The class of its look: a short text, such as a date, stays on one line."""
        return "short" if len(self.text) <= _SHORT else "long"


@dataclass(frozen=True)
class Row:
    """One row of a table; the first cell is its header."""

    cells: Sequence[Cell]
    anchor: str = ""


@dataclass(frozen=True)
class TableView:
    """A table with its caption."""

    caption: str
    headers: Sequence[str]
    rows: Sequence[Row]
    folded: bool = False
    anchor: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture inside the page: data address, what is seen in words, caption, size (CSS pixels), and the numbers under it."""

    source: str
    alt: str
    caption: str
    width: int
    height: int
    title: str = ""
    tables: Sequence[TableView] = ()


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading; it stays when it has nothing but a notice of what is missing."""

    anchor: str
    title: str
    notices: Sequence[str] = ()
    text: str = ""
    facts: Sequence[Fact] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[TableView] = ()


@dataclass(frozen=True)
class SessionPage:
    """The report of one session."""

    eid: str
    title: str
    banner: Banner
    facts: Sequence[Fact]
    checks_line: str
    cards: Sequence[Card]
    held: TableView
    sections: Sequence[Section]
    foot: str
    n_failed_checks: int = 0


@dataclass(frozen=True)
class CohortPage:
    """The report of a cohort."""

    title: str
    selection: str
    banner: Banner
    sections: Sequence[Section]
    foot: str
    n_failed_checks: int = 0


@dataclass(frozen=True)
class PlacedMark:
    """One mark on a picture: its words, where it lies (percent from left and top), its link, and the side its words go to."""

    words: str
    left: str
    top: str
    link: str
    side: Literal["left", "right"]


@dataclass(frozen=True)
class CompanionPage:
    """The page of a picture whose marks say which session they are; sizes in CSS pixels, the table a file beside it."""

    title: str
    caption: str
    source: str
    width: int
    height: int
    marks: Sequence[PlacedMark]
    table: str


def table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]], *, folded: bool = False) -> TableView:
    """Return a table of plain texts."""
    return TableView(caption, headers, tuple(Row(tuple(Cell(text) for text in row)) for row in rows), folded=folded)
