"""What models of whole time courses need of the trials of one fibre and event: sums. No statistics over mice here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

SUM_COLUMNS = ("cross_products", "cross_response", "response_squares", "residual_covariance")
"""Columns of lists that hold the sums."""
_N_TERMS = len(TERMS)


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
    def of(cls, times: Array, design: Array, responses: Array) -> "CourseSums":
        """Sum over trials.

        Parameters
        ----------
        times : ndarray of float64, (T,)
        design : ndarray of float64, (n, p)
            Finite; its first column is 1.
        responses : ndarray of float64, (n, T)
            Not a number where a sample is masked.
        """
        known = np.isfinite(responses)
        any_known = known.any(axis=1)
        design, known = design[any_known], known[any_known]
        values = np.where(known, responses[any_known], 0.0)
        n, p = design.shape
        weights = known.astype(np.float64)
        squares = (design[:, :, None] * design[:, None, :]).reshape(n, p * p)
        products = (weights.T @ squares).reshape(-1, p, p)
        with_response = values.T @ design
        # any solution will do: residuals are the same
        coefficients = np.einsum("tpq,tq->tp", np.linalg.pinv(products, rcond=1e-10, hermitian=True), with_response)
        residuals = np.where(known, values - design @ coefficients.T, 0.0)
        freedom = np.maximum(weights.T @ weights - p, 0.0)
        return cls(
            times,
            n,
            products,
            with_response,
            (values**2).sum(axis=0),
            np.where(freedom > 0, residuals.T @ residuals, 0.0),
            freedom,
        )

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


def coded_design(
    trials: pd.DataFrame, hemisphere: str | None, modelling: ModellingParameters, analyses: AnalysisParameters
) -> Array:
    """Return the columns of contrast * side * reward, coded alike in every session, so that sums of sessions can be added.

    See `docs/methods/time_courses.md`.

    Parameters
    ----------
    trials : DataFrame, n rows
        `contrast` (percent), `stim_side`, `feedbackType`; a session without choices lacks columns.
    hemisphere : str or None
        Of the fibre: l, r, or anything else for unknown.
    modelling : ModellingParameters
    analyses : AnalysisParameters
        Coding and contrasts of the task.

    Returns
    -------
    ndarray of float64, (n, 8)
        In the order of `TERMS`; contrast centred on the mean of the coded contrasts of the task. Not a number in trials with another
        contrast, or of unknown side or outcome.
    """
    known = trials.reindex(columns=["contrast", "stim_side", "feedbackType"])
    seen_from = known_hemisphere(pd.Series(hemisphere or "", index=trials.index, dtype=object), modelling)
    side = deviation_side(stimulus_side(known["stim_side"], seen_from))
    contrast = known["contrast"].to_numpy(np.float64)
    complete = np.isin(contrast, analyses.contrasts) & np.isfinite(side)
    complete &= (known["stim_side"].notna() & known["feedbackType"].notna()).to_numpy()
    centre = code_contrast(analyses.contrasts, analyses.contrast_coding, analyses.contrasts).mean()
    coded = code_contrast(contrast[complete], analyses.contrast_coding, analyses.contrasts) - centre
    design = np.full((len(trials), _N_TERMS), np.nan)
    reward = deviation_reward(known.loc[complete, "feedbackType"])
    design[complete] = task_columns(coded, side[complete], reward)
    return design


def session_course_sums(
    responses: Responses,
    trials: pd.DataFrame,
    used: NDArray[np.bool_],
    hemisphere: str | None,
    modelling: ModellingParameters,
    analyses: AnalysisParameters,
) -> pd.DataFrame:
    """Return what the models of whole time courses need of one fibre: a row of sums per event.

    See `docs/methods/time_courses.md`.

    Parameters
    ----------
    responses : Responses
        Masked and with the baseline subtracted.
    trials : DataFrame, n rows
        Indexed by trial number, with all trials of the responses.
    used : ndarray of bool, (n,)
        Which trials count.
    hemisphere : str or None
        Of the fibre: l, r, or anything else for unknown.
    modelling : ModellingParameters
    analyses : AnalysisParameters

    Returns
    -------
    DataFrame
        event (label), n_trials, start_s, sampling_rate_hz, and the lists of `SUM_COLUMNS`; of symmetric matrices the upper triangle,
        row by row. No row for an event without a complete trial.
    """
    places = trials.index.get_indexer(pd.Index(responses.trials))
    design = coded_design(trials, hemisphere, modelling, analyses)[places]
    complete = np.asarray(used)[places] & np.isfinite(design).all(axis=1)
    rows = []
    for event, values in zip(responses.events, responses.values, strict=True):
        sums = CourseSums.of(responses.times, design[complete], values[complete])
        if sums.n_trials:
            grid = {"start_s": float(responses.times[0]), "sampling_rate_hz": float(responses.sampling_rate_hz)}
            rows.append({"event": event_label(event), "n_trials": sums.n_trials, **grid, **_packed(sums)})
    kinds = {"n_trials": "int64", "start_s": "float64", "sampling_rate_hz": "float64"}
    return pd.DataFrame(rows, columns=["event", *kinds, *SUM_COLUMNS]).astype(kinds)


def _packed(sums: CourseSums) -> dict[str, Array]:
    of_terms, of_times = np.triu_indices(_N_TERMS), np.triu_indices(len(sums.times))
    freedom = sums.residual_freedom
    covariance = np.divide(sums.residual_products, freedom, out=np.full(freedom.shape, np.nan), where=freedom > 0)
    lists = (
        sums.cross_products[:, *of_terms].ravel(),
        sums.cross_response.ravel(),
        sums.response_squares,
        covariance[of_times],
    )
    return dict(zip(SUM_COLUMNS, lists, strict=True))


def sums_of_row(row: "Mapping[str, Any] | pd.Series[Any]") -> CourseSums:
    """Return the sums that a row of `session_course_sums` holds.

    Parameters
    ----------
    row : mapping or Series
        By column.
    """
    products, with_response, squares, covariance = (np.asarray(row[name], np.float64) for name in SUM_COLUMNS)
    n_times, n_trials = len(squares), int(row["n_trials"])
    cross_products = np.zeros((n_times, _N_TERMS, _N_TERMS))
    first, second = np.triu_indices(_N_TERMS)
    triangle = products.reshape(n_times, -1)
    cross_products[:, first, second] = cross_products[:, second, first] = triangle
    residual = np.zeros((n_times, n_times))
    first, second = np.triu_indices(n_times)
    residual[first, second] = residual[second, first] = covariance
    # trials that both times have: not stored, and at most those of the time with fewer
    known = cross_products[:, 0, 0]
    freedom = np.where(np.isfinite(residual), np.maximum(np.minimum.outer(known, known) - _N_TERMS, 0.0), 0.0)
    return CourseSums(
        sample_times(float(row["start_s"]), float(row["sampling_rate_hz"]), n_times),
        n_trials,
        cross_products,
        with_response.reshape(n_times, _N_TERMS),
        squares,
        np.nan_to_num(residual) * freedom,
        freedom,
    )
