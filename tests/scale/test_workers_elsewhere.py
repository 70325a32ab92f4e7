"""Workers of a Dask scheduler: outcomes as of processes of this machine; what cannot be used is refused before anything is computed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests_support import tasks
from tests_support.paths import REPOSITORY

pytest.importorskip("distributed", reason="the package distributed is not installed (extra scale)")

from tests_support import dask_cluster

from iblnm_core import dask_workers
from iblnm_core.cohort.status import Catalogue
from iblnm_core.errors import WorkersUnusable
from iblnm_core.root import create_root, open_root
from iblnm_core.workers import run_tasks

pytestmark = pytest.mark.scale


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(folder):
    with dask_cluster.loopback_cluster(folder) as found:
        yield found


@pytest.fixture
def address(cluster):
    return cluster[0]


def on_cluster(address, function, given, places=()):
    return run_tasks(function, given, workers=2, executor_factory=dask_workers.dask_executors(address, places))


def test_outcomes_are_those_of_processes_here(address):
    outcomes = {outcome.task: outcome for outcome in on_cluster(address, tasks.fail_in_every_way, range(5))}
    assert isinstance(outcomes[0].error, ValueError)
    assert str(outcomes[1].error) == "CannotTravel: one two"
    assert outcomes[2].error is not None
    assert (outcomes[3].result, outcomes[4].result) == (3, 4)


def test_workers_use_one_numeric_thread_and_are_other_processes(address):
    [(pid, threads)] = {
        (pid, tuple(t)) for pid, t in (o.result for o in on_cluster(address, tasks.process_and_threads, [1]))
    }
    assert pid != os.getpid()
    assert set(threads) == {1}


def tasks_of(address):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))


def test_few_tasks_are_in_flight_and_an_early_end_cancels_what_is_queued(address):
    outcomes = on_cluster(address, tasks.sleep_and_return, range(1000))
    next(outcomes)
    assert 1 <= tasks_of(address) <= 4
    outcomes.close()
    deadline = time.monotonic() + 10
    while tasks_of(address) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tasks_of(address) == 0


CHILD = """
import sys
from tests_support import tasks
from iblnm_core.dask_workers import dask_executors
from iblnm_core.workers import run_tasks
# nobody closes the iteration of a cancelled run
kept = run_tasks(tasks.sleep_and_return, range(1000), workers=2, executor_factory=dask_executors(sys.argv[1], []))
next(kept)
print("started", flush=True)
for _ in kept:
    pass
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_cancelled_or_killed_leaves_nothing_queued(address, how):
    command = [sys.executable, "-c", CHILD, address]
    run = subprocess.Popen(
        command, env=dask_cluster.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert run.stdout.readline() == "started\n"
    run.send_signal(how)
    assert run.wait(30) == -how
    deadline = time.monotonic() + 10
    while tasks_of(address) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tasks_of(address) == 0


@pytest.fixture
def odd_worker(address, folder, tmp_path):
    """A second worker that has other code, works on two tasks at once and does not see the root."""
    if why := dask_cluster.why_no_namespaces():
        pytest.skip(why)
    shutil.copytree(REPOSITORY / "iblnm_core", tmp_path / "code" / "iblnm_core")
    with (tmp_path / "code/iblnm_core/workers.py").open("a") as module:
        module.write("# changed\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "iblnm.toml").touch()
    worker = dask_cluster.worker_command(address, folder, threads=2)
    script = 'mount -t tmpfs tmpfs "$1" && shift && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(root), *worker]
    environment = {**dask_cluster.environment(), "PYTHONPATH": str(tmp_path / "code")}
    with dask_cluster.process(command, folder / "worker2.log", env=environment, cwd=folder):
        dask_cluster.wait_for_workers(folder, 2)
        yield root / "iblnm.toml"


def count(path):
    with Path(path).open("a") as file:
        file.write("x")
    return 1


def test_a_worker_with_other_code_threads_or_files_is_refused_before_anything_is_computed(
    address, odd_worker, tmp_path
):
    computed = tmp_path / "computed"
    with pytest.raises(WorkersUnusable) as refusal:
        list(on_cluster(address, count, [str(computed)] * 4, [odd_worker]))
    text = str(refusal.value)
    assert "code of iblnm: " in text
    assert f"{odd_worker}: found here, not found there" in text
    assert "works on 2 tasks at a time: start it with --nthreads 1" in text
    # the sound worker has no part in it
    assert len({line.split()[0] for line in text.splitlines()[1:]}) == 1
    assert not computed.exists()


def test_a_worker_that_comes_later_with_other_versions_refuses_by_itself():
    expected = {**dask_workers.surroundings([]), "numpy": "1.0"}
    with pytest.raises(WorkersUnusable, match=r"came later and differs: numpy: 1\.0 here, \d"):
        dask_workers._compute(b"never looked at", [], expected)


def test_a_scheduler_that_does_not_answer_is_one_message(tmp_path, copies, monkeypatch):
    from iblnm_dagster.cli import main

    monkeypatch.setattr(dask_workers, "_CONNECT_S", 1.0)
    root = create_root(tmp_path / "root", cache=copies(tmp_path / "cache", 1).cache)
    settings = root.path / "iblnm.toml"
    settings.write_text(settings.read_text().replace("[run]\n", '[run]\nscheduler = "tcp://127.0.0.1:9"\n'))
    result = CliRunner().invoke(main, ["run", "--root", str(root.path)])
    assert result.exit_code == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9 (run.scheduler of the settings) within 1 s" in result.output
    assert "Traceback" not in result.output
    assert not root.dagster_home.exists()


def test_a_scheduler_that_is_lost_ends_the_run_and_judges_no_session(tmp_path, cluster, copies):
    from iblnm_dagster.runs import LocalRuns, RunAborted

    address, scheduler = cluster
    made = copies(tmp_path / "cache", 2)
    root = create_root(tmp_path / "root", cache=made.cache)
    settings = root.path / "iblnm.toml"
    settings.write_text(settings.read_text().replace("[run]\n", f'[run]\nscheduler = "{address}"\n'))
    outcomes = on_cluster(address, tasks.sleep_and_return, range(1000))
    next(outcomes)
    scheduler.kill()
    lost = next(outcome.error for outcome in outcomes if outcome.error is not None)
    assert isinstance(lost, WorkersUnusable)
    outcomes.close()
    with LocalRuns(open_root(root.path)) as runs:
        runs.catalogue()
        with pytest.raises(RunAborted, match="no Dask scheduler answers"):
            runs.sessions(made.eids)
    assert Catalogue.load(root).due() == made.eids
    assert not list(root.session_folder.glob("*"))
