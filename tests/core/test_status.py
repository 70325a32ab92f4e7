"""What is due and why, where sessions stand, and what a killed run leaves behind."""

import multiprocessing
import os
import signal
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from tests_support.sessions import catalogue_of

from iblnm_core.cohort import status as status_module
from iblnm_core.cohort.current import read_current
from iblnm_core.cohort.status import Catalogue
from iblnm_core.cohort.unavailable import note_availability
from iblnm_core.cohort.under_way import interrupted_sessions, sessions_under_way
from iblnm_core.overrides import parameters_from
from iblnm_core.root import create_root
from iblnm_core.schemas import SESSION_INDEX
from iblnm_core.session.outputs import ON_REQUEST
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.tables import make_table, read_table, write_table

TRIALS = "alf/task_00/_ibl_trials.table.pqt"


@pytest.fixture
def done(tmp_path, copies):
    """Three sessions, all computed."""
    made = copies(tmp_path / "cache", 3)
    root = create_root(tmp_path / "root", cache=made.cache)
    catalogue = catalogue_of(root)
    for task in catalogue.tasks(catalogue.sessions):
        assert not process_session(task).failed
    return root, made


def states(catalogue):
    table = catalogue.status()
    table = table[~table["asset"].isin(ON_REQUEST)]
    return {eid: set(rows["state"]) for eid, rows in table.groupby("eid")}


def shorten(path):
    """Replace a trial table by one with a trial less."""
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table.slice(0, table.num_rows - 1), path)


def count_opened(monkeypatch):
    opened = []
    looked_at = status_module.stored_ledger

    def counting(root, eid):
        opened.append(eid)
        return looked_at(root, eid)

    monkeypatch.setattr(status_module, "stored_ledger", counting)
    return opened


def test_another_look_opens_only_what_changed(done, monkeypatch):
    root, made = done
    opened = count_opened(monkeypatch)
    assert Catalogue.load(root).due() == []
    assert sorted(opened) == made.eids
    opened.clear()
    assert Catalogue.load(root).due() == []
    assert opened == []
    shorten(made.folders[made.eids[1]] / TRIALS)
    assert Catalogue.load(root).due() == [made.eids[1]]
    assert opened == [made.eids[1]]


def test_a_look_at_some_sessions_keeps_what_is_known_of_the_others(done, monkeypatch):
    root, made = done
    opened = count_opened(monkeypatch)
    assert Catalogue.load(root).due(eids=made.eids[:1]) == []
    assert Catalogue.load(root).due(eids=[*made.eids[1:2], "of another root"]) == []
    assert opened == made.eids[:2]
    assert sorted(read_current(root)) == made.eids[:2]
    shorten(made.folders[made.eids[0]] / TRIALS)
    assert Catalogue.load(root).due(eids=made.eids[:1]) == made.eids[:1]
    assert sorted(read_current(root)) == made.eids[1:2]


def test_a_look_that_is_cut_short_was_not_in_vain(done, monkeypatch):
    root, made = done
    monkeypatch.setattr(status_module, "_NOTE_EVERY_S", 0.0)
    opened = count_opened(monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(status_module, "note_current", cut_short_after(1, status_module.note_current))
        with pytest.raises(TimeoutError):
            Catalogue.load(root).due()
    assert opened == made.eids[:2]
    opened.clear()
    assert Catalogue.load(root).due() == []
    assert opened == made.eids[1:]


def cut_short_after(count, function):
    """Let a function through so many times, then raise."""
    left = [count]

    def limited(*arguments):
        if left[0] == 0:
            raise TimeoutError
        left[0] -= 1
        function(*arguments)

    return limited


@pytest.mark.parametrize("broken", [b"", b"not json", b"[1, 2]"])
def test_a_lost_memo_costs_time_only(done, broken):
    root, made = done
    assert Catalogue.load(root).due() == []
    assert sorted(read_current(root)) == made.eids
    (root.path / "metadata" / "current.json").write_bytes(broken)
    assert Catalogue.load(root).due() == []
    assert sorted(read_current(root)) == made.eids


def test_a_removed_or_replaced_session_file_is_seen(done):
    root, made = done
    first, second, third = made.eids
    assert Catalogue.load(root).due() == []
    root.session_file(first).unlink()
    # another session's content under this name: every part says whose it is
    root.session_file(second).write_bytes(root.session_file(third).read_bytes())
    assert Catalogue.load(root).due() == [first, second]


def test_a_touched_dataset_is_nothing_new(done):
    root, made = done
    eid = made.eids[0]
    path = made.folders[eid] / TRIALS
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    catalogue = Catalogue.load(root)
    assert catalogue.due() == []
    assert states(catalogue) == {eid: {"ok"} for eid in made.eids}
    assert catalogue.plan().empty
    # without the time to read it is new as long as it was not looked at
    os.utime(path, (1, 1))
    assert Catalogue.load(root).due(reading_s=0.0) == [eid]
    assert Catalogue.load(root).due() == []
    assert Catalogue.load(root).due(reading_s=0.0) == []


def test_same_size_and_other_content_is_new(done):
    root, made = done
    eid = made.eids[0]
    path = made.folders[eid] / TRIALS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    plan = Catalogue.load(root).plan()
    assert plan["eid"].tolist() == [eid]
    assert plan["why"].tolist() == ["input"]


def test_a_dataset_that_came_or_went_is_new(done):
    root, made = done
    (made.folders[made.eids[0]] / TRIALS).unlink()
    assert Catalogue.load(root).due() == [made.eids[0]]


def test_a_changed_parameter_makes_all_due_and_says_so(done):
    root, made = done
    other = replace(root, parameters=parameters_from("default", {"trials": {"minimum_trials": 60}}))
    assert Catalogue.load(root).due() == []
    catalogue = Catalogue.load(other)
    assert catalogue.due() == made.eids
    assert set(catalogue.plan()["why"]) == {"parameters"}
    table = catalogue.status().set_index(["eid", "asset"])
    assert (table.xs("trials", level="asset")["due"] == "parameters").all()
    assert (table.xs("session_metadata", level="asset")["state"] == "ok").all()


def test_a_session_that_is_no_longer_listed_keeps_its_results(done):
    root, made = done
    gone = made.eids[1]
    catalogue = Catalogue.load(root)
    without = replace(catalogue, sessions={eid: row for eid, row in catalogue.sessions.items() if eid != gone})
    table = without.status().set_index("eid")
    assert set(table.loc[gone, "state"]) == {"delisted"}
    assert set(table.loc[gone, "subject"]) == {"mouse"}
    assert root.session_file(gone).is_file()


def test_an_index_that_is_newer_than_the_catalogue_is_no_error(done):
    root, made = done
    index = read_table(root.path, SESSION_INDEX)
    write_table(root.path, make_table(SESSION_INDEX, index[index["eid"] != made.eids[0]]))
    catalogue = Catalogue.load(root)
    assert list(catalogue.sessions) == made.eids[1:]
    assert catalogue.due() == []
    assert states(catalogue)[made.eids[0]] == {"delisted"}


def test_what_the_source_could_not_give_says_so_until_it_could(done):
    root, made = done
    eid = made.eids[0]
    root.session_file(eid).unlink()
    note_availability(root, {eid: "no answer"}, [])
    assert states(Catalogue.load(root))[eid] == {"source unavailable"}
    note_availability(root, {}, [eid])
    assert states(Catalogue.load(root))[eid] == {"never run"}


def _taken_on(root, eids, ready):
    with sessions_under_way(root, "killed", eids):
        ready.set()
        signal.pause()


def test_a_killed_run_leaves_interrupted_sessions_and_the_next_one_takes_them_on(done):
    root, made = done
    finished, cut, other = made.eids
    root.session_file(cut).unlink()
    root.session_file(other).unlink()
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_taken_on, args=(root, [finished, cut], ready))
    process.start()
    assert ready.wait(30)
    assert interrupted_sessions(root) == set()
    process.kill()
    process.join()
    assert interrupted_sessions(root) == {finished, cut}
    now = states(Catalogue.load(root))
    assert now == {finished: {"ok"}, cut: {"interrupted"}, other: {"never run"}}
    with sessions_under_way(root, "next", [cut, other]):
        assert interrupted_sessions(root) == {finished}
    with sessions_under_way(root, "last", [finished]):
        pass
    assert list((root.path / "metadata" / "under_way").iterdir()) == []


def test_a_block_that_raises_leaves_its_sessions_interrupted(done):
    root, made = done
    with pytest.raises(KeyboardInterrupt), sessions_under_way(root, "stopped", made.eids):
        raise KeyboardInterrupt
    assert interrupted_sessions(root) == set(made.eids)
