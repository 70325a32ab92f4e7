"""Axes of contrast, on which contrasts stand in equal steps: on a linear one, those up to 12.5 % would fall together."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from iblnm_core.figures.theme import CONTRASTS

_SIGNED = (*(-contrast for contrast in CONTRASTS[:0:-1]), *CONTRASTS)


def places(contrasts: Iterable[float]) -> NDArray[np.float64]:
    """Return where contrasts stand: steps from zero, negative on the left; others than those of the task in between.

    Parameters
    ----------
    contrasts : iterable of float, (n,)
        Percent, signed or not.

    Returns
    -------
    ndarray of float64, (n,)
    """
    steps = np.arange(len(_SIGNED)) - len(CONTRASTS) + 1
    found: NDArray[np.float64] = np.interp(np.fromiter(contrasts, np.float64), _SIGNED, steps)
    return found


def contrast_axis(axes: Axes, *, signed: bool) -> None:
    """Name the contrasts of the task below a panel.

    Parameters
    ----------
    axes : Axes
    signed : bool
        Whether those on the left are there, too.
    """
    shown = _SIGNED if signed else CONTRASTS
    axes.set_xticks(places(shown), [f"{contrast:g}" for contrast in shown])
    axes.set_xlabel("contrast (%; negative: left)" if signed else "contrast (%)")
