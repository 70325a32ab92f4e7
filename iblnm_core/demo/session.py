"""One synthetic session: simulate its parts, and lay them out as the datasets that a laboratory's session has."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from iblnm_core.demo import files
from iblnm_core.demo.behaviour import Behaviour, Trials, simulate_behaviour, trial_columns
from iblnm_core.demo.camera import Frames, draw_frames, raw_table, signal_table
from iblnm_core.demo.counts import RoiRecording, simulate_roi
from iblnm_core.demo.effects import TARGET_EFFECTS
from iblnm_core.demo.files import Content, SessionContent
from iblnm_core.demo.identity import LAB, random_stream
from iblnm_core.demo.layouts import LAYOUTS
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.plants import PLANTS
from iblnm_core.demo.pose import simulate_pose
from iblnm_core.demo.signal import side_sign, subject_effects
from iblnm_core.demo.wheel import Wheel, simulate_wheel
from iblnm_core.vocabulary import PROJECT, split_region

START_OF_DAY = dt.time(10)
_CAMERA_RATE_HZ, _CAMERA_JITTER_S, _CAMERA_MARGIN_S = 60.0, 0.3e-3, 1.0
_ENCODER_LINES = 50
# the header of an empty film, so that its presence can be checked
_EMPTY_FILM = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


@dataclass(frozen=True)
class SimulatedSession:
    """A sound session in memory, with all that is known about it.

    Attributes
    ----------
    plan : SessionPlan
    behaviour : Behaviour
    wheel : Wheel
    frames : Frames
    rois : dict of str to RoiRecording
        By ROI name, in the order of the subject's fibres.
    camera_times : ndarray of float64
        s, session clock.
    pose : mapping of str to Content
        Pose and motion energy by path, where they are asked for.
    """

    plan: SessionPlan
    behaviour: Behaviour
    wheel: Wheel
    frames: Frames
    rois: dict[str, RoiRecording]
    camera_times: NDArray[np.float64]
    pose: Mapping[str, Content] = field(default_factory=dict)


def simulate_session(plan: SessionPlan, seed: int) -> SimulatedSession:
    """Simulate a session without what is broken on purpose in it.

    Parameters
    ----------
    plan : SessionPlan
    seed : int
        Of the cohort. The result depends on nothing but these two.
    """
    behaviour = simulate_behaviour(plan, seed)
    trials = behaviour.trials
    frames = draw_frames(
        random_stream(seed, f"{plan.key}|frames"),
        float(trials.start[0]),
        float(trials.end[-1]),
        plan.pace.lead_s,
        plan.pace.tail_s,
    )
    rois = {}
    for place, region in enumerate(plan.subject.regions):
        target = TARGET_EFFECTS[split_region(region)[0]]
        rois[f"G{place}"] = simulate_roi(
            target,
            side_sign(region),
            trials,
            behaviour.state,
            frames,
            subject_effects(random_stream(seed, f"effect|{plan.subject.name}|{target.label}")),
            random_stream(seed, f"{plan.key}|roi|G{place}"),
            plan.deviation,
        )
    wheel = simulate_wheel(trials, random_stream(seed, f"{plan.key}|wheel"))
    camera_times = _camera_times(random_stream(seed, f"{plan.key}|video"), float(trials.end[-1]))
    moved = simulate_pose(trials, wheel, camera_times, random_stream(seed, f"{plan.key}|pose")) if plan.pose else {}
    return SimulatedSession(plan, behaviour, wheel, frames, rois, camera_times, moved)


def make_session(plan: SessionPlan, seed: int) -> SessionContent:
    """Return all that is to be written of a session, with what is broken on purpose, in the layout of its rig."""
    content = session_content(simulate_session(plan, seed))
    if plan.plant is not None:
        PLANTS[plan.plant].change(content)
    LAYOUTS[plan.layout](content)
    return content


def session_content(session: SimulatedSession) -> SessionContent:
    """Lay a sound session out as datasets and database entry."""
    counts = {roi: recording.counts for roi, recording in session.rois.items()}
    datasets: dict[str, Content] = {
        files.DESCRIPTION: _description(session.plan),
        **_behaviour_datasets(session),
        files.SIGNAL: signal_table(session.frames, counts),
        files.LOCATIONS: _locations(session.plan.subject.regions),
        files.RAW_FRAMES: raw_table(session.frames, counts),
        files.RAW_CHANNELS: _channels(),
        files.CAMERA_TIMES: session.camera_times,
        files.RAW_VIDEO: _EMPTY_FILM,
        **session.pose,
    }
    return SessionContent(datasets, _details(session))


def _behaviour_datasets(session: SimulatedSession) -> dict[str, Content]:
    trials, plan = session.behaviour.trials, session.plan
    attributes = (
        np.round(trials.stimulus + 3e-4, 4),
        np.round(trials.end - 0.5, 4),
        trials.quiescence,
    )
    return {
        files.TRIALS: pa.table(trial_columns(plan, trials)),
        **dict(zip(files.TRIAL_ATTRIBUTES, attributes, strict=True)),
        files.WHEEL_TIMES: session.wheel.timestamps,
        files.WHEEL_POSITION: session.wheel.position,
        files.RAW_TASK: _raw_trials(trials),
        files.RAW_SETTINGS: _settings(session),
        files.RAW_ENCODER: _encoder_lines(session.wheel),
    }


def _camera_times(rng: np.random.Generator, last_trial: float) -> NDArray[np.float64]:
    n = int((last_trial + _CAMERA_MARGIN_S) * _CAMERA_RATE_HZ)
    times: NDArray[np.float64] = np.arange(n) / _CAMERA_RATE_HZ + rng.normal(0, _CAMERA_JITTER_S, n)
    return times


def _description(plan: SessionPlan) -> dict[str, Any]:
    return {
        "version": "1.0.0",
        "projects": [PROJECT],
        "procedures": ["Behavior training/tasks", "Fiber photometry"],
        "tasks": [{plan.protocol: {"collection": "raw_task_data_00", "sync_label": "bpod"}}],
        "devices": {
            "cameras": {"left": {"collection": "raw_video_data", "sync_label": "audio"}},
            "neurophotometrics": {
                "collection": "raw_photometry_data",
                "fibers": {f"G{place}": {"location": region} for place, region in enumerate(plan.subject.regions)},
            },
        },
        "sync": {"bpod": {"collection": "raw_task_data_00", "extension": ".jsonable"}},
    }


def _locations(regions: tuple[str, ...]) -> pa.Table:
    import pandas as pd

    rois = pd.Index([f"G{place}" for place in range(len(regions))], name="ROI")
    fibers = [f"fiber_{region}" for region in regions]
    return pa.Table.from_pandas(pd.DataFrame({"fiber": fibers, "brain_region": list(regions)}, index=rois))


def _channels() -> str:
    """Return the table of LED states by condition of the camera's digital lines, as the instrument's software has it."""
    conditions = {
        "No additional signal": 0,
        "Output 1 signal HIGH": 8,
        "Output 0 signal HIGH": 16,
        "Stimulation ON": 32,
        "GPIO Line 2 HIGH": 64,
        "GPIO Line 3 HIGH": 128,
        "Input 1 HIGH": 256,
        "Input 0 HIGH": 512,
        "Output 0 signal HIGH + Stimulation": 48,
        "Output 0 signal HIGH + Input 0 signal HIGH": 528,
        "Input 0 signal HIGH + Stimulation": 544,
        "Output 0 HIGH + Input 0 HIGH + Stimulation": 560,
    }
    lines = [f"{name},{value},{value + 1},{value + 2},{value + 4}" for name, value in conditions.items()]
    return "\n".join(["Condition,No LED ON,L415,L470,L560", *lines, ""])


def _raw_trials(trials: Trials) -> str:
    lines = [
        json.dumps(
            {
                "trial_num": number,
                "stim_probability_left": float(trials.probability_left[number]),
                "contrast": float(trials.contrast[number]) / 100,
                "position": 35 if trials.on_right[number] else -35,
                "trial_correct": bool(trials.correct[number]),
                "response_time": round(float(trials.response[number] - trials.stimulus[number]), 4),
            }
        )
        for number in range(len(trials))
    ]
    return "\n".join([*lines, ""])


def _settings(session: SimulatedSession) -> dict[str, Any]:
    plan = session.plan
    return {
        "SUBJECT_NAME": plan.subject.name,
        "ALYX_LAB": LAB,
        "PYBPOD_PROTOCOL": plan.protocol.removesuffix("8.25.0"),
        "IBLRIG_VERSION": "8.25.0",
        "SESSION_NUMBER": plan.number,
        "SESSION_START_TIME": _start(plan).isoformat(),
        "SESSION_END_TIME": _end(session).isoformat(),
        **_block_info(session),
    }


def _encoder_lines(wheel: Wheel) -> str:
    degrees = np.rad2deg(wheel.position[:_ENCODER_LINES])
    micros = np.rint(1e6 * wheel.timestamps[:_ENCODER_LINES]).astype(np.int64)
    return "".join(f"{time} {position:.4f}\n" for time, position in zip(micros, degrees, strict=True))


def _details(session: SimulatedSession) -> dict[str, Any]:
    """Return the session's database entry, its id left out."""
    plan = session.plan
    return {
        "start_time": _start(plan).isoformat(),
        "end_time": _end(session).isoformat(),
        "users": ["demo_experimenter"],
        "lab": LAB,
        "projects": [PROJECT],
        "task_protocol": plan.protocol,
        "qc": "PASS",
        "extended_qc": {
            "task": 10,
            "behavior": 10,
            "videoLeft": 10,
            "wheel": 10,
            "photometry": 10,
            "_videoLeft_timestamps": True,
            "_videoLeft_dropped_frames": [10, 0, 0],
            "_videoLeft_pin_state": [10, 0, 0],
        },
        "json": _block_info(session),
        "narrative": "",
    }


def _block_info(session: SimulatedSession) -> dict[str, Any]:
    """Return the task's plan of blocks and sides, which only tasks with blocks have."""
    if session.plan.session_type not in {"biased", "ephys"}:
        return {}
    return {
        "LEN_BLOCKS": list(session.behaviour.block_lengths),
        "POSITIONS": list(session.behaviour.positions),
        "BLOCK_PROBABILITY_SET": [0.2, 0.8],
    }


def _start(plan: SessionPlan) -> dt.datetime:
    return dt.datetime.combine(plan.date, START_OF_DAY)


def _end(session: SimulatedSession) -> dt.datetime:
    last = float(session.behaviour.trials.end[-1])
    return _start(session.plan) + dt.timedelta(seconds=round(last, 3))
