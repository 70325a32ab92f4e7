"""Which sessions a run has taken on, kept while it lasts: what a run that died leaves behind is interrupted."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from iblnm_core.root import Root
from iblnm_core.storage.atomic import write_bytes


@contextlib.contextmanager
def sessions_under_way(root: Root, run_id: str, eids: Iterable[str]) -> Iterator[Path]:
    """Keep that a run has taken on some sessions until the block ends well; give the note, which lies in the root meanwhile.

    When the block raises or the process dies, the note stays, and its sessions count as interrupted until a later run takes them on.

    Parameters
    ----------
    root : Root
    run_id : str
        Becomes a file name.
    eids : iterable of str
    """
    eids = list(eids)
    forget_interrupted(root, set(eids))
    path = _folder(root) / f"{run_id}.json"
    write_bytes(path, json.dumps(eids).encode())
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # the operating system drops the lock when the run dies, however it dies
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield path
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def interrupted_sessions(root: Root) -> set[str]:
    """Return the sessions that a run which is no more had taken on, finished or not."""
    found: set[str] = set()
    for path in _folder(root).glob("*.json"):
        with _dead(path) as dead:
            if dead:
                found.update(_read(path))
    return found


def forget_interrupted(root: Root, eids: set[str]) -> None:
    """Take sessions out of the notes of runs that are no more."""
    for path in _folder(root).glob("*.json"):
        with _dead(path) as dead:
            if not dead:
                continue
            left = [eid for eid in _read(path) if eid not in eids]
            if left:
                write_bytes(path, json.dumps(left).encode())
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _dead(path: Path) -> Iterator[bool]:
    """Say whether the run that wrote a note is no more; it cannot come to life again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def _read(path: Path) -> list[str]:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        # a broken note is none: what is due is known without it
        return []
    return [str(eid) for eid in content] if isinstance(content, list) else []


def _folder(root: Root) -> Path:
    return root.path / "metadata" / "under_way"
