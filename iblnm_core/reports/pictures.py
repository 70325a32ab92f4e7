"""From a drawn figure to a picture inside a page: sharp where that is small, of few colours where it is not."""

import base64
import gc
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from iblnm_core.figures.pixels import few_colours
from iblnm_core.reports.model import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_IN = 9.2
"""Width of all pictures of a session, inches."""

LARGEST_VECTOR = 300_000
"""Vector pictures above so many bytes become pixels."""

PREVIEW_BYTES = 200_000
_DPI = 160
_COLOURS = 64
_CSS_DPI = 96


@contextmanager
def undisturbed() -> Iterator[None]:
    """Draw without the search for unreachable objects: the thousands that a figure is made of set it off all the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def picture(figure: "Figure", alt: str, caption: str, title: str = "") -> Picture:
    """Return a figure as a picture of a page.

    Parameters
    ----------
    figure : Figure
    alt : str
        What is seen, with numbers, for those who cannot see it.
    caption : str
    title : str
    """
    width, height = (round(side * _CSS_DPI) for side in figure.get_size_inches())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    content, kind = buffer.getvalue(), "svg+xml"
    if len(content) > LARGEST_VECTOR:
        content, kind = few_colours(_pixels(figure, _DPI), _COLOURS), "png"
    return Picture(data_address(content, kind), alt, caption, width, height, title)


def data_address(content: bytes, kind: str) -> str:
    """Return content as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def preview(figure: "Figure") -> bytes:
    """Return a small PNG of a figure, as small as the event log wants it."""
    dpi = 72
    while True:
        content = few_colours(_pixels(figure, dpi), _COLOURS)
        if len(content) * 4 / 3 <= PREVIEW_BYTES:
            return content
        dpi = round(dpi * 0.8)


def _pixels(figure: "Figure", dpi: int) -> Any:
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return Image.open(io.BytesIO(buffer.getvalue()))
