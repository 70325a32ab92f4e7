"""What `iblnm run` does: catalogue, the sessions that are due or asked for, collected tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from iblnm_core.cohort.status import Catalogue, source_of
from iblnm_core.dask_workers import connect
from iblnm_core.errors import ConfigurationError
from iblnm_core.root import Root
from iblnm_core.schemas import ERRORS
from iblnm_core.session.outputs import ALL_STAGES, OUTPUTS, STAGES
from iblnm_core.storage.tables import read_table
from iblnm_dagster import printing
from iblnm_dagster.instance import explained_event_log
from iblnm_dagster.runs import LocalRuns, RunAborted, SessionsRun


@dataclass(frozen=True)
class Request:
    """What a user asked for; nothing asked means what is due.

    Attributes
    ----------
    eids : tuple of str
        Only these sessions.
    failed : bool
        Only sessions that failed, computed again.
    reprocess : bool
        Compute also what is current.
    redownload : bool
        Read metadata again that did not change in the source.
    extended_qc : bool
        Write the table of extended quality control too.
    stages : tuple of str
        Of `STAGES`; the tables of sessions are collected in any case.
    skip_errors : bool
        Go on when a stage as a whole goes wrong.
    """

    eids: tuple[str, ...] = ()
    failed: bool = False
    reprocess: bool = False
    redownload: bool = False
    extended_qc: bool = False
    stages: tuple[str, ...] = STAGES
    skip_errors: bool = False

    @property
    def outputs(self) -> frozenset[str]:
        """Outputs of the stages asked for; one on request only when its stage is the first of them."""
        return frozenset(
            output.name
            for output in OUTPUTS.values()
            if output.stage in {*self.stages, ALL_STAGES} and (not output.on_request or output.stage == self.stages[0])
        )


def update(root: Root, request: Request) -> SessionsRun:
    """Bring a root up to date.

    Raises
    ------
    ConfigurationError
        When a session asked for is not in the catalogue, or the source or the workers of a scheduler cannot be used.
    RunAborted
        When a run ends before it is through.
    StorageFull, EventLogUnavailable
        When nothing can be recorded.
    """
    source_of(root).check_access()
    if root.scheduler is not None:
        # better now than after the catalogue
        connect(root.scheduler, root.shared_places).shutdown()
    problems: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        try:
            yield
        except RunAborted as error:
            if not request.skip_errors:
                raise
            problems.append(f"{name}: {error}")

    result = SessionsRun({})
    with (
        explained_event_log(root.dagster_home),
        printing.session_progress() as progress,
        LocalRuns(root, progress) as runs,
    ):
        with stage("catalogue"):
            if "query_database" in request.stages:
                runs.catalogue(redownload=request.redownload)
            if request.extended_qc:
                runs.extended_qc()
        with stage("sessions"):
            result = _sessions(root, request, runs)
        with stage("tables"):
            runs.collect(request.stages)
    errors = read_table(root.path, ERRORS, columns=["eid", "severity"])
    failed = errors[errors["severity"] == "fatal"]["eid"].nunique()
    return replace(result, standing_failed=failed, problems=tuple(problems))


def _sessions(root: Root, request: Request, runs: LocalRuns) -> SessionsRun:
    catalogue = Catalogue.load(root)
    eids = _chosen(catalogue, request, runs.unreported(catalogue.sessions))
    reprocess = request.reprocess or request.failed
    return runs.sessions(eids, outputs=request.outputs, reprocess=reprocess, one_run=request.failed)


def _chosen(catalogue: Catalogue, request: Request, unreported: set[str]) -> list[str]:
    unknown = [eid for eid in request.eids if eid not in catalogue.sessions]
    if unknown:
        raise ConfigurationError(f"not in the catalogue of {catalogue.root.path}: {', '.join(unknown)}")
    eids = list(dict.fromkeys(request.eids)) or list(catalogue.sessions)
    if request.failed:
        status = catalogue.status()
        failed = set(status[(status["state"] == "failed") & status["asset"].isin(request.outputs)]["eid"])
        return [eid for eid in eids if eid in failed]
    if request.eids or request.reprocess:
        return eids
    # what a killed run had stored but not yet reported is adopted
    due = set(catalogue.due(outputs=request.outputs)) | unreported
    return [eid for eid in eids if eid in due]
