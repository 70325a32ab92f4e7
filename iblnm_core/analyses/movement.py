"""What movement adds to the task in explaining responses, and what models predict of subjects that they have not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd

from iblnm_core.analyses.mixed_model import MixedFit, SubjectSums, fit_random_intercept, held_out_r_squared
from iblnm_core.analyses.model_families import (
    KEYS,
    Family,
    Model,
    ModelOptions,
    crossed,
    main_effects,
    over_groups,
    task_family,
    without,
)
from iblnm_core.analyses.outcomes import Status
from iblnm_core.analyses.rows import Finding, Record, records_of, status_of, table_of
from iblnm_core.errors import SingularDesign, UnknownOption

TIMINGS = ("log_reaction_time", "log_movement_time")
StandardErrors = Literal["least_squares", "observed"]
MOVEMENT_VARIABLES = ("choice_side", "log_reaction_time", "peak_velocity")


def movement_family(event: str, variable: str) -> Family:
    """Return the models of what a movement variable adds to the task.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    event : str
        Label of the event.
    variable : {'choice_side', 'log_reaction_time', 'peak_velocity'}
    """
    task = task_family(event).members["full"]
    # the side of the choice is nearly the product of side and outcome, so that it can be crossed with neither
    partners = ("contrast",) if variable == "choice_side" else main_effects(event)
    full = (*task, (variable,), *((variable, name) for name in partners))
    reduced = {name: without(full, name) for name in main_effects(event)}
    members = {"full": full, "movement": task, "interactions": (*task, (variable,)), **reduced}
    return Family("movement", event, members, variable)


def task_ceiling(event: str) -> Family:
    """Return the model with a mean for every condition of the task.

    Parameters
    ----------
    event : str
        Label of the event.
    """
    return Family("task_ceiling", event, {"ceiling": crossed("contrast_level", *main_effects(event)[1:])})


def movement_ceiling(event: str) -> Family:
    """Return the model of movement alone, with all interactions.

    Parameters
    ----------
    event : str
        Label of the event.
    """
    return Family("movement_ceiling", event, {"ceiling": crossed(*MOVEMENT_VARIABLES)})


MOVEMENT_FAMILIES = tuple(movement_family(e, name) for e, name in product(("stimOn", "feedback"), MOVEMENT_VARIABLES))
CEILINGS = tuple(make(event) for make in (task_ceiling, movement_ceiling) for event in ("stimOn", "feedback"))

_FOLD_COLUMNS = {"fold": "object", "predictor": "object", "n_trials": "int64", "r2": "float64", "delta_r2": "float64"}


def leave_one_subject_out(
    model: Model, members: Mapping[str, Sequence[tuple[str, ...]]], options: ModelOptions
) -> list[tuple[int, dict[str, MixedFit]]]:
    """Fit models to all subjects but one, for every subject with enough trials.

    Subjects without which a model cannot be fitted are not held out.

    Parameters
    ----------
    model : Model
    members : mapping of str to sequence of tuple of str
        Terms by name of the model.
    options : ModelOptions

    Returns
    -------
    list of (int, dict of str to MixedFit)
        Code of the held-out subject and the fits, by maximum likelihood.

    Raises
    ------
    SingularDesign
        When no model can be fitted, whoever is held out.
    """
    parts = {name: model.sums.columns(model.places(tuple(terms))) for name, terms in members.items()}
    candidates = np.flatnonzero(model.sums.n_rows >= options.minimum_fold_trials).tolist()
    folds, singular = [], None
    for subject in candidates:
        try:
            fits = {name: fit_random_intercept(sums.without(subject), "ML") for name, sums in parts.items()}
        except SingularDesign as error:
            singular = error
            continue
        folds.append((subject, fits))
    if singular is not None and not folds:
        raise singular
    return folds


@dataclass(frozen=True)
class Reliability:
    """How families do when one subject after the other is left out.

    Attributes
    ----------
    cross_validation : DataFrame
        A row per group, family, fold (the held-out subject) and predictor: n_trials held out, r2 of the reference model there,
        with both means taken away, delta_r2 to the model without the predictor. The fold `aggregate` has means, and all trials.
    jackknife : DataFrame
        The same with marginal R squared on the trials of all subjects but that of the fold; n_trials counts these, so that in the
        fold `aggregate` every trial counts once per fold it was fitted in.
    outcomes : DataFrame
    """

    cross_validation: pd.DataFrame
    jackknife: pd.DataFrame
    outcomes: pd.DataFrame


def reliability(frame: pd.DataFrame, families: Sequence[Family], options: ModelOptions) -> Reliability:
    """Return how well families predict subjects that they were not fitted to, and how much they depend on single ones.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, response and the columns of the families.
    families : sequence of Family
        Those with a single member are left out, as there is nothing to compare.
    options : ModelOptions

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    """

    def analyse(model: Model, family: Family) -> Finding:
        predicted, explained = list[Record](), list[Record]()
        for subject, fits in leave_one_subject_out(model, family.members, options):
            held_out = model.sums.only(subject)
            scores = {
                name: held_out_r_squared(
                    fit.coefficients, held_out.columns(model.places(family.members[name])), centred=True
                )
                for name, fit in fits.items()
            }
            shares = {name: fit.marginal for name, fit in fits.items()}
            fold, n_fitted = model.subjects[subject], fits[family.reference].n_rows
            predicted.extend(_fold_records(family.reference, fold, int(held_out.n_rows[0]), scores))
            explained.extend(_fold_records(family.reference, fold, n_fitted, shares))
        remark = _not_held_out(model, [row["fold"] for row in predicted])
        records = [
            {**row, "kind": kind}
            for kind, rows in (("cross_validation", predicted), ("jackknife", explained))
            for row in (*rows, *_aggregate(rows))
        ]
        return Status.OK if records else Status.TOO_FEW_TRIALS, records, remark

    nested = [family for family in families if len(family.members) > 1]
    records, outcomes = over_groups(frame, nested, "reliability", options, options.minimum_fold_subjects, analyse)
    rows = table_of(records, {**KEYS, **_FOLD_COLUMNS, "kind": "object"})
    validated, influence = (
        rows[rows["kind"] == kind].drop(columns="kind").reset_index(drop=True)
        for kind in ("cross_validation", "jackknife")
    )
    return Reliability(validated, influence, outcomes)


def _fold_records(reference: str, fold: object, n_trials: int, scores: Mapping[str, float]) -> list[Record]:
    """Return how the reference model did in a fold, and each other one against it; nothing when a score is not known."""
    if not np.isfinite(list(scores.values())).all():
        return []
    best = scores[reference]
    common = {"fold": fold, "n_trials": n_trials, "r2": best}
    return [
        {**common, "predictor": name, "delta_r2": best - score} for name, score in scores.items() if name != reference
    ]


def _aggregate(records: Sequence[Record]) -> list[Record]:
    """Return means over folds, and the sum of their trials."""
    if not records:
        return []
    table = pd.DataFrame(records)
    means = table.groupby("predictor", sort=False).agg({"n_trials": "sum", "r2": "mean", "delta_r2": "mean"})
    return records_of(means.reset_index().assign(fold="aggregate"))


def _not_held_out(model: Model, scored: Sequence[object]) -> str | None:
    missing = [str(name) for name in model.subjects if name not in set(scored)]
    return f"not held out: {', '.join(missing)}" if missing else None


_LOSO_MODELS = ("full", "drop_contrast", "drop_timing")
_LOSO_SCORES = (*(f"r2_{name}" for name in _LOSO_MODELS), "delta_r2_contrast", "delta_r2_timing")
_LOSO_COLUMNS = {
    "target_NM": "object",
    "event": "object",
    "timing_col": "object",
    "subject": "object",
    "n_trials": "int64",
    **dict.fromkeys(_LOSO_SCORES, "float64"),
    **dict.fromkeys((f"centred_{name}" for name in _LOSO_SCORES), "float64"),
}


def movement_loso(
    frame: pd.DataFrame, options: ModelOptions, *, event: str = "stimOn", timings: Sequence[str] = TIMINGS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how well contrast and the timing of movements predict the responses of subjects left out of the fit.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, contrast (percent), side, feedbackType, response and the timings.
    options : ModelOptions
    event : str
        Label of the event.
    timings : sequence of str
        Columns of the frame, decadic logarithms of seconds.

    Returns
    -------
    table : DataFrame
        A row per target, timing and held-out subject: n_trials, r2_full, r2_drop_contrast, r2_drop_timing, delta_r2_contrast,
        delta_r2_timing, and the same with the prefix centred_ for responses and predictions without their means.
    outcomes : DataFrame

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    """

    def analyse(model: Model, family: Family) -> Finding:
        records = list[Record]()
        for subject, fits in leave_one_subject_out(model, family.members, options):
            held_out = model.sums.only(subject)
            parts = {name: held_out.columns(model.places(terms)) for name, terms in family.members.items()}
            scores = {
                **_loso_scores(parts, fits, centred=False),
                **{f"centred_{name}": score for name, score in _loso_scores(parts, fits, centred=True).items()},
            }
            if np.isfinite(list(scores.values())).all():
                row = {"timing_col": family.movement_var, "subject": model.subjects[subject]}
                records.append({**row, "n_trials": int(held_out.n_rows[0]), **scores})
        remark = _not_held_out(model, [row["subject"] for row in records])
        return Status.OK if records else Status.TOO_FEW_TRIALS, records, remark

    families = []
    for timing in timings:
        full = (("contrast",), ("side",), ("reward",), (timing,))
        members = {"full": full, "drop_contrast": without(full, "contrast"), "drop_timing": without(full, timing)}
        families.append(Family("movement", event, members, timing))
    records, outcomes = over_groups(frame, families, "loso", options, options.minimum_fold_subjects, analyse)
    return table_of(records, _LOSO_COLUMNS), outcomes


def _loso_scores(
    held_out: Mapping[str, SubjectSums], fits: Mapping[str, MixedFit], *, centred: bool
) -> dict[str, float]:
    scores = {
        f"r2_{name}": held_out_r_squared(fits[name].coefficients, held_out[name], centred=centred)
        for name in _LOSO_MODELS
    }
    full = scores["r2_full"]
    return {
        **scores,
        "delta_r2_contrast": full - scores["r2_drop_contrast"],
        "delta_r2_timing": full - scores["r2_drop_timing"],
    }


def last_coefficient(fit: MixedFit, standard_errors: StandardErrors) -> tuple[float, float, float]:
    """Return the coefficient of the last column, its standard error, and the p-value that Wald's test gives it.

    Parameters
    ----------
    fit : MixedFit
    standard_errors : {'least_squares', 'observed'}
        By generalised least squares; or from the curvature of the likelihood, as the reference pipeline has them, which may
        not be known.

    Raises
    ------
    UnknownOption
        When there are no such standard errors.
    """
    from scipy.special import ndtr

    if standard_errors not in {"least_squares", "observed"}:
        raise UnknownOption(f"standard errors {standard_errors!r}; expected least_squares or observed")
    covariance = fit.covariance if standard_errors == "least_squares" else fit.observed_covariance
    coefficient, error = float(fit.coefficients[-1]), float(np.sqrt(covariance[-1, -1]))
    return coefficient, error, float(2 * ndtr(-abs(coefficient / error)))


def timing_slopes(
    frame: pd.DataFrame,
    options: ModelOptions,
    *,
    event: str = "stimOn",
    timings: Sequence[str] = TIMINGS,
    standard_errors: StandardErrors = "least_squares",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the slope of responses over the timing of movements, at each contrast, by restricted maximum likelihood.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, contrast (percent), side, feedbackType, response and the timings.
    options : ModelOptions
    event : str
        Label of the event.
    timings : sequence of str
        Columns of the frame, decadic logarithms of seconds.
    standard_errors : {'least_squares', 'observed'}
        As of `last_coefficient`.

    Returns
    -------
    table : DataFrame
        A row per target, contrast and timing: timing_coef (z per tenfold time), timing_se, timing_p, q_value over all rows,
        r2_marginal, n_trials, n_subjects.
    outcomes : DataFrame

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    UnknownOption
        When there are no such standard errors.
    """

    def analyse(model: Model, family: Family) -> Finding:
        fit = model.fit(family.members["full"], "REML")
        slope, error, p_value = last_coefficient(fit, standard_errors)
        row = {
            "timing_col": family.movement_var,
            "timing_coef": slope,
            "timing_se": error,
            "timing_p": p_value,
            "r2_marginal": fit.marginal,
            "n_trials": fit.n_rows,
            "n_subjects": fit.n_subjects,
        }
        return status_of(fit), [row], None

    families = [Family("movement", event, {"full": (("side",), ("reward",), (name,))}, name) for name in timings]
    records, outcomes = over_groups(
        frame, families, "slopes", options, options.minimum_subjects, analyse, by_contrast=True
    )
    numbers = ("timing_coef", "timing_se", "timing_p", "q_value", "r2_marginal")
    columns = {
        "target_NM": "object",
        "event": "object",
        "contrast": "float64",
        "timing_col": "object",
        **dict.fromkeys(numbers, "float64"),
        "n_trials": "int64",
        "n_subjects": "int64",
    }
    return table_of(records, columns, "timing_p"), outcomes
