"""Task and movement apart: coefficients of a model with both, canonical correlations of either block, and how steady they are.

The model is that of `drop_one`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from iblnm_core.analyses.behavioural_view import PSYCHOMETRICS
from iblnm_core.analyses.coding import ContrastCoding
from iblnm_core.analyses.cohort_cca import CcaTables, Variant, cohort_cca
from iblnm_core.analyses.components import standardise
from iblnm_core.analyses.drop_one import RECORDING_COLUMNS, TERMS, code_recordings, drop_one
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.rows import Record, require, table_of
from iblnm_core.analyses.session_glm import coefficient_matrix

Array = NDArray[np.float64]

ANALYSIS = "two_block"
CCA = "two_block_cca"
DISPERSION = "dispersion"
BLOCKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"task": ("contrast", "side", "reward"), "movement": ("choice_side", "log_reaction_time", "peak_velocity")}
)
"""Main effects of each block."""
CODING: ContrastCoding = "log2"
_FEWEST_PAIRS = 3
_COEFFICIENT_TYPES = {
    **dict.fromkeys(RECORDING_COLUMNS, "object"),
    "fiber_idx": "int64",
    **dict.fromkeys(("block", "term"), "object"),
    **dict.fromkeys(("coef", "se", "t"), "float64"),
    "n_trials": "int64",
}
_DISPERSION_TYPES = {
    **dict.fromkeys(("subject", "target_NM", "event", "block"), "object"),
    **dict.fromkeys(("neural_dispersion", "behavioral_dispersion"), "float64"),
    **dict.fromkeys(("n_neural_sessions", "n_behavioral_sessions"), "int64"),
}
_TEST_TYPES = {
    **dict.fromkeys(("event", "block"), "object"),
    **dict.fromkeys(("spearman_rho", "p_value"), "float64"),
    **dict.fromkeys(("n", "n_subjects"), "int64"),
}


@dataclass(frozen=True, eq=False)
class TwoBlockModels:
    """The models of all recordings.

    Attributes
    ----------
    coefficients : DataFrame
        `RECORDING_COLUMNS`, block (task, movement, or null for a term of both or of none), term, coef, se, t, n_trials.
    outcomes : DataFrame
        A row for every recording and event: columns of an outcome table, and eid, fiber_idx, subject and brain_region.
    """

    coefficients: pd.DataFrame
    outcomes: pd.DataFrame


@dataclass(frozen=True, eq=False)
class DispersionTables:
    """How much coding and behaviour differ between the sessions of a mouse, and whether they go together.

    Attributes
    ----------
    units : DataFrame
        subject, target_NM, event, block, neural_dispersion, behavioral_dispersion (SDs), n_neural_sessions,
        n_behavioral_sessions.
    tests : DataFrame
        event, block, spearman_rho, p_value, n (units), n_subjects.
    outcomes : DataFrame
        A row for every event and block; `n_trials` counts units.
    """

    units: pd.DataFrame
    tests: pd.DataFrame
    outcomes: pd.DataFrame


def block_terms(terms: Sequence[str], mains: Collection[str]) -> tuple[str, ...]:
    """Return the terms that consist of main effects of a block alone, in their order.

    Parameters
    ----------
    terms : sequence of str
    mains : collection of str
    """
    return tuple(term for term in terms if set(term.split(":")) <= set(mains))


def two_block_models(frame: pd.DataFrame, levels: Sequence[float], minimum_trials: int = 50) -> TwoBlockModels:
    """Fit the model of task and movement to every recording and event.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        As for `code_recordings`.
    levels : sequence of float
        Contrasts of the task, percent.
    minimum_trials : int
        Complete trials that a recording needs.
    """
    found = drop_one(code_recordings(frame, CODING, levels, "all_trials"), minimum_trials, TERMS)
    table = found.coefficients.rename(columns={"regressor": "term", "coef_se": "se"})
    block_of = {term: block for block, mains in BLOCKS.items() for term in block_terms(TERMS, mains)}
    error = table["se"].to_numpy()
    t = np.divide(table["coef"].to_numpy(), error, out=np.full(len(table), np.nan), where=error > 0)
    table = table.assign(t=t, block=pd.Series([block_of.get(term) for term in table["term"]], dtype=object))
    return TwoBlockModels(
        table[list(_COEFFICIENT_TYPES)].astype(_COEFFICIENT_TYPES), found.outcomes.assign(analysis=ANALYSIS)
    )


def block_cca(
    coefficients: pd.DataFrame,
    behavioural: pd.DataFrame,
    n_permutations: int = 1000,
    seed: int = 42,
    variant: Variant = "linear",
) -> CcaTables:
    """Correlate what the recordings of every target code with what their mice do, for every event and block.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    coefficients : DataFrame
        As `two_block_models` returns them.
    behavioural : DataFrame
        As `behavioural_view` returns it.
    n_permutations, seed : int
    variant : {'linear', 'ridge'}

    Returns
    -------
    CcaTables
        As of `cohort_cca`, each with a column block; in the outcomes it is the variable.
    """
    groups = {f"{event}_{block}": (event, block) for event, block in _panels(coefficients)}
    matrices = {label: _block_matrix(coefficients, *group) for label, group in groups.items()}
    found = cohort_cca(matrices, behavioural, n_permutations, seed, variant)
    tables = {field.name: getattr(found, field.name) for field in fields(found)}
    apart = {
        name: _with_block(table, groups, "variable" if name == "outcomes" else "block")
        for name, table in tables.items()
    }
    return CcaTables(**{**apart, "outcomes": apart["outcomes"].assign(analysis=CCA)})


def _panels(coefficients: pd.DataFrame) -> list[tuple[str, str]]:
    return list(product(sorted(coefficients["event"].unique()), BLOCKS))


def _block_matrix(coefficients: pd.DataFrame, event: str, block: str) -> pd.DataFrame:
    return coefficient_matrix(coefficients, event, block_terms(TERMS, BLOCKS[block]))


def _with_block(table: pd.DataFrame, groups: Mapping[str, tuple[str, str]], name: str) -> pd.DataFrame:
    """Return a table whose events name a block, with event and block apart."""
    events, blocks = ([groups[label][place] for label in table["event"]] for place in (0, 1))
    apart = {"event": pd.Series(events, dtype=object), name: pd.Series(blocks, dtype=object)}
    return table.assign(**apart)


def dispersion(values: Array, units: Sequence[str] | ArrayLike) -> "pd.Series[float]":
    """Return how much the rows of each unit differ: the root of the mean variance of the standardised columns.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    values : ndarray of float64, (n, f)
    units : sequence of str, (n,)

    Returns
    -------
    Series of float64
        In SDs over all rows, by unit.
    """
    scaled = pd.DataFrame(standardise(values)).groupby(np.asarray(units, dtype=object))
    variances = scaled.var(ddof=0)
    return np.sqrt(variances.mean(axis=1)) if len(variances) else pd.Series(dtype=np.float64)


def dispersion_tables(
    coefficients: pd.DataFrame, recordings: pd.DataFrame, performance: pd.DataFrame, minimum_sessions: int = 3
) -> DispersionTables:
    """Return whether mice whose coding differs between sessions are those whose behaviour does.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    coefficients : DataFrame
        As `two_block_models` returns them.
    recordings : DataFrame
        eid and subject of the selected recordings.
    performance : DataFrame
        Of the `performance` table: eid and the psychometric function of the unbiased block; one row per session.
    minimum_sessions : int
        Sessions that a mouse needs, with coefficients of the target and with a psychometric function.

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    """
    require(recordings, ("eid", "subject"))
    require(performance, ("eid", *PSYCHOMETRICS))
    sessions = recordings[["eid", "subject"]].drop_duplicates().merge(performance, on="eid", validate="1:1")
    sessions = sessions.dropna(subset=list(PSYCHOMETRICS)).sort_values("eid")
    of_mouse = dispersion(sessions[list(PSYCHOMETRICS)].to_numpy(np.float64), sessions["subject"])
    behaviour = pd.DataFrame(
        {"behavioral_dispersion": of_mouse, "n_behavioral_sessions": sessions.groupby("subject").size()}
    )
    pieces, tests, outcomes = [], list[Record](), []
    for event, block in _panels(coefficients):
        units = _neural_dispersion(_block_matrix(coefficients, event, block)).join(behaviour, on="subject", how="inner")
        enough = units[["n_neural_sessions", "n_behavioral_sessions"]].min(axis=1) >= minimum_sessions
        units = units[enough].assign(event=event, block=block)
        status, result = _association(units)
        n_subjects = units["subject"].nunique()
        outcomes.append(Outcome(DISPERSION, "", event, status, len(units), n_subjects, variable=block))
        tests += [] if result is None else [{"event": event, "block": block, "n_subjects": n_subjects, **result}]
        pieces += [units] if len(units) else []
    table = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=list(_DISPERSION_TYPES))
    return DispersionTables(
        table[list(_DISPERSION_TYPES)].astype(_DISPERSION_TYPES), table_of(tests, _TEST_TYPES), outcome_table(outcomes)
    )


def _neural_dispersion(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return the dispersion of the coefficients of every target and subject, and of how many sessions."""
    keys = matrix.index.to_frame(index=False)
    parts = [pd.DataFrame({"target_NM": [], "subject": [], "neural_dispersion": [], "n_neural_sessions": []})]
    for target in sorted(keys["target_NM"].unique()):
        own = (keys["target_NM"] == target).to_numpy()
        spread = dispersion(matrix.to_numpy(np.float64)[own], keys.loc[own, "subject"])
        counts = keys[own].groupby("subject")["eid"].nunique()
        table = pd.DataFrame({"neural_dispersion": spread, "n_neural_sessions": counts}).rename_axis("subject")
        parts.append(table.reset_index().assign(target_NM=target))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _association(units: pd.DataFrame) -> tuple[Status, Record | None]:
    """Return the rank correlation of both dispersions over units, where there is one."""
    from scipy.stats import spearmanr

    both = units[["neural_dispersion", "behavioral_dispersion"]].to_numpy(np.float64)
    if len(both) < _FEWEST_PAIRS:
        return (Status.TOO_FEW_SUBJECTS if len(both) else Status.NO_DATA), None
    if (np.ptp(both, axis=0) == 0).any():
        return Status.CONSTANT_RESPONSE, None
    found = spearmanr(both[:, 0], both[:, 1])
    return Status.OK, {"spearman_rho": float(found.statistic), "p_value": float(found.pvalue), "n": len(both)}
