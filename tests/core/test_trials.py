"""Trials: from the extracted table to documented columns, and the rules on them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.errors import CorruptDataset, IncompleteEventTimes, InsufficientTrials
from iblnm_core.parameters import PRESETS
from iblnm_core.session.trials import (
    TRIAL_COLUMNS,
    check_enough_trials,
    check_event_times,
    contrasts,
    incomplete_events,
    trials_from_table,
)

PARAMETERS = PRESETS["default"].trials


def table(n=4, **columns):
    """A trial table of n equal trials a second apart; columns replace or, when None, remove those of the same name."""
    start = np.arange(n, dtype=np.float64)
    made = {
        "stimOn_times": start + 0.1,
        "feedback_times": start + 0.6,
        "feedbackType": np.ones(n),
        "contrastLeft": np.full(n, 0.25),
        "contrastRight": np.full(n, np.nan),
        "intervals_0": start,
        "intervals_1": start + 0.9,
        "response_times": start + 0.6,
        "firstMovement_times": start + 0.3,
        "choice": np.ones(n),
        "probabilityLeft": np.full(n, 0.5),
    }
    return pa.table({name: values for name, values in (made | columns).items() if values is not None})


def test_contrasts_of_a_table_keep_the_side_of_zero():
    nan = np.nan
    trials = trials_from_table(table(contrastLeft=[0.0, nan, 0.25, nan], contrastRight=[nan, 0.0, nan, nan]))
    assert trials["stim_side"].tolist() == ["left", "right", "left", "right"]
    assert trials["signed_contrast"].tolist() == [0, 0, -25, 0]
    assert np.signbit(trials["signed_contrast"]).tolist() == [True, False, True, False]
    assert trials["contrast"].tolist() == [0, 0, 25, 0]


def test_columns_are_float64_and_the_two_sided_contrasts_are_gone():
    whole = {"choice": np.array([-1, 1, 0, 1]), "feedbackType": np.array([1, -1, -1, 1], np.int8)}
    trials = trials_from_table(table(**whole, goCue_times=np.arange(4.0)))
    assert set(trials) == set(TRIAL_COLUMNS) - {"contrastLeft", "contrastRight"} | {
        "contrast",
        "signed_contrast",
        "stim_side",
    }
    assert set(trials.drop(columns="stim_side").dtypes) == {np.dtype(np.float64)}
    assert trials["choice"].tolist() == [-1.0, 1.0, 0.0, 1.0]
    assert trials["feedbackType"].tolist() == [1.0, -1.0, -1.0, 1.0]
    assert trials.index.tolist() == [0, 1, 2, 3]


def test_a_null_is_not_a_number():
    trials = trials_from_table(table(choice=pa.array([1, None, 0, -1]), stimOn_times=pa.array([0.1, None, 2.1, 3.1])))
    assert trials[["choice", "stimOn_times"]].isna().sum().tolist() == [1, 1]


def test_columns_that_a_habituation_session_lacks_stay_absent():
    optional = ("choice", "probabilityLeft", "response_times", "firstMovement_times")
    trials = trials_from_table(table(**dict.fromkeys(optional)))
    assert not set(optional) & set(trials)
    assert len(trials) == 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"stimOn_times": None, "intervals_1": None},
            r"_ibl_trials\.table\.pqt: column stimOn_times, intervals_1 missing; found feedback_times, feedbackType, ",
        ),
        ({"stimOn_times": list("abcd")}, r"column stimOn_times is string; expected numbers"),
        ({"feedbackType": [True, False, True, True]}, r"column feedbackType is bool; expected numbers"),
        ({"choice": pa.nulls(4)}, r"column choice is null; expected numbers"),
    ],
)
def test_a_table_that_is_no_trial_table_is_refused_with_its_columns(columns, message):
    with pytest.raises(CorruptDataset, match=message):
        trials_from_table(table(**columns))


def test_a_table_without_rows_or_columns_is_refused():
    with pytest.raises(CorruptDataset, match="0 rows; expected one per trial"):
        trials_from_table(table(0))
    with pytest.raises(CorruptDataset, match="intervals_1 missing; found none"):
        trials_from_table(pa.table({}))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.0625, 0.125, 0.25, 0.5, 1.0])), min_size=1))
def test_side_and_contrast_can_be_had_back(stimuli):
    on_left, fraction = (np.array(values) for values in zip(*stimuli, strict=True))
    found = contrasts(np.where(on_left, fraction, np.nan), np.where(on_left, np.nan, fraction))
    assert (found["contrast"] == 100 * fraction).all()
    assert (np.abs(found["signed_contrast"]) == 100 * fraction).all()
    assert (np.signbit(found["signed_contrast"]) == on_left).all()
    assert ((found["stim_side"] == "left") == on_left).all()


def test_incomplete_events_are_said_with_their_shares():
    # the share asked for is enough
    trials = pd.DataFrame({"stimOn_times": [1.0] * 9 + [np.nan], "feedback_times": [1.0] * 8 + [np.nan] * 2})
    events = PRESETS["default"].responses.events
    assert incomplete_events(trials, events, PARAMETERS) == ("firstMovement_times", "feedback_times")
    with pytest.raises(IncompleteEventTimes) as caught:
        check_event_times(trials, events, PARAMETERS)
    assert str(caught.value) == "Incomplete events: firstMovement_times, feedback_times"
    assert (caught.value.measured, caught.value.threshold) == ("0.000, 0.800", 0.9)


def test_the_trials_of_a_real_session(real_session):
    path = real_session / "alf/task_00/_ibl_trials.table.pqt"
    raw, trials = pd.read_parquet(path), trials_from_table(pq.read_table(path))
    assert len(trials) == len(raw) == 328
    for name in set(TRIAL_COLUMNS) - {"contrastLeft", "contrastRight"}:
        np.testing.assert_array_equal(trials[name].to_numpy(), raw[name].to_numpy(np.float64))
    signed = 100 * (raw["contrastRight"].fillna(0) - raw["contrastLeft"].fillna(0))
    np.testing.assert_array_equal(trials["signed_contrast"].to_numpy(), signed.to_numpy())
    assert (trials["stim_side"] == "left").sum() == raw["contrastLeft"].notna().sum()
    assert check_event_times(trials, PRESETS["reference"].responses.events, PARAMETERS) is None


def test_ninety_trials_are_enough_and_eighty_nine_are_not():
    check_enough_trials(pd.DataFrame(index=range(90)), PRESETS["default"].trials)
    with pytest.raises(InsufficientTrials, match="n_trials=89 < MIN_NTRIALS=90"):
        check_enough_trials(pd.DataFrame(index=range(89)), PRESETS["default"].trials)
