"""Simulated cohorts through the mixed model: how often intervals hold the truth with few mice, time per fit and with mice left out.

Run `python benchmarks/mixed_model.py`; one core, about two minutes. Prints a table and writes it to `benchmarks/results/mixed_model.json`.
"""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from iblnm_core.analyses.mixed_model import SubjectSums, fit_random_intercept
from iblnm_core.analyses.model_families import ModelOptions
from iblnm_core.analyses.movement import movement_loso
from iblnm_core.analyses.task_design import TERMS
from iblnm_core.demo.simulated_trials import SUBJECT_SD, coverage

RESULTS = Path(__file__).parent / "results" / "mixed_model.json"
N_COHORTS = 6000
N_SUBJECTS = (4, 6, 10)
N_SMALL_SD = 2000
SMALL_SD = 0.05
AIM = (0.94, 0.96)
SPEED_TRIALS, SPEED_SUBJECTS, SPEED_TERMS, SPEED_LIMIT_MS = 11_751, 12, 8, 6.0
LOSO_LIMIT_S = 0.13


def coverages():
    """Return coverage by number of mice, and whether all of it is as aimed at."""
    table = {}
    for n_subjects in N_SUBJECTS:
        found = coverage(n_subjects, N_COHORTS, seed=n_subjects)
        small = coverage(n_subjects, N_SMALL_SD, seed=n_subjects, subject_sd=SMALL_SD)
        table[f"{n_subjects} mice"] = {
            "suited": dict(zip(TERMS, found.suited.round(4).tolist(), strict=True)),
            "plain": dict(zip(TERMS, found.plain.round(4).tolist(), strict=True)),
            "at boundary": found.at_boundary,
            "mice hardly differ: suited, Intercept": float(small.suited[0]),
            "mice hardly differ: plain, Intercept": float(small.plain[0]),
            "mice hardly differ: at boundary": small.at_boundary,
        }
    return table


def milliseconds():
    """Return the best time of summing rows, and of the fit to the sums."""
    rng = np.random.default_rng(0)
    subjects = rng.integers(0, SPEED_SUBJECTS, SPEED_TRIALS)
    design = np.column_stack([np.ones(SPEED_TRIALS), rng.normal(size=(SPEED_TRIALS, SPEED_TERMS - 1))])
    response = design @ rng.normal(size=SPEED_TERMS) + 0.2 * rng.normal(size=SPEED_SUBJECTS)[subjects]
    response += rng.normal(size=SPEED_TRIALS)
    sums, fits = [], []
    for _ in range(30):
        start = time.perf_counter()
        of_rows = SubjectSums.of(design, response, subjects)
        between = time.perf_counter()
        fit_random_intercept(of_rows)
        sums.append(between - start)
        fits.append(time.perf_counter() - between)
    return 1000 * float(np.median(sums)), 1000 * float(np.median(fits))


def seconds_of_loso():
    """Return the median time of three models with each mouse left out, from trials to scores."""
    rng = np.random.default_rng(0)
    columns = {
        "target_NM": "VTA-DA",
        "event": "stimOn",
        "subject": rng.integers(0, SPEED_SUBJECTS, SPEED_TRIALS),
        "contrast": rng.choice(ModelOptions().levels, SPEED_TRIALS),
        "side": rng.choice(["contra", "ipsi"], SPEED_TRIALS),
        "feedbackType": rng.choice([1, -1], SPEED_TRIALS, p=[0.8, 0.2]),
        "log_reaction_time": rng.normal(-0.5, 0.3, SPEED_TRIALS),
        "response": rng.normal(size=SPEED_TRIALS),
    }
    trials, times = pd.DataFrame(columns), []
    for _ in range(10):
        start = time.perf_counter()
        movement_loso(trials, ModelOptions(), timings=["log_reaction_time"])
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main():
    with threadpool_limits(1):
        summing, fitting = milliseconds()
        loso = seconds_of_loso()
        table = coverages()
    suited = [share for row in table.values() for share in row["suited"].values()]
    result = {
        "cohorts": N_COHORTS,
        "standard deviation of mice, of residuals": [SUBJECT_SD, 1.0],
        "coverage": table,
        "all as aimed at": AIM[0] <= min(suited) and max(suited) <= AIM[1],
        "ms to sum 11,751 trials of 12 mice, 8 terms": summing,
        "ms to fit": fitting,
        "aim, ms": SPEED_LIMIT_MS,
        "s to leave out each of 12 mice, three models": loso,
        "aim, s": LOSO_LIMIT_S,
    }
    for name, row in table.items():
        print(f"{name}: {row['at boundary']:.1%} at the boundary")
        for term in TERMS:
            print(f"  {term:<24}suited {row['suited'][term]:.4f}   plain {row['plain'][term]:.4f}")
        hardly = "mice hardly differ"
        print(
            f"  {hardly}: Intercept suited {row[f'{hardly}: suited, Intercept']:.4f}, "
            f"plain {row[f'{hardly}: plain, Intercept']:.4f}, {row[f'{hardly}: at boundary']:.1%} at the boundary"
        )
    print(f"all between {AIM[0]:.0%} and {AIM[1]:.0%}: {result['all as aimed at']}")
    print(f"{summing:.2f} ms to sum, {fitting:.2f} ms to fit; aim {SPEED_LIMIT_MS:g} ms")
    print(f"{loso:.3f} s to leave out each of {SPEED_SUBJECTS} mice from three models; aim {LOSO_LIMIT_S:g} s")
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
