"""The datasets of a session folder: their paths, their content in memory, their bytes. What is in them is not known here."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

DESCRIPTION = "_ibl_experiment.description.yaml"
BEHAVIOUR = "alf/task_00"
TRIALS = f"{BEHAVIOUR}/_ibl_trials.table.pqt"
TRIAL_ATTRIBUTES = tuple(
    f"{BEHAVIOUR}/_ibl_trials.{name}.npy" for name in ("goCueTrigger_times", "stimOff_times", "quiescencePeriod")
)
WHEEL_TIMES = f"{BEHAVIOUR}/_ibl_wheel.timestamps.npy"
WHEEL_POSITION = f"{BEHAVIOUR}/_ibl_wheel.position.npy"
SIGNAL = "alf/photometry/photometry.signal.pqt"
LOCATIONS = "alf/photometry/photometryROI.locations.pqt"
RAW_FRAMES = "raw_photometry_data/_neurophotometrics_fpData.raw.pqt"
RAW_CHANNELS = "raw_photometry_data/_neurophotometrics_fpData.channels.csv"
RAW_TASK = "raw_task_data_00/_iblrig_taskData.raw.jsonable"
RAW_SETTINGS = "raw_task_data_00/_iblrig_taskSettings.raw.json"
RAW_ENCODER = "raw_task_data_00/_iblrig_encoderPositions.raw.ssv"
CAMERA_TIMES = "alf/_ibl_leftCamera.times.npy"
RAW_VIDEO = "raw_video_data/_iblrig_leftCamera.raw.mp4"

Content: TypeAlias = "pa.Table | NDArray[Any] | dict[str, Any] | str | bytes"
"""A dataset in memory: parquet table, numpy array, document (JSON or YAML by its suffix), text, or plain bytes."""


@dataclass
class SessionContent:
    """All of a session that is written: its datasets, and what a database would know beside them.

    Attributes
    ----------
    datasets : dict of str to Content
        By path below the session folder.
    details : dict of str to Any
        The session's entry of `session_details.jsonl`, its id left out.
    """

    datasets: dict[str, Content]
    details: dict[str, Any]

    def table(self, path: str) -> pa.Table:
        """Return a dataset that is a table.

        Raises
        ------
        TypeError
            When it is none.
        """
        content = self.datasets[path]
        if not isinstance(content, pa.Table):
            raise TypeError(f"{path} holds {type(content).__name__}; expected a table")
        return content


def serialised(path: str, content: Content) -> bytes:
    """Return the bytes of a dataset as they stand in its file.

    Parameters
    ----------
    path : str
        Its suffix tells how a document is written.
    content : Content
    """
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, np.ndarray):
        stream = io.BytesIO()
        np.save(stream, content)
        return stream.getvalue()
    if isinstance(content, pa.Table):
        return _parquet(content)
    return _document(path, content)


def write_session(folder: Path, datasets: Mapping[str, Content]) -> dict[str, int]:
    """Write the datasets of a session below its folder; return their sizes in bytes by path."""
    sizes = {}
    for path, content in sorted(datasets.items()):
        written = serialised(path, content)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(written)
        sizes[path] = len(written)
    return sizes


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    # ONE cannot open a table without schema metadata
    metadata = table.schema.metadata or {b"one_metadata": b"{}"}
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata), sink, compression="zstd", compression_level=1, use_dictionary=texts
    )
    return bytes(sink.getvalue().to_pybytes())


def _document(path: str, content: Mapping[str, Any]) -> bytes:
    import yaml

    if PurePosixPath(path).suffix == ".yaml":
        text = yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False)
    else:
        text = json.dumps(content, ensure_ascii=False, indent=1)
    return text.encode()
