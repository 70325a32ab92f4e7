"""What the reference pipeline computes of one session, through ibl-photometry's own functions and plain loops.

Reads the files of the session by itself; shares no code with the pipeline.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from iblphotometry import fpio, metrics, neurophotometrics, processing, qc

EVENTS = ("stimOn_times", "firstMovement_times", "feedback_times")
METRICS = ("n_unique_samples", "median_absolute_deviance", "percentile_distance", "percentile_asymmetry", "ar_score")


@dataclass
class Oracle:
    """Everything by brain region."""

    trials: pd.DataFrame
    signals: dict[str, pd.Series]
    bands: dict[str, pd.DataFrame]
    counts: dict[str, int]

    def responses(self, region, event):
        """Windows from the first sample at or after each event on, NaN where the recording does not reach."""
        times, values = self.signals[region].index.to_numpy(), self.signals[region].to_numpy()
        rows = np.full((len(self.trials), 60), np.nan)
        for row, at in zip(rows, self.trials[event].to_numpy(), strict=True):
            if at - 1 >= times[0] and at + 1 <= times[-1]:
                anchor = np.searchsorted(times, at)
                row[:] = values[np.clip(anchor + np.arange(-30, 30), 0, len(values) - 1)]
        return rows

    def quality(self):
        """Return the sliding metrics by (band, region), each the mean of its windows and the whole recording."""
        functions = [getattr(metrics, name) for name in METRICS]
        options = {"percentile_asymmetry": {"pc_comp": 75}}
        sliding = {"w_len": 120, "step_len": 60, "detrend": True}
        long = qc.qc_signals(self.bands, functions, options, sliding_kwargs=sliding)
        return long.pivot_table("value", ["band", "brain_region"], "metric", aggfunc="mean")

    def iso_correlation(self, region):
        """Return the squared correlation of the two bands after bleaching correction."""
        corrected = [processing.lowpass_bleachcorrect(self.bands[b][region]) for b in ("GCaMP", "Isosbestic")]
        return np.corrcoef(*(series.to_numpy() for series in corrected))[0, 1] ** 2


def oracle_of(folder, behaviour="alf/task_00"):
    """Compute everything of the session in a folder."""
    trials = pd.read_parquet(folder / behaviour / "_ibl_trials.table.pqt")
    locations = pd.read_parquet(folder / "alf/photometry/photometryROI.locations.pqt")
    signal = pd.read_parquet(folder / "alf/photometry/photometry.signal.pqt")
    signal = signal.astype({"name": object, "color": object}).rename(columns={"include": "valid"})
    signal["name"] = signal["name"].where(signal["name"].notna(), "")
    bands = fpio.from_photometry_df(signal, rename=locations["brain_region"].to_dict(), drop_first=True)
    bands = fpio.restrict_to_session_time({name: bands[name] for name in ("GCaMP", "Isosbestic")}, trials)
    shortest = min(len(band) for band in bands.values())
    bands = {name: band.iloc[:shortest] for name, band in bands.items()}
    signals = {}
    for region in locations["brain_region"]:
        corrected = [processing.lowpass_bleachcorrect(bands[band][region]) for band in ("GCaMP", "Isosbestic")]
        clean = processing.isosbestic_correct(*corrected, regression_method="mse", correction_method="subtract")
        signals[region] = processing.resample_signal(processing.zscore(clean), fs=30, method="pchip")
    raw = pd.read_parquet(folder / "raw_photometry_data/_neurophotometrics_fpData.raw.pqt")
    frames = neurophotometrics.from_neurophotometrics_df_to_photometry_df(raw).set_index("times")
    counts = {name: int(getattr(metrics, name)(frames)) for name in ("n_early_samples", "n_band_inversions")}
    return Oracle(trials, signals, bands, counts)
