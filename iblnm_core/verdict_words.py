"""Verdicts in words, and what every error means: title, consequence, what to do. The one text for pages, files and messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

BLOCKING = "fails, blocking"
"""The verdict on an error that keeps its session out of cohort analyses."""

WARNING = "warning"
"""The verdict on any other error."""

HOLDS = "holds"
"""The verdict on a check without error."""

NOT_JUDGED = "not judged"
"""The verdict on a check that an earlier one stopped, or that was not run."""


@dataclass(frozen=True)
class Words:
    """The words for one class of errors.

    Attributes
    ----------
    title : str
        What was looked at, a few words.
    meaning : str
        What follows from the error, one or two sentences.
    action : str
        What somebody can do about it; begins with a verb, or says that nothing can be done.
    """

    title: str
    meaning: str
    action: str


_GENETICS = "The genetics are not recorded in a form that we know; the neuromodulator may be wrong or missing."
_CORRECT_GENETICS = "Correct the subject's record in the database, or extend the project's vocabulary."
_VIDEO = "Video measures of this session are unreliable; photometry is not affected."
_NO_VIDEO = "Leave the session out of video analyses."
_ONE_CORRECTION = "A correction of a fibre could not be computed; the others are there."
_OTHER_CORRECTION = "Look at the other stored corrections."
_READ_BESIDE = "Look at the responses under the other stored corrections too."
_WITH_BASELINE = "Check that conclusions rest on responses less their baseline, not on levels."

WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "InvalidSubject": Words(
            "Subject", "The subject is not one of the project's, so the session is in no analysis.", "Nothing."
        ),
        "SubjectNotUnique": Words(
            "Record of the subject",
            "The table of subjects has no single row for this mouse, so that its genetics are in doubt.",
            "Correct the table of subjects: one row for each mouse.",
        ),
        "InvalidStrain": Words("Strain", _GENETICS, _CORRECT_GENETICS),
        "InvalidLine": Words("Line", _GENETICS, _CORRECT_GENETICS),
        "InvalidNeuromodulator": Words(
            "Neuromodulator",
            "The recorded cell type cannot be told, so the recording may belong to no target.",
            _CORRECT_GENETICS,
        ),
        "NMMismatch": Words(
            "Genetics fit the targets",
            "The genetics of the mouse and the recorded targets stand for different neuromodulators; one of them is wrong.",
            "Check which of the two is wrong, and correct that record.",
        ),
        "HemisphereMismatch": Words(
            "Fibre side agrees",
            "Two records disagree about the side; contralateral and ipsilateral trials may be swapped.",
            "Check the surgery notes, and correct the wrong record.",
        ),
        "MissingHemisphere": Words(
            "Fibre side",
            "Contralateral and ipsilateral trials cannot be told apart.",
            "Add the side to the region name, or the fibre to the table of fibres.",
        ),
        "MissingHemiSuffix": Words(
            "Side in the region name",
            "The region name does not say the side; it is known only if the table of fibres has it.",
            "Add the side to the region name, or the fibre to the table of fibres.",
        ),
        "MissingInsertion": Words(
            "Fibre position",
            "The table of fibres gives no side and no position for this fibre.",
            "Add or correct its row in the table of fibres.",
        ),
        "InvalidSessionType": Words(
            "Session type",
            "The task cannot be recognised, so the session is in no analysis.",
            "Extend the rule if the protocol is one of ours; otherwise leave the session out.",
        ),
        "InvalidSessionLength": Words(
            "Session length",
            "Start and end times are missing or implausible; measures that need the length are not made.",
            "Correct the session record.",
        ),
        "MissingBrainRegion": Words(
            "Target",
            "It is unknown where the fibre was aimed; the recording enters no cohort.",
            "Complete the experiment description.",
        ),
        "InvalidBrainRegion": Words(
            "Target is known",
            "A region name is none of the project's targets; that recording enters no cohort.",
            "Correct the region name in the experiment description.",
        ),
        "MissingRegionSource": Words(
            "Source of the regions",
            "No dataset of the session names its regions; those shown come from elsewhere, if there are any.",
            "Complete the experiment description or the locations file.",
        ),
        "InvalidTargetNM": Words(
            "Target and neuromodulator",
            "Target and genetics do not belong together; the recording enters no cohort.",
            "Check which of the two is wrong, and correct that record.",
        ),
        "TrueDuplicateSession": Words(
            "Sessions that day",
            "There are several sessions of this mouse and day; another one is used.",
            "Confirm the choice, or name the right session.",
        ),
        "InvalidExtendedQC": Words(
            "Extended quality control",
            "Some outcomes from the acquisition cannot be read and count as not set.",
            "Correct these entries in the database.",
        ),
        "DataNotListed": Words(
            "Datasets",
            "Some data of this session are not on the server; what needs them is not made.",
            "Ask the lab whether they exist.",
        ),
        "MissingRawData": Words(
            "Raw data",
            "Neither the recording nor anything extracted from it is on the server.",
            "Ask the lab to upload it; if it was never recorded, nothing can be done.",
        ),
        "MissingExtractedData": Words(
            "Extracted data",
            "The raw recording exists but was not converted, so the pipeline cannot read it.",
            "Ask for re-extraction, then run this session again.",
        ),
        "CorruptDataset": Words(
            "Readable data",
            "A dataset is damaged or incomplete; nothing that needs it can be made.",
            "Fetch or extract the dataset again, then run this session again.",
        ),
        "MultipleCollections": Words(
            "One copy of each dataset",
            "The same dataset exists several times, and it is unclear which one is right.",
            "Remove the wrong copy, or ask for re-extraction.",
        ),
        "InsufficientTrials": Words("Number of trials", "There are too few trials for reliable averages.", "Nothing."),
        "IncompleteEventTimes": Words(
            "Event times",
            "An event is missing in too many trials; responses to it are not computed.",
            "Check the synchronisation, and extract the trials again.",
        ),
        "BlockStructureBug": Words(
            "Blocks",
            "The recorded block probabilities do not follow the plan of the task.",
            "Nothing if the table of behaviour says that they were repaired; otherwise treat block analyses of this "
            "session as invalid.",
        ),
        "MissingBlockInfo": Words(
            "Plan of blocks",
            "The blocks look wrong, and the plan to repair them is not stored.",
            "Add the block plan to the session record, or leave the session out.",
        ),
        "SignalNotFinite": Words(
            "Finite samples",
            "The signal holds values that are not numbers, so it cannot be corrected for bleaching or movement.",
            "Ask for re-extraction, then run this session again.",
        ),
        "SignalWrongType": Words(
            "Type of the samples",
            "The signal was stored with another precision than the extraction writes; its values cannot be trusted.",
            "Ask for re-extraction, then run this session again.",
        ),
        "DegenerateSignal": Words(
            "Signal varies",
            "The signal is constant, too short or out of order: there is nothing to analyse.",
            "Look at the raw trace; the fibre or the camera was probably not connected.",
        ),
        "UnknownRawLayout": Words(
            "Layout of the raw frames",
            "The raw file has columns that we do not know, so lost or swapped frames cannot be found.",
            "Check which program wrote the file; extend the reader if it is a new version.",
        ),
        "FewUniqueSamples": Words(
            "Distinct values",
            "The detector repeats values: saturation, a loose fibre or too little gain.",
            "Look at the raw trace; drop the fibre if it is flat or clipped.",
        ),
        "LedStateGap": Words(
            "LED states",
            "For some frames it is unknown which light was on; they are left out.",
            "Nothing if they are few; otherwise look at the raw file around the gaps.",
        ),
        "AmbiguousRegionMapping": Words(
            "Region names",
            "It is unclear which fibre a signal column belongs to.",
            "Correct the region names in the experiment description or the locations file.",
        ),
        "TrialsNotInPhotometryTime": Words(
            "Recording covers trials",
            "Part of the session has no signal; responses would be cut.",
            "Check whether the recording stopped early or the clocks are misaligned; otherwise leave the session out.",
        ),
        "QCValidationError": Words(
            "LED order and frame timing",
            "Frames were lost or swapped, so that 470 and 415 nm samples may be exchanged from there on.",
            "Look at the raw file; do not use the session unless it is repaired.",
        ),
        "BandInversion": Words(
            "LED order",
            "The lights did not alternate, so that 470 and 415 nm samples may be exchanged from there on.",
            "Look at the raw file; do not use the session unless it is repaired.",
        ),
        "EarlySamples": Words(
            "Frame timing",
            "Frames came too early, so that some were lost or their times are wrong.",
            "Look at the raw file; do not use the session unless it is repaired.",
        ),
        "MissingVideoTimestamps": Words(
            "Video times",
            "There are no times of the left camera, so the video cannot be aligned. Photometry is not affected.",
            "Ask for re-extraction of the video if it was recorded.",
        ),
        "VideoLengthError": Words("Video length", _VIDEO, _NO_VIDEO),
        "VideoTimestampsQCError": Words("Video timing", _VIDEO, _NO_VIDEO),
        "VideoDroppedFramesQCError": Words("Video frames", _VIDEO, _NO_VIDEO),
        "VideoPinStateQCError": Words("Video synchronisation", _VIDEO, _NO_VIDEO),
        "MissingReference": Words(
            "Isosbestic band",
            "There is no isosbestic band to remove motion by. The signal is the one without, and cohort analyses leave the recording out.",
            "Look at the band as recorded, if the light was on.",
        ),
        "TooShortForBaseline": Words(
            "Length of the signal",
            _ONE_CORRECTION,
            _OTHER_CORRECTION,
        ),
        "ConstantSignal": Words(
            "Corrected signal",
            _ONE_CORRECTION,
            _OTHER_CORRECTION,
        ),
        "AllSamplesMasked": Words(
            "Masked samples",
            _ONE_CORRECTION,
            "Look at the bands as recorded: most of their samples repeat or are missing.",
        ),
        "DegenerateDenominator": Words(
            "Baseline of the signal",
            _ONE_CORRECTION,
            _OTHER_CORRECTION,
        ),
        "NoUsableSignal": Words(
            "Corrected signal",
            "The correction that analyses read could be computed for no fibre, so the session has no signal.",
            "Look at the bands as recorded, and at what is said about each correction.",
        ),
        "LowReferenceCorrelation": Words(
            "Isosbestic band",
            "The bands share nothing that could be removed: correction does neither good nor harm.",
            "Nothing.",
        ),
        "NegativeReferenceSlope": Words(
            "Isosbestic band",
            "The isosbestic band moves against the signal and is not subtracted: wrong wavelength, or crosstalk.",
            "Check LEDs and filters of the rig.",
        ),
        "FitMethodSensitive": Words(
            "Slope on the isosbestic band",
            "How much is subtracted rests on few samples, or on neural events.",
            _READ_BESIDE,
        ),
        "NoisyReference": Words(
            "Noise of the isosbestic band",
            "The isosbestic band is mostly noise, of which some is added to the signal.",
            _READ_BESIDE,
        ),
        "EventLockedReference": Words(
            "Isosbestic band at events",
            "The isosbestic band itself responds to an event: motion, or contamination. A part of the response may be left, or taken away.",
            _READ_BESIDE,
        ),
        "ReferenceContaminated": Words(
            "Isosbestic band at transients",
            "The isosbestic band shows what neurons do, so that sizes of responses are biased whatever the correction.",
            _READ_BESIDE,
        ),
        "ResidualReference": Words(
            "Corrected signal",
            "A correction left some of the isosbestic band in the signal, or put its inverse there.",
            "Look at the other stored corrections.",
        ),
        "ResidualBleaching": Words(
            "Level of the signal",
            "The level drifts over the session: it is not comparable between early and late trials, or genuinely slow.",
            _WITH_BASELINE,
        ),
        "BaselineRebound": Words(
            "Recovery of the signal",
            "Fluorescence recovers in the course of the session: corrections that only know decay would be wrong.",
            _WITH_BASELINE,
        ),
        "StrongBleaching": Words(
            "Bleaching",
            "More than half of the fluorescence is lost, so that late trials are noisier than early ones.",
            "Check the power of the LEDs.",
        ),
        "LowSignalToNoise": Words(
            "Activity in the signal",
            "The signal hardly rises above the noise of its samples: transients and z-scores are mostly noise.",
            "Check expression and the place of the fibre.",
        ),
        "FlatSteps": Words(
            "Repeated samples",
            "Many samples equal the one before: values are coarse or repeated.",
            "Check the gain of the camera.",
        ),
        "MaskedSamples": Words(
            "Masked samples",
            "Much of the recording, or a long stretch of it, is not used.",
            "Look at the bands as recorded.",
        ),
        "DarkOffsetImplausible": Words(
            "Dark offset",
            "What the camera reports without light is nearly the signal; it is not subtracted, so relative changes come out too small.",
            "Check exposure and gain of the camera.",
        ),
        "TransientsNotSeparable": Words(
            "Transients",
            "Troughs are as frequent as peaks: rates of transients are not those of events.",
            "Leave rates of transients of this recording out.",
        ),
        "MissingLP": Words(
            "Pose",
            "There is no pose of the left camera. Photometry is not affected.",
            "Ask for it if the video is good.",
        ),
        "MissingMotionEnergy": Words(
            "Motion energy",
            "There is no motion energy of the left camera. Photometry is not affected.",
            "Ask for it if the video is good.",
        ),
        "VideoFrameCountMismatch": Words("Video frames", _VIDEO, _NO_VIDEO),
        "UnexpectedError": Words(
            "Program",
            "The program met something that it was not written for; other sessions are unaffected.",
            "Report it with the traceback below, then run this session again once it is mended.",
        ),
        "CorruptArtifact": Words(
            "Stored results",
            "A stored file changed or is damaged; what it held is not shown.",
            "Run this session again with --reprocess.",
        ),
    }
)
"""The words by name of the error class."""


def words_for(family: Sequence[str]) -> Words:
    """Return the words for an error: those of its class, or of the nearest parent that has any.

    Parameters
    ----------
    family : sequence of str
        Names of its class and the parents of it, most special first.
    """
    for name in family:
        if name in WORDS:
            return WORDS[name]
    return Words(
        family[0] if family else "Unknown error",
        "Another version of the program stored this error; this one does not know what it stands for.",
        "Run this session again.",
    )
