"""The sensor of due sessions: what it requests, and how patient it is."""

import itertools
import json

import dagster as dg
import pyarrow.parquet as pq
import pytest

from iblnm_core.cohort.current import read_current
from iblnm_core.root import create_root
from iblnm_dagster.automation import Attempt, plan_tick, run_requests
from iblnm_dagster.definitions import build_defs
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

HOUR = 3600


class Automated:
    """A root with its sensor, ticked by hand; requested runs are executed as a daemon would."""

    def __init__(self, folder, cache):
        self.root = create_root(folder, source="local", cache=cache)
        self.defs = build_defs(folder)
        self.cursor = None

    def catalogue(self):
        with LocalRuns(self.root) as runs:
            runs.catalogue()

    def tick(self, instance):
        sensor = self.defs.resolve_sensor_def("due_sessions")
        context = dg.build_sensor_context(
            instance=instance, cursor=self.cursor, definitions=self.defs, resources=self.defs.resources
        )
        result = sensor.evaluate_tick(context)
        self.cursor = result.cursor or self.cursor
        for request in result.dynamic_partitions_requests or ():
            instance.add_dynamic_partitions("eid", list(request.partition_keys))
        return result

    def runs(self):
        """Tick, execute what is requested, and return the requests."""
        with LocalRuns(self.root) as runs:
            result = self.tick(runs.instance)
            for request in result.run_requests:
                job = self.defs.resolve_job_def("session_batch")
                job.execute_in_process(
                    instance=runs.instance, tags=request.tags, run_config=request.run_config, raise_on_error=False
                )
        return result


@pytest.fixture
def automated(tmp_path, copies):
    made = copies(tmp_path / "cache", 4)
    return Automated(tmp_path / "root", made.cache), made


def test_news_run_once_and_changes_run_alone(automated):
    graph, made = automated
    assert "no catalogue" in graph.runs().skip_message
    graph.catalogue()
    first = graph.runs()
    (request,) = first.run_requests
    assert request.tags["dagster/asset_partition_range_start"] == min(made.eids)
    assert request.tags["dagster/asset_partition_range_end"] == max(made.eids)
    # the run has noted what it left current: the next tick opens no session file
    assert sorted(read_current(graph.root)) == sorted(made.eids)
    quiet = graph.runs()
    assert not quiet.run_requests
    assert quiet.skip_message == "nothing is due"
    eids = sorted(made.eids)
    for eid in (eids[0], eids[2]):
        path = next(made.folders[eid].glob("alf/**/_ibl_trials.table.pqt"))
        table = pq.read_table(path)
        path.unlink()
        pq.write_table(table.slice(0, table.num_rows - 1), path)
    (request,) = graph.runs().run_requests
    assert request.run_config["ops"]["session"]["config"]["eids"] == [eids[0], eids[2]]
    assert not graph.runs().run_requests


def test_a_run_under_way_is_waited_for(automated):
    graph, _ = automated
    graph.catalogue()
    with LocalRuns(graph.root) as runs:
        job = graph.defs.resolve_job_def("session_batch")
        run = runs.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert run.run_id in graph.tick(runs.instance).skip_message


def test_a_session_that_cannot_be_had_for_a_week_is_tried_a_handful_of_times():
    known, tried, now = {}, [], 0.0
    while now < 7 * 24 * HOUR:
        plan = plan_tick({"a": "state"}, ["a"], known, now)
        stored = json.loads(json.dumps({eid: [a.state, a.attempts, a.again_s] for eid, a in plan.attempts.items()}))
        known = {eid: Attempt(*entry) for eid, entry in stored.items()}
        if plan.eids:
            tried.append(now)
        now += 60.0
    assert len(tried) == 6
    waits = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert waits == sorted(waits)


def test_a_change_is_no_further_attempt():
    known = plan_tick({"a": "old"}, ["a"], {}, 0.0).attempts
    assert plan_tick({"a": "old"}, ["a"], known, 1.0).eids == ()
    changed = plan_tick({"a": "new"}, ["a"], known, 1.0)
    assert changed.eids == ("a",)
    assert changed.attempts["a"].attempts == 1
    assert plan_tick({}, ["a"], known, 1.0).attempts == {}


def test_each_attempt_has_its_own_run_key():
    first = plan_tick({"a": "state"}, ["a"], {}, 0.0)
    second = plan_tick({"a": "state"}, ["a"], first.attempts, 1e9)
    keys = [run_requests(plan, ["a"])[0].run_key for plan in (first, second)]
    assert len(set(keys)) == 2
