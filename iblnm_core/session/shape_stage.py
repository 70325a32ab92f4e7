"""What is made of the responses of a session in its primary correction: their shape, sums for time courses, pairs of fibres; parts and rows.

Responses here are relative change (dff), where those of `stages` are z.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.time_course_sums import session_course_sums
from iblnm_core.corrections.region_pairs import FiberTrace, region_pairs
from iblnm_core.parameters import Parameters
from iblnm_core.session.corrections_layout import trace_of
from iblnm_core.session.layout import region_of
from iblnm_core.session.magnitudes import modelled_trials, own_responses
from iblnm_core.session.response_measures import (
    MEASURES,
    BaselineSpread,
    ResponseMeasures,
    baseline_sd,
    response_measures,
    smooth_trace,
)
from iblnm_core.session.responses import Responses, extract_responses, mask_after_next_event
from iblnm_core.session.stages import make_responses
from iblnm_core.session.summary_layout import frame_datasets
from iblnm_core.session.trial_mean_measures import trial_conditions, trial_mean_measures
from iblnm_core.storage.hdf5 import Values
from iblnm_core.storage.session_file import Part

Array = NDArray[np.float64]

UNIT = "dff"
_OF_TRIALS = (*MEASURES, "masked_fraction")
_FLAGS = ("peak_at_edge", "peak_valid", "latency_valid")


@dataclass(frozen=True)
class DffResponses:
    """Responses of one fibre in its primary correction.

    Attributes
    ----------
    own : Responses
        Masked from the trial's next event on and less their baseline, dff.
    spreads : tuple of BaselineSpread
        Before each of the events.
    correction : str
    """

    own: Responses
    spreads: tuple[BaselineSpread, ...]
    correction: str


def dff_responses(part: Part, trials: pd.DataFrame, parameters: Parameters) -> DffResponses | None:
    """Cut the responses of one fibre from its primary correction; None where no event is complete.

    Parameters
    ----------
    part : Part
        The fibre's corrections, see `corrections_layout`.
    trials : DataFrame
    parameters : Parameters
        The sections `responses`, `magnitudes`, `response_measures` and `trials`.
    """
    times, values = _primary(part)
    made = make_responses({0: (times, values)}, trials, parameters)
    if not made:
        return None
    order = [event for event in parameters.responses.events if event in trials]
    window = parameters.magnitudes.baseline_window_s
    smooth = smooth_trace(times, values, parameters.response_measures.smooth_hz)
    before = replace(parameters.responses, window_s=window)
    baselines = [extract_responses(times, v, trials, made[0].events, before) for v in (values, smooth)]
    masked = [mask_after_next_event(baseline, trials, order) for baseline in baselines]
    sds = [[baseline_sd(rows, baseline.times, window) for rows in baseline.values] for baseline in masked]
    own = own_responses(made[0], trials, order, parameters.magnitudes)
    spreads = tuple(BaselineSpread(*pair) for pair in zip(*sds, strict=True))
    return DffResponses(own, spreads, str(part.attributes["primary"]))


def measure_responses(found: DffResponses, parameters: Parameters) -> dict[str, ResponseMeasures]:
    """Return the shape of every response of one fibre, by event; see `docs/methods/response_measures.md`.

    Parameters
    ----------
    found : DffResponses
    parameters : Parameters
        The sections `magnitudes` and `response_measures`.
    """
    early, options = parameters.magnitudes.early_window_s, parameters.response_measures
    own = found.own
    return {
        event: response_measures(values, own.times, spread, early, options)
        for event, values, spread in zip(own.events, own.values, found.spreads, strict=True)
    }


def measures_part(fiber_idx: int, found: DffResponses, measured: Mapping[str, ResponseMeasures]) -> Part:
    """Return the part of the shape of one fibre's responses: event x trial for each measure."""
    by_event = list(measured.values())
    datasets: dict[str, Values] = {
        "event": list(measured),
        "trial": found.own.trials,
        "polarity": np.array([one.polarity for one in by_event]),
        "baseline_sd": np.array([spread.sd for spread in found.spreads]),
    }
    # single precision is far finer than the noise
    datasets |= {name: np.stack([getattr(one, name) for one in by_event]).astype(np.float32) for name in _OF_TRIALS}
    datasets |= {name: np.stack([getattr(one, name) for one in by_event]) for name in _FLAGS}
    return Part(datasets, {"fiber_idx": fiber_idx, "correction": found.correction, "unit": UNIT})


def measure_rows(part: Part) -> pd.DataFrame:
    """Return the shape of one fibre's responses: a row per event and trial, without session and region."""
    events, trials = [str(name) for name in part.datasets["event"]], np.asarray(part.datasets["trial"])
    columns = {
        "event": np.repeat(np.array(events, dtype=object), len(trials)),
        "trial": np.tile(trials, len(events)),
        "polarity": np.repeat(np.asarray(part.datasets["polarity"]), len(trials)),
        **{name: np.asarray(part.datasets[name], np.float64).ravel() for name in _OF_TRIALS},
        **{name: np.asarray(part.datasets[name]).ravel() for name in _FLAGS},
    }
    about = {name: part.attributes[name] for name in ("fiber_idx", "correction", "unit")}
    return pd.DataFrame({**about, **columns})


def mean_measures(
    found: DffResponses, trials: pd.DataFrame, names: tuple[str, str], parameters: Parameters
) -> pd.DataFrame:
    """Return the shape of the mean responses of one fibre, with intervals; see `docs/methods/response_measures.md`.

    Parameters
    ----------
    found : DffResponses
    trials : DataFrame
    names : tuple of str
        Session id and recording group, which settle the draws.
    parameters : Parameters
        The sections `magnitudes`, `response_measures` and `modelling`.

    Returns
    -------
    DataFrame
        Columns of the table `trial_mean_measures` but session, fibre and region.
    """
    early, options = parameters.magnitudes.early_window_s, parameters.response_measures
    own = found.own
    conditions = trial_conditions(trials, modelled_trials(trials, parameters.modelling))
    polarities = [one.polarity for one in measure_responses(found, parameters).values()]
    frames = [
        trial_mean_measures(
            values, own.times, conditions, (*names, event), UNIT, spread, early, options, polarity
        ).assign(event=event)
        for event, values, spread, polarity in zip(own.events, own.values, found.spreads, polarities, strict=True)
    ]
    return pd.concat(frames, ignore_index=True).assign(correction=found.correction)


def course_sums(found: DffResponses, trials: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """Return what models of whole time courses need of one fibre; see `docs/methods/time_courses.md`.

    Parameters
    ----------
    found : DffResponses
    trials : DataFrame
    parameters : Parameters
        The section `modelling`.

    Returns
    -------
    DataFrame
        Columns of the table `time_course_sums` but session and fibre.
    """
    used = modelled_trials(trials, parameters.modelling)
    return session_course_sums(found.own, trials, used).assign(correction=found.correction, unit=UNIT)


def course_sums_part(fiber_idx: int, sums: pd.DataFrame) -> Part:
    """Return the part of one fibre's sums: a row per event, lists of numbers as arrays, the same cells for all."""
    datasets: dict[str, Values] = {"event": list(sums["event"]), "stim_side": list(sums["stim_side"].iloc[0])}
    for name in sums.columns.difference(["event", "stim_side", "correction", "unit"], sort=False):
        datasets[str(name)] = np.stack([np.asarray(value) for value in sums[name]])
    first = sums.iloc[0]
    return Part(datasets, {"fiber_idx": fiber_idx, "correction": first["correction"], "unit": first["unit"]})


def pair_rows(corrections: Mapping[str, Part], trials: pd.DataFrame, eid: str, parameters: Parameters) -> pd.DataFrame:
    """Return how the fibres of a session go together, two by two; see `docs/methods/region_pairs.md`.

    Parameters
    ----------
    corrections : mapping of str to Part
        Of every fibre, by recording group; all on one grid.
    trials : DataFrame
    eid : str
    parameters : Parameters
        The sections `region_pairs` and `responses`.

    Returns
    -------
    DataFrame
        Columns of the table `region_pairs` but the session; no row for fewer than two fibres.
    """
    if len(corrections) < 2:
        return pd.DataFrame()
    known = [event for event in parameters.responses.events if event in trials]
    events: dict[str, Array] = {event: trials[event].to_numpy(np.float64) for event in known}
    times, _ = _primary(next(iter(corrections.values())))
    fibers = [
        FiberTrace(int(part.attributes["fiber_idx"]), region_of(group), _primary(part)[1], _moved(part, times))
        for group, part in corrections.items()
    ]
    rows = region_pairs(times, fibers, events, eid, parameters.region_pairs)
    primary = {int(part.attributes["fiber_idx"]): str(part.attributes["primary"]) for part in corrections.values()}
    # a pair of which one has a stand-in says so
    both = [
        " and ".join(dict.fromkeys((primary[first], primary[second])))
        for first, second in zip(rows["fiber_1"], rows["fiber_2"], strict=True)
    ]
    return rows.assign(correction=both)


def pairs_part(rows: pd.DataFrame) -> Part:
    """Return the part of a session's pairs of fibres."""
    stored = rows.assign(suspect=[np.nan if value is None else float(value) for value in rows["suspect"]])
    columns = frame_datasets(stored)
    return Part(columns, rows=tuple(columns))


def stored_pairs(part: Part) -> pd.DataFrame:
    """Return the pairs of fibres of a session file's part, a row of each."""
    rows = pd.DataFrame(dict(part.datasets))
    suspect = [None if np.isnan(value) else bool(value) for value in rows["suspect"]]
    return rows.assign(suspect=pd.Series(suspect, rows.index, dtype=object))


def _primary(part: Part) -> tuple[Array, Array]:
    """Return times and relative change of the primary correction."""
    trace = trace_of(part)
    return np.asarray(trace.index, np.float64), np.asarray(trace, np.float64)


def _moved(part: Part, times: Array) -> Array | None:
    """Return what the primary correction took for movement, at these times; None where it subtracted nothing."""
    fit = f"{part.attributes['primary']}/fit/"
    motion = np.asarray(part.datasets.get(f"{fit}motion", ()), np.float64)
    if not motion.any():
        return None
    moved = np.interp(times, np.asarray(part.datasets[f"{fit}motion_times"], np.float64), motion)
    return np.where(np.isnan(_primary(part)[1]), np.nan, moved)
