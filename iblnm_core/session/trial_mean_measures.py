"""Shape of mean responses: measures of a condition's mean trace, with intervals. Single trials are in `response_measures`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.cca_permutation import stable_seed
from iblnm_core.correction_parameters import MeasureParameters
from iblnm_core.session.response_measures import (
    MEASURES,
    BaselineSpread,
    Measure,
    mean_trace,
    response_measures,
    window_places,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ALL_TRIALS = "all"
"""The condition of all used trials."""
_INTERVAL = (0.025, 0.975)
_LEAST_DRAWS_SHARE = 0.8
"""An interval of fewer draws would leave out those in which there is nothing to measure."""
_TIMES = frozenset({"time_to_peak", "latency", "width", "centroid"})
_COLUMNS = ("condition", "measure", "estimate", "lower", "upper", "n_trials", "unit")


def trial_conditions(trials: pd.DataFrame, used: Flags) -> dict[str, Flags]:
    """Return which trials belong to each condition: all that are used, and each contrast and outcome.

    Parameters
    ----------
    trials : DataFrame, n rows
        Columns `contrast` (percent) and `feedbackType` (1, -1); without them there is one condition.
    used : ndarray of bool, (n,)
        Which trials count. One of unknown contrast or outcome counts among all only.

    Returns
    -------
    dict of str to ndarray of bool, (n,)
        `all`, then such as `c6.25_correct`, ascending by contrast, errors first.
    """
    conditions = {ALL_TRIALS: used}
    if not {"contrast", "feedbackType"} <= set(trials):
        return conditions
    contrast, feedback = (trials[name].to_numpy(np.float64) for name in ("contrast", "feedbackType"))
    known = used & ~np.isnan(contrast) & ~np.isnan(feedback)
    for percent, outcome in np.unique(np.column_stack([contrast, feedback])[known], axis=0):
        name = f"c{np.format_float_positional(percent, trim='-')}_{'correct' if outcome > 0 else 'incorrect'}"
        conditions[name] = known & (contrast == percent) & (feedback == outcome)
    return conditions


def measure_unit(measure: Measure, unit: str) -> str:
    """Return the unit of a measure of traces in this unit.

    Parameters
    ----------
    measure : str
    unit : str
        Of the trace: dff or z.

    Returns
    -------
    str
        `1` for what has none.
    """
    if measure in _TIMES:
        return "s"
    return {"slope": f"{unit}/s", "peak_z": "1"}.get(measure, f"{unit} s" if measure.startswith("auc") else unit)


def trial_mean_measures(
    values: Array,
    times: Array,
    conditions: Mapping[str, Flags],
    names: tuple[str, str, str],
    unit: str,
    spread: BaselineSpread,
    early_window_s: tuple[float, float],
    parameters: MeasureParameters,
    polarity: float,
) -> pd.DataFrame:
    """Return the measures of every condition's mean response to one event, with 95 % intervals.

    See `docs/methods/response_measures.md`.

    Parameters
    ----------
    values : ndarray of float64, (n, w)
        Masked after the next event and less their baseline, dff or z; not a number where unknown.
    times : ndarray of float64, (w,)
        Regular, s, relative to the event.
    conditions : mapping of str to ndarray of bool, (n,)
        Which trials belong to each.
    names : tuple of str
        Session id, brain region and event: with the condition they alone say which trials are drawn.
    unit : str
        Of the values: dff or z.
    spread : BaselineSpread
        Of single trials: a mean's `peak_z` is in their unit.
    early_window_s : tuple of float
        Start (included) and end (excluded) of the window of the mean.
    parameters : MeasureParameters
    polarity : float
        Of the recording's responses to this event: 1, -1, or not a number where none is known.

    Returns
    -------
    DataFrame
        A row per condition and measure: `condition`, `measure`, `estimate`, `lower`, `upper` (float64), `n_trials` (int64; with a known
        sample in the window), `unit`.

    Raises
    ------
    ValueError
        When a window holds no sample.
    """
    # nothing before the windows is measured
    needed = slice(min(window_places(times, span).start for span in (parameters.window_s, early_window_s)), None)
    values, times = values[:, needed], times[needed]
    window = window_places(times, parameters.window_s)
    frames = [_no_rows()]
    for condition, members in conditions.items():
        rows = values[members]
        rows = rows[~np.isnan(rows[:, window]).all(axis=1)]
        seed = np.random.SeedSequence(stable_seed(0, (*names, condition)))
        traces = np.vstack([mean_trace(rows, parameters.minimum_trial_share), _drawn_means(rows, parameters, seed)])
        found = response_measures(traces, times, spread, early_window_s, parameters, polarity)
        numbers = np.column_stack([getattr(found, name) for name in MEASURES])
        lower, upper = _intervals(numbers).T
        frame = pd.DataFrame({"measure": MEASURES, "estimate": numbers[0], "lower": lower, "upper": upper})
        frames.append(frame.assign(condition=condition, n_trials=len(rows)))
    table = pd.concat(frames[1:] or frames, ignore_index=True)
    return table.assign(unit=[measure_unit(name, unit) for name in table["measure"]])[list(_COLUMNS)]


def _no_rows() -> pd.DataFrame:
    kinds = dict.fromkeys(("estimate", "lower", "upper"), "float64") | {"n_trials": "int64"}
    return pd.DataFrame(columns=list(_COLUMNS)).astype(kinds)


def _drawn_means(rows: Array, parameters: MeasureParameters, seed: np.random.SeedSequence) -> Array:
    """Return mean traces of as many trials drawn with replacement; none of a single trial, which says nothing about others."""
    n, n_draws = len(rows), parameters.n_draws
    if n < 2:
        return np.empty((0, rows.shape[1]))
    drawn = np.random.default_rng(seed).integers(n, size=(n_draws, n))
    cells = (drawn + n * np.arange(n_draws)[:, None]).ravel()
    weights = np.bincount(cells, minlength=n_draws * n).reshape(n_draws, n).astype(np.float64)
    known = ~np.isnan(rows)
    counts = weights @ known
    # the same samples count in every draw as in the estimate
    enough = (counts > 0) & ~np.isnan(mean_trace(rows, parameters.minimum_trial_share))
    means: Array = np.divide(
        weights @ np.where(known, rows, 0.0), counts, out=np.full(counts.shape, np.nan), where=enough
    )
    return means


def _intervals(numbers: Array) -> Array:
    """Return lower and upper end of each measure, (k, 2), from its draws, which come after the estimate."""
    ends = np.full((numbers.shape[1], 2), np.nan)
    draws = numbers[1:]
    known = ~np.isnan(draws)
    enough = known.any(axis=0) & (known.mean(axis=0) >= _LEAST_DRAWS_SHARE) if len(draws) else known.any(axis=0)
    for column in np.flatnonzero(enough & ~np.isnan(numbers[0])):
        ends[column] = np.quantile(draws[known[:, column], column], _INTERVAL)
    return ends
