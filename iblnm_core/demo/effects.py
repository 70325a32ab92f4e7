"""What is planted in each target: the shape of its responses and how task variables change their size. Numbers only."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

EVENTS = ("stimOn_times", "firstMovement_times", "feedback_times")
"""Events with a planted response, as the trial table names them."""

KERNEL_S = 6.0
_REBOUND_DECAY_S = 1.5
EARLY_WINDOW_S = (0.10, 0.35)
"""A gain of 1 is a mean response of 1 z in this window after the event."""


@dataclass(frozen=True)
class Kernel:
    """The shape of a response: rise and decay after a latency, all in seconds.

    `rebound` is the share of the response that is taken back by a slower one of the opposite sign.
    """

    latency: float
    rise: float
    decay: float
    rebound: float = 0.0

    def __call__(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the response (z per unit gain) at times after the event (s)."""
        since = np.maximum(times - self.latency, 0.0)
        shape: NDArray[np.float64] = np.exp(-since / self.decay) - np.exp(-since / self.rise)
        slow: NDArray[np.float64] = np.exp(-since / _REBOUND_DECAY_S) - np.exp(-since / self.decay)
        return (shape - self.rebound * slow) / self._early_mean

    @property
    def _early_mean(self) -> float:
        start, end = (edge - self.latency for edge in EARLY_WINDOW_S)
        decay = self.decay * (np.exp(-start / self.decay) - np.exp(-end / self.decay))
        rise = self.rise * (np.exp(-start / self.rise) - np.exp(-end / self.rise))
        return float(decay - rise) / (end - start)


@dataclass(frozen=True)
class Effect:
    """Gain of the response to one event, in z: its mean, and its change with the task variables.

    `contrast` is per rank step; `side` and `choice` from ipsilateral to contralateral; `reward` from error to correct.
    """

    mean: float
    contrast: float = 0.0
    side: float = 0.0
    choice: float = 0.0
    reward: float = 0.0
    contrast_side: float = 0.0
    contrast_reward: float = 0.0


@dataclass(frozen=True)
class TargetEffects:
    """All that is planted in recordings of one target.

    Attributes
    ----------
    label : str
        Region and neuromodulator.
    kernel : Kernel
    stimulus, feedback : Effect
    movement : Effect or None
        None where nothing responds to the first movement.
    signal_scale : float
        Relative to a strong recording.
    """

    label: str
    kernel: Kernel
    stimulus: Effect
    movement: Effect | None
    feedback: Effect
    signal_scale: float = 1.0

    def effect(self, event: str) -> Effect | None:
        """Return the planted effect of an event of `EVENTS`."""
        return {
            "stimOn_times": self.stimulus,
            "firstMovement_times": self.movement,
            "feedback_times": self.feedback,
        }[event]


_DORSAL_RAPHE = Kernel(0.05, 0.12, 0.90)
_BASAL_FOREBRAIN = Kernel(0.03, 0.06, 0.40)

TARGET_EFFECTS: Mapping[str, TargetEffects] = MappingProxyType(
    {
        "VTA": TargetEffects(
            "VTA-DA",
            Kernel(0.03, 0.05, 0.35),
            stimulus=Effect(0.80, contrast=0.25, side=0.15, contrast_side=0.05),
            movement=None,
            feedback=Effect(0.90, contrast=-0.05, reward=1.80, contrast_reward=-0.25),
        ),
        "SNc": TargetEffects(
            "SNc-DA",
            Kernel(0.03, 0.05, 0.30),
            stimulus=Effect(0.60, contrast=0.15, side=0.50, contrast_side=0.10),
            movement=Effect(0.35, choice=0.30),
            feedback=Effect(0.50, reward=1.00, contrast_reward=-0.10),
        ),
        "DR": TargetEffects(
            "DR-5HT",
            _DORSAL_RAPHE,
            stimulus=Effect(0.30, contrast=0.05),
            movement=None,
            feedback=Effect(0.80, reward=0.60, contrast_reward=-0.10),
        ),
        "LC": TargetEffects(
            "LC-NE",
            Kernel(0.04, 0.08, 0.50),
            stimulus=Effect(0.40, contrast=0.20, side=0.10),
            movement=Effect(0.30),
            feedback=Effect(0.50, reward=-0.60, contrast_reward=0.10),
        ),
        "NBM": TargetEffects(
            "NBM-ACh",
            _BASAL_FOREBRAIN,
            stimulus=Effect(0.50, contrast=0.10, side=0.60, contrast_side=0.10),
            movement=Effect(0.40),
            feedback=Effect(0.70, contrast=-0.05, reward=0.90),
        ),
        # weak fibres, as some real ones are
        "MR": TargetEffects(
            "MR-5HT",
            _DORSAL_RAPHE,
            stimulus=Effect(0.20, contrast=0.05),
            movement=None,
            feedback=Effect(0.50, reward=0.30),
            signal_scale=0.25,
        ),
        "SI": TargetEffects(
            "SI-ACh",
            _BASAL_FOREBRAIN,
            stimulus=Effect(0.30, contrast=0.05, side=0.30),
            movement=Effect(0.30),
            feedback=Effect(0.40, reward=0.50),
            signal_scale=0.25,
        ),
    }
)
"""Planted effects by bare region. In midline targets every side effect is zero, because sides are."""

REACTION_TIME_SLOPE = -0.60
"""Change of the stimulus response per tenfold reaction time, z, in all targets."""
REFERENCE_REACTION_S = 0.19
SUBJECT_SD, SESSION_SD, TRIAL_SD = 0.35, 0.12, 0.30
"""Standard deviations of a gain between subjects, sessions of a subject, and trials of a session, z."""
LATENT_CONTRAST_SLOPE, LATENT_REWARD_SLOPE = 0.08, 0.25
"""How far the session's latent brain state moves the contrast effect (stimulus) and the reward effect (feedback), z."""
