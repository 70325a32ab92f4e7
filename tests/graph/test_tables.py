"""Collected tables, the standing of all sessions, and loading through the IO managers."""

import dagster as dg
import pandas as pd
import pytest

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.cohort.collect import collect
from iblnm_core.cohort.labels import FILE as LOG_OF_LABELS
from iblnm_core.cohort.labels import add_label
from iblnm_core.root import create_root
from iblnm_core.schemas import ERRORS, RECORDINGS, SELECTION, SESSION_STATUS
from iblnm_core.session.responses import Responses
from iblnm_core.storage.tables import read_table
from iblnm_dagster.assets.analyses import table_key
from iblnm_dagster.io_managers import SessionFiles
from iblnm_dagster.partitions import SESSIONS
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

TABLES_ONLY = ("query_database",)
"""A stage without analyses and figures."""


@pytest.fixture
def cohort(tmp_path, copies, few_trials):
    """Three sessions of which the second has too few trials, taken through the graph."""
    made = copies(tmp_path / "cache", 3)
    sound = few_trials(made.folders[made.eids[1]])
    root = create_root(tmp_path / "root", cache=made.cache)
    with LocalRuns(root) as runs:
        runs.catalogue()
        runs.sessions(made.eids)
        runs.collect(TABLES_ONLY)
        yield runs, made, sound


def check(runs, name, asset="session_status"):
    records = runs.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), name), limit=1
    )
    evaluation = records[0].event.dagster_event.event_specific_data
    return evaluation.passed, {key: value.value for key, value in evaluation.metadata.items()}


def test_tables_and_summary_checks_say_what_failed(cohort):
    runs, made, _ = cohort
    failed = made.eids[1]
    errors = read_table(runs.root.path, ERRORS)
    assert list(errors.columns[:4]) == ["eid", "error_type", "error_message", "traceback"]
    assert errors[errors["severity"] == "fatal"]["eid"].tolist() == [failed]
    status = read_table(runs.root.path, SESSION_STATUS)
    row = status[(status["eid"] == failed) & (status["asset"] == "responses")].iloc[0]
    assert (row["state"], row["reason"], row["message"]) == (
        "failed",
        "InsufficientTrials",
        "n_trials=60 < MIN_NTRIALS=90",
    )
    passed, metadata = check(runs, "sessions_failed")
    assert not passed
    assert metadata == {"sessions": 1, "by_reason": {"InsufficientTrials": 1}, "first_sessions": [failed]}
    assert check(runs, "out_of_date")[0]


def test_a_mended_session_leaves_no_error_behind(cohort, break_file):
    runs, made, sound = cohort
    failed = made.eids[1]
    break_file(made.folders[failed] / "alf/task_00/_ibl_trials.table.pqt", sound)
    runs.collect(TABLES_ONLY)
    passed, metadata = check(runs, "out_of_date")
    # nobody has computed it again yet: its old verdict still stands, and its other outputs are out of date
    assert (passed, metadata["first_sessions"], metadata["by_reason"]) == (False, [failed], {"input": 1})
    assert not check(runs, "sessions_failed")[0]
    runs.sessions([failed])
    runs.collect(TABLES_ONLY)
    assert check(runs, "sessions_failed")[0]
    assert "fatal" not in set(read_table(runs.root.path, ERRORS)["severity"])


def test_collecting_reads_only_changed_sessions_and_keeps_the_rest(cohort):
    runs, made, _ = cohort
    again = collect(runs.root, "qc_photometry")
    assert (again.n_read, again.n_sessions) == (0, 3)
    runs.sessions([made.eids[0]], reprocess=True)
    third = collect(runs.root, "qc_photometry")
    assert (third.n_read, third.n_sessions) == (1, 3)
    assert third.table.content_hash == again.table.content_hash


def test_a_broken_session_file_is_named_and_costs_only_its_rows(cohort):
    runs, made, _ = cohort
    runs.root.session_file(made.eids[2]).write_bytes(b"broken")
    result = collect(runs.root, "qc_photometry")
    assert result.broken == (made.eids[2],)
    assert set(result.table.rows.to_pandas()["eid"]) == set(made.eids[:2])


def test_loading_one_partition_and_all_of_them(cohort):
    runs, made, _ = cohort
    defs = runs.defs
    eid = made.eids[0]

    def load(name, partition=None):
        key = dg.AssetKey(name.split("/"))
        return defs.load_asset_value(key, partition_key=partition, instance=runs.instance)

    assert isinstance(load("trials", eid), pd.DataFrame)
    assert isinstance(load("responses", eid)["VTA-l"], Responses)
    assert load("session_metadata", eid)["brain_region"] == ["VTA-l", "SNc-r"]
    assert load("sessions")["eid"].tolist() == made.eids
    assert list(load("tables/errors").columns) == ERRORS.column_names


def test_an_asset_below_all_partitions_gets_one_table_and_what_is_absent_is_counted(cohort):
    runs, made, _ = cohort
    seen = {}

    @dg.asset(io_manager_key="table_io_manager_unused")
    def gathered(photometry_qc: pd.DataFrame, responses: SessionFiles) -> None:
        seen["rows"], seen["responses"] = photometry_qc, responses

    defs = dg.Definitions.merge(
        runs.defs,
        dg.Definitions(assets=[gathered], resources={"table_io_manager_unused": dg.mem_io_manager}),
    )
    runs.instance.add_dynamic_partitions(str(SESSIONS.name), ["0a1b2c3d-0000-4000-8000-00000000dead"])
    job = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=runs.instance, asset_selection=[dg.AssetKey("gathered")])
    assert result.success
    assert len(seen["rows"]) == 3 * 4
    assert seen["rows"].attrs == {"sessions": 3, "sessions_without": 1}
    assert seen["responses"].without == 2
    assert sorted(seen["responses"]) == [made.eids[0], made.eids[2]]
    assert isinstance(seen["responses"][made.eids[0]]["VTA-l"], Responses)


def test_every_check_of_an_unpartitioned_asset_is_evaluated(cohort):
    runs, _, _ = cohort
    graph = runs.defs.resolve_asset_graph()
    # those of analyses are held in their own place
    of_analyses = {table_key(schema.name) for analysis in ANALYSES.values() for schema in analysis.tables}
    checked = [key for key in graph.asset_check_keys if key.asset_key not in of_analyses]
    keys = [key for key in checked if graph.get(key.asset_key).partitions_def is None]
    assert len(keys) >= 5
    for key in keys:
        (record,) = runs.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        assert record.status.value in {"SUCCEEDED", "FAILED"}, key


def test_a_session_file_that_cannot_be_read_is_named_by_the_check_of_the_table(cohort):
    runs, made, _ = cohort
    torn = runs.root.session_file(made.eids[0])
    torn.write_bytes(torn.read_bytes()[:1000])
    runs.collect(TABLES_ONLY)
    key = dg.AssetCheckKey(dg.AssetKey(["tables", "errors"]), "errors_complete")
    (record,) = runs.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    evaluation = record.event.dagster_event.event_specific_data
    assert not evaluation.passed
    assert evaluation.metadata["sessions"].value == [made.eids[0]]


def test_labels_of_people_reach_the_selection_at_the_next_run(cohort):
    runs, made, _ = cohort
    folder = runs.root.path
    kept = made.eids[0]
    assert set(read_table(folder, RECORDINGS)["eid"]) == {kept, made.eids[2]}
    for fiber in range(2):
        add_label(folder, made.eids[2], fiber, "reject", note="saturated", author="ana")
    with (folder / LOG_OF_LABELS).open("a") as log:
        log.write("half a li")
    runs.collect(TABLES_ONLY)
    assert set(read_table(folder, RECORDINGS)["eid"]) == {kept}
    account = read_table(folder, SELECTION).set_index("filter")
    assert account.loc["labels", "removes_alone"] == 1
    passed, metadata = check(runs, "labels_readable", "labels")
    assert not passed
    assert metadata["unreadable"][0].startswith("line 3:")
