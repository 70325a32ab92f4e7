"""Pages beside pictures that say which session a mark is: where marks lie on the stored picture, and what is said of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iblnm_core.identifiers import is_eid
from iblnm_core.reports.model import CompanionPage, PlacedMark
from iblnm_core.reports.pictures import data_address
from iblnm_core.reports.render import render_companion
from iblnm_core.reports.texts import as_title, clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REPORTS = "../../reports/sessions"
_CSS_DPI = 96
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Mark:
    """One mark of a picture that somebody may ask about.

    Attributes
    ----------
    axes : Axes
    x, y : float
        In data coordinates of the axes.
    eid : str
        The session whose report it leads to.
    words : str
        What is said of it, one thing per line; the session id comes behind.
    """

    axes: "Axes"
    x: float
    y: float
    eid: str
    words: str


def marks_at(
    axes: "Axes", x: Iterable[float], y: Iterable[float], eids: Iterable[str], words: Iterable[str]
) -> list[Mark]:
    """Return marks of one panel.

    Parameters
    ----------
    axes : Axes
    x, y : iterable of float
        In data coordinates.
    eids, words : iterable of str
    """
    return [Mark(axes, *each) for each in zip(map(float, x), map(float, y), eids, words, strict=True)]


def positions(figure: "Figure", marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """Return where marks lie on a picture, as fractions of its width from the left and of its height from the top.

    Parameters
    ----------
    figure : Figure
        Drawn before, so that everything has its place, and saved whole.
    marks : sequence of Mark
    """
    width, height = figure.bbox.size
    placed = [mark.axes.transData.transform((mark.x, mark.y)) for mark in marks]
    return [(float(x / width), float(1 - y / height)) for x, y in placed]


def companion_page(name: str, caption: str, figure: "Figure", marks: Sequence[Mark], png: bytes, table: str) -> bytes:
    """Return the page of a picture.

    Parameters
    ----------
    name : str
        Of the picture.
    caption : str
    figure : Figure
        As it was saved.
    marks : sequence of Mark
    png : bytes
        The stored picture.
    table : str
        File name of the drawn table, in the same folder.
    """
    placed = tuple(
        PlacedMark(
            f"{clean(mark.words)}\n{clean(mark.eid)}",
            f"{100 * left:.3f}",
            f"{100 * top:.3f}",
            f"{_REPORTS}/{mark.eid}.html" if is_eid(mark.eid) else "",
            "left" if left > _HALF else "right",
        )
        for mark, (left, top) in zip(marks, positions(figure, marks), strict=True)
    )
    width, height = (round(side * _CSS_DPI) for side in figure.get_size_inches())
    page = CompanionPage(as_title(name), clean(caption), data_address(png, "png"), width, height, placed, table)
    return render_companion(page)
