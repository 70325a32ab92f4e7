"""Ridge regression from inner products: the numbers of plain refits, and nothing of a fold in what predicts it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from iblnm_core.encoding.ridge import contiguous_folds, fit_ridge, moments_of, ridge_path, with_and_without
from iblnm_core.parameters import EncodingParameters

PENALTIES = EncodingParameters().penalties

# ridge regression


def sklearn_coefficients(columns, response, penalty):
    """Slopes per unit of the columns, and the intercept behind them."""
    scaler = StandardScaler().fit(columns)
    model = Ridge(penalty, solver="cholesky").fit(scaler.transform(columns), response)
    slopes = model.coef_ / scaler.scale_
    return np.append(slopes, model.intercept_ - slopes @ scaler.mean_)


def moments(columns, response, folds, n_sparse=0):
    return moments_of(csr_array(columns[:, :n_sparse]), columns[:, n_sparse:], response, folds)


def all_rows(columns, response):
    folds = contiguous_folds(np.arange(len(response)), 1, 0)
    return moments(columns, response, folds).values.sum(axis=0)


def random_problem(seed, n_rows, n_columns, *, sparse=True):
    random = np.random.default_rng(seed)
    columns = random.normal(size=(n_rows, n_columns)) * random.lognormal(0, 1, n_columns) + random.normal(
        size=n_columns
    )
    if sparse:
        columns[:, ::2] *= random.random((n_rows, (n_columns + 1) // 2)) < 0.2
    return columns, columns @ random.normal(size=n_columns) + random.normal(size=n_rows) * 3 + 5


@given(st.integers(0, 2**16), st.integers(8, 60), st.integers(1, 12))
@settings(max_examples=40)
def test_the_closed_form_is_ridge_regression(seed, n_rows, n_columns):
    columns, response = random_problem(seed, n_rows, n_columns, sparse=False)
    found = ridge_path(all_rows(columns, response), PENALTIES)
    for place, penalty in enumerate(PENALTIES):
        expected = sklearn_coefficients(columns, response, penalty)
        np.testing.assert_allclose(found[:, place], expected, rtol=1e-6, atol=1e-8)


@given(st.integers(0, 2**16), st.integers(20, 60), st.integers(2, 12), st.sampled_from(PENALTIES))
@settings(max_examples=40)
def test_leaving_columns_out_is_fitting_without_them(seed, n_rows, n_columns, penalty):
    columns, response = random_problem(seed, n_rows, n_columns, sparse=False)
    half = n_columns // 2
    blocks = (slice(0, half), slice(half, n_columns), slice(0, 1))
    found = with_and_without(all_rows(columns, response), penalty, blocks)
    expected = sklearn_coefficients(columns, response, penalty)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6, atol=1e-8)
    for place, block in enumerate(blocks, start=1):
        kept = np.delete(np.arange(n_columns), block)
        assert not found[:-1][block, place].any()
        if len(kept):
            expected = sklearn_coefficients(columns[:, kept], response, penalty)
            np.testing.assert_allclose(found[[*kept, -1], place], expected, rtol=1e-6, atol=1e-8)
        else:
            assert found[-1, place] == pytest.approx(response.mean())


def test_constant_columns_have_no_part():
    columns, response = random_problem(1, 50, 3)
    with_constants = np.column_stack([np.zeros(50), columns, np.full(50, 0.1)])
    expected = ridge_path(all_rows(columns, response), PENALTIES)
    found = ridge_path(all_rows(with_constants, response), PENALTIES)
    np.testing.assert_allclose(found[[1, 2, 3, 5]], expected, rtol=1e-9)
    assert not found[[0, 4]].any()
    without = with_and_without(all_rows(with_constants, response), 1.0, [slice(0, 1), slice(4, 5)])
    np.testing.assert_allclose(without, without[:, [0, 0, 0]], atol=1e-12)


# folds


@given(st.integers(0, 2**16), st.integers(12, 80), st.integers(2, 5), st.integers(0, 8))
def test_folds_are_neighbours_and_far_from_what_they_are_trained_with(seed, n_rows, n_folds, purge):
    random = np.random.default_rng(seed)
    positions = np.sort(random.choice(3 * n_rows, n_rows, replace=False))
    folds = contiguous_folds(positions, n_folds, purge)
    tested, trained = folds.tested[:, folds.segments], folds.trained[:, folds.segments]
    assert (np.diff(folds.segments) >= 0).all()
    np.testing.assert_array_equal(tested.sum(axis=0), 1)
    assert np.ptp(tested.sum(axis=1)) <= 1
    for rows, others in zip(tested, trained, strict=True):
        assert (np.diff(np.flatnonzero(rows)) == 1).all()
        first, last = positions[rows][[0, -1]]
        far = (positions <= first - purge) | (positions >= last + purge)
        np.testing.assert_array_equal(others, far & ~rows)


def plain_cross_validation(columns, response, positions, n_folds, purge, blocks):
    """Nested cross-validation by explicit refits."""
    parts = np.array_split(np.arange(len(response)), n_folds)
    distance = np.abs(positions[:, None] - positions)
    far = [np.setdiff1d(np.flatnonzero((distance[:, part] >= purge).all(axis=1)), part) for part in parts]

    def errors(train, test, penalties, kept):
        found = []
        for penalty in penalties:
            model = sklearn_coefficients(columns[np.ix_(train, kept)], response[train], penalty)
            predicted = columns[np.ix_(test, kept)] @ model[:-1] + model[-1]
            found.append(((response[test] - predicted) ** 2).sum())
        return np.array(found)

    every = np.arange(columns.shape[1])
    path, chosen, full, reduced = np.zeros(len(PENALTIES)), [], 0.0, np.zeros(len(blocks))
    for fold, part in enumerate(parts):
        path += errors(far[fold], part, PENALTIES, every)
        inner = sum(
            errors(np.intersect1d(far[fold], far[other]), np.intersect1d(parts[other], far[fold]), PENALTIES, every)
            for other in range(n_folds)
            if other != fold
        )
        chosen.append(PENALTIES[inner.argmin()])
        full += errors(far[fold], part, chosen[-1:], every)[0]
        for place, block in enumerate(blocks):
            reduced[place] += errors(far[fold], part, chosen[-1:], np.delete(every, block))[0]
    spread = ((response - response.mean()) ** 2).sum()
    return 1 - path / spread, chosen, 1 - full / spread, (reduced - full) / spread


@pytest.mark.parametrize("seed", range(4))
def test_cross_validation_and_left_out_blocks_are_those_of_explicit_refits(seed):
    columns, response = random_problem(seed, 150, 7)
    response += 15 * np.random.default_rng(seed).normal(size=150)
    positions = np.flatnonzero(np.random.default_rng(seed).random(400) < 0.6)[:150]
    blocks = (slice(0, 3), slice(3, 5), slice(5, 7))
    folds = contiguous_folds(positions, 5, 6)
    found = fit_ridge(moments(columns, response, folds, 4), folds, PENALTIES, blocks)
    path, chosen, held_out, delta = plain_cross_validation(columns, response, positions, 5, 6, blocks)
    np.testing.assert_allclose(found.r2_path, path, atol=1e-9)
    np.testing.assert_allclose(found.fold_penalties, chosen)
    assert found.r2_held_out == pytest.approx(held_out, abs=1e-9)
    np.testing.assert_allclose(found.delta_r2, delta, atol=1e-9)
    assert found.penalty == PENALTIES[path.argmax()]
    final = sklearn_coefficients(columns, response, found.penalty)
    np.testing.assert_allclose(found.coefficients, final, rtol=1e-7, atol=1e-9)
    predicted = columns @ final[:-1] + final[-1]
    explained = 1 - ((response - predicted) ** 2).sum() / ((response - response.mean()) ** 2).sum()
    assert found.r2_in == pytest.approx(explained, abs=1e-9)


def test_nothing_of_a_fold_or_near_it_is_in_the_model_that_predicts_it():
    columns, response = random_problem(3, 200, 6)
    purge, positions = 7, np.arange(200)
    folds = contiguous_folds(positions, 5, purge)
    before = fit_ridge(moments(columns, response, folds), folds, PENALTIES, ())
    for fold in range(5):
        first, last = 40 * fold, 40 * fold + 39
        changed = response.copy()
        changed[max(first - purge + 1, 0) : last + purge] *= -30
        after = fit_ridge(moments(columns, changed, folds), folds, PENALTIES, ())
        assert after.fold_penalties[fold] == before.fold_penalties[fold]
        np.testing.assert_allclose(after.fold_coefficients[:, fold], before.fold_coefficients[:, fold], rtol=1e-6)
        # one row further off there is something of it
        changed = response.copy()
        changed[(first - purge) if fold else (last + purge)] *= -30
        after = fit_ridge(moments(columns, changed, folds), folds, PENALTIES, ())
        assert not np.allclose(after.fold_coefficients[:, fold], before.fold_coefficients[:, fold], rtol=1e-6)
