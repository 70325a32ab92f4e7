"""A daemon and its runs killed at random moments while sessions are due; another daemon goes on, and a run does the rest."""

import contextlib
import os
import random
import signal
import time
from collections import Counter

import psutil
import pytest
from tests_support.automated import Automated
from tests_support.promise import MADE_BY_STAGES, assert_nothing_left, assert_promise, assert_up_to_date
from tests_support.reliability import record
from tests_support.stages import ONLY_SESSIONS

from iblnm_core.cohort.collect import session_files
from iblnm_core.cohort.status import Catalogue
from iblnm_core.root import open_root

pytestmark = [pytest.mark.faults, pytest.mark.graph]

N_KILLS = int(os.environ.get("IBLNM_DAEMON_KILLS", "0"))
"""Kills at random moments; `make faults` asks for more."""

LONGEST_WAIT_S = 12.0


def stamps(root):
    return {eid: path.stat().st_mtime_ns for eid, path in session_files(root).items()}


def all_of(home):
    """Return the living processes of a root: the daemon, its runs, their workers."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("DAGSTER_HOME") == home and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def killed(processes):
    """Kill processes that this test started, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=20)


@pytest.mark.skipif(not N_KILLS, reason="minutes for each try: part of the long version, `make faults`")
def test_killed_daemons_leave_nothing_partial_and_the_next_ones_go_on(tmp_path, copies):
    graph = Automated(tmp_path, copies(tmp_path / "cache", 8))
    root, home = graph.root, str(graph.root.dagster_home)
    first = graph.iblnm("run", *ONLY_SESSIONS)
    assert first.returncode == 0, first.stdout + first.stderr
    graph.switch_on("due_sessions")
    settings = root.path / "iblnm.toml"
    sound = settings.read_text()
    moments, found = random.Random(3), Counter()
    for number in range(N_KILLS):
        # another parameter: all sessions are due, and were never tried like this
        settings.write_text(f"{sound}\n[parameters.trials]\nminimum_trials = {40 + number % 20}\n")
        before = stamps(root)
        daemon = graph.start_daemon()
        # from the start of the daemon, through the first session that its run stores, to its last
        deadline = time.monotonic() + 60
        in_the_run = number % 2 == 0
        while in_the_run and stamps(root) == before:
            assert time.monotonic() < deadline, graph.log.read_text()[-3000:]
            time.sleep(0.1)
        time.sleep(moments.uniform(0, 1.0 if in_the_run else LONGEST_WAIT_S))
        killed(all_of(home))
        daemon.wait(20)
        assert not all_of(home)
        assert_promise(open_root(root.path))
        after = stamps(root)
        for eid in graph.made.eids:
            found["files old" if after[eid] == before[eid] else "files new"] += 1
    opened = open_root(root.path)
    finished = set(graph.made.eids) - set(Catalogue.load(opened).due(outputs=MADE_BY_STAGES))
    stored = stamps(root)
    last = graph.iblnm("run", *ONLY_SESSIONS, "--only", "responses")
    assert last.returncode == 0, last.stdout + last.stderr
    assert {eid: stamps(root)[eid] for eid in finished} == {eid: stored[eid] for eid in finished}
    assert_promise(opened)
    assert_up_to_date(opened, outputs=MADE_BY_STAGES)
    assert_nothing_left(opened)
    doctor = graph.iblnm("doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    record("daemon killed", {"tries": N_KILLS, **found})
