"""Whether a root is what its sessions, settings and code would make of it now. Nothing is written here."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import analysis_recipe
from iblnm_core.cohort.collect import COLLECTED, collect, stage_errors
from iblnm_core.cohort.labels import read_labels
from iblnm_core.cohort.selection import Selection, account_table, recordings_table, select
from iblnm_core.cohort.status import Catalogue
from iblnm_core.errors import MissingPrerequisite
from iblnm_core.figures.drawing import FOLDER as FIGURES
from iblnm_core.figures.drawing import MANIFEST, family_recipe, stored_family
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.root import Root
from iblnm_core.schemas import LABELS, RECORDINGS, SELECTION, SESSION_STATUS, SESSIONS, STAGE_LOGS
from iblnm_core.storage.derived import stored_results
from iblnm_core.storage.tables import StoredTable, Table, make_table, read_table, stored_table

_UNSETTLED = ("failed unexpectedly", "source unavailable")
"""Why a session is due that another run may leave due."""


@dataclass(frozen=True)
class Standing:
    """What of a root is not current.

    Attributes
    ----------
    behind : tuple of str
        What the next run brings up to date.
    unsettled : tuple of str
        What another run may leave as it is: sessions that fail for no reason that a rule foresees, or that the source cannot give.
    """

    behind: tuple[str, ...]
    unsettled: tuple[str, ...]


def standing_of(catalogue: Catalogue) -> Standing:
    """Return what of a root is not current, in words.

    Tables are compared by content, so that a root that was copied is as current as the one it was copied from.

    Parameters
    ----------
    catalogue : Catalogue

    Raises
    ------
    CorruptArtifact
        When a table cannot be read.
    """
    root, status = catalogue.root, catalogue.status()
    due = status[status["due"].notna()]
    unsettled = due["due"].isin(_UNSETTLED) | (due["state"] == "source unavailable")
    older = {
        "tables are older than the sessions": list(_outdated_tables(root, status)),
        "analyses are older than what they are made from": list(_outdated_analyses(root)),
        "figures are older than what they are drawn from": list(_outdated_figures(root)),
    }
    made = [f"{what}: {', '.join(names)}" for what, names in older.items() if names]
    return Standing((*_by_reason(due[~unsettled]), *made), tuple(_by_reason(due[unsettled])))


def _by_reason(due: pd.DataFrame) -> Iterator[str]:
    """Yield how many sessions are due for which reason, and which is the first."""
    for reason, rows in due.groupby("due", sort=True):
        eids = rows["eid"].drop_duplicates()
        more = f" and {len(eids) - 1} more" if len(eids) > 1 else ""
        yield f"out of date ({reason}): session {eids.iloc[0]}{more}"


def _outdated_tables(root: Root, status: pd.DataFrame) -> Iterator[str]:
    for table in _made_anew(root, status):
        stored = stored_table(root.path, table.schema)
        if stored is None or stored.content_hash != table.content_hash:
            yield table.schema.name


def _made_anew(root: Root, status: pd.DataFrame) -> Iterator[Table | StoredTable]:
    """Yield the tables that are made from session files, catalogue and labels, as they would be now."""
    frames = {}
    for name in COLLECTED:
        table = collect(root, name).table
        yield table
        if name in {"errors", "performance", "corrections"}:
            frames[name] = table.rows.to_pandas() if isinstance(table, Table) else read_table(root.path, table.schema)
    for stage, schema in STAGE_LOGS.items():
        yield make_table(schema, stage_errors(frames["errors"], stage))
    labels = read_labels(root.path).rows
    yield make_table(LABELS, labels)
    yield make_table(SESSION_STATUS, status)
    sessions = read_table(root.path, SESSIONS)
    rules = Selection.of(root.parameters)
    chosen = select(sessions, frames["errors"], rules, frames["performance"], status, labels, frames["corrections"])
    yield make_table(SELECTION, account_table(chosen))
    yield make_table(RECORDINGS, recordings_table(chosen))


def _outdated_analyses(root: Root) -> Iterator[str]:
    """Yield the analyses that would be made anew; one that was never made is none."""
    for name, analysis in ANALYSES.items():
        if not any((root.path / schema.path).is_file() for schema in analysis.tables):
            continue
        try:
            made_from = analysis_recipe(root.path, analysis, root.parameters)
        except MissingPrerequisite:
            yield name
            continue
        if stored_results(root.path, analysis.tables, made_from) is None:
            yield name


def _outdated_figures(root: Root) -> Iterator[str]:
    """Yield the families that would be drawn anew, as far as tables, parameters and code tell."""
    for name, family in FAMILIES.items():
        if not (root.path / FIGURES / name / MANIFEST).is_file():
            continue
        stored = stored_family(root.path, name)
        try:
            made_from = family_recipe(root.path, family, root.parameters)
        except MissingPrerequisite:
            yield name
            continue
        if stored is None or any(stored.made_from.get(part) != value for part, value in made_from.items()):
            yield name
