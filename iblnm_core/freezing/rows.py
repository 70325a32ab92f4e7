"""Two versions of a table: which rows came, went or changed, and by how much. No file is read here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NOISE = 1e-12
"""Numbers that differ by less, relative to themselves or to their standard error, are the same."""

SIGNIFICANT = 0.05
"""A p- or q-value on the other side of this is a change of significance."""

P_VALUE = re.compile(
    r"P>\|[zt]\||Pr\(>F\)|(?:\w+_)?[pq](?:_?value)?(?:_(?:interaction|holm|joint|session|subject|donors|value))?"
)
"""Names of columns that hold p- or q-values."""

STANDARD_ERRORS = ("Std.Err.", "coef_se", "timing_se", "se", "sem")
"""Columns that hold the standard error of the estimate of their row; the first that a table has counts."""

INTERVALS = (("ci_lower", "ci_upper", 1.96), ("hdi_low", "hdi_high", 1.88), ("lower", "upper", 1.0))
"""Columns that bound an interval around the estimate, and how many standard errors its half width is."""

ESTIMATES = frozenset(
    {"Coef.", "coef", "timing_coef", "mean", "predicted", "slope", "effect", "t_ci_lower", "t_ci_upper"}
    | {bound for low, high, _ in INTERVALS for bound in (low, high)}
)
"""Columns in the unit of that standard error."""

BECAME, LOST = "became significant", "is no longer significant"
IN_ERRORS, RELATIVE, WORDS = "standard errors", "relative", "words"

_MOVED = (
    "row",
    "column",
    "before",
    "after",
    "size",
    "unit",
    "significance",
    "importance",
    "n_values",
)


@dataclass(frozen=True)
class RowChanges:
    """What became of the rows of a table.

    Attributes
    ----------
    moved : DataFrame
        One row for each that says something else, with its most important value: `row` (its key in words), `column`, `before`,
        `after`, `size`, `unit` of the size (standard errors, relative or words), `significance` (what became of it, or empty),
        `importance` (the size, of what is small beside its column less; infinite when a number is not known on one side) and `n_values`
        (how many values changed).
    came, went : tuple of str
        Keys of rows that are only in the later or only in the earlier version, in words.
    columns_came, columns_went : tuple of str
    """

    moved: pd.DataFrame
    came: tuple[str, ...]
    went: tuple[str, ...]
    columns_came: tuple[str, ...]
    columns_went: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether nothing changed but what rounding explains."""
        return self.moved.empty and not (self.came or self.went or self.columns_came or self.columns_went)


def compare_rows(
    before: pd.DataFrame, after: pd.DataFrame, key: Sequence[str], names: Mapping[str, str] | None = None
) -> RowChanges:
    """Match the rows of two versions of a table by their key, and say what moved.

    Parameters
    ----------
    before, after : DataFrame
        Both with the columns of the key.
    key : sequence of str
        Columns that identify a row; rows that share a key are matched in their order.
    names : mapping of str to str, optional
        What stands for values of the key in words, such as subject and date for the id of a session.
    """
    names = names or {}
    at_before, at_after, came, went = _matched(before, after, key)
    columns = [name for name in before if name in after.columns and name not in key]
    old, new = before.iloc[at_before], after.iloc[at_after]
    return RowChanges(
        _moved(old[columns], new[columns], row_words(new, key, names)),
        tuple(row_words(after.iloc[came], key, names)),
        tuple(row_words(before.iloc[went], key, names)),
        tuple(str(name) for name in after if name not in before.columns),
        tuple(str(name) for name in before if name not in after.columns),
    )


def _matched(before: pd.DataFrame, after: pd.DataFrame, key: Sequence[str]) -> tuple[NDArray[np.int64], ...]:
    """Return positions of the rows that are in both, and of those only in the later, and only in the earlier version."""
    codes = [_codes(before[name], after[name]) for name in key]
    # numbered, as a table may have a column of any name
    places = list(range(len(key)))
    sides = []
    for side, rows in enumerate((before, after)):
        coded = pd.DataFrame({place: codes[place][side] for place in places}, index=range(len(rows)))
        coded["occurrence"] = coded.groupby(places).cumcount()
        sides.append(coded.assign(position=np.arange(len(rows))))
    joined = sides[0].merge(sides[1], how="outer", on=[*places, "occurrence"], suffixes=("_before", "_after"))
    old, new = joined["position_before"], joined["position_after"]
    both = old.notna() & new.notna()
    parts = (old[both], new[both], new[old.isna()].sort_values(), old[new.isna()].sort_values())
    return tuple(part.to_numpy(np.int64) for part in parts)


def _codes(before: pd.Series, after: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return numbers that are equal where values are; numbers that differ by rounding only are equal, too."""
    if _is_number(before) and _is_number(after):
        values = np.concatenate([_as_numbers(before), _as_numbers(after)])
        known = np.unique(values[np.isfinite(values)])
        steps = np.diff(known, prepend=known[:1]) > NOISE * np.abs(known)
        codes = np.full(len(values), -1, dtype=np.int64)
        finite = np.isfinite(values)
        codes[finite] = np.cumsum(steps)[np.searchsorted(known, values[finite])]
    else:
        codes = pd.factorize(np.concatenate([_texts(before), _texts(after)]))[0].astype(np.int64)
    return codes[: len(before)], codes[len(before) :]


def _is_number(column: "pd.Series[Any]") -> bool:
    return bool(pd.api.types.is_numeric_dtype(column)) and not pd.api.types.is_bool_dtype(column)


def _texts(column: "pd.Series[Any]") -> NDArray[np.object_]:
    """Return values as texts; empty for those that are not known."""
    found = np.empty(len(column), dtype=object)
    found[:] = [_text(value) for value in column]
    return found


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray | list | tuple):
        return ", ".join(_text(element) for element in value)
    return "" if value is None or value is pd.NA or value != value else str(value)  # noqa: PLR0124 - not a number


def row_words(rows: pd.DataFrame, key: Sequence[str], names: Mapping[str, str]) -> NDArray[np.object_]:
    """Return the keys of rows in words: texts as they are, numbers behind the name of their column."""
    words = [""] * len(rows)
    for column in key:
        shown = [_key_word(column, value, names) for value in rows[column]]
        words = [", ".join(part for part in pair if part) for pair in zip(words, shown, strict=True)]
    found = np.empty(len(rows), dtype=object)
    found[:] = words
    return found


def _key_word(column: str, value: Any, names: Mapping[str, str]) -> str:
    if isinstance(value, bool | np.bool_ | int | float | np.number):
        return f"{column} {value:g}" if value == value else ""  # noqa: PLR0124 - not a number
    text = _text(value)
    return names.get(text, text)


def _moved(before: pd.DataFrame, after: pd.DataFrame, words: NDArray[np.object_]) -> pd.DataFrame:
    """Return the rows that changed, each with its most important value."""
    if not len(before.columns) or not len(before):
        return pd.DataFrame(columns=list(_MOVED))
    error = _standard_error(before)
    fallback = _standard_error(after)
    error = np.where(np.isfinite(error), error, fallback)
    columns = [_compared(str(name), before[name], after[name], error) for name in before]
    sizes = np.column_stack([column.size for column in columns])
    importances = np.column_stack([column.importance for column in columns])
    crossings = np.column_stack([column.crossing for column in columns])
    n_values = (sizes > 0).sum(axis=1)
    crosses = (crossings != 0).any(axis=1)
    best = np.where(crosses, np.where(crossings != 0, importances, -1.0).argmax(axis=1), importances.argmax(axis=1))
    rows = np.flatnonzero(n_values)
    chosen = [columns[column] for column in best[rows]]
    crossing = crossings[rows, best[rows]]
    return pd.DataFrame(
        {
            "row": words[rows],
            "column": [column.name for column in chosen],
            "before": _values(before, chosen, rows),
            "after": _values(after, chosen, rows),
            "size": sizes[rows, best[rows]],
            "unit": [str(column.unit[row]) for column, row in zip(chosen, rows, strict=True)],
            "significance": np.select([crossing > 0, crossing < 0], [BECAME, LOST], ""),
            "importance": importances[rows].max(axis=1),
            "n_values": n_values[rows],
        }
    )


def _values(frame: pd.DataFrame, chosen: "Sequence[_Compared]", rows: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return one value of each row."""
    columns = {name: frame[name].to_numpy(dtype=object) for name in {column.name for column in chosen}}
    found = np.empty(len(rows), dtype=object)
    found[:] = [columns[column.name][row] for column, row in zip(chosen, rows, strict=True)]
    return found


@dataclass(frozen=True)
class _Compared:
    """One column: by how much each row moved (0 for not at all), in which unit, and whether it became (1) or lost (-1) significance."""

    name: str
    size: NDArray[np.float64]
    importance: NDArray[np.float64]
    unit: NDArray[np.object_]
    crossing: NDArray[np.int64]


def _compared(name: str, before: pd.Series, after: pd.Series, error: NDArray[np.float64]) -> _Compared:
    if _is_number(before) and _is_number(after):
        return _numbers(name, _as_numbers(before), _as_numbers(after), error)
    pairs = list(zip(before, after, strict=True))
    size = np.array([_other(old, new) for old, new in pairs], dtype=float)
    numbers = np.array([_are_numbers(old, new) for old, new in pairs], dtype=bool)
    unit = np.where(numbers, RELATIVE, WORDS).astype(object)
    return _Compared(name, size, size, unit, np.zeros(len(pairs), dtype=np.int64))


def _numbers(
    name: str, before: NDArray[np.float64], after: NDArray[np.float64], error: NDArray[np.float64]
) -> _Compared:
    with np.errstate(invalid="ignore", divide="ignore"):
        change, scale = np.abs(after - before), np.fmax(np.abs(before), np.abs(after))
        same = (before == after) | (np.isnan(before) & np.isnan(after))
        in_errors = np.isfinite(error) & (error > 0) & np.isfinite(change) & (name in ESTIMATES)
        same |= np.isfinite(change) & ((change <= NOISE * scale) | (in_errors & (change <= NOISE * error)))
        size = np.where(in_errors, change / error, change / scale)
        # a number that came to be known, or is not any more, cannot be a little change
        size = np.where(same, 0.0, np.where(np.isfinite(change), size, np.inf))
        # what is next to nothing beside the other numbers of its column is not important because it doubled
        usual = np.median(np.abs(before[np.isfinite(before)])) if np.isfinite(before).any() else 0.0
        small = ~in_errors & np.isfinite(change) & ~same
        importance = np.where(small, change / np.fmax(scale, usual), size)
        crossing = np.zeros(len(before), dtype=np.int64)
        if P_VALUE.fullmatch(name):
            known = np.isfinite(before) & np.isfinite(after) & ~same
            crossing[known] = (before[known] >= SIGNIFICANT).astype(int) - (after[known] >= SIGNIFICANT)
    unit = np.where(in_errors, IN_ERRORS, RELATIVE).astype(object)
    return _Compared(name, size, importance, unit, crossing)


def _are_numbers(before: Any, after: Any) -> bool:
    """Whether both values are lists of as many numbers."""
    pair = (before, after)
    return all(isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.number) for value in pair) and len(
        before
    ) == len(after)


def _other(before: Any, after: Any) -> float:
    """Return by how much texts, truths or lists differ: all or nothing, but lists of numbers by their mean square over its root."""
    if not _are_numbers(before, after):
        return float(_text(before) != _text(after))
    if np.allclose(before, after, rtol=NOISE, atol=0.0, equal_nan=True):
        return 0.0
    known = np.isfinite(before) & np.isfinite(after)
    scale = np.sqrt(np.mean(np.fmax(before[known] ** 2, after[known] ** 2))) if known.any() else 0.0
    if scale == 0.0 or (np.isfinite(before) != np.isfinite(after)).any():
        return 1.0
    return float(np.sqrt(np.mean((after[known] - before[known]) ** 2)) / scale)


def _standard_error(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the standard error of the estimate of each row, as far as the table has one; not a number where it has none."""
    for name in STANDARD_ERRORS:
        if name in rows:
            return _as_numbers(rows[name])
    for low, high, n_errors in INTERVALS:
        if low in rows and high in rows:
            return (_as_numbers(rows[high]) - _as_numbers(rows[low])) / (2 * n_errors)
    return np.full(len(rows), np.nan)


def _as_numbers(column: "pd.Series[Any]") -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.to_numpy(float, na_value=np.nan)
    return values
