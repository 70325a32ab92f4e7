"""Baseline coding: regressions against plain ones, draws in their order, failures in words, uniform p-values."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, linregress
from tests_support.baselines import prepared, recording_of

from iblnm_core.analyses.baseline_coding import (
    MODELS,
    BaselineRecording,
    baseline_coding,
    draw_donors,
)
from iblnm_core.analyses.simple_regression import line_statistics, logit_statistics
from iblnm_core.errors import UnknownOption


def _trials(random, n_trials):
    return pd.DataFrame(
        {
            "trial": np.arange(n_trials),
            "choice": random.choice([-1.0, 1.0], n_trials),
            "feedbackType": random.choice([1.0, -1.0], n_trials, p=[0.8, 0.2]),
            "contrast": random.choice([0, 6.25, 12.5, 25, 100], n_trials),
            "reaction_time": random.gamma(2, 0.1, n_trials) + 0.05,
            "response_time": random.gamma(2, 0.2, n_trials) + 0.1,
            "baseline": random.normal(3, 2, n_trials),
        }
    )


def _recording(frame, place=0, target="VTA-DA", mouse=None):
    return recording_of(frame, f"e{place:03d}", mouse or f"m{place:03d}", target)


def _recordings(n_recordings, seed, n_trials=(60, 120)):
    random = np.random.default_rng(seed)
    return [_recording(_trials(random, int(random.integers(*n_trials))), place) for place in range(n_recordings)]


def test_trials_are_prepared():
    frame = _trials(np.random.default_rng(0), 80)
    frame.loc[0, "choice"] = 0
    frame.loc[1, "reaction_time"] = 0.049
    frame.loc[2, "reaction_time"] = np.nan
    frame.loc[3, "reaction_time"] = 0.05
    frame.loc[4, "response_time"] = 0
    frame.loc[5, "baseline"] = np.nan
    # alone with its contrast
    frame.loc[6, "contrast"] = 50
    found = prepared(frame.sample(frac=1, random_state=0))
    kept = frame[3:]
    np.testing.assert_array_equal(found.correct, kept["feedbackType"] == 1)
    assert np.isnan(found.relative_log_rt).nonzero()[0].tolist() == [1, 3]
    assert np.isnan(found.baseline).nonzero()[0].tolist() == [2]
    assert np.nanmean(found.baseline) == pytest.approx(0, abs=1e-14)
    assert np.nanstd(found.baseline) == pytest.approx(1)
    log_rt = np.log(kept["response_time"].where(kept["response_time"] > 0))
    one = kept["contrast"] == 25
    expected = (log_rt[one] - log_rt[one].mean()) / log_rt[one].std(ddof=1)
    np.testing.assert_allclose(found.relative_log_rt[one], expected)


@given(st.integers(0, 2**16), st.integers(4, 200), st.floats(-4, 4))
@settings(deadline=None)
def test_logistic_regressions_are_those_of_a_plain_fit(seed, n_rows, effect):
    random = np.random.default_rng(seed)
    predictors = random.normal(size=(3, n_rows))
    outcome = (random.random(n_rows) < 1 / (1 + np.exp(-1 - effect * predictors[0]))).astype(float)
    predictors[random.random(predictors.shape) < 0.1] = np.nan
    slopes, r2 = logit_statistics(outcome, predictors)
    for predictor, slope, share in zip(predictors, slopes, r2, strict=True):
        known = np.isfinite(predictor)
        x, y = predictor[known], outcome[known]
        if np.isnan(slope):
            ones, zeros = x[y == 1], x[y == 0]
            assert (
                len(x) < 3 or not len(ones) or not len(zeros) or ones.min() >= zeros.max() or zeros.min() >= ones.max()
            )
            continue
        plain = sm.Logit(y, sm.add_constant(x)).fit(disp=0, method="newton", maxiter=200, tol=1e-12)
        # plain Newton steps may lead astray where outcomes hardly overlap
        if plain.mle_retvals["converged"] and abs(plain.params[1]) < 30:
            assert slope == pytest.approx(plain.params[1], rel=1e-6, abs=1e-8)
            chance = len(y) * (y.mean() * np.log(y.mean()) + (1 - y.mean()) * np.log(1 - y.mean()))
            assert share == pytest.approx(1 - plain.llf / chance, abs=1e-9)
        assert 0 <= share < 1


@given(st.integers(0, 2**16), st.integers(4, 60))
@settings(deadline=None)
def test_lines_are_those_of_a_plain_fit(seed, n_rows):
    random = np.random.default_rng(seed)
    predictor, outcomes = random.normal(5, 1, n_rows), random.normal(-2, 3, (3, n_rows))
    outcomes[random.random(outcomes.shape) < 0.1] = np.nan
    predictor[0] = np.nan
    slopes, r2 = line_statistics(predictor, outcomes)
    for outcome, slope, share in zip(outcomes, slopes, r2, strict=True):
        known = np.isfinite(outcome) & np.isfinite(predictor)
        if known.sum() < 3:
            assert np.isnan([slope, share]).all()
            continue
        plain = linregress(predictor[known], outcome[known])
        assert (slope, share) == (pytest.approx(plain.slope), pytest.approx(plain.rvalue**2, abs=1e-12))


def test_degenerate_regressions_have_no_values():
    x = np.arange(6.0)
    nothing = np.full(6, np.nan)
    # separated, separated but for a shared value, constant, nothing known, two known
    predictors = np.stack([x, [0, 1, 2, 2, 3, 4], np.ones(6), nothing, [1, *nothing[:4], 2]])
    for found in logit_statistics(np.array([0.0, 0, 0, 1, 1, 1]), predictors):
        assert np.isnan(found).all()
    assert np.isnan(logit_statistics(np.ones(6), x[None])[0]).all()
    for found in line_statistics(x, predictors[2:]):
        assert np.isnan(found).all()
    assert np.isnan(line_statistics(np.ones(6), x[None])[1]).all()


@pytest.mark.parametrize("value", [2.3, -0.1, 1e-5, 1e5])
def test_constants_have_no_slope_whatever_rounding_makes_of_them(value):
    for n_rows in range(3, 120):
        outcome = np.arange(n_rows) % 3 == 0
        constant = np.full((1, n_rows), value)
        assert np.isnan(logit_statistics(outcome.astype(float), constant)).all()
        assert np.isnan(line_statistics(np.arange(n_rows) * 0.7, constant)).all()
        assert np.isnan(line_statistics(constant[0], np.arange(n_rows)[None] * 0.7)).all()


def test_predictors_far_from_zero_are_fitted_like_others():
    random = np.random.default_rng(0)
    predictors, outcome = random.normal(size=(3, 80)), random.choice([0.0, 1.0], 80)
    for found, shifted in zip(
        logit_statistics(outcome, predictors), logit_statistics(outcome, predictors + 1e4), strict=True
    ):
        np.testing.assert_allclose(shifted, found, rtol=1e-5)
    for found, shifted in zip(
        line_statistics(outcome, predictors), line_statistics(outcome, predictors + 1e4), strict=True
    ):
        np.testing.assert_allclose(shifted, found, rtol=1e-8)


def test_outcomes_that_hardly_overlap_are_still_fitted():
    x = np.concatenate([np.linspace(-3, 0.001, 40), np.linspace(0, 3, 40)])
    [slope], [r2] = logit_statistics(np.repeat([0.0, 1.0], 40), x[None] * 50)
    assert np.isfinite(slope)
    assert 0.9 < r2 < 1


def test_draws_are_those_of_single_draws():
    assert draw_donors(3, 10, np.random.default_rng(42)).tolist() == [0, 2, 1, 1, 1, 2, 0, 2, 0, 0]
    together, singly = np.random.default_rng(7), np.random.default_rng(7)
    for n_donors in (3, 1, 17, 200, 3):
        drawn = draw_donors(n_donors, 101, together)
        assert drawn.tolist() == [int(singly.integers(n_donors)) for _ in range(101)]


@pytest.mark.parametrize("model", MODELS)
def test_nulls_are_those_of_a_loop_over_draws(model):
    recordings = _recordings(5, seed=1)
    recordings[1] = BaselineRecording("e001", 0, "m001", "VTA-DA", "VTA", None, "resolve: KeyError: two regions")
    recordings.insert(3, _recording(_trials(np.random.default_rng(9), 70), 9, target="LC-NE"))
    table = baseline_coding(recordings, model, n_draws=50)
    random = np.random.default_rng(42)
    for place, focal in enumerate(recordings):
        row = table.iloc[place]
        others = [r for r in recordings if r.target_NM == focal.target_NM and r is not focal]
        if focal.trials is None or not others:
            assert np.isnan(row["p_value"])
            assert row["null_r2"] is None
            continue
        null = []
        for _ in range(50):
            donor = others[random.integers(len(others))]
            if donor.trials is None:
                null.append(np.nan)
                continue
            n = min(len(focal.trials.baseline), len(donor.trials.baseline))
            baseline = donor.trials.baseline[:n]
            if model == "performance":
                null.append(sm.Logit(focal.trials.correct[:n], sm.add_constant(baseline)).fit(disp=0).params[1])
            else:
                null.append(linregress(focal.trials.relative_log_rt[:n], baseline).slope)
        np.testing.assert_allclose(row["null_slope"], null, rtol=1e-6, atol=1e-10)
        known = row["null_r2"][np.isfinite(row["null_r2"])]
        assert row["n_failed"] == np.isnan(null).sum() == 50 - len(known) > 0
        assert row["p_value"] == ((known >= row["observed_r2"]).sum() + 1) / (len(known) + 1)
        each = np.unique(known)
        assert row["n_donors"] == 3
        assert row["p_value_donors"] == ((each >= row["observed_r2"]).sum() + 1) / 4


def test_failures_are_words_and_consume_no_draws():
    random = np.random.default_rng(2)
    frames = [_trials(random, 80) for _ in range(8)]
    sound = [_recording(frame, place) for place, frame in enumerate(frames[:4])]
    broken = [
        _recording(frames[4].assign(choice=0), 4),
        _recording(frames[5].assign(baseline=1.0), 5),
        _recording(frames[6].drop(columns="contrast"), 6),
    ]
    assert [recording.error.split(":")[:2] for recording in broken] == [
        ["prep", " ValueError"],
        ["prep", " ValueError"],
        ["prep", " KeyError"],
    ]
    rewarded = _recording(frames[7].assign(feedbackType=1.0), 7)
    table = baseline_coding([broken[0], rewarded, *sound, *broken[1:]], "performance", n_draws=20)
    assert table["status"].tolist() == ["missing_input", "single_level", *["ok"] * 4, *["missing_input"] * 2]
    assert table["error"][1] == "stat: SingularDesign: the behaviour is the same in all trials"
    assert table["p_value"].isna().tolist() == [True, True, *[False] * 4, True, True]
    # the first draws are those of the first recording that can be tested
    first = draw_donors(7, 20, np.random.default_rng(42))
    values = table["null_r2"][2]
    assert np.isnan(values).tolist() == np.isin(first, [0, 5, 6]).tolist()


def test_an_empty_pool_is_an_outcome():
    lonely = _recordings(1, seed=3)
    table = baseline_coding(lonely, "reaction_time")
    assert table["status"].tolist() == ["no_donors"]
    assert np.isfinite(table["observed_r2"][0])
    assert np.isnan(table["p_value"][0])
    mates = [_recording(_trials(np.random.default_rng(place), 60), place, mouse="m") for place in range(3)]
    assert baseline_coding(mates, "performance")["status"].tolist() == ["ok"] * 3
    assert baseline_coding(mates, "performance", exclude_same_mouse=True)["status"].tolist() == ["no_donors"] * 3
    empty = baseline_coding([], "performance")
    assert empty.dtypes.to_dict() == table.dtypes.to_dict()


def test_the_order_of_trials_does_not_matter_and_a_seed_gives_the_same():
    random = np.random.default_rng(4)
    frames = [_trials(random, 70) for _ in range(4)]
    shuffled = [frame.sample(frac=1, random_state=0) for frame in frames]
    tables = [
        baseline_coding([_recording(frame, place) for place, frame in enumerate(rows)], "performance", n_draws=30)
        for rows in (frames, shuffled)
    ]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("option", [{"model": "speed"}, {"statistic": "t"}, {"alternative": "both"}])
def test_unknown_options_are_refused(option):
    with pytest.raises(UnknownOption, match="expected one of"):
        baseline_coding([], **({"model": "performance"} | option))


@pytest.mark.parametrize("model", MODELS)
def test_p_values_are_uniform_when_there_is_nothing_to_find(model):
    # 300 recordings in fifteen targets of twenty
    tables = [baseline_coding(_recordings(20, seed=100 + seed), model, seed=seed) for seed in range(15)]
    table = pd.concat(tables)
    places = np.rint(table["p_value_donors"] * 20).astype(int)
    np.testing.assert_allclose(table["p_value_donors"], places / 20)
    assert chisquare(np.bincount(places - 1, minlength=20)).pvalue > 0.005
    # draws from nineteen donors cannot say more than these, but look as if: one in twenty is below one in a hundred
    drawn = table["p_value"].to_numpy()
    np.testing.assert_allclose(drawn, (places - 1) / 19, atol=0.07)
    assert 0.02 < (drawn < 0.01).mean() < 0.1


@pytest.mark.parametrize("model", MODELS)
def test_a_planted_effect_is_found(model):
    random = np.random.default_rng(5)
    recordings = []
    for place in range(15):
        frame = _trials(random, 300)
        signal = frame["feedbackType"] if model == "performance" else np.log(frame["response_time"])
        recordings.append(_recording(frame.assign(baseline=frame["baseline"] + 2 * signal), place))
    table = baseline_coding(recordings, model)
    assert (table["p_value_donors"] == 1 / 15).mean() > 0.9
    assert (table["observed_slope"] > 0).all()
