"""The rows that a session file gives each collected table. What is done with them is the business of `collect`.

Rows come as columns: an array or a list has a value per row, anything else holds for all of them. A cohort has tens of
thousands of such pieces; a frame of each would take most of the time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.schemas import TRIAL_TIMING
from iblnm_core.session import corrections_layout, layout, ledger, shape_stage, summary_layout, transient_stage
from iblnm_core.session.verdicts import ERROR_COLUMNS
from iblnm_core.storage.session_file import Part, SessionFile
from iblnm_core.table_schema import TableSchema

Columns: TypeAlias = Mapping[str, Any]
"""Values by name of the column; what a table does not know is left out, what it misses is null."""


def error_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield the errors of a session.

    Raises
    ------
    KeyError
        When the file is not one of this pipeline.
    """
    if "provenance" not in file:
        raise KeyError(f"{file.path} was not written by this pipeline")
    rows = ledger.read_errors(file)
    yield {name: [row[name] for row in rows] for name in ERROR_COLUMNS}


def qc_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield the quality of each fibre's bands."""
    groups = [group for group in file.regions() if f"photometry/{group}/qc" in file]
    for index, group in enumerate(groups):
        # files of the reference pipeline do not number fibres; there they have the order of their regions
        yield {"fiber_idx": index, **file.read(f"photometry/{group}/qc").datasets, "eid": file.eid}


def by_fiber(name: str, columns_of: Callable[[Part], Columns], *, arrays: bool = False) -> "Reader":
    """Return how the rows of all fibres that have a part of this name are read; session and region are added.

    Parameters
    ----------
    name : str
        Last of the path, such as cells.
    columns_of : callable
        From a part to its columns.
    arrays : bool
        Whether more than rows and attributes is needed.
    """

    def read(file: SessionFile) -> Iterator[Columns]:
        for group, part in summary_layout.fiber_parts(file, name, arrays=arrays).items():
            yield {**columns_of(part), "brain_region": layout.region_of(group), "eid": file.eid}

    return read


def correction_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield the corrections of each fibre."""
    for group, part in summary_layout.fiber_parts(file, "corrections", arrays=False).items():
        for row in corrections_layout.correction_rows(part):
            yield {**row, "brain_region": layout.region_of(group), "eid": file.eid}


def event_reference_columns(part: Part) -> Columns:
    """Return how the reference of a fibre responds to events, a row of each."""
    return {**corrections_layout.event_reference_columns(part), "fiber_idx": part.attributes["fiber_idx"]}


def transient_columns(part: Part) -> Columns:
    """Return the transients of a fibre, a row of each."""
    columns = transient_stage.transient_columns(part)
    return {**columns, "transient": np.arange(len(columns["time"])), "unit": shape_stage.UNIT}


def frame_columns(part: Part) -> Columns:
    """Return the rows about one fibre that `summary_layout.frame_part` stored."""
    return {"fiber_idx": part.attributes["fiber_idx"], **part.datasets}


def course_sum_columns(part: Part) -> Columns:
    """Return one fibre's sums for time courses, a row per event."""
    events = part.datasets["event"]
    return {**part.attributes, **part.datasets, "stim_side": [list(part.datasets["stim_side"])] * len(events)}


def one_row(part: str, read: Callable[[SessionFile], Mapping[str, Any]]) -> "Reader":
    """Return how a session's one row is read, from a file that has this part."""

    def read_row(file: SessionFile) -> Iterator[Columns]:
        if part in file:
            yield {name: [value] for name, value in read(file).items()}

    return read_row


def trial_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield the trial table."""
    if "trials" in file:
        session, trials = layout.read_metadata(file), layout.trial_columns(file)
        keys = {name: session[name] for name in ("subject", "session_n", "session_type")}
        yield {**trials, **keys, "eid": file.eid, "trial": np.arange(len(next(iter(trials.values()))))}


def regressor_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield what models take from each trial."""
    if "trial_regressors" in file:
        columns = file.read("trial_regressors").datasets
        yield {**columns, "eid": file.eid, "trial": np.arange(len(next(iter(columns.values()))))}


def timing_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield the timings of each trial."""
    for columns in regressor_rows(file):
        yield {name: columns[name] for name in TRIAL_TIMING.column_names}


def response_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield response sizes beside the task's variables; none while the two were made from different trial tables."""
    if not ledger.share_trials(file, "response_magnitudes", "trial_regressors"):
        return
    session = layout.read_metadata(file)
    variables = {name: np.asarray(values) for name, values in file.read("trial_regressors").datasets.items()}
    scalars = {name: session[name] for name in ("subject", "session_type", "NM")}
    for part in summary_layout.fiber_parts(file, "magnitudes", arrays=False).values():
        fiber_idx, trials = int(part.attributes["fiber_idx"]), np.asarray(part.datasets["trials"])
        of_trials = {name: values[trials] for name, values in variables.items()}
        own = {name: of_fiber(session[name], fiber_idx) for name in ("target_NM", "brain_region", "hemisphere")}
        for event, response, before in summary_layout.magnitudes_by_event(part):
            sizes = {"event": event, "trial": trials, "response_early": response, "pre_event": before}
            yield {**of_trials, **sizes, **scalars, **own, "fiber_idx": fiber_idx, "eid": file.eid}


def of_fiber(values: Sequence[Any], fiber_idx: int) -> Any:
    """Return a fibre's entry of a session's list: a session without regions in its row still has those of its signal."""
    return values[fiber_idx] if fiber_idx < len(values) else None


def vector_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield the response vector of each fibre, a column per condition."""
    for fiber_idx, vector in summary_layout.read_vectors(file).items():
        target = of_fiber(layout.read_metadata(file)["target_NM"], fiber_idx)
        sizes = dict(zip(map(str, vector.index), vector, strict=True))
        yield {**sizes, "eid": file.eid, "fiber_idx": fiber_idx, "target_NM": target}


def trace_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield the mean courses of each fibre."""
    for part in summary_layout.fiber_parts(file, "traces").values():
        times = np.asarray(part.datasets["times"])
        grid = {"start_s": times[0], "sampling_rate_hz": summary_layout.sampling_rate_hz(times)}
        columns = {name: values for name, values in part.datasets.items() if name != "times"}
        yield {**columns, **grid, "fiber_idx": part.attributes["fiber_idx"], "eid": file.eid}


def encoding_rows(read: Callable[[SessionFile], pd.DataFrame]) -> "Reader":
    """Return how rows of encoding models are read, with the target of the fibre."""

    def read_rows(file: SessionFile) -> Iterator[Columns]:
        rows = read(file)
        if len(rows):
            targets = layout.read_metadata(file)["target_NM"]
            own = [of_fiber(targets, int(fiber_idx)) for fiber_idx in rows["fiber_idx"]]
            yield {**{str(n): v.to_numpy() for n, v in rows.items()}, "eid": file.eid, "target_NM": own}

    return read_rows


def pair_rows(file: SessionFile) -> Iterator[Columns]:
    """Yield how fibres go together, two by two."""
    if "region_pairs" in file:
        rows = shape_stage.stored_pairs(file.read("region_pairs"))
        yield {**{str(name): values.to_numpy() for name, values in rows.items()}, "eid": file.eid}


Reader: TypeAlias = Callable[[SessionFile], Iterator[Columns]]
"""How the rows of a table are read from a session file."""


class RowStack:
    """Rows of a table that is being put together, column by column.

    Parameters
    ----------
    schema : TableSchema
    """

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._pieces: dict[str, list[tuple[int, Any]]] = {}
        self._lengths: list[int] = []

    def add(self, columns: Columns) -> None:
        """Take rows; none when the columns are empty."""
        n_rows = next((len(values) for values in columns.values() if _is_by_row(values)), 1)
        if n_rows:
            names = columns if self._schema.features is not None else set(columns) & set(self._schema.column_names)
            for name in names:
                self._pieces.setdefault(name, []).append((len(self._lengths), columns[name]))
            self._lengths.append(n_rows)

    def frame(self, features: Callable[[set[str]], Sequence[str]]) -> pd.DataFrame:
        """Return all rows with the columns of the schema.

        Parameters
        ----------
        features : callable
            Puts names of features into their order. A feature that no row has a value of is none.
        """
        schema = self._schema
        if not self._lengths:
            return pd.DataFrame(columns=schema.column_names)
        if schema.features is not None:
            own = {name for name in self._pieces if name not in schema.column_names and self._has_values(name)}
            schema = schema.with_features(features(own))
        return pd.DataFrame({column.name: self._column(column.name, column.kind) for column in schema.columns})

    def _has_values(self, name: str) -> bool:
        return any(not np.all(pd.isna(values)) for _, values in self._pieces[name])

    def _column(self, name: str, kind: str) -> NDArray[Any]:
        known = dict(self._pieces.get(name, ()))
        pieces = [_piece(known.get(place), n_rows, kind) for place, n_rows in enumerate(self._lengths)]
        values = np.concatenate(pieces)
        if kind == "integer" and values.dtype.kind == "f" and not np.isnan(values).any():
            return values.astype(np.int64)
        if kind == "truth" and values.dtype == object and not pd.isna(values).any():
            return values.astype(np.bool_)
        return values


def _is_by_row(values: Any) -> bool:
    return isinstance(values, list | np.ndarray)


def _piece(values: Any, n_rows: int, kind: str) -> NDArray[Any]:
    """Return the rows of one column of one piece, as frames read from a stored table have them."""
    by_row = _is_by_row(values)
    if kind in {"number", "integer"}:
        if not by_row:
            return np.full(n_rows, np.nan if values is None else values)
        if isinstance(values, list) or values.dtype == object:
            return np.array([np.nan if value is None else value for value in values], np.float64)
        array: NDArray[Any] = values
        return array if kind == "integer" else array.astype(np.float64, copy=False)
    if by_row and kind == "truth" and isinstance(values, np.ndarray) and values.dtype == np.bool_:
        return values
    filled = np.empty(n_rows, object)
    rows = list(values) if by_row else [values] * n_rows
    if kind in {"texts", "numbers"}:
        # numpy would take lists of one length for a matrix
        for place, row in enumerate(rows):
            filled[place] = row
    else:
        filled[:] = rows
    return filled
