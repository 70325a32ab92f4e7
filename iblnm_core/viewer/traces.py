"""Continuous signals for a screen: gaps made visible, and as few points as show every spike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST_STEP_S = 0.5
"""Samples further apart than this are not joined by a line, s."""


@dataclass(frozen=True, eq=False)
class Trace:
    """A signal over time.

    Attributes
    ----------
    times : ndarray of float64, (n,)
        s, ascending.
    values : ndarray of float64, (n,)
        Not a number where nothing is known.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.times.shape != self.values.shape or self.times.ndim != 1:
            raise ValueError(f"times {self.times.shape} and values {self.values.shape} are not equally many")
        # also refuses times that are not a number
        if not (np.diff(self.times) >= 0).all():
            raise ValueError("the times of a trace must ascend")


def with_gaps(trace: Trace, longest_step_s: float = LONGEST_STEP_S) -> Trace:
    """Return a trace with an unknown sample in every step that is too long.

    Parameters
    ----------
    trace : Trace
    longest_step_s : float
        s.
    """
    after = np.flatnonzero(np.diff(trace.times) > longest_step_s) + 1
    if not len(after):
        return trace
    middle = (trace.times[after - 1] + trace.times[after]) / 2
    return Trace(np.insert(trace.times, after, middle), np.insert(trace.values, after, np.nan))


def between(trace: Trace, start_s: float, end_s: float) -> Trace:
    """Return the samples of a stretch, and the next one on either side, to which lines are drawn.

    Parameters
    ----------
    trace : Trace
    start_s, end_s : float
        Both included.
    """
    first = max(int(np.searchsorted(trace.times, start_s, "left")) - 1, 0)
    last = int(np.searchsorted(trace.times, end_s, "right")) + 1
    return Trace(trace.times[first:last], trace.values[first:last])


def thinned(trace: Trace, n_points: int) -> Trace:
    """Return smallest and largest sample of equal stretches, in the order in which they occur; all samples when there are few.

    First and last unknown sample of a stretch stay too, so that no line is drawn across a gap.

    Parameters
    ----------
    trace : Trace
    n_points : int
        At most so many points; at least 4.
    """
    n_samples = len(trace.times)
    if n_samples <= n_points:
        return trace
    unknown = np.isnan(trace.values)
    has_gaps = bool(unknown.any())
    length = -(-n_samples // (n_points // (4 if has_gaps else 2)))
    # the last stretch is filled up with its last sample
    padded = np.pad(trace.values, (0, -n_samples % length), "edge").reshape(-1, length)
    lowest = np.where(np.isnan(padded), np.inf, padded).argmin(axis=1)
    highest = np.where(np.isnan(padded), -np.inf, padded).argmax(axis=1)
    chosen = [lowest, highest]
    if has_gaps:
        gaps = np.isnan(padded)
        first, last = gaps.argmax(axis=1), length - 1 - gaps[:, ::-1].argmax(axis=1)
        chosen += [np.where(gaps.any(axis=1), place, lowest) for place in (first, last)]
    starts = np.arange(len(padded)) * length
    places = np.unique(np.minimum(starts + np.stack(chosen), n_samples - 1))
    return Trace(trace.times[places], trace.values[places])
