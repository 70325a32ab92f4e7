"""Fixtures that several test folders share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


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
