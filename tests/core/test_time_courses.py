"""Courses of effects over mice: sums against all trials, exact signs, how often the joint bands hold."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.analyses.mixed_model import SubjectSums, fit_random_intercept
from iblnm_core.analyses.task_design import TERMS
from iblnm_core.analyses.time_course_bands import (
    _correlations,
    _fit_intercepts,
    _pooled,
    _residual_covariance,
    _sign_patterns,
    _subject_covariance,
    random_intercept,
    two_stage,
)
from iblnm_core.analyses.time_course_sums import CellSums, cell_design, session_course_sums, sums_of_row
from iblnm_core.analyses.time_courses import time_courses
from iblnm_core.errors import SingularDesign, UnitError
from iblnm_core.parameters import PRESETS
from iblnm_core.schemas.time_courses import TIME_COURSE_SUMS, TIME_COURSES, TIME_COURSES_SUBJECTS
from iblnm_core.session.responses import Responses
from iblnm_core.storage.tables import make_table

PARAMETERS = PRESETS["default"]
MODELLING, ANALYSES = PARAMETERS.modelling, PARAMETERS.analyses
EFFECT = 0.5


def mice(seed, n_mice, slope_sd=0.0, n_times=20, missing=0.0):
    """Design and responses per mouse: one covariate, unbalanced trials, errors that last six samples."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n_mice):
        n = int(random.integers(60, 180))
        covariate = random.choice([-0.5, 0.5], n)
        white = random.standard_normal((n, n_times + 10))
        errors = np.apply_along_axis(np.convolve, 1, white, np.ones(6) / np.sqrt(6), "same")[:, 5:-5]
        slope = EFFECT + slope_sd * random.standard_normal()
        responses = 0.3 * random.standard_normal() + covariate[:, None] * slope + errors
        # as after the next event: once masked, masked to the end
        responses[np.cumsum(random.random(responses.shape) < missing, axis=1) > 0] = np.nan
        found.append((np.column_stack([np.ones(n), covariate]), responses))
    return found


def sums_of(times, design, responses):
    """Sums of trials by the rows of their design that differ."""
    rows, cells = np.unique(design, axis=0, return_inverse=True)
    return CellSums.of(cells.ravel(), len(rows), responses).under(times, rows)


def group(model, data, seed=0, parts=1):
    """Fit a model to the trials of mice, each cut into sessions."""
    times = np.arange(data[0][1].shape[1]) / 30
    sums, names = [], []
    for place, (design, responses) in enumerate(data):
        for part in np.array_split(np.arange(len(design)), parts):
            sums.append(sums_of(times, design[part], responses[part]))
            names.append(f"mouse {place:02d}")
    return model(sums, names, seed)


def pooled(data):
    times = np.arange(data[0][1].shape[1]) / 30
    return _pooled([sums_of(times, *trials) for trials in data], [f"mouse {i:02d}" for i in range(len(data))])


@given(st.integers(0, 2**20), st.sampled_from([0.0, 0.005]), st.integers(1, 3))
@settings(deadline=None, max_examples=8)
def test_two_stages_from_sums_are_those_of_all_trials(seed, missing, parts):
    data = mice(seed, 7, 0.3, missing=missing)
    found = group(two_stage, data, parts=parts)
    assert found.status == "ok"
    known = np.isfinite(np.concatenate([responses for _, responses in data]))
    np.testing.assert_array_equal(found.times, np.flatnonzero(known.mean(axis=0) >= 0.8) / 30)
    curves = np.empty((7, 2, len(found.times)))
    for place, (design, responses) in enumerate(data):
        for time in range(len(found.times)):
            there = np.isfinite(responses[:, time])
            curves[place, :, time] = np.linalg.lstsq(design[there], responses[there, time], rcond=None)[0]
    np.testing.assert_allclose(found.curves, curves, atol=1e-10)
    # every pattern of signs, one by one
    for term in range(2):
        about = curves[:, term] - curves[:, term].mean(axis=0)
        largest, reached = [], []
        for signs in itertools.product([1, -1], repeat=7):
            for of, into in ((about, largest), (curves[:, term], reached)):
                flipped = np.array(signs)[:, None] * of
                t = flipped.mean(axis=0) / (flipped.std(axis=0, ddof=1) / np.sqrt(7))
                into.append(np.abs(t).max())
        # half of the patterns are mirrors of the others
        assert found.quantile[term] == pytest.approx(np.quantile(np.sort(largest)[::2], 0.95), rel=1e-8)
        assert found.p_joint[term] == pytest.approx(np.mean(np.array(reached) >= reached[0] * (1 - 1e-9)))
    assert found.p_floor == 2 / 2**7


@given(st.integers(0, 2**20), st.sampled_from([0.0, 0.005]))
@settings(deadline=None, max_examples=8)
def test_random_intercepts_from_sums_are_the_model_of_all_trials_at_each_time(seed, missing):
    data = mice(seed, 8, missing=missing)
    found = group(random_intercept, data, parts=2)
    assert found.status == "ok"
    design = np.concatenate([x for x, _ in data])
    responses = np.concatenate([y for _, y in data])
    codes = np.repeat(np.arange(8), [len(x) for x, _ in data])
    for time in (0, len(found.times) - 1):
        there = np.isfinite(responses[:, time])
        fit = fit_random_intercept(SubjectSums.of(design[there], responses[there, time], codes[there]))
        np.testing.assert_allclose(found.estimate[:, time], fit.coefficients, atol=1e-3)
        errors = np.sqrt(np.diag(fit.covariance))
        # the ratio of variances is on a grid, which the intercept knows of
        assert found.se[0, time] == pytest.approx(errors[0], rel=0.1)
        assert found.se[1, time] == pytest.approx(errors[1], rel=2e-3)


def test_estimates_at_two_times_correlate_as_whole_matrices_say():
    data = mice(4, 6, n_times=5)
    sums = pooled(data)
    fit = _fit_intercepts(sums)
    found = _correlations(sums, fit)
    residual = _residual_covariance(sums, fit)
    of_means = residual * (1 / fit.n).mean(axis=0)[0]
    between = _subject_covariance(sums, fit, of_means)
    np.testing.assert_allclose(np.diag(residual), fit.residual_variance)
    assert np.linalg.eigvalsh(between)[0] > -1e-12
    first, second = 1, 3
    middle = np.zeros((2, 2))
    for mouse, (design, _) in enumerate(data):
        ones = np.ones((len(design), len(design)))
        inverses = [np.eye(len(design)) - fit.weights[mouse, time] * ones for time in (first, second)]
        covariance = between[first, second] * ones + residual[first, second] * np.eye(len(design))
        middle += design.T @ inverses[0] @ covariance @ inverses[1] @ design
    crossed = fit.inverse[first] @ middle @ fit.inverse[second]
    for term in range(2):
        expected = crossed[term, term] / np.sqrt(
            np.prod([_variance(data, fit, residual, between, t)[term] for t in (1, 3)])
        )
        assert found[term, first, second] == pytest.approx(expected, rel=1e-8)


def _variance(data, fit, residual, between, time):
    middle = np.zeros((2, 2))
    for mouse, (design, _) in enumerate(data):
        ones = np.ones((len(design), len(design)))
        inverse = np.eye(len(design)) - fit.weights[mouse, time] * ones
        covariance = between[time, time] * ones + residual[time, time] * np.eye(len(design))
        middle += design.T @ inverse @ covariance @ inverse @ design
    return np.diag(fit.inverse[time] @ middle @ fit.inverse[time])


def test_residuals_of_neighbouring_samples_resemble_each_other_as_planted():
    sums = pooled(mice(9, 12))
    covariance = _residual_covariance(sums, _fit_intercepts(sums))
    for apart in range(8):
        # means of six have what they share in common
        assert np.diag(covariance, apart).mean() == pytest.approx(max(1 - apart / 6, 0), abs=0.06)


def test_few_mice_have_a_floor_instead_of_a_band():
    found = group(two_stage, mice(1, 4))
    assert (found.status, found.p_floor) == ("too_few_subjects", 0.125)
    assert np.isfinite(found.se).all()
    assert np.isnan(found.joint_lower).all()
    assert not found.significant.any()
    assert group(two_stage, mice(1, 1)).status == "too_few_subjects"
    assert group(random_intercept, mice(1, 5)).status == "too_few_subjects"


@pytest.mark.parametrize("model", [two_stage, random_intercept])
def test_mice_that_are_all_alike_have_no_variation(model):
    times = np.arange(5.0)
    design = mice(1, 1)[0][0]
    sums = [sums_of(times, design, design @ np.array([[1.0] * 5, [0.5] * 5]))] * 7
    found = model(sums, [f"mouse {i}" for i in range(7)], 0)
    assert found.status == "no_variation"
    np.testing.assert_allclose(found.se, 0, atol=1e-6)
    np.testing.assert_allclose(found.estimate, [[1.0] * 5, [0.5] * 5])
    assert np.isnan(found.p_joint).all()


def test_mice_that_cannot_be_fitted_are_left_out_by_name():
    data = mice(2, 8)
    data[1] = tuple(part[:19] for part in data[1])
    data[3][0][:, 1] = 0.5
    found = group(two_stage, data)
    assert found.left_out == {"mouse 01": "19 trials", "mouse 03": "singular design"}
    assert len(found.subjects) == 6
    assert found.n_trials == sum(len(data[place][0]) for place in (0, 2, 4, 5, 6, 7))
    for design, _ in data:
        design[:, 1] = 0.5
    with pytest.raises(SingularDesign, match="depend on each other"):
        group(random_intercept, data)


def test_many_mice_have_drawn_signs_that_are_the_same_every_time():
    patterns = _sign_patterns(13, 5)
    assert patterns.shape == (4001, 13)
    assert (patterns[0] == 1).all()
    assert abs(patterns[1:].mean()) < 0.02
    first, again, other = (group(two_stage, mice(3, 13, 0.3), seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.joint_lower, again.joint_lower)
    assert not np.array_equal(first.joint_lower, other.joint_lower)
    assert first.p_floor == 1 / 4001


def test_two_stages_cover_where_an_intercept_alone_is_false_certainty():
    held = {two_stage: 0, random_intercept: 0}
    n = 40
    for seed in range(n):
        data = mice(1000 + seed, 10, 0.3, n_times=12)
        for model in held:
            found = group(model, data, seed)
            held[model] += bool(((found.joint_lower[1] <= EFFECT) & (found.joint_upper[1] >= EFFECT)).all())
    assert held[two_stage] >= 0.85 * n
    assert held[random_intercept] <= 0.75 * n


# stored sums


def task(random, n):
    """Trials of a session and the columns of their design, for a fibre on the left."""
    trials = pd.DataFrame(
        {
            "contrast": random.choice([0.0, 6.25, 12.5, 25.0, 100.0, 50.0], n),
            "stim_side": random.choice(["left", "right"], n),
            "feedbackType": random.choice([1.0, -1.0], n, p=[0.7, 0.3]),
        }
    )
    return trials, cell_design(trials, "l", MODELLING, ANALYSES)


def cohort(n_mice=7, n_times=6, **columns):
    """Sums and recordings of a cohort whose mice have two sessions each, and an effect of contrast that sets in at 0."""
    random = np.random.default_rng(8)
    rows, recordings = [], []
    for place in range(2 * n_mice):
        trials, design = task(random, 150)
        values = random.standard_normal((1, 150, n_times))
        values[0, :, n_times // 2 :] += np.nan_to_num(design[:, 1])[:, None]
        times = np.arange(-n_times // 2, n_times // 2) / 30
        responses = Responses(("feedback_times",), times, np.arange(150), values, 30, (-0.1, 0.1))
        found = session_course_sums(responses, trials, np.ones(150, bool))
        rows.append(found.assign(eid=f"s{place:02d}", fiber_idx=0, correction="robust", unit="dff", **columns))
        recordings.append((f"s{place:02d}", 0, f"mouse {place // 2}", "VTA-DA", "l"))
    names = ["eid", "fiber_idx", "subject", "target_NM", "hemisphere"]
    return pd.concat(rows, ignore_index=True), pd.DataFrame(recordings, columns=names)


def test_codes_of_a_cell_know_nothing_of_other_cells():
    trials, design = task(np.random.default_rng(1), 200)
    other = (trials["contrast"] == 50).to_numpy()
    assert np.isnan(design[other]).all()
    assert np.isfinite(design[~other]).all()
    np.testing.assert_array_equal(cell_design(trials[20:30], "l", MODELLING, ANALYSES), design[20:30])
    # ranks 0 to 4 about 2; contra of a fibre on the left is right
    contrast, side = TERMS.index("contrast"), TERMS.index("side")
    assert set(design[~other, contrast]) == {-2, -1, 0, 1, 2}
    np.testing.assert_array_equal(design[~other, side] > 0, (trials["stim_side"] == "right")[~other])
    assert np.isnan(cell_design(trials, None, MODELLING, ANALYSES)).all()


def test_sums_of_cells_are_those_of_all_trials():
    random = np.random.default_rng(6)
    trials, design = task(random, 200)
    values = random.standard_normal((2, 200, 10))
    values[1] = np.nan
    trials.index = random.permutation(200)
    used = random.random(200) < 0.9
    # responses come by number, not by place
    events = ("stimOn_times", "firstMovement_times")
    by_number = np.argsort(trials.index)
    responses = Responses(events, np.arange(-5, 5) / 30, np.arange(200), values[:, by_number], 30, (-5 / 30, 5 / 30))
    rows = session_course_sums(responses, trials, used)
    assert rows["event"].tolist() == ["stimOn"]
    assert rows["n_trials"].tolist() == [used.sum()]
    found = sums_of_row(rows.iloc[0], "l", MODELLING, ANALYSES)
    complete = used & np.isfinite(design).all(axis=1)
    x, y = design[complete], values[0, complete]
    assert found.n_trials == complete.sum()
    np.testing.assert_allclose(found.cross_products, np.broadcast_to(x.T @ x, (10, 8, 8)), atol=1e-9)
    np.testing.assert_allclose(found.cross_response, y.T @ x, atol=1e-9)
    np.testing.assert_allclose(found.response_squares, (y**2).sum(axis=0))
    residuals = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert not sums_of_row(rows.iloc[0], None, MODELLING, ANALYSES).n_trials
    kept = responses.trials[np.isfinite(design[by_number]).all(axis=1)]
    only = session_course_sums(responses, trials, used & trials.index.isin(kept))
    same = sums_of_row(only.iloc[0], "l", MODELLING, ANALYSES)
    np.testing.assert_allclose(same.residual_products, residuals.T @ residuals, atol=1e-9)


def test_a_session_without_choices_has_no_sums():
    trials, _ = task(np.random.default_rng(2), 20)
    responses = Responses(("feedback_times",), np.arange(3) / 30, np.arange(20), np.ones((1, 20, 3)), 30, (0, 0.1))
    assert not len(session_course_sums(responses, trials[["contrast"]], np.ones(20, bool)))


def test_a_cohort_becomes_tables():
    sums, recordings = cohort()
    make_table(TIME_COURSE_SUMS, sums[TIME_COURSE_SUMS.column_names], {})
    found = time_courses(sums, recordings, MODELLING, ANALYSES)
    make_table(TIME_COURSES, found.courses[TIME_COURSES.column_names], {})
    make_table(TIME_COURSES_SUBJECTS, found.subjects[TIME_COURSES_SUBJECTS.column_names], {})
    assert found.outcomes["status"].tolist() == ["ok", "ok"]
    assert found.outcomes["variable"].tolist() == ["robust, two_stage", "robust, random_intercept"]
    for _, rows in found.courses[found.courses["coefficient"] == "contrast"].groupby("method"):
        assert rows["significant"].tolist() == [False] * 3 + [True] * 3
        assert (rows["n_subjects"] == 7).all()
        assert (rows["n_sessions"] == 14).all()
        assert (rows["p_joint"] <= 0.05).all()
        np.testing.assert_allclose(rows["estimate"], rows["time"] >= 0, atol=0.2)
    means = found.subjects.groupby(["coefficient", "time"])["estimate"].mean()
    two = found.courses[found.courses["method"] == "two_stage"].set_index(["coefficient", "time"])["estimate"]
    np.testing.assert_allclose(means.sort_index(), two.sort_index(), atol=1e-12)
    pd.testing.assert_frame_equal(
        found.courses, time_courses(sums.sample(frac=1, random_state=0), recordings, MODELLING, ANALYSES).courses
    )


def test_few_mice_say_so_and_still_have_their_own_courses():
    sums, recordings = cohort(n_mice=3)
    found = time_courses(sums, recordings, MODELLING, ANALYSES)
    assert found.outcomes["status"].tolist() == ["too_few_subjects"] * 2
    assert found.outcomes["detail"][0] == "3 mice with enough trials; expected 6; smallest possible p 0.25"
    assert len(found.courses) == 0
    assert found.subjects["subject"].nunique() == 3
    unseen = time_courses(sums, recordings.assign(hemisphere=None), MODELLING, ANALYSES)
    assert unseen.outcomes["status"].tolist() == ["no_data"] * 2
    nothing = time_courses(sums, recordings[:0], MODELLING, ANALYSES)
    assert not len(nothing.outcomes)


def test_units_and_grids_are_not_mixed():
    sums, recordings = cohort(n_mice=2)
    for column, other in (("unit", "z"), ("start_s", -0.2)):
        mixed = sums.copy()
        mixed.loc[0, column] = other
        with pytest.raises(UnitError, match="expected one for all sessions"):
            time_courses(mixed, recordings, MODELLING, ANALYSES)
