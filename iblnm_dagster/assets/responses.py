"""Cohort analyses of responses, from the collected tables; each is a function of `iblnm_core.analyses`."""

from collections.abc import Iterator

import dagster as dg

from iblnm_core.analyses.frame import modelling_frame as make_frame
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.schemas import MODELLING_FRAME, RECORDINGS, RESPONSES, TRIAL_REGRESSORS
from iblnm_core.storage.tables import Table, make_table, read_table
from iblnm_dagster.assets.stored import column_schema, table_asset, table_result
from iblnm_dagster.resources import RootResource


@table_asset(
    MODELLING_FRAME,
    "responses",
    deps=["recordings", ["tables", "responses"], ["tables", "trial_regressors"]],
)
def modelling_frame(root: RootResource) -> dg.MaterializeResult[Table]:
    """Put responses, trials and recordings together, for all analyses alike."""
    opened = root.open()
    responses = read_table(opened.path, RESPONSES, columns=["eid", "fiber_idx", "event", "trial", "response_early"])
    regressors, recordings = read_table(opened.path, TRIAL_REGRESSORS), read_table(opened.path, RECORDINGS)
    frame = make_frame(responses, regressors, recordings, opened.parameters.modelling)
    return table_result(
        make_table(MODELLING_FRAME, frame),
        rows=len(frame),
        recordings=len(frame[["eid", "fiber_idx"]].drop_duplicates()),
        subjects=frame["subject"].nunique(),
    )


def build_analysis(name: str) -> dg.AssetsDefinition:
    """Return the assets of one analysis: one per table, made together."""
    analysis = ANALYSES[name]

    @dg.multi_asset(
        name=name,
        specs=[
            dg.AssetSpec(
                [name, schema.name],
                deps=["modelling_frame"],
                description=schema.description,
                group_name="responses",
                kinds={"parquet"},
                code_version="1",
                metadata={"dagster/column_schema": column_schema(schema)},
            ).with_io_manager_key("table_io_manager")
            for schema in analysis.tables
        ],
    )
    def analysed(root: RootResource) -> Iterator[dg.MaterializeResult[Table]]:
        opened = root.open()
        frame = read_table(opened.path, MODELLING_FRAME, columns=list(analysis.columns))
        results = analysis.run(frame, opened.parameters.modelling)
        outcomes = results[analysis.tables[-1].name]["status"]
        counts = {"groups": len(outcomes), "with_result": int(outcomes.isin(["ok", "boundary"]).sum())}
        for schema in analysis.tables:
            table = make_table(schema, results[schema.name])
            result = table_result(table, rows=table.rows.num_rows, **counts)
            yield result._replace(asset_key=dg.AssetKey([name, schema.name]))

    return analysed
