"""The encoding model of one recording: which kernels, how well they predict, and what each adds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.encoding.design import KERNEL_COLUMNS, ContinuousRegressor, Design, build_design, kernel_basis
from iblnm_core.encoding.grid import TimeGrid, bin_means, grid_over
from iblnm_core.encoding.ridge import RidgeFit, contiguous_folds, fit_ridge, moments_of
from iblnm_core.parameters import EncodingParameters

Array = NDArray[np.float64]

_SMALLEST_FOLD = 3
"""In kernels: a fold must be longer than what is left out of it beside two others."""


class FitStatus(StrEnum):
    """How the fit of a recording ended."""

    OK = "ok"
    BLOCKS_LEFT_OUT = "blocks_left_out"
    """A result, without some of the blocks that were asked for."""
    TOO_FEW_ROWS = "too_few_rows"
    CONSTANT_SIGNAL = "constant_signal"
    NO_BLOCKS = "no_blocks"


@dataclass(frozen=True, eq=False)
class EncodingModel:
    """The encoding model of one recording.

    Attributes
    ----------
    fit : DataFrame
        One row: status, alpha (penalty of the model of all rows), r2_in, r2_cv, n_rows, n_features, intercept.
    kernels : DataFrame
        term, level, modulator, lag_s, coef (units of the signal per unit of the modulator); one row per lag.
    delta_r2 : DataFrame
        block, delta_r2, status; the block that adds most comes first, blocks left out come last.
    times : ndarray of float64, (n_bins,)
        Centres of the bins, s.
    signal : ndarray of float64, (n_bins,)
        Mean of the signal in each bin; not a number where it is unknown.
    prediction : ndarray of float64, (n_bins,)
        By the model of all rows; not a number where there is no model or no signal.
    held_out : ndarray of float64, (n_bins,)
        The same by the model of the other folds.
    """

    fit: pd.DataFrame
    kernels: pd.DataFrame
    delta_r2: pd.DataFrame
    times: Array
    signal: Array
    prediction: Array
    held_out: Array


def fit_encoding_model(
    times: Array,
    signal: Array,
    trials: pd.DataFrame,
    continuous: Mapping[str, ContinuousRegressor],
    hemisphere: str,
    parameters: EncodingParameters,
) -> EncodingModel:
    """Fit the signal of one recording as a sum of responses to events and continuous regressors.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    times, signal : ndarray of float64, (m,), m > 0
        Preprocessed signal; times increasing, s; z, not a number where it is unknown.
    trials : DataFrame
        Columns of the extracted trials; the order of the rows does not matter.
    continuous : mapping of str to ContinuousRegressor
        By name. A session without one has a model without it.
    hemisphere : str
        Of the fibre: l, r, or anything else for unknown.
    parameters : EncodingParameters

    Raises
    ------
    UnknownOption
        When a block's name means nothing.
    UnitError
        When contrasts are fractions where they must be percent.
    """
    grid = grid_over(times, parameters.bin_width_s)
    binned = bin_means(times, signal, grid)
    design = build_design(grid, trials, continuous, hemisphere, parameters)
    rows = np.flatnonzero(np.isfinite(binned))
    kernel_length = len(kernel_basis(parameters)[0])
    status = _status(binned[rows], design, _SMALLEST_FOLD * kernel_length * parameters.n_folds)
    if status not in {FitStatus.OK, FitStatus.BLOCKS_LEFT_OUT}:
        return _no_model(status, design, grid, binned, len(rows))
    folds = contiguous_folds(rows, parameters.n_folds, kernel_length)
    # rounding errors are smallest around 0
    offset = float(binned[rows].mean())
    moments = moments_of(design.events[rows], design.dense[rows], binned[rows] - offset, folds)
    ridge = fit_ridge(moments, folds, parameters.penalties, design.slices)
    coefficients = np.column_stack([ridge.coefficients, ridge.fold_coefficients])
    predicted = np.full((grid.n_bins, coefficients.shape[1]), np.nan)
    predicted[rows] = offset + design.predict(coefficients)[rows]
    held_out = np.full(grid.n_bins, np.nan)
    held_out[rows] = predicted[rows, 1 + folds.tested[:, folds.segments].argmax(axis=0)]
    return EncodingModel(
        fit=_fit_row(status, design, len(rows), ridge, offset),
        kernels=_kernel_table(design, ridge.coefficients),
        delta_r2=_delta_table(design, ridge.delta_r2),
        times=grid.centres,
        signal=binned,
        prediction=predicted[:, 0],
        held_out=held_out,
    )


def _status(signal: Array, design: Design, fewest_rows: int) -> FitStatus:
    if len(signal) < fewest_rows:
        return FitStatus.TOO_FEW_ROWS
    if np.ptp(signal) == 0:
        return FitStatus.CONSTANT_SIGNAL
    if not design.blocks:
        return FitStatus.NO_BLOCKS
    return FitStatus.OK if len(design.blocks) == len(design.statuses) else FitStatus.BLOCKS_LEFT_OUT


def _no_model(status: FitStatus, design: Design, grid: TimeGrid, signal: Array, n_rows: int) -> EncodingModel:
    unknown = np.full(grid.n_bins, np.nan)
    kernels = pd.DataFrame({name: [] for name in (*KERNEL_COLUMNS, "coef")})
    return EncodingModel(
        fit=_fit_row(status, design, n_rows, None, np.nan),
        kernels=kernels.astype(dict.fromkeys(KERNEL_COLUMNS[:3], object)),
        delta_r2=_delta_table(design, np.full(len(design.blocks), np.nan)),
        times=grid.centres,
        signal=signal,
        prediction=unknown,
        held_out=unknown.copy(),
    )


def _fit_row(status: FitStatus, design: Design, n_rows: int, ridge: RidgeFit | None, offset: float) -> pd.DataFrame:
    row = {
        "status": str(status),
        "alpha": np.nan if ridge is None else ridge.penalty,
        "r2_in": np.nan if ridge is None else ridge.r2_in,
        "r2_cv": np.nan if ridge is None else ridge.r2_held_out,
        "n_rows": n_rows,
        "n_features": design.n_features,
        "intercept": np.nan if ridge is None else offset + ridge.coefficients[-1],
    }
    return pd.DataFrame([row])


def _kernel_table(design: Design, coefficients: Array) -> pd.DataFrame:
    kernels = [
        block.kernel.assign(coef=block.shapes @ coefficients[columns])
        for block, columns in zip(design.blocks, design.slices, strict=True)
    ]
    return pd.concat(kernels, ignore_index=True)


def _delta_table(design: Design, delta_r2: Array) -> pd.DataFrame:
    names = [block.name for block in design.blocks]
    found = dict(zip(names, delta_r2, strict=True))
    table = pd.DataFrame(
        {
            "block": list(design.statuses),
            "delta_r2": [found.get(name, np.nan) for name in design.statuses],
            "status": [str(status) for status in design.statuses.values()],
        }
    )
    return table.sort_values("delta_r2", ascending=False, kind="stable", ignore_index=True)
