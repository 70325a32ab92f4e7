"""Extended quality control: how keys are named, what values mean, and that no value breaks another."""

import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.cohort.extended_qc import extended_qc_table, invalid_entries, qc_key, wide_extended_qc
from iblnm_core.schemas import SESSIONS_QC
from iblnm_core.sources.base import json_or_none
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
        ({"a": 10, "_a": 40}, "qc_a: named twice"),
        ({"session": 10}, "qc_session: named twice"),
        ([1, 2], "extended_qc: list instead of a mapping"),
        ("text", "extended_qc: str instead of a mapping"),
    ],
)
def test_what_means_nothing_is_named_and_costs_only_itself(content, said):
    assert invalid_entries("PASS", json_or_none(content)) == [said]
    key = said.partition(":")[0]
    assert entries_of(content, qc="PASS")[key] == (None, None, [])
    if isinstance(content, dict):
        assert entries_of({**content, "other": 10}, qc="PASS")["qc_other"] == ("PASS", None, [])


@pytest.mark.parametrize("content", [None, {}, ""])
def test_a_session_without_extended_quality_control_has_its_own_outcome_only(content):
    assert entries_of(content, qc="PASS") == {"qc_session": ("PASS", None, [])}
    assert entries_of(content) == {}
    assert invalid_entries(None, json_or_none(content)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), JSON, max_size=6), st.none() | st.sampled_from(["PASS", "odd"]))
def test_no_content_breaks_the_table(content, qc):
    table = table_of(content, qc)
    assert not table["key"].duplicated().any()
    make_table(SESSIONS_QC, table)
    wide = wide_extended_qc(table)
    assert len(wide) == (len(table) > 0)
    assert len(invalid_entries(qc, json_or_none(content))) <= len(table)


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


def test_no_session_is_an_empty_table():
    index = pd.DataFrame(columns=["eid", "qc", "extended_qc"])
    table = make_table(SESSIONS_QC, extended_qc_table(index))
    assert table.rows.num_rows == 0
    assert wide_extended_qc(extended_qc_table(index)).empty


def test_json_is_the_same_for_the_same_content():
    assert json_or_none({"b": 1, "a": [1]}) == json_or_none(json.loads('{"a": [1], "b": 1}'))
