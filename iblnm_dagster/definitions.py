"""The asset graph of a root. `build_defs` makes it anew for any root; `defs` is the one Dagster's tools load."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.cohort.collect import COLLECTED
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.root import root_path
from iblnm_core.schemas import STAGE_LOGS
from iblnm_core.session.outputs import OUTPUTS
from iblnm_dagster.assets.analyses import build_analysis, table_key
from iblnm_dagster.assets.exports import build_nwb
from iblnm_dagster.assets.figures import figure_key, figures
from iblnm_dagster.assets.reports import cohort_report, session_report
from iblnm_dagster.assets.selection import selection
from iblnm_dagster.assets.tables import collected_tables, session_status, stage_logs
from iblnm_dagster.assets.upstream import fibers, labels, session_index, sessions, sessions_qc
from iblnm_dagster.automation import catalogue_daily, due_sessions, tables_hourly
from iblnm_dagster.io_managers import SessionFileIOManager, TableIOManager
from iblnm_dagster.notification import notify_failed_runs
from iblnm_dagster.resources import RootResource
from iblnm_dagster.session_step import Progress, build_session_step

# partitioned checks and data versions of outputs are previews; tests hold what we use of them
for _category in (dg.PreviewWarning, dg.BetaWarning):
    warnings.filterwarnings("ignore", category=_category, module="iblnm_dagster")


def build_defs(
    root: Path | str | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dg.Definitions:
    """Return the asset graph on a root.

    Parameters
    ----------
    root : path, optional
        The root folder; it need not exist yet. See `iblnm_core.root.root_path`.
    resources : mapping, optional
        Resources that replace ours, by key.
    progress : callable, optional
        Told how far a run of the session step is.
    """
    folder = str(root_path(root))
    ours = {
        "root": RootResource(path=folder),
        "table_io_manager": TableIOManager(root=folder),
        "session_file_io_manager": SessionFileIOManager(root=folder),
    }
    return dg.Definitions(
        assets=[
            session_index,
            sessions,
            sessions_qc,
            fibers,
            build_session_step(progress),
            collected_tables,
            stage_logs,
            session_status,
            labels,
            selection,
            *(build_analysis(name) for name in ANALYSES),
            figures,
            session_report,
            cohort_report,
            build_nwb(),
        ],
        jobs=_jobs(),
        schedules=[catalogue_daily, tables_hourly],
        sensors=[due_sessions, notify_failed_runs],
        resources={**ours, **(resources or {})},
        executor=dg.in_process_executor,
    )


def _jobs() -> list[Any]:
    # Dagster has no public name for the type of a job that is not resolved yet
    return [
        dg.define_asset_job(
            "catalogue",
            selection=["session_index", "sessions", "fibers"],
            description="Ask the source for sessions and implanted fibres.",
        ),
        dg.define_asset_job(
            "extended_qc",
            selection=["sessions_qc"],
            description="Collect extended quality control from what is known of the sessions; asks for nothing.",
        ),
        dg.define_asset_job(
            "session_batch",
            selection=list(OUTPUTS),
            description="Sessions through the session step; without a partition, those of the run configuration.",
        ),
        dg.define_asset_job(
            "collect",
            selection=[
                *(f"tables/{name}" for name in COLLECTED),
                *(f"tables/{schema.name}" for schema in STAGE_LOGS.values()),
                "session_status",
                "labels",
                "selection",
                "recordings",
                *(
                    table_key(schema.name).to_user_string()
                    for analysis in ANALYSES.values()
                    for schema in analysis.tables
                ),
                *(figure_key(name).to_user_string() for name in FAMILIES),
                "cohort_report",
            ],
            description="Bring the collected tables, the standing of all sessions, all analyses and all figures up to date.",
        ),
    ]


defs = build_defs()
