"""What must follow from a fault that is planted: the errors, and the outputs that are missing."""

from dataclasses import dataclass, field

from iblnm_core.demo.changes import Change
from iblnm_core.rules import RULES
from iblnm_core.session.outputs import OF_RESPONSES


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


NO_RESPONSES = frozenset(OF_RESPONSES)
NO_CORRECTED = NO_RESPONSES | {"preprocessed_signal", "transients", "region_pairs"}
NO_SIGNAL = NO_CORRECTED | {"corrections"}
NO_TRIALS = NO_SIGNAL | {"trials", "task_performance", "wheel_velocity", "trial_regressors", "pose"}


def trials_error(error_type: str, pattern: str, *, fatal: bool = True) -> ExpectedError:
    """Return an error of the trials."""
    return ExpectedError("trials", error_type, fatal, pattern)


def photometry_error(error_type: str, pattern: str, *, fatal: bool = True) -> ExpectedError:
    """Return an error of the recording."""
    return ExpectedError("photometry_qc", error_type, fatal, pattern)


def metadata_error(error_type: str, pattern: str) -> ExpectedError:
    """Return an advisory error of the catalogue row."""
    return ExpectedError("session_metadata", error_type, False, pattern)


def wheel_error(error_type: str, pattern: str) -> ExpectedError:
    """Return an error that stops the wheel."""
    return ExpectedError("wheel_velocity", error_type, True, pattern)


def video_error(error_type: str, pattern: str = "") -> ExpectedError:
    """Return an advisory error of the video."""
    return ExpectedError("video_qc", error_type, False, pattern)


def block_error(error_type: str, pattern: str) -> ExpectedError:
    """Return an advisory error of the blocks."""
    return trials_error(error_type, pattern, fatal=False)


HABITUATION_ERRORS = (
    ExpectedError("trials", "IncompleteEventTimes", False, r"^Incomplete events: firstMovement_times$"),
)
"""Errors of a sound habituation session, in which the mouse makes no choice."""


def not_listed(categories: str) -> ExpectedError:
    """Return the advisory error about dataset categories that are not listed."""
    return ExpectedError("session_metadata", "DataNotListed", False, rf"^{categories}$")
