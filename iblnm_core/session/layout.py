"""What lies where in a session file: results of the stages to parts, and parts back to results.

The paths that users of the reference know are kept; ours stand beside them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from iblnm_core.schemas import TRIAL_REGRESSORS
from iblnm_core.session.photometry import Recording
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.session.responses import Responses
from iblnm_core.session.stages import WHEEL_EVENTS
from iblnm_core.storage.hdf5 import Values
from iblnm_core.storage.session_file import Part, SessionFile
from iblnm_core.vocabulary import VIDEO_LABELS

if TYPE_CHECKING:
    import xarray as xr

METADATA_SCALARS = (
    "eid",
    "subject",
    "start_time",
    "number",
    "task_protocol",
    "session_type",
    "lab",
    "NM",
    "strain",
    "line",
    "end_time",
    "session_length",
    "day_n",
    "session_n",
    "url",
    "region_source",
    "n_subject_rows",
    "duplicate_of",
    "planned_blocks",
    *VIDEO_LABELS,
)
METADATA_LISTS = (
    "genotype",
    "projects",
    "users",
    "brain_region",
    "hemisphere",
    "target_NM",
    "datasets",
    "filled_regions",
    "fiber_sides",
    "invalid_extended_qc",
)
TRIAL_COLUMNS = (
    "stimOn_times",
    "response_times",
    "firstMovement_times",
    "feedback_times",
    "choice",
    "feedbackType",
    "probabilityLeft",
    "probabilityLeft_original",
    "block_repaired",
    "stim_side",
    "contrast",
    "signed_contrast",
    "intervals_0",
    "intervals_1",
)


_SIGNAL_ATTRIBUTES = ("iso_slope", "iso_intercept", "mean", "standard_deviation")


def region_groups(regions: Sequence[str]) -> tuple[str, ...]:
    """Return one group name per recording: the region, and `#2` for a second fibre in the same one."""
    seen: dict[str, int] = {}
    names = []
    for region in regions:
        seen[region] = seen.get(region, 0) + 1
        names.append(region if seen[region] == 1 else f"{region}#{seen[region]}")
    return tuple(names)


def region_of(group: str) -> str:
    """Return the region of a recording group."""
    return group.partition("#")[0]


def fiber_groups(regions: Mapping[int, str]) -> dict[int, str]:
    """Return the group name of every fibre, from its region by fibre index."""
    order = sorted(regions)
    return dict(zip(order, region_groups([regions[index] for index in order]), strict=True))


def metadata_part(row: Mapping[str, Any]) -> Part:
    """Return the part of a catalogue row."""
    return Part(
        {name: list(row[name]) for name in METADATA_LISTS}, {name: _native(row[name]) for name in METADATA_SCALARS}
    )


def _native(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and np.isnan(value) else value


def read_metadata(file: SessionFile) -> dict[str, Any]:
    """Return the catalogue row that the session was processed with."""
    part = file.read("metadata")
    return {**part.attributes, **part.datasets}


def trials_part(trials: pd.DataFrame) -> Part:
    """Return the part of a trial table."""
    return Part(_columns(trials[[name for name in TRIAL_COLUMNS if name in trials]]))


def _columns(frame: pd.DataFrame) -> dict[str, Values]:
    """Return the columns of a frame of trials as they are stored."""
    columns: dict[str, Values] = {}
    for name in frame.columns:
        if name == "stim_side":
            columns[name] = [str(side) for side in frame[name]]
        else:
            columns[name] = frame[name].to_numpy(np.bool_ if name == "block_repaired" else np.float64)
    return columns


def read_trials(file: SessionFile) -> pd.DataFrame:
    """Return the trial table of a session file, columns in the documented order."""
    return pd.DataFrame(trial_columns(file))


def trial_columns(file: SessionFile) -> dict[str, Values]:
    """Return the columns of a session file's trial table, in the documented order."""
    datasets = file.read("trials").datasets
    return {name: datasets[name] for name in TRIAL_COLUMNS if name in datasets}


def performance_part(row: Mapping[str, Any]) -> Part:
    """Return the part of a session's performance."""
    lists: dict[str, Values] = {name: value for name, value in row.items() if isinstance(value, np.ndarray | list)}
    return Part(lists, {name: value for name, value in row.items() if name not in lists})


def read_performance(file: SessionFile) -> dict[str, Any]:
    """Return the performance of a session file, by column of the `performance` table."""
    part = file.read("performance")
    return {"eid": file.eid, **part.attributes, **part.datasets}


def video_part(row: Mapping[str, Any]) -> Part:
    """Return the part of a session's video quality."""
    return Part({}, row)


def read_video(file: SessionFile) -> dict[str, Any]:
    """Return the video quality of a session file, by column of the `video` table."""
    return {"eid": file.eid, **file.read("video_qc").attributes}


def wheel_part(velocities: np.ndarray, sampling_rate_hz: float) -> Part:
    """Return the part of the wheel's velocity in every trial."""
    attributes = {"fs": round(sampling_rate_hz), "t0_event": WHEEL_EVENTS[0], "t1_event": WHEEL_EVENTS[1]}
    return Part({"velocity": velocities}, attributes)


def read_wheel(file: SessionFile) -> "xr.DataArray":
    """Return the wheel's velocity (rad/s) of a session file, trial x time after the stimulus (s)."""
    part = file.read("wheel/responses")
    return wheel_array(np.asarray(part.datasets["velocity"]), int(part.attributes["fs"]))


def wheel_array(velocities: np.ndarray, sampling_rate_hz: float) -> "xr.DataArray":
    """Return the wheel's velocity (rad/s) as a labelled array, trial x time after the stimulus (s)."""
    import xarray as xr

    coordinates = {"trial": np.arange(len(velocities)), "time": np.arange(velocities.shape[1]) / sampling_rate_hz}
    return xr.DataArray(velocities, coordinates, ("trial", "time"), name="velocity")


def regressors_part(regressors: pd.DataFrame) -> Part:
    """Return the part of what models take from a trial."""
    columns = _columns(regressors)
    return Part(columns, rows=tuple(columns))


def read_regressors(file: SessionFile) -> pd.DataFrame:
    """Return the rows of a session in the `trial_regressors` table."""
    columns = file.read("trial_regressors").datasets
    rows = pd.DataFrame({name: columns[name] for name in TRIAL_REGRESSORS.column_names[2:]})
    return rows.assign(eid=file.eid, trial=np.arange(len(rows)))[TRIAL_REGRESSORS.column_names]


def signal_parts(
    group: str, fiber_idx: int, signal: PreprocessedSignal, recording: Recording, column: int
) -> dict[str, Part]:
    """Return the parts of one fibre's signal: corrected, and as recorded."""
    bands: dict[str, Values] = {}
    for name, band in recording.bands.items():
        bands[f"{name}/times"] = band.times
        bands[f"{name}/signal"] = band.values[:, column].astype(np.float32)
    return {
        f"photometry/{group}/preprocessed": preprocessed_part(fiber_idx, signal),
        f"photometry/{group}/bands": Part(bands, {"fiber_idx": fiber_idx}),
    }


def preprocessed_part(fiber_idx: int, signal: PreprocessedSignal) -> Part:
    """Return the part of one fibre's corrected signal."""
    attributes = {name: getattr(signal, name) for name in (*_SIGNAL_ATTRIBUTES, "correction")}
    return Part(
        {"times": signal.times, "signal": signal.values},
        {"fs": round(signal.sampling_rate_hz), "fiber_idx": fiber_idx, **attributes},
    )


def read_preprocessed(file: SessionFile) -> dict[str, tuple[int, PreprocessedSignal]]:
    """Return the corrected signals per recording group, each with its fibre index; in the order of the fibres.

    Files of the reference pipeline do not say how the isosbestic was fitted, and do not number fibres.
    """
    found: dict[str, tuple[int, PreprocessedSignal]] = {}
    for group in file.regions():
        path = f"photometry/{group}/preprocessed"
        if path in file:
            part = file.read(path)
            attributes = {name: float(part.attributes.get(name, np.nan)) for name in _SIGNAL_ATTRIBUTES}
            signal = PreprocessedSignal(
                times=np.asarray(part.datasets["times"]),
                values=np.asarray(part.datasets["signal"]),
                sampling_rate_hz=float(part.attributes["fs"]),
                iso_correlation=np.nan,
                correction=str(part.attributes.get("correction", "reference")),
                **attributes,
            )
            found[group] = (int(part.attributes.get("fiber_idx", len(found))), signal)
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def read_signals(file: SessionFile) -> dict[str, tuple[int, pd.Series]]:
    """Return the corrected signal per recording group: fibre index, and the signal over session time (s)."""
    return {
        group: (index, pd.Series(signal.values, index=pd.Index(signal.times, name="times"), name=group))
        for group, (index, signal) in read_preprocessed(file).items()
    }


def responses_part(fiber_idx: int, responses: Responses) -> Part:
    """Return the part of one fibre's responses."""
    datasets: dict[str, Values] = {"times": responses.times, "trials": responses.trials}
    datasets |= dict(zip(responses.events, responses.values, strict=True))
    attributes = {
        "fs": int(responses.sampling_rate_hz),
        "response_window": list(responses.window_s),
        "fiber_idx": fiber_idx,
    }
    return Part(datasets, attributes)


def read_responses(file: SessionFile) -> dict[str, Responses]:
    """Return the responses per recording group, events in alphabetical order."""
    paths = {group: f"photometry/{group}/responses" for group in file.regions()}
    return {group: responses_of(file.read(path)) for group, path in paths.items() if path in file}


def responses_of(part: Part) -> Responses:
    """Return the responses that a part holds, events in alphabetical order."""
    events = tuple(sorted(set(part.datasets) - {"times", "trials"}))
    times, trials = np.asarray(part.datasets["times"]), np.asarray(part.datasets["trials"])
    values = np.stack([np.asarray(part.datasets[event]) for event in events])
    window = part.attributes["response_window"]
    return Responses(events, times, trials, values, int(part.attributes["fs"]), (float(window[0]), float(window[1])))


def fiber_index(file: SessionFile, group: str) -> int:
    """Return the fibre index of a recording group's responses."""
    return int(file.handle[f"photometry/{group}/responses"].attrs["fiber_idx"])


def qc_parts(rows: pd.DataFrame, groups: Mapping[int, str]) -> dict[str, Part]:
    """Return one part per recording group from quality rows.

    Parameters
    ----------
    rows : DataFrame
        One row per (fibre, band), column `fiber_idx` among them.
    groups : mapping of int to str
        Group names by fibre index.
    """
    parts = {}
    for fiber_idx, fiber_rows in rows.groupby("fiber_idx"):
        datasets: dict[str, Values] = {}
        for name in rows.columns:
            column = fiber_rows[name]
            is_text = column.dtype == object
            datasets[str(name)] = [None if v is None else str(v) for v in column] if is_text else column.to_numpy()
        parts[f"photometry/{groups[int(str(fiber_idx))]}/qc"] = Part(datasets)
    return parts


def read_qc(file: SessionFile) -> pd.DataFrame:
    """Return the quality rows of all fibres of a session file, sorted by fibre and band.

    Files of the reference pipeline do not number fibres; there they have the order of their regions.
    """
    groups = [group for group in file.regions() if f"photometry/{group}/qc" in file]
    frames = [
        pd.DataFrame({"fiber_idx": index, **file.read(f"photometry/{group}/qc").datasets})
        for index, group in enumerate(groups)
    ]
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).sort_values(["fiber_idx", "band"], ignore_index=True)
