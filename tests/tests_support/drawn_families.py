"""Families of figures drawn in memory, and what stands on them."""

from contextlib import suppress

import matplotlib as mpl
import numpy as np

from iblnm_core.figures.theme import DEFAULT
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import TABLES


def draw(family, tables, parameters=None):
    """Return the pictures of a family by name; tables that are not given are empty."""
    given = {}
    for name, columns in family.reads.items():
        rows = tables.get(name, TABLES[name].arrow().empty_table().to_pandas())
        given[name] = rows if columns is None else rows[list(columns)]
    with mpl.rc_context(DEFAULT.rc):
        pictures = list(family.draw(given, parameters or Parameters(), DEFAULT))
        for drawn in pictures:
            # what has no size until then, such as text, has one afterwards
            drawn.figure.draw_without_rendering()
    assert len({drawn.name for drawn in pictures}) == len(pictures)
    return {drawn.name: drawn for drawn in pictures}


def texts(drawn):
    """Return all words of a picture."""
    return [text.get_text() for text in drawn.figure.findobj(mpl.text.Text) if text.get_text()]


def smallest_font(drawn):
    """Return the size of the smallest visible text, points."""
    return min(text.get_fontsize() for text in drawn.figure.findobj(mpl.text.Text) if text.get_text())


def outside(drawn):
    """Return the points of lines and dots that lie outside the limits of their axes."""
    found = []
    for axes in drawn.figure.axes:
        (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        for points in _points(axes):
            beyond = (points[:, 0] < left) | (points[:, 0] > right) | (points[:, 1] < low) | (points[:, 1] > high)
            found.extend(points[beyond].tolist())
    return found


def _points(axes):
    for line in axes.lines:
        if line.get_transform() == axes.transData:
            yield _finite(line.get_xydata())
    for dots in axes.collections:
        with suppress(TypeError):
            if dots.get_offset_transform() == axes.transData:
                yield _finite(np.asarray(dots.get_offsets(), dtype=float))


def _finite(points):
    return points[np.isfinite(points).all(axis=1)]
