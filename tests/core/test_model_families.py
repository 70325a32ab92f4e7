"""Families of nested mixed models: worked numbers, the same as statsmodels, trials and reference points, outcomes."""

import warnings

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.formula.api as smf
from tests_support.toys import toy_t3

from iblnm_core.analyses.mixed_model import fit_random_intercept
from iblnm_core.analyses.model_families import (
    TASK_FAMILIES,
    Family,
    Model,
    ModelOptions,
    coefficients,
    crossed,
    explained_variance,
    marginal_means,
    task_family,
    without,
)
from iblnm_core.analyses.movement import CEILINGS, MOVEMENT_FAMILIES, task_ceiling
from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.errors import MissingPrerequisite, UnitError, UnknownOption

LEVELS = (0.0, 6.25, 12.5, 25.0, 100.0)
TOY = ModelOptions(levels=(0.0, 25.0, 100.0))


def toy(**columns):
    return toy_t3().assign(**{"target_NM": "VTA-DA", "event": "feedback", **columns})


def random_trials(seed, n_trials=500):
    """Unbalanced trials with all that families take."""
    random = np.random.default_rng(seed)
    place = random.integers(0, 5, n_trials)
    frame = pd.DataFrame(
        {
            "target_NM": "SNc-DA",
            "event": "feedback",
            "subject": [f"s{i}" for i in place],
            "contrast": random.choice(LEVELS, n_trials),
            "side": random.choice(["contra", "ipsi", "ipsi"], n_trials),
            "choice_side": random.choice(["contra", "ipsi"], n_trials),
            "feedbackType": random.choice([1, 1, 1, -1], n_trials),
            "log_reaction_time": random.normal(-0.5, 0.3, n_trials),
            "peak_velocity": random.gamma(4, 1, n_trials),
        }
    )
    response = 0.1 * np.log1p(frame["contrast"]) * frame["feedbackType"] + random.normal(0, 0.5, 5)[place]
    return frame.assign(response=response + random.normal(0, 0.7, n_trials))


def coded(frame):
    """The variables as formulas take them."""
    contrast = np.log2(frame["contrast"].clip(lower=1))
    return frame.assign(
        c=contrast - contrast.mean(),
        s=np.where(frame["side"] == "contra", 0.5, -0.5),
        r=np.where(frame["feedbackType"] == 1, 0.5, -0.5),
        choice=np.where(frame["choice_side"] == "contra", 0.5, -0.5),
        rt=frame["log_reaction_time"],
        v=frame["peak_velocity"],
    )


def shares(formula, frame):
    """Marginal and conditional R squared of a fit by statsmodels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = smf.mixedlm(formula, frame, groups="subject").fit(method="powell", ftol=1e-14, xtol=1e-10)
    random = frame["subject"].map({name: effect.iloc[0] for name, effect in fit.random_effects.items()})
    fixed, total = np.var(fit.model.exog @ fit.fe_params), np.var(frame["response"])
    return [fixed / total, (fixed + np.var(random)) / total]


def test_terms():
    assert crossed("a", "b", "c") == (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c"))
    assert without(crossed("a", "b"), "a") == (("b",),)


def test_worked_numbers():
    table, outcomes = explained_variance(toy(), TASK_FAMILIES, TOY)
    assert table["name"].tolist() == ["full", "contrast", "side", "reward", "interactions"]
    full = table.iloc[0]
    assert full["marginal_r2"] == pytest.approx(0.67096764, abs=6e-9)
    assert full["conditional_r2"] == pytest.approx(0.84439210, abs=6e-9)
    assert full[["n_trials", "n_subjects"]].tolist() == [72, 3]
    # the family of the stimulus has nothing to do with feedback
    assert outcomes["analysis"].tolist() == ["task_variance"]

    table, _ = coefficients(toy(), TASK_FAMILIES, TOY)
    values = table.set_index("term")["Coef."]
    expected = {
        "Intercept": 0.99959440,
        "contrast": 0.17183312,
        "side": 0.30715901,
        "contrast:side": 0.00136911,
        "reward": 0.51521484,
        "contrast:reward": 0.07022606,
    }
    assert dict(values) == pytest.approx(expected, abs=6e-9)
    assert table["Std.Err."][1] == pytest.approx(0.01202592, abs=6e-9)
    np.testing.assert_allclose(table["ci_upper"] - table["Coef."], 1.96 * table["Std.Err."])
    np.testing.assert_array_equal(table["q_value"], false_discovery_rate(table["P>|z|"]))

    table, _ = marginal_means(toy(), TASK_FAMILIES, TOY, ["contrast"])
    assert table["contrast"].tolist() == [0, 25, 100]
    np.testing.assert_allclose(table["predicted"], [0.35306014, 1.15102841, 1.49469464], atol=6e-9)


def test_members_explain_what_statsmodels_says():
    frame = random_trials(0)
    formulas = {
        "full": "response ~ c * s + c * r",
        "contrast": "response ~ s + r",
        "side": "response ~ c * r",
        "reward": "response ~ c * s",
        "interactions": "response ~ c + s + r",
    }
    table, _ = explained_variance(frame, [task_family("feedback")], ModelOptions())
    assert table["name"].tolist() == list(formulas)
    found = table[["marginal_r2", "conditional_r2"]]
    np.testing.assert_allclose(found, [shares(f, coded(frame)) for f in formulas.values()], atol=2e-5)


@pytest.mark.parametrize(
    ("variable", "full"),
    [("choice_side", "c * s + c * r + c * choice"), ("log_reaction_time", "c * s + c * r + rt * (c + s + r)")],
)
def test_movement_explains_what_statsmodels_says(variable, full):
    frame = random_trials(1)
    table, _ = explained_variance(frame, MOVEMENT_FAMILIES, ModelOptions())
    found = table[(table["movement_var"] == variable) & (table["name"] == "full")]
    np.testing.assert_allclose(
        found[["marginal_r2", "conditional_r2"]], [shares(f"response ~ {full}", coded(frame))], atol=2e-5
    )


def test_ceilings_have_a_mean_per_condition_and_all_of_movement():
    frame = random_trials(2)
    table, _ = explained_variance(frame, CEILINGS, ModelOptions())
    assert table["family"].tolist() == ["task_ceiling", "movement_ceiling"]
    expected = [
        # without side:reward itself its interaction with contrast has a column for every level, so that nothing is lost
        shares("response ~ C(contrast) * s * r - s:r", coded(frame)),
        shares("response ~ choice * rt * v", coded(frame)),
    ]
    np.testing.assert_allclose(table[["marginal_r2", "conditional_r2"]], expected, atol=2e-5)
    assert patsy.dmatrix("C(contrast) * s * r - s:r", coded(frame)).shape[1] == 20
    assert task_ceiling("stimOn").variables == ("contrast_level", "side")
    assert len(coefficients(frame, [task_ceiling("feedback")], ModelOptions())[0]) == 20


def test_a_family_uses_the_trials_of_which_all_its_variables_are_known():
    frame = random_trials(3)
    frame.loc[:99, "peak_velocity"] = np.nan
    frame.loc[200, "log_reaction_time"] = -np.inf
    frame.loc[300, "side"] = None
    table, outcomes = explained_variance(frame, [*TASK_FAMILIES, *MOVEMENT_FAMILIES], ModelOptions())
    counts = table.drop_duplicates(["family", "movement_var"])["n_trials"].tolist()
    assert counts == [499, 499, 498, 399]
    assert outcomes["detail"][3] == "101 of 500 trials left out for side, peak_velocity"
    known = frame.dropna(subset=["peak_velocity", "side"])
    alone, _ = explained_variance(known, MOVEMENT_FAMILIES, ModelOptions())
    both = [t[t["movement_var"] == "peak_velocity"].reset_index(drop=True) for t in (table, alone)]
    pd.testing.assert_frame_equal(*both)


def test_where_contrast_is_centred_changes_main_effects_only():
    frame = random_trials(4)
    frame.loc[frame["contrast"] == 100, "log_reaction_time"] = np.nan
    family = MOVEMENT_FAMILIES[4:5]
    fitted, everywhere = (
        coefficients(frame, family, ModelOptions(centre=where))[0].set_index("term")["Coef."]
        for where in ("fitted_trials", "all_trials")
    )
    changed = (fitted - everywhere).abs() > 1e-9
    assert set(changed[changed].index) == {"Intercept", "side", "reward", "log_reaction_time"}
    r2 = [explained_variance(frame, family, ModelOptions(centre=w))[0] for w in ("fitted_trials", "all_trials")]
    np.testing.assert_allclose(r2[0]["marginal_r2"][0], r2[1]["marginal_r2"][0])


def test_marginal_means_stand_in_the_middle_or_at_the_mean_of_the_trials():
    frame = toy().drop(index=range(10))
    balanced, _ = marginal_means(frame, TASK_FAMILIES, TOY, ["reward"])
    sample, _ = marginal_means(frame, TASK_FAMILIES, TOY, ["reward"], "sample")
    assert balanced["reward"].tolist() == ["incorrect", "correct"]
    side = coefficients(frame, TASK_FAMILIES, TOY)[0].set_index("term")["Coef."]["side"]
    mean_side = np.where(frame["side"] == "contra", 0.5, -0.5).mean()
    # contrast is at its mean in either case, where its interaction with side is zero
    np.testing.assert_allclose(sample["predicted"] - balanced["predicted"], side * mean_side)
    assert set(sample["reference"]) == {"sample"}
    crossed_factors, _ = marginal_means(frame, TASK_FAMILIES, TOY, ["side", "reward"])
    assert crossed_factors[["side", "reward"]].to_numpy().tolist() == [
        ["ipsi", "incorrect"],
        ["ipsi", "correct"],
        ["contra", "incorrect"],
        ["contra", "correct"],
    ]
    np.testing.assert_allclose(
        crossed_factors.groupby("reward")["predicted"].mean()[["incorrect", "correct"]], balanced["predicted"]
    )
    # the stimulus has no outcome yet
    assert marginal_means(frame.assign(event="stimOn"), TASK_FAMILIES, TOY, ["reward"])[0].empty


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (toy(subject="m1"), "too_few_subjects"),
        (toy().iloc[::4], "too_few_trials"),
        (toy(side="ipsi"), "single_level"),
        (toy(feedbackType=1), "single_level"),
        (toy(response=2.0), "constant_response"),
        (toy(response=np.nan), "missing_input"),
        (toy(contrast=25.0), "singular_design"),
        (toy(feedbackType=np.where(toy_t3()["side"] == "ipsi", 1, -1)), "singular_design"),
    ],
)
def test_what_cannot_be_fitted_has_its_outcome_and_stops_no_other(frame, expected):
    both = pd.concat([frame, toy(target_NM="DR-5HT")])
    for analysis in (explained_variance, coefficients, lambda *given: marginal_means(*given, ["side", "reward"])):
        table, outcomes = analysis(both, TASK_FAMILIES, TOY)
        assert outcomes["target_NM"].tolist() == ["DR-5HT", "VTA-DA"]
        assert outcomes["status"].tolist() == ["ok", expected]
        assert set(table["target_NM"]) == {"DR-5HT"}
        empty, none = analysis(both.iloc[:0], TASK_FAMILIES, TOY)
        assert empty.dtypes.equals(table.dtypes)
        assert none.dtypes.equals(outcomes.dtypes)


def test_no_difference_between_subjects_is_a_result():
    frame = toy()
    frame["response"] -= frame.groupby("subject")["response"].transform("mean")
    table, outcomes = explained_variance(frame, TASK_FAMILIES, TOY)
    assert outcomes["status"].tolist() == ["boundary"]
    assert table["marginal_r2"][0] == table["conditional_r2"][0]


def test_members_share_the_sums_of_the_widest_design():
    family = Family("some", "feedback", {"full": crossed("contrast", "side"), "contrast": (("side",),)})
    frame = toy()
    model = Model.of(frame, family, TOY, frame)
    alone = Model.of(frame, Family("one", "feedback", {"only": (("side",),)}), TOY, frame)
    expected = fit_random_intercept(alone.sums, "ML")
    found = model.fit(family.members["contrast"], "ML")
    np.testing.assert_allclose(found.coefficients, expected.coefficients)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood)


def test_misuse_is_refused():
    with pytest.raises(MissingPrerequisite, match="no column choice_side, log_reaction_time, peak_velocity"):
        explained_variance(toy(), MOVEMENT_FAMILIES, TOY)
    with pytest.raises(UnknownOption, match="expected contrast, side, reward, choice_side"):
        marginal_means(toy(), TASK_FAMILIES, TOY, ["block"])
    with pytest.raises(UnknownOption, match="at balanced or sample"):
        marginal_means(toy(), TASK_FAMILIES, TOY, ["side"], "zero")
    with pytest.raises(UnitError, match="is a fraction"):
        explained_variance(toy(contrast=toy_t3()["contrast"] / 100), TASK_FAMILIES, TOY)
