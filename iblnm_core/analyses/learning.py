"""All tables about how mice learned the task, from the catalogue and the performance of its sessions. The methods are elsewhere."""

import pandas as pd

from iblnm_core.analyses.outcomes import outcome_table
from iblnm_core.analyses.stage_progress import SESSIONS_BEFORE, stage_curve, stage_progress
from iblnm_core.analyses.trajectories import (
    bias_shift_trajectories,
    learning_curves,
    performance_trajectory,
    psychometric_trajectories,
)


def learning_tables(sessions: pd.DataFrame, performance: pd.DataFrame, errors: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return how mice came to do the task, session by session.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    sessions : DataFrame
        The `sessions` table.
    performance : DataFrame
        The `performance` table.
    errors : DataFrame
        The `errors` table.

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `performance_trajectory`, `learning_curves`, `psychometric_trajectories`, `bias_shift_trajectories`,
        `stage_progress`, `stage_curves` and `learning_outcomes`.
    """
    trajectory, of_sessions = performance_trajectory(sessions, performance, errors)
    curves, of_curves = learning_curves(trajectory)
    parameters, of_parameters = psychometric_trajectories(trajectory)
    shifts, of_shifts = bias_shift_trajectories(trajectory)
    progress = stage_progress(trajectory)
    steps, of_stages = zip(*(stage_curve(progress, stage) for stage in SESSIONS_BEFORE), strict=True)
    outcomes = [of_sessions, of_curves, of_parameters, of_shifts, outcome_table(of_stages)]
    return {
        "performance_trajectory": trajectory,
        "learning_curves": curves,
        "psychometric_trajectories": parameters,
        "bias_shift_trajectories": shifts,
        "stage_progress": progress,
        "stage_curves": pd.concat(steps, ignore_index=True),
        "learning_outcomes": pd.concat(outcomes, ignore_index=True),
    }
