"""Movement in the video: speeds, courses around events, timing of paws and wheel, and a session from its files to the table."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.sessions import OneSession, errors_of

from iblnm_core.cohort.collect import collect
from iblnm_core.demo.files import serialised, write_session
from iblnm_core.demo.identity import random_stream
from iblnm_core.demo.plan import CLINIC_PACE, SessionPlan
from iblnm_core.demo.pose import MOTION_ENERGY, PLANTED_LAG_S, POSE, simulate_pose
from iblnm_core.demo.presets import SUBJECTS
from iblnm_core.demo.session import simulate_session
from iblnm_core.errors import CorruptDataset, VideoFrameCountMismatch
from iblnm_core.parameters import Parameters
from iblnm_core.root import create_root
from iblnm_core.schemas.pose import POSE as POSE_TABLE
from iblnm_core.session.pose import (
    KEY_POINTS,
    bin_means,
    frame_measures,
    key_point_speed,
    measure_pose,
    pose_from_table,
)
from iblnm_core.session.pose_layout import PART, read_pose, read_pose_traces
from iblnm_core.session.pose_timing import correlation_lags, cross_correlation, paw_wheel_timing, peak
from iblnm_core.sources.indexing import index_cache
from iblnm_core.storage.session_file import SessionFile

PARAMETERS = Parameters()
PLAN = SessionPlan(SUBJECTS["DEMO-DA1"], dt.date(2025, 3, 3), 1, "biased", 8.0, pace=CLINIC_PACE)
"""The session of the fixture `sound_cache`."""


def resting(n, **columns):
    """A pose of a mouse that does not move, with some columns replaced."""
    parts = {"x": np.zeros(n), "y": np.zeros(n), "likelihood": np.ones(n)}
    return {f"{point}_{part}": values.copy() for point in KEY_POINTS for part, values in parts.items()} | columns


def trials_at(*events):
    """Trials whose events are at the same moment."""
    moments = np.array(events, dtype=float)
    return pd.DataFrame(dict.fromkeys(("stimOn_times", "firstMovement_times", "feedback_times"), moments))


@pytest.mark.parametrize("rate", [1.0, 60.0])
def test_speed_is_unknown_where_either_end_is_not_tracked(rate):
    likelihood = np.ones(10)
    likelihood[5] = 0.5
    pose = resting(10, paw_l_x=np.arange(10.0), paw_l_likelihood=likelihood)
    speed = key_point_speed(pose, "paw_l", np.arange(10) / rate)
    assert np.flatnonzero(np.isnan(speed)).tolist() == [0, 5, 6]
    np.testing.assert_allclose(speed[[1, 2, 3, 4, 7, 8, 9]], rate)


def test_measures_sum_what_is_known_of_two_points_and_take_the_surer_end_of_the_tongue():
    n = 6
    blind = np.array([1, 1, 0.2, 1, 1, 1])
    pose = resting(n, paw_l_x=3 * np.arange(n), paw_r_y=4 * np.arange(n), paw_r_likelihood=blind)
    pose |= {"tongue_end_l_likelihood": np.full(n, 0.1), "tongue_end_r_likelihood": np.full(n, 0.4)}
    measures = frame_measures(pose, np.arange(6.0), np.array([0, 0.1, 0.2, 0.3, 1.0, 1.1]))
    # the fifth frame comes after a gap
    np.testing.assert_allclose(measures["paw"], [np.nan, 70, 30, 30, np.nan, 70])
    np.testing.assert_allclose(measures["tongue_likelihood"], [np.nan, 0.4, 0.4, 0.4, np.nan, 0.4])
    np.testing.assert_allclose(measures["motion_energy"], [np.nan, 1, 2, 3, np.nan, 5])
    assert np.isnan(measures["tongue_speed"]).all()


def test_where_a_point_is_thought_to_be_while_it_is_hidden_changes_nothing():
    rng = np.random.default_rng(0)
    times, hidden = np.arange(600) / 60, rng.random(600) < 0.2
    likelihood = np.where(hidden, 0.89, 0.9)
    found = []
    for elsewhere in (0.0, 1e6):
        x = np.where(hidden, elsewhere, np.arange(600.0))
        pose = resting(600, nose_tip_x=x, nose_tip_likelihood=likelihood)
        found.append(measure_pose(pose, None, times, trials_at(2.0, 5.0), None, PARAMETERS).traces["nose"])
    np.testing.assert_array_equal(*found)
    known = found[0][np.isfinite(found[0])]
    assert len(known) > 60
    np.testing.assert_allclose(known, 60, rtol=1e-5)


@given(st.lists(st.floats(0.002, 0.4), min_size=3, max_size=60), st.integers(0, 2**32 - 1))
def test_what_is_covered_by_bins_is_the_path_between_their_ends(intervals, seed):
    rng = np.random.default_rng(seed)
    times = np.append(0.0, np.cumsum(intervals))
    speeds = np.append(np.nan, rng.uniform(0, 500, len(intervals)))
    edges = np.arange(0, times[-1], 1 / 30)
    means = bin_means(times, speeds, np.interp(edges, times, np.arange(len(times)))[None])
    path = np.append(0.0, np.cumsum(speeds[1:] * intervals))
    np.testing.assert_allclose(means[0] / 30, np.diff(np.interp(edges, times, path)), rtol=1e-4, atol=1e-4)


def test_a_change_at_the_event_is_found_and_a_window_outside_the_video_is_unknown():
    times = np.arange(0, 10, 1 / 60)
    energy = np.where((times > 4.05) & (times <= 5.0), 7.0, 2.0)
    pose = measure_pose(None, energy, times, trials_at(4.0, 50.0, np.nan), None, PARAMETERS)
    assert pose.deltas["motion_energy"] == pytest.approx(5.0)
    assert np.isnan(pose.deltas["paw"])
    rows = pose.traces["motion_energy"]
    assert rows.shape == (3, 60)
    assert rows.dtype == np.float32
    assert np.isnan(rows[1:]).all()
    np.testing.assert_allclose(rows[0, pose.times < 0], 2.0)
    assert (pose.lp_exists, pose.motion_energy_exists, pose.timing, list(pose.traces)) == (
        False,
        True,
        None,
        ["motion_energy"],
    )


def test_frames_whose_time_does_not_follow_are_left_out():
    times = np.arange(300) / 60
    x = np.cumsum(np.random.default_rng(1).uniform(0, 5, 300))
    sound = measure_pose(resting(300, nose_tip_x=x), None, times, trials_at(2.5), None, PARAMETERS)
    at, strays = [40, 150, 151], [np.nan, 0.5, -np.inf]
    with_strays = resting(303, nose_tip_x=np.insert(x, at, 1e6))
    found = measure_pose(with_strays, None, np.insert(times, at, strays), trials_at(2.5), None, PARAMETERS)
    np.testing.assert_array_equal(found.traces["nose"], sound.traces["nose"])


@pytest.mark.parametrize("n_frames", [0, 1])
def test_a_video_without_movement_to_see_has_nothing_known(n_frames):
    pose = measure_pose(resting(n_frames), np.zeros(n_frames), np.zeros(n_frames), trials_at(1.0), None, PARAMETERS)
    assert all(np.isnan(rows).all() for rows in pose.traces.values())
    assert np.isnan(list(pose.deltas.values())).all()


def test_a_session_without_movement_times_lacks_the_paws():
    trials = trials_at(2.0).drop(columns="firstMovement_times")
    pose = measure_pose(resting(300), None, np.arange(300) / 60, trials, None, PARAMETERS)
    assert "paw" not in pose.traces
    assert np.isnan(pose.deltas["paw"])
    assert pose.deltas["nose"] == 0


def test_lags_are_positive_where_the_first_signal_leads():
    wheel = np.random.default_rng(0).standard_normal(3000)
    lags = correlation_lags(3000, 500)
    lag, height = peak(lags, cross_correlation(np.roll(wheel, -20), wheel, lags))
    assert lag / 100 == pytest.approx(0.20, abs=2e-4)
    assert height == pytest.approx(0.995, abs=2e-4)
    assert (lags[0], lags[-1]) == (-500, 500)


def test_few_samples_have_few_lags():
    assert correlation_lags(50, 500).tolist() == list(range(-25, 25))
    assert correlation_lags(51, 500).tolist() == list(range(-25, 26))
    assert not len(correlation_lags(0, 500))


def test_what_does_not_vary_or_is_hardly_tracked_has_no_lag():
    rng = np.random.default_rng(2)
    wheel, lags = rng.standard_normal(1000), correlation_lags(1000, 400)
    hidden = np.where(np.arange(1000) < 501, np.nan, wheel)
    for paws, other in ((np.full(1000, 0.1), wheel), (wheel, np.zeros(1000)), (hidden, wheel)):
        assert np.isnan(peak(lags, cross_correlation(paws, other, lags))).all()
    hidden[500] = wheel[500]
    assert peak(lags, cross_correlation(hidden, wheel, lags))[0] == pytest.approx(0, abs=0.05)


@given(st.integers(2, 60), st.floats(0, 0.5), st.integers(0, 2**32 - 1))
def test_no_correlation_is_larger_than_one_whatever_is_hidden(n, hidden, seed):
    rng = np.random.default_rng(seed)
    wheel = rng.exponential(size=n) ** 3
    paws = np.where(rng.random(n) < hidden, np.nan, wheel)
    found = cross_correlation(paws, wheel, correlation_lags(n, 20))
    assert not (np.abs(found) > 1 + 1e-9).any()


def test_the_edge_of_the_lags_is_no_peak():
    lag, height = peak(np.arange(-2, 3), np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert np.isnan(lag)
    assert height == 0.5


def bouts_of_movement(seconds, seed):
    """Speed of a wheel at 1 kHz: smooth bouts at random times."""
    rng = np.random.default_rng(seed)
    impulses = rng.exponential(size=seconds * 1000) * (rng.random(seconds * 1000) < 5e-4)
    return np.convolve(impulses, np.hanning(300), "same")


def filmed(speed, lag_s, rate=60.0, seed=0):
    """The same as paws that lead by a lag, in frames whose times jitter, a sixth of it in bouts out of sight."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, len(speed) / 1000, 1 / rate)
    times = times + rng.normal(0, 3e-4, len(times))
    path = np.interp(times + lag_s, np.arange(len(speed)) / 1000, np.cumsum(speed))
    paw_speed = np.append(np.nan, np.diff(path) / np.diff(times))
    paw_speed[times % 12 < 2] = np.nan
    return times, paw_speed


def wheel_of(speed):
    """The velocity at 100 Hz between each sample and the one before."""
    path = np.cumsum(speed)[::10]
    return np.arange(len(path)) / 100, np.diff(path, prepend=path[0])


@given(st.floats(-1.0, 1.0), st.sampled_from([30.0, 60.0, 150.0]))
def test_a_planted_lag_is_found_within_five_milliseconds(lag_s, rate):
    speed = bouts_of_movement(180, 3)
    timing = paw_wheel_timing(*filmed(speed, lag_s, rate), *wheel_of(speed))
    np.testing.assert_allclose(timing.peak_lags, lag_s, atol=0.005)
    assert (timing.peak_values > 0.9).all()
    assert timing.functions.shape == (3, 1001)
    assert timing.lags[[0, 500, -1]] == pytest.approx([-5, 0, 5])
    assert abs(timing.drift) < 0.005


def test_a_clock_that_drifts_shows_in_the_thirds():
    speed = bouts_of_movement(180, 4)
    times, paw_speed = filmed(speed, 0.0)
    timing = paw_wheel_timing(times * (1 - 0.1 / 180), paw_speed, *wheel_of(speed))
    # the movement of a third is not just in its middle
    np.testing.assert_allclose(timing.peak_lags, [0.1 / 6, 0.05, 0.5 / 6], atol=0.012)
    assert timing.drift == timing.peak_lags[2] - timing.peak_lags[0] > 0.05


def test_a_short_video_has_lags_as_far_as_it_goes_and_none_beside_the_wheel_is_unknown():
    speed = bouts_of_movement(12, 5)
    times, paw_speed = filmed(speed, 0.04)
    timing = paw_wheel_timing(times, np.nan_to_num(paw_speed), *wheel_of(speed))
    known = np.isfinite(timing.functions).any(axis=0)
    assert 1.9 < timing.lags[known].max() < 2.1
    apart = paw_wheel_timing(times + 1000, paw_speed, *wheel_of(speed))
    assert np.isnan(apart.functions).all()
    assert np.isnan(apart.peak_lags).all()


def test_a_table_of_other_frames_points_or_kinds_is_refused_by_name():
    table = pa.table(resting(5))
    assert set(pose_from_table(table, 5)) == set(resting(5))
    with pytest.raises(VideoFrameCountMismatch, match=r"lightningPose\.pqt: 5 frames; expected 6") as error:
        pose_from_table(table, 6)
    assert (error.value.measured, error.value.threshold) == (5, 6)
    with pytest.raises(CorruptDataset, match="nose_tip_y missing"):
        pose_from_table(table.drop_columns(["nose_tip_y"]), 5)
    with pytest.raises(CorruptDataset, match="paw_r_x is string"):
        pose_from_table(table.set_column(table.column_names.index("paw_r_x"), "paw_r_x", [list("abcde")]), 5)


@pytest.fixture(scope="module")
def planted():
    """What the video of the sound session gives."""
    session = simulate_session(PLAN, 1)
    stream = random_stream(1, f"{PLAN.key}|pose")
    return simulate_pose(session.behaviour.trials, session.wheel, session.camera_times, stream)


@pytest.fixture
def filmed_session(copies, tmp_path, planted):
    """A root over a copy of the sound session with pose and motion energy, from disk."""
    made = copies(tmp_path / "cache", 1)
    ((eid, folder),) = made.folders.items()
    write_session(folder, planted)
    index_cache(made.cache)
    return OneSession(create_root(tmp_path / "root", source="local", cache=made.cache), folder, eid)


def test_a_demo_video_is_the_same_every_time_and_has_five_points_in_single_precision(planted):
    session = simulate_session(PLAN, 1)
    again = simulate_pose(
        session.behaviour.trials, session.wheel, session.camera_times, random_stream(1, f"{PLAN.key}|pose")
    )
    assert all(serialised(path, content) == serialised(path, again[path]) for path, content in planted.items())
    assert planted[POSE].num_columns == 3 * len(KEY_POINTS)
    assert {str(field.type) for field in planted[POSE].schema} == {"float"}
    assert planted[MOTION_ENERGY].dtype == np.float32
    assert len(planted[MOTION_ENERGY]) == planted[POSE].num_rows == len(session.camera_times)


def test_a_session_goes_from_its_files_to_the_table_with_the_planted_lag(filmed_session):
    report = filmed_session.run()
    assert not report.failed
    assert not any(asset == "pose" for asset, _ in errors_of(report, "advisory"))
    row = collect(filmed_session.root, "pose").table.rows.to_pylist()[0]
    assert list(row) == POSE_TABLE.column_names
    assert row["eid"] == filmed_session.eid
    assert row["lp_exists"]
    assert row["motion_energy_exists"]
    for third in ("early", "mid", "late"):
        assert row[f"peak_lag_{third}"] == pytest.approx(PLANTED_LAG_S, abs=0.005)
        assert row[f"peak_val_{third}"] > 0.9
    assert abs(row["drift"]) < 0.005
    # what moves with events in the synthetic mouse
    assert min(row[name] for name in ("paw", "nose", "tongue_likelihood", "motion_energy")) > 0.2
    path = filmed_session.root.session_file(filmed_session.eid)
    with SessionFile(path, filmed_session.eid) as file:
        part, stored, traces = file.read(PART), read_pose(file), read_pose_traces(file)
    assert stored == pytest.approx(row, nan_ok=True)
    assert part.datasets["crosscorr/functions"].shape == (3, 1001)
    assert part.attributes["traces/response_window"] == [-1, 1]
    assert part.attributes["crosscorr/drift"] == row["drift"]
    assert traces["paw"].dims == ("trial", "time")
    assert traces["paw"].dtype == np.float32
    assert {f"{name}{suffix}" for name in ("paw", "nose", "motion_energy") for suffix in ("", "_baseline")} <= set(
        traces
    )
    # a lick is seen after rewards only
    seen = traces["tongue_likelihood"]
    assert seen.sel(time=slice(0.1, 0.3)).mean() > 2 * seen.sel(time=slice(-0.3, -0.1)).mean()


def test_a_session_without_pose_says_so_and_keeps_its_row(filmed_session):
    for path in (POSE, MOTION_ENERGY):
        (filmed_session.folder / path).unlink()
    report = filmed_session.run()
    assert not report.failed
    assert {kind for asset, kind in errors_of(report, "advisory") if asset == "pose"} == {
        "MissingLP",
        "MissingMotionEnergy",
    }
    row = collect(filmed_session.root, "pose").table.rows.to_pylist()[0]
    assert (row["lp_exists"], row["motion_energy_exists"]) == (False, False)
    assert row["mean_rt"] > 0.1
    assert [row[name] for name in ("paw", "motion_energy", "peak_lag_mid", "peak_val_mid")] == [None] * 4


def test_other_frames_than_the_camera_has_are_not_used_and_nothing_else_is_lost(filmed_session, planted):
    filmed_session.replace(MOTION_ENERGY, serialised(MOTION_ENERGY, planted[MOTION_ENERGY][:-3]))
    report = filmed_session.run()
    assert not report.failed
    found = errors_of(report, "advisory")["pose", "VideoFrameCountMismatch"]
    assert int(found.threshold) - int(found.measured) == 3
    row = collect(filmed_session.root, "pose").table.rows.to_pylist()[0]
    assert (row["lp_exists"], row["motion_energy_exists"]) == (True, False)
    assert row["peak_lag_mid"] == pytest.approx(PLANTED_LAG_S, abs=0.005)


def test_a_session_without_camera_times_has_no_row(filmed_session):
    (filmed_session.folder / "alf/_ibl_leftCamera.times.npy").unlink()
    report = filmed_session.run()
    assert not report.failed
    assert ("video_qc", "MissingVideoTimestamps") in errors_of(report, "advisory")
    assert not collect(filmed_session.root, "pose").table.rows.num_rows
