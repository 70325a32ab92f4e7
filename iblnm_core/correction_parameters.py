"""Numbers and choices of named corrections and of what is found in corrected signals. All other parameters stand in `parameters`."""

from dataclasses import dataclass
from typing import Literal

CorrectionName = Literal[
    "reference", "robust", "dff_exp", "control_fit", "no_reference", "no_reference_exp", "spectral"
]


@dataclass(frozen=True)
class CorrectionParameters:
    """Named corrections of the signal: which are stored, and which one everything else is made from."""

    primary: CorrectionName = "robust"
    """Responses and models read this one. A fibre without reference band has `no_reference` instead, and says so."""
    stored: tuple[CorrectionName, ...] = ("reference", "robust", "dff_exp")
    """Stored side by side, beside the primary one."""
    dark: Literal["measured", "constant", "none"] = "measured"
    """What is subtracted as the camera's floor: what it shows without light, else what its range of values stands for; or nothing."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the corrections that are stored, the primary one first."""
        return tuple(dict.fromkeys((self.primary, *self.stored)))


@dataclass(frozen=True)
class TransientParameters:
    """Transients of a corrected trace: what counts as one, what is measured of it, in which windows they are counted."""

    threshold_sd: float = 5.0
    """Least height above the local level and least prominence, in standard deviations of the filtered noise."""
    cutoff_hz: float = 4.0
    """Transients are looked for and measured below this, or below 0.4 of a sampling rate that is too low for it."""
    level_window_s: int = 31
    """The local level is a running median over this window, of means over one second."""
    prominence_window_s: float = 10.0
    """Prominence is that within this window, the peak in its middle."""
    least_width_s: float = 0.1
    """At half prominence."""
    least_apart_s: float = 0.2
    from_mask_s: float = 0.5
    """No transient is found so close to a masked sample."""
    baseline_window_s: tuple[float, float] = (-1.0, -0.3)
    """Start (included) and end (excluded) relative to the peak."""
    decay_within_s: float = 3.0
    """A transient that takes longer to fall to half its amplitude has no decay."""
    compound_within_s: float = 2.0
    """Transients so close to another one are compound."""
    event_within_s: float = 5.0
    """A transient later than this after the last event belongs to none."""
    pre_window_s: tuple[float, float] = (-1.0, 0.0)
    """Start (included) and end (excluded) relative to the event, as those of the next two."""
    post_window_s: tuple[float, float] = (0.0, 1.0)
    late_window_s: tuple[float, float] = (1.0, 3.0)
    inverted_share: float = 0.5
    """Troughs more frequent than this share of the peaks make transients inseparable from fluctuation,"""
    fluctuating_per_min: float = 1.0
    """when peaks are more frequent than this,"""
    crowded_per_min: float = 30.0
    """and peaks as frequent as this are inseparable in any case."""


@dataclass(frozen=True)
class MeasureParameters:
    """What is measured of a response, and which numbers are to be trusted."""

    window_s: tuple[float, float] = (0.0, 1.0)
    """Start (included) and end (excluded), relative to the event, of where a response is looked for."""
    width_until_s: float = 3.0
    """A response that lasts longer has no width."""
    minimum_known_share: float = 0.8
    """With a smaller share (0-1) of known samples in the early window a response has no mean."""
    minimum_trial_share: float = 0.5
    """Samples of a mean trace that fewer trials know (0-1, of the best known sample) do not count."""
    smooth_hz: float = 3.0
    """Low-pass of the trace whose baseline is the unit of `peak_z`."""
    valid_peak_sds: float = 3.0
    """A smaller peak, in standard deviations of the baseline, may be noise."""
    n_draws: int = 500
    """Draws of trials behind the interval of a mean trace's measure."""


@dataclass(frozen=True)
class RegionPairParameters:
    """Measures of two traces of one session."""

    cutoff_hz: float = 8.0
    """Both traces are low-passed first, at 0.4 of their sampling rate at most."""
    least_common_s: float = 600.0
    """With less time in which neither trace is masked there are no measures."""
    longest_lag_s: float = 2.0
    n_shifts: int = 200
    """Of one trace against the other, for the correlation that chance and slow waves make."""
    least_shift_s: float = 30.0
    segment_s: float = 20.0
    """Of the spectra."""
    slow_band_hz: tuple[float, float] = (0.1, 1.0)
    fast_band_hz: tuple[float, float] = (1.0, 4.0)
    event_window_s: tuple[float, float] = (-0.5, 2.0)
    """What belongs to the response to an event: start (included) and end (excluded)."""
    suspect_ratio: float = 0.5
    """References that correlate by more than this share of the traces make the pair suspect."""
