"""Response vectors: one number per event, contrast, side and outcome for each recording, and their matrix over recordings."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import CONTRA, IPSI
from iblnm_core.errors import MissingPrerequisite, UnknownOption
from iblnm_core.parameters import PRESETS

Array = NDArray[np.float64]
Normalisation = Literal["none", "min_max"]
NanHandling = Literal["drop_sessions", "drop_features"]

VECTOR_EVENTS = ("stimOn_times", "feedback_times")
MATRIX_LEVELS = ("eid", "target_NM", "fiber_idx")
"""Index of a response matrix: what tells recordings apart."""
_SIDES = (CONTRA, IPSI)
_OUTCOMES: Mapping[str, int] = {"correct": 1, "incorrect": -1}


def feature_label(event: str, contrast: float, side: str, outcome: str) -> str:
    """Return the name of a feature, such as `stimOn_c6.25_ipsi_incorrect`.

    Parameters
    ----------
    event : str
        With or without the suffix `_times`.
    contrast : float
        Percent, unsigned.
    side : {'contra', 'ipsi'}
    outcome : {'correct', 'incorrect'}
    """
    number = np.format_float_positional(contrast, trim="-")
    return f"{event.removesuffix('_times')}_c{number}_{side}_{outcome}"


def feature_order(labels: Iterable[str]) -> list[str]:
    """Return features in the order of a vector: event as in a trial, contrast, contra before ipsi, correct before incorrect.

    Parameters
    ----------
    labels : iterable of str
    """
    events = [event.removesuffix("_times") for event in PRESETS["default"].responses.events]

    def place(label: str) -> tuple[int, str, float, int, int]:
        event, _, rest = label.partition("_c")
        contrast, side, outcome = rest.split("_")
        known = events.index(event) if event in events else len(events)
        return known, event, float(contrast), _SIDES.index(side), list(_OUTCOMES).index(outcome)

    return sorted(labels, key=place)


def response_vector(
    magnitudes: pd.DataFrame,
    trials: pd.DataFrame,
    used: NDArray[np.bool_],
    events: Sequence[str] = VECTOR_EVENTS,
    min_trials: int = 1,
    normalisation: Normalisation = "none",
) -> pd.Series:
    """Return the mean response of one recording for each event, contrast, side and outcome.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    magnitudes : DataFrame
        Columns `event`, `trial` and `response` (z; not finite where unknown), at most one row per event and trial.
    trials : DataFrame, n rows
        Indexed by trial number; columns `side` (contra, ipsi or null), `contrast` (percent), `feedbackType` (1, -1).
    used : ndarray of bool, (n,)
        Which trials count. The contrasts of the vector are those of all trials.
    events : sequence of str
        In this order; one without magnitudes has missing values.
    min_trials : int
        A cell with fewer used trials, with or without a known response, is missing.
    normalisation : {'none', 'min_max'}

    Returns
    -------
    Series of float64, (4 e l,)
        For e events and l contrasts, by label: event, contrast ascending, contra before ipsi, correct before incorrect.

    Raises
    ------
    UnknownOption
        When there is no such normalisation.
    MissingPrerequisite
        When a column is not there.
    """
    _require(magnitudes, ("event", "trial", "response"), "magnitudes")
    _require(trials, ("side", "contrast", "feedbackType"), "trials")
    levels, cells = _cells(trials)
    cells = np.where(used, cells, -1)
    n_cells = len(levels) * len(_SIDES) * len(_OUTCOMES)
    counts = np.bincount(cells[cells >= 0], minlength=n_cells)

    places = trials.index.get_indexer(pd.Index(magnitudes["trial"]))
    event_codes = pd.Index(events).get_indexer(pd.Index(magnitudes["event"]))
    response = magnitudes["response"].to_numpy(np.float64)
    cell = np.where(places >= 0, cells[places], -1) if len(cells) else np.full(len(places), -1)
    known = (event_codes >= 0) & (cell >= 0) & np.isfinite(response)
    at = event_codes[known] * n_cells + cell[known]
    sums = np.bincount(at, weights=response[known], minlength=len(events) * n_cells)
    n_known = np.bincount(at, minlength=len(events) * n_cells)
    enough = (n_known > 0) & (np.tile(counts, len(events)) >= min_trials)
    means = np.divide(sums, n_known, out=np.full(len(sums), np.nan), where=enough)

    labels = [feature_label(*names) for names in product(events, levels.tolist(), _SIDES, _OUTCOMES)]
    return pd.Series(normalise(means, normalisation), index=labels, dtype=np.float64)


def _require(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise MissingPrerequisite(f"the {name} have no column {', '.join(missing)}, which a response vector needs")


def _cells(trials: pd.DataFrame) -> tuple[Array, NDArray[np.intp]]:
    """Return the contrasts of a session and each trial's place among contrast, side and outcome; -1 where one is unknown."""
    contrast = trials["contrast"].to_numpy(np.float64)
    levels = np.unique(contrast[~np.isnan(contrast)])
    if len(levels):
        levels = levels[np.append(True, ~np.isclose(levels[1:], levels[:-1]))]
    place = np.searchsorted(levels, contrast, side="right") - 1
    side = pd.Index(_SIDES).get_indexer(pd.Index(trials["side"]))
    outcome = pd.Index(list(_OUTCOMES.values())).get_indexer(pd.Index(trials["feedbackType"]))
    known = ~np.isnan(contrast) & (side >= 0) & (outcome >= 0)
    return levels, np.where(known, (place * len(_SIDES) + side) * len(_OUTCOMES) + outcome, -1)


def normalise(values: Array, normalisation: Normalisation) -> Array:
    """Return values on the scale of a normalisation.

    Parameters
    ----------
    values : ndarray of float64, (f,)
        Missing ones stay missing and do not count.
    normalisation : {'none', 'min_max'}
        As they are, or from 0 for the smallest to 1 for the largest; as they are too when all are equal.

    Raises
    ------
    UnknownOption
        When there is no such normalisation.
    """
    if normalisation not in ("none", "min_max"):
        raise UnknownOption(f"normalisation {normalisation!r}; expected one of none, min_max")
    known = values[~np.isnan(values)]
    if normalisation == "none" or not len(known) or known.min() == known.max():
        return values
    scaled: Array = (values - known.min()) / (known.max() - known.min())
    return scaled


def response_matrix(
    vectors: Mapping[tuple[str, str, int], pd.Series],
    nan_handling: NanHandling = "drop_sessions",
    threshold: float = 0.3,
) -> pd.DataFrame:
    """Return the response vectors of many recordings as rows of one matrix.

    See `docs/methods/response_vectors.md`.

    Parameters
    ----------
    vectors : mapping of (eid, target_NM, fiber_idx) to Series of float64
        Rows come in this order, columns in the order in which their labels first appear.
    nan_handling : {'drop_sessions', 'drop_features'}
        Drop recordings with any missing value, or features that are missing in too many recordings.
    threshold : float
        Largest fraction of recordings in which a feature that is kept may be missing.

    Returns
    -------
    DataFrame of float64, (r, f)
        Indexed by eid, target_NM and fiber_idx. With `drop_features` some values may still be missing.

    Raises
    ------
    UnknownOption
        When there is no such handling.
    """
    column: dict[str, int] = {}
    for vector in vectors.values():
        for label in vector.index:
            column.setdefault(label, len(column))
    values = np.full((len(vectors), len(column)), np.nan)
    for row, vector in zip(values, vectors.values(), strict=True):
        row[[column[label] for label in vector.index]] = vector.to_numpy(np.float64)
    keys = [list(level) for level in zip(*vectors, strict=True)] if vectors else [[], [], []]
    index = pd.MultiIndex.from_arrays(keys, names=MATRIX_LEVELS)
    return complete_features(pd.DataFrame(values, index=index, columns=list(column)), nan_handling, threshold)


def complete_features(matrix: pd.DataFrame, nan_handling: NanHandling, threshold: float = 0.3) -> pd.DataFrame:
    """Return a response matrix without the recordings, or the features, that miss too much.

    Parameters
    ----------
    matrix : DataFrame of float64, (r, f)
    nan_handling : {'drop_sessions', 'drop_features'}
        Drop recordings with any missing value, or features that are missing in too many recordings.
    threshold : float
        Largest fraction of recordings in which a feature that is kept may be missing.

    Raises
    ------
    UnknownOption
        When there is no such handling.
    """
    missing = matrix.isna().to_numpy()
    if nan_handling == "drop_sessions":
        return matrix.iloc[np.flatnonzero(~missing.any(axis=1))]
    if nan_handling == "drop_features":
        kept = np.flatnonzero(missing.sum(axis=0) <= threshold * len(matrix))
        return matrix.iloc[:, kept]
    raise UnknownOption(f"nan_handling {nan_handling!r}; expected one of drop_sessions, drop_features")


def events_of(columns: Iterable[str]) -> dict[str, list[str]]:
    """Return the features of each event, both in the order in which they appear.

    Parameters
    ----------
    columns : iterable of str
        Labels; the event stands before the first `_c`.
    """
    events: dict[str, list[str]] = {}
    for column in columns:
        events.setdefault(column.partition("_c")[0], []).append(column)
    return events
