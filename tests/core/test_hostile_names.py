"""Names that come with the data can be anything; none leads out of the root, hides a session, or ends in an untyped error."""

import contextlib
import shutil

import pandas as pd
import pytest
from tests_support.sessions import OneSession, catalogue_of, errors_of

from iblnm_core.cohort.collect import COLLECTED, collect_tables
from iblnm_core.errors import IblnmError
from iblnm_core.export.nwb.exporting import export_session
from iblnm_core.root import create_root
from iblnm_core.session.layout import read_metadata
from iblnm_core.session.pipeline import process_session
from iblnm_core.sources.indexing import index_cache
from iblnm_core.storage.session_file import SessionFile

LOCATIONS = "alf/photometry/photometryROI.locations.pqt"
HOSTILE = {
    "path": "../../../../evil",
    "absolute": "/evil",
    "group": "VTA/../qc",
    "markup": "<img src=x onerror=alert(1)>",
    "control": "VTA\x1b[31m\r\n\x07-l",
    "nul": "VTA\x00-l",
    "long": "VTA" * 4_000,
    "formula": "=1+1",
    "empty": "",
    "separator": "a#b#2",
}


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    root = create_root(tmp_path / "root", source="local", cache=made.cache)
    [(eid, folder)] = made.folders.items()
    return OneSession(root, folder, eid)


def files_of(folder):
    return {path.relative_to(folder) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_region_of_any_name_ends_in_typed_errors_and_stays_inside(session, tmp_path, name):
    session.rewrite(LOCATIONS, lambda table: table.assign(brain_region=[name, *table["brain_region"][1:]]))
    outside = {path for path in files_of(tmp_path) if path.parts[0] != "root"}
    report = session.run()
    assert "UnexpectedError" not in {error for _, error in errors_of(report)}
    assert {path for path in files_of(tmp_path) if path.parts[0] != "root"} == outside
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        for part in file.parts():
            file.read(part)
        assert read_metadata(file)["eid"] == session.eid
    for _, found in collect_tables(session.root, COLLECTED):
        assert found.broken == ()
    [path] = session.root.session_folder.glob("*.h5")
    assert path.stem == session.eid


@pytest.mark.parametrize("name", ["a b", "..x", "m\u202eouse", "m" * 200], ids=lambda name: name[:8])
def test_a_mouse_of_any_name_keeps_its_session_and_exports_inside(tmp_path, copies, name):
    made = copies(tmp_path / "cache", 1)
    [folder] = made.folders.values()
    shutil.move(folder.parents[1], folder.parents[2] / name)
    index_cache(made.cache)
    root = create_root(tmp_path / "root", source="local", cache=made.cache)
    catalogue = catalogue_of(root)
    before = {path for path in files_of(tmp_path) if path.parts[0] != "root"}
    for task in catalogue.tasks(catalogue.sessions):
        report = process_session(task)
        assert "UnexpectedError" not in {error for _, error in errors_of(report)}
        with contextlib.suppress(IblnmError):
            export_session(root, task)
    assert {path for path in files_of(tmp_path) if path.parts[0] != "root"} == before
    assert pd.Series(list(catalogue.sessions)).is_unique
