"""Simulated cohorts of few mice with many trials, and how often intervals of a mixed model hold the truth."""

from typing import NamedTuple

import numpy as np

from iblnm_core.analyses.coding import code_contrast
from iblnm_core.analyses.mixed_model import SubjectSums, fit_random_intercept

LEVELS = (0.0, 6.25, 12.5, 25.0, 100.0)
TERMS = (
    "Intercept",
    "contrast",
    "side",
    "contrast:side",
    "reward",
    "contrast:reward",
    "side:reward",
    "contrast:side:reward",
)
TRUTH = np.array([0.5, 0.2, 0.3, 0.05, 0.4, 0.1, 0.0, 0.0])
SUBJECT_SD, RESIDUAL_SD = 0.35, 1.0


class Coverage(NamedTuple):
    """Share of cohorts whose interval holds the truth, by coefficient."""

    plain: np.ndarray
    suited: np.ndarray
    at_boundary: float


def cohort(rng, n_subjects, subject_sd=SUBJECT_SD):
    """Return the sums of a cohort: 100 to 1000 trials per mouse, more rewards at higher contrasts."""
    n_rows = rng.integers(100, 1000, n_subjects)
    subjects = np.repeat(np.arange(n_subjects), n_rows)
    total = len(subjects)
    level = rng.integers(0, len(LEVELS), total)
    contrast = code_contrast(LEVELS, "log", LEVELS)[level]
    reward = np.where(rng.random(total) < 0.6 + 0.08 * level, 0.5, -0.5)
    side = np.where(rng.random(total) < 0.5, 0.5, -0.5)
    contrast = contrast - contrast.mean()
    products = [contrast, side, contrast * side, reward, contrast * reward, side * reward, contrast * side * reward]
    design = np.column_stack([np.ones(total), *products])
    response = design @ TRUTH + RESIDUAL_SD * rng.normal(size=total)
    response += subject_sd * rng.normal(size=n_subjects)[subjects]
    return SubjectSums.of(design, response, subjects)


def coverage(n_subjects, n_cohorts, seed, subject_sd=SUBJECT_SD):
    """Return how often intervals hold the truth."""
    rng = np.random.default_rng(seed)
    plain, suited, boundary = np.zeros(len(TRUTH)), np.zeros(len(TRUTH)), 0
    for _ in range(n_cohorts):
        fit = fit_random_intercept(cohort(rng, n_subjects, subject_sd))
        found = fit.estimates(np.eye(len(TRUTH)))
        plain += _holds(*found.normal_interval)
        suited += _holds(*found.t_interval)
        boundary += fit.at_boundary
    return Coverage(plain / n_cohorts, suited / n_cohorts, boundary / n_cohorts)


def _holds(lower, upper):
    return (lower <= TRUTH) & (upper >= TRUTH)
