"""What an answer is: plain texts in tables, for the terminal and for pages alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from iblnm_core.reports.texts import clean


@dataclass(frozen=True)
class Part:
    """One table of an answer under its title, with what is to be said before it."""

    title: str
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """An answer: about what, in one sentence, and the tables that show why."""

    title: str
    sentence: str
    parts: tuple[Part, ...]


def part(
    title: str, headers: Sequence[str] = (), rows: Iterable[Sequence[object]] = (), notes: Iterable[str] = ()
) -> Part:
    """Return a part whose texts are fit to be shown.

    Parameters
    ----------
    title : str
    headers : sequence of str
    rows : iterable of sequence of object
        Texts of the data among them; null is what is not known.
    notes : iterable of str
    """
    shown = tuple(tuple(line(cell) for cell in row) for row in rows)
    return Part(title, tuple(headers), shown, tuple(line(note) for note in notes))


def line(text: object) -> str:
    """Return a text of the data on one line, without characters that a terminal or a page would take for commands.

    Parameters
    ----------
    text : object
        Null becomes the sign for what is not known.
    """
    return " ".join(clean(text).split("\n"))
