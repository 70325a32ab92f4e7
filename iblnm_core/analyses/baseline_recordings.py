"""What baseline coding takes, from the collected tables: every recording with its prepared trials, or why there are none."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from iblnm_core.analyses.baseline_coding import (
    TRIAL_VARIABLES,
    Array,
    BaselineRecording,
    PreparedTrials,
    prepare_trials,
)
from iblnm_core.analyses.places import row_places
from iblnm_core.analyses.rows import require
from iblnm_core.errors import MissingPrerequisite

_EVENT = "stimOn_times"
_BEHAVIOUR = TRIAL_VARIABLES[:-1]
_KEY = ("eid", "fiber_idx", "subject", "target_NM", "brain_region")


def baseline_recordings(
    responses: pd.DataFrame, regressors: pd.DataFrame, recordings: pd.DataFrame, minimum_reaction_time_s: float = 0.05
) -> list[BaselineRecording]:
    """Return the recordings with their trials and the activity before each stimulus, in the order of the recordings.

    See `docs/methods/session_models.md`. Trials of all blocks count.

    Parameters
    ----------
    responses : DataFrame
        Of the `responses` table: `eid`, `fiber_idx`, `event`, `trial`, `pre_event`. Rows of other events than the stimulus
        are not used.
    regressors : DataFrame
        The `trial_regressors` table.
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    minimum_reaction_time_s : float

    Returns
    -------
    list of BaselineRecording
        One per row of the recordings. Without a target, without responses to the stimulus, or without usable trials there
        is an error and no trials.

    Raises
    ------
    MissingPrerequisite
        When responses or regressors lack a column.
    """
    require(regressors, ("eid", "trial", *_BEHAVIOUR))
    require(responses, ("eid", "fiber_idx", "event", "trial", "pre_event"))
    rows = responses.loc[(responses["event"] == _EVENT).to_numpy(), ["eid", "fiber_idx", "trial", "pre_event"]]
    sessions = pd.Index(recordings["eid"].unique())
    recording = row_places(sessions, recordings, "fiber_idx", rows)
    trial = row_places(sessions, regressors, "trial", rows)
    used = np.flatnonzero((recording >= 0) & (trial >= 0))
    # by recording and trial, so that the trials of a recording are a slice
    used = used[np.lexsort((rows["trial"].to_numpy()[used], recording[used]))]
    columns = {name: regressors[name].to_numpy(np.float64)[trial[used]] for name in _BEHAVIOUR}
    columns["baseline"] = rows["pre_event"].to_numpy(np.float64)[used]
    edges = np.searchsorted(recording[used], np.arange(len(recordings) + 1))
    found = []
    keys = zip(*(recordings[name].to_list() for name in _KEY), strict=True)
    for (eid, fiber_idx, subject, target, region), first, last in zip(keys, edges[:-1], edges[1:], strict=True):
        trials, error = None, None
        own = {name: values[first:last] for name, values in columns.items()}
        try:
            trials = _prepared(target, own, minimum_reaction_time_s)
        except MissingPrerequisite as missing:
            error = f"resolve: {type(missing).__name__}: {missing}"
        except ValueError as unfit:
            error = f"prep: {type(unfit).__name__}: {unfit}"
        found.append(BaselineRecording(eid, fiber_idx, subject, target, region, trials, error))
    return found


def _prepared(target: str | None, trials: Mapping[str, Array], minimum_reaction_time_s: float) -> PreparedTrials:
    if pd.isna(target):
        raise MissingPrerequisite("the recording has no target")
    if not len(trials["baseline"]):
        raise MissingPrerequisite("no response to a stimulus whose trial is known")
    return prepare_trials(trials, minimum_reaction_time_s)
