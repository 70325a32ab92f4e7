"""Recordings for tests of what came before the stimulus, from frames of trials."""

import numpy as np

from iblnm_core.analyses.baseline_coding import TRIAL_VARIABLES, BaselineRecording, prepare_trials


def prepared(frame, minimum_reaction_time_s=0.05):
    """Prepare the trials of a frame, whatever order they are in."""
    ordered = frame.sort_values("trial", kind="stable")
    trials = {name: ordered[name].to_numpy(np.float64) for name in TRIAL_VARIABLES}
    return prepare_trials(trials, minimum_reaction_time_s)


def recording_of(frame, eid, subject, target_NM, brain_region="VTA"):
    """Return the recording of a frame; what is wrong with its trials is its error."""
    try:
        trials, error = prepared(frame), None
    except (KeyError, ValueError) as wrong:
        trials, error = None, f"prep: {type(wrong).__name__}: {wrong}"
    return BaselineRecording(eid, 0, subject, target_NM, brain_region, trials, error)
