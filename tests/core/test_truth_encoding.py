"""What models of single recordings and canonical correlations recover, and that what is found wrong is missed."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests_support.paths import REPOSITORY

from iblnm_core.demo.presets import RULER_SEED, ruler_hour_plans, ruler_plans
from iblnm_core.demo.recording import SYNTHETIC
from iblnm_core.demo.recovery import recover_recordings
from iblnm_core.demo.recovery_behaviour import recover_trials
from iblnm_core.demo.recovery_encoding import encoding_statistics, recover_coefficients, recover_encoding
from iblnm_core.demo.recovery_models import cohort_frame
from iblnm_core.demo.recovery_page import page
from iblnm_core.demo.session import simulate_session
from iblnm_core.demo.simulated_cohorts import correlated_views, planted_correlation


def of_session(plan):
    session = simulate_session(plan, RULER_SEED)
    _, regressors = recover_trials(session, RULER_SEED, SYNTHETIC)
    return *recover_recordings(session, RULER_SEED, SYNTHETIC), regressors


@pytest.fixture(scope="module")
def tables():
    """Modelling frame and recordings of every third session of the ruler cohort."""
    parts = [of_session(plan) for plan in ruler_plans()[::3]]
    recordings, amplitudes, regressors = (pd.concat(rows, ignore_index=True) for rows in zip(*parts, strict=True))
    return cohort_frame(recordings, amplitudes, regressors, "r2", "unbiased"), recordings


@pytest.fixture(scope="module")
def recovered(tables):
    return recover_encoding(*tables, ruler_hour_plans(), RULER_SEED)


def by_name(recovered):
    return {statistic.name: statistic for rows in encoding_statistics(recovered).values() for statistic in rows}


def missed(recovered, **parts):
    changed = dataclasses.replace(recovered, **parts)
    return {name for name, statistic in by_name(changed).items() if not statistic.holds}


def test_what_was_planted_comes_out(recovered):
    assert {name: statistic.found for name, statistic in by_name(recovered).items() if not statistic.holds} == {}


def test_the_committed_page_has_every_statistic(recovered):
    text = (REPOSITORY / "docs" / "truth.md").read_text()
    for name in by_name(recovered):
        assert f"| {name} | " in text


def test_the_page_has_a_section_on_encoding_where_there_is_any(recovered):
    others = {name: [] for name in ("photometry", "curves", "blocks", "timings")}
    assert "## Task encoding" not in page(others, 0)
    text = page(others | encoding_statistics(recovered), 240)
    assert text.count("| yes |") == len(by_name(recovered))
    assert "{" not in text


# coefficients

MEAN = "mean coefficient of recordings: "
CONTRAST, SIDE, CONTRAST_SIDE = (
    MEAN + name
    for name in ("rank of the contrast, stimulus", "side, stimulus", "rank of the contrast x side, stimulus")
)
REWARD, CONTRAST_REWARD = MEAN + "reward, feedback", MEAN + "rank of the contrast x reward, feedback"
RIGHT = "recordings of VTA whose coefficient of reward, feedback, has the right sign"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda frame: frame.assign(feedbackType=-frame["feedbackType"]), {REWARD, CONTRAST_REWARD, RIGHT}),
        (
            lambda frame: frame.assign(side=frame["side"].map({"contra": "ipsi", "ipsi": "contra"})),
            {SIDE, CONTRAST_SIDE},
        ),
        (lambda frame: frame.assign(response=1.5 * frame["response"]), {CONTRAST, SIDE, REWARD}),
    ],
)
def test_coefficients_that_are_found_wrong_are_missed(tables, recovered, change, expected):
    frame, recordings = tables
    coefficients, n_not_fitted = recover_coefficients(change(frame), recordings)
    # what was planted is not what was found wrong
    planted = recovered.coefficients.set_index(["eid", "event", "term"])["planted"]
    keys = pd.MultiIndex.from_frame(coefficients[["eid", "event", "term"]])
    coefficients = coefficients.assign(planted=planted.reindex(keys).to_numpy())
    assert missed(recovered, coefficients=coefficients, n_not_fitted=n_not_fitted) == expected


# kernels

SHAPES = {f"kernel of {name}, mean over mice, shape" for name in ("the stimulus", "reward at feedback")}
REWARD_SHAPE, REWARD_SIZE = "kernel of reward at feedback, mean over mice, shape", "kernel of reward at feedback, size"
LARGE = "ΔR² of predictors planted with 0.5 z or more, in thousandths"
NOTHING = "ΔR² of predictors that were not planted, in thousandths"


def later(kernels):
    """Return kernels that come a second, ten lags, too late."""
    groups = kernels.sort_values("lag_s").groupby(["target_NM", "kernel"])["mean"]
    return kernels.assign(mean=groups.transform(lambda values: np.roll(values.to_numpy(), 10)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (later, {*SHAPES, REWARD_SIZE}),
        (
            lambda rows: rows.assign(mean=rows["mean"].where(rows["kernel"] != "reward", -rows["mean"])),
            {REWARD_SHAPE, REWARD_SIZE},
        ),
        (lambda rows: rows.assign(mean=0.5 * rows["mean"]), {REWARD_SIZE}),
    ],
)
def test_kernels_that_are_found_wrong_are_missed(recovered, change, expected):
    assert missed(recovered, kernels=change(recovered.kernels)) == expected


def test_predictors_that_take_the_place_of_others_are_missed(recovered):
    added = recovered.delta_r2
    # the first movement, to which nothing responds in VTA, and the stimulus
    other = {
        "stimOn_times|baseline": "firstMovement_times|baseline",
        "firstMovement_times|baseline": "stimOn_times|baseline",
    }
    mean = added.set_index(["target_NM", "block"])["mean"]
    keys = pd.MultiIndex.from_arrays([added["target_NM"], added["block"].replace(other)])
    assert missed(recovered, delta_r2=added.assign(mean=mean.reindex(keys).to_numpy())) == {LARGE, NOTHING}
    costless = added.assign(mean=added["mean"].where(added["size"] < 0.5, 1e-4))
    assert missed(recovered, delta_r2=costless) == {LARGE}


# canonical correlations

IDLE = "p-values of canonical correlations, nothing planted, sessions exchanged"
OF_MICE = "p-values of canonical correlations, mice differ, mice exchanged"
FOUND, MANY = "canonical correlation of few recordings is found", "canonical correlation of many recordings"


@pytest.mark.parametrize(
    ("column", "change", "expected"),
    [
        # the observed order does not count as a permutation
        ("p_session", lambda rows: rows["p_session"] - 1 / 20, {IDLE}),
        # mice that are alike, taken for independent sessions
        (
            "p_subject",
            lambda rows: rows["p_session"].where(rows["kind"] == "mice differ", rows["p_subject"]),
            {OF_MICE},
        ),
        ("p_session", lambda rows: np.ceil(10 * rows["p_session"]) / 20, {IDLE}),
        ("p_session", lambda rows: 1.05 - rows["p_session"], {FOUND}),
        ("correlation", lambda rows: rows["correlation"] ** 2, {MANY}),
    ],
)
def test_canonical_correlations_that_are_found_wrong_are_missed(recovered, column, change, expected):
    assert missed(recovered, cca=recovered.cca.assign(**{column: change(recovered.cca)})) == expected


def test_the_planted_correlation_is_that_of_the_best_combinations():
    x, y = correlated_views(np.random.default_rng(0), 200_000, 1.5)
    found = np.corrcoef(x[:, 0] + 0.5 * x[:, 3], y[:, 1])[0, 1]
    assert found == pytest.approx(planted_correlation(1.5), abs=0.005)
