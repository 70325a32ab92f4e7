"""Design of the encoding model: bins, trains, kernels, codes, and what becomes of what is unknown."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.encoding.design import (
    BlockStatus,
    ContinuousRegressor,
    build_design,
    event_train,
    kernel_basis,
    lag_samples,
    lagged,
    raised_cosines,
)
from iblnm_core.encoding.grid import TimeGrid, bin_means, bridged_means, grid_over, held_in_trials
from iblnm_core.encoding.terms import event_values, kernel_name
from iblnm_core.errors import UnitError, UnknownOption
from iblnm_core.parameters import EncodingParameters

NAN = float("nan")
PARAMETERS = EncodingParameters()
GRID = TimeGrid(10.0, 0.1, 200)


def with_blocks(*blocks, **changed):
    return dataclasses.replace(PARAMETERS, blocks=blocks, **changed)


@pytest.fixture
def trials():
    return pd.DataFrame(
        {
            "intervals_0": [11.0, 15.0, 20.0, 24.0],
            "intervals_1": [14.0, 19.0, 23.0, 28.0],
            "stimOn_times": [12.0, 16.0, 21.0, 25.0],
            "firstMovement_times": [12.2, 16.2, NAN, 25.02],
            "response_times": [12.6, 16.6, 22.5, 25.5],
            "feedback_times": [12.6, 16.6, 22.5, 25.5],
            "feedbackType": [1.0, -1.0, -1.0, 1.0],
            "choice": [1.0, 1.0, 0.0, -1.0],
            "contrast": [0.0, 25.0, 100.0, 6.25],
            "stim_side": ["left", "right", "left", "right"],
            "probabilityLeft": [0.5, 0.5, 0.2, 0.2],
        }
    )


def values_of(trials, block, hemisphere="l", parameters=PARAMETERS):
    return event_values(trials, kernel_name(block), hemisphere, parameters)


# bins


def test_the_grid_goes_from_the_first_to_the_last_sample():
    grid = grid_over(np.arange(3.0, 13.0, 1 / 30), 0.1)
    assert grid.start_s == 3.0
    assert grid.n_bins == 101
    np.testing.assert_allclose(grid.centres[[0, -1]], [3.0, 13.0])


@given(st.lists(st.floats(9.0, 31.0), max_size=20))
def test_an_event_is_in_the_nearest_bin(times):
    times = np.array(times)
    for time, place in zip(times, GRID.nearest(times), strict=True):
        distance = np.abs(GRID.centres - time)
        if place < 0:
            assert distance.min() > 0.05 - 1e-6
        else:
            assert distance[place] <= distance.min() + 1e-6


def test_unknown_times_are_in_no_bin():
    np.testing.assert_array_equal(GRID.nearest(np.array([NAN, 9.9, 10.0, 29.9, 30.0])), [-1, -1, 0, 199, -1])


def test_samples_halfway_between_bins_are_shared_out_evenly():
    # at twice the rate of the bins every second sample lies at an edge, up to rounding errors
    times = 10.0 + np.arange(1, 399) / 20
    np.testing.assert_array_equal(np.bincount(GRID.nearest(times))[1:-1], 2)


def test_means_over_bins_take_away_what_is_too_fast_for_them():
    times = np.arange(0, 20, 1 / 30)
    grid = grid_over(times, 0.1)
    fast = np.sin(2 * np.pi * 10 * times + 0.3)
    slow = np.sin(2 * np.pi * 0.2 * times)
    np.testing.assert_allclose(bin_means(times, fast, grid)[1:-1], 0, atol=1e-9)
    np.testing.assert_allclose(bin_means(times, slow, grid)[1:-1], np.sin(0.4 * np.pi * grid.centres[1:-1]), atol=2e-3)


def test_means_are_over_the_known_samples():
    times = np.array([10.0, 10.01, 10.1, 10.2, NAN])
    found = bin_means(times, np.array([1.0, 3.0, NAN, 5.0, 7.0]), TimeGrid(10.0, 0.1, 4))
    np.testing.assert_array_equal(found, [2.0, NAN, 5.0, NAN])


def test_short_gaps_are_bridged_and_long_ones_are_not():
    times = np.concatenate([np.arange(10.5, 12, 0.02), np.arange(12.4, 14, 0.02), np.arange(15, 20, 0.02)])
    found = bridged_means(times, times, TimeGrid(10.0, 0.1, 120), 0.5)
    centres = TimeGrid(10.0, 0.1, 120).centres
    unknown = np.isnan(found)
    # a bin at the edge of a gap has the samples of one half only
    np.testing.assert_allclose(found[~unknown], centres[~unknown], atol=0.04)
    assert unknown[centres < 10.4].all()
    assert unknown[(centres > 14.1) & (centres < 14.9)].all()
    assert unknown[centres > 20.1].all()
    assert not unknown[(centres > 10.5) & (centres < 13.9)].any()


def test_nothing_known_is_unknown_throughout():
    assert np.isnan(bridged_means(np.empty(0), np.empty(0), GRID, 0.5)).all()
    assert np.isnan(bridged_means(np.arange(10, 20.0), np.full(10, NAN), GRID, 0.5)).all()


def test_a_trial_value_holds_throughout_its_trial():
    starts, ends = np.array([9.0, 10.5, 11.0, 12.0]), np.array([10.2, 11.0, NAN, 99.0])
    found = held_in_trials(np.array([1.0, 2.0, 4.0, 3.0]), starts, ends, TimeGrid(10.0, 0.1, 25))
    np.testing.assert_array_equal(found, [1] * 2 + [0] * 3 + [2] * 5 + [0] * 10 + [3] * 5)


# trains and kernels


def test_lags_are_centred_on_the_event():
    np.testing.assert_array_equal(lag_samples((-2.5, 2.5), 0.1), np.arange(-25, 25))
    lags, shapes = kernel_basis(PARAMETERS)
    assert len(lags) == 50
    np.testing.assert_array_equal(shapes, np.eye(50))


def test_a_train_is_shifted_without_wrapping():
    found = lagged(np.array([0.0, 0, 1, 0, 0]), np.array([-1, 0, 1])).toarray()
    np.testing.assert_array_equal(found.T, [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]])
    found = lagged(np.array([1.0, 0, 0, 0, 2]), np.array([-1, 0, 1])).toarray()
    np.testing.assert_array_equal(found.T, [[0, 0, 0, 2, 0], [1, 0, 0, 0, 2], [0, 1, 0, 0, 0]])


def test_raised_cosines():
    bumps = raised_cosines(4, 1.0, 0.2, 0.1)
    assert bumps.shape == (10, 4)
    np.testing.assert_allclose(bumps[0], [1, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(bumps[1], [0.741645, 0.937730, 0.258355, 0], atol=1e-6)
    np.testing.assert_allclose(bumps[9], [0, 0.013035, 0.613425, 0.986965], atol=1e-6)
    # 1.1 / 0.1 is a little more than 11
    assert len(raised_cosines(4, 1.1, 0.2, 0.1)) == 11
    with pytest.raises(ValueError, match="offset"):
        raised_cosines(4, 1.0, 0.0, 0.1)


def test_bumps_are_what_their_sum_makes_of_a_train(trials):
    parameters = with_blocks("stimOn_times|baseline", basis="raised_cosine")
    design = build_design(GRID, trials, {}, "l", parameters)
    lags, shapes = kernel_basis(parameters)
    train = event_train(trials["stimOn_times"].to_numpy(), np.ones(4), GRID)
    expected = np.column_stack([np.convolve(train, shape)[: GRID.n_bins] for shape in shapes.T])
    np.testing.assert_allclose(design.events.toarray(), expected, atol=1e-12)
    assert lags[0] == 0
    assert len(lags) == 25


def test_events_in_one_bin_add_up():
    times = np.array([12.0, 12.01, NAN, 9.0, 13.0, 14.0])
    train = event_train(times, np.array([1.0, 2, 4, 8, NAN, 16]), GRID)
    assert train[20] == 3
    assert train[40] == 16
    assert train.sum() == 19


# codes


def test_sides_are_seen_from_the_fibre(trials):
    np.testing.assert_array_equal(values_of(trials, "stimOn_times|side", "l"), [-0.5, 0.5, -0.5, 0.5])
    np.testing.assert_array_equal(values_of(trials, "stimOn_times|side", "r"), [0.5, -0.5, 0.5, -0.5])
    choice = values_of(trials, "response_times|choice", "l")
    np.testing.assert_array_equal(choice, [-0.5, -0.5, NAN, 0.5])


def test_a_trial_without_choice_has_no_part_in_choice_kernels(trials):
    blocks = ("response_times|choice", "response_times|baseline")
    design = build_design(GRID, trials, {}, "l", with_blocks(*blocks))
    train = design.events.toarray()[:, [25, 75]]
    # the response of the third trial
    np.testing.assert_array_equal(train[125], [0, 1])
    assert np.isnan(values_of(trials.assign(choice=NAN), "response_times|choice")).all()
    assert np.isnan(values_of(trials.drop(columns="choice"), "response_times|choice")).all()


def test_contrasts_are_centred_on_all_trials(trials):
    np.testing.assert_allclose(values_of(trials, "stimOn_times|contrast"), np.array([0, 3, 4, 1]) - 2)
    linear = with_blocks(contrast_coding="linear")
    np.testing.assert_allclose(
        values_of(trials, "stimOn_times|contrast", parameters=linear), trials["contrast"] - 32.8125
    )
    np.testing.assert_allclose(values_of(trials, "stimOn_times|side:contrast"), [1, 0.5, -1, -0.5])
    # with one contrast only there is nothing to tell
    assert not values_of(trials.assign(contrast=6.25), "stimOn_times|contrast", parameters=linear).any()
    fractions = trials.assign(contrast=trials["contrast"] / 100)
    with pytest.raises(UnitError):
        values_of(fractions, "stimOn_times|contrast", parameters=with_blocks(contrast_coding="log2"))


def test_outcomes_and_reaction_times(trials):
    np.testing.assert_array_equal(values_of(trials, "feedback_times|reward"), [0.5, -0.5, -0.5, 0.5])
    found = values_of(trials, "stimOn_times|log_reaction_time")
    seconds = np.log10([0.2, 0.2, 0.02])
    np.testing.assert_allclose(found, [*(seconds[:2] - seconds.mean()), NAN, seconds[2] - seconds.mean()], atol=1e-9)
    early = trials.assign(firstMovement_times=trials["stimOn_times"] - 0.1)
    assert np.isnan(values_of(early, "stimOn_times|log_reaction_time")).all()


def test_a_kernel_can_be_for_some_trials_only(trials):
    np.testing.assert_array_equal(values_of(trials, "feedback_times|feedbackType=1|baseline"), [1, NAN, NAN, 1])
    np.testing.assert_allclose(values_of(trials, "feedback_times|feedbackType=-1|contrast"), [NAN, 1, 2, NAN])
    assert np.isnan(values_of(trials, "feedback_times|unheard_of=1|baseline")).all()


@pytest.mark.parametrize(
    "block",
    [
        "",
        "baseline",
        "stimOn|baseline",
        "stimOn_times|sides",
        "stimOn_times|side*contrast",
        "stimOn_times|feedbackType|side",
        "stimOn_times|a=b|side",
        "stimOn_times|feedbackType=1|choice=1|side",
    ],
)
def test_a_block_that_means_nothing_is_refused(block):
    with pytest.raises(UnknownOption, match="block"):
        kernel_name(block)


# designs


def test_the_default_design(trials):
    design = build_design(GRID, trials, {}, "l", PARAMETERS)
    assert design.n_features == 550
    assert design.events.shape == (200, 550)
    assert [block.name for block in design.blocks] == list(PARAMETERS.blocks)
    first = design.blocks[0].kernel
    np.testing.assert_allclose(first["lag_s"], np.arange(-2.5, 2.45, 0.1), atol=1e-12)
    assert set(first["term"]) == {"stimOn_times"}
    split = design.blocks[-1].kernel.iloc[0]
    assert (split["term"], split["level"], split["modulator"]) == ("feedback_times", "feedbackType=-1", "contrast")


def test_the_order_of_trials_and_their_numbers_are_irrelevant(trials):
    one = build_design(GRID, trials, {}, "r", PARAMETERS)
    other = build_design(GRID, trials.iloc[[2, 0, 3, 1]], {}, "r", PARAMETERS)
    np.testing.assert_allclose(one.events.toarray(), other.events.toarray(), atol=1e-12)


@pytest.mark.parametrize("hemisphere", ["", "x", "L"])
def test_a_fibre_without_side_has_no_lateral_kernels(trials, hemisphere):
    design = build_design(GRID, trials, {}, hemisphere, PARAMETERS)
    lateral = {name for name, status in design.statuses.items() if status is BlockStatus.UNKNOWN_HEMISPHERE}
    assert lateral == {name for name in PARAMETERS.blocks if "side" in name or "choice" in name}
    assert design.n_features == 50 * (len(PARAMETERS.blocks) - len(lateral))


def test_kernels_of_what_a_session_does_not_have(trials):
    blocks = ("goCue_times|baseline", "stimOn_times|contrast", "feedback_times|feedbackType=-1|baseline")
    rewarded = trials.assign(feedbackType=1.0, contrast=[50.0, 25.0, 100.0, 0.0])
    design = build_design(GRID, rewarded, {}, "l", with_blocks(*blocks))
    assert list(design.statuses.values()) == [
        BlockStatus.NO_VALUES,
        BlockStatus.UNKNOWN_CONTRAST,
        BlockStatus.NO_VALUES,
    ]
    assert design.events.shape == (200, 0)
    logarithmic = with_blocks(*blocks, contrast_coding="log2")
    assert build_design(GRID, rewarded, {}, "l", logarithmic).statuses[blocks[1]] is BlockStatus.OK


def test_continuous_regressors_say_where_they_are_unknown(trials):
    times = np.arange(10, 30, 0.01)
    known = ContinuousRegressor(times, times)
    partly = ContinuousRegressor(times[times < 20], times[times < 20].astype(np.float32))
    nowhere = ContinuousRegressor(times, np.full(len(times), NAN))
    given = {"known": known, "partly": partly, "nowhere": nowhere}
    design = build_design(GRID, trials, given, "l", with_blocks("stimOn_times|baseline"))
    assert design.statuses["nowhere"] is BlockStatus.NO_VALUES
    assert design.slices == (slice(0, 50), slice(50, 51), slice(51, 53))
    assert list(design.blocks[2].kernel["modulator"]) == ["value", "unknown"]
    course, unknown = design.dense[:, 1:].T
    np.testing.assert_array_equal(unknown, GRID.centres > 20)
    assert not course[unknown == 1].any()
    assert abs(course[unknown == 0].mean()) < 1e-9
    assert abs(design.dense[:, 0].mean()) < 1e-9


def test_tonic_regressors_are_trial_columns_less_their_mean(trials):
    design = build_design(GRID, trials, {}, "l", with_blocks(tonic=("probabilityLeft", "unheard_of")))
    assert design.statuses == {"probabilityLeft": BlockStatus.OK, "unheard_of": BlockStatus.NO_VALUES}
    course = design.dense[:, 0]
    np.testing.assert_allclose(np.unique(course), [-0.15, 0, 0.15], atol=1e-12)
    np.testing.assert_allclose(course[[15, 45, 55, 110, 199]], [0.15, 0, 0.15, -0.15, 0], atol=1e-12)
