"""Units of a corrected trace, all of them affine in dF/F."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.robust import median, noise_sd, robust_sd
from iblnm_core.errors import ConstantSignal

Array = NDArray[np.float64]
Unit = Literal["dff", "z", "z_mad", "noise"]

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "dff": "relative change, a fraction",
        "z": "standard deviations from the mean",
        "z_mad": "robust standard deviations from the median",
        "noise": "standard deviations of the sample noise from the median",
    }
)
"""Units by name, and what each is."""


def centre_and_scale(dff: Array, unit: Unit) -> tuple[float, float]:
    """Return what a unit subtracts from dF/F and what it divides by.

    A unit relative to a baseline epoch is `z` of that epoch's samples.

    Parameters
    ----------
    dff : ndarray of float64, (n,)
        Fraction; samples that are not a number are left out.
    unit : {'dff', 'z', 'z_mad', 'noise'}

    Returns
    -------
    centre, scale : float

    Raises
    ------
    ConstantSignal
        When the scale is 0.
    """
    known = dff[np.isfinite(dff)]
    if unit == "dff":
        return 0.0, 1.0
    if unit == "z":
        centre, scale = float(known.mean()), float(known.std())
        # rounding of a constant leaves a spread that is none
        if np.ptp(known) == 0:
            scale = 0.0
    else:
        centre = median(known)
        scale = robust_sd(known, centre) if unit == "z_mad" else noise_sd(dff)
    if not scale > 0:
        raise ConstantSignal(f"scale of {unit} is {scale:g}; expected a positive one")
    return centre, scale
