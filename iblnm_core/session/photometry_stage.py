"""The photometry stage of one session in memory: load, judge, measure and correct the signals of all fibres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.errors import (
    CorruptDataset,
    DegenerateSignal,
    MissingExtractedData,
    MissingRawData,
    MissingReference,
    NoUsableSignal,
    SessionError,
)
from iblnm_core.parameters import Parameters
from iblnm_core.rules import RULES
from iblnm_core.schemas import QC_PHOTOMETRY
from iblnm_core.session.bleaching import BleachingFit, fit_bleaching
from iblnm_core.session.correcting import FiberCorrections, correct_fiber, correction_errors
from iblnm_core.session.datasets import DATASET_NAMES
from iblnm_core.session.exclusions import Exclusions
from iblnm_core.session.fiber_signals import (
    Fiber,
    band_problems,
    band_samples,
    fiber_names,
    has_clock,
    matched_fibers,
)
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.photometry import (
    SIGNAL_COLUMNS,
    Recording,
    check_trials_inside,
    recording_from_tables,
    restrict_to_session,
    roi_columns,
)
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.session.raw_frames import (
    RAW_COLUMNS,
    RawCounts,
    check_led_states,
    check_raw_signal,
    count_raw_faults,
    is_known_layout,
    raw_frames_from_table,
)
from iblnm_core.session.signal_quality import BandQuality, band_quality, check_unique_samples
from iblnm_core.session.timing import StepTimes
from iblnm_core.session.verdicts import Judge


@dataclass
class Photometry:
    """What the photometry stage made, as far as it got."""

    fibers: tuple[Fiber, ...] = ()
    recording: Recording | None = None
    corrections: dict[int, FiberCorrections] = field(default_factory=dict)
    """All corrections by fibre index."""
    signals: dict[int, PreprocessedSignal] = field(default_factory=dict)
    """Those of the primary correction by fibre index."""
    metrics: dict[tuple[int, str], BandQuality] = field(default_factory=dict)
    """Metrics by fibre index and band."""
    bleaching: dict[int, BleachingFit] = field(default_factory=dict)
    """Exponentials through the signal band by fibre index."""
    quality: pd.DataFrame | None = None

    def keep(self, corrections: dict[int, FiberCorrections]) -> None:
        """Take over corrections, and the signals of the primary one as far as it could be computed."""
        self.corrections = corrections
        found = {index: one.signal for index, one in corrections.items()}
        self.signals = {index: signal for index, signal in found.items() if signal is not None}


def process_photometry(
    inputs: SessionInputs,
    regions: Sequence[str],
    trials: pd.DataFrame | None,
    parameters: Parameters,
    judge: Judge,
    times: StepTimes,
    exclusions: Mapping[str, Exclusions] | None = None,
) -> Photometry:
    """Load, judge and preprocess the photometry of a session.

    Parameters
    ----------
    inputs : SessionInputs
    regions : sequence of str
        Brain regions of the catalogue row, by fibre index.
    trials : DataFrame or None
        Without trials the raw frames are still judged.
    parameters, judge, times
        Decisions; who gets the verdicts; and where to note the seconds per step.
    exclusions : mapping of str to Exclusions, optional
        What a person marked, by name of the fibre.
    """
    result = Photometry()
    with times.step("raw_frames"):
        counts = count_raw_frames(inputs, parameters, judge)
    with times.step("load"):
        recording = load_recording(inputs, parameters, judge)
    if recording is not None:
        with judge.rule("region_mapping"):
            result.fibers = matched_fibers(recording, regions)
    if recording is not None and trials is not None and result.fibers:
        with judge.rule("trials_in_photometry_time"):
            result.recording = restrict_to_session(recording, trials, parameters.photometry)
            check_trials_inside(result.recording, trials, parameters.photometry)
    if result.recording is not None:
        with times.step("signal_quality"):
            measure(result, result.recording, parameters, judge)
    if result.recording is not None and "corrections" not in judge.stopped:
        with times.step("preprocess"):
            result.keep(correct(result.recording, result.fibers, trials, parameters, judge, exclusions))
    result.quality = quality_rows(result, counts, regions, recording, parameters, judge)
    return result


def measure(result: Photometry, recording: Recording, parameters: Parameters, judge: Judge) -> None:
    """Add the metrics of every band that lies in the session at all, and judge them.

    Parameters
    ----------
    result : Photometry
        Gets the metrics of its fibres.
    recording : Recording
        Cut to the session.
    parameters : Parameters
    judge : Judge
        Gets the verdict.
    """
    for fiber in result.fibers:
        for name, band in recording.bands.items():
            if len(band.times) >= 3:
                values = np.ascontiguousarray(band.values[:, fiber.column])
                result.metrics[fiber.fiber_idx, name] = band_quality(band.times, values, parameters.signal_quality)
                if name == parameters.photometry.signal_band:
                    result.bleaching[fiber.fiber_idx] = fit_bleaching(band.times, values, parameters.bleaching_fit)
    regions = {fiber.fiber_idx: fiber.region for fiber in result.fibers}
    found = [(band, regions[index], m.values["n_unique_samples"]) for (index, band), m in result.metrics.items()]
    with judge.rule("unique_samples"):
        check_unique_samples(found, parameters.signal_quality)


def count_raw_frames(inputs: SessionInputs, parameters: Parameters, judge: Judge) -> RawCounts | None:
    """Count the faults of the raw frames; None when they cannot be read.

    Parameters
    ----------
    inputs : SessionInputs
    parameters : Parameters
    judge : Judge
        Gets the verdicts.
    """
    counts = None
    with judge.rule("photometry_available"):
        if not inputs.paths("raw_frames"):
            raise MissingRawData(DATASET_NAMES["raw_frames"])
        # an unknown layout is read whole, to say which columns were found
        known = is_known_layout(inputs.columns("raw_frames"))
        table = inputs.table("raw_frames", RAW_COLUMNS if known else None)
        counts = count_raw_faults(raw_frames_from_table(table), parameters.raw_quality)
    if counts is None:
        return None
    with judge.rule("led_states"):
        check_led_states(counts)
    judge.record("raw_signal_quality", check_raw_signal(counts, reference_required=reference_required(parameters)))
    return counts


def load_recording(inputs: SessionInputs, parameters: Parameters, judge: Judge) -> Recording | None:
    """Load the extracted signal, not yet cut to the session; None when it is not to be had.

    Parameters
    ----------
    inputs : SessionInputs
    parameters : Parameters
    judge : Judge
        Gets the verdict.
    """
    recording = None
    if not inputs.paths("raw_frames") and not inputs.paths("signal"):
        # the missing raw frames are on record already, and nothing could have been extracted from them
        return None
    with judge.rule("photometry_available"):
        for kind in ("signal", "locations"):
            if not inputs.paths(kind):
                raise MissingExtractedData(DATASET_NAMES[kind])
        names = inputs.columns("signal")
        wanted = [*SIGNAL_COLUMNS, *roi_columns(names)]
        signal = inputs.table("signal", wanted, dictionary=["name"] if "name" in names else [])
        recording = recording_from_tables(
            signal, inputs.table("locations"), parameters.photometry, reference_required=reference_required(parameters)
        )
        if not recording.rois:
            raise CorruptDataset(f"{DATASET_NAMES['locations']}: no ROI; expected one row per fibre")
    return recording


def reference_required(parameters: Parameters) -> bool:
    """Whether a dead fibre or an unusable reference band costs a session its signal, as published.

    Parameters
    ----------
    parameters : Parameters
    """
    return parameters.corrections.primary == "reference"


def correct(
    recording: Recording,
    fibers: Sequence[Fiber],
    trials: pd.DataFrame | None,
    parameters: Parameters,
    judge: Judge,
    exclusions: Mapping[str, Exclusions] | None = None,
) -> dict[int, FiberCorrections]:
    """Return the corrections of every fibre by its index; none at all when the bands are no signals.

    A fibre whose signal is constant has corrections that failed, and one whose reference band is constant, too short or
    missing has those that do without; but where `reference` is the primary correction, either costs the session its signal.

    Parameters
    ----------
    recording : Recording
        Cut to the session.
    fibers : sequence of Fiber
    trials : DataFrame or None
        Whose events the reference may respond to.
    parameters : Parameters
    judge : Judge
        Gets the verdicts.
    exclusions : mapping of str to Exclusions, optional
        What a person marked, by name of the fibre.
    """
    bands = parameters.photometry.signal_band, parameters.photometry.reference_band
    of_signal, of_reference = (band_problems(recording, fibers, name, parameters) for name in bands)
    # of a dead fibre it is enough to say that it is dead
    problems: list[SessionError] = [error for _, error in sorted({**of_reference, **of_signal}.items())]
    if problems and (reference_required(parameters) or not has_clock(recording.bands[bands[0]], parameters)):
        judge.record("signal_processable", problems)
        return {}
    known = [event for event in parameters.responses.events if trials is not None and event in trials]
    events = {} if trials is None else {event: trials[event].to_numpy(np.float64) for event in known}
    names, marked = fiber_names(fibers), exclusions or {}
    corrected: dict[int, FiberCorrections] = {}
    for fiber in fibers:
        signal, reference = (band_samples(recording, name, fiber) for name in bands)
        assert signal is not None
        dark = recording.dark[:, fiber.column] if recording.dark.size else None
        usable = None if fiber.fiber_idx in of_reference else reference
        corrected[fiber.fiber_idx] = correct_fiber(
            signal, usable, parameters, dark, events, marked.get(names[fiber.fiber_idx])
        )
    living = {index: found for index, found in corrected.items() if index not in of_signal}
    dead = [
        DegenerateSignal(f"{error.message}; the fibre is left out", measured=error.measured, threshold=error.threshold)
        for error in of_signal.values()
    ]
    missing = [error.message for index, error in of_reference.items() if index in living]
    missing += [recording.missing_reference] if recording.missing_reference is not None else []
    _judge_corrections(fibers, living, [*dead, *map(MissingReference, missing)], judge)
    _judge_signals(corrected, parameters, judge)
    return corrected


def _judge_corrections(
    fibers: Sequence[Fiber],
    found: Mapping[int, FiberCorrections],
    problems: Sequence[SessionError],
    judge: Judge,
) -> None:
    """Record what is to be said about the corrections of all fibres, each under its rule."""
    names = fiber_names(fibers)
    errors = [*problems, *correction_errors({names[index]: corrections for index, corrections in found.items()})]
    for rule in RULES.values():
        if rule.asset == "corrections":
            own = tuple(consequence.error for consequence in rule.consequences)
            judge.record(rule.name, [error for error in errors if isinstance(error, own)])


def _judge_signals(found: Mapping[int, FiberCorrections], parameters: Parameters, judge: Judge) -> None:
    """Record whether any fibre has a signal."""
    errors = []
    if all(corrections.signal is None for corrections in found.values()):
        wanted = parameters.corrections.primary
        errors.append(NoUsableSignal(f"correction {wanted} could be computed for no fibre, see corrections_computed"))
    judge.record("signal_processable", errors)


def quality_rows(
    result: Photometry,
    counts: RawCounts | None,
    regions: Sequence[str],
    recording: Recording | None,
    parameters: Parameters,
    judge: Judge,
) -> pd.DataFrame | None:
    """Return one row per (fibre, band) of what is known, also for a session that fails; None when nothing is.

    Parameters
    ----------
    result : Photometry
    counts : RawCounts or None
    regions : sequence of str
        Brain regions of the catalogue row, by fibre index.
    recording : Recording or None
    parameters : Parameters
    judge : Judge
        Knows the verdicts so far.
    """
    if counts is None and recording is None:
        return None
    fibers = [(fiber.fiber_idx, fiber.region) for fiber in result.fibers] or list(enumerate(regions))
    bands = (parameters.photometry.signal_band, parameters.photometry.reference_band)
    session_values: dict[str, Any] = {
        # not a number where the raw frames could not be read
        "n_band_inversions": np.nan if counts is None else counts.n_band_inversions,
        "n_early_samples": np.nan if counts is None else counts.n_early_samples,
        "n_gap_frames": np.nan if counts is None else counts.n_gap_frames,
        "n_gaps": np.nan if counts is None else counts.n_gaps,
        "n_invalid_samples": np.nan if recording is None else recording.n_invalid_samples,
        "n_stray_frames": np.nan if recording is None else recording.n_stray_frames,
    }
    verdict = _verdict_text(judge)
    rows = []
    for fiber_idx, region in fibers:
        of_signal_band = _of_signal_band(result, fiber_idx)
        lost = fiber_idx in result.corrections and fiber_idx not in result.signals
        own = {"fiber_idx": fiber_idx, "verdict": NoUsableSignal.__name__ if lost and verdict == "ok" else verdict}
        for band in bands:
            measured = result.metrics.get((fiber_idx, band))
            row: dict[str, Any] = {"band": band, "brain_region": region, **own, **session_values}
            row |= {} if measured is None else measured.columns()
            row |= of_signal_band if band == parameters.photometry.signal_band else {}
            rows.append(row)
    return _typed(rows).sort_values(["fiber_idx", "band"], ignore_index=True) if rows else None


def _typed(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return quality rows as a frame with the columns of their table, also those that no row has a value for."""
    columns = {}
    for column in QC_PHOTOMETRY.columns:
        values = [row.get(column.name) for row in rows]
        if column.kind == "text":
            columns[column.name] = np.array(values, object)
        elif column.kind == "integer" and not any(value is None or np.isnan(value) for value in values):
            columns[column.name] = np.array(values, np.int64)
        else:
            columns[column.name] = np.array(values, np.float64)
    return pd.DataFrame(columns).drop(columns="eid")


def _of_signal_band(result: Photometry, fiber_idx: int) -> dict[str, Any]:
    """Return what a quality row has for the signal band only."""
    corrected, bleaching = result.corrections.get(fiber_idx), result.bleaching.get(fiber_idx)
    row: dict[str, Any] = {}
    if corrected is not None:
        row["iso_correlation"] = corrected.iso_correlation
        row |= {} if corrected.diagnostics is None else corrected.diagnostics.measures
    if bleaching is not None:
        row |= {
            "bleaching_amplitude": bleaching.amplitude,
            "bleaching_fit": bleaching.verdict,
            "bleaching_r_squared": bleaching.r_squared,
            "bleaching_tau": bleaching.tau_s,
        }
    return row


def _verdict_text(judge: Judge) -> str:
    """Return the fatal errors found in the recording, or `ok`."""
    types = [
        finding.error_type
        for verdict in judge.verdicts.values()
        if verdict.asset in {"photometry_qc", "preprocessed_signal"} and verdict.fatal
        for finding in verdict.findings
    ]
    return " ".join(dict.fromkeys(types)) or "ok"
