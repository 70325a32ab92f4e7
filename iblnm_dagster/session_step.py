"""The session step: many sessions in one run, each with its own events.

Three run forms: over one partition (the UI's *Materialize*), over a range of partitions (backfills, first loads), and
over a scattered set given in the run configuration (changed sessions, retries).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dagster as dg

from iblnm_core.cohort.status import Catalogue, stored_report
from iblnm_core.cohort.unavailable import note_availability
from iblnm_core.cohort.under_way import sessions_under_way
from iblnm_core.dask_workers import dask_executors
from iblnm_core.errors import ConfigurationError, SourceUnavailable, StorageFull, WorkersUnusable
from iblnm_core.root import Root
from iblnm_core.session.outputs import OUTPUTS
from iblnm_core.session.pipeline import SessionReport, SessionTask, adopt_session, process_session, record_crash
from iblnm_core.sources.eviction import GIB, evict_downloads
from iblnm_core.workers import TaskOutcome, run_tasks
from iblnm_dagster.checks import session_check_specs
from iblnm_dagster.events import SessionEvents, graph_dependencies
from iblnm_dagster.partitions import SESSIONS
from iblnm_dagster.resources import RootResource

SESSIONS_PER_RUN = 100
_SECONDS_BETWEEN_NEWS = 5.0
_SECONDS_BETWEEN_EVICTIONS = 30.0

Progress = Callable[[int, int, SessionReport | None], None]
"""Called after each session with the number done, the number in all, and its report."""


class SessionRunConfig(dg.Config):
    """What a run of the session step can be told."""

    eids: list[str] = []  # noqa: RUF012 - pydantic copies defaults
    """Sessions of a run that has no partition of its own."""
    outputs: list[str] = []  # noqa: RUF012 - pydantic copies defaults
    """What such a run is asked for; all of its assets when none is named.

    It selects all assets: of one that is not selected Dagster would look for the partition, which the run has not.
    """
    reprocess: bool = False
    """Compute also what is current."""


def session_specs() -> list[dg.AssetSpec]:
    """Return one asset per output of the session step."""
    return [
        dg.AssetSpec(
            output.name,
            deps=graph_dependencies(output.name),
            description=output.description,
            group_name="session",
            kinds={"hdf5"},
            code_version=output.code_version,
            # what a failing session does not have is simply not reported
            skippable=True,
            partitions_def=SESSIONS,
        ).with_io_manager_key("session_file_io_manager")
        for output in OUTPUTS.values()
    ]


def build_session_step(progress: Progress | None = None) -> dg.AssetsDefinition:
    """Return the step that takes sessions through all their stages.

    Parameters
    ----------
    progress : callable, optional
        Told how far the run is; the run's log is told in any case.
    """

    @dg.multi_asset(
        name="session",
        specs=session_specs(),
        check_specs=session_check_specs(),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(SESSIONS_PER_RUN),
        pool="session_workers",
    )
    def session(context: dg.AssetExecutionContext, config: SessionRunConfig, root: RootResource) -> Iterator[object]:
        opened = root.open()
        eids = list(config.eids) or list(context.partition_keys)
        selected = frozenset(key.to_user_string() for key in context.selected_asset_keys)
        selected &= frozenset(config.outputs) or selected
        catalogue = root.catalogue()
        events = SessionEvents(context, selected, single="dagster/partition" in context.run.tags)
        known = [eid for eid in eids if eid in catalogue.sessions]
        if not selected:
            yield from _stored_verdicts(events, catalogue.tasks(known))
            return
        run = _SessionRun(context, opened, catalogue, events, progress)
        run.unavailable = {eid: "no longer in the catalogue" for eid in eids if eid not in catalogue.sessions}
        yield from run.over(catalogue.tasks(known, selected, reprocess=config.reprocess))

    return session


class _SessionRun:
    """Sessions going through the workers, and what became of them."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        root: Root,
        catalogue: Catalogue,
        events: SessionEvents,
        progress: Progress | None,
    ) -> None:
        self.context = context
        self.root = root
        self.catalogue = catalogue
        self.events = events
        self.progress = progress
        self.failed: dict[str, str] = {}
        self.unavailable: dict[str, str] = {}
        self.had: list[str] = []
        self._last_news = self._last_eviction = time.monotonic()

    def over(self, tasks: Sequence[SessionTask]) -> Iterator[object]:
        """Yield the events of each session as it finishes; raise once at the end when some failed."""
        in_use = {Path(task.folder) for task in tasks}
        with sessions_under_way(self.root, self.context.run.run_id, [task.eid for task in tasks]) as note:
            for done, outcome in enumerate(self._outcomes(tasks, note), 1):
                report = self._report(outcome)
                if report is not None:
                    self.had.append(report.eid)
                    yield from self.events.of(report)
                    if report.failed:
                        self.failed[report.eid] = _reasons(report)
                        self.context.log.warning(f"session {report.eid} failed: {self.failed[report.eid]}")
                self._tell(done, len(tasks), report)
                in_use.discard(Path(outcome.task.folder))
                self._evict(in_use, seconds_between=_SECONDS_BETWEEN_EVICTIONS)
        self._evict(in_use)
        # so that the next tick of the sensor need not open what this run has just written
        self.catalogue.due(eids=self.had)
        note_availability(self.root, self.unavailable, self.had)
        if self.failed or self.unavailable:
            raise dg.Failure(_summary(self.failed, self.unavailable, len(tasks)), allow_retries=False)

    def _outcomes(self, tasks: Sequence[SessionTask], note: Path) -> Iterator[TaskOutcome[SessionTask, SessionReport]]:
        """Yield what is stored and current at once, then the others as the workers finish them."""
        due = []
        for task in tasks:
            try:
                report = None if task.reprocess else adopt_session(task)
            except SourceUnavailable as error:
                yield TaskOutcome(task, error=error)
                continue
            if report is None:
                due.append(task)
            else:
                yield TaskOutcome(task, result=report)
        if not due:
            return
        executors = None
        if self.root.scheduler is not None:
            # only who looks into this very root sees the note of this run
            executors = dask_executors(self.root.scheduler, [note, *self.root.shared_places])
        workers = min(self.root.workers, len(due))
        try:
            yield from run_tasks(process_session, due, workers=workers, executor_factory=executors)
        except ConfigurationError as error:
            raise dg.Failure(str(error), allow_retries=False) from error

    def _report(self, outcome: TaskOutcome[SessionTask, SessionReport]) -> SessionReport | None:
        if outcome.result is not None:
            return outcome.result
        if isinstance(outcome.error, StorageFull | WorkersUnusable):
            raise dg.Failure(str(outcome.error), allow_retries=False) from outcome.error
        if isinstance(outcome.error, SourceUnavailable):
            self.unavailable[outcome.task.eid] = str(outcome.error)
            return None
        error = outcome.error or RuntimeError("the worker gave neither a result nor an error")
        return record_crash(outcome.task, error)

    def _evict(self, in_use: set[Path], *, seconds_between: float = 0.0) -> None:
        """Keep the downloads within the root's limit; sessions of this run that are not through keep theirs."""
        now, limit = time.monotonic(), self.root.downloads_gib
        if limit is None or self.root.downloads is None or now - self._last_eviction < seconds_between:
            return
        self._last_eviction = now
        evicted = evict_downloads(self.root.downloads, self.catalogue.downloads(), limit * GIB, in_use)
        if evicted.n_files:
            self.context.log.info(f"{evicted.n_files} downloads deleted, {evicted.n_bytes / GIB:.2f} GiB")

    def _tell(self, done: int, total: int, report: SessionReport | None) -> None:
        if self.progress is not None:
            self.progress(done, total, report)
        # one line of the run's log costs as much as an asset event
        now = time.monotonic()
        if done == total or now - self._last_news > _SECONDS_BETWEEN_NEWS:
            self._last_news = now
            self.context.log.info(f"{done} of {total} sessions done, {len(self.failed)} failed")


def _stored_verdicts(events: SessionEvents, tasks: Sequence[SessionTask]) -> Iterator[object]:
    """Judge again from what is stored, and write nothing: what *execute check* asks for."""
    for task in tasks:
        report = stored_report(task)
        if report is None:
            raise dg.Failure(f"session {task.eid} was never processed: materialise it first", allow_retries=False)
        for verdict in report.verdicts.values():
            yield from events.of_verdict(report, verdict)


def _reasons(report: SessionReport) -> str:
    findings = [f for v in report.verdicts.values() for f in v.findings if f.severity == "fatal"]
    return "; ".join(f"{finding.error_type}: {finding.error_message}" for finding in findings)


def _summary(failed: dict[str, str], unavailable: dict[str, str], total: int) -> str:
    """Return the one text that a run with failed sessions ends with."""
    lines = []
    if failed:
        lines.append(f"{len(failed)} of {total} sessions failed; the others are stored.")
        lines += [f"  {eid}  {reason}" for eid, reason in sorted(failed.items())]
    if unavailable:
        lines.append(f"{len(unavailable)} of {total} sessions could not be had from the source and stay due.")
        lines += [f"  {eid}  {reason}" for eid, reason in sorted(unavailable.items())]
    return "\n".join(lines)
