"""The event log that keeps its engines: as good as Dagster's own under threads, forks, watching and wiping."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import dagster as dg
import psutil
import pytest
from sqlalchemy import text

from iblnm_dagster.event_log import PooledSqliteEventLogStorage
from iblnm_dagster.instance import open_instance, write_dagster_home

pytestmark = pytest.mark.graph


@dg.asset
def small(context: dg.AssetExecutionContext) -> int:
    return 1


@pytest.fixture
def home(tmp_path):
    return write_dagster_home(tmp_path / "dagster")


@pytest.fixture
def instance(home):
    opened = open_instance(home)
    yield opened
    opened.dispose()


def materialize(instance):
    return dg.materialize(
        [small], instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )


def test_the_home_names_our_event_log(instance):
    assert isinstance(instance.event_log_storage, PooledSqliteEventLogStorage)
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled
    assert instance.run_monitoring_enabled
    assert not instance.run_retries_max_retries > 1


def test_threads_and_nested_connections_neither_lock_nor_lose(instance):
    storage, errors = instance.event_log_storage, []

    def insert(number):
        try:
            for _ in range(40):
                with storage.run_connection(f"run{number % 3}") as connection:
                    connection.execute(text("create table if not exists t(x int)"))
                    connection.execute(text("insert into t values(1)"))
                    # events are stored inside of queries
                    with storage.index_connection() as outer, storage.index_connection() as inner:
                        assert outer.execute(text("select 1")).scalar() == inner.execute(text("select 1")).scalar()
        except Exception as error:  # noqa: BLE001 - collected and shown below
            errors.append(error)

    threads = [threading.Thread(target=insert, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    for number in range(3):
        with storage.run_connection(f"run{number}") as connection:
            assert connection.execute(text("select count(*) from t")).scalar() == 80


def test_the_live_log_of_a_quiet_run_arrives_within_three_seconds(instance):
    run_id = materialize(instance).run_id
    seen = []
    instance.watch_event_logs(run_id, None, lambda entry, _cursor: seen.append((time.monotonic(), entry.message)))
    # long enough for the watcher to have become as slow as it gets
    time.sleep(6)
    before = len(seen)
    said = time.monotonic()
    instance.report_engine_event("news", instance.get_run_by_id(run_id))
    while len(seen) == before and time.monotonic() - said < 10:
        time.sleep(0.05)
    assert seen[-1][1] == "news"
    assert seen[-1][0] - said < 3


def test_handles_stay_constant_over_a_hundred_runs(instance):
    process = psutil.Process()
    for _ in range(12):
        materialize(instance)
    before = process.num_fds()
    for _ in range(100):
        assert materialize(instance).success
    assert process.num_fds() <= before + 6


RUN = """
import sys
import dagster as dg
from pathlib import Path
from iblnm_dagster.instance import open_instance

@dg.asset
def small():
    return 1

instance = open_instance(Path(sys.argv[1]))
for _ in range(10):
    settings = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    assert dg.materialize([small], instance=instance, run_config=settings).success
"""


def test_two_processes_write_at_once(home, instance):
    processes = [subprocess.Popen([sys.executable, "-c", RUN, str(home)]) for _ in range(2)]
    assert [process.wait(90) for process in processes] == [0, 0]
    records = instance.fetch_materializations(dg.AssetKey("small"), limit=100).records
    assert len(records) == 20
    assert instance.get_runs_count() == 20


def test_a_deleted_run_is_gone_and_new_ones_work(instance):
    first = materialize(instance).run_id
    instance.delete_run(first)
    assert instance.get_run_by_id(first) is None
    assert instance.all_logs(first) == []
    assert materialize(instance).success


def test_after_a_wipe_everything_starts_anew(instance):
    materialize(instance)
    instance.event_log_storage.wipe()
    assert instance.fetch_materializations(dg.AssetKey("small"), limit=10).records == []
    assert materialize(instance).success
    assert len(instance.fetch_materializations(dg.AssetKey("small"), limit=10).records) == 1


def _count_in_child(home_instance, queue):
    queue.put((os.getpid(), len(home_instance.fetch_materializations(dg.AssetKey("small"), limit=10).records)))


def test_a_forked_child_opens_its_own_connections(instance):
    materialize(instance)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_count_in_child, args=(instance, queue))
    child.start()
    pid, count = queue.get(timeout=30)
    child.join()
    assert (count, child.exitcode) == (1, 0)
    assert pid != os.getpid()
    assert materialize(instance).success


def test_settings_are_written_once(home):
    settings = home / "dagster.yaml"
    settings.write_text(settings.read_text() + "# mine\n")
    write_dagster_home(home)
    assert settings.read_text().endswith("# mine\n")
