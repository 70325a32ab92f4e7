"""Analysis of variance of responses: of means by subject and condition, for every target and event."""

from collections.abc import Mapping
from functools import partial, reduce
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from iblnm_core.analyses.coding import Array
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.rows import Finding, Record, Trials, analysed, complete_rows, require, table_of
from iblnm_core.analyses.task_design import task_groups
from iblnm_core.errors import SingularDesign, UnknownOption

Unbalanced = Literal["block", "ols"]
FACTORS = ("contrast", "side", "feedbackType")
_EFFECTS = tuple(effect for size in (1, 2, 3) for effect in combinations(FACTORS, size))
_CELL = ["subject", *FACTORS]
_ROUNDING = 1e-20
"""Of squares, as a share of all: less is no error."""
_COLUMNS: Mapping[str, str] = {
    "target_NM": "object",
    "event": "object",
    "Source": "object",
    "F": "float64",
    "Num DF": "float64",
    "Den DF": "float64",
    "Pr(>F)": "float64",
    "q_value": "float64",
    "method": "object",
    "n_subjects": "int64",
    "n_cells": "int64",
}


def anova(
    frame: pd.DataFrame, *, minimum_cell_trials: int = 10, minimum_subjects: int = 2, unbalanced: Unbalanced = "block"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test contrast, side and outcome on mean responses, with subjects as repeated measures.

    See `docs/methods/anova.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, contrast (percent), side, feedbackType and response.
    minimum_cell_trials : int
        A mean of fewer trials is not used.
    minimum_subjects : int
    unbalanced : {'block', 'ols'}
        Where subjects lack means: subject as a block and sum-to-zero codes, or as the reference pipeline does it.

    Returns
    -------
    effects : DataFrame
        Seven rows per target and event: Source, F, Num DF, Den DF, Pr(>F), q_value over all rows, method, n_subjects, n_cells.
    outcomes : DataFrame
        A row per target and event, and one per contrast that was left out because no subject has all its means.

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    UnknownOption
        When there is no such method for unbalanced means.
    """
    if unbalanced not in {"block", "ols"}:
        raise UnknownOption(f"method {unbalanced!r} for unbalanced means; expected block or ols")
    require(frame, ["target_NM", "event", *_CELL, "response"])
    records, outcomes = list[Record](), list[Outcome]()
    for target, event, rows in task_groups(frame):
        outcome = partial(Outcome, "anova", target, event)
        trials = complete_rows(
            rows, [*FACTORS, "response"], minimum_subjects=minimum_subjects, two_levels=("side", "feedbackType")
        )
        if trials.obstacle is None:
            trials, left_out = _with_complete_contrasts(trials, outcome, minimum_cell_trials, minimum_subjects)
            outcomes.extend(left_out)
        verdict, found = analysed(
            outcome, trials, lambda usable: _effects(_cell_means(usable, minimum_cell_trials), unbalanced)
        )
        outcomes.append(verdict)
        records.extend({"target_NM": target, "event": event, **row} for row in found)
    return table_of(records, _COLUMNS, "Pr(>F)"), outcome_table(outcomes)


def _cell_means(rows: pd.DataFrame, minimum_trials: int) -> pd.DataFrame:
    """Return the mean response of every subject in every condition with enough trials."""
    grouped = rows.groupby(_CELL, observed=True)["response"]
    means = grouped.mean().reset_index()
    return means[grouped.size().to_numpy() >= minimum_trials]


def _with_complete_contrasts(
    trials: Trials, outcome: partial[Outcome], minimum_trials: int, minimum_subjects: int
) -> tuple[Trials, list[Outcome]]:
    """Leave out contrasts with a condition of which no subject has a mean: no method can make up for those."""
    rows, cells = trials.rows, _cell_means(trials.rows, minimum_trials)
    if cells.empty:
        return Trials(rows, Status.TOO_FEW_TRIALS, f"no mean of {minimum_trials} trials"), []
    n_conditions = rows["side"].nunique() * rows["feedbackType"].nunique()
    n_known = cells.drop_duplicates(list(FACTORS)).groupby("contrast").size()
    counts = n_known.reindex(np.sort(rows["contrast"].unique()), fill_value=0)
    left_out = [
        outcome(
            status=Status.INCOMPLETE_DESIGN,
            n_trials=int((rows["contrast"] == contrast).sum()),
            n_subjects=int(rows.loc[rows["contrast"] == contrast, "subject"].nunique()),
            contrast=contrast,
            detail=f"no subject has a mean in {n_conditions - count} of {n_conditions} conditions; contrast left out",
        )
        for contrast, count in counts.items()
        if count < n_conditions
    ]
    kept = rows[rows["contrast"].isin(counts.index[counts == n_conditions])]
    n_subjects = cells.loc[cells["contrast"].isin(kept["contrast"].unique()), "subject"].nunique()
    obstacle = None
    if kept["contrast"].nunique() < 2:
        obstacle = Status.INCOMPLETE_DESIGN if left_out else Status.SINGLE_LEVEL
    elif n_subjects < minimum_subjects:
        obstacle = Status.TOO_FEW_SUBJECTS
    return Trials(kept, obstacle, trials.detail), left_out


def _effects(cells: pd.DataFrame, unbalanced: Unbalanced) -> Finding:
    n_subjects, n_cells = int(cells["subject"].nunique()), len(cells)
    if np.ptp(cells["response"].to_numpy()) == 0:
        return Status.CONSTANT_RESPONSE, [], None
    shape = tuple(int(cells[name].nunique()) for name in FACTORS)
    if n_cells == n_subjects * np.prod(shape):
        cube = cells.sort_values(_CELL)["response"].to_numpy(np.float64).reshape(n_subjects, *shape)
        method, tests, remark = "rm", _repeated_measures(cube), None
    else:
        method, tests = unbalanced, _type_three(cells, unbalanced)
        remark = f"{n_subjects * np.prod(shape) - n_cells} means are missing"
    records = [
        {
            "Source": ":".join(effect),
            "F": f_value,
            "Num DF": df_effect,
            "Den DF": df_error,
            "Pr(>F)": p_value,
            "method": method,
            "n_subjects": n_subjects,
            "n_cells": n_cells,
        }
        for effect, (f_value, df_effect, df_error, p_value) in zip(_EFFECTS, tests, strict=True)
    ]
    return Status.OK, records, remark


def _f_test(
    effect: float, df_effect: int, error: float, df_error: int, squares: float
) -> tuple[float, int, int, float]:
    """Return F, its degrees of freedom and p from sums of squares; without error, beside all squares, there is no test."""
    from scipy.special import fdtrc

    if error <= _ROUNDING * squares:
        return np.nan, df_effect, df_error, np.nan
    f_value = (effect / df_effect) / (error / df_error)
    return f_value, df_effect, df_error, float(fdtrc(df_effect, df_error, f_value))


def _repeated_measures(cube: Array) -> list[tuple[float, int, int, float]]:
    """Test every effect against its interaction with subjects, from means (subjects, contrasts, sides, outcomes)."""
    n_subjects = len(cube)
    tests = []
    for effect in _EFFECTS:
        values = cube.reshape(n_subjects, -1)
        # orthonormal differences where a factor is in the effect, its mean where not
        bases = [_orthonormal(n_levels) for n_levels in cube.shape[1:]]
        parts = [basis[1:] if name in effect else basis[:1] for name, basis in zip(FACTORS, bases, strict=True)]
        scores = values @ np.kron(np.kron(parts[0], parts[1]), parts[2]).T
        mean = scores.mean(axis=0)
        df_effect = scores.shape[1]
        between = n_subjects * float(mean @ mean)
        error = float(((scores - mean) ** 2).sum())
        tests.append(_f_test(between, df_effect, error, df_effect * (n_subjects - 1), float((cube**2).sum())))
    return tests


def _orthonormal(n_levels: int) -> Array:
    """Return rows of which the first is constant and the others are differences between levels; (l, l)."""
    basis = np.column_stack([np.ones(n_levels), np.eye(n_levels)[:, 1:]])
    return np.asarray(np.linalg.qr(basis)[0].T)


def _type_three(cells: pd.DataFrame, unbalanced: Unbalanced) -> list[tuple[float, int, int, float]]:
    """Test every effect by its sum of squares beyond all others, among ordinary least squares."""
    treatment = unbalanced == "ols"
    codes = {name: _codes(cells[name], treatment=treatment) for name in FACTORS}
    blocks = [np.ones((len(cells), 1))]
    if unbalanced == "block":
        blocks.append(_codes(cells["subject"], treatment=False))
    for effect in _EFFECTS:
        columns = [codes[name] for name in effect]
        blocks.append(reduce(lambda a, b: (a[:, :, None] * b[:, None]).reshape(len(a), -1), columns))
    design, response = np.concatenate(blocks, axis=1), cells["response"].to_numpy(np.float64)
    df_error = len(design) - design.shape[1]
    if df_error < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise SingularDesign(f"{len(design)} means for {design.shape[1]} coefficients that they do not all determine")
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ (design.T @ response)
    error = float(((response - design @ coefficients) ** 2).sum())
    places = np.split(np.arange(design.shape[1]), np.cumsum([block.shape[1] for block in blocks])[:-1])
    tests = []
    for chosen in places[-len(_EFFECTS) :]:
        part = coefficients[chosen]
        squares = float(part @ np.linalg.solve(inverse[np.ix_(chosen, chosen)], part))
        tests.append(_f_test(squares, len(chosen), error, df_error, float(response @ response)))
    return tests


def _codes(values: pd.Series, *, treatment: bool) -> Array:
    """Return columns of a factor: differences from its first level, or codes that sum to zero over levels; (n, l - 1)."""
    places, levels = pd.factorize(values, sort=True)
    code = np.eye(len(levels))[:, 1:] if treatment else np.eye(len(levels))[:, :-1]
    if not treatment:
        code[-1] = -1.0
    return np.asarray(code[places])
