"""Where every session stands: what is stored against what would be made of its inputs now."""

import hashlib
import json
import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from iblnm_core.cohort.collect import session_files
from iblnm_core.cohort.current import Look, note_current, read_current, stamp_of
from iblnm_core.cohort.unavailable import unavailable_sessions
from iblnm_core.cohort.under_way import interrupted_sessions
from iblnm_core.errors import ConfigurationError, CorruptArtifact, SourceUnavailable, family
from iblnm_core.root import Root
from iblnm_core.rules import RULES, Severity
from iblnm_core.schemas import SESSION_INDEX, SESSION_STATUS, SESSIONS
from iblnm_core.session import layout, ledger
from iblnm_core.session.datasets import DATASET_KINDS
from iblnm_core.session.fingerprint import (
    Provenance,
    code_version,
    dataset_kinds,
    parameters_digest,
    why_due,
)
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.outputs import COMPUTED, ON_REQUEST, ORDINARY, upstream
from iblnm_core.session.pipeline import SessionReport, SessionTask
from iblnm_core.session.verdicts import Finding, Verdict
from iblnm_core.sources.alyx import AlyxSource
from iblnm_core.sources.base import SessionSource
from iblnm_core.sources.downloads import Fetcher, RemoteFile
from iblnm_core.sources.local import LocalSource
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import read_table

_NOTE_EVERY_S = 10.0

ALL_OUTPUTS = frozenset({*ORDINARY, "session_errors"})
"""What is made of a session when nothing is said."""


def source_of(root: Root) -> SessionSource:
    """Return the source of sessions that a root's settings name.

    Raises
    ------
    ConfigurationError
        When the settings name none that exists.
    """
    if root.downloads is not None:
        return AlyxSource(root.downloads, root.url)
    if root.source != "local" or root.cache is None:
        known = "alyx, and local with a cache folder"
        raise ConfigurationError(f"{root.path}: source {root.source!r} is unknown; known are {known}")
    if not root.cache.is_dir():
        raise ConfigurationError(f"{root.path} reads sessions from {root.cache}, which does not exist")
    return LocalSource(root.cache)


@dataclass(frozen=True)
class Listed:
    """Where the datasets of a session are.

    Attributes
    ----------
    folder : Path
        The session folder.
    datasets : tuple of str
        Paths of the listed datasets below it.
    remote : tuple of str
        Those that come from a server, as `RemoteFile.to_text`.
    """

    folder: Path
    datasets: tuple[str, ...]
    remote: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of a root with what finding a session's files takes."""

    root: Root
    sessions: Mapping[str, Mapping[str, Any]]
    """Catalogue rows by session id."""
    listed: Mapping[str, Listed]
    """By session id."""
    fetcher: Fetcher | None

    @classmethod
    def load(cls, root: Root) -> "Catalogue":
        """Read the catalogue of a root.

        Raises
        ------
        ConfigurationError
            When it was not made yet.
        """
        try:
            sessions = read_table(root.path, SESSIONS)
            index = read_table(root.path, SESSION_INDEX, columns=["eid", "folder", "datasets", "remote"])
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"{root.path} has no catalogue yet: materialise session_index and sessions, or use `iblnm run`"
            ) from error
        source = source_of(root)
        columns = (index["eid"], index["folder"], index["datasets"], index["remote"])
        listed = {
            eid: Listed(source.session_folder(folder), tuple(datasets), tuple(remote))
            for eid, folder, datasets, remote in zip(*columns, strict=True)
        }
        # the index is written first: between the two a session can be gone from it
        rows = {row["eid"]: _plain_row(row) for row in sessions.to_dict("records") if row["eid"] in listed}
        return cls(root, rows, listed, source.fetcher)

    def tasks(
        self, eids: Iterable[str], selected: frozenset[str] = ALL_OUTPUTS, *, reprocess: bool = False
    ) -> list[SessionTask]:
        """Return what a worker needs for each of some sessions, longest recordings first.

        Raises
        ------
        ConfigurationError
            When a session is not in the catalogue.
        """
        tasks = []
        for eid in eids:
            if eid not in self.sessions:
                raise ConfigurationError(f"session {eid} is not in the catalogue of {self.root.path}")
            tasks.append(self._task(eid, selected, reprocess=reprocess))
        return sorted(tasks, key=lambda task: -(task.row["session_length"] or 0.0))

    def _task(self, eid: str, selected: frozenset[str] = ALL_OUTPUTS, *, reprocess: bool = False) -> SessionTask:
        listed = self.listed[eid]
        return SessionTask(
            eid,
            self.sessions[eid],
            str(listed.folder),
            listed.datasets,
            str(self.root.session_file(eid)),
            self.root.parameters,
            selected,
            reprocess,
            tuple(RemoteFile.from_text(text) for text in listed.remote),
            self.fetcher,
        )

    def downloads(self) -> list[Path]:
        """Return where the datasets lie, or would, that come from a server."""
        return [
            listed.folder / RemoteFile.from_text(text).path for listed in self.listed.values() for text in listed.remote
        ]

    def due(
        self,
        reading_s: float = math.inf,
        eids: Collection[str] | None = None,
        outputs: Collection[str] = ORDINARY,
    ) -> list[str]:
        """Return the sessions of which something would be computed now, in catalogue order.

        Parameters
        ----------
        reading_s : float
            A dataset whose time is new and whose size is not is read, to see whether its content is new; after so many seconds it
            counts as new unread, s.
        eids : collection of str, optional
            Look at these sessions only.
        outputs : collection of str
            What would be asked for.
        """
        asked = ON_REQUEST & set(outputs)
        known, due = read_current(self.root), []
        looked_at = self.sessions.keys() if eids is None else self.sessions.keys() & set(eids)
        current = {eid: look for eid, look in known.items() if eid in self.sessions and eid not in looked_at}
        start = noted = time.monotonic()
        for eid in self.sessions:
            if eid not in looked_at:
                continue
            # taken before looking: what changes meanwhile is news at the next look
            look: Look = [stamp_of(self.root.session_file(eid)), self.state(eid)]
            contents = time.monotonic() < start + reading_s
            # what is known to be current is so but for what is made on request
            is_known = known.get(eid) == look and not asked
            if is_known or not any(self.reasons(eid, contents=contents, asked=asked).values()):
                current[eid] = look
            else:
                due.append(eid)
            # a look that is cut short was not in vain
            if time.monotonic() > noted + _NOTE_EVERY_S:
                note_current(self.root, {**known, **current})
                noted = time.monotonic()
        if current != known:
            note_current(self.root, current)
        needed = upstream(set(outputs) & set(COMPUTED))
        if needed >= set(ORDINARY):
            return due
        return [
            eid for eid in due if any(why and name in needed for name, why in self.reasons(eid, asked=asked).items())
        ]

    def reasons(
        self, eid: str, *, contents: bool = True, asked: Collection[str] = frozenset()
    ) -> dict[str, str | None]:
        """Return, for each output of a session, why it has to be computed; None when it is current.

        Parameters
        ----------
        eid : str
        contents : bool
            Read datasets of which only the time is new; otherwise they count as new.
        asked : collection of str
            Outputs on request that are asked for; others have no reason to be computed unless they were once.
        """
        provenance, _ = stored_ledger(self.root, eid)
        return self._reasons(eid, provenance, contents=contents, asked=asked)

    def _reasons(
        self,
        eid: str,
        provenance: Mapping[str, Provenance],
        *,
        contents: bool = True,
        asked: Collection[str] = frozenset(),
    ) -> dict[str, str | None]:
        inputs = self._task(eid).inputs()
        row, parameters = self.sessions[eid], self.root.parameters
        reasons: dict[str, str | None] = {}
        try:
            for name in COMPUTED:
                stored, kinds = provenance.get(name), dataset_kinds(name)
                why = why_due(name, stored, row, parameters, inputs.found(kinds))
                if stored is None and name in ON_REQUEST and name not in asked:
                    why = None
                same = why == "input" and contents and stored and inputs.have_contents(stored.inputs, kinds)
                reasons[name] = None if same else why
        except SourceUnavailable:
            return dict.fromkeys(COMPUTED, "source unavailable")
        return reasons

    def state(self, eid: str) -> str:
        """Return a hash of all that decides what is due of a session, but its session file and the contents of datasets."""
        listed = self.listed[eid]
        parts = [self._method, self.sessions[eid], listed.datasets, listed.remote, self._on_disk(eid)]
        return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()

    @cached_property
    def _method(self) -> list[tuple[str, str]]:
        """Versions of code and parameters."""
        return [(code_version(name), parameters_digest(name, self.root.parameters)) for name in COMPUTED]

    def _on_disk(self, eid: str) -> list[tuple[str, tuple[int, int]]] | str:
        """Return sizes and times of the datasets that come from no server."""
        listed = self.listed[eid]
        if listed.remote:
            return []
        try:
            return sorted(SessionInputs(listed.folder, listed.datasets).found(DATASET_KINDS).items())
        except SourceUnavailable:
            return "source unavailable"

    def plan(self) -> pd.DataFrame:
        """Return what would be computed now and why: one row per session with columns `eid`, `subject`, `date`, `why`, `outputs`."""
        rows = []
        for eid in self.due():
            row, reasons = self.sessions[eid], {name: why for name, why in self.reasons(eid).items() if why}
            common = {"eid": eid, "subject": row["subject"], "date": row["start_time"][:10]}
            why = ", ".join(dict.fromkeys(reasons.values()))
            rows.append({**common, "why": why, "outputs": ", ".join(reasons)})
        return pd.DataFrame(rows, columns=["eid", "subject", "date", "why", "outputs"])

    def status(self) -> pd.DataFrame:
        """Return the `session_status` table; sessions that are stored and no longer listed are in it too."""
        unavailable, interrupted = unavailable_sessions(self.root), interrupted_sessions(self.root)
        rows = []
        for eid in self.sessions:
            for standing in self._standings(eid):
                if standing["due"] and eid in unavailable:
                    standing |= {"state": "source unavailable", "message": unavailable[eid]}
                elif standing["due"] and eid in interrupted:
                    standing |= {
                        "state": "interrupted",
                        "message": "the run that had taken it on ended before it was through",
                    }
                rows.append(standing)
        for eid in sorted(set(session_files(self.root)) - set(self.sessions)):
            rows += self._delisted(eid)
        return pd.DataFrame(rows, columns=SESSION_STATUS.column_names)

    def _standings(self, eid: str) -> list[dict[str, Any]]:
        """Return the rows of a session: what is stored against what would be made of its inputs now."""
        provenance, verdicts = stored_ledger(self.root, eid)
        row = self.sessions[eid]
        common = {"eid": eid, "subject": row["subject"], "date": row["start_time"][:10]}
        rows = []
        for name, due in self._reasons(eid, provenance).items():
            state, reason, message = _standing(name, provenance.get(name), due, verdicts.values())
            rows.append({**common, "asset": name, "state": state, "reason": reason, "due": due, "message": message})
        return rows

    def _delisted(self, eid: str) -> list[dict[str, Any]]:
        """Return the rows of a session that the source no longer lists; its results stay as they are."""
        provenance, _ = stored_ledger(self.root, eid)
        row = stored_row(self.root, eid)
        common = {"eid": eid, "subject": row.get("subject") or "", "date": (row.get("start_time") or "")[:10]}
        standing = {"state": "delisted", "reason": None, "due": None, "message": "the source no longer lists it"}
        return [{**common, "asset": name, **standing} for name in COMPUTED if name in provenance]


def _standing(
    name: str, provenance: Provenance | None, due: str | None, verdicts: Iterable[Verdict]
) -> tuple[str, str | None, str | None]:
    """Return state, reason and message of one output."""
    if provenance is None:
        return "on request" if name in ON_REQUEST else "never run", None, None
    if provenance.state != "stored":
        error_type, finding = provenance.stopped_by, _finding(provenance.stopped_by, name, verdicts)
        if finding is None:
            return "failed", error_type, None
        state = "absent" if finding.severity is Severity.ADVISORY else "failed"
        return state, error_type, finding.error_message
    if due is not None:
        return "out of date", due, None
    return "ok", None, None


def _finding(error_type: str | None, name: str, verdicts: Iterable[Verdict]) -> Finding | None:
    """Return the error that stopped an output; one of its own rules before another's, as they share classes."""
    found = [(v.asset != name, f) for v in verdicts for f in v.findings if f.error_type == error_type]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def stored_ledger(root: Root, eid: str) -> tuple[Mapping[str, Provenance], Mapping[str, Verdict]]:
    """Return what is stored of a session: provenance by output, verdicts by rule; empty when nothing can be read."""
    try:
        with SessionFile(root.session_file(eid), eid) as file:
            return ledger.read_provenance(file), ledger.read_verdicts(file)
    except (FileNotFoundError, KeyError, CorruptArtifact):
        return {}, {}


def stored_row(root: Root, eid: str) -> Mapping[str, Any]:
    """Return the catalogue row that a stored session was processed with; empty when it cannot be read."""
    try:
        with SessionFile(root.session_file(eid), eid) as file:
            return layout.read_metadata(file)
    except (FileNotFoundError, KeyError, CorruptArtifact):
        return {}


def _plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row with lists for arrays and None for not-a-number, as it can be hashed and stored."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if hasattr(value, "tolist"):
            value = value.tolist()  # noqa: PLW2901 - one value in one form
        plain[str(name)] = None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - not a number
    return plain


def failures(table: pd.DataFrame, error_types: Sequence[str] = ()) -> pd.DataFrame:
    """Return the fatal rows of the errors table, or all rows of some error types or families.

    Raises
    ------
    ConfigurationError
        When there is no such error type.
    """
    if not error_types:
        return table[table["severity"] == "fatal"]
    known = {name for rule in RULES.values() for c in rule.consequences for name in family(c.error)}
    unknown = set(error_types) - known
    if unknown:
        raise ConfigurationError(
            f"error type {', '.join(sorted(unknown))} is unknown; known are {', '.join(sorted(known))}"
        )
    wanted = set(error_types)
    return table[[bool(wanted.intersection(text.split())) for text in table["error_family"]]]


def stored_report(task: SessionTask) -> SessionReport | None:
    """Return how a session stands without computing anything; None for one that was never processed."""
    try:
        with SessionFile(Path(task.file), task.eid) as file:
            provenance, verdicts = ledger.read_provenance(file), ledger.read_verdicts(file)
    except (FileNotFoundError, KeyError):
        return None
    return SessionReport(task.eid, frozenset(), provenance, verdicts)
