"""The analysis of variance: worked numbers, the same as statsmodels, and every way in which a group cannot be analysed."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM, anova_lm
from tests_support.toys import toy_t3

from iblnm_core.analyses.anova import anova
from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.errors import MissingPrerequisite, UnknownOption

FACTORS = ["contrast", "side", "feedbackType"]
FIRST_CELL = "subject == 'm1' and contrast == 0 and side == 'contra' and feedbackType == -1"


def toy(**columns):
    return toy_t3().assign(target_NM="VTA-DA", event="stimOn", **columns)


def without(frame, query):
    return frame.drop(frame.query(query).index)


def f_values(table):
    return table.set_index("Source")["F"]


def status(frame, **options):
    table, outcomes = anova(frame, minimum_cell_trials=1, **options)
    return outcomes["status"].tolist(), table


def random_trials(seed, n_subjects=4, contrasts=(0, 25, 100), repeats=2):
    """Balanced trials with effects of everything."""
    random = np.random.default_rng(seed)
    levels = [[f"s{i}" for i in range(n_subjects)], contrasts, ["contra", "ipsi"], [-1, 1], range(repeats)]
    frame = pd.MultiIndex.from_product(levels, names=["subject", *FACTORS, "repeat"]).to_frame(index=False)
    frame["response"] = random.normal(size=len(frame)) + 0.01 * frame["contrast"] + 0.4 * (frame["side"] == "ipsi")
    return frame.assign(target_NM="LC-NE", event="feedback")


def test_worked_numbers_of_balanced_means():
    table, outcomes = anova(toy(), minimum_cell_trials=1)
    assert table["Source"].tolist() == [
        "contrast",
        "side",
        "feedbackType",
        "contrast:side",
        "contrast:feedbackType",
        "side:feedbackType",
        "contrast:side:feedbackType",
    ]
    expected = [83.832420, 850.647420, 18663.5686, 0.020460, 40.641314, 0.079999, 0.024270]
    np.testing.assert_allclose(table["F"], expected, rtol=3e-9, atol=6e-7)
    assert table["Num DF"].tolist() == [2, 1, 1, 2, 2, 1, 2]
    assert table["Den DF"].tolist() == [4, 2, 2, 4, 4, 2, 4]
    np.testing.assert_allclose(table["Pr(>F)"][[0, 2, 4]], [0.00054295, 5.358e-5, 0.00219988], rtol=1e-4)
    assert set(table["method"]) == {"rm"}
    assert table[["n_subjects", "n_cells"]].drop_duplicates().to_numpy().tolist() == [[3, 36]]
    assert outcomes[["status", "n_trials", "n_subjects"]].to_numpy().tolist() == [["ok", 72, 3]]


def test_worked_numbers_of_unbalanced_means():
    frame = without(toy(), FIRST_CELL)
    block = anova(frame, minimum_cell_trials=1)[0]
    found = f_values(block)[["contrast", "side", "feedbackType", "contrast:feedbackType"]]
    np.testing.assert_allclose(found, [292.589098, 56.492279, 177.890769, 10.158935], atol=6e-7)
    assert set(block["method"]) == {"block"}
    assert set(block["Den DF"]) == {21}
    legacy = anova(frame, minimum_cell_trials=1, unbalanced="ols")[0]
    np.testing.assert_allclose(f_values(legacy)[["contrast", "side"]], [2.540420, 1.366028], atol=6e-7)
    assert legacy["Pr(>F)"][0] == pytest.approx(0.100729, abs=6e-7)
    assert set(legacy["method"]) == {"ols"}
    assert set(legacy["Den DF"]) == {23}


def test_worked_numbers_without_the_contrast_that_nobody_has_all_means_of():
    table, outcomes = anova(without(toy(), "contrast == 100 and feedbackType == -1"), minimum_cell_trials=1)
    assert outcomes["status"].tolist() == ["incomplete_design", "ok"]
    assert outcomes["contrast"].tolist()[0] == 100
    assert "2 of 4 conditions" in outcomes["detail"][0]
    assert set(table["method"]) == {"rm"}
    found = f_values(table)[["contrast", "side", "feedbackType", "contrast:feedbackType"]]
    np.testing.assert_allclose(found, [90.077528, 85.255918, 815.300005, 31.088525], atol=6e-7)
    assert table["Pr(>F)"][0] == pytest.approx(0.01092004, abs=6e-9)
    assert table["Den DF"].tolist() == [2] * 7


@pytest.mark.parametrize("seed", range(6))
def test_balanced_means_give_what_statsmodels_gives(seed):
    frame = random_trials(seed, n_subjects=2 + seed, contrasts=(0, 6.25, 25, 100)[: 2 + seed % 3])
    table, _ = anova(frame, minimum_cell_trials=2)
    cells = frame.groupby(["subject", *FACTORS], as_index=False)["response"].mean()
    expected = AnovaRM(cells, "response", "subject", within=FACTORS).fit().anova_table
    expected = expected.loc[table["Source"]]
    np.testing.assert_allclose(table["F"], expected["F Value"], rtol=1e-8)
    np.testing.assert_allclose(table["Den DF"], expected["Den DF"])
    np.testing.assert_allclose(table["Pr(>F)"], expected["Pr > F"], rtol=1e-7)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("method", "coding", "block"), [("block", "Sum", "C(subject, Sum) + "), ("ols", "Treatment", "")]
)
def test_unbalanced_means_give_what_statsmodels_gives(seed, method, coding, block):
    frame = random_trials(seed)
    lost = np.random.default_rng(seed).choice(24, 3, replace=False)
    kept = frame[~frame.groupby(["subject", *FACTORS]).ngroup().isin(lost)]
    table, outcomes = anova(kept, minimum_cell_trials=1, unbalanced=method)
    cells = kept.groupby(["subject", *FACTORS], as_index=False)["response"].mean()
    factors = {name: f"C({name}, {coding})" for name in FACTORS}
    fit = ols(f"response ~ {block}{' * '.join(factors.values())}", cells).fit()
    expected = anova_lm(fit, typ=3).loc[[":".join(factors[n] for n in s.split(":")) for s in table["Source"]]]
    np.testing.assert_allclose(table["F"], expected["F"], rtol=1e-8)
    np.testing.assert_allclose(table["Pr(>F)"], expected["PR(>F)"], rtol=1e-7, atol=1e-14)
    assert set(table["Den DF"]) == {fit.df_resid}
    assert outcomes["detail"].tolist() == ["3 means are missing"]


def test_means_of_just_enough_trials_count():
    assert anova(random_trials(0, repeats=3), minimum_cell_trials=3)[0]["n_cells"][0] == 48
    table, outcomes = anova(random_trials(0, repeats=3), minimum_cell_trials=4)
    assert table.empty
    assert outcomes["status"].tolist() == ["too_few_trials"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (toy(subject="m1"), ["too_few_subjects"]),
        (toy(side="ipsi"), ["single_level"]),
        (toy(feedbackType=1), ["single_level"]),
        (toy(contrast=25.0), ["single_level"]),
        (toy(response=1.5), ["constant_response"]),
        (toy(response=np.nan), ["missing_input"]),
        (toy(response=np.inf), ["missing_input"]),
        # nothing is known of the side of a fibre
        (toy(side=None), ["missing_input"]),
        # two subjects share no condition
        (toy().query("(subject == 'm1') == (contrast == 0)"), ["singular_design"]),
        (toy().query("contrast == 0 or feedbackType == 1"), ["incomplete_design"] * 3),
        (without(toy(), "contrast == 0 and subject != 'm3'"), ["ok"]),
    ],
)
def test_what_cannot_be_analysed_has_its_outcome(frame, expected):
    found, table = status(frame)
    assert found == expected
    assert table.empty == (expected[-1] != "ok")


def test_constant_means_of_varying_trials_are_a_constant_response():
    wiggle = np.where(np.arange(72) % 2, 0.25, -0.25)
    assert status(toy(response=wiggle))[0] == ["constant_response"]


def test_effects_without_error_have_no_test():
    frame = toy()
    frame["response"] = frame["contrast"] * (frame["feedbackType"] == 1) + frame["subject"].map(
        {"m1": 0, "m2": 1, "m3": 3}
    )
    found, table = status(frame)
    assert found == ["ok"]
    assert table["F"].isna().all()
    assert table["q_value"].isna().all()


def test_groups_are_in_order_and_one_broken_group_stops_no_other():
    groups = [
        toy(),
        toy(side="ipsi").assign(target_NM="DR-5HT"),
        random_trials(3).assign(event="stimOn_times"),
        random_trials(4).assign(event="feedback_times"),
    ]
    table, outcomes = anova(pd.concat(groups[::-1]), minimum_cell_trials=1)
    assert outcomes["target_NM"].tolist() == ["DR-5HT", "LC-NE", "LC-NE", "VTA-DA"]
    assert outcomes["event"].tolist() == ["stimOn", "stimOn", "feedback", "stimOn"]
    assert outcomes["status"].tolist() == ["single_level", "ok", "ok", "ok"]
    assert len(table) == 21
    np.testing.assert_array_equal(table["q_value"], false_discovery_rate(table["Pr(>F)"]))


def test_the_order_of_trials_does_not_matter_and_incomplete_ones_are_counted():
    frame = toy()
    frame.loc[5, "response"] = np.nan
    table, outcomes = anova(frame, minimum_cell_trials=1)
    again, _ = anova(frame.sample(frac=1, random_state=1), minimum_cell_trials=1)
    np.testing.assert_allclose(table["F"], again["F"], rtol=1e-7)
    assert outcomes["detail"].tolist() == ["1 of 72 trials left out for response"]


def test_no_trials_give_empty_tables_of_the_same_types():
    table, outcomes = anova(toy(), minimum_cell_trials=1)
    empty, none = anova(toy().iloc[:0])
    assert empty.empty
    assert none.empty
    assert empty.dtypes.equals(table.dtypes)
    assert none.dtypes.equals(outcomes.dtypes)


def test_misuse_is_refused():
    with pytest.raises(MissingPrerequisite, match="no column response"):
        anova(toy().drop(columns="response"))
    with pytest.raises(UnknownOption, match=r"'lmm'.*expected block or ols"):
        anova(toy(), unbalanced="lmm")
