"""Main effects under other choices: each option is what the models of the project give when told so; verdicts and check follow from the table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from iblnm_core.analyses.frame import modelling_frame
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import results_of
from iblnm_core.analyses.sensitivity import EFFECTS, judge_effects, options_of, sensitivity
from iblnm_core.analyses.task_lmm import fit_task_models
from iblnm_core.cohort.selection import Selection, select
from iblnm_core.cohort_parameters import AnalysisParameters, ModellingParameters, SelectionParameters
from iblnm_core.demo.simulated_sessions import simulate_session_tables
from iblnm_core.demo.simulated_tables import OTHER_CHOICES, cell_table, simulate_tables
from iblnm_core.parameters import PRESETS, Parameters
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import make_table

CHOICES = ("correction", "baseline", "blocks", "contrast coding", "duplicates", "labels", "fastest trials")
ANALYSIS = ANALYSES["sensitivity"]


@pytest.fixture(scope="module")
def tables():
    """A cohort with everything that choices are about: sessions of one day, a rejected recording, fast trials."""
    made = simulate_tables(n_sessions=60, n_subjects=10, seed=2)
    found = simulate_session_tables(made.recordings, training_sessions=1, failing_share=0.0)
    sessions = found["sessions"]
    # every second session is on the day of the one before
    sessions["day_n"] = sessions["day_n"] // 2 * 2
    regressors = made.regressors.copy()
    regressors.loc[regressors.index % 7 == 0, "response_time"] = 0.02
    unlabelled = [found[name] for name in ("performance", "session_status", "labels", "corrections")]
    chosen = select(sessions, found["errors"], Selection(), *unlabelled).recordings
    of_lc = chosen[chosen["target_NM"] == "LC-NE"].iloc[0]
    label = {"position": 1, "eid": of_lc["eid"], "fiber_idx": of_lc["fiber_idx"], "verdict": "reject", "note": ""}
    label |= {"author": "a", "labelled_at": "2025-01-01T00:00:00+00:00", "code_version": "1", "current": True}
    labels = pd.DataFrame([label])
    cells = cell_table(made.responses, regressors, OTHER_CHOICES)
    return {
        **found,
        "responses": made.responses,
        "trial_regressors": regressors,
        "response_cells": cells,
        "labels": labels,
    }


@pytest.fixture(scope="module")
def results(tables):
    return results_of(ANALYSIS, tables, Parameters())


def parameters_with(choice, option):
    """Default parameters with one choice as an option says."""
    own = Parameters()
    changed = {
        "blocks": {"modelling": ModellingParameters(blocks=option)},
        "contrast coding": {"analyses": AnalysisParameters(contrast_coding=option)},
        "duplicates": {"selection": SelectionParameters(duplicates=option)},
        "labels": {"selection": SelectionParameters(excluded_labels=() if option == "all used" else ("reject",))},
        "fastest trials": {
            "modelling": ModellingParameters(minimum_response_time_s=-1.0 if option == "all used" else 0.05)
        },
    }
    return replace(own, **changed[choice])


def by_the_models(tables, parameters):
    """Coefficients of the main effects as frame and models of the project give them."""
    catalogue = [tables[name] for name in ("performance", "session_status", "labels", "corrections")]
    chosen = select(
        tables["sessions"],
        tables["errors"],
        Selection.of(parameters),
        *catalogue,
    )
    frame = modelling_frame(tables["responses"], tables["trial_regressors"], chosen.recordings, parameters.modelling)
    options = parameters.analyses
    found = fit_task_models(frame, coding=options.contrast_coding, levels=options.contrasts)
    rows = found.tables.coefficients
    counts = found.outcomes[["target_NM", "event", "n_trials", "n_subjects"]]
    span = {"rank": 4.0, "linear": 100.0, "log": np.log(101.0), "log2": np.log2(100.0)}[options.contrast_coding]
    scale = np.where(rows["term"] == "contrast", span, 1.0)
    for name in ("Coef.", "Std.Err.", "t_ci_lower", "t_ci_upper"):
        rows[name] *= scale
    return rows[rows["term"].isin(EFFECTS)].merge(counts, on=["target_NM", "event"])


@pytest.mark.parametrize(
    ("choice", "option"),
    [
        ("blocks", "unbiased"),
        ("blocks", "all"),
        ("contrast coding", "linear"),
        ("contrast coding", "log2"),
        ("duplicates", "kept"),
        ("labels", "all used"),
        ("fastest trials", "all used"),
    ],
)
def test_an_option_gives_what_the_models_give_with_these_parameters(tables, results, choice, option):
    rows = results["sensitivity"]
    own = rows[(rows["choice"] == choice) & (rows["option"] == option)]
    expected = by_the_models(tables, parameters_with(choice, option))
    both = own.merge(expected, left_on=["target_NM", "event", "effect"], right_on=["target_NM", "event", "term"])
    assert len(both) == len(own) == len(expected) == 5 * 3 * len(EFFECTS)
    for ours, theirs in (("estimate", "Coef."), ("standard_error", "Std.Err."), ("p_value", "P>|t|")):
        assert both[ours].to_numpy() == pytest.approx(both[theirs].to_numpy(), rel=1e-7, abs=1e-12)
    for ours, theirs in (("ci_lower_x", "t_ci_lower"), ("ci_upper_x", "t_ci_upper")):
        assert both[ours].to_numpy() == pytest.approx(both[theirs].to_numpy(), rel=1e-7, abs=1e-9)
    for name in ("n_trials", "n_subjects"):
        assert both[f"{name}_x"].tolist() == both[f"{name}_y"].tolist()


def test_other_corrections_and_baselines_are_read_from_their_own_cells(results):
    rows = results["sensitivity"]
    for (correction, baseline), factor in OTHER_CHOICES.items():
        choice, option = ("correction", correction) if correction != "robust" else ("baseline", baseline)
        own = rows[(rows["choice"] == choice) & (rows["option"] == option)]
        assert len(own) == 5 * 3 * len(EFFECTS)
        assert own["ratio"].to_numpy() == pytest.approx(factor, rel=1e-6)
        clear = own[own["verdict"] != "unclear"]
        assert set(clear["verdict"]) == {"sign_changed" if factor < 0 else "doubled" if factor > 2 else "steady"}


def test_a_correction_without_responses_has_no_estimate(tables):
    given = {**tables, "response_cells": tables["response_cells"].query("correction != 'reference'")}
    rows = results_of(ANALYSIS, given, Parameters())["sensitivity"]
    assert "reference" not in set(rows["option"])


def test_every_choice_changes_the_trials_or_the_estimates(results):
    rows = results["sensitivity"]
    for choice in CHOICES:
        of_choice = rows[rows["choice"] == choice]
        assert of_choice.groupby("option")["estimate"].sum().nunique() == of_choice["option"].nunique(), choice


def test_one_option_of_each_choice_is_the_roots_own_in_either_preset():
    for parameters in PRESETS.values():
        options = options_of(parameters)
        assert list(dict.fromkeys(option.choice for option in options)) == list(CHOICES)
        for choice in CHOICES:
            of_choice = [option for option in options if option.choice == choice]
            assert [option.is_own for option in of_choice] == [True] + [False] * (len(of_choice) - 1)
            assert len({option.option for option in of_choice}) == len(of_choice)


def test_what_a_root_has_set_otherwise_is_one_more_option():
    modelling = ModellingParameters(minimum_response_time_s=0.08)
    selection = SelectionParameters(duplicates="reference", excluded_labels=("doubtful", "reject"))
    options = options_of(Parameters(modelling=modelling, selection=selection))
    names = {choice: [option.option for option in options if option.choice == choice] for choice in CHOICES}
    assert names["fastest trials"] == ["over 80 ms", "all used"]
    assert names["duplicates"] == ["reference", "resolved", "kept"]
    assert names["labels"] == ["without doubtful and reject", "without reject", "all used"]
    none = options_of(Parameters(modelling=ModellingParameters(minimum_response_time_s=0.0)))
    assert [option.option for option in none if option.choice == "fastest trials"] == ["all used", "over 50 ms"]


def test_ratios_and_verdicts_follow_from_the_estimates(results):
    rows = results["sensitivity"]
    own = rows[rows["is_own"]].set_index(["target_NM", "event", "effect", "choice"])
    for row in rows.to_dict("records"):
        mine = own.loc[row["target_NM"], row["event"], row["effect"], row["choice"]]
        ratio = row["estimate"] / mine["estimate"]
        assert row["ratio"] == pytest.approx(ratio)
        assert row["sign_changed"] == (ratio < 0)
        unclear = mine["ci_lower"] <= 0 <= mine["ci_upper"]
        of_ratio = "sign_changed" if ratio < 0 else "halved" if ratio < 0.5 else "doubled" if ratio > 2 else "steady"
        assert row["verdict"] == ("own" if row["is_own"] else "unclear" if unclear else of_ratio)
    assert {"own", "unclear", "steady"} <= set(rows["verdict"])


def test_an_effect_that_biased_blocks_turn_round_is_named_by_the_check(tables):
    regressors = tables["trial_regressors"]
    biased = regressors.loc[regressors["probabilityLeft"] != 0.5, ["eid", "trial"]].assign(biased=True)
    responses = tables["responses"].merge(biased, on=["eid", "trial"], how="left")
    right = responses["feedbackType"] > 0
    at_feedback = (responses["event"] == "feedback_times") & (responses["target_NM"] == "VTA-DA")
    reward = np.where(right, 2.0, -2.0) * np.where(responses["biased"].notna(), -1.0, 1.0)
    responses["response_early"] += np.where(at_feedback, reward, 0.0)
    rows = sensitivity(responses, regressors, tables["response_cells"], tables, Parameters())["sensitivity"]
    found = judge_effects(rows)
    assert (found.passed, found.severe) == (False, False)
    [words] = [text for text in found.words if text.startswith("VTA-DA, feedback, reward") and "blocks" in text]
    assert "sign changed with blocks all" in words
    assert judge_effects(rows[rows["verdict"] == "steady"]).passed


def test_groups_that_cannot_be_fitted_say_why(tables):
    recordings = {"target_NM": "DR-5HT"}
    sessions = tables["sessions"]
    lone = sessions[[recordings["target_NM"] in set(names) for names in sessions["target_NM"]]]["subject"].iloc[0]
    of_target = np.array([recordings["target_NM"] in set(names) for names in sessions["target_NM"]])
    given = {**tables, "sessions": sessions[~of_target | (sessions["subject"] == lone)]}
    found = results_of(ANALYSIS, given, Parameters())
    outcomes = found["sensitivity_outcomes"].set_index("target_NM")["status"]
    assert set(outcomes.loc["DR-5HT"]) == {"too_few_subjects"}
    assert "DR-5HT" not in set(found["sensitivity"]["target_NM"])
    nowhere = tables["sessions"].assign(
        hemisphere=[np.array([""] * len(own), dtype=object) for own in sessions["hemisphere"]]
    )
    unsided = results_of(ANALYSIS, {**tables, "sessions": nowhere}, Parameters())
    assert set(unsided["sensitivity_outcomes"]["status"]) == {"missing_input"}


def test_tables_fit_their_schemas_with_and_without_a_cohort(tables, results):
    empty = {name: tables[name].head(0) for name in ANALYSIS.reads}
    nothing = results_of(ANALYSIS, empty, Parameters())
    for schema in ANALYSIS.tables:
        make_table(TABLES[schema.name], results[schema.name])
        make_table(TABLES[schema.name], nothing[schema.name])
    assert nothing["sensitivity_outcomes"]["status"].tolist() == ["no_data"]
    assert judge_effects(nothing["sensitivity"]).passed
