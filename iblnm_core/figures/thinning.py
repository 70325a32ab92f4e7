"""Long signals for pictures and screens: as few points as show every spike and every gap."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def thinned(times: Array, values: Array, n_points: int) -> tuple[Array, Array]:
    """Return smallest and largest sample of equal stretches, in the order in which they occur; all samples when there are few.

    First and last unknown sample of a stretch stay too, so that no line is drawn across a gap.

    Parameters
    ----------
    times, values : ndarray of float64, (n,)
        A value that is not a number is a gap.
    n_points : int
        At most so many points; at least 4.

    Returns
    -------
    times, values : ndarray of float64, (m,)
    """
    n_samples = len(times)
    if n_samples <= n_points:
        return times, values
    has_gaps = bool(np.isnan(values).any())
    length = -(-n_samples // (n_points // (4 if has_gaps else 2)))
    # the last stretch is filled up with its last sample
    padded = np.pad(values, (0, -n_samples % length), "edge").reshape(-1, length)
    lowest = np.where(np.isnan(padded), np.inf, padded).argmin(axis=1)
    highest = np.where(np.isnan(padded), -np.inf, padded).argmax(axis=1)
    chosen = [lowest, highest]
    if has_gaps:
        gaps = np.isnan(padded)
        first, last = gaps.argmax(axis=1), length - 1 - gaps[:, ::-1].argmax(axis=1)
        chosen += [np.where(gaps.any(axis=1), place, lowest) for place in (first, last)]
    starts = np.arange(len(padded)) * length
    places = np.unique(np.minimum(starts + np.stack(chosen), n_samples - 1))
    return times[places], values[places]
