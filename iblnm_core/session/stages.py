"""The stages of one session in memory but photometry, each from inputs to results and verdicts. `pipeline` stores them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.errors import MissingExtractedData, MissingRawData, MissingVideoTimestamps
from iblnm_core.parameters import Parameters
from iblnm_core.session.blocks import judge_blocks
from iblnm_core.session.datasets import DATASET_NAMES
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.responses import Responses, extract_responses
from iblnm_core.session.trials import TRIAL_COLUMNS as TRIAL_INPUT_COLUMNS
from iblnm_core.session.trials import (
    check_enough_trials,
    check_event_times,
    incomplete_events,
    trials_from_table,
    with_judged_blocks,
)
from iblnm_core.session.verdicts import Judge
from iblnm_core.session.video import CameraQuality, camera_quality, check_label, check_length, check_times
from iblnm_core.session.wheel import WheelVelocity, trial_velocities, wheel_velocity
from iblnm_core.vocabulary import VIDEO_PROBLEMS

WHEEL_EVENTS = ("stimOn_times", "feedback_times")
"""First and last moment of the wheel's course in a trial."""


def load_trials(
    inputs: SessionInputs, row: Mapping[str, Any], parameters: Parameters, judge: Judge
) -> pd.DataFrame | None:
    """Load and judge the trials, and repair their blocks; None when there are none to be had.

    Parameters
    ----------
    inputs : SessionInputs
    row : mapping
        The session's row of the `sessions` table.
    parameters : Parameters
    judge : Judge
        Gets the verdicts.
    """
    trials = None
    with judge.rule("trials_available"):
        _require(inputs, "trials_table", "raw_task")
        trials = trials_from_table(inputs.table("trials_table", TRIAL_INPUT_COLUMNS))
    if trials is None:
        return None
    with judge.rule("enough_trials"):
        check_enough_trials(trials, parameters.trials)
    with judge.rule("event_times_complete"):
        check_event_times(trials, parameters.responses.events, parameters.trials)
    if "probabilityLeft" not in trials:
        # a habituation session has no blocks
        judge.record("block_structure", [])
        return trials
    judged = judge_blocks(trials, row["session_type"], row["planned_blocks"], row["eid"], parameters.trials)
    judge.record("block_structure", judged.errors)
    return with_judged_blocks(trials, judged)


def load_wheel(inputs: SessionInputs, parameters: Parameters, judge: Judge) -> WheelVelocity | None:
    """Load and judge the wheel; None when it is not to be had.

    Parameters
    ----------
    inputs : SessionInputs
    parameters : Parameters
    judge : Judge
        Gets the verdict.
    """
    with judge.rule("wheel_available"):
        _require(inputs, "wheel_position", "raw_encoder")
        if not inputs.paths("wheel_times"):
            raise MissingExtractedData(DATASET_NAMES["wheel_times"])
        position, timestamps = inputs.array("wheel_position"), inputs.array("wheel_times")
        return wheel_velocity(timestamps, position, parameters.wheel)
    return None


def cut_wheel(wheel: WheelVelocity, trials: pd.DataFrame, parameters: Parameters) -> NDArray[np.float32]:
    """Cut the velocity of the wheel into trials.

    Parameters
    ----------
    wheel : WheelVelocity
    trials : DataFrame
    parameters : Parameters

    Returns
    -------
    ndarray of float32, (n, w)
        rad/s, from stimulus to feedback.
    """
    starts, ends = (trials[event].to_numpy(np.float64) for event in WHEEL_EVENTS)
    return trial_velocities(wheel, starts, ends, parameters.wheel)


def load_video(
    inputs: SessionInputs, row: Mapping[str, Any], parameters: Parameters, judge: Judge
) -> CameraQuality | None:
    """Load and judge the camera times and what the acquisition's quality control says; None without camera times.

    Parameters
    ----------
    inputs : SessionInputs
    row : mapping
        The session's row of the `sessions` table.
    parameters : Parameters
    judge : Judge
        Gets the verdicts.
    """
    quality = None
    with judge.rule("video_available"):
        if not inputs.paths("camera_times"):
            raise MissingVideoTimestamps(DATASET_NAMES["camera_times"])
        quality = camera_quality(inputs.array("camera_times"))
    if quality is not None:
        with judge.rule("video_length"):
            check_length(quality, row["session_length"], parameters.video)
        judge.record("video_timestamps", check_times(quality))
    for rule, label in VIDEO_PROBLEMS.items():
        # without video there is nothing to be set
        if quality is not None or row[label] is not None:
            judge.record(rule, check_label(rule, label, row[label]))
    return quality


def make_responses(
    signals: Mapping[int, tuple[np.ndarray, np.ndarray]], trials: pd.DataFrame, parameters: Parameters
) -> dict[int, Responses]:
    """Return the peri-event responses of every fibre; events that are not complete are left out.

    Parameters
    ----------
    signals : mapping of fibre index to (times (n,) float64 in s, values (n,) float64 in z)
    trials : DataFrame
    parameters : Parameters
    """
    incomplete = incomplete_events(trials, parameters.responses.events, parameters.trials)
    events = tuple(event for event in parameters.responses.events if event not in incomplete)
    if not events:
        return {}
    return {
        index: extract_responses(times, values, trials, events, parameters.responses)
        for index, (times, values) in signals.items()
    }


def _require(inputs: SessionInputs, kind: str, raw: str) -> None:
    """Grade the absence of an extracted dataset by whether its raw counterpart exists."""
    if not inputs.paths(kind):
        if not inputs.paths(raw):
            raise MissingRawData(DATASET_NAMES[raw])
        raise MissingExtractedData(DATASET_NAMES[kind])
