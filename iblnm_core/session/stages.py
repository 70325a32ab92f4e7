"""The stages of one session in memory, each from inputs to results and verdicts. Storing them is `pipeline`'s business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.errors import CorruptDataset, MissingExtractedData, MissingRawData
from iblnm_core.parameters import Parameters
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.photometry import (
    SIGNAL_COLUMNS,
    Recording,
    check_trials_inside,
    match_regions,
    recording_from_tables,
    restrict_to_session,
    roi_columns,
)
from iblnm_core.session.preprocessing import PreprocessedSignal, preprocess
from iblnm_core.session.raw_frames import (
    RAW_COLUMNS,
    RawCounts,
    check_led_states,
    check_raw_signal,
    count_raw_faults,
    is_known_layout,
    raw_frames_from_table,
)
from iblnm_core.session.responses import Responses, extract_responses
from iblnm_core.session.trials import TRIAL_COLUMNS as TRIAL_INPUT_COLUMNS
from iblnm_core.session.trials import (
    check_enough_trials,
    check_event_times,
    incomplete_events,
    trials_from_table,
)
from iblnm_core.session.verdicts import Judge

DATASET_NAMES = {
    "trials_table": "_ibl_trials.table.pqt",
    "raw_task": "_iblrig_taskData.raw.jsonable",
    "signal": "photometry.signal.pqt",
    "locations": "photometryROI.locations.pqt",
    "raw_frames": "_neurophotometrics_fpData.raw.pqt",
}


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
    signals: dict[int, PreprocessedSignal] = field(default_factory=dict)
    """Corrected signals by fibre index."""
    quality: pd.DataFrame | None = None


def load_trials(inputs: SessionInputs, parameters: Parameters, judge: Judge) -> pd.DataFrame | None:
    """Load and judge the trials; None when there are none to be had."""
    trials = None
    with judge.rule("trials_available"):
        _require(inputs, "trials_table", "raw_task")
        trials = trials_from_table(inputs.table("trials_table", TRIAL_INPUT_COLUMNS))
    if trials is None:
        return None
    with judge.rule("enough_trials"):
        check_enough_trials(trials, parameters.trials)
    with judge.rule("event_times_complete"):
        check_event_times(trials, parameters.responses.events, parameters.trials)
    return trials


def process_photometry(
    inputs: SessionInputs,
    regions: Sequence[str],
    trials: pd.DataFrame | None,
    parameters: Parameters,
    judge: Judge,
) -> Photometry:
    """Load, judge and preprocess the photometry of a session.

    Parameters
    ----------
    inputs : SessionInputs
    regions : sequence of str
        Brain regions of the catalogue row, by fibre index.
    trials : DataFrame or None
        Without trials the raw frames are still judged.
    parameters, judge
        Decisions; and who gets the verdicts.
    """
    result = Photometry()
    counts = _judge_raw_frames(inputs, parameters, judge)
    recording = _load_recording(inputs, parameters, judge)
    if recording is not None:
        with judge.rule("region_mapping"):
            matched = match_regions(recording.regions, regions)
            named = regions or recording.regions
            result.fibers = tuple(Fiber(column, index, named[index]) for column, index in enumerate(matched))
    if recording is not None and trials is not None and result.fibers:
        with judge.rule("trials_in_photometry_time"):
            result.recording = restrict_to_session(recording, trials, parameters.photometry)
            check_trials_inside(result.recording, trials, parameters.photometry)
    if result.recording is not None and "preprocessed_signal" not in judge.stopped:
        result.signals = _correct(result.recording, result.fibers, parameters, judge)
    result.quality = _quality_rows(result, counts, regions, recording, parameters, judge)
    return result


def make_responses(
    signals: Mapping[int, tuple[np.ndarray, np.ndarray]], trials: pd.DataFrame, parameters: Parameters
) -> dict[int, Responses]:
    """Return the peri-event responses of every fibre; events that are not complete are left out.

    Parameters
    ----------
    signals : mapping of fibre index to (times (n,) float64 in s, values (n,) float64 in z)
    trials : DataFrame
    parameters : Parameters
    """
    incomplete = incomplete_events(trials, parameters.responses.events, parameters.trials)
    events = tuple(event for event in parameters.responses.events if event not in incomplete)
    if not events:
        return {}
    return {
        index: extract_responses(times, values, trials, events, parameters.responses)
        for index, (times, values) in signals.items()
    }


def _require(inputs: SessionInputs, kind: str, raw: str) -> None:
    """Grade the absence of an extracted dataset by whether its raw counterpart exists."""
    if not inputs.paths(kind):
        if not inputs.paths(raw):
            raise MissingRawData(DATASET_NAMES[raw])
        raise MissingExtractedData(DATASET_NAMES[kind])


def _judge_raw_frames(inputs: SessionInputs, parameters: Parameters, judge: Judge) -> RawCounts | None:
    """Count the faults of the raw frames; None when they cannot be read."""
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


def _load_recording(inputs: SessionInputs, parameters: Parameters, judge: Judge) -> Recording | None:
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


def _correct(
    recording: Recording, fibers: Sequence[Fiber], parameters: Parameters, judge: Judge
) -> dict[int, PreprocessedSignal]:
    signal = recording.bands[parameters.photometry.signal_band]
    reference = recording.bands[parameters.photometry.reference_band]
    corrected: dict[int, PreprocessedSignal] = {}
    with judge.rule("signal_processable"):
        for fiber in fibers:
            corrected[fiber.fiber_idx] = preprocess(
                signal.times,
                signal.values[:, fiber.column],
                reference.times,
                reference.values[:, fiber.column],
                parameters.preprocessing,
                parameters.photometry.band_pairing,
            )
    return corrected if "preprocessed_signal" not in judge.stopped else {}


def _quality_rows(
    result: Photometry,
    counts: RawCounts | None,
    regions: Sequence[str],
    recording: Recording | None,
    parameters: Parameters,
    judge: Judge,
) -> pd.DataFrame | None:
    """Return one row per (fibre, band) of what is known, also for a session that fails; None when nothing is."""
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
        corrected = result.signals.get(fiber_idx)
        for band in bands:
            is_signal = band == parameters.photometry.signal_band
            iso_correlation = corrected.iso_correlation if corrected and is_signal else np.nan
            row = {"band": band, "brain_region": region, "fiber_idx": fiber_idx, "iso_correlation": iso_correlation}
            rows.append(row | session_values)
    return pd.DataFrame(rows).sort_values(["fiber_idx", "band"], ignore_index=True) if rows else None


def _verdict_text(judge: Judge) -> str:
    """Return the fatal errors found in the recording, or `ok`."""
    types = [
        finding.error_type
        for verdict in judge.verdicts.values()
        if verdict.asset in {"photometry_qc", "preprocessed_signal"} and verdict.fatal
        for finding in verdict.findings
    ]
    return " ".join(dict.fromkeys(types)) or "ok"
