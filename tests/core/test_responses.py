"""Windows around events: against ibl-photometry, against plain loops, and what is done to them before averaging."""

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# the library imports itself in a circle unless this module comes first
from iblphotometry import fpio, processing

from iblnm_core.parameters import PRESETS
from iblnm_core.session.correcting import preprocess
from iblnm_core.session.photometry import recording_from_tables, restrict_to_session
from iblnm_core.session.responses import (
    Responses,
    extract_responses,
    mask_after_next_event,
    peri_event,
    subtract_baseline,
)
from iblnm_core.session.trials import trials_from_table

assert fpio
DEFAULT, REFERENCE = PRESETS["default"], PRESETS["reference"]
EVENTS = DEFAULT.responses.events
RAMP = np.arange(300) / 30
NUMBERS = np.arange(300.0)

event_lists = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(-2, 12) | st.just(np.nan))


# windows


@pytest.mark.parametrize(("alignment", "centres"), [("next_sample", [30, 150, 267]), ("interpolated", [30, 150, 267])])
def test_windows_of_a_ramp_whatever_the_alignment_of_events_on_samples(alignment, centres):
    events = np.array([0.5, 1, 5, 8.9, 9, np.nan])
    offsets, rows = peri_event(RAMP, NUMBERS, events, (-1, 1), alignment)
    assert np.isnan(rows).all(axis=1).tolist() == [True, False, False, False, True, True]
    assert not np.isnan(rows[1:4]).any()
    np.testing.assert_allclose(rows[1:4, 30], centres, atol=1e-9)
    assert (len(offsets), offsets[0], offsets[-1]) == (60, -1.0, pytest.approx(29 / 30))


@pytest.mark.parametrize("alignment", ["next_sample", "interpolated"])
def test_a_window_may_reach_from_the_first_to_the_last_sample(alignment):
    times = np.arange(65) / 32
    events = np.array([1.0, 1 - 1e-12, 1 + 1e-12])
    _, rows = peri_event(times, np.arange(65.0), events, (-1, 1), alignment)
    assert rows[0].tolist() == list(range(64))
    assert np.isnan(rows[1:]).all()


def test_next_sample_is_early_by_what_the_event_precedes_its_sample():
    # events at 0, 1/4, 1/2, 3/4 of a sample after sample 60
    events = (60 + np.array([0, 0.25, 0.5, 0.75])) / 30
    by_sample, interpolated = (
        peri_event(RAMP, NUMBERS, events, (-1, 1), alignment)[1] for alignment in ("next_sample", "interpolated")
    )
    np.testing.assert_allclose(interpolated[:, 30], [60, 60.25, 60.5, 60.75], atol=1e-9)
    np.testing.assert_allclose((by_sample - interpolated)[:, 30], [0, 0.75, 0.5, 0.25], atol=1e-9)


@pytest.mark.parametrize("alignment", ["next_sample", "interpolated"])
def test_windows_with_ends_of_their_own(alignment):
    ends = np.array([1.5, np.nan, 3.7])
    offsets, rows = peri_event(RAMP, NUMBERS, np.array([1.0, 2.0, 3.0]), (0, 0), alignment, ends)
    assert rows.shape == (3, 21)
    assert np.isnan(rows).sum(axis=1).tolist() == [5, 0, 0]
    # a sample exactly at the end stays
    assert offsets[np.isfinite(rows[0])][-1] == 0.5


def test_the_longest_known_end_gives_the_width():
    events = np.array([1.0, 2.0])
    for ends, width in (([1.4, np.inf], 12), ([1.4, np.nan], 12), ([np.nan, np.nan], 30)):
        offsets, rows = peri_event(RAMP, NUMBERS, events, (-1, 1), "next_sample", np.array(ends))
        assert (offsets[0], len(offsets)) == (-1.0, 30 + width)
        assert np.isnan(rows).sum() == 0


@settings(deadline=None)
@given(event_lists, st.floats(-5, 5), st.floats(-5, 5), st.sampled_from(["next_sample", "interpolated"]))
def test_a_linear_signal_is_read_exactly(events, slope, intercept, alignment):
    offsets, rows = peri_event(RAMP, slope * RAMP + intercept, events, (-1, 1), alignment)
    complete = (events - 1 >= RAMP[0]) & (events + 1 <= RAMP[-1])
    anchors = events[complete]
    if alignment == "next_sample":
        anchors = RAMP[np.searchsorted(RAMP, anchors)]
    np.testing.assert_allclose(rows[complete], slope * (anchors[:, None] + offsets) + intercept, atol=1e-9)
    assert np.isnan(rows[~complete]).all()


def plain_windows(values, events, ends, alignment):
    """One window after the other, one sample after the other."""
    known = [end - event for event, end in zip(events, ends, strict=True) if np.isfinite(end - event)]
    longest = max(known, default=1.0)
    steps = range(-30, round(longest * 30))
    rows = []
    for event, end in zip(events, ends, strict=True):
        row = []
        for k in steps:
            inside = event - 1 >= RAMP[0] and event + longest <= RAMP[-1]
            if not inside or k / 30 > end - event:
                row.append(np.nan)
            elif alignment == "next_sample":
                anchor = next(i for i in range(300) if RAMP[i] >= event)
                row.append(values[min(max(anchor + k, 0), 299)])
            else:
                at = event + k / 30
                left = max(i for i in range(299) if RAMP[i] <= at)
                share = (at - RAMP[left]) / (RAMP[left + 1] - RAMP[left])
                row.append(values[left] + min(share, 1) * (values[left + 1] - values[left]))
        rows.append(row)
    return np.array(rows).reshape(len(events), len(steps))


@settings(deadline=None, max_examples=40)
@given(
    values=hnp.arrays(np.float64, 300, elements=st.floats(-10, 10)),
    trials=st.lists(
        st.tuples(st.floats(-2, 12) | st.just(np.nan), st.floats(0, 3) | st.just(np.nan)), min_size=1, max_size=6
    ),
    alignment=st.sampled_from(["next_sample", "interpolated"]),
)
def test_windows_with_ends_equal_a_plain_loop(values, trials, alignment):
    events, lengths = (np.array(column) for column in zip(*trials, strict=True))
    _, rows = peri_event(RAMP, values, events, (-1, 1), alignment, events + lengths)
    np.testing.assert_allclose(rows, plain_windows(values, events, events + lengths, alignment), atol=1e-7)


# extraction


@pytest.fixture(scope="module")
def real(real_session):
    """Trials and preprocessed signals of a real session, under the reference's parameters."""
    folder = real_session / "alf/photometry"
    signal, locations = (pq.read_table(folder / f"{n}.pqt") for n in ("photometry.signal", "photometryROI.locations"))
    trials = trials_from_table(pq.read_table(real_session / "alf/task_00/_ibl_trials.table.pqt"))
    recording = recording_from_tables(signal, locations, REFERENCE.photometry)
    bands = restrict_to_session(recording, trials, REFERENCE.photometry).bands
    g, i = bands["GCaMP"], bands["Isosbestic"]
    signals = {}
    for column, region in enumerate(recording.regions):
        arrays = (g.times, g.values[:, column], i.times, i.values[:, column])
        signals[region] = preprocess(*arrays, REFERENCE.preprocessing, REFERENCE.photometry.band_pairing)
    return trials, signals


@pytest.mark.parametrize("region", ["SI", "PPT"])
def test_responses_equal_the_library_and_the_reference_pipeline(real, shared, region):
    trials, signals = real
    signal = signals[region]
    found = extract_responses(signal.times, signal.values, trials, EVENTS, REFERENCE.responses)
    assert (found.events, found.sampling_rate_hz, found.window_s) == (EVENTS, 30, (-1.0, 1.0))
    assert found.values.shape == (3, 328, 60)
    np.testing.assert_array_equal(found.trials, np.arange(328))
    with h5py.File(shared / "real_sessions" / "reference_numbers.h5") as file:
        stored = {name: values[()] for name, values in file[f"photometry/{region}/responses"].items()}
    np.testing.assert_array_equal(found.times, stored["times"])
    for event, rows in zip(EVENTS, found.values, strict=True):
        np.testing.assert_allclose(rows[:3], stored[f"{event}_first_3"], rtol=1e-9, atol=1e-9)
        at = trials[event].to_numpy()
        # the library counts the end of the window in, and knows neither missing events nor incomplete windows
        expected, _ = processing.psth(signal.values, signal.times, np.nan_to_num(at), fs=30, event_window=[-1, 1])
        complete = (at - 1 >= signal.times[0]) & (at + 1 <= signal.times[-1])
        assert complete.sum() > 300
        np.testing.assert_allclose(rows[complete], expected[:60].T[complete], rtol=0, atol=1e-12)
        assert np.isnan(rows[~complete]).all()


def test_responses_carry_the_numbers_of_their_trials(real):
    trials, signals = real
    some = trials.iloc[[7, 3, 100]]
    signal = signals["SI"]
    found = extract_responses(signal.times, signal.values, some, ["feedback_times"], DEFAULT.responses)
    every = extract_responses(signal.times, signal.values, trials, ["feedback_times"], DEFAULT.responses)
    assert found.trials.dtype == np.int64
    assert found.trials.tolist() == [7, 3, 100]
    np.testing.assert_array_equal(found.values, every.values[:, [7, 3, 100]])
    labelled = found.to_xarray()
    assert labelled.dims == ("event", "trial", "time")
    np.testing.assert_array_equal(labelled.sel(event="feedback_times", trial=3), found.values[0, 1])


# before averaging

ORDER = ("stimOn_times", "firstMovement_times", "feedback_times")
TIMES = np.arange(-30, 30) / 30


def step_responses(events=ORDER, trials=(0, 1, 2)):
    """Responses whose samples are their own step numbers, -30 to 29."""
    values = np.broadcast_to(np.arange(-30.0, 30.0), (len(events), len(trials), 60)).copy()
    return Responses(tuple(events), TIMES, np.array(trials), values, 30, (-1.0, 1.0))


def trials_of(stimuli, movements, feedbacks):
    return pd.DataFrame(dict(zip(ORDER, (stimuli, movements, feedbacks), strict=True)), dtype=np.float64)


def last_known(rows):
    return [float(TIMES[np.flatnonzero(~np.isnan(row))[-1]]) for row in rows]


def test_each_event_is_masked_by_the_next_and_the_last_by_none():
    trials = trials_of([10, 20, 30], [10.25, np.nan, 30.5], [10.75, 20.5, np.nan])
    made = step_responses()
    found = mask_after_next_event(made, trials, ORDER)
    # the sample at the very time of the next event stays; without a next event nothing is masked
    assert last_known(found.values[0]) == pytest.approx([7 / 30, 29 / 30, 0.5])
    assert last_known(found.values[1]) == pytest.approx([0.5, 29 / 30, 29 / 30])
    assert not np.isnan(found.values[2]).any()
    assert not np.isnan(made.values).any()
    assert (found.events, found.window_s) == (made.events, made.window_s)


def test_a_difference_of_times_that_falls_short_of_its_sample_masks_it():
    # 50.3 - 50.0 is a little less than 0.3 in floating point
    found = mask_after_next_event(step_responses(trials=(0,)), trials_of([50.0], [50.3], [51]), ORDER)
    assert last_known(found.values[0]) == pytest.approx([8 / 30])


def test_masking_knows_events_by_name_and_trials_by_number():
    trials = trials_of([10, 20, 30], [10.25, 20.5, 30.75], [11, 21, 31])
    found = mask_after_next_event(step_responses(("feedback_times", "stimOn_times"), (2, 0)), trials, ORDER)
    assert not np.isnan(found.values[0]).any()
    assert last_known(found.values[1]) == pytest.approx([22 / 30, 7 / 30])
    by_feedback = mask_after_next_event(step_responses(), trials, ("stimOn_times", "feedback_times"))
    assert not np.isnan(by_feedback.values).any()


def test_a_next_event_that_came_first_takes_the_baseline_with_it():
    trials = trials_of([10], [9.5], [10.5])
    masked = mask_after_next_event(step_responses(trials=(0,)), trials, ORDER)
    assert last_known(masked.values[0]) == [-0.5]
    assert np.isnan(subtract_baseline(masked, (-0.2, 0.0)).values[0]).all()
    assert np.isfinite(subtract_baseline(masked, (-0.6, 0.0)).values[0]).sum() == 16


@given(hnp.arrays(np.float64, (6, 3), elements=st.floats(0, 3) | st.just(np.nan)))
def test_masking_equals_a_plain_loop(at):
    trials = pd.DataFrame(at, columns=ORDER)
    found = mask_after_next_event(step_responses(trials=range(6)), trials, ORDER)
    for e in range(3):
        for n in range(6):
            until = at[n, e + 1] - at[n, e] if e < 2 else np.nan
            gone = [bool(t > until) for t in TIMES]
            assert np.isnan(found.values[e, n]).tolist() == gone


@pytest.mark.parametrize(("window", "magnitude"), [((-0.2, 0.0), 10.0), ((-0.1, 0.0), 8.5)])
def test_magnitudes_of_a_trace_that_counts_its_samples(window, magnitude):
    early = slice(*np.searchsorted(TIMES, (0.1, 0.35)))
    found = subtract_baseline(step_responses(), window)
    np.testing.assert_allclose(found.values[..., early].mean(axis=-1), magnitude, rtol=0, atol=1e-12)


@given(hnp.arrays(np.float64, (2, 4, 60), elements=st.floats(-100, 100) | st.just(np.nan)))
def test_the_baseline_skips_missing_samples_and_ends_at_zero(values):
    responses = Responses(ORDER[:2], TIMES, np.arange(4), values, 30, (-1.0, 1.0))
    found = subtract_baseline(responses, (-0.2, 0.0)).values
    before = values[..., 24:30]
    empty = np.isnan(before).all(axis=-1)
    assert np.isnan(found[empty]).all()
    for row, raw in zip(found[~empty], values[~empty], strict=True):
        np.testing.assert_allclose(row, raw - np.nanmean(raw[24:30]), atol=1e-9)
        assert np.nanmean(row[24:30]) == pytest.approx(0, abs=1e-9)


def test_a_baseline_outside_the_window_is_refused():
    with pytest.raises(
        ValueError, match=r"baseline window \(-3.0, -2.0\) holds no sample; responses reach from -1 s to"
    ):
        subtract_baseline(step_responses(), (-3.0, -2.0))
