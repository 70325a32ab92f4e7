"""Runs of the graph in the calling process: what the command line does without webserver and daemon."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import upstream_analyses
from iblnm_core.cohort.status import ALL_OUTPUTS
from iblnm_core.cohort.unavailable import unavailable_sessions
from iblnm_core.errors import IblnmError
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.root import Root
from iblnm_core.session.outputs import OUTPUTS, STAGES
from iblnm_core.session.pipeline import SessionReport
from iblnm_dagster.assets.analyses import table_key
from iblnm_dagster.assets.figures import figure_key
from iblnm_dagster.definitions import build_defs
from iblnm_dagster.instance import end_runs_of_dead_processes, open_instance, process_tag, write_dagster_home
from iblnm_dagster.partitions import SESSIONS
from iblnm_dagster.session_step import SESSIONS_PER_RUN, Progress

_logger = logging.getLogger(__name__)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunAborted(IblnmError):
    """A run ended before it was through."""


@dataclass(frozen=True)
class SessionsRun:
    """How the sessions of a command went.

    Attributes
    ----------
    reports : mapping of str to SessionReport
        By session id; sessions that the source could not give are absent.
    standing_failed : int
        Sessions of the root with a fatal error, from this command or an earlier one.
    unavailable : mapping of str to str
        Sessions asked for that the source could not give, and why.
    problems : tuple of str
        What went wrong with a stage as a whole, when the command was to go on regardless.
    """

    reports: Mapping[str, SessionReport]
    standing_failed: int = 0
    unavailable: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def failed(self) -> list[str]:
        """Sessions with a fatal error."""
        return sorted(eid for eid, report in self.reports.items() if report.failed)


class LocalRuns:
    """The graph of a root, run in this process and recorded in the root's Dagster instance.

    Parameters
    ----------
    root : Root
    progress : callable, optional
        Told how far a run over sessions is.
    """

    def __init__(self, root: Root, progress: Progress | None = None) -> None:
        self.root = root
        self._reports: dict[str, SessionReport] = {}
        self._progress = progress
        write_dagster_home(root.dagster_home, root.postgres_url_env)
        self.instance = open_instance(root.dagster_home)
        end_runs_of_dead_processes(self.instance)
        self.defs = build_defs(root.path, progress=self._note)

    def __enter__(self) -> Self:
        """Open the instance for a block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the instance."""
        self.instance.dispose()

    def catalogue(self, *, redownload: bool = False) -> None:
        """Bring index and catalogue up to date, and register new sessions.

        Parameters
        ----------
        redownload : bool
            Read also again what did not change in the source.
        """
        result = self._execute("catalogue", {}, {"ops": {"session_index": {"config": {"redownload": redownload}}}})
        done = {event.step_key for event in result.all_events if event.is_step_success}
        if "sessions" not in done:
            raise RunAborted(_failure_text(result))
        if not result.success:
            # sessions do without what else there is
            _logger.warning("not everything is up to date: %s", _failure_text(result))

    def extended_qc(self) -> None:
        """Bring the table of extended quality control up to date with the index."""
        self._run("extended_qc")

    def collect(self, stages: Collection[str] = STAGES) -> None:
        """Bring the collected tables, the standing of all sessions, the analyses and the figures up to date.

        Parameters
        ----------
        stages : collection of str
            Only the analyses and figures of these stages, and what they are made from.
        """
        drawn = {name for name, family in FAMILIES.items() if family.stage in stages}
        shown = {table for name in drawn for table in FAMILIES[name].reads}
        wanted = upstream_analyses(
            name
            for name, analysis in ANALYSES.items()
            if analysis.stage in stages or shown & {schema.name for schema in analysis.tables}
        )
        left_out = {table_key(s.name) for name in ANALYSES if name not in wanted for s in ANALYSES[name].tables}
        left_out |= {figure_key(name) for name in FAMILIES if name not in drawn}
        everything = self.defs.resolve_job_def("collect").asset_layer.selected_asset_keys
        self._run("collect", assets=sorted(everything - left_out))

    def unreported(self, eids: Iterable[str]) -> set[str]:
        """Return the sessions whose latest errors were never reported to Dagster, though they may be stored."""
        key = dg.AssetKey("session_errors")
        return set(eids) - set(self.instance.event_log_storage.get_materialized_partitions(key))

    def sessions(
        self,
        eids: Sequence[str],
        *,
        outputs: Collection[str] = ALL_OUTPUTS,
        reprocess: bool = False,
        one_run: bool = False,
    ) -> SessionsRun:
        """Take sessions through the session step.

        Sessions that lie together in the order of the partitions run as ranges, so that failed ones show as failed
        partitions; others run as one scattered set.

        Parameters
        ----------
        eids : sequence of str
        outputs : collection of str
            What is asked for; what it needs is made too where it is not current.
        reprocess : bool
            Compute also what is current.
        one_run : bool
            However many they are.

        Raises
        ------
        RunAborted
            When a run ends before it is through.
        """
        self._reports = {}
        # a Dagster home that was deleted does not know them
        self.instance.add_dynamic_partitions(str(SESSIONS.name), eids)
        order = list(self.instance.get_dynamic_partitions(str(SESSIONS.name)))
        place = {eid: position for position, eid in enumerate(order)}
        positions = sorted(place[eid] for eid in eids)
        together = bool(positions) and positions[-1] - positions[0] + 1 == len(positions)
        if together and not (one_run and len(positions) > SESSIONS_PER_RUN):
            for first in range(positions[0], positions[-1] + 1, SESSIONS_PER_RUN):
                last = min(first + SESSIONS_PER_RUN - 1, positions[-1])
                self._run_sessions(outputs, _range_tags(order[first], order[last]), {"reprocess": reprocess})
        elif positions:
            asked = {"eids": list(eids), "outputs": sorted(outputs), "reprocess": reprocess}
            self._run_sessions(OUTPUTS, {}, asked)
        known = unavailable_sessions(self.root)
        missing = {eid: known[eid] for eid in eids if eid not in self._reports and eid in known}
        return SessionsRun(dict(self._reports), unavailable=missing)

    def _note(self, done: int, total: int, report: SessionReport | None) -> None:
        if report is not None:
            self._reports[report.eid] = report
        if self._progress is not None:
            self._progress(done, total, report)

    def _run_sessions(self, outputs: Collection[str], tags: Mapping[str, str], config: Mapping[str, Any]) -> None:
        chosen = [dg.AssetKey(name) for name in OUTPUTS if name in outputs]
        result = self._execute("session_batch", tags, {"ops": {"session": {"config": dict(config)}}}, chosen)
        # failed sessions fail the run too; that is the ordinary way
        if not result.success and not self._through(result):
            raise RunAborted(_failure_text(result))

    def _through(self, result: dg.ExecuteInProcessResult) -> bool:
        """Whether a failed run has reported on all its sessions."""
        return "sessions failed; the others are stored" in _failure_text(result) or "stay due" in _failure_text(result)

    def _run(self, job: str, assets: Sequence[dg.AssetKey] | None = None) -> None:
        result = self._execute(job, {}, {}, assets)
        if not result.success:
            raise RunAborted(_failure_text(result))

    def _execute(
        self,
        job: str,
        tags: Mapping[str, str],
        config: Mapping[str, Any],
        assets: Sequence[dg.AssetKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        definition = self.defs.resolve_job_def(job)
        return definition.execute_in_process(
            instance=self.instance,
            tags={**tags, **process_tag()},
            run_config={**_QUIET, **config},
            raise_on_error=False,
            asset_selection=assets,
        )


def _range_tags(first: str, last: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


def _failure_text(result: dg.ExecuteInProcessResult) -> str:
    """Return what the failed step said."""
    texts = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                texts.append(data.user_failure_data.description)
            elif data.error is not None:
                cause = data.error.cause or data.error
                texts.append(cause.message.strip())
    return "\n".join(texts) or "the run failed without a word; see the run in `iblnm ui`"
