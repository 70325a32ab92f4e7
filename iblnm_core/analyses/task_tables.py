"""The tables that follow from a fitted model of the task. Nothing is fitted here."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from iblnm_core.analyses.coding import CONTRA, IPSI, Array, ContrastCoding
from iblnm_core.analyses.mixed_model import LinearEstimates, MixedFit
from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.analyses.random_slope import RandomSlopeFit
from iblnm_core.analyses.task_design import TERMS, TaskTrials, task_columns

_CODES = {"reward": {"incorrect": -0.5, "correct": 0.5}, "side": {CONTRA: 0.5, IPSI: -0.5}}
_INTERACTIONS = (("contrast", "reward"), ("contrast", "side"), ("reward", "side"))
"""Whose effect is looked at, and at the levels of what."""
_INTERVALS = dict.fromkeys(("ci_lower", "ci_upper", "t_ci_lower", "t_ci_upper", "df"), "float64")
_FALSE_DISCOVERY = {
    "coefficients": {"q_value": "P>|z|", "t_q_value": "P>|t|"},
    "interactions": {"q_value": "p_interaction", "t_q_value": "t_p_interaction"},
}
"""Columns of false discovery rates and of the p-values they are made from, by table."""

Columns = dict[str, Any]
Reference = Literal["balanced", "sample"]

COLUMNS: dict[str, dict[str, str]] = {
    "coefficients": {
        "term": "object",
        **dict.fromkeys(("Coef.", "Std.Err.", "z", "P>|z|", "P>|t|", "observed_Std.Err."), "float64"),
        **_INTERVALS,
    },
    "variance_explained": {
        **dict.fromkeys(("marginal", "conditional", "residual_variance", "subject_variance"), "float64"),
        "log_likelihood": "float64",
        **dict.fromkeys(("n_trials", "n_subjects"), "int64"),
        **dict.fromkeys(("coding", "random_effects"), "object"),
        "contrast_centre": "float64",
    },
    "predictions": {"contrast": "float64", "side": "object", "reward": "object", "predicted": "float64", **_INTERVALS},
    "marginal_means": {
        "factor": "object",
        "level": "object",
        "mean": "float64",
        **_INTERVALS,
        "reference": "object",
    },
    "contrast_slopes": {"reward": "object", "slope": "float64", **_INTERVALS, "type": "object", "subject": "object"},
    "interactions": {
        **dict.fromkeys(("effect_of", "at", "x_level"), "object"),
        "effect": "float64",
        **_INTERVALS,
        **dict.fromkeys(("p_interaction", "t_p_interaction"), "float64"),
    },
}
"""Columns of each table and their types. `ci_` are plain intervals, `t_ci_` those that suit few subjects, with `df` degrees of freedom."""


@dataclass(frozen=True, eq=False)
class TaskTables:
    """Results as tables, with the columns of `COLUMNS`; those of several groups have target_NM and event in front.

    Attributes
    ----------
    coefficients, variance_explained, predictions, marginal_means, contrast_slopes, interactions : DataFrame
    """

    coefficients: pd.DataFrame
    variance_explained: pd.DataFrame
    predictions: pd.DataFrame
    marginal_means: pd.DataFrame
    contrast_slopes: pd.DataFrame
    interactions: pd.DataFrame


def report(
    fit: MixedFit | RandomSlopeFit,
    usable: TaskTrials,
    coded: Array,
    *,
    coding: ContrastCoding,
    random_effects: str,
    reference: Reference,
) -> TaskTables:
    """Return the tables of one fit.

    Parameters
    ----------
    fit : MixedFit or RandomSlopeFit
        Of the columns of `task_columns`, the contrast centred over trials.
    usable : TaskTrials
    coded : ndarray of float64, (n,)
        Contrasts as coded, not centred.
    coding : {'log', 'linear', 'rank', 'log2'}
    random_effects : str
    reference : {'balanced', 'sample'}
        Where factors are that a marginal mean is not of: in the middle of their levels, or at their mean over the trials.
    """
    return _Report(fit, usable, coded, reference).all(coding, random_effects)


def make_tables(contents: dict[str, Columns]) -> TaskTables:
    """Return tables with all their columns, whether they have rows or not.

    Parameters
    ----------
    contents : dict of str to dict
        Columns by table; those left out have no rows.
    """
    return TaskTables(
        **{
            name: pd.DataFrame(contents.get(name, {}), columns=list(types)).astype(types)
            for name, types in COLUMNS.items()
        }
    )


def concatenated(tables: Sequence[tuple[str, str, TaskTables]]) -> TaskTables:
    """Return the tables of groups as one, with false discovery rates over all rows of a table.

    Parameters
    ----------
    tables : sequence of (str, str, TaskTables)
        Target, event label and tables of each group.
    """
    whole = {}
    for name, columns in COLUMNS.items():
        types = {"target_NM": "object", "event": "object", **columns}
        pieces = [
            getattr(own, name).assign(target_NM=target, event=event)
            for target, event, own in tables
            if len(getattr(own, name))
        ]
        table = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=list(types))
        table = table[list(types)].astype(types)
        for q_column, p_column in _FALSE_DISCOVERY.get(name, {}).items():
            table[q_column] = false_discovery_rate(table[p_column].to_numpy())
        whole[name] = table
    return TaskTables(**whole)


class _Report:
    """Makes the tables of one fit.

    Parameters
    ----------
    fit : MixedFit or RandomSlopeFit
    usable : TaskTrials
    coded : ndarray of float64, (n,)
        Contrasts as coded, not centred.
    reference : {'balanced', 'sample'}
    """

    def __init__(self, fit: MixedFit | RandomSlopeFit, usable: TaskTrials, coded: Array, reference: Reference) -> None:
        self.fit, self.usable, self.reference = fit, usable, reference
        self.centre = float(coded.mean())
        self.contrasts, first = np.unique(usable.contrast, return_index=True)
        self.coded = coded[first] - self.centre

    def all(self, coding: ContrastCoding, random_effects: str) -> TaskTables:
        fit = self.fit
        explained = {
            **{name: [getattr(fit, name)] for name in ("marginal", "conditional", "residual_variance")},
            "subject_variance": [fit.subject_variance],
            "log_likelihood": [fit.log_likelihood],
            "n_trials": [fit.n_rows],
            "n_subjects": [fit.n_subjects],
            "coding": [coding],
            "random_effects": [random_effects],
            "contrast_centre": [self.centre],
        }
        return make_tables(
            {
                "coefficients": self.coefficients(),
                "variance_explained": explained,
                "predictions": self.predictions(),
                "marginal_means": self.marginal_means(),
                "contrast_slopes": self.contrast_slopes(),
                "interactions": self.interactions(),
            }
        )

    def coefficients(self) -> Columns:
        found = self.fit.estimates(np.eye(len(TERMS)))
        return {
            "term": TERMS,
            "Coef.": found.estimate,
            "Std.Err.": found.standard_error,
            "z": found.estimate / found.standard_error,
            "P>|z|": found.normal_p_value,
            "P>|t|": found.t_p_value,
            "observed_Std.Err.": np.sqrt(np.diag(self.fit.observed_covariance)),
            **_intervals(found),
        }

    def predictions(self) -> Columns:
        cells = list(product(_CODES["side"], _CODES["reward"], range(len(self.contrasts))))
        side, reward = [cell[0] for cell in cells], [cell[1] for cell in cells]
        level = np.array([cell[2] for cell in cells])
        found = self.fit.estimates(task_columns(self.coded[level], _coded("side", side), _coded("reward", reward)))
        return {
            "contrast": self.contrasts[level],
            "side": side,
            "reward": reward,
            "predicted": found.estimate,
            **_intervals(found),
        }

    def marginal_means(self) -> Columns:
        levels: dict[str, tuple[list[str], Array]] = {
            name: (list(codes), np.array(list(codes.values()))) for name, codes in _CODES.items()
        }
        levels["contrast"] = ([f"{contrast:g}" for contrast in self.contrasts], self.coded)
        sample = self.reference == "sample"
        usual = {name: float(getattr(self.usable, name).mean()) if sample else 0.0 for name in _CODES}
        rows = []
        for factor, (_, codes) in levels.items():
            # the coded contrast has a mean of zero
            at = {"contrast": np.zeros(len(codes)), **{name: np.full(len(codes), usual[name]) for name in _CODES}}
            rows.append(task_columns(**{**at, factor: codes}))
        found = self.fit.estimates(np.concatenate(rows))
        return {
            "factor": [factor for factor, (names, _) in levels.items() for _ in names],
            "level": [name for names, _ in levels.values() for name in names],
            "mean": found.estimate,
            **_intervals(found),
            "reference": [self.reference] * len(found.estimate),
        }

    def contrast_slopes(self) -> Columns:
        rewards = list(_CODES["reward"])
        found = self.fit.estimates(_effects("contrast", "reward"))
        columns: dict[str, list[object]] = {"reward": [*rewards], "slope": [*found.estimate]}
        columns |= {name: [*values] for name, values in _intervals(found).items()}
        columns |= {"type": ["population"] * len(rewards), "subject": [None] * len(rewards)}
        if isinstance(self.fit, RandomSlopeFit):
            for subject, own in zip(self.usable.subject_names, self.fit.subject_slopes, strict=True):
                for reward, slope in zip(rewards, found.estimate, strict=True):
                    row = {"reward": reward, "slope": slope + own, "type": "subject", "subject": subject}
                    for name, values in columns.items():
                        values.append(row.get(name, np.nan))
        return dict(columns)

    def interactions(self) -> Columns:
        rows = [(variable, by, level) for variable, by in _INTERACTIONS for level in _CODES[by]]
        found = self.fit.estimates(np.concatenate([_effects(variable, by) for variable, by in _INTERACTIONS]))
        own = self.fit.estimates(np.eye(len(TERMS))[[_term(variable, by) for variable, by, _ in rows]])
        return {
            "effect_of": [variable for variable, _, _ in rows],
            "at": [by for _, by, _ in rows],
            "x_level": [level for _, _, level in rows],
            "effect": found.estimate,
            **_intervals(found),
            "p_interaction": own.normal_p_value,
            "t_p_interaction": own.t_p_value,
        }


def _coded(factor: str, names: Sequence[str]) -> Array:
    return np.array([_CODES[factor][name] for name in names])


def _term(variable: str, by: str) -> int:
    """Return the place of the interaction of two variables."""
    return next(place for place, term in enumerate(TERMS) if sorted(term.split(":")) == sorted([variable, by]))


def _effects(variable: str, by: str) -> Array:
    """Return what coefficients are combined with to give the effect of a variable at the levels of another, (levels, p)."""
    codes = np.array(list(_CODES[by].values()))
    combinations = np.zeros((len(codes), len(TERMS)))
    combinations[:, TERMS.index(variable)] = 1
    combinations[:, _term(variable, by)] = codes
    return combinations


def _intervals(found: LinearEstimates) -> dict[str, Array]:
    ends = (*found.normal_interval, *found.t_interval, found.degrees_of_freedom)
    return dict(zip(_INTERVALS, ends, strict=True))
