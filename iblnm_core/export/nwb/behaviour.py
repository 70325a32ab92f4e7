"""Trials, events and wheel of an NWB file."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.export.nwb import mapping
from iblnm_core.export.nwb.arrays import column, stored_array
from iblnm_core.export.nwb.content import Array, SessionContent, Trials, Wheel
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.parameters import WheelParameters


def add_behaviour(file: Any, content: SessionContent) -> None:
    """Add trials, events and wheel as far as the session has them.

    Parameters
    ----------
    file : pynwb.NWBFile
    content : SessionContent
    """
    if content.trials is not None and len(content.trials.alf):
        add_trials(file, content.trials)
    if content.wheel is not None:
        _add_wheel(file, content.wheel, content.parameters.wheel)


def add_trials(file: Any, trials: Trials) -> None:
    """Add the table of the trials, and the streams of events that repeat some of its times.

    Parameters
    ----------
    file : pynwb.NWBFile
    trials : Trials
        At least one.
    """
    columns = trial_columns(trials)
    file.trials = nwb_libraries().pynwb.epoch.TimeIntervals(
        name="trials",
        description="Trials of the decision task. A column that was not recorded is absent.",
        columns=[column(name, description, values) for name, (description, values) in columns.items()],
    )
    for event in mapping.EVENTS:
        if event.column in columns:
            _add_events(file, event, columns)


def trial_columns(trials: Trials) -> dict[str, tuple[str, NDArray[Any] | list[str]]]:
    """Return description and values of every column of the trials; text as lists of str.

    Parameters
    ----------
    trials : Trials
    """
    alf = trials.alf
    found: dict[str, tuple[str, NDArray[Any] | list[str]]] = {}
    for known in mapping.TRIAL_COLUMNS:
        if known.source in alf:
            found[known.name] = (f"{known.description} ({known.source})", _numbers(alf, known.source))
    contrast, side = stimulus(_numbers(alf, "contrastLeft"), _numbers(alf, "contrastRight"))
    found["gabor_stimulus_contrast"] = (
        "contrast of the stimulus, percent; NaN when the side is unknown (contrastLeft, contrastRight)",
        contrast,
    )
    found["gabor_stimulus_side"] = (
        "side of the stimulus, also of one of 0 %; unknown when both or neither has a contrast (contrastLeft, contrastRight)",
        side,
    )
    if "choice" in alf:
        found["mouse_wheel_choice"] = (
            "turn of the wheel that registered the choice, seen by the mouse (choice: -1 counter_clockwise, 0 none, 1 clockwise)",
            _words(alf["choice"], mapping.WHEEL_CHOICES),
        )
        found["choice_side"] = (
            "side of the stimulus that the choice reports, not the turn of the wheel (choice: -1 right, 0 none, 1 left)",
            _words(alf["choice"], mapping.CHOICE_SIDES),
        )
    found["is_mouse_rewarded"] = (
        "whether the trial ended with a reward (feedbackType is 1)",
        (alf["feedbackType"] == 1).to_numpy(),
    )
    if trials.probability_left is not None:
        found |= _block_columns(trials.probability_left, _numbers(alf, "probabilityLeft"))
    return found


def _numbers(alf: pd.DataFrame, name: str) -> Array:
    return alf[name].to_numpy(np.float64)


def _words(values: "pd.Series[Any]", words: Any) -> list[str]:
    return [words.get(value, mapping.UNKNOWN) for value in values.tolist()]


def stimulus(left: Array, right: Array) -> tuple[Array, list[str]]:
    """Return contrast and side of the stimuli from the contrasts on either side.

    Parameters
    ----------
    left, right : ndarray of float64, (n,)
        Fractions; not a number on the side without stimulus.

    Returns
    -------
    contrast : ndarray of float64, (n,)
        Percent; not a number when both sides or neither has one.
    side : list of str
        `left`, `right` or `unknown`.
    """
    on_left, on_right = ~np.isnan(left), ~np.isnan(right)
    one = on_left ^ on_right
    contrast = np.where(one, 100 * np.where(on_left, left, right), np.nan)
    side = np.where(one, np.where(on_left, "left", "right"), mapping.UNKNOWN)
    return contrast, [str(text) for text in side]


def _block_columns(repaired: Array, recorded: Array) -> dict[str, tuple[str, NDArray[Any] | list[str]]]:
    """Return the columns about blocks; those recorded only where they differ."""
    columns: dict[str, tuple[str, NDArray[Any] | list[str]]] = {
        "probability_left": (
            "probability of a stimulus on the left in this block, after repair; NaN when it is unknown (probabilityLeft)",
            repaired,
        ),
        "block_index": ("number of the block, a run of trials of one probability_left, from 0", block_index(repaired)),
    }
    if not np.array_equal(repaired, recorded, equal_nan=True):
        columns["probability_left_recorded"] = (
            "probability_left as recorded, before repair (probabilityLeft)",
            recorded,
        )
    return columns


def block_index(probabilities: Array) -> NDArray[np.int64]:
    """Return the number of each trial's block: a run of equal, or of unknown, probabilities.

    Parameters
    ----------
    probabilities : ndarray of float64, (n,)
    """
    before, after = probabilities[:-1], probabilities[1:]
    changes = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return np.concatenate([[0], np.cumsum(changes)]).astype(np.int64)


def _add_events(file: Any, event: mapping.EventKind, columns: Any) -> None:
    times = columns[event.column][1]
    (known,) = np.nonzero(np.isfinite(times))
    if not len(known):
        return
    libraries = nwb_libraries()
    table_columns = [
        libraries.pynwb.event.TimestampVectorData(
            name="timestamp", description=f"time of the event, s ({event.column})", data=stored_array(times[known])
        ),
        libraries.table.DynamicTableRegion(
            name="trial", description="row of the event in the trials", data=known.astype(np.int64), table=file.trials
        ),
    ]
    if event.name == "feedback":
        rewarded = columns["is_mouse_rewarded"][1][known]
        table_columns.append(column("is_mouse_rewarded", "whether it was a reward", rewarded))
    file.add_events_table(
        libraries.pynwb.event.EventsTable(
            name=event.name,
            description=f"{event.description} The same times as in the trials; trials without one have no row.",
            columns=table_columns,
        )
    )


def _add_wheel(file: Any, wheel: Wheel, parameters: WheelParameters) -> None:
    time_series = nwb_libraries().pynwb.TimeSeries
    module = file.create_processing_module("behavior", "Movements of the wheel.")
    module.add(
        time_series(
            name="WheelPosition",
            description="Angle of the wheel, unwrapped, as stored in _ibl_wheel.position; counter-clockwise as the mouse sees it is positive.",
            data=stored_array(wheel.position),
            timestamps=stored_array(wheel.times),
            unit="radians",
        )
    )
    module.add(
        time_series(
            name="WheelVelocity",
            description=(
                f"Velocity of the wheel: position interpolated at {parameters.sampling_rate_hz:g} Hz, low-passed without phase shift "
                f"(Butterworth, order {parameters.filter_order}, {parameters.cutoff_hz:g} Hz), and differentiated."
            ),
            data=stored_array(wheel.velocity.velocity),
            # in float64: times in float32 are off by a tenth of a millisecond after half an hour
            starting_time=float(wheel.times[0]),
            rate=float(parameters.sampling_rate_hz),
            unit="rad/s",
        )
    )
