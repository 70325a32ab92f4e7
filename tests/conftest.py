"""Fixtures that several test folders share."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests_support.paths import REPOSITORY

# each test worker has one core: more threads of linear algebra only stand in each other's way; read when numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# how fast examples come says how busy the machine is, and nothing about the code
settings.register_profile("iblnm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("iblnm")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material that lies beside the checkout (or where `IBLNM_SHARED` says)."""
    folder = Path(os.environ.get("IBLNM_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "real_sessions").is_dir():
        pytest.skip("the shared folder with real sessions is not beside the checkout (set IBLNM_SHARED)")
    return folder


@pytest.fixture(scope="session")
def real_session(shared: Path) -> Path:
    """The session folder of a real published recording."""
    return shared / "real_sessions" / "cortexlab" / "Subjects" / "CQ002" / "2024-11-05" / "001"


@pytest.fixture
def real_copy(shared: Path, tmp_path: Path) -> Path:
    """A ONE cache with a copy of the real session."""
    from iblnm_core.sources.indexing import index_cache

    cache = tmp_path / "real"
    shutil.copytree(shared / "real_sessions", cache, copy_function=shutil.copyfile)
    for path in cache.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    index_cache(cache)
    return cache


@pytest.fixture(scope="session")
def sound_cache(tmp_path_factory) -> Path:
    """A ONE cache with one sound session of eight minutes and two fibres. Read only: use `copies` to change it."""
    import datetime as dt

    from iblnm_core.demo.cohort import write_cohort
    from iblnm_core.demo.plan import CLINIC_PACE, SessionPlan
    from iblnm_core.demo.presets import SUBJECTS

    plan = SessionPlan(SUBJECTS["DEMO-DA1"], dt.date(2025, 3, 3), 1, "biased", 8.0, pace=CLINIC_PACE)
    return write_cohort(tmp_path_factory.mktemp("sound") / "cache", [plan]).cache


@dataclass(frozen=True)
class Copies:
    """A local ONE cache of equal sessions on consecutive days: its folder, and session folder by session id."""

    cache: Path
    folders: dict[str, Path]

    @property
    def eids(self) -> list[str]:
        """Session ids in catalogue order."""
        return sorted(self.folders)


@pytest.fixture(scope="session")
def copies(sound_cache):
    """Make a cache of so many copies of the sound session below a folder; files may be replaced, not written into."""
    from iblnm_core.identifiers import uuid_from
    from iblnm_core.sources.indexing import index_cache

    source = sound_cache / "demolab" / "Subjects" / "DEMO-DA1" / "2025-03-03" / "001"

    def make(folder: Path, count: int) -> Copies:
        folders = {}
        for number in range(count):
            day = f"2025-{4 + number // 28:02d}-{number % 28 + 1:02d}"
            copy = folder / "lab" / "Subjects" / "mouse" / day / "001"
            # links: thousands of files of equal content cost no space and no time
            shutil.copytree(source, copy, copy_function=os.link)
            folders[uuid_from(f"lab/mouse/{day}/001")] = copy
        index_cache(folder)
        return Copies(folder, folders)

    return make


@pytest.fixture(scope="session")
def break_file():
    """Replace a dataset of a session folder by a part of itself, or by given content."""

    def replace(path: Path, content: bytes | None = None) -> None:
        broken = path.read_bytes()[: path.stat().st_size // 2] if content is None else content
        path.unlink()
        path.write_bytes(broken)

    return replace


TRIALS = "alf/task_00/_ibl_trials.table.pqt"
SIGNAL = "alf/photometry/photometry.signal.pqt"


@pytest.fixture(scope="session")
def few_trials():
    """Cut the trial table of a session folder to 60 trials; return the sound content."""
    import pandas as pd

    def cut(folder: Path) -> bytes:
        path = folder / TRIALS
        sound = path.read_bytes()
        trials = pd.read_parquet(path)
        path.unlink()
        trials.iloc[:60].to_parquet(path)
        return sound

    return cut
