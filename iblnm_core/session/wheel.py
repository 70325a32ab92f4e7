"""The wheel of one session: from position to velocity on a regular grid, and its course in every trial. Arrays only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import CorruptDataset
from iblnm_core.parameters import WheelParameters
from iblnm_core.session.datasets import DATASET_NAMES

Array = NDArray[np.float64]

POSITION_NAME, TIMESTAMPS_NAME = DATASET_NAMES["wheel_position"], DATASET_NAMES["wheel_times"]
_FEWEST_SAMPLES = 30
"""So many samples of position, and of velocity: the filter's own padding needs nearly as many."""

_LONGEST_S = 7 * 24 * 3600.0
"""A week: what is longer is a broken clock, and its grid has no room in memory."""


@dataclass(frozen=True, eq=False)
class WheelVelocity:
    """Velocity of the wheel on a regular grid.

    Attributes
    ----------
    times : ndarray of float64 (float32 under the preset `reference`), (m,)
        s, session clock.
    velocity : ndarray of float32, (m,)
        rad/s.
    """

    times: NDArray[np.floating]
    velocity: NDArray[np.float32]


def wheel_velocity(timestamps: Array, position: Array, parameters: WheelParameters) -> WheelVelocity:
    """Return the filtered velocity of the wheel.

    See `docs/methods/wheel.md`.

    Parameters
    ----------
    timestamps : ndarray of float64, (n,)
        s, increasing, irregular.
    position : ndarray of float64, (n,)
        rad, unwrapped.
    parameters : WheelParameters

    Raises
    ------
    CorruptDataset
        When the two do not belong together, are not finite, are too few, or times do not increase.
    """
    from scipy.signal import butter, sosfiltfilt

    check_wheel(timestamps, position)
    rate = parameters.sampling_rate_hz
    times = np.arange(timestamps[0], timestamps[-1], 1 / rate)
    # rounding can give a last one that lies beyond the end
    times = times[times <= timestamps[-1]]
    if len(times) < _FEWEST_SAMPLES:
        duration = float(timestamps[-1] - timestamps[0])
        raise CorruptDataset(
            f"{TIMESTAMPS_NAME}: {duration:.3f} s; expected at least {_FEWEST_SAMPLES / rate:g} s",
            measured=duration,
            threshold=_FEWEST_SAMPLES / rate,
        )
    sections = butter(parameters.filter_order, parameters.cutoff_hz / rate * 2, output="sos")
    smooth = sosfiltfilt(sections, np.interp(times, timestamps, position))
    velocity = np.insert(np.diff(smooth), 0, 0) * rate
    return WheelVelocity(
        times.astype(np.float32) if parameters.times == "float32" else times, velocity.astype(np.float32)
    )


def check_wheel(timestamps: Array, position: Array) -> None:
    """Require positions over increasing times.

    Raises
    ------
    CorruptDataset
    """
    if timestamps.ndim != 1 or timestamps.shape != position.shape:
        raise CorruptDataset(
            f"{POSITION_NAME} has shape {position.shape}, {TIMESTAMPS_NAME} {timestamps.shape}; "
            f"expected as many positions as times"
        )
    if len(timestamps) < _FEWEST_SAMPLES:
        raise CorruptDataset(
            f"{POSITION_NAME}: {len(position)} samples; expected at least {_FEWEST_SAMPLES}",
            measured=len(position),
            threshold=_FEWEST_SAMPLES,
        )
    for name, values in ((TIMESTAMPS_NAME, timestamps), (POSITION_NAME, position)):
        n_bad = int((~np.isfinite(values)).sum())
        if n_bad:
            raise CorruptDataset(f"{name}: {n_bad} values are not finite; expected none", measured=n_bad, threshold=0)
    n_back = int((np.diff(timestamps) < 0).sum())
    if n_back:
        raise CorruptDataset(
            f"{TIMESTAMPS_NAME}: time goes back {n_back} times; expected increasing times",
            measured=n_back,
            threshold=0,
        )
    duration = float(timestamps[-1] - timestamps[0])
    if duration > _LONGEST_S:
        raise CorruptDataset(
            f"{TIMESTAMPS_NAME}: {duration:g} s; expected at most {_LONGEST_S:g} s, which is a week",
            measured=duration,
            threshold=_LONGEST_S,
        )


def trial_velocities(
    wheel: WheelVelocity, starts: Array, ends: Array, parameters: WheelParameters
) -> NDArray[np.float32]:
    """Return the course of the velocity in every trial.

    See `docs/methods/wheel.md`.

    Parameters
    ----------
    wheel : WheelVelocity
    starts, ends : ndarray of float64, (n,)
        First and last moment of each trial, s.
    parameters : WheelParameters

    Returns
    -------
    ndarray of float32, (n, w)
        rad/s, sample k at the start + k / rate; as wide as the longest trial, not a number after a trial's end and for
        trials that are not completely recorded.
    """
    rate, times = parameters.sampling_rate_hz, wheel.times
    lengths = ends - starts
    # a comparison with not-a-number is false, which leaves trials without start or end out
    if parameters.completeness == "longest_trial":
        longest = lengths[np.isfinite(lengths)].max(initial=0.0)
        whole = (starts >= times[0]) & (starts + longest <= times[-1])
        n_steps = round(longest * rate) if whole.any() else 0
        # a trial without end is as long as the longest
        lengths = np.where(np.isnan(lengths), np.inf, lengths)
    else:
        whole = (starts >= times[0]) & (ends <= times[-1]) & (lengths >= 0)
        n_steps = int(np.ceil(lengths[whole].max(initial=0.0) * rate)) + 1
    counts = np.zeros(len(starts), np.int64)
    counts[whole] = np.searchsorted(np.arange(n_steps) / rate, lengths[whole], side="right")
    rows_of, steps = np.repeat(np.arange(len(starts)), counts), _ranges(counts)
    first = np.zeros(len(starts), np.int64)
    share = np.zeros(len(starts))
    if parameters.alignment == "interpolated":
        exact = (starts[whole] - times[0]) * rate
        first[whole] = np.floor(exact)
        share[whole] = exact - first[whole]
    else:
        first[whole] = np.searchsorted(times, starts[whole], side="left")
    before = first[rows_of] + steps
    last = len(times) - 1
    velocity = wheel.velocity.astype(np.float64)
    left, right = velocity[np.minimum(before, last)], velocity[np.minimum(before + 1, last)]
    values = left + share[rows_of] * (right - left)
    width = n_steps if parameters.completeness == "longest_trial" else int(counts.max(initial=0))
    matrix = np.full((len(starts), width), np.nan, np.float32)
    matrix[rows_of, steps] = values
    return matrix


def course_of_session(starts: Array, velocities: NDArray[np.float32], rate_hz: float) -> tuple[Array, Array]:
    """Return the velocity of all trials one behind the other, as far as it is known.

    Parameters
    ----------
    starts : ndarray of float64, (n,)
        First moment of each trial, s.
    velocities : ndarray of float32, (n, w)
        As `trial_velocities` returns it.
    rate_hz : float

    Returns
    -------
    times : ndarray of float64, (m,)
        s, session clock, ascending.
    values : ndarray of float64, (m,)
        rad/s; behind each trial one that is not a number, so that no line joins two trials.
    """
    n_trials, n_samples = velocities.shape
    times = starts[:, None] + np.arange(n_samples + 1) / rate_hz
    values = np.column_stack([velocities.astype(np.float64), np.full(n_trials, np.nan)])
    n_known = n_samples - np.isfinite(velocities[:, ::-1]).argmax(axis=1)
    n_known[~np.isfinite(velocities).any(axis=1)] = 0
    # a trial ends where the next one begins
    until = np.append(starts[1:], np.inf)[:, None]
    kept = (np.arange(n_samples + 1) <= n_known[:, None]) & np.isfinite(times) & ~(times >= until)
    return times[kept], values[kept]


def _ranges(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, ... up to each count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def peak_velocity(velocities: NDArray[np.float32]) -> Array:
    """Return the largest speed of every trial, rad/s; not a number for one without samples.

    Parameters
    ----------
    velocities : ndarray of float32, (n, w)
        rad/s, as `trial_velocities` returns them.
    """
    # the largest of those that are numbers
    peaks: Array = np.fmax.reduce(np.abs(velocities), axis=1, initial=np.nan).astype(np.float64)
    return peaks
