"""Which coding of the contrast describes responses best: the model of the task with each of them, on the same trials."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.analyses.coding import ContrastCoding, code_contrast
from iblnm_core.analyses.mixed_model import fit_random_intercept
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.subject_sums import Array, SubjectSums
from iblnm_core.analyses.task_design import TaskTrials, complete_trials, task_columns, task_groups
from iblnm_core.errors import SingularDesign, UnknownOption

ANALYSIS = "contrast_comparison"
COMPARED: tuple[ContrastCoding, ...] = ("log", "linear", "rank")
COLUMNS = {
    **dict.fromkeys(("target_NM", "event", "coding"), "object"),
    **dict.fromkeys(("R2_marginal", "AIC", "BIC"), "float64"),
    **dict.fromkeys(("n_trials", "n_subjects"), "int64"),
}
"""Columns of the comparison and their types."""


def compare_contrast_codings(
    trials: pd.DataFrame, *, levels: Sequence[float], codings: Sequence[ContrastCoding] = COMPARED
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit the model of the task with each coding of the contrast, by maximum likelihood.

    See `docs/methods/mixed_models.md`.

    Parameters
    ----------
    trials : DataFrame
        One row per trial: target_NM, event, subject, contrast (percent), side ('contra' or 'ipsi'), feedbackType (1 for
        reward), response.
    levels : sequence of float
        Contrasts of the task, percent: ranks count among these.
    codings : sequence of {'log', 'linear', 'rank', 'log2'}

    Returns
    -------
    DataFrame
        A row per group and coding that could be fitted, with `COLUMNS`.
    DataFrame
        A row per group and coding with what became of it.
    """
    rows: list[dict[str, Any]] = []
    outcomes: list[Outcome] = []
    for target, event, of_group in task_groups(trials):
        usable = complete_trials(of_group)
        obstacle = usable.obstacle
        cells = None if obstacle else _Cells(usable)
        for coding in codings:
            outcome = Outcome(
                ANALYSIS,
                target,
                event,
                Status.OK,
                usable.n_trials,
                usable.n_subjects,
                variable=coding,
                detail=usable.note,
            )
            if cells is None:
                outcomes.append(replace(outcome, status=obstacle or Status.OK))
                continue
            row, outcome = _compared(cells, outcome, coding, levels)
            rows += row
            outcomes.append(outcome)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS), outcome_table(outcomes)


def best_codings(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return which coding is best by each measure: the largest share of variance, the smallest criteria.

    Parameters
    ----------
    comparison : DataFrame
        As `compare_contrast_codings` makes it.

    Returns
    -------
    DataFrame
        A row per group: target_NM, event, and the best coding by R2_marginal, AIC and BIC.
    """
    rows = [
        {
            "target_NM": target,
            "event": event,
            "R2_marginal": group.loc[group["R2_marginal"].idxmax(), "coding"],
            "AIC": group.loc[group["AIC"].idxmin(), "coding"],
            "BIC": group.loc[group["BIC"].idxmin(), "coding"],
        }
        for (target, event), group in comparison.groupby(["target_NM", "event"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["target_NM", "event", "R2_marginal", "AIC", "BIC"])


class _Cells:
    """The trials of a group by contrast, side and outcome: summed once, whatever the coding."""

    def __init__(self, usable: TaskTrials) -> None:
        variables = np.column_stack([usable.contrast, usable.side, usable.reward])
        cells, place = np.unique(variables, axis=0, return_inverse=True)
        self.contrast, self.side, self.reward = cells.T
        self.n_rows = np.bincount(place.ravel())
        indicator = np.zeros((usable.n_trials, len(cells)))
        indicator[np.arange(usable.n_trials), place.ravel()] = 1
        self.sums = SubjectSums.of(indicator, usable.response, usable.subjects)

    def columns(self, coding: ContrastCoding, levels: Sequence[float]) -> Array:
        """Return the design of one trial of each cell, (cells, 8); the contrast is centred over trials."""
        coded = code_contrast(self.contrast, coding, levels)
        coded -= np.average(coded, weights=self.n_rows)
        return task_columns(coded, self.side, self.reward)


def _compared(
    cells: _Cells, outcome: Outcome, coding: ContrastCoding, levels: Sequence[float]
) -> tuple[list[dict[str, Any]], Outcome]:
    try:
        design = cells.columns(coding, levels)
    except UnknownOption:
        raise
    except ValueError as error:
        # contrasts that the task does not have
        return _failed(outcome, Status.MISSING_INPUT, error)
    try:
        fit = fit_random_intercept(cells.sums.recoded(design), "ML")
    except SingularDesign as error:
        return _failed(outcome, Status.SINGULAR_DESIGN, error)
    row = {
        "target_NM": outcome.target_NM,
        "event": outcome.event,
        "coding": coding,
        "R2_marginal": fit.marginal,
        "AIC": fit.aic,
        "BIC": fit.bic,
        "n_trials": fit.n_rows,
        "n_subjects": fit.n_subjects,
    }
    return [row], replace(outcome, status=Status.BOUNDARY if fit.at_boundary else Status.OK)


def _failed(outcome: Outcome, status: Status, error: Exception) -> tuple[list[dict[str, Any]], Outcome]:
    detail = "; ".join(filter(None, [str(error), outcome.detail]))
    return [], replace(outcome, status=status, detail=detail)
