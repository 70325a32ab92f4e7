"""Random-intercept models from sums: worked numbers, statsmodels on random designs, and intervals that cover with few subjects."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams
from tests_support.toys import toy_t3

from iblnm_core.analyses.coding import code_contrast, deviation_reward, deviation_side
from iblnm_core.analyses.mixed_model import SubjectSums, fit_random_intercept, held_out_r_squared
from iblnm_core.demo.simulated_trials import coverage
from iblnm_core.errors import SingularDesign

LEVELS = (0, 25, 100)


def task_design(trials, coding):
    """Return the columns of contrast * side * reward, in the order of the coefficient table."""
    contrast = code_contrast(trials["contrast"], coding, LEVELS)
    contrast -= contrast.mean()
    side, reward = deviation_side(trials["side"]), deviation_reward(trials["feedbackType"])
    products = [contrast, side, contrast * side, reward, contrast * reward, side * reward, contrast * side * reward]
    return np.column_stack([np.ones(len(trials)), *products])


def toy_sums(coding="log", response=None):
    trials = toy_t3()
    response = trials["response"].to_numpy() if response is None else response
    return SubjectSums.of(task_design(trials, coding), response, trials["subject"].factorize()[0])


@pytest.mark.parametrize(
    ("coding", "residual", "subject", "likelihood", "marginal", "conditional"),
    [
        ("log", 0.08319545, 0.1304099, -29.10119724, 0.67106438, 0.84420697),
        ("linear", 0.15221657, 0.1275340, -60.18203557, 0.54955241, 0.71514270),
        ("rank", 0.09906562, 0.1297487, -31.05868074, 0.64312488, 0.81451605),
    ],
)
def test_worked_variances(coding, residual, subject, likelihood, marginal, conditional):
    fit = fit_random_intercept(toy_sums(coding))
    found = [fit.residual_variance, fit.log_likelihood, fit.marginal, fit.conditional]
    np.testing.assert_allclose(found, [residual, likelihood, marginal, conditional], atol=6e-9)
    assert fit.subject_variance == pytest.approx(subject, abs=6e-8)
    assert (fit.n_rows, fit.n_subjects, fit.at_boundary) == (72, 3, False)
    assert np.isnan([fit.aic, fit.bic]).all()


def test_worked_subject_effects():
    fit = fit_random_intercept(toy_sums())
    np.testing.assert_allclose(fit.subject_effects, [-0.33457959, -0.04025677, 0.37483636], atol=6e-9)


def test_worked_likelihood_without_restriction():
    fit = fit_random_intercept(toy_sums(), "ML")
    np.testing.assert_allclose([fit.residual_variance, fit.subject_variance], [0.07475533, 0.0861361], atol=6e-8)
    found = [fit.log_likelihood, fit.aic, fit.bic]
    np.testing.assert_allclose(found, [-13.82925145, 47.65850289, 70.42516408], atol=6e-9)


def test_balanced_subjects_leave_the_intercept_one_degree_of_freedom_less_than_there_are_subjects():
    fit = fit_random_intercept(toy_sums())
    found = fit.estimates(np.eye(8)).degrees_of_freedom
    # three subjects; 72 rows less those three and seven coefficients within subjects
    np.testing.assert_allclose(found, [2, *[62] * 7])


def test_subjects_that_do_not_differ_have_no_variance():
    trials = toy_t3()
    response = trials["response"] - trials.groupby("subject")["response"].transform("mean")
    fit = fit_random_intercept(toy_sums(response=response.to_numpy()))
    assert fit.at_boundary
    assert fit.subject_variance == 0
    assert (fit.subject_effects == 0).all()
    np.testing.assert_allclose([fit.marginal, fit.conditional], 0.82084341, atol=6e-9)
    assert np.isfinite(fit.estimates(np.eye(8)).standard_error).all()


def test_a_response_that_the_model_makes_exactly():
    trials = toy_t3()
    design = task_design(trials, "log")
    fit = fit_random_intercept(toy_sums(response=design @ np.arange(8.0)))
    np.testing.assert_allclose(fit.coefficients, np.arange(8.0), atol=1e-7)
    assert fit.marginal == pytest.approx(1)


@pytest.mark.parametrize(
    "design",
    [
        np.column_stack([np.ones(9), np.arange(9), 2 * np.arange(9) + 3]),
        np.column_stack([np.ones(9), np.zeros(9)]),
        np.random.default_rng(0).normal(size=(9, 9)),
    ],
    ids=["dependent", "zero", "as many columns as rows"],
)
def test_singular_designs_are_named(design):
    with pytest.raises(SingularDesign):
        fit_random_intercept(SubjectSums.of(design, np.arange(9.0) ** 2, np.arange(9) % 3))


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_where_subjects_cannot_be_told_from_anything_else_they_have_no_variance(method):
    rng = np.random.default_rng(0)
    response = rng.normal(size=12)
    one_row_each = SubjectSums.of(np.ones((12, 1)), response, np.arange(12))
    assert fit_random_intercept(one_row_each, method).subject_variance == 0
    # the fixed part has a column for every subject
    subjects = np.arange(12) % 3
    own_mean = SubjectSums.of(np.eye(3)[subjects], response, subjects)
    assert fit_random_intercept(own_mean, method).subject_variance == 0


def test_sums_of_some_subjects_and_columns_are_those_of_their_rows():
    trials = toy_t3()
    design, response = task_design(trials, "log"), trials["response"].to_numpy()
    subjects = trials["subject"].factorize()[0]
    every = SubjectSums.of(design, response, subjects)
    others = subjects != 1
    matrix = np.random.default_rng(0).normal(size=(8, 2))
    for found, rows, columns in [
        (every.columns([0, 4, 1]), subjects >= 0, design[:, [0, 4, 1]]),
        (every.without(1), others, design),
        (every.only(1), ~others, design),
        (every.recoded(matrix), subjects >= 0, design @ matrix),
    ]:
        codes = np.unique(subjects[rows], return_inverse=True)[1]
        for name, expected in vars(SubjectSums.of(columns[rows], response[rows], codes)).items():
            np.testing.assert_allclose(getattr(found, name), expected, atol=1e-12)


def test_order_of_rows_does_not_matter():
    trials = toy_t3().sample(frac=1, random_state=3)
    codes = trials["subject"].str[1:].astype(np.intp) - 1
    shuffled = SubjectSums.of(task_design(trials, "log"), trials["response"].to_numpy(), codes.to_numpy())
    found, expected = fit_random_intercept(shuffled), fit_random_intercept(toy_sums())
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-10)
    np.testing.assert_allclose(found.subject_effects, expected.subject_effects, rtol=1e-10)


def test_worked_fit_with_logarithms_to_base_two():
    fit = fit_random_intercept(toy_sums("log2").columns(range(6)))
    expected = [0.99959440, 0.17183312, 0.30715901, 0.00136911, 0.51521484, 0.07022606]
    np.testing.assert_allclose(fit.coefficients, expected, atol=6e-9)
    assert fit.estimates(np.eye(6)).standard_error[1] == pytest.approx(0.01202592, abs=6e-9)
    np.testing.assert_allclose([fit.marginal, fit.conditional], [0.67096764, 0.84439210], atol=6e-9)


def test_worked_prediction_of_subjects_left_out():
    sums = toy_sums("log2").columns(range(6))
    found, inside = [], []
    for subject in range(3):
        fit = fit_random_intercept(sums.without(subject), "ML")
        found.append(held_out_r_squared(fit.coefficients, sums.only(subject), centred=True))
        inside.append(fit.marginal)
        raw = held_out_r_squared(fit.coefficients, sums.only(subject), centred=False)
        assert raw < found[-1]
    np.testing.assert_allclose(found, [0.77716839, 0.82480851, 0.82058222], atol=2e-6)
    assert np.mean(inside) == pytest.approx(0.70978817, abs=2e-6)


def test_a_constant_response_cannot_be_predicted():
    sums = SubjectSums.of(np.ones((4, 1)), np.full(4, 0.1), np.zeros(4, dtype=np.intp))
    assert np.isnan(held_out_r_squared(np.array([0.1]), sums, centred=True))


@st.composite
def designs(draw):
    """Unbalanced rows of two to eight subjects and one to six columns, with and without differences between subjects."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_subjects, n_columns = draw(st.integers(2, 8)), draw(st.integers(1, 6))
    n_rows = np.array(draw(st.lists(st.integers(4, 40), min_size=n_subjects, max_size=n_subjects)))
    subjects = np.repeat(np.arange(n_subjects), n_rows)
    design = rng.normal(size=(len(subjects), n_columns))
    # the first column is an intercept, others may differ between subjects
    design[:, 0] = 1
    design[:, 1:] += draw(st.sampled_from([0.0, 1.0])) * rng.normal(size=(n_subjects, n_columns - 1))[subjects]
    response = design @ rng.normal(size=n_columns) + rng.normal(size=len(subjects))
    response += draw(st.sampled_from([0.0, 0.05, 0.3, 1.0, 5.0])) * rng.normal(size=n_subjects)[subjects]
    return design, response, subjects.astype(np.intp)


@pytest.mark.parametrize("method", ["REML", "ML"])
@given(data=designs())
@settings(deadline=None, max_examples=60)
def test_never_less_likely_than_statsmodels_and_the_same_where_it_is_right(method, data):
    design, response, subjects = data
    fit = fit_random_intercept(SubjectSums.of(design, response, subjects), method)
    model = MixedLM(response, design, groups=subjects)
    # what its `fit` sets before it searches
    model.reml, model.fe_pen, model.cov_pen, model._cov_sing = method == "REML", None, None, 0

    def likelihood(ratio, coefficients=None):
        known = np.zeros(design.shape[1]) if coefficients is None else coefficients
        at = MixedLMParams.from_components(fe_params=known, cov_re=np.array([[ratio]]))
        return model.loglike(at, profile_fe=coefficients is None)

    def cost(log_ratio):
        return -likelihood(np.exp(log_ratio))

    tolerance = 1e-8 * max(1.0, abs(fit.log_likelihood))
    ratio = fit.subject_variance / fit.residual_variance
    # it knows no variance of zero
    assert fit.log_likelihood == pytest.approx(likelihood(max(ratio, 1e-12), fit.coefficients), abs=tolerance)
    if ratio > 1e-8:
        expected, _ = model.get_fe_params(np.array([[ratio]]), np.zeros(0))
    else:
        expected = np.linalg.lstsq(design, response)[0]
    np.testing.assert_allclose(fit.coefficients, expected, rtol=1e-6, atol=1e-8)
    grid = np.linspace(-18, 8, 60)
    best = grid[np.argmin([cost(point) for point in grid])]
    searched = minimize_scalar(cost, bounds=(best - 1, best + 1), method="bounded", options={"xatol": 1e-9})
    assert fit.log_likelihood >= -searched.fun - tolerance
    if not fit.at_boundary and searched.fun < -fit.log_likelihood + 1e-6:
        assert fit.log_likelihood == pytest.approx(-searched.fun, abs=tolerance)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_standard_errors_from_the_curvature_are_those_of_statsmodels(method):
    rng = np.random.default_rng(5)
    subjects = np.repeat(np.arange(5), [8, 30, 12, 20, 55])
    design = np.column_stack([np.ones(125), rng.normal(size=(125, 2)) + rng.normal(size=(5, 2))[subjects]])
    response = design @ [1, 0.5, -0.2] + rng.normal(size=5)[subjects] + rng.normal(size=125)
    fit = fit_random_intercept(SubjectSums.of(design, response, subjects), method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = MixedLM(response, design, groups=subjects).fit(reml=method == "REML", gtol=1e-10)
    np.testing.assert_allclose(fit.coefficients, expected.fe_params, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.observed_covariance)), expected.bse_fe, rtol=1e-5)
    # those of generalised least squares differ a little where subjects are as unbalanced as here
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), expected.bse_fe, rtol=0.05)
    np.testing.assert_allclose(fit.residual_variance, expected.scale, rtol=1e-4)
    np.testing.assert_allclose(fit.subject_variance, expected.cov_re[0, 0], rtol=1e-4)
    effects = [float(expected.random_effects[subject].iloc[0]) for subject in range(5)]
    np.testing.assert_allclose(fit.subject_effects, effects, rtol=1e-4)


@pytest.mark.parametrize("n_subjects", [4, 6, 10])
def test_intervals_for_few_subjects_cover(n_subjects):
    # the study proper: `benchmarks/mixed_model.py`
    n_cohorts = 600
    covered = coverage(n_subjects, n_cohorts, seed=1)
    spread = np.sqrt(0.95 * 0.05 / n_cohorts)
    assert np.abs(covered.suited - 0.95).max() < 3.5 * spread
    # the plain interval of the intercept is too narrow
    assert covered.plain[0] < covered.suited[0]
    if n_subjects < 10:
        assert covered.plain[0] < 0.95 - 3 * spread
