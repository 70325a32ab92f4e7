"""Sliding metrics of a band against plain loops and the library, the choices of the presets, and the rule on them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from iblphotometry import metrics as library

from iblnm_core.errors import FewUniqueSamples
from iblnm_core.parameters import PRESETS
from iblnm_core.session.signal_quality import (
    METRICS,
    autoregressive_score,
    band_quality,
    check_unique_samples,
    metrics,
    unique_share,
    window_slices,
)

DEFAULT, REFERENCE = PRESETS["default"].signal_quality, PRESETS["reference"].signal_quality


def band(minutes=10.0, seed=0, rate=30.0):
    """A band that bleaches, with structure and noise, sampled almost regularly."""
    random = np.random.default_rng(seed)
    times = 12.3 + (np.arange(round(60 * minutes * rate)) + random.uniform(-0.1, 0.1)) / rate
    slow = np.convolve(random.normal(size=len(times)), np.exp(-np.arange(60) / 20), "same")
    return times, 0.02 + 0.005 * np.exp(-times / 400) + 1e-4 * slow + 5e-5 * random.normal(size=len(times))


def plain_metrics(values):
    z = (values - values.mean()) / values.std()
    lower, median, upper, high = np.percentile(z, (25, 50, 75, 95))
    design = np.column_stack([values[:-2], values[1:-1]])
    coefficients = np.linalg.lstsq(design, values[2:], rcond=None)[0]
    residual = values[2:] - design @ coefficients
    return {
        "n_unique_samples": len(set(values.tolist())) / len(values),
        "median_absolute_deviance": np.median(np.abs(values - np.median(values))),
        "percentile_distance": high - median,
        "percentile_asymmetry": abs(upper - median) / abs(median - lower),
        "ar_score": 1 - (residual @ residual) / np.sum((values[2:] - values[2:].mean()) ** 2),
    }


def plain_windows(times, values):
    """Detrended windows by a loop over all samples."""
    found = []
    for start in np.arange(times[0], times[-1] - 120, 60):
        chosen = [i for i, t in enumerate(times) if start <= t < start + 120]
        t, x = times[chosen], values[chosen]
        slope, intercept = np.polyfit(t - t.mean(), x, 1)
        found.append((x, x - intercept - slope * (t - t.mean())))
    return found


@settings(deadline=None, max_examples=12)
@given(minutes=st.floats(2.1, 6.0), seed=st.integers(0, 1000))
def test_values_equal_a_plain_loop(minutes, seed):
    times, values = band(minutes, seed, rate=10.0)
    windows = plain_windows(times, values)
    inside = [plain_metrics(detrended) for _, detrended in windows]
    whole = plain_metrics(values)
    found, mixed = band_quality(times, values, DEFAULT), band_quality(times, values, REFERENCE)
    assert found.n_windows == mixed.n_windows == len(windows)
    for name in METRICS:
        assert found.whole[name] == mixed.whole[name] == pytest.approx(whole[name], rel=1e-9)
        of_windows = [window[name] for window in inside]
        assert mixed.values[name] == pytest.approx(np.mean([*of_windows, whole[name]]), rel=1e-8)
        if name == "n_unique_samples":
            of_windows = [len(set(raw.tolist())) / len(raw) for raw, _ in windows]
            assert found.values[name] == np.median(of_windows)
        else:
            assert found.values[name] == pytest.approx(np.mean(of_windows), rel=1e-8)
        assert found.spread[name] == pytest.approx(np.std(of_windows), rel=1e-6, abs=1e-12)


@given(hnp.arrays(np.float64, st.integers(3, 60), elements=st.integers(-20, 20).map(float)))
def test_metrics_of_any_samples_equal_the_library(values):
    assert unique_share(values) == library.n_unique_samples(values)
    found = metrics(values)
    assert found["median_absolute_deviance"] == pytest.approx(library.median_absolute_deviance(values))
    if np.ptp(values) == 0:
        assert np.isnan([found[n] for n in ("percentile_distance", "percentile_asymmetry", "ar_score")]).all()
        return
    assert found["percentile_distance"] == pytest.approx(library.percentile_distance(values, (50, 95)), abs=1e-9)
    upper, lower = (abs(np.percentile(values, q) - np.median(values)) for q in (75, 25))
    if lower > 0:
        assert found["percentile_asymmetry"] == pytest.approx(library.percentile_asymmetry(values, 75), rel=1e-6)
    else:
        assert np.isinf(found["percentile_asymmetry"]) if upper > 0 else np.isnan(found["percentile_asymmetry"])


# squares of anything smaller vanish, and no camera counts in such steps
_COUNTS = st.floats(-1, 1).map(lambda value: round(value, 6))


@given(hnp.arrays(np.float64, st.integers(8, 60), elements=_COUNTS))
def test_the_autoregressive_score_equals_the_library(values):
    found = autoregressive_score(values)
    design = np.column_stack([values[:-2], values[1:-1]])
    if np.ptp(values[2:]) == 0:
        assert np.isnan(found)
    elif np.linalg.matrix_rank(design) == 2 and np.linalg.cond(design) < 1e6:
        assert found == pytest.approx(library.ar_score(values), rel=1e-7, abs=1e-7, nan_ok=True)


def test_a_signal_that_follows_from_itself_has_no_score():
    assert np.isnan(autoregressive_score(np.full(50, 0.3)))
    assert np.isnan(autoregressive_score(0.5 ** np.arange(20)))
    assert autoregressive_score(np.sin(np.arange(500) / 7)) > 1 - 1e-9


def test_an_hour_has_fifty_eight_windows():
    times = np.arange(0, 3600, 1 / 30)
    windows = window_slices(times, 120, 60)
    assert len(windows) == 58
    assert (windows[0].start, windows[0].stop) == (0, 3600)
    assert times[windows[57].start] == pytest.approx(57 * 60, abs=1 / 30)


def test_a_recording_that_is_no_longer_than_a_window_is_one_by_default():
    times, values = band(1.5)
    found, mixed = band_quality(times, values, DEFAULT), band_quality(times, values, REFERENCE)
    assert (found.n_windows, mixed.n_windows) == (1, 0)
    assert mixed.values == mixed.whole
    slope, intercept = np.polyfit(times, values, 1)
    detrended = plain_metrics(values - slope * times - intercept)
    for name in set(METRICS) - {"n_unique_samples"}:
        assert found.values[name] == pytest.approx(detrended[name], rel=1e-6)


def test_bleaching_counts_in_the_whole_recording_only():
    times, values = band(20)
    found, mixed = band_quality(times, values, DEFAULT), band_quality(times, values, REFERENCE)
    name = "median_absolute_deviance"
    assert found.values[name] < 0.5 * found.whole[name]
    assert found.values[name] < mixed.values[name] < found.whole[name]


def test_three_levels_in_an_hour_are_noticed_by_default_and_hardly_otherwise():
    times = np.arange(0, 3600, 1 / 30)
    random = np.random.default_rng(3)
    values = random.choice([0.010, 0.011, 0.012], len(times))
    found, mixed = band_quality(times, values, DEFAULT), band_quality(times, values, REFERENCE)
    assert found.whole["n_unique_samples"] == mixed.whole["n_unique_samples"] == pytest.approx(2.8e-5, rel=0.01)
    assert found.values["n_unique_samples"] == 3 / 3600
    # detrending makes nearly all samples distinct
    assert mixed.values["n_unique_samples"] > REFERENCE.minimum_unique_samples
    with pytest.raises(FewUniqueSamples):
        check_unique_samples([("GCaMP", "VTA", found.values["n_unique_samples"])], DEFAULT)


def test_few_unique_samples_are_named_by_region_and_band():
    found = [("Isosbestic", "VTA", 0.01), ("GCaMP", "SNc-l", 0.0495), ("GCaMP", "VTA", 0.05), ("GCaMP", "DR", np.nan)]
    with pytest.raises(FewUniqueSamples) as caught:
        check_unique_samples(found, DEFAULT)
    assert str(caught.value) == "Few unique samples: SNc-l/GCaMP=0.050, VTA/Isosbestic=0.010"
    assert (caught.value.measured, caught.value.threshold) == (0.01, 0.05)
    check_unique_samples([("GCaMP", "VTA", 0.05)], DEFAULT)


def test_a_constant_band_is_measured_without_a_warning():
    times, _ = band(5)
    found = band_quality(times, np.full(len(times), 1 / 255), DEFAULT)
    assert found.values["n_unique_samples"] == pytest.approx(1 / 3600, rel=0.01)
    assert found.values["median_absolute_deviance"] == 0
    assert np.isnan([found.values["ar_score"], found.values["percentile_distance"]]).all()


def test_columns_are_those_of_the_quality_table():
    from iblnm_core.schemas import QC_PHOTOMETRY

    times, values = band(5)
    columns = set(band_quality(times, values, DEFAULT).columns())
    assert columns <= set(QC_PHOTOMETRY.column_names)
    assert len(columns) == 3 * len(METRICS) + 1
    assert pd.Series(band_quality(times, values, DEFAULT).columns()).notna().all()
