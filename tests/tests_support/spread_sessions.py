"""A run over all sessions of a root whose work is written down and may kill its workers; importable by workers."""

import json
import os
import signal
import time
from pathlib import Path

from tests_support.sessions_that_kill import process_or_die

from iblnm_core.session.pipeline import SessionReport, SessionTask

NOTES = "notes"
"""Folder beside the session files in which every beginning is written down."""

FOUND = "found"
"""What a run came to."""


def process_and_note(task: SessionTask) -> SessionReport:
    """Write down who begins when, then work; die in the middle when the session says so."""
    notes = Path(task.file).parents[2] / NOTES
    entry = {"eid": task.eid, "pid": os.getpid(), "network": str(Path("/proc/self/ns/net").readlink())}
    (notes / f"{time.time_ns()}-{os.getpid()}.json").write_text(json.dumps(entry))
    mark = notes / f"{task.eid}.died"
    if (Path(task.folder) / "kills_once").exists() and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return process_or_die(task)


def main(root: str) -> None:
    """Take all sessions of a root through the graph, collect the tables of sessions, and look for what is due."""
    import dagster as dg
    from tests_support.stages import SESSION_STAGES

    import iblnm_dagster.session_step
    from iblnm_core.root import open_root
    from iblnm_dagster.runs import LocalRuns

    iblnm_dagster.session_step.process_session = process_and_note
    with LocalRuns(open_root(root)) as runs:
        runs.catalogue()
        result = runs.sessions(sorted(runs.instance.get_dynamic_partitions("eid")))
        runs.collect(SESSION_STAGES)
        sensor = runs.defs.resolve_sensor_def("due_sessions")
        context = dg.build_sensor_context(instance=runs.instance, definitions=runs.defs, resources=runs.defs.resources)
        tick = sensor.evaluate_tick(context)
        materialized = runs.instance.event_log_storage.get_materialized_partitions(dg.AssetKey("session_errors"))
        storages = [runs.instance.event_log_storage, runs.instance.run_storage, runs.instance.schedule_storage]
        found = {
            "failed": result.failed,
            "reports": sorted(result.reports),
            "reported": sorted(materialized),
            "requested": [request.tags["dagster/asset_partition_range_start"] for request in tick.run_requests],
            "storages": [type(storage).__name__ for storage in storages],
        }
    (Path(root) / NOTES / FOUND).write_text(json.dumps(found))
