"""The video of one session as far as numbers tell: camera times, and labels of the acquisition's quality control."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import (
    CorruptDataset,
    SessionError,
    VideoDroppedFramesQCError,
    VideoLengthError,
    VideoPinStateQCError,
    VideoTimestampsQCError,
)
from iblnm_core.parameters import VideoParameters
from iblnm_core.session.datasets import DATASET_NAMES
from iblnm_core.vocabulary import VIDEO_LABELS, VIDEO_QUALITY

LABEL_ERRORS: Mapping[str, type[SessionError]] = {
    "video_timestamps": VideoTimestampsQCError,
    "video_dropped_frames": VideoDroppedFramesQCError,
    "video_pin_state": VideoPinStateQCError,
}
"""What each rule raises when its label is not PASS."""

NOT_SET = "NOT_SET"

_ERROR_SCORE = -1.0
_FEWEST_FRAMES = 2
_SHORTEST_INTERVAL_S = 1e-6
"""No camera is faster: frames closer than this tell no frame rate."""


@dataclass(frozen=True)
class CameraQuality:
    """What the times of a camera's frames say.

    Attributes
    ----------
    n_frames : int
    n_stray_frames : int
        Frames whose time does not follow that of the frame before.
    video_t0, video_t1 : float
        Time of the first and last frame, s, session clock; not a number without frames.
    frame_interval_s, frame_rate_hz : float
        Median interval between frames, and its inverse.
    dropped_frame_fraction : float
        Frames that are missing by the median interval, over the intervals there are.
    """

    n_frames: int
    n_stray_frames: int
    video_t0: float
    video_t1: float
    frame_interval_s: float
    frame_rate_hz: float
    dropped_frame_fraction: float

    @property
    def video_length(self) -> float:
        """Last minus first frame, s."""
        return self.video_t1 - self.video_t0


def camera_quality(times: NDArray[np.float64]) -> CameraQuality:
    """Measure the times of a camera's frames.

    See `docs/methods/video.md`.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        s, session clock.

    Raises
    ------
    CorruptDataset
        When it is no vector.
    """
    if times.ndim != 1:
        raise CorruptDataset(f"{DATASET_NAMES['camera_times']} has shape {times.shape}; expected one time per frame")
    intervals = np.diff(times)
    n_stray = int((~(intervals > 0)).sum())
    known = times[np.isfinite(times)]
    first, last = (float(known[0]), float(known[-1])) if len(known) else (np.nan, np.nan)
    regular = intervals if not n_stray else intervals[intervals > 0]
    median = float(np.median(regular)) if len(regular) else np.nan
    interval = median if median > _SHORTEST_INTERVAL_S else np.nan
    missing = float(np.maximum(np.rint(regular / interval) - 1, 0).sum() / len(intervals)) if len(regular) else np.nan
    return CameraQuality(len(times), n_stray, first, last, interval, 1 / interval, missing)


def check_length(quality: CameraQuality, session_length_s: float | None, parameters: VideoParameters) -> None:
    """Require that video and session are about equally long; one whose length is unknown passes.

    Raises
    ------
    VideoLengthError
    """
    discrepancy, limit = _discrepancy(quality, session_length_s), parameters.largest_length_discrepancy_s
    if abs(discrepancy) >= limit:
        raise VideoLengthError(
            f"the video is {quality.video_length:.1f} s long, {abs(discrepancy):.1f} s "
            f"{'longer' if discrepancy > 0 else 'shorter'} than the session; expected a difference below {limit:g} s",
            measured=discrepancy,
            threshold=limit,
        )


def check_times(quality: CameraQuality) -> list[SessionError]:
    """Return what is wrong with the camera times themselves: too few, or not increasing."""
    name = DATASET_NAMES["camera_times"]
    if quality.n_frames < _FEWEST_FRAMES:
        message = f"{name}: {quality.n_frames} frames; expected at least {_FEWEST_FRAMES}"
        return [VideoTimestampsQCError(message, measured=quality.n_frames, threshold=_FEWEST_FRAMES)]
    if quality.n_stray_frames:
        message = f"{name}: {quality.n_stray_frames} frames do not follow the one before in time; expected none"
        return [VideoTimestampsQCError(message, measured=quality.n_stray_frames, threshold=0)]
    return []


def check_label(rule: str, label: str, outcome: str | None) -> list[SessionError]:
    """Return the error of a label that is not PASS; one that is not set does not pass.

    Parameters
    ----------
    rule : str
        A key of `LABEL_ERRORS`.
    label : str
        Its key in the extended quality control.
    outcome : str or None
    """
    if outcome == "PASS":
        return []
    found = "not set" if outcome in {None, NOT_SET} else outcome
    return [LABEL_ERRORS[rule](f"{label}: {found}; expected PASS", measured=found, threshold="PASS")]


def video_row(
    quality: CameraQuality, row: Mapping[str, Any], *, has_errors: bool, parameters: VideoParameters
) -> dict[str, Any]:
    """Return the quality of a session's video: one value per column of the `video` table, without the id.

    Parameters
    ----------
    quality : CameraQuality
    row : mapping
        The session's row of the `sessions` table.
    has_errors : bool
        Whether a rule of the video does not hold.
    parameters : VideoParameters
    """
    labels = [row[name] for name in VIDEO_QUALITY]
    measured = asdict(quality)
    measured.pop("n_stray_frames")
    return {
        "subject": row["subject"],
        "session_type": row["session_type"],
        "video_qc_score": _ERROR_SCORE if has_errors else video_score(labels, parameters),
        **{name: row[name] for name in VIDEO_LABELS},
        "session_length": np.nan if row["session_length"] is None else row["session_length"],
        "video_length": quality.video_length,
        "length_discrepancy": _discrepancy(quality, row["session_length"]),
        **measured,
    }


def video_score(labels: Sequence[str | None], parameters: VideoParameters) -> float:
    """Return the mean of what outcomes count (0-1); those that are not set count nothing, and none give not a number."""
    scores = {
        "PASS": 1.0,
        "WARNING": parameters.warning_score,
        "FAIL": parameters.fail_score,
        "CRITICAL": parameters.critical_score,
    }
    found = [scores[label] for label in labels if label in scores]
    return float(np.mean(found)) if found else np.nan


def _discrepancy(quality: CameraQuality, session_length_s: float | None) -> float:
    """Return how much longer the video is than the session, s."""
    return np.nan if session_length_s is None else quality.video_length - session_length_s
