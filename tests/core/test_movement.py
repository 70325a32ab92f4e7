"""What movement adds: worked numbers, held-out subjects against explicit refits, slopes against statsmodels, outcomes."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from tests_support.toys import toy_t3

from iblnm_core.analyses.model_families import ModelOptions, task_family
from iblnm_core.analyses.movement import (
    CEILINGS,
    MOVEMENT_FAMILIES,
    movement_ceiling,
    movement_family,
    movement_loso,
    reliability,
    task_ceiling,
    timing_slopes,
)
from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.errors import MissingPrerequisite, UnknownOption

LEVELS = (0.0, 6.25, 12.5, 25.0, 100.0)
TOY = ModelOptions(levels=(0.0, 25.0, 100.0), coding="rank")


def toy(**columns):
    return toy_t3().assign(target_NM="VTA-DA", event="stimOn", **columns)


def random_trials(seed, n_trials=400, n_subjects=4):
    """Unbalanced trials with all that models take."""
    random = np.random.default_rng(seed)
    place = random.integers(0, n_subjects, n_trials)
    frame = pd.DataFrame(
        {
            "target_NM": "NBM-ACh",
            "event": "stimOn",
            "subject": [f"s{i}" for i in place],
            "contrast": random.choice(LEVELS, n_trials),
            "side": random.choice(["contra", "ipsi"], n_trials),
            "choice_side": random.choice(["contra", "ipsi"], n_trials),
            "feedbackType": random.choice([1, 1, 1, -1], n_trials),
            "log_reaction_time": random.normal(-0.5, 0.3, n_trials),
            "log_movement_time": random.normal(-0.7, 0.2, n_trials),
            "peak_velocity": random.gamma(4, 1, n_trials),
        }
    )
    effects = random.normal(0, 0.5, n_subjects)[place] + 0.3 * frame["log_reaction_time"]
    effects += 0.2 * np.log1p(frame["contrast"]) + 0.2 * (frame["side"] == "contra") * (frame["feedbackType"] == 1)
    return frame.assign(response=effects + random.normal(0, 0.6, n_trials))


def coded(frame, coding="rank"):
    """The variables as formulas take them."""
    values = {"rank": frame["contrast"].map(LEVELS.index), "log2": np.log2(frame["contrast"].clip(lower=1))}[coding]
    return frame.assign(
        c=values - values.mean(),
        s=np.where(frame["side"] == "contra", 0.5, -0.5),
        r=np.where(frame["feedbackType"] == 1, 0.5, -0.5),
    )


def refit(formula, frame, *, reml):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smf.mixedlm(formula, frame, groups="subject").fit(reml=reml, method="powell", ftol=1e-14, xtol=1e-10)


def r_squared(observed, predicted):
    return 1 - ((observed - predicted) ** 2).sum() / ((observed - observed.mean()) ** 2).sum()


def test_worked_numbers_of_held_out_subjects():
    table, outcomes = movement_loso(toy(), TOY, timings=["lt"])
    assert table["subject"].tolist() == ["m1", "m2", "m3"]
    assert table["n_trials"].tolist() == [24, 24, 24]
    np.testing.assert_allclose(table["r2_full"], [0.00735857, 0.84538316, -0.03616579], atol=2e-6)
    np.testing.assert_allclose(table["delta_r2_contrast"], [0.72766865, 0.57673416, 0.54101329], atol=2e-6)
    np.testing.assert_allclose(table["delta_r2_timing"], [0.03194584, 0.06210005, 0.07265798], atol=2e-6)
    # the offsets of m1 and m3 are unknown; without means they do not matter
    assert (table["centred_r2_full"] > 0.8).all()
    assert outcomes[["analysis", "variable", "status"]].to_numpy().tolist() == [["movement_loso", "lt", "ok"]]


@pytest.mark.parametrize("seed", range(3))
def test_held_out_subjects_are_those_of_explicit_refits(seed):
    frame = random_trials(seed)
    table, _ = movement_loso(frame, ModelOptions(coding="rank"), timings=["log_reaction_time"])
    assert table["subject"].tolist() == frame["subject"].unique().tolist()
    values = coded(frame)
    formulas = {
        "full": "response ~ c + s + r + log_reaction_time",
        "drop_contrast": "response ~ s + r + log_reaction_time",
        "drop_timing": "response ~ c + s + r",
    }
    for row in table.to_dict("records"):
        test = values["subject"] == row["subject"]
        y = values.loc[test, "response"]
        for name, formula in formulas.items():
            predicted = refit(formula, values[~test], reml=False).predict(values[test])
            assert row[f"r2_{name}"] == pytest.approx(r_squared(y, predicted), abs=2e-5)
            centred = r_squared(y - y.mean(), predicted - predicted.mean())
            assert row[f"centred_r2_{name}"] == pytest.approx(centred, abs=2e-5)
        for prefix in ("", "centred_"):
            drop = row[f"{prefix}r2_full"] - row[f"{prefix}r2_drop_timing"]
            assert row[f"{prefix}delta_r2_timing"] == pytest.approx(drop)


def test_ranks_count_among_the_levels_of_the_task():
    frame = toy()
    own = movement_loso(frame, TOY, timings=["lt"])[0]
    task = movement_loso(frame, ModelOptions(coding="rank"), timings=["lt"])[0]
    # 0, 25, 100 are places 0, 3, 4 of five levels
    assert np.abs(own["r2_full"] - task["r2_full"]).min() > 1e-3
    one_more = pd.concat([frame, frame.iloc[[0]].assign(contrast=50.0)])
    table, outcomes = movement_loso(one_more, TOY, timings=["lt"])
    pd.testing.assert_frame_equal(table, own)
    assert outcomes["detail"].tolist() == ["1 of 73 trials left out for contrast"]


def test_subjects_with_few_trials_are_fitted_but_not_held_out():
    frame = toy().drop(index=range(4, 24))
    table, outcomes = movement_loso(frame, TOY, timings=["lt"])
    assert table["subject"].tolist() == ["m2", "m3"]
    assert outcomes["detail"].tolist() == ["not held out: m1"]
    one_more = ModelOptions(levels=TOY.levels, coding="rank", minimum_fold_trials=4)
    assert movement_loso(frame, one_more, timings=["lt"])[0]["subject"].tolist() == ["m1", "m2", "m3"]


def test_a_constant_subject_and_one_without_which_there_is_no_fit_are_not_scored():
    frame = toy()
    frame.loc[frame["subject"] == "m2", "response"] = 0.5
    table, outcomes = movement_loso(frame, TOY, timings=["lt"])
    assert table["subject"].tolist() == ["m1", "m3"]
    assert outcomes["detail"].tolist() == ["not held out: m2"]
    # only m3 has seen both sides
    frame = toy()
    frame.loc[frame["subject"] != "m3", "side"] = "ipsi"
    table, outcomes = movement_loso(frame, TOY, timings=["lt"])
    assert table["subject"].tolist() == ["m1", "m2"]
    assert outcomes["detail"].tolist() == ["not held out: m3"]


def test_worked_numbers_of_slopes():
    table, _ = timing_slopes(toy(), TOY, timings=["lt"], standard_errors="observed")
    assert table["contrast"].tolist() == [0, 25, 100]
    np.testing.assert_allclose(table["timing_coef"], [0.165775, 1.408174, 0.803610], atol=6e-7)
    np.testing.assert_allclose(table["timing_se"], [0.199280, 0.204147, 0.265442], atol=2e-6)
    np.testing.assert_allclose(table["r2_marginal"], [0.292845, 0.575308, 0.601352], atol=6e-7)
    assert table["timing_p"][2] == pytest.approx(0.00246631, abs=2e-7)
    default, _ = timing_slopes(toy(), TOY, timings=["lt"])
    np.testing.assert_allclose(default["timing_se"], table["timing_se"], rtol=0.01)
    np.testing.assert_array_equal(default["q_value"], false_discovery_rate(default["timing_p"]))


@pytest.mark.parametrize("seed", range(3))
def test_slopes_are_those_of_statsmodels(seed):
    frame = random_trials(seed, n_trials=600)
    table, outcomes = timing_slopes(frame, ModelOptions(), standard_errors="observed")
    assert outcomes["status"].isin(["ok", "boundary"]).all()
    assert table[["contrast", "timing_col"]].to_numpy().tolist() == [
        [level, name] for level in LEVELS for name in ("log_reaction_time", "log_movement_time")
    ]
    for row in table[outcomes["status"] == "ok"].to_dict("records"):
        values = coded(frame[frame["contrast"] == row["contrast"]])
        fit = refit(f"response ~ s + r + {row['timing_col']}", values, reml=True)
        assert row["timing_coef"] == pytest.approx(fit.params[row["timing_col"]], rel=1e-4)
        assert row["timing_se"] == pytest.approx(fit.bse[row["timing_col"]], rel=1e-3)
        assert row["n_trials"] == len(values)


@pytest.mark.parametrize(
    ("frame", "loso", "slopes"),
    [
        (toy(subject="m1"), "too_few_subjects", "too_few_subjects"),
        (toy().query("subject != 'm1'"), "too_few_subjects", "too_few_trials"),
        (toy().iloc[::4], "too_few_trials", "too_few_trials"),
        (toy(side="contra"), "single_level", "single_level"),
        (toy(feedbackType=-1), "single_level", "single_level"),
        (toy(response=0.0), "constant_response", "constant_response"),
        (toy(lt=np.nan), "missing_input", "missing_input"),
        (toy(side=None), "missing_input", "missing_input"),
        (toy(lt=-0.5), "singular_design", "singular_design"),
        (toy(lt=lambda frame: np.where(frame["side"] == "ipsi", 0.1, 0.2)), "singular_design", "singular_design"),
    ],
)
def test_what_cannot_be_fitted_has_its_outcome(frame, loso, slopes):
    table, outcomes = movement_loso(frame, TOY, timings=["lt"])
    assert outcomes["status"].tolist() == [loso]
    assert table.empty
    table, outcomes = timing_slopes(frame, TOY, timings=["lt"])
    assert set(outcomes["status"]) == {slopes}
    assert table.empty


def test_no_subject_with_enough_trials_is_too_few_trials():
    strict = ModelOptions(levels=TOY.levels, coding="rank", minimum_fold_trials=25)
    assert movement_loso(toy(), strict, timings=["lt"])[1]["status"].tolist() == ["too_few_trials"]


def test_one_broken_group_stops_no_other_and_other_events_are_left_alone():
    frame = pd.concat([toy(), toy(lt=-0.5).assign(target_NM="DR-5HT"), toy().assign(event="feedback")])
    for analysis in (movement_loso, timing_slopes):
        table, outcomes = analysis(frame, TOY, timings=["lt"])
        assert outcomes.drop_duplicates("target_NM")["status"].tolist() == ["singular_design", "ok"]
        assert set(outcomes["event"]) == {"stimOn"}
        alone = analysis(toy(), TOY, timings=["lt"])[0]
        pd.testing.assert_frame_equal(table, alone)
        empty, none = analysis(frame.iloc[:0], TOY, timings=["lt"])
        assert empty.dtypes.equals(table.dtypes)
        assert none.dtypes.equals(outcomes.dtypes)


def test_misuse_is_refused():
    with pytest.raises(MissingPrerequisite, match="log_movement_time"):
        movement_loso(toy(log_reaction_time=0.0), TOY)
    with pytest.raises(UnknownOption, match="expected least_squares or observed"):
        timing_slopes(toy(), TOY, timings=["lt"], standard_errors="robust")


def test_families_of_movement_leave_out_what_they_should():
    family = movement_family("feedback", "peak_velocity")
    assert family.members == {
        "full": (
            ("contrast",),
            ("side",),
            ("reward",),
            ("contrast", "side"),
            ("contrast", "reward"),
            ("peak_velocity",),
            ("peak_velocity", "contrast"),
            ("peak_velocity", "side"),
            ("peak_velocity", "reward"),
        ),
        "movement": task_family("feedback").members["full"],
        "interactions": (*task_family("feedback").members["full"], ("peak_velocity",)),
        "contrast": (
            ("side",),
            ("reward",),
            ("peak_velocity",),
            ("peak_velocity", "side"),
            ("peak_velocity", "reward"),
        ),
        "side": (
            ("contrast",),
            ("reward",),
            ("contrast", "reward"),
            ("peak_velocity",),
            ("peak_velocity", "contrast"),
            ("peak_velocity", "reward"),
        ),
        "reward": (
            ("contrast",),
            ("side",),
            ("contrast", "side"),
            ("peak_velocity",),
            ("peak_velocity", "contrast"),
            ("peak_velocity", "side"),
        ),
    }
    choice = movement_family("stimOn", "choice_side")
    assert [term for term in choice.members["full"] if "choice_side" in term] == [
        ("choice_side",),
        ("choice_side", "contrast"),
    ]
    assert list(choice.members) == ["full", "movement", "interactions", "contrast", "side"]
    # the event that is not analysed would have the models of the stimulus
    assert movement_family("firstMovement", "choice_side").members == choice.members
    assert len(movement_ceiling("stimOn").members["ceiling"]) == 7
    assert len(task_ceiling("feedback").members["ceiling"]) == 7


def test_worked_numbers_of_cross_validation_and_jackknife():
    frame, options = toy().assign(event="feedback"), ModelOptions(levels=TOY.levels)
    found = reliability(frame, [task_family("feedback")], options)
    table = found.cross_validation
    assert table["predictor"].tolist() == ["contrast", "side", "reward", "interactions"] * 4
    assert table["fold"].tolist() == [name for name in ("m1", "m2", "m3", "aggregate") for _ in range(4)]
    np.testing.assert_allclose(table["r2"][[0, 4, 8]], [0.77716839, 0.82480851, 0.82058222], atol=6e-9)
    aggregate = table[table["fold"] == "aggregate"]
    np.testing.assert_allclose(aggregate["delta_r2"], [0.57894691, 0.05785791, 0.19220473, 0.02148985], atol=6e-9)
    assert set(aggregate["n_trials"]) == {72}
    table = found.jackknife
    aggregate = table[table["fold"] == "aggregate"]
    np.testing.assert_allclose(aggregate["r2"], 0.70978817, atol=6e-9)
    np.testing.assert_allclose(aggregate["delta_r2"], [0.51623724, 0.05110687, 0.16332374, 0.02087968], atol=6e-9)
    assert set(aggregate["n_trials"]) == {144}
    assert set(table["n_trials"][:12]) == {48}


def test_cross_validation_of_movement_is_that_of_explicit_refits():
    frame = random_trials(7)
    table = reliability(frame, [movement_family("stimOn", "log_reaction_time")], ModelOptions()).cross_validation
    assert set(table["movement_var"]) == {"log_reaction_time"}
    base = "response ~ c + s + c:s"
    formulas = {
        "full": f"{base} + log_reaction_time * (c + s)",
        "movement": base,
        "interactions": f"{base} + log_reaction_time",
        "contrast": "response ~ s * log_reaction_time",
        "side": "response ~ c * log_reaction_time",
    }
    values = coded(frame, "log2")
    for subject, rows in table[table["fold"] != "aggregate"].groupby("fold"):
        test = values["subject"] == subject
        y, scores = values.loc[test, "response"], {}
        for name, formula in formulas.items():
            predicted = refit(formula, values[~test], reml=False).predict(values[test])
            scores[name] = r_squared(y - y.mean(), predicted - predicted.mean())
        np.testing.assert_allclose(rows["r2"], scores["full"], atol=2e-5)
        expected = [scores["full"] - scores[name] for name in rows["predictor"]]
        np.testing.assert_allclose(rows["delta_r2"], expected, atol=2e-5)


def test_families_that_cannot_be_cross_validated_have_their_outcome():
    two = random_trials(1, n_subjects=2)
    found = reliability(two, MOVEMENT_FAMILIES, ModelOptions())
    outcomes = found.outcomes
    assert found.cross_validation.empty
    assert found.jackknife.empty
    assert outcomes["status"].tolist() == ["too_few_subjects"] * 3
    assert outcomes["variable"].tolist() == ["choice_side", "log_reaction_time", "peak_velocity"]
    still = random_trials(1).assign(peak_velocity=2.0, choice_side=None)
    found = reliability(still, MOVEMENT_FAMILIES, ModelOptions())
    assert found.outcomes["status"].tolist() == ["missing_input", "ok", "singular_design"]
    assert set(found.jackknife["movement_var"]) == {"log_reaction_time"}
    # a single model has nothing to be compared with
    assert reliability(two, CEILINGS, ModelOptions()).outcomes.empty
