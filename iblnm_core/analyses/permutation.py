"""p-values from permutations: of one statistic, and of the mean over the sessions of a mouse. Arrays only.

How permuted values come about belongs to the analysis that makes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from iblnm_core.errors import RaggedNull, UnknownOption

Alternative = Literal["greater", "less", "two-sided"]
FailedDraws = Literal["left_out", "counted"]
ALTERNATIVES: tuple[Alternative, ...] = get_args(Alternative)


@dataclass(frozen=True)
class PermutationTest:
    """A statistic against its permuted values.

    Attributes
    ----------
    p_value : float
        Not a number without permuted values.
    n_permutations : int
        Permuted values that could be compared.
    n_failed : int
        Permutations without a value, or without one to compare it with.
    """

    p_value: float
    n_permutations: int
    n_failed: int


@dataclass(frozen=True)
class PooledTest:
    """The mean of a statistic over strata against the means of their permuted values.

    Attributes
    ----------
    mean : float
        Of the observed values.
    p_value : float
        Not a number without permuted values that all strata have.
    n_permutations : int
        Permutations that have a value in every stratum.
    n_failed : int
        Permutations without a value in some stratum.
    """

    mean: float
    p_value: float
    n_permutations: int
    n_failed: int


def add_one_p_value(
    observed: ArrayLike, null: ArrayLike, alternative: Alternative = "greater", failed: FailedDraws = "left_out"
) -> PermutationTest:
    """Return how often permuted values are as extreme as the observed one, which counts as one of them.

    See `docs/methods/permutation.md`.

    Parameters
    ----------
    observed : float or array_like of float, (k,)
        One value, or one for each permutation where these differ in what they are to be compared with.
    null : array_like of float, (k,)
        Permuted values; not a number where a permutation failed.
    alternative : {'greater', 'less', 'two-sided'}
    failed : {'left_out', 'counted'}
        Whether failed permutations stay in the denominator, as if their values were not extreme.

    Raises
    ------
    UnknownOption
        When there is no such alternative or treatment of failures.
    """
    _check(alternative, ALTERNATIVES, "alternative")
    _check(failed, get_args(FailedDraws), "treatment of failed permutations")
    values = np.asarray(null, dtype=np.float64)
    seen = np.broadcast_to(np.asarray(observed, dtype=np.float64), values.shape)
    known = ~(np.isnan(values) | np.isnan(seen))
    n_known, n_failed = int(known.sum()), int((~known).sum())
    if not n_known:
        return PermutationTest(np.nan, n_known, n_failed)
    total = n_known + 1 + (n_failed if failed == "counted" else 0)
    greater = (int((values[known] >= seen[known]).sum()) + 1) / total
    less = (int((values[known] <= seen[known]).sum()) + 1) / total
    p_value = {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]
    return PermutationTest(p_value, n_known, n_failed)


def pooled_p_value(
    observed: Sequence[ArrayLike], null: Sequence[ArrayLike], alternative: Alternative = "greater"
) -> PooledTest:
    """Test the mean over strata: permutation k of the mean is the mean of the permutations k of the strata.

    See `docs/methods/permutation.md`. A permutation that failed in a stratum is left out of all of them.

    Parameters
    ----------
    observed : sequence of float or of array_like of float, (s,) or (s, k)
        Per stratum as in `add_one_p_value`.
    null : sequence of array_like of float, (s, k)
    alternative : {'greater', 'less', 'two-sided'}

    Raises
    ------
    RaggedNull
        When strata differ in their number of permutations.
    UnknownOption
        When there is no such alternative.
    """
    rows = [np.asarray(values, dtype=np.float64) for values in null]
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise RaggedNull(f"strata have {lengths[0]} to {lengths[-1]} permutations; expected the same number in all")
    table = np.stack(rows)
    seen = np.stack([np.broadcast_to(np.asarray(value, dtype=np.float64), table.shape[1:]) for value in observed])
    if not table.shape[1]:
        return PooledTest(np.nan, np.nan, 0, 0)
    # a mean of values one of which is not a number is none either
    test = add_one_p_value(seen.mean(axis=0), table.mean(axis=0), alternative)
    return PooledTest(float(seen.mean()), test.p_value, test.n_permutations, test.n_failed)


def _check(option: str, options: Sequence[str], what: str) -> None:
    if option not in options:
        raise UnknownOption(f"{what} {option!r}; expected one of {', '.join(options)}")
