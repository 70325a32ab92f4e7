"""A thousand simulated sessions through the psychometric fit: time per fit, and the likelihood against ten searches.

Run `python benchmarks/psychometric.py`; one core. `--search` also runs the ten Nelder-Mead searches of the reference pipeline for every
session (several minutes) and writes what they find to `tests/data/best_of_ten.npy`, which a test holds the fit against.
Prints a table and writes it to `benchmarks/results/psychometric.json`.
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from iblnm_core.parameters import PRESETS
from iblnm_core.session.psychometric import fit_psychometrics

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from tests_support.psychometric import best_of_ten, simulated_choices  # noqa: E402 - after the path is there

RESULTS = Path(__file__).parent / "results" / "psychometric.json"
SEARCHED = REPOSITORY / "tests" / "data" / "best_of_ten.npy"
N_SESSIONS = 1000
# a session with blocks has so many fits
SESSION_FITS = 4
LIMIT_MS = 3.0
PARAMETERS = PRESETS["reference"].psychometric


def search(seed):
    """Return the best log-likelihood of ten searches for a simulated session."""
    return best_of_ten(simulated_choices(seed), PARAMETERS.bounds, seed)[0]


def seconds_per_fit(data, batch):
    """Return the fits, and the time per fit in batches of some size, s."""
    start = time.perf_counter()
    fits = [
        fit
        for first in range(0, len(data), batch)
        for fit in fit_psychometrics(data[first : first + batch], PARAMETERS)
    ]
    return fits, (time.perf_counter() - start) / len(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", action="store_true")
    if parser.parse_args().search:
        with multiprocessing.Pool() as pool:
            np.save(SEARCHED, np.array(pool.map(search, range(N_SESSIONS), chunksize=10)))
    data = [simulated_choices(seed) for seed in range(N_SESSIONS)]
    with threadpool_limits(1):
        seconds_per_fit(data[:50], SESSION_FITS)
        fits, of_session = seconds_per_fit(data, SESSION_FITS)
        _, of_cohort = seconds_per_fit(data, N_SESSIONS)
    gain = np.array([fit.log_likelihood for fit in fits]) - np.load(SEARCHED)
    table = {
        "ms per fit, four at a time": 1000 * of_session,
        "ms per fit, a thousand at a time": 1000 * of_cohort,
        "aim, ms": LIMIT_MS,
        "log-likelihood less that of ten searches, least": float(gain.min()),
        "log-likelihood less that of ten searches, largest": float(gain.max()),
        "sessions": N_SESSIONS,
    }
    for name, value in table.items():
        print(f"{name:<52}{value:>14.4g}")
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
