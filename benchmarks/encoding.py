"""The encoding model of one recording of an hour, all blocks left out in turn: one core, imports warm, nothing read or written.

Run `python benchmarks/encoding.py`. Each model is fitted in a process of its own, so that its peak memory is its own. Prints a table and
writes it to `benchmarks/results/encoding.json`.
"""

import argparse
import dataclasses
import json
import multiprocessing
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from iblnm_core.parameters import EncodingParameters

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from tests_support.encoding_model import hour_recordings  # noqa: E402 - after the path is there

RESULTS = Path(__file__).parent / "results" / "encoding.json"
LIMIT_S = 0.5
DEFAULT = EncodingParameters()
THIRTEEN = dataclasses.replace(DEFAULT, blocks=("goCue_times|baseline", *DEFAULT.blocks))
MODELS = {
    "12 blocks of 50 lags, wheel": (DEFAULT, 1),
    "13 blocks of 50 lags, wheel": (THIRTEEN, 1),
    "13 blocks of 50 lags, 10 continuous": (THIRTEEN, 10),
    "12 blocks of 10 bumps, wheel": (dataclasses.replace(DEFAULT, basis="raised_cosine"), 1),
}


def measure(name, repeats, answers):
    """Fit a model several times and put seconds and memory (MB) before and at the peak into a queue."""
    parameters, n_continuous = MODELS[name]
    recording = next(iter(hour_recordings().values()))
    wheel, random = recording.continuous["wheel_velocity"], np.random.default_rng(0)
    for place in range(1, n_continuous):
        recording.continuous[f"noise_{place}"] = wheel._replace(values=random.normal(size=len(wheel.times)))
    seconds = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with threadpool_limits(1):
        # the first one imports what is imported where it is used
        for _ in range(repeats + 1):
            start = time.perf_counter()
            model = recording.fit(parameters)
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    [fit] = model.fit.to_dict("records")
    answers.put((seconds[1:], before, peak, fit["n_rows"], fit["n_features"]))


def of_model(name, repeats):
    """Return what was measured of a model."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=measure, args=(name, repeats, answers))
    process.start()
    seconds, before, peak, n_rows, n_features = answers.get(timeout=300)
    process.join()
    return {
        "median_s": statistics.median(seconds),
        "least_s": min(seconds),
        "before_mb": before,
        "peak_mb": peak,
        "n_rows": n_rows,
        "n_features": n_features,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    found = {name: of_model(name, repeats) for name in MODELS}
    headers = ("rows", "columns", "median, s", "least, s", "aim, s", "MB before", "MB peak")
    print(f"{'':<38}" + "".join(f"{header:>12}" for header in headers))
    for name, of in found.items():
        cells = (
            f"{of['n_rows']:d}",
            f"{of['n_features']:d}",
            f"{of['median_s']:.3f}",
            f"{of['least_s']:.3f}",
            f"{LIMIT_S:.1f}",
            f"{of['before_mb']:.0f}",
            f"{of['peak_mb']:.0f}",
        )
        print(f"{name:<38}" + "".join(f"{cell:>12}" for cell in cells))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
