"""Stored numbers of the parity sessions: what the library's functions gave when they were written.

Made anew by `cd tests && python -m tests_support.parity`, in an environment whose ibl-photometry is to be compared with.
"""

import hashlib
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
from tests_support.oracle import EVENTS, METRICS, oracle_of

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.presets import parity_plans

STORED = Path(__file__).parents[1] / "data" / "parity.h5"
EVERY, N_TRIALS = 100, 3
INPUTS = ("alf/task_00/_ibl_trials.table.pqt", "alf/photometry/photometry.signal.pqt")


def digest_of(folder):
    """Return a hash of the numbers in a session's inputs, whatever the way they are written."""
    digest = hashlib.blake2b(digest_size=16)
    for path in INPUTS:
        table = pq.read_table(folder / path)
        for name in sorted(table.column_names):
            column = table.column(name).to_numpy()
            if column.dtype != object:
                digest.update(name.encode() + np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def write_numbers(target):
    """Generate the sessions and store what the library makes of them."""
    with tempfile.TemporaryDirectory() as folder, h5py.File(target, "w") as file:
        cohort = write_cohort(Path(folder) / "cache", parity_plans())
        file.attrs["ibl-photometry"] = version("ibl-photometry")
        for eid, plan in cohort.plans.items():
            session = cohort.cache / plan.key.folder
            oracle = oracle_of(session)
            group = file.create_group(eid)
            group.attrs.update({"inputs": digest_of(session), **oracle.counts})
            quality = oracle.quality()
            for region, signal in oracle.signals.items():
                of_region = group.create_group(region)
                of_region.attrs["iso_correlation"] = oracle.iso_correlation(region)
                of_region["times"] = signal.index.to_numpy()[::EVERY]
                of_region["signal"] = signal.to_numpy()[::EVERY]
                for event in EVENTS:
                    if event in oracle.trials:
                        of_region[event] = oracle.responses(region, event)[:N_TRIALS]
                for band in ("GCaMP", "Isosbestic"):
                    of_region[band] = quality.loc[(band, region), list(METRICS)].to_numpy(np.float64)


if __name__ == "__main__":
    write_numbers(STORED)
    sys.stdout.write(f"{STORED}: {STORED.stat().st_size} bytes\n")
