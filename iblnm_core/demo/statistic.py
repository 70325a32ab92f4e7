"""One comparison of planted and recovered, and how sure it is. Nothing is measured here."""

from dataclasses import dataclass

import numpy as np


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


def least_coverage(n: int) -> float:
    """Return the share of n intervals of 95 % that must hold the truth: three standard errors below 0.95."""
    return COVERAGE - 3 * float(np.sqrt(COVERAGE * (1 - COVERAGE) / n))
