"""Metrics of a recorded band, for the whole recording and in sliding windows, and the rule on them. Arrays only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import FewUniqueSamples
from iblnm_core.parameters import SignalQualityParameters

Array = NDArray[np.float64]

_FEWEST_SAMPLES = 3


def unique_share(values: Array) -> float:
    """Return the share of distinct values among some samples."""
    ordered = np.sort(values)
    return (1 + np.count_nonzero(ordered[1:] != ordered[:-1])) / len(values)


def percentiles(values: Array, wanted: Sequence[float]) -> list[float]:
    """Return percentiles, interpolated linearly; to sort is several times faster than the general function.

    Parameters
    ----------
    values : ndarray of float64, (n,)
        Without such that are not a number.
    wanted : sequence of float
        0 to 100.
    """
    ordered = np.sort(values)
    places = [q / 100 * (len(values) - 1) for q in wanted]
    pairs = [(int(place), min(int(place) + 1, len(values) - 1)) for place in places]
    return [
        float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))
        for place, (below, above) in zip(places, pairs, strict=True)
    ]


def autoregressive_score(values: Array) -> float:
    r"""Return how much of a signal follows from its two samples before.

    R² of the least squares $x_i \approx a x_{i-2} + b x_{i-1}$ without intercept; see
    `docs/methods/signal_quality.md`.

    Parameters
    ----------
    values : ndarray of float64, (n,)

    Returns
    -------
    float
        Not a number when the signal is constant, or so regular that the two samples before are the same up to a
        factor or leave no residual.
    """
    before, last, target = values[:-2], values[1:-1], values[2:]
    power = float(before @ before)
    if power == 0 or np.ptp(values) == 0:
        return np.nan
    # Gram-Schmidt: what the last sample adds to the one before it
    added = last - (last @ before) / power * before
    added_power = float(added @ added)
    resolution = np.finfo(np.float64).eps * len(values)
    if added_power <= resolution**2 * float(last @ last):
        return np.nan
    residual = target - (target @ before) / power * before - (target @ added) / added_power * added
    centred = target - target.mean()
    left, total = float(residual @ residual), float(centred @ centred)
    return 1 - left / total if left > 0 and total > 0 else np.nan


def metrics(values: Array) -> dict[str, float]:
    """Return the metrics of one stretch of a band but for the share of distinct samples.

    See `docs/methods/signal_quality.md`.

    Parameters
    ----------
    values : ndarray of float64, (n,)
        At least three samples, finite.

    Returns
    -------
    dict of str to float
        By the names of `METRICS`. Percentile metrics of a constant signal are not a number; an asymmetry over a
        quarter without width is infinite.
    """
    lower, median, upper, high = percentiles(values, (25, 50, 75, 95))
    spread = float(values.std())
    varies = np.ptp(values) > 0 and spread > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        asymmetry = np.divide(abs(upper - median), abs(median - lower)) if varies else np.nan
    return {
        "median_absolute_deviance": percentiles(np.abs(values - median), (50,))[0],
        "percentile_distance": (high - median) / spread if varies else np.nan,
        "percentile_asymmetry": float(asymmetry),
        "ar_score": autoregressive_score(values),
    }


METRICS: Mapping[str, str] = MappingProxyType(
    {
        "n_unique_samples": "share of distinct samples (0-1)",
        "median_absolute_deviance": "median distance from the median",
        "percentile_distance": "95th percentile minus median, in standard deviations",
        "percentile_asymmetry": "upper quarter's width over that of the lower one",
        "ar_score": "R² of each sample on the two before it",
    }
)
"""Metrics by name, and what each is."""


@dataclass(frozen=True)
class BandQuality:
    """Metrics of one band of one fibre.

    Attributes
    ----------
    values : mapping of str to float
        By metric: what is reported.
    whole : mapping of str to float
        By metric: over the whole recording, not detrended.
    spread : mapping of str to float
        By metric: standard deviation over the windows.
    n_windows : int
    """

    values: Mapping[str, float]
    whole: Mapping[str, float]
    spread: Mapping[str, float]
    n_windows: int

    def columns(self) -> dict[str, float]:
        """Return everything as columns of a quality row."""
        return {
            **self.values,
            **{f"{name}_whole": value for name, value in self.whole.items()},
            **{f"{name}_spread": value for name, value in self.spread.items()},
            "n_windows": self.n_windows,
        }


def window_slices(times: Array, window_s: float, step_s: float) -> list[slice]:
    """Return the windows that lie completely inside a recording.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, increasing.
    window_s, step_s : float

    Returns
    -------
    list of slice
        The k-th holds the samples from `times[0] + k * step_s` on for `window_s`, its end excluded; none for a
        recording that is no longer than a window.
    """
    starts = np.arange(times[0], times[-1] - window_s, step_s)
    firsts, lasts = np.searchsorted(times, starts), np.searchsorted(times, starts + window_s)
    return [slice(first, last) for first, last in zip(firsts, lasts, strict=True) if last - first >= _FEWEST_SAMPLES]


def _detrended(times: Array, values: Array) -> Array:
    """Return what a line of least squares on time leaves."""
    if np.ptp(values) == 0:
        return np.zeros_like(values)
    centred = times - times.mean()
    slope = (centred @ values) / (centred @ centred)
    change: Array = values - values.mean() - slope * centred
    return change


def band_quality(times: Array, values: Array, parameters: SignalQualityParameters) -> BandQuality:
    """Return the metrics of one band of one fibre.

    See `docs/methods/signal_quality.md`.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, increasing; at least three samples.
    values : ndarray of float64, (n,)
        As recorded, finite.
    parameters : SignalQualityParameters

    Returns
    -------
    BandQuality
    """
    whole = metrics(values) | {"n_unique_samples": unique_share(values)}
    windows = window_slices(times, parameters.window_s, parameters.step_s)
    if parameters.value == "windows" and not windows:
        # a recording that is no longer than a window is one
        windows = [slice(None)]
    raw_share = parameters.unique_samples == "raw_median"
    found = []
    for window in windows:
        detrended = _detrended(times[window], values[window])
        share = unique_share(values[window] if raw_share else detrended)
        found.append(metrics(detrended) | {"n_unique_samples": share})
    reported = found if parameters.value == "windows" else [*found, whole]
    values_of = {name: _mean(of[name] for of in reported) for name in METRICS}
    if raw_share:
        # the whole recording has no say in it: its share falls with its length
        values_of["n_unique_samples"] = _median(of["n_unique_samples"] for of in found)
    spread = {name: _deviation(of[name] for of in found) for name in METRICS}
    return BandQuality(values_of, whole, spread, len(windows))


def _known(values: Iterable[float]) -> Array:
    array = np.fromiter(values, np.float64)
    return array[~np.isnan(array)]


def _mean(values: Iterable[float]) -> float:
    known = _known(values)
    return float(known.mean()) if known.size else np.nan


def _median(values: Iterable[float]) -> float:
    known = _known(values)
    return float(np.median(known)) if known.size else np.nan


def _deviation(values: Iterable[float]) -> float:
    known = _known(values)
    return float(known.std()) if known.size and np.isfinite(known).all() else np.nan


def check_unique_samples(found: Iterable[tuple[str, str, float]], parameters: SignalQualityParameters) -> None:
    """Require that every band takes enough distinct values.

    Parameters
    ----------
    found : iterable of (band, region, share of distinct samples)
    parameters : SignalQualityParameters

    Raises
    ------
    FewUniqueSamples
    """
    few = [(region, band, share) for band, region, share in sorted(found) if share < parameters.minimum_unique_samples]
    if few:
        raise FewUniqueSamples(
            "Few unique samples: " + ", ".join(f"{region}/{band}={share:.3f}" for region, band, share in few),
            measured=min(share for _, _, share in few),
            threshold=parameters.minimum_unique_samples,
        )
