"""Reports: a 1-hour session with two fibres, and a cohort of 1,000 sessions without figures; one core, imports warm.

Run with `python benchmarks/reports.py`. Prints seconds, bytes and peak memory, and writes them to
`benchmarks/results/reports.json`; exits with 1 when a budget is passed.
"""

import json
import multiprocessing
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from iblnm_core.identifiers import uuid_from
from iblnm_core.reports.writing import write_cohort_report, write_session_report
from iblnm_core.root import create_root, open_root
from iblnm_core.schemas import ERRORS, PERFORMANCE, QC_PHOTOMETRY, SESSION_STATUS, SESSIONS
from iblnm_core.storage.tables import Table, make_table, read_table, write_table

RESULTS = Path(__file__).parent / "results" / "reports.json"
N_SESSIONS = 1_000
REPEATS = 5
LIMITS = {"session_s": 2.0, "cohort_s": 20.0, "session_mb": 3.0, "cohort_mb": 10.0, "peak_memory_mb": 400.0}


def one_hour(folder):
    """Make a root with one computed session of an hour."""
    # the processes that measure import this file, and their memory is not to hold what they do not use
    from sessions import catalogue_of

    from iblnm_core.cohort.collect import COLLECTED, collect
    from iblnm_core.demo.cohort import write_cohort
    from iblnm_core.demo.presets import hour_plans
    from iblnm_core.session.pipeline import process_session

    cache = write_cohort(folder / "cache", hour_plans()).cache
    root = create_root(folder / "root", cache=cache)
    catalogue = catalogue_of(root)
    (task,) = catalogue.tasks(catalogue.sessions)
    assert not process_session(task).failed
    for name in COLLECTED:
        table = collect(root, name).table
        assert isinstance(table, Table)
        write_table(root.path, table)
    write_table(root.path, make_table(SESSION_STATUS, catalogue.status()))
    return root, task.eid


def multiply(root, eid):
    """Make the tables of a root those of so many sessions, each like the one that is there."""
    eids = [uuid_from(f"report {number}") for number in range(N_SESSIONS)]
    for schema in (SESSIONS, ERRORS, SESSION_STATUS, PERFORMANCE, QC_PHOTOMETRY):
        rows = read_table(root.path, schema)
        rows = rows[rows["eid"] == eid]
        copies = [rows.assign(eid=other, **_own(schema, number)) for number, other in enumerate(eids)]
        write_table(root.path, make_table(schema, pd.concat(copies, ignore_index=True)))


def _own(schema, number):
    if schema is not SESSIONS:
        return {}
    return {
        "subject": f"mouse-{number // 20:03d}",
        "start_time": f"2025-{1 + number % 12:02d}-{1 + number % 28:02d}T10:00:00",
    }


def measure(path, eid, answers):
    """Put median seconds of the processor, bytes and peak memory of writing one report into a queue."""
    root = open_root(path)
    seconds = []
    with threadpool_limits(1):
        # the first one imports what is imported where it is used
        for _ in range(REPEATS + 1):
            # a page that nothing changed for is not written again
            shutil.rmtree(root.path / "reports", ignore_errors=True)
            start = time.process_time()
            written = write_cohort_report(root) if eid is None else write_session_report(root, eid)
            seconds.append(time.process_time() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put((statistics.median(seconds[1:]), written.size_bytes, memory))


def make_session(folder, answers):
    """Put root and session of `one_hour` into a queue."""
    root, eid = one_hour(folder)
    answers.put((root.path, eid))


def make_cohort(path, eid, answers):
    """Make the tables of a root those of so many sessions, and say that it is done."""
    multiply(open_root(path), eid)
    answers.put(None)


def in_own_process(function, *arguments):
    """Call a function in a process of its own, and return its answer.

    Not only what is measured: a new process starts with the peak memory of the one that starts it, which is to stay small.
    """
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=function, args=(*arguments, answers))
    process.start()
    answer = answers.get()
    process.join()
    return answer


def main():
    """Measure, print, keep."""
    with tempfile.TemporaryDirectory() as folder:
        path, eid = in_own_process(make_session, Path(folder))
        session_s, session_bytes, session_memory = in_own_process(measure, path, eid)
        in_own_process(make_cohort, path, eid)
        cohort_s, cohort_bytes, cohort_memory = in_own_process(measure, path, None)
    found = {
        "session_s": round(session_s, 2),
        "cohort_s": round(cohort_s, 2),
        "session_mb": round(session_bytes / 1e6, 2),
        "cohort_mb": round(cohort_bytes / 1e6, 2),
        "peak_memory_mb": round(max(session_memory, cohort_memory)),
    }
    for name, value in found.items():
        print(f"{name:<16}{value:>10}  limit {LIMITS[name]:g}")
    RESULTS.write_text(json.dumps({"measured": found, "limits": LIMITS}, indent=1) + "\n")
    sys.exit(any(found[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    main()
