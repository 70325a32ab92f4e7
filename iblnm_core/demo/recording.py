"""The photometry of a simulated session as the extraction has it, in memory."""

import numpy as np
import pandas as pd

from iblnm_core.demo.camera import GCAMP, ISOSBESTIC
from iblnm_core.demo.session import SimulatedSession
from iblnm_core.parameters import Parameters
from iblnm_core.session.photometry import Band, Recording, restrict_to_session


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
