"""The null of canonical correlations: whole blocks of rows, such as sessions, exchanged between recordings. Arrays only."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iblnm_core.analyses.cca import View
from iblnm_core.analyses.permutation import add_one_p_value

Array = NDArray[np.float64]
Order = NDArray[np.intp]

TOLERANCE = 1e-12
"""Correlations that differ by less are equal, so that what a permutation leaves in place counts."""
_CHUNK = 1000
"""Permutations at a time: memory does not grow with their number."""


@dataclass(frozen=True)
class BlockTest:
    """How often exchanged blocks are as correlated as those in place.

    Attributes
    ----------
    p_value : float
        Not a number where no two blocks can be exchanged.
    n_exchangeable : int
        Blocks that have another one with as many rows.
    """

    p_value: float
    n_exchangeable: int


def stable_seed(base: int, names: Sequence[str]) -> int:
    """Return a seed that depends on a number and on names alone, the same on every machine.

    Parameters
    ----------
    base : int
    names : sequence of str
        Such as event and target.

    Returns
    -------
    int
        From 0 to 2**63 - 1.
    """
    text = "\0".join([str(base), *names])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def block_orders(labels: Sequence[str] | ArrayLike, n_permutations: int, rng: np.random.Generator) -> Order:
    """Return permutations of rows that exchange blocks of rows with the same number of them, each row in its place in the block.

    Parameters
    ----------
    labels : sequence of str, (n,)
        The block of each row.
    n_permutations : int
    rng : Generator

    Returns
    -------
    ndarray of intp, (n_permutations, n)
        Which row comes to each place.
    """
    order = np.tile(np.arange(len(np.asarray(labels))), (n_permutations, 1))
    for rows in _strata(labels):
        if len(rows) > 1:
            drawn = rng.permuted(np.tile(np.arange(len(rows)), (n_permutations, 1)), axis=1)
            order[:, rows.ravel()] = rows[drawn].reshape(n_permutations, rows.size)
    return order


def n_exchangeable(labels: Sequence[str] | ArrayLike) -> int:
    """Return how many blocks of rows have another one of the same size.

    Parameters
    ----------
    labels : sequence of str, (n,)
    """
    return sum(len(rows) for rows in _strata(labels) if len(rows) > 1)


def _strata(labels: Sequence[str] | ArrayLike) -> Iterator[Order]:
    """Yield the rows of all blocks of the same size, (blocks, size), for every size; blocks by name."""
    _, codes, sizes = np.unique(np.asarray(labels, dtype=object), return_inverse=True, return_counts=True)
    by_block = np.argsort(codes, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes):
        yield by_block[starts[sizes == size][:, None] + np.arange(size)]


def permuted_correlations(x: View, y: View, order: Order) -> Array:
    """Return the first canonical correlation of two views for every order of the rows of the second.

    See `docs/methods/task_encoding.md`.

    Parameters
    ----------
    x, y : View
        Without ridge.
    order : ndarray of intp, (p, n)

    Returns
    -------
    ndarray of float64, (p,)
    """
    mixed = x.basis.T @ y.basis[order]
    # the smaller of the two products has the same largest eigenvalue
    turned = mixed.swapaxes(1, 2)
    squares = turned @ mixed if mixed.shape[2] <= mixed.shape[1] else mixed @ turned
    largest: Array = np.sqrt(np.maximum(np.linalg.eigvalsh(squares)[:, -1], 0.0))
    return largest


def block_test(
    statistic: Callable[[Order], Array],
    labels: Sequence[str] | ArrayLike,
    n_permutations: int,
    seed: int,
) -> BlockTest:
    """Return how often a statistic of rows in another order is as large as of those in place, which count as one of them.

    Parameters
    ----------
    statistic : callable
        From orders of rows, (p, n), to values, (p,).
    labels : sequence of str, (n,)
        The block of each row.
    n_permutations : int
    seed : int
    """
    exchangeable = n_exchangeable(labels)
    if not exchangeable or not n_permutations:
        return BlockTest(np.nan, exchangeable)
    order = block_orders(labels, n_permutations, np.random.default_rng(seed))
    observed = statistic(np.arange(order.shape[1])[None])[0]
    chunks = [statistic(order[start : start + _CHUNK]) for start in range(0, n_permutations, _CHUNK)]
    test = add_one_p_value(observed - TOLERANCE, np.concatenate(chunks), failed="counted")
    return BlockTest(test.p_value, exchangeable)
