"""What the reference pipeline computes of a session's behaviour, through psychofit's own search and plain pandas.

Reads the trials by itself; shares no code with the pipeline.
"""

import numpy as np
import pandas as pd
import psychofit

BLOCKS = {"psych_50": 0.5, "psych_20": 0.2, "psych_80": 0.8}
BOUNDS = {"parmin": np.array([-50.0, 10, 0, 0]), "parmax": np.array([50.0, 50, 0.2, 0.2])}


def performance_of(folder, session_type):
    """Return fractions and fits by block of the trials in a session folder."""
    (path,) = folder.glob("alf/**/_ibl_trials.table.pqt")
    trials = pd.read_parquet(path)
    left, right = trials["contrastLeft"], trials["contrastRight"]
    signed = 100 * (right.fillna(0) - left.fillna(0))
    chosen, correct = trials["choice"] != 0, trials["feedbackType"] == 1
    # everything but zero counts as easy there
    easy = chosen & (100 * right.fillna(left).fillna(0) >= 0.5)
    found = {
        "n_trials": len(trials),
        "fraction_correct": correct[chosen].mean(),
        "fraction_correct_easy": correct[easy].mean(),
        "nogo_fraction": (~chosen).mean(),
    }
    for prefix, probability in BLOCKS.items():
        if prefix == "psych_50" or session_type in {"biased", "ephys"}:
            of_block = trials["probabilityLeft"] == probability
            found |= {f"{prefix}_{name}": v for name, v in _fit(signed[of_block], trials["choice"][of_block]).items()}
    return found


def _fit(signed, choice):
    """Return the best of ten searches, the first from a fixed point."""
    levels = np.unique(signed)
    n = np.array([(signed == level).sum() for level in levels])
    share = np.array([(choice[signed == level] == -1).mean() for level in levels])
    # the search draws from the global generator
    np.random.seed(0)  # noqa: NPY002
    start = np.array([0, 40.0, 0.1, 0.1])
    (bias, threshold, low, high), likelihood = psychofit.mle_fit_psycho(
        np.vstack([levels, n, share]), P_model="erf_psycho_2gammas", parstart=start, nfits=10, **BOUNDS
    )
    return {
        "bias": bias,
        "threshold": threshold,
        "lapse_right": low,
        "lapse_left": high,
        "n_trials": int(n.sum()),
        "log_likelihood": likelihood,
    }
