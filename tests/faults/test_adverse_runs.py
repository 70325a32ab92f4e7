"""Runs under adversity: a locked event log, another run, a clock that jumps, a source that goes away, no memory left."""

import contextlib
import os
import random
import re
import sqlite3
import threading
import time

import pandas as pd
import pytest
from tests_support import sessions_that_kill
from tests_support.alyx import PROJECT, AlyxServer, write_one_settings
from tests_support.commands import ended, start, start_run
from tests_support.promise import MADE_BY_STAGES, assert_nothing_left, assert_promise, assert_up_to_date, results_of
from tests_support.reliability import record

from iblnm_core.cohort.collect import collected_rows, session_files
from iblnm_core.cohort.status import Catalogue
from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.presets import tiny_plans
from iblnm_core.root import create_root
from iblnm_dagster.instance import open_instance
from iblnm_dagster.runs import LocalRuns

pytestmark = [pytest.mark.faults, pytest.mark.graph]

N_TRIES = int(os.environ.get("IBLNM_RUN_FAULTS", "1"))
only_long = pytest.mark.skipif(
    "IBLNM_RUN_FAULTS" not in os.environ, reason="a minute or more: part of the long version, `make faults`"
)
"""Tries of each kind; `make faults` asks for more."""

TRIALS = "alf/task_00/_ibl_trials.table.pqt"


@pytest.fixture(scope="module")
def done(tmp_path_factory, copies):
    """A root over four sessions, done by a run of the command line."""
    folder = tmp_path_factory.mktemp("adverse")
    made = copies(folder / "cache", 4)
    root = create_root(folder / "root", cache=made.cache)
    code, output = ended(start_run(root))
    assert code == 0, output
    return root, made


def due(root):
    """Return the sessions of which a run like those here would compute something."""
    return Catalogue.load(root).due(outputs=MADE_BY_STAGES)


def contents(root):
    return {eid: results_of(path, eid) for eid, path in session_files(root).items()}


def run_again(root):
    code, output = ended(start_run(root))
    assert code == 0, output
    assert_promise(root)
    assert_nothing_left(root)
    assert_up_to_date(root, outputs=MADE_BY_STAGES)


@contextlib.contextmanager
def held(database, seconds):
    """Hold a database under an exclusive lock for some seconds."""
    locked = threading.Event()

    def hold():
        connection = sqlite3.connect(database, timeout=30, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        locked.set()
        time.sleep(seconds)
        connection.execute("ROLLBACK")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(40)
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("name", ["runs/index.db", "runs.db"])
def test_a_run_waits_for_a_locked_event_log_or_says_so(done, name):
    root, _ = done
    before = contents(root)
    moments, outcomes = random.Random(name), {}
    for _ in range(N_TRIES):
        run = start_run(root, "--reprocess")
        time.sleep(moments.uniform(0, 6))
        with held(root.dagster_home / "history" / name, moments.uniform(4, 9)):
            pass
        code, output = ended(run)
        assert "Traceback" not in output, output
        assert code == 0 or "the event log in" in output, output
        word = "whole, it waited" if code == 0 else "whole, a typed failure"
        outcomes[word] = outcomes.get(word, 0) + 1
        assert_promise(root)
    run_again(root)
    assert contents(root) == before
    record("event log locked", outcomes)


@only_long
def test_two_runs_at_once_both_end_and_files_are_whole(done):
    root, _ = done
    before = contents(root)
    for _ in range(N_TRIES):
        runs = [start_run(root, "--reprocess") for _ in range(2)]
        for code, output in [ended(run) for run in runs]:
            assert code == 0, output
        assert_promise(root)
        assert_up_to_date(root, outputs=MADE_BY_STAGES)
        assert contents(root) == before
    run_again(root)
    record("two runs at once", {"whole, both ended well": N_TRIES})


JUMPED = """
import time
real = time.time
time.time = lambda: real() + {seconds}
from iblnm_dagster.cli import main
main()
"""
DECADES_S = 30 * 365 * 86400


@only_long
def test_what_is_due_is_decided_by_content_whatever_clocks_say(done):
    root, made = done
    catalogue = Catalogue.load(root)
    before = contents(root)
    dates = [0, 86400, 2_000_000_000, 4_000_000_000]
    # hard links: all copies get the time
    trials = made.folders[made.eids[0]] / TRIALS
    for date in dates:
        os.utime(trials, (date, date))
        assert due(root) == []
    # another content is due, however old its time says it is
    sound = trials.read_bytes()
    trials.unlink()
    table = pd.read_parquet(made.folders[made.eids[1]] / TRIALS)
    table.iloc[:-1].to_parquet(trials)
    os.utime(trials, (0, 0))
    assert due(root) == [made.eids[0]]
    for seconds in (-DECADES_S, DECADES_S):
        code, output = ended(start_run(root, program=JUMPED.format(seconds=seconds)))
        assert code == 0, output
        assert ("1 sessions were due: 1 computed" if seconds < 0 else "0 sessions were due") in output, output
    assert_promise(root)
    assert_up_to_date(root, outputs=MADE_BY_STAGES)
    trials.write_bytes(sound)
    run_again(root)
    assert contents(root) == before
    assert set(catalogue.sessions) == set(made.eids)
    record("clock jumps", {"whole, due by content alone": len(dates) + 3})


@only_long
def test_a_source_that_goes_down_keeps_what_is_finished_and_leaves_the_rest_due(shared, tmp_path):
    cohort = write_cohort(tmp_path / "content", tiny_plans()[:1], seed=1, workers=1)
    files = {path.name: path.read_bytes() for path in cohort.cache.glob("*/Subjects/**/*") if path.is_file()}
    server = AlyxServer(shared / "alyx_responses", files)
    listed = [eid for eid, detail in server.details.items() if PROJECT in detail["projects"]]
    wanted = [eid for eid in listed if any(d["name"] == TRIALS.rpartition("/")[2] for d in _datasets(server, eid))][:8]
    assert len(wanted) == 8
    for eid in set(server.details) - set(wanted):
        del server.details[eid]
    write_one_settings(tmp_path / "home", server)
    home = {"HOME": str(tmp_path / "home")}
    root = create_root(tmp_path / "root", source="alyx")
    outcomes = {"finished before": 0, "due after": 0}
    try:
        for number in range(N_TRIES):
            for path in session_files(root).values():
                path.unlink()
            for path in root.downloads.rglob("*.pqt"):
                path.unlink()
            down_after = random.Random(number).randint(2, 20)
            seen = []

            def spoil(path, seen=seen, down_after=down_after):
                seen.extend([path] if path.startswith("/data/") else [])
                if len(seen) == down_after:
                    server.always.append(("^/", "status_503"))

            server.on_request = spoil
            code, output = ended(start_run(root, "--workers", "1", **home))
            assert code == 1, output
            assert "Traceback" not in output, output
            assert re.search(r"could not be had from the source and stay due", output), output
            finished = {eid: path.stat().st_mtime_ns for eid, path in session_files(root).items()}
            left = due(root)
            assert set(left) == set(wanted) - set(finished)
            assert left
            assert_promise(root)
            outcomes["finished before"] += len(finished)
            outcomes["due after"] += len(left)
            server.on_request = None
            server.always.clear()
            ended(start_run(root, **home))
            assert due(root) == []
            after = {eid: path.stat().st_mtime_ns for eid, path in session_files(root).items()}
            assert {eid: after[eid] for eid in finished} == finished
            assert set(after) == set(wanted)
            assert_promise(root)
    finally:
        server.close()
    record("source down", {"tries": N_TRIES, **{f"sessions {name}": count for name, count in outcomes.items()}})


def _datasets(server, eid):
    return server.details[eid]["data_dataset_session_related"]


def test_a_session_without_memory_fails_alone_and_is_due_again(tmp_path, copies, break_file, monkeypatch):
    made = copies(tmp_path / "cache", 5)
    hungry = made.eids[2]
    sound = (made.folders[hungry] / TRIALS).read_bytes()
    break_file(made.folders[hungry] / TRIALS, sessions_that_kill.HUNGRY)
    monkeypatch.setattr("iblnm_dagster.session_step.process_session", sessions_that_kill.process_or_run_out)
    root = create_root(tmp_path / "root", cache=made.cache)
    with LocalRuns(root) as runs:
        runs.catalogue()
        result = runs.sessions(made.eids)
        runs.collect(["query_database"])
    assert result.failed == [hungry]
    errors = collected_rows(root, "errors")
    fatal = errors[errors["severity"] == "fatal"]
    assert set(fatal["eid"]) == {hungry}
    assert set(fatal["error_type"]) == {"UnexpectedError"}
    assert "MemoryError" in fatal["error_message"].iloc[0]
    assert_promise(root)
    break_file(made.folders[hungry] / TRIALS, sound)
    with LocalRuns(root) as runs:
        assert runs.sessions(Catalogue.load(root).due()).failed == []
    assert_promise(root)
    assert_up_to_date(root)
    record("out of memory", {"that session alone failed, and was computed later": 1})


def test_the_doctor_finds_what_a_killed_run_left_and_mends_what_it_can(tmp_path, copies):
    made = copies(tmp_path / "cache", 6)
    root = create_root(tmp_path / "root", cache=made.cache)
    run = start_run(root, "--workers", "1")
    deadline = time.monotonic() + 100
    while len(session_files(root)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.kill()
    run.communicate()
    (root.session_folder / ".some.h5.999999999-0123abcd.tmp").write_bytes(b"half")
    code, output = ended(start(root, "doctor"))
    assert code == 1, output
    assert ".some.h5.999999999-0123abcd.tmp  temporary file of a process that is dead: removed" in output
    assert re.search(r"run [0-9a-f-]+  its process is dead: ended as failed", output)
    assert "the run that had taken it on ended before it was through" in output
    assert f"To mend: iblnm run --root {root.path}" in output
    assert_nothing_left(root)
    # all that a session has: what is left of it would count as interrupted
    code, output = ended(start_run(root, "--only", "responses"))
    assert code == 0, output
    with open_instance(root.dagster_home) as instance:
        assert not [run for run in instance.get_runs() if not run.is_finished]
    code, output = ended(start(root, "doctor"))
    assert code == 0, output
