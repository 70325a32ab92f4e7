"""The likelihood of a random-intercept model along its ratio of variances, all else at its best. Arrays only; results are made elsewhere."""

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.analyses.subject_sums import SubjectSums

Array = NDArray[np.float64]
Method = Literal["REML", "ML"]

_RATIO_GRID = np.concatenate([[0.0], np.geomspace(1e-6, 1e9, 51)])
"""Ratios of subject to residual variance that are looked at first, times the mean number of rows per subject."""
_UNIDENTIFIED = 1e-9
"""Share of the rows' information on subjects below which there is none."""
_TINY = np.finfo(np.float64).eps


class ProfileLikelihood:
    """The likelihood as a function of the ratio of subject to residual variance, all else at its best.

    See `docs/methods/mixed_models.md`.

    Parameters
    ----------
    sums : SubjectSums
        Of g subjects and p columns that do not depend on each other.
    method : {'REML', 'ML'}
    """

    def __init__(self, sums: SubjectSums, method: Method) -> None:
        self.sums, self.method = sums, method
        self.n_rows = sums.n_rows.astype(np.float64)
        self.per_mean = 1 / np.maximum(self.n_rows, 1)
        self.total_rows = int(sums.n_rows.sum())
        restricted = method == "REML"
        self.freedom = self.total_rows - sums.column_sums.shape[1] if restricted else self.total_rows
        columns, response = sums.column_sums, sums.response_sum
        # what remains within subjects does not depend on the ratio
        self.within_products = sums.cross_products.sum(axis=0) - (columns.T * self.per_mean) @ columns
        self.within_response = sums.cross_response.sum(axis=0) - (self.per_mean * response) @ columns
        self.within_squares = float(sums.response_squares.sum() - self.per_mean @ response**2)

        # rounding, where the model fits exactly
        self.smallest_error = float(_TINY * sums.response_squares.sum() + np.finfo(np.float64).tiny)

    def solve(self, ratios: Array) -> tuple[Array, Array, Array]:
        """Return the weighted cross-products, the coefficients and the weighted squared error.

        Parameters
        ----------
        ratios : ndarray of float64, (k,)

        Returns
        -------
        ndarray of float64, (k, p, p), (k, p) and (k,)
        """
        columns, response = self.sums.column_sums, self.sums.response_sum
        weights = self.per_mean / (1 + self.n_rows * ratios[:, None])
        products = self.within_products + (columns.T * weights[:, None, :]) @ columns
        with_response = self.within_response + (weights * response) @ columns
        squares = self.within_squares + weights @ response**2
        coefficients: Array = np.linalg.solve(products, with_response[..., None])[..., 0]
        error = squares - np.einsum("kp,kp->k", coefficients, with_response)
        return products, coefficients, np.maximum(error, self.smallest_error)

    def cost(self, ratios: Array) -> Array:
        """Return the negative log-likelihood, (k,).

        Parameters
        ----------
        ratios : ndarray of float64, (k,)
        """
        products, _, error = self.solve(ratios)
        cost: Array = np.log1p(self.n_rows * ratios[:, None]).sum(axis=1) / 2
        cost += self.freedom / 2 * (np.log(2 * np.pi * error / self.freedom) + 1)
        if self.method == "REML":
            cost += np.linalg.slogdet(products)[1] / 2
        return cost

    def slope(self, ratio: float) -> float:
        """Return the derivative of the negative log-likelihood at a ratio."""
        at = ProfilePoint(self, ratio)
        trace = at.freedom_of_subjects if self.method == "REML" else float(at.rows.sum())
        return (trace - self.freedom * float(at.residuals @ at.residuals) / at.error) / 2

    def best_ratio(self) -> float:
        """Return the most likely ratio: from the best point of a grid along the slope to where it vanishes."""
        from scipy.optimize import brentq

        at_zero = ProfilePoint(self, 0.0)
        if self.n_rows.max() == 1 or at_zero.freedom_of_subjects < _UNIDENTIFIED * self.total_rows:
            # subjects cannot be told from residuals, or from the fixed part
            return 0.0
        grid = _RATIO_GRID / self.n_rows.mean()
        best = int(np.argmin(self.cost(grid)))
        ends = (best, best + 1) if self.slope(grid[best]) < 0 else (best - 1, best)
        if ends[0] < 0 or ends[1] == len(grid):
            return float(grid[best])
        low, high = float(grid[ends[0]]), float(grid[ends[1]])
        if not self.slope(low) < 0 < self.slope(high):
            return float(grid[best])
        return float(brentq(self.slope, low, high, xtol=1e-14 * high, rtol=8 * _TINY))


class ProfilePoint:
    """What follows from one ratio of variances; sums of subjects are divided by 1 + n times the ratio.

    Parameters
    ----------
    profile : ProfileLikelihood
    ratio : float
        Of subject to residual variance.
    """

    def __init__(self, profile: ProfileLikelihood, ratio: float) -> None:
        products, coefficients, error = profile.solve(np.array([ratio]))
        self.profile, self.products = profile, products[0]
        self.coefficients, self.error = coefficients[0], float(error[0])
        shrunk, sums = 1 / (1 + profile.n_rows * ratio), profile.sums
        self.rows = profile.n_rows * shrunk
        self.columns = sums.column_sums * shrunk[:, None]
        self.residuals = (sums.response_sum - sums.column_sums @ self.coefficients) * shrunk

    @cached_property
    def inverse(self) -> Array:
        """Inverse of the weighted cross-products, (p, p)."""
        inverse: Array = np.linalg.inv(self.products)
        return inverse

    @property
    def freedom_of_subjects(self) -> float:
        """What the fixed part leaves of the rows of subjects, in all: the trace of `freedom_per_subject`."""
        return float(self.rows.sum() - ((self.columns @ self.inverse) * self.columns).sum())

    @cached_property
    def freedom_per_subject(self) -> Array:
        """What the fixed part leaves of each subject's rows, (g, g): Z'PZ of the literature, over the residual variance."""
        left: Array = np.diag(self.rows) - self.columns @ self.inverse @ self.columns.T
        return left

    def covariance_gradient(self) -> Array:
        """Return the derivative by the ratio of the coefficients' covariance over the residual variance, (p, p)."""
        spread: Array = self.inverse @ self.columns.T
        gradient: Array = spread @ spread.T
        return gradient

    def variance_information(self) -> Array:
        """Return the expected information on the log residual variance and the ratio, (2, 2)."""
        left = self.freedom_per_subject
        n_columns = len(self.coefficients)
        shared = self.freedom_of_subjects
        return np.array([[self.profile.total_rows - n_columns, shared], [shared, float((left**2).sum())]]) / 2

    def observed_covariance(self) -> Array:
        """Return the covariance of the coefficients from the curvature of the likelihood over them and the ratio, (p, p)."""
        freedom, rows, columns = self.profile.freedom, self.rows, self.columns
        variance = self.error / freedom
        squares = float(self.residuals @ self.residuals) / self.error
        curvature = float(rows @ rows) - freedom * (2 * float(self.residuals**2 @ rows) / self.error - squares**2)
        if self.profile.method == "REML":
            spread = self.inverse @ columns.T @ columns
            weighted = self.inverse @ (columns.T * rows) @ columns
            curvature += float(np.trace(spread @ spread)) - 2 * float(np.trace(weighted))
        curvature /= 2
        crossed = columns.T @ self.residuals / variance
        unknown: Array = np.full(self.products.shape, np.nan)
        if curvature >= 0:
            return unknown
        information: Array = self.products / variance + np.outer(crossed, crossed) / curvature
        if np.linalg.eigvalsh(information)[0] <= 0:
            return unknown
        inverse: Array = np.linalg.inv(information).astype(np.float64, copy=False)
        return inverse
