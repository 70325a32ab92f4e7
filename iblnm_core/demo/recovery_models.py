"""Planted against recovered, mixed models of the responses of the ruler cohort: the task, and reaction times."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from iblnm_core.analyses.coding import code_contrast
from iblnm_core.analyses.frame import modelling_frame
from iblnm_core.analyses.model_families import ModelOptions
from iblnm_core.analyses.movement import movement_loso, timing_slopes
from iblnm_core.analyses.task_lmm import fit_task_models
from iblnm_core.demo.behaviour import CONTRASTS, MIDDLE_RANK
from iblnm_core.demo.effects import REACTION_TIME_SLOPE
from iblnm_core.demo.statistic import LEAST_P, Statistic, joint_p_value, largest_share, least_coverage, listed
from iblnm_core.demo.truth import effect_table
from iblnm_core.parameters import PRESETS

CODING: Literal["rank"] = "rank"
LEVELS = tuple(CONTRASTS.tolist())
# a fibre on the midline has no side, but models of sides want one
_SIDES_OF_ALL = replace(PRESETS["default"].modelling, unknown_hemisphere="left")
_TIMING = "log_reaction_time"
_TRIAL = ["eid", "fiber_idx", "event", "trial"]
_TERM = ["target_NM", "event", "term"]
_SLOPES_MEASURED = ("gain", "noise_free", "response")
_STATES = (
    ("c_session_stimOn", "stimOn", "contrast", "contrast"),
    ("w_session_feedback", "feedback", "reward", "feedbackType"),
)
"""What the state of a session adds, to the effect of what on which event, and the variable of the trials."""
PLANTED_ROWS = (
    ("stimOn", "contrast", "rank of the contrast, stimulus"),
    ("stimOn", "side", "side, stimulus"),
    ("stimOn", "contrast:side", "rank of the contrast x side, stimulus"),
    ("feedback", "reward", "reward, feedback"),
    ("feedback", "contrast:reward", "rank of the contrast x reward, feedback"),
)
"""Event, term and title of what gains are made of."""
_OVERLAPPED_ROWS = (
    ("contrast", "rank of the contrast, feedback"),
    ("side", "side, feedback"),
)
_ARTEFACT_ROWS = {
    "stimOn": "mean response to the stimulus, z",
    "feedback": "mean response to feedback, z",
    "slope": "slope of the stimulus response over log10 reaction time, R2, by recording",
}
_MASKS = {"r1": "R1", "r2": "R2"}


def cohort_frame(
    recordings: pd.DataFrame,
    amplitudes: pd.DataFrame,
    regressors: pd.DataFrame,
    definition: Literal["r1", "r2"],
    blocks: Literal["unbiased", "all"],
) -> pd.DataFrame:
    """Return the modelling frame of a cohort, with what was planted beside every response.

    Parameters
    ----------
    recordings, amplitudes : DataFrame
        See `recovery.Recovered`.
    regressors : DataFrame
        See `recovery_behaviour.BehaviourRecovered`.
    definition : {'r1', 'r2'}
        Of the magnitudes.
    blocks : {'unbiased', 'all'}

    Returns
    -------
    DataFrame
        The `modelling_frame` table of trials whose magnitude is known, and whose noise-free one is; and `noise_free` and `gain`.
    """
    known = amplitudes.dropna(subset=[f"expected_{definition}", f"found_{definition}"])
    responses = known.rename(columns={f"found_{definition}": "response_early"})
    frame = modelling_frame(responses, regressors, recordings, replace(_SIDES_OF_ALL, blocks=blocks))
    planted = known[[*_TRIAL, "gain"]].assign(
        event=known["event"].str.removesuffix("_times"), noise_free=known[f"expected_{definition}"]
    )
    return frame.merge(planted, on=_TRIAL)


def recover_effects(frame: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    """Fit the model of the task to magnitudes, to noise-free ones, and to planted gains.

    Parameters
    ----------
    frame : DataFrame
        See `cohort_frame`.
    recordings : DataFrame
        With what the state of each session adds to effects, see `truth.session_truth`.

    Returns
    -------
    DataFrame
        One row per target, event and term: the coefficient table of the magnitudes, `planted` (not a number for the
        intercept), `noise_free`, `of_gains`, and `is_zero`: nothing was planted that could bring about an effect.
    """
    columns = {"noise_free": "noise_free", "of_gains": "gain"}
    fits = {name: _coefficients(frame.assign(response=frame[column])) for name, column in columns.items()}
    others = pd.DataFrame({name: table.set_index(_TERM)["Coef."] for name, table in fits.items()})
    effects = _coefficients(frame).merge(others.reset_index(), on=_TERM)
    effects = effects.merge(planted_effects(frame, recordings), on=_TERM, how="left")
    return effects.assign(is_zero=_is_zero(effects, recordings))


def _coefficients(frame: pd.DataFrame) -> pd.DataFrame:
    return fit_task_models(frame, coding=CODING, levels=LEVELS).tables.coefficients


def planted_effects(frame: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    """Return what was planted as the models have it: with the states of these sessions, and with the contrast centred.

    Parameters
    ----------
    frame : DataFrame
        See `cohort_frame`.
    recordings : DataFrame
        See `recover_effects`.

    Returns
    -------
    DataFrame
        target_NM, event, term, planted.
    """
    table = effect_table()
    labelled = table.assign(
        event=table["event"].str.removesuffix("_times"),
        term=table["term"].str.replace("_", ":"),
        planted=table["total"],
    )
    planted = labelled.pivot_table("planted", ["target_NM", "event"], "term")
    for column, event, term, variable in _STATES:
        trials, state = frame[frame["event"] == event], recordings.set_index("eid")[column]
        added = pd.DataFrame({term: _mean_state(trials, state, variable)})
        added.index = pd.MultiIndex.from_product([added.index, [event]], names=planted.index.names)
        planted = planted.add(added.reindex_like(planted).fillna(0.0))
    # gains are made with the middle rank as zero, models take the mean of ranks away
    off_centre = float(code_contrast(frame["contrast"], CODING, LEVELS).mean()) - MIDDLE_RANK
    for term in ("side", "reward"):
        planted[term] += off_centre * planted[f"contrast:{term}"]
    return planted.melt(ignore_index=False, value_name="planted").reset_index()


def _mean_state(trials: pd.DataFrame, state: "pd.Series[float]", variable: str) -> "pd.Series[float]":
    """Return the mean state of each target's sessions, each weighing as much as it tells of the effect of a variable."""
    by_session = trials.groupby(["target_NM", "eid"])[variable].agg(["size", "var"])
    weight = by_session["size"] * by_session["var"]
    states = state.loc[weight.index.get_level_values("eid")].to_numpy()
    return (weight * states).groupby("target_NM").sum() / weight.groupby("target_NM").sum()


def _is_zero(effects: pd.DataFrame, recordings: pd.DataFrame) -> "pd.Series[bool]":
    """Return for which coefficients of magnitudes nothing was planted, be it by way of a neighbouring response."""
    term, at_stimulus = effects["term"], effects["event"] == "stimOn"
    table = effect_table()
    by_choice = table[(table["event"] == "firstMovement_times") & (table["term"] == "choice") & ~table["is_null"]]
    # the side of the choice is the product of side and outcome, and the first movement follows the stimulus at once
    through_movement = (term == "side:reward") & effects["target_NM"].isin(by_choice["target_NM"])
    on_midline = ~recordings["hemisphere"].isin(["l", "r"])
    without_side = effects["target_NM"].isin(recordings.loc[on_midline, "target_NM"]) & term.str.contains("side")
    clean = at_stimulus & ~through_movement | (term == "contrast:side:reward") | without_side
    return (effects["planted"] == 0) & clean


def recover_artefact(frame: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    """Return what is off in every recording, and how much artefact the correction left in it.

    Parameters
    ----------
    frame : DataFrame
        See `cohort_frame`.
    recordings : DataFrame
        See `recovery.Recovered`.

    Returns
    -------
    DataFrame
        One row per recording: `stimOn` and `feedback`, errors of mean responses (z), `slope`, that of the slope of the stimulus
        response over log10 reaction time, and `left`, the standard deviation of the artefact (z).
    """
    frame = frame.assign(error=frame["response"] - frame["noise_free"])
    key = ["eid", "fiber_idx"]
    errors = frame.pivot_table("error", key, "event")
    timed = frame[(frame["event"] == "stimOn") & frame[_TIMING].notna()]
    centred = timed[["error", _TIMING]] - timed.groupby(key)[["error", _TIMING]].transform("mean")
    products = pd.DataFrame({"xy": centred["error"] * centred[_TIMING], "xx": centred[_TIMING] ** 2})
    sums = products.groupby([timed["eid"], timed["fiber_idx"]]).sum()
    left = (recordings["iso_slope"] - recordings["found_slope"]) * recordings["artefact_sd"] / recordings["sigma"]
    table = errors.assign(slope=sums["xy"] / sums["xx"]).reset_index()
    return table.merge(recordings[key].assign(left=left), on=key)


def recover_slopes(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Fit slopes of the stimulus response over log10 reaction time, and predict mice that were left out.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        By definition of the magnitudes, see `cohort_frame`.

    Returns
    -------
    DataFrame
        One row per definition and target: slopes `gain`, `noise_free` and `response` (z per tenfold time) with `_error`, and
        of the magnitudes `added`, the R² of mice left out (means taken away) that the reaction time adds, mean over mice, and
        `n_better` of `n_mice` in which it is above 0.
    """
    options = ModelOptions(coding=CODING, levels=LEVELS)
    parts = []
    for definition, frame in frames.items():
        slopes = [_slopes(frame, column, options) for column in _SLOPES_MEASURED]
        held_out, _ = movement_loso(frame, options, timings=[_TIMING])
        added = held_out.groupby("target_NM")["centred_delta_r2_timing"]
        scores = added.agg(added="mean", n_better=lambda score: (score > 0).sum(), n_mice="size")
        parts.append(pd.concat([*slopes, scores], axis=1).reset_index().assign(definition=definition))
    return pd.concat(parts, ignore_index=True)


def _slopes(frame: pd.DataFrame, column: str, options: ModelOptions) -> pd.DataFrame:
    """Return the slope of each target: the mean over contrasts, weighted by precision."""
    table, _ = timing_slopes(frame.assign(response=frame[column]), options, timings=[_TIMING])
    weight = table["timing_se"] ** -2
    sums = pd.DataFrame({"weight": weight, "slope": weight * table["timing_coef"]}).groupby(table["target_NM"]).sum()
    return pd.DataFrame({column: sums["slope"] / sums["weight"], f"{column}_error": sums["weight"] ** -0.5})


def effect_statistics(effects: pd.DataFrame) -> list[Statistic]:
    """Return what is said of the model of the task.

    Parameters
    ----------
    effects : DataFrame
        See `recover_effects`.
    """
    return [
        _agreement(effects),
        *(_of_term(effects, event, term, title) for event, term, title in PLANTED_ROWS),
        _zeros(effects),
        *(_overlapped(effects, term, title) for term, title in _OVERLAPPED_ROWS),
    ]


def _agreement(effects: pd.DataFrame) -> Statistic:
    slopes = effects[effects["term"] != "Intercept"]
    deviation = (slopes["Coef."] - slopes["noise_free"]) / slopes["Std.Err."]
    n, mean, spread = len(slopes), float(deviation.mean()), float(deviation.std())
    plain, suited = (
        float(slopes["noise_free"].between(slopes[f"{kind}ci_lower"], slopes[f"{kind}ci_upper"]).mean())
        for kind in ("", "t_")
    )
    least, largest_spread = least_coverage(n), 1 + 3 / float(np.sqrt(2 * n))
    return Statistic(
        "all effects, error in standard errors",
        "fit to noise-free magnitudes",
        f"mean {mean:+.2f}, SD {spread:.2f}; {100 * suited:.0f} % of {n} intervals for few mice hold it, "
        f"{100 * plain:.0f} % of plain ones",
        f"mean within {3 / np.sqrt(n):.2f}, SD at most {largest_spread:.2f}, intervals for few mice at least {100 * least:.0f} %",
        abs(mean) <= 3 / np.sqrt(n) and spread <= largest_spread and suited >= least,
    )


def _of_term(effects: pd.DataFrame, event: str, term: str, title: str) -> Statistic:
    rows = effects[(effects["event"] == event) & (effects["term"] == term)]
    p_value = joint_p_value((rows["Coef."] - rows["planted"]) / rows["Std.Err."])
    bias = float((rows["Coef."] - rows["planted"]).mean())
    return Statistic(
        title,
        listed(rows, "planted"),
        f"{listed(rows, 'Coef.')}; error {bias:+.3f}, SE {rows['Std.Err.'].mean():.3f}; p = {p_value:.3f}",
        _JOINTLY,
        p_value >= LEAST_P,
    )


def _zeros(effects: pd.DataFrame) -> Statistic:
    zeros = effects[effects["is_zero"]]
    n, called = len(zeros), int((zeros["P>|t|"] < 0.05).sum())
    most = largest_share(0.05, n)
    return Statistic(
        "effects that were not planted",
        "0",
        f"{called} of {n} have p < 0.05; largest {zeros['Coef.'].abs().max():.2f} z",
        f"at most {100 * most:.0f} %",
        called <= most * n,
    )


def _overlapped(effects: pd.DataFrame, term: str, title: str) -> Statistic:
    rows = effects[(effects["event"] == "feedback") & (effects["term"] == term)]
    found = f"{listed(rows, 'Coef.')}; noise-free {listed(rows, 'noise_free')}"
    return Statistic(title, listed(rows, "planted"), found, "reported: responses overlap", holds=True)


def artefact_statistics(errors: pd.DataFrame) -> list[Statistic]:
    """Return what is off, and whether it would be without artefact.

    Parameters
    ----------
    errors : DataFrame
        See `recover_artefact`.
    """
    return [_with_artefact(errors["left"], errors[column], title) for column, title in _ARTEFACT_ROWS.items()]


_LARGEST_ERROR_Z = 0.1
"""What is faster than the primary correction subtracts is left, whatever its slope."""


def _with_artefact(left: "pd.Series[float]", errors: "pd.Series[float]", title: str) -> Statistic:
    (slope, without), covariance = np.polyfit(left, errors, 1, cov=True)
    error = float(np.sqrt(covariance[1, 1]))
    return Statistic(
        title,
        "noise-free magnitudes",
        f"error {errors.mean():+.3f}; {slope:+.2f} per z of artefact that is left, {without:+.3f} (SE {error:.3f}) without any; "
        f"{len(errors)} recordings",
        f"without artefact at most {_LARGEST_ERROR_Z} z; error reported: artefact is left",
        abs(float(without)) <= _LARGEST_ERROR_Z,
    )


_JOINTLY = f"jointly p at least {LEAST_P}"


def slope_statistics(slopes: pd.DataFrame) -> list[Statistic]:
    """Return what is said of reaction times.

    Parameters
    ----------
    slopes : DataFrame
        See `recover_slopes`.
    """
    masked, unmasked = (slopes[slopes["definition"] == definition] for definition in _MASKS)
    return [
        _of_gains(masked),
        _of_magnitudes(masked),
        _shallower(unmasked),
        *(_added(rows, _MASKS[definition]) for definition, rows in (("r1", masked), ("r2", unmasked))),
    ]


def _of_gains(rows: pd.DataFrame) -> Statistic:
    p_value = joint_p_value((rows["gain"] - REACTION_TIME_SLOPE) / rows["gain_error"])
    return Statistic(
        "slope over log10 reaction time, planted gains",
        f"{REACTION_TIME_SLOPE:.2f}",
        f"{listed(rows, 'gain')}; p = {p_value:.3f}",
        _JOINTLY,
        p_value >= LEAST_P,
    )


def _of_magnitudes(rows: pd.DataFrame) -> Statistic:
    p_value = joint_p_value((rows["response"] - rows["noise_free"]) / rows["response_error"])
    return Statistic(
        "slope over log10 reaction time, R1",
        f"noise-free {listed(rows, 'noise_free')}",
        f"{listed(rows, 'response')}; SE {rows['response_error'].mean():.2f}; p = {p_value:.3f}",
        f"{_JOINTLY}, each 3 SE below 0",
        p_value >= LEAST_P and _is_below_zero(rows),
    )


def _shallower(rows: pd.DataFrame) -> Statistic:
    error = float((rows["response"] - rows["noise_free"]).mean())
    return Statistic(
        "slope over log10 reaction time, R2",
        f"noise-free {listed(rows, 'noise_free')}",
        f"{listed(rows, 'response')}; SE {rows['response_error'].mean():.2f}; error {error:+.2f}",
        "each 3 SE below 0; size reported: artefact that is left",
        _is_below_zero(rows),
    )


def _is_below_zero(rows: pd.DataFrame) -> bool:
    return bool((rows["response"] < -3 * rows["response_error"]).all())


def _added(rows: pd.DataFrame, name: str) -> Statistic:
    better, mice = int(rows["n_better"].sum()), int(rows["n_mice"].sum())
    return Statistic(
        f"R² that reaction time adds in mice left out, {name}",
        "above 0",
        f"{listed(rows, 'added', 3)}; above 0 in {better} of {mice} mice",
        "mean of each target above 0",
        bool((rows["added"] > 0).all()),
    )
