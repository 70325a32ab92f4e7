"""The registry of validation rules: which errors each can raise, what they stop, and whether they block analysis.

Checks, documentation and blocker sets are made from it. Nothing here computes anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from iblnm_core.errors import (
    AllSamplesMasked,
    AmbiguousRegionMapping,
    BandInversion,
    BaselineRebound,
    BlockStructureBug,
    ConstantSignal,
    CorruptDataset,
    DarkOffsetImplausible,
    DataNotListed,
    DegenerateDenominator,
    DegenerateSignal,
    EarlySamples,
    EventLockedReference,
    FewUniqueSamples,
    FitMethodSensitive,
    FlatSteps,
    HemisphereMismatch,
    IncompleteEventTimes,
    InsufficientTrials,
    InvalidBrainRegion,
    InvalidExtendedQC,
    InvalidLine,
    InvalidNeuromodulator,
    InvalidSessionLength,
    InvalidSessionType,
    InvalidStrain,
    InvalidSubject,
    InvalidTargetNM,
    LedStateGap,
    LowReferenceCorrelation,
    LowSignalToNoise,
    MaskedSamples,
    MissingBlockInfo,
    MissingBrainRegion,
    MissingExtractedData,
    MissingHemisphere,
    MissingHemiSuffix,
    MissingInsertion,
    MissingLP,
    MissingMotionEnergy,
    MissingRawData,
    MissingReference,
    MissingRegionSource,
    MissingVideoTimestamps,
    MultipleCollections,
    NegativeReferenceSlope,
    NMMismatch,
    NoisyReference,
    NoUsableSignal,
    ReferenceContaminated,
    ResidualBleaching,
    ResidualReference,
    SessionError,
    SignalNotFinite,
    SignalWrongType,
    StrongBleaching,
    SubjectNotUnique,
    TooShortForBaseline,
    TransientsNotSeparable,
    TrialsNotInPhotometryTime,
    TrueDuplicateSession,
    UnexpectedError,
    UnknownRawLayout,
    VideoDroppedFramesQCError,
    VideoFrameCountMismatch,
    VideoLengthError,
    VideoPinStateQCError,
    VideoTimestampsQCError,
)
from iblnm_core.session.outputs import OF_RESPONSES


class Severity(StrEnum):
    """How much an error weighs for the session it belongs to."""

    FATAL = "fatal"
    ADVISORY = "advisory"


@dataclass(frozen=True)
class Consequence:
    """What follows when a rule raises an error of one class.

    Attributes
    ----------
    error : type of SessionError
    severity : Severity
    stops : frozenset of str
        Outputs of the session that are not produced, and whose stored versions are superseded.
    blocks_analysis : bool
        Whether cohort analyses leave the session out.
    """

    error: type[SessionError]
    severity: Severity
    stops: frozenset[str] = frozenset()
    blocks_analysis: bool = False


@dataclass(frozen=True)
class Rule:
    """One validation rule: one asset check, named after what holds when it passes."""

    name: str
    asset: str
    description: str
    consequences: tuple[Consequence, ...]

    @property
    def blocking(self) -> bool:
        """Whether a failure of this rule can stop an output."""
        return any(c.severity is Severity.FATAL for c in self.consequences)

    def consequence(self, error: SessionError) -> Consequence:
        """Return what follows from an error that this rule raised.

        Raises
        ------
        LookupError
            When the rule does not list the class of the error (nor a parent of it).
        """
        for consequence in self.consequences:
            if isinstance(error, consequence.error):
                return consequence
        raise LookupError(f"rule {self.name!r} does not list {type(error).__name__}")


def _fatal(*errors: type[SessionError], stops: Iterable[str]) -> tuple[Consequence, ...]:
    return tuple(Consequence(error, Severity.FATAL, frozenset(stops), blocks_analysis=True) for error in errors)


def _advisory(*errors: type[SessionError], blocks_analysis: bool = False) -> tuple[Consequence, ...]:
    return tuple(Consequence(error, Severity.ADVISORY, blocks_analysis=blocks_analysis) for error in errors)


_CORRECTED = ("preprocessed_signal", "transients", "region_pairs", *OF_RESPONSES)
_SIGNAL = ("corrections", *_CORRECTED)
_BEHAVIOUR = ("trials", "task_performance", "wheel_velocity", "trial_regressors", "pose")
_EVERYTHING = (*_BEHAVIOUR, "photometry_qc", *_SIGNAL, "video_qc", "pose")

_RULES = (
    Rule(
        "subject_in_project",
        "session_metadata",
        "The subject belongs to the project, and the table of subjects has it once.",
        _advisory(InvalidSubject, SubjectNotUnique),
    ),
    Rule("strain_known", "session_metadata", "The mouse's strain is one of the project's.", _advisory(InvalidStrain)),
    Rule("line_known", "session_metadata", "The mouse's line is one of the project's.", _advisory(InvalidLine)),
    Rule(
        "neuromodulator_known",
        "session_metadata",
        "The genetics name a neuromodulator, and it is the one of all recorded targets.",
        _advisory(InvalidNeuromodulator, NMMismatch),
    ),
    Rule(
        "session_paths_safe",
        "session_metadata",
        "Names taken from the source stay names: none of them leads out of the data folder.",
        _fatal(InvalidSubject, InvalidBrainRegion, stops=_EVERYTHING),
    ),
    Rule(
        "brain_region_valid",
        "session_metadata",
        "Every fibre has a brain region that is one of the project's targets.",
        _advisory(MissingBrainRegion, InvalidBrainRegion, MissingRegionSource),
    ),
    Rule(
        "hemisphere_consistent",
        "session_metadata",
        "Every fibre in a lateral target has its hemisphere, and it is the one it was implanted in.",
        _advisory(MissingHemisphere, HemisphereMismatch, MissingInsertion, MissingHemiSuffix),
    ),
    Rule(
        "datasets_listed",
        "session_metadata",
        "The source lists every dataset category that a session of the project has.",
        _advisory(DataNotListed),
    ),
    Rule(
        "session_type_valid",
        "session_metadata",
        "The task protocol names exactly one session type.",
        _advisory(InvalidSessionType),
    ),
    Rule(
        "target_valid",
        "session_metadata",
        "Every region has a target label of the project.",
        _advisory(InvalidTargetNM),
    ),
    Rule(
        "session_length_valid",
        "session_metadata",
        "Start and end of the session are known, and the end follows the start.",
        _advisory(InvalidSessionLength),
    ),
    Rule(
        "not_duplicated",
        "session_metadata",
        "The subject has no other session of the task on that day, or this is the one to use.",
        _advisory(TrueDuplicateSession),
    ),
    Rule(
        "extended_qc_valid",
        "session_metadata",
        "Every key of the extended quality control has an outcome or a number.",
        _advisory(InvalidExtendedQC),
    ),
    Rule(
        "trials_available",
        "trials",
        "The trial table exists once and can be read.",
        _fatal(
            MissingRawData, MissingExtractedData, CorruptDataset, MultipleCollections, stops=(*_BEHAVIOUR, *_SIGNAL)
        ),
    ),
    Rule(
        "enough_trials",
        "trials",
        "There are enough trials to average responses over, and to fit performance.",
        _fatal(InsufficientTrials, stops=(*OF_RESPONSES, "task_performance")),
    ),
    Rule(
        "event_times_complete",
        "trials",
        "Every response event is known in nearly all trials.",
        _advisory(IncompleteEventTimes, blocks_analysis=True),
    ),
    Rule(
        "block_structure",
        "trials",
        "The recorded block probabilities are those that the task gave.",
        (*_advisory(BlockStructureBug), *_advisory(MissingBlockInfo, blocks_analysis=True)),
    ),
    Rule(
        "photometry_available",
        "photometry_qc",
        "Signal, locations and raw frames exist, can be read and are finite.",
        _fatal(
            MissingRawData,
            MissingExtractedData,
            CorruptDataset,
            SignalNotFinite,
            SignalWrongType,
            DegenerateSignal,
            UnknownRawLayout,
            stops=_SIGNAL,
        ),
    ),
    Rule("led_states", "photometry_qc", "Every frame has a known LED state.", _advisory(LedStateGap)),
    Rule(
        "region_mapping",
        "photometry_qc",
        "Every signal column belongs to exactly one brain region of the session.",
        _fatal(AmbiguousRegionMapping, stops=_SIGNAL),
    ),
    Rule(
        "trials_in_photometry_time",
        "photometry_qc",
        "The photometry recording covers all trials.",
        _fatal(TrialsNotInPhotometryTime, stops=_SIGNAL),
    ),
    Rule(
        "raw_signal_quality",
        "photometry_qc",
        "LEDs alternate, and no frame comes early.",
        _fatal(BandInversion, EarlySamples, stops=_SIGNAL),
    ),
    Rule(
        "unique_samples",
        "photometry_qc",
        "Every band takes enough distinct values.",
        _advisory(FewUniqueSamples),
    ),
    Rule(
        "corrections_computed",
        "corrections",
        "Every stored correction of every fibre could be computed.",
        _advisory(
            DegenerateSignal,
            MissingReference,
            TooShortForBaseline,
            ConstantSignal,
            AllSamplesMasked,
            DegenerateDenominator,
        ),
    ),
    Rule(
        "reference_sound",
        "corrections",
        "The isosbestic band shows motion, and nothing of what the mouse's neurons do.",
        _advisory(
            LowReferenceCorrelation,
            NegativeReferenceSlope,
            FitMethodSensitive,
            NoisyReference,
            EventLockedReference,
            ReferenceContaminated,
        ),
    ),
    Rule(
        "reference_removed",
        "corrections",
        "No correction leaves a part of the isosbestic band in the signal.",
        _advisory(ResidualReference),
    ),
    Rule(
        "baseline_steady",
        "corrections",
        "Fluorescence is lost slowly and does not come back; the level of the signal stays.",
        _advisory(ResidualBleaching, BaselineRebound, StrongBleaching),
    ),
    Rule(
        "samples_sound",
        "corrections",
        "Activity rises above the noise, samples differ, few are masked, and the dark offset leaves a signal.",
        _advisory(LowSignalToNoise, FlatSteps, MaskedSamples, DarkOffsetImplausible),
    ),
    Rule(
        "signal_processable",
        "preprocessed_signal",
        "The bands vary, and the correction that analyses read could be computed.",
        (*_fatal(DegenerateSignal, stops=_SIGNAL), *_fatal(NoUsableSignal, stops=_CORRECTED)),
    ),
    Rule(
        "transients_separable",
        "transients",
        "Peaks of the signal are more frequent than troughs as deep.",
        _advisory(TransientsNotSeparable),
    ),
    Rule(
        "wheel_available",
        "wheel_velocity",
        "Position and times of the wheel exist once, can be read and belong together.",
        tuple(
            Consequence(error, Severity.FATAL, frozenset({"wheel_velocity"}))
            for error in (MissingRawData, MissingExtractedData, CorruptDataset, MultipleCollections)
        ),
    ),
    Rule(
        "video_available",
        "video_qc",
        "The times of the left camera exist once and can be read.",
        tuple(
            Consequence(error, Severity.ADVISORY, frozenset({"video_qc", "pose"}))
            for error in (MissingVideoTimestamps, CorruptDataset, MultipleCollections)
        ),
    ),
    Rule("video_length", "video_qc", "The video is as long as the session.", _advisory(VideoLengthError)),
    Rule(
        "video_timestamps",
        "video_qc",
        "Camera times increase, and the acquisition's quality control passed them.",
        _advisory(VideoTimestampsQCError),
    ),
    Rule(
        "video_dropped_frames",
        "video_qc",
        "The acquisition's quality control found no dropped frames.",
        _advisory(VideoDroppedFramesQCError),
    ),
    Rule(
        "video_pin_state",
        "video_qc",
        "The acquisition's quality control found the camera's input sound.",
        _advisory(VideoPinStateQCError),
    ),
    Rule(
        "pose_available",
        "pose",
        "There is a LightningPose of the left camera, with all key points and one row per frame.",
        _advisory(MissingLP, VideoFrameCountMismatch, CorruptDataset, MultipleCollections, MissingExtractedData),
    ),
    Rule(
        "motion_energy_available",
        "pose",
        "There is a motion energy of the left camera, with one value per frame.",
        _advisory(
            MissingMotionEnergy, VideoFrameCountMismatch, CorruptDataset, MultipleCollections, MissingExtractedData
        ),
    ),
    Rule(
        "no_unexpected_error",
        "session_errors",
        "Nothing happened that no rule foresees.",
        _fatal(UnexpectedError, stops=()),
    ),
)

RULES = MappingProxyType({rule.name: rule for rule in _RULES})
"""All rules by name, in the order in which a session meets them."""
