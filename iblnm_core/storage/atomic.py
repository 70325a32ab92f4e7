"""The one way a file is written: beside its place, flushed, verified, then moved over it; and locks that die with us."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from iblnm_core.errors import StorageFull

_CLOCK_S = 2.0
"""By how much clocks of files and of processes may disagree."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[0-9a-f]{8}\.tmp")


@contextlib.contextmanager
def atomic_path(final: Path, verify: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Give a temporary path whose content becomes the final file when the block succeeds.

    After a kill at any moment the final path is absent, old or new, never partial.

    Parameters
    ----------
    final : Path
        Where the file belongs; its folder is made when absent.
    verify : callable, optional
        Reads the closed temporary file back and raises when it is not what was meant.

    Yields
    ------
    Path
        A sibling of the final path, to be written and closed inside the block.

    Raises
    ------
    StorageFull
        When the file system has no room; what was stored before is untouched.
    """
    with explained_when_full(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(final)
        temporary = final.with_name(f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            yield temporary
            flush(temporary)
            if verify is not None:
                verify(temporary)
            temporary.replace(final)
            flush(final.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(final: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_path(final) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def explained_when_full(path: Path) -> Iterator[None]:
    """Turn the operating system's *no space* into an error that says where and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(path) from error
        raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a path that other processes using this function respect.

    The operating system drops the lock when its owner dies, however it dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def flush(path: Path) -> None:
    """Wait until a file, or the list of what is in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_left_behind(path: Path) -> bool:
    """Whether a file is the temporary one of a write whose process is dead."""
    match = _TEMPORARY.fullmatch(path.name)
    if match is None:
        return False
    try:
        # another process may have the number by now
        return psutil.Process(int(match["pid"])).create_time() > path.stat().st_mtime + _CLOCK_S
    except psutil.NoSuchProcess:
        return True
    except FileNotFoundError:
        return False


def _remove_left_behind(final: Path) -> None:
    """Remove temporary files of this artefact whose writer is dead."""
    for path in final.parent.glob(f".{final.name}.*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and match["name"] == final.name and is_left_behind(path):
            path.unlink(missing_ok=True)
