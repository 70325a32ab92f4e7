"""The Dagster instance of a root: its `dagster.yaml`, and opening it."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import psutil
import sqlalchemy

from iblnm_core.errors import ConfigurationError, IblnmError, MissingDependency, StorageFull
from iblnm_core.storage.atomic import write_bytes

_CONNECT_S = 10

_FILES = """\
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
"""

_POSTGRES = """\
# History lies in a Postgres database. Its address, with the password, stands in an environment variable and in no file.
event_log_storage:
  module: iblnm_dagster.postgres_event_log
  class: PooledPostgresEventLogStorage
  config:
    postgres_url:
      env: {name}
run_storage:
  module: dagster_postgres.run_storage
  class: PostgresRunStorage
  config:
    postgres_url:
      env: {name}
schedule_storage:
  module: dagster_postgres.schedule_storage
  class: PostgresScheduleStorage
  config:
    postgres_url:
      env: {name}
"""

_YAML = """\
# Dagster's settings for this root, written once by iblnm; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false

{storage}
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


def write_dagster_home(folder: Path, postgres_url_env: str | None = None) -> Path:
    """Make a root's Dagster home with its settings; return the folder.

    Settings that are there stay as they are, but for the place of the history: it moves with the root, and between files and Postgres.

    Parameters
    ----------
    folder : Path
    postgres_url_env : str, optional
        Environment variable with the address of the Postgres database that keeps the history; without it, files of the folder.

    Raises
    ------
    ConfigurationError
        When the history is to lie elsewhere than settings say that were changed by hand.
    """
    settings, home = folder / "dagster.yaml", folder.absolute()
    files = _FILES.format(history=home / "history", schedules=home / "schedules")
    wanted = files if postgres_url_env is None else _POSTGRES.format(name=postgres_url_env)
    if not settings.is_file():
        write_bytes(settings, _YAML.format(storage=wanted).encode())
        return folder
    text = before = settings.read_text(encoding="utf-8")
    written = re.search(r"base_dir: (.+)/history/runs$", text, re.MULTILINE)
    if written and written[1] != str(home):
        text = text.replace(f"base_dir: {written[1]}/", f"base_dir: {home}/")
    name = _variable(text)
    if name != postgres_url_env:
        ours = files if name is None else _POSTGRES.format(name=name)
        # a place that was chosen by hand holds until the root's settings name one
        if ours not in text and postgres_url_env is not None:
            raise ConfigurationError(
                f"{settings} was changed by hand and keeps the history elsewhere than dagster.postgres_url_env of the "
                "root's settings says: delete it, and the next command writes it anew"
            )
        text = text.replace(ours, wanted)
    if text != before:
        write_bytes(settings, text.encode())
    return folder


def _variable(text: str) -> str | None:
    """Return the environment variable that settings take the address of a Postgres database from."""
    found = re.search(r"postgres_url:\s+env: (\w+)$", text, re.MULTILINE)
    return found[1] if found else None


def open_instance(folder: Path) -> dg.DagsterInstance:
    """Open the instance of a Dagster home.

    Raises
    ------
    ConfigurationError
        When its history lies in a Postgres database that cannot be used.
    """
    name = _variable((folder / "dagster.yaml").read_text(encoding="utf-8"))
    if name is not None:
        _try_postgres(name)
    return dg.DagsterInstance.from_config(str(folder))


def _try_postgres(name: str) -> None:
    """Connect once: Dagster itself would try for half a minute, and end with a traceback."""
    if find_spec("dagster_postgres") is None:
        raise MissingDependency("history in Postgres takes the package dagster-postgres: pip install 'iblnm[scale]'")
    address = os.environ.get(name, "")
    # the address holds a password: no message shows it
    if not address.startswith("postgresql+psycopg2://"):
        raise ConfigurationError(
            f"the environment variable {name} must hold the address of a Postgres database, "
            f"postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE; it {'does not' if address else 'is not set'}"
        )
    if address.count("@") != 1:
        # a part of the password would be taken for the host, and shown
        raise ConfigurationError(f"the address in {name} must have one @; one in the password is written %40")
    try:
        engine = sqlalchemy.create_engine(address, connect_args={"connect_timeout": _CONNECT_S})
        with engine.connect():
            pass
    except sqlalchemy.exc.OperationalError as error:
        reason = str(error.orig).strip()
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.DatabaseError, ValueError):
        reason = "it cannot be read"
    else:
        engine.dispose()
        return
    # outside of the handlers: what they caught holds the address
    raise ConfigurationError(f"the Postgres database whose address is in {name} cannot be used: {reason}")


class EventLogUnavailable(IblnmError):
    """Dagster's event log cannot be used for now."""


@contextlib.contextmanager
def explained_event_log(home: Path) -> Iterator[None]:
    """Turn a database that is full, locked or cannot be opened into an error that says where and what to do.

    Raises
    ------
    StorageFull
    EventLogUnavailable
    """
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except DatabaseError as error:
        if "disk is full" in str(error.orig):
            raise StorageFull(home) from error
        raise EventLogUnavailable(
            f"the event log in {home} cannot be used: {error.orig}. What was finished is stored; run again when nothing else holds it"
        ) from error


_PROCESS_TAG = "iblnm/process"


def process_tag() -> dict[str, str]:
    """Return the tag that ties a run to this very process."""
    me = psutil.Process()
    return {_PROCESS_TAG: f"{socket.gethostname()} {me.pid} {me.create_time()}"}


def end_runs_of_dead_processes(instance: dg.DagsterInstance) -> list[str]:
    """Report runs of commands that were killed as failed; return their ids.

    Dagster's run monitoring watches only runs that it launched itself; the others would look alive for ever, and hold
    their place in the pool of session runs.
    """
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    ended = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=statuses)):
        host, _, process = run.tags.get(_PROCESS_TAG, "").partition(" ")
        if host == socket.gethostname() and not _is_alive(process):
            instance.report_run_failed(run, message="the process of this run was killed; run again to go on")
            ended.append(run.run_id)
    return ended


def _is_alive(process: str) -> bool:
    pid, _, created = process.partition(" ")
    try:
        return psutil.Process(int(pid)).create_time() == float(created)
    except psutil.Error:
        return False
