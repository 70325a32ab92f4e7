"""Linear models of many data sets at once, with all their columns and without some. Arrays only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearFits:
    """Full models of several data sets with the same columns, and what is lost without some of these.

    Attributes
    ----------
    r2 : ndarray of float64, (b,)
        Of the full model; not a number for a degenerate design or a constant response.
    delta_r2 : ndarray of float64, (b, r)
        What the reduced models lack.
    coefficients, standard_errors : ndarray of float64, (b, k)
        Of the full model.
    """

    r2: Array
    delta_r2: Array
    coefficients: Array
    standard_errors: Array


def is_degenerate(design: Array) -> NDArray[np.bool_]:
    """Return whether columns depend on each other: a singular value below the largest, times columns, times rounding.

    Parameters
    ----------
    design : ndarray of float64, (..., n, k)
        The columns, or the triangle of their QR decomposition.
    """
    n_columns = design.shape[-1]
    if design.shape[-2] < n_columns:
        return np.ones(design.shape[:-2], dtype=bool)
    values = np.linalg.svd(design, compute_uv=False)
    below: NDArray[np.bool_] = values[..., -1] <= values[..., 0] * n_columns * np.finfo(np.float64).eps
    return below


def fit_with_and_without(
    designs: Iterable[Array], responses: Sequence[Array], dropped: Sequence[Sequence[int]]
) -> LinearFits:
    """Fit linear models by least squares, and again without some of their columns.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    designs : iterable of ndarray of float64, (b,) of (n, k)
        The first column is the intercept; more rows than columns. Each is needed but once.
    responses : sequence of ndarray of float64, (b,) of (n,)
    dropped : sequence of sequence of int, (r,)
        Columns that each reduced model lacks.
    """
    centred = [response - response.mean() for response in responses]
    # the triangle of design and response together has all that least squares needs
    triangles: Array = np.stack(
        [np.linalg.qr(np.column_stack([x, y]), mode="r") for x, y in zip(designs, centred, strict=True)]
    )
    n_columns = triangles.shape[2] - 1
    triangle, rotated = triangles[:, :n_columns, :n_columns], triangles[:, :n_columns, n_columns]
    total = np.array([y @ y for y in centred])
    sound = ~is_degenerate(triangle) & np.array([np.ptp(response) > 0 for response in responses])
    shape = len(responses), n_columns
    r2, delta_r2 = np.full(shape[0], np.nan), np.full((shape[0], len(dropped)), np.nan)
    coefficients, errors = np.full(shape, np.nan), np.full(shape, np.nan)
    residual = triangles[sound, n_columns, n_columns] ** 2
    r2[sound] = 1 - residual / total[sound]
    for place, columns in enumerate(dropped):
        kept = np.setdiff1d(np.arange(n_columns), columns)
        reduced = np.concatenate([triangle[sound][:, :, kept], rotated[sound][:, :, None]], axis=2)
        # what the kept columns leave of the fitted response
        remainder = np.asarray(np.linalg.qr(reduced, mode="r"))
        delta_r2[sound, place] = remainder[:, -1, -1] ** 2 / total[sound]
    inverse = np.linalg.inv(triangle[sound])
    coefficients[sound] = (inverse @ rotated[sound][:, :, None])[:, :, 0]
    freedom = np.array([len(response) for response in responses])[sound] - n_columns
    errors[sound] = np.sqrt((residual / freedom)[:, None] * (inverse**2).sum(axis=2))
    # only the intercept knows of the mean that was taken away
    coefficients[:, 0] += [response.mean() for response in responses]
    return LinearFits(r2, delta_r2, coefficients, errors)
