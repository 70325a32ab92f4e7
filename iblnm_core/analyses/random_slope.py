"""Mixed models whose effect of contrast differs between subjects, by the general solver of statsmodels. Only where asked for."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iblnm_core.analyses.mixed_model import LinearEstimates
from iblnm_core.analyses.subject_sums import Array

_MOST_ITERATIONS = 500


class NotConverged(RuntimeError):
    """The search of the general solver found no maximum."""


@dataclass(frozen=True, eq=False)
class RandomSlopeFit:
    """A fitted model with a random intercept and a random slope per subject.

    Attributes
    ----------
    coefficients : ndarray of float64, (p,)
    covariance : ndarray of float64, (p, p)
        Of the coefficients, from the curvature of the likelihood; not a number where that has no proper maximum.
    subject_slopes : ndarray of float64, (g,)
        Best linear unbiased predictions of the slopes' differences from their mean.
    residual_variance, subject_variance, log_likelihood : float
        Of the residuals, of the random intercepts, and restricted.
    marginal, conditional : float
        Shares of the variance of the response.
    at_boundary : bool
        Whether the covariance of the random effects is singular.
    n_rows, n_subjects : int
    slope : int
        Place of the column whose effect differs between subjects; the intercept is the first.
    """

    coefficients: Array
    covariance: Array
    subject_slopes: Array
    residual_variance: float
    subject_variance: float
    log_likelihood: float
    marginal: float
    conditional: float
    at_boundary: bool
    n_rows: int
    n_subjects: int
    slope: int

    @property
    def observed_covariance(self) -> Array:
        """The covariance of the coefficients, (p, p), under the name that it has in other fits."""
        return self.covariance

    def estimates(self, combinations: Array) -> LinearEstimates:
        """Return estimates of linear combinations of the coefficients.

        What differs between subjects has one degree of freedom less than there are subjects, the rest what they leave of the rows.

        Parameters
        ----------
        combinations : ndarray of float64, (v, p)
        """
        variance = np.einsum("vp,pq,vq->v", combinations, self.covariance, combinations)
        differs = (combinations[:, [0, self.slope]] != 0).any(axis=1)
        within = self.n_rows - 2 * self.n_subjects - (len(self.coefficients) - 2)
        freedom = np.where(differs, self.n_subjects - 1, max(within, 1)).astype(np.float64)
        return LinearEstimates(combinations @ self.coefficients, np.sqrt(np.maximum(variance, 0.0)), freedom)


def fit_random_slope(design: Array, response: Array, subjects: NDArray[np.intp], slope: int) -> RandomSlopeFit:
    """Fit a model with random intercept and slope per subject by restricted maximum likelihood.

    See `docs/methods/mixed_models.md`.

    Parameters
    ----------
    design : ndarray of float64, (n, p)
        Of full rank, the first column an intercept.
    response : ndarray of float64, (n,)
    subjects : ndarray of intp, (n,)
        Codes of the subjects, from 0.
    slope : int
        Place of the column whose effect differs between subjects.

    Raises
    ------
    NotConverged
        When the search ends without a maximum, or at one that predicts no subjects.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    random = design[:, [0, slope]]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = MixedLM(response, design, groups=subjects, exog_re=random).fit(
                reml=True, method="powell", maxiter=_MOST_ITERATIONS
            )
            effects = np.stack([np.asarray(fit.random_effects[code]) for code in range(subjects.max() + 1)])
        except (np.linalg.LinAlgError, ValueError) as error:
            raise NotConverged(str(error)) from error
    if any("failed to converge" in str(warning.message) for warning in caught):
        raise NotConverged(f"no maximum in {_MOST_ITERATIONS} iterations")
    covariance = np.asarray(fit.cov_re, dtype=np.float64)
    n_columns, total = design.shape[1], float(response.var())
    fixed = float((design @ fit.fe_params).var())
    return RandomSlopeFit(
        coefficients=np.asarray(fit.fe_params, dtype=np.float64),
        covariance=np.asarray(fit.cov_params(), dtype=np.float64)[:n_columns, :n_columns],
        subject_slopes=effects[:, 1],
        residual_variance=float(fit.scale),
        subject_variance=float(covariance[0, 0]),
        log_likelihood=float(fit.llf),
        marginal=fixed / total,
        conditional=(fixed + float((random * effects[subjects]).sum(axis=1).var())) / total,
        at_boundary=bool(np.linalg.eigvalsh(covariance)[0] < 1e-8 * float(fit.scale)),
        n_rows=len(response),
        n_subjects=len(effects),
        slope=slope,
    )
