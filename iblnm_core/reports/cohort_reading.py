"""What the report of a cohort shows, worked out of the stored tables: who is selected and why not, and every verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.cohort.account import Account, read_account
from iblnm_core.cohort.blocking import blocks
from iblnm_core.cohort.selection import Selected
from iblnm_core.reports.judging import sound_sessions
from iblnm_core.root import Root
from iblnm_core.schemas import ERRORS, LABELS, PERFORMANCE, QC_PHOTOMETRY, SESSION_STATUS, SESSIONS, TRIALS
from iblnm_core.storage.tables import read_table, stored_or_empty, stored_table

TABLES_READ = (SESSIONS, ERRORS, SESSION_STATUS, PERFORMANCE, QC_PHOTOMETRY, LABELS)
"""Tables that the page is made of, beside the figures."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """A cohort as it is stored.

    Attributes
    ----------
    sessions, errors, performance, quality : DataFrame
        Stored tables; without rows when they are not there.
    account : Account
        What analyses use, and why not the others.
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
    account: Account
    excluded: Mapping[str, str]
    n_trials: Mapping[str, int]
    usable: frozenset[str]
    blocking: pd.Series
    versions: Mapping[str, str]

    @property
    def chosen(self) -> Selected:
        """What analyses use."""
        return self.account.chosen


def read_cohort(root: Root) -> Cohort:
    """Read the stored tables of a root and select as its analyses do.

    Parameters
    ----------
    root : Root

    Raises
    ------
    CorruptArtifact
    """
    account = read_account(root)
    lost = _lost(account.statuses)
    blocking = [blocks(row, lost.get(str(row["eid"]), {})) for row in rows_of(account.errors)]
    stored = {schema.name: stored_table(root.path, schema) for schema in TABLES_READ}
    return Cohort(
        account.sessions,
        account.errors,
        account.performance,
        stored_or_empty(root.path, QC_PHOTOMETRY),
        account,
        account.first_failing,
        _trial_counts(root),
        sound_sessions(list(account.sessions["eid"]), account.errors, account.statuses),
        pd.Series(np.array(blocking, dtype=bool), index=account.errors.index),
        {name: table.content_hash for name, table in stored.items() if table is not None},
    )


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
