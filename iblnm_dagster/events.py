"""The one adapter to Dagster's event details: what a session's report becomes in the event log.

A run over one partition returns results, and Dagster sets partition and version tags itself. A run over many yields
events per partition, and has to bring the tags that Dagster would have set; without them everything looks stale.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
)

from iblnm_core.session.fingerprint import Provenance
from iblnm_core.session.outputs import COMPUTED, OUTPUTS
from iblnm_core.session.pipeline import SessionReport
from iblnm_core.session.verdicts import Verdict
from iblnm_dagster.checks import check_metadata, check_severity

CATALOGUE = dg.AssetKey("sessions")


def graph_dependencies(name: str) -> list[str]:
    """Return the assets that a session output is drawn from in the graph."""
    output = OUTPUTS[name]
    if name == "session_metadata":
        return ["sessions"]
    from_row = ("session_metadata",) if output.row_fields else ()
    return list(dict.fromkeys((*from_row, *output.depends)))


def stored_outputs(report: SessionReport) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return name, data version and metadata of every output that a session has now, upstream first."""
    stored = [
        (name, report.provenance[name].fingerprint, _metadata(report, name))
        for name in COMPUTED
        if name in report.provenance and report.provenance[name].state == "stored"
    ]
    versions = "".join(report.provenance[name].fingerprint for name in COMPUTED if name in report.provenance)
    errors = [f for v in report.verdicts.values() for f in v.findings]
    summary = {
        "n_errors": len(errors),
        "n_fatal": sum(f.severity == "fatal" for f in errors),
        "error_types": ", ".join(dict.fromkeys(f.error_type for f in errors)) or "none",
        "adopted": not report.computed,
        "seconds": round(sum(report.seconds.values()), 3),
    }
    version = f"{versions[:16]}-{len(errors)}-{hash_of([f.error_message for f in errors])}"
    return [*stored, ("session_errors", version, summary)]


def hash_of(texts: list[str]) -> str:
    """Return a short hash of some texts."""
    import hashlib

    return hashlib.blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()


def _metadata(report: SessionReport, name: str) -> Mapping[str, Any]:
    entry: Provenance = report.provenance[name]
    counts = {key: int(value) if float(value).is_integer() else value for key, value in entry.summary.items()}
    seconds = [report.seconds[step] for step in OUTPUTS[name].steps if step in report.seconds]
    return {**counts, "adopted": name not in report.computed} | ({"seconds": round(sum(seconds), 4)} if seconds else {})


class SessionEvents:
    """Makes the events of sessions in one run.

    Parameters
    ----------
    context : AssetExecutionContext
    selected : collection of str
        Outputs that are asked for.
    single : bool
        Whether the run is over exactly one partition.
    """

    def __init__(self, context: dg.AssetExecutionContext, selected: Collection[str], *, single: bool) -> None:
        self.context = context
        self.single = single
        self.selected = frozenset(selected)
        checks = context.selected_asset_check_keys
        # a run of checks alone selects no asset
        self.selected_checks = {
            key for key in checks if not selected or key.asset_key.to_user_string() in self.selected
        }
        self._shared_tags: dict[str, dict[str, str]] = {}

    def of(self, report: SessionReport) -> Iterator[Any]:
        """Yield the events of one session: outputs upstream first, then the verdicts.

        Outputs that were not selected but had to be made are reported too.
        """
        latest = _LatestEvents(self.context, report.eid, self._shared_tags)
        for name, version, metadata in stored_outputs(report):
            if name not in self.selected and name not in report.computed and name != "session_errors":
                continue
            if self.single and name in self.selected:
                yield dg.MaterializeResult(asset_key=name, data_version=dg.DataVersion(version), metadata=metadata)
            else:
                tags = {
                    DATA_VERSION_TAG: version,
                    DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
                    CODE_VERSION_TAG: OUTPUTS[name].code_version,
                }
                for parent in graph_dependencies(name):
                    tags |= latest.input_tags(parent)
                yield dg.AssetMaterialization(name, partition=report.eid, metadata=metadata, tags=tags)
            latest.versions[name] = version
        for verdict in report.verdicts.values():
            yield from self.of_verdict(report, verdict, latest)

    def of_verdict(
        self, report: SessionReport, verdict: Verdict, latest: "_LatestEvents | None" = None
    ) -> Iterator[Any]:
        """Yield what one rule said, when it was asked or had to be judged."""
        latest = latest or _LatestEvents(self.context, report.eid, {})
        key = dg.AssetCheckKey(dg.AssetKey(verdict.asset), verdict.rule)
        if key in self.selected_checks and self.single:
            yield dg.AssetCheckResult(
                asset_key=verdict.asset,
                check_name=verdict.rule,
                passed=verdict.passed,
                severity=check_severity(verdict),
                metadata=check_metadata(verdict),
            )
        elif key in self.selected_checks or verdict.asset in {*report.computed, "session_errors"}:
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(verdict.asset),
                check_name=verdict.rule,
                passed=verdict.passed,
                partition=report.eid,
                severity=check_severity(verdict),
                blocking=verdict.fatal,
                metadata=dict(check_metadata(verdict)),
                target_materialization_data=latest.judged(verdict.asset),
            )


class _LatestEvents:
    """The latest events of what one session's events are tied to, each looked up once.

    Parameters
    ----------
    context : AssetExecutionContext
    eid : str
    shared : dict
        Tags of unpartitioned parents, which all sessions of a run share.
    """

    def __init__(self, context: dg.AssetExecutionContext, eid: str, shared: dict[str, dict[str, str]]) -> None:
        self.context = context
        self.eid = eid
        self.shared = shared
        self.versions: dict[str, str] = {}
        """Data versions of the outputs that this run has reported for the session."""
        self._storage_ids: dict[str, int | None] = {}
        self._earlier: dict[str, dg.EventLogRecord | None] = {}

    def input_tags(self, parent: str) -> dict[str, str]:
        """Return the tags that tie an event to the latest event of what it was made from."""
        if parent in self.versions:
            return _tags_for(parent, self.versions[parent], self._storage_id(parent))
        if dg.AssetKey(parent) != CATALOGUE:
            return _tags_of(parent, self._record(parent))
        if parent not in self.shared:
            self.shared[parent] = _tags_of(parent, self.context.instance.get_latest_data_version_record(CATALOGUE))
        return self.shared[parent]

    def judged(self, asset: str) -> AssetCheckEvaluationTargetMaterializationData | None:
        """Return the event of the output that a verdict is about; without it the UI has the check as missing."""
        if asset in self.versions:
            storage_id = self._storage_id(asset)
            if storage_id is not None:
                return _target(storage_id, self.context.run.run_id, time.time())
        record = self._record(asset)
        if record is None:
            return None
        return _target(record.storage_id, record.run_id, record.timestamp)

    def _storage_id(self, asset: str) -> int | None:
        if asset not in self._storage_ids:
            latest = self.context.instance.event_log_storage.get_latest_storage_id_by_partition(
                dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION, {self.eid}
            )
            self._storage_ids[asset] = latest.get(self.eid)
        return self._storage_ids[asset]

    def _record(self, asset: str) -> dg.EventLogRecord | None:
        if asset not in self._earlier:
            key = dg.AssetKey(asset)
            self._earlier[asset] = self.context.instance.get_latest_data_version_record(key, partition_key=self.eid)
        return self._earlier[asset]


def _target(storage_id: int, run_id: str, timestamp: float) -> AssetCheckEvaluationTargetMaterializationData:
    return AssetCheckEvaluationTargetMaterializationData(storage_id=storage_id, run_id=run_id, timestamp=timestamp)


def _tags_of(parent: str, record: dg.EventLogRecord | None) -> dict[str, str]:
    """Return the tags for an event that this run did not make."""
    if record is None or record.asset_materialization is None:
        return {}
    return _tags_for(parent, (record.asset_materialization.tags or {}).get(DATA_VERSION_TAG), record.storage_id)


def _tags_for(parent: str, version: str | None, storage_id: int | None) -> dict[str, str]:
    if version is None or storage_id is None:
        return {}
    return {
        f"{INPUT_DATA_VERSION_TAG_PREFIX}/{parent}": version,
        f"{INPUT_EVENT_POINTER_TAG_PREFIX}/{parent}": str(storage_id),
    }
