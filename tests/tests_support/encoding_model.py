"""Recordings of the demo cohort in memory for the encoding model, and how like the planted kernels estimated ones are."""

import numpy as np

from iblnm_core.demo.planted_kernels import demo_recordings, kernel_of, planted_kernel
from iblnm_core.demo.presets import hour_plans

PLANTED_BLOCKS = (
    "stimOn_times|baseline",
    "stimOn_times|side",
    "stimOn_times|contrast",
    "stimOn_times|side:contrast",
    "stimOn_times|log_reaction_time",
    "firstMovement_times|baseline",
    "firstMovement_times|choice",
    "feedback_times|baseline",
    "feedback_times|reward",
    "feedback_times|contrast",
    "feedback_times|contrast:reward",
)
"""What the generator adds up."""


def hour_recordings():
    """Both recordings of the session of real length."""
    [plan] = hour_plans()
    return {recording.region: recording for recording in demo_recordings(plan, 1)}


def similarity(model, recording, block, width):
    """Correlation of an estimated kernel with the planted one, and its gain in units of the planted shape."""
    lags, found = kernel_of(model, block)
    planted = planted_kernel(recording.target, lags, width)
    return np.corrcoef(planted, found)[0, 1], found @ planted / (planted @ planted)
