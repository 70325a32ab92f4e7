"""The named corrections. A correction is data: a name and its steps. Nothing is computed here."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.corrections.steps import (
    ControlFit,
    Correction,
    Epoch,
    LowPass,
    MonotoneBaseline,
    MotionFit,
    RobustLowpass,
    SpectralGain,
)
from iblnm_core.parameters import PreprocessingParameters

_PLAIN = MotionFit(norm="ols", fit_cutoff_hz=None, reference_cutoff_hz=None, nonnegative=False, subtract_intercept=True)
_EPOCH = MonotoneBaseline(rebound=False, needs_epoch=True)

NAMED: Mapping[str, Correction] = MappingProxyType(
    {
        correction.name: correction
        for correction in (
            Correction("reference", (LowPass(padding_s=None), _PLAIN)),
            Correction("robust", (RobustLowpass(), MotionFit())),
            Correction("dff_exp", (MonotoneBaseline(), MotionFit(fit_highpass_hz=0.01))),
            Correction("control_fit", (ControlFit(),)),
            Correction("no_reference", (RobustLowpass(),)),
            Correction("no_reference_exp", (MonotoneBaseline(),)),
            Correction("epoch_fit", (_EPOCH, MotionFit(fit_highpass_hz=0.01))),
            Correction("spectral", (RobustLowpass(), SpectralGain())),
        )
    }
)
"""Corrections by name; `epoch_fit` needs an epoch first, see `with_epoch`."""


def with_epoch(correction: Correction, epoch: Epoch) -> Correction:
    """Return a correction whose baseline and slope are estimated from one epoch.

    Parameters
    ----------
    correction : Correction
    epoch : (float, float)
        Start (included) and end (excluded), s, session clock.
    """
    steps = (
        dataclasses.replace(step, epoch=epoch) if isinstance(step, MonotoneBaseline | MotionFit) else step
        for step in correction.steps
    )
    return Correction(correction.name, tuple(steps))


def reference_like(parameters: PreprocessingParameters) -> Correction:
    """Return the correction `reference` with the low-pass that the preprocessing step of a session has.

    Parameters
    ----------
    parameters : PreprocessingParameters
    """
    lowpass = LowPass(parameters.bleaching_cutoff_hz, parameters.bleaching_filter_order, parameters.bleaching_padding_s)
    return Correction("reference", (lowpass, _PLAIN))


def recipe(name: str, parameters: PreprocessingParameters) -> Correction:
    """Return a named correction as a session has it.

    Parameters
    ----------
    name : str
    parameters : PreprocessingParameters
        Of the low-pass of `reference`.
    """
    return reference_like(parameters) if name == "reference" else NAMED[name]
