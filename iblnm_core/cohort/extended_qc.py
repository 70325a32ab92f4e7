"""Extended quality control of sessions as the database has it: one outcome or number per key. Judges nothing itself."""

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from iblnm_core.schemas import SESSIONS_QC
from iblnm_core.vocabulary import QC_OUTCOMES

SESSION_KEY = "qc_session"
"""The session's own outcome, which the database keeps beside the extended ones."""

_LARGEST_WHOLE = 1 << 53


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
class Read:
    """What a session's extended quality control says.

    Attributes
    ----------
    entries : tuple of Entry
        In the order of their keys; one whose value means nothing has neither outcome nor number.
    invalid : tuple of str
        What means nothing, as `key: what was found`.
    """

    entries: tuple[Entry, ...]
    invalid: tuple[str, ...]


class _Meaningless(Exception):
    """A value that is neither outcome nor number nor a list that begins with one."""


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
        for entry in read_extended_qc(record["qc"], record["extended_qc"]).entries:
            content = (record["eid"], entry.key, entry.outcome, entry.value, list(entry.values))
            rows.append(dict(zip(SESSIONS_QC.column_names, content, strict=True)))
    table = pd.DataFrame(rows, columns=SESSIONS_QC.column_names)
    return table.astype({"value": "float64"})


def read_extended_qc(qc: str | None, extended_qc: str | None) -> Read:
    """Read the quality control of a session; each key is read for itself.

    Parameters
    ----------
    qc : str or None
        The outcome of the session.
    extended_qc : str or None
        A mapping of key to value, as JSON.
    """
    entries = {SESSION_KEY: _entry(SESSION_KEY, qc)} if qc else {}
    content = json.loads(extended_qc) if extended_qc else {}
    if not isinstance(content, dict):
        return Read(tuple(entries.values()), (f"extended_qc: {type(content).__name__} instead of a mapping",))
    invalid = []
    # of two spellings of a key the plainer one holds
    for name in sorted(content, key=lambda name: (len(name), name)):
        key = qc_key(name)
        if key in entries:
            invalid.append(f"{key}: named twice")
            continue
        try:
            entries[key] = _entry(key, content[name])
        except _Meaningless as error:
            invalid.append(f"{key}: {error}")
            entries[key] = Entry(key)
    return Read(tuple(entries[key] for key in sorted(entries)), tuple(sorted(invalid)))


def qc_key(name: str) -> str:
    """Return how a key of the database is called here: `task` is `qc_task`, `dlcLeft_qc` is `qc_dlcLeft`."""
    bare = name.removesuffix("_qc")
    # not every text can be stored
    shown = bare if bare.isprintable() else bare.encode("unicode_escape").decode()
    return f"qc{shown}" if shown.startswith("_") else f"qc_{shown}"


def _entry(key: str, value: Any) -> Entry:
    if not isinstance(value, list):
        return _single(key, value)
    if not value:
        raise _Meaningless("an empty list")
    if isinstance(value[0], list | dict):
        raise _Meaningless(f"a list that begins with {type(value[0]).__name__}")
    first = _single(key, value[0])
    return replace(first, values=(*first.values, *(json.dumps(other) for other in value[1:])))


def _single(key: str, value: Any) -> Entry:
    if isinstance(value, dict):
        raise _Meaningless("a mapping")
    if isinstance(value, bool):
        return Entry(key, "PASS" if value else "FAIL")
    if isinstance(value, int) and value in QC_OUTCOMES:
        return Entry(key, QC_OUTCOMES[value])
    if isinstance(value, int | float):
        return Entry(key, value=_number(value))
    if isinstance(value, str) and value not in QC_OUTCOMES.values():
        return Entry(key, values=(json.dumps(value),))
    return Entry(key, value)


def _number(value: float) -> float | None:
    """Return a number as it is stored, None for not-a-number."""
    if isinstance(value, float) and math.isnan(value):
        return None
    # larger whole numbers are not stored exactly
    if abs(value) > _LARGEST_WHOLE and (isinstance(value, int) or math.isinf(value)):
        raise _Meaningless("a number without bounds")
    return float(value)


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
    keys = set(table["key"])
    for row in table.to_dict("records"):
        number = None if math.isnan(row["value"]) else row["value"]
        columns.setdefault(row["key"], {})[row["eid"]] = row["outcome"] or number
        if len(row["values"]):
            name = f"{row['key'].removeprefix('qc_')}_values"
            name = f"further {name}" if name in keys else name
            columns.setdefault(name, {})[row["eid"]] = [json.loads(text) for text in row["values"]]
    index = pd.Index(sorted(set(table["eid"])), name="eid")
    return pd.DataFrame({name: pd.Series(columns[name], dtype=object) for name in sorted(columns)}, index=index)
