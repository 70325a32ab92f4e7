"""Exports of sessions to formats of other programs. Off by default: in no job, no schedule and no sensor."""

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import dagster as dg

from iblnm_core.errors import ConfigurationError, IblnmError, NwbMetadataIncomplete, OutdatedSession
from iblnm_core.export.nwb.checking import Message, inspect_file, of_level, schema_errors
from iblnm_core.export.nwb.exporting import ExportedFile, export_session
from iblnm_core.export.nwb.libraries import has_inspector
from iblnm_core.export.nwb.mapping import EXPORT_VERSION
from iblnm_dagster.partitions import SESSIONS
from iblnm_dagster.resources import RootResource

KEY = dg.AssetKey("nwb")

_CHECKS = {
    "nwb_schema_valid": "The file follows the schema of the format.",
    "nwb_critical": "The inspector of best practices calls nothing critical.",
    "nwb_violations": "The inspector of best practices finds no violation.",
}
_LEVELS = {"nwb_critical": "CRITICAL", "nwb_violations": "BEST_PRACTICE_VIOLATION"}
_SHOWN = 20


def build_nwb() -> dg.AssetsDefinition:
    """Return the asset of the NWB files of sessions."""

    @dg.multi_asset(
        name="nwb",
        specs=[
            dg.AssetSpec(
                KEY,
                deps=[
                    "session_metadata",
                    "trials",
                    "photometry_qc",
                    "preprocessed_signal",
                    "wheel_velocity",
                    "session_errors",
                ],
                description="One NWB file per session for sharing: signals as recorded and corrected, trials, events, wheel, verdicts.",
                group_name="exports",
                kinds={"nwb", "hdf5"},
                code_version=EXPORT_VERSION,
                partitions_def=SESSIONS,
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                name, asset=KEY, description=holds, blocking=name == "nwb_schema_valid", partitions_def=SESSIONS
            )
            for name, holds in _CHECKS.items()
        ],
        # best practices are judged only where the inspector is installed and wanted
        can_subset=True,
    )
    def nwb(context: dg.AssetExecutionContext, root: RootResource) -> Iterator[Any]:
        """Write the NWB file of a session and judge it."""
        opened, start = root.open(), perf_counter()
        (task,) = root.catalogue().tasks([context.partition_key])
        try:
            exported = export_session(opened, task)
        except (NwbMetadataIncomplete, OutdatedSession, ConfigurationError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except IblnmError as error:
            raise dg.Failure(str(error)) from error
        inspected = opened.parameters.nwb.inspection == "on" and has_inspector()
        messages = inspect_file(exported.path) if inspected else []
        errors = schema_errors(exported.path)
        if KEY in context.selected_asset_keys:
            yield _materialised(exported, messages, perf_counter() - start, inspected=inspected)
        judged = {"nwb_schema_valid": errors}
        if inspected:
            judged |= {name: [str(m) for m in of_level(messages, level)] for name, level in _LEVELS.items()}
        for name, problems in judged.items():
            if dg.AssetCheckKey(KEY, name) in context.selected_asset_check_keys:
                yield _judged(name, problems)

    return nwb


def _materialised(
    exported: ExportedFile, messages: Sequence[Message], seconds: float, *, inspected: bool
) -> dg.MaterializeResult[Any]:
    counts = {
        f"inspector_{level.lower()}": len(of_level(messages, level))
        for level in ("CRITICAL", "BEST_PRACTICE_VIOLATION", "BEST_PRACTICE_SUGGESTION")
        if inspected
    }
    return dg.MaterializeResult(
        asset_key=KEY,
        data_version=dg.DataVersion(exported.content_hash),
        metadata={
            "path": dg.MetadataValue.path(exported.path),
            "outcome": exported.outcome,
            "size_bytes": exported.size_bytes,
            "sha256": exported.sha256,
            "blocked_by": ", ".join(exported.blocked_by) or "none",
            "seconds": round(seconds, 2),
            **counts,
        },
    )


def _judged(name: str, problems: Sequence[str]) -> dg.AssetCheckResult:
    is_error = name == "nwb_schema_valid"
    return dg.AssetCheckResult(
        asset_key=KEY,
        check_name=name,
        passed=not problems,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        metadata={"problems": len(problems), "messages": dg.MetadataValue.md("\n".join(problems[:_SHOWN]) or "none")},
    )
