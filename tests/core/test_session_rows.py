"""Rows of tables put together from pieces are what a frame of all of them is."""

from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.cohort.session_rows import RowStack
from iblnm_core.table_schema import Column, TableSchema

COLUMNS = (
    Column("eid", "text", "session"),
    Column("event", "text", "event", nullable=True),
    Column("count", "integer", "how many", nullable=True),
    Column("size", "number", "how large", nullable=True),
    Column("known", "truth", "whether", nullable=True),
    Column("values", "numbers", "all", nullable=True),
)
SCHEMA = TableSchema("pieces", PurePosixPath("pieces.pqt"), "Pieces.", ("eid",), COLUMNS)
VALUES = {
    "eid": st.sampled_from("abc"),
    "event": st.one_of(st.none(), st.sampled_from(["x", "y"])),
    "count": st.one_of(st.none(), st.integers(-5, 5)),
    "size": st.one_of(st.none(), st.floats(-5, 5)),
    "known": st.one_of(st.none(), st.booleans()),
    "values": st.lists(st.floats(-5, 5), min_size=2, max_size=2),
}


def in_order(names):
    return sorted(names)


def _at(values, place):
    return values[place] if isinstance(values, list | np.ndarray) else values


@st.composite
def pieces(draw):
    """Columns of some rows, each a list, an array where that can be, one value for all, or absent."""
    n_rows = draw(st.integers(0, 3))
    columns = {"eid": draw(st.lists(VALUES["eid"], min_size=n_rows, max_size=n_rows))}
    for name in ("event", "count", "size", "known"):
        form = draw(st.sampled_from(["list", "array", "one", "absent"]))
        values = draw(st.lists(VALUES[name], min_size=n_rows, max_size=n_rows))
        if form == "one":
            columns[name] = draw(VALUES[name])
        elif form == "array" and None not in values and name != "event":
            columns[name] = np.array(values, {"count": np.int64, "size": np.float64, "known": np.bool_}[name])
        elif form != "absent":
            columns[name] = values
    columns["values"] = draw(st.lists(VALUES["values"], min_size=n_rows, max_size=n_rows))
    return columns


@settings(deadline=None, max_examples=100)
@given(st.lists(pieces(), max_size=4))
def test_all_rows_come_in_their_order_with_the_columns_of_the_schema(found):
    stack = RowStack(SCHEMA)
    for columns in found:
        stack.add(columns)
    expected = [
        {name: _at(columns.get(name), place) for name in SCHEMA.column_names}
        for columns in found
        for place in range(len(columns["eid"]))
    ]
    rows = stack.frame(in_order)
    assert list(rows.columns) == SCHEMA.column_names
    assert len(rows) == len(expected)
    for row, wanted in zip(rows.to_dict("records"), expected, strict=True):
        for name, value in wanted.items():
            if value is None:
                assert row[name] is None or pd.isna(row[name])
            else:
                assert row[name] == value


def test_lists_of_one_length_are_no_matrix_and_arrays_of_arrays_are_lists():
    stack = RowStack(SCHEMA)
    stack.add({"eid": ["a", "b"], "values": np.arange(6.0).reshape(2, 3)})
    stack.add({"eid": "c", "values": [[1.0, 2.0, 3.0]]})
    rows = stack.frame(in_order)
    assert [list(values) for values in rows["values"]] == [[0, 1, 2], [3, 4, 5], [1, 2, 3]]
    assert rows["eid"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(("kind", "first", "second"), [("count", 1, 2), ("known", True, False)])
def test_whole_numbers_and_truths_keep_their_type_as_long_as_all_are_known(kind, first, second):
    stack = RowStack(SCHEMA)
    stack.add({"eid": "a", kind: first})
    stack.add({"eid": ["b"], kind: np.array([second], object)})
    assert stack.frame(in_order)[kind].dtype == {"count": np.int64, "known": np.bool_}[kind]
    stack.add({"eid": "c"})
    assert stack.frame(in_order)[kind].isna().tolist() == [False, False, True]


def test_features_are_those_that_some_row_has_a_value_of():
    feature = Column("feature", "number", "size", nullable=True)
    schema = TableSchema("vectors", PurePosixPath("vectors.pqt"), "Vectors.", ("eid",), COLUMNS[:1], features=feature)
    stack = RowStack(schema)
    stack.add({"eid": "a", "y": 1.0, "empty": np.nan})
    stack.add({"eid": "b", "x": 2.0})
    rows = stack.frame(in_order)
    assert list(rows.columns) == ["eid", "x", "y"]
    assert rows.fillna(0.0).to_numpy().tolist() == [["a", 0.0, 1.0], ["b", 2.0, 0.0]]
