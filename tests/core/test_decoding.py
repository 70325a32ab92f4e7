"""Decoding of targets: worked numbers, scikit-learn at the same optimum, chance for shuffled labels, order of no matter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold

from iblnm_core.analyses.decoding import (
    C_GRID,
    FoldSettings,
    TargetNMDecoder,
    decode_fold,
    decode_targets,
    inner_folds,
)
from iblnm_core.analyses.outcomes import Status
from iblnm_core.analyses.sparse_logistic import balanced_weights, decision_scores, fit_sparse_logistic
from iblnm_core.errors import TooFewClasses, UnknownOption


def _matrix(features, targets):
    keys = [[f"e{place:02d}" for place in range(len(targets))], targets, [0] * len(targets)]
    index = pd.MultiIndex.from_arrays(keys, names=["eid", "target_NM", "fiber_idx"])
    return pd.DataFrame(features, index=index, columns=[f"f{place}" for place in range(np.shape(features)[1])])


def _two_targets():
    k, first = np.arange(12.0), np.tile([1, 0], 6)
    features = np.column_stack([first + 0.2 * np.sin(k), 1 - first + 0.2 * np.cos(k), 0.3 * np.sin(5 * k)])
    targets = ["DR-5HT", "VTA-DA"] * 6
    return _matrix(features, targets), targets, np.repeat([f"s{place}" for place in range(6)], 2)


def _three_targets():
    k, centres = np.arange(15.0), np.tile([[1, 0], [0, 1], [0.4, 0.4]], (5, 1))
    features = centres + 0.6 * np.column_stack([np.sin(7 * k), np.cos(3 * k)])
    targets = list("ABC") * 5
    return _matrix(features, targets), targets, np.repeat([f"s{place}" for place in range(5)], 3)


def test_two_targets_tuned():
    found = TargetNMDecoder().fit(*_two_targets())
    assert (found.accuracy, found.balanced_accuracy, found.n_valid) == (1.0, 1.0, 12)
    assert found.confusion.to_numpy().tolist() == [[6, 0], [0, 6]]
    assert found.best_C == pytest.approx(0.464159, abs=1e-6)
    assert (found.contributions.filter(like="delta") == 0).all(axis=None)
    assert found.predictions["predicted"].tolist() == found.predictions["true"].tolist()


def test_two_targets_have_coefficients_of_opposite_sign_and_the_right_one():
    matrix, targets, subjects = _two_targets()
    found = TargetNMDecoder(C=1, contributions=False).fit(matrix, targets, subjects)
    assert found.coefficients.index.tolist() == ["DR-5HT", "VTA-DA"]
    # a search that stops at a tolerance of 1e-4 ends within 5e-3 of the optimum, which is what is checked below
    np.testing.assert_allclose(found.coefficients.loc["VTA-DA"], [-1.3758, 1.0694, 0], atol=5e-3)
    np.testing.assert_allclose(found.coefficients.loc["VTA-DA"], [-1.380036, 1.065192, 0], atol=2e-6)
    np.testing.assert_array_equal(found.coefficients.loc["DR-5HT"], -found.coefficients.loc["VTA-DA"])
    assert found.contributions is None
    # f0 is higher in DR, f1 in VTA
    assert (matrix["f0"].groupby(targets).mean().idxmax(), found.coefficients["f0"].idxmax()) == ("DR-5HT", "DR-5HT")


def test_three_targets_untuned():
    found = TargetNMDecoder(C=1).fit(*_three_targets())
    assert found.accuracy == found.balanced_accuracy == pytest.approx(0.6)
    assert found.confusion.to_numpy().tolist() == [[4, 0, 1], [0, 4, 1], [2, 2, 1]]
    assert found.per_class_accuracy.tolist() == [0.8, 0.8, 0.2]
    assert "".join(found.predictions["predicted"]) == "ACBABACBBABAABC"
    np.testing.assert_allclose(found.coefficients, [[1.059, -0.238], [-0.459, 1.108], [0, 0]], atol=1e-3)
    contributions = found.contributions.set_index("feature")
    assert contributions["full_accuracy_held_out"].tolist() == pytest.approx([0.6, 0.6])
    for kind in ("in_sample", "held_out"):
        difference = contributions[f"full_accuracy_{kind}"] - contributions[f"reduced_accuracy_{kind}"]
        np.testing.assert_allclose(contributions[f"delta_{kind}"], difference)
    without = TargetNMDecoder(C=1, contributions=False)
    matrix, targets, subjects = _three_targets()
    reduced = without.fit(matrix.drop(columns="f0"), targets, subjects).balanced_accuracy
    assert contributions.loc["f0", "reduced_accuracy_held_out"] == pytest.approx(reduced)


def test_three_targets_tuned():
    found = TargetNMDecoder(contributions=False).fit(*_three_targets())
    assert found.accuracy == pytest.approx(0.6667, abs=5e-5)
    assert found.best_C == pytest.approx(10)


def test_a_target_of_one_subject_only_is_not_predicted():
    matrix, targets, subjects = _three_targets()
    subjects[np.array(targets) == "C"] = "s9"
    found, outcome = decode_targets(matrix, targets, subjects, TargetNMDecoder(C=1))
    assert found.n_valid == 10
    assert found.predictions["predicted"].isna().tolist() == [target == "C" for target in targets]
    assert found.confusion.loc["C"].tolist() == [0, 0, 0]
    assert found.per_class_accuracy["C"] == 0
    assert (outcome.status, outcome.n_trials, outcome.n_subjects) == (Status.OK, 15, 6)
    assert outcome.detail.startswith("5 recordings of a subject without whom")


def test_what_cannot_be_decoded_says_why():
    matrix, targets, subjects = _three_targets()
    with pytest.raises(TooFewClasses, match="15 complete recordings of 1 targets"):
        TargetNMDecoder().fit(matrix, ["A"] * 15, subjects)
    cases = [
        (matrix, ["A"] * 15, subjects, Status.SINGLE_LEVEL),
        (matrix, targets, ["s"] * 15, Status.TOO_FEW_SUBJECTS),
        (matrix, targets, targets, Status.INCOMPLETE_DESIGN),
        (matrix * np.nan, targets, subjects, Status.NO_DATA),
        (matrix.iloc[:0], [], [], Status.NO_DATA),
    ]
    for *arguments, status in cases:
        found, outcome = decode_targets(*arguments, event="stimOn_times")
        assert (found, outcome.status, outcome.event) == (None, status, "stimOn_times")
    nothing = TargetNMDecoder(contributions=False).fit(matrix, targets, targets)
    assert (nothing.accuracy, nothing.balanced_accuracy, nothing.best_C, nothing.n_valid) == (0.0, 0.0, 1.0, 0)
    with pytest.raises(UnknownOption, match="expected one of accuracy, balanced_accuracy"):
        TargetNMDecoder(tuning_score="f1")


def test_incomplete_recordings_are_left_out():
    matrix, targets, subjects = _three_targets()
    matrix.iloc[4, 1] = np.nan
    found, outcome = decode_targets(matrix, targets, subjects, TargetNMDecoder(C=1, contributions=False))
    assert "e04" not in set(found.predictions["eid"])
    assert (len(found.predictions), outcome.n_trials) == (14, 14)
    assert outcome.detail == "1 recordings with missing features"


def test_the_order_of_the_recordings_is_of_no_matter():
    matrix, targets, subjects = _three_targets()
    found = TargetNMDecoder().fit(matrix, targets, subjects)
    order = np.random.default_rng(0).permutation(15)
    again = TargetNMDecoder().fit(matrix.iloc[order], np.array(targets)[order], subjects[order])
    assert (found.best_C, found.accuracy) == (again.best_C, again.accuracy)
    pd.testing.assert_frame_equal(found.coefficients, again.coefficients, check_exact=True)
    pd.testing.assert_frame_equal(found.contributions, again.contributions, check_exact=True)
    assert again.predictions["eid"].tolist() == matrix.index.get_level_values("eid")[order].tolist()
    pd.testing.assert_frame_equal(found.predictions, again.predictions.sort_values("eid", ignore_index=True))


@pytest.mark.parametrize("score", ["accuracy", "balanced_accuracy"])
@pytest.mark.parametrize("within", [False, True])
def test_the_other_ways_of_tuning(score, within):
    found = TargetNMDecoder(tuning_score=score, standardise_within=within, contributions=False).fit(*_three_targets())
    assert found.n_valid == 15
    assert min(C_GRID) <= found.best_C <= max(C_GRID)


def test_shuffled_labels_are_decoded_at_chance():
    random = np.random.default_rng(5)
    subjects = np.repeat([f"s{place}" for place in range(10)], 3)
    features = np.tile(np.eye(3), (10, 1)) + 0.3 * random.normal(size=(30, 3))
    labels = np.array(list("ABC") * 10)
    decoder = TargetNMDecoder(C=1, contributions=False)
    assert decoder.fit(_matrix(features, labels), labels, subjects).balanced_accuracy > 0.9
    scores = []
    for _ in range(20):
        # of the recordings as a whole, and not within subjects, whose left-out counts would tell the label
        shuffled = random.permutation(labels)
        scores.append(decoder.fit(_matrix(features, shuffled), shuffled, subjects).balanced_accuracy)
    assert np.mean(scores) == pytest.approx(1 / 3, abs=3 * np.std(scores) / np.sqrt(20) + 0.03)


def _sample(seed, n, p, k):
    random = np.random.default_rng(seed)
    classes = np.append(np.arange(k), random.integers(0, k, n - k))
    features = random.normal(size=(k, p))[classes] + random.normal(size=(n, p))
    return (features - features.mean(axis=0)) / features.std(axis=0), classes


@pytest.mark.parametrize(("k", "C"), [(2, 0.05), (2, 2), (3, 0.05), (3, 0.3), (5, 0.1), (4, 0.2)])
def test_the_optimum_is_that_of_scikit_learn(k, C):
    features, classes = _sample(k, 60, 6, k)
    options = {"l1_ratio": 1, "solver": "saga", "class_weight": "balanced", "random_state": 0}
    theirs = LogisticRegression(C=C, tol=1e-9, max_iter=200_000, **options).fit(features, classes)
    ours = fit_sparse_logistic(features, classes, balanced_weights(classes), C)
    expected = theirs.coef_ if k > 2 else np.append(0 * theirs.coef_, theirs.coef_, axis=0)
    if k > 2:
        expected = expected - np.median(expected, axis=0)
    np.testing.assert_allclose(ours[:, :-1], expected, atol=1e-5)
    assert (decision_scores(features, ours).argmax(axis=1) == theirs.predict(features)).all()


@given(st.integers(0, 2**20), st.integers(2, 5), st.integers(0, 6), st.floats(-3, 3))
@settings(deadline=None, max_examples=40)
def test_nothing_near_the_optimum_is_better_and_the_start_is_of_no_matter(seed, k, p, exponent):
    features, classes = _sample(seed, 25, p, k)
    weights, C = balanced_weights(classes), 10**exponent

    def objective(coefficients):
        scores = decision_scores(features, coefficients)
        losses = np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) + scores.max(1)
        losses -= scores[np.arange(25), classes]
        return C * (weights[classes] * losses).sum() + np.abs(coefficients[:, :-1]).sum()

    found = fit_sparse_logistic(features, classes, weights, C)
    best = objective(found)
    random = np.random.default_rng(seed)
    for size in (1e-1, 1e-3, 1e-5):
        for _ in range(10):
            assert objective(found + size * random.normal(size=found.shape)) >= best - 1e-9 * (1 + best)
    start = found + 0.1 * random.normal(size=found.shape)
    start[0] = 0 if k == 2 else start[0]
    again = fit_sparse_logistic(features, classes, weights, C, start)
    assert objective(again) == pytest.approx(best, rel=1e-6)


@given(
    st.lists(st.integers(0, 3), min_size=6, max_size=40).filter(lambda x: min(np.unique(x, return_counts=True)[1]) > 1)
)
@settings(deadline=None)
def test_inner_folds_are_those_of_scikit_learn(values):
    classes = np.array(values)
    folds = inner_folds(classes)
    n_folds = min(3, np.unique(classes, return_counts=True)[1].min())
    for fold, (_, tested) in enumerate(StratifiedKFold(n_folds).split(classes, classes)):
        assert np.flatnonzero(folds == fold).tolist() == tested.tolist()


# their search does not arrive at the largest C
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_tuning_is_that_of_scikit_learn():
    matrix, targets, subjects = _three_targets()
    classes = np.unique(targets, return_inverse=True)[1]
    values = matrix.to_numpy()
    for subject in np.unique(subjects):
        held_out = subjects == subject
        predicted, C = decode_fold(values, classes, held_out, 3, FoldSettings())
        training = values[~held_out]
        scaled = (values - training.mean(axis=0)) / training.std(axis=0)
        theirs = LogisticRegressionCV(
            Cs=C_GRID,
            l1_ratios=[1],
            cv=StratifiedKFold(3),
            solver="saga",
            scoring="accuracy",
            class_weight="balanced",
            tol=1e-7,
            max_iter=20_000,
            random_state=0,
            use_legacy_attributes=False,
        ).fit(scaled[~held_out], classes[~held_out])
        assert pytest.approx(theirs.C_) == C
        assert predicted.tolist() == theirs.predict(scaled[held_out]).tolist()
