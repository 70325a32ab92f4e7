"""The psychometric fit: never behind a search from many random points, the same every time, honest about thin data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.paths import REPOSITORY
from tests_support.psychometric import best_of_ten, simulated_choices

from iblnm_core.parameters import PRESETS, PsychometricParameters
from iblnm_core.session.psychometric import (
    PARAMETER_NAMES,
    ChoiceCounts,
    count_choices,
    fit_psychometrics,
    psychometric_function,
)

PARAMETERS = PsychometricParameters()
LEVELS = np.array([-100, -25, -12.5, -6.25, 0, 6.25, 12.5, 25, 100.0])


def test_function_has_its_asymptotes_and_its_middle():
    parameters = np.array([5.0, 20.0, 0.1, 0.05])
    found = psychometric_function(np.array([-1e3, 5.0, 1e3]), parameters)
    np.testing.assert_allclose(found, [0.1, (0.1 + 0.95) / 2, 0.95])


def test_choices_are_counted_by_level_and_the_zeros_are_one():
    counts = count_choices(np.array([-0.0, 0.0, 25.0, -25.0, 25.0]), np.array([True, False, True, False, True]))
    assert counts.levels.tolist() == [-25, 0, 25]
    assert counts.n_trials.tolist() == [1, 2, 2]
    assert counts.n_right.tolist() == [0, 1, 2]


def test_never_less_likely_than_the_best_of_ten_searches():
    data = [simulated_choices(seed) for seed in range(25)]
    fits = fit_psychometrics(data, PARAMETERS)
    for seed, (counts, fit) in enumerate(zip(data, fits, strict=True)):
        likelihood, estimate = best_of_ten(counts, PARAMETERS.bounds, seed)
        assert fit.log_likelihood >= likelihood - 1e-9
        if not fit.at_bound and fit.log_likelihood < likelihood + 1e-6:
            # where the two found the same maximum they agree as far as the search goes
            found = [getattr(fit, name) for name in PARAMETER_NAMES]
            np.testing.assert_allclose(found[:2], estimate[:2], atol=0.05)
            np.testing.assert_allclose(found[2:], estimate[2:], atol=5e-4)


def test_never_less_likely_than_ten_searches_on_a_thousand_sessions():
    # what they found: `benchmarks/psychometric.py --search`
    searched = np.load(REPOSITORY / "tests" / "data" / "best_of_ten.npy")
    fits = fit_psychometrics([simulated_choices(seed) for seed in range(1000)], PARAMETERS)
    gain = np.array([fit.log_likelihood for fit in fits]) - searched
    assert len(searched) == 1000
    assert gain.min() > -1e-9


@given(
    st.tuples(st.floats(-40, 40), st.floats(12, 45), st.floats(0.01, 0.19), st.floats(0.01, 0.19)),
    st.integers(0, 2**16),
)
@settings(deadline=None)
def test_nothing_near_is_more_likely(planted, seed):
    random = np.random.default_rng(seed)
    n_trials = random.integers(5, 80, len(LEVELS)).astype(float)
    n_right = random.binomial(n_trials.astype(int), psychometric_function(LEVELS, np.array(planted))).astype(float)
    counts = ChoiceCounts(LEVELS, n_trials, n_right)
    [fit] = fit_psychometrics([counts], PARAMETERS)
    estimate = np.array([getattr(fit, name) for name in PARAMETER_NAMES])
    lower, upper = np.array(PARAMETERS.bounds).T
    assert ((estimate >= lower) & (estimate <= upper)).all()
    near = np.clip(estimate + random.normal(0, [1, 1, 0.01, 0.01], (200, 4)), lower, upper)
    probability = np.clip(psychometric_function(LEVELS, near), 1e-15, 1 - 1e-15)
    likelihood = (n_right * np.log(probability) + (n_trials - n_right) * np.log1p(-probability)).sum(axis=1)
    assert fit.log_likelihood >= likelihood.max() - 1e-8


def test_many_trials_give_the_planted_values_back():
    planted = np.array([-8.0, 22.0, 0.08, 0.03])
    n_trials = np.full(len(LEVELS), 1e7)
    [fit] = fit_psychometrics(
        [ChoiceCounts(LEVELS, n_trials, n_trials * psychometric_function(LEVELS, planted))], PARAMETERS
    )
    np.testing.assert_allclose([getattr(fit, name) for name in PARAMETER_NAMES], planted, rtol=1e-4)
    assert fit.r_squared == pytest.approx(1)
    assert fit.at_bound == ()


def test_a_fit_does_not_depend_on_the_batch():
    data = [simulated_choices(seed) for seed in range(6)]
    together = fit_psychometrics(data, PARAMETERS)
    assert together == [fit_psychometrics([counts], PARAMETERS)[0] for counts in data]
    assert together == fit_psychometrics(data, PARAMETERS)


def test_a_mouse_without_lapses_is_on_their_bound():
    n_trials = np.full(len(LEVELS), 50.0)
    n_right = np.round(n_trials * psychometric_function(LEVELS, np.array([0, 12, 0, 0.0])))
    [fit] = fit_psychometrics([ChoiceCounts(LEVELS, n_trials, n_right)], PARAMETERS)
    assert {"lapse_left", "lapse_right"} <= set(fit.at_bound)


def test_thin_data_give_no_numbers():
    none = ChoiceCounts(*[np.empty(0)] * 3)
    two = ChoiceCounts(np.array([-100, 100.0]), np.array([20.0, 20]), np.array([1.0, 19]))
    empty, thin = fit_psychometrics([none, two], PARAMETERS)
    assert (empty.status, empty.n_trials) == ("no trials", 0)
    assert (thin.status, thin.n_trials) == ("thin data", 40)
    assert np.isnan([empty.bias, thin.bias, thin.log_likelihood, thin.r_squared]).all()
    [reference] = fit_psychometrics([two], PRESETS["reference"].psychometric)
    assert reference.status == "ok"
    assert np.isfinite(reference.bias)
