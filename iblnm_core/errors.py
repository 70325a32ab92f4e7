"""Typed errors. A session error is a verdict on one session; what follows from it stands in `rules`.

Errors of the installation (a broken root, a broken artefact) are here too, at the end; nothing here computes anything.
"""

import os
from typing import Any


class SessionError(Exception):
    """A typed verdict on one session.

    Parameters
    ----------
    message : str
        What was found and what was expected, for a reader who knows the session already.
    measured, threshold : float or str, optional
        The value the rule looked at and the limit it was held against.
    """

    def __init__(
        self, message: str, *, measured: float | str | None = None, threshold: float | str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.measured = measured
        self.threshold = threshold

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way from a worker process back to the run."""
        return _rebuild, (type(self), self.message, self.measured, self.threshold)


def _rebuild(
    kind: type[SessionError], message: str, measured: float | str | None, threshold: float | str | None
) -> SessionError:
    return kind(message, measured=measured, threshold=threshold)


class InvalidSubject(SessionError):
    """The subject is on the exclusion list, or its name cannot be a folder name."""


class SubjectNotUnique(SessionError):
    """The table of subjects has no row of the subject, or several."""


class InvalidStrain(SessionError):
    """The strain is unknown, or none of the project's."""


class InvalidLine(SessionError):
    """The line is unknown, or none of the project's."""


class InvalidNeuromodulator(SessionError):
    """Neither strain nor line tells which neuromodulator the mouse reports."""


class NMMismatch(SessionError):
    """The mouse's genetics and the recorded targets stand for different neuromodulators."""


class HemisphereMismatch(SessionError):
    """A fibre is recorded on another side than the one it was implanted on."""


class MissingHemisphere(SessionError):
    """No hemisphere is known for the session, as no fibre is."""


class MissingInsertion(SessionError):
    """The table of fibres has no fibre of the subject in a recorded region."""


class InvalidSessionType(SessionError):
    """The task protocol names no session type, several, or one of the excluded variants."""


class InvalidSessionLength(SessionError):
    """Start and end of the session are missing or contradict each other."""


class MissingBrainRegion(SessionError):
    """No brain region is known for the session."""


class InvalidBrainRegion(SessionError):
    """A brain region is not one of the project's targets, or cannot be a name at all."""


class MissingRegionSource(SessionError):
    """Neither the experiment description nor the locations table names a brain region."""


class MissingHemiSuffix(SessionError):
    """A lateral target is recorded without its hemisphere."""


class InvalidTargetNM(SessionError):
    """Region and neuromodulator do not combine to one of the project's targets."""


class TrueDuplicateSession(SessionError):
    """The subject has another session on the same day, which is the one to use."""


class InvalidExtendedQC(SessionError):
    """A key of the session's extended quality control has a value that means nothing."""


class DataNotListed(SessionError):
    """A dataset category that every session should have is not listed."""


class MissingRawData(SessionError):
    """Neither the extracted dataset nor the raw one it is made from exists."""


class MissingExtractedData(SessionError):
    """The extracted dataset does not exist although its raw counterpart does."""


class CorruptDataset(SessionError):
    """A dataset is there but cannot be read, or lacks what its name promises."""


class MultipleCollections(SessionError):
    """The same dataset exists in several collections."""


class InsufficientTrials(SessionError):
    """Fewer trials than an analysis can use."""


class IncompleteEventTimes(SessionError):
    """An event is missing, or unknown in too many trials."""


class BlockStructureBug(SessionError):
    """The recorded block probabilities are not those that the task gave."""


class MissingBlockInfo(SessionError):
    """The task's plan of its blocks is unknown, so that doubtful blocks cannot be repaired."""


class SignalNotFinite(SessionError):
    """The signal holds values that are not numbers."""


class SignalWrongType(SessionError):
    """A signal column has another data type than the extraction writes."""


class DegenerateSignal(SessionError):
    """The signal cannot be processed: constant, too short, or its times do not increase."""


class UnknownRawLayout(SessionError):
    """The raw frames have none of the known column layouts."""


class FewUniqueSamples(SessionError):
    """A band takes so few distinct values that the camera hardly resolved its signal."""


class LedStateGap(SessionError):
    """Frames whose LED state is unknown."""


class AmbiguousRegionMapping(SessionError):
    """A signal column maps to no brain region of the session, or to several."""


class TrialsNotInPhotometryTime(SessionError):
    """Trials lie outside the photometry recording."""


class QCValidationError(SessionError):
    """The raw recording violates a quality rule that nothing downstream can repair."""


class BandInversion(QCValidationError):
    """Two consecutive frames were taken under the same LED."""


class EarlySamples(QCValidationError):
    """Frames came earlier than the frame rate allows."""


class MissingVideoTimestamps(SessionError):
    """There are no times of the left camera."""


class VideoLengthError(SessionError):
    """Video and session differ in length."""


class VideoTimestampsQCError(SessionError):
    """The camera times do not increase, or the acquisition's quality control does not say that they are sound."""


class VideoDroppedFramesQCError(SessionError):
    """The acquisition's quality control does not say that frames are complete."""


class VideoPinStateQCError(SessionError):
    """The acquisition's quality control does not say that the camera's input follows the audio pulses."""


class CorrectionError(SessionError):
    """A correction cannot be computed from the traces of a fibre."""


class MissingReference(CorrectionError):
    """The correction needs a reference band, and there is none."""


class MissingEpoch(CorrectionError):
    """The correction is fitted on a baseline epoch, and none was given."""


class TooShortForBaseline(CorrectionError):
    """There is less signal than the slowest part of the correction needs."""


class ConstantSignal(CorrectionError):
    """Nothing varies: no scale to normalise by."""


class AllSamplesMasked(CorrectionError):
    """Too few samples are left by the mask."""


class DegenerateDenominator(CorrectionError):
    """What the signal is divided by comes too close to zero."""


class NoUsableSignal(SessionError):
    """The correction that analyses read could be computed for no fibre."""


class LowReferenceCorrelation(SessionError):
    """The bands share nothing that could be removed."""


class NegativeReferenceSlope(SessionError):
    """The reference moves against the signal, and is not subtracted."""


class FitMethodSensitive(SessionError):
    """The slope on the reference depends on how it is fitted."""


class NoisyReference(SessionError):
    """The reference is mostly noise."""


class EventLockedReference(SessionError):
    """The reference itself responds to an event."""


class ReferenceContaminated(SessionError):
    """Calcium, or its inverse, shows in the reference."""


class ResidualReference(SessionError):
    """A correction left some of the reference in the signal, or put its inverse there."""


class ResidualBleaching(SessionError):
    """The level of the signal drifts over the session."""


class BaselineRebound(SessionError):
    """Fluorescence recovers in the course of the session."""


class StrongBleaching(SessionError):
    """Most of the fluorescence is lost in the course of the session."""


class LowSignalToNoise(SessionError):
    """The signal hardly rises above the noise of its samples."""


class FlatSteps(SessionError):
    """Many samples equal the one before."""


class MaskedSamples(SessionError):
    """Much of the recording, or a long stretch of it, is masked."""


class DarkOffsetImplausible(SessionError):
    """What the camera reports without light is too close to the signal to be subtracted."""


class TransientsNotSeparable(SessionError):
    """Troughs are as deep as peaks are high: rates of transients are not those of events."""


class MissingLP(SessionError):
    """There is no pose of the left camera."""


class MissingMotionEnergy(SessionError):
    """There is no motion energy of the left camera."""


class VideoFrameCountMismatch(SessionError):
    """Pose or motion energy have another number of frames than the camera has times."""


class UnexpectedError(SessionError):
    """Something that no rule foresees: a bug, a broken file, a dead worker."""


def family(error_type: type[SessionError]) -> tuple[str, ...]:
    """Return the names of an error class and its parents, most special first.

    Blockers are matched against families, so that naming `QCValidationError` blocks `BandInversion` too.
    """
    return tuple(kind.__name__ for kind in error_type.__mro__ if issubclass(kind, SessionError))[:-1]


class IblnmError(Exception):
    """Base of what is wrong with an installation, a root or a command, not with a session."""


class ConfigurationError(IblnmError):
    """A setting, a command or a root cannot be used as asked."""


class MissingDependency(ConfigurationError):
    """A package that only some commands need is not installed."""


class WorkersUnusable(ConfigurationError):
    """Worker processes on other machines cannot be reached, or have other versions or no view of the root; no verdict on any session."""


class NotLoaded(IblnmError):
    """Something was asked of a session in a notebook that takes data which were not loaded yet."""


class UnknownOption(IblnmError, ValueError):
    """A choice of an analysis is none that exists."""


class UnknownCorrection(IblnmError, LookupError):
    """A correction is asked for that is not stored."""


class CorrectionUnavailable(IblnmError):
    """A correction is asked for that could not be computed."""


class MixedCorrections(IblnmError, ValueError):
    """Recordings that are to be analysed together are under different corrections."""


class UnitError(IblnmError, ValueError):
    """Numbers are in another unit than an analysis takes, such as fractions for percent."""


class MissingPrerequisite(IblnmError, ValueError):
    """A model needs a table or column that is not there."""


class TooFewClasses(IblnmError, ValueError):
    """There are not two classes to tell apart."""


class RaggedNull(IblnmError, ValueError):
    """Null distributions that are to be pooled differ in length."""


class SingularDesign(IblnmError, ValueError):
    """The columns of a design depend on each other."""


class NwbMetadataIncomplete(IblnmError):
    """A session has not even what an NWB file must have."""


class OutdatedSession(IblnmError):
    """What is stored of a session was not made from its inputs, parameters or code as they are now."""


class SourceUnavailable(IblnmError):
    """The source of sessions cannot be reached for now; no verdict on any session."""


class StorageFull(IblnmError):
    """The file system that holds the root has no room left.

    Parameters
    ----------
    path : PathLike
        The file that could not be written.
    """

    def __init__(self, path: "os.PathLike[str] | str") -> None:
        super().__init__(
            f"no space left to write {os.fspath(path)}; what was stored before is untouched. Free some space and run again"
        )
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way from a worker process back to the run."""
        return type(self), (self.path,)


class CorruptArtifact(IblnmError):
    """A stored artefact is not what was written.

    Parameters
    ----------
    asset, eid, path : str
        What is broken, of which session, where.
    problem : str
        What was found, and what was expected.
    """

    def __init__(self, asset: str, eid: str, path: str, problem: str) -> None:
        super().__init__(
            f"stored {asset} of session {eid} in {path} is broken: {problem}; "
            + ("`iblnm doctor` says what to do" if eid == "all" else "re-run this session to replace it")
        )
        self.asset = asset
        self.eid = eid
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way from a worker process back to the run."""
        return type(self), (self.asset, self.eid, self.path, self.problem)
