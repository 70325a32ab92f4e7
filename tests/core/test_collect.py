"""Collected tables are the same whoever reads the session files, and a file that goes or breaks costs its own rows only."""

import pytest
from tests_support.sessions import catalogue_of

from iblnm_core.cohort import collect as collecting
from iblnm_core.cohort.collect import COLLECTED, collect_tables
from iblnm_core.root import create_root
from iblnm_core.session.pipeline import process_session


@pytest.fixture
def root(tmp_path, copies):
    made = copies(tmp_path / "cache", 3)
    root = create_root(tmp_path / "root", source="local", cache=made.cache)
    for task in catalogue_of(root).tasks(made.eids):
        process_session(task)
    return root


def contents(root):
    return {name: (found.table.content_hash, found.broken) for name, found in collect_tables(root, COLLECTED)}


def test_workers_read_what_this_process_reads(root, monkeypatch):
    here = contents(root)
    assert not any(broken for _, broken in here.values())
    monkeypatch.setattr(collecting, "_MANY", 2)
    monkeypatch.setattr(collecting, "_AT_ONCE", 1)
    assert contents(root) == here
    eids = sorted(collecting.session_files(root))
    root.session_file(eids[1]).write_bytes(b"broken")
    there = contents(root)
    assert {broken for _, broken in there.values()} == {(eids[1],)}
    monkeypatch.undo()
    assert contents(root) == there


def test_a_session_file_that_goes_while_tables_are_collected_is_named(root, monkeypatch):
    eids = sorted(collecting.session_files(root))
    listed = collecting.session_files(root)
    root.session_file(eids[0]).unlink()
    monkeypatch.setattr(collecting, "session_files", lambda _root: {})
    assert all(found.n_sessions == 0 for _, found in collect_tables(root, ["trials", "errors"]))
    monkeypatch.setattr(collecting, "session_files", lambda _root: listed)
    monkeypatch.setattr(collecting, "stamp_of", lambda path: [path.name, 1])
    for _, found in collect_tables(root, ["trials", "errors"]):
        assert found.broken == (eids[0],)
        assert found.n_sessions == 2
