"""Synthetic recordings are like real ones: the same functions on both, against the numbers that both must have.

The real columns show that a function computes what the table means; then the synthetic quantiles count.
"""

import pandas as pd
import pytest
from tests_support import realism

from iblnm_core.demo import files
from iblnm_core.demo.presets import demo_plans
from iblnm_core.demo.session import session_content, simulate_session

SEED = 1

# statistic: real session, its two ROIs; 5, 50, 95 % of the biased demo sessions; half-width of what is accepted there
RECORDINGS = {
    "SD of GCaMP, %": ((0.22, 0.15), (0.51, 0.83, 1.21), 0.10),
    "SD of isosbestic, %": ((0.14, 0.08), (0.31, 0.43, 1.08), 0.12),
    "white noise of GCaMP, %": ((0.21, 0.13), (0.12, 0.13, 0.14), 0.01),
    "white noise of isosbestic, %": ((0.11, 0.07), (0.10, 0.12, 0.12), 0.02),
    "spectral slope of GCaMP": ((-0.44, -0.90), (-1.43, -1.25, -1.17), 0.08),
    "spectral slope of isosbestic": ((-1.08, None), (-1.44, -1.34, -1.27), 0.08),
    "isosbestic R2": ((0.07, 0.20), (0.02, 0.20, 0.72), 0.06),
    "isosbestic slope": ((0.42, 0.81), (0.39, 0.74, 1.01), 0.10),
    "r of bands, 0.01-0.1 Hz": ((0.75, 0.89), (0.28, 0.62, 0.93), 0.06),
    "r of bands, 0.5-2 Hz": ((0.34, 0.55), (0.09, 0.32, 0.80), 0.06),
    "bleaching tau / duration": ((0.49, 0.51), (0.23, 0.44, 0.60), 0.08),
    "end / start of GCaMP": ((0.81, 0.80), (0.88, 0.91, 0.96), 0.02),
    "quantum, 1e-7": ((1.3, 1.2), (1.3, 2.3, 3.5), 0.7),
    "unique fraction": ((0.18, 0.28), (0.24, 0.39, 0.57), 0.06),
    "percentile_distance": ((1.64, 1.62), (1.59, 1.73, 1.85), 0.08),
    "percentile_asymmetry": ((1.01, 0.99), (1.00, 1.06, 1.12), 0.05),
    "ar_score": ((0.04, 0.17), (0.83, 0.90, 0.92), 0.04),
}

# statistic: real session; demo sessions; half-width of what is accepted there
TRIALS = {
    "stimulus - start, 5 %": (0.47, 0.49, 0.01),
    "stimulus - start, median": (0.65, 1.00, 0.03),
    "stimulus - start, 95 %": (2.7, 2.8, 0.15),
    "reaction, median": (2.1, 0.205, 0.02),
    "reaction, log10 SD": (0.48, 0.26, 0.04),
    "response, median": (3.6, 0.39, 0.03),
    "response, log10 SD": (0.43, 0.26, 0.04),
    "movement, median": (0.45, 0.167, 0.015),
    "negative reactions, %": (0.6, 1.4, 0.4),
    "no-go, %": (0.3, 0.5, 0.3),
    "feedback to end, correct": (1.55, 1.557, 0.005),
    "feedback to end, error": (2.55, 2.557, 0.005),
}


@pytest.fixture(scope="module")
def real(real_session):
    trials = pd.read_parquet(real_session / "alf/task_00/_ibl_trials.table.pqt")
    signal = realism.cut(pd.read_parquet(real_session / "alf/photometry/photometry.signal.pqt"), trials)
    return {roi: realism.of_signal(signal, roi) for roi in ("G0", "G4")}, trials


@pytest.fixture(scope="module")
def synthetic():
    """Statistics of the 30 fibres of all biased sound sessions, and the trials of all that have choices."""
    recordings, trials, rates = [], [], []
    for plan in demo_plans(clinic=False):
        if plan.session_type == "habituation":
            continue
        content = session_content(simulate_session(plan, SEED))
        table = content.table(files.TRIALS).to_pandas()
        if not plan.novice:
            trials.append(table)
            rates.append(realism.per_minute(table))
        if plan.session_type == "biased":
            signal = realism.cut(content.table(files.SIGNAL).to_pandas(), table)
            rois = content.table(files.LOCATIONS).column("ROI").to_pylist()
            recordings += [realism.of_signal(signal, roi) for roi in rois]
    assert len(recordings) == 30
    return realism.quantiles(recordings), realism.of_trials(pd.concat(trials)), rates


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_statistic_of_a_real_recording_is_the_one_that_was_measured(real, name):
    recordings, _ = real
    for roi, expected in zip(("G0", "G4"), RECORDINGS[name][0], strict=True):
        if expected is not None:
            assert recordings[roi][name] == pytest.approx(expected, abs=0.021)


@pytest.mark.parametrize("name", RECORDINGS)
def test_synthetic_recordings_are_as_real_ones_are(synthetic, name):
    found, (_, expected, width) = synthetic[0][name], RECORDINGS[name]
    assert found.tolist() == pytest.approx(list(expected), abs=width)


@pytest.mark.parametrize("name", TRIALS)
def test_timings_of_trials_are_as_measured(real, synthetic, name):
    of_real, of_demo, width = TRIALS[name]
    assert realism.of_trials(real[1])[name] == pytest.approx(of_real, rel=0.03, abs=0.06)
    assert synthetic[1][name] == pytest.approx(of_demo, abs=width)


def test_trials_come_at_the_pace_of_the_demo(real, synthetic):
    assert realism.per_minute(real[1]) == pytest.approx(7.2, abs=0.1)
    assert pd.Series(synthetic[2]).median() == pytest.approx(16.7, abs=0.7)
