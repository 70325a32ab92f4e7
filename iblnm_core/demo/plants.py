"""Every fault that can be planted in a session: what is changed, which errors must follow, which outputs must be missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from iblnm_core.demo import changes, files
from iblnm_core.demo.changes import TRIAL_FILES, Change
from iblnm_core.rules import RULES


@dataclass(frozen=True)
class ExpectedError:
    """An error that a session must end with.

    Attributes
    ----------
    asset : str
        The output whose rule raises it.
    error_type : str
        Name of the error class.
    fatal : bool
        Whether it stops outputs.
    message_pattern : str
        Regular expression that is found in the message.
    """

    asset: str
    error_type: str
    fatal: bool
    message_pattern: str

    @property
    def is_judged(self) -> bool:
        """Whether a rule of the pipeline can raise it."""
        return any(
            self.error_type == consequence.error.__name__
            for rule in RULES.values()
            if rule.asset == self.asset
            for consequence in rule.consequences
        )


@dataclass(frozen=True)
class Plant:
    """A planted fault. Everything else about its session is sound.

    Attributes
    ----------
    name, description : str
    change : callable
        Breaks the content of a session.
    expected : tuple of ExpectedError
        All errors of the session; none where the pipeline must cope.
    absent : frozenset of str
        Outputs of the session that must not exist.
    """

    name: str
    description: str
    change: Change = field(repr=False)
    expected: tuple[ExpectedError, ...] = ()
    absent: frozenset[str] = frozenset()


_NO_SIGNAL = frozenset({"preprocessed_signal", "responses"})
_NO_TRIALS = _NO_SIGNAL | {"trials", "task_performance", "wheel_velocity"}


def _trials(error_type: str, pattern: str, *, fatal: bool = True) -> ExpectedError:
    return ExpectedError("trials", error_type, fatal, pattern)


def _photometry(error_type: str, pattern: str, *, fatal: bool = True) -> ExpectedError:
    return ExpectedError("photometry_qc", error_type, fatal, pattern)


def _metadata(error_type: str, pattern: str) -> ExpectedError:
    return ExpectedError("session_metadata", error_type, False, pattern)


def _wheel(error_type: str, pattern: str) -> ExpectedError:
    return ExpectedError("wheel_velocity", error_type, True, pattern)


def _video(error_type: str, pattern: str = "") -> ExpectedError:
    return ExpectedError("video_qc", error_type, False, pattern)


def _blocks(error_type: str, pattern: str) -> ExpectedError:
    return _trials(error_type, pattern, fatal=False)


HABITUATION_ERRORS = (
    ExpectedError("trials", "IncompleteEventTimes", False, r"^Incomplete events: firstMovement_times$"),
)
"""Errors of a sound habituation session, in which the mouse makes no choice."""


def _not_listed(categories: str) -> ExpectedError:
    return ExpectedError("session_metadata", "DataNotListed", False, rf"^{categories}$")


_BEHAVIOUR = (
    Plant(
        "no_trials_no_raw",
        "Neither trials nor the raw task data they are extracted from.",
        changes.without(*TRIAL_FILES, files.RAW_TASK),
        (_not_listed("raw_task, extracted_task"), _trials("MissingRawData", r"_iblrig_taskData\.raw\.jsonable")),
        _NO_TRIALS,
    ),
    Plant(
        "no_trials",
        "No trials, but the raw task data.",
        changes.without(*TRIAL_FILES),
        (_not_listed("extracted_task"), _trials("MissingExtractedData", r"_ibl_trials\.table\.pqt")),
        _NO_TRIALS,
    ),
    Plant(
        "truncated_trials",
        "The trial table is cut off at 60 % of its bytes.",
        changes.truncated(files.TRIALS),
        (_trials("CorruptDataset", r"_ibl_trials\.table\.pqt"),),
        _NO_TRIALS,
    ),
    Plant(
        "two_collections",
        "The trials exist in two behaviour collections.",
        changes.second_collection,
        (_trials("MultipleCollections", r"task_00.*task_01"),),
        _NO_TRIALS,
    ),
    Plant(
        "few_trials",
        "Only 60 trials.",
        changes.few_trials,
        (_trials("InsufficientTrials", r"n_trials=60 < MIN_NTRIALS=90"),),
        frozenset({"responses", "task_performance"}),
    ),
    Plant(
        "incomplete_events",
        "Every sixth feedback time is unknown.",
        changes.incomplete_events,
        (_trials("IncompleteEventTimes", r"Incomplete events: feedback_times", fatal=False),),
    ),
    Plant(
        "nan_interval",
        "The end of the last trial is unknown.",
        changes.unknown_last_end,
    ),
    Plant(
        "block_bug",
        "Four trials of the second block have the other block's probability.",
        changes.short_block,
        (_blocks("BlockStructureBug", r"Min block length: 4"),),
    ),
    Plant(
        "block_bug_no_plan",
        "The same, and the task's plan of its blocks is lost.",
        changes.short_block_without_plan,
        (_blocks("BlockStructureBug", r"Min block length: 4"), _blocks("MissingBlockInfo", r"")),
    ),
    Plant(
        "block_bug_training",
        "Ten trials of a training session have a biased probability.",
        changes.biased_training,
        (_blocks("BlockStructureBug", r"Training session has non-uniform probabilityLeft"),),
    ),
    Plant(
        "no_wheel_no_raw",
        "Neither the wheel nor the encoder file that it is extracted from.",
        changes.without(files.WHEEL_TIMES, files.WHEEL_POSITION, files.RAW_ENCODER),
        (_not_listed("extracted_wheel"), _wheel("MissingRawData", r"_iblrig_encoderPositions\.raw\.ssv")),
        frozenset({"wheel_velocity"}),
    ),
    Plant(
        "no_wheel",
        "No wheel, but the encoder file.",
        changes.without(files.WHEEL_TIMES, files.WHEEL_POSITION),
        (_not_listed("extracted_wheel"), _wheel("MissingExtractedData", r"_ibl_wheel\.position\.npy")),
        frozenset({"wheel_velocity"}),
    ),
)

_PHOTOMETRY_FILES = (
    Plant(
        "no_signal_no_raw",
        "Neither the extracted signal nor the raw frames.",
        changes.without(files.SIGNAL, files.RAW_FRAMES),
        (
            _not_listed("raw_photometry_signals, extracted_photometry_signal"),
            _photometry("MissingRawData", r"_neurophotometrics_fpData\.raw\.pqt"),
        ),
        _NO_SIGNAL | {"photometry_qc"},
    ),
    Plant(
        "no_signal",
        "No extracted signal, but the raw frames.",
        changes.without(files.SIGNAL),
        (
            _not_listed("extracted_photometry_signal"),
            _photometry("MissingExtractedData", r"photometry\.signal\.pqt"),
        ),
        _NO_SIGNAL,
    ),
    Plant(
        "no_locations",
        "The regions of the ROIs are not stored; the experiment description names them.",
        changes.without(files.LOCATIONS),
        (
            _not_listed("extracted_photometry_locations"),
            _photometry("MissingExtractedData", r"photometryROI\.locations\.pqt"),
        ),
        _NO_SIGNAL,
    ),
    Plant(
        "truncated_signal",
        "The extracted signal is cut off at 60 % of its bytes.",
        changes.truncated(files.SIGNAL),
        (_photometry("CorruptDataset", r"photometry\.signal\.pqt"),),
        _NO_SIGNAL,
    ),
    Plant(
        "raw_missing",
        "No raw frames, but the extracted signal.",
        changes.without(files.RAW_FRAMES),
        (
            _not_listed("raw_photometry_signals"),
            _photometry("MissingRawData", r"_neurophotometrics_fpData\.raw\.pqt"),
        ),
        _NO_SIGNAL,
    ),
    Plant(
        "raw_layout",
        "The raw frames name their LED states otherwise than any known instrument.",
        changes.unknown_layout,
        (_photometry("UnknownRawLayout", r"LedStatus"),),
        _NO_SIGNAL,
    ),
)

_PHOTOMETRY_CONTENT = (
    Plant(
        "signal_nan",
        "37 samples of the first ROI are not numbers.",
        changes.signal_with_nan,
        (_photometry("SignalNotFinite", r"G0.*37"),),
        _NO_SIGNAL,
    ),
    Plant(
        "signal_float32",
        "The first ROI is stored with single precision.",
        changes.signal_as_float32,
        (_photometry("SignalWrongType", r"G0.*float"),),
        _NO_SIGNAL,
    ),
    Plant(
        "led_gap",
        "Ten frames have an unknown LED state.",
        changes.led_gap,
        (_photometry("LedStateGap", r"1 gap, 10 frames", fatal=False),),
    ),
    Plant(
        "led_gaps",
        "Ten frames, and three others, have an unknown LED state.",
        changes.led_gaps,
        (_photometry("LedStateGap", r"2 gaps, 13 frames", fatal=False),),
    ),
    Plant(
        "few_unique",
        "The camera resolves three levels of each band.",
        changes.few_levels,
        (_photometry("FewUniqueSamples", r"^Few unique samples: NBM-r/GCaMP=0\.00\d, NBM-r/Isosbestic=", fatal=False),),
    ),
    Plant(
        "dead_channel",
        "The fibre is dead: its ROI stays at the black level.",
        changes.dead_channel,
        (
            _photometry("FewUniqueSamples", r"DR/GCaMP=0\.000, DR/Isosbestic=0\.000", fatal=False),
            ExpectedError("preprocessed_signal", "DegenerateSignal", True, r"DR: GCaMP band is constant.*SD 0"),
        ),
        _NO_SIGNAL,
    ),
    Plant(
        "stray_multi",
        "One frame in mid-session was taken under all LEDs.",
        changes.stray_frame,
    ),
    Plant(
        "band_inversion",
        "One frame was dropped, so that two under the same LED follow each other.",
        changes.dropped_frame,
        (_photometry("BandInversion", r"band inversions detected"),),
        _NO_SIGNAL,
    ),
    Plant(
        "early_sample",
        "One frame came 2 ms early.",
        changes.early_frame,
        (_photometry("EarlySamples", r"early samples detected"),),
        _NO_SIGNAL,
    ),
    Plant(
        "trials_outside",
        "The recording ends a minute before the last trial.",
        changes.short_recording,
        (
            _photometry(
                "TrialsNotInPhotometryTime",
                r"Trials \[-?\d+\.\d, -?\d+\.\d\] outside photometry \[-?\d+\.\d, -?\d+\.\d\]",
            ),
        ),
        _NO_SIGNAL,
    ),
    Plant(
        "region_no_match",
        "The first ROI is said to lie where the session has no fibre.",
        changes.region_elsewhere,
        (_photometry("AmbiguousRegionMapping", r"Photometry column 'PPT' has no match in brain_region \["),),
        _NO_SIGNAL,
    ),
    Plant(
        "region_ambiguous",
        "Two fibres in one region, their hemispheres not stored with the signal.",
        changes.region_without_side,
        (_photometry("AmbiguousRegionMapping", r"matches multiple entries"),),
        _NO_SIGNAL,
    ),
    Plant(
        "duplicate_region",
        "Two fibres carry the same region name without hemisphere.",
        changes.one_region_twice,
        (ExpectedError("session_metadata", "MissingHemiSuffix", False, r"without hemisphere"),),
    ),
    Plant(
        "not_ascii",
        "Names and notes are full of accents and dashes.",
        changes.not_ascii,
    ),
)

_METADATA = (
    Plant(
        "no_regions",
        "Neither description nor locations.",
        changes.without(files.DESCRIPTION, files.LOCATIONS),
        (
            _not_listed("extracted_photometry_locations"),
            _metadata("MissingRegionSource", r"neither .*description.* nor .*locations"),
            _photometry("MissingExtractedData", r"photometryROI\.locations\.pqt"),
        ),
        _NO_SIGNAL,
    ),
    Plant(
        "blank_region",
        "The description leaves the region of one fibre blank; the locations know it.",
        changes.blank_region,
        (_metadata("InvalidBrainRegion", r"fibre G1 .*blank.*MR"),),
    ),
    Plant(
        "hemisphere",
        "The fibre is recorded on the other side than it was implanted on.",
        changes.other_hemisphere,
        (_metadata("HemisphereMismatch", r"NBM"),),
    ),
    Plant(
        "suffix",
        "The region is recorded without its hemisphere.",
        changes.no_hemisphere,
        (_metadata("MissingHemiSuffix", r"LC without hemisphere"),),
    ),
    Plant(
        "protocol",
        "The task protocol is of no known type, and the end of the session is unknown.",
        changes.strange_protocol,
        (
            _metadata("InvalidSessionType", r"cuedBiasedChoiceWorld"),
            _metadata("InvalidSessionLength", r"Missing end_time"),
        ),
    ),
    Plant("midnight", "The session goes on past midnight.", changes.across_midnight),
    Plant(
        "not_listed",
        "No list of the camera's channels, no film, no camera times.",
        changes.without(files.RAW_CHANNELS, files.RAW_VIDEO, files.CAMERA_TIMES),
        (_not_listed("raw_video, raw_photometry_channels"), _video("MissingVideoTimestamps")),
        frozenset({"video_qc"}),
    ),
    Plant(
        "video",
        "The camera ran on for three minutes, and its quality control failed in every respect.",
        changes.bad_video,
        (
            _video("VideoLengthError"),
            _video("VideoTimestampsQCError"),
            _video("VideoDroppedFramesQCError"),
            _video("VideoPinStateQCError"),
            _video("InvalidExtendedQC"),
        ),
    ),
    Plant(
        "same_day",
        "A second session on the day of a sound one.",
        changes.nothing,
        (_metadata("TrueDuplicateSession", r""),),
    ),
    Plant(
        "excluded",
        "The subject is excluded from the project, has no fibres on record, and a line of another neuromodulator.",
        changes.nothing,
        (
            _metadata("InvalidSubject", r"photometry_test_subject_A"),
            _metadata("MissingInsertion", r""),
            _metadata("NMMismatch", r""),
        ),
    ),
    Plant(
        "genetics",
        "The subject has an unknown strain and line, and no fibres on record.",
        changes.nothing,
        (
            _metadata("InvalidStrain", r""),
            _metadata("InvalidLine", r""),
            _metadata("InvalidNeuromodulator", r""),
            _metadata("MissingInsertion", r""),
        ),
    ),
    Plant(
        "unknown_subject",
        "No table knows the subject, and its fibre is in a region that is no target.",
        changes.other_target,
        (
            _metadata("SubjectNotUnique", r"DEMO-X2"),
            _metadata("InvalidStrain", r""),
            _metadata("InvalidLine", r""),
            _metadata("InvalidNeuromodulator", r""),
            _metadata("InvalidBrainRegion", r"'VP'"),
            _metadata("InvalidTargetNM", r"None"),
            _metadata("MissingInsertion", r""),
        ),
    ),
)

PLANTS: Mapping[str, Plant] = MappingProxyType(
    {plant.name: plant for plant in (*_BEHAVIOUR, *_PHOTOMETRY_FILES, *_PHOTOMETRY_CONTENT, *_METADATA)}
)
"""All plants by name."""
