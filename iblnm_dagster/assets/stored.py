"""What assets that are stored tables have in common: how they are declared, shown and returned."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from iblnm_core.storage.tables import StoredTable, Table, first_rows
from iblnm_core.table_schema import TableSchema

TableResult = dg.MaterializeResult[Any]
"""What an asset that is a stored table yields: a `Table`, or a `StoredTable` that stays; Dagster knows no unions."""

_PREVIEW_ROWS, _PREVIEW_COLUMNS, _PREVIEW_TEXT = 8, 12, 40


def column_schema(schema: TableSchema) -> dg.TableSchema:
    """Return a table's schema as Dagster shows it."""
    types = {
        "text": "string",
        "integer": "int64",
        "number": "float64",
        "truth": "bool",
        "texts": "list<string>",
        "numbers": "list<float64>",
    }
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                types[column.kind],
                f"{column.description} [{column.unit}]" if column.unit else column.description,
                dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in (*schema.columns, *([schema.features] if schema.features is not None else []))
        ]
    )


def table_result(table: Table | StoredTable, *checks: dg.AssetCheckResult, **metadata: Any) -> TableResult:
    """Return a table with a data version that changes exactly when its rows do, and what its checks say."""
    return dg.MaterializeResult(
        value=table, data_version=dg.DataVersion(table.content_hash), metadata=metadata, check_results=checks
    )


def preview(folder: Path, table: Table | StoredTable) -> dg.MetadataValue[Any]:
    """Return the first rows of a table as the web interface shows them, short enough for every event to hold."""
    shown = first_rows(folder, table, _PREVIEW_ROWS)
    names = shown.column_names[:_PREVIEW_COLUMNS]
    records = [dg.TableRecord({name: _shown(row[name]) for name in names}) for row in shown.select(names).to_pylist()]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in names]))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = f"{len(value)} values" if isinstance(value, list) else str(value)
    return text if len(text) <= _PREVIEW_TEXT else f"{text[:_PREVIEW_TEXT]}…"


def table_asset(
    schema: TableSchema,
    group: str,
    *,
    prefix: str | None = None,
    deps: Sequence[str | Sequence[str]] = (),
    checks: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make an asset of a function that yields or returns a stored table as `table_result`.

    Parameters
    ----------
    schema : TableSchema
        Its name is that of the asset.
    group : str
    prefix : str, optional
        Of the asset key.
    deps : sequence of asset keys
        Assets that it is made from without loading them.
    checks : mapping of str to str
        Names of its checks and what holds when they pass.
    """
    key = dg.AssetKey([*([prefix] if prefix else []), schema.name])
    return dg.asset(
        key=key,
        deps=list(deps),
        description=schema.description,
        group_name=group,
        kinds={"parquet"},
        code_version="1",
        io_manager_key="table_io_manager",
        metadata={"dagster/column_schema": column_schema(schema)},
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=holds) for name, holds in checks.items()],
    )
