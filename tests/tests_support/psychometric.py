"""Simulated choices, and the search that the reference pipeline makes: Nelder-Mead from ten points."""

import numpy as np
from scipy.optimize import minimize

from iblnm_core.session.psychometric import ChoiceCounts, psychometric_function

LEVELS = (
    np.array([-100, -25, -12.5, -6.25, 0, 6.25, 12.5, 25, 100.0]),
    np.array([-100, -50, -25, -12.5, -6.25, 0, 6.25, 12.5, 25, 50, 100.0]),
)
FIRST_START = (0, 40, 0.1, 0.1)
N_STARTS = 10


def simulated_choices(seed):
    """Return the choices of a session; some of its parameters lie beyond the bounds of the fit."""
    random = np.random.default_rng(seed)
    levels = LEVELS[int(random.uniform() < 0.3)]
    planted = random.uniform([-30, 5, 0, 0], [30, 50, 0.25, 0.25])
    n_trials = random.integers(5, 60, len(levels))
    n_right = random.binomial(n_trials, psychometric_function(levels, planted))
    return ChoiceCounts(levels, n_trials.astype(float), n_right.astype(float))


def best_of_ten(counts, bounds, seed):
    """Return the best log-likelihood and estimate of ten searches, the first from a fixed point."""
    lower, upper = np.array(bounds).T
    random, tiny = np.random.default_rng(seed), np.finfo(float).eps

    def cost(parameters):
        if (parameters < lower).any() or (parameters > upper).any():
            return 1e7
        probability = psychometric_function(counts.levels, parameters)
        probability = probability + tiny * (probability == 0) - tiny * (probability == 1)
        share = counts.n_right / counts.n_trials
        terms = share * np.log(probability) + (1 - share) * np.log(1 - probability)
        return -(counts.n_trials * terms).sum()

    starts = [np.array(FIRST_START), *random.uniform(lower, upper, (N_STARTS - 1, 4))]
    best = min((minimize(cost, start, method="Nelder-Mead") for start in starts), key=lambda found: found.fun)
    return -best.fun, best.x
