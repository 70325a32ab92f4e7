"""Mean responses over the trials of a condition, sample by sample, for one recording."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.session.responses import Responses


def condition_traces(responses: Responses, trials: pd.DataFrame, used: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the mean response to each event for each contrast and outcome.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    responses : Responses
        Masked and with the baseline subtracted, where this is wanted; e events, w samples.
    trials : DataFrame, n rows
        Indexed by trial number, with all trials of the responses; columns `contrast` (percent) and `feedbackType` (1, -1).
    used : ndarray of bool, (n,)
        Which trials count. One of unknown contrast or outcome counts in no condition.

    Returns
    -------
    DataFrame, e c rows
        For the c conditions that used trials have: `event`, `contrast` (float64, percent), `feedbackType` (int64), `n_trials` (int64;
        trials whose first sample is known), `response` (ndarray of float64, (w,), z; mean over the known values, not a number where
        none is known). In order of the events of the responses, then ascending.
    """
    places = trials.index.get_indexer(pd.Index(responses.trials))
    of_trial = trials[["contrast", "feedbackType"]].iloc[places]
    kept = np.asarray(used)[places] & of_trial.notna().all(axis=1).to_numpy()
    conditions, codes = np.unique(of_trial[kept].to_numpy(np.float64), axis=0, return_inverse=True)
    members = np.zeros((len(conditions), int(kept.sum())))
    members[codes, np.arange(members.shape[1])] = 1

    values = responses.values[:, kept]
    known = ~np.isnan(values)
    sums = members @ np.where(known, values, 0.0)
    counts = members @ known
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    n_events, n_conditions, n_samples = means.shape
    of_condition = np.tile(conditions, (n_events, 1))
    return pd.DataFrame(
        {
            "event": np.repeat(np.array(responses.events, dtype=object), n_conditions),
            "contrast": of_condition[:, 0],
            "feedbackType": of_condition[:, 1].astype(np.int64),
            "n_trials": counts[..., 0].astype(np.int64).ravel(),
            "response": list(means.reshape(-1, n_samples)),
        }
    )


def sample_times(start_s: float, sampling_rate_hz: float, n_samples: int) -> NDArray[np.float64]:
    """Return when samples are taken, counted from the first one in whole steps, so that 0 is 0.

    Parameters
    ----------
    start_s : float
        Of the first sample, s.
    sampling_rate_hz : float
    n_samples : int

    Returns
    -------
    ndarray of float64, (n,)
        s.
    """
    times: NDArray[np.float64] = (np.round(start_s * sampling_rate_hz) + np.arange(n_samples)) / sampling_rate_hz
    return times


def mean_traces(traces: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    """Return the `mean_traces` table: the mean responses of selected recordings, a row per sample.

    Parameters
    ----------
    traces : DataFrame
        The `condition_traces` table.
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    """
    identity = ["subject", "target_NM", "brain_region"]
    rows = traces.merge(recordings[["eid", "fiber_idx", *identity]], on=["eid", "fiber_idx"], how="inner")
    rows["event"] = rows["event"].str.removesuffix("_times")
    lengths = rows["response"].map(len).to_numpy(np.int64)
    keys: Sequence[str] = ("eid", "fiber_idx", *identity, "event", "contrast", "feedbackType", "n_trials")
    long = {name: np.repeat(rows[name].to_numpy(), lengths) for name in keys}
    grids = list(zip(rows["start_s"], rows["sampling_rate_hz"], lengths.tolist(), strict=True))
    times = {grid: sample_times(*grid) for grid in set(grids)}
    time = np.concatenate([np.empty(0), *(times[grid] for grid in grids)])
    response = np.concatenate([np.empty(0), *rows["response"]])
    return pd.DataFrame({**long, "time": time, "response": response})
