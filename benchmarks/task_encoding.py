"""What recordings code and how it goes with behaviour, on simulated trials: time beside the aims, and memory; one core.

Run `python benchmarks/task_encoding.py`; about half a minute. Prints a table and writes it to `benchmarks/results/task_encoding.json`.
Memory is the most that a call had allocated at once, in a run of its own, as looking takes time.
"""

import json
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from iblnm_core.analyses.behavioural_view import LATERALISED
from iblnm_core.analyses.cca import View
from iblnm_core.analyses.cca_permutation import block_test, permuted_correlations
from iblnm_core.analyses.cca_ridge import best_held_out, choose_ridge, subject_folds
from iblnm_core.analyses.cohort_cca import cohort_cca
from iblnm_core.analyses.components import component_tables
from iblnm_core.analyses.session_glm import TERMS, coefficient_matrix, session_glm
from iblnm_core.demo.simulated_cohorts import indexed, simulated_recordings

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from tests_support.task_encoding import LEVELS, simulated_trials  # noqa: E402 - after the path is there

RESULTS = Path(__file__).parent / "results" / "task_encoding.json"
TARGETS = ("VTA-DA", "SNc-DA", "DR-5HT", "LC-NE", "NBM-ACh")
EVENTS = ("stimOn", "firstMovement", "feedback")
N_RECORDINGS, N_TRIALS, N_PERMUTATIONS, N_OF_COHORT = 1000, 400, 1000, 30


def measured(what, function, repeats, aim=None):
    """Return the median time of a call, and the most memory that it had allocated at once."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    row = {"what": what, "s": float(np.median(times)), "aim, s": aim, "peak memory, MB": round(peak / 2**20, 1)}
    beside = "" if aim is None else f"aim {aim:g} s"
    print(f"{what:<56}{row['s']:>9.4f} s   {beside:<12}{row['peak memory, MB']:>8.1f} MB")
    return row


def permutations():
    """Yield the measures of the permutations of one cohort without and with ridge."""
    random = np.random.default_rng(0)
    shared = random.normal(size=(N_OF_COHORT, 1))
    x, y = (random.normal(size=(N_OF_COHORT, k)) + shared * (np.arange(k) == 1) for k in (len(TERMS) - 1, 4))
    sessions = [f"e{place:03d}" for place in range(N_OF_COHORT)]
    folds = subject_folds([f"m{place // 3:02d}" for place in range(N_OF_COHORT)])

    def linear():
        block_test(partial(permuted_correlations, View.of(x), View.of(y)), sessions, N_PERMUTATIONS, 0)

    def ridge():
        choose_ridge(x, y, folds)
        block_test(partial(best_held_out, x, y, folds), sessions, N_PERMUTATIONS, 0)

    name = f"{N_PERMUTATIONS} permutations, {N_OF_COHORT} recordings"
    yield measured(f"{name}, linear", linear, 30, 0.010)
    yield measured(f"{name}, ridge", ridge, 3)


def cohorts():
    """Yield the measures of models, components and canonical correlations of all recordings."""
    recordings = simulated_recordings(N_RECORDINGS, TARGETS)
    frame = simulated_trials(recordings, N_TRIALS, 0)
    random = np.random.default_rng(1)
    models = partial(session_glm, frame, recordings, "rank", LEVELS)
    yield measured(f"models of {N_RECORDINGS} recordings of {N_TRIALS} trials", models, 5, 1.0)
    matrix = coefficient_matrix(models().coefficients, "stimOn")
    # the search for independent components ends only where coefficients are not normal
    matrices = {event: matrix + random.laplace(size=matrix.shape) for event in EVENTS}
    yield measured(f"components of {len(EVENTS)} events, all ways", partial(component_tables, matrices), 3)
    behaviour = indexed(random.normal(size=(N_RECORDINGS, 4)), recordings, LATERALISED)
    for n_permutations in (N_PERMUTATIONS, 10 * N_PERMUTATIONS):
        name = f"{len(TARGETS)} targets, {len(EVENTS)} events, {n_permutations} permutations"
        yield measured(name, partial(cohort_cca, matrices, behaviour, n_permutations), 1)


def main():
    with threadpool_limits(1):
        rows = [*permutations(), *cohorts()]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
