"""The photometry of a simulated session as the extraction has it, in memory."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from iblnm_core.demo.camera import GCAMP, ISOSBESTIC
from iblnm_core.demo.session import SimulatedSession
from iblnm_core.errors import CorrectionUnavailable
from iblnm_core.parameters import PRESETS, Parameters
from iblnm_core.session.correcting import FiberCorrections, correct_fiber
from iblnm_core.session.photometry import Band, Recording, restrict_to_session
from iblnm_core.session.preprocessing import PreprocessedSignal


def cut_recording(session: SimulatedSession, parameters: Parameters) -> Recording:
    """Return the recording as the extraction has it, cut to the session.

    Parameters
    ----------
    session : SimulatedSession
    parameters : Parameters
    """
    frames = session.frames
    values = np.column_stack([roi.counts for roi in session.rois.values()])
    bands = {}
    for name, led in ((parameters.photometry.signal_band, GCAMP), (parameters.photometry.reference_band, ISOSBESTIC)):
        mask = (frames.led_states == led) & frames.valid
        bands[name] = Band(frames.times[mask], values[mask])
    trials = session.behaviour.trials
    intervals = pd.DataFrame({"intervals_0": trials.start, "intervals_1": trials.end})
    recording = Recording(tuple(session.rois), session.plan.subject.regions, bands, 0, 0)
    return restrict_to_session(recording, intervals, parameters.photometry)


SYNTHETIC = replace(PRESETS["default"], corrections=replace(PRESETS["default"].corrections, dark="none"))
"""The preset `default` but for the dark offset: the synthetic camera has none."""


def corrected_fibers(
    recording: Recording, parameters: Parameters
) -> Iterator[tuple[FiberCorrections, PreprocessedSignal]]:
    """Yield the corrections of each fibre, and its signal under the primary one, as the session's stages make them.

    Parameters
    ----------
    recording : Recording
        Cut to the session.
    parameters : Parameters

    Raises
    ------
    CorrectionUnavailable
        When the primary correction cannot be computed.
    """
    signal, reference = (
        recording.bands[name] for name in (parameters.photometry.signal_band, parameters.photometry.reference_band)
    )
    for place, name in enumerate(recording.rois):
        bands = [(band.times, band.values[:, place]) for band in (signal, reference)]
        found = correct_fiber(bands[0], bands[1], parameters)
        if found.signal is None:
            raise CorrectionUnavailable(f"{name}: {found.results[found.primary].message}")
        yield found, found.signal
