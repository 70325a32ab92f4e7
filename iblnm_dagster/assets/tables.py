"""The collected tables and the standing of all sessions, with the two checks that summarise it."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from iblnm_core.cohort.collect import COLLECTED, OUTPUT_OF, collect, stage_errors
from iblnm_core.schemas import SESSION_STATUS, STAGE_LOGS
from iblnm_core.storage.tables import make_table
from iblnm_dagster.assets.stored import TableResult, column_schema, table_asset, table_result
from iblnm_dagster.resources import RootResource

_SHOWN_IDS = 20


def build_collected_table(name: str) -> dg.AssetsDefinition:
    """Return the asset of one collected table."""
    schema, _ = COLLECTED[name]

    @table_asset(
        schema,
        "tables",
        prefix="tables",
        deps=[OUTPUT_OF[name]],
        checks={f"{name}_complete": "Every session file could be read."},
    )
    def collected(root: RootResource) -> Iterator[TableResult]:
        result = collect(root.open(), name)
        check = dg.AssetCheckResult(
            passed=not result.broken,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"broken": len(result.broken), "sessions": list(result.broken[:_SHOWN_IDS])},
        )
        yield table_result(result.table, check, sessions=result.n_sessions, session_files_read=result.n_read)

    return collected


@dg.multi_asset(
    name="stage_logs",
    specs=[
        dg.AssetSpec(
            ["tables", schema.name],
            deps=[["tables", "errors"]],
            description=schema.description,
            group_name="tables",
            kinds={"parquet"},
            code_version="1",
            metadata={"dagster/column_schema": column_schema(schema)},
        ).with_io_manager_key("table_io_manager")
        for schema in STAGE_LOGS.values()
    ],
    ins={"errors": dg.AssetIn(["tables", "errors"])},
)
def stage_logs(errors: pd.DataFrame) -> Iterator[TableResult]:
    """Errors by stage of the command line."""
    for stage, schema in STAGE_LOGS.items():
        rows = stage_errors(errors, stage)
        result = table_result(make_table(schema, rows), sessions=rows["eid"].nunique())
        yield result._replace(asset_key=dg.AssetKey(["tables", schema.name]))


@table_asset(
    SESSION_STATUS,
    "tables",
    deps=["session_errors"],
    checks={
        "sessions_failed": "No session has a fatal error.",
        "out_of_date": "Every session is computed and current.",
    },
)
def session_status(root: RootResource) -> Iterator[TableResult]:
    """Where every session stands: what is stored against what would be made of its inputs now."""
    status = root.catalogue().status()
    failed, due = status[status["state"] == "failed"], status[status["due"].notna()]
    yield table_result(
        make_table(SESSION_STATUS, status),
        _summary_check("sessions_failed", failed, failed["reason"], dg.AssetCheckSeverity.ERROR),
        _summary_check("out_of_date", due, due["due"], dg.AssetCheckSeverity.WARN),
        sessions=int(status["eid"].nunique()),
    )


def _summary_check(
    name: str, rows: pd.DataFrame, reasons: "pd.Series[str]", severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    """Count sessions by reason and name the first of them."""
    counts = rows.assign(reason=reasons).groupby("reason")["eid"].nunique().sort_values(ascending=False)
    eids = sorted(rows["eid"].unique())
    return dg.AssetCheckResult(
        check_name=name,
        passed=not eids,
        severity=severity,
        metadata={
            "sessions": len(eids),
            "by_reason": {str(reason): int(count) for reason, count in counts.items()},
            "first_sessions": eids[:_SHOWN_IDS],
        },
    )
