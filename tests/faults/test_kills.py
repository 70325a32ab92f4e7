"""After any kill every stored session is absent, old or new; what was finished stays finished."""

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import dagster as dg
import psutil
import pytest
from tests_support.promise import MADE_BY_STAGES, assert_promise, assert_up_to_date
from tests_support.reliability import record
from tests_support.sessions import catalogue_of
from tests_support.stages import ONLY_SESSIONS

from iblnm_core.cohort.collect import collected_rows
from iblnm_core.cohort.status import Catalogue
from iblnm_core.root import create_root
from iblnm_core.session import ledger
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.session_file import SessionFile
from iblnm_dagster.instance import open_instance

pytestmark = pytest.mark.faults

MARK = "IBLNM_TEST_RUN"

N_KILLS = int(os.environ.get("IBLNM_KILLS", "10"))
"""Kills at random moments; `make faults` asks for more."""

N_RUN_KILLS = int(os.environ.get("IBLNM_RUN_KILLS", "2"))
"""The same of whole runs."""


def start_run(root, mark):
    """Start `iblnm run` as a user would, all its processes marked."""
    command = [
        sys.executable,
        "-c",
        "from iblnm_dagster.cli import main; main()",
        "run",
        "--root",
        str(root.path),
        *ONLY_SESSIONS,
    ]
    environment = {**os.environ, MARK: mark}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def processes_of(mark):
    """All living processes of a marked run, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def session_files(root):
    return {path.stem: path.stat().st_mtime_ns for path in root.session_folder.glob("*.h5")}


def assert_whole(root):
    """Every session file can be read to the last byte, and nothing else is called one."""
    for eid in session_files(root):
        with SessionFile(root.session_file(eid), eid) as file:
            assert {"errors", "verdicts", "provenance"} <= set(file.parts())
            for part in file.parts():
                file.read(part)


def test_a_killed_run_leaves_no_process_and_the_next_one_adopts_what_was_finished(tmp_path, copies):
    made = copies(tmp_path / "cache", 30)
    root = create_root(tmp_path / "root", cache=made.cache)
    run = start_run(root, str(tmp_path))
    assert wait_for(lambda: len(session_files(root)) >= 3, 60)
    assert len(processes_of(str(tmp_path))) >= 3
    run.kill()
    run.wait()
    assert wait_for(lambda: not processes_of(str(tmp_path)), 5)
    finished = session_files(root)
    assert 3 <= len(finished) < 30
    assert_whole(root)
    second = start_run(root, str(tmp_path))
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 0, output
    # what had been stored but not reported is adopted, not computed
    assert f"{30 - len(finished)} computed" in output
    after = session_files(root)
    assert set(after) == set(made.eids)
    assert {eid: after[eid] for eid in finished} == finished
    assert_whole(root)
    with open_instance(root.dagster_home) as instance:
        statuses = [run.status for run in instance.get_runs()]
    assert statuses.count(dg.DagsterRunStatus.FAILURE) == 1
    assert set(statuses) == {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}


def _reprocess_for_ever(tasks, warm):
    while True:
        for task in tasks:
            process_session(task)
            warm.set()


def test_nothing_is_partial_after_kills_at_random_moments(tmp_path, copies):
    made = copies(tmp_path / "cache", 3)
    root = create_root(tmp_path / "root", cache=made.cache)
    tasks = catalogue_of(root).tasks(made.eids, reprocess=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["iblnm_core.session.pipeline", "pandas", "pyarrow.parquet", "scipy.signal", "scipy.interpolate", "h5py"]
    )
    moments = random.Random(1)
    found = Counter()
    for kill in range(N_KILLS):
        warm = context.Event()
        # each session comes first in turn: how fast the machine is does not decide which are ever stored
        first = kill % len(tasks)
        process = context.Process(target=_reprocess_for_ever, args=([*tasks[first:], *tasks[:first]], warm))
        process.start()
        assert warm.wait(60)
        before = session_files(root)
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert_whole(root)
        after = session_files(root)
        for eid in made.eids:
            old = "files old" if after.get(eid) == before.get(eid) else "files new"
            found["files absent" if eid not in after else old] += 1
    record("worker killed", {"tries": N_KILLS, **found})
    assert len(session_files(root)) == 3
    for task in tasks:
        process_session(task)
    left = [path.name for path in root.session_folder.iterdir() if path.name.endswith(".tmp")]
    assert left == []


def test_whole_runs_killed_early_and_late_leave_no_worker(tmp_path, copies):
    """Also while modules are still being imported and workers being started."""
    made = copies(tmp_path / "cache", 4)
    root = create_root(tmp_path / "root", cache=made.cache)
    catalogue_of(root)
    moments = random.Random(2)
    for number in range(N_RUN_KILLS):
        mark = f"{tmp_path}-{number}"
        run = start_run(root, mark)
        time.sleep(moments.uniform(0.2, 5.0))
        run.kill()
        run.wait()
        assert wait_for(lambda mark=mark: not processes_of(mark), 20)
        assert_whole(root)
    finished = session_files(root)
    run = start_run(root, str(tmp_path))
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    after = session_files(root)
    assert set(after) == set(made.eids)
    assert {eid: after[eid] for eid in finished} == finished
    assert_promise(root)
    assert_up_to_date(root, outputs=MADE_BY_STAGES)
    record("run killed", {"whole, the next run did the rest": N_RUN_KILLS})


def _run_selected(task, barrier):
    barrier.wait()
    process_session(task)


def test_two_runs_at_once_on_one_session_both_arrive(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    root = create_root(tmp_path / "root", cache=made.cache)
    catalogue = catalogue_of(root)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["iblnm_core.session.pipeline", "pandas", "pyarrow.parquet", "scipy.signal", "scipy.interpolate", "h5py"]
    )
    for _ in range(5):
        barrier = context.Barrier(2)
        selections = [frozenset({"trials"}), frozenset({"photometry_qc", "preprocessed_signal"})]
        # the second one finds the trials current or makes them too; either way both are there at the end
        processes = [
            context.Process(
                target=_run_selected,
                args=(catalogue.tasks([eid], selection, reprocess=True)[0], barrier),
            )
            for selection in selections
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        with SessionFile(root.session_file(eid), eid) as file:
            provenance, verdicts = ledger.read_provenance(file), ledger.read_verdicts(file)
            parts = file.parts()
            for part in parts:
                file.read(part)
        assert {name for name, entry in provenance.items() if entry.state == "stored"} == {
            "session_metadata",
            "trials",
            "photometry_qc",
            "corrections",
            "preprocessed_signal",
        }
        assert {"trials_available", "enough_trials", "photometry_available", "raw_signal_quality"} <= set(verdicts)
        assert "trials" in parts
        assert [part for part in parts if part.endswith("/preprocessed")]
        root.session_file(eid).unlink()


@pytest.mark.graph
def test_a_worker_that_dies_costs_exactly_its_own_session(tmp_path, copies, break_file, monkeypatch):
    from tests_support import sessions_that_kill

    from iblnm_dagster.runs import LocalRuns

    made = copies(tmp_path / "cache", 8)
    deadly = made.eids[3]
    break_file(made.folders[deadly] / "alf/task_00/_ibl_trials.table.pqt", sessions_that_kill.DEADLY)
    monkeypatch.setattr("iblnm_dagster.session_step.process_session", sessions_that_kill.process_or_die)
    root = create_root(tmp_path / "root", cache=made.cache)
    with LocalRuns(root) as runs:
        runs.catalogue()
        result = runs.sessions(made.eids)
        runs.collect(["query_database"])
    assert result.failed == [deadly]
    assert set(result.reports) == set(made.eids)
    errors = collected_rows(root, "errors")
    fatal = errors[errors["severity"] == "fatal"]
    assert fatal[["eid", "error_type", "rule"]].to_numpy().tolist() == [
        [deadly, "UnexpectedError", "no_unexpected_error"]
    ]
    assert "WorkerDied" in fatal["error_message"].iloc[0]
    status = Catalogue.load(root).status()
    assert set(status[~status["state"].isin(["ok", "on request"])]["eid"]) == {deadly}
    # whoever mends the file has nothing to clean up
    sound = (made.folders[made.eids[0]] / "alf/task_00/_ibl_trials.table.pqt").read_bytes()
    break_file(made.folders[deadly] / "alf/task_00/_ibl_trials.table.pqt", sound)
    with LocalRuns(root) as runs:
        runs.catalogue()
        assert runs.sessions(Catalogue.load(root).due()).failed == []
    assert collected_rows(root, "errors")["severity"].tolist().count("fatal") == 0
