"""How assets are stored and loaded: tables as parquet, outputs of the session step from the session file."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import pandas as pd

from iblnm_core.errors import CorruptArtifact
from iblnm_core.root import Root, open_root
from iblnm_core.schemas import TABLES
from iblnm_core.session import layout, ledger, summary_layout
from iblnm_core.session.verdicts import ERROR_COLUMNS
from iblnm_core.storage.session_file import Part, SessionFile, update_session_file
from iblnm_core.storage.tables import StoredTable, Table, make_table, read_table, write_table


class TableIOManager(dg.ConfigurableIOManager):
    """Tables of the root as parquet, held against their schema on the way in."""

    root: str

    def handle_output(self, context: dg.OutputContext, obj: Table | StoredTable | pd.DataFrame) -> None:
        """Write a table; one that is stored stays, and a frame is held against the schema of its asset first."""
        if isinstance(obj, StoredTable):
            path = Path(self.root) / obj.schema.path
            context.add_output_metadata({"path": str(path), "dagster/row_count": obj.n_rows, "unchanged": True})
            return
        table = obj if isinstance(obj, Table) else make_table(TABLES[context.asset_key.path[-1]], obj)
        path = write_table(Path(self.root), table)
        context.add_output_metadata({"path": str(path), "dagster/row_count": table.rows.num_rows})

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Read a table as a frame."""
        return read_table(Path(self.root), TABLES[context.asset_key.path[-1]])


def _errors(file: SessionFile) -> pd.DataFrame:
    return pd.DataFrame(ledger.read_errors(file), columns=list(ERROR_COLUMNS))


def _qc(file: SessionFile) -> pd.DataFrame:
    return layout.read_qc(file).assign(eid=file.eid)


READERS: Mapping[str, Callable[[SessionFile], Any]] = MappingProxyType(
    {
        "session_metadata": layout.read_metadata,
        "trials": layout.read_trials,
        "photometry_qc": _qc,
        "preprocessed_signal": layout.read_signals,
        "responses": layout.read_responses,
        "response_magnitudes": summary_layout.read_magnitudes,
        "response_vector": summary_layout.read_vectors,
        "condition_traces": summary_layout.read_traces,
        "encoding_model": summary_layout.read_encoding_fits,
        "task_performance": layout.read_performance,
        "wheel_velocity": layout.read_wheel,
        "trial_regressors": layout.read_regressors,
        "video_qc": layout.read_video,
        "session_errors": _errors,
    }
)
"""How each output is read from a session file."""

ROWS = frozenset({"photometry_qc", "session_errors"})
"""Outputs that are rows of a table: many sessions load as one frame."""


class SessionFiles(Mapping[str, Any]):
    """One output of many sessions, each read when it is asked for.

    Parameters
    ----------
    root : Root
    name : str
        The output.
    eids : tuple of str
        Sessions that have it.
    without : int
        Number of registered sessions that do not.
    """

    def __init__(self, root: Root, name: str, eids: tuple[str, ...], without: int) -> None:
        self.without = without
        self._root = root
        self._name = name
        self._eids = eids

    def __getitem__(self, eid: str) -> Any:
        """Read the output of one session."""
        if eid not in self._eids:
            raise KeyError(eid)
        with SessionFile(self._root.session_file(eid), eid) as file:
            return READERS[self._name](file)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the sessions that have the output."""
        return iter(self._eids)

    def __len__(self) -> int:
        """Count the sessions that have the output."""
        return len(self._eids)


class SessionFileIOManager(dg.ConfigurableIOManager):
    """Outputs of the session step, in the session files of the root."""

    root: str

    def handle_output(self, context: dg.OutputContext, obj: Mapping[str, Part]) -> None:
        """Put parts into a session's file; everything else in it stays."""
        root, eid = open_root(Path(self.root)), context.partition_key
        update_session_file(root.session_file(eid), eid, lambda _stored: (obj, lambda _part: False))

    def load_input(self, context: dg.InputContext) -> Any:
        """Read an output: of one session as it is, of many as one frame (rows) or a lazy mapping (everything else).

        Dagster hands over every registered session; those without the output are skipped and counted.
        """
        root, name = open_root(Path(self.root)), context.asset_key.path[-1]
        keys = context.asset_partition_keys
        if len(keys) == 1 and context.has_partition_key:
            with SessionFile(root.session_file(keys[0]), keys[0]) as file:
                return READERS[name](file)
        present = tuple(eid for eid in keys if _has(root, eid, name))
        without = len(keys) - len(present)
        context.log.info(f"{name}: {len(present)} sessions have it, {without} do not")
        found = SessionFiles(root, name, present, without)
        if name not in ROWS:
            return found
        frames = [frame for frame in found.values() if len(frame)]
        rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        # Dagster takes no metadata of an input of many partitions
        rows.attrs = {"sessions": len(present), "sessions_without": without}
        return rows


def _has(root: Root, eid: str, name: str) -> bool:
    """Whether a session has an output that can be read."""
    try:
        with SessionFile(root.session_file(eid), eid) as file:
            if name == "session_errors":
                return "errors" in file
            provenance = ledger.read_provenance(file)
    except (FileNotFoundError, KeyError, CorruptArtifact):
        return False
    return name in provenance and provenance[name].state == "stored"
