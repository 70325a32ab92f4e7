"""What people say of recordings: a log to which labels are only ever added. An input of the graph; nothing derived is kept here."""

import getpass
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from iblnm_core import __version__
from iblnm_core.errors import ConfigurationError
from iblnm_core.identifiers import checked_eid
from iblnm_core.schemas import LABELS
from iblnm_core.storage.atomic import explained_when_full, locked

FILE = "labels.jsonl"
"""Below the root; one label in a line."""

Verdict = Literal["keep", "doubtful", "reject"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

LONGEST_NOTE = 2_000
LONGEST_NAME = 100


@dataclass(frozen=True)
class Label:
    """What somebody said of one recording.

    Attributes
    ----------
    eid : str
    fiber_idx : int
        Position of the fibre in the session's lists, from 0.
    verdict : {'keep', 'doubtful', 'reject'}
    note : str
    author : str
    labelled_at : str
        ISO 8601, UTC.
    code_version : str
        Of the software that showed the recording.

    Raises
    ------
    ConfigurationError
        When a value is none.
    """

    eid: str
    fiber_idx: int
    verdict: Verdict
    note: str
    author: str
    labelled_at: str
    code_version: str

    def __post_init__(self) -> None:
        checked_eid(self.eid)
        if self.verdict not in VERDICTS:
            raise ConfigurationError(f"verdict {self.verdict!r}; expected one of {', '.join(VERDICTS)}")
        if isinstance(self.fiber_idx, bool) or not isinstance(self.fiber_idx, int) or self.fiber_idx < 0:
            raise ConfigurationError(f"fiber_idx {self.fiber_idx!r}; expected a whole number from 0 on")
        if not self.author.strip() or len(self.author) > LONGEST_NAME:
            raise ConfigurationError(f"a label needs the name of its author, of at most {LONGEST_NAME} characters")
        if len(self.note) > LONGEST_NOTE:
            raise ConfigurationError(f"the note has {len(self.note)} characters; at most {LONGEST_NOTE} are kept")


@dataclass(frozen=True, eq=False)
class LabelLog:
    """The log as it was read.

    Attributes
    ----------
    rows : DataFrame
        As the `labels` table.
    unreadable : tuple of str
        Lines that are no labels, by number (from 1), and why.
    """

    rows: pd.DataFrame
    unreadable: tuple[str, ...]


def add_label(
    root: Path, eid: str, fiber_idx: int, verdict: Verdict, *, note: str = "", author: str | None = None
) -> Label:
    """Append a label of now to the log of a root; it is on the disk when this returns.

    Parameters
    ----------
    root : Path
    eid : str
    fiber_idx : int
        Position of the fibre in the session's lists, from 0.
    verdict : {'keep', 'doubtful', 'reject'}
    note : str
    author : str, optional
        The user of this process by default.

    Raises
    ------
    ConfigurationError
        When a value is none.
    StorageFull
    """
    name = getpass.getuser() if author is None else author.strip()
    label = Label(eid, fiber_idx, verdict, note.strip(), name, datetime.now(UTC).isoformat("T", "seconds"), __version__)
    line = json.dumps(asdict(label), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    path = root / FILE
    with explained_when_full(path), locked(root / f".{FILE}.lock"), path.open("ab+") as log:
        size = log.seek(0, os.SEEK_END)
        if size and _last_byte(path) != b"\n":
            # the line before was cut short by a crash: it must not take this one with it
            line = b"\n" + line
        try:
            log.write(line)
            log.flush()
            os.fsync(log.fileno())
        except OSError:
            os.truncate(path, size)
            raise
    return label


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as log:
        log.seek(-1, os.SEEK_END)
        return log.read(1)


def read_labels(root: Path) -> LabelLog:
    """Read the log of a root; a line that is no label costs itself alone.

    Parameters
    ----------
    root : Path
    """
    path = root / FILE
    rows, unreadable = [], []
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label = Label(**json.loads(line))
        except (ValueError, TypeError, AttributeError, ConfigurationError) as error:
            unreadable.append(f"line {number}: {error}")
            continue
        rows.append({"position": number, **asdict(label)})
    frame = pd.DataFrame(rows, columns=[name for name in LABELS.column_names if name != "current"])
    # the line, as clocks of several machines differ
    frame["current"] = ~frame.duplicated(["eid", "fiber_idx"], keep="last")
    return LabelLog(frame[LABELS.column_names], tuple(unreadable))


def labelled_as(labels: pd.DataFrame, verdicts: tuple[Verdict, ...]) -> set[tuple[str, int]]:
    """Return session and fibre of the recordings whose last label is one of some verdicts.

    Parameters
    ----------
    labels : DataFrame
        The `labels` table.
    verdicts : tuple of {'keep', 'doubtful', 'reject'}
    """
    found = labels[labels["current"].astype(bool) & labels["verdict"].isin(list(verdicts))]
    return set(zip(found["eid"], found["fiber_idx"].astype(int), strict=True))
