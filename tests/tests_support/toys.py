"""Small data sets without random numbers, for which worked results are known."""

from itertools import product

import numpy as np
import pandas as pd

SUBJECT_OFFSETS = {"m1": -0.3, "m2": 0.0, "m3": 0.45}
CONTRASTS = (0.0, 25.0, 100.0)
N_REPEATS = 2


def toy_t3():
    """Return 72 trials: three subjects, two sides, two outcomes, three contrasts, twice each.

    Columns subject, side, feedbackType, contrast (percent), lt (a log timing) and response; the index counts from 0.
    """
    rows = list(product(SUBJECT_OFFSETS, ("contra", "ipsi"), (1, -1), CONTRASTS, range(N_REPEATS)))
    frame = pd.DataFrame(rows, columns=["subject", "side", "feedbackType", "contrast", "repeat"]).drop(columns="repeat")
    place = np.arange(len(frame))
    log_contrast = np.log1p(frame["contrast"])
    correct = (frame["feedbackType"] == 1).astype(float)
    frame["lt"] = -0.6 + 0.3 * np.cos(2 * place)
    frame["response"] = (
        0.5
        + frame["subject"].map(SUBJECT_OFFSETS)
        + 0.2 * log_contrast
        + 0.3 * (frame["side"] == "contra")
        + 0.25 * correct
        + 0.1 * log_contrast * correct
        + 0.8 * frame["lt"]
        + 0.3 * np.sin(3 * place)
    )
    return frame
