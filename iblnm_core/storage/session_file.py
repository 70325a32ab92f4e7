"""The session file: one HDF5 file per session, read part by part, replaced as a whole.

A *part* is a group that one output owns: a top-level group, `photometry/REGION/PART`, or `wheel/PART`. What the parts mean is the
business of `iblnm_core.session.layout`; here they are datasets, attributes and checksums.
"""

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

_HASH = "content_hash"
_PHOTOMETRY, _WHEEL = "photometry", "wheel"
_COMPRESS_FROM_BYTES = 4096
_HEAD = 32
_PADDED_FROM_COLUMNS = 512
_PADDED_CHUNK = (16, 256)


@dataclass(frozen=True)
class Part:
    """Content of one part: datasets by name, attributes by name.

    Text datasets are sequences of strings (null allowed); everything else is a numeric array. Names of datasets and of
    attributes may contain `/`, which makes subgroups.
    """

    datasets: Mapping[str, Values] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


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
        """Return the paths of all parts, sorted."""
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
        return path in self.handle

    def read(self, path: str) -> Part:
        """Read one part and verify it.

        Raises
        ------
        KeyError
            When the file has no such part.
        CorruptArtifact
            When the content is not what was written.
        """
        if path not in self.handle:
            raise KeyError(f"{self.path} has no {path}")
        group = self.handle[path]
        try:
            part = _read_group(group)
            stored = group.attrs.get(_HASH)
        except (OSError, RuntimeError, ValueError, UnicodeDecodeError) as error:
            raise CorruptArtifact(path, self.eid, str(self.path), f"cannot be read ({error})") from error
        if stored is not None and stored != content_hash(part):
            problem = f"its content hash is {content_hash(part)}, expected {stored}"
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
            stored.handle.copy(part, new.require_group(parent) if parent else new, name=name)


def _verify(temporary: Path, eid: str, image: bytes) -> None:
    """Read back what was just written; a disk that lies is found here and not a year later."""
    if temporary.read_bytes() != image:
        raise CorruptArtifact("session file", eid, str(temporary), "it does not read back as it was written")


def content_hash(part: Part) -> str:
    """Return a hash of names, types, shapes and values of a part."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(part.datasets):
        values = part.datasets[name]
        digest.update(name.encode())
        if isinstance(values, np.ndarray):
            digest.update(f"{values.dtype.str}{values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
        else:
            for text in values:
                encoded = (NULL if text is None else text).encode()
                digest.update(f"{len(encoded)}:".encode() + encoded)
    for name in sorted(part.attributes):
        digest.update(f"{name}={_plain(part.attributes[name])!r}".encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return an attribute as Python has it, whatever numpy or HDF5 made of it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return list(value)
    return NULL if value is None else value


def _write_group(group: Any, part: Part, written: _Written) -> None:
    """Write one part; arrays of the same content, such as sample times of several fibres, are stored once and linked."""
    import h5py

    for name, values in part.datasets.items():
        if isinstance(values, np.ndarray):
            like = written.setdefault((values.dtype.str, values.shape, values.flat[:_HEAD].tobytes()), [])
            known = next((dataset for other, dataset in like if _same_bytes(other, values)), None)
            if known is None:
                like.append((values, _write_array(group, name, values)))
            else:
                group[name] = known
        else:
            texts = [NULL if text is None else text for text in values]
            group.create_dataset(name, data=texts, shape=(len(texts),), dtype=h5py.string_dtype("utf-8"))
    for name, value in part.attributes.items():
        subgroup, _, own = name.rpartition("/")
        (group.require_group(subgroup) if subgroup else group).attrs[own] = _plain(value)
    group.attrs[_HASH] = content_hash(part)


def _same_bytes(values: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether two arrays of one type and shape are the same to the bit: 0 is not -0, and what is not a number may be."""
    if values is others:
        return True
    flat, other = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (values, others))
    return np.array_equal(flat, other)


def _write_array(group: Any, name: str, values: NDArray[Any]) -> Any:
    if _is_padded(values):
        return _write_padded(group, name, values)
    # an empty dataset has no chunks, hence no checksum of its own; the part's hash covers it
    options: dict[str, Any] = {"fletcher32": True} if values.size else {}
    if _is_worth_compressing(values):
        # higher levels take a third longer for one percent
        options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    return group.create_dataset(name, data=values, **options)


def _is_padded(values: NDArray[Any]) -> bool:
    """Whether rows of very different length were made equal with not-a-number at their ends."""
    return values.ndim == len(_PADDED_CHUNK) and values.dtype.kind == "f" and values.shape[1] >= _PADDED_FROM_COLUMNS


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
        known = np.flatnonzero(~np.isnan(values[rows]).all(axis=0))
        if len(known):
            # whole chunks: a part of one would be read back before it is written
            columns = slice(0, -(-int(known[-1] + 1) // n_columns) * n_columns)
            dataset[rows, columns] = values[rows, columns]
    return dataset


def _is_worth_compressing(values: NDArray[Any]) -> bool:
    """Whether a stretch of an array gets at least a fifth smaller: noise to the last bit costs time and saves nothing."""
    if values.nbytes < _COMPRESS_FROM_BYTES:
        return False
    flat = values.reshape(-1)
    middle = len(flat) // 2
    stretch = np.ascontiguousarray(flat[middle : middle + _COMPRESS_FROM_BYTES])
    shuffled = stretch.view(np.uint8).reshape(-1, stretch.itemsize).T.tobytes()
    return len(zlib.compress(shuffled, 1)) < 0.8 * len(shuffled)


def _read_group(group: Any) -> Part:
    import h5py

    datasets: dict[str, Values] = {}
    attributes = {name: _decoded(value) for name, value in group.attrs.items() if name != _HASH}

    def collect(prefix: str, items: Any) -> None:
        # an array that is stored once and linked twice has two names
        for own, item in items.items():
            name = prefix + own
            if isinstance(item, h5py.Group):
                attributes.update({f"{name}/{key}": _decoded(value) for key, value in item.attrs.items()})
                collect(f"{name}/", item)
            elif h5py.check_string_dtype(item.dtype) is not None:
                datasets[name] = [None if text == NULL else text for text in item.asstr()[()].tolist()]
            else:
                datasets[name] = item[()]

    collect("", group)
    return Part(datasets, attributes)


def _decoded(value: Any) -> Any:
    plain = _plain(value)
    return None if isinstance(plain, str) and plain == NULL else plain
