"""Every fault that can be planted in a session: what is changed, which errors must follow, which outputs must be missing."""

from collections.abc import Mapping
from types import MappingProxyType

from iblnm_core.demo import changes, files
from iblnm_core.demo.changes import TRIAL_FILES
from iblnm_core.demo.expectations import (
    NO_CORRECTED,
    NO_RESPONSES,
    NO_SIGNAL,
    NO_TRIALS,
    ExpectedError,
    Plant,
    block_error,
    metadata_error,
    not_listed,
    photometry_error,
    trials_error,
    video_error,
    wheel_error,
)

_BEHAVIOUR = (
    Plant(
        "no_trials_no_raw",
        "Neither trials nor the raw task data they are extracted from.",
        changes.without(*TRIAL_FILES, files.RAW_TASK),
        (not_listed("raw_task, extracted_task"), trials_error("MissingRawData", r"_iblrig_taskData\.raw\.jsonable")),
        NO_TRIALS,
    ),
    Plant(
        "no_trials",
        "No trials, but the raw task data.",
        changes.without(*TRIAL_FILES),
        (not_listed("extracted_task"), trials_error("MissingExtractedData", r"_ibl_trials\.table\.pqt")),
        NO_TRIALS,
    ),
    Plant(
        "truncated_trials",
        "The trial table is cut off at 60 % of its bytes.",
        changes.truncated(files.TRIALS),
        (trials_error("CorruptDataset", r"_ibl_trials\.table\.pqt"),),
        NO_TRIALS,
    ),
    Plant(
        "two_collections",
        "The trials exist in two behaviour collections.",
        changes.second_collection,
        (trials_error("MultipleCollections", r"task_00.*task_01"),),
        NO_TRIALS,
    ),
    Plant(
        "few_trials",
        "Only 60 trials.",
        changes.few_trials,
        (trials_error("InsufficientTrials", r"n_trials=60 < MIN_NTRIALS=90"),),
        NO_RESPONSES | {"task_performance"},
    ),
    Plant(
        "incomplete_events",
        "Every sixth feedback time is unknown.",
        changes.incomplete_events,
        (trials_error("IncompleteEventTimes", r"Incomplete events: feedback_times", fatal=False),),
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
        (block_error("BlockStructureBug", r"Min block length: 4"),),
    ),
    Plant(
        "block_bug_no_plan",
        "The same, and the task's plan of its blocks is lost.",
        changes.short_block_without_plan,
        (block_error("BlockStructureBug", r"Min block length: 4"), block_error("MissingBlockInfo", r"")),
    ),
    Plant(
        "block_bug_training",
        "Ten trials of a training session have a biased probability.",
        changes.biased_training,
        (block_error("BlockStructureBug", r"Training session has non-uniform probabilityLeft"),),
    ),
    Plant(
        "no_wheel_no_raw",
        "Neither the wheel nor the encoder file that it is extracted from.",
        changes.without(files.WHEEL_TIMES, files.WHEEL_POSITION, files.RAW_ENCODER),
        (not_listed("extracted_wheel"), wheel_error("MissingRawData", r"_iblrig_encoderPositions\.raw\.ssv")),
        frozenset({"wheel_velocity"}),
    ),
    Plant(
        "no_wheel",
        "No wheel, but the encoder file.",
        changes.without(files.WHEEL_TIMES, files.WHEEL_POSITION),
        (not_listed("extracted_wheel"), wheel_error("MissingExtractedData", r"_ibl_wheel\.position\.npy")),
        frozenset({"wheel_velocity"}),
    ),
)

_PHOTOMETRY_FILES = (
    Plant(
        "no_signal_no_raw",
        "Neither the extracted signal nor the raw frames.",
        changes.without(files.SIGNAL, files.RAW_FRAMES),
        (
            not_listed("raw_photometry_signals, extracted_photometry_signal"),
            photometry_error("MissingRawData", r"_neurophotometrics_fpData\.raw\.pqt"),
        ),
        NO_SIGNAL | {"photometry_qc"},
    ),
    Plant(
        "no_signal",
        "No extracted signal, but the raw frames.",
        changes.without(files.SIGNAL),
        (
            not_listed("extracted_photometry_signal"),
            photometry_error("MissingExtractedData", r"photometry\.signal\.pqt"),
        ),
        NO_SIGNAL,
    ),
    Plant(
        "no_locations",
        "The regions of the ROIs are not stored; the experiment description names them.",
        changes.without(files.LOCATIONS),
        (
            not_listed("extracted_photometry_locations"),
            photometry_error("MissingExtractedData", r"photometryROI\.locations\.pqt"),
        ),
        NO_SIGNAL,
    ),
    Plant(
        "truncated_signal",
        "The extracted signal is cut off at 60 % of its bytes.",
        changes.truncated(files.SIGNAL),
        (photometry_error("CorruptDataset", r"photometry\.signal\.pqt"),),
        NO_SIGNAL,
    ),
    Plant(
        "raw_missing",
        "No raw frames, but the extracted signal.",
        changes.without(files.RAW_FRAMES),
        (
            not_listed("raw_photometry_signals"),
            photometry_error("MissingRawData", r"_neurophotometrics_fpData\.raw\.pqt"),
        ),
        NO_SIGNAL,
    ),
    Plant(
        "raw_layout",
        "The raw frames name their LED states otherwise than any known instrument.",
        changes.unknown_layout,
        (photometry_error("UnknownRawLayout", r"LedStatus"),),
        NO_SIGNAL,
    ),
)

_PHOTOMETRY_CONTENT = (
    Plant(
        "signal_nan",
        "37 samples of the first ROI are not numbers.",
        changes.signal_with_nan,
        (photometry_error("SignalNotFinite", r"G0.*37"),),
        NO_SIGNAL,
    ),
    Plant(
        "signal_float32",
        "The first ROI is stored with single precision.",
        changes.signal_as_float32,
        (photometry_error("SignalWrongType", r"G0.*float"),),
        NO_SIGNAL,
    ),
    Plant(
        "led_gap",
        "Ten frames have an unknown LED state.",
        changes.led_gap,
        (photometry_error("LedStateGap", r"1 gap, 10 frames", fatal=False),),
    ),
    Plant(
        "led_gaps",
        "Ten frames, and three others, have an unknown LED state.",
        changes.led_gaps,
        (photometry_error("LedStateGap", r"2 gaps, 13 frames", fatal=False),),
    ),
    Plant(
        "few_unique",
        "The camera resolves three levels of each band.",
        changes.few_levels,
        (
            photometry_error(
                "FewUniqueSamples", r"^Few unique samples: NBM-r/GCaMP=0\.00\d, NBM-r/Isosbestic=", fatal=False
            ),
            ExpectedError("preprocessed_signal", "NoUsableSignal", True, r"robust could be computed for no fibre"),
        ),
        NO_CORRECTED,
    ),
    Plant(
        "dead_channel",
        "The fibre is dead: its ROI stays at the black level.",
        changes.dead_channel,
        (
            photometry_error("FewUniqueSamples", r"DR/GCaMP=0\.000, DR/Isosbestic=0\.000", fatal=False),
            ExpectedError("preprocessed_signal", "NoUsableSignal", True, r"robust could be computed for no fibre"),
        ),
        NO_CORRECTED,
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
        (photometry_error("BandInversion", r"band inversions detected"),),
        NO_SIGNAL,
    ),
    Plant(
        "early_sample",
        "One frame came 2 ms early.",
        changes.early_frame,
        (photometry_error("EarlySamples", r"early samples detected"),),
        NO_SIGNAL,
    ),
    Plant(
        "trials_outside",
        "The recording ends a minute before the last trial.",
        changes.short_recording,
        (
            photometry_error(
                "TrialsNotInPhotometryTime",
                r"Trials \[-?\d+\.\d, -?\d+\.\d\] outside photometry \[-?\d+\.\d, -?\d+\.\d\]",
            ),
        ),
        NO_SIGNAL,
    ),
    Plant(
        "region_no_match",
        "The first ROI is said to lie where the session has no fibre.",
        changes.region_elsewhere,
        (photometry_error("AmbiguousRegionMapping", r"Photometry column 'PPT' has no match in brain_region \["),),
        NO_SIGNAL,
    ),
    Plant(
        "region_ambiguous",
        "Two fibres in one region, their hemispheres not stored with the signal.",
        changes.region_without_side,
        (photometry_error("AmbiguousRegionMapping", r"matches multiple entries"),),
        NO_SIGNAL,
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
            not_listed("extracted_photometry_locations"),
            metadata_error("MissingRegionSource", r"neither .*description.* nor .*locations"),
            photometry_error("MissingExtractedData", r"photometryROI\.locations\.pqt"),
        ),
        NO_SIGNAL,
    ),
    Plant(
        "blank_region",
        "The description leaves the region of one fibre blank; the locations know it.",
        changes.blank_region,
        (metadata_error("InvalidBrainRegion", r"fibre G1 .*blank.*MR"),),
    ),
    Plant(
        "hemisphere",
        "The fibre is recorded on the other side than it was implanted on.",
        changes.other_hemisphere,
        (metadata_error("HemisphereMismatch", r"NBM"),),
    ),
    Plant(
        "suffix",
        "The region is recorded without its hemisphere.",
        changes.no_hemisphere,
        (metadata_error("MissingHemiSuffix", r"LC without hemisphere"),),
    ),
    Plant(
        "protocol",
        "The task protocol is of no known type, and the end of the session is unknown.",
        changes.strange_protocol,
        (
            metadata_error("InvalidSessionType", r"cuedBiasedChoiceWorld"),
            metadata_error("InvalidSessionLength", r"Missing end_time"),
        ),
    ),
    Plant("midnight", "The session goes on past midnight.", changes.across_midnight),
    Plant(
        "not_listed",
        "No list of the camera's channels, no film, no camera times.",
        changes.without(files.RAW_CHANNELS, files.RAW_VIDEO, files.CAMERA_TIMES),
        (not_listed("raw_video, raw_photometry_channels"), video_error("MissingVideoTimestamps")),
        frozenset({"video_qc", "pose"}),
    ),
    Plant(
        "video",
        "The camera ran on for three minutes, and its quality control failed in every respect.",
        changes.bad_video,
        (
            video_error("VideoLengthError"),
            video_error("VideoTimestampsQCError"),
            video_error("VideoDroppedFramesQCError"),
            video_error("VideoPinStateQCError"),
            metadata_error(
                "InvalidExtendedQC", r"^qc_videoLeft_brightness: an empty list; qc_videoLeft_focus: a mapping$"
            ),
        ),
    ),
    Plant(
        "same_day",
        "A second session on the day of a sound one.",
        changes.nothing,
        (metadata_error("TrueDuplicateSession", r""),),
    ),
    Plant(
        "excluded",
        "The subject is excluded from the project, has no fibres on record, and a line of another neuromodulator.",
        changes.nothing,
        (
            metadata_error("InvalidSubject", r"photometry_test_subject_A"),
            metadata_error("MissingInsertion", r""),
            metadata_error("NMMismatch", r""),
        ),
    ),
    Plant(
        "genetics",
        "The subject has an unknown strain and line, and no fibres on record.",
        changes.nothing,
        (
            metadata_error("InvalidStrain", r""),
            metadata_error("InvalidLine", r""),
            metadata_error("InvalidNeuromodulator", r""),
            metadata_error("MissingInsertion", r""),
        ),
    ),
    Plant(
        "unknown_subject",
        "No table knows the subject, and its fibre is in a region that is no target.",
        changes.other_target,
        (
            metadata_error("SubjectNotUnique", r"DEMO-X2"),
            metadata_error("InvalidStrain", r""),
            metadata_error("InvalidLine", r""),
            metadata_error("InvalidNeuromodulator", r""),
            metadata_error("InvalidBrainRegion", r"'VP'"),
            metadata_error("InvalidTargetNM", r"None"),
            metadata_error("MissingInsertion", r""),
        ),
    ),
)

PLANTS: Mapping[str, Plant] = MappingProxyType(
    {plant.name: plant for plant in (*_BEHAVIOUR, *_PHOTOMETRY_FILES, *_PHOTOMETRY_CONTENT, *_METADATA)}
)
"""All plants by name."""
