"""The wheel: equal to the library's own functions under `reference`, to the trial's own end under `default`."""

import dataclasses
import io

import h5py
import numpy as np
import pandas as pd
import pytest
from brainbox.behavior.wheel import interpolate_position, velocity_filtered
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.sessions import OneSession, errors_of

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.presets import hour_plans
from iblnm_core.errors import CorruptDataset
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.session import layout
from iblnm_core.session.wheel import course_of_session, peak_velocity, trial_velocities, wheel_velocity
from iblnm_core.storage.session_file import Part, SessionFile, update_session_file

DEFAULT, REFERENCE = PRESETS["default"].wheel, PRESETS["reference"].wheel
TIMES, POSITION = "alf/task_00/_ibl_wheel.timestamps.npy", "alf/task_00/_ibl_wheel.position.npy"
EID = "0a1b2c3d-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """Timestamps, position, and trials of an hour."""
    cache = write_cohort(tmp_path_factory.mktemp("hour") / "cache", hour_plans()).cache
    folder = next(cache.glob("*/Subjects/*/*/001"))
    trials = pd.read_parquet(folder / "alf/task_00/_ibl_trials.table.pqt")
    return np.load(folder / TIMES), np.load(folder / POSITION), trials


def library_velocity(timestamps, position):
    """Return times and velocity as the library's session loader makes them."""
    smooth, times = interpolate_position(timestamps, position, freq=100)
    velocity, _ = velocity_filtered(smooth, fs=100)
    return times, velocity


def rows_by_loop(times, velocity, starts, ends):
    """Return the reference pipeline's matrix, one trial after the other."""
    rate = round(1 / np.median(np.diff(times)))
    longest = np.nanmax(ends - starts)
    steps = np.arange(round(longest * rate))
    rows = np.full((len(starts), len(steps)), np.nan, np.float32)
    for row, start, end in zip(rows, starts, ends, strict=True):
        if start >= times[0] and start + longest <= times[-1]:
            anchor = np.searchsorted(times, start)
            row[:] = velocity[np.clip(anchor + steps, 0, len(velocity) - 1)]
            if np.isfinite(end):
                row[steps / rate > end - start] = np.nan
    return rows


def test_velocity_is_that_of_the_library(hour):
    timestamps, position, _ = hour
    times, velocity = library_velocity(timestamps, position)
    found = wheel_velocity(timestamps, position, DEFAULT)
    np.testing.assert_array_equal(found.times, times)
    np.testing.assert_array_equal(found.velocity, velocity.astype(np.float32))
    assert found.times.dtype == np.float64


def test_under_reference_the_matrix_is_equal_to_the_last_bit(hour):
    timestamps, position, trials = hour
    starts, ends = trials["stimOn_times"].to_numpy(), trials["feedback_times"].to_numpy().copy()
    ends[5] = np.nan
    times, velocity = (values.astype(np.float32) for values in library_velocity(timestamps, position))
    expected = rows_by_loop(times, velocity, starts, ends)
    found = trial_velocities(wheel_velocity(timestamps, position, REFERENCE), starts, ends, REFERENCE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def ramp(seconds=40, speed=2.0):
    """A wheel that turns evenly."""
    timestamps = np.arange(0, seconds, 0.013)
    return wheel_velocity(timestamps, speed * timestamps, DEFAULT)


def test_a_row_ends_with_its_trial():
    starts = np.array([5.0, 6.003, 10, np.nan, 12, 38, -1])
    ends = np.array([5.5, 6.1, np.nan, 13, 12, 45, 1])
    rows = trial_velocities(ramp(), starts, ends, DEFAULT)
    assert rows.shape == (7, 51)
    assert (~np.isnan(rows)).sum(axis=1).tolist() == [51, 10, 0, 0, 1, 0, 0]
    np.testing.assert_allclose(rows[:2, :10], 2, atol=1e-3)
    np.testing.assert_allclose(peak_velocity(rows)[[0, 1]], 2, atol=1e-3)
    assert np.isnan(peak_velocity(rows)[[2, 3, 5, 6]]).all()


def test_a_long_trial_costs_the_last_ones_under_reference_only():
    starts, ends = np.array([1.0, 20, 36]), np.array([11.0, 20.5, 36.5])
    known = {
        preset: ~np.isnan(trial_velocities(ramp(), starts, ends, parameters)).all(axis=1)
        for preset, parameters in (("default", DEFAULT), ("reference", REFERENCE))
    }
    assert known["default"].tolist() == [True, True, True]
    assert known["reference"].tolist() == [True, True, False]


@given(st.floats(2, 30), st.floats(0.011, 3), st.integers(0, 2**16))
@settings(deadline=None)
def test_velocities_are_interpolated_between_samples(start, length, seed):
    timestamps = np.arange(0, 40, 0.01)
    position = np.cumsum(np.random.default_rng(seed).normal(0, 0.01, len(timestamps)))
    wheel = wheel_velocity(timestamps, position, DEFAULT)
    [row] = trial_velocities(wheel, np.array([start]), np.array([start + length]), DEFAULT)
    offsets = np.arange(len(row)) / 100
    assert offsets[-1] <= length + 1e-9 < offsets[-1] + 0.01 + 2e-9
    expected = np.interp(start + offsets, wheel.times, wheel.velocity)
    np.testing.assert_allclose(row, expected, atol=1e-5)


@pytest.mark.parametrize("parameters", [DEFAULT, REFERENCE], ids=["default", "reference"])
@pytest.mark.parametrize("absurd", [1e12, np.inf, -np.inf, -1e12])
def test_an_absurd_time_makes_no_absurd_matrix(parameters, absurd):
    rows = trial_velocities(ramp(), np.array([5.0, 6]), np.array([5.5, absurd]), parameters)
    assert rows.shape[0] == 2
    assert rows.shape[1] <= 51
    if parameters is DEFAULT:
        assert np.isnan(rows[1]).all()


def test_the_course_of_a_session_has_a_gap_behind_every_trial():
    unknown = np.nan
    velocities = np.array([[1, 2, unknown], [3, 4, 5], [unknown] * 3, [6, unknown, unknown]], np.float32)
    times, values = course_of_session(np.array([0.0, 1.0, 1.2, 5.0]), velocities, 10.0)
    # the second trial is cut by the third, of which nothing is known
    np.testing.assert_allclose(times, [0.0, 0.1, 0.2, 1.0, 1.1, 1.2, 5.0, 5.1])
    np.testing.assert_array_equal(values, [1, 2, unknown, 3, 4, unknown, 6, unknown])
    nothing = course_of_session(np.zeros(0), np.zeros((0, 3), np.float32), 10.0)
    assert [len(part) for part in nothing] == [0, 0]


def test_no_trial_at_all_is_an_empty_matrix():
    rows = trial_velocities(ramp(), np.full(3, np.nan), np.full(3, np.nan), DEFAULT)
    assert rows.shape == (3, 0)
    assert np.isnan(peak_velocity(rows)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, p: (t[:-1], p), "expected as many positions as times"),
        (lambda t, p: (t[:10], p[:10]), "10 samples; expected at least 30"),
        (lambda t, p: (t / 1e3, p), "expected at least 0.3 s"),
        (lambda t, p: (np.where(t == t[50], np.nan, t), p), "1 values are not finite"),
        (lambda t, p: (t, np.where(t < t[3], np.inf, p)), "3 values are not finite"),
        (lambda t, p: (t[::-1], p), "time goes back"),
    ],
)
def test_what_is_no_wheel_is_corrupt(change, message):
    timestamps = np.arange(0, 20, 0.01)
    with pytest.raises(CorruptDataset, match=message):
        wheel_velocity(*change(timestamps, np.sin(timestamps)), DEFAULT)


def test_padding_takes_no_room_and_comes_back(tmp_path):
    random = np.random.default_rng(0)
    rows = np.full((200, 6000), np.nan, np.float32)
    for row, length in zip(rows, random.integers(0, 300, 200), strict=True):
        row[:length] = random.normal(size=length)
    rows[77] = 1.5
    path = tmp_path / f"{EID}.h5"
    update_session_file(path, EID, lambda _: ({"wheel/responses": layout.wheel_part(rows, 100.0)}, lambda _: False))
    with SessionFile(path, EID) as file:
        assert file.parts() == ("wheel/responses",)
        found = layout.read_wheel(file)
    np.testing.assert_array_equal(found.to_numpy(), rows)
    assert found.dims == ("trial", "time")
    assert found["time"][-1] == pytest.approx(59.99)
    with h5py.File(path) as file:
        # a plain reader sees the whole
        np.testing.assert_array_equal(file["wheel/responses/velocity"][()], rows)
        assert file["wheel/responses/velocity"].id.get_storage_size() < 0.05 * rows.nbytes
        assert dict(file["wheel/responses"].attrs)["t1_event"] == "feedback_times"


def test_other_parts_of_the_wheel_stay(tmp_path):
    path = tmp_path / f"{EID}.h5"
    for name in ("a", "b"):
        part = {f"wheel/{name}": Part({"x": np.arange(3)})}
        update_session_file(path, EID, lambda _, part=part: (part, lambda _: False))
    with SessionFile(path, EID) as file:
        assert file.parts() == ("wheel/a", "wheel/b")


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def break_it(session, how):
    stored = (session.folder / POSITION).read_bytes()
    if how == "cut":
        session.replace(POSITION, stored[:-100])
    elif how == "pickled":
        session.replace(POSITION, npy(np.array([{"a": 1}], dtype=object)))
    elif how == "no times":
        (session.folder / TIMES).unlink()
    elif how == "unequal":
        session.replace(POSITION, npy(np.load(session.folder / POSITION)[:-1]))


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("cut", "CorruptDataset", POSITION),
        ("pickled", "CorruptDataset", POSITION),
        ("no times", "MissingExtractedData", "_ibl_wheel.timestamps.npy"),
        ("unequal", "CorruptDataset", "expected as many positions as times"),
    ],
)
def test_a_broken_wheel_costs_the_wheel_alone(session, how, error, message):
    break_it(session, how)
    report = session.run()
    assert set(report.stopped) == {"wheel_velocity"}
    found = errors_of(report)
    assert set(found) == {("wheel_velocity", error)}
    assert message in found["wheel_velocity", error].error_message
    assert not found["wheel_velocity", error].blocks_analysis
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        regressors = layout.read_regressors(file)
        assert "wheel/responses" not in file
    assert regressors["peak_velocity"].isna().all()
    assert regressors["reaction_time"].notna().mean() > 0.9


def test_a_wheel_that_comes_later_costs_no_photometry(session):
    kept = (session.folder / POSITION).read_bytes()
    (session.folder / POSITION).unlink()
    session.run()
    (session.folder / POSITION).write_bytes(kept)
    report = session.run()
    # the list of its datasets is part of a session's metadata
    assert report.computed == {"session_metadata", "wheel_velocity", "trial_regressors", "pose"}
    assert not report.stopped
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        assert layout.read_regressors(file)["peak_velocity"].notna().mean() > 0.9


def test_changed_fits_are_made_from_stored_trials(session):
    session.run()
    parameters = dataclasses.replace(
        session.root.parameters, psychometric=dataclasses.replace(PRESETS["default"].psychometric, minimum_levels=20)
    )
    session.root = dataclasses.replace(session.root, parameters=parameters)
    report = session.run()
    assert report.computed == {"task_performance"}
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        assert layout.read_performance(file)["psych_50_status"] == "thin data"
