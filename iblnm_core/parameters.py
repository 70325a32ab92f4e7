"""Every number or choice that shapes a result, as frozen dataclasses, and the presets. Those of cohorts stand in `cohort_parameters`.

No other module knows a preset by name: decisions come to functions as parameters.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from iblnm_core.cohort_parameters import (
    AnalysisParameters,
    FigureParameters,
    ModellingParameters,
    RigWatchParameters,
    SelectionParameters,
    TaskEncodingParameters,
)
from iblnm_core.correction_parameters import (
    CorrectionParameters,
    MeasureParameters,
    RegionPairParameters,
    TransientParameters,
)


@dataclass(frozen=True)
class MetadataParameters:
    """What counts as doubtful about a session's metadata."""

    midline_and_bilateral_fibers: Literal["known", "missing"] = "known"
    """Fibres that the table has on the midline or on both sides: on record, or reported as missing insertions."""
    over_midnight: Literal["accepted", "invalid"] = "accepted"
    """Sessions that end on another day than they started."""


@dataclass(frozen=True)
class FiberParameters:
    """Implanted fibres."""

    midline_um: float = 100.0
    """A fibre that ends no farther from the midline is on it."""


@dataclass(frozen=True)
class TrialParameters:
    """Trials: how many, and how complete."""

    minimum_trials: int = 90
    """Fewer trials than this stop the responses."""
    minimum_event_completeness: float = 0.9
    """Smallest share of trials (0-1) in which a response event must be known."""
    minimum_block_length: int = 10
    """A shorter block, the last one aside, is doubtful."""
    doubtful_blocks_without_plan: Literal["unknown", "as_recorded"] = "unknown"
    """Block probabilities of a session whose blocks are doubtful and cannot be repaired."""


@dataclass(frozen=True)
class PhotometryParameters:
    """Loading of the extracted signal."""

    signal_band: str = "GCaMP"
    reference_band: str = "Isosbestic"
    seconds_before_first_trial: float = 5.0
    """Signal kept before the first trial starts."""
    seconds_after_last_trial: float = 5.0
    """Signal kept after the last trial ends."""
    session_bounds: Literal["finite_extremes", "first_and_last_trial"] = "finite_extremes"
    """Session start and end: extremes of the known trial intervals, or those of the first and last row."""
    invalid_frames: Literal["missing", "used"] = "missing"
    """Frames that the extraction marks as outside the synchronised range: left out, or used like the others."""
    band_pairing: Literal["time", "position"] = "time"
    """Whether signal and reference samples are paired by interpolation in time or by their position."""


@dataclass(frozen=True)
class RawQualityParameters:
    """Raw frames."""

    early_sample_tolerance_s: float = 0.001
    """A frame interval shorter than the median by more than this counts as early."""


@dataclass(frozen=True)
class SignalQualityParameters:
    """Metrics of the recorded bands in sliding windows."""

    window_s: float = 120.0
    step_s: float = 60.0
    value: Literal["windows", "windows_and_whole"] = "windows"
    """A metric's value: mean over the windows, or over the windows and the whole recording as one more."""
    unique_samples: Literal["raw_median", "detrended_mean"] = "raw_median"
    """Share of distinct samples: median over windows of the recorded values, or like the other metrics."""
    minimum_unique_samples: float = 0.05
    """Smallest share of distinct samples (0-1) that raises no warning."""


@dataclass(frozen=True)
class BleachingFitParameters:
    """The exponential that describes how fast a recording bleaches; it corrects nothing."""

    bin_s: float = 1.0
    """The band is averaged in bins of this length before the fit."""
    shortest_tau_s: float = 10.0
    longest_tau_recordings: float = 5.0
    """Longest time constant that is told from a straight line, in lengths of the recording."""


@dataclass(frozen=True)
class PreprocessingParameters:
    """From raw bands to one corrected, z-scored signal on a regular grid."""

    bleaching_cutoff_hz: float = 0.01
    bleaching_filter_order: int = 3
    bleaching_padding_s: float | None = 100.0
    """Odd extension at either edge before filtering; null for the filter library's own (a few samples)."""
    sampling_rate_hz: float = 30.0
    longest_bridged_gap_s: float | None = 0.5
    """The signal is unknown inside longer gaps between samples; null to interpolate across any."""


@dataclass(frozen=True)
class ResponseParameters:
    """Peri-event responses."""

    events: tuple[str, ...] = ("stimOn_times", "firstMovement_times", "feedback_times")
    window_s: tuple[float, float] = (-1.0, 1.0)
    """Start (included) and end (excluded) relative to the event."""
    alignment: Literal["interpolated", "next_sample"] = "interpolated"
    """Signal interpolated at event + k / rate, or taken from the first sample at or after the event on."""


@dataclass(frozen=True)
class MagnitudeParameters:
    """From a response to one number."""

    baseline_window_s: tuple[float, float] = (-0.1, 0.0)
    """Start (included) and end (excluded) relative to the event."""
    early_window_s: tuple[float, float] = (0.1, 0.35)
    """The response is its mean over this window."""
    pre_event_window_s: tuple[float, float] = (-0.4, -0.1)
    """What came before the event is the mean over this window, of everything that was recorded."""


@dataclass(frozen=True)
class VectorParameters:
    """Response vectors of recordings, and the matrix of them."""

    trials: Literal["modelled", "all"] = "modelled"
    """Those that models use, or all, whatever the block and whether a choice was made."""
    events: tuple[str, ...] = ("stimOn_times", "feedback_times")
    minimum_trials: int = 1
    """A condition with fewer trials has no value."""
    largest_missing_share: float = 0.3
    """Conditions without value in more of the recordings (0-1) are left out of analyses of the matrix."""


@dataclass(frozen=True)
class PsychometricParameters:
    """Fits of the psychometric function."""

    no_go_trials: Literal["left_out", "not_right"] = "left_out"
    """Trials without a choice: left out, or counted as not rightward."""
    minimum_levels: int = 4
    """With fewer contrast levels there is no fit: it has four parameters."""
    bias_bounds: tuple[float, float] = (-50.0, 50.0)
    """Percent contrast."""
    threshold_bounds: tuple[float, float] = (10.0, 50.0)
    """Percent contrast."""
    lapse_bounds: tuple[float, float] = (0.0, 0.2)

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """Lower and upper bound of bias, threshold, lapse to the right and lapse to the left."""
        return self.bias_bounds, self.threshold_bounds, self.lapse_bounds, self.lapse_bounds


@dataclass(frozen=True)
class PerformanceParameters:
    """How well the mouse does the task."""

    easy_contrast: float = 50.0
    """Trials of at least this contrast (percent) are easy."""
    unbiased_fit: Literal["after_repair", "before_repair"] = "after_repair"
    """Whether the fit to the unbiased block uses the repaired blocks or those recorded."""
    minimum_block_trials: int = 10
    """Fewer trials of one probability get no fit."""


@dataclass(frozen=True)
class WheelParameters:
    """From the wheel's position to its velocity in every trial."""

    sampling_rate_hz: float = 100.0
    cutoff_hz: float = 20.0
    filter_order: int = 8
    alignment: Literal["interpolated", "next_sample"] = "interpolated"
    """Velocity interpolated at stimulus + k / rate, or taken from the first sample at or after the stimulus on."""
    completeness: Literal["own_end", "longest_trial"] = "own_end"
    """A trial must be recorded to its own end, or for as long as the longest trial."""
    times: Literal["float64", "float32"] = "float64"
    """Precision of the sample times."""


@dataclass(frozen=True)
class VideoParameters:
    """Quality of the video."""

    largest_length_discrepancy_s: float = 120.0
    """Length of the video and of the session must differ by less."""
    warning_score: float = 0.66
    fail_score: float = 0.33
    critical_score: float = 0.0
    """What an outcome counts in the score (0-1); PASS counts 1."""


@dataclass(frozen=True)
class EncodingParameters:
    """The signal of one recording as a sum of responses to events and continuous regressors."""

    bin_width_s: float = 0.1
    window_s: tuple[float, float] = (-2.5, 2.5)
    """Lags of a kernel relative to its event, start included, end excluded."""
    blocks: tuple[str, ...] = (
        "stimOn_times|baseline",
        "stimOn_times|side",
        "stimOn_times|contrast",
        "stimOn_times|side:contrast",
        "stimOn_times|log_reaction_time",
        "firstMovement_times|baseline",
        "firstMovement_times|choice",
        "feedback_times|feedbackType=1|baseline",
        "feedback_times|feedbackType=1|contrast",
        "feedback_times|feedbackType=-1|baseline",
        "feedback_times|feedbackType=-1|contrast",
    )
    """Kernels: `event|modulator`, or `event|column=value|modulator` for those trials only. A modulator is `baseline`, a trial variable or a
    product such as `side:contrast`."""
    tonic: tuple[str, ...] = ()
    """Trial columns that hold throughout their trial."""
    contrast_coding: Literal["log", "linear", "rank", "log2"] = "rank"
    contrasts: tuple[float, ...] = (0.0, 6.25, 12.5, 25.0, 100.0)
    """Contrasts of the task, percent; ranks count among these."""
    basis: Literal["fir", "raised_cosine"] = "fir"
    """A kernel is free at every lag, or a sum of bumps that widen from the event to the end of the window."""
    n_bumps: int = 10
    bump_offset_s: float = 0.2
    """The larger, the more even are the widths of the bumps."""
    longest_bridged_gap_s: float = 0.5
    """Continuous regressors are interpolated across gaps no longer than this; in longer ones they are unknown."""
    n_folds: int = 5
    """At least 3."""
    penalty_range: tuple[float, float] = (1e-3, 1e3)
    n_penalties: int = 10
    """From the smallest to the largest in equal ratios."""

    @property
    def penalties(self) -> tuple[float, ...]:
        """Penalties of the ridge to choose from, increasing."""
        smallest, largest = self.penalty_range
        steps = (step / max(self.n_penalties - 1, 1) for step in range(self.n_penalties))
        return tuple(smallest * (largest / smallest) ** step for step in steps)


@dataclass(frozen=True)
class NwbParameters:
    """Files in the format NWB; no result depends on it."""

    inspection: Literal["on", "off"] = "on"
    """Whether the graph holds files against best practices, where the inspector is installed."""
    experiment_description: str = (
        "Fibre photometry of neuromodulatory neurons while mice make perceptual decisions in the task of the International Brain "
        "Laboratory."
    )
    keywords: tuple[str, ...] = ("fiber photometry", "decision making", "mouse", "International Brain Laboratory")
    publications: tuple[str, ...] = ("https://doi.org/10.7554/eLife.63711",)


@dataclass(frozen=True)
class Parameters:
    """The whole parameter set of a root."""

    metadata: MetadataParameters = field(default_factory=MetadataParameters)
    fibers: FiberParameters = field(default_factory=FiberParameters)
    trials: TrialParameters = field(default_factory=TrialParameters)
    photometry: PhotometryParameters = field(default_factory=PhotometryParameters)
    raw_quality: RawQualityParameters = field(default_factory=RawQualityParameters)
    signal_quality: SignalQualityParameters = field(default_factory=SignalQualityParameters)
    bleaching_fit: BleachingFitParameters = field(default_factory=BleachingFitParameters)
    preprocessing: PreprocessingParameters = field(default_factory=PreprocessingParameters)
    corrections: CorrectionParameters = field(default_factory=CorrectionParameters)
    transients: TransientParameters = field(default_factory=TransientParameters)
    region_pairs: RegionPairParameters = field(default_factory=RegionPairParameters)
    responses: ResponseParameters = field(default_factory=ResponseParameters)
    magnitudes: MagnitudeParameters = field(default_factory=MagnitudeParameters)
    response_measures: MeasureParameters = field(default_factory=MeasureParameters)
    vectors: VectorParameters = field(default_factory=VectorParameters)
    psychometric: PsychometricParameters = field(default_factory=PsychometricParameters)
    performance: PerformanceParameters = field(default_factory=PerformanceParameters)
    wheel: WheelParameters = field(default_factory=WheelParameters)
    video: VideoParameters = field(default_factory=VideoParameters)
    encoding: EncodingParameters = field(default_factory=EncodingParameters)
    selection: SelectionParameters = field(default_factory=SelectionParameters)
    modelling: ModellingParameters = field(default_factory=ModellingParameters)
    analyses: AnalysisParameters = field(default_factory=AnalysisParameters)
    task_encoding: TaskEncodingParameters = field(default_factory=TaskEncodingParameters)
    rig_watch: RigWatchParameters = field(default_factory=RigWatchParameters)
    figures: FigureParameters = field(default_factory=FigureParameters)
    nwb: NwbParameters = field(default_factory=NwbParameters)

    def digest(self, sections: tuple[str, ...]) -> str:
        """Return a short hash of the named sections, equal exactly when all their values are."""
        values = {name: dataclasses.asdict(getattr(self, name)) for name in sections}
        text = json.dumps(values, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


PRESETS: Mapping[str, Parameters] = MappingProxyType(
    {
        "default": Parameters(),
        "reference": Parameters(
            metadata=MetadataParameters(midline_and_bilateral_fibers="missing", over_midnight="invalid"),
            trials=TrialParameters(doubtful_blocks_without_plan="as_recorded"),
            photometry=PhotometryParameters(
                session_bounds="first_and_last_trial", band_pairing="position", invalid_frames="used"
            ),
            signal_quality=SignalQualityParameters(
                value="windows_and_whole", unique_samples="detrended_mean", minimum_unique_samples=0.1
            ),
            preprocessing=PreprocessingParameters(bleaching_padding_s=None, longest_bridged_gap_s=None),
            corrections=CorrectionParameters(primary="reference", stored=(), dark="none"),
            responses=ResponseParameters(alignment="next_sample"),
            magnitudes=MagnitudeParameters(baseline_window_s=(-0.2, 0.0)),
            vectors=VectorParameters(trials="all"),
            psychometric=PsychometricParameters(no_go_trials="not_right", minimum_levels=1),
            performance=PerformanceParameters(easy_contrast=0.5, unbiased_fit="before_repair"),
            wheel=WheelParameters(alignment="next_sample", completeness="longest_trial", times="float32"),
            video=VideoParameters(fail_score=0.0, critical_score=0.33),
            encoding=EncodingParameters(
                blocks=(
                    "stimOn_times|baseline",
                    "stimOn_times|side",
                    "stimOn_times|contrast",
                    "stimOn_times|side:contrast",
                    "firstMovement_times|baseline",
                    "firstMovement_times|choice",
                    "response_times|baseline",
                    "response_times|choice",
                    "feedback_times|feedbackType=1|baseline",
                    "feedback_times|feedbackType=1|contrast",
                    "feedback_times|feedbackType=-1|baseline",
                    "feedback_times|feedbackType=-1|contrast",
                ),
                contrast_coding="linear",
            ),
            selection=SelectionParameters(duplicates="kept", artefact_sessions="used"),
            modelling=ModellingParameters(unknown_hemisphere="left"),
            analyses=AnalysisParameters(donors_of_same_mouse="used"),
        ),
    }
)
"""`default`: the documented methods with their defects mended. `reference`: the numbers of the reference pipeline."""
