"""Worked numbers of the reference pipeline's stages, one test each."""

import numpy as np
import pytest
from scipy.signal import butter

from iblnm_core.parameters import PRESETS
from iblnm_core.session.blocks import planned_probabilities, shortest_block
from iblnm_core.session.correcting import preprocess
from iblnm_core.session.raw_frames import RawFrames, count_raw_faults
from iblnm_core.session.responses import peri_event
from iblnm_core.session.signal_quality import band_quality
from iblnm_core.session.trials import contrasts

REFERENCE = PRESETS["reference"]
RAMP = np.arange(300) / 30


def frames(n=200):
    """Frames at 60 Hz under two LEDs in turn."""
    return np.arange(n) / 60, np.where(np.arange(n) % 2, 2, 1)


def faults(times, states):
    counts = count_raw_faults(RawFrames(times, states), REFERENCE.raw_quality)
    return counts.n_band_inversions, counts.n_early_samples


def test_windows_of_a_ramp():
    events = np.array([0.5, 1, 5, 8.9, 9, np.nan])
    offsets, rows = peri_event(RAMP, np.arange(300.0), events, (-1, 1), "next_sample")
    assert np.isnan(rows).all(axis=1).tolist() == [True, False, False, False, True, True]
    assert rows[1:4, 30].tolist() == [30, 150, 267]
    assert (len(offsets), offsets[0], round(offsets[-1], 6)) == (60, -1.0, 0.966667)


def test_windows_with_ends_of_their_own():
    ends = np.array([1.5, np.nan, 3.7])
    _, rows = peri_event(RAMP, np.arange(300.0), np.array([1.0, 2.0, 3.0]), (0, 0), "next_sample", ends)
    assert rows.shape == (3, 21)
    assert np.isnan(rows).sum(axis=1).tolist() == [5, 0, 0]


def test_contrasts_keep_the_side_of_zero_in_the_sign():
    found = contrasts(np.array([0.0, np.nan, 0.25, np.nan]), np.array([np.nan, 0.0, np.nan, np.nan]))
    assert found["signed_contrast"].tolist() == [0.0, 0.0, -25.0, 0.0]
    assert np.signbit(found["signed_contrast"]).tolist() == [True, False, True, False]
    assert found["stim_side"].tolist() == ["left", "right", "left", "right"]
    assert contrasts(np.array([0.5]), np.array([1.0]))["contrast"].tolist() == [100.0]


def test_a_plan_shorter_than_the_session_gives_what_it_has():
    on_left = np.array([-35, 35, -35, 35, -35, 35, 35, 35, 35, 35]) < 0
    found = planned_probabilities([5, 3], on_left, (0.2, 0.8))
    assert found.tolist() == [0.5] * 5 + [0.2] * 3


@pytest.mark.parametrize(("lengths", "shortest"), [((50, 30, 40, 3), 30), ((50, 9, 40), 9)])
def test_the_last_block_is_not_judged(lengths, shortest):
    assert shortest_block(np.repeat(np.resize([0.5, 0.2, 0.8], len(lengths)), lengths)) == shortest


def test_a_dropped_frame_is_an_inversion_and_one_that_comes_two_milliseconds_early_is_early():
    times, states = frames()
    assert faults(times, states) == (0, 0)
    assert faults(np.delete(times, 100), np.delete(states, 100)) == (1, 0)
    times[100] -= 0.002
    assert faults(times, states) == (0, 1)


def test_an_input_line_changes_nothing():
    times, states = frames()
    states[50:80] += 8
    assert faults(times, states) == (0, 0)


def test_three_levels_in_an_hour_pass_for_many():
    times = np.arange(108_000) / 30
    random = np.random.default_rng(1)
    signal = 0.01 + 0.001 * np.sin(times / 300) + 0.0005 * random.normal(size=len(times))
    levels = np.quantile(signal, [0.2, 0.5, 0.8])
    rounded = levels[np.abs(signal[:, None] - levels).argmin(axis=1)]
    found = band_quality(times, rounded, REFERENCE.signal_quality)
    assert found.whole["n_unique_samples"] == pytest.approx(2.8e-5, rel=0.01)
    assert found.values["n_unique_samples"] > 0.1


@pytest.mark.parametrize(("order", "samples"), [(3, 12), (8, 27)])
def test_the_filter_library_pads_by_a_few_samples(order, samples):
    sections = butter(order, 0.1, output="sos")
    taps = 2 * len(sections) + 1 - min((sections[:, 2] == 0).sum(), (sections[:, 5] == 0).sum())
    assert 3 * taps == samples


def test_an_hour_has_fifty_eight_windows_and_loses_one_sample():
    times = np.arange(0, 3600, 1 / 30)
    random = np.random.default_rng(0)
    values = 1 + 0.01 * random.normal(size=(2, len(times)))
    assert band_quality(times, values[0], REFERENCE.signal_quality).n_windows == 58
    restricted = slice(0, 106_587)
    signal, reference = values[:, restricted]
    made = preprocess(times[restricted], signal, times[restricted], reference, REFERENCE.preprocessing, "position")
    assert len(made.values) == 106_586
