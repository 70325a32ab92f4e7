"""Reports from a root to their files."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from iblnm_core.identifiers import checked_eid
from iblnm_core.reports.cohort import cohort_page
from iblnm_core.reports.cohort_reading import read_cohort
from iblnm_core.reports.model import CohortPage
from iblnm_core.reports.pictures import PREVIEW_BYTES
from iblnm_core.reports.reading import read_session
from iblnm_core.reports.render import render_cohort, render_session
from iblnm_core.reports.session import session_report
from iblnm_core.root import Root
from iblnm_core.storage.atomic import write_bytes

FOLDER = "reports"
"""Below the root."""


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
    pages = frozenset(path.stem for path in (folder / "sessions").glob("*.html"))
    page = cohort_page(root, read_cohort(root), pages)
    content = render_cohort(page)
    path = folder / "cohort.html"
    write_bytes(path, content)
    digest = hashlib.sha256(content).hexdigest()
    return WrittenReport(
        path, len(content), digest, page.banner.sentence, page.n_failed_checks, perf_counter() - start, b""
    )


def _first(page: CohortPage) -> bytes:
    """Return the first picture of a page, when it is small enough for the event log; empty otherwise."""
    sources = [picture.source for section in page.sections for picture in section.pictures]
    fitting = [source for source in sources if len(source) <= PREVIEW_BYTES]
    return base64.b64decode(fitting[0].partition(",")[2]) if fitting else b""
