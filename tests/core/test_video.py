"""Quality of the video: camera times, labels, score, and what a session without video keeps."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from iblnm_core.errors import (
    CorruptDataset,
    VideoDroppedFramesQCError,
    VideoLengthError,
    VideoPinStateQCError,
    VideoTimestampsQCError,
)
from iblnm_core.parameters import PRESETS, VideoParameters
from iblnm_core.session.video import camera_quality, check_label, check_length, check_times, video_row, video_score
from iblnm_core.vocabulary import VIDEO_LABELS

DEFAULT, REFERENCE = PRESETS["default"].video, PRESETS["reference"].video


def film(seconds, rate=60.0):
    return camera_quality(np.arange(0, seconds + 0.5 / rate, 1 / rate))


@pytest.mark.parametrize(
    ("discrepancy", "fails"), [(119.99, False), (120.0, True), (-119.99, False), (-120.0, True), (180.0, True)]
)
def test_length_differs_by_less_than_two_minutes_either_way(discrepancy, fails):
    quality = camera_quality(np.array([10.0, 3610.0]))
    if not fails:
        return check_length(quality, 3600 - discrepancy, DEFAULT)
    with pytest.raises(VideoLengthError) as error:
        check_length(quality, 3600 - discrepancy, DEFAULT)
    assert error.value.measured == pytest.approx(discrepancy)
    assert ("longer" if discrepancy > 0 else "shorter") in error.value.message
    return None


def test_an_unknown_length_passes():
    assert check_length(camera_quality(np.array([10.0, 3610.0])), None, DEFAULT) is None
    assert check_length(camera_quality(np.array([])), 3600.0, DEFAULT) is None


def test_interval_and_rate():
    quality = camera_quality(np.array([0, 0.0333, 0.0667]))
    assert quality.frame_interval_s == pytest.approx(0.03335)
    assert quality.frame_rate_hz == pytest.approx(30, rel=1e-3)


def test_missing_frames_are_counted_by_the_clock_of_the_others():
    times = np.delete(np.arange(1000) / 60, [10, 500, 501, 502])
    assert camera_quality(times).dropped_frame_fraction == pytest.approx(4 / 995)
    jitter = np.random.default_rng(0).normal(0, 3e-4, 1000)
    assert camera_quality(np.arange(1000) / 60 + jitter).dropped_frame_fraction == 0


@given(arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e4, 1e4) | st.just(np.nan)))
def test_any_times_are_measured_and_those_that_do_not_follow_are_counted(times):
    quality = camera_quality(times)
    stray = sum(not (after > before) for before, after in itertools.pairwise(times))
    assert quality.n_stray_frames == stray
    assert quality.n_frames == len(times)
    errors = check_times(quality)
    assert bool(errors) == (stray > 0 or len(times) < 2)
    if stray and len(times) >= 2:
        assert isinstance(errors[0], VideoTimestampsQCError)
        assert errors[0].measured == stray


def test_frames_at_one_moment_tell_no_rate():
    quality = camera_quality(np.array([0, 1, 0, 2.22507386e-309, 0, 2.22507386e-309]))
    assert np.isnan([quality.frame_interval_s, quality.frame_rate_hz, quality.dropped_frame_fraction]).all()
    assert quality.n_stray_frames == 2


def test_times_of_another_shape_are_no_camera_times():
    with pytest.raises(CorruptDataset, match=r"shape \(2, 3\)"):
        camera_quality(np.zeros((2, 3)))


@pytest.mark.parametrize("outcome", [None, "NOT_SET", "WARNING", "FAIL", "CRITICAL"])
@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("video_timestamps", VideoTimestampsQCError),
        ("video_dropped_frames", VideoDroppedFramesQCError),
        ("video_pin_state", VideoPinStateQCError),
    ],
)
def test_only_pass_passes_and_what_is_not_set_says_so(rule, kind, outcome):
    (error,) = check_label(rule, "qc_videoLeft_x", outcome)
    assert type(error) is kind
    assert ("not set" in error.message) == (outcome in {None, "NOT_SET"})
    assert not check_label(rule, "qc_videoLeft_x", "PASS")


@pytest.mark.parametrize(
    ("labels", "default", "reference"),
    [
        (["PASS", "FAIL", "CRITICAL", None, None], 0.443333, 0.443333),
        (["FAIL"], 0.33, 0.0),
        (["CRITICAL"], 0.0, 0.33),
        (["PASS", "WARNING"], 0.83, 0.83),
        (["NOT_SET", "PASS"], 1.0, 1.0),
        ([None, "NOT_SET"], np.nan, np.nan),
    ],
)
def test_score(labels, default, reference):
    assert video_score(labels, DEFAULT) == pytest.approx(default, abs=1e-6, nan_ok=True)
    assert video_score(labels, REFERENCE) == pytest.approx(reference, abs=1e-6, nan_ok=True)


def test_an_error_makes_the_score_negative():
    session = {"subject": "A", "session_type": "biased", "session_length": 100.0, **dict.fromkeys(VIDEO_LABELS, "PASS")}
    quality = film(90)
    sound = video_row(quality, session, has_errors=False, parameters=VideoParameters())
    assert sound["video_qc_score"] == 1
    assert sound["length_discrepancy"] == pytest.approx(-10)
    assert video_row(quality, session, has_errors=True, parameters=VideoParameters())["video_qc_score"] == -1
