"""Mixed models of movements: worked numbers, the same as statsmodels, and outcomes."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import chi2
from tests_support.toys import toy_t3

from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.analyses.wheel_lmm import wheel_lmm
from iblnm_core.errors import MissingPrerequisite


def toy(**columns):
    """The toy as trials of one contrast, with choices and a velocity v."""
    frame = toy_t3()
    place = np.arange(len(frame))
    offset = frame["subject"].map({"m1": -0.8, "m2": 0.1, "m3": 0.9})
    velocity = 3 + 0.4 * frame["response"] + offset + 0.5 * np.sin(5 * place)
    keys = {"target_NM": "VTA-DA", "event": "stimOn", "contrast": 25.0}
    return frame.assign(**keys, choice=np.where(place % 3 == 0, -1, 1), v=velocity).assign(**columns)


def refit(formula, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smf.mixedlm(formula, frame, groups="subject").fit(reml=False, method="powell", ftol=1e-14, xtol=1e-10)


def test_worked_numbers():
    table, outcomes = wheel_lmm(toy(), dependent_variables=["v"])
    [row] = table.to_dict("records")
    assert row["base_r2_marginal"] == pytest.approx(0.01659042, abs=6e-9)
    assert row["full_r2_marginal"] == pytest.approx(0.10776362, abs=6e-9)
    assert row["delta_r2"] == pytest.approx(0.09117321, abs=6e-9)
    assert row["lrt_chi2"] == pytest.approx(29.55901, abs=6e-6)
    assert row["lrt_pvalue"] == pytest.approx(5.4240e-8, rel=2e-5)
    assert row["nm_coefficient"] == pytest.approx(0.42088447, abs=6e-9)
    assert row["nm_pvalue"] == pytest.approx(1.6420e-9, rel=0.2)
    observed = wheel_lmm(toy(), dependent_variables=["v"], standard_errors="observed")[0]
    assert observed["nm_pvalue"][0] == pytest.approx(1.6420e-9, rel=5e-5)
    assert (row["n_trials"], row["n_subjects"], row["dv"]) == (72, 3, "v")
    assert outcomes[["analysis", "variable", "contrast", "status"]].to_numpy().tolist() == [
        ["wheel_lmm", "v", 25, "ok"]
    ]


@pytest.mark.parametrize("seed", range(4))
def test_results_are_those_of_statsmodels(seed):
    random = np.random.default_rng(seed)
    frame = toy().loc[random.permutation(72)[:60]]
    frame["v"] += random.normal(0, 0.3, len(frame))
    [row] = wheel_lmm(frame, dependent_variables=["v"], standard_errors="observed")[0].to_dict("records")
    base = refit("v ~ C(side) * C(choice)", frame)
    full = refit("v ~ C(side) * C(choice) + response", frame)
    ratio = 2 * (full.llf - base.llf)
    assert row["lrt_chi2"] == pytest.approx(ratio, abs=1e-5)
    assert row["lrt_pvalue"] == pytest.approx(chi2.sf(ratio, 1), rel=1e-4)
    assert row["nm_coefficient"] == pytest.approx(full.params["response"], rel=1e-5)
    assert np.log(row["nm_pvalue"]) == pytest.approx(np.log(full.pvalues["response"]), rel=1e-3)
    shares = [np.var(fit.model.exog @ fit.fe_params) / np.var(frame["v"]) for fit in (base, full)]
    np.testing.assert_allclose([row["base_r2_marginal"], row["full_r2_marginal"]], shares, rtol=1e-5)


def test_every_contrast_and_movement_is_a_row_with_its_own_false_discovery_rates():
    frame = pd.concat([toy(contrast=contrast, v=toy()["v"] + contrast) for contrast in (100.0, 0.0)])
    frame["w"] = np.cos(np.arange(len(frame)))
    table, _ = wheel_lmm(frame, dependent_variables=["v", "w"])
    assert table[["contrast", "dv"]].to_numpy().tolist() == [[0, "v"], [0, "w"], [100, "v"], [100, "w"]]
    np.testing.assert_array_equal(table["lrt_qvalue"], false_discovery_rate(table["lrt_pvalue"]))
    np.testing.assert_array_equal(table["nm_qvalue"], false_discovery_rate(table["nm_pvalue"]))
    assert table["nm_coefficient"][0] == pytest.approx(table["nm_coefficient"][2])


def test_without_differences_between_subjects_the_test_still_has_a_p_value():
    frame = toy()
    frame["v"] -= frame.groupby("subject")["v"].transform("mean")
    frame["response"] -= frame.groupby("subject")["response"].transform("mean")
    table, outcomes = wheel_lmm(frame, dependent_variables=["v"])
    assert outcomes["status"].tolist() == ["boundary"]
    assert 0 < table["nm_pvalue"][0] < 1e-6


def test_trials_without_a_side_a_choice_or_the_movement_are_left_out():
    frame = toy()
    frame.loc[0, "side"] = None
    frame.loc[1, "choice"] = 0
    frame.loc[2, "v"] = np.nan
    table, outcomes = wheel_lmm(frame, dependent_variables=["v"])
    pd.testing.assert_frame_equal(table, wheel_lmm(toy().iloc[3:], dependent_variables=["v"])[0])
    assert outcomes["n_trials"].tolist() == [69]
    assert outcomes["detail"].tolist() == ["3 of 72 trials left out for v, side, choice"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (toy(subject="m1"), "too_few_subjects"),
        (toy().iloc[::8], "too_few_trials"),
        (toy().iloc[::7], "ok"),
        (toy(side="contra"), "single_level"),
        (toy(choice=-1), "single_level"),
        (toy(v=2.0), "constant_response"),
        (toy(v=np.nan), "missing_input"),
        (toy(side=None), "missing_input"),
        (toy(response=1.0), "singular_design"),
        (toy(choice=np.where(toy()["side"] == "ipsi", 1, -1)), "singular_design"),
    ],
)
def test_what_cannot_be_fitted_has_its_outcome_and_stops_no_other(frame, expected):
    table, outcomes = wheel_lmm(pd.concat([frame, toy().assign(target_NM="DR-5HT")]), dependent_variables=["v"])
    assert outcomes["target_NM"].tolist() == ["DR-5HT", "VTA-DA"]
    assert outcomes["status"].tolist() == ["ok", expected]
    assert len(table) == 1 + (expected == "ok")


def test_no_trials_give_empty_tables_of_the_same_types_and_missing_columns_are_refused():
    table, outcomes = wheel_lmm(toy(), dependent_variables=["v"])
    empty, none = wheel_lmm(toy().iloc[:0], dependent_variables=["v"])
    assert empty.dtypes.equals(table.dtypes)
    assert none.dtypes.equals(outcomes.dtypes)
    for column in ("choice", "contrast", "response"):
        with pytest.raises(MissingPrerequisite, match=f"no column {column}"):
            wheel_lmm(toy().drop(columns=column), dependent_variables=["v"])
