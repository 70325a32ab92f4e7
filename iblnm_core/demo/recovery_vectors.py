"""Planted against recovered, response vectors of the ruler cohort: how alike they are, and how well targets are told apart by them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.decoding import TargetNMDecoder
from iblnm_core.analyses.response_vectors import response_matrix, response_vector
from iblnm_core.analyses.similarity import cosine_similarity, target_means
from iblnm_core.demo.identity import random_stream
from iblnm_core.demo.statistic import Statistic

Floats = NDArray[np.float64]

_EVENTS = ("stimOn", "feedback")
_LARGEST_MISSING_SHARE = 0.1
"""Errors at high contrasts are rare in twelve minutes: their features are missing in most recordings."""
_PENALTY_WEIGHT = 1.0
_N_DRAWS = 20
_N_RELABELLED = 999
_LEAST_ACCURACY = 0.6


@dataclass(frozen=True)
class VectorsRecovered:
    """What response vectors tell of targets.

    Attributes
    ----------
    similarity : DataFrame
        Mean cosine similarity of recordings of different mice, a row per pair of targets: `first`, `second`, `noise_free`, `found`.
    excess : float
        Mean similarity within targets less that between them.
    relabelled : ndarray of float64, (999,)
        The same when mice swap their targets.
    confusion : DataFrame
        True targets in rows, decoded ones in columns.
    accuracy_noise_free : float
        Of vectors without noise.
    drawn : ndarray of float64, (20,)
        Accuracy when every mouse has a target drawn by lot.
    """

    similarity: pd.DataFrame
    excess: float
    relabelled: Floats
    confusion: pd.DataFrame
    accuracy_noise_free: float
    drawn: Floats


def recover_vectors(frame: pd.DataFrame, seed: int) -> VectorsRecovered:
    """Compare the recordings of a cohort by their response vectors.

    Parameters
    ----------
    frame : DataFrame
        Trials of all blocks, see `recovery_models.cohort_frame`.
    seed : int
        Of the cohort.
    """
    matrices = {column: vector_matrix(frame, column) for column in ("response", "noise_free")}
    subjects = {name: subjects_of(frame, matrix) for name, matrix in matrices.items()}
    means = {name: similarity_of_targets(matrix, subjects[name]) for name, matrix in matrices.items()}
    found, mice = matrices["response"], subjects["response"]
    excess, relabelled = relabelled_excess(found, mice, random_stream(seed, "relabelled mice"))
    return VectorsRecovered(
        similarity=_by_pair(means["noise_free"], means["response"]),
        excess=excess,
        relabelled=relabelled,
        confusion=_decoded(found, _targets(found), mice).confusion,
        accuracy_noise_free=_decoded(
            matrices["noise_free"], _targets(matrices["noise_free"]), subjects["noise_free"]
        ).accuracy,
        drawn=drawn_accuracies(found, mice, mice, random_stream(seed, "drawn targets")),
    )


def vector_matrix(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the response vectors of all recordings that have a full one.

    Parameters
    ----------
    frame : DataFrame
        See `recovery_models.cohort_frame`.
    column : str
        Of the magnitudes.
    """
    vectors = {}
    for (eid, target, fiber), rows in frame.groupby(["eid", "target_NM", "fiber_idx"]):
        trials = rows.drop_duplicates("trial").set_index("trial")
        magnitudes = rows[["event", "trial"]].assign(response=rows[column])
        used = np.ones(len(trials), dtype=np.bool_)
        vectors[str(eid), str(target), int(str(fiber))] = response_vector(magnitudes, trials, used, _EVENTS)
    return response_matrix(vectors, "drop_features", _LARGEST_MISSING_SHARE).dropna()


def subjects_of(frame: pd.DataFrame, matrix: pd.DataFrame) -> NDArray[np.object_]:
    """Return the mouse of every row of a matrix.

    Parameters
    ----------
    frame : DataFrame
        See `recovery_models.cohort_frame`.
    matrix : DataFrame
        See `vector_matrix`.
    """
    by_session = frame.drop_duplicates("eid").set_index("eid")["subject"]
    return by_session.loc[matrix.index.get_level_values("eid")].to_numpy(object)


def _targets(matrix: pd.DataFrame) -> NDArray[np.object_]:
    return matrix.index.get_level_values("target_NM").to_numpy(object)


def similarity_of_targets(matrix: pd.DataFrame, subjects: NDArray[np.object_]) -> pd.DataFrame:
    """Return the mean similarity of recordings of any two targets, those of the same mouse aside.

    Parameters
    ----------
    matrix : DataFrame
        See `vector_matrix`.
    subjects : ndarray of object, (r,)
    """
    return target_means(cosine_similarity(matrix), _targets(matrix), subjects)


def _by_pair(noise_free: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    names = list(found.index)
    pairs = [(first, second) for place, first in enumerate(names) for second in names[place:]]
    table = pd.DataFrame(pairs, columns=["first", "second"])
    values = {
        name: [means.loc[first, second] for first, second in pairs]
        for name, means in (("noise_free", noise_free), ("found", found))
    }
    return table.assign(**values)


def relabelled_excess(
    matrix: pd.DataFrame, subjects: NDArray[np.object_], rng: np.random.Generator
) -> tuple[float, Floats]:
    """Return how much more alike recordings of one target are than those of two, and the same when mice swap targets.

    Parameters
    ----------
    matrix : DataFrame
        See `vector_matrix`.
    subjects : ndarray of object, (r,)
    rng : numpy.random.Generator

    Returns
    -------
    excess : float
    relabelled : ndarray of float64, (999,)
    """
    mice, first = np.unique(subjects, return_index=True)
    # all that relabelling needs is how alike any two mice are
    alike = target_means(cosine_similarity(matrix), subjects, subjects).to_numpy(np.float64)
    labels = _targets(matrix)[first]
    others = ~np.eye(len(mice), dtype=np.bool_)

    def excess(of_mouse: NDArray[np.object_]) -> float:
        same = of_mouse[:, None] == of_mouse
        return float(alike[same & others].mean() - alike[~same].mean())

    return excess(labels), np.array([excess(rng.permutation(labels)) for _ in range(_N_RELABELLED)])


def _decoded(matrix: pd.DataFrame, targets: NDArray[np.object_], held_out: NDArray[np.object_]) -> TargetNMDecoder:
    return TargetNMDecoder(C=_PENALTY_WEIGHT, contributions=False).fit(matrix, targets, held_out)


def drawn_accuracies(
    matrix: pd.DataFrame,
    subjects: NDArray[np.object_],
    held_out: NDArray[np.object_],
    rng: np.random.Generator,
    n_draws: int = _N_DRAWS,
) -> Floats:
    """Return how often targets are decoded that mean nothing, as every mouse has one drawn by lot.

    Parameters
    ----------
    matrix : DataFrame
        See `vector_matrix`.
    subjects : ndarray of object, (r,)
        Recordings of a mouse share the target that is drawn.
    held_out : ndarray of object, (r,)
        Recordings with the same value are left out of the model together.
    rng : numpy.random.Generator
    n_draws : int

    Returns
    -------
    ndarray of float64, (n_draws,)
    """
    names = np.unique(_targets(matrix))
    mice, place = np.unique(subjects, return_inverse=True)
    return np.array([_decoded(matrix, rng.choice(names, len(mice))[place], held_out).accuracy for _ in range(n_draws)])


def vector_statistics(recovered: VectorsRecovered) -> list[Statistic]:
    """Return what is said of response vectors.

    Parameters
    ----------
    recovered : VectorsRecovered
    """
    return [_alike(recovered), _pairs(recovered.similarity), _own_first(recovered.similarity), *_decoding(recovered)]


def _alike(recovered: VectorsRecovered) -> Statistic:
    p_value = (1 + int((recovered.relabelled >= recovered.excess).sum())) / (1 + len(recovered.relabelled))
    pairs = recovered.similarity
    within = pairs["first"] == pairs["second"]
    means = {
        name: (pairs.loc[within, name].mean(), pairs.loc[~within, name].mean()) for name in ("noise_free", "found")
    }
    return Statistic(
        "similarity of recordings of different mice, within targets and between",
        "noise-free {:.2f} and {:.2f}".format(*means["noise_free"]),
        "{:.2f} and {:.2f}; p = {:.3f} when mice swap targets".format(*means["found"], p_value),
        "more within, p at most 0.01",
        recovered.excess > 0 and p_value <= 0.01,
    )


def _pairs(pairs: pd.DataFrame) -> Statistic:
    r = float(pairs["found"].corr(pairs["noise_free"]))
    bias = float((pairs["found"] - pairs["noise_free"]).mean())
    return Statistic(
        "similarity of any two targets",
        "that of noise-free vectors",
        f"r = {r:.3f} over {len(pairs)} pairs, error {bias:+.2f}",
        "r at least 0.95, error from -0.15 to 0",
        r >= 0.95 and -0.15 <= bias <= 0,
    )


def _own_first(pairs: pd.DataFrame) -> Statistic:
    nearest = {name: _nearest(pairs, name) for name in ("noise_free", "found")}
    described = {name: ", ".join(f"{a} {b}" for a, b in found.items()) for name, found in nearest.items()}
    return Statistic(
        "target that recordings of each are most like",
        f"noise-free: {described['noise_free']}",
        described["found"],
        "reported: planted alike",
        holds=True,
    )


def _nearest(pairs: pd.DataFrame, column: str) -> dict[str, str]:
    """Return for each target the one with the highest similarity."""
    turned = pairs.rename(columns={"first": "second", "second": "first"})
    both: pd.DataFrame = pd.concat([pairs, turned], ignore_index=True)
    best = both.loc[both.groupby("first")[column].idxmax()]
    return {_short(a): _short(b) for a, b in zip(best["first"], best["second"], strict=True)}


def _decoding(recovered: VectorsRecovered) -> list[Statistic]:
    counts = recovered.confusion.to_numpy(np.float64)
    accuracy, names = counts.trace() / counts.sum(), list(recovered.confusion.index)
    chance, drawn = 1 / len(names), recovered.drawn
    error = float(drawn.std(ddof=1) / np.sqrt(len(drawn)))
    shares = _percent(names, 100 * counts.diagonal() / counts.sum(axis=1))
    return [
        Statistic(
            "targets decoded, mice left out",
            f"noise-free {100 * recovered.accuracy_noise_free:.0f} %; chance {100 * chance:.0f} %",
            f"{100 * accuracy:.0f} % of {counts.sum():.0f} recordings: {shares}",
            f"at least {100 * _LEAST_ACCURACY:.0f} %",
            accuracy >= _LEAST_ACCURACY,
        ),
        Statistic(
            "targets decoded that are drawn by lot for each mouse",
            f"chance {100 * chance:.0f} %",
            f"mean {100 * drawn.mean():.1f} % (SE {100 * error:.1f} %) of {len(drawn)} draws, {100 * drawn.min():.0f} to "
            f"{100 * drawn.max():.0f} %",
            "mean within 3 SE",
            abs(float(drawn.mean()) - chance) <= 3 * error,
        ),
    ]


def _percent(names: Sequence[str], values: Floats) -> str:
    return ", ".join(f"{_short(name)} {value:.0f} %" for name, value in zip(names, values, strict=True))


def _short(target: object) -> str:
    return str(target).partition("-")[0]
