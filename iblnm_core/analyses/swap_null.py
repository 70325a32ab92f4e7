"""The swap null of the per-recording models: what a regressor adds when its values come from another recording.

Nothing is drawn at random: each other recording of the target is a permutation. The models are those of `drop_one`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.drop_one import (
    PREDICTORS,
    TERMS,
    CodedRecording,
    design_matrix,
    fit_recordings,
    key_table,
    recording_outcomes,
    terms_with,
)
from iblnm_core.analyses.outcomes import Status, false_discovery_rate
from iblnm_core.analyses.permutation import PooledTest, add_one_p_value, pooled_p_value
from iblnm_core.analyses.swapped_terms import DonorValues, Regressor, SwapModels
from iblnm_core.errors import UnknownOption

Array = NDArray[np.float64]
ObservedRows = Literal["as_donor", "all"]
Alignment = Literal["donor", "position"]

_AT_A_TIME = 4
"""Recordings whose numbers fit into the processor's cache together."""
_RECORDING_TYPES = {
    "predictor": "object",
    "delta_r2": "float64",
    "p_value": "float64",
    "n_donors": "int64",
    "n_failed": "int64",
}
_MOUSE_TYPES = {
    **dict.fromkeys(("target_NM", "event", "predictor", "subject"), "object"),
    **dict.fromkeys(("mean_delta_r2", "p_value", "q_value"), "float64"),
    **dict.fromkeys(("n_sessions", "n_recordings", "n_donors", "n_failed"), "int64"),
}


@dataclass(frozen=True)
class SwapNull:
    """What regressors add in the recordings of a target and event, with their own values and those of donors.

    Attributes
    ----------
    recordings : sequence of CodedRecording
        The r recordings with a fit.
    delta_r2 : ndarray of float64, (r, 6)
        On all rows, by recording and predictor.
    null : ndarray of float64, (r, r, 6)
        By recording, donor and predictor; not a number where the other is no donor or gives a degenerate design.
    observed : ndarray of float64, (r, r, 6)
        With the recording's own values on the rows that the donor's value is from.
    is_donor : ndarray of bool, (r, r)
    """

    recordings: Sequence[CodedRecording]
    delta_r2: Array
    null: Array
    observed: Array
    is_donor: NDArray[np.bool_]


def swap_nulls(
    recordings: Sequence[CodedRecording], minimum_trials: int = 50, exclude_same_mouse: bool = True
) -> tuple[list[SwapNull], pd.DataFrame]:
    """Give every recording the regressors of all other recordings of its target and event, one at a time.

    See `docs/methods/permutation.md`. Other fibres of the same session are no donors.

    Parameters
    ----------
    recordings : sequence of CodedRecording
        As `code_recordings` returns them.
    minimum_trials : int
        Complete trials that a recording needs, as focal recording and as donor.
    exclude_same_mouse : bool
        Whether other sessions of the same mouse are no donors either.

    Returns
    -------
    list of SwapNull
        One for each target and event, sorted by them.
    DataFrame
        An outcome for every recording and event.
    """
    fits, states = fit_recordings(recordings, minimum_trials)
    able = [place for place, (status, _) in enumerate(states) if status is Status.OK]
    able.sort(key=lambda place: _group(recordings[place]))
    nulls = []
    for _, members in groupby(able, key=lambda place: _group(recordings[place])):
        places = list(members)
        group = [recordings[place] for place in places]
        null = _null_of_group(group, fits.delta_r2[places], exclude_same_mouse)
        nulls.append(null)
        for place, is_donor, values in zip(places, null.is_donor, null.null, strict=True):
            if not is_donor.any():
                states[place] = Status.NO_DONORS, "no other recording of target and event to take values from"
            elif np.isnan(values).all():
                states[place] = Status.SINGULAR_DESIGN, "degenerate with the values of every donor"
    return nulls, recording_outcomes("swap_null", recordings, states)


def _group(recording: CodedRecording) -> tuple[str, str]:
    return recording.key.target_NM, recording.key.event


def _null_of_group(group: Sequence[CodedRecording], delta_r2: Array, exclude_same_mouse: bool) -> SwapNull:
    eids = np.array([recording.key.eid for recording in group])
    mice = np.array([recording.key.subject for recording in group])
    is_donor = eids[:, None] != eids
    if exclude_same_mouse:
        is_donor &= mice[:, None] != mice
    regressors = [Regressor.of(terms_with(name), _partners(name), len(TERMS)) for name in PREDICTORS]
    values = [DonorValues.of([r.predictors[:, place] for r in group]) for place in range(len(PREDICTORS))]
    null, observed = (np.full((*is_donor.shape, len(PREDICTORS)), np.nan) for _ in range(2))
    # those of like length together, which wastes the fewest rows of zeros
    with_donors = np.flatnonzero(is_donor.any(axis=1))
    ordered = with_donors[np.argsort(values[0].lengths[with_donors], kind="stable")]
    for rows in np.split(ordered, range(_AT_A_TIME, len(ordered), _AT_A_TIME)) if len(ordered) else []:
        focals = [group[row] for row in rows]
        models = SwapModels(
            [design_matrix(focal.predictors) for focal in focals],
            [focal.response for focal in focals],
            [np.flatnonzero(is_donor[row]) for row in rows],
            values[0].lengths,
        )
        for place, (regressor, of_donors) in enumerate(zip(regressors, values, strict=True)):
            pairs = rows[models.focal], models.donor, place
            null[pairs], observed[pairs] = models.delta_r2(regressor, of_donors)
    return SwapNull(group, delta_r2, null, observed, is_donor)


def _partners(predictor: str) -> list[int]:
    """Return the places in `TERMS` of what a predictor is multiplied with in its terms."""
    interactions = [TERMS[place].split(":") for place in terms_with(predictor)[1:]]
    return [0, *(TERMS.index(b if a == predictor else a) for a, b in interactions)]


def recording_p_values(nulls: Sequence[SwapNull], observed_rows: ObservedRows = "as_donor") -> pd.DataFrame:
    """Return how seldom donors' values explain as much of a recording as its own.

    See `docs/methods/permutation.md`.

    Parameters
    ----------
    nulls : sequence of SwapNull
    observed_rows : {'as_donor', 'all'}
        Rows of the observed value: those of the donor's value that it is compared with, or all.

    Returns
    -------
    DataFrame
        `RECORDING_COLUMNS`, predictor, delta_r2 (on all rows), p_value (null without donors), n_donors, n_failed.

    Raises
    ------
    UnknownOption
        When there is no such choice of rows.
    """
    tables = [key_table([]).assign(**{name: np.array([], dtype=kind) for name, kind in _RECORDING_TYPES.items()})]
    for null in nulls:
        seen = _observed(null, observed_rows)
        for place, predictor in enumerate(PREDICTORS):
            tests = [
                add_one_p_value(seen[row, donors, place], null.null[row, donors, place])
                for row, donors in enumerate(null.is_donor)
            ]
            columns: dict[str, Any] = {
                "predictor": predictor,
                "delta_r2": null.delta_r2[:, place],
                "p_value": [test.p_value for test in tests],
                "n_donors": [test.n_permutations for test in tests],
                "n_failed": [test.n_failed for test in tests],
            }
            tables.append(key_table(null.recordings).assign(**columns))
    return pd.concat(tables, ignore_index=True).astype(_RECORDING_TYPES)


def mouse_p_values(
    nulls: Sequence[SwapNull], observed_rows: ObservedRows = "as_donor", alignment: Alignment = "donor"
) -> pd.DataFrame:
    """Return how seldom donors' values explain as much of a mouse's recordings, on average, as their own.

    See `docs/methods/permutation.md`. Recordings without donors are left out.

    Parameters
    ----------
    nulls : sequence of SwapNull
    observed_rows : {'as_donor', 'all'}
        Rows of the observed values: those of the donor's value that they are compared with, or all.
    alignment : {'donor', 'position'}
        Whether a permutation gives all recordings of a mouse the same donor, or each its own k-th.

    Returns
    -------
    DataFrame
        target_NM, event, predictor, subject, mean_delta_r2 (on all rows), p_value (null without donors), q_value (over the
        table), n_sessions, n_recordings, n_donors, n_failed; sorted by the first four.

    Raises
    ------
    RaggedNull
        When aligned by position and recordings of a mouse differ in their number of donors.
    UnknownOption
        When there is no such choice of rows or alignment.
    """
    if alignment not in ("donor", "position"):
        raise UnknownOption(f"alignment by {alignment!r}; expected donor or position")
    rows = []
    for null in nulls:
        seen = _observed(null, observed_rows)
        mice = np.array([recording.key.subject for recording in null.recordings])
        for mouse in sorted(set(mice)):
            own = np.flatnonzero(mice == mouse)
            with_donors = own[null.is_donor[own].any(axis=1)]
            first = null.recordings[own[0]].key
            used = with_donors if len(with_donors) else own
            for place, predictor in enumerate(PREDICTORS):
                test = _pooled(null, seen, with_donors, place, alignment)
                rows.append(
                    {
                        "target_NM": first.target_NM,
                        "event": first.event,
                        "predictor": predictor,
                        "subject": mouse,
                        "mean_delta_r2": float(null.delta_r2[used, place].mean()),
                        "p_value": test.p_value,
                        "n_sessions": len({null.recordings[row].key.eid for row in used}),
                        "n_recordings": len(used),
                        "n_donors": test.n_permutations,
                        "n_failed": test.n_failed,
                    }
                )
    table = pd.DataFrame(rows, columns=list(_MOUSE_TYPES)).astype(_MOUSE_TYPES)
    table["q_value"] = false_discovery_rate(table["p_value"].to_numpy(np.float64))
    return table.sort_values(list(_MOUSE_TYPES)[:4], ignore_index=True)


def _observed(null: SwapNull, observed_rows: ObservedRows) -> Array:
    if observed_rows not in ("as_donor", "all"):
        raise UnknownOption(f"rows of the observed value {observed_rows!r}; expected as_donor or all")
    whole = np.broadcast_to(null.delta_r2[:, None, :], null.null.shape)
    return null.observed if observed_rows == "as_donor" else whole


def _pooled(null: SwapNull, seen: Array, rows: NDArray[np.intp], place: int, alignment: Alignment) -> PooledTest:
    """Test the mean over some recordings."""
    if not len(rows):
        return PooledTest(np.nan, np.nan, 0, 0)
    if alignment == "donor":
        donors = np.flatnonzero(null.is_donor[rows].any(axis=0))
        return pooled_p_value(list(seen[rows][:, donors, place]), list(null.null[rows][:, donors, place]))
    known = [~np.isnan(null.null[row, :, place]) for row in rows]
    pairs = list(zip(rows, known, strict=True))
    return pooled_p_value(
        [seen[row, is_known, place] for row, is_known in pairs],
        [null.null[row, is_known, place] for row, is_known in pairs],
    )
