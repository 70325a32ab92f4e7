"""One session through all its stages in memory: decide what is due, compute it, replace the session file once.

It returns outputs and verdicts and raises for no typed error. Runs in worker processes; knows nothing of Dagster.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iblnm_core.errors import CorruptArtifact
from iblnm_core.parameters import Parameters
from iblnm_core.rules import RULES
from iblnm_core.session import ledger
from iblnm_core.session.computing import PHOTOMETRY, Computation
from iblnm_core.session.fingerprint import (
    Provenance,
    code_version,
    dataset_kinds,
    fingerprint,
    library_versions,
    parameters_digest,
    row_digest,
    why_due,
)
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.outputs import COMPUTED, MAY_BE_EMPTY, ON_REQUEST, ORDINARY, owner_of_part, upstream
from iblnm_core.session.timing import StepTimes
from iblnm_core.session.verdicts import Judge, Verdict
from iblnm_core.sources.downloads import Fetcher, RemoteFile
from iblnm_core.storage.session_file import Part, SessionFile, update_session_file


@dataclass(frozen=True)
class SessionTask:
    """Everything a worker needs to know about one session.

    Attributes
    ----------
    eid : str
    row : mapping
        The session's row of the `sessions` table.
    folder : str
        The session folder of the source.
    datasets : tuple of str
        Paths that the source lists below the folder.
    file : str
        The session file.
    parameters : Parameters
    selected : frozenset of str
        Outputs asked for; what they need is computed too when it is not current.
    reprocess : bool
        Compute what is asked for even when it is current.
    remote : tuple of RemoteFile
        Those of the datasets that come from a server.
    fetcher : Fetcher or None
        Fetches them.
    """

    eid: str
    row: Mapping[str, Any]
    folder: str
    datasets: tuple[str, ...]
    file: str
    parameters: Parameters
    selected: frozenset[str]
    reprocess: bool = False
    remote: tuple[RemoteFile, ...] = ()
    fetcher: Fetcher | None = None

    def inputs(self) -> SessionInputs:
        """Return the input datasets, nothing of them read yet."""
        return SessionInputs(Path(self.folder), self.datasets, {file.path: file for file in self.remote}, self.fetcher)


@dataclass(frozen=True)
class SessionReport:
    """How a session went.

    Attributes
    ----------
    eid : str
    computed : frozenset of str
        Outputs computed in this run; none when the stored session was current and is adopted.
    provenance : mapping of str to Provenance
        All outputs of the session as they are stored now.
    verdicts : mapping of str to Verdict
        All rules judged, now or when the stored outputs were made.
    seconds : mapping of str to float
        Wall time per step.
    """

    eid: str
    computed: frozenset[str]
    provenance: Mapping[str, Provenance]
    verdicts: Mapping[str, Verdict]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def stopped(self) -> dict[str, str]:
        """Outputs that do not exist, and the error type that stopped each."""
        return {name: p.stopped_by or p.state for name, p in self.provenance.items() if p.state != "stored"}

    @property
    def failed(self) -> bool:
        """Whether a fatal error stands against the session."""
        return any(verdict.fatal for verdict in self.verdicts.values())


def process_session(task: SessionTask) -> SessionReport:
    """Compute what is due of one session, store it, and say how it went.

    Raises
    ------
    SourceUnavailable
        When the inputs cannot be had for now: no verdict, nothing changed.
    StorageFull
        When the result cannot be stored: nothing changed.
    """
    return _SessionRun(task).run()


def adopt_session(task: SessionTask) -> SessionReport | None:
    """Return how a session stands when everything asked for is stored and current, None when something is due.

    Raises
    ------
    SourceUnavailable
        When its inputs cannot be looked at for now.
    """
    run = _SessionRun(task)
    return run.stored_report() if not run.what_is_due() and run.memo_is_current() else None


def record_crash(task: SessionTask, error: BaseException) -> SessionReport:
    """Store that computing a session failed outside of its own code: its worker died, or never answered."""
    run = _SessionRun(task)
    due = run.what_is_due()
    run.judge.unexpected(error, due)
    return run.store(frozenset(due))


class _SessionRun:
    """The state of one pass over one session."""

    def __init__(self, task: SessionTask) -> None:
        self.task = task
        self.path = Path(task.file)
        self.inputs = task.inputs()
        self.seconds = StepTimes()
        self.parts: dict[str, Part] = {}
        self.summaries: dict[str, dict[str, float]] = {}
        self.judge = Judge()
        self.standing: Mapping[str, Verdict] = {}
        self.provenance, self.verdicts = self._stored_ledger()

    def run(self) -> SessionReport:
        with self.seconds.step("fingerprints"):
            due = self.what_is_due()
        try:
            return self._compute(due)
        except CorruptArtifact:
            # what was to be loaded from the session file is broken: make it anew
            with contextlib.suppress(CorruptArtifact):
                return self._compute(upstream(due) & frozenset(COMPUTED))
        # nor can the rest be kept
        self.path.replace(self.path.with_suffix(".broken"))
        return _SessionRun(self.task).run()

    def what_is_due(self) -> frozenset[str]:
        """Return the outputs to compute: those asked for and their upstream, as far as they are not current."""
        wanted = self.task.selected & frozenset(COMPUTED)
        if wanted >= set(ORDINARY):
            # what was made on request once is kept current
            wanted |= ON_REQUEST & self.provenance.keys()
        # whatever is asked for, a file says which session it is about
        needed = (upstream(wanted) | {"session_metadata"}) & frozenset(COMPUTED)
        due = {name for name in needed if self._is_due(name)}
        if self.task.reprocess:
            due |= wanted
        if due & PHOTOMETRY:
            due |= PHOTOMETRY
        return frozenset(due)

    def _is_due(self, name: str) -> bool:
        reason = self._why_due(name)
        if reason != "input":
            return reason is not None
        # size or time of an input differ: only its content decides
        files = self.inputs.files(dataset_kinds(name))
        return self.provenance[name].fingerprint != fingerprint(name, self.task.row, self.task.parameters, files)

    def _why_due(self, name: str) -> str | None:
        found = self.inputs.found(dataset_kinds(name))
        return why_due(name, self.provenance.get(name), self.task.row, self.task.parameters, found)

    def _compute(self, due: frozenset[str]) -> SessionReport:
        if not due and self.memo_is_current():
            return self.stored_report()
        again = due | {"session_errors"}
        self.standing = {
            name: v for name, v in self.verdicts.items() if v.asset not in again and name != "session_paths_safe"
        }
        self.judge = Judge(dict(self.standing))
        computation = Computation(self.inputs, self.task.row, self.task.parameters, self.path, self.judge, self.seconds)
        computation.run(due)
        self.parts, self.summaries = computation.parts, computation.summaries
        return self.store(due)

    def store(self, due: frozenset[str]) -> SessionReport:
        """Replace the session file: what was computed comes in, what is stopped goes, the rest stays."""
        stopped = self.judge.stopped
        crashed = "no_unexpected_error" in self.judge.verdicts and not self.judge.verdicts["no_unexpected_error"].passed
        if not crashed:
            self.judge.record("no_unexpected_error", [])
        fresh = self._fresh_provenance(due)
        parts = {path: part for path, part in self.parts.items() if owner_of_part(path) not in stopped}
        report: list[SessionReport] = []

        def change(stored: SessionFile | None) -> tuple[Mapping[str, Part], Any]:
            # another run may have stored other outputs meanwhile: what this run did not make is taken from there
            provenance, verdicts = ledger.read_ledger(stored)
            judged = {name: v for name, v in self.judge.verdicts.items() if self.standing.get(name) is not v}
            merged = {name: v for name, v in verdicts.items() if v.asset not in due} | judged
            merged = {name: merged[name] for name in RULES if name in merged}
            known = dict(provenance)
            for name, entry in fresh.items():
                if name in due or (name in known and known[name].fingerprint == entry.fingerprint):
                    known[name] = entry
            gone = (set(stopped) & set(known)) | (set(stopped) & due)
            for name in gone - set(fresh):
                known[name] = self._provenance_of(name, "stopped", stopped[name])
            report.append(SessionReport(self.task.eid, due, known, merged, self.seconds))
            writes = {**parts, **ledger.ledger_parts(self.task.eid, merged.values(), known)}
            return writes, lambda path: owner_of_part(path) in due | gone

        with self.seconds.step("storage"):
            update_session_file(self.path, self.task.eid, change)
        return report[-1]

    def _fresh_provenance(self, due: frozenset[str]) -> dict[str, Provenance]:
        fresh = {}
        owners = {owner_of_part(path) for path in self.parts}
        # an output whose inputs have new times and the old content gets a new memo of them
        for name in [name for name in COMPUTED if name in due or name in self.provenance]:
            if name in due:
                if name in self.judge.stopped:
                    fresh[name] = self._provenance_of(name, "stopped", self.judge.stopped[name])
                elif name in owners or name in MAY_BE_EMPTY:
                    fresh[name] = self._provenance_of(name, "stored", None)
                else:
                    fresh[name] = self._provenance_of(name, "stopped", self._stopping_error(name))
            elif self._why_due(name) == "input" and not self._is_due(name):
                entry = self.provenance[name]
                fresh[name] = self._provenance_of(name, entry.state, entry.stopped_by, entry.summary)
        return fresh

    def _stopping_error(self, name: str) -> str | None:
        """Return the error behind an output for which there was nothing to compute."""
        for verdict in self.judge.verdicts.values():
            if verdict.asset == name and verdict.fatal:
                return verdict.findings[0].error_type
        return None

    def _provenance_of(
        self, name: str, state: Any, stopped_by: str | None, summary: Mapping[str, float] | None = None
    ) -> Provenance:
        row, parameters = self.task.row, self.task.parameters
        inputs = self.inputs.files(dataset_kinds(name))
        return Provenance(
            state="failed" if stopped_by == "UnexpectedError" else state,
            stopped_by=stopped_by,
            fingerprint=fingerprint(name, row, parameters, inputs),
            code=code_version(name),
            parameters=parameters_digest(name, parameters),
            row=row_digest(name, row),
            inputs=inputs,
            summary=self.summaries.get(name, {}) if summary is None else summary,
            libraries=library_versions(),
        )

    def stored_report(self) -> SessionReport:
        """Return how the session stands without computing anything."""
        return SessionReport(self.task.eid, frozenset(), self.provenance, self.verdicts, self.seconds)

    def memo_is_current(self) -> bool:
        """Whether sizes and times of all inputs are as stored, so that the next look needs no reading."""
        return all(self._why_due(name) != "input" for name in COMPUTED if name in self.provenance)

    def _stored_ledger(self) -> tuple[Mapping[str, Provenance], Mapping[str, Verdict]]:
        try:
            with SessionFile(self.path, self.task.eid) as file:
                return ledger.read_ledger(file)
        except (FileNotFoundError, CorruptArtifact):
            return {}, {}
