"""The swap null: the numbers of plain refits, donors aligned, p-values uniform when there is nothing to find."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from tests_support.session_models import LEVELS, r_squared, simulated_frame, simulated_trials

from iblnm_core.analyses.drop_one import PREDICTORS, code_recordings, design_matrix, drop_one, terms_with
from iblnm_core.analyses.least_squares import is_degenerate
from iblnm_core.analyses.permutation import add_one_p_value, pooled_p_value
from iblnm_core.analyses.swap_null import mouse_p_values, recording_p_values, swap_nulls
from iblnm_core.analyses.swapped_terms import swapped_delta_r2
from iblnm_core.errors import RaggedNull, UnknownOption


def test_six_trials_worked_by_hand():
    x, z = np.arange(1.0, 7), np.array([0.0, 1, 0, 1, 0, 1])
    response = np.array([1.0, 3, 2, 5, 4, 6])
    donors = [[2, 5, 1, 4, 6, 3], [1, 1, 2, 3, 5], [6, 1, 4, 2, 4, 3, 9], [1] * 6, x]
    ones = np.column_stack([np.ones(6), z])
    found = swapped_delta_r2(ones, [0, 1], response, [np.array(values, dtype=float) for values in donors])
    expected = [0.45714286, 0.66282051, 0.40952381, np.nan, 0.51428571]
    np.testing.assert_allclose(found, expected, atol=5e-9)
    test = add_one_p_value(found[-1], found[:-1])
    assert (test.p_value, test.n_permutations, test.n_failed) == (0.5, 3, 1)
    assert add_one_p_value(found[-1], found[:-1], failed="counted").p_value == 0.4


@pytest.mark.parametrize(
    ("alternative", "first", "second"), [("greater", 0.6, 0.001), ("less", 0.8, 1.0), ("two-sided", 1.0, 0.002)]
)
def test_add_one_p_values(alternative, first, second):
    assert add_one_p_value(0.5, [0.1, 0.5, 0.7, 0.2], alternative).p_value == pytest.approx(first)
    assert add_one_p_value(1.0, np.zeros(999), alternative).p_value == pytest.approx(second)


def test_p_values_without_permutations_are_unknown():
    assert np.isnan(add_one_p_value(0.5, []).p_value)
    test = add_one_p_value(0.5, [np.nan] * 3)
    assert (np.isnan(test.p_value), test.n_permutations, test.n_failed) == (True, 0, 3)
    assert np.isnan(add_one_p_value(np.nan, [0.5]).p_value)
    assert np.isnan(pooled_p_value([0.5], [[]]).p_value)
    for options in ({"alternative": "both"}, {"failed": "zero"}):
        with pytest.raises(UnknownOption, match="expected one of"):
            add_one_p_value(0.5, [0.1], **options)


def test_pooled_p_values():
    test = pooled_p_value([0.10, 0.06], [[0.02, 0.01, 0.03], [0.015, 0.005, 0.02]])
    assert (test.mean, test.p_value, test.n_permutations) == (pytest.approx(0.08), 0.25, 3)
    holed = pooled_p_value([0.10, 0.06], [[0.02, np.nan, 0.3], [0.015, 0.5, 0.02]])
    assert (holed.p_value, holed.n_permutations, holed.n_failed) == (2 / 3, 2, 1)
    with pytest.raises(RaggedNull, match="2 to 3 permutations"):
        pooled_p_value([0.10, 0.06], [[0.02, 0.01, 0.03], [0.015, 0.005]])


def _plain(reduced, multipliers, response, donor):
    length = min(len(response), len(donor))
    full = np.column_stack([reduced[:length], donor[:length, None] * multipliers[:length]])
    if is_degenerate(full) or np.ptp(response[:length]) == 0:
        return np.nan
    return r_squared(full, response[:length]) - r_squared(reduced[:length], response[:length])


@given(st.integers(0, 2**16), st.integers(1, 5), st.integers(0, 3), st.booleans())
@settings(deadline=None)
def test_the_closed_form_is_a_refit(seed, n_reduced, n_partners, nearly):
    random = np.random.default_rng(seed)
    reduced = np.column_stack([np.ones(40), random.normal(2, 1, (40, n_reduced))])
    multipliers = reduced[:, : min(n_partners, n_reduced) + 1]
    response = random.normal(5, 1, 40)
    donors = [random.normal(size=length) for length in random.integers(2, 60, 12)]
    # constant, in the model already, nearly in it, nothing, as short as the model is wide
    donors += [np.full(50, 2.0), reduced[:, 1], reduced[:, 1] + 1e-5 * random.normal(size=40), np.zeros(40)]
    donors.append(random.normal(size=reduced.shape[1] + multipliers.shape[1]))
    if nearly:
        # a prefix whose own columns depend on each other
        reduced[:20, 1] = 1
        response[:6] = 4
    found = swapped_delta_r2(reduced, range(multipliers.shape[1]), response, donors)
    expected = [_plain(reduced, multipliers, response, donor) for donor in donors]
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert np.isnan(found[[12, 13, 15]]).all()


def test_no_donors_give_no_values():
    ones = np.ones((10, 1))
    assert swapped_delta_r2(ones, [0], np.arange(10.0), []).shape == (0,)


def test_nulls_of_recordings_are_refits_with_the_donors_column():
    recordings = code_recordings(simulated_frame(5, seed=1), "log2", LEVELS)
    [null], outcomes = swap_nulls(recordings)
    assert set(outcomes["status"]) == {"ok"}
    for row, focal in enumerate(recordings):
        for column, donor in enumerate(recordings):
            if row == column:
                assert np.isnan(null.null[row, column]).all()
                continue
            length = min(len(focal.response), len(donor.response))
            for place, predictor in enumerate(PREDICTORS):
                swapped = focal.predictors[:length].copy()
                for values, found in ((donor.predictors, null.null), (focal.predictors, null.observed)):
                    swapped[:, place] = values[:length, place]
                    design = design_matrix(swapped)
                    reduced = np.delete(design, terms_with(predictor), axis=1)
                    expected = r_squared(design, focal.response[:length]) - r_squared(reduced, focal.response[:length])
                    assert found[row, column, place] == pytest.approx(expected, abs=1e-10)
    whole = drop_one(recordings).delta_r2["delta_r2"].to_numpy().reshape(5, 6)
    np.testing.assert_allclose(null.delta_r2, whole)


def test_donors_are_other_mice_unless_asked_otherwise():
    frame = simulated_frame(6, seed=2, per_mouse=2)
    # a second fibre of a session is no donor of the first
    second = frame[frame["eid"] == "e000"].assign(fiber_idx=1)
    recordings = code_recordings(pd.concat([frame, second], ignore_index=True), "log2", LEVELS)
    eids = [recording.key.eid for recording in recordings]
    assert eids[:3] == ["e000", "e000", "e001"]
    [others], _ = swap_nulls(recordings)
    assert others.is_donor.sum(axis=1).tolist() == [4, 4, 4, 5, 5, 5, 5]
    [every], _ = swap_nulls(recordings, exclude_same_mouse=False)
    assert every.is_donor.sum(axis=1).tolist() == [5, 5, 6, 6, 6, 6, 6]
    # the two fibres have nulls of their own, of one event and predictor
    table = recording_p_values([others])
    assert len(table) == 7 * len(PREDICTORS)
    assert not table.duplicated(["eid", "fiber_idx", "event", "predictor"]).any()


def test_p_values_of_mice():
    recordings = code_recordings(simulated_frame(6, seed=3, per_mouse=2), "log2", LEVELS)
    nulls, _ = swap_nulls(recordings)
    table = mouse_p_values(nulls)
    assert table[["target_NM", "event", "predictor", "subject"]].equals(
        table[["target_NM", "event", "predictor", "subject"]].sort_values(["predictor", "subject"], ignore_index=True)
    )
    assert set(table["n_donors"]) == {4}
    assert (table["q_value"] >= table["p_value"]).all()
    row = table[table["predictor"].eq("side") & table["subject"].eq("m001")].iloc[0]
    [null], place = nulls, PREDICTORS.index("side")
    donors = [0, 1, 4, 5]
    seen, permuted = (values[[2, 3]][:, donors, place].mean(axis=0) for values in (null.observed, null.null))
    assert row["p_value"] == ((permuted >= seen).sum() + 1) / 5
    assert row["mean_delta_r2"] == pytest.approx(null.delta_r2[[2, 3], place].mean())
    assert row[["n_sessions", "n_recordings", "n_failed"]].tolist() == [2, 2, 0]
    whole = mouse_p_values(nulls, observed_rows="all")
    whole_row = whole[whole["predictor"].eq("side") & whole["subject"].eq("m001")].iloc[0]
    assert whole_row["p_value"] == ((permuted >= row["mean_delta_r2"]).sum() + 1) / 5
    # donors are the same in all recordings of a mouse, so that positions are, too
    pd.testing.assert_frame_equal(table, mouse_p_values(nulls, alignment="position"))
    for options in ({"observed_rows": "few"}, {"alignment": "row"}):
        with pytest.raises(UnknownOption, match="expected"):
            mouse_p_values(nulls, **options)


def test_a_failed_donor_leaves_a_hole_and_not_a_shorter_row():
    frame = simulated_frame(4, seed=4, per_mouse=2, n_trials=(150, 151))
    # rewarded alone in the rows that a shorter recording shares
    first = frame.groupby("eid").cumcount() < 60
    frame.loc[frame["eid"].eq("e002") & first, "feedbackType"] = 1
    short = simulated_trials(np.random.default_rng(0), 60, eid="e004", subject="m004")
    recordings = code_recordings(pd.concat([frame, short], ignore_index=True), "log2", LEVELS)
    nulls, outcomes = swap_nulls(recordings)
    place = PREDICTORS.index("contrast")
    assert np.isnan(nulls[0].null[2, 4, place])
    assert np.isfinite(nulls[0].null[3, 4, place])
    assert set(outcomes["status"]) == {"ok"}
    table = mouse_p_values(nulls)
    counts = table[table["predictor"].eq("contrast")].set_index("subject")[["n_donors", "n_failed"]]
    assert counts.loc["m001"].tolist() == [2, 1]
    assert np.isfinite(nulls[0].null[:2, 4, place]).all()
    with pytest.raises(RaggedNull):
        mouse_p_values(nulls, alignment="position")


def test_without_donors_there_is_no_p_value():
    alone = simulated_frame(2, seed=5, per_mouse=2, target_NM="LC-NE")
    frame = pd.concat(
        [alone, simulated_frame(3, seed=6), simulated_trials(np.random.default_rng(0), 20, eid="f", subject="n")]
    )
    nulls, outcomes = swap_nulls(code_recordings(frame, "log2", LEVELS))
    status = outcomes.groupby("target_NM")["status"].agg(list).to_dict()
    assert status == {"LC-NE": ["no_donors"] * 2, "VTA-DA": ["ok"] * 3 + ["too_few_trials"]}
    for table in (mouse_p_values(nulls), recording_p_values(nulls)):
        lonely = table["target_NM"] == "LC-NE"
        assert table.loc[lonely, "p_value"].isna().all()
        assert (table.loc[lonely, "n_donors"] == 0).all()
        assert table.loc[~lonely, "p_value"].between(0, 1).all()
    assert swap_nulls([])[0] == []
    assert mouse_p_values([]).columns.tolist() == mouse_p_values(nulls).columns.tolist()
    assert recording_p_values([]).columns.tolist() == recording_p_values(nulls).columns.tolist()


def test_the_order_of_rows_does_not_matter():
    frame = simulated_frame(6, seed=7, per_mouse=2)
    tables = [
        mouse_p_values(swap_nulls(code_recordings(rows, "log2", LEVELS))[0])
        for rows in (frame, frame.sample(frac=1, random_state=0))
    ]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("lengths", [(100, 101), (90, 160)], ids=["equal", "unequal"])
def test_p_values_are_uniform_when_there_is_nothing_to_find(lengths):
    # 300 mice in fifteen targets of twenty, so that p-values are multiples of one in twenty
    found = []
    for seed in range(15):
        frame = simulated_frame(20, seed=100 + seed, n_trials=lengths, rewarded=0.7)
        nulls, _ = swap_nulls(code_recordings(frame, "log2", LEVELS))
        found.append(recording_p_values(nulls))
    table = pd.concat(found)
    for predictor, group in table.groupby("predictor"):
        places = np.rint(group["p_value"] * 20).astype(int)
        np.testing.assert_allclose(group["p_value"], places / 20)
        assert chisquare(np.bincount(places - 1, minlength=20)).pvalue > 0.005, predictor


def test_a_planted_effect_is_found():
    frame = simulated_frame(20, seed=8, n_trials=(100, 140))
    frame["response"] += 0.3 * np.log1p(frame["contrast"])
    table = mouse_p_values(swap_nulls(code_recordings(frame, "log2", LEVELS))[0])
    by_predictor = table.groupby("predictor")["p_value"].median()
    assert by_predictor["contrast"] == 1 / 20
    assert by_predictor.drop("contrast").min() > 0.1
