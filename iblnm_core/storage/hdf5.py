"""Arrays, tables of columns, texts and attributes as HDF5 has them, written and read by the lower level of h5py: a session has hundreds.

What they mean, and which of them make a part, is the business of `session_file`.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[Any] | Sequence[str | None]

NULL = "__none__"
"""How a null is written where HDF5 only has text."""

_COMPRESS_FROM_BYTES = 16384
_STRETCH_BYTES = 4096
_CHUNK_BYTES = 2**18
_WORTH = 0.8
_PADDED_FROM_COLUMNS = 512
_PADDED_CHUNK = (16, 256)


def write_array(group: Any, name: str, values: NDArray[Any]) -> Any:
    """Write an array, by the lower level of h5py: the upper one takes twice as long for the many short ones."""
    import h5py

    if _is_padded(values):
        return _write_padded(group, name, values)
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if values.size:
        # an empty dataset has no chunks, hence no checksum of its own; the part's hash covers it
        settings.set_chunk(_chunk(values))
        settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        if _is_worth_compressing(values):
            settings.set_shuffle()
            # higher levels take a third longer for one percent
            settings.set_deflate(1)
        settings.set_fletcher32()
    space = h5py.h5s.create_simple(values.shape)
    dataset = h5py.h5d.create(group.id, name.encode(), _kind(values.dtype), space, settings, links())
    if values.size:
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values))
    return dataset


def write_rows(group: Any, name: str, columns: Mapping[str, Values]) -> None:
    """Write columns of one length as one dataset."""
    import h5py

    n_rows = len(next(iter(columns.values())))
    stored: dict[str, NDArray[Any]] = {}
    fields: list[tuple[str, Any]] = []
    for column, values in columns.items():
        if isinstance(values, np.ndarray):
            stored[column], dtype = values, values.dtype
        else:
            encoded = np.array([writable(text).encode() for text in values] or [b""])[:n_rows]
            # text of a fixed length lies among the numbers; elsewhere it would be out of reach of checksum and compression
            stored[column], dtype = encoded, h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1))
        fields.append((column, dtype))
    table = np.empty(n_rows, np.dtype(fields))
    for column, known in stored.items():
        table[column] = known
    write_array(group, name, table)


def write_attribute(group: Any, name: str, value: Any) -> None:
    """Write an attribute; texts and numbers by the lower level of h5py, in half the time."""
    import h5py

    plain = plain_value(value)
    if isinstance(plain, str):
        dtype, kind = _text_type()
        content = np.array(plain.encode(), dtype)
    elif isinstance(plain, bool | int | float):
        content = np.array(plain)
        kind = _kind(content.dtype)
    else:
        group.attrs[name] = plain
        return
    h5py.h5a.create(group.id, name.encode(), kind, _scalar()).write(content)


def plain_value(value: Any) -> Any:
    """Return an attribute as Python has it, whatever numpy or HDF5 made of it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [plain_value(item) for item in value]
    return writable(value) if value is None or isinstance(value, str) else value


def writable(text: str | None) -> str:
    """Return a text as HDF5 can hold it: null by its name, and the character that ends texts there as a sign for it."""
    return NULL if text is None else text.replace("\0", "\N{SYMBOL FOR NULL}")


@cache
def links() -> Any:
    """Return settings of a link whose groups are made as needed."""
    import h5py

    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    return links


@cache
def _scalar() -> Any:
    import h5py

    return h5py.h5s.create(h5py.h5s.SCALAR)


def _kind(dtype: np.dtype[Any]) -> Any:
    """Return the type of HDF5 for one of numpy, which keeps truth values and text apart from numbers."""
    import h5py

    return h5py.h5t.py_create(dtype, logical=True)


@cache
def _text_type() -> tuple[np.dtype[Any], Any]:
    """Return the type of text of any length, of numpy and of HDF5."""
    import h5py

    dtype = h5py.string_dtype("utf-8")
    return dtype, _kind(dtype)


def _chunk(values: NDArray[Any]) -> tuple[int, ...]:
    """Return the shape of chunks: whole rows, and about as many in the last one as in the others."""
    n_chunks = min(-(-values.nbytes // _CHUNK_BYTES), len(values))
    return (-(-len(values) // n_chunks), *values.shape[1:])


def _is_worth_compressing(values: NDArray[Any]) -> bool:
    """Whether a stretch of an array gets at least a fifth smaller: noise to the last bit costs time and saves nothing."""
    if values.nbytes < _COMPRESS_FROM_BYTES:
        return False
    flat = values.reshape(-1)
    middle = len(flat) // 2
    stretch = np.ascontiguousarray(flat[middle : middle + _STRETCH_BYTES // values.itemsize])
    shuffled = stretch.view(np.uint8).reshape(-1, stretch.itemsize).T.tobytes()
    return len(zlib.compress(shuffled, 1)) < _WORTH * len(shuffled)


def _is_padded(values: NDArray[Any]) -> bool:
    """Whether rows of very different length were made equal with not-a-number at their ends."""
    if values.ndim != len(_PADDED_CHUNK) or values.dtype.kind != "f" or values.shape[1] < _PADDED_FROM_COLUMNS:
        return False
    return bool(np.isnan(values[:, -1]).any())


def _write_padded(group: Any, name: str, values: NDArray[Any]) -> Any:
    """Write rows with padding as a plain dataset; chunks of nothing but padding take neither time nor room."""
    dataset = group.create_dataset(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(min(pair) for pair in zip(_PADDED_CHUNK, values.shape, strict=True)),
        fillvalue=np.nan,
        fletcher32=True,
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )
    n_rows, n_columns = dataset.chunks
    for first in range(0, len(values), n_rows):
        rows = slice(first, first + n_rows)
        n_known = _known_columns(values[rows])
        if n_known:
            # whole chunks: a part of one would be read back before it is written
            columns = slice(0, -(-n_known // n_columns) * n_columns)
            dataset[rows, columns] = values[rows, columns]
    return dataset.id


def _known_columns(rows: NDArray[Any]) -> int:
    """Return from which column on there is nothing but padding."""
    known = np.flatnonzero(~np.isnan(rows).all(axis=0))
    return int(known[-1]) + 1 if len(known) else 0


def known_stretches(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the content of an array; of rows with padding only what is not padding."""
    if not _is_padded(values):
        yield values
        return
    n_rows = _PADDED_CHUNK[0]
    for first in range(0, len(values), n_rows):
        yield values[first : first + n_rows, : _known_columns(values[first : first + n_rows])]


def values_of(dataset: Any) -> Values:
    """Return what a dataset holds: an array, or texts and nulls."""
    values = array_of(dataset)
    return _texts(values) if values.dtype.kind in "OS" else values


def array_of(dataset: Any) -> NDArray[Any]:
    """Return the array that a dataset holds, of whatever type."""
    import h5py

    return content_of(dataset, lambda into: dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, into))


def content_of(stored: Any, read: Callable[[NDArray[Any]], object]) -> NDArray[Any]:
    """Return what a dataset or an attribute holds, by the function that reads it into an array."""
    values = np.empty(stored.shape, stored.dtype)
    if values.size:
        read(values)
    return values


def columns_of(table: NDArray[Any]) -> Iterator[tuple[str, Values]]:
    """Yield the columns of a table that `_write_rows` wrote."""
    for name in table.dtype.names or ():
        values = np.ascontiguousarray(table[name])
        yield name, _texts(values) if values.dtype.kind == "S" else values


def _texts(values: NDArray[Any]) -> list[str | None]:
    texts = [text.decode() for text in values.tolist()]
    return [None if text == NULL else text for text in texts]


def decoded(value: NDArray[Any]) -> Any:
    """Return an attribute as Python has it."""
    plain = value.tolist()
    if isinstance(plain, list):
        return [item.decode() if isinstance(item, bytes) else item for item in plain]
    text = plain.decode() if isinstance(plain, bytes) else plain
    return None if isinstance(text, str) and text == NULL else text
