"""Components of coefficients: worked numbers, what does not matter, planted components; degenerate matrices have an outcome."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.analyses.components import (
    VARIANTS,
    cohort_weights,
    component_tables,
    independent_components,
    principal_components,
    score_tests,
    standardise,
    subject_means,
)
from iblnm_core.analyses.session_glm import TERMS
from iblnm_core.demo.simulated_cohorts import indexed, simulated_recordings

TARGETS = np.array(["VTA-DA"] * 8 + ["LC-NE"] * 4)
SUBJECTS = list("AAABBCCDEEFF")
_I, _J = np.arange(12)[:, None], np.arange(6)
WORKED = np.sin(0.9 * _I + 1.3 * _J) + 0.3 * np.cos(0.37 * _I * (_J + 1)) + 0.8 * ((_I >= 8) & (_J < 2))


def _pairs(tests):
    return tests[tests["test"] == "mannwhitney"]


def test_principal_components_of_twelve_recordings():
    found = principal_components(WORKED)
    np.testing.assert_allclose(found.variance_ratio, [0.569905, 0.367138, 0.031212], atol=1e-6)
    loadings = [
        [0.504056, 0.378151, -0.364091, -0.436884, 0.070661, 0.523933],
        [0.208935, -0.435313, -0.481080, 0.331114, 0.651683, -0.032919],
        [0.313504, 0.663339, 0.180930, 0.615088, 0.155411, -0.162712],
    ]
    np.testing.assert_allclose(found.loadings, loadings, atol=1e-6)
    np.testing.assert_allclose(found.scores[0], [0.328765, -1.787488, 0.352094], atol=1e-6)


def test_principal_components_with_targets_of_equal_weight():
    weights = cohort_weights(TARGETS)
    np.testing.assert_allclose(weights, [0.75] * 8 + [1.5] * 4)
    found = principal_components(WORKED, weights=weights)
    np.testing.assert_allclose(found.variance_ratio, [0.589544, 0.345911, 0.031302], atol=1e-6)
    first = [0.485631, 0.417019, -0.358079, -0.442913, 0.005194, 0.515596]
    np.testing.assert_allclose(found.loadings[0], first, atol=1e-6)
    np.testing.assert_allclose(weights @ found.scores, 0, atol=1e-12)


def test_independent_components_of_twelve_recordings():
    found = independent_components(WORKED)
    np.testing.assert_allclose(found.variance_ratio, [0.481931, 0.401749, 0.084574], atol=1e-3)
    assert found.variance_ratio.sum() == pytest.approx(principal_components(WORKED).variance_ratio.sum(), abs=1e-6)
    first = np.array([0.886997, 0.195225, -0.923287, -0.513884, 0.550810, 0.804226])
    np.testing.assert_allclose(found.loadings[0], -first, atol=1e-3)
    np.testing.assert_allclose(found.scores.var(axis=0), 1, atol=1e-6)
    assert found.converged
    # sources times mixing columns are what the components keep of the matrix
    kept = principal_components(WORKED)
    np.testing.assert_allclose(found.scores @ found.loadings, kept.scores @ kept.loadings, atol=1e-6)


def test_tests_of_scores_worked_by_hand():
    scores = principal_components(WORKED).scores
    kruskal = [(2.336538, 0.126370), (0.721154, 0.395766), (7.384615, 0.006578)]
    mann_whitney = [(25, 0.153535), (21, 0.460606), (32, 0.004040)]
    for column, of_all, of_pair in zip(scores.T, kruskal, mann_whitney, strict=True):
        tests = score_tests(column, TARGETS)
        np.testing.assert_allclose(tests.loc[0, ["statistic", "p_value"]].astype(float), of_all, atol=1e-6)
        pair = tests.loc[1]
        assert pair[["group_a", "group_b", "n_a", "n_b"]].tolist() == ["LC-NE", "VTA-DA", 4, 8]
        np.testing.assert_allclose(pair[["statistic", "p_value"]].astype(float), of_pair, atol=1e-6)
        assert pair["p_holm"] == pytest.approx(pair["p_value"])


def test_means_of_subjects_worked_by_hand():
    scores = principal_components(WORKED).scores[:, 0]
    means = subject_means(pd.DataFrame({"target_NM": TARGETS, "subject": SUBJECTS, "score": scores}))
    by_subject = means.set_index("subject")
    expected = {"A": 1.284509, "B": -1.185675, "C": -2.595960, "D": -0.080060, "E": 2.381073, "F": -0.486171}
    for subject, mean in expected.items():
        assert by_subject.loc[subject, "mean"] == pytest.approx(mean, abs=1e-6)
    assert by_subject.loc["A", "sem"] == pytest.approx(0.480170, abs=1e-6)
    assert by_subject.loc["D", ["sem", "n_recordings"]].tolist() == [0, 1]
    tests = score_tests(means["mean"], means["target_NM"], "subject")
    np.testing.assert_allclose(tests.loc[0, ["statistic", "p_value"]].astype(float), [0.857143, 0.354539], atol=1e-6)
    np.testing.assert_allclose(tests.loc[1, ["statistic", "p_value"]].astype(float), [6, 0.533333], atol=1e-6)


def test_a_target_with_one_score_is_not_compared():
    tests = score_tests([1.0, 2, 3, 4, 9], ["a", "a", "b", "b", "c"])
    assert tests["group_a"].dropna().tolist() == ["a"]
    assert score_tests([1.0, 2, 3], ["a", "b", "c"]).empty
    assert score_tests([1.0, 1, 1, 1], list("aabb")).empty


@given(st.integers(0, 2**16), st.booleans())
@settings(deadline=None, max_examples=40)
def test_neither_order_nor_scale_nor_sign_of_the_input_matters(seed, weighted):
    random = np.random.default_rng(seed)
    values = random.normal(size=(20, 6)) @ np.diag([3, 2, 1.5, 1, 1, 1]) @ random.normal(size=(6, 6))
    targets = random.choice(list("abc"), 20)
    weights = cohort_weights(targets) if weighted else None
    found = principal_components(values, weights=weights)
    order, scale = random.permutation(20), random.uniform(0.1, 10, 6)
    mixed = principal_components(
        values[order] * scale + random.normal(size=6), weights=None if weights is None else weights[order]
    )
    np.testing.assert_allclose(mixed.loadings, found.loadings, atol=1e-7)
    np.testing.assert_allclose(mixed.scores, found.scores[order], atol=1e-7)
    np.testing.assert_allclose(mixed.variance_ratio, found.variance_ratio, atol=1e-9)
    largest = np.abs(found.loadings).argmax(axis=1)
    assert (found.loadings[range(3), largest] > 0).all()
    np.testing.assert_allclose(found.loadings @ found.loadings.T, np.eye(3), atol=1e-9)
    assert (np.diff(found.variance_ratio) <= 0).all()


def test_equal_weights_are_none():
    weighted, plain = principal_components(WORKED, weights=np.ones(12)), principal_components(WORKED)
    np.testing.assert_allclose(weighted.loadings, plain.loadings, atol=1e-12)
    np.testing.assert_allclose(weighted.variance_ratio, plain.variance_ratio, atol=1e-12)


def test_independent_sources_are_told_apart():
    random = np.random.default_rng(0)
    sources = random.laplace(size=(2000, 2))
    mixing = np.array([[1.0, 0.5, 0, 0.3, 1, 0], [0, 0.5, 1, -0.3, 0.2, 1]])
    found = independent_components(sources @ mixing + 0.01 * random.normal(size=(2000, 6)), 2)
    correlations = np.abs(np.corrcoef(found.scores.T, sources.T)[:2, 2:])
    assert (correlations.max(axis=0) > 0.99).all()


def test_a_column_that_does_not_vary_is_zero():
    values = np.column_stack([WORKED, np.full(12, 0.1)])
    assert not standardise(values)[:, -1].any()
    np.testing.assert_allclose(principal_components(values).loadings[:, -1], 0, atol=1e-15)


def _matrix(n=60, seed=0, shift=0.0):
    keys = simulated_recordings(n)
    random = np.random.default_rng(seed)
    values = random.laplace(size=(n, 6)) * np.arange(1, 7)
    values[:, :3] += random.normal(size=(n, 1)) + shift * keys["target_NM"].eq("VTA-DA").to_numpy()[:, None]
    return indexed(values, keys, TERMS[1:])


def test_tables_of_two_events():
    found = component_tables({"stimOn": _matrix(), "feedback": _matrix(seed=1, shift=4)})
    assert len(found.components) == 2 * len(VARIANTS) * 3 * 6
    assert len(found.scores) == 2 * len(VARIANTS) * 3 * 60
    assert found.outcomes["status"].eq("ok").all()
    assert not found.tests.duplicated(
        ["event", "method", "weighting", "component", "level", "group_a", "group_b"]
    ).any()
    first = found.tests[found.tests["component"].eq(1) & found.tests["method"].eq("pca")]
    by_event = first[first["test"].eq("kruskal") & first["level"].eq("subject")].groupby("event")["p_value"].max()
    assert by_event["feedback"] < 0.01 < by_event["stimOn"]
    pairs = _pairs(first)
    assert len(pairs) == 2 * 2 * 2 * 3
    assert (pairs["p_holm"] >= pairs["p_value"]).all()
    assert set(found.subjects["n_recordings"]) == {3}
    again = component_tables({"feedback": _matrix(seed=1, shift=4).sample(frac=1, random_state=0).sort_index()})
    ratios = [t.components.query("event == 'feedback'")["variance_ratio"].to_numpy() for t in (found, again)]
    np.testing.assert_allclose(*ratios, atol=1e-9)


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_few_recordings_give_fewer_components_and_an_outcome(rows):
    found = component_tables({"stimOn": _matrix()[:rows]})
    full = component_tables({"stimOn": _matrix()})
    status = {0: "no_data", 1: "degenerate"}.get(rows, "ok")
    pca = found.outcomes[found.outcomes["variable"] == "pca, none"]
    assert pca["status"].item() == status
    assert found.components.query("method == 'pca'")["component"].nunique() == max(rows - 1, 0)
    for name in ("components", "scores", "subjects", "tests"):
        assert getattr(found, name).dtypes.to_dict() == getattr(full, name).dtypes.to_dict()
        assert np.isfinite(getattr(found, name).select_dtypes("float64").fillna(0).to_numpy()).all()


def test_recordings_that_do_not_differ_have_no_components():
    same = _matrix() * 0 + 0.3
    found = component_tables({"stimOn": same})
    assert set(found.outcomes["status"]) == {"degenerate"}
    assert found.components.empty


def test_a_search_that_does_not_end_is_said_to(monkeypatch):
    monkeypatch.setattr("iblnm_core.analyses.components._MOST_ICA_STEPS", 1)
    found = component_tables({"stimOn": _matrix()})
    status = found.outcomes.set_index("variable")["status"]
    assert status.to_dict() == {"pca, none": "ok", "pca, cohort": "ok", "ica, none": "not_converged"}
    assert found.components.groupby("method")["converged"].all().to_dict() == {"ica": False, "pca": True}
