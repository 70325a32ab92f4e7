"""Blocks of constant stimulus probability: their lengths, what they were planned to be, and the repair of wrong ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.errors import BlockStructureBug, MissingBlockInfo, SessionError
from iblnm_core.parameters import TrialParameters

Array = NDArray[np.float64]

UNBIASED = 0.5
BLOCK_SESSION_TYPES = frozenset({"biased", "ephys"})
"""Session types whose task has blocks of biased probability."""


@dataclass(frozen=True)
class JudgedBlocks:
    """The block probabilities of a session to go on with, and what was wrong with those recorded.

    Attributes
    ----------
    probabilities : ndarray of float64, (n,)
        Probability of a stimulus on the left, by trial; not a number where it cannot be known.
    errors : tuple of SessionError
    """

    probabilities: Array
    errors: tuple[SessionError, ...] = ()


def judge_blocks(
    trials: pd.DataFrame, session_type: str | None, plan: str | None, eid: str, parameters: TrialParameters
) -> JudgedBlocks:
    """Judge the recorded block probabilities and repair them where they are wrong.

    See `docs/methods/trials.md`.

    Parameters
    ----------
    trials : DataFrame
        `probabilityLeft` and `stim_side` by trial; at least one.
    session_type : str or None
    plan : str or None
        The task's plan of its blocks, JSON: `lengths` and `probabilities`.
    eid : str
    parameters : TrialParameters
    """
    recorded = trials["probabilityLeft"].to_numpy(np.float64)
    if session_type == "training":
        if (recorded == UNBIASED).all():
            return JudgedBlocks(recorded)
        error = BlockStructureBug(
            "Training session has non-uniform probabilityLeft",
            measured=int((recorded != UNBIASED).sum()),
            threshold=0,
        )
        return JudgedBlocks(np.full(len(recorded), UNBIASED), (error,))
    shortest = shortest_block(recorded)
    if session_type not in BLOCK_SESSION_TYPES or shortest >= parameters.minimum_block_length:
        return JudgedBlocks(recorded)
    n_blocks = len(block_lengths(recorded))
    found = f"Min block length: {shortest}, n_blocks: {n_blocks}"
    limits = {"measured": shortest, "threshold": parameters.minimum_block_length}
    if plan is None:
        unknown = parameters.doubtful_blocks_without_plan == "unknown"
        errors = (BlockStructureBug(found, **limits), MissingBlockInfo(eid))
        return JudgedBlocks(np.full(len(recorded), np.nan) if unknown else recorded, errors)
    content = json.loads(plan)
    on_left = trials["stim_side"].to_numpy() == "left"
    planned = planned_probabilities(content["lengths"], on_left, tuple(content["probabilities"]))
    # a plan can end before the session
    n = min(len(planned), len(recorded))
    repaired = np.concatenate([planned[:n], recorded[n:]])
    if (repaired == recorded).all():
        return JudgedBlocks(recorded)
    text = f"{found}; probabilityLeft is not as planned in {int((repaired != recorded).sum())} trials"
    return JudgedBlocks(repaired, (BlockStructureBug(text, **limits),))


def blocks_state(trials: pd.DataFrame) -> str:
    """Return how a session's blocks came to be: `as recorded`, `repaired`, `unknown`, or `none` without such a task.

    Parameters
    ----------
    trials : DataFrame
        Trials of the session file.
    """
    if "probabilityLeft" not in trials:
        return "none"
    if "block_repaired" in trials and trials["block_repaired"].any():
        return "repaired"
    return "unknown" if trials["probabilityLeft"].isna().all() else "as recorded"


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
    lengths: Sequence[int], on_left: NDArray[np.bool_], probability_set: tuple[float, float]
) -> Array:
    """Return the probability of each trial from the plan of the task.

    See `docs/methods/trials.md`. A block is unbiased or has one of two probabilities, in turn; which of the two comes
    first is the only thing that the stimuli decide, all of them together: the share of left stimuli in one short block
    can mislead.

    Parameters
    ----------
    lengths : sequence of int
        Planned block lengths, the unbiased one first.
    on_left : ndarray of bool, (n,)
        Whether the stimulus was on the left, by trial.
    probability_set : tuple of float
        The two probabilities of a stimulus on the left.

    Returns
    -------
    ndarray of float64, (m,)
        m is smaller than n when the plan ends before the session.
    """
    places = np.repeat(np.arange(len(lengths)), lengths)[: len(on_left)]
    low, high = sorted(probability_set)
    odd, even = (places % 2 == 1), (places % 2 == 0) & (places > 0)
    sides = on_left[: len(places)]
    # evidence for more left stimuli in the odd blocks than in the even ones
    excess = (sides[odd] - UNBIASED).sum() - (sides[even] - UNBIASED).sum()
    first, second = (high, low) if excess > 0 else (low, high)
    by_block = np.where(np.arange(len(lengths)) % 2 == 1, first, second)
    by_block[:1] = UNBIASED
    planned: Array = by_block[places]
    return planned
