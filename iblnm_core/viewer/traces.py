"""Continuous signals for a screen: with their gaps, and stretches of them."""

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
