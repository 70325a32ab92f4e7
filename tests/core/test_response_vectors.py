"""Magnitudes, response vectors and their matrix: worked numbers, and plain loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.analyses.coding import stimulus_side
from iblnm_core.analyses.response_vectors import events_of, feature_label, response_matrix, response_vector
from iblnm_core.errors import MissingPrerequisite, UnknownOption
from iblnm_core.session.responses import Responses, magnitudes, mask_after_next_event, subtract_baseline

EARLY = (0.1, 0.35)
THREE = ("stimOn_times", "firstMovement_times", "feedback_times")
TWO = ("stimOn_times", "feedback_times")
STEPS = np.arange(-30, 30)


def _responses(events, factors):
    """Responses that are the sample's number times a factor of the trial."""
    values = np.tile(np.outer(factors, STEPS.astype(float)), (len(events), 1, 1))
    return Responses(tuple(events), STEPS / 30, np.arange(len(factors)), values, 30, (-1.0, 1.0))


def _magnitudes(events, trials, factors, baseline):
    masked = mask_after_next_event(_responses(events, factors), trials, events)
    return magnitudes(subtract_baseline(masked, baseline), EARLY)


@pytest.mark.parametrize(
    ("following", "expected"),
    [(10.0, 10.0), (50.21, 8.0), (50.09, np.nan), (50.3, 9.0), (np.nan, 10.0)],
)
def test_magnitude_up_to_the_next_event(following, expected):
    trials = pd.DataFrame({"stimOn_times": [50.0], "feedback_times": [60.0 if following == 10 else following]})
    [[found], _] = _magnitudes(TWO, trials, [1.0], (-0.2, 0.0))
    assert found == pytest.approx(expected, nan_ok=True)


def test_magnitude_by_baseline_window():
    trials = pd.DataFrame({"stimOn_times": [50.0], "feedback_times": [60.0]})
    assert magnitudes(_responses(TWO, [1.0]), EARLY)[0, 0] == pytest.approx(6.5)
    assert _magnitudes(TWO, trials, [1.0], (-0.1, 0.0))[0, 0] == pytest.approx(8.5)
    assert np.searchsorted(STEPS / 30, (0.1, 0.35, -0.2, 0, -0.1)).tolist() == [33, 41, 24, 30, 27]


def _six_trials(hemisphere="l"):
    stim_side = pd.Series(["right", "left", "right", "left", "left", "right"])
    onset = np.arange(10.0, 61, 10)
    return pd.DataFrame(
        {
            "side": stimulus_side(stim_side, pd.Series([hemisphere] * 6)),
            "contrast": [100, 100, 6.25, 6.25, 0, 0],
            "feedbackType": [1, 1, -1, 1, -1, 1],
            "choice": [-1, 1, 1, 1, 0, -1],
            "stimOn_times": onset,
            "firstMovement_times": onset + np.array([0.21, 0.4, 0.09, np.nan, 0.3, 0.5]),
            "feedback_times": onset + np.array([0.5, 0.7, 0.3, 0.8, 0.6, 1.2]),
        }
    )


def _long(events, values):
    n = values.shape[1]
    return pd.DataFrame(
        {"event": np.repeat(events, n), "trial": np.tile(np.arange(n), len(events)), "response": values.ravel()}
    )


FACTORS = np.arange(1.0, 7)


def test_vector_of_six_trials():
    trials = _six_trials()
    table = _long(THREE, _magnitudes(THREE, trials, FACTORS, (-0.2, 0.0)))
    vector = response_vector(table, trials, np.full(6, True))
    assert len(vector) == 24
    assert list(vector.index[:4]) == [f"stimOn_c0_{s}" for s in ("contra_correct", "contra_incorrect")] + [
        f"stimOn_c0_{s}" for s in ("ipsi_correct", "ipsi_incorrect")
    ]
    expected = {
        "stimOn_c0_contra_correct": 60,
        "stimOn_c0_ipsi_incorrect": 45,
        "stimOn_c6.25_ipsi_correct": 40,
        "stimOn_c100_contra_correct": 8,
        "stimOn_c100_ipsi_correct": 20,
        "feedback_c0_contra_correct": 60,
        "feedback_c0_ipsi_incorrect": 50,
        "feedback_c6.25_contra_incorrect": 30,
        "feedback_c6.25_ipsi_correct": 40,
        "feedback_c100_contra_correct": 10,
        "feedback_c100_ipsi_correct": 20,
    }
    assert vector.dropna().to_dict() == pytest.approx(expected)
    assert vector.index[vector.notna()].tolist() == list(expected)


def test_magnitudes_of_six_trials_with_two_events():
    found = _magnitudes(TWO, _six_trials(), FACTORS, (-0.1, 0.0))
    np.testing.assert_allclose(found, [[8.5, 17, 24, 34, 42.5, 51], [8.5, 17, 25.5, 34, 42.5, 51]])


def test_sides_turn_with_the_hemisphere_and_are_none_without_one():
    left, right, unknown = (_six_trials(hemisphere)["side"].tolist() for hemisphere in ("l", "r", ""))
    assert left == ["contra", "ipsi", "contra", "ipsi", "ipsi", "contra"]
    assert right == ["ipsi", "contra", "ipsi", "contra", "contra", "ipsi"]
    assert unknown == [None] * 6
    trials = _six_trials("")
    table = _long(TWO, _magnitudes(TWO, trials, FACTORS, (-0.1, 0.0)))
    vector = response_vector(table, trials, np.full(6, True))
    assert (len(vector), vector.notna().sum()) == (24, 0)


def test_trials_that_are_not_used_leave_their_labels_and_nothing_else():
    trials = _six_trials()
    table = _long(TWO, _magnitudes(TWO, trials, FACTORS, (-0.1, 0.0)))
    used = (trials["choice"] != 0).to_numpy()
    every, some = response_vector(table, trials, np.full(6, True)), response_vector(table, trials, used)
    assert every.index.equals(some.index)
    assert every.index[every.notna() & some.isna()].tolist() == [
        "stimOn_c0_ipsi_incorrect",
        "feedback_c0_ipsi_incorrect",
    ]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_vector_is_that_of_a_loop(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    n, min_trials = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 3))
    trials = pd.DataFrame(
        {
            "side": random.choice(np.array(["contra", "ipsi", None], dtype=object), n),
            "contrast": random.choice([0, 6.25, 12.5, np.nan], n),
            "feedbackType": random.choice([1, -1, 0], n),
        },
        index=3 + random.permutation(n),
    )
    used = random.random(n) < 0.8
    values = np.where(random.random((2, n)) < 0.3, np.nan, random.normal(size=(2, n)))
    table = _long(TWO, values)
    table["trial"] = np.tile(trials.index, 2)
    table = table.sample(frac=0.9, random_state=1)
    vector = response_vector(table, trials, used, min_trials=min_trials)
    expected = {}
    for event in TWO:
        rows = table[table["event"] == event].set_index("trial")["response"]
        for contrast in sorted(trials["contrast"].dropna().unique()):
            for side in ("contra", "ipsi"):
                for outcome, feedback in (("correct", 1), ("incorrect", -1)):
                    these = (trials["side"] == side) & (trials["contrast"] == contrast)
                    chosen = trials.index[these & (trials["feedbackType"] == feedback) & used]
                    mean = rows.reindex(chosen).mean() if len(chosen) >= min_trials else np.nan
                    expected[feature_label(event, contrast, side, outcome)] = mean
    assert vector.index.tolist() == list(expected)
    np.testing.assert_allclose(vector, list(expected.values()), atol=1e-12)


def test_trials_are_counted_before_unknown_responses_are_left_out():
    trials = pd.DataFrame({"side": ["contra"] * 3, "contrast": [25] * 3, "feedbackType": [1] * 3})
    table = _long(["stimOn_times"], np.array([[2.0, np.nan, np.nan]]))
    for min_trials, expected in ((3, 2.0), (4, np.nan)):
        vector = response_vector(table, trials, np.full(3, True), ["stimOn_times"], min_trials)
        assert vector["stimOn_c25_contra_correct"] == pytest.approx(expected, nan_ok=True)


def test_contrasts_that_differ_by_rounding_are_one():
    trials = pd.DataFrame({"side": ["ipsi"] * 2, "contrast": [12.5, 12.5 + 1e-9], "feedbackType": [1] * 2})
    table = _long(["stimOn_times"], np.array([[2.0, 4.0]]))
    vector = response_vector(table, trials, np.full(2, True), ["stimOn_times"])
    assert vector.dropna().to_dict() == {"stimOn_c12.5_ipsi_correct": 3.0}


def test_normalisation():
    trials = pd.DataFrame({"side": ["ipsi"] * 3, "contrast": [0, 25, 100], "feedbackType": [1] * 3})
    used = np.full(3, True)
    for values, expected in (([2.0, 3, 6], [0, 0.25, 1]), ([2.0, 2, 2], [2, 2, 2]), ([np.nan] * 3, [])):
        table = _long(["stimOn_times"], np.array([values]))
        vector = response_vector(table, trials, used, ["stimOn_times"], normalisation="min_max")
        assert vector.dropna().tolist() == expected
    with pytest.raises(UnknownOption, match="expected one of none, min_max"):
        response_vector(table, trials, used, normalisation="z_score")
    with pytest.raises(MissingPrerequisite, match="no column side"):
        response_vector(table, trials.drop(columns="side"), used)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_matrix_is_that_of_a_loop(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    threshold = data.draw(st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0]))
    vectors = {}
    for row in range(data.draw(st.integers(0, 8))):
        labels = random.permutation(list("abcdef"))[: random.integers(0, 7)]
        values = np.where(random.random(len(labels)) < 0.2, np.nan, random.normal(size=len(labels)))
        vectors[f"e{row}", "DR-5HT", row] = pd.Series(values, index=labels, dtype=float)
    labels = list(dict.fromkeys(label for vector in vectors.values() for label in vector.index))
    rows = {key: [vector.get(label, np.nan) for label in labels] for key, vector in vectors.items()}
    by_session = response_matrix(vectors)
    assert list(by_session.columns) == labels
    assert by_session.index.tolist() == [key for key, row in rows.items() if not np.isnan(row).any()]
    by_feature = response_matrix(vectors, "drop_features", threshold)
    kept = [
        place
        for place in range(len(labels))
        if sum(np.isnan(row[place]) for row in rows.values()) / len(rows) <= threshold
    ]
    assert list(by_feature.columns) == [labels[place] for place in kept]
    assert by_feature.index.names == ["eid", "target_NM", "fiber_idx"]
    for key, row in rows.items():
        np.testing.assert_array_equal(by_feature.loc[key], np.array(row)[kept])


def test_unknown_handling_is_refused():
    with pytest.raises(UnknownOption, match="expected one of drop_sessions, drop_features"):
        response_matrix({}, "fill")


def test_events_of_labels():
    labels = ["stimOn_c0_contra_correct", "feedback_c0_contra_correct", "stimOn_c6.25_ipsi_correct"]
    assert events_of(labels) == {"stimOn": [labels[0], labels[2]], "feedback": [labels[1]]}
