"""Every way in which a dataset can be broken: what is changed, which fatal error follows, what is not made.

Used one session at a time, and as one batch.
"""

import numpy as np

TRIALS = "alf/task_00/_ibl_trials.table.pqt"
SIGNAL = "alf/photometry/photometry.signal.pqt"
LOCATIONS = "alf/photometry/photometryROI.locations.pqt"
RAW = "raw_photometry_data/_neurophotometrics_fpData.raw.pqt"
DESCRIPTION = "_ibl_experiment.description.yaml"
SIGNAL_OUTPUTS = {
    "corrections",
    "preprocessed_signal",
    "transients",
    "responses",
    "response_magnitudes",
    "response_vector",
    "condition_traces",
    "response_cells",
    "response_measures",
    "time_course_sums",
}
BEHAVIOUR_OUTPUTS = {"trials", "task_performance", "wheel_velocity", "trial_regressors", "pose"}


def with_column(name, values):
    return lambda table: table.assign(**{name: values(table[name])})


def without_column(name):
    return lambda table: table.drop(columns=name)


CASES = {
    "truncated trials": (
        TRIALS, None, ("trials", "CorruptDataset"), "_ibl_trials.table.pqt", BEHAVIOUR_OUTPUTS | SIGNAL_OUTPUTS,
    ),
    "empty trials": (
        TRIALS, lambda t: t.iloc[:0], ("trials", "CorruptDataset"), "0 rows; expected one per trial",
        BEHAVIOUR_OUTPUTS | SIGNAL_OUTPUTS,
    ),
    "trials without a column": (
        TRIALS, without_column("feedback_times"), ("trials", "CorruptDataset"),
        "column feedback_times missing; found stimOn_times", BEHAVIOUR_OUTPUTS | SIGNAL_OUTPUTS,
    ),
    "trials of text": (
        TRIALS, with_column("stimOn_times", lambda c: c.astype(str)), ("trials", "CorruptDataset"),
        "column stimOn_times is ", BEHAVIOUR_OUTPUTS | SIGNAL_OUTPUTS,
    ),
    "truncated signal": (SIGNAL, None, ("photometry_qc", "CorruptDataset"), "photometry.signal.pqt", SIGNAL_OUTPUTS),
    "empty signal": (
        SIGNAL, lambda t: t.iloc[:0], ("photometry_qc", "CorruptDataset"), "0 rows; expected one per frame",
        SIGNAL_OUTPUTS,
    ),
    "signal without times": (
        SIGNAL, without_column("times"), ("photometry_qc", "CorruptDataset"), "column times missing; found",
        SIGNAL_OUTPUTS,
    ),
    "NaN stretch": (
        SIGNAL, with_column("G0", lambda c: c.where((c.index < 5000) | (c.index > 5099))),
        ("photometry_qc", "SignalNotFinite"), "ROI G0 (VTA-l): 100 samples not finite", SIGNAL_OUTPUTS,
    ),
    "float32": (
        SIGNAL, with_column("G1", lambda c: c.astype(np.float32)), ("photometry_qc", "SignalWrongType"),
        "column G1 is float; expected float64", SIGNAL_OUTPUTS,
    ),
    "times that go back": (
        SIGNAL, with_column("times", lambda c: c.where(c.index != 3000, c - 5)),
        ("photometry_qc", "DegenerateSignal"), "do not increase", SIGNAL_OUTPUTS,
    ),
    "blank region": (
        LOCATIONS, with_column("brain_region", lambda c: c.where(c.index != "G0", "")),
        ("photometry_qc", "CorruptDataset"), "ROI G0 has no brain region", SIGNAL_OUTPUTS,
    ),
    "region that is a path": (
        LOCATIONS, with_column("brain_region", lambda c: c.where(c.index != "G0", "../x")),
        ("photometry_qc", "AmbiguousRegionMapping"), "'../x' has no match", SIGNAL_OUTPUTS,
    ),
    "no signal band": (
        SIGNAL, lambda t: t[t["name"].astype(str) != "GCaMP"], ("photometry_qc", "DegenerateSignal"),
        "photometry.signal.pqt: no frame of band GCaMP; found Isosbestic", SIGNAL_OUTPUTS,
    ),
    "all-NaN region": (
        SIGNAL, with_column("G1", lambda c: c * np.nan), ("photometry_qc", "SignalNotFinite"),
        "ROI G1 (SNc-r): ", SIGNAL_OUTPUTS,
    ),
    "no valid frame": (
        SIGNAL, with_column("valid", lambda c: c & False), ("photometry_qc", "DegenerateSignal"),
        "of band GCaMP are marked as outside the synchronised range", SIGNAL_OUTPUTS,
    ),
    "invalid during the first trials": (
        SIGNAL, with_column("valid", lambda c: c & (c.index > 6000)), ("photometry_qc", "TrialsNotInPhotometryTime"),
        "outside photometry [", SIGNAL_OUTPUTS,
    ),
    "a band that ends early": (
        SIGNAL, lambda t: t[(t["name"].astype(str) != "GCaMP") | (t.index < 6000)],
        ("photometry_qc", "TrialsNotInPhotometryTime"), "outside photometry [", SIGNAL_OUTPUTS,
    ),
    "two columns of one region": (
        LOCATIONS, lambda t: t.assign(brain_region="VTA-l"), ("photometry_qc", "AmbiguousRegionMapping"),
        "Photometry column 'VTA-l' has no match in brain_region ['VTA-l', 'SNc-r'] that other columns have not taken",
        SIGNAL_OUTPUTS,
    ),
    "dropped frame": (
        RAW, lambda t: t[t.index != 6000], ("photometry_qc", "BandInversion"), "band inversions detected",
        SIGNAL_OUTPUTS,
    ),
    "raw times that are missing": (
        RAW, with_column("SystemTimestamp", lambda c: c.where(c.index != 500)), ("photometry_qc", "CorruptDataset"),
        "_neurophotometrics_fpData.raw.pqt: column SystemTimestamp is not finite in 1 of", SIGNAL_OUTPUTS,
    ),
    "raw times that go back": (
        RAW, with_column("SystemTimestamp", lambda c: c.where(c.index != 3000, c - 5)),
        ("photometry_qc", "EarlySamples"), "early samples detected", SIGNAL_OUTPUTS,
    ),
    "empty raw frames": (
        RAW, lambda t: t.iloc[:0], ("photometry_qc", "DegenerateSignal"), "_neurophotometrics_fpData.raw.pqt: 0 frames; expected at least 4",
        SIGNAL_OUTPUTS,
    ),
    "unknown raw layout": (
        RAW, lambda t: t.rename(columns={"LedState": "Leds"}), ("photometry_qc", "UnknownRawLayout"),
        "columns FrameCounter, SystemTimestamp, Leds", SIGNAL_OUTPUTS,
    ),
}  # fmt: skip
