"""How the mouse turns the wheel: turns that make the choices, hesitations, idle bouts, and the encoder's account."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.demo.behaviour import Trials

Floats = NDArray[np.float64]

_RATE_HZ = 1000
_TURN_TIMES_SPEED = 0.84
_TWITCH_S, _TWITCH_SPEED = 0.05, 0.8
_IDLE_RATE_HZ = 0.06
_IDLE_S = (0.15, 0.5)
_IDLE_SPEED = 1.2
_QUIET_BEFORE_STIMULUS_S = 0.3
_COUNT_RAD = 2 * np.pi / 4096
_SAMPLE_JITTER_S = 0.9e-3
_AFTER_LAST_TRIAL_S = 2.0


@dataclass(frozen=True)
class Wheel:
    """Encoder samples: times (n,) float64 in s, irregular and increasing; positions (n,) float64 in rad."""

    timestamps: Floats
    position: Floats


@dataclass(frozen=True)
class _Bells:
    """Movements with velocity peak * sin(pi * (t - start) / duration) ** 2; arrays of one entry each."""

    start: Floats
    duration: Floats
    peak: Floats


def simulate_wheel(trials: Trials, rng: np.random.Generator) -> Wheel:
    """Simulate the wheel of a session.

    Turns start at the first movement, or after a hesitation that starts there, and end well after the response. The
    peak speed of a turn is the planted one, so the time from movement to response follows from it. Turns to the left
    are positive.

    Parameters
    ----------
    trials : Trials
    rng : numpy.random.Generator
        Of the session's wheel.
    """
    n = int((trials.end[-1] + _AFTER_LAST_TRIAL_S) * _RATE_HZ) + 1
    velocity = np.zeros(n)
    for bells in (_turns(trials), _twitches(trials), _idle_bouts(trials, rng, n / _RATE_HZ)):
        velocity += _velocity(bells, n)
    counts = np.rint(np.cumsum(velocity) / _RATE_HZ / _COUNT_RAD).astype(np.int64)
    # an encoder reports changes only
    kept = np.concatenate([[0], np.flatnonzero(np.diff(counts[:-1])) + 1, [n - 1]])
    timestamps = kept / _RATE_HZ + rng.uniform(0, _SAMPLE_JITTER_S, len(kept))
    return Wheel(timestamps, counts[kept] * _COUNT_RAD)


def _turns(trials: Trials) -> _Bells:
    chosen = trials.choice != 0
    peak = trials.peak_speed[chosen]
    start = trials.first_movement[chosen] + trials.hesitation[chosen]
    return _Bells(start, _TURN_TIMES_SPEED / peak, peak * trials.choice[chosen])


def _twitches(trials: Trials) -> _Bells:
    hesitates = trials.hesitation > 0
    start = trials.first_movement[hesitates]
    return _Bells(start, np.full(len(start), _TWITCH_S), _TWITCH_SPEED * trials.choice[hesitates])


def _idle_bouts(trials: Trials, rng: np.random.Generator, seconds: float) -> _Bells:
    """Return movements without a task, none between shortly before a stimulus and its feedback."""
    n = rng.poisson(_IDLE_RATE_HZ * seconds)
    start = rng.uniform(0, seconds, n)
    duration = rng.uniform(*_IDLE_S, n)
    peak = rng.normal(0, _IDLE_SPEED, n)
    trial = np.searchsorted(trials.feedback, start)
    next_quiet = np.append(trials.stimulus - _QUIET_BEFORE_STIMULUS_S, np.inf)[trial]
    free = start + duration < next_quiet
    return _Bells(start[free], duration[free], peak[free])


def _velocity(bells: _Bells, n: int) -> Floats:
    """Return the summed velocity (rad/s) on the sampling grid."""
    first = np.ceil(bells.start * _RATE_HZ).astype(np.int64)
    samples = np.floor((bells.start + bells.duration) * _RATE_HZ).astype(np.int64) - first + 1
    # all samples of all movements in one index
    owner = np.repeat(np.arange(len(samples)), samples)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(samples) - samples, samples)
    index = first[owner] + within
    phase = (index / _RATE_HZ - bells.start[owner]) / bells.duration[owner]
    values = bells.peak[owner] * np.sin(np.pi * phase) ** 2
    inside = (index >= 0) & (index < n)
    return np.bincount(index[inside], values[inside], minlength=n).astype(np.float64, copy=False)
