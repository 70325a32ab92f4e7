"""The Dagster instance of a root: its `dagster.yaml`, and opening it."""

import re
import socket
from pathlib import Path

import dagster as dg
import psutil

from iblnm_core.storage.atomic import write_bytes

_YAML = """\
# Dagster's settings for this root, written once by iblnm; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false

# The event log keeps its database engines: 3 ms an event instead of 20 and more.
event_log_storage:
  module: iblnm_dagster.event_log
  class: PooledSqliteEventLogStorage
  config:
    base_dir: {history}/runs
run_storage:
  module: dagster._core.storage.runs
  class: SqliteRunStorage
  config:
    base_dir: {history}
schedule_storage:
  module: dagster._core.storage.schedules
  class: SqliteScheduleStorage
  config:
    base_dir: {schedules}

# A run whose process died is noticed, and the next one may start.
run_monitoring:
  enabled: true
  poll_interval_seconds: 20
  start_timeout_seconds: 180
  cancel_timeout_seconds: 30
  free_slots_after_run_end_seconds: 20

# Only crashes are tried again: a session that fails for a reason fails again for the same one.
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false

# One run over sessions at a time: it has its own workers. Whole runs wait, so that a dead run's slot frees itself.
concurrency:
  runs:
    max_concurrent_runs: 4
  pools:
    granularity: run
    default_limit: 1

retention:
  schedule:
    purge_after_days: 30
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: 90
"""


def write_dagster_home(folder: Path) -> Path:
    """Make a root's Dagster home with its settings; return the folder.

    Settings that are there stay as they are, but for the place of the databases: they move with the root.
    """
    settings, home = folder / "dagster.yaml", folder.absolute()
    if not settings.is_file():
        text = _YAML.format(history=home / "history", schedules=home / "schedules")
        write_bytes(settings, text.encode())
        return folder
    text = settings.read_text(encoding="utf-8")
    written = re.search(r"base_dir: (.+)/history/runs$", text, re.MULTILINE)
    if written and written[1] != str(home):
        write_bytes(settings, text.replace(f"base_dir: {written[1]}/", f"base_dir: {home}/").encode())
    return folder


def open_instance(folder: Path) -> dg.DagsterInstance:
    """Open the instance of a Dagster home."""
    return dg.DagsterInstance.from_config(str(folder))


_PROCESS_TAG = "iblnm/process"


def process_tag() -> dict[str, str]:
    """Return the tag that ties a run to this very process."""
    me = psutil.Process()
    return {_PROCESS_TAG: f"{socket.gethostname()} {me.pid} {me.create_time()}"}


def end_runs_of_dead_processes(instance: dg.DagsterInstance) -> None:
    """Report runs of commands that were killed as failed.

    Dagster's run monitoring watches only runs that it launched itself; the others would look alive for ever, and hold
    their place in the pool of session runs.
    """
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=statuses)):
        host, _, process = run.tags.get(_PROCESS_TAG, "").partition(" ")
        if host == socket.gethostname() and not _is_alive(process):
            instance.report_run_failed(run, message="the process of this run was killed; run again to go on")


def _is_alive(process: str) -> bool:
    pid, _, created = process.partition(" ")
    try:
        return psutil.Process(int(pid)).create_time() == float(created)
    except psutil.Error:
        return False
