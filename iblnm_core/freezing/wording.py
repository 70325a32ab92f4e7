"""A comparison in words: the same account for the terminal and for the page."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from iblnm_core.freezing.comparing import Comparison, SessionChange, TableChange
from iblnm_core.freezing.rows import IN_ERRORS, WORDS
from iblnm_core.reports.texts import clean, counted

_NAMES = 5
_DIGITS = (3, 5, 8, 12, 17)
_LONGEST_WORDS = 80


@dataclass(frozen=True)
class Block:
    """A part of the account: lines, and a table with its headers; `left_out` are rows of the table that are not shown."""

    title: str
    lines: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left_out: int = 0


def summary(comparison: Comparison) -> str:
    """Return what a comparison came to, in one sentence.

    Parameters
    ----------
    comparison : Comparison
    """
    if comparison.nothing:
        same = f"{counted(comparison.n_sessions, 'session')} and {counted(comparison.n_tables, 'table')} are the same"
        return f"Nothing changed: {same}."
    kinds = [session.kind for session in comparison.sessions]
    sessions = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("came", "went", "changed") if kind in kinds)
    moved = counted(len(comparison.moved), "row")
    crossed = int((comparison.moved["significance"] != "").sum())
    settings = [f"{name.lower()} changed" for name, texts in comparison.settings.items() if texts]
    parts = [
        f"sessions: {sessions or 'none changed'}",
        *settings,
        f"{len(comparison.tables)} of {counted(comparison.n_tables, 'table')} changed",
        f"{moved} moved, {crossed} of them across the border of significance",
    ]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def account(comparison: Comparison, limit: int | None) -> Iterator[Block]:
    """Yield the account of a comparison, part by part; parts without anything to say are left out.

    Parameters
    ----------
    comparison : Comparison
    limit : int or None
        Rows of each table that are shown; None for all.
    """
    if comparison.notices:
        yield Block("Not up to date", tuple(clean(text) for text in comparison.notices))
    for name, texts in comparison.settings.items():
        if texts:
            yield Block(name, tuple(clean(text) for text in texts))
    if comparison.sessions:
        yield _cut("Sessions", ("what", "session", "why"), _session_rows(comparison.sessions), limit)
    if len(comparison.moved):
        rows = comparison.moved if limit is None else comparison.moved.head(limit)
        shown = tuple(_moved_words(row) for row in rows.to_dict("records"))
        sides = (comparison.before, comparison.after)
        headers = ("table", "row", "value", *sides, "moved by")
        yield Block("Numbers", (), headers, shown, len(comparison.moved) - len(rows))
    if comparison.tables:
        first = {row["table"]: row for row in comparison.moved[::-1].to_dict("records")}
        largest = {name: _size(row) for name, row in first.items()}
        tables = [_table_words(table, largest.get(table.name, "")) for table in comparison.tables]
        yield _cut("Tables", ("table", "rows", "moved", "largest", "came", "went", "why"), tables, limit)
    # the first of each table, then the second of each
    of_one = sorted(
        (place for table in comparison.tables for place in enumerate(_rows_of_one(table))), key=itemgetter(0)
    )
    if of_one:
        words = [words for _, words in of_one]
        yield _cut("Rows that came or went", ("table", "what", "row"), words, limit)
    if comparison.rounded:
        yield Block("Differ by rounding only", (clean(", ".join(comparison.rounded)),))
    if comparison.figures:
        yield Block("Figures", tuple(clean(text) for text in comparison.figures))


def _cut(title: str, headers: tuple[str, ...], rows: Sequence[tuple[str, ...]], limit: int | None) -> Block:
    shown = rows if limit is None else rows[:limit]
    return Block(title, (), headers, tuple(shown), len(rows) - len(shown))


def _session_rows(sessions: Sequence[SessionChange]) -> list[tuple[str, ...]]:
    """Return one row for all sessions of which the same became for the same reasons."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for session in sessions:
        groups.setdefault((session.kind, session.reasons), []).append(session.name)
    return [
        (kind, clean(_listed(names, "session")), "\n".join(clean(reason) for reason in reasons))
        for (kind, reasons), names in groups.items()
    ]


def _listed(names: Sequence[str], noun: str) -> str:
    if len(names) <= _NAMES:
        return "\n".join(names)
    return "\n".join((*names[:_NAMES], f"and {counted(len(names) - _NAMES, f'more {noun}')}"))


def _moved_words(row: dict[Any, Any]) -> tuple[str, ...]:
    others = int(row["n_values"]) - 1
    value = f"{row['column']} (and {others} more)" if others else str(row["column"])
    before, after = _pair(row["before"], row["after"])
    return clean(row["table"]), clean(row["row"]), clean(value), before, after, _size(row)


def _size(row: dict[Any, Any]) -> str:
    if row["significance"]:
        return str(row["significance"])
    if row["unit"] == WORDS:
        return "other words"
    if math.isinf(row["size"]):
        return "known on one side only"
    return f"{row['size']:.2g} {IN_ERRORS}" if row["unit"] == IN_ERRORS else _percent(row["size"])


def _percent(size: float) -> str:
    return f"{100 * size:.0f} %" if size >= 0.1 else f"{100 * size:.2g} %"


def _pair(before: Any, after: Any) -> tuple[str, str]:
    """Return two values with as many digits as it takes to see that they differ."""
    pair = (before, after)
    shown = ("", "")
    for digits in _DIGITS:
        shown = (_value(pair[0], digits), _value(pair[1], digits))
        if shown[0] != shown[1]:
            break
    return shown


def _value(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return clean(None) if math.isnan(value) else f"{value:.{digits}g}"
    if hasattr(value, "__len__") and not isinstance(value, str):
        return counted(len(value), "value")
    text = clean(value)
    return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…"


def _table_words(table: TableChange, largest: str) -> tuple[str, ...]:
    n_rows = str(table.n_before) if table.n_before == table.n_after else f"{table.n_before} → {table.n_after}"
    name, rows = clean(table.name), table.rows
    if rows is None:
        return name, n_rows, "", "", "", "", f"the table {table.kind}"
    columns = [
        f"{counted(len(names), 'column')} {what}"
        for what, names in (("came", rows.columns_came), ("went", rows.columns_went))
        if names
    ]
    why = "\n".join(clean(text) for text in (*table.reasons, *columns))
    if table.by_summary:
        moved = f"{len(rows.moved)} summaries"
        return name, n_rows, moved, largest, "", "", why
    return name, n_rows, str(len(rows.moved)), largest, str(len(rows.came)), str(len(rows.went)), why


def _rows_of_one(table: TableChange) -> Iterator[tuple[str, ...]]:
    if table.rows is not None:
        for what, rows in (("came", table.rows.came), ("went", table.rows.went)):
            yield from ((clean(table.name), what, clean(row)) for row in rows)
