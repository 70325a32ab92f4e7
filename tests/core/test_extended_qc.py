"""Extended quality control: how keys are named, what values mean, and that no value breaks another."""

import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.cohort.extended_qc import extended_qc_table, qc_key, read_extended_qc, wide_extended_qc
from iblnm_core.schemas import SESSIONS_QC
from iblnm_core.sources.values import json_or_none
from iblnm_core.storage.tables import make_table, read_table, write_table

EID = "0a1b2c3d-0000-4000-8000-000000000001"


def table_of(content, qc=None, eid=EID):
    return extended_qc_table(pd.DataFrame([{"eid": eid, "qc": qc, "extended_qc": json_or_none(content)}]))


def entries_of(content, qc=None):
    """Outcome, number and further values by key."""
    rows = table_of(content, qc).to_dict("records")
    return {
        row["key"]: (row["outcome"], None if math.isnan(row["value"]) else row["value"], row["values"]) for row in rows
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("task", "qc_task"),
        ("_videoLeft_timestamps", "qc_videoLeft_timestamps"),
        ("dlcLeft_qc", "qc_dlcLeft"),
        # of these a set of letters was stripped
        ("task_c_qc", "qc_task_c"),
        ("iblqc_qc", "qc_iblqc"),
        ("abc_c_qc", "qc_abc_c"),
        ("camera", "qc_camera"),
        ("q_qc", "qc_q"),
    ],
)
def test_names_of_keys(name, expected):
    assert qc_key(name) == expected


def test_what_values_mean():
    found = entries_of(
        {
            "task": 10,
            "behavior": 0,
            "videoLeft": 40,
            "wheel": 30,
            "sound": 50,
            "_task_x": 0.98,
            "_task_y": 1,
            "z": [30, 2, 5],
            "w": [None, 1],
            "_videoLeft_pin_state": [True, 3, 0],
            "_videoLeft_timestamps": False,
            "n": None,
            "named": "WARNING",
            "version": "3.1",
        },
        qc="CRITICAL",
    )
    assert found == {
        "qc_session": ("CRITICAL", None, []),
        "qc_task": ("PASS", None, []),
        "qc_behavior": ("NOT_SET", None, []),
        "qc_videoLeft": ("FAIL", None, []),
        "qc_wheel": ("WARNING", None, []),
        "qc_sound": ("CRITICAL", None, []),
        "qc_task_x": (None, 0.98, []),
        "qc_task_y": (None, 1.0, []),
        "qc_z": ("WARNING", None, ["2", "5"]),
        "qc_w": (None, None, ["1"]),
        "qc_videoLeft_pin_state": ("PASS", None, ["3", "0"]),
        "qc_videoLeft_timestamps": ("FAIL", None, []),
        "qc_n": (None, None, []),
        "qc_named": ("WARNING", None, []),
        "qc_version": (None, None, ['"3.1"']),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": []}, "qc_a: an empty list"),
        ({"a": {"b": 1}}, "qc_a: a mapping"),
        ({"a": [[1], 2]}, "qc_a: a list that begins with list"),
        ({"a": [{"b": 1}]}, "qc_a: a list that begins with dict"),
        ({"a": 10**400}, "qc_a: a number without bounds"),
        ({"a": (1 << 53) + 1}, "qc_a: a number without bounds"),
        ({"a": -math.inf}, "qc_a: a number without bounds"),
    ],
)
def test_what_means_nothing_is_named_and_costs_only_itself(content, said):
    assert read_extended_qc("PASS", json_or_none(content)).invalid == (said,)
    key = said.partition(":")[0]
    assert entries_of(content, qc="PASS")[key] == (None, None, [])
    assert entries_of({**content, "other": 10}, qc="PASS")["qc_other"] == ("PASS", None, [])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": 10, "_a": 40}, "qc_a: named twice"),
        ({"_a_qc": [], "a": 10, "a_qc": {}}, "qc_a: named twice"),
        ({"session": 40}, "qc_session: named twice"),
        ([1, 2], "extended_qc: list instead of a mapping"),
        ("text", "extended_qc: str instead of a mapping"),
    ],
)
def test_what_is_said_twice_costs_nothing_that_is_good(content, said):
    assert said in read_extended_qc("PASS", json_or_none(content)).invalid
    assert {outcome for outcome, _, _ in entries_of(content, qc="PASS").values()} == {"PASS"}


def test_keys_that_cannot_be_stored_are_spelled_out():
    assert qc_key("a\x00b\ud800") == r"qc_a\x00b\ud800"


@pytest.mark.parametrize("content", [None, {}, ""])
def test_a_session_without_extended_quality_control_has_its_own_outcome_only(content):
    assert entries_of(content, qc="PASS") == {"qc_session": ("PASS", None, [])}
    assert entries_of(content) == {}
    assert read_extended_qc(None, json_or_none(content)).invalid == ()


ANY_TEXT = st.text(st.characters())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(ANY_TEXT, JSON, max_size=6), st.none() | st.sampled_from(["PASS", "odd"]))
def test_no_content_breaks_the_table(content, qc):
    table = table_of(content, qc)
    assert not table["key"].duplicated().any()
    make_table(SESSIONS_QC, table)
    wide = wide_extended_qc(table)
    assert len(wide) == (len(table) > 0)
    for said in read_extended_qc(qc, json_or_none(content)).invalid:
        said.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_exactly(number):
    assert entries_of({"x": number})["qc_x"] == (None, number, [])


def test_the_wide_view_mixes_no_outcomes_with_numbers(tmp_path):
    first = table_of({"x": 0.98, "pin": [True, 3, 0]}, "PASS", EID)
    second = table_of({"x": True}, None, EID.replace("1", "2"))
    write_table(tmp_path, make_table(SESSIONS_QC, pd.concat([first, second])))
    wide = wide_extended_qc(read_table(tmp_path, SESSIONS_QC))
    assert wide.columns.tolist() == ["pin_values", "qc_pin", "qc_session", "qc_x"]
    assert wide["qc_x"].tolist() == [0.98, "PASS"]
    assert wide["pin_values"].iloc[0] == [3, 0]
    assert wide["pin_values"].isna().tolist() == [False, True]
    assert wide["qc_session"].isna().tolist() == [False, True]


def test_no_column_of_the_wide_view_has_two_meanings():
    wide = wide_extended_qc(table_of({"qc_a": [10, 1], "a_values": 40}))
    assert wide.loc[EID].to_dict() == {"qc_qc_a": "PASS", "qc_a_values": "FAIL", "further qc_a_values": [1]}


def test_no_session_is_an_empty_table():
    index = pd.DataFrame(columns=["eid", "qc", "extended_qc"])
    table = make_table(SESSIONS_QC, extended_qc_table(index))
    assert table.rows.num_rows == 0
    assert wide_extended_qc(extended_qc_table(index)).empty


def test_json_is_the_same_for_the_same_content():
    assert json_or_none({"b": 1, "a": [1]}) == json_or_none(json.loads('{"a": [1], "b": 1}'))
