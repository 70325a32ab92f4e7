"""A thousand demo sessions of twelve minutes through Dagster on two cores: sessions, tables, cohort, and a run with nothing to do.

Run with `make bench`, or `python benchmarks/cohort.py --sessions 100 1000`. The sessions are written once and kept in
`benchmarks/cache`. Prints a table for each size and writes all to `benchmarks/results/cohort.json`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from memory import PeakMemory

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.presets import demo_plans
from iblnm_core.root import create_root
from iblnm_dagster.runs import LocalRuns

CACHE = Path(__file__).parent / "cache"
RESULTS = Path(__file__).parent / "results" / "cohort.json"
WORKERS = 2
AIMS = {
    "catalogue_s": None,
    "session_s": 0.35,
    "tables_s": 10.0,
    "cohort_s": 90.0,
    "unchanged_s": 20.0,
    "worker_peak_mb": 600.0,
    "run_peak_mb": None,
}


def make_cache(count):
    """Write so many sound demo sessions, unless they are there."""
    plans = demo_plans(sessions=count, clinic=False)
    return write_cohort(CACHE / str(count), plans, workers=WORKERS, progress=_tell).cache


def _tell(done, total):
    if done % 50 == 0 or done == total:
        print(f"{done} of {total} sessions written", flush=True)


def seconds(do):
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def measure(cache, count):
    """Take a new root through everything; return seconds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = replace(create_root(Path(folder) / "root", cache=cache), workers=WORKERS)
        with PeakMemory() as memory, LocalRuns(root) as runs:
            found = {"catalogue_s": seconds(runs.catalogue)}
            eids = runs.instance.get_dynamic_partitions("eid")
            assert len(eids) == count
            found["session_s"] = seconds(lambda: runs.sessions(eids)) / count
            found["tables_s"] = seconds(lambda: runs.collect([]))
            found["cohort_s"] = seconds(runs.collect)
        found |= {"worker_peak_mb": memory.worker_mb, "run_peak_mb": memory.run_mb}
        command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()", "run", "--root", str(root.path)]
        found["unchanged_s"] = seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    return found


def print_table(sizes):
    print(f"{'':<18}" + "".join(f"{size:>12}" for size in sizes) + f"{'aim':>12}")
    for name, aim in AIMS.items():
        print(
            f"{name:<18}"
            + "".join(f"{found[name]:>12.3g}" for found in sizes.values())
            + ("" if aim is None else f"{aim:>12.3g}")
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[100, 1000])
    sizes = {str(count): measure(make_cache(count), count) for count in parser.parse_args().sessions}
    print(f"sessions of 12 minutes, {WORKERS} workers, {os.cpu_count()} cores")
    print_table(sizes)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(sizes, indent=1) + "\n")


if __name__ == "__main__":
    main()
