"""The upstream assets: what the source says of sessions and fibres, and the catalogue made of it."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.extended_qc import extended_qc_table
from iblnm_core.cohort.fibers import fiber_table, side_conflicts
from iblnm_core.cohort.labels import VERDICTS, read_labels
from iblnm_core.schemas import FIBERS, LABELS, SESSION_INDEX, SESSIONS, SESSIONS_QC
from iblnm_core.storage.tables import make_table
from iblnm_dagster import partitions
from iblnm_dagster.assets.stored import TableResult, table_asset, table_result
from iblnm_dagster.resources import RootResource


class ListingConfig(dg.Config):
    """What a run of the index can be told."""

    redownload: bool = False
    """Read also again what did not change."""


@table_asset(
    SESSION_INDEX,
    "catalogue",
    checks={"records_usable": "Every record of the source has a session id and names that can be folder names."},
)
def session_index(config: ListingConfig, root: RootResource) -> Iterator[TableResult]:
    """Raw session records as the source has them."""
    listing = root.source().list_sessions(anew=config.redownload)
    table = make_table(SESSION_INDEX, index_frame(listing.records))
    result = dg.AssetCheckResult(
        passed=not listing.rejected,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rejected": len(listing.rejected),
            "problems": [f"{rejected.record}: {rejected.problem}" for rejected in listing.rejected[:20]],
        },
    )
    yield table_result(table, result, sessions=len(listing.records), rejected=len(listing.rejected))


@table_asset(SESSIONS, "catalogue")
def sessions(context: dg.AssetExecutionContext, session_index: pd.DataFrame) -> TableResult:
    """Repair the records to one row per session, the catalogue; register the sessions as partitions."""
    table = make_table(SESSIONS, build_catalogue(session_index))
    eids = table.rows.column("eid").to_pylist()
    known = set(context.instance.get_dynamic_partitions(str(partitions.SESSIONS.name)))
    new = [eid for eid in eids if eid not in known]
    context.instance.add_dynamic_partitions(str(partitions.SESSIONS.name), new)
    delisted = sorted(known.difference(eids))
    if delisted:
        context.log.warning(
            f"{len(delisted)} sessions are no longer in the source; their results stay: {', '.join(delisted)}"
        )
    subjects = len(set(table.rows.column("subject").to_pylist()))
    return table_result(table, sessions=len(eids), new_sessions=len(new), delisted=len(delisted), subjects=subjects)


@table_asset(SESSIONS_QC, "catalogue")
def sessions_qc(session_index: pd.DataFrame) -> TableResult:
    """Lay out extended quality control as the database has it, one row per session and key."""
    table = make_table(SESSIONS_QC, extended_qc_table(session_index))
    keys = len(set(table.rows.column("key").to_pylist()))
    return table_result(table, sessions=len(set(table.rows.column("eid").to_pylist())), keys=keys)


@table_asset(
    FIBERS,
    "catalogue",
    checks={"fibers_located": "Every implanted fibre has coordinates, and sources agree about its side."},
)
def fibers(root: RootResource) -> Iterator[TableResult]:
    """Lay out the implanted fibres that the source knows: entry, tip and side of each."""
    table = make_table(FIBERS, fiber_table(root.source().list_fibers(), root.open().parameters.fibers))
    rows = table.rows.to_pandas()
    unlocated, conflicts = rows[rows["tip_ml_um"].isna()], side_conflicts(rows)
    result = dg.AssetCheckResult(
        passed=unlocated.empty and not conflicts,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "without_coordinates": [
                f"{subject}, {fiber}: {note}"
                for subject, fiber, note in zip(
                    unlocated["subject"], unlocated["fiber"], unlocated["note"], strict=True
                )
            ],
            "sides_in_conflict": conflicts,
        },
    )
    yield table_result(table, result, fibers=len(rows), subjects=rows["subject"].nunique())


@table_asset(LABELS, "catalogue", checks={"labels_readable": "Every line of the log of labels is a label."})
def labels(root: RootResource) -> Iterator[TableResult]:
    """Read what people said of recordings."""
    log = read_labels(root.open().path)
    result = dg.AssetCheckResult(
        passed=not log.unreadable,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"unreadable": list(log.unreadable[:20])},
    )
    current = log.rows[log.rows["current"].astype(bool)]
    counts = {verdict: int((current["verdict"] == verdict).sum()) for verdict in VERDICTS}
    yield table_result(make_table(LABELS, log.rows), result, labels=len(log.rows), **counts)
