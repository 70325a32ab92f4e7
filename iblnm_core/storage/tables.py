"""Stored tables: parquet files held against their schema, in canonical order, written atomically."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from iblnm_core.errors import CorruptArtifact, IblnmError
from iblnm_core.storage.atomic import atomic_path
from iblnm_core.table_schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

_NOTES = b"iblnm"


class SchemaViolation(IblnmError):
    """A frame is not what its table's schema says."""


@dataclass(frozen=True)
class Table:
    """A table that is what its schema says, in canonical order.

    Attributes
    ----------
    schema : TableSchema
    rows : pyarrow.Table
    notes : mapping
        Provenance kept in the file beside the rows; JSON.
    """

    schema: TableSchema
    rows: "pa.Table"
    notes: Mapping[str, Any]

    @property
    def content_hash(self) -> str:
        """Hash of the rows, equal exactly when they are, however they are chunked."""
        digest = hashlib.blake2b(digest_size=16)
        for name in self.rows.column_names:
            digest.update(name.encode())
            for content in _contents(self.rows.column(name)):
                digest.update(content)
        return digest.hexdigest()


def _contents(column: "pa.ChunkedArray") -> Iterator[bytes]:
    """Yield what tells a column from another one of its type."""
    import pyarrow as pa

    if not pa.types.is_primitive(column.type):
        yield json.dumps(column.to_pylist()).encode()
        return
    yield column.is_valid().to_numpy().tobytes()
    yield column.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy().tobytes()


def make_table(schema: TableSchema, frame: pd.DataFrame, notes: Mapping[str, Any] | None = None) -> Table:
    """Hold a frame against its schema and bring it into canonical order.

    Parameters
    ----------
    schema : TableSchema
    frame : DataFrame
        Columns of the schema in any order.
    notes : mapping, optional

    Raises
    ------
    SchemaViolation
        When columns, types, nulls or keys are not as the schema says.
    """
    import pandera.errors
    import pyarrow as pa

    missing = set(schema.column_names) - set(frame.columns)
    if missing:
        raise SchemaViolation(f"table {schema.name} lacks {', '.join(sorted(missing))}")
    ordered = frame[schema.column_names]
    try:
        if not _is_sorted(ordered, schema.key):
            ordered = ordered.sort_values(list(schema.key), ignore_index=True, kind="stable")
        # an empty frame has no types to hold against the schema
        checked = ordered if ordered.empty else schema.pandera().validate(ordered, lazy=True)
        rows = pa.Table.from_pandas(checked, schema=schema.arrow(), preserve_index=False)
    except (pandera.errors.SchemaErrors, pandera.errors.SchemaError, pa.ArrowException, TypeError) as error:
        # a key of mixed types cannot even be ordered
        raise SchemaViolation(f"table {schema.name}: {error}") from error
    return Table(schema, rows, dict(notes or {}))


def _is_sorted(frame: pd.DataFrame, key: Sequence[str]) -> bool:
    """Whether rows are in the order of a key already: looking is much cheaper than sorting millions of them."""
    if frame[list(key)].isna().to_numpy().any():
        # what is missing where nothing may be is judged by the schema
        return False
    tied = np.ones(max(len(frame) - 1, 0), dtype=bool)
    for name in key:
        values = frame[name].to_numpy()
        before, after = values[:-1][tied], values[1:][tied]
        if (after < before).any():
            return False
        tied[tied] = after == before
    return True


def write_table(folder: Path, table: Table) -> Path:
    """Write a table below a root; return its path."""
    import pyarrow.parquet as pq

    path = folder / table.schema.path
    metadata = {**(table.rows.schema.metadata or {}), _NOTES: json.dumps(dict(table.notes), sort_keys=True).encode()}
    with atomic_path(path, verify=pq.read_schema) as temporary:
        pq.write_table(table.rows.replace_schema_metadata(metadata), temporary, compression="zstd")
    return path


def read_table(folder: Path, schema: TableSchema, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table.

    Raises
    ------
    FileNotFoundError
        When it was never written.
    CorruptArtifact
        When it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / schema.path
    try:
        frame: pd.DataFrame = pq.read_table(path, columns=columns).to_pandas()
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise CorruptArtifact(f"table {schema.name}", "all", str(path), str(error)) from error
    return frame


def read_notes(folder: Path, schema: TableSchema) -> dict[str, Any]:
    """Return the provenance kept in a table; empty for a table that is absent or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(folder / schema.path).metadata or {}
    except (FileNotFoundError, pa.ArrowException):
        return {}
    return dict(json.loads(metadata.get(_NOTES, b"{}")))
