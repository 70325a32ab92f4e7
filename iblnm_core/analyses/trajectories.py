"""How mice came to do the task: performance and psychometric parameters of every session, and their means over mice."""

import re
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.session.performance import FITTED_BLOCKS
from iblnm_core.vocabulary import ANALYSED_SESSION_TYPES, DATASET_CATEGORIES, EXCLUDED_SUBJECTS

PSYCHOMETRIC_PARAMETERS = ("bias", "threshold", "lapse_left", "lapse_right")
FRACTIONS = ("fraction_correct", "fraction_correct_easy", "nogo_fraction")
CURVE_METRICS = (
    *FRACTIONS,
    *(f"{block}_{parameter}" for block in FITTED_BLOCKS for parameter in PSYCHOMETRIC_PARAMETERS),
    "bias_shift",
)
"""Columns of the trajectory of which there are learning curves."""

ALL_TARGETS = "all"
"""Stands in the place of a target for all mice together, each once."""

BEHAVIOUR_STAGES = ("query_database", "task", "all")
"""Stages whose blocking errors keep a session out: a mouse learns whether or not its signal can be used."""

_OF_SESSION = ("eid", "subject", "session_type", "start_time", "session_n", "day_n")
_IN_TIME = ["subject", "start_time", "eid"]
_CURVE_COLUMNS: Mapping[str, str] = {
    "target_NM": "object",
    "metric": "object",
    "session_n": "float64",
    "mean": "float64",
    "sem": "float64",
    "n_subjects": "int64",
}
_PARAMETER_COLUMNS: Mapping[str, str] = {
    "eid": "object",
    "subject": "object",
    "session_type": "object",
    "session_n": "float64",
    "probabilityLeft": "float64",
    "parameter": "object",
    "value": "float64",
    "at_bound": "bool",
    "status": "object",
}
_SHIFT_COLUMNS: Mapping[str, str] = {
    "eid": "object",
    "subject": "object",
    "session_n": "float64",
    "shift_n": "int64",
    "bias_shift": "float64",
}


def performance_trajectory(
    sessions: pd.DataFrame, performance: pd.DataFrame, errors: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how well every mouse did in each of its sessions, however well that was.

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
    trajectory : DataFrame
        One row per training, biased and ephys session that has a performance and no blocking error of its behaviour: eid,
        subject, session_type, start_time, session_n, day_n, targets (list of str, sorted, each once), has_photometry (bool:
        an extracted signal is listed), n_trials, fractions, bias_shift, and all columns psych_* of the performance. Sorted by
        subject and time.
    outcomes : DataFrame
        One row, which counts sessions; its detail says how many were left out, and why.
    """
    blocking = errors["blocks_analysis"].astype(bool) & errors["stage"].isin(BEHAVIOUR_STAGES)
    filters = {
        "of another type": sessions["session_type"].isin(ANALYSED_SESSION_TYPES),
        "of a test subject": ~sessions["subject"].isin(list(EXCLUDED_SUBJECTS)),
        "blocked": ~sessions["eid"].isin(errors.loc[blocking, "eid"]),
        "without performance": sessions["eid"].isin(performance["eid"]),
    }
    left, counts = np.ones(len(sessions), dtype=bool), list[str]()
    for reason, passes in filters.items():
        removed = left & ~passes.to_numpy(bool)
        left &= ~removed
        counts.append(f"{removed.sum()} {reason}")
    chosen = sessions[left]
    targets = [sorted({label for label in labels if label}) for labels in chosen["target_NM"]]
    kept = chosen[list(_OF_SESSION)].assign(
        targets=pd.Series(targets, index=chosen.index, dtype=object),
        has_photometry=np.array([_has_signal(paths) for paths in chosen["datasets"]], dtype=bool),
    )
    psychometric = [name for name in performance.columns if name.startswith("psych_")]
    measured = performance[["eid", "n_trials", *FRACTIONS, "bias_shift", *psychometric]]
    trajectory = kept.merge(measured, on="eid", validate="one_to_one").sort_values(_IN_TIME, ignore_index=True)
    outcome = _outcome("performance_trajectory", trajectory, len(sessions))
    return trajectory, outcome_table([outcome(detail=f"of {len(sessions)} sessions, left out: {', '.join(counts)}")])


def _has_signal(datasets: Iterable[str]) -> bool:
    pattern = DATASET_CATEGORIES["extracted_photometry_signal"]
    return any(re.fullmatch(pattern, path) for path in datasets)


def _outcome(
    analysis: str, rows: pd.DataFrame, n_given: int, target: str = "", variable: str | None = None
) -> partial[Outcome]:
    """Return the outcome of an analysis that used these rows of those given; it counts sessions and mice."""
    status = Status.OK if len(rows) else Status.MISSING_INPUT if n_given else Status.NO_DATA
    n_sessions, n_subjects = rows["eid"].nunique(), rows["subject"].nunique()
    return partial(Outcome, analysis, target, "", status, n_sessions, n_subjects, variable=variable)


def learning_curves(trajectory: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mean over mice of every metric by session number, for every target and for all mice.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    trajectory : DataFrame
        As `performance_trajectory` returns it.

    Returns
    -------
    curves : DataFrame
        target_NM (or `ALL_TARGETS`), metric (one of `CURVE_METRICS`), session_n, mean, sem (not a number for one mouse),
        n_subjects. A mouse counts once at each number: with the mean of its sessions of that day.
    outcomes : DataFrame
        A row for every target and metric (as its variable), which counts sessions with a value.
    """
    values = _known_values(trajectory)
    by_mouse = values.groupby(["target_NM", "metric", "session_n", "subject"])["value"].mean()
    grouped = by_mouse.groupby(["target_NM", "metric", "session_n"])
    curves = grouped.agg(mean="mean", sem="sem", n_subjects="size").reset_index()
    given = _by_target(trajectory)
    n_given = given["target_NM"].value_counts()
    groups = dict(iter(values.groupby(["target_NM", "metric"])))
    outcomes = [
        _outcome("learning_curves", groups.get((target, metric), values[:0]), n_given.get(target, 0), target, metric)()
        for target in sorted({ALL_TARGETS, *n_given.index})
        for metric in CURVE_METRICS
    ]
    return curves[list(_CURVE_COLUMNS)].astype(dict(_CURVE_COLUMNS)), outcome_table(outcomes)


def _by_target(trajectory: pd.DataFrame) -> pd.DataFrame:
    """Return every session once for each of its targets, and once for all."""
    labels = [[ALL_TARGETS, *targets] for targets in trajectory["targets"]]
    by_target = trajectory.assign(target_NM=pd.Series(labels, index=trajectory.index, dtype=object))
    return by_target.explode("target_NM", ignore_index=True)


def _known_values(trajectory: pd.DataFrame) -> pd.DataFrame:
    """Return one row per session, target and metric that is known."""
    by_target = _by_target(trajectory)
    for block in FITTED_BLOCKS:
        # four parameters of fewer than four contrasts are anything
        undetermined = by_target[f"{block}_status"] != "ok"
        names = [f"{block}_{parameter}" for parameter in PSYCHOMETRIC_PARAMETERS]
        by_target[names] = by_target[names].mask(undetermined)
    keys = ["eid", "subject", "session_n", "target_NM"]
    values = by_target.melt(keys, list(CURVE_METRICS), var_name="metric").astype({"value": "float64"})
    known: NDArray[np.bool_] = np.isfinite(values["value"].to_numpy(np.float64))
    return values[known]


def psychometric_trajectories(trajectory: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the psychometric parameters of every mouse by session and block.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    trajectory : DataFrame
        As `performance_trajectory` returns it.

    Returns
    -------
    parameters : DataFrame
        eid, subject, session_type, session_n, probabilityLeft (0.5, 0.2 or 0.8: the block), parameter (one of
        `PSYCHOMETRIC_PARAMETERS`), value (percent contrast for bias and threshold, 0-1 for lapses), at_bound (bool: the value
        is where the search was stopped), status of the fit. Sorted by subject, time, block and parameter.
    outcomes : DataFrame
        A row per block, as its variable, which counts sessions with a fit.
    """
    ordered = trajectory.sort_values(_IN_TIME, ignore_index=True).rename_axis("position").reset_index()
    parts, outcomes = [], list[Outcome]()
    for block, probability in FITTED_BLOCKS.items():
        fitted = ordered[ordered[f"{block}_bias"].notna()]
        outcomes.append(_outcome("psychometric_trajectories", fitted, len(ordered), variable=block)())
        keys = fitted[["position", "eid", "subject", "session_type", "session_n"]]
        for parameter in PSYCHOMETRIC_PARAMETERS:
            part = keys.assign(
                probabilityLeft=probability,
                parameter=parameter,
                value=fitted[f"{block}_{parameter}"],
                at_bound=np.array([parameter in list(names) for names in fitted[f"{block}_at_bound"]], dtype=bool),
                status=fitted[f"{block}_status"],
            )
            parts.append(part)
    parameters = pd.concat(parts).sort_values(["position", "probabilityLeft", "parameter"], ignore_index=True)
    return parameters[list(_PARAMETER_COLUMNS)].astype(dict(_PARAMETER_COLUMNS)), outcome_table(outcomes)


def bias_shift_trajectories(trajectory: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how far the bias of every mouse followed the blocks, over the sessions in which that is known.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    trajectory : DataFrame
        As `performance_trajectory` returns it.

    Returns
    -------
    shifts : DataFrame
        eid, subject, session_n, shift_n (number among the sessions of the mouse with a shift, in time, from 1), bias_shift
        (percent contrast, finite). Sorted by subject and time.
    outcomes : DataFrame
        One row, which counts sessions with a shift.
    """
    ordered = trajectory.sort_values(_IN_TIME, ignore_index=True)
    known = ordered[np.isfinite(ordered["bias_shift"].to_numpy(np.float64))]
    shifts = known.assign(shift_n=known.groupby("subject").cumcount() + 1).reset_index(drop=True)
    outcome = _outcome("bias_shift_trajectories", shifts, len(trajectory), variable="bias_shift")()
    return shifts[list(_SHIFT_COLUMNS)].astype(dict(_SHIFT_COLUMNS)), outcome_table([outcome])
