"""The sensor under a real daemon: what is new, changed or merely touched, and which runs that makes."""

import json
import re
import shutil
import sys

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests_support.automated import Automated

from iblnm_core.sources.indexing import index_cache
from iblnm_dagster.runs import LocalRuns

pytestmark = pytest.mark.graph

N_SESSIONS = 30
TRIALS = "alf/task_00/_ibl_trials.table.pqt"


@pytest.fixture(scope="module")
def automated(tmp_path_factory, copies):
    """Thirty sessions, done by a run of the command line."""
    folder = tmp_path_factory.mktemp("daemon")
    graph = Automated(folder, copies(folder / "cache", N_SESSIONS))
    done = graph.iblnm("run")
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
