"""What `iblnm run` takes on: the failed sessions, all of them in one run."""

import dagster as dg
import pytest
from tests_support.stages import SESSION_STAGES

from iblnm_core.cohort.status import Catalogue
from iblnm_core.root import create_root
from iblnm_dagster import runs as runs_module
from iblnm_dagster.instance import open_instance
from iblnm_dagster.updating import Request, update

pytestmark = pytest.mark.graph

TRIALS = "alf/task_00/_ibl_trials.table.pqt"


def session_runs(root):
    with open_instance(root.dagster_home) as instance:
        return list(reversed(instance.get_runs(dg.RunsFilter(job_name="session_batch"))))


def states(root):
    status = Catalogue.load(root).status()
    status = status[status["asset"].isin(Request(stages=SESSION_STAGES).outputs)]
    return {eid: set(rows["state"]) for eid, rows in status.groupby("eid")}


def test_failed_sessions_run_again_in_one_run_and_a_mended_one_is_ok(tmp_path, copies, few_trials):
    made = copies(tmp_path / "cache", 5)
    root = create_root(tmp_path / "root", cache=made.cache)
    mended, broken = made.eids[1], made.eids[3]
    sound = few_trials(made.folders[mended])
    few_trials(made.folders[broken])
    assert update(root, Request(stages=SESSION_STAGES)).failed == [mended, broken]
    stored = {eid: root.session_file(eid).stat().st_mtime_ns for eid in made.eids}
    path = made.folders[mended] / TRIALS
    path.unlink()
    path.write_bytes(sound)
    known = len(session_runs(root))
    result = update(root, Request(failed=True, stages=SESSION_STAGES))
    (run,) = session_runs(root)[known:]
    assert run.run_config["ops"]["session"]["config"]["eids"] == [mended, broken]
    assert set(result.reports) == {mended, broken}
    assert result.failed == [broken]
    assert states(root)[mended] == {"ok"}
    assert "failed" in states(root)[broken]
    changed = {eid for eid, time in stored.items() if root.session_file(eid).stat().st_mtime_ns != time}
    assert changed == {mended, broken}


def test_a_part_of_the_outputs_of_sessions_that_lie_apart_is_made_in_one_run(tmp_path, copies):
    made = copies(tmp_path / "cache", 4)
    root = create_root(tmp_path / "root", cache=made.cache)
    first, _, third, _ = made.eids
    assert update(root, Request(stages=SESSION_STAGES)).failed == []
    known = len(session_runs(root))
    result = update(root, Request(eids=(first, third), reprocess=True, stages=("task",)))
    assert len(session_runs(root)) == known + 1
    assert {eid: report.computed for eid, report in result.reports.items()} == dict.fromkeys(
        (first, third), frozenset({"trials", "task_performance"})
    )


def test_nothing_failed_is_nothing_to_run(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    root = create_root(tmp_path / "root", cache=made.cache)
    assert update(root, Request(stages=SESSION_STAGES)).failed == []
    known = len(session_runs(root))
    assert update(root, Request(failed=True, stages=SESSION_STAGES)).reports == {}
    assert len(session_runs(root)) == known


def test_many_failed_sessions_that_lie_together_are_one_run_too(tmp_path, copies, few_trials, monkeypatch):
    made = copies(tmp_path / "cache", 3)
    root = create_root(tmp_path / "root", cache=made.cache)
    for folder in made.folders.values():
        few_trials(folder)
    monkeypatch.setattr(runs_module, "SESSIONS_PER_RUN", 2)
    assert update(root, Request(stages=SESSION_STAGES)).failed == made.eids
    assert len(session_runs(root)) == 2
    assert update(root, Request(failed=True, stages=SESSION_STAGES)).failed == made.eids
    assert len(session_runs(root)) == 3
