"""What a video of the synthetic mouse would give: key points that follow wheel, stimuli and rewards, and motion energy."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from iblnm_core.demo.behaviour import Trials
from iblnm_core.demo.files import Content
from iblnm_core.demo.noise import coloured_noise
from iblnm_core.demo.wheel import Wheel

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

POSE = "alf/_ibl_leftCamera.lightningPose.pqt"
MOTION_ENERGY = "alf/leftCamera.ROIMotionEnergy.npy"

PLANTED_LAG_S = 0.040
"""By how much the paws lead the wheel."""

_RATE_HZ = 60.0
_TRACKING_NOISE_PX = 0.15
_PIXELS_PER_RADIAN, _REACH_PX = 60.0, 80.0
_OCCLUSIONS_PER_S, _OCCLUSION_S, _MISPLACED_PX = 0.08, 0.2, 60.0
_TWITCH_DELAY_S, _TWITCH_S, _TWITCH_PX, _TWITCH_SPREAD = 0.06, 0.35, 8.0, 0.25
_LICK_RATE_HZ, _LICK_PX, _FIRST_LICK_S, _LICKING_S = 7.0, 25.0, 0.05, 1.2
_IDLE_LICKING_S, _IDLE_LEAD_S, _IDLE_SHARE = 0.6, (0.5, 0.7), 0.2
_ENERGY_LEVEL, _ENERGY_NOISE, _ENERGY_PER_RADIAN, _ENERGY_OF_TWITCH = 4.0, 0.4, 0.8, 1.5


def simulate_pose(trials: Trials, wheel: Wheel, camera_times: Floats, rng: np.random.Generator) -> dict[str, Content]:
    """Return the pose and motion energy of a session, by path below its folder.

    Parameters
    ----------
    trials : Trials
    wheel : Wheel
    camera_times : ndarray of float64, (n,)
        s, session clock.
    rng : numpy.random.Generator
        Of the session's pose.

    Returns
    -------
    dict of str to Content
        Table of five key points (px, likelihood) and vector of motion energy, float32, one entry per frame.
    """
    n = len(camera_times)
    turned = np.interp(camera_times + PLANTED_LAG_S, wheel.timestamps, wheel.position)
    # sessions differ in how much the nose moves
    twitch = _twitch(trials, camera_times) * np.exp(rng.normal(0, _TWITCH_SPREAD))
    licking, stroke = _licks(trials, camera_times, rng)
    out = np.where(licking, 0.98, 0.03)
    columns: dict[str, NDArray[np.float32]] = {}
    for name, x, y in (("paw_l", 420.0, 610.0), ("paw_r", 510.0, 600.0)):
        occluded = _bouts(camera_times, rng)
        places = x + _folded(_PIXELS_PER_RADIAN * turned), np.full(n, y)
        columns |= _key_point(name, *places, np.where(occluded, 0.3, 0.99), rng)
    columns |= _key_point("nose_tip", 330.0 + _TWITCH_PX * twitch, np.full(n, 420.0), np.full(n, 0.99), rng)
    for name, x in (("tongue_end_l", 350.0), ("tongue_end_r", 362.0)):
        columns |= _key_point(name, np.full(n, x), 470.0 + _LICK_PX * stroke, out, rng)
    return {POSE: pa.table(columns), MOTION_ENERGY: _motion_energy(turned, twitch, camera_times, rng)}


def _key_point(
    name: str, x: Floats, y: Floats, likelihood: Floats, rng: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Return the columns of a key point: with noise where it is seen, somewhere else where it is not."""
    lost = likelihood < 0.5
    spread = np.where(lost, _MISPLACED_PX, _TRACKING_NOISE_PX)
    noisy = [place + spread * rng.standard_normal(len(place)) for place in (x, y)]
    sureness = likelihood + rng.uniform(-0.01, 0.01, len(x))
    values = (*noisy, sureness)
    return {f"{name}_{part}": v.astype(np.float32) for part, v in zip(("x", "y", "likelihood"), values, strict=True)}


def _folded(path: Floats) -> Floats:
    """Return a path that turns round wherever it would leave its reach, px: its steps keep their length."""
    folded: Floats = _REACH_PX * np.abs((path / _REACH_PX) % 2 - 1)
    return folded


def _bouts(times: Floats, rng: np.random.Generator) -> Booleans:
    """Return when a paw cannot be seen."""
    duration = times[-1] - times[0]
    starts = np.sort(times[0] + rng.uniform(0, duration, rng.poisson(_OCCLUSIONS_PER_S * duration)))
    return _since(times, starts) < _OCCLUSION_S


def _since(times: Floats, events: Floats) -> Floats:
    """Return the time since the latest event, s; infinite before the first."""
    latest = np.append(-np.inf, events)[np.searchsorted(events, times, side="right")]
    elapsed: Floats = times - latest
    return elapsed


def _twitch(trials: Trials, times: Floats) -> Floats:
    """Return how far the nose is moved by stimuli (0-1)."""
    phase = (_since(times, trials.stimulus) - _TWITCH_DELAY_S) / _TWITCH_S
    inside = (phase > 0) & (phase < 1)
    return np.where(inside, np.sin(np.pi * np.where(inside, phase, 0.0)) ** 2, 0.0)


def _licks(trials: Trials, times: Floats, rng: np.random.Generator) -> tuple[Booleans, Floats]:
    """Return when the tongue is out and how far (0-1): after every reward, and before some stimuli."""
    idle = rng.random(len(trials)) < _IDLE_SHARE
    rewarded = _since(times, trials.feedback[trials.correct] + _FIRST_LICK_S)
    before = _since(times, trials.stimulus[idle] - rng.uniform(*_IDLE_LEAD_S, int(idle.sum())))
    after_reward, idly = rewarded < _LICKING_S, before < _IDLE_LICKING_S
    busy = after_reward | idly
    since = np.where(after_reward, rewarded, np.where(idly, before, 0.0))
    phase = since * _LICK_RATE_HZ % 1
    return busy & (phase < 0.5), np.sin(np.pi * phase) ** 2


def _motion_energy(turned: Floats, twitch: Floats, times: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the motion energy: slow noise, and bumps where something moves."""
    turning = np.abs(np.gradient(turned, times))
    noise = coloured_noise(rng, len(times), _RATE_HZ, 1.0, (0.01, _RATE_HZ / 2))
    energy = _ENERGY_LEVEL + _ENERGY_NOISE * noise + _ENERGY_PER_RADIAN * turning + _ENERGY_OF_TWITCH * twitch
    return energy.astype(np.float32)
