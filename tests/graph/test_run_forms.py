"""The three forms of a run of the session step, on a real Dagster instance."""

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from iblnm_core.root import create_root
from iblnm_core.session.outputs import COMPUTED, OUTPUTS
from iblnm_dagster.definitions import build_defs
from iblnm_dagster.instance import open_instance, write_dagster_home
from iblnm_dagster.partitions import SESSIONS

pytestmark = pytest.mark.graph


@dg.asset(partitions_def=SESSIONS, deps=["responses"])
def report(context: dg.AssetExecutionContext) -> str:
    return context.partition_key


class Graph:
    """A root with its instance, and short ways to run and to ask."""

    def __init__(self, folder, cache):
        self.root = create_root(folder, cache=cache)
        self.instance = open_instance(write_dagster_home(self.root.dagster_home))
        self.defs = dg.Definitions.merge(build_defs(self.root.path), dg.Definitions(assets=[report]))
        assert self.job("catalogue").success

    def job(self, name, tags=None, **config):
        job = self.defs.resolve_job_def(name)
        settings = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        if config:
            settings["ops"] = {"session": {"config": config}}
        return job.execute_in_process(
            instance=self.instance, tags=tags or {}, run_config=settings, raise_on_error=False
        )

    def single(self, eid, selection=tuple(OUTPUTS)):
        job = self.defs.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            partition_key=eid,
            asset_selection=[dg.AssetKey(name) for name in selection],
            raise_on_error=False,
        )

    def ranged(self, first, last, **config):
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return self.job("session_batch", tags, **config)

    def partitions(self, name):
        """Materialised and failed partitions of an asset, as the UI has them."""
        value = get_and_update_asset_status_cache_value(
            self.instance, dg.AssetKey(name), SESSIONS, dynamic_partitions_loader=self.instance
        )
        if value is None:
            return set(), set()
        done = set(value.deserialize_materialized_partition_subsets(SESSIONS).get_partition_keys())
        if not value.serialized_failed_partition_subset:
            return done, set()
        return done, set(value.deserialize_failed_partition_subsets(SESSIONS).get_partition_keys())

    def check(self, asset, name, eid):
        """The latest verdict of a check on a partition: status and metadata."""
        history = self.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(asset), name), limit=200
        )
        for record in history:
            evaluation = record.event and record.event.dagster_event.event_specific_data
            if getattr(evaluation, "partition", None) == eid:
                return record.status.value, {key: value.value for key, value in evaluation.metadata.items()}
        return None, {}

    def stale(self, name, eid):
        resolver = CachingStaleStatusResolver(
            self.instance, self.defs.resolve_asset_graph(), LoadingContextForTest(self.instance)
        )
        return resolver.get_status(dg.AssetKey(name), eid).value

    def failure(self, result):
        return next(
            event.step_failure_data.user_failure_data.description
            for event in result.all_events
            if event.is_step_failure
        )


@pytest.fixture
def graph(tmp_path, copies):
    made = Graph(tmp_path / "root", copies(tmp_path / "cache", 4).cache)
    made.folders = copies(tmp_path / "again", 4).folders  # same ids, other folder
    made.folders = {
        eid: tmp_path / "cache" / path.relative_to(tmp_path / "again") for eid, path in made.folders.items()
    }
    made.eids = sorted(made.folders)
    yield made
    made.instance.dispose()


def test_one_partition_returns_results_and_lets_other_assets_of_the_run_execute(graph):
    eid = graph.eids[1]
    result = graph.single(eid, (*OUTPUTS, "report"))
    assert result.success
    for name in (*OUTPUTS, "report"):
        assert graph.partitions(name) == ({eid}, set())
        assert graph.stale(name, eid) == "FRESH"
    assert graph.check("trials", "enough_trials", eid) == ("SUCCEEDED", {})
    materialization = graph.instance.get_latest_data_version_record(dg.AssetKey("responses"), partition_key=eid)
    assert materialization.asset_materialization.metadata["n_trials"].value >= 90


def test_one_failing_partition_has_its_typed_check_and_no_output(graph, few_trials):
    eid = graph.eids[0]
    few_trials(graph.folders[eid])
    result = graph.single(eid, (*OUTPUTS, "report"))
    assert not result.success
    assert "InsufficientTrials: n_trials=60 < MIN_NTRIALS=90" in graph.failure(result)
    status, metadata = graph.check("trials", "enough_trials", eid)
    assert status == "FAILED"
    assert metadata["error_type"] == "InsufficientTrials"
    assert (metadata["measured"], metadata["threshold"]) == ("60", "90")
    assert graph.partitions("preprocessed_signal") == ({eid}, set())
    assert graph.partitions("responses") == (set(), {eid})
    assert graph.partitions("report")[0] == set()


def test_a_range_reports_each_partition_by_itself(graph, few_trials, break_file):
    first, second, third, fourth = graph.eids
    few_trials(graph.folders[second])
    break_file(graph.folders[third] / "alf/photometry/photometry.signal.pqt")
    result = graph.ranged(first, fourth)
    assert not result.success
    text = graph.failure(result)
    assert second in text
    assert third in text
    assert first not in text
    assert graph.partitions("trials") == ({first, second, third, fourth}, set())
    assert graph.partitions("preprocessed_signal") == ({first, second, fourth}, {third})
    assert graph.partitions("responses") == ({first, fourth}, {second, third})
    assert graph.partitions("session_errors")[0] == set(graph.eids)
    assert graph.check("photometry_qc", "photometry_available", third)[1]["error_type"] == "CorruptDataset"
    assert graph.check("photometry_qc", "photometry_available", first)[0] == "SUCCEEDED"
    # the tags that the events bring keep everything from looking stale
    assert {graph.stale(name, first) for name in OUTPUTS} == {"FRESH"}


def test_a_mended_session_turns_green_alone(graph, few_trials):
    first, second = graph.eids[:2]
    path = graph.folders[second] / "alf/task_00/_ibl_trials.table.pqt"
    sound = few_trials(graph.folders[second])
    assert not graph.ranged(first, second).success
    assert graph.partitions("responses") == ({first}, {second})
    path.unlink()
    path.write_bytes(sound)
    assert graph.single(second).success
    assert graph.partitions("responses") == ({first, second}, set())
    assert graph.check("trials", "enough_trials", second) == ("SUCCEEDED", {})


def test_a_scattered_set_runs_at_once_and_reddens_no_partition(graph, few_trials):
    first, second, third, fourth = graph.eids
    few_trials(graph.folders[fourth])
    result = graph.job("session_batch", eids=[first, third, fourth])
    assert not result.success
    assert graph.partitions("responses") == ({first, third}, set())
    assert graph.check("trials", "enough_trials", fourth)[0] == "FAILED"
    assert graph.partitions("trials")[0] == {first, third, fourth}
    assert graph.check("trials", "enough_trials", second) == (None, {})


def test_what_is_stored_and_current_is_adopted_without_computing(graph):
    first, last = graph.eids[0], graph.eids[-1]
    assert graph.ranged(first, last).success
    before = {eid: graph.root.session_file(eid).stat().st_mtime_ns for eid in graph.eids}
    assert graph.ranged(first, last).success
    assert {eid: graph.root.session_file(eid).stat().st_mtime_ns for eid in graph.eids} == before
    record = graph.instance.get_latest_data_version_record(dg.AssetKey("responses"), partition_key=first)
    assert record.asset_materialization.metadata["adopted"].value is True
    assert graph.ranged(first, last, reprocess=True).success
    assert {eid: graph.root.session_file(eid).stat().st_mtime_ns for eid in graph.eids} != before


def test_a_touched_file_of_equal_content_computes_nothing_and_changed_content_does(graph):
    eid = graph.eids[0]
    assert graph.single(eid).success
    before = graph.instance.get_latest_data_version_record(dg.AssetKey("trials"), partition_key=eid)
    path = graph.folders[eid] / "alf/task_00/_ibl_trials.table.pqt"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert graph.single(eid).success
    record = graph.instance.get_latest_data_version_record(dg.AssetKey("trials"), partition_key=eid)
    assert record.asset_materialization.metadata["adopted"].value is True
    assert (
        record.asset_materialization.tags["dagster/data_version"]
        == before.asset_materialization.tags["dagster/data_version"]
    )


def test_a_subset_makes_what_it_needs_and_reports_it(graph):
    eid = graph.eids[0]
    assert graph.single(eid, ("responses",)).success
    # a file always says which session it is about
    for name in ("session_metadata", "trials", "photometry_qc", "preprocessed_signal", "responses", "session_errors"):
        assert graph.partitions(name)[0] == {eid}
    assert graph.partitions("wheel_velocity")[0] == set()


def test_executing_checks_judges_from_what_is_stored_and_writes_nothing(graph, few_trials):
    eid = graph.eids[0]
    few_trials(graph.folders[eid])
    graph.single(eid)
    file = graph.root.session_file(eid)
    before = file.stat().st_mtime_ns
    graph_of_all = graph.defs.resolve_asset_graph()
    checks = {key for key in graph_of_all.asset_check_keys if key.asset_key.to_user_string() in OUTPUTS}
    job = graph.defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection=checks
    )
    tags = {"dagster/partition": eid}
    result = job.execute_in_process(instance=graph.instance, tags=tags, raise_on_error=False)
    evaluations = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert evaluations["enough_trials"] is False
    assert evaluations["trials_available"] is True
    assert not [event for event in result.all_events if event.event_type_value == "ASSET_MATERIALIZATION"]
    assert file.stat().st_mtime_ns == before


def test_a_session_that_left_the_catalogue_costs_only_itself(graph):
    gone = "0a1b2c3d-0000-4000-8000-00000000dead"
    graph.instance.add_dynamic_partitions(str(SESSIONS.name), [gone])
    result = graph.job("session_batch", eids=[graph.eids[0], gone])
    assert not result.success
    assert f"{gone}  no longer in the catalogue" in graph.failure(result)
    assert graph.partitions("responses")[0] == {graph.eids[0]}


def test_every_output_and_rule_is_in_the_graph(graph):
    keys = graph.defs.resolve_asset_graph().get_all_asset_keys()
    assert {dg.AssetKey(name) for name in (*COMPUTED, "session_errors")} <= keys
