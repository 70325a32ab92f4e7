"""How sound sessions of other rigs arrange their files: the same content under other names and columns."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from iblnm_core.demo import files
from iblnm_core.demo.camera import BLACK_LEVEL
from iblnm_core.demo.files import SessionContent

_OUTPUT_LINE = 16
_INPUT_LINES = (256, 512)
# odd, so that frames of both bands are among them
_EVERY = 101


def as_it_is(_content: SessionContent) -> None:
    """Leave everything in place."""


def older_instrument(content: SessionContent) -> None:
    """Arrange a session as an older rig did: `Timestamp` for the camera's clock, `Region0G` for ROIs, `alf` for behaviour."""
    raw = content.table(files.RAW_FRAMES).drop_columns(["ComputerTimestamp"])
    content.datasets[files.RAW_FRAMES] = _renamed(raw, {"SystemTimestamp": "Timestamp"})
    for path in (files.RAW_FRAMES, files.SIGNAL):
        content.datasets[path] = _renamed(content.table(path), _OLDER_ROIS)
    locations = content.table(files.LOCATIONS)
    rois = [_OLDER_ROIS[roi] for roi in locations.column("ROI").to_pylist()]
    content.datasets[files.LOCATIONS] = locations.set_column(locations.column_names.index("ROI"), "ROI", pa.array(rois))
    description: Any = content.datasets[files.DESCRIPTION]
    fibers = description["devices"]["neurophotometrics"]["fibers"]
    description["devices"]["neurophotometrics"]["fibers"] = {_OLDER_ROIS[roi]: entry for roi, entry in fibers.items()}
    description["sync"]["bpod"]["collection"] = "raw_behavior_data"
    for task in description["tasks"]:
        for entry in task.values():
            entry["collection"] = "raw_behavior_data"
    content.datasets = {_older_path(path): dataset for path, dataset in content.datasets.items()}


_OLDER_ROIS = {f"G{number}": f"Region{number}G" for number in range(4)}


def _older_path(path: str) -> str:
    return path.replace("alf/task_00/", "alf/").replace("raw_task_data_00/", "raw_behavior_data/")


def flags(content: SessionContent) -> None:
    """Write LED states as `Flags`, with the camera's digital lines among them."""
    raw = content.table(files.RAW_FRAMES).drop_columns(["ComputerTimestamp"])
    states = raw.column("LedState").to_numpy() + _OUTPUT_LINE
    states[0] = _OUTPUT_LINE
    for place, line in enumerate(_INPUT_LINES):
        states[_EVERY * (1 + place) :: _EVERY * len(_INPUT_LINES)] += line
    raw = raw.set_column(raw.column_names.index("LedState"), "Flags", pa.array(states))
    content.datasets[files.RAW_FRAMES] = _renamed(raw, {"SystemTimestamp": "Timestamp"})


def dead_rois(content: SessionContent) -> None:
    """Add two ROIs without a fibre to the raw frames, as a rig with more branches than the mouse has."""
    raw = content.table(files.RAW_FRAMES)
    n_rois = len(content.table(files.LOCATIONS))
    for number in (n_rois, n_rois + 1):
        raw = raw.append_column(f"G{number}", pa.array(np.full(raw.num_rows, BLACK_LEVEL)))
    content.datasets[files.RAW_FRAMES] = raw


def _renamed(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    return table.rename_columns([names.get(name, name) for name in table.column_names])


LAYOUTS: Mapping[str, Callable[[SessionContent], None]] = MappingProxyType(
    {"standard": as_it_is, "timestamp": older_instrument, "flags": flags, "dead_rois": dead_rois}
)
"""Arrangements of the files by name; the pipeline must take all of them."""
