"""Response vectors of a cohort compared with each other: similarity and decoding, as tables. The methods are elsewhere."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from iblnm_core.analyses.decoding import TargetNMDecoder, decode_targets
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.response_vectors import MATRIX_LEVELS, NanHandling, complete_features, events_of
from iblnm_core.analyses.similarity import cosine_similarity, pair_table, target_means

ALL_FEATURES = "all"


def cohort_matrix(
    vectors: pd.DataFrame,
    recordings: pd.DataFrame,
    nan_handling: NanHandling = "drop_features",
    threshold: float = 0.3,
) -> pd.DataFrame:
    """Return the response vectors of selected recordings.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    vectors : DataFrame
        The `response_matrix` table.
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    nan_handling : {'drop_sessions', 'drop_features'}
        Drop recordings with any missing value, or features that are missing in too many recordings.
    threshold : float
        Largest fraction of recordings in which a feature that is kept may be missing.

    Returns
    -------
    DataFrame of float64, (r, f)
        Indexed by eid, target_NM, fiber_idx and subject.

    Raises
    ------
    UnknownOption
        When there is no such handling.
    """
    features = vectors.drop(columns="target_NM")
    chosen = recordings[["eid", "fiber_idx", "target_NM", "subject"]].merge(features, on=["eid", "fiber_idx"])
    return complete_features(chosen.set_index([*MATRIX_LEVELS, "subject"]), nan_handling, threshold)


def _feature_sets(matrix: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the features of all events, then those of each."""
    yield ALL_FEATURES, matrix
    for event, features in events_of(matrix.columns).items():
        yield event, matrix[features]


def compare_recordings(matrix: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return how alike the response vectors of recordings are: by pair, by target, and as a matrix.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    matrix : DataFrame
        As `cohort_matrix` returns it.

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `response_similarity_targets`, `response_similarity_pairs`, `response_similarity_matrix` and
        `response_similarity_outcomes`, each for the features of all events together and of each event.
    """
    targets, pairs, matrices, outcomes = [], [], [], []
    for name, features in _feature_sets(matrix):
        similarity = cosine_similarity(features)
        index = similarity.index
        subjects = index.get_level_values("subject")
        left_out = len(features) - len(similarity)
        detail = f"{left_out} of {len(features)} recordings left out for missing features" if left_out else None
        outcome = partial(Outcome, "response_similarity", "", name, detail=detail)
        status = Status.OK if len(similarity) > 1 else Status.NO_DATA
        outcomes.append(outcome(status=status, n_trials=len(similarity), n_subjects=subjects.nunique()))
        if status is not Status.OK:
            continue
        of_pairs = _pairs(similarity)
        pairs.append(of_pairs.assign(features=name))
        targets.append(_by_target(similarity, of_pairs).assign(features=name))
        keys = index.to_frame(index=False)
        labels = [f"{eid}:{fiber}" for eid, fiber in zip(keys["eid"], keys["fiber_idx"], strict=True)]
        columns = pd.DataFrame(similarity.to_numpy(), columns=labels)
        matrices.append(pd.concat([keys.assign(features=name), columns], axis=1))
    return {
        "response_similarity_targets": _rows(targets),
        "response_similarity_pairs": _rows(pairs),
        "response_similarity_matrix": _rows(matrices),
        "response_similarity_outcomes": outcome_table(outcomes),
    }


def _rows(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _pairs(similarity: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of recordings with what they are pairs of."""
    keys = similarity.index.to_frame(index=False)
    pairs = pair_table(similarity, keys["target_NM"])
    first, second = np.triu_indices(len(keys), k=1)
    for place, rows in (("1", first), ("2", second)):
        pairs[f"eid{place}"] = keys["eid"].to_numpy()[rows]
        pairs[f"fiber_idx{place}"] = keys["fiber_idx"].to_numpy()[rows]
    mice = keys["subject"].to_numpy()
    return pairs.assign(same_subject=mice[first] == mice[second])


def _by_target(similarity: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over pairs of targets, and of how many pairs."""
    targets, subjects = (similarity.index.get_level_values(name) for name in ("target_NM", "subject"))
    means, across = target_means(similarity, targets), target_means(similarity, targets, subjects)
    names = list(means.index)
    first, second = np.triu_indices(len(names))
    codes = [pd.Index(names).get_indexer(pd.Index(pairs[group])) for group in ("group1", "group2")]
    low, high = np.minimum(*codes), np.maximum(*codes)
    counts, across_counts = (np.zeros((len(names), len(names)), dtype=np.int64) for _ in range(2))
    np.add.at(counts, (low, high), 1)
    np.add.at(across_counts, (low, high), (~pairs["same_subject"]).to_numpy(np.int64))
    return pd.DataFrame(
        {
            "target1": [names[place] for place in first],
            "target2": [names[place] for place in second],
            "similarity": means.to_numpy()[first, second],
            "n_pairs": counts[first, second],
            "cross_subject_similarity": across.to_numpy()[first, second],
            "n_cross_subject_pairs": across_counts[first, second],
        }
    )


def decoding_tables(matrix: pd.DataFrame, decoder: TargetNMDecoder) -> dict[str, pd.DataFrame]:
    """Return how well targets are decoded from response vectors, and from what.

    See `docs/methods/decoding.md`.

    Parameters
    ----------
    matrix : DataFrame
        As `cohort_matrix` returns it.
    decoder : TargetNMDecoder

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `decoding_scores`, `decoding_confusion`, `decoding_coefficients`, `decoding_contributions`,
        `decoding_predictions` and `target_decoding_outcomes`; without rows but in the last when nothing could be decoded.
    """
    targets, subjects = (matrix.index.get_level_values(name) for name in ("target_NM", "subject"))
    fitted, outcome = decode_targets(matrix, targets, subjects, decoder, ALL_FEATURES)
    tables: dict[str, pd.DataFrame] = {"target_decoding_outcomes": outcome_table([outcome])}
    if fitted is None:
        return tables
    confusion = _long(fitted.confusion, "true", "predicted", "n_recordings")
    totals = confusion.groupby("true")["n_recordings"].transform("sum")
    score = {
        "accuracy": fitted.accuracy,
        "balanced_accuracy": fitted.balanced_accuracy,
        "chance": 1 / len(fitted.confusion),
        "best_C": fitted.best_C,
        "n_valid": fitted.n_valid,
        "n_recordings": outcome.n_trials,
        "n_subjects": outcome.n_subjects,
        "n_features": matrix.shape[1],
    }
    tables |= {
        "decoding_scores": pd.DataFrame([score]),
        "decoding_confusion": confusion.assign(share=confusion["n_recordings"] / totals.where(totals > 0)),
        "decoding_coefficients": _long(fitted.coefficients, "target_NM", "feature", "coefficient"),
        "decoding_contributions": pd.DataFrame() if fitted.contributions is None else fitted.contributions,
        "decoding_predictions": fitted.predictions.drop(columns="target_NM"),
    }
    return {
        name: rows if name.endswith("outcomes") else rows.assign(features=ALL_FEATURES) for name, rows in tables.items()
    }


def _long(table: pd.DataFrame, row: str, column: str, value: str) -> pd.DataFrame:
    """Return a labelled matrix as rows."""
    names = [np.repeat(table.index, table.shape[1]), np.tile(table.columns, len(table))]
    return pd.DataFrame({row: names[0], column: names[1], value: table.to_numpy().ravel()})
