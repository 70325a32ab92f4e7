"""Movement of paws and face as the left camera shows it: pose and motion energy of one session, and their course around events."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from iblnm_core.errors import CorruptDataset, MissingLP, MissingMotionEnergy, VideoFrameCountMismatch
from iblnm_core.parameters import Parameters
from iblnm_core.session.datasets import DATASET_NAMES
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.pose_timing import PawWheelTiming, paw_wheel_timing
from iblnm_core.session.verdicts import Judge
from iblnm_core.session.wheel import WheelVelocity

Array = NDArray[np.float64]

KEY_POINTS = ("paw_l", "paw_r", "nose_tip", "tongue_end_l", "tongue_end_r")
"""Points of the mouse that are used, as the pose names them."""

EVENT_OF: Mapping[str, str] = MappingProxyType(
    {
        "paw": "firstMovement_times",
        "nose": "stimOn_times",
        "tongue_speed": "feedback_times",
        "tongue_likelihood": "feedback_times",
        "motion_energy": "stimOn_times",
    }
)
"""Measures of movement, and the event around which each is cut out."""

BASELINE_EVENT = "stimOn_times"
"""The event around which the baseline of every measure is cut out."""

RATE_HZ = 30
"""Samples per second of the courses around events."""

_LOWEST_LIKELIHOOD = 0.9
_LONGEST_INTERVAL_S = 0.5
_LOWEST_COVERAGE = 0.5
_COLUMNS = tuple(f"{point}_{part}" for point in KEY_POINTS for part in ("x", "y", "likelihood"))

Pose = Mapping[str, Array]
"""Columns `POINT_x`, `POINT_y` (px) and `POINT_likelihood` of every key point, one value per frame."""


@dataclass(frozen=True, eq=False)
class SessionPose:
    """Movement in one session.

    Attributes
    ----------
    lp_exists, motion_energy_exists : bool
        Whether pose and motion energy could be used.
    mean_rt : float
        Mean time from stimulus to feedback, s.
    times : ndarray of float64, (w,)
        s, relative to the event.
    trials : ndarray of int64, (n,)
        Trial numbers.
    traces, baseline_traces : dict of str to ndarray of float32, (n, w)
        Course of each measure around its own event, and around the stimulus; px/s, a likelihood, or motion energy; not a
        number where it is unknown.
    deltas : dict of str to float
        Of every measure, its mean after its event less that before the stimulus; not a number when either is unknown.
    timing : PawWheelTiming or None
        None without pose or wheel.
    """

    lp_exists: bool
    motion_energy_exists: bool
    mean_rt: float
    times: Array
    trials: NDArray[np.int64]
    traces: dict[str, NDArray[np.float32]]
    baseline_traces: dict[str, NDArray[np.float32]]
    deltas: dict[str, float]
    timing: PawWheelTiming | None


def make_pose(
    inputs: SessionInputs,
    trials: pd.DataFrame,
    camera_times: Array,
    wheel: WheelVelocity | None,
    parameters: Parameters,
    judge: Judge,
) -> SessionPose:
    """Load and judge pose and motion energy of a session, and measure movement with what there is.

    Parameters
    ----------
    inputs : SessionInputs
    trials : DataFrame
    camera_times : ndarray of float64, (n,)
        One per frame, s, session clock.
    wheel : WheelVelocity or None
    parameters : Parameters
    judge : Judge
        Gets the verdicts `pose_available` and `motion_energy_available`.
    """
    n_frames = len(camera_times)
    pose, energy = load_pose(inputs, n_frames, judge), load_motion_energy(inputs, n_frames, judge)
    return measure_pose(pose, energy, camera_times, trials, wheel, parameters)


def load_pose(inputs: SessionInputs, n_frames: int, judge: Judge) -> Pose | None:
    """Load and judge the pose; None when there is none to be used.

    Parameters
    ----------
    inputs : SessionInputs
    n_frames : int
        Of the camera.
    judge : Judge
        Gets the verdict `pose_available`.
    """
    with judge.rule("pose_available"):
        if not inputs.paths("lightning_pose"):
            raise MissingLP(DATASET_NAMES["lightning_pose"])
        return pose_from_table(inputs.table("lightning_pose", _COLUMNS), n_frames)
    return None


def load_motion_energy(inputs: SessionInputs, n_frames: int, judge: Judge) -> Array | None:
    """Load and judge the motion energy; None when there is none to be used.

    Parameters
    ----------
    inputs : SessionInputs
    n_frames : int
        Of the camera.
    judge : Judge
        Gets the verdict `motion_energy_available`.
    """
    with judge.rule("motion_energy_available"):
        name = DATASET_NAMES["motion_energy"]
        if not inputs.paths("motion_energy"):
            raise MissingMotionEnergy(name)
        values = inputs.array("motion_energy")
        if values.ndim != 1:
            raise CorruptDataset(f"{name} has shape {values.shape}; expected one value per frame")
        _check_frames(name, len(values), n_frames)
        return values
    return None


def pose_from_table(table: pa.Table, n_frames: int) -> Pose:
    """Return the key points of a table of poses.

    Parameters
    ----------
    table : pyarrow.Table
        One row per frame.
    n_frames : int
        Frames for which the camera has a time.

    Raises
    ------
    CorruptDataset
        When a key point is missing or is not numbers.
    VideoFrameCountMismatch
        When there are not as many rows as frames.
    """
    name, found = DATASET_NAMES["lightning_pose"], set(table.column_names)
    missing = [column for column in _COLUMNS if column not in found]
    if missing:
        raise CorruptDataset(f"{name}: column {', '.join(missing)} missing; expected {', '.join(KEY_POINTS)}")
    for column in _COLUMNS:
        kind = table.column(column).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise CorruptDataset(f"{name}: column {column} is {kind}; expected numbers")
    _check_frames(name, table.num_rows, n_frames)
    return {column: table.column(column).to_numpy().astype(np.float64) for column in _COLUMNS}


def _check_frames(name: str, n_found: int, n_frames: int) -> None:
    if n_found != n_frames:
        raise VideoFrameCountMismatch(
            f"{name}: {n_found} frames; expected {n_frames}, one per time of {DATASET_NAMES['camera_times']}",
            measured=n_found,
            threshold=n_frames,
        )


def measure_pose(
    pose: Pose | None,
    motion_energy: Array | None,
    camera_times: Array,
    trials: pd.DataFrame,
    wheel: WheelVelocity | None,
    parameters: Parameters,
) -> SessionPose:
    """Measure movement around the events of trials, and how paws and wheel go together.

    See `docs/methods/pose.md`.

    Parameters
    ----------
    pose : mapping of str to ndarray of float64, (n,), or None
    motion_energy : ndarray of float64, (n,), or None
    camera_times : ndarray of float64, (n,)
        s; frames whose time does not follow all before are left out.
    trials : DataFrame
        Event times, s; a measure whose event is no column is left out.
    wheel : WheelVelocity or None
    parameters : Parameters
        Windows are those of `responses` and `magnitudes`.
    """
    kept = _follows(camera_times)
    times = camera_times[kept]
    in_order = None if pose is None else {name: values[kept] for name, values in pose.items()}
    measures = frame_measures(in_order, None if motion_energy is None else motion_energy[kept], times)
    first, end = (round(edge * RATE_HZ) for edge in parameters.responses.window_s)
    offsets = np.arange(first, end) / RATE_HZ
    events = {BASELINE_EVENT, *(EVENT_OF[name] for name in measures)} & set(trials)
    edges = {event: _frame_positions(times, trials[event].to_numpy(np.float64), offsets) for event in events}
    baselines = {name: bin_means(times, values, edges[BASELINE_EVENT]) for name, values in measures.items()}
    traces = {
        # one array for both where its own event is that of the baseline: it is stored once
        name: baselines[name] if EVENT_OF[name] == BASELINE_EVENT else bin_means(times, values, edges[EVENT_OF[name]])
        for name, values in measures.items()
        if EVENT_OF[name] in events
    }
    windows = parameters.magnitudes
    deltas = {
        name: _window_mean(traces[name], offsets, windows.early_window_s)
        - _window_mean(baselines[name], offsets, windows.baseline_window_s)
        if name in traces
        else np.nan
        for name in EVENT_OF
    }
    timing = None
    if wheel is not None and "paw" in measures:
        wheel_times, velocity = wheel.times.astype(np.float64), wheel.velocity.astype(np.float64)
        timing = paw_wheel_timing(times, measures["paw"], wheel_times, velocity)
    latencies = (trials["feedback_times"] - trials["stimOn_times"]).to_numpy(np.float64)
    mean_rt = float(np.nanmean(latencies)) if np.isfinite(latencies).any() else np.nan
    numbers = trials.index.to_numpy(np.int64)
    return SessionPose(
        pose is not None, motion_energy is not None, mean_rt, offsets, numbers, traces, baselines, deltas, timing
    )


def _follows(times: Array) -> NDArray[np.bool_]:
    """Whether each time is a number and later than all before."""
    latest = np.fmax.accumulate(np.append(-np.inf, times))[:-1]
    return np.isfinite(times) & (times > latest)


def frame_measures(pose: Pose | None, motion_energy: Array | None, times: Array) -> dict[str, Array]:
    """Return the measures of movement between each frame and the one before.

    Parameters
    ----------
    pose : mapping of str to ndarray of float64, (n,), or None
    motion_energy : ndarray of float64, (n,), or None
    times : ndarray of float64, (n,)
        s, increasing.

    Returns
    -------
    dict of str to ndarray of float64, (n,)
        Those of `EVENT_OF` that there is data for; not a number in the first frame, after a gap between frames, and where
        the points were not tracked.
    """
    measures = {}
    if pose is not None:
        speeds = {point: key_point_speed(pose, point, times) for point in KEY_POINTS}
        measures["paw"] = _sum_of_known(speeds["paw_l"], speeds["paw_r"])
        measures["nose"] = speeds["nose_tip"]
        measures["tongue_speed"] = _sum_of_known(speeds["tongue_end_l"], speeds["tongue_end_r"])
        seen = np.fmax(pose["tongue_end_l_likelihood"], pose["tongue_end_r_likelihood"])
        measures["tongue_likelihood"] = (seen + np.append(np.nan, seen[:-1])) / 2
    if motion_energy is not None:
        measures["motion_energy"] = motion_energy.copy()
    unknown = np.append(True, np.diff(times) > _LONGEST_INTERVAL_S)[: len(times)]
    for values in measures.values():
        values[unknown] = np.nan
    return measures


def key_point_speed(pose: Pose, point: str, times: Array) -> Array:
    """Return the speed of a key point between each frame and the one before.

    Parameters
    ----------
    pose : mapping of str to ndarray of float64, (n,)
    point : str
    times : ndarray of float64, (n,)
        s, increasing.

    Returns
    -------
    ndarray of float64, (n,)
        px/s; not a number in the first frame, and where the point was not tracked at either end.
    """
    # a comparison with not-a-number is false: an unknown likelihood is none
    tracked = pose[f"{point}_likelihood"] >= _LOWEST_LIKELIHOOD
    x, y = (np.where(tracked, pose[f"{point}_{axis}"], np.nan) for axis in "xy")
    speed = np.full(len(times), np.nan)
    speed[1:] = np.hypot(np.diff(x), np.diff(y)) / np.diff(times)
    return speed


def _sum_of_known(first: Array, second: Array) -> Array:
    """Return the sum of what is known; not a number where nothing is."""
    total: Array = np.where(np.isnan(first), 0.0, first) + np.where(np.isnan(second), 0.0, second)
    total[np.isnan(first) & np.isnan(second)] = np.nan
    return total


def _frame_positions(times: Array, event_times: Array, offsets: Array) -> Array:
    """Return where the edges of the bins around events lie among the frames.

    Parameters
    ----------
    times : ndarray of float64, (m,)
        Of frames, s.
    event_times : ndarray of float64, (n,)
    offsets : ndarray of float64, (w,)
        Middles of the bins relative to the event, s.

    Returns
    -------
    ndarray of float64, (n, w + 1)
        In frames from the first one on; not a number for an unknown event.
    """
    edges = np.append(offsets, offsets[-1] + 1 / RATE_HZ) - 0.5 / RATE_HZ
    if not len(times):
        return np.full((len(event_times), len(edges)), np.nan)
    return np.interp(event_times[:, None] + edges, times, np.arange(len(times), dtype=np.float64))


def bin_means(times: Array, values: Array, positions: Array) -> NDArray[np.float32]:
    """Return means over bins of a measure that holds between each frame and the one before.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        Of frames, s; a value that is not a number is unknown.
    positions : ndarray of float64, (n, w + 1)
        Edges of the bins, in frames.

    Returns
    -------
    ndarray of float32, (n, w)
        Over the known time of each bin; not a number where less than half of a bin is known.
    """
    durations = np.diff(times, prepend=times[:1])
    known = np.where(np.isnan(values), 0.0, durations)
    until = np.stack([np.cumsum(known), np.cumsum(np.where(np.isnan(values), 0.0, values) * known)])
    valid = ~np.isnan(positions)
    whole = np.where(valid, positions, 0.0).astype(np.int64)
    share = positions - whole
    means = np.full((positions.shape[0], positions.shape[1] - 1), np.nan, np.float32)
    if len(times):
        after = np.minimum(whole + 1, len(times) - 1)
        seconds, totals = (np.diff(sums[whole] + share * (sums[after] - sums[whole]), axis=1) for sums in until)
        np.divide(totals, seconds, out=means, where=seconds >= _LOWEST_COVERAGE / RATE_HZ, casting="same_kind")
    return means


def _window_mean(rows: NDArray[np.float32], offsets: Array, window_s: tuple[float, float]) -> float:
    """Return the mean of all that is known in a window, start included and end excluded; not a number when nothing is."""
    first, last = np.searchsorted(offsets, window_s, side="left")
    inside = rows[:, first:last].astype(np.float64)
    return float(np.nanmean(inside)) if np.isfinite(inside).any() else np.nan
