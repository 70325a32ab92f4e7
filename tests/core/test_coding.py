"""Codings of trial variables, outcome rows, and false discovery rates."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from iblnm_core.analyses.coding import (
    choice_side,
    code_contrast,
    deviation_reward,
    deviation_side,
    relative_contrast,
    stimulus_side,
)
from iblnm_core.analyses.outcomes import Outcome, Status, false_discovery_rate, outcome_table
from iblnm_core.errors import UnitError, UnknownOption

LEVELS = (0.0, 6.25, 12.5, 25.0, 100.0)


@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        ("log", np.log([1, 7.25, 13.5, 26, 101])),
        ("linear", [0, 6.25, 12.5, 25, 100]),
        ("rank", [0, 1, 2, 3, 4]),
        ("log2", [0, np.log2(6.25), np.log2(12.5), np.log2(25), np.log2(100)]),
    ],
)
def test_codings(coding, expected):
    np.testing.assert_allclose(code_contrast(LEVELS, coding, LEVELS), expected)
    # ranks count among the task's levels, whatever the data have
    np.testing.assert_allclose(code_contrast(LEVELS[2:], coding, LEVELS), expected[2:])


def test_what_is_no_coding_and_what_has_another_unit_is_refused():
    with pytest.raises(UnknownOption, match="expected one of log, linear, rank, log2"):
        code_contrast([0, 100], "cubic", LEVELS)
    with pytest.raises(UnitError, match=r"0\.25 is a fraction"):
        code_contrast([0, 0.25, 1], "log2", LEVELS)
    with pytest.raises(ValueError, match="50 is none of the levels"):
        code_contrast([0, 50], "rank", LEVELS)


def test_sides_are_those_seen_from_the_fibre():
    stimuli = pd.Series(["right", "left", "right", "left", "left", "right"])
    signed = pd.Series([100, -100, 6.25, -6.25, -0.0, 0.0])
    left = pd.Series(["l"] * 6)
    assert stimulus_side(stimuli, left).tolist() == ["contra", "ipsi", "contra", "ipsi", "ipsi", "contra"]
    assert stimulus_side(stimuli, pd.Series(["r"] * 6)).tolist() == [
        "ipsi",
        "contra",
        "ipsi",
        "contra",
        "contra",
        "ipsi",
    ]
    assert relative_contrast(signed, left).tolist() == signed.tolist()
    assert relative_contrast(signed, pd.Series(["r"] * 6)).tolist() == (-signed).tolist()
    choices = pd.Series([-1, 1, 1, 1, 0, -1.0])
    assert choice_side(choices, left).tolist() == ["contra", "ipsi", "ipsi", "ipsi", None, "contra"]


@pytest.mark.parametrize("hemisphere", ["", "midline", None])
def test_an_unknown_hemisphere_has_no_sides(hemisphere):
    unknown, stimuli = pd.Series([hemisphere] * 2, dtype=object), pd.Series(["left", "right"])
    assert stimulus_side(stimuli, unknown).isna().all()
    assert choice_side(pd.Series([1.0, -1.0]), unknown).isna().all()
    assert relative_contrast(pd.Series([1.0, 2]), unknown).isna().all()
    assert np.isnan(deviation_side(stimulus_side(stimuli, unknown))).all()


def test_deviation_codes():
    assert deviation_side(pd.Series(["contra", "ipsi"])).tolist() == [0.5, -0.5]
    assert deviation_reward(pd.Series([1, -1, 0, np.nan])).tolist() == [0.5, -0.5, -0.5, -0.5]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_false_discovery_rates_are_those_of_statsmodels(p_values):
    expected = multipletests(p_values, method="fdr_bh")[1]
    np.testing.assert_allclose(false_discovery_rate(p_values), expected, atol=1e-12)
    with_unknown = false_discovery_rate([np.nan, *p_values])
    assert np.isnan(with_unknown[0])
    np.testing.assert_allclose(with_unknown[1:], expected, atol=1e-12)


def test_outcomes_have_their_columns_also_when_there_are_none():
    table = outcome_table([Outcome("task_lmm", "VTA-DA", "stimOn", Status.TOO_FEW_SUBJECTS, 10, 1)])
    assert table["status"].tolist() == ["too_few_subjects"]
    assert table.dtypes.equals(outcome_table([]).dtypes)
