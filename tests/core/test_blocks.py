"""Blocks of the task: their lengths and their plan."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.errors import BlockStructureBug
from iblnm_core.parameters import PRESETS
from iblnm_core.session.blocks import block_lengths, judge_blocks, planned_probabilities, shortest_block
from iblnm_core.session.trials import with_judged_blocks
from iblnm_core.sources.details import planned_blocks_of
from iblnm_core.sources.local import LocalSource

EID = "0a1b2c3d-0000-4000-8000-000000000001"


def blocks(*lengths):
    return np.repeat(np.resize([0.5, 0.2, 0.8], len(lengths)), lengths)


def test_an_only_block_is_judged_itself():
    assert shortest_block(blocks(7)) == 7


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_lengths_come_back(lengths):
    assert block_lengths(blocks(*lengths)).tolist() == lengths
    assert block_lengths(np.empty(0)).tolist() == []


@pytest.mark.parametrize("first", [0.2, 0.8])
@pytest.mark.parametrize("seed", range(20))
def test_the_plan_is_read_from_the_order_even_where_a_short_block_misleads(first, seed):
    random = np.random.default_rng(seed)
    lengths = [90, *random.integers(20, 60, 9)]
    truth = np.repeat([0.5, *np.resize([first, 1 - first], 9)], lengths)
    on_left = random.uniform(size=len(truth)) < truth
    # the second block has as many stimuli on either side
    on_left[90 : 90 + lengths[1]] = np.resize([True, False], lengths[1])
    found = planned_probabilities(lengths, on_left[:-5], (0.8, 0.2))
    np.testing.assert_allclose(found, truth[:-5])


def session(*lengths, first=0.2, seed=1):
    """Trials of a session, and the plan it followed."""
    truth = np.repeat([0.5, *np.resize([first, 1 - first], len(lengths) - 1)], lengths)
    sides = np.where(np.random.default_rng(seed).uniform(size=len(truth)) < truth, "left", "right")
    plan = planned_blocks_of({"LEN_BLOCKS": list(lengths), "BLOCK_PROBABILITY_SET": [0.2, 0.8]})
    return pd.DataFrame({"probabilityLeft": truth, "stim_side": sides}), plan


def judge(trials, plan, session_type="biased", preset="default"):
    return judge_blocks(trials, session_type, plan, EID, PRESETS[preset].trials)


def test_sound_blocks_are_left_alone_with_and_without_plan():
    trials, plan = session(90, 30, 40, 3)
    for known in (plan, None):
        judged = judge(trials, known)
        assert judged.errors == ()
        np.testing.assert_array_equal(judged.probabilities, trials["probabilityLeft"])


def test_a_stretch_of_another_block_is_repaired_from_the_plan():
    trials, plan = session(90, 30, 40, 50)
    truth = trials["probabilityLeft"].to_numpy().copy()
    trials.loc[100:103, "probabilityLeft"] = 0.8
    judged = judge(trials, plan)
    [error] = judged.errors
    assert isinstance(error, BlockStructureBug)
    assert error.message == "Min block length: 4, n_blocks: 6; probabilityLeft is not as planned in 4 trials"
    assert (error.measured, error.threshold) == (4, 10)
    np.testing.assert_array_equal(judged.probabilities, truth)
    repaired = with_judged_blocks(trials, judged)
    assert np.flatnonzero(repaired["block_repaired"]).tolist() == [100, 101, 102, 103]
    assert repaired["probabilityLeft_original"].tolist() == trials["probabilityLeft"].tolist()


def test_a_short_block_that_was_planned_is_no_error():
    trials, plan = session(90, 8, 40, 50)
    assert judge(trials, plan).errors == ()


def test_without_plan_doubtful_blocks_are_unknown():
    trials, _ = session(90, 30, 40, 50)
    trials.loc[100:103, "probabilityLeft"] = 0.8
    judged = judge(trials, None)
    assert [type(error).__name__ for error in judged.errors] == ["BlockStructureBug", "MissingBlockInfo"]
    assert judged.errors[1].message == EID
    assert np.isnan(judged.probabilities).all()
    assert not with_judged_blocks(trials, judged)["block_repaired"].any()
    kept = judge(trials, None, preset="reference")
    np.testing.assert_array_equal(kept.probabilities, trials["probabilityLeft"])


def test_trials_after_the_end_of_a_plan_keep_what_is_recorded():
    trials, _ = session(90, 30, 40, 50)
    trials.loc[100:103, "probabilityLeft"] = 0.8
    plan = planned_blocks_of({"LEN_BLOCKS": [90, 30], "BLOCK_PROBABILITY_SET": [0.2, 0.8]})
    judged = judge(trials, plan)
    assert set(judged.probabilities[90:120]) == {0.2}
    assert judged.probabilities[120:].tolist() == trials["probabilityLeft"][120:].tolist()


def test_training_sessions_are_unbiased_and_other_types_have_no_blocks_to_judge():
    trials, _ = session(90, 4, 40)
    judged = judge(trials, None, "training")
    assert judged.errors[0].message == "Training session has non-uniform probabilityLeft"
    assert set(judged.probabilities) == {0.5}
    assert judge(trials.assign(probabilityLeft=0.5), None, "training").errors == ()
    for kind in ("habituation", None):
        assert judge(trials, None, kind).errors == ()


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {},
        {"LEN_BLOCKS": [90, 30]},
        {"LEN_BLOCKS": [], "BLOCK_PROBABILITY_SET": [0.2, 0.8]},
        {"LEN_BLOCKS": [90, -3], "BLOCK_PROBABILITY_SET": [0.2, 0.8]},
        {"LEN_BLOCKS": [90, "30"], "BLOCK_PROBABILITY_SET": [0.2, 0.8]},
        {"LEN_BLOCKS": [90, 30], "BLOCK_PROBABILITY_SET": [0.5]},
        {"LEN_BLOCKS": [90, 30], "BLOCK_PROBABILITY_SET": [0.2, None]},
        "LEN_BLOCKS",
    ],
)
def test_settings_without_a_usable_plan_have_none(settings):
    assert planned_blocks_of(settings) is None


def test_the_plan_comes_from_the_details_and_without_them_from_the_raw_settings(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids

    def planned():
        [record] = LocalSource(made.cache).list_sessions().records
        return record.planned_blocks

    assert json.loads(planned())["probabilities"] == [0.2, 0.8]
    settings = {"LEN_BLOCKS": [40, 20, 20], "BLOCK_PROBABILITY_SET": [0.2, 0.8]}
    (made.cache / "session_details.jsonl").write_text(json.dumps({"id": eid, "json": settings}))
    assert json.loads(planned())["lengths"] == [40, 20, 20]
    (made.cache / "session_details.jsonl").write_text(json.dumps({"id": eid}))
    (made.folders[eid] / "raw_task_data_00/_iblrig_taskSettings.raw.json").write_text("{")
    assert planned() is None
