"""The session file: one HDF5 file per session, read part by part, replaced as a whole.

A *part* is a group that one output owns: a top-level group, `photometry/REGION/PART`, or `wheel/PART`. What the parts mean is the
business of `iblnm_core.session.layout`; here they are datasets, attributes and checksums.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import CorruptArtifact
from iblnm_core.storage.atomic import atomic_path, explained_when_full, locked
from iblnm_core.storage.hdf5 import (
    Values,
    array_of,
    columns_of,
    content_of,
    decoded,
    known_stretches,
    links,
    plain_value,
    values_of,
    writable,
    write_array,
    write_attribute,
    write_rows,
)

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
_HEAD = 32


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
            for stretch in known_stretches(values):
                digest.update(np.ascontiguousarray(stretch).data)
        else:
            texts = [writable(text) for text in values]
            digest.update("".join(f"{len(text)}:{text}" for text in texts).encode())
    for name in sorted(part.attributes):
        rows.update(f"{name}={plain_value(part.attributes[name])!r}".encode())
    return {_HASH: arrays.hexdigest(), _ROWS_HASH: rows.hexdigest()}


def _write_group(group: Any, part: Part, written: _Written) -> None:
    """Write one part; arrays of the same content, such as sample times of several fibres, are stored once and linked."""
    import h5py

    if part.rows:
        write_rows(group, ROWS, {name: part.datasets[name] for name in part.rows})
    for name, values in part.datasets.items():
        if name in part.rows:
            continue
        if isinstance(values, np.ndarray):
            like = written.setdefault((values.dtype.str, values.shape, values.flat[:_HEAD].tobytes()), [])
            known = next((dataset for other, dataset in like if _same_bytes(other, values)), None)
            if known is None:
                like.append((values, write_array(group, name, values)))
            else:
                h5py.h5o.link(known, group.id, name.encode(), lcpl=links())
        else:
            texts = [writable(text) for text in values]
            group.create_dataset(name, data=texts, shape=(len(texts),), dtype=h5py.string_dtype("utf-8"))
    for name, value in part.attributes.items():
        subgroup, _, own = name.rpartition("/")
        write_attribute(group.require_group(subgroup) if subgroup else group, own, value)
    for name, digest in content_digests(part).items():
        write_attribute(group, name, digest)


def _same_bytes(values: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether two arrays of one type and shape are the same to the bit: 0 is not -0, and what is not a number may be."""
    if values is others:
        return True
    flat, other = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (values, others))
    return np.array_equal(flat, other)


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
                attributes[prefix + name] = decoded(content_of(attribute, attribute.read))
        for own in of:
            # an array that is stored once and linked twice has two names
            name, item = prefix + own.decode(), h5py.h5o.open(of, own)
            if isinstance(item, h5py.h5g.GroupID):
                collect(f"{name}/", item)
            elif name == ROWS:
                rows.update(columns_of(array_of(item)))
            elif arrays:
                datasets[name] = values_of(item)

    collect("", group.id)
    return Part({**datasets, **rows}, attributes, tuple(rows))
