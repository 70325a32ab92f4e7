"""Recordings for baseline coding from the collected tables: the same as from single frames, in their order, errors in words."""

import numpy as np
import pandas as pd
import pytest
from tests_support.baselines import prepared

from iblnm_core.analyses.baseline_recordings import baseline_recordings
from iblnm_core.errors import MissingPrerequisite
from iblnm_core.schemas import RECORDINGS, RESPONSES, TRIAL_REGRESSORS

EVENTS = ("feedback_times", "stimOn_times")


def regressors_of(random, eid, n_trials):
    rows = pd.DataFrame(
        {
            "eid": eid,
            "trial": np.arange(n_trials),
            "choice": random.choice([-1.0, 0.0, 1.0], n_trials, p=[0.45, 0.1, 0.45]),
            "feedbackType": random.choice([1.0, -1.0], n_trials),
            "contrast": random.choice([0.0, 6.25, 100.0], n_trials),
            "probabilityLeft": random.choice([0.2, 0.5, 0.8], n_trials),
            "reaction_time": random.gamma(2, 0.1, n_trials),
            "response_time": random.gamma(2, 0.3, n_trials),
        }
    )
    return rows.reindex(columns=TRIAL_REGRESSORS.column_names)


def responses_of(random, eid, fiber, n_trials):
    rows = [
        {"eid": eid, "fiber_idx": fiber, "event": event, "trial": trial, "pre_event": random.normal()}
        for event in EVENTS
        for trial in range(n_trials)
    ]
    return pd.DataFrame(rows).reindex(columns=RESPONSES.column_names)


def recordings_of(*keys):
    rows = [
        {"eid": eid, "fiber_idx": fiber, "subject": f"mouse {eid}", "target_NM": target, "brain_region": "VTA"}
        for eid, fiber, target in keys
    ]
    return pd.DataFrame(rows, columns=RECORDINGS.column_names)


@pytest.fixture
def tables():
    random = np.random.default_rng(0)
    sessions = {"b": 40, "a": 60, "c": 50}
    return {
        "responses": pd.concat(
            [responses_of(random, eid, fiber, n) for eid, n in sessions.items() for fiber in (0, 1)], ignore_index=True
        ),
        "regressors": pd.concat([regressors_of(random, eid, n) for eid, n in sessions.items()], ignore_index=True),
        "recordings": recordings_of(("a", 1, "VTA-DA"), ("b", 0, "LC-NE"), ("a", 0, "VTA-DA")),
    }


def frame_of(tables, eid, fiber):
    responses, regressors = tables["responses"], tables["regressors"]
    own = responses[
        (responses["eid"] == eid) & (responses["fiber_idx"] == fiber) & (responses["event"] == "stimOn_times")
    ]
    of_session = regressors[regressors["eid"] == eid]
    return of_session.merge(own[["trial", "pre_event"]], on="trial").rename(columns={"pre_event": "baseline"})


def assert_equal_trials(found, expected):
    for name in ("correct", "relative_log_rt", "baseline"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("minimum", [0.05, 0.2])
def test_recordings_are_those_of_single_frames_in_their_order(tables, minimum):
    found = baseline_recordings(**tables, minimum_reaction_time_s=minimum)
    assert [(r.eid, r.fiber_idx, r.target_NM) for r in found] == [
        ("a", 1, "VTA-DA"),
        ("b", 0, "LC-NE"),
        ("a", 0, "VTA-DA"),
    ]
    for recording in found:
        assert (recording.subject, recording.brain_region, recording.error) == (f"mouse {recording.eid}", "VTA", None)
        assert_equal_trials(recording.trials, prepared(frame_of(tables, recording.eid, recording.fiber_idx), minimum))


def test_the_order_of_the_rows_is_of_no_matter(tables):
    shuffled = {name: tables[name].sample(frac=1, random_state=0) for name in ("responses", "regressors")}
    for one, other in zip(baseline_recordings(**tables), baseline_recordings(**{**tables, **shuffled}), strict=True):
        assert_equal_trials(other.trials, one.trials)


def test_what_is_missing_is_an_error_of_its_recording_alone(tables):
    responses, regressors = tables["responses"], tables["regressors"]
    tables["recordings"] = recordings_of(
        ("a", 0, None), ("d", 0, "LC-NE"), ("b", 1, "LC-NE"), ("c", 0, "LC-NE"), ("c", 1, "LC-NE"), ("a", 1, "VTA-DA")
    )
    is_stimulus = responses["event"] == "stimOn_times"
    responses = responses[~((responses["eid"] == "b") & is_stimulus)].copy()
    responses.loc[(responses["eid"] == "c") & (responses["fiber_idx"] == 1), "pre_event"] = np.nan
    regressors.loc[regressors["eid"] == "c", "choice"] = regressors["choice"].where(regressors["trial"] < 20, 0.0)
    found = baseline_recordings(responses, regressors, tables["recordings"])
    assert [recording.error for recording in found] == [
        "resolve: MissingPrerequisite: the recording has no target",
        "resolve: MissingPrerequisite: no response to a stimulus whose trial is known",
        "resolve: MissingPrerequisite: no response to a stimulus whose trial is known",
        None,
        f"prep: ValueError: the baseline has 0 distinct values in {len(found[3].trials.correct)} trials",
        None,
    ]
    assert [recording.trials is None for recording in found] == [True, True, True, False, True, False]


def test_trials_without_regressors_do_not_count(tables):
    regressors = tables["regressors"]
    tables["regressors"] = regressors[~((regressors["eid"] == "b") & (regressors["trial"] >= 30))]
    found = baseline_recordings(**tables)[1]
    assert_equal_trials(found.trials, prepared(frame_of(tables, "b", 0)))
    assert len(found.trials.correct) <= 30


def test_empty_tables_give_errors_or_nothing(tables):
    for name in ("responses", "regressors"):
        found = baseline_recordings(**{**tables, name: tables[name].iloc[:0]})
        assert [recording.error for recording in found] == [
            "resolve: MissingPrerequisite: no response to a stimulus whose trial is known"
        ] * 3
    assert baseline_recordings(**{**tables, "recordings": tables["recordings"].iloc[:0]}) == []


@pytest.mark.parametrize(("name", "column"), [("responses", "pre_event"), ("regressors", "response_time")])
def test_a_column_that_is_not_there_is_named(tables, name, column):
    tables[name] = tables[name].drop(columns=column)
    with pytest.raises(MissingPrerequisite, match=column):
        baseline_recordings(**tables)
