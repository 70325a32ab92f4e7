"""A memo of the sessions that were found current, so that another look opens only what changed since. Losing it costs time only."""

import json
from collections.abc import Mapping
from pathlib import Path

from iblnm_core.root import Root
from iblnm_core.storage.atomic import locked, write_bytes

Look = list[list[int] | str | None]
"""The stamp of a session file, None when there is none, and a hash of the state of all that the session is made from."""


def stamp_of(path: Path) -> list[int] | None:
    """Return size (bytes), modification time (ns) and inode of a file, None when there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def read_current(root: Root) -> dict[str, Look]:
    """Return how each session of which nothing was due looked then."""
    try:
        content = json.loads(_path(root).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def note_current(root: Root, current: Mapping[str, Look]) -> None:
    """Replace the memo."""
    with locked(_path(root).with_suffix(".lock")):
        write_bytes(_path(root), json.dumps(dict(current)).encode())


def _path(root: Root) -> Path:
    return root.path / "metadata" / "current.json"
