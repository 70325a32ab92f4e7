"""Masks, pairing and dark offsets of photometry corrections."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from tests_support.corrections import example

from iblnm_core.corrections.checks import CHECKS, findings
from iblnm_core.corrections.compute import correct, correct_all
from iblnm_core.corrections.dark import UNIT_FLOOR, DarkOffset, camera_floor, dark_offset
from iblnm_core.corrections.diagnostics import Diagnostics, EventReference, diagnose
from iblnm_core.corrections.masks import Bit, MaskParameters, dilated, level_steps, mask_of_band, runs
from iblnm_core.corrections.recipes import NAMED
from iblnm_core.corrections.robust import median, row_medians
from iblnm_core.corrections.traces import bits_at, prepare
from iblnm_core.demo.planted_fluorescence import RATE_HZ, SCENARIOS, plant


def found(mask, bit):
    return set(np.flatnonzero(mask & bit).tolist())


def test_a_spike_and_a_flat_run_are_found_and_nothing_else():
    values = 1 + 0.001 * np.sin(1.7 * np.arange(300))
    values[100] += 0.5
    values[150:160] = values[150]
    values[200:204] = values[200]
    mask = mask_of_band(np.arange(300) / 30, values)
    assert found(mask, Bit.SPIKE) == {100}
    assert found(mask, Bit.FLAT) == set(range(150, 160))
    assert np.count_nonzero(mask) == 11


def test_every_bit_is_what_it_says():
    t, values, _, _ = example(2, 200)
    values = values.copy()
    values[50] = np.nan
    valid = np.ones(len(t), bool)
    valid[60:62] = False
    parameters = MaskParameters(ceiling=1.02)
    values[4000:4003] = 1.03
    mask = mask_of_band(t, values, parameters, valid, manual=[(20.0, 21.0)])
    assert found(mask, Bit.MISSING) == {50, 60, 61}
    assert found(mask, Bit.MANUAL) == set(range(600, 631))
    assert found(mask, Bit.SATURATED) == {4000, 4001, 4002}
    ordered = np.sort(example(2, 200)[1])
    for n, expected in ((4, 0), (5, 5)):
        capped = np.minimum(example(2, 200)[1], ordered[-n])
        assert len(found(mask_of_band(t, capped), Bit.SATURATED)) == expected
    only = mask_of_band(t, values, MaskParameters(bits=Bit.MISSING), valid, manual=[(20.0, 21.0)])
    assert set(np.unique(only)) == {0, 1}


def test_planted_faults_are_found_and_sound_samples_are_not():
    planted = plant(SCENARIOS["motion"], 0, 1200)
    random = np.random.default_rng(0)
    places = random.choice(np.arange(20, len(planted.times) - 20, 40), 60, replace=False)
    spikes, flats = np.sort(places[:30]), np.sort(places[30:])
    values = planted.signal.copy()
    values[spikes] += random.choice([-1, 1], 30) * 0.08
    for start in flats:
        values[start : start + 8] = values[start]
    mask = mask_of_band(planted.times, values)
    assert len(found(mask, Bit.SPIKE) & set(spikes.tolist())) >= 28
    assert len(found(mask, Bit.SPIKE) - set(spikes.tolist())) <= 1
    assert found(mask, Bit.FLAT) == {int(start) + k for start in flats for k in range(8)}
    assert np.count_nonzero(mask_of_band(planted.times, planted.signal)) <= 1


@pytest.mark.parametrize(("factor", "times"), [(0.5, [400.0]), (1.3, [400.0]), (0.97, []), (1.0, [])])
def test_only_large_lasting_steps_split_a_recording(factor, times):
    planted = plant(SCENARIOS["motion"], 1, 900)
    values = np.where(planted.times < 400, 1.0, factor) * planted.signal
    steps = level_steps(values, np.ones(len(values), bool), RATE_HZ)
    np.testing.assert_allclose(planted.times[steps], times, atol=0.1)
    # one that does not last is none
    short = np.where((planted.times > 400) & (planted.times < 405), 0.5, 1.0) * planted.signal
    assert level_steps(short, np.ones(len(values), bool), RATE_HZ) == []


def test_strong_bleaching_is_no_step():
    t = np.arange(30 * 600) / 30
    values = 0.3 + 0.7 * np.exp(-t / 60) + 0.002 * np.random.default_rng(0).normal(size=len(t))
    assert level_steps(values, np.ones(len(t), bool), 30) == []


def test_a_split_keeps_the_step_out_of_the_trace():
    planted = plant(SCENARIOS["motion"], 2, 900)
    signal = np.where(planted.times < 400, 1.0, 0.6) * planted.signal
    split = prepare(planted.times, signal, planted.times, planted.reference)
    whole = prepare(
        planted.times, signal, planted.times, planted.reference, parameters=MaskParameters(bits=Bit.MISSING)
    )
    assert len(split.steps_at) == 1
    near = np.abs(planted.times - 400) < 60
    errors = [np.nanstd((correct(traces, NAMED["robust"]).dff - planted.neural)[near]) for traces in (split, whole)]
    assert errors[0] < 0.015
    assert errors[1] > 0.05
    listed = prepare(planted.times, planted.signal, steps_s=[500.0])
    assert listed.steps_at == (15000,)
    # a stretch that is too short for a baseline of its own cannot be used
    ended = prepare(planted.times, planted.signal, steps_s=[800.0])
    assert found(ended.mask, Bit.LEVEL_STEP) == set(range(24000, 27000))
    assert np.isnan(correct(ended, NAMED["no_reference"]).dff[24000:]).all()


def test_missing_samples_are_put_back_and_stay_unknown():
    t, signal, reference, _ = example(3, 300)
    kept = np.ones(len(t), bool)
    kept[3000:3900] = False
    kept[5000] = False
    traces = prepare(t[kept], signal[kept], t, reference)
    np.testing.assert_allclose(traces.times, t, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(traces.kept, kept)
    result = correct(traces, NAMED["robust"])
    np.testing.assert_array_equal(np.isnan(result.dff), dilated(~kept))
    whole = correct(prepare(t, signal, t, reference), NAMED["robust"])
    assert np.nanmax(np.abs(result.dff - whole.dff)) < 0.002


def test_the_reference_is_paired_by_time_with_its_mask():
    t, signal, reference, _ = example(4, 200)
    later = t + 0.5 / 30
    reference = reference.copy()
    reference[1000] = np.nan
    traces = prepare(t, signal, later, reference)
    assert set(np.flatnonzero(traces.mask & Bit.MISSING)) == {1000, 1001}
    inside = traces.kept & (t > later[0])
    np.testing.assert_allclose(traces.reference[inside], np.interp(t, later, reference)[inside], rtol=0, atol=1e-12)


@given(flags=st.lists(st.booleans(), min_size=1, max_size=60), reach=st.integers(1, 3))
@settings(deadline=None)
def test_runs_and_dilation(flags, reach):
    flags = np.array(flags)
    again = np.zeros(len(flags), bool)
    for start, end in runs(flags):
        assert end > start
        again[start:end] = True
    np.testing.assert_array_equal(again, flags)
    near = [flags[max(0, i - reach) : i + reach + 1].any() for i in range(len(flags))]
    np.testing.assert_array_equal(dilated(flags, reach), near)


# dark offsets


def test_a_dark_offset_is_measured_assumed_or_refused():
    random = np.random.default_rng(0)
    values, frames = 0.5 + 0.01 * random.normal(size=1000), 0.1 + 0.001 * random.normal(size=200)
    assert dark_offset(values, frames) == DarkOffset(float(np.median(frames)), "measured")
    constant = DarkOffset(UNIT_FLOOR, "constant")
    # too few, or too noisy
    assert dark_offset(values, frames[:99]) == constant
    assert dark_offset(values, frames + 0.1 * random.normal(size=200)) == constant
    assert dark_offset(values, constant=0.0) == DarkOffset(0.0, "none")
    assert dark_offset(300 * values) == DarkOffset(0.0, "none")
    assert dark_offset(values, constant=0.49) == DarkOffset(0.0, "refused")
    assert dark_offset(np.full(3, np.nan)) == DarkOffset(0.0, "none")
    assert camera_floor(np.array([0.1, 1.1])) == 0


def test_without_its_dark_offset_a_response_is_too_small():
    planted = plant(SCENARIOS["dark"], 1)
    offset = DarkOffset(planted.dark, "constant")
    places = np.round(planted.events * RATE_HZ).astype(int)

    def response(trace):
        return np.nanmean([trace[p + 3 : p + 18].mean() - trace[p - 6 : p].mean() for p in places])

    arrays = planted.times, planted.signal, planted.times, planted.reference
    dark, lit = (
        response(correct(traces, NAMED["robust"]).dff) / response(planted.neural) - 1
        for traces in (prepare(*arrays), prepare(*arrays, dark=(offset, offset)))
    )
    assert dark == pytest.approx(-0.40, abs=0.03)
    assert abs(lit) < 0.02


# checks


def test_diagnostics_of_a_fibre_without_reference():
    t, signal, _, _ = example(6, 400)
    traces = prepare(t, signal)
    results = correct_all(traces, NAMED.values())
    diagnostics = diagnose(traces, results["no_reference"], results, {"stimulus": np.array([50.0, np.nan])})
    assert diagnostics.events == {}
    assert set(diagnostics.of_corrections) == {"no_reference", "no_reference_exp"}
    assert "slope" not in diagnostics.measures
    assert findings(diagnostics) == []


def test_checks_fire_beyond_their_threshold_only():
    sound = {
        "reference_r": 0.5,
        "slope": 0.5,
        "slope_disagreement": 0.1,
        "slope_attenuation": 0.8,
        "bleed": 0.0,
        "bleed_z": 10.0,
        "bleed_n": 50.0,
        "trend_ratio": 0.1,
        "rebound": 0.0,
        "snr": 5.0,
        "flat_share": 0.0,
        "masked_share": 0.0,
        "longest_gap_s": 0.0,
        "bleaching_share": 0.2,
    }
    of_corrections = {"robust": {"residual_r": 0.1, "denominator_ratio": 0.5}}
    events = {"stimulus": EventReference(3.0, 0.5, 100)}
    assert findings(Diagnostics(sound, of_corrections, events)) == []
    unknown = dict.fromkeys(sound, np.nan)
    assert findings(Diagnostics(unknown, {"robust": dict.fromkeys(of_corrections["robust"], np.nan)}, {})) == []
    faults = {
        "LowReferenceCorrelation": ({"reference_r": -0.05}, {}, {}),
        "NegativeReferenceSlope": ({"slope": -0.1}, {}, {}),
        "FitMethodSensitive": ({"slope_disagreement": 0.3}, {}, {}),
        "NoisyReference": ({"slope_attenuation": 0.2}, {}, {}),
        "EventLockedReference": ({}, {}, {"stimulus": EventReference(-5.0, 0.2, 100)}),
        "ReferenceContaminated": ({"bleed": -0.2}, {}, {}),
        "ResidualReference": ({}, {"robust": {"residual_r": -0.2, "denominator_ratio": 0.5}}, {}),
        "ResidualBleaching": ({"trend_ratio": -1.5}, {}, {}),
        "BaselineRebound": ({"rebound": 1.0}, {}, {}),
        "LowSignalToNoise": ({"snr": 1.0}, {}, {}),
        "FlatSteps": ({"flat_share": 0.02}, {}, {}),
        "MaskedSamples": ({"longest_gap_s": 11.0}, {}, {}),
        "DegenerateDenominator": ({}, {"robust": {"residual_r": 0.0, "denominator_ratio": 0.2}}, {}),
        "StrongBleaching": ({"bleaching_share": 0.7}, {}, {}),
    }
    assert set(faults) == {check.name for check in CHECKS}
    for name, (measures, corrections, by_event) in faults.items():
        fired = findings(Diagnostics(sound | measures, of_corrections | corrections, events | by_event))
        assert [finding.check.name for finding in fired] == [name]


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_medians_are_those_of_numpy(n, seed):
    rows = np.random.default_rng(seed).integers(-3, 4, (5, n)) / 3
    assert [median(row) for row in rows] == np.median(rows, axis=1).tolist()
    assert row_medians(rows).tolist() == np.median(rows, axis=1).tolist()


@settings(deadline=None)
@given(st.integers(20, 200), st.integers(0, 2**32 - 1), st.sampled_from([3, 5, 7]))
def test_spikes_are_single_samples_far_from_the_running_median(n, seed, window):
    random = np.random.default_rng(seed)
    values = random.normal(size=n)
    values[random.integers(0, n, 4)] += random.normal(scale=20, size=4)
    steps = np.diff(values)
    limit = 8 * np.median(np.abs(steps - np.median(steps))) / 0.6744897501960817 / np.sqrt(2)
    far = np.abs(values - median_filter(values, window, mode="nearest")) > limit
    alone = {int(start) for start, end in runs(far) if end - start == 1}
    mask = mask_of_band(np.arange(n) / 30, values, MaskParameters(spike_window=window, spike_samples=1))
    assert found(mask, Bit.SPIKE) == alone


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12, unique=True), st.integers(0, 2**32 - 1))
def test_a_mask_is_that_of_both_samples_beside_a_time(marks, seed):
    other_times = np.sort(np.array(marks, np.float64))
    mask = np.random.default_rng(seed).integers(0, 8, len(marks)).astype(np.uint8)
    times = np.arange(-1, 22, 0.5)
    after = np.clip(np.searchsorted(other_times, times), 0, len(marks) - 1)
    before = np.where(other_times[after] == times, after, np.maximum(after - 1, 0))
    assert bits_at(times, other_times, mask).tolist() == (mask[before] | mask[after]).tolist()
