"""How fast a recording bleaches: the time constant of an exponential through a raw band. Descriptive; corrects nothing."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.parameters import BleachingFitParameters

Array = NDArray[np.float64]

Verdict = Literal["ok", "no decay", "slower than the recording", "faster than the shortest", "too short"]
"""What a fit came to; only `ok` has a time constant."""

_CANDIDATES = 48
_FEWEST_BINS = 20


@dataclass(frozen=True)
class BleachingFit:
    r"""An exponential $A e^{-(t - t_0)/\tau} + B$ through a band.

    Attributes
    ----------
    tau_s : float
        Not a number unless the verdict is `ok`.
    amplitude : float
        A, in units of the band: what bleaches from the first sample on.
    r_squared : float
        Share of the variance of the binned band that the curve explains.
    verdict : str
    """

    tau_s: float
    amplitude: float
    r_squared: float
    verdict: Verdict


def fit_bleaching(times: Array, values: Array, parameters: BleachingFitParameters) -> BleachingFit:
    """Fit an exponential decay to a raw band by least squares.

    For a given time constant amplitude and level are linear, so only the time constant is searched, between bounds; see
    `docs/methods/signal_quality.md`.

    Parameters
    ----------
    times, values : ndarray of float64, (n,)
        s, increasing; camera units.
    parameters : BleachingFitParameters

    Returns
    -------
    BleachingFit
        A curve that does not fall, or a time constant at a bound, is no decay that the recording can tell; the verdict
        says which.
    """
    from scipy.optimize import minimize_scalar

    duration = float(times[-1] - times[0])
    t, y = _binned(times - times[0], values, parameters.bin_s)
    if len(t) < _FEWEST_BINS or duration <= parameters.shortest_tau_s:
        return BleachingFit(np.nan, np.nan, np.nan, "too short")
    spread = float(y.std())
    if spread == 0:
        return BleachingFit(np.nan, 0.0, np.nan, "no decay")
    standard = (y - y.mean()) / spread
    bounds = np.log([parameters.shortest_tau_s, parameters.longest_tau_recordings * duration])
    grid = np.linspace(bounds[0], bounds[1], _CANDIDATES)
    losses = [_fit_given(t, standard, tau)[0] for tau in np.exp(grid)]
    best = int(np.argmin(losses))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda log_tau: _fit_given(t, standard, np.exp(log_tau))[0],
        bounds=around,
        method="bounded",
        options={"xatol": 1e-6},
    )
    tau = float(np.exp(found.x))
    loss, amplitude = _fit_given(t, standard, tau)
    verdict = _verdict(float(found.x), amplitude, bounds)
    return BleachingFit(tau if verdict == "ok" else np.nan, amplitude * spread, 1 - loss, verdict)


def _verdict(log_tau: float, amplitude: float, bounds: Array) -> Verdict:
    close = 1e-3
    if not amplitude > 0:
        return "no decay"
    if log_tau > bounds[1] - close:
        return "slower than the recording"
    return "faster than the shortest" if log_tau < bounds[0] + close else "ok"


def _binned(times: Array, values: Array, bin_s: float) -> tuple[Array, Array]:
    """Return times and values averaged over consecutive runs of samples, as many as fit into a bin."""
    per_bin = max(1, round(bin_s / float(np.median(np.diff(times)))))
    n = len(times) // per_bin
    shape = (n, per_bin)
    return times[: n * per_bin].reshape(shape).mean(axis=1), values[: n * per_bin].reshape(shape).mean(axis=1)


def _fit_given(times: Array, standard: Array, tau: float) -> tuple[float, float]:
    """Return mean squared error and amplitude of the best curve with a given time constant, of data with mean 0, SD 1."""
    curve = np.exp(-times / tau)
    curve -= curve.mean()
    power = float(curve @ curve)
    amplitude = float(curve @ standard) / power
    return 1 - amplitude**2 * power / len(standard), amplitude
