"""One session in a notebook: validate, preprocess, look. Every method is a face of what the graph calls."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from iblnm_core.corrections.normalisation import Unit
from iblnm_core.errors import IncompleteEventTimes
from iblnm_core.notebook import pictures, stored
from iblnm_core.notebook.error_log import exception_logger
from iblnm_core.notebook.loading import ByRegion, LoadedSession
from iblnm_core.session import photometry_stage, shape_stage, stages
from iblnm_core.session.blocks import BLOCK_SESSION_TYPES, judge_blocks
from iblnm_core.session.corrections_layout import corrections_part, has_primary, trace_of
from iblnm_core.session.exclusions import Exclusions
from iblnm_core.session.performance import FITTED_BLOCKS, choices_of, task_performance
from iblnm_core.session.photometry import check_trials_inside
from iblnm_core.session.psychometric import fit_psychometrics
from iblnm_core.session.raw_frames import RawCounts, check_raw_signal
from iblnm_core.session.responses import mask_after_next_event, subtract_baseline
from iblnm_core.session.signal_quality import check_unique_samples
from iblnm_core.session.trials import check_enough_trials, check_event_times
from iblnm_core.session.verdicts import Judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ESTIMATES = ("bias", "threshold", "lapse_left", "lapse_right", "r_squared", "n_trials")


class PhotometrySession(LoadedSession):
    """One session: `PhotometrySession(row, one=None, root=None, parameters=None)`.

    How it is made, its attributes, and how it is loaded and stored: `LoadedSession`. Every column of its catalogue row is an
    attribute. Data attributes start empty and are filled by methods. Methods raise typed errors (`iblnm_core.errors`), or append
    them to a list given as `exlog`.
    """

    @exception_logger
    def validate_n_trials(self) -> None:
        """Raise `InsufficientTrials` when there are too few trials."""
        with self._judging("enough_trials") as judge, judge.rule("enough_trials"):
            check_enough_trials(self._trials(), self.parameters.trials)

    @exception_logger
    def validate_event_completeness(self) -> None:
        """Raise `IncompleteEventTimes` when an event is unknown in too many trials."""
        with self._judging("event_times_complete") as judge, judge.rule("event_times_complete"):
            check_event_times(self._trials(), self.parameters.responses.events, self.parameters.trials)

    @exception_logger
    def validate_block_structure(self) -> None:
        """Raise `BlockStructureBug` or `MissingBlockInfo` when the recorded blocks are not those that the task gave."""
        trials = self._trials()
        if "probabilityLeft" not in trials:
            return
        recorded = trials.assign(probabilityLeft=trials.get("probabilityLeft_original", trials["probabilityLeft"]))
        plan, kind = self.row["planned_blocks"], self.row["session_type"]
        judged = judge_blocks(recorded, kind, plan, self.row["eid"], self.parameters.trials)
        with self._judging("block_structure") as judge:
            judge.record("block_structure", judged.errors)

    @exception_logger
    def validate_trials_in_photometry_time(self) -> None:
        """Raise `TrialsNotInPhotometryTime` when the recording does not cover all trials."""
        with self._judging("trials_in_photometry_time") as judge, judge.rule("trials_in_photometry_time"):
            check_trials_inside(self._recording(), self._trials(), self.parameters.photometry)

    @exception_logger
    def validate_qc(self) -> None:
        """Raise `BandInversion` or `EarlySamples` when the raw frames have any."""
        self._need("n_band_inversions" in self.qc, "run_raw_qc")
        of_session = self.qc.iloc[0]
        early, inversions = int(of_session["n_early_samples"]), int(of_session["n_band_inversions"])
        n_frames = 0 if self._raw_counts is None else self._raw_counts.n_frames
        counts = RawCounts(n_frames, early, inversions, 0, 0)
        required = photometry_stage.reference_required(self.parameters)
        with self._judging("raw_signal_quality") as judge:
            judge.record("raw_signal_quality", check_raw_signal(counts, reference_required=required))

    @exception_logger
    def validate_few_unique_samples(self) -> None:
        """Raise `FewUniqueSamples` when a band takes too few distinct values."""
        self._need("n_unique_samples" in self.qc and bool(self.qc["n_unique_samples"].notna().any()), "run_sliding_qc")
        known = self.qc[self.qc["n_unique_samples"].notna()]
        found = zip(known["band"], known["brain_region"], known["n_unique_samples"], strict=True)
        with self._judging("unique_samples") as judge, judge.rule("unique_samples"):
            check_unique_samples(found, self.parameters.signal_quality)

    @exception_logger
    def run_raw_qc(self) -> None:
        """Count the faults of the raw frames; `validate_qc` judges them.

        Raises
        ------
        MissingRawData, CorruptDataset, UnknownRawLayout
        """
        inputs = self._inputs("raw_frames")
        with self._judging("photometry_available") as judge:
            self._raw_counts = photometry_stage.count_raw_frames(inputs, self.parameters, judge)
        self._note_quality()

    @exception_logger
    def run_sliding_qc(self) -> None:
        """Measure the quality of all bands; `validate_few_unique_samples` judges a part of it."""
        with self._judging() as judge:
            photometry_stage.measure(self.stage, self._recording(), self.parameters, judge)
        self._note_quality()

    @exception_logger
    def preprocess(self) -> None:
        """Compute the corrections, and put the z-scored signal of the primary one on a regular grid.

        Raises
        ------
        DegenerateSignal, NoUsableSignal
        """
        recording, trials = self._recording(), self.trials if len(self.trials) else None
        with self._judging("signal_processable") as judge:
            found = photometry_stage.correct(
                recording, self.stage.fibers, trials, self.parameters, judge, self.exclusions
            )
        self.stage.keep(found)
        groups = self.groups()
        self.corrections = ByRegion((groups[index], corrections_part(index, one)) for index, one in found.items())
        self.photometry[self.preprocessed_band] = stored.signal_frame(
            {groups[index]: signal for index, signal in self.stage.signals.items()}
        )
        self._note_quality()

    def exclude(self, region: str, start_s: float, end_s: float) -> None:
        """Mark a stretch of one region's recording that no correction but `reference` may use: an artefact that a person sees.

        It counts from the next `preprocess` on, and once it is saved in every run of the pipeline.

        Parameters
        ----------
        region : str
        start_s, end_s : float
            Session clock.

        Raises
        ------
        ConfigurationError
            When the end is not after the start.
        """
        group, marked = self._marked(region)
        self.exclusions[group] = replace(marked, intervals_s=(*marked.intervals_s, (start_s, end_s)))

    def mark_step(self, region: str, time_s: float) -> None:
        """Mark where the level of one region's signal changes for good, so that its baseline is split there.

        Parameters
        ----------
        region : str
        time_s : float
            Session clock.
        """
        group, marked = self._marked(region)
        self.exclusions[group] = replace(marked, steps_s=(*marked.steps_s, time_s))

    def unmark(self, region: str) -> None:
        """Take back all that is marked in one region's recording.

        Parameters
        ----------
        region : str
        """
        group, _ = self._marked(region)
        self.exclusions[group] = Exclusions()

    def _marked(self, region: str) -> tuple[str, Exclusions]:
        group = ByRegion(dict.fromkeys(self.groups().values())).name_of(region)
        return group, self.exclusions.get(group, Exclusions())

    @exception_logger
    def trace(self, region: str, correction: str | None = None, unit: Unit = "dff") -> "pd.Series[float]":
        """Return the signal of one region under a correction, over session time (s).

        Parameters
        ----------
        region : str
        correction : str, optional
            Otherwise the primary one.
        unit : {'dff', 'z', 'z_mad', 'noise'}

        Raises
        ------
        UnknownCorrection
            When it is not stored; the message names those that are.
        CorrectionUnavailable
            When it could not be computed; the message says why.
        """
        self._need(bool(self.corrections), "preprocess")
        return trace_of(self.corrections[region], correction, unit)

    @exception_logger
    def plot_correction(self, region: str, correction: str | None = None) -> "Figure":
        """Draw one region's correction over the session: bands, baselines, what was subtracted, what is left, the fit of the slope.

        Parameters
        ----------
        region : str
        correction : str, optional
            Otherwise the primary one.

        Returns
        -------
        Figure
            Drawn from what is stored; nothing is fitted anew. A correction that could not be computed says why.
        """
        return pictures.correction(self, region, correction)

    @exception_logger
    def plot_correction_zoom(self, region: str, correction: str | None = None) -> "Figure":
        """Draw the same for the minute in which the reference moves most, and for that with the largest transients.

        Parameters
        ----------
        region : str
        correction : str, optional
            Otherwise the primary one.
        """
        return pictures.correction_zoom(self, region, correction)

    @exception_logger
    def plot_correction_comparison(self, region: str) -> "Figure":
        """Draw the mean responses of one region under every stored correction, and what its reference does."""
        return pictures.correction_comparison(self, region)

    @exception_logger
    def plot_transients(self, region: str) -> "Figure":
        """Draw the transients of one region, in its primary correction: where, which course, how large, how often."""
        return pictures.transients(self, region)

    @exception_logger
    def response_measures(self, region: str) -> pd.DataFrame:
        """Return the shape of every response of one region in its primary correction: a row per event and trial.

        Columns: those of the session file's part `measures`, see the data dictionary; sizes are relative change.
        """
        _, found = self._dff_responses(region)
        measured = shape_stage.measure_responses(found, self.parameters)
        return shape_stage.measure_rows(shape_stage.measures_part(0, found, measured)).drop(columns="fiber_idx")

    @exception_logger
    def mean_response_measures(self, region: str) -> pd.DataFrame:
        """Return the shape of the mean responses of one region, with 95 % intervals: a row per event, condition and measure."""
        group, found = self._dff_responses(region)
        return shape_stage.mean_measures(found, self._trials(), (self.row["eid"], group), self.parameters)

    @exception_logger
    def region_pairs(self) -> pd.DataFrame:
        """Return how the signals of every two fibres go together, in their primary corrections: a row per pair."""
        self._need(bool(self.corrections), "preprocess")
        known = {group: part for group, part in self.corrections.items() if has_primary(part)}
        return shape_stage.pair_rows(known, self._trials(), self.row["eid"], self.parameters)

    def _dff_responses(self, region: str) -> tuple[str, shape_stage.DffResponses]:
        self._need(bool(self.corrections), "preprocess")
        group = self.corrections.name_of(region)
        found = shape_stage.dff_responses(self.corrections[group], self._trials(), self.parameters)
        if found is None:
            raise IncompleteEventTimes("no event is complete, so that there are no responses")
        return group, found

    @exception_logger
    def extract_responses(self, events: Sequence[str] | None = None) -> None:
        """Cut the corrected signal around events; one that is unknown in too many trials is left out.

        Parameters
        ----------
        events : sequence of str, optional
            Columns of the trials; otherwise those of the parameters.
        """
        self._need(self.preprocessed_band in self.photometry, "preprocess")
        signals, trials = self.photometry[self.preprocessed_band], self._trials()
        wanted = replace(self.parameters.responses, events=tuple(events or self.parameters.responses.events))
        found = stages.make_responses(
            {place: (signals.index.to_numpy(), signals[name].to_numpy()) for place, name in enumerate(signals)},
            trials,
            replace(self.parameters, responses=wanted),
        )
        self.responses = ByRegion((signals.columns[place], one.to_xarray()) for place, one in found.items())

    def subtract_baseline(self, responses: xr.DataArray, window_s: tuple[float, float] | None = None) -> xr.DataArray:
        """Return responses of one region less the mean of each trial over a window before the event.

        Parameters
        ----------
        responses : DataArray, (event, trial, time)
        window_s : tuple of float, optional
            Start (included) and end (excluded); otherwise `magnitudes.baseline_window_s` of the parameters.
        """
        window = window_s or self.parameters.magnitudes.baseline_window_s
        return subtract_baseline(stored.responses_of(responses), window).to_xarray()

    def mask_subsequent_events(self, responses: xr.DataArray, event_order: Sequence[str]) -> xr.DataArray:
        """Return responses of one region, not a number from a trial's next event on.

        Parameters
        ----------
        responses : DataArray, (event, trial, time)
        event_order : sequence of str
            Events in the order they have in a trial.
        """
        return mask_after_next_event(stored.responses_of(responses), self._trials(), event_order).to_xarray()

    def basic_performance(self) -> dict[str, Any]:
        """Return the fractions of correct choices and of trials without choice, and the fit to the unbiased block."""
        row = self._performance()
        names = ("fraction_correct", "fraction_correct_easy", "nogo_fraction")
        return {name: row[name] for name in names} | _fit_of(row, "psych_50")

    def block_performance(self) -> dict[str, Any]:
        """Return the fits by block, and the bias shift; empty for a session without blocks."""
        row = self._performance()
        fits: dict[str, Any] = {}
        for prefix in FITTED_BLOCKS:
            if row[f"{prefix}_status"] is not None:
                fits |= _fit_of(row, prefix)
        biased = row["psych_20_status"] is not None and row["psych_80_status"] is not None
        has_blocks = self.row["session_type"] in BLOCK_SESSION_TYPES
        return fits | ({"bias_shift": row["bias_shift"]} if biased else {}) if has_blocks else {}

    def fit_psychometric(self, probability_left: float | None = None) -> dict[str, Any]:
        """Return the psychometric function of the session, or of the trials of one block probability."""
        trials = self._trials()
        chosen = np.ones(len(trials), bool)
        if probability_left is not None:
            chosen = trials["probabilityLeft"].to_numpy() == probability_left
        counts = choices_of(trials, chosen, self.parameters.psychometric)
        (fit,) = fit_psychometrics([counts], self.parameters.psychometric)
        return {name: getattr(fit, name) for name in _ESTIMATES}

    def _performance(self) -> dict[str, Any]:
        parameters = self.parameters
        return task_performance(
            self._trials(), self.row["session_type"], parameters.performance, parameters.psychometric
        )

    def _note_quality(self) -> None:
        rows = photometry_stage.quality_rows(
            self.stage,
            self._raw_counts,
            self.row["brain_region"],
            self._loaded,
            self.parameters,
            Judge(dict(self.verdicts)),
        )
        if rows is not None:
            self.qc = rows


def _fit_of(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}_{name}": row[f"{prefix}_{name}"] for name in _ESTIMATES}
