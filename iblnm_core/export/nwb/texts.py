"""Texts and names in an NWB file: what the file format cannot hold is replaced, and what was changed is on record."""

import re
from dataclasses import dataclass, field

LONGEST_TEXT = 10_000
"""Longer texts are cut, characters."""

_REPLACEMENT = "\ufffd"
# control characters but the newline, and halves of surrogate pairs: HDF5 or UTF-8 refuse them without saying where
_UNFIT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass
class Texts:
    """Cleans the texts of one file and remembers which had to be changed."""

    changed: list[str] = field(default_factory=list)

    def clean(self, where: str, text: object) -> str:
        """Return a text as the file can hold it.

        Parameters
        ----------
        where : str
            What the text is, for the note about a change.
        text : object
            Null becomes an empty text.
        """
        given = "" if text is None else str(text)
        cleaned = _UNFIT.sub(_REPLACEMENT, given)[:LONGEST_TEXT]
        if cleaned != given and where not in self.changed:
            self.changed.append(where)
        return cleaned

    def optional(self, where: str, text: object) -> str | None:
        """Return a text as the file can hold it, None for one that says nothing."""
        return self.clean(where, text).strip() or None

    def note(self) -> str | None:
        """Return the sentence about changed texts; None when there are none."""
        if not self.changed:
            return None
        return f"Characters that the file format cannot hold were replaced, or long texts cut, in: {', '.join(self.changed)}."


def object_name(text: str) -> str:
    """Return a text as the name of an object: letters of the Latin alphabet, digits, `_` and `-`; others become `_`."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text) or "_"


def unique_names(texts: list[str]) -> list[str]:
    """Return object names of texts, told apart by a number where two become equal."""
    names: list[str] = []
    for text in texts:
        name, number = object_name(text), 2
        while name in names:
            name, number = f"{object_name(text)}_{number}", number + 1
        names.append(name)
    return names


def file_name_part(subject: str) -> str:
    """Return a subject's name as part of a file name: other characters than letters, digits and `-` become `-`."""
    return re.sub(r"[^A-Za-z0-9-]", "-", subject)[:100] or "unknown"
