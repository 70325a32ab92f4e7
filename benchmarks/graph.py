"""Wall time per session through Dagster: small sessions, two workers, split by where the time goes.

Run with `make bench`, or `python benchmarks/graph.py --sessions 200`. Prints a table and writes it to
`benchmarks/results/graph.json`. The same run with Dagster's own event log is measured beside it.
"""

import argparse
import datetime as dt
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from memory import PeakMemory

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.plan import CLINIC_PACE, SessionPlan
from iblnm_core.demo.presets import SUBJECTS
from iblnm_core.root import create_root
from iblnm_core.sources.indexing import index_cache
from iblnm_dagster.instance import write_dagster_home
from iblnm_dagster.runs import LocalRuns

RESULTS = Path(__file__).parent / "results" / "graph.json"
WORKERS = 2


class EventTimes:
    """Counts and times every event that is stored, while it is installed."""

    def __init__(self):
        self.seconds, self.counts = Counter(), Counter()
        self._stock = SqliteEventLogStorage.store_event, SqliteEventLogStorage.get_latest_storage_id_by_partition

    def __enter__(self):
        store, look_up = self._stock
        times = self

        def timed_store(storage, event):
            kind = event.dagster_event_type.value if event.is_dagster_event else "LOG"
            name = "planned events" if kind.endswith("PLANNED") else "events"
            times.measure(name, store, storage, event)

        def timed_look_up(storage, *arguments, **options):
            return times.measure("look-ups", look_up, storage, *arguments, **options)

        SqliteEventLogStorage.store_event = timed_store
        SqliteEventLogStorage.get_latest_storage_id_by_partition = timed_look_up
        return self

    def measure(self, name, function, *arguments, **options):
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            self.seconds[name] += time.perf_counter() - started
            self.counts[name] += 1

    def __exit__(self, *_exception):
        SqliteEventLogStorage.store_event, SqliteEventLogStorage.get_latest_storage_id_by_partition = self._stock


def make_cache(folder, count):
    """Write one eight-minute session and link it under so many dates."""
    plan = SessionPlan(SUBJECTS["DEMO-DA1"], dt.date(2025, 3, 3), 1, "biased", 8.0, pace=CLINIC_PACE)
    cohort = write_cohort(folder / "one", [plan])
    source = cohort.cache / plan.key.folder
    for number in range(count):
        day = dt.date(2025, 4, 1) + dt.timedelta(days=number)
        shutil.copytree(source, folder / "cache/lab/Subjects/mouse" / str(day) / "001", copy_function=os.link)
    index_cache(folder / "cache")
    return folder / "cache"


def use_stock_event_log(home):
    """Take our event log out of a Dagster home."""
    settings = home / "dagster.yaml"
    text = settings.read_text()
    ours = "  module: iblnm_dagster.event_log\n  class: PooledSqliteEventLogStorage\n"
    stock = "  module: dagster._core.storage.event_log\n  class: SqliteEventLogStorage\n"
    assert ours in text
    settings.write_text(text.replace(ours, stock))


def measure(folder, cache, count, *, stock):
    """Take all sessions through the session step once and return seconds per session by cause."""
    root = create_root(folder, cache=cache)
    home = write_dagster_home(root.dagster_home)
    if stock:
        use_stock_event_log(home)
    root = type(root)(**{**vars(root), "workers": WORKERS})
    with LocalRuns(root) as runs:
        runs.catalogue()
        eids = runs.instance.get_dynamic_partitions("eid")
        with PeakMemory() as memory, EventTimes() as events:
            started = time.perf_counter()
            result = runs.sessions(eids)
            wall = time.perf_counter() - started
        assert len(result.reports) == count
        assert not result.failed
        started = time.perf_counter()
        runs.collect()
        collected = time.perf_counter() - started
    steps = Counter()
    for report in result.reports.values():
        steps.update(report.seconds)
    storage = steps.pop("storage")
    per_session = {
        "wall": wall / count,
        "compute (worker time / workers)": sum(steps.values()) / count / WORKERS,
        "storage (worker time / workers)": storage / count / WORKERS,
        **{name: seconds / count for name, seconds in events.seconds.items()},
    }
    return {
        "seconds_per_session": per_session,
        "per_session_counts": {name: value / count for name, value in events.counts.items()},
        "collect_s": collected,
        "peak_memory_mb": {"run": memory.run_mb, "worker": memory.worker_mb},
    }


def print_table(ours, stock):
    names = dict.fromkeys([*ours["seconds_per_session"], *stock["seconds_per_session"]])
    print(f"{'ms per session':<36}{'this project':>14}{'stock log':>12}")
    for name in names:
        print(
            f"{name:<36}{1000 * ours['seconds_per_session'].get(name, 0):>14.1f}"
            f"{1000 * stock['seconds_per_session'].get(name, 0):>12.1f}"
        )
    for name, value in ours["per_session_counts"].items():
        print(f"{name + ', number':<36}{value:>14.1f}{stock['per_session_counts'].get(name, 0):>12.1f}")
    print(f"{'collecting tables, s in all':<36}{ours['collect_s']:>14.2f}{stock['collect_s']:>12.2f}")
    memory = ours["peak_memory_mb"]
    print(f"peak memory: run {memory['run']:.0f} MB, largest worker {memory['worker']:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    count = parser.parse_args().sessions
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = make_cache(folder, count)
        ours = measure(folder / "ours", cache, count, stock=False)
        stock = measure(folder / "stock", cache, count, stock=True)
    print(f"{count} sessions of 8 minutes, {WORKERS} workers, {os.cpu_count()} cores, dagster {dg.__version__}")
    print_table(ours, stock)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"sessions": count, "ours": ours, "stock": stock}, indent=1) + "\n")


if __name__ == "__main__":
    main()
