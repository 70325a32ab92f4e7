"""The one table that all analyses of responses use: a row per recording, event and trial that passes the filters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import choice_side, relative_contrast, stimulus_side
from iblnm_core.analyses.places import row_places
from iblnm_core.analyses.task_design import event_labels
from iblnm_core.cohort_parameters import ModellingParameters
from iblnm_core.schemas import MODELLING_FRAME, TRIAL_REGRESSORS
from iblnm_core.session.blocks import UNBIASED

LOGARITHMS = {"log_reaction_time": "reaction_time", "log_movement_time": "movement_time"}
"""Timings whose logarithm enters models, by its name."""


def usable_trials(regressors: pd.DataFrame, parameters: ModellingParameters) -> NDArray[np.bool_]:
    """Return which trials analyses use: a choice was made, not too fast, in the blocks that are asked for.

    See `docs/methods/modelling.md`.

    Parameters
    ----------
    regressors : DataFrame
        `choice`, `response_time` (s) and `probabilityLeft` by trial.
    parameters : ModellingParameters

    Returns
    -------
    ndarray of bool, (n,)
        A trial whose response time or block is unknown is not used.
    """
    chosen = regressors["choice"].to_numpy(np.float64)
    used: NDArray[np.bool_] = ~np.isnan(chosen) & (chosen != 0)
    used &= regressors["response_time"].to_numpy(np.float64) > parameters.minimum_response_time_s
    if parameters.blocks == "unbiased":
        used &= regressors["probabilityLeft"].to_numpy(np.float64) == UNBIASED
    return used


def modelling_frame(
    responses: pd.DataFrame, regressors: pd.DataFrame, recordings: pd.DataFrame, parameters: ModellingParameters
) -> pd.DataFrame:
    """Return the `modelling_frame` table.

    See `docs/methods/modelling.md`.

    Parameters
    ----------
    responses : DataFrame
        Of the `responses` table: `eid`, `fiber_idx`, `event`, `trial`, `response_early`.
    regressors : DataFrame
        The `trial_regressors` table.
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    parameters : ModellingParameters

    Returns
    -------
    DataFrame
        Rows with a response only. Sides are null where the hemisphere is unknown, unless it is taken for left.
    """
    sessions = pd.Index(recordings["eid"].unique())
    usable = np.flatnonzero(usable_trials(regressors, parameters))
    # rows are found by number, not merged: a frame of millions of rows is gathered once, column by column
    recording = row_places(sessions, recordings, "fiber_idx", responses)
    trial = row_places(sessions, regressors.iloc[usable], "trial", responses)
    kept = np.flatnonzero((recording >= 0) & (trial >= 0) & responses["response_early"].notna().to_numpy())
    found = {
        **_taken(responses, ("eid", "fiber_idx", "event", "trial"), kept),
        **_taken(recordings, ("subject", "session_type", "target_NM", "brain_region", "hemisphere"), recording[kept]),
        **_taken(regressors, TRIAL_REGRESSORS.column_names[2:], usable[trial[kept]]),
    }
    found["event"] = event_labels(pd.Series(found["event"]))
    found["response"] = responses["response_early"].to_numpy()[kept]
    rows = pd.DataFrame(found, copy=False)
    hemisphere = known_hemisphere(rows["hemisphere"], parameters)
    found["side"] = stimulus_side(rows["stim_side"], hemisphere).to_numpy()
    found["choice_side"] = choice_side(rows["choice"], hemisphere).to_numpy()
    found["relative_contrast"] = relative_contrast(rows["signed_contrast"], hemisphere).to_numpy()
    found |= {name: _log10(rows[timing]) for name, timing in LOGARITHMS.items()}
    # every column is there once
    return pd.DataFrame({name: found[name] for name in MODELLING_FRAME.column_names}, copy=False)


def known_hemisphere(hemisphere: "pd.Series[str]", parameters: ModellingParameters) -> "pd.Series[str]":
    """Return hemispheres as sides are seen from: an unknown one as it is, or as left.

    Parameters
    ----------
    hemisphere : Series of str
        l, r, or anything else for unknown.
    parameters : ModellingParameters
    """
    if parameters.unknown_hemisphere == "left":
        return hemisphere.where(hemisphere.isin(["l", "r"]), "l")
    return hemisphere


def _taken(table: pd.DataFrame, names: Sequence[str], places: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    return {name: table[name].to_numpy()[places] for name in names}


def _log10(seconds: "pd.Series[float]") -> NDArray[np.float64]:
    """Return decimal logarithms; not a number for what is not positive."""
    values = seconds.to_numpy(np.float64)
    return np.log10(values, out=np.full(len(values), np.nan), where=values > 0)
