"""Recordings of the demo cohort in memory for the encoding model, and what is planted in them."""

import dataclasses

import numpy as np
import pyarrow as pa

from iblnm_core.demo.behaviour import trial_columns
from iblnm_core.demo.effects import TARGET_EFFECTS
from iblnm_core.demo.presets import hour_plans
from iblnm_core.demo.recovery import _cut_recording
from iblnm_core.demo.session import simulate_session
from iblnm_core.encoding.design import ContinuousRegressor
from iblnm_core.encoding.model import fit_encoding_model
from iblnm_core.parameters import PRESETS
from iblnm_core.session.preprocessing import preprocess
from iblnm_core.session.trials import trials_from_table
from iblnm_core.session.wheel import wheel_velocity
from iblnm_core.vocabulary import split_region

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


@dataclasses.dataclass
class DemoRecording:
    """A recording after preprocessing, and the same without anything but responses to events."""

    region: str
    times: np.ndarray
    signal: np.ndarray
    noise_free: np.ndarray
    trials: object
    continuous: dict

    @property
    def target(self):
        return TARGET_EFFECTS[split_region(self.region)[0]]

    def fit(self, parameters, *, noise_free=False):
        signal = self.noise_free if noise_free else self.signal
        hemisphere = split_region(self.region)[1]
        return fit_encoding_model(self.times, signal, self.trials, self.continuous, hemisphere, parameters)


def demo_recordings(plan, seed):
    """Simulate a session and take its photometry and wheel through the functions of the pipeline."""
    session, parameters = simulate_session(plan, seed), PRESETS["default"]
    columns = trial_columns(plan, session.behaviour.trials)
    trials = trials_from_table(pa.table(columns)).assign(goCue_times=columns["goCue_times"])
    wheel = wheel_velocity(session.wheel.timestamps, session.wheel.position, parameters.wheel)
    continuous = {"wheel_velocity": ContinuousRegressor(wheel.times, wheel.velocity)}
    bands = _cut_recording(session, parameters).bands
    signal, reference = bands[parameters.photometry.signal_band], bands[parameters.photometry.reference_band]
    recordings = []
    for place, region in enumerate(plan.subject.regions):
        arrays = (signal.times, signal.values[:, place], reference.times, reference.values[:, place])
        made = preprocess(*arrays, parameters.preprocessing, parameters.photometry.band_pairing)
        noise_free = np.interp(made.times, session.frames.times, session.rois[f"G{place}"].evoked)
        recordings.append(DemoRecording(region, made.times, made.values, noise_free, trials, continuous))
    return recordings


def hour_recordings():
    """Both recordings of the session of real length."""
    [plan] = hour_plans()
    return {recording.region: recording for recording in demo_recordings(plan, 1)}


def kernel_of(model, block):
    """Lags (s) and coefficients of a kernel."""
    term, *level, modulator = block.split("|")
    rows = model.kernels
    chosen = (rows["term"] == term) & (rows["level"] == "".join(level)) & (rows["modulator"] == modulator)
    return rows.loc[chosen, "lag_s"].to_numpy(), rows.loc[chosen, "coef"].to_numpy()


def planted_kernel(target, lags, width):
    """A kernel as bins see it: the mean over a bin, of events anywhere in theirs."""
    offsets = np.linspace(-width, width, 401)
    weights = np.maximum(width - np.abs(offsets), 0)
    return np.array([(target.kernel(lag + offsets) * weights).sum() for lag in lags]) / weights.sum()


def planted_gain(target, block):
    """The mean effect of a modulator on the response to an event, z."""
    event, modulator = block.split("|")
    if modulator == "log_reaction_time":
        return -0.6
    name = {"baseline": "mean", "side:contrast": "contrast_side", "contrast:reward": "contrast_reward"}
    effect = target.effect(event)
    return 0.0 if effect is None else getattr(effect, name.get(modulator, modulator))


def similarity(model, recording, block, width):
    """Correlation of an estimated kernel with the planted one, and its gain in units of the planted shape."""
    lags, found = kernel_of(model, block)
    planted = planted_kernel(recording.target, lags, width)
    return np.corrcoef(planted, found)[0, 1], found @ planted / (planted @ planted)
