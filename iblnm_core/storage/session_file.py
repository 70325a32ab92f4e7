"""The session file: one HDF5 file per session, read part by part, replaced as a whole.

A *part* is a group that one output owns: a top-level group, `photometry/REGION/PART`, or `wheel/PART`. What the parts mean is the
business of `iblnm_core.session.layout`; here they are datasets, attributes and checksums.
"""

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import CorruptArtifact
from iblnm_core.storage.atomic import atomic_path, explained_when_full, locked

Values: TypeAlias = NDArray[Any] | Sequence[str | None]
Scalar: TypeAlias = str | int | float | bool | None

NULL = "__none__"
"""How a null is written where HDF5 only has text."""

_Written: TypeAlias = dict[tuple[str, tuple[int, ...], bytes], list[tuple[NDArray[Any], Any]]]
"""Arrays that were written and their datasets, by type, shape and first values."""

_BROKEN = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, MemoryError)
"""What reading a broken file ends in."""

ROWS = "rows"
"""The dataset of a part that holds its columns of equal length, one compound field each."""

_HASH, _ROWS_HASH = "content_digest", "rows_digest"
"""Attributes of a part: hashes of its arrays and texts, and of its rows and attributes, which are read alone too."""

_OURS = frozenset({_HASH, _ROWS_HASH, "content_hash"})
"""Attributes that are no content; the last is of files from before there were rows, which are read unverified."""

_PHOTOMETRY, _WHEEL = "photometry", "wheel"
_COMPRESS_FROM_BYTES = 16384
_STRETCH_BYTES = 4096
_CHUNK_BYTES = 2**18
_WORTH = 0.8
_HEAD = 32
_PADDED_FROM_COLUMNS = 512
_PADDED_CHUNK = (16, 256)


@dataclass(frozen=True)
class Part:
    """Content of one part: datasets by name, attributes by name.

    Text datasets are sequences of strings (null allowed); everything else is a numeric array. Names of datasets and of
    attributes may contain `/`, which makes subgroups. `rows` names the datasets that are columns of a table: they are one
    dataset in the file, as each of its own would cost more than its content; read back, they are datasets like all others.
    """

    datasets: Mapping[str, Values] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    rows: Collection[str] = field(default=(), compare=False)


class SessionFile:
    """An open session file, for reading.

    Parameters
    ----------
    path : Path
    eid : str
        For error messages.
    """

    def __init__(self, path: Path, eid: str) -> None:
        import h5py

        self.path = path
        self.eid = eid
        try:
            self.handle = h5py.File(path, "r")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise CorruptArtifact("session file", eid, str(path), f"cannot be opened ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.handle.close()

    def parts(self) -> tuple[str, ...]:
        """Return the paths of all parts, sorted.

        Raises
        ------
        CorruptArtifact
            When what holds the parts together is broken.
        """
        try:
            return self._parts()
        except _BROKEN as error:
            raise CorruptArtifact("session file", self.eid, str(self.path), f"cannot be read ({error})") from error

    def _parts(self) -> tuple[str, ...]:
        found = []
        for name, group in self.handle.items():
            if name == _PHOTOMETRY:
                found += [f"{name}/{region}/{part}" for region, parts in group.items() for part in parts]
            elif name == _WHEEL:
                found += [f"{name}/{part}" for part in group]
            else:
                found.append(name)
        return tuple(sorted(found))

    def regions(self) -> tuple[str, ...]:
        """Return the names of the recorded regions, in the order of their fibres as far as it is stored."""
        return tuple(self.handle.get(_PHOTOMETRY, ()))

    def __contains__(self, path: object) -> bool:
        try:
            return path in self.handle
        except _BROKEN as error:
            raise CorruptArtifact(str(path), self.eid, str(self.path), f"cannot be looked up ({error})") from error

    def read(self, path: str) -> Part:
        """Read one part and verify it.

        Raises
        ------
        KeyError
            When the file has no such part.
        CorruptArtifact
            When the content is not what was written.
        """
        return self._read(path, arrays=True)

    def read_rows(self, path: str) -> Part:
        """Read rows and attributes of one part, without its arrays where that can be, and verify them.

        Raises
        ------
        KeyError
            When the file has no such part.
        CorruptArtifact
            When the content is not what was written.
        """
        return self._read(path, arrays=False)

    def _read(self, path: str, *, arrays: bool) -> Part:
        if path not in self:
            raise KeyError(f"{self.path} has no {path}")
        try:
            group = self.handle[path]
            digests = {name: group.attrs.get(name) for name in (_HASH, _ROWS_HASH)}
            # where rows have no digest they are no dataset of their own
            part = _read_group(group, arrays=arrays or digests[_ROWS_HASH] is None)
        except _BROKEN as error:
            raise CorruptArtifact(path, self.eid, str(self.path), f"cannot be read ({error})") from error
        for name, found in content_digests(part).items():
            expected = digests[name]
            if expected is not None and expected != found and (arrays or name == _ROWS_HASH):
                problem = f"its {name.replace('_', ' ')} is {found}, expected {expected}"
                raise CorruptArtifact(path, self.eid, str(self.path), problem)
        return part


def update_session_file(
    path: Path, eid: str, change: Callable[[SessionFile | None], tuple[Mapping[str, Part], Callable[[str], bool]]]
) -> None:
    """Read, change and replace a session file as one step that other processes cannot interleave with.

    Parameters
    ----------
    path : Path
    eid : str
    change : callable
        Gets the stored file (None when there is none, or none that can be opened) and returns the parts to write and
        a predicate of the stored parts to leave behind. All other stored parts are copied as they are.

    Raises
    ------
    StorageFull
        When there is no room; the stored file is untouched.
    """
    import h5py

    lock = path.parent / ".locks" / f"{path.stem}.lock"
    with explained_when_full(path), locked(lock), _stored(path, eid) as stored:
        writes, drops = change(stored)
        # made in memory: HDF5 does not survive a disk that fills up under it
        with h5py.File(path.name, "w", driver="core", backing_store=False, libver=("earliest", "v110")) as new:
            if stored is not None:
                _copy_parts(stored, new, lambda part: part in writes or drops(part))
            written: _Written = {}
            for name in sorted(writes):
                _write_group(new.create_group(name), writes[name], written)
            new.flush()
            image = new.id.get_file_image()
        with atomic_path(path, verify=lambda temporary: _verify(temporary, eid, image)) as temporary:
            temporary.write_bytes(image)


@contextlib.contextmanager
def _stored(path: Path, eid: str) -> Iterator[SessionFile | None]:
    """Open what is stored; a file that cannot be opened is set aside, so that the session can be computed anew."""
    try:
        stored = SessionFile(path, eid)
    except FileNotFoundError:
        yield None
        return
    except CorruptArtifact:
        path.replace(path.with_suffix(".broken"))
        yield None
        return
    with stored:
        yield stored


def _copy_parts(stored: SessionFile, new: Any, leave_out: Callable[[str], bool]) -> None:
    for part in stored.parts():
        if not leave_out(part):
            parent, _, name = part.rpartition("/")
            try:
                stored.handle.copy(part, new.require_group(parent) if parent else new, name=name)
            except _BROKEN as error:
                raise CorruptArtifact(part, stored.eid, str(stored.path), f"cannot be copied ({error})") from error


def _verify(temporary: Path, eid: str, image: bytes) -> None:
    """Read back what was just written; a disk that lies is found here and not a year later."""
    if temporary.read_bytes() != image:
        raise CorruptArtifact("session file", eid, str(temporary), "it does not read back as it was written")


def content_digests(part: Part) -> dict[str, str]:
    """Return hashes of names, types, shapes and values: of arrays and texts, of rows and attributes."""
    arrays, rows = (hashlib.blake2b(digest_size=16) for _ in range(2))
    for name in sorted(part.datasets):
        digest, values = rows if name in part.rows else arrays, part.datasets[name]
        digest.update(name.encode())
        if isinstance(values, np.ndarray):
            digest.update(f"{values.dtype.str}{values.shape}".encode())
            for stretch in _known(values):
                digest.update(np.ascontiguousarray(stretch).data)
        else:
            texts = [_writable(text) for text in values]
            digest.update("".join(f"{len(text)}:{text}" for text in texts).encode())
    for name in sorted(part.attributes):
        rows.update(f"{name}={_plain(part.attributes[name])!r}".encode())
    return {_HASH: arrays.hexdigest(), _ROWS_HASH: rows.hexdigest()}


def _known(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the content of an array; of rows with padding only what is not padding."""
    if not _is_padded(values):
        yield values
        return
    n_rows = _PADDED_CHUNK[0]
    for first in range(0, len(values), n_rows):
        yield values[first : first + n_rows, : _known_columns(values[first : first + n_rows])]


def _plain(value: Any) -> Any:
    """Return an attribute as Python has it, whatever numpy or HDF5 made of it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return _writable(value) if value is None or isinstance(value, str) else value


def _writable(text: str | None) -> str:
    """Return a text as HDF5 can hold it: null by its name, and the character that ends texts there as a sign for it."""
    return NULL if text is None else text.replace("\0", "\N{SYMBOL FOR NULL}")


def _write_group(group: Any, part: Part, written: _Written) -> None:
    """Write one part; arrays of the same content, such as sample times of several fibres, are stored once and linked."""
    import h5py

    if part.rows:
        _write_rows(group, {name: part.datasets[name] for name in part.rows})
    for name, values in part.datasets.items():
        if name in part.rows:
            continue
        if isinstance(values, np.ndarray):
            like = written.setdefault((values.dtype.str, values.shape, values.flat[:_HEAD].tobytes()), [])
            known = next((dataset for other, dataset in like if _same_bytes(other, values)), None)
            if known is None:
                like.append((values, _write_array(group, name, values)))
            else:
                h5py.h5o.link(known, group.id, name.encode(), lcpl=_links())
        else:
            texts = [_writable(text) for text in values]
            group.create_dataset(name, data=texts, shape=(len(texts),), dtype=h5py.string_dtype("utf-8"))
    for name, value in part.attributes.items():
        subgroup, _, own = name.rpartition("/")
        _write_attribute(group.require_group(subgroup) if subgroup else group, own, value)
    for name, digest in content_digests(part).items():
        _write_attribute(group, name, digest)


def _write_rows(group: Any, columns: Mapping[str, Values]) -> None:
    """Write columns of one length as one dataset."""
    import h5py

    n_rows = len(next(iter(columns.values())))
    stored: dict[str, NDArray[Any]] = {}
    fields: list[tuple[str, Any]] = []
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            stored[name], dtype = values, values.dtype
        else:
            encoded = np.array([_writable(text).encode() for text in values] or [b""])[:n_rows]
            # text of a fixed length lies among the numbers; elsewhere it would be out of reach of checksum and compression
            stored[name], dtype = encoded, h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1))
        fields.append((name, dtype))
    table = np.empty(n_rows, np.dtype(fields))
    for name, values in stored.items():
        table[name] = values
    _write_array(group, ROWS, table)


def _same_bytes(values: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether two arrays of one type and shape are the same to the bit: 0 is not -0, and what is not a number may be."""
    if values is others:
        return True
    flat, other = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (values, others))
    return np.array_equal(flat, other)


def _write_array(group: Any, name: str, values: NDArray[Any]) -> Any:
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
    dataset = h5py.h5d.create(group.id, name.encode(), _kind(values.dtype), space, settings, _links())
    if values.size:
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values))
    return dataset


@cache
def _links() -> Any:
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


def _write_attribute(group: Any, name: str, value: Any) -> None:
    """Write an attribute; texts and numbers by the lower level of h5py, in half the time."""
    import h5py

    plain = _plain(value)
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


def _is_worth_compressing(values: NDArray[Any]) -> bool:
    """Whether a stretch of an array gets at least a fifth smaller: noise to the last bit costs time and saves nothing."""
    if values.nbytes < _COMPRESS_FROM_BYTES:
        return False
    flat = values.reshape(-1)
    middle = len(flat) // 2
    stretch = np.ascontiguousarray(flat[middle : middle + _STRETCH_BYTES // values.itemsize])
    shuffled = stretch.view(np.uint8).reshape(-1, stretch.itemsize).T.tobytes()
    return len(zlib.compress(shuffled, 1)) < _WORTH * len(shuffled)


def _read_group(group: Any, *, arrays: bool) -> Part:
    """Read a part by the lower level of h5py: a cohort's tables read hundreds of small things of every session."""
    import h5py

    datasets: dict[str, Values] = {}
    rows: dict[str, Values] = {}
    attributes: dict[str, Any] = {}

    def collect(prefix: str, of: Any) -> None:
        for index in range(h5py.h5a.get_num_attrs(of)):
            attribute = h5py.h5a.open(of, index=index)
            name = attribute.name.decode()
            if name not in _OURS:
                attributes[prefix + name] = _decoded(_content(attribute, attribute.read))
        for own in of:
            # an array that is stored once and linked twice has two names
            name, item = prefix + own.decode(), h5py.h5o.open(of, own)
            if isinstance(item, h5py.h5g.GroupID):
                collect(f"{name}/", item)
            elif name == ROWS:
                rows.update(_columns(_array(item)))
            elif arrays:
                datasets[name] = _values(item)

    collect("", group.id)
    return Part({**datasets, **rows}, attributes, tuple(rows))


def _values(dataset: Any) -> Values:
    """Return what a dataset holds: an array, or texts and nulls."""
    values = _array(dataset)
    return _texts(values) if values.dtype.kind in "OS" else values


def _array(dataset: Any) -> NDArray[Any]:
    import h5py

    return _content(dataset, lambda into: dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, into))


def _content(stored: Any, read: Callable[[NDArray[Any]], object]) -> NDArray[Any]:
    values = np.empty(stored.shape, stored.dtype)
    if values.size:
        read(values)
    return values


def _columns(table: NDArray[Any]) -> Iterator[tuple[str, Values]]:
    """Yield the columns of a table that `_write_rows` wrote."""
    for name in table.dtype.names or ():
        values = np.ascontiguousarray(table[name])
        yield name, _texts(values) if values.dtype.kind == "S" else values


def _texts(values: NDArray[Any]) -> list[str | None]:
    texts = [text.decode() for text in values.tolist()]
    return [None if text == NULL else text for text in texts]


def _decoded(value: NDArray[Any]) -> Any:
    """Return an attribute as Python has it."""
    plain = value.tolist()
    if isinstance(plain, list):
        return [item.decode() if isinstance(item, bytes) else item for item in plain]
    text = plain.decode() if isinstance(plain, bytes) else plain
    return None if isinstance(text, str) and text == NULL else text
