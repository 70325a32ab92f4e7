"""Keeping the folder of the downloads below a size: what was not used for longest goes, and is fetched again when it is needed."""

import contextlib
import stat
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from iblnm_core.sources.details import DESCRIPTION, LOCATIONS
from iblnm_core.storage.atomic import locked

GIB = 1 << 30
"""Bytes."""

DOWNLOAD_LOCK = ".download.lock"
"""Held below the folder of the downloads while a file comes or goes."""


@dataclass(frozen=True)
class Evicted:
    """What was deleted."""

    n_files: int
    n_bytes: int


@dataclass(frozen=True)
class _Download:
    path: Path
    size: int
    used_ns: int


def evict_downloads(
    cache: Path, datasets: Iterable[Path], limit_bytes: float, keep: AbstractSet[Path] = frozenset()
) -> Evicted:
    """Delete downloaded datasets, the longest unused first, until the others are within a limit.

    Parameters
    ----------
    cache : Path
        Folder of the downloads.
    datasets : iterable of Path
        Where datasets lie that the server would give again. Nothing else is counted or deleted, and of these not what leads out
        of the folder, nor the small ones that session records are made of.
    limit_bytes : float
    keep : set of Path
        Session folders whose datasets are in use.
    """
    # nothing may go while it comes
    with locked(cache / DOWNLOAD_LOCK):
        downloads = sorted(_downloads(cache, datasets), key=lambda download: (download.used_ns, download.path))
        left = sum(download.size for download in downloads)
        n_files, n_bytes = 0, 0
        for download in downloads:
            if left <= limit_bytes:
                break
            if not keep.isdisjoint(download.path.parents):
                continue
            _delete(download.path, cache)
            left -= download.size
            n_files, n_bytes = n_files + 1, n_bytes + download.size
    return Evicted(n_files, n_bytes)


def _downloads(cache: Path, datasets: Iterable[Path]) -> Iterator[_Download]:
    inside = cache.resolve()
    for path in datasets:
        if path.name == DESCRIPTION or path.as_posix().endswith(f"/{LOCATIONS}"):
            continue
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISREG(status.st_mode) and path.resolve().is_relative_to(inside):
            yield _Download(path, status.st_size, status.st_mtime_ns)


def _delete(path: Path, cache: Path) -> None:
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == cache:
            return
        # the first that holds something else ends it
        with contextlib.suppress(OSError):
            parent.rmdir()
            continue
        return
