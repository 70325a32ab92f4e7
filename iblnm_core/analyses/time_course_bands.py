"""Models of whole time courses over mice, with bands that hold at all times at once. Sums only: no trials, no tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.analyses.mixed_model import CONFIDENCE, NORMAL_QUANTILE
from iblnm_core.analyses.time_course_sums import CourseSums
from iblnm_core.errors import SingularDesign

Array = NDArray[np.float64]
CourseStatus = Literal["ok", "too_few_subjects", "no_variation"]
CourseMethod = Literal["two_stage", "random_intercept"]

MINIMUM_SUBJECTS = 6
"""With fewer, no pattern of signs is rarer than 1 in 16."""
MINIMUM_TRIALS = 20
"""A subject with fewer trials at any time has no course of its own."""
KNOWN_SHARE = 0.8
"""Times at which a smaller share of the trials is known are left out."""
EXACT_SUBJECTS = 12
"""Up to so many, all patterns of signs are gone through."""
N_FLIPS = 4000
N_GAUSSIAN_DRAWS = 10_000

_RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 10, 80)])
"""Ratios of subject to residual variance that are looked at."""
_SMALLEST_RECIPROCAL_CONDITION = 1e-12
_NO_SPREAD = 1e-9


@dataclass(frozen=True, eq=False)
class GroupCourses:
    """Courses of p coefficients at T times over subjects.

    Attributes
    ----------
    method : {'two_stage', 'random_intercept'}
    status : {'ok', 'too_few_subjects', 'no_variation'}
        Unless ok, there are no joint bands and no p-values.
    times : ndarray of float64, (T,)
        s, relative to the event; those that enough trials have.
    subjects : tuple of str
        Those that entered, in order.
    left_out : mapping of str to str
        Why each other subject did not.
    n_trials : int
        Of those that entered.
    estimate, se, lower, upper : ndarray of float64, (p, T)
        Mean course, its standard error, and the 95 % band that holds at each time by itself.
    joint_lower, joint_upper : ndarray of float64, (p, T)
        The 95 % band that holds at all times at once.
    quantile : ndarray of float64, (p,)
        Its half width in standard errors.
    p_joint : ndarray of float64, (p,)
        Two-sided, of no effect at any time.
    p_floor : float
        The smallest that it can be.
    curves : ndarray of float64, (g, p, T)
        Courses of the subjects; empty for `random_intercept`, which has none.
    """

    method: CourseMethod
    status: CourseStatus
    times: Array
    subjects: tuple[str, ...]
    left_out: Mapping[str, str]
    n_trials: int
    estimate: Array
    se: Array
    lower: Array
    upper: Array
    joint_lower: Array
    joint_upper: Array
    quantile: Array
    p_joint: Array
    p_floor: float
    curves: Array = field(default_factory=lambda: np.empty((0, 0, 0)))

    @property
    def significant(self) -> NDArray[np.bool_]:
        """Whether the joint band leaves out 0, (p, T)."""
        outside: NDArray[np.bool_] = (self.joint_lower > 0) | (self.joint_upper < 0)
        return outside


@dataclass(frozen=True, eq=False)
class _Pooled:
    """Sums of a group at the times that enough trials have: of every part, and of every subject, in order of names."""

    parts: list[CourseSums]
    owners: NDArray[np.intp]
    subjects: list[str]
    sums: list[CourseSums]
    times: Array
    n_terms: int


def two_stage(sums: Sequence[CourseSums], subjects: Sequence[str], seed: int) -> GroupCourses:
    """Return the mean over subjects of the courses that are fitted to each subject by itself.

    See `docs/methods/time_courses.md`.

    Parameters
    ----------
    sums : sequence of CourseSums
        One or more, of the same design, at the same times.
    subjects : sequence of str
        Whose trials each are.
    seed : int
        Of the patterns of signs where there are too many to go through.
    """
    pooled = _pooled(sums, subjects)
    left_out = {name: why for name, s in zip(pooled.subjects, pooled.sums, strict=True) if (why := _obstacle(s))}
    used = [(name, s) for name, s in zip(pooled.subjects, pooled.sums, strict=True) if name not in left_out]
    shape = (pooled.n_terms, len(pooled.times))
    curves = np.array([np.linalg.solve(s.cross_products, s.cross_response[..., None])[..., 0].T for _, s in used])
    n = len(used)
    curves = curves.reshape(n, *shape)
    estimate = curves.mean(axis=0) if n else np.full(shape, np.nan)
    se = curves.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(shape, np.nan)
    signs = _sign_patterns(n, seed)
    quantile, p_joint = np.full(shape[0], np.nan), np.full(shape[0], np.nan)
    status: CourseStatus = "too_few_subjects"
    if n >= MINIMUM_SUBJECTS and len(pooled.times):
        status = "no_variation" if (se <= _NO_SPREAD * np.abs(curves).max()).any() else "ok"
    if status == "ok":
        quantile = np.quantile(_largest_t(curves - estimate, signs), CONFIDENCE, axis=0)
        reached = _largest_t(curves, signs)
        # the first pattern is that of the data; others may tie with it
        p_joint = (reached >= reached[0] * (1 - 1e-9)).mean(axis=0)
    half = _t_quantile(n - 1) * se
    return GroupCourses(
        "two_stage",
        status,
        pooled.times,
        tuple(name for name, _ in used),
        left_out,
        sum(s.n_trials for _, s in used),
        estimate,
        se,
        estimate - half,
        estimate + half,
        estimate - quantile[:, None] * se,
        estimate + quantile[:, None] * se,
        quantile,
        p_joint,
        1 / len(signs),
        curves,
    )


def random_intercept(sums: Sequence[CourseSums], subjects: Sequence[str], seed: int) -> GroupCourses:
    """Return the courses of a model in which subjects differ by their intercept alone.

    Where subjects differ in the effect itself, its bands are too narrow. See `docs/methods/time_courses.md`.

    Parameters
    ----------
    sums : sequence of CourseSums
        One or more, of the same design, at the same times.
    subjects : sequence of str
        Whose trials each are.
    seed : int
        Of the draws of courses.

    Raises
    ------
    SingularDesign
        When columns of the design depend on each other at any of the times.
    """
    pooled = _pooled(sums, subjects)
    fit = _fit_intercepts(pooled)
    estimate, se = fit.coefficients.T, fit.standard_errors.T
    enough = len(pooled.subjects) >= MINIMUM_SUBJECTS and len(pooled.times) > 0
    status: CourseStatus = "too_few_subjects" if not enough else "ok" if fit.varies else "no_variation"
    quantile, p_joint = np.full(len(estimate), np.nan), np.full(len(estimate), np.nan)
    if status == "ok":
        normal = np.random.default_rng(seed).standard_normal((N_GAUSSIAN_DRAWS, len(pooled.times)))
        for place, correlation in enumerate(_correlations(pooled, fit)):
            largest = np.abs(normal @ _root(correlation)).max(axis=1)
            quantile[place] = np.quantile(largest, CONFIDENCE)
            observed = np.abs(estimate[place] / se[place]).max()
            p_joint[place] = (1 + np.count_nonzero(largest >= observed)) / (1 + N_GAUSSIAN_DRAWS)
    half = NORMAL_QUANTILE * se
    return GroupCourses(
        "random_intercept",
        status,
        pooled.times,
        tuple(pooled.subjects),
        {},
        sum(s.n_trials for s in pooled.sums),
        estimate,
        se,
        estimate - half,
        estimate + half,
        estimate - quantile[:, None] * se,
        estimate + quantile[:, None] * se,
        quantile,
        p_joint,
        1 / (1 + N_GAUSSIAN_DRAWS),
    )


def _pooled(sums: Sequence[CourseSums], subjects: Sequence[str]) -> _Pooled:
    everything = CourseSums.total(sums)
    kept = everything.n_known >= max(KNOWN_SHARE * everything.n_trials, 1)
    parts = [part.at(kept) for part in sums]
    names, owners = np.unique(np.asarray(subjects, dtype=object).astype(str), return_inverse=True)
    of_subjects = [
        CourseSums.total([part for part, owner in zip(parts, owners, strict=True) if owner == place])
        for place in range(len(names))
    ]
    n_terms = everything.cross_response.shape[1]
    return _Pooled(parts, owners, names.tolist(), of_subjects, everything.times[kept], n_terms)


def _obstacle(sums: CourseSums) -> str | None:
    fewest = int(sums.n_known.min()) if len(sums.times) else 0
    if fewest < MINIMUM_TRIALS:
        return f"{fewest} trials"
    return None if _full_rank(sums.cross_products).all() else "singular design"


def _full_rank(products: Array) -> NDArray[np.bool_]:
    """Return whether the columns of designs with these cross-products, (..., p, p), are independent, (...)."""
    scale = np.sqrt(np.maximum(np.einsum("...pp->...p", products), np.finfo(float).tiny))
    values = np.linalg.eigvalsh(products / (scale[..., :, None] * scale[..., None, :]))
    independent: NDArray[np.bool_] = values[..., 0] > _SMALLEST_RECIPROCAL_CONDITION * values[..., -1]
    return independent


def _t_quantile(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) if freedom > 0 else np.nan


def _sign_patterns(n: int, seed: int) -> Array:
    """Return signs of n subjects, a row each, the first all positive: all that differ by more than their overall sign, or a draw of them."""
    if n <= EXACT_SUBJECTS:
        negative = (np.arange(2 ** max(n - 1, 0))[:, None] >> np.arange(n)) & 1
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (N_FLIPS, n))
        negative = np.vstack([np.zeros((1, n), drawn.dtype), drawn])
    return np.where(negative, -1.0, 1.0)


def _largest_t(curves: Array, signs: Array) -> Array:
    """Return the largest |t| over times of the mean of curves, (g, p, T), under each pattern of signs, (d, p)."""
    n, n_terms, n_times = curves.shape
    flat = curves.reshape(n, -1)
    means = signs @ flat / n
    squares = (flat**2).sum(axis=0)
    # signs leave squares as they are
    variance = np.maximum(squares - n * means**2, np.finfo(float).eps * squares) / (n - 1)
    t = np.abs(means) / np.sqrt(variance / n)
    largest: Array = t.reshape(-1, n_terms, n_times).max(axis=2)
    return largest


@dataclass(frozen=True, eq=False)
class _InterceptFit:
    """A random-intercept model at every time: weights, inverse of the weighted cross-products, and what follows."""

    n: Array
    columns: Array
    weights: Array
    inverse: Array
    coefficients: Array
    residual_variance: Array
    varies: bool

    @property
    def standard_errors(self) -> Array:
        """Of the coefficients, (T, p)."""
        errors: Array = np.sqrt(self.residual_variance[:, None] * np.einsum("tpp->tp", self.inverse))
        return errors


def _fit_intercepts(pooled: _Pooled) -> _InterceptFit:
    total = CourseSums.total(pooled.sums)
    if not _full_rank(total.cross_products).all():
        raise SingularDesign(f"columns of the design depend on each other in the {total.n_trials} trials of the group")
    columns = np.array([s.cross_products[:, 0, :] for s in pooled.sums])
    response = np.array([s.cross_response[:, 0] for s in pooled.sums])
    n = columns[..., 0]
    rows, p = n.sum(axis=0), columns.shape[2]
    weights = _RATIOS[:, None, None] / (1 + n * _RATIOS[:, None, None])
    products = total.cross_products - np.einsum("kst,stp,stq->ktpq", weights, columns, columns, optimize=True)
    with_response = total.cross_response - np.einsum("kst,st,stp->ktp", weights, response, columns, optimize=True)
    coefficients = np.linalg.solve(products, with_response[..., None])[..., 0]
    error = total.response_squares - np.einsum("kst,st->kt", weights, response**2)
    error -= np.einsum("ktp,ktp->kt", with_response, coefficients)
    least = np.finfo(float).eps * total.response_squares + np.finfo(float).tiny
    cost = (rows - p) * np.log(np.maximum(error, least))
    cost += np.log1p(n * _RATIOS[:, None, None]).sum(axis=1) + np.linalg.slogdet(products)[1]
    best, time = np.argmin(cost, axis=0), np.arange(len(total.times))
    freedom = np.maximum(rows - p, 1)
    return _InterceptFit(
        n,
        columns,
        weights[best, :, time].T,
        np.linalg.inv(products[best, time]),
        coefficients[best, time],
        np.maximum(error[best, time], least) / freedom,
        bool((error[best, time] > _NO_SPREAD * total.response_squares).all() and (rows > p).all()),
    )


def _correlations(pooled: _Pooled, fit: _InterceptFit) -> Array:
    """Return how each coefficient's estimates at two times correlate, (p, T, T)."""
    # sums over the trials that two times have: those of the time that fewer have
    rows = fit.n.sum(axis=0)
    fewer = np.where(np.less_equal.outer(rows, rows), *np.indices((len(rows), len(rows))))
    products = CourseSums.total(pooled.sums).cross_products[fewer]
    residual = _residual_covariance(pooled, fit)
    between = _subject_covariance(pooled, fit, residual * (1 / np.maximum(fit.n, 1)).mean(axis=0)[fewer])
    found = []
    for place in range(pooled.n_terms):
        row = fit.inverse[:, place, :]
        of_subject = np.einsum("tp,stp->st", row, fit.columns)
        weighted = fit.weights * of_subject
        of_rows = np.einsum("sp,stpq,tq->st", row, products, row, optimize=True)
        crossed = weighted.T @ of_subject
        of_rows -= crossed + crossed.T - np.einsum("is,it,ist->st", weighted, weighted, fit.n[:, fewer], optimize=True)
        level = of_subject - fit.n * weighted
        covariance = residual * of_rows + between * (level.T @ level)
        deviation = np.sqrt(np.maximum(np.diag(covariance), np.finfo(float).tiny))
        found.append(covariance / np.outer(deviation, deviation))
    return np.array(found)


def _mean_residuals(sums: Sequence[CourseSums], coefficients: Array) -> tuple[Array, Array]:
    """Return the mean residual of each sum at each time and how many trials it is of, (m, T) each."""
    n = np.array([s.n_known for s in sums])
    totals = np.array([s.cross_response[:, 0] - (s.cross_products[:, 0] * coefficients).sum(axis=1) for s in sums])
    return np.divide(totals, n, out=np.zeros(n.shape), where=n > 0), n


def _residual_covariance(pooled: _Pooled, fit: _InterceptFit) -> Array:
    """Return the covariance of residuals at two times within subjects: within sessions, and of sessions about their subject."""
    total = CourseSums.total(pooled.parts)
    own, n = _mean_residuals(pooled.parts, fit.coefficients)
    of_subject, _ = _mean_residuals(pooled.sums, fit.coefficients)
    about = (own - of_subject[pooled.owners]) * np.sqrt(n)
    covariance = (total.residual_products + about.T @ about) / np.maximum(total.residual_freedom, 1)
    deviation = np.sqrt(np.maximum(np.diag(covariance), np.finfo(float).tiny))
    # its correlation, at the variance that the model found
    scale = np.sqrt(fit.residual_variance) / deviation
    scaled: Array = covariance * np.outer(scale, scale)
    return scaled


def _subject_covariance(pooled: _Pooled, fit: _InterceptFit, of_means: Array) -> Array:
    """Return the covariance of intercepts at two times, by moments, less what residuals bring to the means of subjects."""
    means, _ = _mean_residuals(pooled.sums, fit.coefficients)
    moments = np.cov(means.T, ddof=1).reshape(of_means.shape) - of_means
    # no direction has a negative variance
    values, vectors = np.linalg.eigh((moments + moments.T) / 2)
    positive: Array = (vectors * np.maximum(values, 0)) @ vectors.T
    return positive


def _root(correlation: Array) -> Array:
    """Return a matrix whose product with independent normal rows has this correlation; directions of negative variance are cut."""
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    scaled: Array = root / np.sqrt(np.maximum((root**2).sum(axis=0), np.finfo(float).tiny))
    return scaled
