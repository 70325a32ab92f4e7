"""The raw signal divided by a fit of the raw reference and one exponential. For comparison, never a primary correction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.baselines import block_means, block_places
from iblnm_core.corrections.motion import lowpassed, whole_blocks
from iblnm_core.corrections.robust import RobustFit, robust_regression
from iblnm_core.corrections.steps import ControlFit
from iblnm_core.corrections.traces import SHORTEST_BASELINE_S, Traces
from iblnm_core.errors import AllSamplesMasked, TooShortForBaseline

Array = NDArray[np.float64]

_FEWEST_BLOCKS = 20


@dataclass(frozen=True)
class Control:
    """The fit to a raw signal.

    Attributes
    ----------
    fitted : ndarray of float64, (n,)
        Camera units.
    smooth_reference : ndarray of float64, (n,)
        The raw reference it was evaluated with, camera units.
    fit : RobustFit
        Coefficients of raw reference and exponential, and the constant.
    tau_s : float
        Of the exponential.
    weight_places : ndarray of float64, (k,)
        Where the weights of the fit belong, in samples.
    """

    fitted: Array
    smooth_reference: Array
    fit: RobustFit
    tau_s: float
    weight_places: Array


def fit_control(traces: Traces, step: ControlFit) -> Control:
    """Fit raw reference and one exponential to the raw signal.

    Parameters
    ----------
    traces : Traces
    step : ControlFit

    Returns
    -------
    Control

    Raises
    ------
    MissingReference, TooShortForBaseline, AllSamplesMasked
    """
    rate = traces.rate_hz
    kept_s = np.count_nonzero(traces.kept) / rate
    if kept_s < SHORTEST_BASELINE_S:
        raise TooShortForBaseline(f"{kept_s:.0f} s of good samples; expected at least {SHORTEST_BASELINE_S:.0f} s")
    signal, reference = traces.channel("signal"), traces.channel("reference")
    size = max(1, round(step.block_s * rate))
    good = whole_blocks(traces.kept, size)
    if np.count_nonzero(good) < _FEWEST_BLOCKS:
        raise AllSamplesMasked(f"{np.count_nonzero(good)} whole blocks for the fit; expected {_FEWEST_BLOCKS}")
    places = block_places(len(good), size)[good]
    y, x, t = block_means(signal, size)[good], block_means(reference, size)[good], places / rate
    duration = len(signal) / rate
    bounds = step.shortest_tau_recordings * duration, step.longest_tau_recordings * duration
    taus = np.geomspace(*bounds, step.n_time_constants)
    tau = float(min(taus, key=lambda candidate: _misfit(x, t, y, candidate)))
    fit = robust_regression(np.stack([x, np.exp(-t / tau)]), y, "bisquare", step.c)
    cutoff = step.reference_cutoff_hz
    smooth = reference if cutoff is None else lowpassed(reference, cutoff, rate)
    slope, amplitude, constant = fit.coefficients
    fitted = slope * smooth + amplitude * np.exp(-np.arange(len(signal)) / (rate * tau)) + constant
    return Control(fitted, smooth, fit, tau, places)


def _misfit(reference: Array, times: Array, target: Array, tau: float) -> float:
    residual = robust_regression(np.stack([reference, np.exp(-times / tau)]), target, "ols")
    slope, amplitude, constant = residual.coefficients
    left = target - slope * reference - amplitude * np.exp(-times / tau) - constant
    return float(left @ left)
