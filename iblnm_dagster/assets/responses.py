"""Cohort analyses of responses, from the collected tables; each is a function of `iblnm_core.analyses`."""

from collections.abc import Iterator

import dagster as dg

from iblnm_core.analyses.frame import modelling_frame as make_frame
from iblnm_core.analyses.task_lmm import fit_task_models
from iblnm_core.schemas import LMM_OUTCOMES, MODELLING_FRAME, RECORDINGS, RESPONSES, TASK_LMM, TRIAL_REGRESSORS
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


@dg.multi_asset(
    name="task_lmm",
    specs=[
        dg.AssetSpec(
            ["task_lmm", schema.name],
            deps=["modelling_frame"],
            description=schema.description,
            group_name="responses",
            kinds={"parquet"},
            code_version="1",
            metadata={"dagster/column_schema": column_schema(schema)},
        ).with_io_manager_key("table_io_manager")
        for schema in (*TASK_LMM.values(), LMM_OUTCOMES)
    ],
)
def task_lmm(root: RootResource) -> Iterator[dg.MaterializeResult[Table]]:
    """Fit responses by contrast, side and outcome, for every target and event."""
    opened = root.open()
    columns = ["target_NM", "event", "subject", "contrast", "side", "feedbackType", "response"]
    frame = read_table(opened.path, MODELLING_FRAME, columns=columns)
    modelling = opened.parameters.modelling
    models = fit_task_models(frame, coding=modelling.contrast_coding, levels=modelling.contrasts)
    fitted = int(models.outcomes["status"].isin(["ok", "boundary"]).sum())
    tables = {schema: getattr(models.tables, name) for name, schema in TASK_LMM.items()}
    for schema, rows in {**tables, LMM_OUTCOMES: models.outcomes}.items():
        result = table_result(make_table(schema, rows), rows=len(rows), groups=len(models.outcomes), fitted=fitted)
        yield result._replace(asset_key=dg.AssetKey(["task_lmm", schema.name]))
