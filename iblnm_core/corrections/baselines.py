"""Slow expected fluorescence of a band: low-pass, robust low-pass, monotone, polynomial."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.masks import Flags
from iblnm_core.corrections.robust import NORMAL_MAD, bisquare, median, row_medians
from iblnm_core.corrections.steps import Baseline, LowPass, MonotoneBaseline, Polynomial, RobustLowpass
from iblnm_core.corrections.traces import SHORTEST_BASELINE_S, Traces
from iblnm_core.errors import DegenerateDenominator, DegenerateSignal, TooShortForBaseline
from iblnm_core.parameters import PreprocessingParameters
from iblnm_core.session.preprocessing import slow_course

Array = NDArray[np.float64]

_LEAST_WEIGHT = 1e-9
_LEAST_BLOCK_SHARE = 0.2
_WORTH_A_TAU = 0.02
_LONGEST_TAU = 1.5


@dataclass(frozen=True)
class Course:
    """The baseline of one band.

    Attributes
    ----------
    times : ndarray of float64, (m,)
        s, session clock, one per second.
    values : ndarray of float64, (m,)
        Camera units.
    at_samples : ndarray of float64, (n,)
        Interpolated.
    rebound : bool
        Whether a recovering term was chosen.
    tau_s : float or None
        Mean time constant of the decay, weighted by amplitude; None where there is too little decay or it is too slow.
    """

    times: Array
    values: Array
    at_samples: Array
    rebound: bool = False
    tau_s: float | None = None

    @property
    def bleaching_share(self) -> float:
        """Return by how much of its start the baseline fell until its end."""
        return float(1 - self.values[-1] / self.values[0])


@dataclass(frozen=True)
class Fitted:
    """The baseline of one stretch.

    Attributes
    ----------
    places : ndarray of float64, (m,)
        In samples from its first one on.
    values : ndarray of float64, (m,)
        Camera units.
    rebound : bool
    tau_s : float or None
        See `Course`.
    """

    places: Array
    values: Array
    rebound: bool = False
    tau_s: float | None = None


def course_of(traces: Traces, channel: str, step: Baseline) -> Course:
    """Return the baseline of one band; made once for all corrections that have the same step.

    Parameters
    ----------
    traces : Traces
    channel : {'signal', 'reference'}
    step : baseline step

    Returns
    -------
    Course

    Raises
    ------
    TooShortForBaseline, DegenerateDenominator, MissingReference
    """
    return traces.shared((channel, step), lambda: _course(traces, channel, step))


def change_of(traces: Traces, channel: str, step: Baseline) -> Array:
    """Return the relative change of one band against its baseline, at the signal's times; see `course_of`.

    Parameters
    ----------
    traces : Traces
    channel : {'signal', 'reference'}
    step : baseline step
    """
    return traces.shared(("change", channel, step), lambda: _change(traces, channel, step))


def _change(traces: Traces, channel: str, step: Baseline) -> Array:
    if isinstance(step, LowPass) and channel == "reference" and traces.own_reference is not None:
        # as the preprocessing step has it: first filtered where it was recorded, then paired
        times, values = traces.own_reference
        baseline = _slow(channel, times, values, step)
        paired_at = traces.times if traces.paired_at is None else traces.paired_at
        return np.interp(paired_at, times, (values - baseline) / baseline)
    baseline = course_of(traces, channel, step).at_samples
    values = traces.channel(channel)
    return (values - baseline) / baseline


def _course(traces: Traces, channel: str, step: Baseline) -> Course:
    values = traces.channel(channel)
    if isinstance(step, LowPass):
        return _lowpass(traces, channel, step)
    usable = traces.within(step.epoch if isinstance(step, MonotoneBaseline) else None)
    duration = np.count_nonzero(usable) / traces.rate_hz
    if duration < SHORTEST_BASELINE_S:
        raise TooShortForBaseline(f"{duration:.0f} s of good samples; expected at least {SHORTEST_BASELINE_S:.0f} s")
    # a step after the epoch is what an epoch is for
    by_epoch = isinstance(step, MonotoneBaseline) and step.epoch is not None
    segments = [slice(0, len(values))] if by_epoch else traces.segments
    # a stretch that is masked as a whole takes any baseline
    parts = [
        (segment, _fitted(values[segment], usable[segment], traces.rate_hz, step))
        for segment in segments
        if usable[segment].any()
    ]
    return _joined(traces, parts)


def _fitted(
    values: Array, usable: Flags, rate_hz: float, step: RobustLowpass | MonotoneBaseline | Polynomial
) -> Fitted:
    if isinstance(step, RobustLowpass):
        return robust_lowpass(values, usable, rate_hz, step)
    if isinstance(step, MonotoneBaseline):
        return monotone(values, usable, rate_hz, step)
    return polynomial(values, usable, rate_hz, step)


def _joined(traces: Traces, parts: list[tuple[slice, Fitted]]) -> Course:
    at_samples = np.empty(len(traces.times))
    at_samples.fill(parts[0][1].values[0])
    for segment, found in parts:
        at_samples[segment] = np.interp(np.arange(segment.stop - segment.start), found.places, found.values)
    places = np.concatenate([segment.start + found.places for segment, found in parts])
    times = np.interp(places, np.arange(len(traces.times)), traces.times)
    first = parts[0][1]
    return Course(
        times,
        np.concatenate([found.values for _, found in parts]),
        at_samples,
        any(found.rebound for _, found in parts),
        first.tau_s if len(parts) == 1 else None,
    )


def _slow(channel: str, times: Array, values: Array, step: LowPass) -> Array:
    # the rule of the filter library: it cannot extend by more than there is
    fewest = 3 * (step.order + 1) + 1
    if len(values) < fewest:
        raise TooShortForBaseline(f"{len(values)} good samples; expected at least {fewest}")
    parameters = PreprocessingParameters(step.cutoff_hz, step.order, step.padding_s)
    try:
        return slow_course(times, values, parameters, channel)
    except DegenerateSignal as error:
        raise DegenerateDenominator(error.message) from error


def _lowpass(traces: Traces, channel: str, step: LowPass) -> Course:
    values, kept = traces.channel(channel), traces.kept
    places = np.flatnonzero(kept)
    slow = _slow(channel, traces.times[kept], values[kept], step)
    at_samples = slow if kept.all() else np.interp(np.arange(len(values)), places, slow)
    seconds = np.arange(0, len(values), max(1, round(traces.rate_hz)))
    return Course(traces.times[seconds], at_samples[seconds], at_samples)


def block_means(values: Array, size: int) -> Array:
    """Return means over consecutive blocks of samples; a shorter tail is left out.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    size : int
    """
    n = len(values) // size
    means = values[: n * size].reshape(n, size).mean(axis=1)
    return np.asarray(means, np.float64)


def block_places(n_blocks: int, size: int) -> Array:
    """Return the centres of consecutive blocks, in samples."""
    return np.arange(n_blocks, dtype=np.float64) * size + (size - 1) / 2


def _asymmetric(residual: Array, share: Array, above: float, below: float) -> tuple[Array | None, float]:
    """Return weights that leave positive excursions out, None for a perfect fit; and the robust SD of what lies below."""
    under = (residual < 0) & (share > 0.5)
    spread = median(-residual[under]) / NORMAL_MAD if under.any() else 0.0
    if spread == 0:
        return None, 0.0
    u = residual / np.where(residual > 0, above * spread, below * spread)
    weights: Array = share * (bisquare(u) + _LEAST_WEIGHT)
    return weights, spread


def robust_lowpass(values: Array, usable: Flags, rate_hz: float, step: RobustLowpass) -> Fitted:
    """Fit local straight lines to block means, with weights that leave positive excursions out.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    usable : ndarray of bool, (n,)
    rate_hz : float
    step : RobustLowpass
    """
    size = max(1, round(step.block_s * rate_hz))
    share = block_means(usable.astype(np.float64), size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(share > 0, block_means(np.where(usable, values, 0.0), size) / share, 0.0)
    smooth = _local_line(len(means), step, size / rate_hz)
    weights: Array = share
    for number in range(step.passes):
        baseline = smooth(weights, means)
        if number == step.passes - 1:
            break
        residual = np.where(share > 0, means / baseline - 1, 0.0)
        found, _ = _asymmetric(residual, share, step.above, step.below)
        if found is None:
            break
        weights = found
    return Fitted(block_places(len(means), size), baseline)


def _local_line(n: int, step: RobustLowpass, block_s: float) -> Callable[[Array, Array], Array]:
    """Return the smoother: weighted straight lines under a Gaussian kernel, by fast convolution."""
    from scipy.fft import irfft, next_fast_len, rfft

    spread = np.sqrt(np.log(2) / 2) / (np.pi * step.cutoff_hz) / block_s
    reach = round(4 * spread)
    lags = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (lags / spread) ** 2)
    length = next_fast_len(n + 2 * reach, real=True)
    # a sample at i has lag i - j at j: the kernel of a convolution is mirrored
    kernels = rfft(np.stack([kernel * (-lags) ** power for power in range(3)]), length)

    def smooth(weights: Array, values: Array) -> Array:
        centre = float(weights @ values / weights.sum())
        of_weights, of_values = rfft(np.stack([weights, weights * (values - centre)]), length)
        spectra = np.concatenate([kernels * of_weights, kernels[:2] * of_values])
        s0, s1, s2, t0, t1 = irfft(spectra, length)[:, reach : reach + n]
        determinant = s0 * s2 - s1**2
        # no line where nothing within reach has weight: interpolated over
        good = determinant > 1e-6 * _LEAST_WEIGHT * float(kernel.sum()) ** 2
        places = np.arange(n)
        lines = (s2[good] * t0[good] - s1[good] * t1[good]) / determinant[good]
        smoothed: Array = centre + np.interp(places, places[good], lines)
        return smoothed

    return smooth


def monotone(values: Array, usable: Flags, rate_hz: float, step: MonotoneBaseline) -> Fitted:
    """Fit a constant and decaying exponentials, none negative, to block medians; with a rebound where it is needed.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    usable : ndarray of bool, (n,)
    rate_hz : float
    step : MonotoneBaseline
    """
    times, medians, share = _block_medians(values, usable, rate_hz, step.block_s)
    used = share >= _LEAST_BLOCK_SHARE
    duration = np.count_nonzero(used) * step.block_s
    level = median(medians[used])
    taus = np.geomspace(step.shortest_tau_s, step.longest_tau_recordings * duration, step.n_time_constants)
    known = (taus >= step.rebound_shortest_tau_s) & (taus <= duration)
    rising = taus[known][::2] if step.rebound else np.empty(0)
    target = medians[used] / level
    amplitudes, misfit = _exponentials(_columns(times[used], taus, np.empty(0)), target, share[used], step)
    chosen = np.empty(0)
    if len(rising):
        others, other_misfit = _exponentials(_columns(times[used], taus, rising), target, share[used], step)
        if other_misfit < step.rebound_ratio * misfit:
            amplitudes, chosen = others, rising
    places = np.arange(0, len(values) - 1 + rate_hz, rate_hz)
    at_seconds = level * (_columns(places / rate_hz, taus, chosen) @ amplitudes)
    decay = amplitudes[1 : 1 + len(taus)]
    return Fitted(places, at_seconds, bool(len(chosen)), _mean_tau(decay, taus, at_seconds[0] / level, duration))


def _mean_tau(decay: Array, taus: Array, start: float, duration: float) -> float | None:
    total = float(decay.sum())
    if total <= _WORTH_A_TAU * start:
        return None
    tau = float(decay @ taus) / total
    return tau if tau < _LONGEST_TAU * duration else None


def _block_medians(values: Array, usable: Flags, rate_hz: float, block_s: float) -> tuple[Array, Array, Array]:
    """Return centres (s), medians of usable samples and their share, per block."""
    size = max(1, round(block_s * rate_hz))
    n = len(values) // size
    shape = (n, size)
    blocks, good = values[: n * size].reshape(shape), usable[: n * size].reshape(shape)
    share = good.mean(axis=1)
    medians = row_medians(blocks)
    for block in np.flatnonzero((share < 1) & (share > 0)):
        medians[block] = median(blocks[block][good[block]])
    return (block_places(n, size) + 0.5) / rate_hz, medians, share


def _columns(times: Array, decaying: Array, rising: Array) -> Array:
    ones = np.ones((len(times), 1))
    return np.hstack([ones, np.exp(-times[:, None] / decaying), -np.exp(-times[:, None] / rising)])


def _exponentials(columns: Array, target: Array, share: Array, step: MonotoneBaseline) -> tuple[Array, float]:
    """Return amplitudes that are not negative, and the misfit in which residuals count no more than three spreads."""
    from scipy.optimize import nnls

    n, p = columns.shape
    ridge = np.eye(p)[1:] * step.ridge * np.sqrt(n)
    weights: Array = share
    for number in range(step.passes):
        root = np.sqrt(weights)
        design = np.vstack([columns * root[:, None], ridge])
        amplitudes: Array = nnls(design, np.concatenate([target * root, np.zeros(p - 1)]))[0]
        residual = target - columns @ amplitudes
        found, spread = _asymmetric(residual, share, step.above, step.below)
        if found is None or number == step.passes - 1:
            break
        weights = found
    capped = np.minimum(np.abs(residual), 3 * spread) if spread > 0 else residual
    return amplitudes, float(share @ capped**2)


def polynomial(values: Array, usable: Flags, rate_hz: float, step: Polynomial) -> Fitted:
    """Fit a polynomial to block medians.

    Parameters
    ----------
    values : ndarray of float64, (n,)
    usable : ndarray of bool, (n,)
    rate_hz : float
    step : Polynomial
    """
    times, medians, share = _block_medians(values, usable, rate_hz, step.block_s)
    used = share >= _LEAST_BLOCK_SHARE
    curve = np.polynomial.Polynomial.fit(times[used], medians[used], step.degree, w=np.sqrt(share[used]))
    places = np.arange(0, len(values) - 1 + rate_hz, rate_hz)
    return Fitted(places, np.asarray(curve(places / rate_hz)))
