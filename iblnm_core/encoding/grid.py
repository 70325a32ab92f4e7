"""Time in bins: which bin an event is in, means of samples over bins, values that hold throughout a trial. Arrays only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDING = 1e-6
"""Bins: a sample halfway between two belongs to the later one, also when rounding errors say it is just short of it."""


@dataclass(frozen=True)
class TimeGrid:
    """Bins of equal width.

    Attributes
    ----------
    start_s : float
        Centre of the first bin, s.
    width_s : float
    n_bins : int
    """

    start_s: float
    width_s: float
    n_bins: int

    @property
    def centres(self) -> Array:
        """Centres of the bins, s."""
        return self.start_s + self.width_s * np.arange(self.n_bins, dtype=np.float64)

    def places(self, times: Array) -> Array:
        """Return the number of the bin whose centre is nearest to each time, also beyond the ends of the grid.

        Parameters
        ----------
        times : ndarray of float64, (n,)
            s; not a number stays so.
        """
        places: Array = np.floor((times - self.start_s) / self.width_s + (0.5 + _ROUNDING))
        return places

    def nearest(self, times: Array) -> NDArray[np.int64]:
        """Return the bin whose centre is nearest to each time; -1 outside the grid and for unknown times.

        Parameters
        ----------
        times : ndarray of float64, (n,)
            s.
        """
        places = self.places(times)
        # a comparison with not-a-number is false
        return np.where((places >= 0) & (places < self.n_bins), places, -1).astype(np.int64)


def grid_over(times: Array, width_s: float) -> TimeGrid:
    """Return bins from the first to the last sample of a signal.

    Parameters
    ----------
    times : ndarray of float64, (m,), m > 0
        s, increasing.
    width_s : float
    """
    n_bins = int(np.floor((times[-1] - times[0]) / width_s + 0.5 + _ROUNDING)) + 1
    return TimeGrid(float(times[0]), width_s, n_bins)


def bin_means(times: Array, values: Array, grid: TimeGrid) -> Array:
    """Return the mean of the known samples in each bin.

    The mean over a bin takes away what is too fast for the bins, which reading off single samples would not.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
    grid : TimeGrid

    Returns
    -------
    ndarray of float64, (n_bins,)
        Not a number where no sample is known.
    """
    bins = grid.nearest(times)
    used = (bins >= 0) & np.isfinite(values)
    if not used.all():
        bins, values = bins[used], values[used]
    counts = np.bincount(bins, minlength=grid.n_bins)
    sums = np.bincount(bins, values, minlength=grid.n_bins)
    means: Array = np.divide(sums, counts, out=np.full(grid.n_bins, np.nan), where=counts > 0)
    return means


def bridged_means(times: Array, values: Array, grid: TimeGrid, longest_gap_s: float) -> Array:
    """Return the mean of the known samples in each bin, interpolated in empty bins between samples not too far apart.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        Times increasing, s.
    grid : TimeGrid
    longest_gap_s : float
        Between two known samples.

    Returns
    -------
    ndarray of float64, (n_bins,)
        Not a number in longer gaps, and before the first and after the last sample.
    """
    known = np.isfinite(times) & np.isfinite(values)
    if not known.all():
        times, values = times[known], values[known]
    means = bin_means(times, values, grid)
    empty = np.flatnonzero(np.isnan(means))
    centres = grid.centres[empty]
    after = np.searchsorted(times, centres)
    inside = (after > 0) & (after < len(times))
    empty, centres, after = empty[inside], centres[inside], after[inside]
    short = times[after] - times[after - 1] <= longest_gap_s
    if short.any():
        means[empty[short]] = np.interp(centres[short], times, values)
    return means


def held_in_trials(values: Array, starts: Array, ends: Array, grid: TimeGrid) -> Array:
    """Return a value per trial as a course in time.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    starts, ends : ndarray of float64, (n,)
        s.
    grid : TimeGrid

    Returns
    -------
    ndarray of float64, (n_bins,)
        The value from the bin of the trial's start to the one before its end's; 0 elsewhere, and in trials of which anything is unknown.
    """
    course = np.zeros(grid.n_bins)
    known = np.isfinite(values) & np.isfinite(starts) & np.isfinite(ends)
    # what reaches beyond the grid is cut
    first, end = (np.clip(grid.places(times[known]), 0, grid.n_bins).astype(np.int64) for times in (starts, ends))
    for value, start, stop in zip(values[known], first, end, strict=True):
        course[start:stop] = value
    return course
