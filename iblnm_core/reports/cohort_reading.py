"""What the report of a cohort shows, worked out of the stored tables: who is selected and why not, and every verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.cohort.blocking import SOUND, blocks
from iblnm_core.cohort.selection import Selected, Selection, select
from iblnm_core.reports.judging import sound_sessions
from iblnm_core.root import Root
from iblnm_core.schemas import ERRORS, LABELS, PERFORMANCE, QC_PHOTOMETRY, SESSION_STATUS, SESSIONS, TRIALS
from iblnm_core.storage.tables import read_table, stored_table
from iblnm_core.table_schema import TableSchema

TABLES_READ = (SESSIONS, ERRORS, SESSION_STATUS, PERFORMANCE, QC_PHOTOMETRY, LABELS)
"""Tables that the page is made of, beside the figures."""

NEUTRAL = replace(SOUND, required_outputs=(), blockers=(), excluded_labels=())
"""A selection with every filter off that can be."""

_FIELDS: Mapping[str, str] = MappingProxyType({"processed": "required_outputs", "labels": "excluded_labels"})
"""Fields of a selection whose filter has another name in its account."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """A cohort as it is stored.

    Attributes
    ----------
    sessions, errors, performance, quality : DataFrame
        Stored tables; without rows when they are not there.
    chosen : Selected
        What analyses use.
    excluded : mapping of str to str
        By session that they do not use, the first filter that removes it.
    n_trials : mapping of str to int
        Stored trials by session; sessions without any are left out.
    usable : frozenset of str
        Sessions that are sound.
    blocking : Series of bool
        By error row, whether it blocks its session.
    versions : mapping of str to str
        Content hash of each table that is stored.
    """

    sessions: pd.DataFrame
    errors: pd.DataFrame
    performance: pd.DataFrame
    quality: pd.DataFrame
    chosen: Selected
    excluded: Mapping[str, str]
    n_trials: Mapping[str, int]
    usable: frozenset[str]
    blocking: pd.Series
    versions: Mapping[str, str]


def read_cohort(root: Root) -> Cohort:
    """Read the stored tables of a root and select as its analyses do.

    Parameters
    ----------
    root : Root

    Raises
    ------
    CorruptArtifact
    """
    sessions, errors, statuses, performance, quality, labels = (_table(root, schema) for schema in TABLES_READ)
    selection = Selection.of(root.parameters.selection)
    chosen = select(sessions, errors, selection, performance, statuses, labels)
    lost = _lost(statuses)
    blocking = [blocks(row, lost.get(str(row["eid"]), {})) for row in rows_of(errors)]
    stored = {schema.name: stored_table(root.path, schema) for schema in TABLES_READ}
    return Cohort(
        sessions,
        errors,
        performance,
        quality,
        chosen,
        _reasons(sessions, errors, performance, statuses, labels, selection, chosen),
        _trial_counts(root),
        sound_sessions(list(sessions["eid"]), errors, statuses),
        pd.Series(np.array(blocking, dtype=bool), index=errors.index),
        {name: table.content_hash for name, table in stored.items() if table is not None},
    )


def _table(root: Root, schema: TableSchema) -> pd.DataFrame:
    try:
        return read_table(root.path, schema)
    except FileNotFoundError:
        empty: pd.DataFrame = schema.arrow().empty_table().to_pandas()
        return empty


def _trial_counts(root: Root) -> dict[str, int]:
    try:
        counts = read_table(root.path, TRIALS, columns=["eid"])["eid"].value_counts()
    except FileNotFoundError:
        return {}
    return {str(eid): int(count) for eid, count in counts.items()}


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _lost(statuses: pd.DataFrame) -> dict[str, dict[str, str | None]]:
    """Return, by session, the outputs that an error stopped."""
    found: dict[str, dict[str, str | None]] = {}
    stopped = statuses[statuses["state"].isin(["failed", "absent"])]
    for eid, asset, reason in zip(stopped["eid"], stopped["asset"], stopped["reason"], strict=True):
        found.setdefault(eid, {})[asset] = reason
    return found


def _reasons(
    sessions: pd.DataFrame,
    errors: pd.DataFrame,
    performance: pd.DataFrame,
    statuses: pd.DataFrame,
    labels: pd.DataFrame,
    selection: Selection,
    chosen: Selected,
) -> dict[str, str]:
    """Return the first filter of the account that removes each session; the selection itself says what each removes."""
    everybody, left_out = set(sessions["eid"]), set(sessions["eid"]) - set(chosen.sessions["eid"])
    reasons: dict[str, str] = {}
    for name in chosen.account["filter"]:
        removed = set()
        if name == "duplicates":
            # which of several gives way depends on all that came before
            removed = left_out
        else:
            field = _FIELDS.get(name, name)
            only: dict[str, Any] = {field: getattr(selection, field)} if hasattr(selection, field) else {}
            kept = select(sessions, errors, replace(NEUTRAL, **only), performance, statuses, labels).sessions["eid"]
            removed = everybody - set(kept)
        for eid in removed:
            reasons.setdefault(eid, str(name))
    return reasons
