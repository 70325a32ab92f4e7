"""The time constant of the bleaching: recovered where there is one, and a reason where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.parameters import PRESETS, BleachingFitParameters
from iblnm_core.session.bleaching import fit_bleaching

DEFAULT = PRESETS["default"].bleaching_fit


def decay(tau, minutes=60.0, start=26.6, scale=1.0, noise=0.01, amplitude=0.3, seed=0):
    times = start + np.arange(round(minutes * 1800)) / 30
    random = np.random.default_rng(seed)
    shape = 1 + amplitude * np.exp(-(times - start) / tau) + noise * random.normal(size=len(times))
    return times, scale * shape


@settings(deadline=None, max_examples=30)
@given(tau=st.floats(60, 3600), scale=st.sampled_from([1e-3, 0.05, 1.0, 1000.0]), start=st.floats(-500, 5000))
def test_a_time_constant_is_recovered_whatever_the_units_and_the_clock(tau, scale, start):
    fit = fit_bleaching(*decay(tau, scale=scale, start=start), DEFAULT)
    assert fit.verdict == "ok"
    assert fit.tau_s == pytest.approx(tau, rel=0.05)
    assert fit.amplitude == pytest.approx(0.3 * scale, rel=0.05)
    assert fit.r_squared > 0.95


@pytest.mark.parametrize("tau", [900.0, 1000.0])
def test_small_signals_do_not_return_where_the_search_began(tau):
    # with a third of the recording as its start, the reference's search stopped there: 1189 s for either
    fit = fit_bleaching(*decay(tau, scale=0.01), DEFAULT)
    assert fit.tau_s == pytest.approx(tau, rel=0.02)


def test_a_plain_search_on_a_fine_grid_finds_no_better_curve():
    times, values = decay(700, noise=0.2, minutes=20)
    fit = fit_bleaching(times, values, BleachingFitParameters(bin_s=1 / 30))
    losses = []
    for tau in np.linspace(0.9, 1.1, 41) * fit.tau_s:
        design = np.column_stack([np.exp(-(times - times[0]) / tau), np.ones(len(times))])
        coefficients = np.linalg.lstsq(design, values, rcond=None)[0]
        losses.append(np.sum((values - design @ coefficients) ** 2))
    assert int(np.argmin(losses)) == 20
    assert fit.r_squared == pytest.approx(1 - losses[20] / np.sum((values - values.mean()) ** 2), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (lambda t: 1 - 0.3 * np.exp(-t / 300), "no decay"),
        (lambda t: 1 + 0.1 * t / t[-1], "no decay"),
        (lambda t: np.full(len(t), 0.2), "no decay"),
        (lambda t: 1 - 0.1 * t / t[-1], "slower than the recording"),
        (lambda t: 1 + 0.3 * np.exp(-t / 2), "faster than the shortest"),
    ],
)
def test_what_is_no_decay_has_a_reason_instead_of_a_number(values, verdict):
    times = np.arange(0, 1200, 1 / 30)
    fit = fit_bleaching(times, values(times), DEFAULT)
    assert fit.verdict == verdict
    assert np.isnan(fit.tau_s)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 9])
def test_a_few_seconds_are_too_short(seconds):
    times = np.arange(0, seconds, 1 / 30)
    fit = fit_bleaching(times, 1 + np.exp(-times), DEFAULT)
    assert fit.verdict == "too short"
    assert np.isnan([fit.tau_s, fit.amplitude, fit.r_squared]).all()
