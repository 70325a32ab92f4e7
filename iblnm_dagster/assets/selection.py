"""What cohort analyses use: the recordings, and the account of what each filter removes."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from iblnm_core.cohort.selection import Selection, account_table, recordings_table, select
from iblnm_core.schemas import RECORDINGS, SELECTION
from iblnm_core.storage.tables import make_table
from iblnm_dagster.assets.stored import TableResult, column_schema, table_result
from iblnm_dagster.resources import RootResource

_COLLECTED = [["tables", name] for name in ("errors", "performance", "corrections")]


@dg.multi_asset(
    name="selection",
    specs=[
        dg.AssetSpec(
            schema.name,
            deps=["sessions", "session_status", "labels", *_COLLECTED],
            description=schema.description,
            group_name="tables",
            kinds={"parquet"},
            code_version="4",
            metadata={"dagster/column_schema": column_schema(schema)},
        ).with_io_manager_key("table_io_manager")
        for schema in (SELECTION, RECORDINGS)
    ],
    ins={key[-1]: dg.AssetIn(key) for key in _COLLECTED},
)
def selection(
    root: RootResource,
    sessions: pd.DataFrame,
    errors: pd.DataFrame,
    performance: pd.DataFrame,
    session_status: pd.DataFrame,
    labels: pd.DataFrame,
    corrections: pd.DataFrame,
) -> Iterator[TableResult]:
    """Choose sessions and recordings by the parameters of the root."""
    rules = Selection.of(root.open().parameters)
    chosen = select(sessions, errors, rules, performance, session_status, labels, corrections)
    tables = {SELECTION: account_table(chosen), RECORDINGS: recordings_table(chosen)}
    for schema, frame in tables.items():
        result = table_result(
            make_table(schema, frame),
            sessions=len(chosen.sessions),
            recordings=len(chosen.recordings),
            subjects=chosen.sessions["subject"].nunique(),
        )
        yield result._replace(asset_key=dg.AssetKey(schema.name))
