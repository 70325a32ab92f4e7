"""Similarities of response vectors: worked numbers, and plain loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.analyses.similarity import cosine_similarity, pair_table, target_means

ROWS = pd.DataFrame([[1, 2], [2, 4], [-2, 1], [np.nan, 1], [1, 0.0]], index=list("abcde"))


def test_cosines_of_five_rows():
    found = cosine_similarity(ROWS)
    assert found.index.tolist() == found.columns.tolist() == list("abce")
    expected = {"ab": 1, "ac": 0, "bc": 0, "ae": 0.447214, "be": 0.447214, "ce": -0.894427, "aa": 1}
    for (first, second), value in expected.items():
        assert found.loc[first, second] == pytest.approx(value, abs=5e-7)
    found = target_means(cosine_similarity(ROWS), ["X", "X", "Y", "X"])
    np.testing.assert_allclose(found, [[0.631476, -0.298142], [-0.298142, np.nan]], atol=5e-7)
    found = target_means(cosine_similarity(ROWS), ["X", "X", "Y", "X"], ["s1", "s2", "s1", "s1"])
    np.testing.assert_allclose(found, [[0.723607, 0], [0, np.nan]], atol=5e-7)


def _random_rows(random, n):
    values = random.normal(size=(n, 3))
    values[random.random(n) < 0.15] = 0
    values[random.random(values.shape) < 0.05] = np.nan
    return pd.DataFrame(values)


def _cosine(first, second):
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    return first @ second / lengths if lengths else 0.0


@given(st.integers(0, 2**20), st.integers(0, 12), st.booleans())
@settings(deadline=None, max_examples=80)
def test_all_of_it_is_that_of_loops(seed, n, by_subject):
    random = np.random.default_rng(seed)
    matrix = _random_rows(random, n)
    similarity = cosine_similarity(matrix)
    rows = matrix.dropna().to_numpy()
    n = len(rows)
    expected = np.array([[_cosine(a, b) for b in rows] for a in rows]).reshape(n, n)
    np.testing.assert_allclose(similarity, expected, atol=1e-12)

    targets, subjects = random.choice(list("XYZ"), n), random.choice(["s", "t", "u"], n)
    pairs = pair_table(similarity, targets)
    loop = [(i, j) for i in range(n) for j in range(i + 1, n)]
    assert pairs["group1"].tolist() == [targets[i] for i, _ in loop]
    assert pairs["group2"].tolist() == [targets[j] for _, j in loop]
    np.testing.assert_allclose(pairs["similarity"], [expected[pair] for pair in loop], atol=1e-12)
    assert pairs["comparison"].tolist() == ["within" if targets[i] == targets[j] else "between" for i, j in loop]

    means = target_means(similarity, targets, subjects if by_subject else None)
    assert means.index.tolist() == means.columns.tolist() == sorted(set(targets))
    for one in means.index:
        for other in means.columns:
            values = [
                expected[i, j]
                for i, j in loop
                if {targets[i], targets[j]} == {one, other} and not (by_subject and subjects[i] == subjects[j])
            ]
            assert means.loc[one, other] == pytest.approx(np.mean(values) if values else np.nan, nan_ok=True, abs=1e-12)


def test_missing_similarities_do_not_count():
    similarity = pd.DataFrame([[1, 0.2, np.nan], [0.2, 1, 0.4], [np.nan, 0.4, 1]])
    assert target_means(similarity, ["X"] * 3).loc["X", "X"] == pytest.approx(0.3)
