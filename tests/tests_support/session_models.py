"""Simulated trials for the models of single recordings, and these models fitted the plain way."""

import numpy as np
import pandas as pd

LEVELS = (0.0, 6.25, 12.5, 25.0, 100.0)


def simulated_trials(random, n_trials, rewarded=0.8, **keys):
    """Return trials of one recording whose responses follow nothing but noise."""
    side = random.choice(["contra", "ipsi"], n_trials)
    other = np.where(side == "contra", "ipsi", "contra")
    reward = random.choice([1, -1], n_trials, p=[rewarded, 1 - rewarded])
    contrast = random.choice(LEVELS, n_trials)
    # at zero contrast the rewarded side is chance
    chosen = np.where((reward == 1) ^ ((contrast == 0) & (random.random(n_trials) < 0.5)), side, other)
    frame = pd.DataFrame(
        {
            "trial": np.arange(n_trials),
            "contrast": contrast,
            "side": side,
            "feedbackType": reward,
            "choice_side": chosen,
            "log_reaction_time": random.normal(-0.5, 0.3, n_trials),
            "peak_velocity": random.gamma(4, 1.5, n_trials),
            "response": random.normal(size=n_trials),
        }
    )
    defaults = {"fiber_idx": 0, "target_NM": "VTA-DA", "brain_region": "VTA", "event": "stimOn"}
    return frame.assign(**(defaults | keys))


def simulated_frame(n_recordings, seed, n_trials=(60, 120), per_mouse=1, **keys):
    """Return trials of many recordings, `per_mouse` sessions of each mouse."""
    random = np.random.default_rng(seed)
    frames = [
        simulated_trials(
            random, int(random.integers(*n_trials)), eid=f"e{i:03d}", subject=f"m{i // per_mouse:03d}", **keys
        )
        for i in range(n_recordings)
    ]
    return pd.concat(frames, ignore_index=True)


def r_squared(design, response):
    """Return the centred R² of a least-squares fit."""
    residual = response - design @ np.linalg.lstsq(design, response, rcond=None)[0]
    return 1 - residual @ residual / ((response - response.mean()) ** 2).sum()
