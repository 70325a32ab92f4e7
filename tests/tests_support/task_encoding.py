"""Simulated trials for the analyses of what recordings code."""

import numpy as np
import pandas as pd

LEVELS = (0.0, 6.25, 12.5, 25.0, 100.0)


def simulated_trials(recordings, n_trials, seed, events=("stimOn",), effects=None):
    """Return trials of every recording and event whose responses follow coded predictors and unit noise.

    `effects`: coefficients of contrast (rank, uncentred), side, reward, contrast:side, contrast:reward, side:reward.
    """
    random = np.random.default_rng(seed)
    n = len(recordings) * len(events) * n_trials
    contrast, right = random.choice(LEVELS, n), random.random(n) < 0.5
    reward = np.where(random.random(n) < 0.8, 1.0, -1.0)
    repeated = recordings.loc[recordings.index.repeat(len(events) * n_trials)].reset_index(drop=True)
    on_left = (repeated["hemisphere"] == "l").to_numpy()
    known = repeated["hemisphere"].isin(["l", "r"])
    side = np.where(on_left == right, "contra", "ipsi")
    frame = repeated.assign(
        event=np.tile(np.repeat(np.array(events, dtype=object), n_trials), len(recordings)),
        trial=np.tile(np.arange(n_trials), len(recordings) * len(events)),
        contrast=contrast,
        side=pd.Series(side, dtype=object).where(known, None),
        feedbackType=reward,
        response=random.normal(size=n),
    )
    if effects is not None:
        c, s, w = np.searchsorted(LEVELS, contrast), np.where(side == "contra", 0.5, -0.5), reward / 2
        frame["response"] += np.column_stack([c, s, w, c * s, c * w, s * w]) @ np.asarray(effects)
    return frame
