"""All cohort analyses on 1,000 simulated sessions of 40 mice, from stored tables to stored tables, one core.

Run `python benchmarks/cohort_analyses.py`; some minutes. Trials of the unbiased block, and those of all blocks, each run through
the analyses of the registry, stage by stage, in a process of their own. Prints a table and writes it to
`benchmarks/results/cohort_analyses.json`: seconds that passed, seconds that the core worked (fewer where others use it, too), and the
peak memory of the process so far. The aim is of each of the two parts: responses and movement; encoding, behaviour and quality.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import run_analysis
from iblnm_core.demo.simulated_sessions import simulate_session_tables, trial_tables
from iblnm_core.demo.simulated_tables import (
    OTHER_CHOICES,
    cell_table,
    course_sum_table,
    simulate_tables,
    trace_table,
    vector_table,
)
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import Table, make_table, stored_table, write_table

RESULTS = Path(__file__).parent / "results" / "cohort_analyses.json"
LIMIT_S, LIMIT_MB = 60, 2048
BLOCKS = ("unbiased", "all")
PARTS = {
    "responses": ("responses", "movement_encoding"),
    "encoding": ("task_encoding", "task_performance", "qc_overview"),
}
"""Stages of each part."""


def parameters_of(blocks):
    """Return the default parameters with trials of some blocks."""
    defaults = Parameters()
    return replace(defaults, modelling=replace(defaults.modelling, blocks=blocks))


def store_tables(folder, blocks, n_sessions, n_subjects):
    """Simulate the cohort and store the tables that are collected from sessions."""
    cohort = simulate_tables(n_sessions, n_subjects)
    tables = {
        "responses": cohort.responses,
        "trial_regressors": cohort.regressors,
        "response_cells": cell_table(cohort.responses, cohort.regressors, OTHER_CHOICES),
        "time_course_sums": course_sum_table(cohort),
        "recordings": cohort.recordings,
        "response_matrix": vector_table(cohort, blocks),
        "condition_traces": trace_table(cohort.recordings),
        **trial_tables(cohort.regressors),
        **simulate_session_tables(cohort.recordings),
    }
    for name, rows in tables.items():
        write_table(folder, make_table(TABLES[name], rows))


def measure(folder, blocks, chosen):
    """Run analyses; keep seconds, seconds of the core, peak memory so far and rows of the main table of each."""
    found = {}
    with threadpool_limits(1):
        for name in chosen:
            start, busy = time.perf_counter(), time.process_time()
            for table in run_analysis(folder, ANALYSES[name], parameters_of(blocks)).values():
                if isinstance(table, Table):
                    write_table(folder, table)
            seconds, worked = time.perf_counter() - start, time.process_time() - busy
            found[name] = seconds, worked, peak_mb(), stored_table(folder, ANALYSES[name].tables[0]).n_rows
            print(line(blocks, name, *found[name][:3], f"{found[name][3]:,} rows"), flush=True)
    (folder / "measured.json").write_text(json.dumps(found))


def line(blocks, name, seconds, worked, peak, remark):
    """Return a line of the printed table."""
    return f"{blocks:<10}{name:<24}{seconds:>8.2f} s{worked:>8.2f} s{peak:>7.0f} MB   {remark}"


def peak_mb():
    """Return the largest memory that this process had so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(function, *arguments):
    """Run a function in a process of its own, whose memory starts from nothing."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} ended with {process.exitcode}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--blocks", nargs="+", choices=BLOCKS, default=BLOCKS)
    parser.add_argument("--analyses", nargs="+", choices=ANALYSES, default=list(ANALYSES))
    options = parser.parse_args()
    table = {}
    for blocks in options.blocks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            in_a_process(store_tables, folder, blocks, options.sessions, options.subjects)
            in_a_process(measure, folder, blocks, options.analyses)
            found = json.loads((folder / "measured.json").read_text())
        table[blocks] = {"analyses": found}
        for part, stages in PARTS.items():
            own = [row for name, row in found.items() if ANALYSES[name].stage in stages]
            seconds, worked = (sum(row[place] for row in own) for place in (0, 1))
            peak = max((row[2] for row in own), default=0.0)
            print(line(blocks, f"all of {part}", seconds, worked, peak, f"aim {LIMIT_S} s, {LIMIT_MB} MB"), flush=True)
            table[blocks][part] = {"seconds": seconds, "seconds of the core": worked, "peak_mb": peak}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
