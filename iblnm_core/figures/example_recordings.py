"""Which stretch of which recording stands for a target, and what its session file holds of it. Nothing is drawn here."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.analysis import Tables
from iblnm_core.errors import ConfigurationError
from iblnm_core.figures.theme import in_order
from iblnm_core.identifiers import checked_eid
from iblnm_core.parameters import Parameters
from iblnm_core.root import session_folder
from iblnm_core.session.layout import read_preprocessed, read_trials
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.session.wheel import course_of_session
from iblnm_core.storage.session_file import SessionFile

Array = NDArray[np.float64]

PHOTOMETRY, WHEEL = "photometry", "wheel"
"""The traces of an example."""

ENOUGH_TRIALS = 8
"""Whole trials that a stretch must have; else that of the first stimulus is shown."""

_STEP_S = 10.0
_TYPES = ("biased", "ephys")
_EVENTS = ["stimOn_times", "feedback_times"]

WINDOW_COLUMNS = (
    "target_NM",
    "subject",
    "eid",
    "fiber_idx",
    "brain_region",
    "fraction_correct",
    "named",
    "n_candidates",
    "start_s",
    "end_s",
    "n_trials",
    "missing",
)
TRIAL_COLUMNS = (
    "target_NM",
    "trial",
    "stimOn_times",
    "feedback_times",
    "contrast",
    "contrast_rank",
    "n_contrasts",
    "feedbackType",
)
TRACE_COLUMNS = ("target_NM", "trace", "time_s", "value")


def candidates(
    recordings: pd.DataFrame, performance: pd.DataFrame, target: str, example_eids: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the recordings that may stand for a target, the best first.

    Parameters
    ----------
    recordings : DataFrame
        The table `recordings`: eid, fiber_idx, subject, session_type, brain_region, target_NM.
    performance : DataFrame
        The table `performance`: eid, fraction_correct.
    target : str
    example_eids : sequence of str
        Sessions that go before all others; when one of them has a recording of the target, only they count.

    Returns
    -------
    DataFrame
        Rows of `recordings` with fraction_correct and named (bool: by `example_eids`). Named ones in the order of their names;
        otherwise biased and ephys sessions by fraction_correct, equal ones by eid and fiber_idx.
    """
    measured = recordings[recordings["target_NM"] == target].merge(performance, on="eid", how="left")
    named = measured[measured["eid"].isin(list(example_eids))].assign(named=True)
    if len(named):
        place = named["eid"].map({eid: place for place, eid in enumerate(example_eids)})
        return named.assign(place=place).sort_values(["place", "fiber_idx"], ignore_index=True).drop(columns="place")
    known = measured["session_type"].isin(_TYPES) & measured["fraction_correct"].notna()
    ranked = measured[known].sort_values(
        ["fraction_correct", "eid", "fiber_idx"], ascending=[False, True, True], ignore_index=True
    )
    return ranked.assign(named=False)


def window_start(trials: pd.DataFrame, window_s: float) -> tuple[float, int]:
    """Return where the stretch with most whole trials begins, and how many it has; the first of equal ones.

    Parameters
    ----------
    trials : DataFrame
        stimOn_times, feedback_times (s).
    window_s : float
        Length of the stretch, s.

    Returns
    -------
    start_s : float
        The first stimulus, or a multiple of ten seconds after it; the first stimulus also when no stretch has `ENOUGH_TRIALS`. Not a
        number when no trial has both events.
    n_trials : int
        Trials with stimulus and feedback in it.
    """
    stimuli, feedbacks = (trials[name].to_numpy(np.float64) for name in _EVENTS)
    whole = np.isfinite(stimuli) & np.isfinite(feedbacks)
    if not whole.any():
        return np.nan, 0
    first = stimuli[np.isfinite(stimuli)].min()
    n_steps = max(math.ceil((feedbacks[whole].max() - first) / _STEP_S), 1)
    starts = first + _STEP_S * np.arange(n_steps)
    inside = _within(stimuli[whole], starts, window_s) & _within(feedbacks[whole], starts, window_s)
    counts = inside.sum(axis=1)
    best = int(counts.argmax()) if counts.max() >= ENOUGH_TRIALS else 0
    return float(starts[best]), int(counts[best])


def _within(times: Array, starts: Array, window_s: float) -> NDArray[np.bool_]:
    """Return by stretch and time whether the time is in the stretch."""
    found: NDArray[np.bool_] = (times >= starts[:, None]) & (times <= starts[:, None] + window_s)
    return found


def read_examples(folder: Path, tables: Tables, parameters: Parameters) -> Tables:
    """Return what the session files of the chosen recordings hold of the stretches that are shown.

    Parameters
    ----------
    folder : Path
        The root.
    tables : mapping of str to DataFrame
        `recordings` and `performance`.
    parameters : Parameters
        Of which `figures.example_eids` and `figures.example_window_s` count.

    Returns
    -------
    dict of str to DataFrame
        `example_windows`: a row for every target of the recordings, with the chosen recording and stretch, or why there is none
        (`missing`). `example_trials`: target_NM, trial, the times of its events (s), contrast (percent), its rank among those of the
        session (from 0), n_contrasts, feedbackType; of trials with an event in the stretch. `example_traces`: target_NM, trace
        (`PHOTOMETRY`, z; `WHEEL`, rad/s), time_s, value, not a number where nothing is stored.

    Raises
    ------
    ConfigurationError
        When a named session is not selected.
    CorruptArtifact
        When a session file is damaged.
    """
    recordings = tables["recordings"].dropna(subset=["target_NM"])
    unknown = sorted(set(parameters.figures.example_eids) - set(recordings["eid"]))
    if unknown:
        raise ConfigurationError(
            f"figures.example_eids names {', '.join(unknown)}; expected sessions of the table recordings, which has what is selected"
        )
    windows, trials, traces = [], [], []
    for target in in_order(recordings["target_NM"]):
        named = parameters.figures.example_eids
        rows = candidates(recordings, tables["performance"], target, named)
        window, of_trials, of_traces = _example(folder, target, rows, parameters.figures.example_window_s)
        windows.append(window)
        trials.append(of_trials)
        traces.append(of_traces)
    return {
        "example_windows": pd.DataFrame(windows, columns=list(WINDOW_COLUMNS)),
        "example_trials": _joined(trials, TRIAL_COLUMNS),
        "example_traces": _joined(traces, TRACE_COLUMNS),
    }


def _joined(parts: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True)[list(columns)] if found else pd.DataFrame(columns=list(columns))


def _example(
    folder: Path, target: str, rows: pd.DataFrame, window_s: float
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Return the chosen stretch of a target, its trials and its traces."""
    nothing = pd.DataFrame()
    if rows.empty:
        reason = "no selected biased or ephys session of the target has a share of correct choices"
        return {"target_NM": target, "missing": reason}, nothing, nothing
    for row in rows.to_dict("records"):
        stored = _stored(session_folder(folder) / f"{checked_eid(row['eid'])}.h5", row["eid"], row["fiber_idx"])
        if stored is not None:
            break
    else:
        which = "named" if rows["named"].all() else "selected biased or ephys"
        reason = f"no file of the {len(rows)} {which} recordings of the target has trials, wheel and corrected signal"
        return {"target_NM": target, "missing": reason}, nothing, nothing
    trials, signal, velocity = stored
    start, n_trials = window_start(trials, window_s)
    window = {
        **{name: row[name] for name in WINDOW_COLUMNS if name in row},
        "n_candidates": len(rows),
        "start_s": start,
        "end_s": start + window_s,
        "n_trials": n_trials,
        "missing": "",
    }
    if not n_trials:
        reason = f"session {row['eid']} has no trial with stimulus and feedback within {window_s:g} s"
        return {**window, "missing": reason}, nothing, nothing
    of_trials = _shown(_ranked(trials), start, start + window_s)
    courses = {PHOTOMETRY: _photometry(signal), WHEEL: velocity}
    of_traces = [
        course[course["time_s"].between(start, start + window_s)].assign(trace=name) for name, course in courses.items()
    ]
    return (
        window,
        of_trials.assign(target_NM=target),
        pd.concat(of_traces, ignore_index=True).assign(target_NM=target),
    )


def _stored(path: Path, eid: str, fiber_idx: int) -> tuple[pd.DataFrame, PreprocessedSignal, pd.DataFrame] | None:
    """Return trials, signal and course of the wheel of a recording; None when one of them is not stored."""
    if not path.is_file():
        return None
    with SessionFile(path, eid) as file:
        if "trials" not in file or "wheel/responses" not in file:
            return None
        signals = dict(read_preprocessed(file).values())
        if fiber_idx not in signals:
            return None
        trials = read_trials(file)
        part = file.read("wheel/responses")
    stimuli, velocities = trials["stimOn_times"].to_numpy(np.float64), np.asarray(part.datasets["velocity"])
    times, values = course_of_session(stimuli, velocities, float(part.attributes["fs"]))
    return trials, signals[fiber_idx], pd.DataFrame({"time_s": times, "value": values})


def _photometry(signal: PreprocessedSignal) -> pd.DataFrame:
    return pd.DataFrame({"time_s": signal.times, "value": np.asarray(signal.values, np.float64)})


def _ranked(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials with their number and the rank of their contrast among those of the session."""
    contrasts = np.unique(trials["contrast"].dropna())
    rank = trials["contrast"].map({contrast: place for place, contrast in enumerate(contrasts)})
    columns = [*_EVENTS, "contrast", "feedbackType"]
    return trials[columns].assign(trial=np.arange(len(trials)), contrast_rank=rank, n_contrasts=len(contrasts))


def _shown(trials: pd.DataFrame, start: float, end: float) -> pd.DataFrame:
    """Return trials with an event in the stretch; those of their events that lie outside of it are not numbers."""
    inside = {name: trials[name].where(trials[name].between(start, end)) for name in _EVENTS}
    shown = trials.assign(**inside)
    return shown[shown[_EVENTS].notna().any(axis=1)]
