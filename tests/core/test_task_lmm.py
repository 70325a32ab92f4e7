"""The model of the task: worked tables, what cannot be fitted, groups that do not concern each other, codings compared."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.toys import toy_t3

from iblnm_core.analyses import task_lmm
from iblnm_core.analyses.contrast_comparison import COLUMNS as COMPARISON_COLUMNS
from iblnm_core.analyses.contrast_comparison import best_codings, compare_contrast_codings
from iblnm_core.analyses.outcomes import Status, false_discovery_rate
from iblnm_core.analyses.random_slope import NotConverged
from iblnm_core.analyses.task_design import TERMS
from iblnm_core.analyses.task_lmm import fit_task_model, fit_task_models
from iblnm_core.analyses.task_tables import COLUMNS
from iblnm_core.errors import MissingPrerequisite, UnknownOption

LEVELS = (0, 25, 100)


SEARCHED = 3e-8
"""How far numbers are off that depend on the variance of subjects, which was searched for where they come from."""


def close(found, expected, atol=6e-9):
    """Hold numbers to the eight decimals that are given."""
    np.testing.assert_allclose(np.asarray(found, dtype=float), expected, rtol=0, atol=atol)


def model(trials=None, coding="log", **options):
    return fit_task_model(toy_t3() if trials is None else trials, coding=coding, levels=LEVELS, **options)


@pytest.fixture(scope="module")
def log():
    return model().tables


def test_outcome():
    outcome = model(target_NM="VTA-DA", event="stimOn_times").outcome
    assert (outcome.status, outcome.n_trials, outcome.n_subjects, outcome.detail) == (Status.OK, 72, 3, None)
    assert (outcome.analysis, outcome.target_NM, outcome.event) == ("task_lmm", "VTA-DA", "stimOn")


def test_worked_coefficients(log):
    table = log.coefficients
    assert tuple(table["term"]) == TERMS
    close(
        table["Coef."],
        [0.99959440, 0.24694833, 0.30715901, 0.00200210, 0.51521484, 0.10093432, 0.00269162, 0.00283348],
    )
    close(
        table["Std.Err."],
        [0.21124740, 0.01755210, 0.06798507, 0.03510419, 0.06798507, 0.03510419, 0.13597014, 0.07020839],
        SEARCHED,
    )
    close(table["Std.Err."], table["observed_Std.Err."])
    close(table["z"], table["Coef."] / table["Std.Err."])
    close(table["P>|z|"][5], 0.00403672)
    close(table["ci_upper"] - table["Coef."], 1.96 * table["Std.Err."])
    # few subjects: the intercept is known much less well than its standard error says
    assert table["df"][0] == pytest.approx(2)
    np.testing.assert_allclose(table["t_ci_upper"][0] - table["Coef."][0], 4.30265273 * table["Std.Err."][0], rtol=1e-7)
    assert (table["P>|t|"] > table["P>|z|"]).all()


def test_worked_coefficients_of_ranks():
    table = model(coding="rank").tables.coefficients.set_index("term")
    names = ["contrast", "contrast:side", "contrast:reward", "contrast:side:reward"]
    close(table.loc[names, "Coef."], [0.56876781, 0.00213845, 0.23178153, 0.00740420])
    close(table.loc["contrast", "Std.Err."], 0.04542980)
    close(table.loc["contrast:reward", "P>|z|"], 0.01074188)
    same = ["Intercept", "side", "reward", "side:reward"]
    close(table.loc[same, "Coef."], [0.99959440, 0.30715901, 0.51521484, 0.00269162])


@pytest.mark.parametrize(
    ("coding", "centre", "marginal", "conditional"),
    [
        ("log", 2.62440568, 0.67106438, 0.84420697),
        ("linear", 41.66666667, 0.54955241, 0.71514270),
        ("rank", 1.0, 0.64312488, 0.81451605),
    ],
)
def test_worked_variance_explained(coding, centre, marginal, conditional):
    [row] = model(coding=coding).tables.variance_explained.to_dict("records")
    close([row["contrast_centre"], row["marginal"], row["conditional"]], [centre, marginal, conditional])
    assert (row["coding"], row["random_effects"], row["n_trials"], row["n_subjects"]) == (coding, "1", 72, 3)


def test_worked_marginal_means(log):
    table = log.marginal_means
    assert table["factor"].tolist() == ["reward"] * 2 + ["side"] * 2 + ["contrast"] * 3
    assert table["level"].tolist() == ["incorrect", "correct", "contra", "ipsi", "0", "25", "100"]
    close(table["mean"], [0.74198698, 1.25720182, 1.15317391, 0.84601489, 0.35150179, 1.15608330, 1.49119810])
    close(table.loc[0, ["ci_lower", "ci_upper"]], [0.32261588, 1.16135808], SEARCHED)
    assert (table["reference"] == "balanced").all()


def test_marginal_means_at_the_mean_of_the_trials():
    trials = toy_t3().iloc[5:]
    table = model(trials, reference="sample").tables.marginal_means.set_index("level")
    coefficients = model(trials).tables.coefficients.set_index("term")["Coef."]
    side, reward = (trials["side"] == "contra").mean() - 0.5, (trials["feedbackType"] == 1).mean() - 0.5
    expected = coefficients["Intercept"] + 0.5 * coefficients["reward"]
    expected += side * (coefficients["side"] + 0.5 * coefficients["side:reward"])
    close(table.loc["correct", "mean"], expected)
    contra = coefficients["Intercept"] + 0.5 * coefficients["side"]
    contra += reward * (coefficients["reward"] + 0.5 * coefficients["side:reward"])
    close(table.loc["contra", "mean"], contra)
    assert (table["reference"] == "sample").all()


@pytest.mark.parametrize(
    ("coding", "incorrect", "correct"),
    [
        ("log", [0.19648117, 0.14782924, 0.24513310], [0.29741549, 0.24876356, 0.34606743]),
        ("rank", [0.45287705, 0.32695206, 0.57880204], [0.68465858, 0.55873359, 0.81058357]),
    ],
)
def test_worked_contrast_slopes(coding, incorrect, correct):
    table = model(coding=coding).tables.contrast_slopes
    assert table["reward"].tolist() == ["incorrect", "correct"]
    close(table[["slope", "ci_lower", "ci_upper"]], [incorrect, correct])
    assert table["type"].tolist() == ["population"] * 2
    assert table["subject"].isna().all()


def test_worked_interactions(log):
    table = log.interactions.set_index(["effect_of", "at", "x_level"])
    effects = table["effect"]
    assert len(table) == 6
    close(effects["contrast", "side"][["contra", "ipsi"]], [0.24794938, 0.24594728])
    close(effects["reward", "side"][["contra", "ipsi"]], [0.51656065, 0.51386903])
    close(effects["contrast", "reward"][["incorrect", "correct"]], [0.19648117, 0.29741549])
    close(table["p_interaction"]["contrast", "side"], [0.95451892] * 2)
    close(table["p_interaction"]["reward", "side"], [0.98420637] * 2)
    close(table["p_interaction"]["contrast", "reward"], [0.00403672] * 2)


def test_worked_predictions(log):
    table = log.predictions
    assert len(table) == 12
    assert table["contrast"].tolist() == [0, 25, 100] * 4
    first = table[:3]
    assert set(first["side"]) == {"contra"}
    assert set(first["reward"]) == {"incorrect"}
    close(first["predicted"], [0.37847918, 1.01958737, 1.28661420])


def test_worked_random_slopes():
    found = model(random_effects="contrast")
    table = found.tables.contrast_slopes
    population, own = table[table["type"] == "population"], table[table["type"] == "subject"]
    np.testing.assert_allclose(population["slope"], [0.19648117, 0.29741549], atol=1e-7)
    np.testing.assert_allclose(population[["ci_lower", "ci_upper"]].iloc[0], [0.14599715, 0.24696518], atol=2e-5)
    slopes = own.set_index(["subject", "reward"])["slope"]
    np.testing.assert_allclose(slopes["m1", "incorrect"], 0.18498527, atol=2e-5)
    np.testing.assert_allclose(slopes["m3", "correct"], 0.31014138, atol=2e-5)
    assert len(own) == 6
    assert own["ci_lower"].isna().all()
    assert population["df"].tolist() == [2, 2]
    assert found.tables.variance_explained["random_effects"].tolist() == ["contrast"]


def test_worked_incomplete_trials():
    trials = toy_t3()
    trials.loc[0, "response"] = np.nan
    found = model(trials)
    assert (found.outcome.n_trials, found.outcome.detail) == (71, "1 of 72 trials left out for response")
    table = found.tables.coefficients.set_index("term")
    names = ["Intercept", "contrast", "side", "reward", "contrast:reward"]
    close(table.loc[names, "Coef."], [1.00509889, 0.24955112, 0.29998587, 0.51169857, 0.10613991])
    close(table.loc["contrast", "observed_Std.Err."], 0.01785981)
    assert table.loc["contrast", "Std.Err."] == pytest.approx(0.01785981, rel=2e-5)
    [row] = found.tables.variance_explained.to_dict("records")
    close([row["residual_variance"], row["marginal"], row["conditional"]], [0.08352237, 0.67682502, 0.85306012])
    assert row["subject_variance"] == pytest.approx(0.1343300, abs=6e-8)
    # the contrast is centred over what is fitted
    close(row["contrast_centre"], np.log1p(trials["contrast"][1:]).mean())


def test_subjects_without_differences_are_at_the_boundary():
    trials = toy_t3()
    trials["response"] -= trials.groupby("subject")["response"].transform("mean")
    found = model(trials)
    assert found.outcome.status == Status.BOUNDARY
    [row] = found.tables.variance_explained.to_dict("records")
    close([row["subject_variance"], row["marginal"], row["conditional"]], [0, 0.82084341, 0.82084341])
    assert found.tables.coefficients["Std.Err."].notna().all()


BROKEN = {
    Status.TOO_FEW_SUBJECTS: lambda trials: trials.assign(subject="m1"),
    Status.SINGLE_LEVEL: lambda trials: trials.assign(side="contra"),
    Status.CONSTANT_RESPONSE: lambda trials: trials.assign(response=0.1),
    Status.SINGULAR_DESIGN: lambda trials: trials[(trials["side"] == "contra") | (trials["contrast"] == 25)],
    Status.MISSING_INPUT: lambda trials: trials.assign(contrast=trials["contrast"] / 2),
}
OTHERS = [
    (Status.NO_DATA, lambda trials: trials[:0]),
    (Status.MISSING_INPUT, lambda trials: trials.assign(side=None)),
    (Status.MISSING_INPUT, lambda trials: trials.assign(response=np.nan)),
]


@pytest.mark.parametrize(("status", "broken"), [*BROKEN.items(), *OTHERS])
def test_what_cannot_be_fitted_says_why(status, broken):
    found = model(broken(toy_t3()), coding="rank")
    assert found.outcome.status == status
    for name, columns in COLUMNS.items():
        table = getattr(found.tables, name)
        assert table.empty
        assert {column: str(kind) for column, kind in table.dtypes.items()} == columns


def test_one_outcome_or_one_contrast_is_not_enough():
    trials = toy_t3()
    assert model(trials[trials["feedbackType"] == 1]).outcome.status == Status.SINGLE_LEVEL
    assert model(trials[trials["contrast"] == 25]).outcome.status == Status.SINGULAR_DESIGN


def test_unknown_options_and_columns_are_refused():
    with pytest.raises(UnknownOption, match="cubic"):
        model(coding="cubic")
    with pytest.raises(UnknownOption, match="random effects"):
        model(random_effects="side")
    with pytest.raises(UnknownOption, match="reference"):
        model(reference="median")
    with pytest.raises(UnknownOption, match="no random effects"):
        fit_task_models(cohort(), coding="log", levels=LEVELS, random_effects=())
    with pytest.raises(MissingPrerequisite, match="side"):
        model(toy_t3().drop(columns="side"))
    with pytest.raises(MissingPrerequisite, match="event"):
        fit_task_models(toy_t3().assign(target_NM="LC-NE"), coding="log", levels=LEVELS)


def cohort():
    """Return groups of which some are broken, in no order."""
    toy = toy_t3()
    groups = [toy.assign(target_NM="VTA-DA", event=event) for event in ("feedback_times", "stimOn_times")]
    groups += [broken(toy).assign(target_NM=f"A{status}", event="stimOn_times") for status, broken in BROKEN.items()]
    return pd.concat(groups, ignore_index=True)


def test_broken_groups_do_not_concern_the_others():
    found = fit_task_models(cohort(), coding="rank", levels=LEVELS)
    assert found.random_effects == "1"
    outcomes = found.outcomes.set_index(["target_NM", "event"])["status"]
    assert list(outcomes.index[-2:]) == [("VTA-DA", "stimOn"), ("VTA-DA", "feedback")]
    assert outcomes["VTA-DA"].tolist() == ["ok", "ok"]
    for status in BROKEN:
        assert outcomes[f"A{status}", "stimOn"] == status
    own = model(coding="rank").tables
    for name, columns in COLUMNS.items():
        table = getattr(found.tables, name)
        assert table.columns[:2].tolist() == ["target_NM", "event"]
        assert table["event"].unique().tolist() == ["stimOn", "feedback"]
        first = table[table["event"] == "stimOn"].reset_index(drop=True)
        pd.testing.assert_frame_equal(first[list(columns)], getattr(own, name))


def test_false_discovery_rates_are_over_the_table():
    table = fit_task_models(cohort(), coding="log", levels=LEVELS).tables.coefficients
    close(table["q_value"], false_discovery_rate(table["P>|z|"]))
    close(table["t_q_value"], false_discovery_rate(table["P>|t|"]))
    interactions = fit_task_models(cohort(), coding="log", levels=LEVELS).tables.interactions
    once = interactions.drop_duplicates(["target_NM", "event", "effect_of", "at"])
    # two rows of one test do not change the rates
    close(once["q_value"], false_discovery_rate(once["p_interaction"]))


def test_no_groups_make_empty_tables():
    none = fit_task_models(cohort()[:0], coding="log", levels=LEVELS)
    some = fit_task_models(cohort(), coding="log", levels=LEVELS)
    assert none.random_effects is None
    assert none.outcomes.empty
    for name in COLUMNS:
        assert getattr(none.tables, name).empty
        assert getattr(none.tables, name).dtypes.equals(getattr(some.tables, name).dtypes)


def test_simpler_random_effects_where_one_group_does_not_converge(monkeypatch):
    both = ("contrast", "1")
    assert fit_task_models(cohort(), coding="log", levels=LEVELS, random_effects=both).random_effects == "contrast"
    fit, calls = task_lmm.fit_random_slope, []

    def stubborn(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise NotConverged("no maximum")
        return fit(*arguments)

    monkeypatch.setattr(task_lmm, "fit_random_slope", stubborn)
    found = fit_task_models(cohort(), coding="log", levels=LEVELS, random_effects=both)
    assert found.random_effects == "1"
    assert set(found.tables.variance_explained["random_effects"]) == {"1"}
    calls.clear()
    found = fit_task_models(cohort(), coding="log", levels=LEVELS, random_effects=("contrast",))
    assert found.outcomes["status"].tolist()[-2:] == ["not_converged", "boundary"]


@given(seed=st.integers(0, 1000), share=st.floats(0.05, 1))
@settings(deadline=None, max_examples=40)
def test_any_subset_of_trials_has_an_outcome(seed, share):
    trials = toy_t3().sample(frac=share, random_state=seed)
    rng = np.random.default_rng(seed)
    for column in ("response", "contrast", "side", "subject", "feedbackType"):
        trials[column] = trials[column].where(rng.random(len(trials)) > 0.02)
    found = model(trials)
    fitted = found.outcome.status in {Status.OK, Status.BOUNDARY}
    assert len(found.tables.coefficients) == (len(TERMS) if fitted else 0)
    if fitted:
        assert found.tables.coefficients[["Coef.", "Std.Err.", "df", "t_ci_lower"]].notna().all(axis=None)


def test_worked_comparison_of_codings():
    table, outcomes = compare_contrast_codings(toy_t3().assign(target_NM="LC-NE", event="stimOn_times"), levels=LEVELS)
    assert list(table.columns) == list(COMPARISON_COLUMNS)
    assert table["coding"].tolist() == ["log", "linear", "rank"]
    close(table["AIC"], [47.65850289, 89.34220630, 59.70519857], SEARCHED)
    close(table["BIC"], [70.42516408, 112.10886749, 82.47185976], SEARCHED)
    assert (table[["n_trials", "n_subjects"]] == [72, 3]).all(axis=None)
    assert outcomes["variable"].tolist() == ["log", "linear", "rank"]
    [best] = best_codings(table).to_dict("records")
    assert best == {"target_NM": "LC-NE", "event": "stimOn", "R2_marginal": "log", "AIC": "log", "BIC": "log"}


def test_comparison_names_what_cannot_be_compared():
    table, outcomes = compare_contrast_codings(cohort(), levels=LEVELS)
    assert set(table["target_NM"]) >= {"VTA-DA"}
    status = outcomes[outcomes["event"] == "stimOn"].set_index(["target_NM", "variable"])["status"].sort_index()
    for broken in BROKEN:
        assert status[f"A{broken}", "rank"] == broken
    # only ranks need to know the contrasts of the task
    assert status[f"A{Status.MISSING_INPUT}", "log"] == "ok"
    with pytest.raises(UnknownOption):
        compare_contrast_codings(cohort(), levels=LEVELS, codings=("cubic",))
    empty, _ = compare_contrast_codings(cohort()[:0], levels=LEVELS)
    assert empty.dtypes.equals(table.dtypes)
    assert best_codings(empty).empty
