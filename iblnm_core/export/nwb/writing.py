"""An NWB file from memory to disk: written as a whole, read back and compared, and left alone when nothing changed."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from iblnm_core.errors import CorruptArtifact
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.storage.atomic import atomic_path

PAGE_BYTES = 65_536
"""Pages of the file: what a reader needs to open it lies together."""

_CHANCE = frozenset({"file_create_date", "object_id"})
"""What differs between two files of equal content."""


def file_image(file: Any) -> bytes:
    """Return an NWB file as it lies on disk.

    Parameters
    ----------
    file : pynwb.NWBFile

    Raises
    ------
    CorruptArtifact
        When it does not read back as it was meant.
    """
    libraries = nwb_libraries()
    # made in memory: HDF5 does not survive a disk that fills up under it
    memory = {"driver": "core", "backing_store": False, "fs_strategy": "page", "fs_page_size": PAGE_BYTES}
    with (
        libraries.h5py.File("nwb", "w", **memory) as handle,
        libraries.pynwb.NWBHDF5IO(file=handle, mode="w") as writer,
    ):
        writer.write(file)
        handle.flush()
        image: bytes = handle.id.get_file_image()
    _compare(file, image)
    return image


def _compare(meant: Any, image: bytes) -> None:
    """Read a file back and compare every array of every object with what was meant."""
    libraries = nwb_libraries()
    with libraries.h5py.File(io.BytesIO(image), "r") as handle:
        reader = libraries.pynwb.NWBHDF5IO(file=handle, mode="r")
        found = {item.object_id: item for item in reader.read().objects.values()}
        for identifier, item in meant.objects.items():
            for name in ("data", "timestamps"):
                values = getattr(item, name, None)
                if values is not None and not _equal(values, getattr(found.get(identifier), name, None)):
                    problem = f"{name} of {item.name} does not read back as it was meant"
                    raise CorruptArtifact("NWB file", meant.session_id, "memory", problem)


def _equal(meant: Any, found: Any) -> bool:
    if found is None:
        return False
    wanted, read = np.asarray(getattr(meant, "data", meant)), np.asarray(found[:])
    if wanted.dtype.kind in "OU":
        # texts as texts; references are told by what they lead to
        return [_identity(value) for value in wanted] == [_identity(value) for value in read]
    return wanted.dtype == read.dtype and wanted.shape == read.shape and wanted.tobytes() == read.tobytes()


def _identity(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, str) else str(getattr(value, "object_id", value))


def write_image(path: Path, eid: str, image: bytes) -> None:
    """Write a file atomically.

    Parameters
    ----------
    path : Path
    eid : str
        For error messages.
    image : bytes

    Raises
    ------
    CorruptArtifact
        When the disk does not give back what was written.
    StorageFull
        When there is no room; what was there before is untouched.
    """

    def verify(temporary: Path) -> None:
        if temporary.read_bytes() != image:
            raise CorruptArtifact("NWB file", eid, str(path), "it does not read back as it was written")

    with atomic_path(path, verify=verify) as temporary:
        temporary.write_bytes(image)


def content_hash(source: Path | bytes) -> str:
    """Return a hash of all arrays, attributes and texts of an NWB file but the two that differ by chance.

    Parameters
    ----------
    source : Path or bytes
        A file, or one in memory.

    Raises
    ------
    OSError
        When it is no such file.
    """
    digest = hashlib.blake2b(digest_size=16)
    given = io.BytesIO(source) if isinstance(source, bytes) else source
    with nwb_libraries().h5py.File(given, "r") as handle:
        _add_group(digest, handle, handle)
    return digest.hexdigest()


def _add_group(digest: Any, handle: Any, group: Any) -> None:
    _add_attributes(digest, handle, group)
    for name in sorted(group):
        # the schema is that of the libraries, whose versions are in the file
        if name in _CHANCE or group.name + name == "/specifications":
            continue
        digest.update(f"\n{group.name}>{name}".encode())
        link = group.get(name, getlink=True)
        if isinstance(link, nwb_libraries().h5py.SoftLink):
            digest.update(link.path.encode())
        elif isinstance(group[name], nwb_libraries().h5py.Group):
            _add_group(digest, handle, group[name])
        else:
            _add_attributes(digest, handle, group[name])
            _add_values(digest, handle, group[name][()])


def _add_attributes(digest: Any, handle: Any, item: Any) -> None:
    for name in sorted(item.attrs):
        if name not in _CHANCE:
            digest.update(f"\n{item.name}@{name}".encode())
            _add_values(digest, handle, item.attrs[name])


def _add_values(digest: Any, handle: Any, values: Any) -> None:
    array = np.asarray(values)
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    if array.dtype.kind != "O":
        digest.update(np.ascontiguousarray(array).tobytes())
        return
    for value in array.ravel().tolist():
        is_reference = isinstance(value, nwb_libraries().h5py.Reference)
        text = handle[value].name if is_reference else value.decode() if isinstance(value, bytes) else str(value)
        digest.update(f"{len(text)}:{text}".encode())
