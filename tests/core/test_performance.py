"""Task performance: fractions, fits by block, and what sessions without blocks or choices have."""

import datetime as dt
import json

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests_support.oracle_behaviour import performance_of
from tests_support.sessions import catalogue_of

from iblnm_core.cohort.status import Catalogue
from iblnm_core.demo.behaviour import simulate_behaviour, trial_columns
from iblnm_core.demo.plan import HOUR_PACE, SessionPlan
from iblnm_core.demo.presets import SUBJECTS
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.schemas import PERFORMANCE
from iblnm_core.session import layout
from iblnm_core.session.performance import FITTED_BLOCKS, fractions, task_performance
from iblnm_core.session.pipeline import process_session
from iblnm_core.session.trials import trials_from_table
from iblnm_core.storage.session_file import SessionFile

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


LONG_PLANS = [
    SessionPlan(SUBJECTS[name], dt.date(2025, 3, 3 + day), 1, kind, 120.0, pace=HOUR_PACE)
    for name in ("DEMO-DA1", "DEMO-5HT1", "DEMO-ACh2")
    for day, kind in enumerate(("training", "biased", "ephys"))
]


def recorded(plan):
    """The trial table of a simulated session."""
    return pa.table(trial_columns(plan, simulate_behaviour(plan, 3).trials))


@pytest.mark.parametrize("plan", LONG_PLANS, ids=lambda plan: plan.key)
def test_reference_has_the_fractions_and_fits_of_the_library(tmp_path, plan):
    path = tmp_path / "alf" / "_ibl_trials.table.pqt"
    path.parent.mkdir()
    pq.write_table(recorded(plan), path)
    row = performance(trials_from_table(pq.read_table(path)), plan.session_type, REFERENCE)
    expected = performance_of(tmp_path, plan.session_type)
    for name in ("n_trials", "fraction_correct", "fraction_correct_easy", "nogo_fraction"):
        assert row[name] == expected[name], name
    prefixes = [name.removesuffix("_bias") for name in expected if name.endswith("_bias")]
    assert prefixes == (["psych_50"] if plan.session_type == "training" else ["psych_50", "psych_20", "psych_80"])
    for prefix in prefixes:
        assert row[f"{prefix}_n_trials"] == expected[f"{prefix}_n_trials"]
        assert row[f"{prefix}_log_likelihood"] > expected[f"{prefix}_log_likelihood"] - 1e-6
        # on a bound many estimates fit equally well
        if not row[f"{prefix}_at_bound"]:
            for name in ("bias", "threshold", "lapse_left", "lapse_right"):
                assert row[f"{prefix}_{name}"] == pytest.approx(expected[f"{prefix}_{name}"], abs=0.05), (prefix, name)


def test_some_of_the_compared_fits_are_interior():
    rows = [performance(trials_from_table(recorded(plan)), plan.session_type, REFERENCE) for plan in LONG_PLANS]
    interior = [not row[f"{prefix}_at_bound"] for row in rows for prefix in FITTED_BLOCKS if row[f"{prefix}_status"]]
    assert sum(interior) >= 8


def test_reference_has_the_fractions_of_the_published_session(tmp_path, shared, real_copy):
    root = create_root(tmp_path / "root", cache=real_copy, preset="reference")
    (task,) = catalogue_of(root).tasks(Catalogue.load(root).sessions)
    process_session(task)
    with SessionFile(task.file, task.eid) as file:
        row = layout.read_performance(file)
    with h5py.File(shared / "real_sessions" / "reference_numbers.h5") as file:
        expected = json.loads(file.attrs["performance"])
    for name in ("fraction_correct", "fraction_correct_easy", "nogo_fraction", "psych_50_n_trials"):
        assert row[name] == expected[name], name
    # at chance the optimum lies on the bounds: no estimate, and both say so
    assert len(row["psych_50_at_bound"])
    assert row["psych_50_r_squared"] == pytest.approx(expected["psych_50_r_squared"], abs=1e-3)
