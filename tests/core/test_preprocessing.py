"""From two bands to one corrected signal: every step against ibl-photometry, and what holds for any signal."""

import dataclasses

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# the library imports itself in a circle unless this module comes first
from iblphotometry import fpio, processing
from scipy.interpolate import PchipInterpolator
from scipy.signal import butter, sosfiltfilt

from iblnm_core.errors import DegenerateSignal
from iblnm_core.parameters import PRESETS
from iblnm_core.session.correcting import preprocess
from iblnm_core.session.photometry import recording_from_tables, restrict_to_session
from iblnm_core.session.preprocessing import fit_isosbestic, on_grid, remove_bleaching
from iblnm_core.session.trials import trials_from_table

assert fpio
DEFAULT, REFERENCE = PRESETS["default"], PRESETS["reference"]
REGIONS = ("SI", "PPT")


def bands(n=6000, rate=32.0, seed=1):
    """Times and two bands that share a fast fluctuation, both bleaching; the reference half a sample later."""
    random = np.random.default_rng(seed)
    times = np.arange(n) / rate
    slow = 1 + 0.3 * np.exp(-times / 60)
    shared = 0.02 * np.convolve(random.normal(size=n + 4), np.ones(4) / 2, "valid")[:n]
    reference = 0.01 * slow * (1 + shared)
    signal = 0.006 * slow * (1 + 0.8 * shared + 0.004 * random.normal(size=n))
    return times, signal, reference


def corrected(times, signal, reference, parameters=DEFAULT, reference_times=None):
    return preprocess(
        times,
        signal,
        times if reference_times is None else reference_times,
        reference,
        parameters.preprocessing,
        parameters.photometry.band_pairing,
    )


# a real recording


@pytest.fixture(scope="module")
def real_bands(real_session):
    """Bands of a real session, cut to it under the reference's parameters."""
    folder = real_session / "alf/photometry"
    signal, locations = (pq.read_table(folder / f"{n}.pqt") for n in ("photometry.signal", "photometryROI.locations"))
    trials = trials_from_table(pq.read_table(real_session / "alf/task_00/_ibl_trials.table.pqt"))
    recording = recording_from_tables(signal, locations, REFERENCE.photometry)
    return restrict_to_session(recording, trials, REFERENCE.photometry).bands


@pytest.mark.parametrize("column", [0, 1], ids=REGIONS)
def test_each_step_equals_the_library(real_bands, column):
    times = [real_bands[name].times for name in ("GCaMP", "Isosbestic")]
    values = [real_bands[name].values[:, column] for name in ("GCaMP", "Isosbestic")]
    series = [pd.Series(v, index=t) for t, v in zip(times, values, strict=True)]

    expected = [processing.lowpass_bleachcorrect(band) for band in series]
    found = [remove_bleaching(t, v, REFERENCE.preprocessing) for t, v in zip(times, values, strict=True)]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.to_numpy(), rtol=0, atol=1e-12)

    residual = processing.isosbestic_correct(*expected, regression_method="mse", correction_method="subtract")
    slope, intercept, explained = fit_isosbestic(*found)
    np.testing.assert_allclose(found[0] - (slope * found[1] + intercept), residual.to_numpy(), rtol=0, atol=1e-12)
    assert explained == pytest.approx(np.corrcoef(*found)[0, 1] ** 2, rel=1e-9)

    whole = corrected(times[0], values[0], values[1], REFERENCE, times[1])
    z = processing.resample_signal(processing.zscore(residual), fs=30, method="pchip")
    np.testing.assert_array_equal(whole.times, z.index.to_numpy())
    np.testing.assert_allclose(whole.values, z.to_numpy(), rtol=0, atol=1e-12)
    assert (whole.iso_slope, whole.iso_intercept) == (slope, intercept)
    assert whole.iso_correlation == pytest.approx(explained, rel=1e-12)
    assert whole.mean == pytest.approx(residual.mean(), abs=1e-12)
    assert whole.standard_deviation == pytest.approx(residual.std(ddof=0), rel=1e-12)


def test_numbers_of_the_reference_pipeline(real_bands, shared):
    signal, reference = real_bands["GCaMP"], real_bands["Isosbestic"]
    with h5py.File(shared / "real_sessions" / "reference_numbers.h5") as file:
        for column, region in enumerate(REGIONS):
            expected = file[f"photometry/{region}"]
            found = corrected(
                signal.times, signal.values[:, column], reference.values[:, column], REFERENCE, reference.times
            )
            assert len(found.values) == expected["preprocessed/n"][()] == 82208
            for name, ours in (("times", found.times), ("signal", found.values)):
                np.testing.assert_allclose(
                    ours[::100], expected[f"preprocessed/{name}_every_100th"][()], rtol=1e-9, atol=1e-9
                )
            by_band = dict(zip(expected["qc/band"][()], expected["qc/iso_correlation"][()], strict=True))
            assert found.iso_correlation == pytest.approx(by_band[b"GCaMP"], rel=1e-9)


# bleaching


@pytest.mark.parametrize(("order", "samples"), [(3, 12), (8, 27)])
def test_without_a_padding_of_ours_the_filter_has_the_librarys_own(order, samples):
    times, values, _ = bands(3000)
    parameters = dataclasses.replace(REFERENCE.preprocessing, bleaching_filter_order=order)
    sections = butter(order, 0.01, fs=32.0, output="sos")
    baseline = sosfiltfilt(sections, values, padlen=samples)
    np.testing.assert_array_equal(remove_bleaching(times, values, parameters), (values - baseline) / baseline)


@pytest.mark.parametrize(("n", "samples"), [(6000, 3200), (3200, 3199), (500, 499)])
def test_far_padding_is_an_odd_reflection_as_long_as_the_recording_allows(n, samples):
    times, values, _ = bands(n)
    before = 2 * values[0] - values[samples:0:-1]
    after = 2 * values[-1] - values[-2 : -samples - 2 : -1]
    sections = butter(3, 0.01, fs=32.0, output="sos")
    extended = sosfiltfilt(sections, np.concatenate([before, values, after]), padlen=0)
    baseline = extended[samples : samples + n]
    found = remove_bleaching(times, values, DEFAULT.preprocessing)
    np.testing.assert_allclose(found, (values - baseline) / baseline, rtol=0, atol=1e-12)


def test_far_padding_takes_out_the_transient_of_the_filter_but_not_the_noise_at_the_edge():
    times = np.arange(0, 1200, 1 / 30)
    decay = 1 + 0.3 * np.exp(-times / 600)
    first = slice(0, 900)

    def error(parameters, values):
        baseline = values / (1 + remove_bleaching(times, values, parameters.preprocessing))
        return np.sqrt(np.mean((baseline / decay - 1)[first] ** 2))

    assert error(DEFAULT, decay) < 0.1 * error(REFERENCE, decay)
    # the reflection goes through the first sample, whose noise the slow course keeps: a limit of the method
    random = np.random.default_rng(0)
    noisy = [decay * (1 + 0.01 * random.normal(size=len(times))) for _ in range(20)]
    far, near = (np.sqrt(np.mean([error(p, v) ** 2 for v in noisy])) for p in (DEFAULT, REFERENCE))
    assert 0.5 * near < far < near


# what holds for any signal


@settings(deadline=None, max_examples=20)
@given(
    scales=st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
    shift=st.integers(-1000, 10_000),
    preset=st.sampled_from(sorted(PRESETS)),
)
def test_scale_of_either_band_and_start_of_the_clock_do_not_matter(scales, shift, preset):
    times, signal, reference = bands(3000)
    plain = corrected(times, signal, reference, PRESETS[preset])
    moved = corrected(times + shift, scales[0] * signal, scales[1] * reference, PRESETS[preset])
    n = len(plain.values)
    # a grid point may fall on the last sample or just before it
    assert abs(len(moved.values) - n) <= 1
    n = min(n, len(moved.values))
    np.testing.assert_allclose(moved.values[:n], plain.values[:n], atol=1e-6)
    np.testing.assert_allclose(moved.times[:n] - shift, plain.times[:n], atol=1e-6)
    assert moved.iso_slope == pytest.approx(plain.iso_slope, rel=1e-6)
    assert moved.standard_deviation == pytest.approx(plain.standard_deviation, rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(10, 3000))
def test_a_dropped_frame_harms_pairing_by_position_only(dropped):
    times, signal, reference = bands()
    kept = np.arange(len(times)) != dropped
    whole = corrected(times, signal, reference)
    by_time = corrected(times, signal, reference[kept], reference_times=times[kept])
    by_position = corrected(times[:-1], signal[:-1], reference[kept], REFERENCE, times[kept])
    assert whole.iso_correlation > 0.9
    assert by_time.iso_correlation == pytest.approx(whole.iso_correlation, abs=0.005)
    assert by_position.iso_correlation < whole.iso_correlation - 0.05
    assert by_time.standard_deviation == pytest.approx(whole.standard_deviation, rel=0.05)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_the_residual_has_nothing_left_in_common_with_the_reference(seed):
    times, signal, reference = bands(3000, seed=seed)
    shared = remove_bleaching(times, reference, DEFAULT.preprocessing)
    change = remove_bleaching(times, signal, DEFAULT.preprocessing)
    slope, intercept, _ = fit_isosbestic(change, shared)
    residual = change - (slope * shared + intercept)
    assert abs(np.corrcoef(residual, shared)[0, 1]) < 1e-9
    assert residual.mean() == pytest.approx(0, abs=1e-12)


def test_mean_and_deviation_give_the_relative_change_back():
    times, signal, reference = bands()
    # the signal's own samples are grid points, so that nothing is interpolated
    parameters = dataclasses.replace(DEFAULT.preprocessing, sampling_rate_hz=32.0)
    found = preprocess(times, signal, times, reference, parameters, "time")
    np.testing.assert_array_equal(found.times, times[:-1])
    change = remove_bleaching(times, signal, parameters)
    shared = remove_bleaching(times, reference, parameters)
    residual = change - (found.iso_slope * shared + found.iso_intercept)
    np.testing.assert_allclose(found.values * found.standard_deviation + found.mean, residual[:-1], atol=1e-15)


def test_the_grid_of_an_hour_has_one_sample_less_than_the_recording():
    _, signal, reference = bands(106_587)
    times = 5.0 + np.arange(106_587) / 30
    for parameters in PRESETS.values():
        found = corrected(times, signal, reference, parameters)
        assert len(found.times) == len(found.values) == 106_586
        assert (found.times[0], found.sampling_rate_hz) == (5.0, 30.0)
        assert np.isfinite(found.values).all()


def test_an_hour_is_z_scored_before_it_is_put_on_the_grid():
    random = np.random.default_rng(0)
    n = 106_587
    # between the samples a monotone interpolation has less variance than on them
    times = np.arange(n) / 30.5
    found = corrected(times, 1 + 0.01 * random.normal(size=n), 1 + 0.01 * random.normal(size=n))
    assert found.values.mean() == pytest.approx(0, abs=0.01)
    assert 0.75 < found.values.std() < 0.95


# what cannot be processed


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_band_that_is_too_short_is_refused(preset):
    times, signal, reference = bands()
    assert len(corrected(times[:20], signal[:20], reference[:20], PRESETS[preset]).values) > 0
    with pytest.raises(DegenerateSignal, match="19 whole blocks for the slope; expected 20"):
        corrected(times[:19], signal[:19], reference[:19], PRESETS[preset])
    with pytest.raises(DegenerateSignal, match="signal band has 12 samples inside the session; expected at least 13"):
        corrected(times[:12], signal[:12], reference[:12], PRESETS[preset])
    with pytest.raises(DegenerateSignal, match="reference band has 0 samples inside the session"):
        corrected(times, signal, reference[:0], PRESETS[preset], times[:0])


def test_what_is_wrong_with_a_band_is_said():
    times, signal, reference = bands(600)
    repeated, missing = times.copy(), times.copy()
    repeated[[100, 200]] = repeated[[99, 199]]
    missing[300] = np.nan
    with pytest.raises(DegenerateSignal, match="times of the signal band do not increase 2 times; expected increasing"):
        corrected(repeated, signal, reference, reference_times=times)
    with pytest.raises(DegenerateSignal, match="times of the reference band do not increase 2 times"):
        corrected(times, signal, reference, reference_times=missing)
    with pytest.raises(
        DegenerateSignal, match=r"reference band is constant at 0\.25 \(SD 0\); expected a signal that varies"
    ):
        corrected(times, signal, np.full(600, 0.25))
    with pytest.raises(DegenerateSignal, match="slow course of the signal band falls to nan"):
        corrected(times, np.where(times == times[5], np.nan, signal), reference)
    with pytest.raises(DegenerateSignal, match="scale of z is 0; expected a positive one"):
        corrected(times, signal, signal)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_change_relative_to_a_slow_course_through_zero_is_refused(preset):
    times, signal, reference = bands()
    with pytest.raises(DegenerateSignal, match=r"slow course of the signal band falls to -\d\S*; expected it above 0"):
        corrected(times, signal - signal.mean(), reference, PRESETS[preset])
    with pytest.raises(
        DegenerateSignal, match=r"slow course of the reference band falls to -\d\S*; expected it above 0"
    ):
        corrected(times, signal, -reference, PRESETS[preset])


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**32 - 1), st.booleans())
def test_the_grid_has_the_values_of_scipys_monotone_cubic(n, seed, coarse):
    random = np.random.default_rng(seed)
    times = 3000 + np.cumsum(random.uniform(0.02, 0.05, n))
    # coarse values have ties, where slopes are zero
    values = random.integers(-2, 3, n).astype(np.float64) if coarse else random.normal(size=n)
    grid = np.sort(np.concatenate([random.uniform(times[0] - 0.1, times[-1] + 0.1, 200), times]))
    expected = PchipInterpolator(times, values, extrapolate=False)(grid)
    np.testing.assert_allclose(on_grid(grid, times, values, None), expected, rtol=1e-12, atol=1e-12)
