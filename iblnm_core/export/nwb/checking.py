"""An NWB file held against its schema, and against the best practices of the format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblnm_core.export.nwb.libraries import inspector, nwb_libraries


@dataclass(frozen=True)
class Message:
    """What the inspector said of one object of a file."""

    level: str
    check: str
    location: str
    text: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.check} at {self.location or '/'}: {self.text}"


def schema_errors(path: Path) -> list[str]:
    """Return what in a file violates the schema that the file brings; empty for a valid one.

    Parameters
    ----------
    path : Path

    Raises
    ------
    MissingDependency
        When the libraries are not installed.
    """
    return [str(error) for error in nwb_libraries().pynwb.validate(path=str(path))]


def inspect_file(path: Path) -> list[Message]:
    """Return what the inspector of best practices says of a file, of all levels; what it cannot read is critical.

    Parameters
    ----------
    path : Path

    Raises
    ------
    MissingDependency
        When the inspector is not installed.
    """
    # validation is a check of its own
    found = inspector().inspect_nwbfile(nwbfile_path=str(path), skip_validate=True)
    return [_message(message) for message in found]


def _message(given: Any) -> Message:
    location, level, text = f"{given.location or ''}{given.object_name or ''}", given.importance.name, given.message
    if level == "ERROR":
        # the inspector catches what it breaks on; its traceback ends with the reason
        return Message("CRITICAL", "not_inspected", location, text.strip().splitlines()[-1])
    return Message(level, given.check_function_name, location, text)


def of_level(messages: Sequence[Message], level: str) -> list[Message]:
    """Return the messages of one level.

    Parameters
    ----------
    messages : sequence of Message
    level : str
        Such as `CRITICAL` or `BEST_PRACTICE_VIOLATION`.
    """
    return [message for message in messages if message.level == level]
