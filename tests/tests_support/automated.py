"""A root with a daemon that can be started and stopped, and what its sensor made of changes."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import dagster as dg
from tests_support.paths import REPOSITORY

from iblnm_core.root import create_root
from iblnm_core.schemas import SESSIONS
from iblnm_core.sources.indexing import index_cache
from iblnm_core.storage.tables import read_table
from iblnm_dagster.instance import open_instance
from iblnm_dagster.runs import LocalRuns

DEFINITIONS = ["-m", "tests_support.impatient_definitions"]
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

    def switch_on(self, *sensors):
        """Switch sensors on, for whatever daemon comes."""
        for name in sensors:
            start = [sys.executable, "-m", "dagster", "sensor", "start", name, *DEFINITIONS]
            subprocess.run(start, env=self.environment, check=True, capture_output=True, timeout=100)

    @contextlib.contextmanager
    def daemon(self, *sensors):
        self.switch_on("due_sessions", *sensors)
        process = self.start_daemon()
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def start_daemon(self):
        """Start a daemon in a process group of its own, with the switches as they were left."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run", *DEFINITIONS],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

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
