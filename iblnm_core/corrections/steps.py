"""The steps of corrections as data, with their parameters and defaults. Nothing is computed here."""

from dataclasses import dataclass
from typing import Literal

Epoch = tuple[float, float]
"""Start (included) and end (excluded), s, session clock."""


@dataclass(frozen=True)
class LowPass:
    """Baseline: Butterworth low-pass, forwards and backwards, as the preprocessing step of a session has it."""

    cutoff_hz: float = 0.01
    order: int = 3
    padding_s: float | None = 100.0
    """Odd extension at either edge; None for the filter library's own."""


@dataclass(frozen=True)
class RobustLowpass:
    """Baseline: local straight lines with weights that leave positive excursions out."""

    cutoff_hz: float = 0.01
    block_s: float = 1.0
    above: float = 1.5
    """Residuals above the baseline lose all weight at so many robust standard deviations."""
    below: float = 4.685
    passes: int = 5


@dataclass(frozen=True)
class MonotoneBaseline:
    """Baseline: a sum of decaying exponentials with amplitudes that are not negative, with a rebound where one is needed."""

    block_s: float = 10.0
    n_time_constants: int = 10
    shortest_tau_s: float = 20.0
    longest_tau_recordings: float = 2.0
    rebound: bool = True
    """Whether a recovering term may be chosen."""
    rebound_ratio: float = 0.5
    """It is chosen where it makes the misfit smaller than this share."""
    rebound_shortest_tau_s: float = 60.0
    ridge: float = 1e-4
    above: float = 1.5
    below: float = 4.685
    passes: int = 5
    epoch: Epoch | None = None
    """Fit on these samples only, extrapolate to the others."""
    needs_epoch: bool = False


@dataclass(frozen=True)
class Polynomial:
    """Baseline: a polynomial through block medians; for comparison only."""

    degree: int = 4
    block_s: float = 10.0


Baseline = LowPass | RobustLowpass | MonotoneBaseline | Polynomial


@dataclass(frozen=True)
class MotionFit:
    """Subtract what the reference predicts: one slope for the whole recording."""

    norm: Literal["bisquare", "huber", "ols"] = "bisquare"
    c: float = 2.0
    fit_cutoff_hz: float | None = 1.0
    """Frequencies the slope is estimated from; None for all."""
    fit_highpass_hz: float | None = None
    reference_cutoff_hz: float | None = 3.0
    """Frequencies of the reference that are subtracted; None for all."""
    nonnegative: bool = True
    subtract_intercept: bool = False
    epoch: Epoch | None = None
    """Samples the slope is estimated from; None for all."""


@dataclass(frozen=True)
class SpectralGain:
    """Subtract what the reference predicts: a gain for each frequency; experimental."""

    rate_hz: float = 10.0
    segment_s: float = 20.0
    smoothed_bins: int = 5
    longest_lag_s: float = 2.0
    outlier: float = 3.0
    """Samples further from the line of one slope, in robust standard deviations, are replaced before the estimate."""


@dataclass(frozen=True)
class ControlFit:
    """Divide by a fit of raw reference and one exponential to the raw signal."""

    c: float = 1.4
    block_s: float = 0.5
    n_time_constants: int = 10
    shortest_tau_recordings: float = 0.02
    longest_tau_recordings: float = 1.0
    reference_cutoff_hz: float | None = 3.0


Step = Baseline | MotionFit | SpectralGain | ControlFit


@dataclass(frozen=True)
class Correction:
    """A named correction: an ordered list of steps.

    Attributes
    ----------
    name : str
    steps : tuple of step
        A baseline and, where there is one, a motion step; or a control fit alone.
    """

    name: str
    steps: tuple[Step, ...]

    @property
    def needs_reference(self) -> bool:
        """Whether it cannot do without a reference band."""
        return any(isinstance(step, MotionFit | SpectralGain | ControlFit) for step in self.steps)
