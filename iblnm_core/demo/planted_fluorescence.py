"""Two bands of one fibre with everything planted: neural signal, bleaching, motion, and what can be wrong with a reference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from iblnm_core.demo.identity import random_stream

Array = NDArray[np.float64]

RATE_HZ = 30.0
DURATION_S = 3600.0
REFERENCE_LEVEL = 0.6
_RISE_S, _DECAY_S = 0.08, 0.6
_SPONTANEOUS_HZ = 0.15
_MOTION_TAU_S = 2.0
_DIPS_PER_HOUR = 90
_DRIFT_TAU_S, _TONIC_TAU_S = 30.0, 120.0
_EDGE_S = 0.1
# what bleaches of either band: share and time constant (s) of two pools
_SIGNAL_POOLS = ((0.10, 150.0), (0.15, 1500.0))
_REFERENCE_POOLS = ((0.06, 250.0), (0.10, 2000.0))


@dataclass(frozen=True)
class Scenario:
    """What is planted; everything but rates and durations is relative to the baseline.

    Attributes
    ----------
    evoked, spontaneous : float
        Mean amplitude of neural events.
    bleaching : float
        Factor on what bleaches.
    recovery : float
        Share of the fluorescence that comes back, over 1200 s.
    motion : float
        Standard deviation of slow motion.
    dip, event_dip : float
        Depth of motion dips at random times, and at every event of both types.
    coupling : float
        Motion in the reference over motion in the signal.
    contamination : float
        Neural signal in the reference.
    noise, reference_noise : float
        White, per sample.
    drift, drift_coupling : float
        Standard deviation of a slow drift of the signal, and what the reference has of it.
    tonic : float
        Standard deviation of a slow neural signal.
    dark : float
        Offset of both bands, in units of the signal's first baseline value.
    lag_s : float
        Of the reference behind the signal.
    """

    evoked: float = 0.02
    spontaneous: float = 0.02
    bleaching: float = 1.0
    recovery: float = 0.0
    motion: float = 0.01
    dip: float = 0.0
    event_dip: float = 0.0
    coupling: float = 1.0
    contamination: float = 0.0
    noise: float = 0.004
    reference_noise: float = 0.004
    drift: float = 0.0
    drift_coupling: float = 0.0
    tonic: float = 0.0
    dark: float = 0.0
    lag_s: float = 0.0


_USUAL = Scenario()

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "clean": replace(_USUAL, motion=0.0),
        "bleaching": replace(_USUAL, motion=0.005, bleaching=2.2),
        "brightening": replace(_USUAL, motion=0.005, recovery=0.25),
        "motion": replace(_USUAL, motion=0.015, dip=0.04),
        "event_motion": replace(_USUAL, motion=0.012, event_dip=0.02),
        "large_transients": replace(_USUAL, evoked=0.10, spontaneous=0.12),
        "weak_reference": replace(_USUAL, coupling=0.15),
        "contaminated": replace(_USUAL, contamination=0.35),
        "inverted_ref": replace(_USUAL, contamination=-0.35),
        "noisy_reference": replace(_USUAL, reference_noise=0.02),
        "slow_mismatch": replace(_USUAL, motion=0.0065, drift=0.02, drift_coupling=-0.5),
        "tonic": replace(_USUAL, motion=0.006, tonic=0.03),
        "dark": replace(_USUAL, dark=0.55),
        "lagged": replace(_USUAL, lag_s=0.23),
    }
)
"""Planted recordings by name: what a name says, beside a little motion that both bands share; `clean` shares nothing."""


@dataclass(frozen=True)
class PlantedRecording:
    """Two bands and what was planted in them.

    Attributes
    ----------
    times, signal, reference : ndarray of float64, (n,)
        s; camera units, the signal 1 at its start.
    neural : ndarray of float64, (n,)
        Relative change that was planted.
    baseline : ndarray of float64, (n,)
        Of the signal, without dark offset.
    events, silent_events : ndarray of float64, (e,)
        Times of the events that evoke a response, and of the second type, which evokes none; s.
    dark : float
    """

    times: Array
    signal: Array
    reference: Array
    neural: Array
    baseline: Array
    events: Array
    silent_events: Array
    dark: float


def plant(scenario: Scenario, seed: int, duration_s: float = DURATION_S) -> PlantedRecording:
    """Simulate one fibre.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    duration_s : float

    Returns
    -------
    PlantedRecording
    """
    n = round(duration_s * RATE_HZ)
    times = np.arange(n) / RATE_HZ
    streams = {
        name: random_stream(seed, f"planted fluorescence|{name}")
        for name in ("events", "neural", "motion", "dips", "noise", "slow")
    }
    events, silent = _event_times(streams["events"], duration_s)
    neural = _neural(scenario, streams["neural"], events, n)
    neural += scenario.tonic * _wandering(streams["slow"], n, _TONIC_TAU_S)
    motion = scenario.motion * _wandering(streams["motion"], n, _MOTION_TAU_S)
    dips = streams["dips"].uniform(0, duration_s, round(_DIPS_PER_HOUR * duration_s / 3600))
    motion -= scenario.dip * _dips(dips, streams["dips"].uniform(0.4, 1.2, len(dips)), n)
    locked = np.sort(np.concatenate([events, silent])) + streams["dips"].uniform(0.0, 0.1, 2 * len(events))
    motion -= scenario.event_dip * _dips(locked, streams["dips"].uniform(0.4, 0.8, len(locked)), n)
    drift = scenario.drift * _wandering(streams["slow"], n, _DRIFT_TAU_S)
    lag = round(scenario.lag_s * RATE_HZ)
    shared = scenario.coupling * np.concatenate([np.zeros(lag), motion[: n - lag]]) + scenario.drift_coupling * drift
    signal_slow, reference_slow = (_slow(times, pools, scenario) for pools in (_SIGNAL_POOLS, _REFERENCE_POOLS))
    signal = signal_slow * (1 + motion + drift) * (1 + neural) + scenario.noise * streams["noise"].normal(size=n)
    reference = reference_slow * (1 + shared) * (1 + scenario.contamination * neural)
    reference += scenario.reference_noise * streams["noise"].normal(size=n)
    return PlantedRecording(
        times,
        signal + scenario.dark,
        REFERENCE_LEVEL * reference + scenario.dark,
        neural,
        signal_slow,
        events,
        silent,
        scenario.dark,
    )


def _event_times(rng: np.random.Generator, duration_s: float) -> tuple[Array, Array]:
    events = 5.0 + np.cumsum(rng.uniform(4, 8, round(duration_s / 4)))
    events = events[events < duration_s - 10]
    return events, events + rng.uniform(2, 3, len(events))


def _neural(scenario: Scenario, rng: np.random.Generator, events: Array, n: int) -> Array:
    """Return neural events, each the same kernel with peak 1 times an amplitude."""
    spontaneous = rng.uniform(0, n / RATE_HZ, rng.poisson(_SPONTANEOUS_HZ * n / RATE_HZ))
    amplitudes = np.concatenate(
        [
            scenario.evoked * _lognormal(rng, 0.4, len(events)),
            scenario.spontaneous * _lognormal(rng, 0.7, len(spontaneous)),
        ]
    )
    impulses = np.zeros(n)
    np.add.at(
        impulses, np.minimum(np.round(np.concatenate([events, spontaneous]) * RATE_HZ).astype(int), n - 1), amplitudes
    )
    after = np.arange(0, 6, 1 / RATE_HZ)
    kernel = (1 - np.exp(-after / _RISE_S)) * np.exp(-after / _DECAY_S)
    return np.convolve(impulses, kernel / kernel.max())[:n]


def _lognormal(rng: np.random.Generator, sigma: float, n: int) -> Array:
    """Return draws with mean 1."""
    return rng.lognormal(-(sigma**2) / 2, sigma, n)


def _wandering(rng: np.random.Generator, n: int, tau_s: float) -> Array:
    """Return an Ornstein-Uhlenbeck process with standard deviation 1."""
    from scipy.signal import lfilter

    memory = np.exp(-1 / (tau_s * RATE_HZ))
    steps = np.sqrt(1 - memory**2) * rng.normal(size=n)
    steps[0] = rng.normal()
    walk: Array = lfilter([1.0], [1.0, -memory], steps)
    return walk


def _dips(starts: Array, lengths: Array, n: int) -> Array:
    """Return dips of depth 1 with edges of a raised cosine."""
    dips = np.zeros(n)
    for start, length in zip(starts, lengths, strict=True):
        first = max(0, int(start * RATE_HZ))
        since = np.arange(first, min(n, int((start + length + _EDGE_S) * RATE_HZ) + 1)) / RATE_HZ - start
        inside = np.minimum(np.clip(since, 0, _EDGE_S), np.clip(length + _EDGE_S - since, 0, _EDGE_S)) / _EDGE_S
        dips[first : first + len(since)] += 0.5 - 0.5 * np.cos(np.pi * inside)
    return dips


def _slow(times: Array, pools: tuple[tuple[float, float], ...], scenario: Scenario) -> Array:
    lost = sum(share * (1 - np.exp(-times / tau)) for share, tau in pools)
    returned = scenario.recovery * (1 - np.exp(-times / 1200.0))
    slow: Array = (1 - scenario.bleaching * lost) * (1 + returned)
    return slow
