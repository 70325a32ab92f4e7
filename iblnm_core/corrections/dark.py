"""What the camera reports without light, and whether it may be subtracted."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.robust import median, robust_sd

Array = NDArray[np.float64]
Source = Literal["measured", "constant", "none", "refused"]

_FEWEST_FRAMES = 100
_LARGEST_SPREAD = 0.01
_LEAST_LEFT = 0.2
UNIT_FLOOR = 1 / 255
"""Floor of files whose values lie between 0 and 1: one step of an 8-bit camera."""


@dataclass(frozen=True)
class DarkOffset:
    """A dark offset.

    Attributes
    ----------
    value : float
        Camera units; 0 where none is subtracted.
    source : {'measured', 'constant', 'none', 'refused'}
        `refused`: subtracting it would have left too little fluorescence.
    """

    value: float
    source: Source


def camera_floor(values: Array) -> float:
    """Return the floor that the range of a band's finite values stands for: 1/255 of those within [0, 1], else 0."""
    known = values[np.isfinite(values)]
    return UNIT_FLOOR if known.size and known.min() >= 0 and known.max() <= 1 else 0.0


def dark_offset(values: Array, dark_frames: Array | None = None, constant: float | None = None) -> DarkOffset:
    """Return the dark offset of one band of one fibre.

    Parameters
    ----------
    values : ndarray of float64, (n,)
        The band, camera units.
    dark_frames : ndarray of float64, (d,), optional
        What the same fibre shows while no LED is on; used when there are enough and they are steady.
    constant : float, optional
        Used otherwise; by default `camera_floor`.

    Returns
    -------
    DarkOffset
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return DarkOffset(0.0, "none")
    level = median(known)
    frames = np.empty(0) if dark_frames is None else dark_frames[np.isfinite(dark_frames)]
    source: Source = "constant"
    offset = camera_floor(values) if constant is None else constant
    if len(frames) >= _FEWEST_FRAMES and robust_sd(frames) < _LARGEST_SPREAD * level:
        offset, source = median(frames), "measured"
    if offset == 0 and source == "constant":
        return DarkOffset(0.0, "none")
    if float(known.min()) - offset <= _LEAST_LEFT * (level - offset):
        return DarkOffset(0.0, "refused")
    return DarkOffset(offset, source)
