"""Stored tables: parquet files held against their schema, in canonical order, written atomically."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
_HASH = "content_hash"
_ROWS_AT_ONCE = 250_000


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

    @cached_property
    def content_hash(self) -> str:
        """Hash of the rows, equal exactly when they are, however they are chunked."""
        digest = hashlib.blake2b(digest_size=16)
        for name in self.rows.column_names:
            digest.update(name.encode())
            for content in _contents(self.rows.column(name).combine_chunks()):
                digest.update(content)
        return digest.hexdigest()


@dataclass(frozen=True)
class StoredTable:
    """A table as it lies below a root already, which nothing has to write.

    Attributes
    ----------
    schema : TableSchema
    notes : mapping
    n_rows : int
    """

    schema: TableSchema
    notes: Mapping[str, Any]
    n_rows: int

    @property
    def content_hash(self) -> str:
        """Hash of the rows when they were written."""
        return str(self.notes[_HASH])


def stored_table(folder: Path, schema: TableSchema) -> StoredTable | None:
    """Return a table as it is stored; None when it is absent, broken or of other columns than its schema has now."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_metadata(folder / schema.path)
    except (FileNotFoundError, pa.ArrowException):
        return None
    names = found.schema.to_arrow_schema().names
    notes = dict(json.loads((found.metadata or {}).get(_NOTES, b"{}")))
    if names != schema.with_features(names).column_names or _HASH not in notes:
        return None
    return StoredTable(schema, notes, found.num_rows)


def _contents(column: "pa.Array") -> Iterator[bytes | memoryview]:
    """Yield what tells an array from another one of its type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    yield column.is_valid().to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_list(column.type):
        yield pc.fill_null(pc.list_value_length(column), -1).to_numpy().tobytes()
        yield from _contents(column.flatten())
    elif pa.types.is_string(column.type):
        yield pc.fill_null(pc.binary_length(column), -1).to_numpy().tobytes()
        yield _characters(column.drop_null())
    else:
        filled = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
        yield filled.to_numpy(zero_copy_only=False).tobytes()


def _characters(texts: "pa.Array") -> memoryview:
    """Return the texts of an array without nulls, one after the other, as they lie in memory."""
    _, offsets, characters = texts.buffers()
    if not len(texts) or characters is None:
        return memoryview(b"")
    first, last = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    return memoryview(characters)[first:last]


def make_table(schema: TableSchema, frame: pd.DataFrame, notes: Mapping[str, Any] | None = None) -> Table:
    """Hold a frame against its schema and bring it into canonical order.

    Parameters
    ----------
    schema : TableSchema
    frame : DataFrame
        Columns of the schema in any order; and features, when the schema has such.
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
    full = schema.with_features(list(frame.columns))
    # millions of rows are not copied for nothing
    ordered = frame if list(frame.columns) == full.column_names else frame[full.column_names]
    try:
        repeated = _repeated(ordered, schema.key)
        if repeated is None:
            ordered = ordered.sort_values(list(schema.key), ignore_index=True, kind="stable")
            repeated = _repeated(ordered, schema.key)
        if schema.unique and repeated is not None and repeated.any():
            key = ordered[list(schema.key)].iloc[int(repeated.argmax())].to_dict()
            raise SchemaViolation(
                f"table {schema.name} has {repeated.sum()} rows too many for their key, such as {key}"
            )
        rows = _checked_rows(full, ordered)
    except (pandera.errors.SchemaErrors, pandera.errors.SchemaError, pa.ArrowException, TypeError) as error:
        # a key of mixed types cannot even be ordered
        raise SchemaViolation(f"table {schema.name}: {error}") from error
    return Table(schema, rows, dict(notes or {}))


def _checked_rows(schema: TableSchema, frame: pd.DataFrame) -> "pa.Table":
    """Hold a frame against its schema, some rows at a time: a check takes copies, which millions of rows have no room for."""
    import pyarrow as pa

    # an empty frame has no types to hold against the schema
    if frame.empty:
        return pa.Table.from_pandas(frame, schema=schema.arrow(), preserve_index=False)
    expected, types = schema.pandera(), schema.arrow()
    stretches = (frame.iloc[first : first + _ROWS_AT_ONCE] for first in range(0, len(frame), _ROWS_AT_ONCE))
    return pa.concat_tables(
        pa.Table.from_pandas(expected.validate(rows, lazy=True), schema=types, preserve_index=False)
        for rows in stretches
    )


def _repeated(frame: pd.DataFrame, key: Sequence[str]) -> "np.ndarray | None":
    """Return which rows have the key of the row before; None when the rows are not in the order of the key.

    Looking is much cheaper than sorting millions of rows.
    """
    tied = np.ones(max(len(frame) - 1, 0), dtype=bool)
    for name in key:
        values = frame[name].to_numpy()
        if pd.isna(values).any():
            # what is missing comes last, and is like what else is missing
            return _repeated(_ranked(frame, key), key)
        before, after = values[:-1][tied], values[1:][tied]
        if (after < before).any():
            return None
        tied[tied] = after == before
    return np.append(np.zeros(min(len(frame), 1), dtype=bool), tied)


def _ranked(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a key as numbers in the order of their values, the missing last."""
    ranks = {name: pd.factorize(frame[name], sort=True)[0] for name in key}
    return pd.DataFrame({name: np.where(codes < 0, len(frame), codes) for name, codes in ranks.items()})


def write_table(folder: Path, table: Table) -> Path:
    """Write a table below a root; return its path."""
    import pyarrow.parquet as pq

    path = folder / table.schema.path
    notes = json.dumps({**table.notes, _HASH: table.content_hash}, sort_keys=True)
    metadata = {**(table.rows.schema.metadata or {}), _NOTES: notes.encode()}
    with atomic_path(path, verify=pq.read_schema) as temporary:
        pq.write_table(
            table.rows.replace_schema_metadata(metadata), temporary, compression="zstd", write_page_checksum=True
        )
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
        frame: pd.DataFrame = pq.read_table(path, columns=columns, page_checksum_verification=True).to_pandas()
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise CorruptArtifact(f"table {schema.name}", "all", str(path), str(error)) from error
    return frame


def verify_table(folder: Path, schema: TableSchema) -> None:
    """Read a table to the last byte.

    Raises
    ------
    FileNotFoundError
        When it was never written.
    CorruptArtifact
        When it cannot be read, or its rows are not those that were written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / schema.path
    try:
        rows = pq.read_table(path, page_checksum_verification=True)
        notes = json.loads((rows.schema.metadata or {}).get(_NOTES, b"{}"))
        is_own = rows.column_names == schema.with_features(rows.column_names).column_names
        # what the frame is made by is beside the rows
        rows.to_pandas()
        is_whole = is_own and Table(schema, rows, {}).content_hash == notes[_HASH]
        problem = "" if is_whole else "its rows are not those that were written"
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        problem = f"cannot be read ({type(error).__name__}: {error})"
    if problem:
        raise CorruptArtifact(f"table {schema.name}", "all", str(path), problem)


def stored_or_empty(folder: Path, schema: TableSchema) -> pd.DataFrame:
    """Read a table; one that was never written has all its columns and no rows.

    Raises
    ------
    CorruptArtifact
        When it cannot be read.
    """
    try:
        return read_table(folder, schema)
    except FileNotFoundError:
        empty: pd.DataFrame = schema.arrow().empty_table().to_pandas()
        return empty


def first_rows(folder: Path, table: Table | StoredTable, n_rows: int) -> "pa.Table":
    """Return the first rows of a table, whether it is stored already or not.

    Parameters
    ----------
    folder : Path
        The root.
    table : Table or StoredTable
    n_rows : int
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(table, Table):
        return table.rows.slice(0, n_rows)
    with pq.ParquetFile(folder / table.schema.path) as file:
        batches = file.iter_batches(n_rows)
        return pa.Table.from_batches([batch for batch, _ in zip(batches, [0], strict=False)], file.schema_arrow)
