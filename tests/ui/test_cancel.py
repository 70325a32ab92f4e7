"""Cancelling a run from the web interface: no process stays, no session file is torn, and the next run goes on."""

import contextlib
import shlex
import time

import psutil
import pytest
from tests_support.stages import ONLY_SESSIONS
from ui.interface import Server, command, eventually, processes_of

from iblnm_core.root import create_root
from iblnm_core.session.outputs import ON_REQUEST, OUTPUTS
from iblnm_core.storage.session_file import SessionFile

pytestmark = pytest.mark.browser

SESSIONS = 36

# the mutation that starts single runs, here one over a range of partitions: a backfill would wait for the daemon
LAUNCH = """mutation($params: ExecutionParams!) {
    launchPipelineExecution(executionParams: $params) {__typename ... on LaunchRunSuccess {run {runId}}}}"""
# the mutation for ending runs; no button is pressed, so that the moment is exact
TERMINATE = """mutation($runId: String!) {
    terminateRuns(runIds: [$runId], terminatePolicy: SAFE_TERMINATE) {
        ... on TerminateRunsResult {terminateRunResults {__typename}}}}"""


class Batch:
    """A run over all sessions of a root, on a server."""

    def __init__(self, server, eids):
        self.server = server
        self.eids = eids
        self.folder = server.root / "data" / "sessions"

    def launch(self):
        tags = {"dagster/asset_partition_range_start": self.eids[0], "dagster/asset_partition_range_end": self.eids[-1]}
        params = {
            "mode": "default",
            "runConfigData": "{}",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            "selector": {
                **self.server.selector,
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": [name]} for name in OUTPUTS if name not in ON_REQUEST],
            },
        }
        answer = self.server.ask(LAUNCH, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def status(self, run):
        return next(found["status"] for found in self.server.runs() if found["runId"] == run)

    def terminate(self, run):
        (result,) = self.server.ask(TERMINATE, runId=run)["terminateRuns"]["terminateRunResults"]
        assert result["__typename"] == "TerminateRunSuccess"

    def processes(self):
        """Processes of runs: Dagster and our pool start all of them through multiprocessing, servers are started otherwise."""
        found = {}
        for process in processes_of(self.server.root):
            # a process may end between being found and being looked at
            with contextlib.suppress(psutil.Error):
                line = shlex.join(process.cmdline())
                # one tracker belongs to each server, and lives as long as it
                if "multiprocessing" in line and not ("resource_tracker" in line and _is_server(process.parent())):
                    found[process.pid] = line
        return found

    def gone(self):
        """Wait for the end of all processes of runs; nothing of them may be left five seconds after the cancel."""
        deadline = time.monotonic() + 5
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == {}

    def whole(self):
        """Read every session file; return their paths and times."""
        files = sorted(self.folder.glob("*.h5"))
        for path in files:
            with SessionFile(path, path.stem) as file:
                parts = file.parts()
                assert parts
                for part in parts:
                    file.read(part)
        return {path.stem: path.stat().st_mtime_ns for path in files}


def _is_server(process):
    return process is not None and "grpc" in process.cmdline()


@pytest.fixture(scope="module")
def batch(serve, copies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cancel")
    sessions = copies(folder / "cache", SESSIONS)
    root = create_root(folder / "root", source="local", cache=sessions.cache)
    server = serve(root.path)
    assert isinstance(server, Server)
    params = {
        "mode": "default",
        "runConfigData": "{}",
        "selector": {**server.selector, "pipelineName": "catalogue"},
    }
    run = server.ask(LAUNCH, params=params)["launchPipelineExecution"]["run"]["runId"]
    started = Batch(server, sessions.eids)
    eventually(lambda: started.status(run) == "SUCCESS", 60, "the catalogue is there")
    eventually(lambda: not started.processes(), 10, "the process of the catalogue's run ended")
    return started


def test_cancelled_in_its_first_second_a_run_leaves_nothing_behind(batch):
    run = batch.launch()
    eventually(lambda: batch.status(run) == "STARTED", 60, "the run started")
    assert batch.processes()
    batch.terminate(run)
    batch.gone()
    eventually(lambda: batch.status(run) == "CANCELED", 30, "the run is recorded as cancelled")
    assert len(batch.whole()) < SESSIONS


def test_cancelled_in_the_middle_a_run_leaves_whole_files_and_the_next_one_goes_on(batch):
    before = len(batch.whole())
    run = batch.launch()
    eventually(lambda: len(list(batch.folder.glob("*.h5"))) >= before + 3, 90, "three more sessions are stored")
    # its own process, the fork server, two workers
    assert len(batch.processes()) >= 3
    batch.terminate(run)
    batch.gone()
    finished = batch.whole()
    assert before + 3 <= len(finished) < SESSIONS

    time.sleep(0.01)
    again = command(batch.server.root, "run", *ONLY_SESSIONS)
    assert again.returncode == 0, again.stderr
    complete = batch.whole()
    assert sorted(complete) == batch.eids
    assert {eid: complete[eid] for eid in finished} == finished


@pytest.mark.parametrize("asset", ["responses", "session_errors"])
def test_after_it_every_session_is_green(batch, server, reader, asset):
    reader.shows(f"/assets/{asset}?view=partitions", 15, Failed=0, Materialized=SESSIONS, Missing=0)


@pytest.fixture(scope="module")
def server(batch):
    return batch.server
