"""Recordings of demo sessions in memory for the encoding model, and the kernels that are planted in them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from iblnm_core.demo.behaviour import trial_columns
from iblnm_core.demo.effects import REACTION_TIME_SLOPE, TARGET_EFFECTS, TargetEffects
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.recording import SYNTHETIC, corrected_fibers, cut_recording
from iblnm_core.demo.session import simulate_session
from iblnm_core.encoding.design import ContinuousRegressor
from iblnm_core.encoding.model import EncodingModel, fit_encoding_model
from iblnm_core.encoding.terms import kernel_name
from iblnm_core.parameters import EncodingParameters
from iblnm_core.session.trials import trials_from_table
from iblnm_core.session.wheel import wheel_velocity
from iblnm_core.vocabulary import split_region

Floats = NDArray[np.float64]

_EFFECTS = {"side:contrast": "contrast_side", "contrast:reward": "contrast_reward", "baseline": "mean"}
_HALF = 0.5
"""What correct trials differ by from the mean of correct and wrong ones, in units of the effect of reward."""


@dataclass(frozen=True, eq=False)
class DemoRecording:
    """A recording after preprocessing, and the same without anything but responses to events.

    Attributes
    ----------
    region : str
        With hemisphere where there is one.
    times : ndarray of float64, (m,)
    signal : ndarray of float64, (m,)
        z.
    noise_free : ndarray of float64, (m,)
        z.
    trials : DataFrame
        Columns of the extracted trials.
    continuous : mapping of str to ContinuousRegressor
    """

    region: str
    times: Floats
    signal: Floats
    noise_free: Floats
    trials: pd.DataFrame
    continuous: Mapping[str, ContinuousRegressor]

    @property
    def target(self) -> TargetEffects:
        """What is planted."""
        return TARGET_EFFECTS[split_region(self.region)[0]]

    @property
    def hemisphere(self) -> str:
        """Of the fibre; empty on the midline."""
        return split_region(self.region)[1]

    def fit(self, parameters: EncodingParameters, *, noise_free: bool = False) -> EncodingModel:
        """Return the encoding model of the signal, or of what it would be without noise.

        Parameters
        ----------
        parameters : EncodingParameters
        noise_free : bool
        """
        signal = self.noise_free if noise_free else self.signal
        return fit_encoding_model(self.times, signal, self.trials, self.continuous, self.hemisphere, parameters)


def demo_recordings(plan: SessionPlan, seed: int) -> list[DemoRecording]:
    """Simulate a session and take its photometry and wheel through the functions of the pipeline.

    Parameters
    ----------
    plan : SessionPlan
    seed : int
        Of the cohort.

    Returns
    -------
    list of DemoRecording
        One per fibre, preset `default`.
    """
    session, parameters = simulate_session(plan, seed), SYNTHETIC
    columns = trial_columns(plan, session.behaviour.trials)
    trials = trials_from_table(pa.table(columns)).assign(goCue_times=columns["goCue_times"])
    wheel = wheel_velocity(session.wheel.timestamps, session.wheel.position, parameters.wheel)
    continuous = {"wheel_velocity": ContinuousRegressor(wheel.times, wheel.velocity)}
    fibers = corrected_fibers(cut_recording(session, parameters), parameters)
    recordings = []
    for place, (region, (_, made)) in enumerate(zip(plan.subject.regions, fibers, strict=True)):
        noise_free = np.interp(made.times, session.frames.times, session.rois[f"G{place}"].evoked)
        recordings.append(DemoRecording(region, made.times, made.values, noise_free, trials, continuous))
    return recordings


def kernel_of(model: EncodingModel, block: str) -> tuple[Floats, Floats]:
    """Return lags and coefficients of a kernel of a model.

    Parameters
    ----------
    model : EncodingModel
    block : str

    Returns
    -------
    lags : ndarray of float64, (l,)
        s.
    coefficients : ndarray of float64, (l,)
    """
    kernel, rows = kernel_name(block), model.kernels
    is_of_block = (rows["term"] == kernel.event) & (rows["level"] == kernel.level)
    chosen = rows[is_of_block & (rows["modulator"] == kernel.modulator)]
    return chosen["lag_s"].to_numpy(np.float64), chosen["coef"].to_numpy(np.float64)


def planted_kernel(target: TargetEffects, lags: Floats, width: float) -> Floats:
    """Return a planted kernel as bins see it: the mean over a bin, of events anywhere in theirs.

    Parameters
    ----------
    target : TargetEffects
    lags : ndarray of float64, (l,)
        s.
    width : float
        Of the bins, s.
    """
    offsets = np.linspace(-width, width, 401)
    weights = np.maximum(width - np.abs(offsets), 0)
    means: Floats = np.array([(target.kernel(lag + offsets) * weights).sum() for lag in lags]) / weights.sum()
    return means


def planted_gain(target: TargetEffects, block: str) -> float:
    """Return the mean effect of a modulator on the response to an event, z.

    Parameters
    ----------
    target : TargetEffects
    block : str
        Of all trials, or of those with one outcome.
    """
    kernel = kernel_name(block)
    if kernel.modulator == "log_reaction_time":
        return REACTION_TIME_SLOPE
    effect = target.effect(kernel.event)
    if effect is None:
        return 0.0
    gain = float(getattr(effect, _EFFECTS.get(kernel.modulator, kernel.modulator)))
    if not kernel.level:
        return gain
    by_outcome = effect.reward if kernel.modulator == "baseline" else effect.contrast_reward
    return gain + _HALF * float(kernel.level.partition("=")[2]) * by_outcome
