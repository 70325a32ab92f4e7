"""Task and movement apart: which terms are whose, models of both, canonical correlations of either, and their dispersion."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.session_models import LEVELS, simulated_frame

from iblnm_core.analyses.behavioural_view import PSYCHOMETRICS, behavioural_view
from iblnm_core.analyses.cohort_cca import cohort_cca
from iblnm_core.analyses.drop_one import TERMS, code_recordings, drop_one
from iblnm_core.analyses.session_glm import coefficient_matrix
from iblnm_core.analyses.two_block import (
    BLOCKS,
    block_cca,
    block_terms,
    dispersion,
    dispersion_tables,
    two_block_models,
)


@pytest.fixture(scope="module")
def frame():
    events = [simulated_frame(40, seed, per_mouse=4, event=event) for seed, event in ((0, "stimOn"), (1, "feedback"))]
    return pd.concat(events, ignore_index=True)


@pytest.fixture(scope="module")
def models(frame):
    return two_block_models(frame, LEVELS)


@pytest.fixture(scope="module")
def recordings(frame):
    keys = frame.drop_duplicates("eid")[["eid", "fiber_idx", "subject", "target_NM", "brain_region"]]
    return keys.assign(hemisphere=["lr"[i % 2] for i in range(len(keys))])


@pytest.fixture(scope="module")
def performance(recordings):
    random = np.random.default_rng(2)
    values = dict(zip(PSYCHOMETRICS, random.normal(size=(4, len(recordings))), strict=True))
    return pd.DataFrame({"eid": recordings["eid"].to_numpy(), **values})


def test_a_term_is_of_a_block_if_all_its_factors_are():
    terms = ("Intercept", "contrast", "contrast:side", "contrast:peak_velocity", "peak_velocity")
    assert block_terms(terms, {"contrast", "side", "reward"}) == ("contrast", "contrast:side")
    assert block_terms(TERMS, BLOCKS["task"]) == ("contrast", "side", "reward", "contrast:side", "contrast:reward")
    assert block_terms(TERMS, BLOCKS["movement"]) == (
        "choice_side",
        "log_reaction_time",
        "peak_velocity",
        "choice_side:log_reaction_time",
        "choice_side:peak_velocity",
        "log_reaction_time:peak_velocity",
    )


def test_the_model_is_that_of_all_nineteen_columns(frame, models):
    plain = drop_one(code_recordings(frame, "log2", LEVELS, "all_trials"), regressors=TERMS).coefficients
    np.testing.assert_array_equal(models.coefficients["coef"], plain["coef"])
    np.testing.assert_allclose(models.coefficients["t"], plain["coef"] / plain["coef_se"])
    block = models.coefficients["block"].fillna("neither")
    n_terms = models.coefficients.groupby(block)["term"].nunique()
    assert n_terms.to_dict() == {"task": 5, "movement": 6, "neither": 8}
    assert set(models.outcomes["analysis"]) == {"two_block"}
    assert len(models.outcomes) == 80


def test_a_short_recording_has_an_outcome(frame):
    short = frame["eid"].eq("e000") & frame["trial"].ge(49)
    found = two_block_models(frame[~short], LEVELS).outcomes
    assert found.loc[found["eid"] == "e000", "status"].tolist() == ["too_few_trials"] * 2


def test_blocks_are_correlated_with_behaviour_one_by_one(models, recordings, performance):
    view, _ = behavioural_view(recordings, performance)
    found = block_cca(models.coefficients, view, n_permutations=50)
    assert found.summary[["event", "block", "n_features_x"]].to_numpy().tolist() == [
        ["feedback", "task", 5],
        ["feedback", "movement", 6],
        ["stimOn", "task", 5],
        ["stimOn", "movement", 6],
    ]
    assert found.summary["seed"].nunique() == 4
    assert found.outcomes["variable"].tolist() == ["task", "movement"] * 2
    assert set(found.outcomes["analysis"]) == {"two_block_cca"}
    matrix = coefficient_matrix(models.coefficients, "stimOn", block_terms(TERMS, BLOCKS["task"]))
    alone = cohort_cca({"stimOn_task": matrix}, view, 50)
    own = found.summary[found.summary["event"].eq("stimOn") & found.summary["block"].eq("task")]
    columns = ["correlation", "p_session", "p_subject", "x_variance_extracted"]
    assert own[columns].to_numpy().tolist() == alone.summary[columns].to_numpy().tolist()
    for field in fields(found)[:-1]:
        assert set(getattr(found, field.name)["block"]) == set(BLOCKS)


def test_nothing_has_tables_with_the_same_columns(models, recordings, performance, frame):
    view, _ = behavioural_view(recordings, performance)
    some, none = (block_cca(rows, view, 10) for rows in (models.coefficients, models.coefficients[:0]))
    of_some, of_none = (
        dispersion_tables(rows, recordings, performance) for rows in (models.coefficients, models.coefficients[:0])
    )
    nobody = dispersion_tables(models.coefficients, recordings, performance[:0])
    pairs = [(some, none), (of_some, of_none), (models, two_block_models(frame[:0], LEVELS))]
    for full, empty in pairs:
        for field in fields(full):
            assert getattr(empty, field.name).empty
            assert getattr(empty, field.name).dtypes.to_dict() == getattr(full, field.name).dtypes.to_dict()
    assert nobody.units.empty
    assert nobody.outcomes["status"].tolist() == ["no_data"] * 4


def test_dispersion_of_two_units_worked_by_hand():
    values = np.array([[1, 10], [2, 30], [3, 20], [2, 15], [2, 15], [5, 15.0]])
    found = dispersion(values, list("AAABBB"))
    assert found.to_dict() == {"A": pytest.approx(1.025978, abs=1e-6), "B": pytest.approx(0.794719, abs=1e-6)}


@given(st.integers(0, 2**16))
@settings(deadline=None)
def test_neither_order_nor_scale_matters_to_dispersion(seed):
    random = np.random.default_rng(seed)
    values, units = random.normal(size=(20, 4)), random.choice(list("abc"), 20)
    found = dispersion(values, units)
    order = random.permutation(20)
    scaled = values[order] * random.uniform(0.1, 10, 4) * random.choice([-1, 1], 4) + random.normal(size=4)
    pd.testing.assert_series_equal(dispersion(scaled, units[order]), found)
    np.testing.assert_allclose(dispersion(np.column_stack([values, np.ones(20)]), units) ** 2, found**2 * 4 / 5)


def _steady_and_unsteady(n_mice=12, n_sessions=6, seed=0):
    """Return coefficients and behaviour of mice that differ in how much both vary."""
    random = np.random.default_rng(seed)
    terms = (*block_terms(TERMS, BLOCKS["task"]), *block_terms(TERMS, BLOCKS["movement"]))
    coefficients, behaviour = [], []
    for mouse in range(n_mice):
        for session in range(n_sessions):
            key = {"eid": f"e{mouse:02d}{session}", "fiber_idx": 0, "subject": f"m{mouse:02d}", "target_NM": "VTA-DA"}
            values = random.normal(size=len(terms)) * (1 + mouse)
            coefficients += [
                {**key, "event": "stimOn", "term": term, "coef": value}
                for term, value in zip(terms, values, strict=True)
            ]
            performance = dict(zip(PSYCHOMETRICS, random.normal(size=4) * (1 + mouse), strict=True))
            behaviour.append({**key, **performance})
    return pd.DataFrame(coefficients), pd.DataFrame(behaviour)


def test_unsteady_mice_are_found_in_both():
    coefficients, sessions = _steady_and_unsteady()
    performance = sessions[["eid", *PSYCHOMETRICS]]
    found = dispersion_tables(coefficients, sessions, performance)
    assert found.tests["block"].tolist() == ["task", "movement"]
    assert (found.tests["spearman_rho"] > 0.7).all()
    assert (found.tests["p_value"] < 0.01).all()
    assert found.tests["n"].tolist() == found.tests["n_subjects"].tolist() == [12, 12]
    assert set(found.units["n_neural_sessions"]) == {6}
    assert found.outcomes["status"].tolist() == ["ok", "ok"]
    # every mouse's sessions, standardised over all
    values = performance[list(PSYCHOMETRICS)]
    scaled = (values - values.mean()) / values.std(ddof=0)
    own = scaled[sessions["subject"] == "m03"]
    of_mouse = found.units.query("subject == 'm03' and block == 'task'")["behavioral_dispersion"].item()
    assert of_mouse == pytest.approx(np.sqrt(own.var(ddof=0).mean()))


def test_mice_with_few_sessions_are_left_out():
    coefficients, sessions = _steady_and_unsteady(n_mice=4, n_sessions=3)
    performance = sessions[["eid", *PSYCHOMETRICS]]
    unknown = performance.copy()
    unknown.loc[unknown["eid"] == "e010", "psych_50_bias"] = np.nan
    found = dispersion_tables(coefficients[coefficients["eid"] != "e001"], sessions, unknown)
    assert sorted(found.units["subject"].unique()) == ["m02", "m03"]
    assert found.outcomes["status"].tolist() == ["too_few_subjects"] * 2
    assert found.outcomes["n_subjects"].tolist() == [2, 2]
    assert found.tests.empty
    same = dispersion_tables(coefficients, sessions, performance.assign(**dict.fromkeys(PSYCHOMETRICS, 0.1)))
    assert same.outcomes["status"].tolist() == ["constant_response"] * 2


def test_a_session_with_two_fibres_counts_once():
    coefficients, sessions = _steady_and_unsteady(n_mice=3, n_sessions=2)
    twice = pd.concat([coefficients, coefficients.assign(fiber_idx=1)])
    recordings = pd.concat([sessions, sessions.assign(fiber_idx=1)])
    performance = sessions[["eid", *PSYCHOMETRICS]]
    assert dispersion_tables(twice, recordings, performance).units.empty
    assert set(dispersion_tables(twice, recordings, performance, 2).units["n_neural_sessions"]) == {2}
