"""Linear mixed models with a random intercept per subject: fits, intervals, and how they predict other subjects. Sums only, no trials."""

from dataclasses import dataclass

import numpy as np

from iblnm_core.analyses.profile_likelihood import Method, ProfileLikelihood, ProfilePoint
from iblnm_core.analyses.subject_sums import Array, SubjectSums
from iblnm_core.errors import SingularDesign

__all__ = ["LinearEstimates", "Method", "MixedFit", "SubjectSums", "fit_random_intercept", "held_out_r_squared"]

NORMAL_QUANTILE = 1.96
"""Half the width of a plain 95 % interval, in standard errors."""
CONFIDENCE = 0.95

_SMALLEST_RECIPROCAL_CONDITION = 1e-12
_TINY = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class LinearEstimates:
    """Estimates of linear combinations of coefficients.

    Attributes
    ----------
    estimate, standard_error : ndarray of float64, (v,)
    degrees_of_freedom : ndarray of float64, (v,)
        Satterthwaite's.
    """

    estimate: Array
    standard_error: Array
    degrees_of_freedom: Array

    @property
    def normal_p_value(self) -> Array:
        """Two-sided p-values of the normal distribution, (v,)."""
        from scipy.special import ndtr

        p_values: Array = 2 * ndtr(-np.abs(self.estimate / self.standard_error))
        return p_values

    @property
    def t_p_value(self) -> Array:
        """Two-sided p-values of the t distribution, (v,)."""
        from scipy.special import stdtr

        p_values: Array = 2 * stdtr(self.degrees_of_freedom, -np.abs(self.estimate / self.standard_error))
        return p_values

    @property
    def normal_interval(self) -> tuple[Array, Array]:
        """Lower and upper ends of plain 95 % intervals, (v,) each."""
        half = NORMAL_QUANTILE * self.standard_error
        return self.estimate - half, self.estimate + half

    @property
    def t_interval(self) -> tuple[Array, Array]:
        """Lower and upper ends of 95 % intervals that suit few subjects, (v,) each."""
        from scipy.special import stdtrit

        half = stdtrit(self.degrees_of_freedom, (1 + CONFIDENCE) / 2) * self.standard_error
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fitted model with a random intercept per subject.

    Attributes
    ----------
    coefficients : ndarray of float64, (p,)
    covariance : ndarray of float64, (p, p)
        Of the coefficients, by generalised least squares.
    observed_covariance : ndarray of float64, (p, p)
        Of the coefficients, from the curvature of the likelihood; not a number where that has no proper maximum.
    residual_variance, subject_variance : float
    log_likelihood : float
        Natural logarithm, all constants included; the restricted one for REML.
    method : {'REML', 'ML'}
    subject_effects : ndarray of float64, (g,)
        Best linear unbiased predictions of the random intercepts.
    n_rows, n_subjects : int
    fixed_variance, random_variance, response_variance : float
        Variances over rows of the fixed part, the random part and the response, with denominator n.
    variance_information : ndarray of float64, (2, 2)
        Expected information on the logarithm of the residual variance, and on the ratio of subject to residual variance.
    covariance_gradient : ndarray of float64, (p, p)
        Derivative of `covariance` by that ratio.
    """

    coefficients: Array
    covariance: Array
    observed_covariance: Array
    residual_variance: float
    subject_variance: float
    log_likelihood: float
    method: Method
    subject_effects: Array
    n_rows: int
    n_subjects: int
    fixed_variance: float
    random_variance: float
    response_variance: float
    variance_information: Array
    covariance_gradient: Array

    @property
    def at_boundary(self) -> bool:
        """Whether subjects do not differ beyond what the residuals explain."""
        return self.subject_variance == 0

    @property
    def marginal(self) -> float:
        """Share of the variance of the response in the fixed part; not clipped."""
        return _share(self.fixed_variance, self.response_variance)

    @property
    def conditional(self) -> float:
        """Share of the variance of the response in the fixed and the random part; not clipped."""
        return _share(self.fixed_variance + self.random_variance, self.response_variance)

    @property
    def aic(self) -> float:
        """Akaike's criterion; not a number for REML, whose likelihoods of different designs do not compare."""
        return 2 * self._n_parameters - 2 * self.log_likelihood if self.method == "ML" else np.nan

    @property
    def bic(self) -> float:
        """Schwarz's criterion over rows; not a number for REML."""
        penalty = self._n_parameters * float(np.log(self.n_rows))
        return penalty - 2 * self.log_likelihood if self.method == "ML" else np.nan

    @property
    def _n_parameters(self) -> int:
        return len(self.coefficients) + 2

    def estimates(self, combinations: Array) -> LinearEstimates:
        """Return estimates of linear combinations of the coefficients.

        Parameters
        ----------
        combinations : ndarray of float64, (v, p)
        """
        variance = np.einsum("vp,pq,vq->v", combinations, self.covariance, combinations)
        gradient = np.einsum("vp,pq,vq->v", combinations, self.covariance_gradient, combinations)
        # relative change of each variance with the two parameters
        relative = np.column_stack([np.ones(len(variance)), gradient / np.maximum(variance, np.finfo(float).tiny)])
        spread = np.einsum("vi,ij,vj->v", relative, np.linalg.pinv(self.variance_information, rcond=1e-12), relative)
        return LinearEstimates(combinations @ self.coefficients, np.sqrt(np.maximum(variance, 0.0)), 2 / spread)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan


def fit_random_intercept(sums: SubjectSums, method: Method = "REML") -> MixedFit:
    """Fit a linear model with a random intercept per subject.

    See `docs/methods/mixed_models.md`. Each step costs as many operations as there are subjects, however many rows they have.

    Parameters
    ----------
    sums : SubjectSums
    method : {'REML', 'ML'}

    Raises
    ------
    SingularDesign
        When columns of the design depend on each other, or there are no more rows than columns.
    """
    scale = np.sqrt(np.einsum("gpp->p", sums.cross_products))
    _require_full_rank(sums, scale)
    # columns of like size keep the arithmetic accurate
    scaled = sums.recoded(np.diag(1 / scale))
    profile = ProfileLikelihood(scaled, method)
    return _fit_at(profile, profile.best_ratio(), scale)


def held_out_r_squared(fit_coefficients: Array, held_out: SubjectSums, *, centred: bool) -> float:
    """Return the share of the variance of rows that a model explains which was fitted to others.

    See `docs/methods/mixed_models.md`.

    Parameters
    ----------
    fit_coefficients : ndarray of float64, (p,)
    held_out : SubjectSums
        Sums of the rows to predict, all subjects as one.
    centred : bool
        Whether the means of response and prediction are taken away first: a held-out subject's intercept is unknown.

    Returns
    -------
    float
        Below 0 where the mean of the response predicts better; not a number where the response does not vary.
    """
    n_rows = float(held_out.n_rows.sum())
    products = held_out.cross_products.sum(axis=0)
    squares = float(held_out.response_squares.sum())
    error = squares - 2 * float(fit_coefficients @ held_out.cross_response.sum(axis=0))
    error += float(fit_coefficients @ products @ fit_coefficients)
    total = float(held_out.response_sum.sum())
    if centred:
        error -= (total - float(held_out.column_sums.sum(axis=0) @ fit_coefficients)) ** 2 / n_rows
    around_mean = squares - total**2 / n_rows
    return 1 - error / around_mean if around_mean > _TINY * squares else np.nan


def _fit_at(profile: ProfileLikelihood, ratio: float, scale: Array) -> MixedFit:
    """Return the fit at a ratio of variances, for columns that were divided by a scale (p,)."""
    at, sums = ProfilePoint(profile, ratio), profile.sums
    n_rows = profile.total_rows
    residual_variance = at.error / profile.freedom
    log_likelihood = -float(profile.cost(np.array([ratio]))[0])
    if profile.method == "REML":
        # the restricted likelihood knows the units of the columns
        log_likelihood -= float(np.log(scale).sum())
    effects = ratio * at.residuals
    mean_prediction = float(sums.column_sums.sum(axis=0) @ at.coefficients) / n_rows
    squared_prediction = float(at.coefficients @ sums.cross_products.sum(axis=0) @ at.coefficients) / n_rows
    mean_response = float(sums.response_sum.sum()) / n_rows
    mean_effect = float(profile.n_rows @ effects) / n_rows
    unscaled = 1 / np.outer(scale, scale)
    return MixedFit(
        coefficients=at.coefficients / scale,
        covariance=residual_variance * at.inverse * unscaled,
        observed_covariance=at.observed_covariance() * unscaled,
        residual_variance=residual_variance,
        subject_variance=ratio * residual_variance,
        log_likelihood=log_likelihood,
        method=profile.method,
        subject_effects=effects,
        n_rows=n_rows,
        n_subjects=int(np.count_nonzero(sums.n_rows)),
        fixed_variance=max(squared_prediction - mean_prediction**2, 0.0),
        random_variance=float(profile.n_rows @ (effects - mean_effect) ** 2) / n_rows,
        response_variance=max(float(sums.response_squares.sum()) / n_rows - mean_response**2, 0.0),
        variance_information=at.variance_information(),
        covariance_gradient=residual_variance * at.covariance_gradient() * unscaled,
    )


def _require_full_rank(sums: SubjectSums, scale: Array) -> None:
    n_rows, n_columns = int(sums.n_rows.sum()), len(scale)
    if n_rows <= n_columns:
        raise SingularDesign(f"{n_rows} rows for {n_columns} coefficients; expected more rows than coefficients")
    if not (scale > 0).all():
        raise SingularDesign(f"column {int(np.argmin(scale))} of the design is zero everywhere")
    values = np.linalg.eigvalsh(sums.cross_products.sum(axis=0) / np.outer(scale, scale))
    if not values[0] > _SMALLEST_RECIPROCAL_CONDITION * values[-1]:
        raise SingularDesign(
            f"columns of the design depend on each other: reciprocal condition {values[0] / values[-1]:.1g}, "
            f"expected above {_SMALLEST_RECIPROCAL_CONDITION:g}"
        )
