"""The NWB file of a 1-hour session with two fibres: seconds, memory, bytes, and reads of a reader that opens it.

Run with `python benchmarks/nwb.py`. Prints a table and writes it to `benchmarks/results/nwb.json`; exits with 1 when a
budget is passed.
"""

import io
import json
import multiprocessing
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sessions import catalogue_of
from threadpoolctl import threadpool_limits

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.presets import hour_plans
from iblnm_core.root import create_root
from iblnm_core.session.pipeline import process_session

RESULTS = Path(__file__).parent / "results" / "nwb.json"
REPEATS = 5
PAGE_BUFFER_BYTES = 2**20
LIMITS = {"export_s": 3.0, "first_export_s": None, "peak_memory_mb": 600.0, "size_mb": 15.0, "reads_to_open": 50}


class CountedFile(io.FileIO):
    """A file that counts how often it is read, as each read is a request when a file lies on a server."""

    n_reads = 0

    def readinto(self, buffer):
        """Read and count."""
        self.n_reads += 1
        return super().readinto(buffer)


def measure(root, task, answers):
    """Put seconds, peak memory and size of exports into a queue; imports of the first one are in its seconds."""
    from iblnm_core.export.nwb.exporting import export_folder, export_session

    seconds = []
    with threadpool_limits(1):
        for _ in range(REPEATS + 1):
            shutil.rmtree(export_folder(root), ignore_errors=True)
            start = time.perf_counter()
            exported = export_session(root, task)
            seconds.append(time.perf_counter() - start)
            assert exported.outcome == "written"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put((seconds[0], statistics.median(seconds[1:]), memory, exported.size_bytes, exported.path))


def reads_to_open(path):
    """Return how many reads it takes to open a file with a buffer of pages."""
    import h5py
    from pynwb import NWBHDF5IO

    with (
        CountedFile(path) as counted,
        h5py.File(counted, "r", page_buf_size=PAGE_BUFFER_BYTES) as file,
        NWBHDF5IO(file=file, mode="r") as reader,
    ):
        reader.read()
        return counted.n_reads


def main():
    """Measure, print, keep."""
    with tempfile.TemporaryDirectory() as folder:
        root = create_root(Path(folder) / "root", cache=write_cohort(Path(folder) / "cache", hour_plans()).cache)
        catalogue = catalogue_of(root)
        (task,) = catalogue.tasks(catalogue.sessions)
        assert not process_session(task).failed
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        # a process of its own, so that its peak memory is its own
        process = context.Process(target=measure, args=(root, task, answers))
        process.start()
        first_s, export_s, memory_mb, size_bytes, path = answers.get(timeout=300)
        process.join()
        found = {
            "export_s": round(export_s, 2),
            "first_export_s": round(first_s, 2),
            "peak_memory_mb": round(memory_mb),
            "size_mb": round(size_bytes / 1e6, 1),
            "reads_to_open": reads_to_open(path),
        }
    for name, value in found.items():
        limit = LIMITS[name]
        print(f"{name:<16}{value:>10}" + ("" if limit is None else f"  limit {limit:g}"))
    RESULTS.write_text(json.dumps({"measured": found, "limits": LIMITS}, indent=1) + "\n")
    sys.exit(any(limit is not None and found[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    main()
