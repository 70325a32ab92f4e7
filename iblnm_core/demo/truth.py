"""What was planted in a cohort, as tables beside its cache. Nothing of the pipeline reads them."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.demo.behaviour import (
    BIAS_LOADING,
    LAPSE_LOADING,
    LATENT_CORRELATION,
    REACTION_RANK_SLOPE,
    THRESHOLD_LOADING,
)
from iblnm_core.demo.cohort import cohort_digest, generator_versions
from iblnm_core.demo.counts import RoiRecording
from iblnm_core.demo.effects import (
    EARLY_WINDOW_S,
    EVENTS,
    KERNEL_S,
    LATENT_CONTRAST_SLOPE,
    LATENT_REWARD_SLOPE,
    REACTION_TIME_SLOPE,
    TARGET_EFFECTS,
    Effect,
)
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.plants import PLANTS
from iblnm_core.demo.session import SimulatedSession, simulate_session
from iblnm_core.errors import ConfigurationError
from iblnm_core.parameters import ResponseParameters
from iblnm_core.session.outputs import ORDINARY
from iblnm_core.session.responses import extract_responses, magnitudes, mask_after_next_event, subtract_baseline
from iblnm_core.vocabulary import split_region
from iblnm_core.workers import results_of

MAGNITUDES: Mapping[str, tuple[tuple[str, ...], tuple[float, float]]] = {
    "expected_r1": (EVENTS, (-0.2, 0.0)),
    "expected_r2": (("stimOn_times", "feedback_times"), (-0.1, 0.0)),
}
"""Two definitions of a response magnitude: events, each masked by the next one, and the baseline window, s."""

_GRID_HZ = 30.0
_KERNEL_STEP_S = 1 / 300
_TERMS = (
    "mean",
    "contrast",
    "side",
    "choice",
    "reward",
    "contrast_side",
    "contrast_reward",
    "side_reward",
    "contrast_side_reward",
)


def trial_frame(session: SimulatedSession) -> pd.DataFrame:
    """Return the events of a session's trials as the extraction has them, s."""
    trials = session.behaviour.trials
    return pd.DataFrame(
        {
            "stimOn_times": np.where(trials.stimulus_recorded, trials.stimulus, np.nan),
            "firstMovement_times": trials.first_movement,
            "feedback_times": trials.feedback,
        }
    )


def response_magnitudes(
    times: np.ndarray, values: np.ndarray, trials: pd.DataFrame, definition: str
) -> dict[str, np.ndarray]:
    """Return the response magnitude of every trial by event.

    Parameters
    ----------
    times, values : ndarray of float64, (m,)
        A signal on a regular grid; s, z.
    trials : DataFrame
        See `trial_frame`.
    definition : str
        A key of `MAGNITUDES`.
    """
    events, baseline_s = MAGNITUDES[definition]
    found = extract_responses(times, values, trials, events, ResponseParameters(events=events))
    cut = subtract_baseline(mask_after_next_event(found, trials, events), baseline_s)
    return dict(zip(events, magnitudes(cut, EARLY_WINDOW_S), strict=True))


def session_truth(plan: SessionPlan, seed: int) -> dict[str, pd.DataFrame]:
    """Return what is planted in one session.

    Parameters
    ----------
    plan : SessionPlan
    seed : int
        Of the cohort.

    Returns
    -------
    dict of str to DataFrame
        `sessions`, `recordings`, `trials` and `amplitudes`.
    """
    session = simulate_session(plan, seed)
    eid = plan.eid(seed)
    recordings, amplitudes = [], []
    for place, (roi, recording) in enumerate(session.rois.items()):
        recordings.append({"eid": eid, "fiber_idx": place, "roi": roi, **_recording_row(session, place, recording)})
        amplitudes.append(_amplitudes(session, recording).assign(eid=eid, fiber_idx=place))
    trials = _trials(session)
    return {
        "sessions": pd.DataFrame([{"eid": eid, **_session_row(session)}]),
        "recordings": pd.DataFrame(recordings),
        "trials": trials.assign(eid=eid)[["eid", *trials.columns]],
        "amplitudes": _first(pd.concat(amplitudes, ignore_index=True), "eid", "fiber_idx"),
    }


def _first(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return frame[[*names, *(name for name in frame.columns if name not in names)]]


def _session_row(session: SimulatedSession) -> dict[str, Any]:
    plan, state, frames = session.plan, session.behaviour.state, session.frames
    return {
        "subject": plan.subject.name,
        "date": plan.date.isoformat(),
        "number": plan.number,
        "session_type": plan.session_type,
        "plant": plan.plant,
        "layout": plan.layout,
        "deviation": plan.deviation,
        "n_trials": len(session.behaviour.trials),
        **dataclasses.asdict(state),
        "drift_ppm": frames.drift_ppm,
        "lead_s": frames.lead_s,
        "tail_s": frames.tail_s,
    }


def _recording_row(session: SimulatedSession, place: int, recording: RoiRecording) -> dict[str, Any]:
    region = session.plan.subject.regions[place]
    target = TARGET_EFFECTS[split_region(region)[0]]
    budget, gains = recording.budget, recording.gains
    return {
        "region": region,
        "hemisphere": split_region(region)[1],
        "target_NM": target.label,
        **{f"kernel_{name}_s": getattr(target.kernel, name) for name in ("latency", "rise", "decay")},
        **dataclasses.asdict(recording.optics),
        "iso_slope_expected": recording.iso_slope_expected,
        "var_events": budget.events,
        "var_background": budget.background,
        "var_noise": budget.noise,
        "scale": budget.scale,
        **{f"u_subject_{event}": value for event, value in gains.of_subject.items()},
        **{f"u_session_{event}": value for event, value in gains.of_session.items()},
        "c_session_stimOn": LATENT_CONTRAST_SLOPE * session.behaviour.state.latent_brain,
        "w_session_feedback": LATENT_REWARD_SLOPE * session.behaviour.state.latent_brain,
    }


def _trials(session: SimulatedSession) -> pd.DataFrame:
    trials = session.behaviour.trials
    return pd.DataFrame(
        {
            "trial": np.arange(len(trials)),
            "contrast_rank": trials.rank,
            "p_right": trials.p_right,
            "peak_velocity": trials.peak_speed,
            "hesitation": trials.hesitation,
            "is_slow": trials.is_slow,
            "is_premature": trials.is_premature,
            "is_nogo": trials.choice == 0,
        }
    )


def _amplitudes(session: SimulatedSession, recording: RoiRecording) -> pd.DataFrame:
    """Return planted gains, and what a recording without noise gives under the pipeline's own definitions."""
    frames, trials = session.frames, trial_frame(session)
    grid = np.arange(frames.times[0], frames.times[-1], 1 / _GRID_HZ)
    evoked = recording.budget.scale * np.interp(grid, frames.times, recording.evoked)
    expected = {name: response_magnitudes(grid, evoked, trials, name) for name in MAGNITUDES}
    unknown = np.full(len(trials), np.nan)
    frames_by_event = [
        pd.DataFrame(
            {
                "event": event,
                "trial": np.arange(len(trials)),
                "contrast_rank": session.behaviour.trials.rank,
                "gain_fixed": recording.gains.fixed.get(event, np.zeros(len(trials))),
                "gain": recording.gains.total.get(event, np.zeros(len(trials))),
                **{name: of_event.get(event, unknown) for name, of_event in expected.items()},
            }
        )
        for event in EVENTS
    ]
    return pd.concat(frames_by_event, ignore_index=True)


def kernel_table() -> pd.DataFrame:
    """Return the planted kernel of every target on a fine grid: z per unit gain over s after the event."""
    times = np.arange(0, KERNEL_S, _KERNEL_STEP_S)
    return pd.concat(
        [
            pd.DataFrame({"target_NM": target.label, "time": times, "value": target.kernel(times)})
            for target in TARGET_EFFECTS.values()
        ],
        ignore_index=True,
    )


def effect_table() -> pd.DataFrame:
    """Return the planted effect of every term on every event in every target.

    `total` adds what the contrast does to the stimulus response by way of the reaction time.
    """
    rows = []
    for target in TARGET_EFFECTS.values():
        for event in EVENTS:
            effect = target.effect(event)
            for term in _TERMS:
                structural = float(getattr(effect, term, 0.0)) if isinstance(effect, Effect) else 0.0
                by_reaction = event == "stimOn_times" and term == "contrast"
                total = structural + (REACTION_TIME_SLOPE * REACTION_RANK_SLOPE if by_reaction else 0.0)
                rows.append([target.label, event, term, structural, total, total == 0])
    return pd.DataFrame(rows, columns=["target_NM", "event", "term", "structural", "total", "is_null"])


def outcome_table(plans: Sequence[SessionPlan], seed: int) -> pd.DataFrame:
    """Return what the pipeline must make of every session: one row per output, and one per error.

    Errors of stages that do not exist yet are among them, as `is_judged` says.
    """
    rows: list[dict[str, Any]] = []
    for plan in plans:
        common = {"eid": plan.eid(seed), "plant": plan.plant}
        for asset in ORDINARY:
            outcome = "absent" if asset in plan.absent else "materialised"
            rows.append({**common, "asset": asset, "outcome": outcome})
        errors = () if plan.plant is None else PLANTS[plan.plant].expected
        for error in dict.fromkeys((*errors, *plan.expected)):
            severity = "fatal" if error.fatal else "advisory"
            described = {"error_type": error.error_type, "message_pattern": error.message_pattern}
            rows.append(
                {**common, "asset": error.asset, "severity": severity, "is_judged": error.is_judged, **described}
            )
    names = ["eid", "plant", "asset", "outcome", "error_type", "severity", "message_pattern", "is_judged"]
    return pd.DataFrame(rows, columns=names).astype({"is_judged": "boolean"})


def write_truth(
    folder: Path,
    plans: Sequence[SessionPlan],
    *,
    seed: int = 1,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Write the truth tables of a cohort into a folder, unless they are there already.

    Parameters
    ----------
    folder : Path
        Absent, empty, or holding the truth of some cohort, which is then replaced as a whole.
    plans, seed
        Of the cohort.
    workers : int
        Processes; one does everything in this process.
    progress : callable, optional
        Called with the number of sessions done and their total after each.

    Returns
    -------
    bool
        Whether they were written.

    Raises
    ------
    ConfigurationError
        When the folder holds something else.
    """
    digest = cohort_digest(plans, seed)
    statement = folder / "cohort.json"
    if statement.is_file():
        if json.loads(statement.read_text(encoding="utf-8")).get("digest") == digest:
            return False
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} holds something that is no truth of a demo cohort; choose another --root")
    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    tables = {
        **_session_tables(plans, seed, workers, progress),
        "kernels": kernel_table(),
        "effects": effect_table(),
        "expected_outcomes": outcome_table(plans, seed),
    }
    for name, table in tables.items():
        table.to_parquet(building / f"{name}.parquet", index=False, compression="zstd")
    _write_json(building / "latent.json", _latent())
    _write_json(building / "cohort.json", {"digest": digest, "seed": seed, "versions": generator_versions()})
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return True


def _session_tables(
    plans: Sequence[SessionPlan], seed: int, workers: int, progress: Callable[[int, int], None] | None
) -> dict[str, pd.DataFrame]:
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for key, truth in results_of(partial(_with_key, seed), plans, workers=workers):
        found[key] = truth
        if progress is not None:
            progress(len(found), len(plans))
    ordered = [found[key] for key in sorted(found)]
    return {name: pd.concat([truth[name] for truth in ordered], ignore_index=True) for name in ordered[0]}


def _with_key(seed: int, plan: SessionPlan) -> tuple[str, dict[str, pd.DataFrame]]:
    return str(plan.key), session_truth(plan, seed)


def _latent() -> dict[str, Any]:
    return {
        "correlation": LATENT_CORRELATION,
        "brain": {"stimOn_times contrast": LATENT_CONTRAST_SLOPE, "feedback_times reward": LATENT_REWARD_SLOPE},
        "behaviour": {"bias": BIAS_LOADING, "log threshold": THRESHOLD_LOADING, "lapse": LAPSE_LOADING},
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
