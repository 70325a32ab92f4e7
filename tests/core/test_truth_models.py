"""What models of responses recover of the ruler cohort, and that what is found wrong is missed."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests_support.paths import REPOSITORY

from iblnm_core.analyses.decoding import TargetNMDecoder
from iblnm_core.analyses.permutation import add_one_p_value
from iblnm_core.analyses.simple_regression import line_statistics
from iblnm_core.demo import recovery, truth
from iblnm_core.demo.presets import RULER_SEED, ruler_plans
from iblnm_core.demo.recording import SYNTHETIC
from iblnm_core.demo.recovery import Recovered, model_statistics, recover_models, recover_recordings
from iblnm_core.demo.recovery_behaviour import BehaviourRecovered, recover_trials
from iblnm_core.demo.recovery_inference import swap_p_values, uniformity
from iblnm_core.demo.recovery_models import cohort_frame, recover_artefact, recover_effects, recover_slopes
from iblnm_core.demo.recovery_page import page
from iblnm_core.demo.recovery_vectors import drawn_accuracies, relabelled_excess, subjects_of, vector_matrix
from iblnm_core.demo.session import simulate_session
from iblnm_core.demo.simulated_trials import CohortShape, drifting, drifting_baselines, drifting_recordings
from iblnm_core.demo.statistic import LEAST_P

WRONG_BASELINE = (0.0, 0.1)


def of_session(plan):
    session = simulate_session(plan, RULER_SEED)
    _, regressors = recover_trials(session, RULER_SEED, SYNTHETIC)
    return *recover_recordings(session, RULER_SEED, SYNTHETIC), regressors


@pytest.fixture(scope="module")
def recovered():
    """The ruler cohort, with magnitudes r2 that have a wrong baseline as r3; nothing else of its behaviour."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (recovery, truth):
            events, _ = truth.MAGNITUDES["expected_r2"]
            wrong = {**truth.MAGNITUDES, "expected_r3": (events, WRONG_BASELINE)}
            patch.setattr(module, "MAGNITUDES", wrong)
        parts = [of_session(plan) for plan in ruler_plans()]
    recordings, amplitudes, regressors = (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))
    none = pd.DataFrame()
    return Recovered(recordings, amplitudes, BehaviourRecovered(none, none, none, regressors, none))


@pytest.fixture(scope="module")
def frames(recovered):
    """By definition of the magnitudes and blocks."""
    tables = (recovered.recordings, recovered.amplitudes, recovered.behaviour.regressors)
    return {key: cohort_frame(*tables, *key) for key in (("r1", "unbiased"), ("r2", "unbiased"), ("r2", "all"))}


@pytest.fixture(scope="module")
def models(recovered):
    return recover_models(recovered, RULER_SEED)


def by_name(models):
    return {statistic.name: statistic for rows in model_statistics(models).values() for statistic in rows}


def missed(models, **parts):
    return {name for name, statistic in by_name(dataclasses.replace(models, **parts)).items() if not statistic.holds}


def test_planted_effects_come_out_of_the_models(models):
    assert {name: statistic.found for name, statistic in by_name(models).items() if not statistic.holds} == {}


def test_the_committed_page_has_every_statistic(models):
    text = (REPOSITORY / "docs" / "truth.md").read_text()
    for name in by_name(models):
        assert f"| {name} | " in text


# effects

SIDE, CONTRAST = "side, stimulus", "rank of the contrast, stimulus"
CONTRAST_SIDE = "rank of the contrast x side, stimulus"
REWARD, CONTRAST_REWARD = "reward, feedback", "rank of the contrast x reward, feedback"
ALL = "all effects, error in standard errors"
UNPLANTED = "effects that were not planted"
OTHER_SIDE = {"contra": "ipsi", "ipsi": "contra"}
OTHER_CONTRAST = {0.0: 100.0, 6.25: 25.0, 12.5: 12.5, 25.0: 6.25, 100.0: 0.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda frame: frame.assign(side=frame["side"].map(OTHER_SIDE)), {SIDE, CONTRAST_SIDE}),
        (lambda frame: frame.assign(feedbackType=-frame["feedbackType"]), {REWARD, CONTRAST_REWARD}),
        (
            lambda frame: frame.assign(contrast=frame["contrast"].map(OTHER_CONTRAST)),
            # the mean contrast, at which the effect of reward is, lies elsewhere too
            {CONTRAST, CONTRAST_SIDE, CONTRAST_REWARD, REWARD},
        ),
        (lambda frame: frame.assign(response=1.3 * frame["response"]), {ALL, CONTRAST, REWARD, CONTRAST_REWARD}),
        # an effect where none was planted
        (
            lambda frame: frame.assign(response=frame["response"] + 0.15 * frame["feedbackType"]),
            {ALL, UNPLANTED, REWARD},
        ),
    ],
)
def test_effects_that_are_found_wrong_are_missed(recovered, frames, models, change, expected):
    effects = recover_effects(change(frames["r2", "unbiased"]), recovered.recordings)
    assert missed(models, effects=effects) == expected


def test_magnitudes_with_a_wrong_baseline_are_missed(recovered, models):
    wrong = recovered.amplitudes.assign(found_r2=recovered.amplitudes["found_r3"])
    frame = cohort_frame(recovered.recordings, wrong, recovered.behaviour.regressors, "r2", "unbiased")
    effects = recover_effects(frame, recovered.recordings)
    assert missed(models, effects=effects) == {ALL, CONTRAST, SIDE, REWARD}


def test_plain_intervals_in_place_of_those_for_few_mice_are_missed_where_they_differ(models):
    inference = models.inference
    plain = inference.intervals.assign(suited=inference.intervals["plain"])
    expected = {f"coverage of intervals, intercept, {n} mice" for n in (4, 6)}
    assert missed(models, inference=dataclasses.replace(inference, intervals=plain)) == expected
    # within mice both are the same
    effects = models.effects.assign(t_ci_lower=models.effects["ci_lower"], t_ci_upper=models.effects["ci_upper"])
    assert missed(models, effects=effects) == set()


def test_a_shift_of_all_responses_is_no_artefact(recovered, frames, models):
    frame = frames["r2", "all"]
    shifted = recover_artefact(frame.assign(response=frame["response"] + 0.2), recovered.recordings)
    expected = {"mean response to the stimulus, z", "mean response to feedback, z"}
    assert missed(models, artefact=shifted) == expected


# reaction times

OF_GAINS = "slope over log10 reaction time, planted gains"
OF_R1, OF_R2 = "slope over log10 reaction time, R1", "slope over log10 reaction time, R2"
ADDED = {f"R² that reaction time adds in mice left out, {name}" for name in ("R1", "R2")}


def shuffled(frame, column):
    """Return the values of a column swapped between the trials of a recording."""
    rng = np.random.default_rng(0)
    groups = frame.groupby(["eid", "event"])[column]
    return frame.assign(**{column: groups.transform(lambda values: rng.permutation(values.to_numpy()))})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda frame: shuffled(frame, "log_reaction_time"), {OF_GAINS, OF_R1, OF_R2, *ADDED}),
        (lambda frame: frame.assign(log_reaction_time=frame["log_movement_time"]), {OF_GAINS, OF_R1, OF_R2, *ADDED}),
        # natural logarithms
        (lambda frame: frame.assign(log_reaction_time=np.log(10) * frame["log_reaction_time"]), {OF_GAINS}),
        (lambda frame: frame.assign(response=-frame["response"]), {OF_R1, OF_R2}),
    ],
)
def test_slopes_that_are_found_wrong_are_missed(frames, models, change, expected):
    slopes = recover_slopes({name: change(frames[name, "unbiased"]) for name in ("r1", "r2")})
    assert missed(models, slopes=slopes) == expected


# p-values

SWAPS = {f"p-values of the swap null without effects, by {level}" for level in ("recording", "mouse")}
CHOICES, TIMES = (f"p-values of baselines against {name}" for name in ("correct choices", "response times"))
IDLE, POWER = {f"{name} without effects" for name in (CHOICES, TIMES)}, {f"{name}, effect" for name in (CHOICES, TIMES)}


@pytest.mark.parametrize(
    ("table", "column", "change", "expected"),
    [
        # the observed value does not count as a permutation
        ("swaps", "p_value", lambda rows: rows["p_value"] - 1 / (rows["n_donors"] + 1), SWAPS),
        (
            "swaps",
            "p_value",
            lambda rows: rows["p_value"].clip(lower=0.5),
            {*SWAPS, "p-values of the swap null, effect of reward"},
        ),
        (
            "swaps",
            "is_planted",
            lambda rows: ~rows["is_planted"],
            {*SWAPS, "p-values of the swap null, effect of reward"},
        ),
        ("baselines", "is_planted", lambda rows: ~rows["is_planted"], {*IDLE, *POWER}),
        # of draws, which are other multiples
        ("baselines", "p_value_donors", lambda rows: rows["p_value"], IDLE),
        # trials taken as independent; those of choices are another test
        (
            "baselines",
            "p_value_donors",
            lambda rows: (
                np.ceil(21 * rows["p_independent"]).where(rows["model"] == "reaction_time", 21 * rows["p_value_donors"])
                / 21
            ),
            {f"{TIMES} without effects"},
        ),
        (
            "ruler",
            "p_value",
            lambda rows: 1.05 - rows["p_value"],
            {"swap null of the ruler cohort, reward at feedback"},
        ),
    ],
)
def test_p_values_that_are_found_wrong_are_missed(models, table, column, change, expected):
    rows = getattr(models.inference, table)
    inference = dataclasses.replace(models.inference, **{table: rows.assign(**{column: change(rows)})})
    assert missed(models, inference=inference) == expected


def test_rewards_that_mean_nothing_are_not_found_in_mice(frames, models):
    ruler = swap_p_values(shuffled(frames["r2", "all"], "feedbackType"))
    inference = dataclasses.replace(models.inference, ruler=ruler)
    assert missed(models, inference=inference) == {"swap null of the ruler cohort, reward at feedback"}


def test_trials_that_are_shuffled_make_chance_look_smaller_than_it_is():
    rng = np.random.default_rng(1)
    p_values = []
    for recording in drifting_baselines(rng, CohortShape(20, 21, 1, 120)):
        trials = recording.trials
        own = [rng.permutation(trials.baseline) for _ in range(20)]
        _, r2 = line_statistics(trials.relative_log_rt, np.stack([trials.baseline, *own]))
        p_values.append(add_one_p_value(r2[0], r2[1:]).p_value)
    assert np.mean(np.array(p_values) <= 0.05) > 0.1
    assert uniformity(p_values, 20) < LEAST_P


def test_p_values_off_their_grid_are_not_uniform():
    grid = np.repeat(np.arange(1, 22) / 21, 20)
    assert uniformity(grid, 20) == 1
    assert uniformity(np.append(grid, 0.0), 20) == 0
    assert uniformity(np.append(grid, 1.5 / 21), 20) == 0
    assert uniformity(np.append(grid, 22 / 21), 20) == 0
    assert uniformity(np.append(grid, np.full(40, 1 / 21)), 20) < LEAST_P


# vectors

ALIKE = "similarity of recordings of different mice, within targets and between"
PAIRS, DECODED = "similarity of any two targets", "targets decoded, mice left out"
BY_LOT = "targets decoded that are drawn by lot for each mouse"


def test_targets_that_mean_nothing_are_neither_alike_nor_decoded(frames, models):
    matrix = vector_matrix(frames["r2", "all"], "response")
    mice = subjects_of(frames["r2", "all"], matrix)
    rng = np.random.default_rng(0)
    # mice have several targets then
    targets = rng.permutation(matrix.index.get_level_values("target_NM").to_numpy(object))
    labels = [matrix.index.get_level_values("eid"), targets, matrix.index.get_level_values("fiber_idx")]
    mixed = matrix.set_axis(pd.MultiIndex.from_arrays(labels, names=matrix.index.names))
    excess, relabelled = relabelled_excess(mixed, mice, rng)
    confusion = TargetNMDecoder(C=1.0, contributions=False).fit(mixed, targets, mice).confusion
    vectors = dataclasses.replace(models.vectors, excess=excess, relabelled=relabelled, confusion=confusion)
    assert missed(models, vectors=vectors) == {ALIKE, DECODED}


def test_similarities_in_another_order_are_missed(models):
    similarity = models.vectors.similarity
    turned = similarity.assign(found=similarity["found"].to_numpy()[::-1])
    assert missed(models, vectors=dataclasses.replace(models.vectors, similarity=turned)) == {PAIRS}


def test_mice_that_are_not_left_out_are_missed(frames, models):
    matrix = vector_matrix(frames["r2", "all"], "response")[::4]
    mice = subjects_of(frames["r2", "all"], matrix)
    each = matrix.index.get_level_values("eid").to_numpy(object)
    leaking = drawn_accuracies(matrix, mice, each, np.random.default_rng(0), n_draws=8)
    assert missed(models, vectors=dataclasses.replace(models.vectors, drawn=leaking)) == {BY_LOT}


# the page, and what is simulated


def test_the_page_has_a_section_on_models_where_there_are_any(models):
    assert "## Models of responses" not in page({name: [] for name in ("photometry", "curves", "blocks", "timings")}, 0)
    found = {name: [] for name in ("photometry", "curves", "blocks", "timings")} | model_statistics(models)
    text = page(found, 240)
    assert text.count("| yes |") == len(by_name(models))
    assert "{" not in text


def test_what_drifts_has_the_standard_deviation_that_it_should_and_goes_on():
    values = drifting(np.random.default_rng(0), (400, 120))
    assert np.abs(values[:, [0, 60, 119]].std(axis=0) - 1).max() < 0.1
    later = [np.corrcoef(values[:, 10], values[:, 10 + lag])[0, 1] for lag in (1, 20)]
    # a slow share of 0.6 whose correlation is 0.97 from trial to trial
    np.testing.assert_allclose(later, [0.36 * 0.97, 0.36 * 0.97**20], atol=0.12)


def test_simulated_recordings_are_as_many_and_as_long_as_asked_for():
    shape = CohortShape(2, 3, 4, 50)
    frame = drifting_recordings(np.random.default_rng(0), shape, reward=5.0)
    lengths = frame.groupby(["target_NM", "subject", "eid"]).size()
    assert len(lengths) == shape.recordings == 24
    assert lengths.between(45, 50).all()
    assert frame.groupby("eid")["trial"].max().eq(frame.groupby("eid").size() - 1).all()
    means = frame.groupby("feedbackType")["response"].mean()
    assert 4.8 < means[1] - means[-1] < 5.2
    correct = frame["feedbackType"] == 1
    assert (frame["side"] == frame["choice_side"]).equals(correct)
    baselines = drifting_baselines(np.random.default_rng(0), shape)
    assert len({recording.subject for recording in baselines}) == 6
    assert all(45 <= len(recording.trials.baseline) <= 50 for recording in baselines)
