"""Tables collected from session files: what is there is kept, only sessions whose file changed are read again."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.response_vectors import feature_order
from iblnm_core.cohort import session_rows
from iblnm_core.cohort.current import stamp_of
from iblnm_core.cohort.session_rows import Columns, RowStack, by_fiber, one_row
from iblnm_core.errors import CorruptArtifact
from iblnm_core.identifiers import is_eid
from iblnm_core.root import Root
from iblnm_core.schemas import (
    CONDITION_TRACES,
    CORRECTIONS,
    ENCODING_DELTA_R2,
    ENCODING_FITS,
    ENCODING_KERNELS,
    ERRORS,
    EVENT_REFERENCE,
    PERFORMANCE,
    POSE,
    QC_PHOTOMETRY,
    REGION_PAIRS,
    RESPONSE_CELLS,
    RESPONSE_MATRIX,
    RESPONSES,
    TIME_COURSE_SUMS,
    TRANSIENT_SUMMARY,
    TRANSIENTS,
    TRIAL_MEAN_MEASURES,
    TRIAL_REGRESSORS,
    TRIAL_TIMING,
    TRIALS,
    VIDEO,
)
from iblnm_core.session import layout, pose_layout
from iblnm_core.session.outputs import ALL_STAGES
from iblnm_core.session.summary_layout import read_encoding_fits, read_encoding_tables
from iblnm_core.storage.session_file import Part, SessionFile
from iblnm_core.storage.tables import StoredTable, Table, make_table, read_table, stored_table
from iblnm_core.table_schema import TableSchema
from iblnm_core.workers import results_of

_MANY, _AT_ONCE = 256, 8
"""From how many session files on it is worth to start workers, and how many a worker reads at a time."""


@dataclass(frozen=True)
class Collected:
    """How collecting a table went.

    Attributes
    ----------
    table : Table or StoredTable
        The latter when nothing changed.
    n_sessions, n_read : int
        Sessions behind the rows; session files read in this run.
    broken : tuple of str
        Session files that could not be read; their former rows are left out.
    """

    table: Table | StoredTable
    n_sessions: int
    n_read: int
    broken: tuple[str, ...]


COLLECTED: Mapping[str, tuple[TableSchema, session_rows.Reader]] = MappingProxyType(
    {
        "errors": (ERRORS, session_rows.error_rows),
        "qc_photometry": (QC_PHOTOMETRY, session_rows.qc_rows),
        "corrections": (CORRECTIONS, session_rows.correction_rows),
        "event_reference": (EVENT_REFERENCE, by_fiber("corrections", session_rows.event_reference_columns)),
        "transients": (TRANSIENTS, by_fiber("transients", session_rows.transient_columns)),
        "transient_summary": (TRANSIENT_SUMMARY, by_fiber("transients", lambda part: part.attributes)),
        "performance": (PERFORMANCE, one_row("performance", layout.read_performance)),
        "trials": (TRIALS, session_rows.trial_rows),
        "trial_timing": (TRIAL_TIMING, session_rows.timing_rows),
        "trial_regressors": (TRIAL_REGRESSORS, session_rows.regressor_rows),
        "responses": (RESPONSES, session_rows.response_rows),
        "response_matrix": (RESPONSE_MATRIX, session_rows.vector_rows),
        "response_cells": (RESPONSE_CELLS, by_fiber("cells", session_rows.frame_columns)),
        "time_course_sums": (
            TIME_COURSE_SUMS,
            by_fiber("course_sums", session_rows.course_sum_columns, arrays=True),
        ),
        "trial_mean_measures": (TRIAL_MEAN_MEASURES, by_fiber("mean_measures", session_rows.frame_columns)),
        "region_pairs": (REGION_PAIRS, session_rows.pair_rows),
        "condition_traces": (CONDITION_TRACES, session_rows.trace_rows),
        "encoding_fits": (ENCODING_FITS, session_rows.encoding_rows(read_encoding_fits)),
        "encoding_kernels": (
            ENCODING_KERNELS,
            session_rows.encoding_rows(partial(read_encoding_tables, name="kernels")),
        ),
        "encoding_delta_r2": (
            ENCODING_DELTA_R2,
            session_rows.encoding_rows(partial(read_encoding_tables, name="delta_r2")),
        ),
        "video": (VIDEO, one_row("video_qc", layout.read_video)),
        "pose": (POSE, one_row(pose_layout.PART, pose_layout.read_pose)),
    }
)
"""Collected tables: their schema, and how their rows are read from a session file."""

OUTPUT_OF: Mapping[str, str] = MappingProxyType(
    {
        "errors": "session_errors",
        "qc_photometry": "photometry_qc",
        "corrections": "corrections",
        "event_reference": "corrections",
        "transients": "transients",
        "transient_summary": "transients",
        "performance": "task_performance",
        "trials": "trials",
        "trial_timing": "trial_regressors",
        "trial_regressors": "trial_regressors",
        "responses": "response_magnitudes",
        "response_matrix": "response_vector",
        "response_cells": "response_cells",
        "time_course_sums": "time_course_sums",
        "trial_mean_measures": "trial_mean_measures",
        "region_pairs": "region_pairs",
        "condition_traces": "condition_traces",
        "encoding_fits": "encoding_model",
        "encoding_kernels": "encoding_model",
        "encoding_delta_r2": "encoding_model",
        "video": "video_qc",
        "pose": "pose",
    }
)
"""The session output that each collected table gathers."""


def collect(root: Root, name: str) -> Collected:
    """Return one collected table brought up to date with the session files; see `collect_tables`."""
    [(_, found)] = collect_tables(root, [name])
    return found


def collect_tables(root: Root, names: Iterable[str]) -> Iterator[tuple[str, Collected]]:
    """Yield collected tables brought up to date with the session files.

    A session file is opened once for all tables that do not know it as it is; many are read by the root's workers.

    Parameters
    ----------
    root : Root
    names : iterable of str
        Keys of `COLLECTED`; the tables come in their order.
    """
    stamps = {eid: stamp_of(path) for eid, path in session_files(root).items()}
    tables = {name: _Update(root, name, stamps) for name in names}
    due = [
        (eid, root.session_file(eid), wanted)
        for eid in stamps
        if (wanted := tuple(name for name, table in tables.items() if eid in table.changed))
    ]
    workers = root.workers if len(due) >= _MANY else 1
    for found in results_of(
        _read_sessions, [due[first : first + _AT_ONCE] for first in range(0, len(due), _AT_ONCE)], workers=workers
    ):
        for eid, rows in found.items():
            for name, columns in rows.items():
                tables[name].take(eid, columns)
    for name, table in tables.items():
        yield name, table.result()


def _read_sessions(wanted: Iterable[tuple[str, Path, tuple[str, ...]]]) -> dict[str, dict[str, list[Columns] | None]]:
    """Return the rows of sessions for the tables that want them; None for what cannot be read."""
    return {eid: _read_session(path, eid, names) for eid, path, names in wanted}


def _read_session(path: Path, eid: str, names: tuple[str, ...]) -> dict[str, list[Columns] | None]:
    rows: dict[str, list[Columns] | None] = dict.fromkeys(names)
    with contextlib.suppress(CorruptArtifact, FileNotFoundError), _ReadOnce(path, eid) as file:
        for name in names:
            _, read = COLLECTED[name]
            # one that has not what it should have costs this table only
            with contextlib.suppress(CorruptArtifact, KeyError):
                rows[name] = list(read(file))
    return rows


class _ReadOnce(SessionFile):
    """A session file of which several tables read the same parts."""

    def __init__(self, path: Path, eid: str) -> None:
        super().__init__(path, eid)
        self._known: dict[tuple[str, bool], Part] = {}

    def _read(self, path: str, *, arrays: bool) -> Part:
        if (path, arrays) not in self._known:
            self._known[path, arrays] = super()._read(path, arrays=arrays)
        return self._known[path, arrays]


class _Update:
    """A collected table that is being brought up to date."""

    def __init__(self, root: Root, name: str, stamps: Mapping[str, Any]) -> None:
        self._root, self._stamps = root, stamps
        self._schema, _ = COLLECTED[name]
        self._stored = stored_table(root.path, self._schema)
        known = self._stored.notes.get("stamps", {}) if self._stored is not None else {}
        self._is_current = self._stored is not None and known == stamps
        unchanged = {eid for eid, stamp in stamps.items() if known.get(eid) == stamp}
        self._rows = RowStack(self._schema)
        if unchanged and not self._is_current:
            try:
                former = read_table(root.path, self._schema)
            except (FileNotFoundError, CorruptArtifact):
                unchanged = set()
            else:
                kept = former[former["eid"].isin(unchanged)]
                self._rows.add({str(column): _plain(values) for column, values in kept.items()})
        self.changed = set(stamps) - unchanged
        self.broken: list[str] = []

    def take(self, eid: str, rows: Sequence[Columns] | None) -> None:
        """Take the rows of a session; None for one that could not be read."""
        if rows is None:
            self.broken.append(eid)
        for columns in rows or ():
            self._rows.add(columns)

    def result(self) -> Collected:
        """Return the table."""
        if self._stored is not None and self._is_current:
            return Collected(self._stored, len(self._stamps), 0, ())
        stamps = {eid: stamp for eid, stamp in self._stamps.items() if eid not in self.broken}
        table = make_table(self._schema, self._rows.frame(feature_order), {"stamps": stamps})
        # the pieces of this table make room for the next one
        self._rows = RowStack(self._schema)
        return Collected(table, len(stamps), len(self.changed), tuple(sorted(self.broken)))


def _plain(values: "pd.Series[Any]") -> NDArray[Any]:
    """Return a column of a stored table with None for what is null."""
    if not isinstance(values.dtype, pd.api.extensions.ExtensionDtype):
        return values.to_numpy()
    plain: NDArray[Any] = values.to_numpy(dtype=object)
    plain[values.isna().to_numpy()] = None
    return plain


def collected_rows(root: Root, name: str) -> pd.DataFrame:
    """Return the rows of a collected table as the session files are now; nothing is written.

    Parameters
    ----------
    root : Root
    name : str
        A key of `COLLECTED`.
    """
    table = collect(root, name).table
    return read_table(root.path, table.schema) if isinstance(table, StoredTable) else table.rows.to_pandas()


def stage_errors(errors: pd.DataFrame, stage: str) -> pd.DataFrame:
    """Return the rows of the errors table that concern a stage: its own, and those of all stages."""
    return errors[errors["stage"].isin([stage, ALL_STAGES])]


def session_files(root: Root) -> dict[str, Path]:
    """Return the stored session files by session id, in their order."""
    paths = sorted(root.session_folder.glob("*.h5"))
    return {path.stem: path for path in paths if is_eid(path.stem)}
