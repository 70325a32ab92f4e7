"""Models of single recordings and their permutations on simulated trials: time, one core.

Run `python benchmarks/permutation.py`. Prints a table and writes it to `benchmarks/results/permutation.json`.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from iblnm_core.analyses.baseline_coding import baseline_coding
from iblnm_core.analyses.drop_one import code_recordings, drop_one
from iblnm_core.analyses.swap_null import mouse_p_values, swap_nulls
from iblnm_core.analyses.swapped_terms import swapped_delta_r2
from iblnm_core.analyses.variance_components import standardise, variance_posteriors

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from tests_support.baselines import recording_of  # noqa: E402 - after the path is there
from tests_support.session_models import LEVELS, r_squared, simulated_frame  # noqa: E402 - after the path is there

RESULTS = Path(__file__).parent / "results" / "permutation.json"
TRIALS = (400, 800)
LIMITS = {
    "sixty swaps, equal lengths, closed form, ms": 5,
    "200 recordings, 1 target(s), 1000 draws, performance, s": 10,
}


def seconds(function, repeats=1):
    """Return the median time of a call, s."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def sixty_fits(n_trials):
    """Return the times of sixty swaps in closed form and fitted one by one, s."""
    random = np.random.default_rng(0)
    reduced = np.column_stack([np.ones(600), random.normal(size=(600, 12))])
    multipliers, response = reduced[:, :6], random.normal(size=600)
    donors = [random.normal(size=int(random.integers(*n_trials))) for _ in range(60)]

    def one_by_one():
        for donor in donors:
            length = min(len(donor), 600)
            full = np.column_stack([reduced[:length], donor[:length, None] * multipliers[:length]])
            for design in (full, reduced[:length]):
                r_squared(design, response[:length])

    return seconds(lambda: swapped_delta_r2(reduced, range(6), response, donors), 50), seconds(one_by_one, 5)


def baselines(n_targets):
    """Return 200 recordings with their baselines."""
    random = np.random.default_rng(0)
    frame = simulated_frame(200, seed=1, n_trials=TRIALS)
    size = len(frame)
    frame = frame.assign(
        choice=1.0,
        reaction_time=random.gamma(2, 0.1, size) + 0.05,
        response_time=random.gamma(2, 0.2, size) + 0.1,
        baseline=random.normal(size=size),
    )
    groups = frame.groupby(["eid", "subject"])
    return [
        recording_of(rows, eid, subject, f"target {place % n_targets}")
        for place, ((eid, subject), rows) in enumerate(groups)
    ]


def main():
    table = {}
    with threadpool_limits(1):
        for name, lengths in (("equal", (600, 601)), ("unequal", TRIALS)):
            closed, plain = sixty_fits(lengths)
            table[f"sixty swaps, {name} lengths, closed form, ms"] = 1000 * closed
            table[f"sixty swaps, {name} lengths, one by one, ms"] = 1000 * plain
        frame = pd.concat(
            [simulated_frame(1500, seed=2, n_trials=TRIALS, event=event) for event in ("stimOn", "feedback")],
            ignore_index=True,
        )
        recordings = []
        table["1500 recordings, two events, coding, s"] = seconds(
            lambda: recordings.extend(code_recordings(frame, "log2", LEVELS))
        )
        table["1500 recordings, two events, drop-one, s"] = seconds(lambda: drop_one(recordings))
        group = [recording for recording in recordings if recording.key.event == "stimOn"][:100]
        table["100 recordings of a target, swap null, s"] = seconds(lambda: mouse_p_values(swap_nulls(group)[0]))
        for n_targets in (1, 5):
            some = baselines(n_targets)
            for model in ("performance", "reaction_time"):
                name = f"200 recordings, {n_targets} target(s), 1000 draws, {model}, s"
                table[name] = seconds(lambda some=some, model=model: baseline_coding(some, model))
        random = np.random.default_rng(0)
        values, errors = standardise(random.normal(size=120), np.full(120, 0.3))
        mice = np.repeat(np.arange(12), 10)
        table["variance components, 12 mice, ms"] = 1000 * seconds(
            lambda: variance_posteriors(values, errors, mice), 10
        )
    for name, value in table.items():
        aim = f"   aim {LIMITS[name]}" if name in LIMITS else ""
        print(f"{name:<64}{value:>12.4g}{aim}")
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
