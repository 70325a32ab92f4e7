"""The model of every recording: worked numbers, planted effects, plain least squares; what cannot be fitted says why."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.task_encoding import LEVELS, simulated_trials

from iblnm_core.analyses.coding import code_contrast
from iblnm_core.analyses.least_squares import fit_with_and_without
from iblnm_core.analyses.session_glm import RECORDING_LEVELS, TERMS, coefficient_matrix, session_glm
from iblnm_core.demo.simulated_cohorts import simulated_recordings
from iblnm_core.errors import MissingPrerequisite, UnitError, UnknownOption

WORKED = {
    "rank": (
        (0.569162, 0.150852, 0.407567, 0.468977, 0.419850, -0.547309, 0.097006),
        (0.111476, 0.079892, 0.226312, 0.224273, 0.157564, 0.159785, 0.452736),
    ),
    "log": (
        (0.565959, 0.139689, 0.380364, 0.484371, 0.359328, -0.454463, 0.135375),
        (0.116439, 0.077119, 0.235691, 0.233892, 0.152084, 0.154186, 0.471531),
    ),
    "linear": (
        (0.596280, 0.006953, 0.344947, 0.474885, 0.020046, -0.014537, 0.116493),
        (0.116870, 0.003195, 0.234768, 0.232906, 0.006343, 0.006398, 0.470062),
    ),
    "log2": (
        (0.567372, 0.098026, 0.384417, 0.481292, 0.255113, -0.318997, 0.127312),
        (0.115440, 0.052908, 0.233750, 0.231889, 0.104320, 0.105791, 0.467627),
    ),
}


def _worked(hemisphere="l"):
    recording = simulated_recordings(1).assign(hemisphere=hemisphere)
    cells = [(c, right, w) for c in LEVELS for right in (False, True) for w in (1.0, -1.0) for _ in range(2)]
    contrast, right, reward = map(np.array, zip(*cells, strict=True))
    trial = np.arange(40)
    frame = recording.loc[np.zeros(40, dtype=int)].assign(
        event="stimOn",
        trial=trial,
        contrast=contrast,
        side=np.where(right == (hemisphere == "l"), "contra", "ipsi"),
        feedbackType=reward,
        response=np.sin(1.7 * trial) + 0.02 * contrast * right + 0.5 * (reward == 1),
    )
    return frame[trial % 7 != 3].reset_index(drop=True), recording


@pytest.mark.parametrize("coding", WORKED)
def test_thirty_four_trials_worked_by_hand(coding):
    found = session_glm(*_worked(), coding, LEVELS).coefficients
    assert tuple(found["term"]) == TERMS
    np.testing.assert_allclose(found["coef"], WORKED[coding][0], atol=1e-6)
    np.testing.assert_allclose(found["se"], WORKED[coding][1], atol=1e-6)
    np.testing.assert_allclose(found["t"], found["coef"] / found["se"])
    assert set(found["n_trials"]) == {34}
    assert set(found["residual_df"]) == {27}


def test_the_other_hemisphere_turns_what_has_a_side():
    left, right = (session_glm(*_worked(side), "rank", LEVELS).coefficients["coef"] for side in "lr")
    turned = np.array(["side" in term.split(":") for term in TERMS])
    np.testing.assert_allclose(right, np.where(turned, -left, left), atol=1e-12)


def test_the_smaller_model_of_the_same_trials():
    frame, _ = _worked()
    contrast = code_contrast(frame["contrast"], "log2", LEVELS)
    contrast -= contrast.mean()
    side, reward = np.where(frame["side"] == "contra", 0.5, -0.5), frame["feedbackType"].to_numpy() / 2
    columns = [np.ones(len(frame)), contrast, side, contrast * side, reward, contrast * reward]
    fits = fit_with_and_without([np.column_stack(columns)], [frame["response"].to_numpy()], [])
    expected = [0.568835, 0.100302, 0.389837, 0.254446, 0.484918, -0.322686]
    np.testing.assert_allclose(fits.coefficients[0], expected, atol=1e-6)
    assert fits.r2[0] == pytest.approx(0.483338, abs=1e-6)


@given(st.integers(0, 2**16), st.sampled_from(list(WORKED)))
@settings(deadline=None, max_examples=25)
def test_the_fits_are_those_of_plain_least_squares(seed, coding):
    recordings = simulated_recordings(3)
    frame = simulated_trials(recordings, 60, seed, effects=[0.3, 0.5, 1, 0.2, -0.2, 0.1])
    frame.loc[np.random.default_rng(seed).random(len(frame)) < 0.1, "response"] = np.nan
    found = session_glm(frame, recordings, coding, LEVELS).coefficients
    for eid, of_recording in found.groupby("eid"):
        own = frame[frame["eid"].eq(eid) & frame["response"].notna()]
        c = code_contrast(own["contrast"], coding, LEVELS)
        c, s, w = c - c.mean(), np.where(own["side"] == "contra", 0.5, -0.5), own["feedbackType"] / 2
        plain = sm.OLS(own["response"].to_numpy(), np.column_stack([c**0, c, s, w, c * s, c * w, s * w])).fit()
        np.testing.assert_allclose(of_recording["coef"], plain.params, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(of_recording["se"], plain.bse, rtol=1e-8)
        np.testing.assert_allclose(of_recording["r2"], plain.rsquared, rtol=1e-8)
        np.testing.assert_allclose(of_recording["sigma"] ** 2, plain.mse_resid, rtol=1e-8)
        assert set(of_recording["n_trials"]) == {len(own)}


@given(st.integers(0, 2**16))
@settings(deadline=None, max_examples=15)
def test_the_order_of_rows_does_not_matter(seed):
    recordings = simulated_recordings(4)
    frame = simulated_trials(recordings, 40, 0, events=("stimOn", "feedback"))
    ordered = session_glm(frame, recordings, "rank", LEVELS)
    mixed = session_glm(
        frame.sample(frac=1, random_state=seed), recordings.sample(frac=1, random_state=seed), "rank", LEVELS
    )
    pd.testing.assert_frame_equal(ordered.coefficients, mixed.coefficients)
    pd.testing.assert_frame_equal(ordered.outcomes, mixed.outcomes)


def test_planted_effects_are_found():
    effects = np.array([0.3, 0.6, 1.2, 0.4, -0.5, 0.7])
    recordings = simulated_recordings(40)
    frame = simulated_trials(recordings, 400, 1, effects=effects)
    found = session_glm(frame, recordings, "rank", LEVELS).coefficients
    # what contrast is multiplied with is meant at the mean contrast
    ranks = np.searchsorted(LEVELS, frame["contrast"])
    centre = pd.Series(ranks).groupby(frame["eid"]).mean().to_numpy()
    truth = np.repeat(effects[None], len(recordings), axis=0)
    truth[:, 1] += effects[3] * centre
    truth[:, 2] += effects[4] * centre
    by_recording = found.set_index(["eid", "term"])
    wanted = pd.MultiIndex.from_product([recordings["eid"], TERMS[1:]])
    found = by_recording.loc[wanted]
    z = (found["coef"] - truth.ravel()) / found["se"]
    assert abs(z.mean()) < 3 / np.sqrt(z.size)
    assert 0.85 < z.std() < 1.15
    assert np.median(found["sigma"]) == pytest.approx(1, abs=0.03)


def test_what_cannot_be_fitted_says_why():
    recordings = simulated_recordings(10)
    names = [
        "ok",
        "short",
        "enough",
        "one side",
        "one outcome",
        "one contrast",
        "constant",
        "no side",
        "nothing",
        "entwined",
    ]
    recordings["eid"] = names
    recordings.loc[recordings["eid"] == "no side", "hemisphere"] = ""
    frame = simulated_trials(recordings, 100, 2)
    is_of = {name: frame["eid"] == name for name in names}
    frame.loc[is_of["one side"], "side"] = "contra"
    frame.loc[is_of["one outcome"], "feedbackType"] = 1
    frame.loc[is_of["one contrast"], "contrast"] = 25.0
    frame.loc[is_of["constant"], "response"] = 0.1
    frame.loc[is_of["entwined"], "side"] = np.where(frame.loc[is_of["entwined"], "feedbackType"] == 1, "contra", "ipsi")
    frame.loc[is_of["ok"] & frame["trial"].lt(30), "response"] = np.nan
    # as few trials as this may have too few errors
    frame.loc[is_of["enough"], "feedbackType"] = np.where(np.arange(100) % 2, 1.0, -1.0)
    limits = frame["eid"].map({"short": 10, "enough": 20}).fillna(100)
    frame = frame[~is_of["nothing"] & (frame["trial"] < limits)]
    found = session_glm(frame, recordings, "rank", LEVELS)
    outcomes = found.outcomes.set_index("eid")
    assert outcomes["status"].to_dict() == {
        "ok": "ok",
        "short": "too_few_trials",
        "enough": "ok",
        "one side": "single_level",
        "one outcome": "single_level",
        "one contrast": "single_level",
        "constant": "constant_response",
        "no side": "missing_input",
        "nothing": "no_data",
        "entwined": "singular_design",
    }
    assert outcomes["detail"]["short"] == "10 complete trials; expected at least 20"
    assert outcomes["detail"]["no side"] == "no trial has a value of side"
    assert outcomes["detail"]["one contrast"] == "only one level of contrast"
    assert outcomes["n_trials"][["ok", "short", "no side", "nothing"]].tolist() == [70, 10, 0, 0]
    assert set(found.coefficients["eid"]) == {"ok", "enough"}
    assert not found.coefficients.isna().any().any()


def test_fibres_of_a_session_keep_their_own_side_and_target():
    recordings = (
        simulated_recordings(1)
        .loc[[0, 0]]
        .assign(fiber_idx=[0, 1], hemisphere=["r", "l"], target_NM=["SNc-DA", "VTA-DA"])
    )
    frame = simulated_trials(recordings.reset_index(drop=True), 80, 3)
    found = session_glm(frame, recordings, "rank", LEVELS).coefficients
    assert found.drop_duplicates("fiber_idx")[["fiber_idx", "hemisphere", "target_NM"]].to_numpy().tolist() == [
        [0, "r", "SNc-DA"],
        [1, "l", "VTA-DA"],
    ]
    alone = session_glm(frame[frame["fiber_idx"] == 1], recordings, "rank", LEVELS).coefficients
    np.testing.assert_array_equal(alone["coef"], found.loc[found["fiber_idx"] == 1, "coef"])


def test_contrasts_mean_the_same_in_every_recording():
    recordings = simulated_recordings(2)
    frame = simulated_trials(recordings, 80, 4)
    few = frame[frame["eid"].ne("e0000") | frame["contrast"].isin([0.0, 25.0, 100.0])]
    for rows in (few, few[few["eid"] == "e0000"]):
        found = session_glm(rows, recordings, "rank", LEVELS).coefficients
        of_first = found[found["eid"].eq("e0000") & found["term"].eq("contrast")]["coef"].item()
        own = rows[rows["eid"] == "e0000"]
        ranks = own["contrast"].map({0.0: 0, 25.0: 3, 100.0: 4}).to_numpy(float)
        c, s, w = ranks - ranks.mean(), np.where(own["side"] == "contra", 0.5, -0.5), own["feedbackType"] / 2
        plain = sm.OLS(own["response"].to_numpy(), np.column_stack([c**0, c, s, w, c * s, c * w, s * w])).fit()
        assert of_first == pytest.approx(plain.params[1])


def test_bad_input_is_refused():
    recordings = simulated_recordings(2)
    frame = simulated_trials(recordings, 40, 5)
    with pytest.raises(UnknownOption, match="'goCue'; the trials have stimOn"):
        session_glm(frame, recordings, "rank", LEVELS, events=["goCue"])
    with pytest.raises(ValueError, match="none of the levels"):
        session_glm(frame.replace({"contrast": {25.0: 50.0}}), recordings, "rank", LEVELS)
    with pytest.raises(UnitError, match="fraction"):
        session_glm(frame.assign(contrast=frame["contrast"] / 100), recordings, "log2", LEVELS)
    with pytest.raises(UnknownOption, match="sqrt"):
        session_glm(frame, recordings, "sqrt", LEVELS)
    with pytest.raises(MissingPrerequisite, match="hemisphere"):
        session_glm(frame, recordings.drop(columns="hemisphere"), "rank", LEVELS)
    with pytest.raises(ValueError, match="there twice"):
        session_glm(frame, pd.concat([recordings, recordings]), "rank", LEVELS)


def test_nothing_has_tables_with_the_same_columns():
    recordings = simulated_recordings(1)
    frame = simulated_trials(recordings, 40, 6)
    some, none = (session_glm(rows, recordings, "rank", LEVELS) for rows in (frame, frame[:0]))
    outside = session_glm(frame, recordings[:0], "rank", LEVELS)
    for empty in (none, outside):
        assert empty.coefficients.empty
        assert empty.coefficients.dtypes.to_dict() == some.coefficients.dtypes.to_dict()
        assert list(empty.outcomes) == list(some.outcomes)


def test_the_matrix_has_a_row_per_recording_and_no_intercept():
    recordings = simulated_recordings(7)
    frame = simulated_trials(recordings, 60, 7, events=("stimOn", "feedback"))
    found = session_glm(frame, recordings, "rank", LEVELS).coefficients
    matrix = coefficient_matrix(found, "feedback")
    assert matrix.index.names == list(RECORDING_LEVELS)
    assert list(matrix) == list(TERMS[1:])
    assert len(matrix) == 7
    row = found[found["event"].eq("feedback") & found["eid"].eq("e0004") & found["term"].eq("side")]
    assert matrix.xs("e0004", level="eid")["side"].item() == row["coef"].item()
    assert coefficient_matrix(found, "feedback", value="t").xs("e0004", level="eid")["side"].item() == row["t"].item()
    assert coefficient_matrix(found[:0], "feedback").shape == (0, 6)
