"""Cohort analyses, from the stored tables; each is a function of `iblnm_core.analyses`, and its tables are assets."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import dagster as dg

from iblnm_core.analyses.analysis import TableCheck
from iblnm_core.analyses.outcomes import OUTCOMES
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import run_analysis
from iblnm_core.cohort.collect import COLLECTED
from iblnm_core.storage.tables import StoredTable, Table, read_table
from iblnm_dagster.assets.stored import TableResult, column_schema, preview, table_result
from iblnm_dagster.resources import RootResource


def table_key(name: str) -> dg.AssetKey:
    """Return the asset of a stored table."""
    if name in COLLECTED:
        return dg.AssetKey(["tables", name])
    for analysis, made in ANALYSES.items():
        if analysis != name and name in {schema.name for schema in made.tables}:
            return dg.AssetKey([analysis, name])
    return dg.AssetKey(name)


def build_analysis(name: str) -> dg.AssetsDefinition:
    """Return the assets of one analysis: one per table, made together."""
    analysis = ANALYSES[name]

    @dg.multi_asset(
        name=name,
        specs=[
            dg.AssetSpec(
                table_key(schema.name),
                deps=[table_key(table) for table in analysis.reads],
                description=schema.description,
                group_name=analysis.stage,
                kinds={"parquet"},
                code_version=analysis.code_version,
                metadata={"dagster/column_schema": column_schema(schema)},
            ).with_io_manager_key("table_io_manager")
            for schema in analysis.tables
        ],
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=table_key(check.table), description=check.holds)
            for check in analysis.checks
        ],
    )
    def analysed(root: RootResource) -> Iterator[TableResult]:
        opened = root.open()
        start = perf_counter()
        tables = run_analysis(opened.path, analysis, opened.parameters)
        seconds = round(perf_counter() - start, 2)
        outcomes = _outcome_counts(opened.path, tables[analysis.tables[-1].name])
        for table_name, table in tables.items():
            metadata: dict[str, Any] = {**outcomes, "seconds": seconds}
            if table_name == analysis.tables[0].name:
                metadata["preview"] = preview(opened.path, table)
            checks = [_judged(opened.path, table, check) for check in analysis.checks if check.table == table_name]
            yield table_result(table, *checks, **metadata)._replace(asset_key=table_key(table_name))

    return analysed


def _judged(folder: Path, table: Table | StoredTable, check: TableCheck) -> dg.AssetCheckResult:
    """Return what a check of a table found."""
    rows = table.rows.to_pandas() if isinstance(table, Table) else read_table(folder, table.schema)
    found = check.judge(rows)
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=table_key(check.table),
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR if found.severe else dg.AssetCheckSeverity.WARN,
        metadata={
            "findings": len(found.words),
            "words": dg.MetadataValue.md("\n".join(f"* {text}" for text in found.words)),
        },
    )


def _outcome_counts(folder: Path, table: Table | StoredTable) -> dict[str, int]:
    """Return how many groups came out how; nothing for an analysis without outcomes."""
    if not table.schema.name.endswith(OUTCOMES):
        return {}
    rows = table.rows.to_pandas() if isinstance(table, Table) else read_table(folder, table.schema, ["status"])
    counts = rows["status"].value_counts().to_dict()
    return {"groups": len(rows), **{f"groups_{status}": int(count) for status, count in counts.items()}}
