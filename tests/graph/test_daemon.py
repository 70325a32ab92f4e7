"""The sensor under a real daemon: what is new, changed or merely touched, and which runs that makes."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests_support.paths import REPOSITORY
from tests_support.stages import ONLY_SESSIONS

from iblnm_core.root import create_root
from iblnm_core.schemas import SESSIONS
from iblnm_core.sources.indexing import index_cache
from iblnm_core.storage.tables import read_table
from iblnm_dagster.instance import open_instance
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

N_SESSIONS = 30
DEFINITIONS = ["-m", "tests_support.impatient_definitions"]
TRIALS = "alf/task_00/_ibl_trials.table.pqt"
DONE = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


class Automated:
    """A root over a cache of sessions of one mouse, with a daemon that can be started and stopped."""

    def __init__(self, folder, made):
        self.made = made
        self.root = create_root(folder / "root", cache=made.cache)
        self.log = folder / "daemon.log"
        self.details = {}
        home = str(self.root.dagster_home)
        paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": home,
            "IBLNM_ROOT": str(self.root.path),
            "PYTHONPATH": paths,
        }

    def iblnm(self, *arguments):
        command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=200, check=False)

    def add(self, day, number=1):
        """Record another session; return its folder."""
        like = next(iter(self.made.folders.values()))
        folder = self.made.cache / "lab" / "Subjects" / "mouse" / day / f"{number:03d}"
        shutil.copytree(like, folder, copy_function=os.link)
        index_cache(self.made.cache)
        return folder

    def tell(self, eid, **details):
        """Give a session its entry in the database."""
        self.details[eid] = {"id": eid, **self.details.get(eid, {}), **details}
        lines = [json.dumps(entry) for entry in self.details.values()]
        (self.made.cache / "session_details.jsonl").write_text("\n".join(lines))

    def catalogue(self):
        """Do what the daily schedule does."""
        with LocalRuns(self.root) as runs:
            runs.catalogue()

    def rows(self):
        table = read_table(self.root.path, SESSIONS).set_index("eid")
        return {eid: row.to_json() for eid, row in table.iterrows()}

    @contextlib.contextmanager
    def daemon(self, *sensors):
        for name in ("due_sessions", *sensors):
            start = [sys.executable, "-m", "dagster", "sensor", "start", name, *DEFINITIONS]
            subprocess.run(start, env=self.environment, check=True, capture_output=True, timeout=100)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run", *DEFINITIONS],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def session_runs(self):
        with open_instance(self.root.dagster_home) as instance:
            return list(reversed(instance.get_runs(dg.RunsFilter(job_name="session_batch"))))

    def eids_of(self, run):
        """Return the sessions that a run was asked to take on."""
        if eids := run.run_config.get("ops", {}).get("session", {}).get("config", {}).get("eids"):
            return set(eids)
        with open_instance(self.root.dagster_home) as instance:
            order = list(instance.get_dynamic_partitions("eid"))
        first, last = (run.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
        return set(order[order.index(first) : order.index(last) + 1])

    def quiet_ticks(self, count=2):
        """Wait for so many further ticks that find nothing due, and no run meanwhile; return the last reason."""
        before, since = len(self.session_runs()), time.time()
        ticks = self.until(lambda: self.ticks(since), lambda ticks: len(ticks) >= count, 90)
        assert {tick.status.value for tick in ticks} == {"SKIPPED"}, ticks
        assert len(self.session_runs()) == before
        return ticks[0].skip_reason

    def ticks(self, since):
        with open_instance(self.root.dagster_home) as instance:
            (state,) = [s for s in instance.all_instigator_state() if s.name == "due_sessions"]
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
        return [tick for tick in ticks if tick.end_timestamp]

    def next_run(self, known, status=dg.DagsterRunStatus.SUCCESS):
        """Wait for the end of the one run that follows so many others; return which sessions it was over."""
        runs = self.until(
            self.session_runs, lambda runs: len(runs) > known and all(run.status in DONE for run in runs), 120
        )
        assert len(runs) == known + 1
        assert runs[-1].status is status
        return self.eids_of(runs[-1])

    def until(self, ask, is_enough, seconds):
        deadline = time.monotonic() + seconds
        while not is_enough(answer := ask()):
            assert time.monotonic() < deadline, f"{answer}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.5)
        return answer


@pytest.fixture(scope="module")
def automated(tmp_path_factory, copies):
    """Thirty sessions, done by a run of the command line."""
    folder = tmp_path_factory.mktemp("daemon")
    graph = Automated(folder, copies(folder / "cache", N_SESSIONS))
    done = graph.iblnm("run", *ONLY_SESSIONS)
    assert done.returncode == 0, done.stdout + done.stderr
    return graph


def replace(path, write):
    """Put another file in the place of one at once: the sensor may look at any moment."""
    new = path.with_name("new")
    write(new)
    new.replace(path)


def test_only_what_changed_runs(automated):
    graph, made = automated, automated.made
    known = len(graph.session_runs())
    with graph.daemon():
        assert graph.quiet_ticks() == "nothing is due"

        before = set(graph.rows())
        for day in ("2025-06-01", "2025-06-02", "2025-06-02"):
            graph.add(day, number=1 + (graph.made.cache / "lab/Subjects/mouse" / day).exists())
        graph.catalogue()
        new = set(graph.rows()) - before
        assert len(new) == 3
        assert graph.next_run(known) == new

        changed = made.eids[4]
        path = made.folders[changed] / TRIALS
        table = pq.read_table(path)
        replace(path, lambda new: pq.write_table(table.slice(0, table.num_rows - 1), new))
        assert graph.next_run(known + 1) == {changed}

        # two sessions of a day: which one is used instead of the other depends on both
        first, second = sorted(eid for eid in new if "2025-06-02" in graph.rows()[eid])
        old_rows = graph.rows()
        graph.tell(first, start_time="2025-06-02T10:00:00", end_time="2025-06-02T10:30:00")
        graph.tell(second, start_time="2025-06-02T12:00:00", end_time="2025-06-02T13:00:00")
        graph.catalogue()
        rows = graph.rows()
        assert {eid for eid in rows if rows[eid] != old_rows[eid]} == {first, second}
        assert graph.next_run(known + 2) == {first, second}

        content = path.read_bytes()
        replace(path, lambda new: new.write_bytes(content))
        assert graph.quiet_ticks() == "nothing is due"
    # while nobody looks, as between its going and the listing its datasets are only missing
    shutil.rmtree(graph.made.cache / "lab/Subjects/mouse/2025-06-02" / f"{json.loads(rows[second])['number']:03d}")
    index_cache(graph.made.cache)
    graph.catalogue()
    with graph.daemon():
        # its sibling is gone from the source, so the row of this one changes, and of no other
        assert graph.next_run(known + 3) == {first}


def test_a_changed_parameter_makes_all_due_and_everything_says_why(automated):
    graph = automated
    known = len(graph.session_runs())
    settings = graph.root.path / "iblnm.toml"
    settings.write_text(settings.read_text() + "\n[parameters.trials]\nminimum_trials = 60\n")
    with LocalRuns(graph.root) as runs:
        runs.collect(["query_database"])
        key = dg.AssetCheckKey(dg.AssetKey("session_status"), "out_of_date")
        (record,) = runs.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        evaluation = record.event.dagster_event.event_specific_data
    eids = set(graph.rows())
    assert not evaluation.passed
    assert evaluation.metadata["by_reason"].value == {"parameters": len(eids)}
    status = pd.read_parquet(graph.root.path / "metadata" / "session_status.pqt")
    assert set(status[status["due"] == "parameters"]["eid"]) == eids
    assert f"{len(eids)} sessions are due" in graph.iblnm("plan").stdout
    assert "parameters" in graph.iblnm("plan").stdout
    # ok, failed, out of date, never run, on request, delisted
    assert re.search(rf"^trials +0 +0 +{len(eids)} +0 +0 +1$", graph.iblnm("status").stdout, re.MULTILINE)
    with graph.daemon():
        assert graph.next_run(known) == eids
        assert graph.quiet_ticks(1) == "nothing is due"


def test_a_failed_run_is_told_to_whoever_the_settings_name(automated, few_trials):
    graph = automated
    known = len(graph.session_runs())
    told = graph.root.path / "told.txt"
    program = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    command = json.dumps([sys.executable, "-c", program, str(told)])
    settings = graph.root.path / "iblnm.toml"
    settings.write_text(settings.read_text().replace("[run]", f"[notify]\ncommand = {command}\n\n[run]"))
    broken = graph.made.eids[7]
    path = graph.made.folders[broken] / TRIALS
    table = pq.read_table(path)
    with graph.daemon("notify_failed_runs"):
        graph.quiet_ticks(1)
        replace(path, lambda new: pq.write_table(table.slice(0, 50), new))
        assert graph.next_run(known, dg.DagsterRunStatus.FAILURE) == {broken}
        run = graph.session_runs()[-1]
        graph.until(told.exists, bool, 60)
    message = told.read_text()
    assert message.startswith(f"iblnm: run {run.run_id} (session_batch) on {graph.root.path} failed.\n")
    assert f"{broken}  InsufficientTrials: n_trials=50 < MIN_NTRIALS=60" in message
    assert message.count("iblnm: run") == 1
