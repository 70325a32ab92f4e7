"""The collected tables and the standing of all sessions, with the two checks that summarise it."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from iblnm_core.cohort.collect import COLLECTED, OUTPUT_OF, collect_tables, stage_errors
from iblnm_core.schemas import SESSION_STATUS, STAGE_LOGS
from iblnm_core.storage.tables import make_table
from iblnm_dagster.assets.stored import TableResult, column_schema, table_asset, table_result
from iblnm_dagster.resources import RootResource

_SHOWN_IDS = 20


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["tables", name])


@dg.multi_asset(
    name="collected_tables",
    specs=[
        dg.AssetSpec(
            _key(name),
            deps=[OUTPUT_OF[name]],
            description=schema.description,
            group_name="tables",
            kinds={"parquet"},
            code_version="1",
            # only what is selected is made
            skippable=True,
            metadata={"dagster/column_schema": column_schema(schema)},
        ).with_io_manager_key("table_io_manager")
        for name, (schema, _) in COLLECTED.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(f"{name}_complete", asset=_key(name), description="Every session file could be read.")
        for name in COLLECTED
    ],
    can_subset=True,
)
def collected_tables(context: dg.AssetExecutionContext, root: RootResource) -> Iterator[TableResult]:
    """Tables of all sessions; each changed session file is read once for all of them."""
    names = [name for name in COLLECTED if _key(name) in context.selected_asset_keys]
    for name, found in collect_tables(root.open(), names):
        check = dg.AssetCheckResult(
            check_name=f"{name}_complete",
            asset_key=_key(name),
            passed=not found.broken,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"broken": len(found.broken), "sessions": list(found.broken[:_SHOWN_IDS])},
        )
        result = table_result(found.table, check, sessions=found.n_sessions, session_files_read=found.n_read)
        yield result._replace(asset_key=_key(name))


@dg.multi_asset(
    name="stage_logs",
    specs=[
        dg.AssetSpec(
            _key(schema.name),
            deps=[_key("errors")],
            description=schema.description,
            group_name="tables",
            kinds={"parquet"},
            code_version="1",
            metadata={"dagster/column_schema": column_schema(schema)},
        ).with_io_manager_key("table_io_manager")
        for schema in STAGE_LOGS.values()
    ],
    ins={"errors": dg.AssetIn(_key("errors"))},
)
def stage_logs(errors: pd.DataFrame) -> Iterator[TableResult]:
    """Errors by stage of the command line."""
    for stage, schema in STAGE_LOGS.items():
        rows = stage_errors(errors, stage)
        result = table_result(make_table(schema, rows), sessions=rows["eid"].nunique())
        yield result._replace(asset_key=_key(schema.name))


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
