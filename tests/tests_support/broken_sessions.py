"""One broken file and what a session makes of it; importable by workers, so that a crash costs one try."""

import contextlib
import resource
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests_support.promise import LEDGER, contents_of, results_of

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.collect import COLLECTED, collect
from iblnm_core.cohort.doctor import examine
from iblnm_core.cohort.status import ALL_OUTPUTS, Catalogue, source_of
from iblnm_core.errors import ConfigurationError, CorruptArtifact
from iblnm_core.root import open_root
from iblnm_core.schemas import SESSION_INDEX, SESSIONS
from iblnm_core.session.pipeline import process_session
from iblnm_core.storage.tables import Table, make_table, read_table, verify_table, write_table

MEMORY_BYTES = 2 * 2**30
"""What a try may take beside what the process has."""


@dataclass(frozen=True)
class Try:
    """A broken file: below the cache for an input, below the root for what is stored."""

    number: int
    root: Path
    eid: str
    other: str
    mutation: object


@dataclass(frozen=True)
class Outcome:
    """How it ended: one of the words of the page, or `untyped` with what went wrong."""

    word: str
    detail: str
    seconds: float


@contextlib.contextmanager
def _limited():
    """Let what asks for far too much memory fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _break(folder, attempt, note):
    """Put a broken file in its place, and mend the one of the last try."""
    mend(folder, note)
    path = folder / attempt.mutation.path
    note.write_text(attempt.mutation.path)
    sound = note.parent / "sound" / attempt.mutation.path
    if not sound.exists():
        sound.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, sound)
    path.unlink()
    path.write_bytes(attempt.mutation.content)


def mend(folder, note):
    """Put back what was broken last."""
    if note.exists():
        path = note.read_text()
        (folder / path).unlink(missing_ok=True)
        shutil.copyfile(note.parent / "sound" / path, folder / path)
        note.unlink()


def catalogue_again(root):
    """Bring the catalogue up to date; return it and the records that were left out."""
    listing = source_of(root).list_sessions()
    write_table(root.path, make_table(SESSION_INDEX, index_frame(listing.records)))
    write_table(root.path, make_table(SESSIONS, build_catalogue(read_table(root.path, SESSION_INDEX))))
    return Catalogue.load(root), {rejected.record: rejected.problem for rejected in listing.rejected}


def try_input(attempt):
    """Break an input, let its session and another one go through, and say how that ended."""
    root = open_root(attempt.root)
    _break(root.cache, attempt, root.path.parent / "broken_input")
    started = time.monotonic()
    with _limited():
        word, detail = _process(root, attempt)
    return Outcome(word, detail, time.monotonic() - started)


def _process(root, attempt):
    name = Path(attempt.mutation.path).name
    try:
        catalogue, left_out = catalogue_again(root)
    except ConfigurationError as error:
        return ("refused", str(error)) if name in str(error) else ("untyped", f"{name} is not named: {error}")
    if attempt.eid not in catalogue.sessions:
        if attempt.eid in left_out or not str(attempt.mutation.path).startswith("demolab"):
            return "left out", left_out.get(attempt.eid, "no longer listed")
        return "untyped", "the session is gone from the catalogue"
    report = process_session(catalogue.tasks([attempt.eid])[0])
    findings = [finding for verdict in report.verdicts.values() for finding in verdict.findings]
    untyped = [finding.traceback for finding in findings if finding.error_type == "UnexpectedError"]
    untyped += [str(f) for f in findings if f.error_type == "CorruptDataset" and not _names_a_file(f.error_message)]
    if untyped:
        return "untyped", untyped[0]
    if attempt.mutation.path.startswith("demolab"):
        neighbour = process_session(catalogue.tasks([attempt.other])[0])
        if neighbour.failed or neighbour.computed:
            return "untyped", f"the other session was touched: {neighbour.computed}"
    fatal = sorted({finding.error_type for finding in findings if finding.severity == "fatal"})
    return ("typed errors", ", ".join(fatal)) if report.failed else ("computed", "")


def _names_a_file(message):
    return any(suffix in message for suffix in (".pqt", ".npy", ".jsonable", ".h5"))


def try_session_file(attempt):
    """Break a stored session file, look at it in every way there is, and let runs follow."""
    root = open_root(attempt.root)
    path = root.session_file(attempt.eid)
    path.write_bytes(path.read_bytes())
    _break(root.path, attempt, root.path.parent / "broken_artefact")
    started = time.monotonic()
    with _limited():
        word, detail = _look(root, attempt)
    return Outcome(word, detail, time.monotonic() - started)


def _look(root, attempt):
    sound_path = root.path.parent / "sound" / attempt.mutation.path
    sound = contents_of(sound_path, attempt.eid)
    path = root.session_file(attempt.eid)
    word = _reading(path, attempt.eid, sound)
    if word == "a wrong value was read":
        if attempt.mutation.kind != "content of another file":
            return "untyped", word
        # sound in itself, but of another session: made of other inputs
        word = "detected, mended"
    catalogue = Catalogue.load(root)
    catalogue.status()
    catalogue.due()
    broken = {eid for name in COLLECTED for eid in collect(root, name).broken}
    report = process_session(catalogue.tasks([attempt.eid])[0])
    if any(finding.error_type == "UnexpectedError" for v in report.verdicts.values() for finding in v.findings):
        return "untyped", next(f.traceback for v in report.verdicts.values() for f in v.findings if f.traceback)
    after = _reading(path, attempt.eid, sound, ledger=bool(report.computed))
    if after == "detected, mended":
        # what nobody needs to read is found by whoever looks at everything
        named = [finding for finding in examine(root).findings if attempt.eid in finding.where]
        if not named and attempt.eid not in broken:
            return "untyped", "a part is broken, and nothing says so"
        process_session(catalogue.tasks([attempt.eid], ALL_OUTPUTS, reprocess=True)[0])
        after = _reading(path, attempt.eid, sound, ledger=True)
    if after != "unharmed":
        return "untyped", f"not mended: {results_of(path, attempt.eid).keys() ^ (sound.keys() - LEDGER)}"
    return word, ""


def _reading(path, eid, sound, *, ledger=False):
    try:
        found = contents_of(path, eid)
    except CorruptArtifact:
        return "detected, mended"
    ignored = LEDGER if ledger else set()
    same = {n: d for n, d in found.items() if n not in ignored} == {n: d for n, d in sound.items() if n not in ignored}
    # a name that is broken is another part, or none
    return "unharmed" if same else "detected, mended" if found.keys() != sound.keys() else "a wrong value was read"


def try_table(attempt):
    """Break a stored table, read it, and let what mends it follow."""
    root = open_root(attempt.root)
    _break(root.path, attempt, root.path.parent / "broken_artefact")
    started = time.monotonic()
    with _limited():
        word, detail = _table(root, attempt)
    return Outcome(word, detail, time.monotonic() - started)


def _table(root, attempt):
    (name,) = [name for name, (schema, _) in COLLECTED.items() if str(schema.path) == attempt.mutation.path]
    schema, _ = COLLECTED[name]
    sound = read_table(root.path.parent / "sound", schema)
    word = _reading_table(root, schema, sound)
    if word not in {"unharmed", "detected, mended"}:
        return "untyped", word
    examine(root)
    table = collect(root, name).table
    if isinstance(table, Table):
        write_table(root.path, table)
    verify_table(root.path, schema)
    return (word, "") if read_table(root.path, schema).equals(sound) else ("untyped", "it was not mended")


def _reading_table(root, schema, sound):
    try:
        verify_table(root.path, schema)
    except CorruptArtifact:
        word = "detected, mended"
    else:
        word = "unharmed"
    try:
        read = read_table(root.path, schema)
    except CorruptArtifact:
        return "detected, mended"
    return word if read.equals(sound) or word != "unharmed" else "a wrong value was read"
