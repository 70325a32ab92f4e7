"""A table of numbers as coloured cells that are also written out, so that colour is never the only way to read them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

_LIGHT = "white"
_DARK = "#202020"


def heatmap(
    axes: Axes,
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colours: str,
    limits: tuple[float, float],
    texts: Sequence[Sequence[str]],
) -> AxesImage:
    """Draw cells with their text; unknown values are white.

    Parameters
    ----------
    axes : Axes
    values : ndarray of float64, (r, c)
    rows, columns : sequence of str
        Labels, r and c of them.
    colours : str
        Name of a map of colours.
    limits : tuple of float
        Values of the ends of the map.
    texts : sequence of sequence of str
        What stands in the cells, as `values`.

    Returns
    -------
    AxesImage
        For a colour bar.
    """
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    shades = np.asarray(image.cmap(image.norm(np.nan_to_num(values))))[..., :3] @ np.array([0.299, 0.587, 0.114])
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            dark = np.isfinite(values[row, column]) and shades[row, column] < 0.5
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=_LIGHT if dark else _DARK)
    return image


def symmetric(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits around zero that hold all known values."""
    known = np.abs(values[np.isfinite(values)])
    largest = float(known.max()) if known.size else 0.0
    return (-largest, largest) if largest else (-1.0, 1.0)
