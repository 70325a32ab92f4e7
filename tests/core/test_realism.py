"""Synthetic recordings are like real ones: the same functions on both, against the numbers that both must have.

The real columns show that a function computes what the table means; then the synthetic quantiles count.
"""

from typing import NamedTuple

import pandas as pd
import pytest
from tests_support import realism

from iblnm_core.demo import files
from iblnm_core.demo.presets import demo_plans
from iblnm_core.demo.session import session_content, simulate_session

SEED = 1


class Recordings(NamedTuple):
    """A statistic of the two ROIs of the real session, and its 5, 50 and 95 % over fibres of the demo."""

    real: tuple
    rounding: float
    synthetic: tuple
    widths: tuple


# widths: three standard deviations of that quantile over the cohorts of 20 seeds (30 fibres are few); the table's
# quantiles are one such draw themselves
RECORDINGS = {
    "SD of GCaMP, %": Recordings((0.22, 0.15), 0.005, (0.51, 0.83, 1.21), (0.15, 0.16, 0.50)),
    "SD of isosbestic, %": Recordings((0.14, 0.08), 0.005, (0.31, 0.43, 1.08), (0.10, 0.13, 0.44)),
    "white noise of GCaMP, %": Recordings((0.21, 0.13), 0.005, (0.12, 0.13, 0.14), (0.01, 0.01, 0.01)),
    "white noise of isosbestic, %": Recordings((0.11, 0.07), 0.005, (0.10, 0.12, 0.12), (0.01, 0.01, 0.01)),
    "spectral slope of GCaMP": Recordings((-0.44, -0.90), 0.005, (-1.43, -1.25, -1.17), (0.10, 0.06, 0.09)),
    # G4: -1.12 by every estimator that gives the other three; the table repeats its GCaMP slope
    "spectral slope of isosbestic": Recordings((-1.08, None), 0.005, (-1.44, -1.34, -1.27), (0.06, 0.06, 0.16)),
    "isosbestic R2": Recordings((0.07, 0.20), 0.005, (0.02, 0.20, 0.72), (0.05, 0.16, 0.25)),
    "isosbestic slope": Recordings((0.42, 0.81), 0.005, (0.39, 0.74, 1.01), (0.18, 0.19, 0.10)),
    "r of bands, 0.01-0.1 Hz": Recordings((0.75, 0.89), 0.005, (0.28, 0.62, 0.93), (0.22, 0.21, 0.08)),
    "r of bands, 0.5-2 Hz": Recordings((0.34, 0.55), 0.005, (0.09, 0.32, 0.80), (0.16, 0.18, 0.22)),
    "bleaching tau / duration": Recordings((0.49, 0.51), 0.005, (0.23, 0.44, 0.60), (0.07, 0.14, 0.07)),
    "end / start of GCaMP": Recordings((0.81, 0.80), 0.005, (0.88, 0.91, 0.96), (0.03, 0.02, 0.02)),
    # the table's median lies two standard deviations above the usual 1.9, this cohort's one below
    "quantum, 1e-7": Recordings((1.3, 1.2), 0.05, (1.3, 2.3, 3.5), (0.15, 0.70, 0.70)),
    "unique fraction": Recordings((0.18, 0.28), 0.005, (0.24, 0.39, 0.57), (0.09, 0.07, 0.12)),
    "skewness": Recordings((-0.06, -0.11), 0.005, (0.04, 0.54, 0.86), (0.21, 0.17, 0.21)),
    # 5 %: the two weak fibres are nearly Gaussian, usually 0.3; 0.09 here
    "excess kurtosis": Recordings((0.3, 0.3), 0.05, (0.7, 1.6, 3.1), (0.65, 0.55, 0.90)),
    "percentile_distance": Recordings((1.64, 1.62), 0.01, (1.59, 1.73, 1.85), (0.08, 0.10, 0.23)),
    "percentile_asymmetry": Recordings((1.01, 0.99), 0.005, (1.00, 1.06, 1.12), (0.05, 0.04, 0.10)),
    "ar_score": Recordings((0.04, 0.17), 0.005, (0.83, 0.90, 0.92), (0.10, 0.02, 0.02)),
    "stimulus, mean z": Recordings((0.0, 0.0), 0.05, (0.0, None, 1.0), (0.50, None, 0.50)),
    "stimulus, SD of z": Recordings((0.5, 0.6), 0.05, (0.7, None, 1.0), (0.11, None, 0.12)),
    # 5 %: what the lowest mice draw as their own effect decides, -0.35 to 0.47 over the seeds; 0.37 here
    "feedback, mean z": Recordings((0.0, 0.0), 0.05, (-0.4, None, 2.0), (0.80, None, 0.75)),
    "feedback, SD of z": Recordings((0.6, 0.6), 0.05, (0.6, None, 0.9), (0.09, None, 0.12)),
}


class Timing(NamedTuple):
    """A timing of the real session's trials, and of those of all sound demo sessions with choices."""

    real: float
    rounding: float
    demo: float
    width: float


# widths: as above
TRIALS = {
    "stimulus - start, 5 %": Timing(0.47, 0.005, 0.49, 0.01),
    "stimulus - start, median": Timing(0.65, 0.005, 1.00, 0.03),
    "stimulus - start, 95 %": Timing(2.7, 0.05, 2.8, 0.18),
    "reaction, median": Timing(2.1, 0.05, 0.205, 0.024),
    "reaction, log10 SD": Timing(0.48, 0.005, 0.26, 0.021),
    "response, median": Timing(3.6, 0.05, 0.39, 0.038),
    "response, log10 SD": Timing(0.43, 0.005, 0.26, 0.012),
    "movement, median": Timing(0.45, 0.005, 0.167, 0.020),
    "negative reactions, %": Timing(0.6, 0.05, 1.4, 0.5),
    "no-go, %": Timing(0.3, 0.05, 0.5, 0.3),
    "feedback to end, correct": Timing(1.55, 0.005, 1.557, 0.001),
    "feedback to end, error": Timing(2.55, 0.005, 2.557, 0.001),
}

# contrast, %: correct choices in the demo, %; width
ACCURACY = {0.0: (56, 5), 6.25: (69, 5), 12.5: (82, 5), 25.0: (92, 3), 100.0: (96, 2)}


@pytest.fixture(scope="module")
def real(real_session):
    trials = pd.read_parquet(real_session / "alf/task_00/_ibl_trials.table.pqt")
    signal = realism.cut(pd.read_parquet(real_session / "alf/photometry/photometry.signal.pqt"), trials)
    return {roi: realism.of_signal(signal, roi, trials) for roi in ("G0", "G4")}, trials


@pytest.fixture(scope="module")
def synthetic():
    """Quantiles over the 30 fibres of all biased sound sessions, and the trials of each session that has choices."""
    recordings, trials = [], []
    for plan in demo_plans(clinic=False):
        if plan.session_type == "habituation" or plan.novice:
            continue
        content = session_content(simulate_session(plan, SEED))
        table = content.table(files.TRIALS).to_pandas()
        trials.append(table)
        if plan.session_type == "biased":
            signal = realism.cut(content.table(files.SIGNAL).to_pandas(), table)
            rois = content.table(files.LOCATIONS).column("ROI").to_pylist()
            recordings += [realism.of_signal(signal, roi, table) for roi in rois]
    assert (len(recordings), len(trials)) == (30, 37)
    # a fibre without a number would leave a quantile unnoticed
    assert pd.DataFrame(recordings).notna().all(axis=None)
    return realism.quantiles(recordings), trials


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_statistic_of_a_real_recording_is_the_one_that_was_measured(real, name):
    row = RECORDINGS[name]
    for roi, expected in zip(("G0", "G4"), row.real, strict=True):
        if expected is not None:
            assert real[0][roi][name] == pytest.approx(expected, abs=row.rounding)


@pytest.mark.parametrize("name", RECORDINGS)
def test_synthetic_recordings_are_as_real_ones_are(synthetic, name):
    row = RECORDINGS[name]
    for found, expected, width in zip(synthetic[0][name], row.synthetic, row.widths, strict=True):
        if expected is not None:
            assert found == pytest.approx(expected, abs=width)


@pytest.mark.parametrize("name", TRIALS)
def test_timings_of_trials_are_as_measured(real, synthetic, name):
    row = TRIALS[name]
    assert realism.of_trials(real[1])[name] == pytest.approx(row.real, abs=row.rounding)
    assert realism.of_trials(pd.concat(synthetic[1]))[name] == pytest.approx(row.demo, abs=row.width)


def test_trials_come_at_the_pace_of_the_demo(real, synthetic):
    assert realism.per_minute(real[1]) == pytest.approx(7.2, abs=0.05)
    assert pd.Series([realism.per_minute(table) for table in synthetic[1]]).median() == pytest.approx(16.7, abs=0.4)
    lengths = [len(table) for table in synthetic[1]]
    assert (min(lengths), max(lengths)) == pytest.approx((171, 194), abs=8)


def test_demo_mice_choose_better_at_higher_contrasts(synthetic):
    trials = pd.concat(synthetic[1])
    found = realism.accuracy(trials)
    assert found.index.tolist() == list(ACCURACY)
    for contrast, (expected, width) in ACCURACY.items():
        assert found[contrast] == pytest.approx(expected, abs=width)
    assert 100 * (trials["feedbackType"] > 0).mean() == pytest.approx(82, abs=2.2)
