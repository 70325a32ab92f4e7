"""Named photometry corrections on planted recordings: how true they are, which criteria hold, and what they cost.

Run `python benchmarks/corrections.py`; about two minutes on two cores. Prints tables and writes them to
`benchmarks/results/corrections.json`.
"""

import json
import os
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from iblnm_core.corrections.compute import correct, correct_all
from iblnm_core.corrections.diagnostics import diagnose
from iblnm_core.corrections.masks import mask_of_band
from iblnm_core.corrections.recipes import NAMED, with_epoch
from iblnm_core.corrections.traces import Traces
from iblnm_core.corrections.transients import transient_peaks
from iblnm_core.demo.planted_fluorescence import DURATION_S, RATE_HZ, SCENARIOS, plant
from iblnm_core.demo.recovery_corrections import SEEDS, correction_statistics, recover_corrections

RESULTS = Path(__file__).parent / "results" / "corrections.json"
STORED = ("reference", "robust", "dff_exp")
LIMIT_MS = 50.0
MEASURES = {
    "correlation": "correlation with the planted signal",
    "bias": "error of the mean response, relative",
    "invented": "response to events that evoke none, % dF/F",
    "null_rms": "RMS where nothing is planted, % dF/F",
    "drift": "level, last less first sixth, % dF/F",
}


def fresh(planted):
    """Return traces that share nothing with earlier ones."""
    return Traces(planted.times, planted.signal, planted.reference, np.zeros(len(planted.times), np.uint8))


def milliseconds(function, repeats=7):
    """Return the least CPU time of a call of what a function returns: other work on the machine only adds to it."""
    times = []
    for _ in range(repeats):
        call = function()
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def peak_mb(call):
    """Return the most memory that a call takes beside what there was."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - before) / 1e6


def costs():
    """Return ms and MB of one hour of one fibre, signal and reference, by what is computed."""
    planted = plant(SCENARIOS["motion"], 0)
    epoch = with_epoch(NAMED["epoch_fit"], (0.0, DURATION_S / 3))
    recipes = [epoch if recipe.name == epoch.name else recipe for recipe in NAMED.values()]

    def corrections(*wanted):
        traces = fresh(planted)
        return lambda: correct_all(traces, wanted)

    calls = {recipe.name: partial(corrections, recipe) for recipe in recipes}
    calls[" + ".join(STORED)] = partial(corrections, *(NAMED[name] for name in STORED))
    calls["masks of both bands"] = lambda: (
        lambda: [mask_of_band(planted.times, band) for band in (planted.signal, planted.reference)]
    )
    robust = correct(fresh(planted), NAMED["robust"])
    events = {"evoking": planted.events, "silent": planted.silent_events}

    def diagnostics():
        shared = fresh(planted)
        known = correct_all(shared, [NAMED[name] for name in STORED])
        return lambda: diagnose(shared, known["robust"], known, events)

    calls["diagnostics, beside the corrections"] = diagnostics
    calls["transients"] = lambda: lambda: transient_peaks(robust.dff, RATE_HZ)
    return {name: {"ms": milliseconds(call), "peak MB": peak_mb(call())} for name, call in calls.items()}


def main():
    with threadpool_limits(1):
        cost = costs()
        measures, fired = recover_corrections(workers=os.cpu_count() or 1)
    medians = measures.groupby(["correction", "scenario"]).median(numeric_only=True)
    table = {}
    for measure, described in MEASURES.items():
        wide = medians[measure].unstack("scenario")
        wide = wide[[name for name in (*SCENARIOS, "dark, subtracted") if name in wide.columns]]
        print(f"\n{described}\n{wide.round(3).to_string()}")
        table[measure] = {name: row.round(4).to_dict() for name, row in wide.iterrows()}
    print("\nms (CPU) and MB per hour of a fibre")
    for name, row in cost.items():
        print(f"{name:<40}{row['ms']:>8.1f} ms{row['peak MB']:>8.1f} MB")
    statistics = correction_statistics(measures, fired)
    verdicts = {statistic.name: ("holds" if statistic.holds else "fails", statistic.found) for statistic in statistics}
    for name in STORED:
        ms = cost[name]["ms"]
        verdicts[f"{name} takes at most {LIMIT_MS:g} ms"] = ("holds" if ms <= LIMIT_MS else "fails", f"{ms:.1f} ms")
    print("\ncriteria")
    for name, (verdict, found) in verdicts.items():
        print(f"{verdict:<7}{name}: {found}")
    counts = fired.groupby(["scenario", "check"]).size()
    result = {
        "seeds": list(SEEDS),
        "medians over seeds": table,
        "checks fired, seeds": {name: rows.droplevel(0).to_dict() for name, rows in counts.groupby(level=0)},
        "per hour of a fibre": cost,
        "criteria": {name: verdict for name, (verdict, _) in verdicts.items()},
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
