"""Blocks of constant stimulus probability: their lengths, and what they were planned to be. Arrays only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNBIASED = 0.5


def block_lengths(probabilities: Array) -> NDArray[np.int64]:
    """Return the lengths of the runs of equal probability.

    Parameters
    ----------
    probabilities : ndarray of float64, (n,)
        Probability of a stimulus on the left, by trial.
    """
    if not len(probabilities):
        return np.empty(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], probabilities[1:] != probabilities[:-1]]))
    return np.diff(np.append(starts, len(probabilities)))


def shortest_block(probabilities: Array) -> int:
    """Return the length of the shortest block that was completed.

    The last one ends with the session and does not count, unless it is the only one.

    Parameters
    ----------
    probabilities : ndarray of float64, (n,), n > 0
    """
    lengths = block_lengths(probabilities)
    return int(lengths[:-1].min() if len(lengths) > 1 else lengths[0])


def planned_probabilities(
    lengths: Sequence[int], positions: Sequence[float], probability_set: tuple[float, float], n_trials: int
) -> Array:
    """Return the probability of each trial from the plan of the task.

    See `docs/methods/trials.md`. A block is unbiased or has one of two probabilities, in turn; which of the two comes
    first is the only thing that the stimuli decide, all of them together: the share of left stimuli in one short block
    can mislead.

    Parameters
    ----------
    lengths : sequence of int
        Planned block lengths, the unbiased one first.
    positions : sequence of float
        Planned stimulus positions by trial, degrees; the smaller one is left.
    probability_set : tuple of float
        The two probabilities of a stimulus on the left.
    n_trials : int

    Returns
    -------
    ndarray of float64, (m,)
        m is smaller than `n_trials` when the plan ends before the session.
    """
    places = np.repeat(np.arange(len(lengths)), lengths)
    low, high = sorted(probability_set)
    on_left = np.asarray(positions, np.float64) == min(positions, default=0.0)
    n = min(len(places), len(on_left))
    odd, even = (places[:n] % 2 == 1), (places[:n] % 2 == 0) & (places[:n] > 0)
    # evidence for more left stimuli in the odd blocks than in the even ones
    excess = (on_left[:n][odd] - UNBIASED).sum() - (on_left[:n][even] - UNBIASED).sum()
    first, second = (high, low) if excess > 0 else (low, high)
    by_block = np.where(np.arange(len(lengths)) % 2 == 1, first, second)
    by_block[:1] = UNBIASED
    return by_block[places][:n_trials]
