"""Whether activity before the stimulus goes with performance or speed, tested against the activity of other sessions.

What the statistics are computed of is prepared here, too: one recording's trials, given its baselines. Files are read elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.outcomes import Outcome, Status, false_discovery_rate, recording_outcome_table
from iblnm_core.analyses.permutation import ALTERNATIVES, Alternative, add_one_p_value
from iblnm_core.analyses.simple_regression import FEWEST_ROWS, line_statistics, logit_statistics
from iblnm_core.errors import UnknownOption

Array = NDArray[np.float64]
Model = Literal["performance", "reaction_time"]
Statistic = Literal["slope", "r2"]
MODELS: tuple[Model, ...] = get_args(Model)
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
TRIAL_VARIABLES = ("choice", "feedbackType", "contrast", "reaction_time", "response_time", "baseline")
"""What the trials of a recording are prepared from."""

_TYPES = {
    "eid": "object",
    "fiber_idx": "int64",
    **dict.fromkeys(("subject", "target_NM", "brain_region", "status", "error"), "object"),
    **dict.fromkeys(("n_trials", "n_donors", "n_failed"), "int64"),
    **dict.fromkeys(("p_value", "p_value_donors", "q_value", "observed_slope", "observed_r2"), "float64"),
    **dict.fromkeys(("null_slope", "null_r2"), "object"),
}


@dataclass(frozen=True)
class PreparedTrials:
    """Trials of a recording, in their order.

    Attributes
    ----------
    correct : ndarray of float64, (n,)
        1 after reward, else 0.
    relative_log_rt : ndarray of float64, (n,)
        Natural logarithm of the response time, in SDs from the mean of the trials with the same contrast.
    baseline : ndarray of float64, (n,)
        Activity before the stimulus, in SDs from the mean of the trials.
    """

    correct: Array
    relative_log_rt: Array
    baseline: Array


@dataclass(frozen=True)
class BaselineRecording:
    """A recording, or why there is none.

    Attributes
    ----------
    eid : str
    fiber_idx : int
        Place of the fibre in its session.
    subject, target_NM, brain_region : str
    trials : PreparedTrials or None
    error : str or None
        What went wrong on the way to the trials: stage, type and message.
    """

    eid: str
    fiber_idx: int
    subject: str
    target_NM: str  # noqa: N815 - as the field writes it
    brain_region: str
    trials: PreparedTrials | None
    error: str | None = None


def prepare_trials(trials: Mapping[str, Array], minimum_reaction_time_s: float = 0.05) -> PreparedTrials:
    """Prepare the trials of a recording: those with a choice, and with a reaction that can be one to the stimulus.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    trials : mapping of str to ndarray of float64, (n,)
        `TRIAL_VARIABLES`, in the order of the trials: contrast in percent, times in s, baseline in any unit.
    minimum_reaction_time_s : float

    Raises
    ------
    ValueError
        When no trial is left, or the baseline of those left does not vary.
    """
    chosen = np.isfinite(trials["choice"]) & (trials["choice"] != 0)
    kept = np.flatnonzero(chosen & (trials["reaction_time"] >= minimum_reaction_time_s))
    if not len(kept):
        raise ValueError(
            f"none of {len(trials['choice'])} trials has a choice and a reaction time of {minimum_reaction_time_s:g} s"
        )
    activity = trials["baseline"][kept]
    known = activity[np.isfinite(activity)]
    if not len(known) or np.ptp(known) == 0:
        raise ValueError(f"the baseline has {len(np.unique(known))} distinct values in {len(kept)} trials")
    return PreparedTrials(
        (trials["feedbackType"][kept] > 0).astype(np.float64),
        _relative_log(trials["response_time"][kept], trials["contrast"][kept]),
        (activity - known.mean()) / known.std(),
    )


def _relative_log(seconds: Array, contrast: Array) -> Array:
    """Return logarithms in SDs (over n - 1) from the mean of those of the same contrast."""
    relative = np.full(len(seconds), np.nan)
    known = np.flatnonzero((seconds > 0) & ~np.isnan(contrast))
    logs = np.log(seconds[known])
    _, first, level, count = np.unique(contrast[known], return_index=True, return_inverse=True, return_counts=True)
    # counted from one of their own, equal values are exactly equal to their mean
    logs -= logs[first][level]
    logs -= (np.bincount(level, logs) / count)[level]
    squares = np.bincount(level, logs**2)
    varies = (count > 1) & (squares > 0)
    spread = np.sqrt(np.divide(squares, count - 1, out=np.full(len(count), np.nan), where=varies))
    relative[known] = logs / spread[level]
    return relative


def draw_donors(n_donors: int, n_draws: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw donors with replacement; as many single draws from the generator give the same.

    Parameters
    ----------
    n_donors : int
    n_draws : int
    random : Generator
        Advanced by the draws.

    Returns
    -------
    ndarray of int64, (n_draws,)
    """
    return random.integers(n_donors, size=n_draws)


def baseline_coding(
    recordings: Sequence[BaselineRecording],
    model: Model,
    n_draws: int = 1000,
    seed: int = 42,
    statistic: Statistic = "r2",
    alternative: Alternative = "greater",
    exclude_same_mouse: bool = False,
) -> pd.DataFrame:
    """Test in every recording whether its own baselines go with its behaviour better than those of other recordings.

    See `docs/methods/permutation.md`. Recordings draw their donors one after the other, from one generator: their order matters.

    Parameters
    ----------
    recordings : sequence of BaselineRecording
        In the order of the catalogue.
    model : {'performance', 'reaction_time'}
        Correct on baseline (logistic), or baseline on relative log response time (least squares).
    n_draws : int
    seed : int
    statistic : {'slope', 'r2'}
        What is tested.
    alternative : {'greater', 'less', 'two-sided'}
    exclude_same_mouse : bool
        Whether other sessions of the same mouse are no donors.

    Returns
    -------
    DataFrame
        eid, fiber_idx, subject, target_NM, brain_region, status, error, n_trials, n_donors (with a value), n_failed (draws
        without one), p_value (of the draws), p_value_donors (of every donor once), q_value (of the latter, over the table),
        observed_slope, observed_r2, null_slope, null_r2 (arrays of float64, (n_draws,), or None); a row per recording.

    Raises
    ------
    UnknownOption
        When there is no such model, statistic or alternative.
    """
    choices = (
        (model, MODELS, "model"),
        (statistic, STATISTICS, "statistic"),
        (alternative, ALTERNATIVES, "alternative"),
    )
    for option, options, what in choices:
        if option not in options:
            raise UnknownOption(f"{what} {option!r}; expected one of {', '.join(options)}")
    random = np.random.default_rng(seed)
    baselines = _padded_baselines(recordings)
    targets = np.array([recording.target_NM for recording in recordings], dtype=object)
    mice = np.array([recording.subject for recording in recordings], dtype=object)
    rows = []
    for place, recording in enumerate(recordings):
        row = _observed(recording, model)
        rows.append(row)
        if row["status"] is not Status.OK or recording.trials is None:
            continue
        is_donor = targets == recording.target_NM
        is_donor[place] = False
        if exclude_same_mouse:
            is_donor &= mice != recording.subject
        n_trials = len(recording.trials.baseline)
        slopes, r2 = _statistics(recording.trials, baselines[is_donor, :n_trials], model)
        row |= _against_donors(row, {"slope": slopes, "r2": r2}, n_draws, random, statistic, alternative)
    for row in rows:
        row["status"] = str(row["status"])
    table = pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
    table["q_value"] = false_discovery_rate(table["p_value_donors"].to_numpy(np.float64))
    return table


def _padded_baselines(recordings: Sequence[BaselineRecording]) -> Array:
    """Return the baselines of all recordings, a row each; none of a recording without trials."""
    own = [np.empty(0) if recording.trials is None else recording.trials.baseline for recording in recordings]
    table = np.full((len(own), max(map(len, own), default=0)), np.nan)
    for row, values in zip(table, own, strict=True):
        row[: len(values)] = values
    return table


def _statistics(trials: PreparedTrials, baselines: Array, model: Model) -> tuple[Array, Array]:
    """Return slope and R² of the behaviour of a recording with each of several baselines."""
    if model == "performance":
        return logit_statistics(trials.correct, baselines)
    return line_statistics(trials.relative_log_rt, baselines)


def _observed(recording: BaselineRecording, model: Model) -> dict[str, Any]:
    """Return the row of a recording as far as its own trials tell."""
    row = {name: getattr(recording, name) for name in ("eid", "fiber_idx", "subject", "target_NM", "brain_region")}
    row |= {"status": Status.OK, "error": recording.error, "n_trials": 0, "n_donors": 0, "n_failed": 0}
    row |= {"null_slope": None, "null_r2": None}
    if recording.trials is None:
        return row | {"status": Status.MISSING_INPUT}
    slope, r2 = _statistics(recording.trials, recording.trials.baseline[None], model)
    row |= {"n_trials": len(recording.trials.baseline), "observed_slope": slope[0], "observed_r2": r2[0]}
    if np.isnan(r2[0]):
        status, text = _why_not(recording.trials, model)
        row |= {"status": status, "error": f"stat: {text}"}
    return row


def _why_not(trials: PreparedTrials, model: Model) -> tuple[Status, str]:
    """Return why the trials of a recording give no statistic."""
    behaviour = trials.correct if model == "performance" else trials.relative_log_rt
    known = np.isfinite(trials.baseline) & np.isfinite(behaviour)
    if known.sum() < FEWEST_ROWS:
        text = f"ValueError: {known.sum()} trials have all values; expected at least {FEWEST_ROWS}"
        return Status.TOO_FEW_TRIALS, text
    if np.ptp(behaviour[known]) == 0:
        return Status.SINGLE_LEVEL, "SingularDesign: the behaviour is the same in all trials"
    if np.ptp(trials.baseline[known]) == 0:
        return Status.CONSTANT_RESPONSE, "SingularDesign: the baseline is the same in all trials"
    return Status.NOT_CONVERGED, "SingularDesign: the baseline separates correct trials from others"


def _against_donors(
    row: dict[str, Any],
    of_donors: dict[str, Array],
    n_draws: int,
    random: np.random.Generator,
    statistic: Statistic,
    alternative: Alternative,
) -> dict[str, Any]:
    """Return what a row gains when its statistic is held against those of donors."""
    values, observed = of_donors[statistic], row[f"observed_{statistic}"]
    if not len(values):
        # without donors nothing is drawn
        return {"status": Status.NO_DONORS}
    drawn = draw_donors(len(values), n_draws, random)
    by_draw = add_one_p_value(observed, values[drawn], alternative)
    by_donor = add_one_p_value(observed, values, alternative)
    return {
        "status": Status.OK if by_donor.n_permutations else Status.NO_DONORS,
        "n_donors": by_donor.n_permutations,
        "n_failed": by_draw.n_failed,
        "p_value": by_draw.p_value,
        "p_value_donors": by_donor.p_value,
        **{f"null_{name}": found[drawn] for name, found in of_donors.items()},
    }


def baseline_tables(tests: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return tests as tables of results, of the recordings that have one, and of how every recording came out.

    Parameters
    ----------
    tests : mapping of str to DataFrame
        By model, as `baseline_coding` returns them.

    Returns
    -------
    dict of str to DataFrame
        Rows of `baseline_MODEL` for each model, and of `baseline_coding_outcomes`.
    """
    results, outcomes = {}, []
    for model, rows in tests.items():
        results[f"baseline_{model}"] = rows[rows["status"] == Status.OK].drop(columns=["status", "error"])
        of_model = partial(Outcome, "baseline_coding", event="stimOn", n_subjects=1, variable=model)
        came_out = zip(rows["target_NM"], rows["status"], rows["n_trials"], rows["error"], strict=True)
        found = [
            of_model(target_NM=target, status=Status(status), n_trials=n_trials, detail=error)
            for target, status, n_trials, error in came_out
        ]
        outcomes.append(recording_outcome_table(rows, found))
    return {**results, "baseline_coding_outcomes": pd.concat(outcomes, ignore_index=True)}
