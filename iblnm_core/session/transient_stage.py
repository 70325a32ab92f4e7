"""Transients of a session's fibres, found in the stored primary correction: rows to store, and what is to be said about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.corrections.transient_kinetics import transient_kinetics, transient_summary
from iblnm_core.corrections.transient_windows import transient_windows
from iblnm_core.corrections.transients import detect_transients
from iblnm_core.errors import TransientsNotSeparable
from iblnm_core.parameters import Parameters
from iblnm_core.session.corrections_layout import trace_of
from iblnm_core.session.summary_layout import frame_part
from iblnm_core.storage.hdf5 import Values
from iblnm_core.storage.session_file import Part

WINDOWS = "windows/"
"""Before the names of what was counted around events."""


@dataclass(frozen=True)
class Transients:
    """The transients of one fibre.

    Attributes
    ----------
    rows, windows : DataFrame
        One row per transient; one per event, window and trial.
    summary : mapping of str to value
    correction : str
        That they were found in.
    """

    rows: pd.DataFrame
    windows: pd.DataFrame
    summary: Mapping[str, Any]
    correction: str


def find_transients(part: Part, trials: pd.DataFrame, parameters: Parameters) -> Transients:
    """Find and measure the transients of one fibre, in its primary correction; see `docs/methods/transients.md`.

    Parameters
    ----------
    part : Part
        The fibre's corrections, see `corrections_layout`.
    trials : DataFrame
    parameters : Parameters
        The sections `transients` and `responses`.
    """
    trace = trace_of(part)
    times, dff = np.asarray(trace.index, np.float64), np.asarray(trace, np.float64)
    known = [event for event in parameters.responses.events if event in trials]
    events: dict[str, NDArray[np.float64]] = {event: trials[event].to_numpy(np.float64) for event in known}
    found = detect_transients(dff, float(part.attributes["fs"]), parameters.transients)
    rows = transient_kinetics(times, dff, found, events, parameters.transients)
    windows = transient_windows(rows, times, found, events, parameters.transients)
    summary = transient_summary(rows, dff, found, parameters.transients)
    correction = str(part.attributes["primary"])
    # the number of a transient is its place
    stored = rows.drop(columns=["transient", "unit"])
    return Transients(stored, windows.drop(columns="unit"), summary, correction)


def separability_errors(found: Mapping[str, Transients]) -> list[TransientsNotSeparable]:
    """Return which fibres, by name, have transients that cannot be told from fluctuation; nothing where all can."""
    crowded = {name: one.summary for name, one in found.items() if one.summary["separable"] is False}
    if not crowded:
        return []
    rates = ", ".join(
        f"{name} {row['rate_inverted']:.1f} and {row['rate_per_min']:.1f}" for name, row in crowded.items()
    )
    largest = max(float(row["rate_inverted"]) for row in crowded.values())
    message = f"troughs and peaks per minute: {rates}; rates of transients are not those of events"
    return [TransientsNotSeparable(message, measured=largest)]


def transients_part(fiber_idx: int, found: Transients) -> Part:
    """Return the part of one fibre's transients."""
    rows = frame_part(fiber_idx, found.rows)
    return Part(
        {**rows.datasets, **_around_events(found.windows)},
        {"fiber_idx": fiber_idx, "correction": found.correction, **found.summary},
        rows.rows,
    )


def _around_events(windows: pd.DataFrame) -> dict[str, Values]:
    """Return what was counted in windows as arrays: event x window x trial; not a number where the event did not happen."""
    events, names = list(dict.fromkeys(windows["event"])), list(dict.fromkeys(windows["window"]))
    n_trials = int(windows["trial"].max()) + 1 if len(windows) else 0
    place = pd.Categorical(windows["event"], events).codes, pd.Categorical(windows["window"], names).codes
    arrays: dict[str, Values] = {f"{WINDOWS}event": events, f"{WINDOWS}window": names}
    for name in ("count", "exposure_s", "mean_amplitude"):
        table = np.full((len(events), len(names), n_trials), np.nan)
        table[(*place, windows["trial"].to_numpy(np.intp))] = windows[name]
        arrays[f"{WINDOWS}{name}"] = table
    return arrays


def transient_rows(part: Part) -> pd.DataFrame:
    """Return the transients of a fibre's part, one row of each, without session and region."""
    return pd.DataFrame(transient_columns(part))


def transient_columns(part: Part) -> dict[str, Any]:
    """Return the transients of a fibre's part: columns of a row for each, what holds for all of them once."""
    columns = {name: values for name, values in part.datasets.items() if not name.startswith(WINDOWS)}
    return {**columns, **{name: part.attributes[name] for name in ("fiber_idx", "correction")}}
