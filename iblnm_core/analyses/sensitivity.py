"""Whether the main effects of the task hold under other defensible choices: one choice varied at a time, from stored tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.analysis import Judgement
from iblnm_core.analyses.coding import CODINGS, Array, ContrastCoding, code_contrast
from iblnm_core.analyses.mixed_model import MixedFit, fit_random_intercept
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.rows import Record, table_of
from iblnm_core.analyses.subject_sums import SubjectSums
from iblnm_core.analyses.task_design import EVENT_ORDER, MINIMUM_SUBJECTS, TERMS, task_columns
from iblnm_core.analyses.trial_cells import CELL, TrialCells
from iblnm_core.cohort.selection import Selection, select
from iblnm_core.cohort_parameters import ModellingParameters
from iblnm_core.errors import SingularDesign, UnknownOption
from iblnm_core.parameters import Parameters
from iblnm_core.session.response_cells import BASELINES, baseline_name

ANALYSIS = "sensitivity"
EFFECTS = ("contrast", "side", "reward")
"""Main effects: from the lowest to the highest contrast, contra less ipsi, correct less incorrect."""

CHOICES = ("correction", "baseline", "blocks", "contrast coding", "duplicates", "labels", "fastest trials")
"""What is varied, in the order of figures."""

LARGEST_RATIO = 2.0
"""An effect that is larger or smaller by this factor is not robust."""

FRAGILE = ("sign_changed", "halved", "doubled")
"""Verdicts on an effect that is not robust."""

FASTEST_S = 0.05
"""Trials that are left out where the root leaves out none."""

_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("target_NM", "event", "effect", "choice", "option"), "object"),
    "is_own": "bool",
    **dict.fromkeys(("estimate", "standard_error", "ci_lower", "ci_upper", "p_value"), "float64"),
    **dict.fromkeys(("n_trials", "n_subjects"), "int64"),
    "ratio": "float64",
    "sign_changed": "bool",
    "verdict": "object",
}


@dataclass(frozen=True)
class Option:
    """One way to analyse.

    Attributes
    ----------
    choice, option : str
        What is chosen, and what it is here.
    is_own : bool
        Whether the root does it so.
    selection : Selection
    modelling : ModellingParameters
    coding : {'log', 'linear', 'rank', 'log2'}
    correction, baseline : str
        Of the signal, and of the responses.
    """

    choice: str
    option: str
    is_own: bool
    selection: Selection
    modelling: ModellingParameters
    coding: ContrastCoding
    correction: str
    baseline: str


def options_of(parameters: Parameters) -> list[Option]:
    """Return all ways to analyse that differ from those of a root in one choice at most; the root's own first of each choice.

    Parameters
    ----------
    parameters : Parameters
        The sections `selection`, `modelling`, `analyses`, `corrections` and `magnitudes`.
    """
    selection, modelling = Selection.of(parameters), parameters.modelling
    corrections, baseline = parameters.corrections.names, parameters.magnitudes.baseline_window_s
    coding = parameters.analyses.contrast_coding
    own = Option("", "", True, selection, modelling, coding, corrections[0], baseline_name(baseline))
    fastest = modelling.minimum_response_time_s
    blocks: tuple[Literal["unbiased", "all"], ...] = ("unbiased", "all")
    duplicates = dict.fromkeys((selection.duplicates, "resolved", "kept"))
    labels = dict.fromkeys((selection.excluded_labels, ("reject",), ()))
    times = dict.fromkeys((fastest, FASTEST_S if fastest <= 0 else -np.inf))
    baselines = [baseline_name(window) for window in dict.fromkeys((baseline, *BASELINES))]
    varied: dict[str, dict[str, Option]] = {
        "correction": {name: replace(own, correction=name) for name in corrections},
        "baseline": {name: replace(own, baseline=name) for name in baselines},
        "blocks": {name: replace(own, modelling=replace(modelling, blocks=name)) for name in blocks},
        "contrast coding": {name: replace(own, coding=name) for name in CODINGS},
        "duplicates": {name: replace(own, selection=replace(selection, duplicates=name)) for name in duplicates},
        "labels": {
            f"without {' and '.join(names)}" if names else "all used": replace(
                own, selection=replace(selection, excluded_labels=names)
            )
            for names in labels
        },
        "fastest trials": {
            f"over {1000 * time:g} ms" if time > 0 else "all used": replace(
                own, modelling=replace(modelling, minimum_response_time_s=time)
            )
            for time in times
        },
    }
    found = [
        replace(option, choice=choice, option=name, is_own=option == own)
        for choice, of_choice in varied.items()
        for name, option in of_choice.items()
    ]
    return sorted(found, key=lambda option: (CHOICES.index(option.choice), not option.is_own))


def sensitivity(
    responses: pd.DataFrame,
    regressors: pd.DataFrame,
    varied: pd.DataFrame,
    catalogue: Mapping[str, pd.DataFrame],
    parameters: Parameters,
) -> dict[str, pd.DataFrame]:
    """Return the main effects of the task under every option of every choice.

    See `docs/methods/sensitivity.md`. The model is that of `task_lmm` with a random intercept per mouse.

    Parameters
    ----------
    responses : DataFrame
        Of the `responses` table: eid, fiber_idx, event, trial, response_early.
    regressors : DataFrame
        The `trial_regressors` table.
    varied : DataFrame
        The `response_cells` table: the responses under other corrections and baselines.
    catalogue : mapping of str to DataFrame
        What sessions and recordings are selected from: `sessions`, `errors`, `performance`, `session_status`, `labels`, `corrections`.
    parameters : Parameters
        Those of the root.

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `sensitivity` and `sensitivity_outcomes`.
    """
    options = options_of(parameters)
    selections = {_key(option): option.selection for option in options}
    chosen = {key: _recordings(catalogue, selection) for key, selection in selections.items()}
    cells = TrialCells.of(responses, regressors, chosen.values(), [option.modelling for option in options])
    others = dict(list(varied.assign(kind=1).groupby(["correction", "baseline"], sort=False)))
    usual = parameters.corrections.names[0], baseline_name(parameters.magnitudes.baseline_window_s)
    records, outcomes = list[Record](), list[Outcome]()
    for option in options:
        key = option.correction, option.baseline
        used = (
            cells if key == usual else TrialCells(others.get(key, varied.head(0).assign(kind=1)), (option.modelling,))
        )
        rows = used.under(chosen[_key(option)], option.modelling)
        for (target, event), group in _groups(rows):
            found, outcome = _effects(group, option, parameters.analyses.contrasts)
            outcomes.append(replace(outcome, target_NM=target, event=event))
            names = {"target_NM": target, "event": event, "choice": option.choice, "option": option.option}
            records += [{**names, "is_own": option.is_own, **record} for record in found]
    return {"sensitivity": _compared(records), "sensitivity_outcomes": outcome_table(outcomes)}


def judge_effects(rows: pd.DataFrame) -> Judgement:
    """Return whether the effects that the root finds hold under all options, and which do not.

    Parameters
    ----------
    rows : DataFrame
        The `sensitivity` table.
    """
    fragile = rows[rows["verdict"].isin(FRAGILE)]
    words = tuple(
        f"{row['target_NM']}, {row['event']}, {row['effect']}: {row['verdict'].replace('_', ' ')} with {row['choice']} "
        f"{row['option']} ({row['estimate']:.3g} z, {row['ratio']:.2g} of the root's own)"
        for row in fragile.to_dict("records")
    )
    return Judgement(not words, False, words)


def _key(option: Option) -> tuple[str, tuple[str, ...]]:
    """Return that in which selections differ."""
    return option.selection.duplicates, option.selection.excluded_labels


def _recordings(catalogue: Mapping[str, pd.DataFrame], selection: Selection) -> pd.DataFrame:
    tables = [catalogue[name] for name in ("performance", "session_status", "labels", "corrections")]
    return select(catalogue["sessions"], catalogue["errors"], selection, *tables).recordings


def _groups(rows: pd.DataFrame) -> Iterable[tuple[tuple[str, str], pd.DataFrame]]:
    """Return the cells of each target and event: targets by name, events as in a trial."""
    groups = {(str(key[0]), str(key[1])): own for key, own in rows.groupby(["target_NM", "event"])}
    place = {event: number for number, event in enumerate(EVENT_ORDER)}
    return sorted(groups.items(), key=lambda item: (item[0][0], place.get(item[0][1], len(place)), item[0][1]))


def _effects(cells: pd.DataFrame, option: Option, levels: tuple[float, ...]) -> tuple[list[Record], Outcome]:
    """Return the main effects of one group, without its names."""
    known = cells.dropna(subset=list(CELL))
    n_trials, n_subjects = int(known["n"].sum()), int(known["subject"].nunique())
    variable = f"{option.choice}: {option.option}"
    outcome = Outcome(ANALYSIS, "", "", Status.OK, n_trials, n_subjects, variable=variable)
    if obstacle := _obstacle(known):
        return [], replace(outcome, status=obstacle)
    try:
        fit, span = _fit(known, option.coding, levels)
    except UnknownOption:
        raise
    except SingularDesign as error:
        return [], replace(outcome, status=Status.SINGULAR_DESIGN, detail=str(error))
    except ValueError as error:
        # contrasts that the task does not have
        return [], replace(outcome, status=Status.MISSING_INPUT, detail=str(error))
    combinations = np.eye(len(TERMS))[[TERMS.index(effect) for effect in EFFECTS]]
    combinations[EFFECTS.index("contrast")] *= span
    found = fit.estimates(combinations)
    columns = {
        "effect": EFFECTS,
        "estimate": found.estimate,
        "standard_error": found.standard_error,
        "ci_lower": found.t_interval[0],
        "ci_upper": found.t_interval[1],
        "p_value": found.t_p_value,
    }
    records = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    status = Status.BOUNDARY if fit.at_boundary else Status.OK
    counts = {"n_trials": n_trials, "n_subjects": n_subjects}
    return [{**record, **counts} for record in records], replace(outcome, status=status)


def _obstacle(cells: pd.DataFrame) -> Status | None:
    """Return why cells cannot be modelled, if they cannot."""
    if cells.empty:
        return Status.MISSING_INPUT
    if cells["subject"].nunique() < MINIMUM_SUBJECTS:
        return Status.TOO_FEW_SUBJECTS
    if cells["side"].nunique() < 2 or cells["reward"].nunique() < 2:
        return Status.SINGLE_LEVEL
    if cells["lowest"].min() == cells["highest"].max():
        return Status.CONSTANT_RESPONSE
    return None


def _fit(cells: pd.DataFrame, coding: ContrastCoding, levels: tuple[float, ...]) -> tuple[MixedFit, float]:
    """Return the fit, and what lies between the codes of the lowest and the highest contrast of the task."""
    coded = code_contrast(cells["contrast"], coding, levels)
    ends = code_contrast([min(levels), max(levels)], coding, levels)
    n = cells["n"].to_numpy(np.float64)
    centre = float(n @ coded / n.sum())
    design = task_columns(coded - centre, cells["side"].to_numpy(np.float64), cells["reward"].to_numpy(np.float64))
    subjects = pd.factorize(cells["subject"], sort=True)[0].astype(np.intp)
    return fit_random_intercept(_sums(cells, design, subjects)), float(ends[1] - ends[0])


def _sums(cells: pd.DataFrame, design: Array, subjects: NDArray[np.intp]) -> SubjectSums:
    """Return the sums over trials, of which all in a cell have one row of the design."""
    n, total, squares = (cells[name].to_numpy(np.float64) for name in ("n", "total", "squares"))
    products = n[:, None, None] * design[:, :, None] * design[:, None, :]

    def by_subject(values: Array) -> Array:
        sums = np.zeros((subjects.max() + 1, *values.shape[1:]))
        np.add.at(sums, subjects, values)
        return sums

    return SubjectSums(
        by_subject(n).round().astype(np.int64),
        by_subject(n[:, None] * design),
        by_subject(total),
        by_subject(products),
        by_subject(total[:, None] * design),
        by_subject(squares),
    )


def _compared(records: list[Record]) -> pd.DataFrame:
    """Return effects as rows, each held against the root's own."""
    key = ["target_NM", "event", "effect", "choice"]
    rows = table_of([{**dict.fromkeys(_COLUMNS, 0), **record} for record in records], _COLUMNS)
    own = rows.loc[rows["is_own"], [*key, "estimate", "ci_lower", "ci_upper"]]
    both = rows[key].merge(own, on=key, how="left", validate="many_to_one")
    estimate, mine = rows["estimate"].to_numpy(np.float64), both["estimate"].to_numpy(np.float64)
    ratio = np.divide(estimate, mine, out=np.full(len(rows), np.nan), where=mine != 0)
    clear = ((both["ci_lower"] > 0) | (both["ci_upper"] < 0)).to_numpy(np.bool_)
    conditions = {
        "own": rows["is_own"].to_numpy(np.bool_),
        # of an effect that may be none, sign and size mean nothing
        "unclear": ~clear,
        "sign_changed": ratio < 0,
        "halved": ratio < 1 / LARGEST_RATIO,
        "doubled": ratio > LARGEST_RATIO,
    }
    verdict = np.select(list(conditions.values()), list(conditions), "steady")
    order = {"effect": pd.Categorical(rows["effect"], EFFECTS)}
    compared = rows.assign(ratio=ratio, sign_changed=ratio < 0, verdict=verdict)
    places = compared.assign(**order).sort_values(["target_NM", "event", "effect"], kind="stable").index
    return compared.loc[places].reset_index(drop=True)
