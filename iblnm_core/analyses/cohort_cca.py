"""How the coding of a target goes with the behaviour of the mice: a canonical correlation per target and event, and between targets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.cca import CanonicalPair, View, canonical_pair, cosine, pearson, variance_extracted
from iblnm_core.analyses.cca_permutation import BlockTest, block_test, permuted_correlations, stable_seed
from iblnm_core.analyses.cca_ridge import RidgeChoice, best_held_out, choose_ridge, subject_folds
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.rows import Record, records_of, table_of
from iblnm_core.analyses.session_glm import RECORDING_LEVELS
from iblnm_core.errors import UnknownOption

Array = NDArray[np.float64]
Variant = Literal["linear", "ridge"]

ANALYSIS = "cohort_cca"
NEURAL, BEHAVIORAL = "neural", "behavioral"
_SPARE = 2
"""Recordings beyond the number of features, below which the correlation is certain or nearly so."""
_COMFORTABLE = 3
"""Recordings per feature, below which noise alone is highly correlated."""
_GROUP = {"event": "object", "variant": "object"}
_COUNTS = ("n_recordings", "n_sessions", "n_subjects", "n_features_x", "n_features_y")
_SUMMARY_TYPES = {
    "target_NM": "object",
    **_GROUP,
    **dict.fromkeys(_COUNTS, "int64"),
    "low_n": "bool",
    **dict.fromkeys(("correlation", "held_out_correlation", "p_session", "p_subject"), "float64"),
    **dict.fromkeys(("n_exchangeable_sessions", "n_exchangeable_subjects", "n_permutations", "seed"), "int64"),
    **dict.fromkeys(("x_variance_extracted", "y_variance_extracted", "lambda_x", "lambda_y"), "float64"),
}
_WEIGHT_TYPES = {"target_NM": "object", **_GROUP, "view": "object", "feature": "object", "weight": "float64"}
_SCORE_TYPES = {
    **dict.fromkeys(RECORDING_LEVELS, "object"),
    "fiber_idx": "int64",
    **_GROUP,
    **dict.fromkeys(("x_score", "y_score"), "float64"),
}
_PROJECTION_TYPES = {**_GROUP, "data_target": "object", "weight_target": "object", "correlation": "float64"}
_SIMILARITY_TYPES = {
    **_GROUP,
    **dict.fromkeys(("target_a", "target_b"), "object"),
    **dict.fromkeys(("neural_cosine", "behavioral_cosine"), "float64"),
}


_TYPES: Mapping[str, Mapping[str, str]] = {
    "summary": _SUMMARY_TYPES,
    "weights": _WEIGHT_TYPES,
    "scores": _SCORE_TYPES,
    "cross_projection": _PROJECTION_TYPES,
    "weight_similarity": _SIMILARITY_TYPES,
}


@dataclass(frozen=True, eq=False)
class CcaTables:
    """Canonical correlations of all targets and events; x is what neurons code, y what mice do.

    Attributes
    ----------
    summary : DataFrame
        target_NM, event, variant, n_recordings, n_sessions, n_subjects, n_features_x, n_features_y (that vary), low_n,
        correlation, held_out_correlation (null without ridge), p_session, p_subject (null where no two blocks can be
        exchanged), n_exchangeable_sessions, n_exchangeable_subjects, n_permutations, seed, x_variance_extracted,
        y_variance_extracted (0-1), lambda_x, lambda_y.
    weights : DataFrame
        target_NM, event, variant, view (neural or behavioral), feature, weight.
    scores : DataFrame
        `RECORDING_LEVELS`, event, variant, x_score, y_score.
    cross_projection : DataFrame
        event, variant, data_target, weight_target, correlation: of the data of a target with the weights of another.
    weight_similarity : DataFrame
        event, variant, target_a, target_b, neural_cosine, behavioral_cosine.
    outcomes : DataFrame
        A row for every target and event; `n_trials` counts recordings.
    """

    summary: pd.DataFrame
    weights: pd.DataFrame
    scores: pd.DataFrame
    cross_projection: pd.DataFrame
    weight_similarity: pd.DataFrame
    outcomes: pd.DataFrame


@dataclass(frozen=True)
class _Settings:
    """How cohorts are analysed.

    Attributes
    ----------
    n_permutations, seed : int
    variant : {'linear', 'ridge'}
    """

    n_permutations: int
    seed: int
    variant: Variant


@dataclass(frozen=True, eq=False)
class _Cohort:
    """The recordings of a target that both views are known of, and what came of them.

    Attributes
    ----------
    target : str
    index : DataFrame
        `RECORDING_LEVELS`, by session and fibre.
    x, y : View
        Without ridge.
    pair : CanonicalPair
    summary : dict
    """

    target: str
    index: pd.DataFrame
    x: View
    y: View
    pair: CanonicalPair
    summary: Record

    def flipped(self) -> "_Cohort":
        pair = replace(self.pair, x_weights=-self.pair.x_weights, y_weights=-self.pair.y_weights)
        return replace(self, pair=pair)


def cohort_cca(
    neural: Mapping[str, pd.DataFrame],
    behavioural: pd.DataFrame,
    n_permutations: int = 1000,
    seed: int = 42,
    variant: Variant = "linear",
) -> CcaTables:
    """Correlate what the recordings of every target code with what their mice do, for every event.

    See `docs/methods/task_encoding.md`. A target that cannot be analysed says why in its outcome and concerns no other; what
    permutations are drawn depends on seed, event and target alone.

    Parameters
    ----------
    neural : mapping of str to DataFrame
        By event, as `coefficient_matrix` returns it.
    behavioural : DataFrame
        As `behavioural_view` returns it.
    n_permutations : int
    seed : int
    variant : {'linear', 'ridge'}
        Without penalty, or with those that predict subjects left out best.

    Raises
    ------
    UnknownOption
        When there is no such variant.
    ValueError
        When a recording is there twice.
    """
    if variant not in get_args(Variant):
        raise UnknownOption(f"variant {variant!r}; expected one of {', '.join(get_args(Variant))}")
    settings = _Settings(n_permutations, seed, variant)
    records: dict[str, list[Record]] = {name: [] for name in _TYPES}
    outcomes: list[Outcome] = []
    for event, matrix in neural.items():
        cohorts = []
        for target, rows in _targets(matrix, behavioural):
            outcome, cohort = _analysed(target, rows, matrix.shape[1], event, settings)
            outcomes.append(outcome)
            cohorts += [] if cohort is None else [cohort]
        of_event = _records(_aligned(cohorts), list(matrix.columns), list(behavioural.columns))
        for name, rows_of_table in of_event.items():
            records[name] += [{**row, "event": event, "variant": variant} for row in rows_of_table]
    tables = {name: table_of(rows, _TYPES[name]) for name, rows in records.items()}
    return CcaTables(**tables, outcomes=outcome_table(outcomes))


def _targets(matrix: pd.DataFrame, behavioural: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the recordings of every target, by session and fibre, with both views side by side."""
    for table in (matrix, behavioural):
        if table.index.has_duplicates:
            raise ValueError(f"recording {table.index[table.index.duplicated()][0]} is there twice; expected once")
    both = pd.concat([matrix, behavioural.reindex(matrix.index)], axis=1).sort_index(level=["eid", "fiber_idx"])
    targets = both.index.get_level_values("target_NM").to_numpy(object)
    for target in sorted(set(targets)):
        yield str(target), both[targets == target]


def _analysed(
    target: str, rows: pd.DataFrame, n_neural: int, event: str, settings: _Settings
) -> tuple[Outcome, _Cohort | None]:
    """Analyse the complete recordings of a target if they are enough."""
    complete = np.isfinite(rows.to_numpy(np.float64)).all(axis=1)
    index, values = rows.index[complete].to_frame(index=False), rows.to_numpy(np.float64)[complete]
    cohort = None
    status, detail = (Status.OK, None) if len(index) else (Status.MISSING_INPUT, None)
    if len(index):
        x, y = View.of(values[:, :n_neural]), View.of(values[:, n_neural:])
        status, detail = _standing(index, x, y, settings.variant)
        cohort = _fit(target, event, index, x, y, settings) if status is Status.OK else None
    n_lacking = len(rows) - len(index)
    lacking = f"{n_lacking} of {len(rows)} recordings left out for missing values" if n_lacking else None
    detail = "; ".join(filter(None, (lacking, detail))) or None
    return Outcome(ANALYSIS, target, event, status, len(index), index["subject"].nunique(), detail=detail), cohort


def _standing(index: pd.DataFrame, x: View, y: View, variant: Variant) -> tuple[Status, str | None]:
    """Return whether there are enough recordings for the features that vary."""
    n_x, n_y = x.n_varying, y.n_varying
    if not n_x or not n_y:
        return Status.DEGENERATE, f"no {'behaviour' if n_x else 'coefficient'} varies"
    needed = n_x + n_y + _SPARE
    if len(index) < needed:
        found = f"{len(index)} recordings; expected at least {needed} for {n_x} coefficients and {n_y} behaviours"
        return Status.DEGENERATE, found
    if variant == "ridge" and index["subject"].nunique() < 2:
        return Status.TOO_FEW_SUBJECTS, "no subject can be left out"
    return Status.OK, None


def _fit(target: str, event: str, index: pd.DataFrame, x: View, y: View, settings: _Settings) -> _Cohort:
    """Return the canonical pair of a target, and how often exchanged sessions are as correlated."""
    statistic, choice = partial(permuted_correlations, x, y), RidgeChoice(0.0, 0.0, np.nan)
    if settings.variant == "ridge":
        folds = subject_folds(index["subject"])
        choice = choose_ridge(x.standardised, y.standardised, folds)
        statistic = partial(best_held_out, x.standardised, y.standardised, folds)
    pair = canonical_pair(View.of(x.standardised, choice.x_ridge), View.of(y.standardised, choice.y_ridge))
    seed = stable_seed(settings.seed, (event, target))
    tests = [block_test(statistic, index[block], settings.n_permutations, seed) for block in ("eid", "subject")]
    summary = {
        **_sizes(index, (x.n_varying, y.n_varying)),
        "correlation": pair.correlation,
        "held_out_correlation": choice.held_out,
        **_tests(*tests),
        "n_permutations": settings.n_permutations,
        "seed": seed,
        "x_variance_extracted": variance_extracted(x.standardised, x.standardised @ pair.x_weights),
        "y_variance_extracted": variance_extracted(y.standardised, y.standardised @ pair.y_weights),
        "lambda_x": choice.x_ridge,
        "lambda_y": choice.y_ridge,
    }
    return _Cohort(target, index, x, y, pair, summary)


def _sizes(index: pd.DataFrame, n_features: tuple[int, int]) -> Record:
    counts = (len(index), index["eid"].nunique(), index["subject"].nunique(), *n_features)
    return {**dict(zip(_COUNTS, counts, strict=True)), "low_n": len(index) < _COMFORTABLE * sum(n_features)}


def _tests(by_session: BlockTest, by_subject: BlockTest) -> Record:
    return {
        "p_session": by_session.p_value,
        "p_subject": by_subject.p_value,
        "n_exchangeable_sessions": by_session.n_exchangeable,
        "n_exchangeable_subjects": by_subject.n_exchangeable,
    }


def _aligned(cohorts: Sequence[_Cohort]) -> list[_Cohort]:
    """Return cohorts with the sign by which their neural weights are most like those of the first one."""
    if not cohorts:
        return []
    reference = cohorts[0].pair.x_weights
    return [cohort.flipped() if cohort.pair.x_weights @ reference < 0 else cohort for cohort in cohorts]


def _records(cohorts: Sequence[_Cohort], neural: Sequence[str], behavioural: Sequence[str]) -> dict[str, list[Record]]:
    """Return the rows of the tables of an event."""
    records: dict[str, list[Record]] = {name: [] for name in _TYPES}
    for cohort in cohorts:
        records["summary"].append({"target_NM": cohort.target, **cohort.summary})
        views = ((NEURAL, neural, cohort.pair.x_weights), (BEHAVIORAL, behavioural, cohort.pair.y_weights))
        for view, features, weights in views:
            records["weights"] += [
                {"target_NM": cohort.target, "view": view, "feature": feature, "weight": weight}
                for feature, weight in zip(features, weights, strict=True)
            ]
        x_score, y_score = _projected(cohort, cohort)
        records["scores"] += records_of(cohort.index.assign(x_score=x_score, y_score=y_score))
    for a, b in product(cohorts, repeat=2):
        correlation = pearson(*_projected(a, b))
        records["cross_projection"].append(
            {"data_target": a.target, "weight_target": b.target, "correlation": correlation}
        )
        cosines = {
            "neural_cosine": cosine(a.pair.x_weights, b.pair.x_weights),
            "behavioral_cosine": cosine(a.pair.y_weights, b.pair.y_weights),
        }
        records["weight_similarity"].append({"target_a": a.target, "target_b": b.target, **cosines})
    return records


def _projected(data: _Cohort, weights: _Cohort) -> tuple[Array, Array]:
    """Return the scores of the recordings of a target with the weights of another."""
    return data.x.standardised @ weights.pair.x_weights, data.y.standardised @ weights.pair.y_weights
