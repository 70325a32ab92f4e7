"""Reports that open from disk; what is on them is `iblnm_core.reports`' business. Sessions' are made when asked for."""

import base64
from typing import Any

import dagster as dg

from iblnm_core.figures.registry import FAMILIES
from iblnm_core.reports.model_tables import STATISTICS_READ
from iblnm_core.reports.writing import CODE_VERSION, WrittenReport, write_cohort_report, write_session_report
from iblnm_core.session.outputs import OUTPUTS
from iblnm_dagster.assets.analyses import table_key
from iblnm_dagster.assets.figures import figure_key
from iblnm_dagster.partitions import SESSIONS
from iblnm_dagster.resources import RootResource

_ACCOUNT = (
    dg.AssetKey("sessions"),
    dg.AssetKey("session_status"),
    dg.AssetKey("labels"),
    dg.AssetKey(["tables", "errors"]),
    dg.AssetKey(["tables", "performance"]),
)
"""What says who is selected, and why not."""


@dg.asset(
    deps=[*OUTPUTS, *_ACCOUNT],
    group_name="reports",
    kinds={"html"},
    partitions_def=SESSIONS,
    code_version="2",
    description="One page per session: verdict, what failed and what to do, signals, quality, responses, behaviour, provenance.",
)
def session_report(context: dg.AssetExecutionContext, root: RootResource) -> dg.MaterializeResult[Any]:
    """Write the report of a session from what is stored of it; a failed session has one, too."""
    opened = root.open()
    address = f"{opened.viewer_address}/session?eid={context.partition_key}"
    return _materialised(write_session_report(opened, context.partition_key), viewer=dg.MetadataValue.url(address))


@dg.asset(
    deps=[
        *_ACCOUNT,
        "selection",
        "recordings",
        dg.AssetKey(["tables", "qc_photometry"]),
        *(figure_key(name) for name in FAMILIES),
        *(table_key(name) for name in STATISTICS_READ),
    ],
    group_name="reports",
    kinds={"html"},
    code_version=CODE_VERSION,
    description="One page about all sessions: who is used and why not, what failed, every session, and all figures.",
)
def cohort_report(root: RootResource) -> dg.MaterializeResult[Any]:
    """Write the report of the cohort from the stored tables and figures."""
    return _materialised(write_cohort_report(root.open()))


def _materialised(written: WrittenReport, **more: dg.MetadataValue[Any]) -> dg.MaterializeResult[Any]:
    metadata: dict[str, Any] = {
        **more,
        "path": dg.MetadataValue.path(written.path),
        "size_bytes": written.size_bytes,
        "sha256": written.sha256,
        "verdict": written.verdict,
        "n_failed_checks": written.n_failed_checks,
        "seconds": round(written.seconds, 2),
    }
    if written.preview:
        encoded = base64.b64encode(written.preview).decode()
        metadata["preview"] = dg.MetadataValue.md(f"![preview](data:image/png;base64,{encoded})")
    return dg.MaterializeResult(data_version=dg.DataVersion(written.sha256), metadata=metadata)
