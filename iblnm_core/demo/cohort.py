"""Writing a cohort: all sessions through worker processes, the index, and the whole moved into place at once."""

import contextlib
import dataclasses
import hashlib
import json
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from os import getpid
from pathlib import Path

import psutil

from iblnm_core import __version__
from iblnm_core.demo.files import write_session
from iblnm_core.demo.index import WrittenSession, write_index
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.session import make_session
from iblnm_core.errors import ConfigurationError
from iblnm_core.storage.atomic import explained_when_full
from iblnm_core.workers import results_of

STATEMENT = "demo_cohort.json"
"""File at the root of a cache that says what it was made from."""

_MODEL_VERSION = "1"
"""Raised whenever the same plans and seed give other sessions."""
_LIBRARIES = ("numpy", "scipy", "pyarrow", "pandas")
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[0-9a-f]{8}\.tmp")


@dataclass(frozen=True)
class Cohort:
    """A cohort on disk.

    Attributes
    ----------
    cache : Path
        Root of the ONE cache.
    sessions : tuple of SessionPlan
    eids : tuple of str
        Of the sessions, in their order.
    seed : int
    digest : str
        Of everything that the sessions follow from: plans, seed, library versions.
    written : bool
        False when the same cohort was there already.
    """

    cache: Path
    sessions: tuple[SessionPlan, ...]
    eids: tuple[str, ...]
    seed: int
    digest: str
    written: bool

    @property
    def plans(self) -> Mapping[str, SessionPlan]:
        """Session plans by session id."""
        return dict(zip(self.eids, self.sessions, strict=True))


def write_cohort(
    cache: Path,
    plans: Sequence[SessionPlan],
    *,
    seed: int = 1,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Write a cohort as a local ONE cache, unless it is there already.

    It is made beside its place and moved there when it is whole, so a cache is either complete or absent.

    Parameters
    ----------
    cache : Path
        The folder to be; absent, empty, or holding this very cohort.
    plans : sequence of SessionPlan
        At least one, no two with the same subject, date and number.
    seed : int
        Not negative.
    workers : int
        Processes; one makes the sessions in this process.
    progress : callable, optional
        Called with the number of sessions made and their total after each.

    Raises
    ------
    ConfigurationError
        When the folder holds something else, or the plans make no cohort.
    StorageFull
        When the file system has no room.
    """
    _check(plans, seed)
    digest = cohort_digest(plans, seed)
    cohort = Cohort(cache, tuple(plans), tuple(plan.eid(seed) for plan in plans), seed, digest, written=True)
    if _is_there(cache, digest):
        return dataclasses.replace(cohort, written=False)
    with explained_when_full(cache):
        cache.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(cache)
        building = cache.with_name(f".{cache.name}.{getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            _build(building, plans, seed, workers, progress)
            (building / STATEMENT).write_text(_statement(plans, seed, digest), encoding="utf-8")
            return cohort if _moved(building, cache, digest) else dataclasses.replace(cohort, written=False)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def cohort_digest(plans: Sequence[SessionPlan], seed: int) -> str:
    """Return a hash of everything that the sessions of a cohort follow from, whatever their order."""
    described = sorted(json.dumps(dataclasses.asdict(plan), default=str, sort_keys=True) for plan in plans)
    text = json.dumps([described, seed, generator_versions()], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _check(plans: Sequence[SessionPlan], seed: int) -> None:
    if seed < 0:
        raise ConfigurationError(f"seed {seed}; expected a whole number from 0 on")
    if not plans:
        raise ConfigurationError("a cohort without sessions; expected at least one")
    key, count = Counter(plan.key for plan in plans).most_common(1)[0]
    if count > 1:
        raise ConfigurationError(f"session {key} is planned {count} times; expected once")


def _is_there(cache: Path, digest: str) -> bool:
    """Whether the folder holds this cohort; refuse one that holds anything else."""
    if not cache.exists():
        return False
    statement = cache / STATEMENT
    if statement.is_file():
        found = json.loads(statement.read_text(encoding="utf-8"))["digest"]
        if found == digest:
            return True
        raise ConfigurationError(
            f"{cache} holds another demo cohort (digest {found}, expected {digest}: other sessions, seed or library "
            f"versions); choose another folder, or remove this one"
        )
    if not cache.is_dir() or any(cache.iterdir()):
        raise ConfigurationError(f"{cache} holds something that is no demo cohort; expected an absent or empty folder")
    return False


def _build(
    building: Path,
    plans: Sequence[SessionPlan],
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    building.mkdir()
    written = []
    # whatever ends this loop ends the workers before the unfinished folder is removed
    with contextlib.closing(results_of(partial(_write, building, seed), plans, workers=workers)) as sessions:
        for session in sessions:
            written.append(session)
            if progress is not None:
                progress(len(written), len(plans))
    write_index(building, written)


def _write(building: Path, seed: int, plan: SessionPlan) -> WrittenSession:
    content = make_session(plan, seed)
    sizes = write_session(building / plan.key.folder, content.datasets)
    return WrittenSession(plan, plan.eid(seed), sizes, content.details)


def _moved(building: Path, cache: Path, digest: str) -> bool:
    """Move the finished cohort into place; False when another process has put the same one there meanwhile."""
    try:
        # takes the place of an empty folder only
        building.replace(cache)
    except OSError:
        if _is_there(cache, digest):
            return False
        raise
    return True


def _remove_left_behind(cache: Path) -> None:
    """Remove what a killed process left unfinished beside this cache."""
    for path in cache.parent.glob(f".{cache.name}.*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and match["name"] == cache.name and not psutil.pid_exists(int(match["pid"])):
            shutil.rmtree(path, ignore_errors=True)


def _statement(plans: Sequence[SessionPlan], seed: int, digest: str) -> str:
    """Return what the cohort was made from, for readers and for the next run."""
    sessions = [
        {"eid": plan.eid(seed), "folder": plan.key.folder, "plant": plan.plant}
        for plan in sorted(plans, key=lambda plan: plan.key)
    ]
    content = {"digest": digest, "seed": seed, "versions": generator_versions(), "sessions": sessions}
    return json.dumps(content, indent=1)


def generator_versions() -> dict[str, str]:
    """Return the versions of everything that bit-equal sessions depend on."""
    return {"iblnm": __version__, "model": _MODEL_VERSION, **{name: version(name) for name in _LIBRARIES}}
