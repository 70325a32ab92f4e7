"""Extended quality control of sessions as the database has it: one outcome or number per key. Judges nothing itself."""

import json
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from iblnm_core.schemas import SESSIONS_QC
from iblnm_core.vocabulary import QC_OUTCOMES

SESSION_KEY = "qc_session"
"""The session's own outcome, which the database keeps beside the extended ones."""


@dataclass(frozen=True)
class Entry:
    """One key of a session.

    Attributes
    ----------
    key : str
        As `qc_key`.
    outcome : str or None
        NOT_SET, PASS, WARNING, FAIL or CRITICAL.
    value : float or None
        A number that is no outcome.
    values : tuple of str
        What else there is, as JSON.
    """

    key: str
    outcome: str | None = None
    value: float | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Invalid:
    """One key of a session whose value means nothing."""

    key: str
    found: str


def extended_qc_table(index: pd.DataFrame) -> pd.DataFrame:
    """Return the `sessions_qc` table.

    Parameters
    ----------
    index : DataFrame
        The `session_index` table.

    Returns
    -------
    DataFrame
        One row per session and key. A session that the source says nothing about has none; a value that means nothing has
        neither outcome nor number.
    """
    rows = []
    for record in index[["eid", "qc", "extended_qc"]].to_dict("records"):
        for entry in read_entries(record["qc"], record["extended_qc"]):
            found = Entry(entry.key) if isinstance(entry, Invalid) else entry
            content = (record["eid"], found.key, found.outcome, found.value, list(found.values))
            rows.append(dict(zip(SESSIONS_QC.column_names, content, strict=True)))
    table = pd.DataFrame(rows, columns=SESSIONS_QC.column_names)
    return table.astype({"value": "float64"})


def read_entries(qc: str | None, extended_qc: str | None) -> list[Entry | Invalid]:
    """Return the entries of a session in the order of their keys; each key is read for itself.

    Parameters
    ----------
    qc : str or None
        The outcome of the session.
    extended_qc : str or None
        A mapping of key to value, as JSON.
    """
    entries: dict[str, Entry | Invalid] = {SESSION_KEY: _single(SESSION_KEY, qc)} if qc else {}
    content = json.loads(extended_qc) if extended_qc else None
    if content is None:
        return list(entries.values())
    if not isinstance(content, dict):
        return [*entries.values(), Invalid("extended_qc", f"{type(content).__name__} instead of a mapping")]
    for name, value in sorted(content.items()):
        key = qc_key(name)
        entries[key] = Invalid(key, "named twice") if key in entries else _entry(key, value)
    return [entries[key] for key in sorted(entries)]


def qc_key(name: str) -> str:
    """Return how a key of the database is called here: `task` is `qc_task`, `dlcLeft_qc` is `qc_dlcLeft`."""
    bare = name.removesuffix("_qc")
    return f"qc{bare}" if bare.startswith("_") else f"qc_{bare}"


def _entry(key: str, value: Any) -> Entry | Invalid:
    if isinstance(value, list):
        if not value:
            return Invalid(key, "an empty list")
        first = _entry(key, value[0])
        if isinstance(value[0], list) or isinstance(first, Invalid):
            return Invalid(key, f"a list that begins with {type(value[0]).__name__}")
        return Entry(key, first.outcome, first.value, (*first.values, *(json.dumps(other) for other in value[1:])))
    if isinstance(value, dict):
        return Invalid(key, "a mapping")
    return _single(key, value)


def _single(key: str, value: Any) -> Entry | Invalid:
    if isinstance(value, bool):
        return Entry(key, "PASS" if value else "FAIL")
    if isinstance(value, int) and value in QC_OUTCOMES:
        return Entry(key, QC_OUTCOMES[value])
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return Invalid(key, "a number without bounds")
        return Entry(key, value=number) if math.isfinite(number) else Entry(key)
    if isinstance(value, str) and value not in QC_OUTCOMES.values():
        return Entry(key, values=(json.dumps(value),))
    return Entry(key, value)


def invalid_entries(qc: str | None, extended_qc: str | None) -> list[str]:
    """Return the keys of a session whose values mean nothing, as `key: what was found`."""
    found = [entry for entry in read_entries(qc, extended_qc) if isinstance(entry, Invalid)]
    return [f"{entry.key}: {entry.found}" for entry in found]


def wide_extended_qc(table: pd.DataFrame) -> pd.DataFrame:
    """Return the `sessions_qc` table with one row per session.

    Parameters
    ----------
    table : DataFrame
        The `sessions_qc` table.

    Returns
    -------
    DataFrame
        Index `eid`. One column per key, which holds outcomes (text) or numbers, never one as the other; where a key has further
        values, a column such as `videoLeft_pin_state_values` with lists of them.
    """
    columns: dict[str, dict[str, Any]] = {}
    for row in table.to_dict("records"):
        number = None if math.isnan(row["value"]) else row["value"]
        columns.setdefault(row["key"], {})[row["eid"]] = row["outcome"] or number
        if len(row["values"]):
            name = f"{row['key'].removeprefix('qc_')}_values"
            columns.setdefault(name, {})[row["eid"]] = [json.loads(text) for text in row["values"]]
    index = pd.Index(sorted(set(table["eid"])), name="eid")
    return pd.DataFrame({name: pd.Series(columns[name], dtype=object) for name in sorted(columns)}, index=index)
