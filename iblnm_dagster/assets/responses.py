"""Cohort analyses of responses, from the collected tables; each is a function of `iblnm_core.analyses`."""

import dagster as dg

from iblnm_core.analyses.frame import modelling_frame as make_frame
from iblnm_core.schemas import MODELLING_FRAME, RECORDINGS, RESPONSES, TRIAL_REGRESSORS
from iblnm_core.storage.tables import Table, make_table, read_table
from iblnm_dagster.assets.stored import table_asset, table_result
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
