"""What lies where in a session file of the numbers that responses are boiled down to; all else is in `layout`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.encoding.model import EncodingModel
from iblnm_core.parameters import MagnitudeParameters
from iblnm_core.session.magnitudes import Sizes
from iblnm_core.session.responses import Responses
from iblnm_core.storage.session_file import Part, SessionFile, Values

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
    return Part(datasets, attributes)


def magnitude_rows(part: Part) -> pd.DataFrame:
    """Return the response magnitudes of one fibre: one row per event and trial."""
    trials = np.asarray(part.datasets["trials"])
    events = sorted(name for name in part.datasets if name != "trials" and "/" not in name)
    frames = [
        pd.DataFrame(
            {
                "fiber_idx": part.attributes["fiber_idx"],
                "event": event,
                "trial": trials,
                "response": part.datasets[event],
                "pre_event": part.datasets[f"{_PRE_EVENT}/{event}"],
            }
        )
        for event in events
    ]
    return pd.concat(frames, ignore_index=True)


def read_magnitudes(file: SessionFile) -> pd.DataFrame:
    """Return the response magnitudes of a session file: one row per fibre, event and trial."""
    frames = [magnitude_rows(part) for part in fiber_parts(file, "magnitudes").values()]
    if not frames:
        return pd.DataFrame(columns=["fiber_idx", "event", "trial", "response", "pre_event"])
    rows = pd.concat(frames, ignore_index=True)
    return rows.sort_values(["fiber_idx", "event", "trial"], ignore_index=True)


def vector_part(fiber_idx: int, vector: "pd.Series[float]") -> Part:
    """Return the part of one fibre's response vector."""
    return Part({"feature": list(vector.index), "response": vector.to_numpy()}, {"fiber_idx": fiber_idx})


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
    columns = {name: traces[name].to_numpy() for name in ("contrast", "feedbackType", "n_trials")}
    return Part(
        {"event": list(traces["event"]), **columns, "times": times, "response": values}, {"fiber_idx": fiber_idx}
    )


def read_traces(file: SessionFile) -> pd.DataFrame:
    """Return the mean courses of a session file: a row per fibre, event, contrast and outcome."""
    frames = []
    for part in fiber_parts(file, "traces").values():
        columns = {name: part.datasets[name] for name in ("event", "contrast", "feedbackType", "n_trials")}
        rows = pd.DataFrame({"fiber_idx": part.attributes["fiber_idx"], **columns})
        times = np.asarray(part.datasets["times"])
        rows["start_s"], rows["sampling_rate_hz"] = times[0], round(1 / float(np.median(np.diff(times))))
        frames.append(rows.assign(response=list(np.asarray(part.datasets["response"]))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def frame_part(fiber_idx: int, frame: pd.DataFrame) -> Part:
    """Return the part of rows about one fibre: a dataset per column but those of session and fibre."""
    return Part(frame_datasets(frame.drop(columns=["eid", "fiber_idx"], errors="ignore")), {"fiber_idx": fiber_idx})


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


def frame_rows(part: Part) -> pd.DataFrame:
    """Return the rows about one fibre that `frame_part` stored."""
    return pd.DataFrame({"fiber_idx": part.attributes["fiber_idx"], **part.datasets})


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


def fiber_parts(file: SessionFile, name: str) -> Mapping[str, Part]:
    """Return the parts of all fibres that have one of this name, by recording group.

    Parameters
    ----------
    file : SessionFile
    name : str
        Last of the path, such as magnitudes.
    """
    paths = {group: f"photometry/{group}/{name}" for group in file.regions()}
    return {group: file.read(path) for group, path in paths.items() if path in file}
