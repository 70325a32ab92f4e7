"""Design of the encoding model: lagged trains of events, sparse, and dense columns of what is known at all times."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.encoding.grid import TimeGrid, bridged_means, held_in_trials
from iblnm_core.encoding.terms import HEMISPHERES, LATERAL, KernelName, centred, event_values, kernel_name
from iblnm_core.parameters import EncodingParameters

Array = NDArray[np.float64]

KERNEL_COLUMNS = ("term", "level", "modulator", "lag_s")
VALUE, UNKNOWN = "value", "unknown"
"""Modulators of a continuous regressor: the regressor, and 1 where it is unknown."""


class BlockStatus(StrEnum):
    """Whether a block is in the model."""

    OK = "ok"
    UNKNOWN_HEMISPHERE = "unknown_hemisphere"
    """A lateral kernel of a fibre that has no side."""
    UNKNOWN_CONTRAST = "unknown_contrast"
    """Contrast among the ranks of a session that has other contrasts."""
    NO_VALUES = "no_values"
    """No event within the signal, nothing that differs between its trials, or no known sample."""


class ContinuousRegressor(NamedTuple):
    """What is measured all the time, such as the velocity of the wheel.

    Attributes
    ----------
    times : ndarray of float64, (m,)
        s, session clock, increasing.
    values : ndarray of float, (m,)
        Not a number where unknown.
    """

    times: NDArray[np.floating]
    values: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Block:
    """Columns of the design that are dropped together.

    Attributes
    ----------
    name : str
    kernel : DataFrame, (l, 4)
        term, level, modulator and lag_s of each value of the kernel.
    shapes : ndarray of float64, (l, k)
        The kernel is the sum of these columns, weighted by the coefficients of the block.
    """

    name: str
    kernel: pd.DataFrame
    shapes: Array


@dataclass(frozen=True, eq=False)
class Design:
    """Columns of the model, those of events first, in the order of the blocks.

    Attributes
    ----------
    events : scipy.sparse.csr_array of float64, (n_bins, p)
    dense : ndarray of float64, (n_bins, d)
    blocks : tuple of Block
        Those in the model.
    statuses : dict of str to BlockStatus
        Of all blocks that were asked for.
    """

    events: Any
    dense: Array
    blocks: tuple[Block, ...]
    statuses: dict[str, BlockStatus]

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return sum(block.shapes.shape[1] for block in self.blocks)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Columns of each block."""
        ends = np.cumsum([0, *(block.shapes.shape[1] for block in self.blocks)])
        return tuple(slice(int(first), int(end)) for first, end in pairwise(ends))

    def predict(self, coefficients: Array) -> Array:
        """Return the response that coefficients say.

        Parameters
        ----------
        coefficients : ndarray of float64, (p + d + 1, c)
            The intercept is the last one.

        Returns
        -------
        ndarray of float64, (n_bins, c)
        """
        n_events = self.events.shape[1]
        predicted: Array = self.events @ coefficients[:n_events]
        predicted += self.dense @ coefficients[n_events:-1] + coefficients[-1]
        return predicted


def lag_samples(window_s: tuple[float, float], width_s: float) -> NDArray[np.int64]:
    """Return the lags of a window in bins.

    Parameters
    ----------
    window_s : tuple of float
        Start (included) and end (excluded), s.
    width_s : float
        Of the bins.
    """
    return np.arange(round(window_s[0] / width_s), round(window_s[1] / width_s))


def raised_cosines(n_bumps: int, duration_s: float, offset_s: float, width_s: float) -> Array:
    """Return bumps that widen with the time since an event: raised cosines of the logarithm of lag + offset.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    n_bumps : int
        At least 2.
    duration_s : float
        From the event to the centre of the last bump.
    offset_s : float
        Positive.
    width_s : float
        Of the bins.

    Returns
    -------
    ndarray of float64, (l, n_bumps)
        One row per bin from the event on.

    Raises
    ------
    ValueError
        When the offset is not positive.
    """
    if not offset_s > 0:
        raise ValueError(f"offset of the raised cosines is {offset_s:g} s; expected a positive one")
    # whole numbers of bins must not become one more by rounding errors
    n_lags, offset = (int(np.ceil(round(seconds / width_s, 9))) for seconds in (duration_s, offset_s))
    warped = np.log(np.arange(n_lags) + offset)
    centres, spacing = np.linspace(np.log(offset), np.log(n_lags + offset), n_bumps, retstep=True)
    angles = np.pi * (warped[:, None] - centres) / (2 * spacing)
    bumps: Array = (1 + np.cos(np.clip(angles, -np.pi, np.pi))) / 2
    return bumps


def kernel_basis(parameters: EncodingParameters) -> tuple[NDArray[np.int64], Array]:
    """Return the lags of a kernel in bins, and the shapes that it is a sum of.

    Parameters
    ----------
    parameters : EncodingParameters

    Returns
    -------
    lags : ndarray of int64, (l,)
    shapes : ndarray of float64, (l, k)
    """
    width, window = parameters.bin_width_s, parameters.window_s
    if parameters.basis == "raised_cosine":
        shapes = raised_cosines(parameters.n_bumps, window[1], parameters.bump_offset_s, width)
        return np.arange(len(shapes)), shapes
    lags = lag_samples(window, width)
    return lags, np.eye(len(lags))


def event_train(times: Array, values: Array, grid: TimeGrid) -> Array:
    """Return the sum of the values of the events in each bin.

    Parameters
    ----------
    times, values : ndarray of float64, (n,)
        s; events with unknown time or value, or outside the grid, are left out.
    grid : TimeGrid

    Returns
    -------
    ndarray of float64, (n_bins,)
    """
    bins = grid.nearest(times)
    used = (bins >= 0) & np.isfinite(values)
    return np.bincount(bins[used], values[used], minlength=grid.n_bins).astype(np.float64, copy=False)


def lagged(train: Array, lags: NDArray[np.int64]) -> Any:
    """Return a train shifted by each lag, with zeros where nothing is known of it.

    Parameters
    ----------
    train : ndarray of float64, (n,)
    lags : ndarray of int64, (l,)
        Bins; positive ones shift to later times.

    Returns
    -------
    scipy.sparse.csr_array of float64, (n, l)
    """
    from scipy.sparse import csr_array

    places = np.flatnonzero(train)
    rows = places[:, None] + lags
    columns = np.broadcast_to(np.arange(len(lags)), rows.shape)
    values = np.broadcast_to(train[places][:, None], rows.shape)
    inside = (rows >= 0) & (rows < len(train))
    return csr_array((values[inside], (rows[inside], columns[inside])), shape=(len(train), len(lags)))


def build_design(
    grid: TimeGrid,
    trials: pd.DataFrame,
    continuous: Mapping[str, ContinuousRegressor],
    hemisphere: str,
    parameters: EncodingParameters,
) -> Design:
    """Return the design of one recording.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    grid : TimeGrid
    trials : DataFrame
        Columns of the extracted trials.
    continuous : mapping of str to ContinuousRegressor
    hemisphere : str
        Of the fibre: l, r, or anything else for unknown.
    parameters : EncodingParameters

    Raises
    ------
    UnknownOption
        When a block's name means nothing.
    """
    from scipy.sparse import csr_array, hstack

    lags, shapes = kernel_basis(parameters)
    statuses: dict[str, BlockStatus] = {}
    blocks: list[Block] = []
    events, dense = [csr_array((grid.n_bins, 0))], [np.empty((grid.n_bins, 0))]
    for name in dict.fromkeys(parameters.blocks):
        kernel = kernel_name(name)
        statuses[name], train = _train(grid, trials, kernel, hemisphere, parameters)
        if statuses[name] is BlockStatus.OK:
            of_lags = lagged(train, lags)
            events.append(of_lags if parameters.basis == "fir" else of_lags @ csr_array(shapes))
            blocks.append(Block(name, _kernel_rows(*kernel, lags * parameters.bin_width_s), shapes))
    columns = {name: _tonic_columns(trials, name, grid) for name in parameters.tonic}
    columns |= {name: _continuous_columns(of, grid, parameters) for name, of in continuous.items()}
    for name, found in columns.items():
        statuses[name] = BlockStatus.NO_VALUES if found is None else BlockStatus.OK
        if found is not None:
            dense.append(found)
            blocks.append(Block(name, _dense_rows(name, found.shape[1]), np.eye(found.shape[1])))
    return Design(hstack(events, format="csr"), np.hstack(dense), tuple(blocks), statuses)


def _train(
    grid: TimeGrid, trials: pd.DataFrame, kernel: KernelName, hemisphere: str, parameters: EncodingParameters
) -> tuple[BlockStatus, Array]:
    """Return the train of a kernel and whether it is of use."""
    empty = np.zeros(grid.n_bins)
    if LATERAL.intersection(kernel.modulators) and hemisphere not in HEMISPHERES:
        return BlockStatus.UNKNOWN_HEMISPHERE, empty
    ranked = "contrast" in kernel.modulators and parameters.contrast_coding == "rank"
    if ranked and not trials["contrast"].isin(parameters.contrasts).all():
        return BlockStatus.UNKNOWN_CONTRAST, empty
    if kernel.event not in trials:
        return BlockStatus.NO_VALUES, empty
    times = trials[kernel.event].to_numpy(np.float64)
    train = event_train(times, event_values(trials, kernel, hemisphere, parameters), grid)
    return (BlockStatus.OK if train.any() else BlockStatus.NO_VALUES), train


def _tonic_columns(trials: pd.DataFrame, name: str, grid: TimeGrid) -> Array | None:
    """Return a trial column that holds throughout its trial, less its mean over trials."""
    if name not in trials:
        return None
    values, starts, ends = (trials[of].to_numpy(np.float64) for of in (name, "intervals_0", "intervals_1"))
    course = held_in_trials(centred(values), starts, ends, grid)
    return course[:, None] if course.any() else None


def _continuous_columns(regressor: ContinuousRegressor, grid: TimeGrid, parameters: EncodingParameters) -> Array | None:
    """Return a regressor in bins less its mean, and, unless it is known throughout, where it is unknown."""
    times, values = (np.asarray(of, np.float64) for of in regressor)
    means = bridged_means(times, values, grid, parameters.longest_bridged_gap_s)
    unknown = np.isnan(means)
    if unknown.all():
        return None
    course = np.where(unknown, 0.0, centred(means))
    return np.column_stack([course, unknown]) if unknown.any() else course[:, None]


def _dense_rows(name: str, n_columns: int) -> pd.DataFrame:
    rows = [_kernel_rows(name, "", modulator, np.zeros(1)) for modulator in (VALUE, UNKNOWN)[:n_columns]]
    return pd.concat(rows, ignore_index=True)


def _kernel_rows(term: str, level: str, modulator: str, lags_s: NDArray[np.floating]) -> pd.DataFrame:
    return pd.DataFrame(dict(zip(KERNEL_COLUMNS, (term, level, modulator, lags_s), strict=True)))
