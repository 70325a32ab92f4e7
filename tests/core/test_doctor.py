"""What the doctor finds in the files of a root, what it mends, and what it leaves to a run."""

import os
import subprocess
import sys

import pytest
from tests_support.demo import plan
from tests_support.promise import assert_whole
from tests_support.sessions import catalogue_of, processed_root

from iblnm_core.cohort.collect import COLLECTED, collect
from iblnm_core.cohort.doctor import examine
from iblnm_core.errors import CorruptArtifact
from iblnm_core.schemas import ERRORS, PERFORMANCE
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.tables import read_table, verify_table, write_table


@pytest.fixture
def root(tmp_path):
    return processed_root(tmp_path, [plan(minutes=8.0)])


def test_a_sound_root_has_nothing(root):
    found = examine(root)
    assert found.n_session_files == 1
    assert found.n_tables == len(COLLECTED) + 2
    assert found.findings == ()


def test_temporary_files_go_when_their_writer_is_dead_and_stay_while_it_lives(root):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = root.session_folder / f".a.h5.{dead.pid}-01234567.tmp"
    stays = root.path / "metadata" / f".errors.pqt.{os.getpid()}-01234567.tmp"
    # the number of this process, when another process had it
    reused = root.path / f".iblnm.toml.{os.getpid()}-89abcdef.tmp"
    foreign = root.path / "metadata" / "notes.tmp"
    for path in (gone, stays, reused, foreign):
        path.write_bytes(b"half")
    os.utime(reused, (0, 0))
    found = examine(root)
    assert {ailment.where for ailment in found.mended} == {f"data/sessions/{gone.name}", reused.name}
    assert not found.left
    assert [path.exists() for path in (gone, stays, reused, foreign)] == [False, True, False, True]


def test_a_broken_session_file_is_named_with_what_makes_it_anew(root):
    ((eid, _),) = catalogue_of(root).sessions.items()
    path = root.session_file(eid)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    (ailment,) = [ailment for ailment in examine(root).left if eid in ailment.where]
    assert ailment.where == f"data/sessions/{eid}.h5"
    assert ailment.remedy == f"iblnm run --root {root.path} --reprocess --eid {eid}"
    process_session(catalogue_of(root).tasks([eid], reprocess=True)[0])
    assert_whole(root)


def test_a_broken_table_is_set_aside_and_made_anew(root):
    path = root.path / ERRORS.path
    sound = read_table(root.path, ERRORS)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptArtifact, match=r"`iblnm doctor` says what to do"):
        verify_table(root.path, ERRORS)
    found = examine(root)
    assert [ailment.where for ailment in found.findings] == [str(ERRORS.path)] * 2
    assert [ailment.remedy for ailment in found.left] == [f"iblnm run --root {root.path}"]
    assert not path.exists()
    assert path.with_suffix(".broken").read_bytes() == bytes(content)
    write_table(root.path, collect(root, "errors").table)
    assert read_table(root.path, ERRORS).equals(sound)
    assert examine(root).findings == ()


def test_tables_that_were_not_made_of_the_session_files_are_named_in_one_line(root):
    ((eid, _),) = catalogue_of(root).sessions.items()
    process_session(catalogue_of(root).tasks([eid], reprocess=True)[0])
    (ailment,) = examine(root).left
    assert str(PERFORMANCE.path) in ailment.where
    assert ailment.problem == f"not made of 1 session files as they are now, such as {eid}"
