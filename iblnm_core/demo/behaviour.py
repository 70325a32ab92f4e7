"""What the mouse sees and does: contrasts, blocks, choices and the times of everything. No wheel and no brain here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from iblnm_core.demo.identity import random_stream
from iblnm_core.demo.plan import Pace, SessionPlan

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

CONTRASTS = np.array([0.0, 6.25, 12.5, 25.0, 100.0])
"""Percent; their ranks enter every effect of contrast."""
MIDDLE_RANK = 2.0
THRESHOLD_TURN = 0.493
"""Time to the threshold of the wheel, times the peak speed of the turn (rad): follows from the shape of a turn."""

_FIRST_TRIAL_S = 5.0
_SHORTEST_TRIAL_S = 1.5
_SHORTEST_DELAY_S = 0.45
_NOVICE_CONTRASTS = np.array([50.0, 100.0])
LATENT_CORRELATION = 0.85
"""Between the session's latent states of brain and behaviour."""
BIAS_LOADING, THRESHOLD_LOADING, LAPSE_LOADING = 4.0, 0.30, 0.008
"""How far the latent state of behaviour moves the bias (percent contrast), the logarithm of the threshold, and the lapses."""
REACTION_RANK_SLOPE = -0.035
"""Change of log10 reaction time per rank of contrast."""
_REACTION_DRIFT_PER_MINUTE, _TRIALS_PER_MINUTE = 0.03, 16.0
_MISSING_STIMULUS = {"ephys": 0.005}
_HABITUATION_STIMULUS_S = 2.0
_POSITION_DEGREES = 35


@dataclass(frozen=True)
class Traits:
    """What a subject brings along: percent contrast, probabilities, log10 s and log10 rad/s."""

    bias: float
    threshold: float
    lapse_right: float
    lapse_left: float
    bias_shift: float
    log10_reaction: float
    log10_speed: float


@dataclass(frozen=True)
class SessionState:
    """How a subject is on the day: two latent states (z) and the psychometric curve they shape (percent contrast)."""

    latent_brain: float
    latent_behaviour: float
    bias_50: float
    bias_shift: float
    threshold: float
    lapse_right: float
    lapse_left: float


@dataclass(frozen=True)
class Trials:
    """Trials as they happened. All arrays have one entry per trial; times are seconds of the session clock.

    `contrast` is percent and `rank` its rank; `choice` is 1 for left, -1 for right, 0 for none; `first_movement` is not
    a number where there is none; `peak_speed` (rad/s) and `hesitation` (s) are those of the turn; `p_right` is the
    probability with which the model chose right. `stimulus_recorded` is false where the table lacks the stimulus time.
    """

    start: Floats
    stimulus: Floats
    first_movement: Floats
    response: Floats
    feedback: Floats
    end: Floats
    quiescence: Floats
    contrast: Floats
    rank: Floats
    on_right: Booleans
    probability_left: Floats
    choice: Floats
    correct: Booleans
    peak_speed: Floats
    hesitation: Floats
    p_right: Floats
    is_slow: Booleans
    is_premature: Booleans
    stimulus_recorded: Booleans

    def __len__(self) -> int:
        return len(self.start)

    @property
    def reaction(self) -> Floats:
        """First movement after the stimulus, s."""
        return self.first_movement - self.stimulus


@dataclass(frozen=True)
class Behaviour:
    """A session's behaviour.

    Attributes
    ----------
    state : SessionState
    trials : Trials
    block_lengths : tuple of int
        As planned by the task, beyond the end of the session.
    positions : tuple of int
        Planned stimulus positions, degrees, negative on the left.
    """

    state: SessionState
    trials: Trials
    block_lengths: tuple[int, ...]
    positions: tuple[int, ...]


def simulate_behaviour(plan: SessionPlan, seed: int) -> Behaviour:
    """Simulate the trials of a session.

    Contrasts, truncated exponential block lengths and the psychometric curve follow The International Brain
    Laboratory et al. (2021), eLife 10:e63711; reaction times are log-normal with a slow and a premature share.

    Parameters
    ----------
    plan : SessionPlan
    seed : int
        Of the cohort.
    """
    traits = _draw_traits(random_stream(seed, f"subject|{plan.subject.name}"))
    rng = random_stream(seed, f"{plan.key}|behaviour")
    state = _draw_state(rng, traits, plan)
    # more trials than can fit; those that start too late are cut at the end
    n = int(plan.trials_until_s / _SHORTEST_TRIAL_S) + 1
    stimuli, lengths = _draw_stimuli(rng, plan, n)
    actions = _draw_actions(rng, plan, state, traits, stimuli)
    times = _draw_times(rng, plan, actions)
    columns = {**stimuli, **actions, **times}
    begun = int(np.searchsorted(columns["start"], plan.trials_until_s))
    kept = {name: values[:begun] for name, values in columns.items() if name in Trials.__dataclass_fields__}
    trials = Trials(**kept, stimulus_recorded=_draw_recorded(rng, plan, begun))
    sides = np.where(stimuli["on_right"], _POSITION_DEGREES, -_POSITION_DEGREES)
    return Behaviour(state, trials, tuple(lengths.tolist()), tuple(sides.tolist()))


def trial_columns(plan: SessionPlan, trials: Trials) -> dict[str, NDArray[Any]]:
    """Return the columns of the extracted trial table, in the order of real ones; contrasts are fractions.

    A habituation session has none of the columns about choices.
    """
    whole = np.int64 if plan.subject.integer_choices else np.float64
    fraction = trials.contrast / 100
    columns: dict[str, NDArray[Any]] = {
        "intervals_0": trials.start,
        "intervals_1": trials.end,
        "goCue_times": np.round(trials.stimulus + 4e-4, 4),
        "response_times": trials.response,
        "choice": trials.choice.astype(whole),
        "stimOn_times": np.where(trials.stimulus_recorded, trials.stimulus, np.nan),
        "contrastLeft": np.where(trials.on_right, np.nan, fraction),
        "contrastRight": np.where(trials.on_right, fraction, np.nan),
        "feedback_times": trials.feedback,
        "feedbackType": np.where(trials.correct, 1, -1).astype(whole),
        "rewardVolume": np.where(trials.correct, 1.5, 0.0),
        "probabilityLeft": trials.probability_left,
        "firstMovement_times": trials.first_movement,
    }
    choiceless = ("choice", "probabilityLeft", "response_times", "firstMovement_times")
    dropped = choiceless if plan.session_type == "habituation" else ()
    return {name: values for name, values in columns.items() if name not in dropped}


def _draw_traits(rng: np.random.Generator) -> Traits:
    return Traits(
        bias=rng.normal(0, 3),
        threshold=18 * float(np.exp(rng.normal(0, 0.15))),
        lapse_right=rng.uniform(0.02, 0.07),
        lapse_left=rng.uniform(0.02, 0.07),
        bias_shift=rng.uniform(12, 22),
        log10_reaction=float(np.log10(0.19)) + rng.normal(0, 0.05),
        log10_speed=float(np.log10(3.2)) + rng.normal(0, 0.05),
    )


def _draw_state(rng: np.random.Generator, traits: Traits, plan: SessionPlan) -> SessionState:
    brain, independent = rng.standard_normal(2)
    behaviour = LATENT_CORRELATION * brain + np.sqrt(1 - LATENT_CORRELATION**2) * independent
    towards = -1 if plan.subject.regions[0].endswith("-r") else 1
    bias = traits.bias + BIAS_LOADING * towards * behaviour + rng.normal(0, 1.5)
    shift = traits.bias_shift * np.exp(rng.normal(0, 0.05))
    threshold = np.clip(traits.threshold * np.exp(THRESHOLD_LOADING * behaviour), 11, 45)
    right, left = np.clip(np.array([traits.lapse_right, traits.lapse_left]) + LAPSE_LOADING * behaviour, 0.005, 0.18)
    if plan.novice:
        threshold, right, left = 90.0, 0.18, 0.18
    return SessionState(
        float(brain), float(behaviour), float(bias), float(shift), float(threshold), float(right), float(left)
    )


def _draw_stimuli(
    rng: np.random.Generator, plan: SessionPlan, n: int
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    """Return contrast, rank, block probability and side of n trials, and the block lengths."""
    if plan.novice:
        contrast = rng.choice(_NOVICE_CONTRASTS, n)
    else:
        contrast = rng.choice(CONTRASTS, n, p=np.array([1, 2, 2, 2, 2]) / 9)
    probability_left, lengths = _draw_blocks(rng, plan, n)
    stimuli: dict[str, NDArray[Any]] = {
        "contrast": contrast,
        "rank": np.interp(contrast, CONTRASTS, np.arange(len(CONTRASTS))),
        "probability_left": probability_left,
        "on_right": rng.random(n) >= probability_left,
    }
    return stimuli, lengths


def _draw_blocks(rng: np.random.Generator, plan: SessionPlan, n: int) -> tuple[Floats, NDArray[np.int64]]:
    first, uniform = rng.random(), rng.random(n)
    if plan.session_type in {"training", "habituation"}:
        return np.full(n, 0.5), np.array([n])
    lengths = np.concatenate([[plan.pace.first_block], _block_lengths(uniform, plan.pace)])
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), n)) + 1]
    one, other = (0.2, 0.8) if first < 0.5 else (0.8, 0.2)
    sides = np.where(np.arange(len(lengths)) % 2, one, other)
    sides[0] = 0.5
    return np.repeat(sides, lengths)[:n], lengths


def _block_lengths(uniform: Floats, pace: Pace) -> NDArray[np.int64]:
    """Return block lengths from uniform draws: the inverse of the truncated exponential distribution."""
    shortest, scale, longest = pace.block_lengths
    truncated = 1 - np.exp(-(longest - shortest) / scale)
    lengths: NDArray[np.int64] = np.floor(shortest - scale * np.log(1 - uniform * truncated)).astype(np.int64)
    return lengths


def _draw_actions(
    rng: np.random.Generator,
    plan: SessionPlan,
    state: SessionState,
    traits: Traits,
    stimuli: Mapping[str, NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    """Return what the mouse does in each trial, times relative to the stimulus."""
    rank = np.asarray(stimuli["rank"], np.float64)
    on_right, n = stimuli["on_right"].astype(bool), len(rank)
    signed = np.where(on_right, 1.0, -1.0) * stimuli["contrast"].astype(np.float64)
    # half the shift in either direction at 0.2 and 0.8
    bias = state.bias_50 + state.bias_shift * (stimuli["probability_left"].astype(np.float64) - 0.5) / 0.6
    slope = (1 + erf((signed - bias) / state.threshold)) / 2
    p_right = state.lapse_right + (1 - state.lapse_right - state.lapse_left) * slope
    choice = np.where(rng.random(n) < p_right, -1.0, 1.0)
    no_go = rng.random(n) < 0.012 * np.exp(-rank / 2)
    centred = rank - MIDDLE_RANK
    reaction = 10 ** (traits.log10_reaction + REACTION_RANK_SLOPE * centred + rng.normal(0, 0.14, n))
    if plan.deviation == "drifting_reactions":
        # as many trials as a session of this length has, not as many as were drawn to be safe
        reaction *= 10 ** (_REACTION_DRIFT_PER_MINUTE * np.arange(n) / _TRIALS_PER_MINUTE)
    kind = rng.random(n)
    is_slow, is_premature = kind < 0.07, (kind >= 0.07) & (kind < 0.09)
    reaction += np.where(is_slow, rng.exponential(1.5, n), 0.0)
    reaction = np.where(is_premature, rng.uniform(-0.15, 0.05, n), reaction)
    speed = 10 ** (traits.log10_speed + 0.03 * centred + rng.normal(0, 0.12, n))
    hesitation = np.where(rng.random(n) < 0.15, rng.exponential(0.4, n), 0.0)
    turn = hesitation + THRESHOLD_TURN / speed
    # whoever is too slow did not respond in time
    no_go |= reaction + turn > plan.pace.timeout_s
    if plan.session_type == "habituation":
        no_go[:] = True
    choice[no_go] = 0.0
    correct = np.where(on_right, choice < 0, choice > 0)
    if plan.session_type == "habituation":
        # the stimulus goes to the centre by itself, always rewarded
        correct = np.ones(n, bool)
    held = np.full(n, _HABITUATION_STIMULUS_S if plan.session_type == "habituation" else plan.pace.timeout_s)
    return {
        "p_right": p_right,
        "choice": choice,
        "correct": correct,
        "reaction": np.where(no_go, np.nan, reaction),
        "responded": np.where(no_go, held, reaction + turn),
        "peak_speed": np.where(no_go, np.nan, speed),
        "hesitation": np.where(no_go, np.nan, hesitation),
        "is_slow": is_slow & ~no_go,
        "is_premature": is_premature & ~no_go,
    }


def _draw_times(
    rng: np.random.Generator, plan: SessionPlan, actions: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return the times of all events; trials follow each other closely."""
    responded = actions["responded"].astype(np.float64)
    n = len(responded)
    delay = _SHORTEST_DELAY_S + rng.exponential(plan.pace.stimulus_delay_s, n)
    feedback_delay = rng.integers(1, 5, n) * 1e-4
    after = np.where(actions["correct"], 1.55, 2.55) + rng.uniform(0, 0.015, n)
    gap = 0.03 + rng.exponential(0.005, n)
    quiescence = np.minimum(0.4 + rng.exponential(0.15, n), np.minimum(delay - 0.01, 0.7))
    start = _FIRST_TRIAL_S + np.concatenate([[0.0], np.cumsum(delay + responded + feedback_delay + after + gap)[:-1]])
    stimulus = start + delay
    response = np.round(stimulus + responded, 4)
    # the extraction of first movements works on a grid of its own
    first_movement = np.round(stimulus + actions["reaction"].astype(np.float64), 3) + 0.906e-3
    feedback = np.round(response + feedback_delay, 4)
    return {
        "start": np.round(start, 4),
        "stimulus": np.round(stimulus, 4),
        "first_movement": first_movement,
        "response": response,
        "feedback": feedback,
        "end": np.round(feedback + after, 4),
        "quiescence": quiescence,
    }


def _draw_recorded(rng: np.random.Generator, plan: SessionPlan, n: int) -> Booleans:
    """Return in which trials the stimulus time is known; always in the first and the last."""
    recorded = rng.random(n) >= _MISSING_STIMULUS.get(plan.session_type, 0.0)
    recorded[[0, -1]] = True
    return recorded
