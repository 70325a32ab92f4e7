"""Drop-one models: the numbers of plain refits, honest about what cannot be fitted, whatever the order of the rows."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.session_models import LEVELS, r_squared, simulated_frame, simulated_trials

from iblnm_core.analyses.drop_one import (
    INTERCEPT,
    PREDICTORS,
    RECORDING_COLUMNS,
    TERMS,
    code_recordings,
    design_matrix,
    drop_one,
    terms_with,
)
from iblnm_core.analyses.least_squares import fit_with_and_without, is_degenerate
from iblnm_core.errors import UnknownOption


def test_the_model_has_nineteen_columns():
    assert len(TERMS) == 19
    assert TERMS[: len(PREDICTORS) + 1] == (INTERCEPT, *PREDICTORS)
    assert not {"side:reward", "side:choice_side", "reward:choice_side"} & set(TERMS)
    assert [TERMS[place] for place in terms_with("side")] == [
        "side",
        "contrast:side",
        "side:log_reaction_time",
        "side:peak_velocity",
    ]
    predictors = np.random.default_rng(0).normal(size=(5, 6))
    for term, column in zip(TERMS[1:], design_matrix(predictors).T[1:], strict=True):
        product = np.prod([predictors[:, PREDICTORS.index(name)] for name in term.split(":")], axis=0)
        np.testing.assert_array_equal(column, product)


def test_six_trials_worked_by_hand():
    x, z = np.arange(1.0, 7), np.array([0.0, 1, 0, 1, 0, 1])
    design = np.column_stack([np.ones(6), x, z, x * z])
    fits = fit_with_and_without([design], [np.array([1.0, 3, 2, 5, 4, 6])], [[1, 3]])
    assert fits.r2[0] == pytest.approx(0.98095238, abs=5e-9)
    assert fits.delta_r2[0, 0] == pytest.approx(0.51428571, abs=5e-9)
    assert fits.r2[0] - fits.delta_r2[0, 0] == pytest.approx(0.46666667, abs=5e-9)


def test_independent_regressors_add_what_they_explain():
    # 0.5 in full, 0.3 without the contrast, 0.45 without the side
    columns = np.linalg.qr(np.column_stack([np.ones(64), np.random.default_rng(0).normal(size=(64, 4))]))[0]
    response = columns[:, 1:] @ np.sqrt([0.2, 0.05, 0.25, 0.5])
    design = np.column_stack([np.ones(64), columns[:, 1:4]])
    fits = fit_with_and_without([design], [response], [[1], [2]])
    np.testing.assert_allclose(fits.r2, [0.5])
    np.testing.assert_allclose(fits.delta_r2, [[0.2, 0.05]])


@given(st.integers(0, 2**16), st.integers(50, 200), st.floats(-3, 3))
@settings(deadline=None, max_examples=30)
def test_the_fits_are_those_of_plain_least_squares(seed, n_trials, offset):
    random = np.random.default_rng(seed)
    frame = simulated_trials(random, n_trials, eid="e", subject="m")
    frame["response"] += offset + 0.3 * np.log1p(frame["contrast"])
    frame.loc[random.random(n_trials) < 0.05, "peak_velocity"] = np.nan
    recordings = code_recordings(frame, "log2", LEVELS)
    found = drop_one(recordings, minimum_trials=20, regressors=TERMS)
    design, response = design_matrix(recordings[0].predictors), recordings[0].response
    if is_degenerate(design):
        assert found.delta_r2.empty
        return
    plain = sm.OLS(response, design).fit()
    np.testing.assert_allclose(found.coefficients["coef"], plain.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.coefficients["coef_se"], plain.bse, rtol=1e-7)
    np.testing.assert_allclose(found.delta_r2["r2"], plain.rsquared, rtol=1e-9)
    lacking = [plain.rsquared - r_squared(np.delete(design, terms_with(p), axis=1), response) for p in PREDICTORS]
    np.testing.assert_allclose(found.delta_r2["delta_r2"], lacking, atol=1e-10)
    assert (found.delta_r2["delta_r2"] >= 0).all()
    assert set(found.delta_r2["n_trials"]) == {frame["peak_velocity"].notna().sum()}


@given(st.integers(0, 2**16), st.integers(1, 8), st.sampled_from(["copy", "sum", "constant", "none"]))
@settings(deadline=None)
def test_a_degenerate_design_is_told_by_its_rank(seed, scale, kind):
    random = np.random.default_rng(seed)
    design = np.column_stack([np.ones(40), random.normal(size=(40, 5)) * 10.0 ** random.integers(-scale, scale, 5)])
    if kind != "none":
        design[:, 5] = {"copy": design[:, 1], "sum": design[:, 1] + design[:, 2], "constant": 3.0}[kind]
    triangle = np.linalg.qr(design, mode="r")
    values = np.linalg.svd(design, compute_uv=False)
    ratio = values[-1] / values[0]
    # within a factor of rounding errors of the limit either answer is right
    if not 1e-16 < ratio / design.shape[1] < 1e-15:
        assert is_degenerate(design) == is_degenerate(triangle) == (ratio < 6 * np.finfo(float).eps)
    if kind in {"copy", "constant"}:
        assert is_degenerate(triangle)
    assert is_degenerate(design[:4])


def test_the_centre_of_the_contrast_does_not_matter_to_what_is_explained():
    frame = simulated_frame(4, seed=1)
    frame.loc[frame["contrast"].eq(100) & (frame.index % 3 == 0), "log_reaction_time"] = np.nan
    after = drop_one(code_recordings(frame, "log2", LEVELS), regressors=TERMS)
    before = drop_one(code_recordings(frame, "log2", LEVELS, "all_trials"), regressors=TERMS)
    pd.testing.assert_frame_equal(after.delta_r2, before.delta_r2)
    coefficients = [fits.coefficients.set_index("regressor")["coef"] for fits in (after, before)]
    crossed = [term for term in TERMS if ":" in term]
    pd.testing.assert_series_equal(coefficients[0][crossed], coefficients[1][crossed])
    assert not np.allclose(coefficients[0]["side"], coefficients[1]["side"])
    centred = code_recordings(frame, "log2", LEVELS)[0].predictors[:, 0]
    assert abs(centred.mean()) < 1e-12


def test_the_order_of_rows_does_not_matter():
    frame = simulated_frame(5, seed=2)
    ordered = drop_one(code_recordings(frame, "log2", LEVELS))
    shuffled = drop_one(code_recordings(frame.sample(frac=1, random_state=0), "log2", LEVELS))
    for name in ("delta_r2", "coefficients", "outcomes"):
        pd.testing.assert_frame_equal(getattr(ordered, name), getattr(shuffled, name))


def test_fibres_and_events_of_a_session_are_recordings_of_their_own():
    random = np.random.default_rng(3)
    keys = [(fiber, event) for fiber in (0, 1) for event in ("feedback", "stimOn")]
    frames = [simulated_trials(random, 80, eid="e", subject="m", fiber_idx=f, event=event) for f, event in keys]
    found = drop_one(code_recordings(pd.concat(frames, ignore_index=True), "log2", LEVELS)).delta_r2
    assert not found.duplicated([*RECORDING_COLUMNS, "predictor"]).any()
    assert set(found[["fiber_idx", "event"]].itertuples(index=False, name=None)) == set(keys)
    for (fiber, event), frame in zip(keys, frames, strict=True):
        alone = drop_one(code_recordings(frame, "log2", LEVELS)).delta_r2
        here = found[found["fiber_idx"].eq(fiber) & found["event"].eq(event)]
        np.testing.assert_array_equal(alone["delta_r2"], here["delta_r2"])


def test_what_cannot_be_fitted_says_why():
    random = np.random.default_rng(4)
    changes = {
        "ok": {},
        "too_few_trials": {"response": [np.nan] * 60 + [1.0, 2, 3, 4] * 10},
        "missing_input": {"peak_velocity": np.nan},
        "single_level": {"feedbackType": 1},
        "constant_response": {"response": 1.5},
        "singular_design": {"contrast": 25.0},
    }
    frames = [
        simulated_trials(random, 100, eid=status, subject="m").assign(**change) for status, change in changes.items()
    ]
    frames.append(simulated_trials(random, 49, eid="short", subject="m"))
    frames.append(simulated_trials(random, 50, eid="enough", subject="m"))
    found = drop_one(code_recordings(pd.concat(frames, ignore_index=True), "log2", LEVELS))
    status = found.outcomes.set_index("eid")["status"].to_dict()
    assert status == {**{name: name for name in changes}, "short": "too_few_trials", "enough": "ok"}
    details = found.outcomes.set_index("eid")["detail"]
    assert details["missing_input"] == "no trial has a value of peak_velocity"
    assert details["short"] == "49 complete trials; expected at least 50"
    assert set(found.delta_r2["eid"]) == {"ok", "enough"}
    assert np.isfinite(found.coefficients[["coef", "coef_se"]].to_numpy()).all()


def test_nothing_has_tables_with_the_same_columns():
    frame = simulated_frame(1, seed=5)
    some, none = (drop_one(code_recordings(rows, "log2", LEVELS)) for rows in (frame, frame[:0]))
    for name in ("delta_r2", "coefficients", "outcomes"):
        full, empty = getattr(some, name), getattr(none, name)
        assert empty.empty
        assert full.dtypes.to_dict() == empty.dtypes.to_dict()


def test_an_unknown_centring_is_refused():
    with pytest.raises(UnknownOption, match="complete_cases, all_trials"):
        code_recordings(simulated_frame(1, seed=6), "log2", LEVELS, "median")
