"""Quality of signals of simulated rigs: mice that differ and come and go, and drifts that are planted."""

import numpy as np
import pandas as pd

from iblnm_core.analyses.rig_watch import METRICS

LEVEL = {
    "bleaching_tau": (250.0, 60.0),
    "bleaching_amplitude": (1e-3, 3e-4),
    "median_absolute_deviance": (5e-5, 1.2e-5),
    "percentile_distance": (1.7, 0.1),
    "iso_correlation": (0.3, 0.12),
    "n_unique_samples": (0.44, 0.08),
}
"""Mean and spread of each metric; half of the variance is that of mice."""
GCAMP_ONLY = ("bleaching_tau", "bleaching_amplitude", "iso_correlation")
MICE_AT_ONCE = 4
WEEKS_OF_A_MOUSE = 13


def simulated_rigs(n_labs=1, n_weeks=26, seed=0, drifts=None, per_week=2):
    """Return qc_signals, qc_photometry and sessions of labs; a mouse is there for a quarter of a year, then another.

    `drifts`: by lab and metric, the change per week, in units of the metric, from the tenth week on.
    """
    random = np.random.default_rng(seed)
    shape = (n_labs, MICE_AT_ONCE, n_weeks, per_week)
    lab, place, week, nth = (axis.ravel() for axis in np.indices(shape))
    # they do not all come in the same week
    mouse = (week + 3 * place) // WEEKS_OF_A_MOUSE
    names = [f"lab{a:03d}_m{b}_{c}" for a, b, c in zip(lab, place, mouse, strict=True)]
    codes, _ = pd.factorize(np.array(names))
    day = pd.Timestamp("2025-01-06") + pd.to_timedelta(7 * week + 2 * nth, unit="D")
    eids = [f"e{number:07d}" for number in range(lab.size)]
    labs = [f"lab{number:03d}" for number in lab]
    bands = []
    for band in ("GCaMP", "Isosbestic"):
        rows = pd.DataFrame({"eid": eids, "fiber_idx": 0, "band": band})
        for metric in METRICS:
            mean, spread = LEVEL[metric]
            own = random.normal(size=codes.max() + 1)[codes] + random.normal(size=lab.size)
            rows[metric] = mean + spread * own / np.sqrt(2)
            if band != "GCaMP" and metric in GCAMP_ONLY:
                rows[metric] = np.nan
            for (of_lab, of_metric), change in (drifts or {}).items():
                if of_metric == metric:
                    rows[metric] += np.where(lab == of_lab, change * np.maximum(week - 9, 0), 0.0)
        bands.append(rows)
    signals = pd.DataFrame({"eid": eids, "fiber_idx": 0, "subject": names, "date": day.strftime("%Y-%m-%d")})
    return signals, pd.concat(bands, ignore_index=True), pd.DataFrame({"eid": eids, "lab": labs})
