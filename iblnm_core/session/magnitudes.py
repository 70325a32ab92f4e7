"""What cohort analyses take from the responses of one fibre: sizes by trial, means by condition. Arrays and tables only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import stimulus_side
from iblnm_core.analyses.frame import known_hemisphere, usable_trials
from iblnm_core.analyses.response_vectors import response_vector
from iblnm_core.cohort_parameters import ModellingParameters
from iblnm_core.parameters import MagnitudeParameters, VectorParameters
from iblnm_core.session.regressors import trial_timings
from iblnm_core.session.responses import Responses, magnitudes, mask_after_next_event, subtract_baseline


@dataclass(frozen=True)
class Sizes:
    """The size of every response, and of what was there before.

    Attributes
    ----------
    early : ndarray of float64, (e, n)
        z, in the order of the events and trials of the responses; not a number where no sample of the window or of the baseline is left.
    pre_event : ndarray of float64, (e, n)
        z; not a number where no sample is known.
    """

    early: NDArray[np.float64]
    pre_event: NDArray[np.float64]


def own_responses(
    responses: Responses, trials: pd.DataFrame, events: Sequence[str], parameters: MagnitudeParameters
) -> Responses:
    """Return responses masked from the trial's next event on, less their baseline.

    See `docs/methods/responses.md`.

    Parameters
    ----------
    responses : Responses
    trials : DataFrame
        One column per event, s; indexed by trial number.
    events : sequence of str
        Events in the order they have in a trial; those without a column mask nothing.
    parameters : MagnitudeParameters
    """
    order = [event for event in events if event in trials]
    return subtract_baseline(mask_after_next_event(responses, trials, order), parameters.baseline_window_s)


def response_sizes(
    responses: Responses, trials: pd.DataFrame, events: Sequence[str], parameters: MagnitudeParameters
) -> Sizes:
    """Return the size of every response: masked from the trial's next event on, less its baseline, mean of a window.

    See `docs/methods/responses.md`. What came before an event is the mean over another window, with nothing masked or taken away.

    Parameters
    ----------
    responses : Responses
    trials : DataFrame
        One column per event, s; indexed by trial number.
    events : sequence of str
        Events in the order they have in a trial; those without a column mask nothing.
    parameters : MagnitudeParameters
    """
    own = own_responses(responses, trials, events, parameters)
    return Sizes(magnitudes(own, parameters.early_window_s), magnitudes(responses, parameters.pre_event_window_s))


def modelled_trials(trials: pd.DataFrame, parameters: ModellingParameters) -> NDArray[np.bool_]:
    """Return which trials of a session analyses use; none of a session without choices.

    Parameters
    ----------
    trials : DataFrame
    parameters : ModellingParameters
    """
    if "choice" not in trials:
        return np.zeros(len(trials), dtype=np.bool_)
    timed = trials[["choice", "probabilityLeft"]].assign(
        response_time=trial_timings(trials)["response_time"].to_numpy()
    )
    return usable_trials(timed, parameters)


def fiber_vector(
    sizes: pd.DataFrame,
    trials: pd.DataFrame,
    hemisphere: str | None,
    modelling: ModellingParameters,
    parameters: VectorParameters,
) -> pd.Series:
    """Return the response vector of one fibre.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    sizes : DataFrame
        `event`, `trial`, `response` (z).
    trials : DataFrame
        All trials of the session, indexed by trial number.
    hemisphere : str or None
        l, r, or anything else for unknown.
    modelling : ModellingParameters
    parameters : VectorParameters

    Returns
    -------
    Series of float64, (f,)
        By label.
    """
    seen_from = known_hemisphere(pd.Series(hemisphere or "", index=trials.index, dtype=object), modelling)
    # a session without choices lacks columns
    known = trials.reindex(columns=["contrast", "feedbackType", "stim_side"])
    lateral = known.assign(side=stimulus_side(known["stim_side"], seen_from))
    everything = np.ones(len(trials), dtype=np.bool_)
    used = modelled_trials(trials, modelling) if parameters.trials == "modelled" else everything
    return response_vector(sizes, lateral, used, parameters.events, parameters.minimum_trials)
