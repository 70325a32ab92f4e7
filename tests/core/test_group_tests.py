"""Tests between groups: known values, adjusted p-values, and groups that cannot be compared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kruskal, mannwhitneyu
from statsmodels.stats.multitest import multipletests

from iblnm_core.analyses.group_tests import TEST_COLUMNS, compare_groups, holm
from iblnm_core.analyses.outcomes import Status

LOW, MIDDLE, HIGH = range(1, 6), range(4, 9), range(9, 14)
p_values = st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), max_size=12)
samples = st.dictionaries(st.sampled_from("ABCD"), st.lists(st.integers(0, 5), max_size=6))


def test_three_groups_worked_by_hand():
    status, tests = compare_groups({"A": LOW, "B": MIDDLE, "C": HIGH})
    assert status is Status.OK
    assert list(tests.columns) == list(TEST_COLUMNS)
    assert list(tests["test"]) == ["kruskal", *["mannwhitney"] * 3]
    overall, *pairs = tests.to_dict("records")
    assert overall["statistic"] == pytest.approx(11.621505, abs=1e-6)
    assert overall["p_value"] == pytest.approx(0.002995, abs=1e-6)
    assert overall["group_a"] is None
    assert np.isnan(overall["p_holm"])
    assert [(pair["group_a"], pair["group_b"]) for pair in pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert [(pair["n_a"], pair["n_b"], pair["statistic"]) for pair in pairs] == [(5, 5, 2), (5, 5, 0), (5, 5, 0)]
    bonferroni = np.minimum([3 * pair["p_value"] for pair in pairs], 1)
    np.testing.assert_allclose(bonferroni, [0.106737, 0.023810, 0.023810], atol=1e-6)
    # the largest of three is adjusted for itself only, the two equal ones like the smallest
    np.testing.assert_allclose([pair["p_holm"] for pair in pairs], [0.106737 / 3, 0.023810, 0.023810], atol=1e-6)


def test_holm_is_that_of_statsmodels():
    values = np.array([0.04, 0.01, 0.9, 0.02, 0.01, 0.6, 0.0])
    np.testing.assert_allclose(holm(values), multipletests(values, method="holm")[1])


@given(p_values)
def test_holm_by_its_definition(values):
    known = sorted(value for value in values if not np.isnan(value))
    steps = [min(1.0, value * (len(known) - place)) for place, value in enumerate(known)]
    highest = {value: max(steps[: place + 1]) for place, value in enumerate(known)}
    np.testing.assert_allclose(holm(values), [highest.get(value, np.nan) for value in values])


def test_without_tests_nothing_is_adjusted():
    assert holm([]).shape == (0,)


@given(samples, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_values_and_groups_does_not_matter(groups, random):
    status, tests = compare_groups(groups)
    shuffled = {name: random.sample(values, len(values)) for name, values in groups.items()}
    names = random.sample(list(shuffled), len(shuffled))
    other_status, others = compare_groups({name: shuffled[name] for name in names})
    assert status is other_status
    assert len(tests) == len(others)
    found = {frozenset((row.group_a, row.group_b)): (row.p_value, row.p_holm) for row in tests.itertuples()}
    for row in others.itertuples():
        expected = found[frozenset((row.group_a, row.group_b))]
        np.testing.assert_allclose((row.p_value, row.p_holm), expected, rtol=1e-9)


@given(samples)
@settings(deadline=None)
def test_every_cohort_is_tested_or_labelled(groups):
    status, tests = compare_groups(groups)
    filled = {name: values for name, values in groups.items() if values}
    if status is not Status.OK:
        assert tests.empty
        assert len(filled) < 2 or len({value for values in filled.values() for value in values}) == 1
        return
    assert len(tests) == 1 + len(filled) * (len(filled) - 1) // 2
    assert tests["p_value"].between(0, 1).all()
    assert (tests["p_holm"][1:] >= tests["p_value"][1:]).all()
    assert tests["statistic"][0] == pytest.approx(kruskal(*filled.values()).statistic)
    for row in tests[1:].itertuples():
        assert row.p_value == mannwhitneyu(filled[row.group_a], filled[row.group_b]).pvalue


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        ({}, Status.NO_DATA),
        ({"A": [], "B": []}, Status.NO_DATA),
        ({"A": [np.nan], "B": [np.inf]}, Status.MISSING_INPUT),
        ({"A": [1, 2, 3]}, Status.SINGLE_LEVEL),
        ({"A": [1, 2, 3], "B": [np.nan]}, Status.SINGLE_LEVEL),
        ({"A": [2, 2], "B": [2]}, Status.CONSTANT_RESPONSE),
    ],
)
def test_groups_that_cannot_be_compared_have_a_label(groups, status):
    found, tests = compare_groups(groups)
    assert found is status
    assert tests.empty
    assert {name: str(kind) for name, kind in tests.dtypes.items()} == dict(TEST_COLUMNS)


def test_unknown_values_do_not_count():
    _, tests = compare_groups({"A": [*LOW, np.nan], "B": [np.inf, *MIDDLE], "C": [np.nan]})
    assert tests["n_a"].dropna().tolist() == [5]
    assert tests["statistic"].iloc[1] == 2


def test_one_value_per_group_is_a_test_without_power():
    status, tests = compare_groups({"A": [1.0], "B": [2.0]})
    assert status is Status.OK
    assert tests["p_value"].iloc[1] == 1
