"""Mean responses over the trials of a condition, sample by sample, for one recording."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.session.responses import Responses


def mean_traces(responses: Responses, trials: pd.DataFrame, used: NDArray[np.bool_]) -> pd.DataFrame:
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
    DataFrame, e c w rows
        For the c conditions that used trials have: `event`, `contrast` (float64, percent), `feedbackType` (int64),
        `time` (float64, s), `response` (float64, z; mean over the known values, not a number where none is known),
        `n_trials` (int64; trials whose first sample is known, the same for all times). In order of the events of the
        responses, then ascending.
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
    of_condition = np.tile(np.repeat(conditions, n_samples, axis=0), (n_events, 1))
    return pd.DataFrame(
        {
            "event": np.repeat(np.array(responses.events, dtype=object), n_conditions * n_samples),
            "contrast": of_condition[:, 0],
            "feedbackType": of_condition[:, 1].astype(np.int64),
            "time": np.tile(responses.times, n_events * n_conditions),
            "response": means.ravel(),
            "n_trials": np.repeat(counts[..., 0].astype(np.int64).ravel(), n_samples),
        }
    )
