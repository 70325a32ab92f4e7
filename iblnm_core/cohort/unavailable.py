"""Sessions that the source could not give at the last attempt: no verdict on them, but a user wants to know."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from iblnm_core.root import Root
from iblnm_core.storage.atomic import locked, write_bytes


def unavailable_sessions(root: Root) -> dict[str, str]:
    """Return why the source could not give a session at the last attempt, by session id."""
    try:
        content = json.loads(_path(root).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        # a broken note is none: the next attempt says it again
        return {}
    return {str(eid): str(reason) for eid, reason in content.items()} if isinstance(content, dict) else {}


def note_availability(root: Root, unavailable: Mapping[str, str], had: Iterable[str]) -> None:
    """Keep which sessions the source could not give, and why; forget those that could be had since."""
    with locked(_path(root).with_suffix(".lock")):
        known = unavailable_sessions(root)
        gone = set(had)
        now = {eid: reason for eid, reason in {**known, **unavailable}.items() if eid in unavailable or eid not in gone}
        if now != known:
            write_bytes(_path(root), json.dumps(now, sort_keys=True, indent=1).encode())


def _path(root: Root) -> Path:
    return root.path / "metadata" / "unavailable.json"
