"""Where every session stands: what is stored against what would be made of its inputs now."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from iblnm_core.cohort.unavailable import unavailable_sessions
from iblnm_core.errors import ConfigurationError, CorruptArtifact, family
from iblnm_core.root import DOWNLOADS, Root
from iblnm_core.rules import RULES
from iblnm_core.schemas import SESSION_INDEX, SESSION_STATUS, SESSIONS
from iblnm_core.session import layout
from iblnm_core.session.fingerprint import (
    Provenance,
    code_version,
    dataset_kinds,
    parameters_digest,
    row_digest,
    why_due,
)
from iblnm_core.session.outputs import COMPUTED
from iblnm_core.session.pipeline import SessionReport, SessionTask
from iblnm_core.session.verdicts import Verdict
from iblnm_core.sources.alyx import AlyxSource
from iblnm_core.sources.base import SessionSource
from iblnm_core.sources.downloads import Fetcher, RemoteFile
from iblnm_core.sources.local import LocalSource
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import read_table

ALL_OUTPUTS = frozenset({*COMPUTED, "session_errors"})


def source_of(root: Root) -> SessionSource:
    """Return the source of sessions that a root's settings name.

    Raises
    ------
    ConfigurationError
        When the settings name none that exists.
    """
    if root.source == "alyx":
        return AlyxSource(root.cache or root.path / DOWNLOADS, root.url)
    if root.source != "local" or root.cache is None:
        known = "alyx, and local with a cache folder"
        raise ConfigurationError(f"{root.path}: source {root.source!r} is unknown; known are {known}")
    if not root.cache.is_dir():
        raise ConfigurationError(f"{root.path} reads sessions from {root.cache}, which does not exist")
    return LocalSource(root.cache)


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of a root with what finding a session's files takes."""

    root: Root
    sessions: Mapping[str, Mapping[str, Any]]
    """Catalogue rows by session id."""
    files: Mapping[str, tuple[Path, tuple[str, ...], tuple[RemoteFile, ...]]]
    """Session folder, listed datasets, and those that come from a server, by session id."""
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
        rows = {row["eid"]: _plain_row(row) for row in sessions.to_dict("records")}
        files = {
            row["eid"]: (
                source.session_folder(row["folder"]),
                tuple(row["datasets"]),
                tuple(RemoteFile.from_text(text) for text in row["remote"]),
            )
            for row in index.to_dict("records")
        }
        return cls(root, rows, files, source.fetcher)

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

    def _task(self, eid: str, selected: frozenset[str], *, reprocess: bool = False) -> SessionTask:
        folder, datasets, remote = self.files[eid]
        return SessionTask(
            eid,
            self.sessions[eid],
            str(folder),
            datasets,
            str(self.root.session_file(eid)),
            self.root.parameters,
            selected,
            reprocess,
            remote,
            self.fetcher,
        )

    def due(self) -> list[str]:
        """Return the sessions of which something would be computed now, in catalogue order."""
        return [eid for eid in self.sessions if any(reason for reason in self.reasons(eid).values())]

    def reasons(self, eid: str) -> dict[str, str | None]:
        """Return, for each output of a session, why it has to be computed; None when it is current."""
        provenance, _ = stored_ledger(self.root, eid)
        return self._reasons(eid, provenance)

    def _reasons(self, eid: str, provenance: Mapping[str, Provenance]) -> dict[str, str | None]:
        inputs = self._task(eid, ALL_OUTPUTS).inputs()
        row, parameters = self.sessions[eid], self.root.parameters
        return {
            name: why_due(name, provenance.get(name), row, parameters, inputs.found(dataset_kinds(name)))
            for name in COMPUTED
        }

    def state(self, eid: str) -> str:
        """Return a hash of all that decides what is due of a session, but the contents of its files."""
        inputs, row, parameters = self._task(eid, ALL_OUTPUTS).inputs(), self.sessions[eid], self.root.parameters
        parts = [(code_version(name), parameters_digest(name, parameters), row_digest(name, row)) for name in COMPUTED]
        found = sorted(inputs.found({kind for name in COMPUTED for kind in dataset_kinds(name)}).items())
        return hashlib.blake2b(json.dumps([parts, found]).encode(), digest_size=8).hexdigest()

    def plan(self) -> pd.DataFrame:
        """Return what would be computed now and why: one row per session with columns `eid`, `subject`, `date`, `why`, `outputs`."""
        rows = []
        for eid, row in self.sessions.items():
            reasons = {name: reason for name, reason in self.reasons(eid).items() if reason}
            if reasons:
                why = ", ".join(dict.fromkeys(reasons.values()))
                common = {"eid": eid, "subject": row["subject"], "date": row["start_time"][:10]}
                rows.append({**common, "why": why, "outputs": ", ".join(reasons)})
        return pd.DataFrame(rows, columns=["eid", "subject", "date", "why", "outputs"])

    def status(self) -> pd.DataFrame:
        """Return the `session_status` table."""
        unavailable = unavailable_sessions(self.root)
        rows = [row for eid in self.sessions for row in self._status_rows(eid, unavailable.get(eid))]
        return pd.DataFrame(rows, columns=SESSION_STATUS.column_names)

    def _status_rows(self, eid: str, unavailable: str | None) -> list[dict[str, Any]]:
        provenance, verdicts = stored_ledger(self.root, eid)
        row = self.sessions[eid]
        common = {"eid": eid, "subject": row["subject"], "date": row["start_time"][:10]}
        rows = []
        for name, due in self._reasons(eid, provenance).items():
            state, reason, message = _standing(provenance.get(name), due, verdicts.values())
            if due is not None and unavailable is not None:
                state, message = "source unavailable", unavailable
            standing = {"asset": name, "state": state, "reason": reason, "due": due, "message": message}
            rows.append({**common, **standing})
        return rows


def _standing(
    provenance: Provenance | None, due: str | None, verdicts: Iterable[Verdict]
) -> tuple[str, str | None, str | None]:
    """Return state, reason and message of one output."""
    if provenance is None:
        return "never run", None, None
    if provenance.state != "stored":
        return "failed", provenance.stopped_by, _message(provenance.stopped_by, verdicts)
    if due is not None:
        return "out of date", due, None
    return "ok", None, None


def _message(error_type: str | None, verdicts: Iterable[Verdict]) -> str | None:
    messages = [f.error_message for v in verdicts for f in v.findings if f.error_type == error_type]
    return messages[0] if messages else None


def stored_ledger(root: Root, eid: str) -> tuple[Mapping[str, Provenance], Mapping[str, Verdict]]:
    """Return what is stored of a session: provenance by output, verdicts by rule; empty when nothing can be read."""
    try:
        with SessionFile(root.session_file(eid), eid) as file:
            return layout.read_provenance(file), layout.read_verdicts(file)
    except (FileNotFoundError, KeyError, CorruptArtifact):
        return {}, {}


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
            provenance, verdicts = layout.read_provenance(file), layout.read_verdicts(file)
    except (FileNotFoundError, KeyError):
        return None
    return SessionReport(task.eid, frozenset(), provenance, verdicts)
