"""From a neural signal to camera counts of one ROI: artefacts, drift, bleaching, shot noise, quantisation."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from iblnm_core.demo.behaviour import SessionState, Trials
from iblnm_core.demo.camera import BLACK_LEVEL, RATE_HZ, Frames
from iblnm_core.demo.effects import TargetEffects
from iblnm_core.demo.noise import coloured_noise, event_train, poisson_times, responses_to, standardised
from iblnm_core.demo.plan import Deviation
from iblnm_core.demo.signal import (
    Budget,
    EventGains,
    background_signal,
    event_gains,
    evoked_signal,
    frame_positions,
    variance_budget,
)

Floats = NDArray[np.float64]

_SHOT_NOISE = 2.5e-8
_ARTEFACT_EXPONENT, _ARTEFACT_BAND_HZ = 1.5, (0.02, 4.0)
_ARTEFACT_DECAY_S, _ARTEFACT_MOVEMENT_SHARE = 0.25, -0.25
_JUMP_RATE_HZ, _JUMP_SIZE = 1 / 300, 8.0
_DRIFT_SD, _DRIFT_BAND_HZ = 0.0015, (1 / 600, 0.008)
_ISOSBESTIC_TAU_RATIO = 1.3
_PIXELS = (10_000, 32_000)
_REBOUND = 0.5


@dataclass(frozen=True)
class Optics:
    """What a fibre, its tissue and its patch cord are like in one session.

    Attributes
    ----------
    sigma, artefact_sd : float
        Scale of the neural signal and of the artefacts, relative change (ΔF/F).
    iso_slope : float
        Artefacts in the signal band per artefact in the isosbestic band.
    level_gcamp, level_iso : float
        Fluorescence above the black level, after bleaching.
    bleaching_tau : float
        s, of the signal band.
    bleach_gcamp, bleach_iso : float
        Bleaching amplitude relative to the level.
    quantum : float
        Smallest step of the counts.
    """

    sigma: float
    artefact_sd: float
    iso_slope: float
    level_gcamp: float
    level_iso: float
    bleaching_tau: float
    bleach_gcamp: float
    bleach_iso: float
    quantum: float


@dataclass(frozen=True)
class RoiRecording:
    """One recorded ROI and the truth about it.

    Attributes
    ----------
    counts : ndarray of float64, (n_frames,)
    optics : Optics
    budget : Budget
    gains : EventGains
    evoked : ndarray of float64, (n_frames,)
        Noise-free responses, z.
    iso_slope_expected : float
        What least squares finds for the isosbestic slope: artefacts and responses both go with movement.
    """

    counts: Floats
    optics: Optics
    budget: Budget
    gains: EventGains
    evoked: Floats
    iso_slope_expected: float


def simulate_roi(
    target: TargetEffects,
    sign: int,
    trials: Trials,
    state: SessionState,
    frames: Frames,
    of_subject: dict[str, float],
    rng: np.random.Generator,
    deviation: Deviation | None = None,
) -> RoiRecording:
    """Simulate what the camera records from one fibre.

    Parameters
    ----------
    target : TargetEffects
    sign : int
        Of the fibre's side; see `signal.side_sign`.
    trials, state, frames
        Of the session.
    of_subject : dict of str to float
        See `signal.subject_effects`.
    rng : numpy.random.Generator
        Of the recording.
    deviation : str, optional
        What the recording does that no model assumes.
    """
    n = len(frames)
    if deviation == "rebound":
        target = replace(target, kernel=replace(target.kernel, rebound=_REBOUND))
    elapsed = frames.times - frames.times[0]
    optics = _draw_optics(rng, target.signal_scale, float(elapsed[-1]))
    gains = event_gains(target, sign, trials, state, of_subject, rng)
    evoked = evoked_signal(gains.total, trials, target.kernel, frames.times, RATE_HZ)
    gcamp, iso = _fluorescence(optics, elapsed)
    shot_gcamp, shot_iso = _relative_shot_noise(gcamp), _relative_shot_noise(iso)
    noise_in_reference = shot_iso / (optics.artefact_sd**2 + shot_iso)
    left_behind = optics.iso_slope**2 * optics.artefact_sd**2 * noise_in_reference
    budget = variance_budget(evoked, (shot_gcamp + left_behind) / optics.sigma**2)
    z = evoked + np.sqrt(budget.background) * background_signal(rng, n, RATE_HZ, target.kernel)
    artefact = optics.artefact_sd * _artefact(rng, trials, frames)
    shared = artefact + _DRIFT_SD * coloured_noise(rng, n, RATE_HZ, 2.0, _DRIFT_BAND_HZ)
    # what moves one band only, no reference can take out
    own = optics.artefact_sd * _artefact(rng, trials, frames) if deviation == "one_band_motion" else 0.0
    gcamp = gcamp * (1 + optics.sigma * z + optics.iso_slope * shared + own)
    iso = iso * (1 + shared)
    confounded = optics.sigma * float(np.mean((z - z.mean()) * artefact)) / (optics.artefact_sd**2 + shot_iso)
    return RoiRecording(
        counts=_expose(rng, gcamp, iso, optics.quantum),
        optics=optics,
        budget=budget,
        gains=gains,
        evoked=evoked,
        iso_slope_expected=optics.iso_slope * (1 - noise_in_reference) + confounded,
    )


def _draw_optics(rng: np.random.Generator, signal_scale: float, duration_s: float) -> Optics:
    return Optics(
        sigma=signal_scale * rng.lognormal(np.log(0.007), 0.30),
        artefact_sd=rng.lognormal(np.log(0.0045), 0.45),
        iso_slope=rng.uniform(0.5, 1.1),
        level_gcamp=rng.lognormal(np.log(0.005), 0.35),
        level_iso=rng.lognormal(np.log(0.009), 0.30),
        # bleaching that goes on much longer than the recording cannot be told from none
        bleaching_tau=rng.uniform(0.2, 0.6) * duration_s,
        bleach_gcamp=rng.uniform(0.10, 0.35),
        bleach_iso=rng.uniform(0.08, 0.25),
        quantum=1 / (255 * int(rng.integers(*_PIXELS, endpoint=True))),
    )


def _fluorescence(optics: Optics, elapsed: Floats) -> tuple[Floats, Floats]:
    """Return the resting fluorescence of both bands, black level included."""
    gcamp = 1 + optics.bleach_gcamp * np.exp(-elapsed / optics.bleaching_tau)
    iso = 1 + optics.bleach_iso * np.exp(-elapsed / (_ISOSBESTIC_TAU_RATIO * optics.bleaching_tau))
    return BLACK_LEVEL + optics.level_gcamp * gcamp, BLACK_LEVEL + optics.level_iso * iso


def _relative_shot_noise(fluorescence: Floats) -> float:
    """Return the mean variance of the shot noise as relative change."""
    return float(np.mean(_SHOT_NOISE * (fluorescence - BLACK_LEVEL) / fluorescence**2))


def _artefact(rng: np.random.Generator, trials: Trials, frames: Frames) -> Floats:
    """Return what movement does to both bands, mean 0 and standard deviation 1: slow, at movements, and in jumps."""
    n = len(frames)
    decay = np.exp(-np.arange(int(12 * _ARTEFACT_DECAY_S * RATE_HZ)) / (RATE_HZ * _ARTEFACT_DECAY_S))
    noise = coloured_noise(rng, n, RATE_HZ, _ARTEFACT_EXPONENT, _ARTEFACT_BAND_HZ)
    moved = frame_positions(trials.first_movement, frames.times)
    bumps = standardised(responses_to(event_train(moved, np.ones(len(moved)), n), decay))
    jumps = poisson_times(rng, _JUMP_RATE_HZ, n / RATE_HZ) * RATE_HZ
    jumped = responses_to(event_train(jumps, rng.normal(0, _JUMP_SIZE, len(jumps)), n), decay)
    return standardised(noise + _ARTEFACT_MOVEMENT_SHARE * bumps + jumped)


def _expose(rng: np.random.Generator, gcamp: Floats, iso: Floats, quantum: float) -> Floats:
    """Return the counts of all frames: both bands in turn after a first frame that sees both."""
    light = np.where(np.arange(len(gcamp)) % 2, gcamp, iso)
    light[0] = gcamp[0] + iso[0] - BLACK_LEVEL
    variance = _SHOT_NOISE * np.maximum(light - BLACK_LEVEL, 0)
    noisy = light + np.sqrt(variance) * rng.standard_normal(len(light), dtype=np.float32)
    counts: Floats = np.maximum(np.rint(noisy / quantum) * quantum, BLACK_LEVEL)
    return counts
