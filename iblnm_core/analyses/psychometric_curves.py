"""What mice of each target choose and how fast, by contrast: psychometric functions, choices and reaction times, by mouse and over mice."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.trajectories import PSYCHOMETRIC_PARAMETERS
from iblnm_core.cohort.selection import Selection
from iblnm_core.parameters import PsychometricParameters
from iblnm_core.session.blocks import UNBIASED
from iblnm_core.session.performance import FITTED_BLOCKS
from iblnm_core.session.psychometric import psychometric_function

FIT, CHOICES = "fit", "choices"
"""Where a probability comes from: the fitted functions, or what was chosen."""

_STEPS = 10
_QUARTILES: Mapping[str, float] = {"q25": 0.25, "median": 0.5, "q75": 0.75}
_RIGHT, _NO_GO = -1, 0
_OF_SESSION = ["eid", "probabilityLeft", "signed_contrast"]
_OF_MOUSE = ["target_NM", "probabilityLeft", "source", "subject", "signed_contrast"]
_CURVE_COLUMNS: Mapping[str, str] = {
    "target_NM": "object",
    "probabilityLeft": "float64",
    "source": "object",
    "subject": "object",
    "signed_contrast": "float64",
    "probability": "float64",
    "n_sessions": "int64",
    "n_trials": "int64",
}
_PARAMETER_COLUMNS: Mapping[str, str] = {
    "target_NM": "object",
    "probabilityLeft": "float64",
    "parameter": "object",
    "subject": "object",
    "mean": "float64",
    "n_sessions": "int64",
    "n_at_bound": "int64",
}
_TIME_COLUMNS: Mapping[str, str] = {
    "target_NM": "object",
    "subject": "object",
    "contrast": "float64",
    "q25": "float64",
    "median": "float64",
    "q75": "float64",
    "n_sessions": "int64",
    "n_trials": "int64",
}


def curve_contrasts() -> NDArray[np.float64]:
    """Return the signed contrasts at which fitted functions are known: those of the task, and nine between every two of them.

    Returns
    -------
    ndarray of float64, (n,)
        Percent, increasing.
    """
    unsigned = sorted(Selection().required_contrasts)
    levels = np.unique([*unsigned, *(-contrast for contrast in unsigned)])
    places = np.arange((len(levels) - 1) * _STEPS + 1) / _STEPS
    contrasts: NDArray[np.float64] = np.interp(places, np.arange(len(levels)), levels)
    return contrasts


def psychometric_curves(
    recordings: pd.DataFrame,
    performance: pd.DataFrame,
    trials: pd.DataFrame,
    timing: pd.DataFrame,
    parameters: PsychometricParameters,
) -> dict[str, pd.DataFrame]:
    """Return how mice of each target choose and how fast they move, by contrast; every mouse counts once in a mean.

    See `docs/methods/task_performance.md`.

    Parameters
    ----------
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    performance : DataFrame
        The `performance` table.
    trials : DataFrame
        The `trials` table.
    timing : DataFrame
        The `trial_timing` table.
    parameters : PsychometricParameters
        Whether trials without a choice count as not rightward.

    Returns
    -------
    dict of str to DataFrame
        `psychometric_curves`: target_NM, probabilityLeft, source (`FIT` or `CHOICES`), subject, signed_contrast (percent),
        probability (of a rightward choice), n_sessions, n_trials. `psychometric_means`: the same over mice: mean, sem (not a
        number for one mouse), n_subjects. `psychometric_parameters`: target_NM, probabilityLeft, parameter (one of
        `PSYCHOMETRIC_PARAMETERS`), subject, mean over its sessions (percent for bias and threshold, 0-1 for lapses), n_sessions,
        n_at_bound (sessions whose estimate is a bound of the search). `reaction_times`: target_NM, subject, contrast (percent), q25, median, q75 (s),
        n_sessions, n_trials. `reaction_time_means`: mean, lower, upper (s; geometric mean of the medians, and one standard error
        from it), n_subjects. `psychometric_curves_outcomes`: a row for every target and block, and one for its reaction times.
    """
    members = recordings[["eid", "subject", "target_NM"]].drop_duplicates().dropna()
    of_members = trials[trials["eid"].isin(members["eid"])]
    fits = _fits(performance[performance["eid"].isin(members["eid"])])
    by_mouse = pd.concat([_fitted(fits, members), _chosen(of_members, fits, members, parameters)], ignore_index=True)
    curves = by_mouse.sort_values(_OF_MOUSE, ignore_index=True)[list(_CURVE_COLUMNS)].astype(dict(_CURVE_COLUMNS))
    over_mice = curves.groupby([name for name in _OF_MOUSE if name != "subject"])["probability"]
    times = _reaction_times(of_members, timing, members)
    return {
        "psychometric_curves": curves,
        "psychometric_means": over_mice.agg(mean="mean", sem="sem", n_subjects="size").reset_index(),
        "psychometric_parameters": _parameters_of_mice(fits, members),
        "reaction_times": times,
        "reaction_time_means": _geometric_means(times),
        "psychometric_curves_outcomes": _outcomes(members, curves, times),
    }


def _fits(performance: pd.DataFrame) -> pd.DataFrame:
    """Return one row per session and block whose function is determined."""
    parts = []
    for block, probability in FITTED_BLOCKS.items():
        fitted = performance[performance[f"{block}_status"] == "ok"]
        names = (*PSYCHOMETRIC_PARAMETERS, "n_trials", "at_bound")
        estimates = {name: fitted[f"{block}_{name}"] for name in names}
        parts.append(pd.DataFrame({"eid": fitted["eid"], "probabilityLeft": probability, **estimates}))
    return pd.concat(parts, ignore_index=True)


def _fitted(fits: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the functions of every mouse over its sessions."""
    contrasts = curve_contrasts()
    estimates = fits[["bias", "threshold", "lapse_right", "lapse_left"]].to_numpy(np.float64)
    values = psychometric_function(contrasts, estimates)
    rows = fits[["eid", "probabilityLeft", "n_trials"]].loc[fits.index.repeat(len(contrasts))]
    by_session = rows.assign(signed_contrast=np.tile(contrasts, len(fits)), probability=values.reshape(-1), source=FIT)
    grouped = by_session.merge(members, on="eid").groupby(_OF_MOUSE)
    return grouped.agg(
        probability=("probability", "mean"), n_sessions=("eid", "nunique"), n_trials=("n_trials", "sum")
    ).reset_index()


def _parameters_of_mice(fits: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every parameter of every mouse over its sessions."""
    keys = ["target_NM", "probabilityLeft", "parameter", "subject"]
    by_session = fits.melt(
        ["eid", "probabilityLeft", "at_bound"],
        list(PSYCHOMETRIC_PARAMETERS),
        var_name="parameter",
        value_name="estimate",
    )
    bounds = zip(by_session["parameter"], by_session["at_bound"], strict=True)
    by_session["is_bound"] = np.array([parameter in list(names) for parameter, names in bounds], dtype=bool)
    grouped = by_session.astype({"estimate": "float64"}).merge(members, on="eid").groupby(keys)
    by_mouse = grouped.agg(mean=("estimate", "mean"), n_sessions=("eid", "nunique"), n_at_bound=("is_bound", "sum"))
    return by_mouse.reset_index()[list(_PARAMETER_COLUMNS)].astype(dict(_PARAMETER_COLUMNS))


def _chosen(
    trials: pd.DataFrame, fits: pd.DataFrame, members: pd.DataFrame, parameters: PsychometricParameters
) -> pd.DataFrame:
    """Return the share of rightward choices of every mouse in the sessions and blocks that are fitted."""
    counted = trials["choice"].notna()
    if parameters.no_go_trials == "left_out":
        counted &= trials["choice"] != _NO_GO
    # a session without blocks is unbiased; adding zero makes one of the two zeros
    chosen = trials.loc[counted, ["eid", "choice"]].assign(
        probabilityLeft=trials["probabilityLeft"].fillna(UNBIASED), signed_contrast=trials["signed_contrast"] + 0.0
    )
    chosen["right"] = chosen["choice"] == _RIGHT
    by_session = chosen.groupby(_OF_SESSION)["right"].agg(n_right="sum", n_trials="size").reset_index()
    fitted = by_session.merge(fits[["eid", "probabilityLeft"]], on=["eid", "probabilityLeft"]).assign(source=CHOICES)
    grouped = fitted.merge(members, on="eid").groupby(_OF_MOUSE)
    by_mouse = grouped.agg(n_right=("n_right", "sum"), n_trials=("n_trials", "sum"), n_sessions=("eid", "nunique"))
    return by_mouse.assign(probability=by_mouse["n_right"] / by_mouse["n_trials"]).reset_index()


def _reaction_times(trials: pd.DataFrame, timing: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Return quartiles of the reaction times of every mouse by contrast, over all blocks."""
    chosen = trials.loc[trials["choice"].isin([-1, 1]), ["eid", "trial", "contrast"]]
    timed = chosen.merge(timing[["eid", "trial", "reaction_time"]], on=["eid", "trial"])
    known = timed[np.isfinite(timed["reaction_time"]) & (timed["reaction_time"] > 0)].merge(members, on="eid")
    keys = ["target_NM", "subject", "contrast"]
    grouped = known.groupby(keys)
    quartiles = {name: grouped["reaction_time"].quantile(share) for name, share in _QUARTILES.items()}
    counts = grouped.agg(n_sessions=("eid", "nunique"), n_trials=("trial", "size"))
    table: pd.DataFrame = counts.assign(**quartiles).reset_index()[list(_TIME_COLUMNS)]
    return table.astype(dict(_TIME_COLUMNS))


def _geometric_means(times: pd.DataFrame) -> pd.DataFrame:
    """Return the geometric mean over mice of their medians, and one standard error from it."""
    logarithms = times.assign(median=np.log(times["median"]))
    over_mice = logarithms.groupby(["target_NM", "contrast"])["median"].agg(["mean", "sem", "size"])
    means = {
        "mean": np.exp(over_mice["mean"]),
        "lower": np.exp(over_mice["mean"] - over_mice["sem"]),
        "upper": np.exp(over_mice["mean"] + over_mice["sem"]),
        "n_subjects": over_mice["size"].astype("int64"),
    }
    return pd.DataFrame(means).reset_index()


def _outcomes(members: pd.DataFrame, curves: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    outcomes = []
    for target in sorted(members["target_NM"].unique()):
        of_target = curves[(curves["target_NM"] == target) & (curves["source"] == CHOICES)]
        groups = {
            block: of_target[of_target["probabilityLeft"] == probability]
            for block, probability in FITTED_BLOCKS.items()
        }
        for variable, rows in {**groups, "reaction_time": times[times["target_NM"] == target]}.items():
            status = Status.OK if len(rows) else Status.MISSING_INPUT
            n_trials, n_subjects = int(rows["n_trials"].sum()), rows["subject"].nunique()
            outcomes.append(Outcome("psychometric_curves", target, "", status, n_trials, n_subjects, variable=variable))
    return outcome_table(outcomes)
