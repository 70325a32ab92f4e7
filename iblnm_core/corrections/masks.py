"""Which samples of a band cannot be used, as a bit field. Time is never compressed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.robust import robust_sd, row_medians

Array = NDArray[np.float64]
Bits = NDArray[np.uint8]
Flags = NDArray[np.bool_]


class Bit(IntFlag):
    """Why a sample is masked."""

    MISSING = 1
    FLAT = 2
    SPIKE = 4
    SATURATED = 8
    MANUAL = 16
    LEVEL_STEP = 32
    DILATED = 64


@dataclass(frozen=True)
class MaskParameters:
    """Rules of the mask."""

    bits: Bit = Bit.MISSING | Bit.FLAT | Bit.SPIKE | Bit.SATURATED | Bit.MANUAL | Bit.LEVEL_STEP
    """Those that are looked for."""
    longest_interval: float = 1.5
    """Samples further apart, in median intervals, have missing ones between them."""
    flat_samples: int = 5
    spike_window: int = 7
    spike_sd: float = 8.0
    spike_samples: int = 2
    saturated_samples: int = 5
    ceiling: float | None = None
    step_share: float = 0.15
    step_window_s: float = 20.0


ONLY_MISSING = MaskParameters(bits=Bit.MISSING)
DILATION = 2
"""Output samples so close to a masked one are not used either."""


def runs(flags: Flags) -> NDArray[np.intp]:
    """Return first and one-past-last index of every run of true values, (r, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def dilated(flags: Flags, samples: int = DILATION) -> Flags:
    """Return flags that also hold for neighbours up to some samples away."""
    if not flags.any():
        return flags.copy()
    wide = np.convolve(flags, np.ones(2 * samples + 1, np.int64))
    grown: Flags = wide[samples : samples + len(flags)] > 0
    return grown


def mask_of_band(
    times: Array,
    values: Array,
    parameters: MaskParameters | None = None,
    valid: Flags | None = None,
    manual: Sequence[tuple[float, float]] = (),
) -> Bits:
    """Return the mask of one band but for level steps, which mask nothing.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, session clock, increasing.
    values : ndarray of float64, (n,)
        Camera units; not a number where a sample is missing.
    parameters : MaskParameters, optional
    valid : ndarray of bool, (n,), optional
        What the acquisition says.
    manual : sequence of (float, float)
        Intervals to leave out, s, session clock, ends included.

    Returns
    -------
    ndarray of uint8, (n,)
        Sums of `Bit`.
    """
    parameters = parameters or MaskParameters()
    mask = np.zeros(len(values), np.uint8)
    missing = ~np.isfinite(values)
    if valid is not None:
        missing |= ~valid
    found: dict[Bit, Flags] = {Bit.MISSING: missing}
    if not missing.all():
        whole = filled(values, ~missing)
        flat = _flat(whole, parameters) & ~missing
        found[Bit.FLAT] = flat
        if parameters.bits & Bit.SPIKE:
            found[Bit.SPIKE] = _spikes(whole, flat | missing, parameters)
        found[Bit.SATURATED] = _saturated(whole, parameters) & ~missing
    inside = np.zeros(len(values), bool)
    for start, end in manual:
        inside |= (times >= start) & (times <= end)
    found[Bit.MANUAL] = inside
    for bit, flags in found.items():
        if parameters.bits & bit:
            mask[flags] |= np.uint8(bit)
    return mask


def filled(values: Array, known: Flags) -> Array:
    """Return values with those that are not known interpolated linearly between those that are."""
    if known.all():
        return values
    whole, unknown = values.copy(), np.flatnonzero(~known)
    whole[unknown] = np.interp(unknown, np.flatnonzero(known), values[known])
    return whole


def _flat(values: Array, parameters: MaskParameters) -> Flags:
    flat = np.zeros(len(values), bool)
    equal = runs(np.diff(values) == 0)
    for start, end in equal[equal[:, 1] - equal[:, 0] + 1 >= parameters.flat_samples]:
        flat[start : end + 1] = True
    return flat


def _spikes(values: Array, excluded: Flags, parameters: MaskParameters) -> Flags:
    steps = np.diff(values)
    steps = steps[steps != 0]
    spread = robust_sd(steps) / np.sqrt(2) if len(steps) else 0.0
    if spread == 0:
        return np.zeros(len(values), bool)
    far: Flags = _far_from_median(values, parameters.spike_window, parameters.spike_sd * spread) & ~excluded
    found = runs(far)
    for start, end in found[found[:, 1] - found[:, 0] > parameters.spike_samples]:
        far[start:end] = False
    return far


def _far_from_median(values: Array, window: int, limit: float) -> Flags:
    """Return which samples are further than a limit from the median of an odd window around them."""
    from numpy.lib.stride_tricks import sliding_window_view

    half = window // 2
    # the edges are repeated
    padded = np.pad(values, half, mode="edge")
    n_close = np.zeros(len(padded), np.uint8)
    for lag in range(1, half + 1):
        close = np.abs(padded[lag:] - padded[:-lag]) <= limit
        n_close[lag:] += close
        n_close[:-lag] += close
    # where half of the others are close to a sample, the median is as well
    doubtful = np.flatnonzero(n_close[half : half + len(values)] < half)
    far = np.zeros(len(values), bool)
    medians = row_medians(sliding_window_view(padded, 2 * half + 1)[doubtful])
    far[doubtful] = np.abs(values[doubtful] - medians) > limit
    return far


def _saturated(values: Array, parameters: MaskParameters) -> Flags:
    highest = values == values.max()
    saturated = highest if np.count_nonzero(highest) >= parameters.saturated_samples else np.zeros(len(values), bool)
    if parameters.ceiling is not None:
        saturated = saturated | (values >= parameters.ceiling)
    return saturated


def level_steps(values: Array, kept: Flags, rate_hz: float, parameters: MaskParameters | None = None) -> list[int]:
    """Return the first sample after every lasting step of a band, such as a fibre that is plugged in.

    A step changes medians over `step_window_s` on either side by more than `step_share`, and those over the three
    seconds next to it as well: bleaching, however strong, is not that abrupt.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    kept : ndarray of bool, (n,)
        Samples that are not masked.
    rate_hz : float
    parameters : MaskParameters, optional
    """
    parameters = parameters or MaskParameters()
    size = max(1, round(rate_hz))
    n, wide = len(values) // size, round(parameters.step_window_s)
    if not parameters.bits & Bit.LEVEL_STEP or n < 2 * wide or not kept.any():
        return []
    whole = filled(values, kept)
    blocks = row_medians(whole[: n * size].reshape(n, size))
    contrast = np.minimum(_contrast(blocks, wide, 0), _contrast(blocks, 3, 1))
    found: list[int] = []
    for start, end in runs(contrast > parameters.step_share):
        low, high = max(int(start) - 2, 0) * size, (int(end) + 2) * size
        step = low + _change_point(whole[low:high])
        if not found or step - found[-1] >= wide * size:
            found.append(step)
    return found


def _contrast(blocks: Array, width: int, apart: int) -> Array:
    """Return the relative change between medians before and after every block boundary, 0 where there is no room."""
    from numpy.lib.stride_tricks import sliding_window_view

    medians = row_medians(sliding_window_view(blocks, width))
    contrast = np.zeros(len(blocks))
    # boundary b: before are blocks [b - apart - width, b - apart), after are [b + apart, b + apart + width)
    boundaries = np.arange(width + apart, len(blocks) - width - apart + 1)
    before, after = medians[boundaries - apart - width], medians[boundaries + apart]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.abs(after / before - 1)
    contrast[boundaries] = np.nan_to_num(change, nan=0.0, posinf=np.inf)
    return contrast


def _change_point(values: Array) -> int:
    """Return where two constants fit best, as the index of the second one's first sample."""
    n = np.arange(1, len(values))
    sums = np.cumsum(values)[:-1]
    gain = sums**2 / n + (values.sum() - sums) ** 2 / (len(values) - n)
    return int(np.argmax(gain)) + 1
