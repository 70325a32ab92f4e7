"""One comparison of planted and recovered, and how sure it is. Nothing is measured here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Statistic:
    """One comparison of planted and recovered.

    Attributes
    ----------
    name : str
    planted : str
        What it is compared with.
    found : str
        As it is printed.
    accepted : str
        The limits, in words.
    holds : bool
    """

    name: str
    planted: str
    found: str
    accepted: str
    holds: bool


COVERAGE = 0.95
LEAST_P = 0.001
"""A joint test of several values is passed above this; there are some twenty such tests."""


def least_coverage(n: int) -> float:
    """Return the share of n intervals of 95 % that must hold the truth: three standard errors below 0.95."""
    return COVERAGE - 3 * float(np.sqrt(COVERAGE * (1 - COVERAGE) / n))


def largest_share(share: float, n: int) -> float:
    """Return what n tries of a probability exceed by chance only: three standard errors above it."""
    return share + 3 * float(np.sqrt(share * (1 - share) / n))


def joint_p_value(deviations: ArrayLike) -> float:
    """Return the probability that so many standard normal numbers are jointly as far from zero, by chi-square.

    Parameters
    ----------
    deviations : array_like of float, (n,)
        In standard errors.
    """
    from scipy.stats import chi2

    values = np.asarray(deviations, dtype=np.float64)
    return float(chi2.sf(values @ values, len(values)))


def listed(rows: pd.DataFrame, column: str, decimals: int = 2) -> str:
    """Return the value of every target as it is printed.

    Parameters
    ----------
    rows : DataFrame
        target_NM, and the column; one row per target.
    column : str
    decimals : int
    """
    ordered: Sequence[tuple[str, float]] = sorted(zip(rows["target_NM"], rows[column], strict=True))
    # what rounds to zero has no sign
    return ", ".join(
        f"{target.partition('-')[0]} {round(value, decimals) + 0.0:.{decimals}f}" for target, value in ordered
    )
