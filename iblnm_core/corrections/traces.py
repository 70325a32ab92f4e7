"""Two bands of one fibre on one clock with their mask, and what several corrections of them share."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.dark import DarkOffset
from iblnm_core.corrections.masks import (
    Bit,
    Bits,
    Flags,
    MaskParameters,
    dilated,
    filled,
    level_steps,
    mask_of_band,
    runs,
)
from iblnm_core.corrections.robust import median
from iblnm_core.errors import AllSamplesMasked, MissingReference, TooShortForBaseline

Array = NDArray[np.float64]
T = TypeVar("T")

LEAST_SHARE = 0.5
"""Corrections need this share of the samples."""
LONGEST_BRIDGED_S = 0.5
SHORTEST_BASELINE_S = 150.0
"""No baseline is estimated from less."""


@dataclass(frozen=True)
class Traces:
    """A signal and its reference at the same times.

    Attributes
    ----------
    times : ndarray of float64, (n,)
        s, session clock, increasing; as regular as the camera was, without gaps.
    signal : ndarray of float64, (n,)
        Camera units above dark; anything where masked.
    reference : ndarray of float64, (n,), or None
        Likewise, at the signal's times.
    mask : ndarray of uint8, (n,)
        Sums of `masks.Bit`; 0 is a good sample.
    steps_at : tuple of int
        First samples after lasting steps: baselines are fitted apart on either side.
    own_reference : tuple of (ndarray, ndarray), or None
        Times and values of the good samples of the reference as recorded, for baselines that filter it before it is paired.
    paired_at : ndarray of float64, (n,), or None
        Times at which the reference is read for every sample of the signal; None for the signal's own.
    """

    times: Array
    signal: Array
    reference: Array | None
    mask: Bits
    steps_at: tuple[int, ...] = ()
    own_reference: tuple[Array, Array] | None = None
    paired_at: Array | None = None
    _made: dict[Hashable, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def rate_hz(self) -> float:
        """Return the inverse of the median interval."""
        return 1 / median(np.diff(self.times))

    @cached_property
    def kept(self) -> Flags:
        """Return which samples are good."""
        kept: Flags = self.mask == 0
        return kept

    @cached_property
    def output_mask(self) -> Bits:
        """Return the mask of corrected traces: that of the samples, and samples next to masked ones."""
        mask = self.mask.copy()
        mask[dilated(~self.kept) & self.kept] |= np.uint8(Bit.DILATED)
        return mask

    @property
    def segments(self) -> list[slice]:
        """Return the stretches between lasting steps."""
        edges = [0, *self.steps_at, len(self.times)]
        return [slice(first, last) for first, last in pairwise(edges)]

    def channel(self, name: str) -> Array:
        """Return the signal or the reference, interpolated where it is masked.

        Parameters
        ----------
        name : {'signal', 'reference'}

        Raises
        ------
        MissingReference
        """
        if name == "signal":
            return self.shared("filled signal", lambda: filled(self.signal, self.kept))
        reference = self.reference
        if reference is None:
            raise MissingReference("there is no reference band")
        return self.shared("filled reference", lambda: filled(reference, self.kept))

    def within(self, epoch: tuple[float, float] | None) -> Flags:
        """Return which good samples lie within an epoch, s, session clock; all good samples for None."""
        if epoch is None:
            return self.kept
        inside: Flags = self.kept & (self.times >= epoch[0]) & (self.times < epoch[1])
        return inside

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made for a key before, or make it now."""
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])

    def require_samples(self) -> None:
        """Refuse traces of which too little is good.

        Raises
        ------
        AllSamplesMasked, TooShortForBaseline
        """
        if len(self.times) < 2:
            raise TooShortForBaseline(f"{len(self.times)} samples")
        share = float(self.kept.mean())
        if share < LEAST_SHARE:
            raise AllSamplesMasked(f"{share:.0%} of the samples are left; expected at least {LEAST_SHARE:.0%}")


def bridged(change: Array, kept: Flags, rate_hz: float) -> Array:
    """Return a relative change that filters can take: short gaps interpolated linearly, longer ones filled with 0.

    Parameters
    ----------
    change : ndarray of float64, (n,)
    kept : ndarray of bool, (n,)
    rate_hz : float
    """
    if kept.all():
        return change
    whole = filled(change, kept)
    for start, end in runs(~kept):
        if end - start > LONGEST_BRIDGED_S * rate_hz:
            whole[start:end] = 0
    return whole


def _without_gaps(times: Array, longest_interval: float) -> tuple[Array, NDArray[np.intp]]:
    """Return times with missing samples put into gaps, and the places of those that were there."""
    if len(times) < 2:
        return times, np.arange(len(times))
    intervals = np.diff(times)
    usual = median(intervals)
    wide = intervals > longest_interval * usual
    if not wide.any():
        return times, np.arange(len(times))
    missing = np.where(wide, np.maximum(np.round(intervals / usual).astype(np.intp) - 1, 1), 0)
    places = np.arange(len(times)) + np.concatenate([[0], np.cumsum(missing)])
    grid = np.arange(places[-1] + 1)
    return np.interp(grid, places, times), places


def _placed(values: Array, places: NDArray[np.intp]) -> Array:
    whole = np.full(places[-1] + 1 if len(places) else 0, np.nan)
    whole[places] = values
    return whole


def prepare(
    signal_times: Array,
    signal: Array,
    reference_times: Array | None = None,
    reference: Array | None = None,
    *,
    dark: tuple[DarkOffset, DarkOffset] = (DarkOffset(0.0, "none"), DarkOffset(0.0, "none")),
    parameters: MaskParameters | None = None,
    manual: Sequence[tuple[float, float]] = (),
    steps_s: Sequence[float] = (),
) -> Traces:
    """Subtract dark offsets, mask, and pair the bands of one fibre.

    Parameters
    ----------
    signal_times, signal : ndarray of float64, (n,)
        s, session clock, increasing; camera units. Invalid samples are left out or not a number.
    reference_times, reference : ndarray of float64, (r,), optional
        Likewise. It is interpolated linearly at the signal's times. One of which less than half is good counts as none.
    dark : tuple of DarkOffset
        Of signal and reference.
    parameters : MaskParameters, optional
    manual : sequence of (float, float)
        Intervals to leave out, s, session clock.
    steps_s : sequence of float
        Times of lasting steps that a user knows, s, session clock; large ones are found.

    Returns
    -------
    Traces
    """
    parameters = parameters or MaskParameters()
    times, places = _without_gaps(signal_times, parameters.longest_interval)
    values = _placed(signal, places) - dark[0].value
    mask = mask_of_band(times, values, parameters, manual=manual)
    paired, own = None, None
    if reference is not None and reference_times is not None:
        other_times, other_places = _without_gaps(reference_times, parameters.longest_interval)
        other = _placed(reference, other_places) - dark[1].value
        other_mask = mask_of_band(other_times, other, parameters)
        good = other_mask == 0
        if len(good) and good.mean() >= LEAST_SHARE:
            own = other_times[good], other[good]
            paired = np.interp(times, other_times, filled(other, good))
            mask |= bits_at(times, other_times, other_mask)
    if len(times) < 2:
        return Traces(times, values, paired, mask)
    rate = 1 / median(np.diff(times))
    kept = mask == 0
    steps = set(level_steps(values, kept, rate, parameters)) | set(np.searchsorted(times, steps_s).tolist())
    steps_at = tuple(sorted(step for step in steps if 0 < step < len(times)))
    for first, last in pairwise((0, *steps_at, len(times))):
        if steps_at and last - first < SHORTEST_BASELINE_S * rate:
            mask[first:last] |= np.uint8(Bit.LEVEL_STEP)
    return Traces(times, values, paired, mask, steps_at, own)


def bits_at(times: Array, other_times: Array, other_mask: Bits) -> Bits:
    """Return the mask of another band at some times: that of both samples an interpolated value is made of."""
    n = len(other_times)
    # a sample at the very time of one of the other band is made of that one alone; one after the last, of the last two
    places = np.interp(times, other_times, np.arange(n), right=n - 1.5)
    before, after = np.floor(places).astype(np.intp), np.ceil(places).astype(np.intp)
    bits: Bits = other_mask[before] | other_mask[after]
    return bits
