"""Reports from a root to their files."""

import base64
import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from iblnm_core import __version__
from iblnm_core.figures.drawing import stored_family
from iblnm_core.identifiers import checked_eid
from iblnm_core.reports.cohort import FAMILIES, cohort_page
from iblnm_core.reports.cohort_reading import TABLES_READ, read_cohort
from iblnm_core.reports.model import CohortPage
from iblnm_core.reports.model_tables import STATISTICS_READ
from iblnm_core.reports.pictures import PREVIEW_BYTES
from iblnm_core.reports.reading import read_session
from iblnm_core.reports.render import render_cohort, render_session
from iblnm_core.reports.session import session_report
from iblnm_core.reports.session_tables import parameters_version
from iblnm_core.reports.why_sections import tables_counted
from iblnm_core.root import Root
from iblnm_core.schemas import TABLES, TRIALS
from iblnm_core.storage.atomic import write_bytes
from iblnm_core.storage.tables import stored_table

FOLDER = "reports"
"""Below the root."""

CODE_VERSION = "3"
"""Raised whenever what is on the report of the cohort changes."""

_NOTES = "cohort.json"


@dataclass(frozen=True)
class WrittenReport:
    """A page as it was written.

    Attributes
    ----------
    path : Path
    size_bytes : int
    sha256 : str
    verdict : str
        The word of its banner.
    n_failed_checks : int
    seconds : float
    preview : bytes
        A small PNG; empty when there is nothing to see.
    """

    path: Path
    size_bytes: int
    sha256: str
    verdict: str
    n_failed_checks: int
    seconds: float
    preview: bytes


def session_path(root: Root, eid: str) -> Path:
    """Return where the report of a session lies.

    Raises
    ------
    ConfigurationError
        When the id is not a session id.
    """
    return root.path / FOLDER / "sessions" / f"{checked_eid(eid)}.html"


def write_session_report(root: Root, eid: str) -> WrittenReport:
    """Write the report of a session from what is stored of it; a failed session has one, too.

    Parameters
    ----------
    root : Root
    eid : str

    Raises
    ------
    ConfigurationError
        When the id is not a session id, or the session is neither in the catalogue nor stored.
    StorageFull
    """
    start = perf_counter()
    path = session_path(root, eid)
    report = session_report(root, read_session(root, eid))
    content = render_session(report.page)
    write_bytes(path, content)
    return WrittenReport(
        path,
        len(content),
        hashlib.sha256(content).hexdigest(),
        report.page.banner.word,
        report.page.n_failed_checks,
        perf_counter() - start,
        report.preview,
    )


def write_cohort_report(root: Root) -> WrittenReport:
    """Write the report of the cohort from the stored tables and figures; session pages that exist are linked.

    A page that nothing changed for stays as it is stored.

    Parameters
    ----------
    root : Root

    Raises
    ------
    CorruptArtifact
    StorageFull
    """
    start = perf_counter()
    folder = root.path / FOLDER
    path, notes = folder / "cohort.html", folder / _NOTES
    pages = frozenset(page.stem for page in (folder / "sessions").glob("*.html"))
    made_from = _made_from(root, pages)
    stored = _stored_report(path, notes, made_from)
    if stored is not None:
        return dataclasses.replace(stored, seconds=perf_counter() - start)
    page = cohort_page(root, read_cohort(root), pages)
    content = render_cohort(page)
    write_bytes(path, content)
    digest, preview = hashlib.sha256(content).hexdigest(), _first(page)
    shown: dict[str, Any] = {"sha256": digest, "verdict": page.banner.sentence, "n_failed_checks": page.n_failed_checks}
    kept = {"made_from": made_from, "preview": base64.b64encode(preview).decode(), **shown}
    write_bytes(notes, json.dumps(kept, indent=1, sort_keys=True).encode())
    return WrittenReport(path, len(content), **shown, seconds=perf_counter() - start, preview=preview)


def _made_from(root: Root, pages: frozenset[str]) -> dict[str, Any]:
    """Return what the report of a cohort is made of: contents of tables and figures, pages that it links, parameters, code."""
    shown = [name for names in FAMILIES.values() for name in names]
    schemas = (*TABLES_READ, TRIALS, *(TABLES[name] for name in (*STATISTICS_READ, *tables_counted(shown))))
    tables = {schema.name: stored_table(root.path, schema) for schema in schemas}
    figures = {name: stored_family(root.path, name) for name in shown}
    contents = {**tables, **{f"figures/{name}": family for name, family in figures.items()}}
    return {
        "contents": {name: None if found is None else found.content_hash for name, found in contents.items()},
        "pages": hashlib.sha256("".join(sorted(pages)).encode()).hexdigest(),
        "parameters": [root.preset, parameters_version(root)],
        "code": [__version__, CODE_VERSION],
    }


def _stored_report(path: Path, notes: Path, made_from: dict[str, Any]) -> WrittenReport | None:
    """Return the report as it is stored; None when it is made of something else, or is not the one that was written."""
    try:
        kept = json.loads(notes.read_bytes())
        content = path.read_bytes()
        if kept.pop("made_from") != made_from or hashlib.sha256(content).hexdigest() != kept["sha256"]:
            return None
        return WrittenReport(path, len(content), seconds=0.0, preview=base64.b64decode(kept.pop("preview")), **kept)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _first(page: CohortPage) -> bytes:
    """Return the first picture of a page that is small enough for the event log; nothing without one."""
    sources = [picture.source for section in page.sections for picture in section.pictures]
    fitting = [source for source in sources if len(source) <= PREVIEW_BYTES]
    return base64.b64decode(fitting[0].partition(",")[2]) if fitting else b""
