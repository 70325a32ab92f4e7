"""What a source of sessions is: a listing of raw records, and a folder of datasets per session."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from iblnm_core.sources.downloads import Fetcher
from iblnm_core.sources.fibers import FiberRecord


@dataclass(frozen=True)
class SourceRecord:
    """One session as its source has it, before any repair.

    Attributes
    ----------
    eid : str
    subject, lab, task_protocol : str
    start_time : str
        ISO 8601, lab-local.
    number : int
    projects, users, genotype : tuple of str
    end_time, strain, line, url : str or None
    regions : tuple of str
        Brain regions by fibre, spelled as in the source.
    region_source : str
        Dataset that the regions come from; empty when none names any.
    filled_regions : tuple of str
        Regions that it left blank and another dataset knew, as `ROI: region`.
    n_subject_rows : int or None
        Rows of the subject in the source's table of subjects; None when it has no such table.
    implanted : tuple of str or None
        The subject's fibres in the source's table of fibres, as bare region and side (`l`, `r` or `midline`): `VTA l`; None
        when it has no such table.
    folder : str
        Session folder relative to the root of the source.
    datasets : tuple of str
        Paths of the listed datasets below the session folder.
    qc : str or None
        Outcome of quality control.
    extended_qc : str or None
        Extended quality control, as JSON.
    planned_blocks : str or None
        The task's plan of its blocks, as `details.planned_blocks_of` writes it.
    remote : tuple of str
        Where the source fetches each of the datasets, as `RemoteFile.to_text`; empty when they lie on disk already.
    """

    eid: str
    subject: str
    start_time: str
    number: int
    lab: str
    task_protocol: str
    folder: str
    datasets: tuple[str, ...]
    projects: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    genotype: tuple[str, ...] = ()
    end_time: str | None = None
    strain: str | None = None
    line: str | None = None
    url: str | None = None
    regions: tuple[str, ...] = ()
    region_source: str = ""
    filled_regions: tuple[str, ...] = ()
    n_subject_rows: int | None = None
    implanted: tuple[str, ...] | None = None
    qc: str | None = None
    extended_qc: str | None = None
    planned_blocks: str | None = None
    remote: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejected:
    """A record that cannot become a session, and why."""

    record: str
    problem: str


@dataclass(frozen=True)
class Listing:
    """All sessions of a source, and the records that are none."""

    records: tuple[SourceRecord, ...]
    rejected: tuple[Rejected, ...] = field(default=())


class SessionSource(Protocol):
    """Where sessions come from."""

    def list_sessions(self, *, anew: bool = False) -> Listing:
        """Return all sessions.

        Parameters
        ----------
        anew : bool
            Read also again what did not change.

        Raises
        ------
        SourceUnavailable
            When the source cannot be reached.
        ConfigurationError
            When it is not what the settings say.
        """
        ...

    def session_folder(self, folder: str) -> Path:
        """Return the absolute path of a session folder, given the one of a record."""
        ...

    def list_fibers(self) -> tuple[FiberRecord, ...]:
        """Return what is known of implanted fibres.

        Raises
        ------
        SourceUnavailable
            When the source cannot be reached.
        """
        ...

    def check_access(self) -> None:
        """Make sure that sessions can be listed.

        Raises
        ------
        ConfigurationError
            When they cannot: what to set is in the message.
        """
        ...

    @property
    def fetcher(self) -> Fetcher | None:
        """What brings datasets to disk; None when they lie there."""
        ...
