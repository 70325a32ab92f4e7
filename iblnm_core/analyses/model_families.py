"""Nested mixed models, described by their terms and not by formulas: designs, what they explain, coefficients, marginal means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
import pandas as pd

from iblnm_core.analyses.coding import Array, ContrastCoding, code_contrast, deviation_reward, deviation_side
from iblnm_core.analyses.mixed_model import Method, MixedFit, SubjectSums, fit_random_intercept
from iblnm_core.analyses.outcomes import Outcome, outcome_table
from iblnm_core.analyses.rows import Finding, Record, analysed, complete_rows, records_of, require, status_of, table_of
from iblnm_core.analyses.task_design import task_groups
from iblnm_core.errors import UnknownOption

Term = tuple[str, ...]
"""Variables whose product enters a model; the empty product is the intercept."""
Terms = tuple[Term, ...]

_SOURCES = {"contrast_level": "contrast", "reward": "feedbackType"}
"""Columns of the trials behind those variables that have another name."""
_SIDES = ("side", "choice_side")
_TWO_LEVELS = (*_SIDES, "reward", "choice")


def crossed(*variables: str) -> Terms:
    """Return all variables and all their products."""
    return tuple(term for size in range(1, len(variables) + 1) for term in combinations(variables, size))


def without(terms: Terms, variable: str) -> Terms:
    """Return the terms that do not contain a variable."""
    return tuple(term for term in terms if variable not in term)


@dataclass(frozen=True)
class Family:
    """Models of the same trials.

    Attributes
    ----------
    name : str
    event : str
        Label of the event whose responses are modelled.
    members : mapping of str to tuple of tuple of str
        Terms besides the intercept by the name of the model. The first is the reference; the others leave terms out.
    movement_var : str or None
        What the family asks about, when it is about movement.
    response : str
        Column that is modelled.
    """

    name: str
    event: str
    members: Mapping[str, Terms]
    movement_var: str | None = None
    response: str = "response"

    @property
    def reference(self) -> str:
        """Name of the model the others are compared with."""
        return next(iter(self.members))

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables of any member, each once."""
        return tuple(dict.fromkeys(name for terms in self.members.values() for term in terms for name in term))


def main_effects(event: str) -> tuple[str, ...]:
    """Return the task variables that can act on responses to an event: before feedback there is no outcome."""
    return ("contrast", "side", "reward") if event == "feedback" else ("contrast", "side")


def task_family(event: str) -> Family:
    """Return the models of what the task asks of the mouse. Before feedback there is no outcome in them.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    event : str
        Label of the event.
    """
    mains = tuple((name,) for name in main_effects(event))
    full = (*mains, *(("contrast", name) for (name,) in mains[1:]))
    reduced = {name: without(full, name) for (name,) in mains}
    return Family("task", event, {"full": full, **reduced, "interactions": mains})


TASK_FAMILIES = (task_family("stimOn"), task_family("feedback"))


@dataclass(frozen=True)
class ModelOptions:
    """Decisions about mixed models of trials."""

    levels: tuple[float, ...] = (0.0, 6.25, 12.5, 25.0, 100.0)
    """Contrasts of the task, percent."""
    coding: ContrastCoding = "log2"
    centre: Literal["fitted_trials", "all_trials"] = "fitted_trials"
    """Trials whose mean coded contrast is taken away: those fitted, or also those that lack another variable."""
    minimum_subjects: int = 2
    minimum_trials: int = 20
    """With fewer there is no fit."""
    minimum_fold_subjects: int = 3
    """With fewer no subject is held out."""
    minimum_fold_trials: int = 5
    """A subject with fewer is not held out."""


@dataclass(frozen=True, eq=False)
class Model:
    """The widest design of a family over the trials of one group, as sums of subjects.

    Attributes
    ----------
    rows : DataFrame
        The trials, n of them.
    codes : dict of str to ndarray of float64, (n, k)
        By variable; k is 1 but for a variable with a column per level.
    subjects : Index
        Names of the subjects by code.
    ranges : dict of tuple of str to range
        Places of the columns of each term; the empty term is the intercept.
    sums : SubjectSums
    """

    rows: pd.DataFrame
    codes: dict[str, Array]
    subjects: pd.Index
    ranges: dict[Term, range]
    sums: SubjectSums

    @classmethod
    def of(cls, rows: pd.DataFrame, family: Family, options: ModelOptions, all_rows: pd.DataFrame) -> "Model":
        """Build the design of a family over trials of which everything is known, out of all trials of a group."""
        centred_on = rows if options.centre == "fitted_trials" else all_rows
        codes = {name: _coded(name, rows, options, centred_on) for name in family.variables}
        blocks = _blocks(codes, [term for terms in family.members.values() for term in terms], len(rows))
        ends = np.cumsum([block.shape[1] for block in blocks.values()]).tolist()
        ranges = {term: range(end - blocks[term].shape[1], end) for term, end in zip(blocks, ends, strict=True)}
        subject_codes, subjects = pd.factorize(rows["subject"])
        response = rows[family.response].to_numpy(np.float64)
        sums = SubjectSums.of(np.hstack(list(blocks.values())), response, subject_codes)
        return cls(rows, codes, subjects, ranges, sums)

    def places(self, terms: Terms) -> list[int]:
        """Return the places of the columns of the intercept and of terms, in their order."""
        return [place for term in ((), *terms) for place in self.ranges[term]]

    def fit(self, terms: Terms, method: Method) -> MixedFit:
        """Fit a member of the family to all trials."""
        return fit_random_intercept(self.sums.columns(self.places(terms)), method)


def _coded(variable: str, rows: pd.DataFrame, options: ModelOptions, centred_on: pd.DataFrame) -> Array:
    if variable == "contrast_level":
        contrast = rows["contrast"].to_numpy(np.float64)
        return np.asarray(contrast[:, None] == np.unique(contrast)[1:], dtype=np.float64)
    if variable == "contrast":
        known = centred_on["contrast"].dropna()
        # what is no level has no rank
        known = known[known.isin(options.levels)] if options.coding == "rank" else known
        centre = code_contrast(known, options.coding, options.levels).mean()
        coded: Array = code_contrast(rows["contrast"], options.coding, options.levels) - centre
    elif variable == "reward":
        coded = deviation_reward(rows["feedbackType"])
    elif variable in _SIDES:
        coded = deviation_side(rows[variable])
    else:
        coded = rows[variable].to_numpy(np.float64)
    return coded.reshape(-1, 1)


def _blocks(codes: Mapping[str, Array], terms: Sequence[Term], n_rows: int) -> dict[Term, Array]:
    """Return the columns of the intercept and of terms: products of the coded columns of their variables."""
    blocks: dict[Term, Array] = {(): np.ones((n_rows, 1))}
    for term in terms:
        block = blocks[()]
        for variable in term:
            block = (block[:, :, None] * codes[variable][:, None]).reshape(n_rows, -1)
        blocks[term] = block
    return blocks


def over_groups(
    frame: pd.DataFrame,
    families: Sequence[Family],
    analysis: str,
    options: ModelOptions,
    minimum_subjects: int,
    analyse: Callable[[Model, Family], Finding],
    *,
    by_contrast: bool = False,
) -> tuple[list[Record], pd.DataFrame]:
    """Analyse every family in every group of its event; what is wrong with one group stops no other."""
    sources = {name: _SOURCES.get(name, name) for family in families for name in family.variables}
    needed = ["target_NM", "event", "subject", *(family.response for family in families), *sources.values()]
    require(frame, [*needed, "contrast"] if by_contrast else needed)
    groups: list[tuple[dict[str, Any], pd.DataFrame]]
    groups = [({"target_NM": target, "event": event}, rows) for target, event, rows in task_groups(frame)]
    if by_contrast:
        groups = [({**keys, "contrast": c}, part) for keys, rows in groups for c, part in rows.groupby("contrast")]
    records, outcomes = list[Record](), list[Outcome]()
    for (keys, rows), family in product(groups, families):
        if family.event != keys["event"]:
            continue
        trials = complete_rows(
            rows,
            [family.response, *dict.fromkeys(sources[name] for name in family.variables)],
            minimum_subjects=minimum_subjects,
            minimum_trials=options.minimum_trials,
            two_levels=[sources[name] for name in family.variables if name in _TWO_LEVELS],
            varying=family.response,
            levels=options.levels if options.coding == "rank" and "contrast" in family.variables else None,
        )

        def analyse_usable(usable: pd.DataFrame, family: Family = family, rows: pd.DataFrame = rows) -> Finding:
            return analyse(Model.of(usable, family, options, rows), family)

        outcome = partial(Outcome, analysis=f"{family.name}_{analysis}", variable=family.movement_var, **keys)
        verdict, found = analysed(outcome, trials, analyse_usable)
        outcomes.append(verdict)
        records.extend({"family": family.name, "movement_var": family.movement_var, **keys, **row} for row in found)
    return records, outcome_table(outcomes)


KEYS = {"family": "object", "movement_var": "object", "target_NM": "object", "event": "object"}
"""Types of the columns that identify a family in a group."""


def explained_variance(
    frame: pd.DataFrame, families: Sequence[Family], options: ModelOptions, method: Method = "REML"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the share of variance that each member of families explains, within the trials it is fitted to.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, response and the columns of the families.
    families : sequence of Family
    options : ModelOptions
    method : {'REML', 'ML'}

    Returns
    -------
    table : DataFrame
        A row per group, family and member: marginal_r2, conditional_r2, n_trials, n_subjects.
    outcomes : DataFrame

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    """

    def analyse(model: Model, family: Family) -> Finding:
        # a member can only be singular if the reference is, which has all its columns
        fits = {name: model.fit(terms, method) for name, terms in family.members.items()}
        counts = {"n_trials": len(model.rows), "n_subjects": len(model.subjects)}
        records = [
            {"name": name, "marginal_r2": fit.marginal, "conditional_r2": fit.conditional, **counts}
            for name, fit in fits.items()
        ]
        return status_of(fits[family.reference]), records, None

    records, outcomes = over_groups(frame, families, "variance", options, options.minimum_subjects, analyse)
    shares, counts = ("marginal_r2", "conditional_r2"), ("n_trials", "n_subjects")
    columns = {**KEYS, "name": "object", **dict.fromkeys(shares, "float64"), **dict.fromkeys(counts, "int64")}
    return table_of(records, columns), outcomes


def coefficients(
    frame: pd.DataFrame, families: Sequence[Family], options: ModelOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the coefficients of the reference model of families, by restricted maximum likelihood.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, response and the columns of the families.
    families : sequence of Family
    options : ModelOptions

    Returns
    -------
    table : DataFrame
        A row per group, family and coefficient: term, Coef., Std.Err., z, P>|z|, q_value over all rows, ci_lower, ci_upper.
    outcomes : DataFrame

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    """

    def analyse(model: Model, family: Family) -> Finding:
        terms = family.members[family.reference]
        fit = model.fit(terms, "REML")
        found = fit.estimates(np.eye(len(fit.coefficients)))
        table = {
            "term": [":".join(term) or "Intercept" for term in ((), *terms) for _ in model.ranges[term]],
            "Coef.": found.estimate,
            "Std.Err.": found.standard_error,
            "z": found.estimate / found.standard_error,
            "P>|z|": found.normal_p_value,
            "ci_lower": found.normal_interval[0],
            "ci_upper": found.normal_interval[1],
        }
        return status_of(fit), records_of(pd.DataFrame(table)), None

    records, outcomes = over_groups(frame, families, "coefficients", options, options.minimum_subjects, analyse)
    numbers = ("Coef.", "Std.Err.", "z", "P>|z|", "q_value", "ci_lower", "ci_upper")
    columns = {**KEYS, "term": "object", **dict.fromkeys(numbers, "float64")}
    return table_of(records, columns, "P>|z|"), outcomes


def marginal_means(
    frame: pd.DataFrame,
    families: Sequence[Family],
    options: ModelOptions,
    factors: Sequence[str],
    reference: Literal["balanced", "sample"] = "balanced",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the reference model of families predicts for every combination of levels of factors.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, response and the columns of the families.
    families : sequence of Family
    options : ModelOptions
    factors : sequence of str
        Of contrast, side, reward and choice_side. Families without one of them are left out.
    reference : {'balanced', 'sample'}
        Where sides and outcomes that are no factors stand: in the middle of their levels, or at their mean over trials.
        What has no levels is at its mean in either case.

    Returns
    -------
    table : DataFrame
        A row per group, family and combination: the factors (contrast in percent), predicted, ci_lower, ci_upper, reference.
    outcomes : DataFrame

    Raises
    ------
    UnknownOption
        When there is no such factor or reference point.
    MissingPrerequisite
        When a column is not there.
    """
    unknown = [name for name in factors if name not in {"contrast", "reward", *_SIDES}]
    if unknown or not factors or reference not in {"balanced", "sample"}:
        raise UnknownOption(
            f"{factors} at {reference}; expected contrast, side, reward, choice_side at balanced or sample"
        )

    def analyse(model: Model, family: Family) -> Finding:
        terms = family.members[family.reference]
        fit = model.fit(terms, "REML")
        labels, codes = _grid(model, factors, reference)
        blocks = _blocks(codes, terms, len(labels))
        found = fit.estimates(np.hstack([blocks[term] for term in ((), *terms)]))
        lower, upper = found.normal_interval
        table = labels.assign(predicted=found.estimate, ci_lower=lower, ci_upper=upper, reference=reference)
        return status_of(fit), records_of(table), None

    chosen = [family for family in families if set(factors) <= set(family.variables)]
    records, outcomes = over_groups(frame, chosen, "marginal_means", options, options.minimum_subjects, analyse)
    kinds = {name: "float64" if name == "contrast" else "object" for name in [*factors, "reference"]}
    numbers = dict.fromkeys(("predicted", "ci_lower", "ci_upper"), "float64")
    return table_of(records, {**KEYS, **kinds, **numbers}), outcomes


def _grid(model: Model, factors: Sequence[str], reference: str) -> tuple[pd.DataFrame, dict[str, Array]]:
    """Return all combinations of observed levels of factors, and the codes of all variables there."""
    levels = [np.unique(model.codes[name], return_index=True) for name in factors]
    places = np.indices([len(values) for values, _ in levels]).reshape(len(factors), -1)
    shape, labels = (places.shape[1], 1), {}
    codes = {
        name: np.full(shape, 0.0 if name in _TWO_LEVELS and reference == "balanced" else coded.mean(axis=0))
        for name, coded in model.codes.items()
    }
    for name, (values, first), chosen in zip(factors, levels, places, strict=True):
        codes[name] = values[chosen, None]
        seen = model.rows[_SOURCES.get(name, name)].to_numpy()[first[chosen]]
        labels[name] = np.where(seen == 1, "correct", "incorrect") if name == "reward" else seen
    return pd.DataFrame(labels), codes
