"""Planted against recovered, canonical correlations: simulated cohorts with and without something that coding and behaviour share."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.behavioural_view import LATERALISED
from iblnm_core.analyses.cohort_cca import cohort_cca
from iblnm_core.analyses.session_glm import TERMS
from iblnm_core.demo.identity import random_stream
from iblnm_core.demo.recovery_inference import uniformity
from iblnm_core.demo.simulated_cohorts import (
    correlated_views,
    indexed,
    planted_correlation,
    simulated_recordings,
    views_of_mice,
)
from iblnm_core.demo.statistic import LEAST_P, Statistic

Floats = NDArray[np.float64]
_Views = tuple[Floats, Floats]

_N_PERMUTATIONS = 19
_CALLED = 0.05
_LEAST_POWER = 0.9
_LOAD = 1.5
_LARGEST_ERROR = 0.03
_PER_CALL = 20
"""Cohorts that are analysed together, as targets of one event; they are compared with each other, which takes time."""
_POWER, _SIZE, _NOTHING, _MICE = "planted", "planted, large", "nothing planted", "mice differ"


class _Kind(NamedTuple):
    """Cohorts that are simulated alike.

    Attributes
    ----------
    n_cohorts : int
    n_recordings : int
        Of each.
    views : callable
    """

    n_cohorts: int
    n_recordings: int
    views: Callable[[np.random.Generator, int], _Views]


def _planted(rng: np.random.Generator, n: int) -> _Views:
    return correlated_views(rng, n, _LOAD)


def _nothing(rng: np.random.Generator, n: int) -> _Views:
    return correlated_views(rng, n, 0.0)


def _of_mice(rng: np.random.Generator, n: int) -> _Views:
    return views_of_mice(rng, n // 3)


_KINDS = {
    _POWER: _Kind(100, 60, _planted),
    _SIZE: _Kind(20, 400, _planted),
    _NOTHING: _Kind(300, 24, _nothing),
    _MICE: _Kind(300, 36, _of_mice),
}


def recover_cca(seed: int) -> pd.DataFrame:
    """Analyse simulated cohorts.

    Parameters
    ----------
    seed : int

    Returns
    -------
    DataFrame
        One row per cohort: `kind`, n_recordings, correlation, p_session, p_subject.
    """
    return pd.concat([_analysed(name, kind, seed) for name, kind in _KINDS.items()], ignore_index=True)


def _analysed(name: str, kind: _Kind, seed: int) -> pd.DataFrame:
    rng = random_stream(seed, f"canonical correlations, {name}")
    neural, behavioural = {}, []
    for event in range(0, kind.n_cohorts, _PER_CALL):
        coded = []
        for cohort in range(event, event + _PER_CALL):
            keys = simulated_recordings(kind.n_recordings, targets=(f"{cohort:03d}",))
            keys["eid"] = [f"{cohort:03d}{eid}" for eid in keys["eid"]]
            x, y = kind.views(rng, kind.n_recordings)
            coded.append(indexed(x, keys, TERMS[1:]))
            behavioural.append(indexed(y, keys, LATERALISED))
        neural[f"{name} {event}"] = pd.concat(coded)
    summary = cohort_cca(neural, pd.concat(behavioural), _N_PERMUTATIONS, seed).summary
    return summary[["n_recordings", "correlation", "p_session", "p_subject"]].assign(kind=name)


def cca_statistics(found: pd.DataFrame) -> list[Statistic]:
    """Return what is said of canonical correlations.

    Parameters
    ----------
    found : DataFrame
        See `recover_cca`.
    """
    of_kind = {str(name): rows for name, rows in found.groupby("kind")}
    mice = of_kind[_MICE]
    return [
        _power(of_kind[_POWER]),
        _size(of_kind[_SIZE]),
        _uniform(
            of_kind[_NOTHING], "p_session", "p-values of canonical correlations, nothing planted, sessions exchanged"
        ),
        _uniform(mice, "p_subject", "p-values of canonical correlations, mice differ, mice exchanged"),
        Statistic(
            "p-values of canonical correlations, mice differ, sessions exchanged",
            f"5 % at most {_CALLED}",
            _called(mice["p_session"]),
            "reported: anti-conservative, sessions of a mouse are alike",
            holds=True,
        ),
    ]


def _power(rows: pd.DataFrame) -> Statistic:
    shares = {column: float((rows[column] <= _CALLED).mean()) for column in ("p_session", "p_subject")}
    return Statistic(
        "canonical correlation of few recordings is found",
        f"{planted_correlation(_LOAD):.2f}",
        f"p at most {_CALLED} in {100 * shares['p_session']:.0f} % (sessions exchanged), {100 * shares['p_subject']:.0f} % "
        f"(mice exchanged) of {len(rows)} cohorts of {rows['n_recordings'].iloc[0]} recordings; mean {rows['correlation'].mean():.2f}",
        f"{100 * _LEAST_POWER:.0f} % of both",
        min(shares.values()) >= _LEAST_POWER,
    )


def _size(rows: pd.DataFrame) -> Statistic:
    planted, mean = planted_correlation(_LOAD), float(rows["correlation"].mean())
    return Statistic(
        "canonical correlation of many recordings",
        f"{planted:.3f}",
        f"mean {mean:.3f}, SD {rows['correlation'].std():.3f}; {len(rows)} cohorts of {rows['n_recordings'].iloc[0]} recordings",
        f"mean within {_LARGEST_ERROR}",
        abs(mean - planted) <= _LARGEST_ERROR,
    )


def _uniform(rows: pd.DataFrame, column: str, title: str) -> Statistic:
    p_value = uniformity(rows[column].to_numpy(), _N_PERMUTATIONS)
    return Statistic(
        title,
        f"uniform on 1/{_N_PERMUTATIONS + 1}, 2/{_N_PERMUTATIONS + 1}, ..., 1",
        f"{_called(rows[column])}; chi-square p = {p_value:.3f}; {len(rows)} cohorts",
        f"chi-square p at least {LEAST_P}",
        p_value >= LEAST_P,
    )


def _called(p_values: "pd.Series[float]") -> str:
    return f"{100 * float((p_values <= _CALLED).mean()):.1f} % at most {_CALLED}"
