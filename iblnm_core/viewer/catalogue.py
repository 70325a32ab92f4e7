"""The list of sessions that the viewer opens with: what it says of each, and how it is searched and sorted."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from iblnm_core.reports.judging import sound_sessions
from iblnm_core.root import Root
from iblnm_core.schemas import ERRORS, LABELS, PERFORMANCE, SESSION_STATUS, SESSIONS
from iblnm_core.storage.tables import stored_or_empty
from iblnm_core.table_schema import TableSchema

COLUMNS: Mapping[str, str] = {
    "subject": "Subject",
    "date": "Date",
    "session_type": "Type",
    "targets": "Targets",
    "n_trials": "Trials",
    "fraction_correct": "Correct",
    "state": "State",
    "n_errors": "Errors",
    "labels": "Labels",
}
"""Columns of the list and their headers; it can be sorted by each."""

STATES = ("usable", "failed", "not computed")
ROWS_OF_PAGE = 100

_READ = (SESSIONS, ERRORS, SESSION_STATUS, PERFORMANCE, LABELS)
_LONGEST = 200


@dataclass(frozen=True)
class Search:
    """What somebody looks for among the sessions.

    Attributes
    ----------
    text : str
        Part of a subject, id, date, lab, target or error type; of several words, each must occur.
    session_type, target, state : str
        Empty for all.
    sort : str
        One of `COLUMNS`, with a minus before it for falling order.
    page : int
        Of the list, from 1.
    """

    text: str = ""
    session_type: str = ""
    target: str = ""
    state: str = ""
    sort: str = "-date"
    page: int = 1

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> "Search":
        """Return the search that an address asks for; what is no sensible value there is left as it is by default."""
        given = {f.name: query[f.name].strip()[:_LONGEST] for f in fields(cls) if f.name in query and f.name != "page"}
        if given.get("sort", "").removeprefix("-") not in COLUMNS:
            given.pop("sort", None)
        page = query.get("page", "")
        return cls(**given, page=int(page) if page.isdecimal() and 0 < len(page) < 6 else 1)

    @property
    def query(self) -> str:
        """The part of an address after the question mark; what is as by default is left out."""
        return urlencode(
            {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != getattr(Search, f.name)}
        )

    def sorted_by(self, column: str) -> "Search":
        """Return the same search in the order of a column, falling when it was rising already."""
        return replace(self, sort=f"-{column}" if self.sort == column else column, page=1)

    def of(self, sessions: pd.DataFrame) -> pd.DataFrame:
        """Return the sessions that are looked for, in order."""
        found = sessions
        for word in self.text.lower().split():
            found = found[found["searched"].str.contains(word, regex=False)]
        if self.session_type:
            found = found[found["session_type"] == self.session_type]
        if self.target:
            found = found[np.array([self.target in targets.split(", ") for targets in found["targets"]], dtype=bool)]
        if self.state:
            found = found[found["state"] == self.state]
        column = self.sort.removeprefix("-")
        return found.sort_values(
            [column, "subject", "date", "eid"],
            ascending=[not self.sort.startswith("-"), True, True, True],
            kind="stable",
            na_position="last",
        )


class Catalogue:
    """The sessions of a root, read anew when a table changed.

    Parameters
    ----------
    root : Root
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._stamps: tuple[Any, ...] = ()
        self._sessions = pd.DataFrame()

    def sessions(self) -> pd.DataFrame:
        """Return one row per session: `eid`, the columns of the list, and `searched`, what a text is looked for in.

        Raises
        ------
        CorruptArtifact
        """
        stamps = tuple(_stamp(self._root, schema) for schema in _READ)
        if stamps != self._stamps:
            self._sessions = _listed(*(stored_or_empty(self._root.path, schema) for schema in _READ))
            self._stamps = stamps
        return self._sessions


def neighbours(sessions: pd.DataFrame, eid: str) -> tuple[str | None, str | None, int | None]:
    """Return the sessions before and after one in a list, and its place in it (from 1); None when there is none.

    Parameters
    ----------
    sessions : DataFrame
    eid : str
    """
    eids = list(sessions["eid"])
    if eid not in eids:
        return None, (eids[0] if eids else None), None
    place = eids.index(eid)
    before = eids[place - 1] if place else None
    return before, (eids[place + 1] if place + 1 < len(eids) else None), place + 1


def _stamp(root: Root, schema: TableSchema) -> tuple[int, int] | None:
    try:
        status = (root.path / schema.path).stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino


def _listed(
    sessions: pd.DataFrame,
    errors: pd.DataFrame,
    statuses: pd.DataFrame,
    performance: pd.DataFrame,
    labels: pd.DataFrame,
) -> pd.DataFrame:
    eids = sessions["eid"]
    usable = sound_sessions(list(eids), errors, statuses)
    computed = set(statuses.loc[statuses["state"].isin(["ok", "failed", "absent", "out of date"]), "eid"])
    behaviour = performance.set_index("eid")
    types = errors.groupby("eid")["error_type"].agg(lambda names: " ".join(sorted(set(names))))
    current = labels[labels["current"].astype(bool)]
    words = current.groupby("eid")["verdict"].agg(", ".join)
    listed = pd.DataFrame(
        {
            "eid": eids,
            "subject": sessions["subject"],
            "date": sessions["start_time"].str[:10],
            "session_type": sessions["session_type"].fillna(""),
            "targets": [", ".join(dict.fromkeys(label for label in row if label)) for row in sessions["target_NM"]],
            "n_trials": eids.map(behaviour["n_trials"]).astype(float),
            "fraction_correct": eids.map(behaviour["fraction_correct"]).astype(float),
            "state": [_state(eid, usable, computed) for eid in eids],
            "n_errors": eids.map(errors["eid"].value_counts()).fillna(0).astype(int),
            "labels": eids.map(words).fillna(""),
        }
    )
    parts = [*(listed[name] for name in ("subject", "date", "session_type", "targets", "labels")), sessions["lab"]]
    texts = pd.DataFrame(dict(enumerate([eids, *parts, eids.map(types)]))).fillna("").astype(str)
    listed["searched"] = [" ".join(row).lower() for row in texts.itertuples(index=False)]
    # what is empty has no type of its own
    return listed.astype(dict.fromkeys(("targets", "state", "labels", "searched"), object))


def _state(eid: str, usable: frozenset[str], computed: set[str]) -> str:
    return STATES[0] if eid in usable else STATES[1] if eid in computed else STATES[2]
