"""Variance components: the grid against brute force, the numbers worked by hand, planted variances, thin data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from iblnm_core.analyses.variance_components import (
    COMPONENTS,
    log_likelihood,
    log_prior,
    standardise,
    variance_components,
    variance_posteriors,
)
from iblnm_core.errors import UnknownOption

ESTIMATES = [0.10, 0.30, 0.25, 0.05, -0.20, 0.00, 0.50, 0.40, 0.45, 0.15]
ERRORS = [0.10, 0.12, 0.08, 0.10, 0.15, 0.10, 0.09, 0.11, 0.10, 0.14]
MICE = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3])


def _coefficients(estimates=ESTIMATES, errors=ERRORS, mice=MICE, **keys):
    return pd.DataFrame(
        {
            "eid": [f"e{place:02d}" for place in range(len(estimates))],
            "fiber_idx": 0,
            "subject": [f"m{mouse}" for mouse in mice],
            "target_NM": "VTA-DA",
            "event": "stimOn",
            "regressor": "contrast",
            "coef": estimates,
            "coef_se": errors,
        }
    ).assign(**keys)


def test_ten_estimates_worked_by_hand():
    values, errors = standardise(ESTIMATES, ERRORS)
    assert (values.mean(), values.std()) == (pytest.approx(0, abs=1e-15), pytest.approx(1))
    found = log_likelihood(values, errors, MICE, [0.3, 1.2], [0.7, 0.1])
    assert found.shape == (2, 2)
    np.testing.assert_allclose(np.diag(found), [-14.71535824, -13.25068905], atol=5e-9)


@pytest.mark.parametrize("n_grid", [100, 200, 400])
def test_posterior_means_worked_by_hand(n_grid):
    of_mouse, of_session = variance_posteriors(*standardise(ESTIMATES, ERRORS), MICE, n_grid=n_grid)
    assert of_mouse.mean == pytest.approx(0.98847933, abs=5e-9)
    assert of_session.mean == pytest.approx(0.26559694, abs=5e-9)


@given(st.integers(0, 2**16), st.integers(1, 5), st.floats(0, 3), st.floats(0.01, 3))
@settings(deadline=None)
def test_the_likelihood_is_a_multivariate_normal_density(seed, n_mice, sd_mouse, sd_session):
    random = np.random.default_rng(seed)
    mice = np.concatenate([np.arange(n_mice), random.integers(n_mice, size=7)])
    values, errors = random.normal(size=len(mice)), random.uniform(0.05, 1, len(mice))
    covariance = 1 + sd_mouse**2 * (mice[:, None] == mice) + np.diag(sd_session**2 + errors**2)
    expected = multivariate_normal.logpdf(values, np.zeros(len(mice)), covariance)
    assert log_likelihood(values, errors, mice, sd_mouse, sd_session)[0, 0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("prior", ["half-normal", "half-Cauchy", "uniform"])
def test_the_posterior_is_the_one_of_a_fine_brute_force_grid(prior):
    values, errors = standardise(ESTIMATES, ERRORS)
    end = 1.5 if prior == "uniform" else 8
    sd = (np.arange(600) + 0.5) * end / 600
    likelihood = np.exp(log_likelihood(values, errors, MICE, sd, sd))
    density = {
        "half-normal": np.exp(-((sd / 1.5) ** 2) / 2),
        "half-Cauchy": 1 / (1 + (sd / 1.5) ** 2),
        "uniform": 1 + 0 * sd,
    }
    joint = likelihood * density[prior][:, None] * density[prior]
    for axis, found in zip((1, 0), variance_posteriors(values, errors, MICE, prior, 1.5), strict=True):
        weights = joint.sum(axis=axis) / joint.sum()
        assert found.mean == pytest.approx(weights @ sd**2, rel=1e-3)
        inside = weights[(sd**2 > found.hdi_low) & (sd**2 < found.hdi_high)].sum()
        assert inside == pytest.approx(0.94, abs=0.01)
        # no interval of the same mass is shorter
        cumulative = np.concatenate([[0], weights.cumsum()])
        edges = np.linspace(0, end, 601) ** 2
        starts = np.flatnonzero(cumulative < 0.06)
        ends = np.searchsorted(cumulative, cumulative[starts] + 0.94)
        widths = edges[np.minimum(ends, 600)] - edges[starts]
        assert found.hdi_high - found.hdi_low < widths.min() * 1.01
        # densities are on the scale they are drawn on
        assert 0.9 < np.trapezoid(found.density, found.x) < 1.01
        np.testing.assert_allclose(10 ** found.x[[0, -1]], (np.array([0.5, 199.5]) * end / 200) ** 2)


def test_planted_variances_come_back():
    random = np.random.default_rng(0)
    mice = np.repeat(np.arange(40), 12)
    errors = np.full(len(mice), 0.1)
    of_mouse, of_session = (values / values.std() for values in (random.normal(size=40), random.normal(size=len(mice))))
    estimates = 0.4 + 0.35 * of_mouse[mice] + 0.12 * of_session + random.normal(0, errors)
    found = variance_components(_coefficients(estimates, errors, mice), n_grid=400).summary.set_index("component")
    scale = estimates.var()
    for name, planted in zip(COMPONENTS, (0.35**2, 0.12**2), strict=True):
        row = found.loc[name]
        assert row["hdi_low"] < planted / scale < row["hdi_high"]
        assert row["mean"] == pytest.approx(planted / scale, rel=0.25)
    assert found[["n_mice", "n_sessions", "n_recordings"]].to_numpy().tolist() == [[40, 480, 480]] * 2


def test_thin_cells_say_why_and_have_no_rows():
    enough = {"estimates": list(np.arange(20.0) % 7), "errors": [0.5] * 20, "mice": np.repeat(np.arange(4), 5)}
    cells = {
        "ok": _coefficients(**enough),
        "few": _coefficients(),
        "same": _coefficients(**enough).assign(coef=0.2),
        "none": _coefficients(**enough).assign(coef_se=np.nan),
    }
    table = pd.concat([cell.assign(regressor=name) for name, cell in cells.items()], ignore_index=True)
    found = variance_components(table)
    status = found.outcomes.set_index("variable")["status"].to_dict()
    assert status == {"ok": "ok", "few": "too_few_subjects", "same": "constant_response", "none": "no_data"}
    assert set(found.summary["regressor"]) == set(found.densities["regressor"]) == {"ok"}
    assert found.densities.groupby("component").size().to_dict() == dict.fromkeys(COMPONENTS, 200)
    few = variance_components(cells["few"], minimum_sessions=2, minimum_mice=4)
    assert few.summary["mean"].tolist() == pytest.approx([0.98847933, 0.26559694], abs=5e-9)
    empty = variance_components(table[:0])
    for name in ("summary", "densities", "outcomes"):
        assert getattr(empty, name).empty
        assert getattr(empty, name).dtypes.to_dict() == getattr(found, name).dtypes.to_dict()


def test_two_fibres_of_a_session_are_one_session():
    mice = np.repeat(np.arange(4), 6)
    table = _coefficients(np.arange(24.0) % 7, [0.5] * 24, mice)
    doubled = table.assign(eid=[f"e{place // 2}" for place in range(24)], fiber_idx=np.arange(24) % 2)
    assert variance_components(table).outcomes["status"].tolist() == ["ok"]
    assert variance_components(doubled).outcomes["status"].tolist() == ["too_few_subjects"]
    assert variance_components(doubled, minimum_sessions=3).summary["n_sessions"].tolist() == [12, 12]


def test_the_order_of_rows_does_not_matter():
    cells = [_coefficients(), _coefficients(event="feedback"), _coefficients(regressor="side")]
    table = pd.concat(cells, ignore_index=True)
    ordered, shuffled = (
        variance_components(rows, minimum_sessions=2) for rows in (table, table.sample(frac=1, random_state=0))
    )
    for name in ("summary", "densities", "outcomes"):
        pd.testing.assert_frame_equal(getattr(ordered, name), getattr(shuffled, name))


def test_what_does_not_vary_and_what_is_no_prior_are_refused():
    with pytest.raises(ValueError, match="expected some that differ"):
        standardise([0.2] * 3, [0.1] * 3)
    with pytest.raises(UnknownOption, match="half-normal, half-Cauchy, uniform"):
        log_prior(np.ones(2), "gamma", 1)
    with pytest.raises(UnknownOption):
        variance_components(_coefficients()[:0], prior="gamma")
