"""How trial variables enter models: sides seen from the fibre, contrast codings, deviation codes. Arrays and columns only."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from iblnm_core.errors import UnitError, UnknownOption

Array = NDArray[np.float64]
ContrastCoding = Literal["log", "linear", "rank", "log2"]
CODINGS: tuple[ContrastCoding, ...] = get_args(ContrastCoding)

CONTRA, IPSI = "contra", "ipsi"
_RIGHT_CHOICE = -1.0


def code_contrast(contrast: ArrayLike, coding: ContrastCoding, levels: Sequence[float]) -> Array:
    """Return contrasts as they enter a model, not centred.

    See `docs/methods/modelling.md`.

    Parameters
    ----------
    contrast : array_like of float, (n,)
        Percent, unsigned.
    coding : {'log', 'linear', 'rank', 'log2'}
        ln(c + 1); c; the place of c among the levels, from 0; log2(c), and 0 for 0.
    levels : sequence of float
        Contrasts of the task, percent: rank counts among these, whatever the data have.

    Raises
    ------
    UnknownOption
        When there is no such coding.
    UnitError
        When contrasts are fractions where they must be percent.
    ValueError
        When a contrast is none of the levels of a rank.
    """
    values = np.asarray(contrast, dtype=np.float64)
    if coding == "log":
        return np.log1p(values)
    if coding == "linear":
        return values.copy()
    if coding == "log2":
        if ((values > 0) & (values < 1)).any():
            raise UnitError(f"contrast {values[(values > 0) & (values < 1)][0]:g} is a fraction; expected percent")
        return np.log2(values, out=np.zeros_like(values), where=values > 0)
    if coding == "rank":
        ordered = np.sort(np.asarray(levels, dtype=np.float64))
        places = np.searchsorted(ordered, values)
        unknown = (places == len(ordered)) | (ordered[np.minimum(places, len(ordered) - 1)] != values)
        if unknown.any():
            raise ValueError(f"contrast {values[unknown][0]:g} is none of the levels {ordered.tolist()}")
        return places.astype(np.float64)
    raise UnknownOption(f"contrast coding {coding!r}; expected one of {', '.join(CODINGS)}")


def stimulus_side(stim_side: pd.Series, hemisphere: pd.Series) -> pd.Series:
    """Return the side of the stimulus as seen from the fibre: contra, ipsi, or null where the hemisphere is unknown.

    Parameters
    ----------
    stim_side : Series of str
        left or right.
    hemisphere : Series of str
        l, r, or anything else for unknown.
    """
    on_right = (stim_side == "right").to_numpy()
    return _seen_from(on_right, hemisphere)


def choice_side(choice: pd.Series, hemisphere: pd.Series) -> pd.Series:
    """Return the side of the choice as seen from the fibre; null without a choice or a known hemisphere.

    Parameters
    ----------
    choice : Series of float
        -1 right, +1 left, 0 none.
    hemisphere : Series of str
        l, r, or anything else for unknown.
    """
    # without a choice there is no side either
    known = hemisphere.where((choice != 0).to_numpy(), "")
    return _seen_from((choice == _RIGHT_CHOICE).to_numpy(), known)


def _seen_from(on_right: NDArray[np.bool_], hemisphere: pd.Series) -> pd.Series:
    known = hemisphere.isin(["l", "r"]).to_numpy()
    contra = np.where((hemisphere == "l").to_numpy(), on_right, ~on_right)
    names = np.array([None, CONTRA, IPSI], dtype=object)[known * np.where(contra, 1, 2)]
    return pd.Series(names, index=hemisphere.index, dtype=object)


def relative_contrast(signed_contrast: pd.Series, hemisphere: pd.Series) -> pd.Series:
    """Return the signed contrast (percent), positive contralateral of the fibre; not a number for an unknown hemisphere."""
    sign = hemisphere.map({"l": 1.0, "r": -1.0}).astype("float64").to_numpy()
    return pd.Series(signed_contrast.to_numpy(np.float64) * sign, index=signed_contrast.index)


def deviation_side(side: pd.Series) -> Array:
    """Return sides as deviation codes: contra +0.5, ipsi -0.5, unknown not a number."""
    return np.asarray(side.map({CONTRA: 0.5, IPSI: -0.5}), dtype=np.float64)


def deviation_reward(feedback_type: pd.Series) -> Array:
    """Return outcomes as deviation codes: reward +0.5, anything else -0.5."""
    return np.where(feedback_type.to_numpy() == 1, 0.5, -0.5)
