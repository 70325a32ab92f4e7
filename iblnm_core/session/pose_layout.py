"""Where the movement of a session lies in its file, group `video`; and its row of the `pose` table."""

from typing import TYPE_CHECKING, Any

import numpy as np

from iblnm_core.session.pose import EVENT_OF, RATE_HZ, SessionPose
from iblnm_core.session.pose_timing import THIRDS, PawWheelTiming
from iblnm_core.storage.hdf5 import Values
from iblnm_core.storage.session_file import Part, SessionFile

if TYPE_CHECKING:
    import xarray as xr

PART = "video"
"""Path of the part."""

_TRACES, _BASELINES, _CORRELATION = "traces", "baseline_traces", "crosscorr"


def pose_row(pose: SessionPose) -> dict[str, Any]:
    """Return the movement of a session in numbers: one value per column of the `pose` table, without the id."""
    return {
        "lp_exists": pose.lp_exists,
        "motion_energy_exists": pose.motion_energy_exists,
        "mean_rt": pose.mean_rt,
        **{name: pose.deltas[name] for name in EVENT_OF},
        **_timing_row(pose.timing),
    }


def _timing_row(timing: PawWheelTiming | None) -> dict[str, float]:
    nowhere = np.full(len(THIRDS), np.nan)
    lags, values, drift = (nowhere, nowhere, np.nan)
    if timing is not None:
        lags, values, drift = timing.peak_lags, timing.peak_values, timing.drift
    return {
        "drift": drift,
        **{f"peak_lag_{third}": float(lag) for third, lag in zip(THIRDS, lags, strict=True)},
        **{f"peak_val_{third}": float(value) for third, value in zip(THIRDS, values, strict=True)},
    }


def pose_part(pose: SessionPose, window_s: tuple[float, float]) -> Part:
    """Return the part of a session's movement.

    Parameters
    ----------
    pose : SessionPose
    window_s : tuple of float
        Of the traces, relative to the event.
    """
    datasets: dict[str, Values] = {}
    attributes = pose_row(pose)
    for group, traces in ((_TRACES, pose.traces), (_BASELINES, pose.baseline_traces)):
        if traces:
            datasets[f"{group}/times"], datasets[f"{group}/trials"] = pose.times, pose.trials
            datasets |= {f"{group}/{name}": rows for name, rows in traces.items()}
            attributes |= {f"{group}/fs": RATE_HZ, f"{group}/response_window": list(window_s)}
    if pose.timing is not None:
        datasets[f"{_CORRELATION}/lags"] = pose.timing.lags
        datasets[f"{_CORRELATION}/functions"] = pose.timing.functions
        datasets[f"{_CORRELATION}/peak_lags"] = pose.timing.peak_lags
        attributes[f"{_CORRELATION}/drift"] = pose.timing.drift
    return Part(datasets, attributes)


def read_pose(file: SessionFile) -> dict[str, Any]:
    """Return the movement of a session file, by column of the `pose` table."""
    attributes = file.read_rows(PART).attributes
    return {"eid": file.eid, **{name: value for name, value in attributes.items() if "/" not in name}}


def read_pose_traces(file: SessionFile) -> "xr.Dataset":
    """Return the courses of all measures of a session file, trial x time relative to the event (s).

    Each measure is a variable by its name around its own event, and with `_baseline` behind around the stimulus.
    """
    import xarray as xr

    datasets = file.read(PART).datasets
    variables = {}
    for group, suffix in ((_TRACES, ""), (_BASELINES, "_baseline")):
        for name in EVENT_OF:
            if f"{group}/{name}" in datasets:
                variables[f"{name}{suffix}"] = (("trial", "time"), datasets[f"{group}/{name}"])
    if not variables:
        return xr.Dataset()
    coordinates = {"trial": datasets[f"{_BASELINES}/trials"], "time": datasets[f"{_BASELINES}/times"]}
    return xr.Dataset(variables, coordinates)
