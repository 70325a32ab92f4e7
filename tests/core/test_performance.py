"""Task performance: fractions, fits by block, and what sessions without blocks or choices have."""

import numpy as np
import pandas as pd
import pytest

from iblnm_core.parameters import PRESETS
from iblnm_core.schemas import PERFORMANCE
from iblnm_core.session.performance import fractions, task_performance

DEFAULT, REFERENCE = PRESETS["default"], PRESETS["reference"]


def trials(n=400, seed=0):
    """A biased session of a mouse whose bias follows the block."""
    random = np.random.default_rng(seed)
    probability = np.repeat(np.resize([0.5, 0.2, 0.8], -(-n // 50)), 50)[:n]
    left = random.uniform(size=n) < probability
    contrast = random.choice([0, 6.25, 12.5, 25, 100.0], n)
    signed = np.where(left, -contrast, contrast)
    shift = np.select([probability == 0.2, probability == 0.8], [-10, 10], 0)
    right = random.uniform(size=n) < 0.03 + 0.94 / (1 + np.exp(-(signed - shift) / 8))
    return pd.DataFrame(
        {
            "contrast": contrast,
            "signed_contrast": signed,
            "choice": np.where(right, -1.0, 1.0),
            "feedbackType": np.where(right != left, 1.0, -1.0),
            "probabilityLeft": probability,
            "probabilityLeft_original": probability,
            "block_repaired": False,
        }
    )


def performance(frame, session_type="biased", preset=DEFAULT):
    return task_performance(frame, session_type, preset.performance, preset.psychometric)


def test_fractions_by_hand():
    frame = pd.DataFrame(
        {"choice": [-1, 1, 0, 1, -1], "feedbackType": [1, -1, -1, 1, 1], "contrast": [100, 100, 100, 6.25, 0]}
    )
    found = fractions(frame, DEFAULT.performance)
    assert found == {"fraction_correct": 0.75, "fraction_correct_easy": 0.5, "nogo_fraction": 0.2}
    # the reference takes everything but zero for easy
    assert fractions(frame, REFERENCE.performance)["fraction_correct_easy"] == pytest.approx(2 / 3)
    silent = fractions(frame.assign(choice=0), DEFAULT.performance)
    assert np.isnan([silent["fraction_correct"], silent["fraction_correct_easy"]]).all()
    assert silent["nogo_fraction"] == 1


def test_a_row_has_the_columns_of_its_table():
    row = performance(trials())
    assert {"eid", *row} == set(PERFORMANCE.column_names)
    assert row["contrasts"].tolist() == [0, 6.25, 12.5, 25, 100]
    assert (row["status"], row["blocks"]) == ("ok", "as recorded")


def test_a_left_block_moves_the_curve_to_the_right():
    row = performance(trials(2000))
    assert row["psych_20_bias"] < row["psych_50_bias"] < row["psych_80_bias"]
    assert row["bias_shift"] == row["psych_80_bias"] - row["psych_20_bias"]
    assert row["bias_shift"] == pytest.approx(20, abs=6)


def test_a_training_session_has_one_fit():
    frame = trials().assign(probabilityLeft=0.5, probabilityLeft_original=0.5)
    row = performance(frame, "training")
    assert row["psych_50_status"] == "ok"
    assert row["psych_50_n_trials"] == len(frame)
    assert row["psych_20_status"] is None
    assert np.isnan(row["bias_shift"])


def test_a_block_of_few_trials_has_no_fit():
    frame = trials()
    rare = np.flatnonzero(frame["probabilityLeft"] == 0.8)[9:]
    row = performance(frame.drop(index=rare))
    assert row["psych_80_status"] is None
    assert np.isnan([row["psych_80_bias"], row["bias_shift"]]).all()


def test_trials_without_choice_do_not_feign_lapses():
    frame = trials(3000)
    frame.loc[::10, ["choice", "feedbackType"]] = [0, -1]
    without, counted = performance(frame), performance(frame, preset=REFERENCE)
    assert without["psych_50_lapse_left"] < 0.06
    assert counted["psych_50_lapse_left"] > 0.1
    assert counted["psych_50_n_trials"] > without["psych_50_n_trials"]


def test_blocks_are_repaired_before_the_fit():
    frame = trials().assign(probabilityLeft=0.5)
    frame["probabilityLeft_original"] = np.where(np.arange(len(frame)) < 100, 0.8, 0.5)
    frame["block_repaired"] = frame["probabilityLeft"] != frame["probabilityLeft_original"]
    assert performance(frame, "training")["psych_50_n_trials"] == 400
    assert performance(frame, "training")["blocks"] == "repaired"
    assert performance(frame, "training", REFERENCE)["psych_50_n_trials"] == 300


def test_unknown_blocks_have_no_fit():
    row = performance(trials().assign(probabilityLeft=np.nan))
    assert row["blocks"] == "unknown"
    assert row["psych_50_status"] == "no trials"
    assert row["psych_20_status"] is None
    assert row["fraction_correct"] > 0.7


def test_a_session_without_choices_has_a_row_that_says_so():
    columns = ["choice", "probabilityLeft", "probabilityLeft_original", "block_repaired"]
    row = performance(trials().drop(columns=columns), "habituation")
    assert (row["status"], row["blocks"], row["n_trials"]) == ("not applicable", "none", 400)
    assert np.isnan([row["fraction_correct"], row["psych_50_bias"], row["bias_shift"]]).all()
