"""Simulated cohorts for canonical correlations: what recordings code and what mice do, with and without something in common."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.session_glm import RECORDING_LEVELS

Floats = NDArray[np.float64]

N_CODED, N_BEHAVIOURS = 6, 4
_SECOND_LOAD = 0.5
"""Of the second coefficient that has to do with behaviour, relative to the first one."""


def simulated_recordings(
    n: int, targets: Sequence[str] = ("DR-5HT", "LC-NE", "VTA-DA"), per_mouse: int = 3
) -> pd.DataFrame:
    """Return recordings, one session each.

    Parameters
    ----------
    n : int
    targets : sequence of str
        Each mouse has one of them.
    per_mouse : int
        Sessions.

    Returns
    -------
    DataFrame
        eid, fiber_idx, subject, session_type, target_NM, brain_region, hemisphere.
    """
    mice = [i // per_mouse for i in range(n)]
    return pd.DataFrame(
        {
            "eid": [f"e{i:04d}" for i in range(n)],
            "fiber_idx": 0,
            "subject": [f"m{mouse:03d}" for mouse in mice],
            "session_type": "biased",
            "target_NM": [targets[mouse % len(targets)] for mouse in mice],
            "brain_region": [targets[mouse % len(targets)].partition("-")[0] for mouse in mice],
            "hemisphere": ["lr"[i % 2] for i in range(n)],
        }
    )


def indexed(values: Floats, keys: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return values of recordings as a matrix of coefficients or behaviour.

    Parameters
    ----------
    values : ndarray of float64, (r, c)
    keys : DataFrame
        See `simulated_recordings`.
    columns : sequence of str
        Names of the c columns.
    """
    return pd.DataFrame(values, columns=list(columns), index=pd.MultiIndex.from_frame(keys[list(RECORDING_LEVELS)]))


def correlated_views(rng: np.random.Generator, n: int, load: float) -> tuple[Floats, Floats]:
    """Return coefficients and behaviour that one hidden variable has a part in.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        Recordings.
    load : float
        Of the hidden variable, in units of the noise; 0 for none.

    Returns
    -------
    coefficients : ndarray of float64, (n, 6)
    behaviour : ndarray of float64, (n, 4)
    """
    hidden, x, y = rng.standard_normal(n), rng.standard_normal((n, N_CODED)), rng.standard_normal((n, N_BEHAVIOURS))
    x[:, 0] += load * hidden
    x[:, 3] += _SECOND_LOAD * load * hidden
    y[:, 1] += load * hidden
    return x, y


def planted_correlation(load: float) -> float:
    """Return the canonical correlation of `correlated_views` in endlessly many recordings.

    Parameters
    ----------
    load : float
    """
    of_coefficients, of_behaviour = (1 + _SECOND_LOAD**2) * load**2, load**2
    return float(np.sqrt(of_coefficients / (1 + of_coefficients) * of_behaviour / (1 + of_behaviour)))


def views_of_mice(
    rng: np.random.Generator, n_mice: int, per_mouse: int = 3, noise: float = 0.3
) -> tuple[Floats, Floats]:
    """Return coefficients and behaviour that differ between mice, without having to do with each other.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_mice : int
    per_mouse : int
        Recordings.
    noise : float
        Standard deviation within mice, in units of that between them.

    Returns
    -------
    coefficients : ndarray of float64, (n_mice * per_mouse, 6)
    behaviour : ndarray of float64, (n_mice * per_mouse, 4)
    """
    n_features = N_CODED + N_BEHAVIOURS
    of_mice = np.repeat(rng.normal(size=(n_mice, n_features)), per_mouse, axis=0)
    values = of_mice + noise * rng.normal(size=of_mice.shape)
    return values[:, :N_CODED], values[:, N_CODED:]
