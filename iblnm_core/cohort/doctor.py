"""What is wrong with the stored files of a root, and what can be put right without computing. Dagster's own records are not looked at here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iblnm_core.cohort.collect import COLLECTED, session_files
from iblnm_core.cohort.current import stamp_of
from iblnm_core.cohort.status import Catalogue
from iblnm_core.cohort.under_way import forget_interrupted, interrupted_sessions
from iblnm_core.errors import CorruptArtifact
from iblnm_core.figures.drawing import FOLDER, MANIFEST, stored_family
from iblnm_core.root import Root
from iblnm_core.schemas import TABLES
from iblnm_core.storage.atomic import is_left_behind
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import stored_table, verify_table

_TEMPORARY_IN = ("*", "metadata/**/*", "data/**/*", "results/**/*", "figures/**/*", "reports/**/*", "exports/**/*")


@dataclass(frozen=True)
class Ailment:
    """One thing that is wrong.

    Attributes
    ----------
    where : str
        A path below the root, or the id of a session or run.
    problem : str
        What was found, and what was expected.
    remedy : str
        The command that puts it right; empty when that was done.
    """

    where: str
    problem: str
    remedy: str = ""


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes
    ----------
    n_session_files, n_tables : int
        Files that were read to the last byte.
    mended, left : tuple of Ailment
        What was put right, and what a command has to put right.
    """

    n_session_files: int
    n_tables: int
    mended: tuple[Ailment, ...]
    left: tuple[Ailment, ...]

    @property
    def findings(self) -> tuple[Ailment, ...]:
        """All that was found."""
        return (*self.mended, *self.left)


def examine(root: Root) -> Examination:
    """Read every stored session and table, and put right what takes no computing.

    Temporary files whose writer is dead are removed. A table that is broken is set aside as `NAME.broken`: tables can be made
    again at any time, and a run makes what is not there.

    Parameters
    ----------
    root : Root
    """
    files = session_files(root)
    mended = list(_temporaries(root))
    left = [ailment for eid, path in files.items() for ailment in _session(root, eid, path)]
    broken = list(_tables(root))
    mended += [ailment for ailment in broken if not ailment.remedy]
    left += [ailment for ailment in broken if ailment.remedy]
    left += [*_outdated_tables(root), *_families(root)]
    interrupted = interrupted_sessions(root)
    due = set(Catalogue.load(root).due(eids=interrupted)) if interrupted else set()
    # what a dead run had finished, or a later one that nobody asked for all of it, is no more interrupted
    forget_interrupted(root, interrupted - due)
    problem = "the run that had taken it on ended before it was through"
    left += [Ailment(eid, problem, run_command(root)) for eid in sorted(due)]
    n_tables = sum((root.path / schema.path).exists() for schema in TABLES.values())
    return Examination(len(files), n_tables, tuple(mended), tuple(left))


def run_command(root: Root, *words: str) -> str:
    """Return the `iblnm run` of a root, for messages."""
    return " ".join(("iblnm run --root", str(root.path), *words))


def _temporaries(root: Root) -> Iterator[Ailment]:
    for path in sorted({path for pattern in _TEMPORARY_IN for path in root.path.glob(pattern) if path.is_file()}):
        if is_left_behind(path):
            path.unlink(missing_ok=True)
            yield Ailment(_below(root, path), "temporary file of a process that is dead: removed")


def _session(root: Root, eid: str, path: Path) -> Iterator[Ailment]:
    problems = []
    try:
        with SessionFile(path, eid) as file:
            parts = file.parts()
            for part in parts:
                try:
                    file.read(part)
                except CorruptArtifact as error:
                    problems.append(f"{part}: {error.problem}")
    except CorruptArtifact as error:
        problems.append(error.problem)
    if problems:
        yield Ailment(_below(root, path), "; ".join(problems), run_command(root, "--reprocess --eid", eid))


def _tables(root: Root) -> Iterator[Ailment]:
    """Set broken tables aside."""
    for schema in TABLES.values():
        path = root.path / schema.path
        try:
            verify_table(root.path, schema)
        except FileNotFoundError:
            continue
        except CorruptArtifact as error:
            path.replace(path.with_suffix(".broken"))
            yield Ailment(_below(root, path), f"{error.problem}: set aside as {path.stem}.broken")
            yield Ailment(_below(root, path), "is not there any more", run_command(root))


def _outdated_tables(root: Root) -> Iterator[Ailment]:
    stamps = {eid: stamp_of(path) for eid, path in session_files(root).items()}
    outdated, changed = [], set()
    for schema, _ in COLLECTED.values():
        stored = stored_table(root.path, schema)
        known = stamps if stored is None else stored.notes.get("stamps", {})
        others = {eid for eid in {*stamps, *known} if stamps.get(eid) != known.get(eid)}
        if others:
            outdated.append(str(schema.path))
            changed |= others
    if outdated:
        problem = f"not made of {len(changed)} session files as they are now, such as {min(changed)}"
        yield Ailment(", ".join(outdated), problem, run_command(root))


def _families(root: Root) -> Iterator[Ailment]:
    for manifest in sorted((root.path / FOLDER).glob(f"*/{MANIFEST}")):
        if stored_family(root.path, manifest.parent.name) is None:
            problem = "its pictures are not those of its manifest"
            yield Ailment(_below(root, manifest.parent), problem, run_command(root))


def _below(root: Root, path: Path) -> str:
    return path.relative_to(root.path).as_posix()
