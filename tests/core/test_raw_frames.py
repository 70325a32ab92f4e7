"""Raw frames: layouts, LED states, and what is counted, against ibl-photometry and on a real recording."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# the library imports itself in a circle unless this module comes first
from iblphotometry import fpio, metrics, neurophotometrics

from iblnm_core.errors import (
    BandInversion,
    CorruptDataset,
    DegenerateSignal,
    EarlySamples,
    LedStateGap,
    UnknownRawLayout,
)
from iblnm_core.parameters import PRESETS
from iblnm_core.session.raw_frames import (
    RawCounts,
    RawFrames,
    check_led_states,
    check_raw_signal,
    count_raw_faults,
    known_led_states,
    led_names,
    raw_frames_from_table,
)

assert fpio
PARAMETERS = PRESETS["reference"].raw_quality
SINGLE = [leds + line for line in (0, 8, 16, 32, 64, 128, 256, 512, 48, 528, 544, 560) for leds in (0, 1, 2, 4)]


def frame_of(times, states):
    """A raw table without signal problems, as the camera's software writes it."""
    return pd.DataFrame(
        {
            "FrameCounter": np.arange(len(times)),
            "SystemTimestamp": np.asarray(times, np.float64),
            "LedState": np.asarray(states).astype(np.int16),
            "ComputerTimestamp": np.asarray(times, np.float64) * 1000,
            "G0": 0.01,
        }
    )


def as_the_library(frame, drop_first=True):
    decoded = neurophotometrics.from_neurophotometrics_df_to_photometry_df(frame.copy(), drop_first=drop_first)
    return decoded.set_index("times")


def counts_of(frame):
    return count_raw_faults(raw_frames_from_table(pa.Table.from_pandas(frame)), PARAMETERS)


@pytest.fixture(scope="module")
def real_frame(real_session):
    path = real_session / "raw_photometry_data/_neurophotometrics_fpData.raw.pqt"
    return pd.read_parquet(path)


def test_every_state_of_the_library_has_the_same_name_here():
    states = np.arange(1100)
    library = as_the_library(frame_of(states / 60, states), drop_first=False)["name"].tolist()
    named = {state for state, name in enumerate(library) if name}
    # each single LED or none under each of its lines, and several LEDs under none
    assert named == set(SINGLE) | {3, 5, 6, 7}
    assert [led_names(state) for state in sorted(named)] == [library[state] for state in sorted(named)]
    # all lines are known here, also several at once, as real files have them
    assert {state for state in range(1100) if led_names(state)} == set(range(1024))
    assert [led_names(state) for state in (274, 530, 786)] == ["GCaMP"] * 3
    assert led_names(560 + 3) == "Isosbestic+GCaMP"
    assert led_names(0) == led_names(512) == "None"


def test_states_that_cannot_be_are_unknown():
    assert not known_led_states(np.array([-1, -8, 1024, 1025, 4096])).any()
    assert known_led_states(np.array(SINGLE)).all()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(SINGLE), st.floats(0.001, 0.1)), min_size=4, max_size=60))
def test_faults_are_counted_as_the_library_does(frames):
    states, intervals = zip(*frames, strict=True)
    frame = frame_of(np.cumsum(intervals), states)
    counts, library = counts_of(frame), as_the_library(frame)
    assert counts.n_frames == len(frames) - 1
    assert counts.n_early_samples == metrics.n_early_samples(library)
    assert counts.n_band_inversions == metrics.n_band_inversions(library)
    assert (counts.n_gaps, counts.n_gap_frames) == (0, 0)


@given(st.lists(st.sampled_from([1, 2, 4, 0, 9, 10, 1025]), min_size=3, max_size=50))
def test_inversions_and_gaps_equal_a_plain_loop(states):
    names = [led_names(state) for state in states]
    inversions = sum(1 for a, b in pairwise(names) if a and a == b)
    gaps = sum(1 for i, name in enumerate(names) if not name and (i == 0 or names[i - 1]))
    counts = count_raw_faults(RawFrames(np.arange(len(states)) / 60, np.array(states)), PARAMETERS)
    assert (counts.n_band_inversions, counts.n_gaps, counts.n_gap_frames) == (inversions, gaps, names.count(""))


def test_a_real_recording_is_counted_as_the_library_does(real_frame):
    counts, library = counts_of(real_frame), as_the_library(real_frame)
    assert counts == RawCounts(187988, 0, 0, 0, 0)
    assert metrics.n_early_samples(library) == metrics.n_band_inversions(library) == 0
    assert check_raw_signal(counts) == []
    check_led_states(counts)


def test_faults_planted_in_a_real_recording_are_found(real_frame):
    dropped = real_frame.drop(index=50_000).reset_index(drop=True)
    assert counts_of(dropped).n_band_inversions == metrics.n_band_inversions(as_the_library(dropped)) == 1
    assert counts_of(dropped).n_early_samples == 0
    early = real_frame.copy()
    early.loc[50_000, "SystemTimestamp"] -= 0.002
    assert counts_of(early).n_early_samples == metrics.n_early_samples(as_the_library(early)) == 1
    assert counts_of(early).n_band_inversions == 0
    with_line = real_frame.copy()
    with_line.loc[1000:5000, "LedState"] += 8
    assert counts_of(with_line) == counts_of(real_frame)


def test_what_is_wrong_with_the_frames_is_returned_in_the_documented_order():
    errors = check_raw_signal(RawCounts(1000, 2, 3, 0, 0))
    assert [(type(e), str(e), e.measured, e.threshold) for e in errors] == [
        (BandInversion, "band inversions detected", 3, 0),
        (EarlySamples, "early samples detected", 2, 0),
    ]


@pytest.mark.parametrize(
    ("gaps", "frames", "text"), [(1, 10, "1 gap, 10 frames"), (2, 13, "2 gaps, 13 frames"), (1, 1, "1 gap, 1 frame of")]
)
def test_gaps_are_said_in_words(gaps, frames, text):
    with pytest.raises(LedStateGap, match=text) as caught:
        check_led_states(RawCounts(1000, 0, 0, gaps, frames))
    assert (caught.value.measured, caught.value.threshold) == (frames, 0)


def test_an_unknown_layout_is_refused_with_those_that_are_known():
    table = pa.table({"FrameCounter": [1, 2], "Time": [0.1, 0.2], "G0": [0.1, 0.2]})
    with pytest.raises(UnknownRawLayout) as caught:
        raw_frames_from_table(table)
    assert str(caught.value) == (
        "_neurophotometrics_fpData.raw.pqt: columns FrameCounter, Time, G0; known layouts are "
        "FrameCounter, Timestamp, Flags; FrameCounter, Timestamp, LedState; "
        "FrameCounter, SystemTimestamp, LedState, ComputerTimestamp"
    )


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "SystemTimestamp",
            [0.0, 0.1, np.nan, 0.3, np.inf],
            "column SystemTimestamp is not finite in 2 of 4 frames; expected a number in each",
        ),
        ("LedState", pa.array([7, 1, None, 1, 2]), "column LedState is not finite in 1 of 4 frames"),
        ("LedState", list("abcde"), "column LedState is string; expected numbers"),
    ],
)
def test_missing_numbers_are_not_taken_for_sound_frames(column, values, message):
    table = pa.Table.from_pandas(frame_of(np.arange(5) / 60, [7, 1, 2, 1, 2]))
    index = table.column_names.index(column)
    broken = table.set_column(index, column, pa.array(values) if isinstance(values, list) else values)
    with pytest.raises(CorruptDataset, match=message):
        raw_frames_from_table(broken)


def test_a_handful_of_frames_is_no_recording():
    with pytest.raises(DegenerateSignal, match="3 frames; expected at least 4"):
        raw_frames_from_table(pa.Table.from_pandas(frame_of(np.arange(3) / 60, [7, 1, 2])))


@pytest.mark.parametrize(("earlier_s", "early"), [(0.0009, 0), (0.0011, 1)])
def test_a_frame_is_early_by_more_than_a_millisecond(earlier_s, early):
    times = np.arange(50) / 60
    times[20:] -= earlier_s
    assert count_raw_faults(RawFrames(times, np.arange(50) % 2 + 1), PARAMETERS).n_early_samples == early


def test_the_first_frame_does_not_count():
    frame = frame_of([-100.0, 0.0, 1 / 60, 2 / 60], [1025, 1, 2, 1])
    assert counts_of(frame) == RawCounts(3, 0, 0, 0, 0)
