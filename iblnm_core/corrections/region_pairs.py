"""How the corrected traces of two fibres of one session go together. Files and tables of sessions are not known here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.cca_permutation import stable_seed
from iblnm_core.correction_parameters import RegionPairParameters
from iblnm_core.corrections.masks import Flags, dilated, filled
from iblnm_core.corrections.motion import lowpassed

Array = NDArray[np.float64]
Places = NDArray[np.intp]

PairStatus = Literal["ok", "too_short", "constant"]

_FILTER_MEMORY_S = 0.1
"""Filtered samples so close to a masked one hold what was put in its place."""
_HIGHEST_CUTOFF = 0.4
"""Of a low-pass, as a share of the sampling rate."""
_LEAST_OVERLAP = 0.5
"""A shift of which fewer pairs of samples are left, as a share of those without a shift, says nothing."""
_LEAST_SEGMENTS = 10
_RIDGE = 1e-6
"""Settles what events that always come together leave open."""


@dataclass(frozen=True)
class PairMeasures:
    """Measures of two traces; not a number where they cannot be had.

    Attributes
    ----------
    status : {'ok', 'too_short', 'constant'}
        Too little common time, or a trace that does not vary: no measures.
    common_s : float
        Time in which neither is masked.
    r0 : float
        Correlation at the same time.
    r_peak, lag_ms : float
        The largest correlation by size, and where: positive when the second trace comes later.
    r_null_97 : float
        97.5th percentile of the size of the correlation over shifts.
    coherence_slow, coherence_fast : float
        Squared, 0 to 1; means over the two bands.
    n_segments : int
        Stretches without a masked sample that the spectra are means over.
    r_events_removed : float
        `r0` of what responses to the events leave; not a number without events.
    r_reference : float
        `r0` of the two references; not a number without them.
    suspect : bool or None
        Whether what the references share could make `r0`; None without references.
    """

    status: PairStatus
    common_s: float
    r0: float = np.nan
    r_peak: float = np.nan
    lag_ms: float = np.nan
    r_null_97: float = np.nan
    coherence_slow: float = np.nan
    coherence_fast: float = np.nan
    n_segments: int = 0
    r_events_removed: float = np.nan
    r_reference: float = np.nan
    suspect: bool | None = None


@dataclass(frozen=True, eq=False)
class FiberTrace:
    """The trace of one fibre on the axis of its session.

    Attributes
    ----------
    fiber_idx : int
    region : str
    dff : ndarray of float64, (n,)
        Corrected; not a number where masked.
    reference : ndarray of float64, (n,), or None
        Relative change of the reference against its own baseline; not a number where masked.
    """

    fiber_idx: int
    region: str
    dff: Array
    reference: Array | None = None


@dataclass(frozen=True, eq=False)
class _Smooth:
    """A filtered trace, 0 where it is not known."""

    values: Array
    known: Flags


def region_pairs(
    times: Array,
    fibers: Sequence[FiberTrace],
    events: Mapping[str, Array],
    eid: str,
    parameters: RegionPairParameters | None = None,
) -> pd.DataFrame:
    """Return the measures of every two fibres of a session.

    See `docs/methods/region_pairs.md`.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, session clock, regular; of all traces.
    fibers : sequence of FiberTrace
    events : mapping of str to ndarray of float64, (k,)
        Times of each event, s, session clock; not a number for a trial without it.
    eid : str
        With the two fibres, it settles which shifts are drawn.
    parameters : RegionPairParameters, optional

    Returns
    -------
    DataFrame
        fiber_1, fiber_2, region_1, region_2 and the fields of `PairMeasures`; a row per pair, the smaller index first.
    """
    ordered = sorted(fibers, key=lambda fiber: fiber.fiber_idx)
    rows = []
    for first, second in combinations(ordered, 2):
        seed = stable_seed(0, (eid, str(first.fiber_idx), str(second.fiber_idx)))
        references = None
        if first.reference is not None and second.reference is not None:
            references = first.reference, second.reference
        found = pair_measures(times, first.dff, second.dff, list(events.values()), seed, references, parameters)
        labels = {
            "fiber_1": first.fiber_idx,
            "fiber_2": second.fiber_idx,
            "region_1": first.region,
            "region_2": second.region,
        }
        rows.append({**labels, **asdict(found)})
    names = ("fiber_1", "fiber_2", "region_1", "region_2", *PairMeasures.__dataclass_fields__)
    return pd.DataFrame(rows, columns=list(names))


def pair_measures(
    times: Array,
    first: Array,
    second: Array,
    events: Sequence[Array],
    seed: int,
    references: tuple[Array, Array] | None = None,
    parameters: RegionPairParameters | None = None,
) -> PairMeasures:
    """Return how two traces go together. Gaps stay gaps: no pair of samples and no spectrum holds a masked one.

    See `docs/methods/region_pairs.md`.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, session clock, regular.
    first, second : ndarray of float64, (n,)
        Relative change; not a number where masked.
    events : sequence of ndarray of float64, (k,)
        Times of each kind of event, s, session clock; not a number for a trial without it.
    seed : int
        Of the shifts.
    references : tuple of two ndarray of float64, (n,), optional
        Relative changes of the references against their baselines, which would correlate by themselves.
    parameters : RegionPairParameters, optional

    Raises
    ------
    ValueError
        When traces and times differ in length.
    """
    parameters = parameters or RegionPairParameters()
    lengths = {len(values) for values in (times, first, second, *(references or ()))}
    if len(lengths) > 1:
        raise ValueError(f"traces and times have {sorted(lengths)} samples; expected one regular axis for all")
    common = np.isfinite(first) & np.isfinite(second)
    rate = float(1 / np.median(np.diff(times))) if len(times) > 1 else np.nan
    common_s = float(np.count_nonzero(common) / rate) if len(times) > 1 else 0.0
    if common_s < parameters.least_common_s:
        return PairMeasures("too_short", common_s)
    if np.ptp(first[common]) == 0 or np.ptp(second[common]) == 0:
        return PairMeasures("constant", common_s)
    a, b = (_smoothed(values, rate, parameters) for values in (first, second))
    both = a.known & b.known
    r, pairs = _cross_correlation(a, b, round(parameters.longest_lag_s * rate))
    r_peak, lag = _peak(r, round(parameters.longest_lag_s * rate))
    slow, fast, n_segments = _coherences(a.values, b.values, both, rate, parameters)
    r_reference = np.nan if references is None else _reference_r(*references, rate, parameters)
    limit = parameters.suspect_ratio * abs(float(r[0]))
    return PairMeasures(
        "ok",
        common_s,
        r0=float(r[0]),
        r_peak=r_peak,
        lag_ms=1000 * lag / rate,
        r_null_97=_null(r, pairs, rate, seed, parameters),
        coherence_slow=slow,
        coherence_fast=fast,
        n_segments=n_segments,
        r_events_removed=_r_without(times, events, a.values, b.values, both, rate, parameters),
        r_reference=r_reference,
        suspect=abs(r_reference) > limit if np.isfinite(r_reference) else None,
    )


def _smoothed(values: Array, rate: float, parameters: RegionPairParameters) -> _Smooth:
    known = np.isfinite(values)
    cutoff = min(parameters.cutoff_hz, _HIGHEST_CUTOFF * rate)
    smooth = lowpassed(filled(values, known), cutoff, rate)
    known = ~dilated(~known, max(1, round(_FILTER_MEMORY_S * rate)))
    # of like size and without offset, which keeps differences of sums accurate
    smooth = smooth - smooth[known].mean()
    spread = float(smooth[known].std())
    return _Smooth(np.where(known, smooth / (spread or 1.0), 0.0), known)


def _cross_correlation(a: _Smooth, b: _Smooth, longest: int) -> tuple[Array, Array]:
    """Return the correlation of a with b shifted to earlier times by 0, 1, ... samples, and how many pairs each is of.

    Shifts are circular; behind the end is a gap as long as the longest lag, so that lags join no end to the beginning.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(a.values) + longest, real=True)
    one, of_a, of_a2 = (rfft(x, size) for x in (a.known.astype(np.float64), a.values, a.values**2))
    other, of_b, of_b2 = (rfft(x, size) for x in (b.known.astype(np.float64), b.values, b.values**2))
    # what is masked is 0, so sums over pairs are products of spectra
    products = ((one, other), (of_a, other), (one, of_b), (of_a2, other), (one, of_b2), (of_a, of_b))
    n, sum_a, sum_b, sum_a2, sum_b2, sum_ab = (irfft(np.conj(x) * y, size) for x, y in products)
    pairs = np.round(n)
    count = np.maximum(pairs, 1)
    variance_a, variance_b = sum_a2 - sum_a**2 / count, sum_b2 - sum_b**2 / count
    scale = np.sqrt(np.maximum(variance_a, 0) * np.maximum(variance_b, 0))
    covariance = sum_ab - sum_a * sum_b / count
    r = np.divide(covariance, scale, out=np.zeros(size), where=scale > 1e-9 * count)
    return np.clip(r, -1, 1), pairs


def _peak(r: Array, longest: int) -> tuple[float, float]:
    """Return the largest correlation by size within the longest lag, and its lag in samples, between samples."""
    lags = np.arange(-longest, longest + 1)
    near = r[lags]
    best = int(np.argmax(np.abs(near)))
    if best in {0, len(near) - 1}:
        return float(near[best]), float(lags[best])
    before, at, after = near[best - 1 : best + 2]
    bend = before - 2 * at + after
    offset = (before - after) / (2 * bend) if bend != 0 else 0.0
    return float(at - (before - after) * offset / 4), float(lags[best] + offset)


def _null(r: Array, pairs: Array, rate: float, seed: int, parameters: RegionPairParameters) -> float:
    lags = np.arange(len(r))
    away = np.minimum(lags, len(r) - lags) >= parameters.least_shift_s * rate
    candidates = lags[away & (pairs >= _LEAST_OVERLAP * pairs[0])]
    if len(candidates) < parameters.n_shifts:
        return np.nan
    drawn = np.random.default_rng(seed).choice(candidates, parameters.n_shifts, replace=False)
    return float(np.quantile(np.abs(r[drawn]), 0.975))


def _coherences(
    a: Array, b: Array, both: Flags, rate: float, parameters: RegionPairParameters
) -> tuple[float, float, int]:
    from numpy.lib.stride_tricks import sliding_window_view

    size = round(parameters.segment_s * rate)
    starts = np.arange(0, len(a) - size + 1, size // 2)
    unknown = np.concatenate([[0], np.cumsum(~both)])
    starts = starts[unknown[starts + size] == unknown[starts]]
    if len(starts) < _LEAST_SEGMENTS:
        return np.nan, np.nan, len(starts)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    segments = (sliding_window_view(x, size)[starts] for x in (a, b))
    f, g = (np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * window) for x in segments)
    cross = np.abs((np.conj(f) * g).mean(axis=0)) ** 2
    power = (np.abs(f) ** 2).mean(axis=0) * (np.abs(g) ** 2).mean(axis=0)
    coherence = np.divide(cross, power, out=np.zeros(len(power)), where=power > 0)
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    slow, fast = (
        float(coherence[(frequencies >= low) & (frequencies < high)].mean())
        for low, high in (parameters.slow_band_hz, parameters.fast_band_hz)
    )
    return slow, fast, len(starts)


def _r_without(
    times: Array,
    events: Sequence[Array],
    a: Array,
    b: Array,
    both: Flags,
    rate: float,
    parameters: RegionPairParameters,
) -> float:
    """Return the correlation of what the mean responses to events leave; overlapping ones are told apart by least squares."""
    from scipy.linalg import solve
    from scipy.sparse import csr_array

    steps = np.arange(round(parameters.event_window_s[0] * rate), round(parameters.event_window_s[1] * rate))
    samples, columns = [], []
    for place, event in enumerate(events):
        at = np.round((event[np.isfinite(event)] - times[0]) * rate).astype(np.intp)
        samples.append((at[:, None] + steps).ravel())
        columns.append(np.tile(np.arange(len(steps)) + place * len(steps), len(at)))
    rows = np.concatenate([np.empty(0, np.intp), *samples])
    column = np.concatenate([np.empty(0, np.intp), *columns])
    inside = (rows >= 0) & (rows < len(a))
    inside[inside] = both[rows[inside]]
    if not inside.any():
        return np.nan
    entries = np.ones(np.count_nonzero(inside)), (rows[inside], column[inside])
    design = csr_array(entries, shape=(len(a), len(events) * len(steps)))
    traces = np.column_stack([a, b])
    products = (design.T @ design).toarray()
    products[np.diag_indices_from(products)] += _RIDGE * products.trace() / len(products)
    left = traces - design @ solve(products, design.T @ traces, assume_a="pos")
    return _pearson(left[both, 0], left[both, 1])


def _reference_r(first: Array, second: Array, rate: float, parameters: RegionPairParameters) -> float:
    common = np.isfinite(first) & np.isfinite(second)
    if np.count_nonzero(common) < parameters.least_common_s * rate:
        return np.nan
    a, b = (_smoothed(values, rate, parameters) for values in (first, second))
    both = a.known & b.known
    return _pearson(a.values[both], b.values[both])


def _pearson(x: Array, y: Array) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else np.nan
