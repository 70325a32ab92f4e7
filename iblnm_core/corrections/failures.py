"""Where the arithmetic of a correction ends. These never leave the package: a result carries their name as its reason."""


class CorrectionError(Exception):
    """A correction cannot be computed from these traces."""


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


SKIPPING = (MissingReference, MissingEpoch)
"""What is missing is no fault of the recording: such corrections count as skipped, the others as failed."""
