"""What lies where in a session file of the numbers that responses are boiled down to; all else is in `layout`."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.encoding.model import EncodingModel
from iblnm_core.parameters import MagnitudeParameters
from iblnm_core.session.magnitudes import Sizes
from iblnm_core.session.responses import Responses
from iblnm_core.storage.hdf5 import Values
from iblnm_core.storage.session_file import Part, SessionFile

_PRE_EVENT = "pre_event"


def magnitudes_part(fiber_idx: int, responses: Responses, sizes: Sizes, parameters: MagnitudeParameters) -> Part:
    """Return the part of one fibre's response magnitudes, and of what came before the events."""
    datasets: dict[str, Values] = {"trials": responses.trials, **dict(zip(responses.events, sizes.early, strict=True))}
    datasets |= {
        f"{_PRE_EVENT}/{event}": values for event, values in zip(responses.events, sizes.pre_event, strict=True)
    }
    attributes = {
        "fiber_idx": fiber_idx,
        "baseline_window": list(parameters.baseline_window_s),
        "early_window": list(parameters.early_window_s),
        "pre_event_window": list(parameters.pre_event_window_s),
    }
    return Part(datasets, attributes, rows=tuple(datasets))


def magnitude_rows(part: Part) -> pd.DataFrame:
    """Return the response magnitudes of one fibre: one row per event and trial."""
    about = {"fiber_idx": part.attributes["fiber_idx"], "trial": np.asarray(part.datasets["trials"])}
    frames = [
        pd.DataFrame({**about, "event": event, "response": response, "pre_event": before})
        for event, response, before in magnitudes_by_event(part)
    ]
    return pd.concat(frames, ignore_index=True)[["fiber_idx", "event", "trial", "response", "pre_event"]]


def magnitudes_by_event(part: Part) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Yield event, response magnitudes of its trials, and what came before; events in alphabetical order."""
    for event in sorted(name for name in part.datasets if name != "trials" and "/" not in name):
        yield event, np.asarray(part.datasets[event]), np.asarray(part.datasets[f"{_PRE_EVENT}/{event}"])


def read_magnitudes(file: SessionFile) -> pd.DataFrame:
    """Return the response magnitudes of a session file: one row per fibre, event and trial."""
    frames = [magnitude_rows(part) for part in fiber_parts(file, "magnitudes").values()]
    if not frames:
        return pd.DataFrame(columns=["fiber_idx", "event", "trial", "response", "pre_event"])
    rows = pd.concat(frames, ignore_index=True)
    return rows.sort_values(["fiber_idx", "event", "trial"], ignore_index=True)


def vector_part(fiber_idx: int, vector: "pd.Series[float]") -> Part:
    """Return the part of one fibre's response vector."""
    columns: dict[str, Values] = {"feature": list(vector.index), "response": vector.to_numpy()}
    return Part(columns, {"fiber_idx": fiber_idx}, rows=tuple(columns))


def read_vectors(file: SessionFile) -> dict[int, "pd.Series[float]"]:
    """Return the response vectors of a session file, by fibre."""
    found = {}
    for part in fiber_parts(file, "vector").values():
        features = [str(name) for name in part.datasets["feature"]]
        found[int(part.attributes["fiber_idx"])] = pd.Series(np.asarray(part.datasets["response"]), index=features)
    return dict(sorted(found.items()))


def traces_part(fiber_idx: int, traces: pd.DataFrame, times: NDArray[np.float64]) -> Part:
    """Return the part of one fibre's mean courses."""
    values = np.stack(list(traces["response"])) if len(traces) else np.empty((0, len(times)))
    columns: dict[str, Values] = {"event": list(traces["event"])}
    columns |= {name: traces[name].to_numpy() for name in ("contrast", "feedbackType", "n_trials")}
    return Part({**columns, "times": times, "response": values}, {"fiber_idx": fiber_idx}, rows=tuple(columns))


def read_traces(file: SessionFile) -> pd.DataFrame:
    """Return the mean courses of a session file: a row per fibre, event, contrast and outcome."""
    frames = []
    for part in fiber_parts(file, "traces").values():
        columns = {name: part.datasets[name] for name in ("event", "contrast", "feedbackType", "n_trials")}
        rows = pd.DataFrame({"fiber_idx": part.attributes["fiber_idx"], **columns})
        times = np.asarray(part.datasets["times"])
        rows["start_s"], rows["sampling_rate_hz"] = times[0], sampling_rate_hz(times)
        frames.append(rows.assign(response=list(np.asarray(part.datasets["response"]))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def sampling_rate_hz(times: NDArray[np.float64]) -> int:
    """Return the whole rate of a grid of times in s."""
    return round(1 / float(np.median(np.diff(times))))


def frame_part(fiber_idx: int, frame: pd.DataFrame) -> Part:
    """Return the part of rows about one fibre: all columns but those of session and fibre."""
    columns = frame_datasets(frame.drop(columns=["eid", "fiber_idx"], errors="ignore"))
    return Part(columns, {"fiber_idx": fiber_idx}, rows=tuple(columns))


def frame_datasets(frame: pd.DataFrame, prefix: str = "") -> dict[str, Values]:
    """Return a dataset per column of a frame of numbers and texts.

    Parameters
    ----------
    frame : DataFrame
    prefix : str
        Before the names of the columns.
    """
    return {
        f"{prefix}{name}": list(values) if values.dtype == object else values.to_numpy()
        for name, values in frame.items()
    }


def encoding_part(fiber_idx: int, model: EncodingModel) -> Part:
    """Return the part of one fibre's encoding model."""
    datasets: dict[str, Values] = {}
    for name, table in (("kernels", model.kernels), ("delta_r2", model.delta_r2)):
        datasets |= frame_datasets(table, f"{name}/")
    datasets["times"] = model.times
    datasets |= {name: getattr(model, name).astype(np.float32) for name in ("signal", "prediction", "held_out")}
    [row] = model.fit.to_dict("records")
    return Part(datasets, {"fiber_idx": fiber_idx, **{str(name): value for name, value in row.items()}})


def read_encoding_fits(file: SessionFile) -> pd.DataFrame:
    """Return how well the encoding models of a session file fit: a row per fibre."""
    return pd.DataFrame([dict(part.attributes) for part in fiber_parts(file, "encoding").values()])


def read_encoding_tables(file: SessionFile, name: str) -> pd.DataFrame:
    """Return the kernels of a session file, or what each block adds: rows of all fibres.

    Parameters
    ----------
    file : SessionFile
    name : {'kernels', 'delta_r2'}
    """
    frames = []
    for part in fiber_parts(file, "encoding").values():
        columns = {key.partition("/")[2]: v for key, v in part.datasets.items() if key.startswith(f"{name}/")}
        frames.append(pd.DataFrame({"fiber_idx": part.attributes["fiber_idx"], **columns}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def fiber_parts(file: SessionFile, name: str, *, arrays: bool = True) -> Mapping[str, Part]:
    """Return the parts of all fibres that have one of this name, by recording group.

    Parameters
    ----------
    file : SessionFile
    name : str
        Last of the path, such as magnitudes.
    arrays : bool
        Whether to read more than rows and attributes.
    """
    paths = {group: f"photometry/{group}/{name}" for group in file.regions()}
    read = file.read if arrays else file.read_rows
    return {group: read(path) for group, path in paths.items() if path in file}
