"""How responses depend on contrast, side and outcome: the model of the task, fitted per target and event, and what follows from it as tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from iblnm_core.analyses.coding import Array, ContrastCoding, code_contrast
from iblnm_core.analyses.mixed_model import MixedFit, fit_random_intercept
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.random_slope import NotConverged, RandomSlopeFit, fit_random_slope
from iblnm_core.analyses.subject_sums import SubjectSums
from iblnm_core.analyses.task_design import TERMS, TaskTrials, complete_trials, event_label, task_columns, task_groups
from iblnm_core.analyses.task_tables import Reference, TaskTables, concatenated, make_tables, report
from iblnm_core.errors import SingularDesign, UnknownOption

ANALYSIS = "task_lmm"
RandomEffects = Literal["1", "contrast"]


@dataclass(frozen=True, eq=False)
class TaskModel:
    """The model of one group.

    Attributes
    ----------
    tables : TaskTables
        Without rows where nothing could be fitted.
    outcome : Outcome
    """

    tables: TaskTables
    outcome: Outcome


@dataclass(frozen=True, eq=False)
class TaskModels:
    """The models of all groups.

    Attributes
    ----------
    tables : TaskTables
        Coefficients and interactions with false discovery rates over all their rows.
    outcomes : DataFrame
        One row per group.
    random_effects : str or None
        The formula that all groups were fitted with; none where no group could be fitted.
    """

    tables: TaskTables
    outcomes: pd.DataFrame
    random_effects: str | None


def fit_task_models(
    trials: pd.DataFrame,
    *,
    coding: ContrastCoding,
    levels: Sequence[float],
    random_effects: Sequence[RandomEffects] = ("1",),
    reference: Reference = "balanced",
) -> TaskModels:
    """Fit the model of the task to every target and event.

    See `docs/methods/mixed_models.md`. A group that cannot be fitted says why in its outcome and does not concern the others.

    Parameters
    ----------
    trials : DataFrame
        As for `fit_task_model`, with target_NM and event.
    coding : {'log', 'linear', 'rank', 'log2'}
    levels : sequence of float
        Contrasts of the task, percent.
    random_effects : sequence of {'1', 'contrast'}
        From complex to simple; the first is used with which every group is fitted that has the data for it, else the last.
    reference : {'balanced', 'sample'}
    """
    if not random_effects:
        raise UnknownOption("no random effects; expected some of 1, contrast")
    groups = list(task_groups(trials))
    models: list[TaskModel] = []
    for formula in random_effects:
        models = [
            fit_task_model(
                rows,
                coding=coding,
                levels=levels,
                random_effects=formula,
                reference=reference,
                target_NM=target,
                event=event,
            )
            for target, event, rows in groups
        ]
        if all(model.outcome.status != Status.NOT_CONVERGED for model in models):
            break
    some = any(model.outcome.status in {Status.OK, Status.BOUNDARY} for model in models)
    tables = concatenated([(model.outcome.target_NM, model.outcome.event, model.tables) for model in models])
    return TaskModels(tables, outcome_table(model.outcome for model in models), formula if some else None)


def fit_task_model(
    trials: pd.DataFrame,
    *,
    coding: ContrastCoding,
    levels: Sequence[float],
    random_effects: RandomEffects = "1",
    reference: Reference = "balanced",
    target_NM: str = "",
    event: str = "",
) -> TaskModel:
    """Fit response ~ contrast * side * reward, with a random intercept per subject, to the trials of one group.

    See `docs/methods/mixed_models.md`.

    Parameters
    ----------
    trials : DataFrame
        One row per trial: subject, contrast (percent), side ('contra' or 'ipsi'), feedbackType (1 for reward), response.
        Incomplete rows are left out, and counted.
    coding : {'log', 'linear', 'rank', 'log2'}
        Of the contrast, which is centred over the rows that are fitted.
    levels : sequence of float
        Contrasts of the task, percent: ranks count among these.
    random_effects : {'1', 'contrast'}
        What differs between subjects: the intercept, or also the effect of contrast.
    reference : {'balanced', 'sample'}
        Where factors are that a marginal mean is not of: in the middle of their levels, or at their mean over the trials.
    target_NM, event : str
        The group, for the outcome.

    Raises
    ------
    UnknownOption
        When coding, random effects or reference are none that exist.
    """
    if random_effects not in {"1", "contrast"}:
        raise UnknownOption(f"random effects {random_effects!r}; expected 1 or contrast")
    if reference not in {"balanced", "sample"}:
        raise UnknownOption(f"reference {reference!r}; expected balanced or sample")
    usable = complete_trials(trials)
    outcome = Outcome(
        ANALYSIS, target_NM, event_label(event), Status.OK, usable.n_trials, usable.n_subjects, detail=usable.note
    )
    if obstacle := usable.obstacle:
        return TaskModel(make_tables({}), replace(outcome, status=obstacle))
    try:
        coded = code_contrast(usable.contrast, coding, levels)
    except UnknownOption:
        raise
    except ValueError as error:
        # contrasts that the task does not have
        return _failed(outcome, Status.MISSING_INPUT, error)
    design = task_columns(coded - coded.mean(), usable.side, usable.reward)
    try:
        fit = _fit(design, usable, random_effects)
    except SingularDesign as error:
        return _failed(outcome, Status.SINGULAR_DESIGN, error)
    except NotConverged as error:
        return _failed(outcome, Status.NOT_CONVERGED, error)
    tables = report(fit, usable, coded, coding=coding, random_effects=random_effects, reference=reference)
    return TaskModel(tables, replace(outcome, status=Status.BOUNDARY if fit.at_boundary else Status.OK))


def _failed(outcome: Outcome, status: Status, error: Exception) -> TaskModel:
    detail = "; ".join(filter(None, [str(error), outcome.detail]))
    return TaskModel(make_tables({}), replace(outcome, status=status, detail=detail))


def _fit(design: Array, usable: TaskTrials, random_effects: RandomEffects) -> MixedFit | RandomSlopeFit:
    # also before the general solver: it says whether the design is singular
    fit = fit_random_intercept(SubjectSums.of(design, usable.response, usable.subjects))
    if random_effects == "contrast":
        return fit_random_slope(design, usable.response, usable.subjects, TERMS.index("contrast"))
    return fit
