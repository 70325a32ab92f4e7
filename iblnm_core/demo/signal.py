"""What the fibre would see without a camera: responses to events, background, and the variance budget of both, in z."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.demo.behaviour import MIDDLE_RANK, SessionState, Trials
from iblnm_core.demo.effects import (
    EVENTS,
    KERNEL_S,
    LATENT_CONTRAST_SLOPE,
    LATENT_REWARD_SLOPE,
    REACTION_TIME_SLOPE,
    REFERENCE_REACTION_S,
    SESSION_SD,
    SUBJECT_SD,
    TRIAL_SD,
    Effect,
    Kernel,
    TargetEffects,
)
from iblnm_core.demo.noise import coloured_noise, event_train, poisson_times, responses_to, standardised

Floats = NDArray[np.float64]

_BACKGROUND_EXPONENT, _BACKGROUND_BAND_HZ = 1.1, (0.02, 6.0)
_SPONTANEOUS_RATE_HZ, _SPONTANEOUS_SHARE = 0.15, 0.6
_SMALLEST_BACKGROUND = 0.05
_FASTEST_REACTION_S = 0.05


@dataclass(frozen=True)
class Budget:
    """How the unit variance of a corrected signal is spent.

    Attributes
    ----------
    events, background, noise : float
        Variances in z: of the responses, of the background, and of what the correction for artefacts leaves behind.
    scale : float
        Multiplies every planted gain in the z-scored signal; below 1 where responses and noise alone exceed 1.
    """

    events: float
    background: float
    noise: float
    scale: float


def side_sign(region: str) -> int:
    """Return 1 for a fibre on the left, -1 on the right, 0 on the midline: the side for which right is contralateral."""
    return {"-l": 1, "-r": -1}.get(region[-2:], 0)


def subject_effects(rng: np.random.Generator) -> dict[str, float]:
    """Draw how far a subject's gains lie from the target's mean, by event, in z."""
    return {event: float(rng.normal(0, SUBJECT_SD)) for event in EVENTS}


@dataclass(frozen=True)
class EventGains:
    """Gains of one recording, z, by event; only events that the target responds to.

    Attributes
    ----------
    fixed : dict of str to ndarray of float64, (n_trials,)
        What the task variables make of it.
    total : dict of str to ndarray of float64, (n_trials,)
        The same with what subject, session and trial add.
    of_subject, of_session : dict of str to float
        What subject and session add, also for events without a response.
    """

    fixed: dict[str, Floats]
    total: dict[str, Floats]
    of_subject: dict[str, float]
    of_session: dict[str, float]


def event_gains(
    target: TargetEffects,
    sign: int,
    trials: Trials,
    state: SessionState,
    of_subject: Mapping[str, float],
    rng: np.random.Generator,
) -> EventGains:
    """Draw the gain of every event of every trial in one recording.

    Parameters
    ----------
    target : TargetEffects
    sign : int
        Of the fibre's side; see `side_sign`.
    trials : Trials
    state : SessionState
    of_subject : mapping of str to float
        See `subject_effects`.
    rng : numpy.random.Generator
        Of the recording.

    Returns
    -------
    EventGains
    """
    gains = EventGains({}, {}, dict(of_subject), {})
    for event in EVENTS:
        of_session, of_trials = rng.normal(0, SESSION_SD), rng.normal(0, TRIAL_SD, len(trials))
        gains.of_session[event] = of_session
        effect = target.effect(event)
        if effect is not None:
            gains.fixed[event] = _planted_gain(event, effect, sign, trials, state)
            gains.total[event] = gains.fixed[event] + of_subject[event] + of_session + of_trials
    return gains


def _planted_gain(event: str, effect: Effect, sign: int, trials: Trials, state: SessionState) -> Floats:
    contrast = trials.rank - MIDDLE_RANK
    side = sign * np.where(trials.on_right, 0.5, -0.5)
    chosen = sign * -0.5 * trials.choice
    reward = np.where(trials.correct, 0.5, -0.5)
    is_stimulus, is_feedback = event == "stimOn_times", event == "feedback_times"
    by_contrast = effect.contrast + is_stimulus * LATENT_CONTRAST_SLOPE * state.latent_brain
    by_reward = effect.reward + is_feedback * LATENT_REWARD_SLOPE * state.latent_brain
    gain: Floats = (
        effect.mean
        + by_contrast * contrast
        + effect.side * side
        + effect.choice * chosen
        + by_reward * reward
        + effect.contrast_side * contrast * side
        + effect.contrast_reward * contrast * reward
    )
    return gain + (_reaction_term(trials) if is_stimulus else 0.0)


def _reaction_term(trials: Trials) -> Floats:
    """Return the part of the stimulus response that goes with the reaction time; none where nothing moved."""
    # premature movements have no reaction time to take the logarithm of
    log10_reaction = np.log10(np.fmax(trials.reaction, _FASTEST_REACTION_S))
    slope = REACTION_TIME_SLOPE * (log10_reaction - np.log10(REFERENCE_REACTION_S))
    return np.where(np.isnan(trials.reaction), 0.0, slope)


def evoked_signal(
    gains: Mapping[str, Floats], trials: Trials, kernel: Kernel, frame_times: Floats, rate_hz: float
) -> Floats:
    """Return the summed responses to all events on the frame grid.

    Parameters
    ----------
    gains : mapping of str to ndarray of float64, (n_trials,)
        See `event_gains`.
    trials : Trials
    kernel : Kernel
    frame_times : ndarray of float64, (n,)
        s, session clock.
    rate_hz : float
        Nominal frame rate.

    Returns
    -------
    ndarray of float64, (n,)
        In z.
    """
    times = {
        "stimOn_times": trials.stimulus,
        "firstMovement_times": trials.first_movement,
        "feedback_times": trials.feedback,
    }
    train = np.zeros(len(frame_times))
    for event, gain in gains.items():
        train += event_train(frame_positions(times[event], frame_times), gain, len(frame_times))
    return responses_to(train, kernel_samples(kernel, rate_hz))


def frame_positions(times: Floats, frame_times: Floats) -> Floats:
    """Return times as fractional frame numbers; not a number outside the recording."""
    return np.interp(times, frame_times, np.arange(len(frame_times), dtype=np.float64), left=np.nan, right=np.nan)


def kernel_samples(kernel: Kernel, rate_hz: float) -> Floats:
    """Return a kernel on the frame grid."""
    return kernel(np.arange(int(KERNEL_S * rate_hz)) / rate_hz)


def background_signal(rng: np.random.Generator, n: int, rate_hz: float, kernel: Kernel) -> Floats:
    """Return ongoing activity: coloured noise and spontaneous transients of the target's kernel.

    Returns
    -------
    ndarray of float64, (n,)
        Mean 0, standard deviation 1.
    """
    noise = coloured_noise(rng, n, rate_hz, _BACKGROUND_EXPONENT, _BACKGROUND_BAND_HZ)
    times = poisson_times(rng, _SPONTANEOUS_RATE_HZ, n / rate_hz)
    train = event_train(times * rate_hz, rng.exponential(1.0, len(times)), n)
    transients = standardised(responses_to(train, kernel_samples(kernel, rate_hz)))
    return standardised(noise + _SPONTANEOUS_SHARE * transients)


def variance_budget(evoked: Floats, noise: float) -> Budget:
    """Solve for the background that gives the corrected signal unit variance, so that planted gains come out in z.

    Parameters
    ----------
    evoked : ndarray of float64, (n,)
        See `evoked_signal`.
    noise : float
        Variance that camera and correction add, in units of the squared signal scale.
    """
    events = float(np.var(evoked))
    background = max(_SMALLEST_BACKGROUND, 1 - events - noise)
    return Budget(events, background, noise, 1 / float(np.sqrt(max(1.0, events + background + noise))))
