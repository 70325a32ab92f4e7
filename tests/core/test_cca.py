"""Canonical correlations: worked numbers, what does not matter, exchanged blocks, planted and absent correlations, degenerate cohorts."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.analyses.behavioural_view import LATERALISED
from iblnm_core.analyses.cca import View, canonical_correlations, canonical_pair, cosine, pearson, variance_extracted
from iblnm_core.analyses.cca_permutation import (
    block_orders,
    block_test,
    n_exchangeable,
    permuted_correlations,
    stable_seed,
)
from iblnm_core.analyses.cca_ridge import RIDGES, best_held_out, choose_ridge, subject_folds
from iblnm_core.analyses.cohort_cca import cohort_cca
from iblnm_core.analyses.session_glm import TERMS
from iblnm_core.demo.simulated_cohorts import correlated_views, indexed, simulated_recordings, views_of_mice
from iblnm_core.errors import UnknownOption

COHORTS = {"DR-5HT": (24, 1, 1.0), "LC-NE": (20, 2, 1.0), "VTA-DA": (30, 3, 1.5)}
CORRELATIONS = {
    "DR-5HT": (0.882158, 0.749464, 0.457381, 0.140056),
    "LC-NE": (0.817695, 0.659264, 0.407345, 0.256193),
    "VTA-DA": (0.887292, 0.531512, 0.390148, 0.135737),
}
WEIGHTS = {
    "DR-5HT": (
        (-0.299324, 0.364079, 0.467518, 0.704712, 0.201403, 0.148648),
        (0.086541, 0.840278, -0.514649, -0.146898),
    ),
    "VTA-DA": (
        (0.890444, -0.054276, -0.224147, 0.362417, 0.089333, 0.120807),
        (-0.074715, 0.996571, -0.035479, 0.002076),
    ),
}


def _values(n, seed, load):
    return correlated_views(np.random.default_rng(seed), n, load)


def _views(cohort):
    return [View.of(values) for values in _values(*COHORTS[cohort])]


def _tables(values, mice=None, **options):
    """Analyse arrays by cohort, one session per recording."""
    x_parts, y_parts = [], []
    for place, (target, (x, y)) in enumerate(values.items()):
        keys = simulated_recordings(len(x), targets=(target,))
        keys["eid"] = [f"{place}{eid}" for eid in keys["eid"]]
        if mice is not None:
            keys["subject"] = mice[target]
        x_parts.append(indexed(x, keys, TERMS[1:][: x.shape[1]]))
        y_parts.append(indexed(y, keys, LATERALISED[: y.shape[1]]))
    return cohort_cca({"stimOn": pd.concat(x_parts)}, pd.concat(y_parts), **options)


@pytest.fixture(scope="module")
def worked():
    return _tables({cohort: _values(*recipe) for cohort, recipe in COHORTS.items()})


@pytest.mark.parametrize("cohort", COHORTS)
def test_correlations_worked_by_hand(cohort):
    x, y = _views(cohort)
    np.testing.assert_allclose(canonical_correlations(x, y), CORRELATIONS[cohort], atol=1e-6)
    pair = canonical_pair(x, y)
    assert pair.correlation == pytest.approx(CORRELATIONS[cohort][0], abs=1e-6)
    for weights, expected in zip((pair.x_weights, pair.y_weights), WEIGHTS.get(cohort, ()), strict=False):
        np.testing.assert_allclose(weights, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("cohort", "as_inverse", "as_drawn"),
    [("DR-5HT", 0.010989, 0.014985), ("LC-NE", 0.351648, 0.365634), ("VTA-DA", 0.000999, 0.000999)],
)
def test_p_values_of_given_permutations(cohort, as_inverse, as_drawn):
    x, y = _views(cohort)
    random = np.random.default_rng(42)
    drawn = np.stack([random.permutation(len(x.standardised)) for _ in range(1000)])
    observed = permuted_correlations(x, y, np.arange(drawn.shape[1])[None])[0]
    for order, expected in ((np.argsort(drawn, axis=1), as_inverse), (drawn, as_drawn)):
        null = permuted_correlations(x, y, order)
        assert (1 + (null >= observed - 1e-12).sum()) / 1001 == pytest.approx(expected, abs=1e-6)


def test_three_cohorts_worked_by_hand(worked):
    weights = worked.weights.set_index(["target_NM", "view"])["weight"].sort_index(kind="stable")
    for cohort, sign in (("DR-5HT", 1), ("VTA-DA", -1)):
        for view, expected in zip(("neural", "behavioral"), WEIGHTS[cohort], strict=True):
            np.testing.assert_allclose(weights[cohort, view], sign * np.array(expected), atol=1e-6)
    assert weights["LC-NE", "neural"].abs().max() == weights["LC-NE", "neural"].max()
    projections = worked.cross_projection.set_index(["data_target", "weight_target"])["correlation"]
    expected = [
        [0.882158, 0.209179, 0.159865],
        [0.206302, 0.817695, 0.328240],
        [0.171074, 0.260798, 0.887292],
    ]
    np.testing.assert_allclose(projections.to_numpy().reshape(3, 3), expected, atol=1e-6)
    cosines = worked.weight_similarity.set_index(["target_a", "target_b"])
    for pair, values in {
        ("DR-5HT", "LC-NE"): (0.647164, 0.332548),
        ("DR-5HT", "VTA-DA"): (0.099735, -0.848886),
        ("LC-NE", "VTA-DA"): (-0.211585, -0.348908),
        ("LC-NE", "LC-NE"): (1, 1),
    }.items():
        np.testing.assert_allclose(cosines.loc[pair, ["neural_cosine", "behavioral_cosine"]], values, atol=1e-6)
        np.testing.assert_allclose(cosines.loc[pair[::-1], ["neural_cosine", "behavioral_cosine"]], values, atol=1e-6)


def test_the_summary_of_three_cohorts(worked):
    summary = worked.summary.set_index("target_NM")
    np.testing.assert_allclose(summary["correlation"], [r[0] for r in CORRELATIONS.values()], atol=1e-6)
    # other permutations than those above
    np.testing.assert_allclose(summary["p_session"], [0.011, 0.352, 0.001], atol=0.03)
    assert summary["n_recordings"].tolist() == summary["n_exchangeable_sessions"].tolist() == [24, 20, 30]
    assert summary["low_n"].tolist() == [True, True, False]
    assert summary["held_out_correlation"].isna().all()
    assert (summary[["lambda_x", "lambda_y"]] == 0).all().all()
    assert worked.outcomes["status"].tolist() == ["ok"] * 3
    by_target = worked.scores.groupby("target_NM")[["x_score", "y_score"]].corr()
    np.testing.assert_allclose(by_target["y_score"].iloc[::2], summary["correlation"])


def test_results_of_a_target_do_not_depend_on_the_others(worked):
    alone = _tables({"LC-NE": _values(*COHORTS["LC-NE"])})
    columns = ["correlation", "p_session", "p_subject", "seed", "x_variance_extracted"]
    assert (
        alone.summary[columns].iloc[0].tolist() == worked.summary.set_index("target_NM").loc["LC-NE", columns].tolist()
    )
    assert worked.summary["seed"].nunique() == 3


def test_seeds_are_the_same_everywhere():
    assert stable_seed(42, ("stimOn", "VTA-DA")) == 6132343806013299218
    keys = [(42, ("ab", "c")), (42, ("a", "bc")), (4, ("2ab", "c")), (43, ("ab", "c"))]
    assert len({stable_seed(*key) for key in keys}) == 4


def test_the_order_of_recordings_does_not_matter(worked):
    keys = simulated_recordings(30, targets=("LC-NE",))
    x, y = (
        indexed(values, keys, columns)
        for values, columns in zip(_values(30, 5, 1.0), (TERMS[1:], LATERALISED), strict=True)
    )
    ordered = cohort_cca({"stimOn": x}, y, 200)
    mixed = cohort_cca({"stimOn": x.sample(frac=1, random_state=0)}, y.sample(frac=1, random_state=1), 200)
    for name in ("summary", "weights", "scores", "outcomes"):
        pd.testing.assert_frame_equal(getattr(ordered, name), getattr(mixed, name))


@given(st.integers(0, 2**16))
@settings(deadline=None, max_examples=30)
def test_scaling_and_rotating_features_leaves_correlations(seed):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(30, 6)), random.normal(size=(30, 4))
    y[:, 0] += x[:, 1]
    turn = random.normal(size=(6, 6))
    plain = canonical_correlations(View.of(x), View.of(y))
    turned = canonical_correlations(View.of(x @ turn + random.normal(size=6)), View.of(y * random.uniform(0.1, 9, 4)))
    np.testing.assert_allclose(turned, plain, atol=1e-7)
    np.testing.assert_allclose(canonical_correlations(View.of(y), View.of(x)), plain, atol=1e-10)
    pair, scaled = canonical_pair(View.of(x), View.of(y)), canonical_pair(View.of(5 * x), View.of(y - 3))
    np.testing.assert_allclose(scaled.x_weights, pair.x_weights, atol=1e-9)
    assert pair.x_weights[np.abs(pair.x_weights).argmax()] > 0
    assert pair.correlation == pytest.approx(plain[0])
    assert np.linalg.norm(pair.x_weights) == pytest.approx(1)
    assert np.linalg.norm(pair.y_weights) == pytest.approx(1)


_LABELS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30)


@given(_LABELS, st.integers(0, 2**16))
@settings(deadline=None)
def test_blocks_stay_together(labels, seed):
    labels = np.array(labels)
    orders = block_orders(labels, 20, np.random.default_rng(seed))
    sizes = {name: int((labels == name).sum()) for name in set(labels)}
    for order in orders:
        assert sorted(order) == list(range(len(labels)))
        for name, size in sizes.items():
            # what came to the rows of a block is one block of the same size, in its order
            came = order[labels == name]
            assert len(set(labels[came])) == 1
            assert sizes[labels[came][0]] == size
            assert (np.diff(came) > 0).all()
    counts = pd.Series(list(sizes.values())).value_counts()
    assert n_exchangeable(labels) == counts[counts > 1].sum()


@given(_LABELS)
@settings(deadline=None)
def test_permutations_are_repeatable_and_move_only_what_can_move(labels):
    first, second = (block_orders(labels, 30, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    names, counts = np.unique(labels, return_counts=True)
    alone = [name for name, count in zip(names, counts, strict=True) if (counts == count).sum() == 1]
    fixed = np.isin(labels, alone)
    assert (first[:, fixed] == np.flatnonzero(fixed)).all()


def test_all_arrangements_are_equally_likely():
    orders = block_orders(list("aabbcc"), 6000, np.random.default_rng(0))
    counts = pd.Series([tuple(order) for order in orders]).value_counts()
    assert len(counts) == 6
    assert counts.between(850, 1150).all()


def test_the_identity_gives_the_correlation_itself():
    x, y = _views("LC-NE")
    identity = np.arange(20)[None]
    assert permuted_correlations(x, y, identity)[0] == pytest.approx(CORRELATIONS["LC-NE"][0], abs=1e-6)
    np.testing.assert_allclose(permuted_correlations(x, y, identity), canonical_correlations(x, y)[:1], atol=1e-14)
    # a permutation that leaves everything in place counts as one that is as extreme
    test = block_test(partial(permuted_correlations, x, View.of(np.ones((20, 1)) * [[1.0]])), "a" * 20, 10, 0)
    assert np.isnan(test.p_value)
    statistic = partial(permuted_correlations, x, y)
    assert block_test(lambda _: statistic(identity).repeat(99), range(20), 99, 0).p_value == 1


def test_more_than_one_chunk_of_permutations():
    x, y = _views("LC-NE")
    labels = [f"{i:02d}" for i in range(20)]
    whole = permuted_correlations(x, y, block_orders(labels, 2500, np.random.default_rng(7)))
    expected = (1 + (whole >= permuted_correlations(x, y, np.arange(20)[None])[0] - 1e-12).sum()) / 2501
    assert block_test(partial(permuted_correlations, x, y), labels, 2500, 7).p_value == expected


def test_no_exchange_no_p_value():
    mice = {"VTA-DA": ["a"] * 14 + ["b"] * 16}
    found = _tables({"VTA-DA": _values(30, 3, 1.5)}, mice).summary.iloc[0]
    assert np.isnan(found["p_subject"])
    assert found["n_exchangeable_subjects"] == 0
    assert found["p_session"] < 0.01


def test_as_many_features_as_recordings_is_degenerate():
    x, y = _values(10, 0, 0.0)
    assert canonical_correlations(View.of(x), View.of(y))[0] == pytest.approx(1)
    for n, status in ((10, "degenerate"), (11, "degenerate"), (12, "ok")):
        found = _tables({"LC-NE": _values(n, 0, 0.0), "VTA-DA": _values(30, 3, 1.5)})
        outcomes = found.outcomes.set_index("target_NM")
        assert outcomes["status"].to_dict() == {"LC-NE": status, "VTA-DA": "ok"}
        assert outcomes.loc["LC-NE", "n_trials"] == n
        assert found.summary["target_NM"].tolist() == (["LC-NE"] if status == "ok" else []) + ["VTA-DA"]
    assert found.summary["low_n"].tolist() == [True, False]


def test_a_feature_that_does_not_vary_has_no_weight():
    values = {"LC-NE": _values(20, 2, 1.0), "VTA-DA": _values(30, 3, 1.5)}
    values["LC-NE"][1][:, 2] = 0.1
    values["VTA-DA"][0][:, 5] = 7.0
    found = _tables(values)
    weights = found.weights.set_index(["target_NM", "view", "feature"])["weight"]
    assert weights["LC-NE", "behavioral", LATERALISED[2]] == 0
    assert weights["VTA-DA", "neural", TERMS[6]] == 0
    assert np.isfinite(found.cross_projection["correlation"]).all()
    assert found.summary["n_features_x"].tolist() == [6, 5]
    assert found.summary["n_features_y"].tolist() == [3, 4]
    dropped = canonical_pair(View.of(values["LC-NE"][0]), View.of(np.delete(values["LC-NE"][1], 2, axis=1)))
    assert found.summary["correlation"][0] == pytest.approx(dropped.correlation)


def test_odd_cohorts_have_outcomes():
    values = {name: _values(20, place, 1.0) for place, name in enumerate(("flat", "lazy", "ok", "single", "unknown"))}
    values["flat"][0][:] = 1.0
    values["lazy"][1][:] = 0.0
    values["unknown"][1][:] = np.nan
    mice = {"single": ["m"] * 20, **{name: [f"m{i // 4}" for i in range(20)] for name in values if name != "single"}}
    values["ok"][0][3, 2] = np.nan
    expected = {"flat": "degenerate", "lazy": "degenerate", "ok": "ok", "single": "ok", "unknown": "missing_input"}
    linear, ridge = (_tables(values, mice, n_permutations=20, variant=v) for v in ("linear", "ridge"))
    assert linear.outcomes.set_index("target_NM")["status"].to_dict() == expected
    assert ridge.outcomes.set_index("target_NM")["status"].to_dict() == {**expected, "single": "too_few_subjects"}
    details = linear.outcomes.set_index("target_NM")["detail"]
    assert details["ok"] == "1 of 20 recordings left out for missing values"
    assert details["flat"] == "no coefficient varies"
    assert details["lazy"] == "no behaviour varies"
    empty = cohort_cca({"stimOn": indexed(np.empty((0, 6)), simulated_recordings(0), TERMS[1:])}, pd.DataFrame())
    for name in ("summary", "weights", "scores", "cross_projection", "weight_similarity", "outcomes"):
        assert getattr(empty, name).empty
        assert getattr(empty, name).dtypes.to_dict() == getattr(linear, name).dtypes.to_dict()


def test_bad_input_is_refused():
    with pytest.raises(UnknownOption, match="linear, ridge"):
        _tables({"VTA-DA": _values(30, 3, 1.5)}, variant="sparse")
    keys = simulated_recordings(20)
    x, y = (
        indexed(values, keys, columns)
        for values, columns in zip(_values(20, 0, 1.0), (TERMS[1:], LATERALISED), strict=True)
    )
    with pytest.raises(ValueError, match="there twice"):
        cohort_cca({"stimOn": pd.concat([x, x])}, y)


def test_two_fibres_of_a_session_move_together():
    n = 40
    keys = simulated_recordings(n, targets=("VTA-DA",))
    keys["eid"], keys["fiber_idx"] = [f"e{i // 2:02d}" for i in range(n)], np.arange(n) % 2
    keys["subject"] = [f"m{i // 4}" for i in range(n)]
    random = np.random.default_rng(0)
    # the same behaviour for both fibres of a session, and coding that they share
    behaviour = np.repeat(random.normal(size=(n // 2, 4)), 2, axis=0)
    coding = np.repeat(random.normal(size=(n // 2, 6)), 2, axis=0) + 0.2 * random.normal(size=(n, 6))
    found = cohort_cca(
        {"stimOn": indexed(coding, keys, TERMS[1:])}, indexed(behaviour, keys, LATERALISED)
    ).summary.iloc[0]
    assert found[["n_recordings", "n_sessions", "n_exchangeable_sessions"]].tolist() == [40, 20, 20]
    by_row = block_test(partial(permuted_correlations, View.of(coding), View.of(behaviour)), range(n), 1000, 0)
    # rows exchanged one by one would call this highly correlated
    assert by_row.p_value < 0.05 < found["p_session"]


def test_planted_correlations_are_found():
    for seed in range(5):
        found = _tables({"VTA-DA": _values(80, seed, 1.5)}, n_permutations=500).summary.iloc[0]
        assert found["p_session"] == found["p_subject"] == pytest.approx(1 / 501)
        # of the best combinations in the population
        assert found["correlation"] == pytest.approx(0.72, abs=0.16)


@pytest.mark.parametrize(("variant", "repeats", "n_permutations"), [("linear", 200, 99), ("ridge", 60, 39)])
def test_without_correlation_p_values_are_uniform(variant, repeats, n_permutations):
    from scipy.stats import kstest

    values = {f"{place:03d}": _values(24, 1000 + place, 0.0) for place in range(repeats)}
    summary = _tables(values, n_permutations=n_permutations, variant=variant).summary
    for p_value in (summary["p_session"], summary["p_subject"]):
        # multiples of 1 / (n + 1), so that a jitter of one of them makes them continuous
        jittered = p_value - np.random.default_rng(0).random(repeats) / (n_permutations + 1)
        assert kstest(jittered, "uniform").pvalue > 0.01


def test_mice_that_differ_need_the_exchange_of_mice():
    values = {}
    for place in range(100):
        values[f"{place:03d}"] = views_of_mice(np.random.default_rng(place), 12)
    summary = _tables(values, n_permutations=99).summary
    assert (summary["p_session"] < 0.05).mean() > 0.5
    assert 0.005 < (summary["p_subject"] < 0.05).mean() < 0.12
    assert summary["n_exchangeable_subjects"].eq(12).all()


def test_explained_variance_worked_by_hand():
    values = np.array([[1, 2], [2, 1], [3, 5], [4, 4.0]])
    # one feature is the variate itself, the other shares a correlation of 0.7071 with it
    assert variance_extracted(values, np.arange(1, 5.0)) == pytest.approx(0.75)
    assert variance_extracted(np.column_stack([np.arange(4.0), np.ones(4)]), np.arange(4.0)) == pytest.approx(0.5)
    assert np.isnan(pearson(np.ones(4), np.arange(4.0)))
    assert cosine(np.zeros(3), np.ones(3)) == 0


def _plain_held_out(x, y, folds, x_ridge, y_ridge):
    """Pool the scores of left-out folds the plain way."""
    scores = []
    for fold in range(folds.max() + 1):
        kept = folds != fold
        pair = canonical_pair(View.of(x[kept], x_ridge), View.of(y[kept], y_ridge))
        of_fold = []
        for values, weights in ((x, pair.x_weights), (y, pair.y_weights)):
            score = (values - values[kept].mean(axis=0)) / values[kept].std(axis=0) @ weights
            of_fold.append(score[~kept] / score[kept].std())
        scores.append(np.column_stack(of_fold))
    a, b = np.concatenate(scores).T
    return a @ b / np.sqrt(a @ a * (b @ b))


@given(st.integers(0, 2**16))
@settings(deadline=None, max_examples=5)
def test_the_ridge_is_the_one_that_holds_best(seed):
    x, y = _values(40, seed, 1.0)
    folds = subject_folds([f"m{i // 3:02d}" for i in range(40)])
    expected = {(a, b): _plain_held_out(x, y, folds, a, b) for a in RIDGES for b in RIDGES}
    choice = choose_ridge(x, y, folds)
    assert choice.held_out == pytest.approx(max(expected.values()), abs=1e-9)
    assert expected[choice.x_ridge, choice.y_ridge] == pytest.approx(choice.held_out, abs=1e-9)
    order = np.random.default_rng(seed).permutation(40)
    permuted = best_held_out(x, y, folds, np.stack([np.arange(40), order]))
    assert permuted[0] == pytest.approx(choice.held_out, abs=1e-12)
    assert permuted[1] == pytest.approx(choose_ridge(x, y[order], folds).held_out, abs=1e-12)


def test_the_ridge_variant_finds_what_is_planted():
    found = _tables({"VTA-DA": _values(60, 4, 1.5)}, n_permutations=99, variant="ridge").summary.iloc[0]
    assert found["p_session"] == pytest.approx(0.01)
    assert 0 < found["held_out_correlation"] < found["correlation"] < 1
    assert {found["lambda_x"], found["lambda_y"]} <= set(RIDGES)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40).filter(lambda names: len(set(names)) > 1))
@settings(deadline=None)
def test_no_subject_is_in_two_folds(subjects):
    folds = subject_folds(subjects)
    assert set(folds) == set(range(min(5, len(set(subjects)))))
    assert len(set(zip(subjects, folds, strict=True))) == len(set(subjects))
    order = np.random.default_rng(0).permutation(len(subjects))
    np.testing.assert_array_equal(subject_folds(np.array(subjects)[order]), folds[order])
