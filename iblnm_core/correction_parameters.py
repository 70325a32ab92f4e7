"""Numbers and choices of named corrections and of the transients in corrected signals. All other parameters stand in `parameters`."""

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
