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
    NoUsableSignal,
    SessionError,
)
from iblnm_core.parameters import Parameters
from iblnm_core.rules import RULES
from iblnm_core.schemas import QC_PHOTOMETRY
from iblnm_core.session.bleaching import BleachingFit, fit_bleaching
from iblnm_core.session.correcting import FiberCorrections, correct_fiber, correction_errors
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.layout import fiber_groups
from iblnm_core.session.outputs import DATASET_NAMES
from iblnm_core.session.photometry import (
    SIGNAL_COLUMNS,
    Recording,
    check_trials_inside,
    match_regions,
    recording_from_tables,
    restrict_to_session,
    roi_columns,
)
from iblnm_core.session.preprocessing import PreprocessedSignal, check_processable
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


@dataclass(frozen=True)
class Fiber:
    """One recorded fibre: its column in the signal, its place in the catalogue row, its name."""

    column: int
    fiber_idx: int
    region: str


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
            result.keep(correct(result.recording, result.fibers, trials, parameters, judge))
    result.quality = quality_rows(result, counts, regions, recording, parameters, judge)
    return result


def matched_fibers(recording: Recording, regions: Sequence[str]) -> tuple[Fiber, ...]:
    """Return the fibres of a recording with their places in the catalogue row; errors as `match_regions`."""
    # a session without regions in its row still has those of its signal
    named = regions or recording.regions
    matched = match_regions(recording.regions, regions)
    return tuple(Fiber(column, index, named[index]) for column, index in enumerate(matched))


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
    judge.record("raw_signal_quality", check_raw_signal(counts))
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
        recording = recording_from_tables(signal, inputs.table("locations"), parameters.photometry)
        if not recording.rois:
            raise CorruptDataset(f"{DATASET_NAMES['locations']}: no ROI; expected one row per fibre")
    return recording


def correct(
    recording: Recording, fibers: Sequence[Fiber], trials: pd.DataFrame | None, parameters: Parameters, judge: Judge
) -> dict[int, FiberCorrections]:
    """Return the corrections of every fibre by its index; none at all when the bands of one are no signals.

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
    """
    names = parameters.photometry.signal_band, parameters.photometry.reference_band
    bands = [recording.bands[name] for name in names]
    errors: list[SessionError] = []
    for fiber in fibers:
        try:
            for name, band in zip(names, bands, strict=True):
                check_processable(name, band.times, band.values[:, fiber.column], parameters.preprocessing)
        except DegenerateSignal as error:
            message = f"{DATASET_NAMES['signal']}: {fiber.region}: {error.message}"
            errors.append(DegenerateSignal(message, measured=error.measured, threshold=error.threshold))
    corrected: dict[int, FiberCorrections] = {}
    if not errors:
        known = [event for event in parameters.responses.events if trials is not None and event in trials]
        events = {} if trials is None else {event: trials[event].to_numpy(np.float64) for event in known}
        for fiber in fibers:
            signal, reference = ((b.times, np.ascontiguousarray(b.values[:, fiber.column])) for b in bands)
            dark = recording.dark[:, fiber.column] if recording.dark.size else None
            corrected[fiber.fiber_idx] = correct_fiber(signal, reference, parameters, dark, events)
        _judge_corrections(fibers, corrected, judge)
        if all(found.signal is None for found in corrected.values()):
            wanted = parameters.corrections.primary
            errors.append(
                NoUsableSignal(f"correction {wanted} could be computed for no fibre, see corrections_computed")
            )
    judge.record("signal_processable", errors)
    return corrected


def _judge_corrections(fibers: Sequence[Fiber], found: Mapping[int, FiberCorrections], judge: Judge) -> None:
    """Record what is to be said about the corrections of all fibres, each under its rule."""
    # two fibres in one region have names of their own
    names = fiber_groups({fiber.fiber_idx: fiber.region for fiber in fibers})
    errors = correction_errors({names[index]: corrections for index, corrections in found.items()})
    for rule in RULES.values():
        if rule.asset == "corrections":
            own = tuple(consequence.error for consequence in rule.consequences)
            judge.record(rule.name, [error for error in errors if isinstance(error, own)])


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
        "verdict": _verdict_text(judge),
    }
    rows = []
    for fiber_idx, region in fibers:
        of_signal_band = _of_signal_band(result, fiber_idx)
        for band in bands:
            measured = result.metrics.get((fiber_idx, band))
            row: dict[str, Any] = {"band": band, "brain_region": region, "fiber_idx": fiber_idx, **session_values}
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
