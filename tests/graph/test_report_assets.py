"""Reports through the graph: what a materialisation says of them, and that sessions' are made only when asked for."""

import dagster as dg
import pytest
from tests_support.sessions import catalogue_of

from iblnm_core.root import create_root
from iblnm_dagster.definitions import build_defs
from iblnm_dagster.partitions import SESSIONS

pytestmark = pytest.mark.graph


def test_reports_say_verdict_place_and_size(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    root = create_root(tmp_path / "root", source="local", cache=made.cache)
    catalogue_of(root)
    graph = build_defs(root.path)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(SESSIONS.name), [eid])
        for name, partition, verdict in (
            ("session_report", eid, "Not judged"),
            ("cohort_report", None, "0 of 1 session, 0 mice, 0 recordings enter the analyses."),
        ):
            job = graph.resolve_implicit_global_asset_job_def()
            result = job.execute_in_process(
                instance=instance, partition_key=partition, asset_selection=[dg.AssetKey(name)]
            )
            (event,) = result.asset_materializations_for_node(name)
            said = {key: value.value for key, value in event.metadata.items()}
            assert said["verdict"] == verdict
            assert said["size_bytes"] == (root.path / "reports").joinpath(said["path"]).stat().st_size
            assert said["n_failed_checks"] == 0


def test_sessions_reports_are_in_no_job_that_runs_by_itself(tmp_path):
    for job in build_defs(tmp_path).resolve_all_job_defs():
        if not job.name.startswith("__"):
            assert dg.AssetKey("session_report") not in job.asset_layer.selected_asset_keys
