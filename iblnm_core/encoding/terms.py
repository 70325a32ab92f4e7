"""Kernels of the encoding model by name, and the value that each trial's event has in them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import choice_side, code_contrast, deviation_reward, deviation_side, stimulus_side
from iblnm_core.errors import UnknownOption
from iblnm_core.parameters import EncodingParameters

Array = NDArray[np.float64]

EVENTS = ("stimOn_times", "goCue_times", "firstMovement_times", "response_times", "feedback_times")
BASELINE = "baseline"
LATERAL = frozenset({"side", "choice"})
"""Modulators that are seen from the fibre."""
MODULATORS = (BASELINE, "side", "contrast", "choice", "reward", "log_reaction_time")
HEMISPHERES = frozenset({"l", "r"})
_SEPARATOR, _PRODUCT = "|", ":"


class KernelName(NamedTuple):
    """A kernel: the event it follows, the trials it is for, and what changes its size.

    Attributes
    ----------
    event : str
        One of `EVENTS`.
    level : str
        `column=value` for trials with this value only, or empty.
    modulator : str
        One of `MODULATORS`, or several joined by `:`.
    """

    event: str
    level: str
    modulator: str

    @property
    def modulators(self) -> tuple[str, ...]:
        """What is multiplied."""
        return tuple(self.modulator.split(_PRODUCT))


def kernel_name(block: str) -> KernelName:
    """Return the parts of a block's name.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    block : str
        `event|modulator` or `event|column=value|modulator`.

    Raises
    ------
    UnknownOption
        When it is neither, or there is no such event or modulator.
    """
    event, *levels, modulator = block.split(_SEPARATOR) if _SEPARATOR in block else ("", "", "")
    kernel = KernelName(event, "".join(levels), modulator)
    if len(levels) > 1 or (levels and not _is_level(levels[0])):
        raise UnknownOption(f"block {block!r}; expected event|modulator or event|column=value|modulator")
    if event not in EVENTS:
        raise UnknownOption(f"block {block!r}: event {event!r}; expected one of {', '.join(EVENTS)}")
    for name in kernel.modulators:
        if name not in MODULATORS:
            raise UnknownOption(f"block {block!r}: modulator {name!r}; expected one of {', '.join(MODULATORS)}")
    return kernel


def _is_level(text: str) -> bool:
    column, _, value = text.partition("=")
    try:
        return bool(column) and np.isfinite(float(value))
    except ValueError:
        return False


def event_values(trials: pd.DataFrame, kernel: KernelName, hemisphere: str, parameters: EncodingParameters) -> Array:
    """Return the value that the event of each trial has in a kernel.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    trials : DataFrame
        Columns of the extracted trials.
    kernel : KernelName
    hemisphere : str
        Of the fibre: l, r, or anything else for unknown.
    parameters : EncodingParameters

    Returns
    -------
    ndarray of float64, (n,)
        Product of the coded modulators; not a number where one is unknown, and for trials that the kernel is not for.

    Raises
    ------
    UnitError
        When contrasts are fractions where they must be percent.
    ValueError
        When a contrast is none of the levels of a rank.
    """
    values = np.ones(len(trials))
    for name in kernel.modulators:
        values = values * _coded(trials, name, hemisphere, parameters)
    if kernel.level:
        column, _, level = kernel.level.partition("=")
        values[_column(trials, column) != float(level)] = np.nan
    return values


def _coded(trials: pd.DataFrame, name: str, hemisphere: str, parameters: EncodingParameters) -> Array:
    seen_from = pd.Series(hemisphere, index=trials.index, dtype=object)
    if name == "side":
        return deviation_side(stimulus_side(trials["stim_side"], seen_from))
    if name == "choice":
        # an unknown choice has no side, as none has
        chosen = pd.Series(_column(trials, "choice"), index=trials.index).fillna(0.0)
        return deviation_side(choice_side(chosen, seen_from))
    if name == "contrast":
        return centred(code_contrast(trials["contrast"], parameters.contrast_coding, parameters.contrasts))
    if name == "reward":
        return deviation_reward(trials["feedbackType"])
    if name == "log_reaction_time":
        seconds = _column(trials, "firstMovement_times") - _column(trials, "stimOn_times")
        return centred(np.log10(seconds, out=np.full(len(seconds), np.nan), where=seconds > 0))
    return np.ones(len(trials))


def _column(trials: pd.DataFrame, name: str) -> Array:
    """Return a column, unknown throughout if there is none."""
    if name not in trials:
        return np.full(len(trials), np.nan)
    values: Array = trials[name].to_numpy(np.float64)
    return values


def centred(values: Array) -> Array:
    """Return values less the mean of those that are known.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    """
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return values
    # the mean of equal values can differ from them by a rounding error
    middle = known[0] if np.ptp(known) == 0 else known.mean()
    return values - float(middle)
