"""What a correction comes to: the corrected trace, how it was fitted, and its units. Nothing is estimated here."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.normalisation import Unit
from iblnm_core.corrections.steps import Correction
from iblnm_core.errors import ConstantSignal

Array = NDArray[np.float64]
Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class FitRecord:
    """How a correction was fitted; None where it has no such part.

    Attributes
    ----------
    slope, intercept : float or None
        Of the signal on the reference, as estimated; of `control_fit` that of raw values, camera units.
    slope_clipped : bool
        The slope was negative: the reference was not used.
    slope_ols, reference_r : float or None
        Slope of plain least squares, and correlation, of the traces the slope was estimated from.
    iterations : int
        Passes of the robust fit.
    scale : float or None
        Robust standard deviation of its residuals.
    rebound : bool
        Whether the baseline of the signal has a recovering term.
    tau_s : float or None
        Mean time constant of the decay.
    denominator_ratio : float or None
        Least over median of what the signal was divided by.
    extrapolation : float or None
        Recording over baseline epoch, durations.
    baseline_times : ndarray of float64, (m,), or None
        s, session clock, one per second.
    baseline_signal, baseline_reference : ndarray of float64, (m,), or None
        Camera units above dark; of `control_fit` the fit.
    motion_times : ndarray of float64, (k,), or None
        s, session clock, ten per second.
    motion : ndarray of float64, (k,), or None
        What was subtracted, relative change; of `control_fit` the fitted part of the reference over the fit.
    weight : ndarray of float64, (k,), or None
        Final weights of the robust fit at the same times.
    """

    slope: float | None = None
    intercept: float | None = None
    slope_clipped: bool = False
    slope_ols: float | None = None
    reference_r: float | None = None
    iterations: int = 0
    scale: float | None = None
    rebound: bool = False
    tau_s: float | None = None
    denominator_ratio: float | None = None
    extrapolation: float | None = None
    baseline_times: Array | None = None
    baseline_signal: Array | None = None
    baseline_reference: Array | None = None
    motion_times: Array | None = None
    motion: Array | None = None
    weight: Array | None = None


@dataclass(frozen=True)
class Corrected:
    """The result of one correction.

    Attributes
    ----------
    correction : Correction
    status : {'ok', 'failed', 'skipped'}
    reason : str or None
        Name of the error unless ok.
    message : str or None
        What was found and what was expected unless ok.
    times, dff : ndarray of float64, (n,)
        s, session clock; fraction, not a number at masked samples and next to them. Empty unless ok.
    fit : FitRecord
    mean, sd, median, mad_sd, noise_sd : float
        Of `dff`; the fourth is 1.4826 times the median absolute deviation. Not a number unless ok.
    n_samples, n_masked : int
        All samples, and masked ones.
    """

    correction: Correction
    status: Status
    reason: str | None = None
    message: str | None = None
    times: Array = field(default_factory=lambda: np.empty(0))
    dff: Array = field(default_factory=lambda: np.empty(0))
    fit: FitRecord = field(default_factory=FitRecord)
    mean: float = np.nan
    sd: float = np.nan
    median: float = np.nan
    mad_sd: float = np.nan
    noise_sd: float = np.nan
    n_samples: int = 0
    n_masked: int = 0

    @property
    def name(self) -> str:
        """Return the name of the correction."""
        return self.correction.name

    def in_unit(self, unit: Unit) -> Array:
        """Return the trace in a unit.

        Parameters
        ----------
        unit : {'dff', 'z', 'z_mad', 'noise'}

        Returns
        -------
        ndarray of float64, (n,)

        Raises
        ------
        ConstantSignal
            When the trace has no such scale.
        """
        if unit == "dff":
            return self.dff
        centre = self.mean if unit == "z" else self.median
        scale = {"z": self.sd, "z_mad": self.mad_sd, "noise": self.noise_sd}[unit]
        if not scale > 0:
            raise ConstantSignal(f"{self.name} has no scale for {unit}: {self.message or scale}")
        return (self.dff - centre) / scale
