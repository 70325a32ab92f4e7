"""How mice learned: every session of a small cohort by hand, learning curves, stages, and the comparison of targets."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from iblnm_core.analyses.learning import learning_tables
from iblnm_core.analyses.stage_progress import SESSIONS_BEFORE, stage_curve, stage_progress
from iblnm_core.analyses.target_comparison import COMPARED_METRICS, LEVELS, target_comparison
from iblnm_core.analyses.trajectories import (
    ALL_TARGETS,
    CURVE_METRICS,
    bias_shift_trajectories,
    learning_curves,
    performance_trajectory,
    psychometric_trajectories,
)
from iblnm_core.errors import UnknownOption
from iblnm_core.schemas import ERRORS, PERFORMANCE, SESSIONS
from iblnm_core.session.performance import FITTED_BLOCKS
from iblnm_core.vocabulary import EXCLUDED_SUBJECTS

SIGNAL = "alf/photometry/photometry.signal.pqt"
NO_ERRORS = ERRORS.arrow().empty_table().to_pandas()
NO_SESSIONS = SESSIONS.arrow().empty_table().to_pandas()
NO_PERFORMANCE = PERFORMANCE.arrow().empty_table().to_pandas()


def session(eid, subject="m1", session_type="training", session_n=1.0, targets=("VTA-DA",), datasets=(SIGNAL,)):
    return {
        "eid": eid,
        "subject": subject,
        "session_type": session_type,
        "start_time": f"2025-01-{int(session_n):02d}T10:00:00",
        "session_n": session_n,
        "day_n": int(session_n) - 1,
        "target_NM": np.array(targets, dtype=object),
        "datasets": np.array(datasets, dtype=object),
    }


def performed(eid, fraction=0.8, **values):
    """A row of the table of performance: an unbiased fit unless it is told otherwise."""
    row = {column.name: np.nan for column in PERFORMANCE.columns}
    row |= {"eid": eid, "n_trials": 100, "fraction_correct": fraction, "fraction_correct_easy": fraction}
    row |= {"nogo_fraction": 0.0, "status": "ok", "blocks": "as recorded", "contrasts": np.array([0.0, 100.0])}
    for block in FITTED_BLOCKS:
        row |= {f"{block}_at_bound": np.array([], dtype=object), f"{block}_status": None}
    fit = {"bias": 1.0, "threshold": 20.0, "lapse_left": 0.1, "lapse_right": 0.05, "status": "ok"}
    return row | {f"psych_50_{name}": value for name, value in fit.items()} | values


def blocking(eid, stage="task"):
    row = dict.fromkeys(ERRORS.column_names, "")
    return row | {"eid": eid, "stage": stage, "blocks_analysis": True}


def tables(sessions, performance, errors=()):
    found = pd.DataFrame(list(errors)) if errors else NO_ERRORS
    return pd.DataFrame(sessions), pd.DataFrame(performance), found


def trajectory_of(sessions, performance=None, errors=()):
    rows = [performed(row["eid"]) for row in sessions] if performance is None else performance
    return performance_trajectory(*tables(sessions, rows, errors))[0]


def learner(subject, types):
    """Sessions of a mouse, one a day."""
    return [session(f"{subject}-{n}", subject, name, float(n)) for n, name in enumerate(types, start=1)]


def test_which_sessions_are_in_the_trajectory():
    test_subject = min(EXCLUDED_SUBJECTS)
    sessions = [
        session("kept", targets=("VTA-DA", None, "SNc-DA", "VTA-DA")),
        session("behaviour", session_n=2.0, targets=(), datasets=("alf/task_00/_ibl_trials.table.pqt",)),
        session("poor", session_n=3.0),
        session("no signal", session_n=4.0),
        session("blocked", session_n=5.0),
        session("habituation", session_type="habituation", session_n=6.0),
        session("unknown type", session_type=None, session_n=7.0),
        session("test", subject=test_subject),
        session("no performance", session_n=8.0),
    ]
    rows = [performed(row["eid"], fraction=0.1 if row["eid"] == "poor" else 0.9) for row in sessions[:-1]]
    errors = [blocking("no signal", "photometry"), blocking("blocked"), blocking("kept") | {"blocks_analysis": False}]
    trajectory, outcomes = performance_trajectory(*tables(sessions, rows, errors))
    assert list(trajectory["eid"]) == ["kept", "behaviour", "poor", "no signal"]
    assert list(trajectory["targets"]) == [["SNc-DA", "VTA-DA"], [], ["VTA-DA"], ["VTA-DA"]]
    assert list(trajectory["has_photometry"]) == [True, False, True, True]
    psychometric = {column.name for column in PERFORMANCE.columns if column.name.startswith("psych_")}
    assert psychometric < set(trajectory)
    [outcome] = outcomes.to_dict("records")
    assert (outcome["status"], outcome["n_trials"], outcome["n_subjects"]) == ("ok", 4, 1)
    assert re.findall(r"\d+", outcome["detail"]) == ["9", "2", "1", "1", "1"]


def test_a_curve_is_the_mean_over_mice_each_counted_once_a_day():
    sessions = [
        session("a1", "a"),
        session("a1b", "a"),
        session("b1", "b", targets=("LC-NE",)),
        session("b2", "b", session_n=2.0, targets=("LC-NE", "LC-NE")),
    ]
    fractions = {"a1": 0.5, "a1b": 0.7, "b1": 0.8, "b2": 0.9}
    trajectory = trajectory_of(sessions, [performed(eid, value) for eid, value in fractions.items()])
    curves, outcomes = learning_curves(trajectory)
    rows = curves[curves["metric"] == "fraction_correct"].set_index(["target_NM", "session_n"])
    assert rows.index.tolist() == [("LC-NE", 1), ("LC-NE", 2), ("VTA-DA", 1), (ALL_TARGETS, 1), (ALL_TARGETS, 2)]
    np.testing.assert_allclose(rows["mean"], [0.8, 0.9, 0.6, 0.7, 0.9])
    assert list(rows["n_subjects"]) == [1, 1, 1, 2, 1]
    assert rows["sem"].notna().tolist() == [False, False, False, True, False]
    assert rows.loc[(ALL_TARGETS, 1), "sem"] == pytest.approx(np.std([0.6, 0.8], ddof=1) / np.sqrt(2))
    found = outcomes.set_index(["target_NM", "variable"])
    assert found.loc[(ALL_TARGETS, "fraction_correct"), ["status", "n_trials", "n_subjects"]].tolist() == ["ok", 4, 2]
    assert found.loc[("LC-NE", "bias_shift"), ["status", "n_trials"]].tolist() == ["missing_input", 0]
    assert len(found) == 3 * len(CURVE_METRICS)


def test_a_fit_that_its_contrasts_do_not_determine_has_no_say_in_a_curve():
    sessions = [session("a"), session("b", "m2")]
    thin = {"psych_50_status": "thin data", "psych_50_bias": 40.0}
    trajectory = trajectory_of(sessions, [performed("a"), performed("b", **thin)])
    curves, _ = learning_curves(trajectory)
    bias = curves[(curves["metric"] == "psych_50_bias") & (curves["target_NM"] == ALL_TARGETS)]
    assert bias[["mean", "n_subjects"]].to_numpy().tolist() == [[1.0, 1.0]]
    parameters, _ = psychometric_trajectories(trajectory)
    assert set(parameters["status"]) == {"ok", "thin data"}


def test_parameters_by_session_and_block():
    fits = {}
    for block, bias in (("psych_20", -5.0), ("psych_80", 5.0)):
        fit = {"bias": bias, "threshold": 10.0, "lapse_left": 0.0, "lapse_right": 0.0, "status": "ok"}
        fits |= {f"{block}_{name}": value for name, value in fit.items()}
        fits[f"{block}_at_bound"] = np.array(["threshold"], dtype=object)
    sessions = [session("late", session_type="biased", session_n=2.0), session("early")]
    trajectory = trajectory_of(sessions, [performed("late", **fits), performed("early")])
    parameters, outcomes = psychometric_trajectories(trajectory)
    assert parameters["eid"].tolist() == ["early"] * 4 + ["late"] * 12
    assert parameters["probabilityLeft"].tolist() == [0.5] * 4 + [0.2] * 4 + [0.5] * 4 + [0.8] * 4
    late = parameters[parameters["eid"] == "late"].set_index(["probabilityLeft", "parameter"])
    assert late["value"][[(0.2, "bias"), (0.8, "bias"), (0.5, "threshold")]].tolist() == [-5, 5, 20]
    assert late.index[late["at_bound"]].tolist() == [(0.2, "threshold"), (0.8, "threshold")]
    assert outcomes["variable"].tolist() == list(FITTED_BLOCKS)
    assert outcomes["n_trials"].tolist() == [2, 1, 1]


def test_bias_shifts_are_counted_where_there_is_one():
    sessions = learner("a", ["biased"] * 4) + learner("b", ["training", "biased"])
    shifts = {"a-1": 3.0, "a-2": np.nan, "a-3": 5.0, "a-4": np.inf, "b-1": np.nan, "b-2": 7.0}
    trajectory = trajectory_of(sessions, [performed(eid, bias_shift=value) for eid, value in shifts.items()])
    found, outcomes = bias_shift_trajectories(trajectory)
    assert found[["eid", "shift_n", "bias_shift"]].to_numpy().tolist() == [
        ["a-1", 1, 3.0],
        ["a-3", 2, 5.0],
        ["b-2", 1, 7.0],
    ]
    assert outcomes[["status", "n_trials", "n_subjects"]].to_numpy().tolist() == [["ok", 3, 2]]


def test_stages_of_mice_by_hand():
    sessions = [
        *learner("fast", ["training", "biased", "training", "biased", "ephys"]),
        *learner("skipped", ["ephys"]),
        *learner("slow", ["training", "training", "training", "biased"]),
        *learner("stopped", ["training", "training"]),
    ]
    progress = stage_progress(trajectory_of(sessions)).set_index("subject")
    counts = progress[["n_training", "n_biased", "n_ephys"]].to_numpy().tolist()
    assert counts == [[2, 2, 1], [0, 0, 1], [3, 1, 0], [2, 0, 0]]
    np.testing.assert_array_equal(progress["sessions_to_biased"], [1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(progress["biased_sessions_to_ephys"], [2, 0, np.nan, np.nan])
    assert progress["censored_biased"].tolist() == [False, True, False, True]
    assert progress["censored_ephys"].tolist() == [False, False, True, True]


def test_a_mouse_that_shares_a_day_with_the_next_stage_is_not_counted_before_it():
    sessions = [session("t", session_n=1.0), session("b", session_type="biased", session_n=1.0)]
    assert stage_progress(trajectory_of(sessions))["sessions_to_biased"].tolist() == [0]


def test_the_step_curve_by_hand():
    # one mouse stopped after two sessions: it cannot have had a biased session after them
    types = {"a": ["training", "biased"], "b": ["training"] * 2 + ["biased"], "c": ["training"] * 2}
    progress = stage_progress(trajectory_of([row for name, of in types.items() for row in learner(name, of)]))
    curve, outcome = stage_curve(progress, "biased")
    assert curve["n_sessions"].tolist() == [1, 2]
    assert curve[["n_at_risk", "n_reached", "n_censored"]].to_numpy().tolist() == [[3, 1, 0], [1, 1, 1]]
    np.testing.assert_allclose(curve["share"], [1 / 3, 1])
    np.testing.assert_allclose(curve["share_of_reached"], [1 / 2, 1])
    assert (outcome.status, outcome.n_trials, outcome.n_subjects) == ("ok", 5, 3)
    assert outcome.detail == "1 of 3 mice never had such a session"
    later, of_ephys = stage_curve(progress, "ephys")
    assert later[["share", "n_censored"]].to_numpy().tolist() == [[0, 2]]
    assert later["share_of_reached"].isna().all()
    assert of_ephys.n_subjects == 2


def test_without_censoring_both_shares_are_those_of_the_mice():
    counts = {"a": 1, "b": 3, "c": 3, "d": 6}
    sessions = [row for name, n in counts.items() for row in learner(name, ["training"] * n + ["biased"])]
    curve, _ = stage_curve(stage_progress(trajectory_of(sessions)), "biased")
    np.testing.assert_allclose(curve["share"], [0.25, 0.75, 1])
    np.testing.assert_allclose(curve["share_of_reached"], [0.25, 0.75, 1])


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=15))
@settings(deadline=None)
def test_the_share_of_all_mice_is_the_product_limit_of_their_next_session(mice):
    sessions = [
        row
        for n, (count, reached) in enumerate(mice)
        for row in learner(f"m{n}", ["training"] * count + ["biased"] * reached)
    ]
    if not sessions:
        return
    # a mouse without any session is in no table
    seen = [(count, reached) for count, reached in mice if count or reached]
    curve, outcome = stage_curve(stage_progress(pd.DataFrame(sessions)), "biased")
    assert outcome.n_subjects == len(seen)
    assert curve["n_reached"].sum() + curve["n_censored"].sum() == len(seen)
    # reaching it takes the session itself; only who was seen that far can have had it
    times = [count + reached for count, reached in seen]
    oracle = SurvfuncRight(times, [int(reached) for _, reached in seen])
    events = curve[curve["n_reached"] > 0]
    np.testing.assert_allclose(1 - oracle.surv_prob, events["share"], atol=1e-12)
    np.testing.assert_array_equal(oracle.n_risk, events["n_at_risk"])


def test_an_unknown_stage_is_a_typed_error():
    progress = stage_progress(trajectory_of(learner("a", ["training"])))
    with pytest.raises(UnknownOption, match="passive"):
        stage_curve(progress, "passive")


def _cohort(seed, n_mice=4):
    random = np.random.default_rng(seed)
    sessions, rows = [], []
    for mouse in range(n_mice):
        targets = [("VTA-DA", "SNc-DA"), ("LC-NE",), (None,), ("DR-5HT", "DR-5HT")][mouse % 4]
        stages = (
            ["training"] * random.integers(0, 3) + ["biased"] * random.integers(0, 4) + ["ephys"] * random.integers(2)
        )
        for row in learner(f"m{mouse}", stages):
            sessions.append(row | {"target_NM": np.array(targets, dtype=object)})
            values = {"psych_50_bias": random.normal(), "bias_shift": random.choice([np.nan, random.normal()])}
            rows.append(performed(row["eid"], random.uniform(0.5, 1), **values))
    return sessions, rows


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_the_order_of_rows_does_not_matter(seed):
    sessions, rows = _cohort(seed)
    if not sessions:
        return
    catalogue, performance, errors = tables(sessions, rows, [blocking("m0-1")])
    found = learning_tables(catalogue, performance, errors)
    shuffled = learning_tables(
        catalogue.sample(frac=1, random_state=seed), performance.sample(frac=1, random_state=seed + 1), errors
    )
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, shuffled[name], obj=name)
    fibers = catalogue.explode("target_NM").assign(fiber_idx=0)
    compared = target_comparison(fibers, performance)
    again = target_comparison(fibers.sample(frac=1, random_state=seed), performance.sample(frac=1, random_state=seed))
    for name, table in compared.items():
        pd.testing.assert_frame_equal(table, again[name], obj=name)


@pytest.mark.parametrize("kind", ["empty", "only habituation", "one mouse", "nothing known"])
def test_odd_cohorts_have_labels_and_all_columns(kind):
    catalogue, performance, errors = NO_SESSIONS, NO_PERFORMANCE, NO_ERRORS
    if kind == "only habituation":
        catalogue, performance, errors = tables([session("a", session_type="habituation")], [performed("a")])
    if kind == "one mouse":
        catalogue, performance, errors = tables([session("a")], [performed("a")])
    if kind == "nothing known":
        nothing = dict.fromkeys(CURVE_METRICS, np.nan) | {"psych_50_status": "no trials"}
        catalogue, performance, errors = tables(
            [session("a"), session("b", "m2")], [performed(eid, **nothing) for eid in "ab"]
        )
    found = learning_tables(catalogue, performance, errors)
    full = learning_tables(*tables(*_cohort(3)))
    for name, table in found.items():
        assert list(table.columns) == list(full[name].columns), name
    outcomes = found["learning_outcomes"].set_index(["analysis", "target_NM", "variable"])["status"]
    expected = {"empty": "no_data", "only habituation": "missing_input", "one mouse": "ok", "nothing known": "ok"}
    assert outcomes["performance_trajectory"].tolist() == [expected[kind]]
    of_curve = {"only habituation": "no_data", "nothing known": "missing_input"}
    assert outcomes["learning_curves", ALL_TARGETS, "fraction_correct"] == of_curve.get(kind, expected[kind])
    stages = found["learning_outcomes"].query("analysis == 'stage_progress'")
    assert stages["variable"].tolist() == list(SESSIONS_BEFORE)


def _recordings(of_targets):
    """One recording per target, mouse and session; mice are named as they are given."""
    return pd.DataFrame(
        [
            {"eid": f"{subject}-{place}", "fiber_idx": 0, "subject": subject, "target_NM": target}
            for target, mice in of_targets.items()
            for subject, n_sessions in mice.items()
            for place in range(n_sessions)
        ]
    )


def test_targets_are_compared_by_mice_and_by_sessions():
    recordings = _recordings(
        {
            "DR-5HT": {f"a{n}": 1 for n in range(1, 6)},
            "LC-NE": {f"b{n}": 1 for n in range(4, 9)},
            "VTA-DA": {f"c{n}": 2 for n in range(9, 14)},
        }
    )
    numbers = recordings["eid"].str.extract(r"(\d+)-", expand=False).astype(int)
    fractions = dict(zip(recordings["eid"], numbers / 20, strict=True))
    rows = [performed(eid, fraction) for eid, fraction in fractions.items()]
    found = target_comparison(pd.concat([recordings, recordings.assign(fiber_idx=1)]), pd.DataFrame(rows))
    tests = found["target_comparison"].set_index(["metric", "level"]).loc["fraction_correct"]
    by_mouse = tests.loc["subject"]
    assert by_mouse["statistic"].iloc[0] == pytest.approx(11.621505, abs=1e-6)
    assert by_mouse["p_value"].iloc[0] == pytest.approx(0.002995, abs=1e-6)
    assert by_mouse["target_a"].tolist() == [None, "DR-5HT", "DR-5HT", "LC-NE"]
    assert by_mouse["statistic"].tolist()[1:] == [2, 0, 0]
    assert by_mouse["n_shared"].tolist()[1:] == [0, 0, 0]
    assert tests.loc["session"]["n_b"].tolist()[1:] == [5, 10, 10]
    outcomes = found["target_comparison_outcomes"].set_index("variable")
    assert outcomes.loc["fraction_correct:subject", ["status", "n_trials", "n_subjects"]].tolist() == ["ok", 20, 15]
    assert outcomes.loc["psych_50_bias:subject", "status"] == "constant_response"
    mice = found["target_comparison_subjects"].query("metric == 'fraction_correct' and subject == 'c9'")
    assert mice[["mean", "sem", "n_sessions"]].to_numpy().tolist() == [[0.45, 0.0, 2.0]]


def test_a_mouse_with_two_targets_is_in_both_and_that_is_said():
    recordings = _recordings({"VTA-DA": {"a": 1, "b": 1}, "SNc-DA": {"a": 1, "c": 1}})
    rows = [performed("a-0", 0.7), performed("b-0", 0.8), performed("c-0", 0.9)]
    tests = target_comparison(recordings, pd.DataFrame(rows))["target_comparison"]
    [pair] = tests.query("metric == 'fraction_correct' and level == 'subject' and test == 'mannwhitney'").to_dict(
        "records"
    )
    assert (pair["target_a"], pair["target_b"], pair["n_shared"]) == ("SNc-DA", "VTA-DA", 1)


def test_means_of_equal_values_are_equal():
    recordings = _recordings({"VTA-DA": {"a": 3}, "LC-NE": {"b": 1}})
    found = target_comparison(recordings, pd.DataFrame([performed(eid, 0.7) for eid in recordings["eid"]]))
    outcomes = found["target_comparison_outcomes"].set_index("variable")
    assert outcomes.loc["fraction_correct:subject", "status"] == "constant_response"


@pytest.mark.parametrize(
    ("of_targets", "known", "status"),
    [
        ({}, True, "no_data"),
        ({"VTA-DA": {"a": 2, "b": 1}}, True, "single_level"),
        ({"VTA-DA": {"a": 2}, "SNc-DA": {"a": 2}}, True, "too_few_subjects"),
        ({"VTA-DA": {"a": 2}, "LC-NE": {"b": 2}}, False, "missing_input"),
    ],
)
def test_targets_that_cannot_be_compared_have_a_label(of_targets, known, status):
    recordings = _recordings(of_targets)
    if recordings.empty:
        recordings = pd.DataFrame(columns=["eid", "fiber_idx", "subject", "target_NM"])
    eids = recordings["eid"].unique() if known else []
    rows = [performed(eid, 0.5 + place / 10) for place, eid in enumerate(eids)]
    found = target_comparison(recordings, pd.DataFrame(rows) if rows else NO_PERFORMANCE)
    outcomes = found["target_comparison_outcomes"].set_index("variable")
    assert len(outcomes) == len(COMPARED_METRICS) * len(LEVELS)
    assert outcomes.loc["fraction_correct:session", "status"] == status
    assert found["target_comparison"].empty
