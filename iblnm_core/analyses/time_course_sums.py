"""What models of whole time courses need of the trials of one fibre and event: sums. No statistics over mice here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import Array, code_contrast, deviation_reward, deviation_side, stimulus_side
from iblnm_core.analyses.frame import known_hemisphere
from iblnm_core.analyses.task_design import TERMS, event_label, task_columns
from iblnm_core.analyses.traces import sample_times
from iblnm_core.cohort_parameters import AnalysisParameters, ModellingParameters
from iblnm_core.session.responses import Responses

CELL_COLUMNS = ("stim_side", "contrast", "feedbackType")
"""What trials of one cell have in common."""


@dataclass(frozen=True, eq=False)
class CourseSums:
    """Sums over trials at each of T times, for p columns of a design of which the first is 1.

    A trial whose sample is not known at a time has no part in the sums of that time.

    Attributes
    ----------
    times : ndarray of float64, (T,)
        s, relative to the event.
    n_trials : int
        Trials with any known sample.
    cross_products : ndarray of float64, (T, p, p)
        X'X.
    cross_response : ndarray of float64, (T, p)
        X'y.
    response_squares : ndarray of float64, (T,)
        y'y.
    residual_products : ndarray of float64, (T, T)
        Products of residuals at two times, each about the fit to the trials of its own fibre, session and time.
    residual_freedom : ndarray of float64, (T, T)
        Their degrees of freedom.
    """

    times: Array
    n_trials: int
    cross_products: Array
    cross_response: Array
    response_squares: Array
    residual_products: Array
    residual_freedom: Array

    @property
    def n_known(self) -> Array:
        """Trials that are known at each time, (T,)."""
        return self.cross_products[:, 0, 0]

    @classmethod
    def total(cls, parts: Sequence["CourseSums"]) -> "CourseSums":
        """Return the sums over all trials of several sums.

        Parameters
        ----------
        parts : sequence of CourseSums
            At the same times, of the same columns.
        """
        names = ("cross_products", "cross_response", "response_squares", "residual_products", "residual_freedom")
        sums = [np.sum([getattr(part, name) for part in parts], axis=0) for name in names]
        return cls(parts[0].times, sum(part.n_trials for part in parts), *sums)

    def at(self, kept: NDArray[np.bool_]) -> "CourseSums":
        """Return the sums of some times.

        Parameters
        ----------
        kept : ndarray of bool, (T,)
        """
        return CourseSums(
            self.times[kept],
            self.n_trials,
            self.cross_products[kept],
            self.cross_response[kept],
            self.response_squares[kept],
            self.residual_products[np.ix_(kept, kept)],
            self.residual_freedom[np.ix_(kept, kept)],
        )


@dataclass(frozen=True, eq=False)
class CellSums:
    """Sums over trials at each of T times in each of c cells, whose trials no design tells apart.

    Attributes
    ----------
    cell_trials : ndarray of int64, (c,)
        Trials with any known sample.
    counts, totals, squares : ndarray of float64, (T, c)
        Trials that are known at a time, and sum and sum of squares of their responses.
    residual_covariance : ndarray of float64, (T, T)
        Of the residuals at two times, each about the mean of its cell; 0 where no cell has two trials.
    """

    cell_trials: NDArray[np.int64]
    counts: Array
    totals: Array
    squares: Array
    residual_covariance: Array

    @classmethod
    def of(cls, cells: NDArray[np.intp], n_cells: int, responses: Array) -> "CellSums":
        """Sum over trials.

        Parameters
        ----------
        cells : ndarray of intp, (n,)
            Which cell each trial belongs to.
        n_cells : int
        responses : ndarray of float64, (n, T)
            Not a number where a sample is masked.
        """
        known = np.isfinite(responses)
        values = np.where(known, responses, 0.0)
        member = np.zeros((len(cells), n_cells))
        member[np.arange(len(cells)), cells] = 1.0
        counts, totals = known.T @ member, values.T @ member
        means = np.divide(totals, counts, out=np.zeros(totals.shape), where=counts > 0)
        residuals = np.where(known, values - means.T[cells], 0.0)
        products, freedom = residuals.T @ residuals, _freedom(counts)
        covariance = np.divide(products, freedom, out=np.zeros(products.shape), where=freedom > 0)
        trials = np.bincount(cells[known.any(axis=1)], minlength=n_cells)
        return cls(trials.astype(np.int64), counts, totals, (values**2).T @ member, covariance)

    def under(self, times: Array, design: Array) -> CourseSums:
        """Return the sums that a model needs.

        Parameters
        ----------
        times : ndarray of float64, (T,)
        design : ndarray of float64, (c, p)
            A row per cell, the first column 1; trials of a cell whose row is not finite have no part.
        """
        used = np.isfinite(design).all(axis=1)
        x, counts, totals = design[used], self.counts[:, used], self.totals[:, used]
        products = np.einsum("tc,cp,cq->tpq", counts, x, x, optimize=True)
        with_response = totals @ x
        # any solution will do: residuals are the same
        coefficients = np.einsum("tpq,tq->tp", np.linalg.pinv(products, rcond=1e-10, hermitian=True), with_response)
        means = np.divide(totals, counts, out=np.zeros(totals.shape), where=counts > 0)
        off = np.where(counts > 0, means - coefficients @ x.T, 0.0)
        lack = np.einsum("stc,sc,tc->st", _of_both(counts), off, off, optimize=True)
        within = self.residual_covariance * _freedom(counts)
        both = counts.sum(axis=1)
        freedom = np.maximum(np.minimum.outer(both, both) - x.shape[1], 0.0)
        return CourseSums(
            times,
            int(self.cell_trials[used].sum()),
            products,
            with_response,
            self.squares[:, used].sum(axis=1),
            np.where(freedom > 0, within + lack, 0.0),
            freedom,
        )


def _of_both(counts: Array) -> Array:
    """Return the trials of each cell that two times have, (T, T, c): those of the time with fewer, as once masked is always masked."""
    both: Array = np.minimum(counts[:, None], counts)
    return both


def _freedom(counts: Array) -> Array:
    """Return the degrees of freedom about the means of cells at two times, (T, T)."""
    both = _of_both(counts)
    freedom: Array = (both - (both > 0)).sum(axis=2)
    return freedom


def cell_design(
    cells: pd.DataFrame, hemisphere: str | None, modelling: ModellingParameters, analyses: AnalysisParameters
) -> Array:
    """Return the columns of contrast * side * reward, coded alike in every session, so that sums of sessions can be added.

    See `docs/methods/time_courses.md`.

    Parameters
    ----------
    cells : DataFrame, c rows
        `contrast` (percent), `stim_side`, `feedbackType`.
    hemisphere : str or None
        Of the fibre: l, r, or anything else for unknown.
    modelling : ModellingParameters
    analyses : AnalysisParameters
        Coding and contrasts of the task.

    Returns
    -------
    ndarray of float64, (c, 8)
        In the order of `TERMS`; contrast centred on the mean of the coded contrasts of the task. Not a number for cells of another
        contrast, or of unknown side.
    """
    seen_from = known_hemisphere(pd.Series(hemisphere or "", index=cells.index, dtype=object), modelling)
    side = deviation_side(stimulus_side(cells["stim_side"], seen_from))
    contrast = cells["contrast"].to_numpy(np.float64)
    complete = np.isin(contrast, analyses.contrasts) & np.isfinite(side)
    centre = code_contrast(analyses.contrasts, analyses.contrast_coding, analyses.contrasts).mean()
    coded = code_contrast(contrast[complete], analyses.contrast_coding, analyses.contrasts) - centre
    design = np.full((len(cells), len(TERMS)), np.nan)
    design[complete] = task_columns(coded, side[complete], deviation_reward(cells.loc[complete, "feedbackType"]))
    return design


def session_course_sums(responses: Responses, trials: pd.DataFrame, used: NDArray[np.bool_]) -> pd.DataFrame:
    """Return what the models of whole time courses need of one fibre: a row of sums per event.

    See `docs/methods/time_courses.md`.

    Parameters
    ----------
    responses : Responses
        Masked and with the baseline subtracted.
    trials : DataFrame, n rows
        Indexed by trial number, with all trials of the responses; `CELL_COLUMNS`, as far as the session has them.
    used : ndarray of bool, (n,)
        Which trials count.

    Returns
    -------
    DataFrame
        event (label), n_trials, start_s, sampling_rate_hz, the `CELL_COLUMNS` of the cells, and the fields of `CellSums`, as lists; of
        the covariance the upper triangle, row by row. No row for an event without a trial of known contrast, side and outcome.
    """
    known = trials.reindex(columns=list(CELL_COLUMNS))
    places = trials.index.get_indexer(pd.Index(responses.trials))
    complete = (np.asarray(used) & known.notna().all(axis=1).to_numpy())[places]
    described = known.iloc[places[complete]]
    groups = described.groupby(list(CELL_COLUMNS), sort=True)
    cells = groups.size().index.to_frame(index=False)
    place: NDArray[np.intp] = np.asarray(groups.ngroup(), dtype=np.intp)
    rows = []
    for event, values in zip(responses.events, responses.values, strict=True):
        sums = CellSums.of(place, len(cells), values[complete])
        if sums.cell_trials.any():
            grid = {"start_s": float(responses.times[0]), "sampling_rate_hz": float(responses.sampling_rate_hz)}
            of_cells = {name: cells[name].tolist() for name in CELL_COLUMNS}
            about = {"event": event_label(event), "n_trials": int(sums.cell_trials.sum()), **grid}
            rows.append({**about, **of_cells, **_packed(sums)})
    names = ("event", "n_trials", "start_s", "sampling_rate_hz", *CELL_COLUMNS, *_SUMS)
    return pd.DataFrame(rows, columns=list(names))


_SUMS = tuple(field.name for field in fields(CellSums))


def _packed(sums: CellSums) -> dict[str, Array]:
    upper = np.triu_indices(len(sums.residual_covariance))
    whole = {name: np.asarray(getattr(sums, name), np.float64).ravel() for name in _SUMS[:-1]}
    return {**whole, _SUMS[-1]: sums.residual_covariance[upper]}


def sums_of_row(
    row: "Mapping[str, Any] | pd.Series[Any]",
    hemisphere: str | None,
    modelling: ModellingParameters,
    analyses: AnalysisParameters,
) -> CourseSums:
    """Return the sums that a model of the task needs of a row of `session_course_sums`.

    Parameters
    ----------
    row : mapping or Series
        By column.
    hemisphere : str or None
        Of the fibre.
    modelling : ModellingParameters
    analyses : AnalysisParameters
    """
    cells = pd.DataFrame({name: list(row[name]) for name in CELL_COLUMNS})
    n_cells = len(cells)
    counts, totals, squares = (np.asarray(row[name], np.float64).reshape(-1, n_cells) for name in _SUMS[1:-1])
    n_times = len(counts)
    covariance = np.zeros((n_times, n_times))
    first, second = np.triu_indices(n_times)
    covariance[first, second] = covariance[second, first] = np.asarray(row[_SUMS[-1]], np.float64)
    sums = CellSums(np.asarray(row["cell_trials"], np.int64), counts, totals, squares, covariance)
    times = sample_times(float(row["start_s"]), float(row["sampling_rate_hz"]), n_times)
    return sums.under(times, cell_design(cells, hemisphere, modelling, analyses))
