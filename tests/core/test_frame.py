"""The frame that all analyses use: its filters, sides, keys, and its size."""

import dataclasses
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.analyses.frame import modelling_frame, usable_trials
from iblnm_core.cohort_parameters import ModellingParameters
from iblnm_core.schemas import MODELLING_FRAME, RECORDINGS, RESPONSES, TRIAL_REGRESSORS
from iblnm_core.storage import tables
from iblnm_core.storage.tables import SchemaViolation, make_table
from iblnm_core.table_schema import Column, TableSchema

DEFAULT = ModellingParameters()


def regressors_of(eid, n=6):
    """Trials that alternate between the sides, all usable."""
    on_left = np.arange(n) % 2 == 1
    contrast = np.resize([100, 25, 6.25], n)
    rows = pd.DataFrame(
        {
            "eid": eid,
            "trial": np.arange(n),
            "signed_contrast": np.where(on_left, -contrast, contrast),
            "contrast": contrast,
            "stim_side": np.where(on_left, "left", "right"),
            "choice": np.where(on_left, 1.0, -1.0),
            "feedbackType": 1.0,
            "probabilityLeft": 0.5,
            "reaction_time": 0.2,
            "movement_time": 0.1,
            "response_time": 0.3,
            "peak_velocity": 3.0,
        }
    )
    return rows[TRIAL_REGRESSORS.column_names]


def responses_of(eid, fibers=(0, 1), n=6):
    return pd.DataFrame(
        [
            {"eid": eid, "fiber_idx": fiber, "event": event, "trial": trial, "response_early": fiber + trial / 10}
            for fiber in fibers
            for event in ("feedback_times", "stimOn_times")
            for trial in range(n)
        ]
    )


def recordings_of(*keys):
    """Recordings by session, fibre and hemisphere."""
    rows = [
        {"eid": eid, "fiber_idx": fiber, "hemisphere": side, "subject": "A", "session_type": "biased"}
        | {
            "brain_region": "VTA",
            "target_NM": "VTA-DA",
        }
        for eid, fiber, side in keys
    ]
    return pd.DataFrame(rows).reindex(columns=RECORDINGS.column_names)


def frame_of(regressors=None, recordings=None, responses=None, parameters=DEFAULT):
    return modelling_frame(
        responses_of("s1") if responses is None else responses,
        regressors_of("s1") if regressors is None else regressors,
        recordings_of(("s1", 0, "l"), ("s1", 1, "r")) if recordings is None else recordings,
        parameters,
    )


def test_sides_are_those_of_each_fibre():
    frame = frame_of()
    assert len(frame) == 2 * 2 * 6
    stimulus = frame[(frame["event"] == "stimOn") & (frame["trial"] == 0)].set_index("fiber_idx")
    assert stimulus["side"].to_dict() == {0: "contra", 1: "ipsi"}
    assert stimulus["choice_side"].to_dict() == {0: "contra", 1: "ipsi"}
    assert stimulus["relative_contrast"].to_dict() == {0: 100, 1: -100}
    assert stimulus["log_reaction_time"].to_dict() == pytest.approx({0: np.log10(0.2), 1: np.log10(0.2)})
    make_table(MODELLING_FRAME, frame)


@pytest.mark.parametrize(
    ("column", "value", "used"),
    [
        ("choice", 0.0, False),
        ("choice", np.nan, False),
        ("response_time", 0.05, False),
        ("response_time", 0.0500001, True),
        ("response_time", np.nan, False),
        ("probabilityLeft", 0.2, False),
        ("probabilityLeft", np.nan, False),
        ("feedbackType", -1.0, True),
        ("reaction_time", np.nan, True),
    ],
)
def test_filters_of_trials(column, value, used):
    regressors = regressors_of("s1")
    regressors.loc[2, column] = value
    assert usable_trials(regressors, DEFAULT).tolist() == [True, True, used, True, True, True]
    assert (2 in set(frame_of(regressors)["trial"])) == used


def test_all_blocks_on_request():
    regressors = regressors_of("s1").assign(probabilityLeft=0.2)
    assert frame_of(regressors).empty
    make_table(MODELLING_FRAME, frame_of(regressors))
    everything = dataclasses.replace(DEFAULT, blocks="all")
    assert len(frame_of(regressors, parameters=everything)) == 24


def test_recordings_are_chosen_by_fibre_not_by_session():
    frame = frame_of(recordings=recordings_of(("s1", 1, "r"), ("s2", 0, "l")))
    assert set(zip(frame["eid"], frame["fiber_idx"], strict=True)) == {("s1", 1)}


@pytest.mark.parametrize(("policy", "sides"), [("left_out", {None}), ("left", {"contra", "ipsi"})])
def test_an_unknown_hemisphere_has_no_sides_unless_it_counts_as_left(policy, sides):
    parameters = dataclasses.replace(DEFAULT, unknown_hemisphere=policy)
    frame = frame_of(recordings=recordings_of(("s1", 0, "")), parameters=parameters)
    assert set(frame["side"]) == sides
    assert set(frame["hemisphere"]) == {""}
    make_table(MODELLING_FRAME, frame)


def test_responses_without_size_and_trials_without_regressors_are_left_out():
    responses = responses_of("s1", n=8)
    responses.loc[responses["trial"] == 1, "response_early"] = np.nan
    assert set(frame_of(responses=responses)["trial"]) == {0, 2, 3, 4, 5}


def test_timings_that_are_not_positive_have_no_logarithm():
    regressors = regressors_of("s1")
    regressors.loc[[0, 1], "reaction_time"] = [0.0, -0.1]
    frame = frame_of(regressors)
    assert frame.loc[frame["trial"] < 2, "log_reaction_time"].isna().all()
    assert frame.loc[frame["trial"] >= 2, "log_reaction_time"].notna().all()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from("xy")), max_size=12))
def test_tables_are_in_the_order_of_their_key_whatever_order_they_came_in(rows):
    rows = list(dict.fromkeys(rows))
    frame = pd.DataFrame(rows, columns=["one", "two", "three"])
    columns = (Column("one", "text", "?"), Column("two", "integer", "?"), Column("three", "text", "?"))
    schema = TableSchema("t", PurePosixPath("t.pqt"), "?", ("one", "two", "three"), columns)
    expected = sorted(rows)
    for order in (frame, frame.sort_values(["one", "two", "three"]), frame.iloc[::-1]):
        stored = make_table(schema, order).rows.to_pandas()
        assert list(stored.itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize("text", [1, 1.5, b"\xff", ["a"], {"a": 1}])
def test_what_is_no_text_is_refused_in_a_column_of_texts(text):
    schema = TableSchema("t", PurePosixPath("t.pqt"), "?", ("one",), (Column("one", "text", "?"),))
    with pytest.raises(SchemaViolation, match="table t"):
        make_table(schema, pd.DataFrame({"one": pd.Series(["a", text], dtype=object)}))
    with pytest.raises(SchemaViolation, match="table t"):
        make_table(schema, pd.DataFrame({"one": pd.Series(["a", None], dtype=object)}))


@pytest.mark.parametrize("empty", ["responses", "regressors", "recordings"])
def test_without_one_of_the_tables_there_are_no_rows(empty):
    tables = {
        "responses": responses_of("s1"),
        "regressors": pd.concat([regressors_of("s1"), regressors_of("s2")], ignore_index=True),
        "recordings": recordings_of(("s1", 0, "l"), ("s1", 1, "r"), ("s2", 0, "l")),
    }
    frame = modelling_frame(*{**tables, empty: tables[empty].iloc[:0]}.values(), DEFAULT)
    assert frame.empty
    make_table(MODELLING_FRAME, frame)


def test_tables_as_they_are_stored_when_nothing_was_computed_yet():
    empty = [schema.arrow().empty_table().to_pandas() for schema in (RESPONSES, TRIAL_REGRESSORS, RECORDINGS)]
    assert make_table(MODELLING_FRAME, modelling_frame(*empty, DEFAULT)).rows.num_rows == 0


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([0.5, 1.0, None])), max_size=8))
def test_a_key_occurs_once_also_where_parts_of_it_are_missing(rows):
    columns = (Column("one", "text", "?", nullable=True), Column("two", "number", "?", nullable=True))
    schema = TableSchema("t", PurePosixPath("t.pqt"), "?", ("one", "two"), columns)
    frame = pd.DataFrame(rows, columns=["one", "two"]).astype({"one": object, "two": float})
    distinct = frame.drop_duplicates()
    stored = make_table(schema, distinct).rows.to_pandas()
    expected = distinct.sort_values(["one", "two"], ignore_index=True)
    pd.testing.assert_frame_equal(stored.astype({"one": object}), expected.astype({"one": object}), check_dtype=False)
    if len(distinct) < len(frame):
        with pytest.raises(SchemaViolation, match="too many for their key"):
            make_table(schema, frame)


def test_tables_of_many_rows_are_checked_in_stretches_and_hash_the_same(monkeypatch):
    columns = (
        Column("one", "integer", "?"),
        Column("text", "text", "?", nullable=True),
        Column("list", "numbers", "?", nullable=True),
        Column("truth", "truth", "?"),
    )
    schema = TableSchema("t", PurePosixPath("t.pqt"), "?", ("one",), columns)
    rows = {
        "one": range(7),
        "text": ["é", None, "", "ab", "a", "b", "ba"],
        "list": [[1.0, np.nan], None, [], [2.0], [1.0], [0.0], [3.0]],
        "truth": [True, False] * 3 + [True],
    }
    frame = pd.DataFrame(rows)
    whole = make_table(schema, frame)
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 2)
    parts = make_table(schema, frame)
    assert parts.rows.column("one").num_chunks == 4
    assert parts.content_hash == whole.content_hash
    for name, value in (("text", "c"), ("list", [4.0]), ("truth", True), ("one", 9)):
        changed = frame.assign(**{name: [*frame[name][:5], value, *frame[name][6:]]})
        assert make_table(schema, changed).content_hash != whole.content_hash, name
    # the same characters, cut elsewhere
    moved = frame.assign(text=["é", None, "a", "b", "a", "b", "ba"])
    assert make_table(schema, moved).content_hash != whole.content_hash
    with pytest.raises(SchemaViolation, match="table t"):
        make_table(schema, frame.assign(one=[0, 1, 2, 3, 4, 5, "6"]))


def test_features_are_columns_that_a_schema_does_not_name():
    column = Column("C", "number", "?", nullable=True)
    schema = TableSchema("t", PurePosixPath("t.pqt"), "?", ("one",), (Column("one", "text", "?"),), features=column)
    table = make_table(schema, pd.DataFrame({"c2": [1.0], "one": ["a"], "c1": [None]}))
    assert table.rows.column_names == ["one", "c2", "c1"]
    with pytest.raises(SchemaViolation, match="table t"):
        make_table(schema, pd.DataFrame({"one": ["a"], "c": ["text"]}))
