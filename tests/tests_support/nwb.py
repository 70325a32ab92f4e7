"""NWB files of processed sessions: made, and read back the way a stranger would."""

import shutil
import uuid
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
from pynwb import NWBHDF5IO
from tests_support.sessions import catalogue_of

from iblnm_core.export.nwb.building import build_file
from iblnm_core.export.nwb.content import ExportedFiber, RawBand, RawPhotometry, SessionContent, Trials
from iblnm_core.export.nwb.exporting import export_session
from iblnm_core.export.nwb.reading import OUTPUTS_USED, read_session
from iblnm_core.export.nwb.writing import file_image
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.session.pipeline import process_session


class Processed:
    """A root whose only session is processed."""

    def __init__(self, folder, cache):
        self.root = create_root(folder, cache=cache)
        catalogue = catalogue_of(self.root)
        # what is made beyond that is no part of the file
        (self.task,) = catalogue.tasks(catalogue.sessions, frozenset(OUTPUTS_USED))
        self.report = process_session(self.task)

    @cached_property
    def path(self):
        """The file in the folder of the root."""
        return self.export().path

    def content(self, **row):
        """What the file is made of, with columns of the catalogue row replaced."""
        content = read_session(self.root, self.task)
        return replace(content, row={**content.row, **row})

    def export(self, **options):
        return export_session(self.root, self.task, **options)


def writable_copy(folder, target):
    shutil.copytree(folder, target, copy_function=shutil.copyfile)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


@contextmanager
def opened(path):
    """Open a file with nothing but its own library."""
    with NWBHDF5IO(str(path), "r") as reader:
        yield reader.read()


def stored(content, path):
    """Write the file of some content, and return where."""
    path.write_bytes(file_image(build_file(content)))
    return path


ROW = {
    "eid": str(uuid.UUID(int=7, version=4)),
    "subject": "mouse_7",
    "start_time": "2025-07-01T10:00:00",
    "session_type": "biased",
    "lab": "demolab",
    "task_protocol": "biasedChoiceWorld8",
    "line": "Ai148xDat",
    "strain": "B6.Cg",
    "genotype": ["Het", "Hom"],
}
"""What building takes from a catalogue row."""


def trials_of(n, **columns):
    """So many trials with what every trial table has."""
    start = np.arange(n) * 5.0
    alf = pd.DataFrame(
        {
            "intervals_0": start,
            "intervals_1": start + 4,
            "stimOn_times": start + 1,
            "feedback_times": start + 2,
            "feedbackType": 1,
            "contrastLeft": np.where(np.arange(n) % 2, 0.25, np.nan),
            "contrastRight": np.where(np.arange(n) % 2, np.nan, 0.0),
        }
    )
    return Trials(alf.assign(**columns), None)


def raw_of(rois, wavelengths=(470.0, 415.0), insertion=None, **changed):
    """A recording of ten frames per light; a value says which fibre, light and frame it is of."""
    fibers = tuple(ExportedFiber(roi, i, "VTA", "l", "VTA-DA", insertion) for i, roi in enumerate(rois))
    fibers = tuple(replace(fiber, **changed) for fiber in fibers)
    frames = np.arange(10.0)
    bands = tuple(
        RawBand(f"band{b}", w, frames + 0.1 * b, w + frames[:, None] / 100 + 1000 * np.arange(len(rois)))
        for b, w in enumerate(wavelengths)
    )
    return RawPhotometry(fibers, bands, np.empty((0, 2)), 0, ())


def content_of(raw=None, trials=None, notes=(), **row):
    """A session that was never on disk."""
    return SessionContent(
        row={**ROW, **row},
        raw=raw,
        corrected={},
        quality=pd.DataFrame(),
        trials=trials,
        wheel=None,
        verdicts={},
        provenance={},
        inputs=(),
        parameters=PRESETS["default"],
        preset="default",
        notes=notes,
    )
