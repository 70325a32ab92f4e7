"""The worker pool: every task has exactly one outcome, and no worker outlives the iteration."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest
from tests_support import tasks

from iblnm_core.workers import WorkerDied, run_tasks

pytestmark = pytest.mark.faults


def workers_of_this_process():
    """Children of the fork server: other tests' browsers and servers may run below this process as well."""
    found = []
    for process in psutil.Process(forkserver._forkserver._forkserver_pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def gone_within(seconds, find):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not find():
            return True
        time.sleep(0.05)
    return False


def test_every_task_comes_back_once():
    outcomes = list(run_tasks(tasks.double, range(50), workers=2))
    assert sorted(outcome.task for outcome in outcomes) == list(range(50))
    assert all(outcome.result == 2 * outcome.task and outcome.error is None for outcome in outcomes)
    assert gone_within(5, workers_of_this_process)


def test_tasks_are_taken_only_as_workers_need_them():
    taken = itertools.count()
    source = (next(taken) for _ in range(100))
    outcomes = run_tasks(tasks.sleep_and_return, source, workers=2)
    next(outcomes)
    assert next(taken) <= 6
    assert len(workers_of_this_process()) == 2
    outcomes.close()
    assert gone_within(5, workers_of_this_process)


def test_dead_workers_cost_exactly_their_own_tasks():
    outcomes = {outcome.task: outcome for outcome in run_tasks(tasks.die_on_three, range(8), workers=2)}
    assert sorted(outcomes) == list(range(8))
    assert {task for task, outcome in outcomes.items() if isinstance(outcome.error, WorkerDied)} == {3, 5}
    assert all(outcomes[task].result == task for task in (0, 1, 2, 4, 6, 7))


def test_errors_belong_to_their_task_whether_they_can_travel_or_not():
    outcomes = {outcome.task: outcome for outcome in run_tasks(tasks.fail_in_every_way, range(5), workers=2)}
    assert isinstance(outcomes[0].error, ValueError)
    assert str(outcomes[1].error) == "CannotTravel: one two"
    assert outcomes[2].error is not None
    assert (outcomes[3].result, outcomes[4].result) == (3, 4)


def test_an_error_of_the_consumer_ends_the_workers():
    def consume():
        for _ in run_tasks(tasks.sleep_and_return, range(100), workers=2):
            raise RuntimeError("consumer")

    with pytest.raises(RuntimeError, match="consumer"):
        consume()
    assert gone_within(5, workers_of_this_process)


def test_workers_use_one_numeric_thread_and_are_reused():
    outcomes = [outcome.result for outcome in run_tasks(tasks.process_and_threads, range(12), workers=2)]
    assert len({pid for pid, _ in outcomes}) <= 2
    assert all(set(threads) <= {1} for _, threads in outcomes)


TESTS = str(Path(tasks.__file__).parents[1])
PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from tests_support import tasks
from iblnm_core.workers import run_tasks
print("started", flush=True)
for outcome in run_tasks(tasks.sleep_long, range(4), workers=2):
    pass
"""


@pytest.mark.parametrize("delay", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_workers_die_with_their_parent(tmp_path, delay, how):
    mark = {**os.environ, "IBLNM_TEST_PARENT": str(tmp_path)}
    command = [sys.executable, "-c", PARENT, TESTS]
    parent = subprocess.Popen(command, env=mark, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout.readline() == "started\n"
    time.sleep(delay)
    parent.send_signal(signal.SIGKILL if how == "kill" else signal.SIGINT)

    def left():
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("IBLNM_TEST_PARENT") == str(tmp_path) and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                continue
        return found

    parent.wait(10)
    # a process that is still importing sees that its parent is gone when it has imported
    assert gone_within(30, left)
