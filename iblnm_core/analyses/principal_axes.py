"""The directions along which the rows of a matrix vary most, with signs that do not depend on the machine. Arrays only."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DIGITS = 9
"""Of loadings that differ by rounding only, the first decides about the sign."""


def principal_axes(centred: Array) -> tuple[Array, Array]:
    """Return the principal axes of a matrix and its extent along each.

    Parameters
    ----------
    centred : ndarray of float64, (n, f)
        Columns of mean 0.

    Returns
    -------
    axes : ndarray of float64, (k, f)
        Of unit length, the most varying first; the largest entry of each, whatever its sign, is positive.
    lengths : ndarray of float64, (k,)
        Roots of the sums of squares along the axes, for the k of n and f that is smaller.
    """
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    return axes * largest_positive(axes)[:, None], lengths


def largest_positive(loadings: Array) -> Array:
    """Return the signs with which the largest entry of every row, whatever its own sign, is positive.

    Parameters
    ----------
    loadings : ndarray of float64, (k, f)

    Returns
    -------
    ndarray of float64, (k,)
    """
    largest = np.abs(loadings).round(_DIGITS).argmax(axis=1)
    signs: Array = np.sign(loadings[np.arange(len(loadings)), largest])
    return signs
