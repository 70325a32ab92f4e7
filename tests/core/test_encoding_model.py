"""The encoding model: a signal worked out by hand, what becomes of what is unknown, planted kernels found again."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import hstack
from tests_support.encoding_model import PLANTED_BLOCKS, hour_recordings, similarity

from iblnm_core.demo.planted_kernels import kernel_of, planted_gain
from iblnm_core.encoding.design import ContinuousRegressor, event_train, lagged
from iblnm_core.encoding.grid import TimeGrid
from iblnm_core.encoding.model import fit_encoding_model
from iblnm_core.encoding.ridge import contiguous_folds, fit_ridge, moments_of
from iblnm_core.parameters import EncodingParameters

NAN = float("nan")

# a signal worked out by hand

KERNELS = np.array([[0, 0, 0, 0, 0, 1, 2, 1, 0.5, 0.2], [0, 0, 0, 0, 0, 0.5, 1, 0.5, 0, 0]])
RECIPE_TIMES = 0.1 * np.arange(600)


def recipe_trials():
    events = np.arange(2.0, 57, 3)
    return pd.DataFrame(
        {
            "stimOn_times": events,
            "stim_side": np.where(np.arange(len(events)) % 2, "left", "right"),
            "feedbackType": 1.0,
            "contrast": 25.0,
        }
    )


def recipe_signal(trials):
    grid, lags = TimeGrid(0.0, 0.1, 600), np.arange(-5, 5)
    side = np.where(trials["stim_side"] == "right", 0.5, -0.5)
    times = trials["stimOn_times"].to_numpy()
    trains = [event_train(times, values, grid) for values in (np.ones(len(times)), side)]
    design = hstack([lagged(train, lags) for train in trains], format="csr")
    return design, design @ KERNELS.ravel() + 0.1 * np.sin(1.234 * np.arange(600))


RECIPE = EncodingParameters(blocks=("stimOn_times|baseline", "stimOn_times|side"), window_s=(-0.5, 0.5))


def test_the_recipe_with_folds_that_touch():
    design, signal = recipe_signal(recipe_trials())
    folds = contiguous_folds(np.arange(600), 5, 0)
    rows = moments_of(design, np.empty((600, 0)), signal, folds)
    found = fit_ridge(rows, folds, RECIPE.penalties, (slice(0, 10), slice(10, 20)))
    assert found.penalty == pytest.approx(0.464159, abs=1e-6)
    assert found.r2_in == pytest.approx(0.974908, abs=1e-6)
    # scaled within folds, which the reference is not
    assert found.r2_held_out == pytest.approx(0.972086, abs=1e-5)
    np.testing.assert_allclose(found.delta_r2, [0.892849, 0.060995], atol=1e-5)
    np.testing.assert_allclose(found.coefficients[:10], KERNELS[0], atol=0.003)
    np.testing.assert_allclose(found.coefficients[10:20], KERNELS[1], atol=0.015)


def test_the_recipe_with_folds_that_are_kept_apart():
    trials = recipe_trials()
    model = fit_encoding_model(RECIPE_TIMES, recipe_signal(trials)[1], trials, {}, "l", RECIPE)
    [fit] = model.fit.to_dict("records")
    assert (fit["status"], fit["n_rows"], fit["n_features"]) == ("ok", 600, 20)
    assert fit["alpha"] == pytest.approx(0.464159, abs=1e-6)
    assert fit["r2_in"] == pytest.approx(0.974908, abs=1e-6)
    assert fit["r2_cv"] == pytest.approx(0.972086, abs=0.01)
    assert list(model.delta_r2["block"]) == list(RECIPE.blocks)
    np.testing.assert_allclose(model.delta_r2["delta_r2"], [0.892849, 0.060995], atol=0.01)
    for block, planted, tolerance in zip(RECIPE.blocks, KERNELS, (0.003, 0.015), strict=True):
        lags, found = kernel_of(model, block)
        np.testing.assert_allclose(lags, np.arange(-5, 5) * 0.1, atol=1e-12)
        np.testing.assert_allclose(found, planted, atol=tolerance)
    spread = model.signal.var()
    assert 1 - ((model.signal - model.prediction) ** 2).mean() / spread == pytest.approx(fit["r2_in"])
    assert 1 - ((model.signal - model.held_out) ** 2).mean() / spread == pytest.approx(fit["r2_cv"])


def test_kernels_are_in_units_of_the_signal_wherever_it_lies():
    trials = recipe_trials()
    signal = recipe_signal(trials)[1]
    one = fit_encoding_model(RECIPE_TIMES, signal, trials, {}, "l", RECIPE)
    other = fit_encoding_model(RECIPE_TIMES, 100 + 3 * signal, trials, {}, "l", RECIPE)
    np.testing.assert_allclose(other.kernels["coef"], 3 * one.kernels["coef"], atol=1e-9)
    np.testing.assert_allclose(other.prediction, 100 + 3 * one.prediction)
    assert other.fit["intercept"][0] == pytest.approx(100 + 3 * one.fit["intercept"][0])


def test_the_order_of_trials_is_irrelevant():
    trials = recipe_trials()
    signal = recipe_signal(trials)[1]
    one = fit_encoding_model(RECIPE_TIMES, signal, trials, {}, "l", RECIPE)
    other = fit_encoding_model(RECIPE_TIMES, signal, trials.sample(frac=1, random_state=1), {}, "l", RECIPE)
    pd.testing.assert_frame_equal(one.kernels, other.kernels)
    pd.testing.assert_frame_equal(one.delta_r2, other.delta_r2)


def test_coinciding_events_add_up():
    trials = recipe_trials()
    twice = pd.concat([trials, trials.iloc[::3]])
    signal = recipe_signal(twice)[1]
    model = fit_encoding_model(RECIPE_TIMES, signal, twice, {}, "l", RECIPE)
    np.testing.assert_allclose(kernel_of(model, RECIPE.blocks[0])[1], KERNELS[0], atol=0.02)
    last_only = fit_encoding_model(RECIPE_TIMES, signal, trials, {}, "l", RECIPE)
    assert np.abs(kernel_of(last_only, RECIPE.blocks[0])[1] - KERNELS[0]).max() > 0.3


def test_the_other_hemisphere_has_the_other_sign():
    trials = recipe_trials()
    signal = recipe_signal(trials)[1]
    left, right = (fit_encoding_model(RECIPE_TIMES, signal, trials, {}, side, RECIPE) for side in "lr")
    np.testing.assert_allclose(kernel_of(right, RECIPE.blocks[1])[1], -kernel_of(left, RECIPE.blocks[1])[1], atol=1e-9)
    assert left.fit["r2_cv"][0] == pytest.approx(right.fit["r2_cv"][0])


def test_bumps_make_smooth_kernels():
    trials = recipe_trials()
    signal = recipe_signal(trials)[1]
    parameters = dataclasses.replace(RECIPE, basis="raised_cosine", n_bumps=5, window_s=(-0.5, 1.0))
    model = fit_encoding_model(RECIPE_TIMES, signal, trials, {}, "l", parameters)
    lags, found = kernel_of(model, "stimOn_times|baseline")
    np.testing.assert_allclose(lags, np.arange(10) * 0.1, atol=1e-12)
    assert model.fit["n_features"][0] == 10
    assert np.corrcoef(found[:5], KERNELS[0, 5:])[0, 1] > 0.95


# what is unknown


def test_stretches_without_signal_have_no_part():
    trials = recipe_trials()
    signal = recipe_signal(trials)[1]
    unknown = np.zeros(600, bool)
    unknown[[*range(100, 160), *range(590, 600), 300]] = True
    model = fit_encoding_model(RECIPE_TIMES, np.where(unknown, NAN, signal), trials, {}, "l", RECIPE)
    assert model.fit["n_rows"][0] == 529
    for course in (model.signal, model.prediction, model.held_out):
        np.testing.assert_array_equal(np.isnan(course), unknown)
    assert model.fit["r2_cv"][0] > 0.96
    np.testing.assert_allclose(kernel_of(model, RECIPE.blocks[0])[1], KERNELS[0], atol=0.02)
    # what the signal would have been there is nobody's business
    other = fit_encoding_model(RECIPE_TIMES, np.where(unknown, NAN, signal), trials.drop(index=[4]), {}, "l", RECIPE)
    assert trials["stimOn_times"][4] == 14.0
    pd.testing.assert_frame_equal(model.kernels, other.kernels, atol=0.02)


def test_a_session_without_a_regressor_has_a_model_without_it():
    trials = recipe_trials()
    signal, random = recipe_signal(trials)[1], np.random.default_rng(0)
    velocity = ContinuousRegressor(RECIPE_TIMES, random.normal(size=600))
    signal = signal + 0.5 * velocity.values
    nowhere = ContinuousRegressor(RECIPE_TIMES, np.full(600, NAN))
    given = {name: {"wheel_velocity": of} for name, of in {"known": velocity, "nowhere": nowhere}.items()} | {"no": {}}
    models = {name: fit_encoding_model(RECIPE_TIMES, signal, trials, of, "l", RECIPE) for name, of in given.items()}
    statuses = {name: model.fit["status"][0] for name, model in models.items()}
    assert statuses == {"known": "ok", "nowhere": "blocks_left_out", "no": "ok"}
    pd.testing.assert_frame_equal(models["no"].kernels, models["nowhere"].kernels)
    last = models["nowhere"].delta_r2.iloc[-1]
    assert (last["block"], last["status"]) == ("wheel_velocity", "no_values")
    assert np.isnan(last["delta_r2"])
    row = models["known"].kernels.iloc[-1]
    assert (row["term"], row["level"], row["modulator"], row["lag_s"]) == ("wheel_velocity", "", "value", 0.0)
    assert row["coef"] == pytest.approx(0.5, abs=0.02)
    gained = models["known"].fit["r2_cv"][0] - models["no"].fit["r2_cv"][0]
    assert models["known"].delta_r2.set_index("block")["delta_r2"]["wheel_velocity"] == pytest.approx(gained, abs=5e-3)


def test_a_regressor_that_is_unknown_for_long_keeps_the_rows():
    trials = recipe_trials()
    velocity = np.random.default_rng(0).normal(size=600)
    signal = recipe_signal(trials)[1] + 0.5 * velocity
    partly = ContinuousRegressor(RECIPE_TIMES[:400], velocity[:400])
    model = fit_encoding_model(RECIPE_TIMES, signal, trials, {"wheel_velocity": partly}, "l", RECIPE)
    assert model.fit["n_rows"][0] == 600
    assert model.fit["n_features"][0] == 22
    of_wheel = model.kernels[model.kernels["term"] == "wheel_velocity"].set_index("modulator")["coef"]
    assert of_wheel["value"] == pytest.approx(0.5, abs=0.03)
    assert list(of_wheel.index) == ["value", "unknown"]


def test_a_midline_fibre_has_a_model_without_sides():
    trials = recipe_trials()
    model = fit_encoding_model(RECIPE_TIMES, recipe_signal(trials)[1], trials, {}, "", RECIPE)
    assert model.fit["status"][0] == "blocks_left_out"
    assert dict(zip(model.delta_r2["block"], model.delta_r2["status"], strict=True)) == {
        "stimOn_times|baseline": "ok",
        "stimOn_times|side": "unknown_hemisphere",
    }
    assert set(model.kernels["modulator"]) == {"baseline"}


@pytest.mark.parametrize(
    ("signal", "blocks", "status"),
    [
        (np.full(600, 0.3), RECIPE.blocks, "constant_signal"),
        (np.where(np.arange(600) < 149, np.arange(600), NAN), RECIPE.blocks, "too_few_rows"),
        (np.full(600, NAN), RECIPE.blocks, "too_few_rows"),
        (np.arange(600.0), ("goCue_times|baseline",), "no_blocks"),
    ],
)
def test_what_cannot_be_fitted_says_why(signal, blocks, status):
    parameters = dataclasses.replace(RECIPE, blocks=blocks)
    model = fit_encoding_model(RECIPE_TIMES, signal, recipe_trials(), {}, "l", parameters)
    [fit] = model.fit.to_dict("records")
    assert fit["status"] == status
    assert np.isnan([fit[name] for name in ("alpha", "r2_in", "r2_cv", "intercept")]).all()
    assert model.kernels.empty
    assert list(model.kernels) == ["term", "level", "modulator", "lag_s", "coef"]
    assert list(model.delta_r2["block"]) == list(blocks)
    assert model.delta_r2["delta_r2"].isna().all()
    assert np.isnan(model.prediction).all()
    assert np.isnan(model.held_out).all()


# planted kernels

PLANTED = EncodingParameters(blocks=PLANTED_BLOCKS, window_s=(-0.5, 2.5))
SMOOTH = dataclasses.replace(PLANTED, basis="raised_cosine")


@pytest.fixture(scope="module")
def recordings():
    """An hour of VTA and of SNc."""
    return hour_recordings()


@pytest.fixture(scope="module")
def fitted(recordings):
    return {region: recording.fit(PLANTED) for region, recording in recordings.items()}


def planted_sign(recording, block):
    return np.sign(planted_gain(recording.target, block))


def test_without_noise_what_is_planted_comes_out(recordings):
    for recording in recordings.values():
        model = recording.fit(PLANTED, noise_free=True)
        assert model.fit["r2_cv"][0] > 0.88
        for block in PLANTED_BLOCKS:
            # reaction times alone tell the mean response to a movement from that to the stimulus
            if abs(planted_gain(recording.target, block)) >= 0.1 and block != "firstMovement_times|baseline":
                correlation, gain = similarity(model, recording, block, 0.1)
                assert correlation * planted_sign(recording, block) > 0.95, (recording.region, block)
                assert gain == pytest.approx(planted_gain(recording.target, block), abs=0.35), (recording.region, block)


def test_an_hour_is_enough_for_the_kernels_of_large_responses(recordings, fitted):
    for region, recording in recordings.items():
        for block in ("stimOn_times|baseline", "feedback_times|reward"):
            assert similarity(fitted[region], recording, block, 0.1)[0] > 0.95, (region, block)
    assert similarity(fitted["VTA-l"], recordings["VTA-l"], "feedback_times|baseline", 0.1)[0] > 0.95
    gains = [similarity(fitted[region], recordings[region], "feedback_times|reward", 0.1)[1] for region in fitted]
    np.testing.assert_allclose(gains, [1.8, 1.0], rtol=0.2)


def test_bumps_find_smaller_responses_than_free_lags_do(recordings, fitted):
    smaller = {
        "VTA-l": ("feedback_times|baseline", "stimOn_times|contrast"),
        "SNc-r": ("feedback_times|baseline", "stimOn_times|log_reaction_time"),
    }
    for region, recording in recordings.items():
        model = recording.fit(SMOOTH)
        assert model.fit["r2_cv"][0] > fitted[region].fit["r2_cv"][0]
        for block in ("stimOn_times|baseline", "feedback_times|reward", *smaller[region]):
            found, _ = similarity(model, recording, block, 0.1)
            assert found * planted_sign(recording, block) > 0.95, (region, block)


def test_what_a_block_adds_is_what_is_planted_in_it(recordings, fitted):
    large = ("stimOn_times|baseline", "stimOn_times|contrast", "feedback_times|baseline", "feedback_times|reward")
    for region, recording in recordings.items():
        added = fitted[region].delta_r2.set_index("block")["delta_r2"]
        nothing = [block for block in PLANTED_BLOCKS if planted_gain(recording.target, block) == 0]
        most = added[[*nothing, "wheel_velocity"]].abs().max()
        assert added[list(large)].min() > 3 * most, region
    # sides matter in SNc and hardly in VTA
    added = {
        region: model.delta_r2.set_index("block")["delta_r2"]["stimOn_times|side"] for region, model in fitted.items()
    }
    assert added["SNc-r"] > 0.0015
    assert abs(added["VTA-l"]) < 0.001


def test_without_reaction_times_a_response_to_movement_is_invented(recordings):
    blocks = tuple(block for block in PLANTED_BLOCKS if "reaction" not in block)
    [recording] = [of for region, of in recordings.items() if region == "VTA-l"]
    gains = [
        similarity(model, recording, "firstMovement_times|baseline", 0.1)[1]
        for model in (
            recording.fit(PLANTED, noise_free=True),
            recording.fit(dataclasses.replace(PLANTED, blocks=blocks), noise_free=True),
        )
    ]
    assert planted_gain(recording.target, "firstMovement_times|baseline") == 0
    assert gains[0] < 0.15
    assert gains[1] > 2 * gains[0]
