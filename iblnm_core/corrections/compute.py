"""Computing a correction from its steps. What a step does stands in its own module."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from iblnm_core.corrections.baselines import Course, block_means, block_places, change_of, course_of
from iblnm_core.corrections.control_fit import fit_control
from iblnm_core.corrections.motion import Motion, fit_motion
from iblnm_core.corrections.normalisation import centre_and_scale
from iblnm_core.corrections.result import Corrected, FitRecord, Status
from iblnm_core.corrections.robust import median
from iblnm_core.corrections.spectral import predicted_motion
from iblnm_core.corrections.steps import (
    Baseline,
    ControlFit,
    Correction,
    LowPass,
    MonotoneBaseline,
    MotionFit,
    SpectralGain,
)
from iblnm_core.corrections.traces import Traces
from iblnm_core.errors import (
    AllSamplesMasked,
    ConstantSignal,
    CorrectionError,
    DegenerateDenominator,
    MissingEpoch,
    MissingReference,
)

Array = NDArray[np.float64]

SKIPPING = (MissingReference, MissingEpoch)
"""What is missing is no fault of the recording: such corrections count as skipped, the others as failed."""

LEAST_DENOMINATOR = 0.2
"""What a signal is divided by must stay above this share of its median."""
_RECORD_HZ = 10.0


def correct_all(traces: Traces, corrections: Iterable[Correction]) -> dict[str, Corrected]:
    """Return the results of several corrections by name; they share what they have in common.

    Parameters
    ----------
    traces : Traces
    corrections : iterable of Correction
    """
    return {correction.name: correct(traces, correction) for correction in corrections}


def correct(traces: Traces, correction: Correction) -> Corrected:
    """Correct one fibre; see `docs/methods/corrections.md`.

    Parameters
    ----------
    traces : Traces
        See `traces.prepare`.
    correction : Correction

    Returns
    -------
    Corrected
        With status `skipped` where something it needs was not given, `failed` where the arithmetic ends; the reason is
        the name of the error. Nothing falls back on another correction.
    """
    n_masked = int(np.count_nonzero(~traces.kept))
    try:
        if correction.needs_reference and traces.reference is None:
            raise MissingReference("there is no reference band")
        if any(isinstance(step, MonotoneBaseline) and step.needs_epoch and not step.epoch for step in correction.steps):
            raise MissingEpoch("no baseline epoch was given")
        traces.require_samples()
        _require_change(traces, correction)
        dff, fit = _computed(traces, correction)
        dff[traces.output_mask != 0] = np.nan
        if not np.isfinite(np.diff(dff)).any():
            raise AllSamplesMasked("no two neighbouring samples are left beside masked ones")
        statistics = [centre_and_scale(dff, unit) for unit in ("z", "z_mad", "noise")]
    except CorrectionError as error:
        status: Status = "skipped" if isinstance(error, SKIPPING) else "failed"
        return Corrected(
            correction, status, type(error).__name__, str(error), n_samples=len(traces.times), n_masked=n_masked
        )
    (mean, sd), (median, mad), (_, noise) = statistics
    return Corrected(
        correction, "ok", None, None, traces.times, dff, fit, mean, sd, median, mad, noise, len(dff), n_masked
    )


def _require_change(traces: Traces, correction: Correction) -> None:
    for name in ("signal", "reference") if correction.needs_reference else ("signal",):
        if np.ptp(traces.channel(name)) == 0:
            raise ConstantSignal(f"the {name} band is constant")


def _computed(traces: Traces, correction: Correction) -> tuple[Array, FitRecord]:
    first, *others = correction.steps
    if isinstance(first, ControlFit) and not others:
        return _by_control(traces, first)
    if isinstance(first, ControlFit | MotionFit | SpectralGain) or len(others) > 1:
        raise TypeError(f"{correction.name}: expected a baseline and at most one motion step, or a control fit alone")
    course = course_of(traces, "signal", first)
    record = FitRecord(
        rebound=course.rebound,
        tau_s=course.tau_s,
        denominator_ratio=_denominator_ratio(course.at_samples, "signal", first),
        extrapolation=_extrapolation(traces, first),
        baseline_times=course.times,
        baseline_signal=course.values,
    )
    change = change_of(traces, "signal", first)
    if not others:
        return change.copy(), record
    record = _with_reference(record, course_of(traces, "reference", first), first)
    (step,) = others
    if isinstance(step, SpectralGain):
        predicted = predicted_motion(traces, first, step)
        times, subtracted = _at_ten_hz(traces, predicted)
        return change - predicted, dataclasses.replace(record, motion_times=times, motion=subtracted)
    if not isinstance(step, MotionFit):
        raise TypeError(f"{correction.name}: expected a motion step after the baseline, found {type(step).__name__}")
    motion = fit_motion(traces, first, step)
    return change - motion.subtracted, _with_motion(record, traces, motion)


def _with_reference(record: FitRecord, course: Course, step: Baseline) -> FitRecord:
    _denominator_ratio(course.at_samples, "reference", step)
    assert record.baseline_times is not None
    values = np.interp(record.baseline_times, course.times, course.values)
    return dataclasses.replace(record, baseline_reference=values)


def _with_motion(record: FitRecord, traces: Traces, motion: Motion) -> FitRecord:
    times, subtracted = _at_ten_hz(traces, motion.subtracted)
    return dataclasses.replace(
        record,
        slope=motion.slope,
        intercept=motion.intercept,
        slope_clipped=motion.slope_clipped,
        slope_ols=motion.slope_ols,
        reference_r=motion.reference_r,
        iterations=motion.iterations,
        scale=motion.scale,
        motion_times=times,
        motion=subtracted,
        weight=_weights_at(traces, times, motion.weight_places, motion.weights),
    )


def _at_ten_hz(traces: Traces, values: Array) -> tuple[Array, Array]:
    """Return times and means of about a tenth of a second each."""
    size = max(1, round(traces.rate_hz / _RECORD_HZ))
    means = block_means(values, size)
    places = block_places(len(means), size)
    return np.interp(places, np.arange(len(traces.times)), traces.times), means


def _weights_at(traces: Traces, times: Array, places: Array | None, weights: Array | None) -> Array | None:
    if places is None or weights is None:
        return None
    return np.interp(times, np.interp(places, np.arange(len(traces.times)), traces.times), weights)


def _by_control(traces: Traces, step: ControlFit) -> tuple[Array, FitRecord]:
    control = fit_control(traces, step)
    fitted = control.fitted
    ratio = _denominator_ratio(fitted, "signal", step)
    slope, _, constant = (float(value) for value in control.fit.coefficients)
    about = control.smooth_reference - control.smooth_reference.mean()
    times, moved = _at_ten_hz(traces, slope * about / fitted)
    seconds = np.arange(0, len(fitted), max(1, round(traces.rate_hz)))
    record = FitRecord(
        slope=slope,
        intercept=constant,
        slope_ols=float(control.fit.least_squares[0]),
        iterations=control.fit.iterations,
        scale=control.fit.scale,
        tau_s=control.tau_s,
        denominator_ratio=ratio,
        baseline_times=traces.times[seconds],
        baseline_signal=fitted[seconds],
        motion_times=times,
        motion=moved,
        weight=_weights_at(traces, times, control.weight_places, control.fit.weights),
    )
    return traces.channel("signal") / fitted - 1, record


def _denominator_ratio(denominator: Array, name: str, step: Baseline | ControlFit) -> float:
    # the preprocessing step divides by whatever is positive
    least = 0.0 if isinstance(step, LowPass) else LEAST_DENOMINATOR
    usual = median(denominator)
    ratio = float(denominator.min()) / usual if usual > 0 else -np.inf
    if not ratio > least:
        raise DegenerateDenominator(
            f"what the {name} is divided by falls to {ratio:.2f} of its median; expected above {least:g}"
        )
    return ratio


def _extrapolation(traces: Traces, step: Baseline) -> float | None:
    if not isinstance(step, MonotoneBaseline) or step.epoch is None:
        return None
    within = np.count_nonzero((traces.times >= step.epoch[0]) & (traces.times < step.epoch[1]))
    return len(traces.times) / within
