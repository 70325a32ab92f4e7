"""Transients of corrected traces: where they are, how they rise and fall, and how often they come around events."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks
from tests_support.corrections import example, onsets, unmasked

from iblnm_core.correction_parameters import TransientParameters
from iblnm_core.corrections.compute import correct
from iblnm_core.corrections.recipes import NAMED
from iblnm_core.corrections.robust import noise_sd
from iblnm_core.corrections.traces import prepare
from iblnm_core.corrections.transient_kinetics import KINETICS, separable, transient_kinetics, transient_summary
from iblnm_core.corrections.transient_windows import transient_windows, window_rates
from iblnm_core.corrections.transients import detect_transients, transient_peaks
from iblnm_core.demo.planted_fluorescence import SCENARIOS, plant
from iblnm_core.schemas.transients import TRANSIENT_SUMMARY, TRANSIENTS
from iblnm_core.storage.tables import make_table

RATE_HZ = 30
PARAMETERS = TransientParameters()
IDENTITY = {"eid": "e", "fiber_idx": 0, "brain_region": "VTA-l", "correction": "robust"}
few = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def dff():
    return correct(unmasked(*example()[:3]), NAMED["robust"]).dff


def clock(n):
    return np.arange(n) / RATE_HZ


def planted(starts, duration_s=120, noise=5e-4, rise_s=0.08, decay_s=0.6, amplitude=0.05, seed=0):
    """A trace with the same transient at several times, and hardly any noise."""
    t = clock(duration_s * RATE_HZ)
    trace = noise * np.random.default_rng(seed).normal(size=len(t))
    for start in starts:
        since = np.maximum(t - start, 0)
        trace += amplitude * (1 - np.exp(-since / rise_s)) * np.exp(-since / decay_s)
    return trace


def measured(trace, events=None, parameters=PARAMETERS):
    found = detect_transients(trace, RATE_HZ, parameters)
    return transient_kinetics(clock(len(trace)), trace, found, events or {}, parameters)


def all_of(trace, events, parameters=PARAMETERS):
    """Rows of all three tables."""
    times, found = clock(len(trace)), detect_transients(trace, RATE_HZ, parameters)
    kinetics = transient_kinetics(times, trace, found, events, parameters)
    windows = transient_windows(kinetics, times, found, events, parameters)
    return kinetics, windows, transient_summary(kinetics, trace, found, parameters)


# where they are


def test_every_transient_of_the_example_is_found_and_no_trough(dff):
    found = detect_transients(dff, RATE_HZ)
    assert noise_sd(dff) == pytest.approx(0.002441, abs=1e-6)
    assert found.threshold == pytest.approx(0.006303, abs=1e-6)
    assert (len(found.peaks), len(found.troughs)) == (29, 0)
    np.testing.assert_allclose(found.peaks[:3] / RATE_HZ, [20.167, 40.200, 60.167], atol=5e-4)
    np.testing.assert_array_equal(found.peaks, transient_peaks(dff, RATE_HZ))


def test_without_a_least_height_there_are_false_transients(dff):
    found = detect_transients(dff, RATE_HZ)
    above = found.smooth - found.level
    rules = {"prominence": 6 / 5 * found.threshold, "wlen": 301, "width": 3, "distance": 6}
    assert [len(find_peaks(trace, **rules)[0]) for trace in (above, -above)] == [31, 5]
    stricter = detect_transients(dff, RATE_HZ, dataclasses.replace(PARAMETERS, threshold_sd=6))
    assert (len(stricter.peaks), len(stricter.troughs)) == (29, 0)


def test_noise_alone_has_none():
    noise = 0.004 * np.random.default_rng(3).normal(size=3600 * RATE_HZ)
    found = detect_transients(noise, RATE_HZ)
    assert (len(found.peaks), len(found.troughs)) == (0, 0)


@pytest.mark.parametrize("name", ["clean", "motion"])
def test_what_is_found_was_planted_and_without_neural_events_nothing_is(name):
    silent = dataclasses.replace(SCENARIOS[name], evoked=0, spontaneous=0)
    for scenario in (SCENARIOS[name], silent):
        recording = plant(scenario, 0)
        traces = prepare(recording.times, recording.signal, recording.times, recording.reference)
        peaks = detect_transients(correct(traces, NAMED["robust"]).dff, RATE_HZ).peaks
        true = find_peaks(recording.neural)[0]
        if scenario is silent:
            assert len(peaks) <= 0.05 * 60
            continue
        large = find_peaks(recording.neural, prominence=0.01)[0]
        assert np.mean([np.abs(true - peak).min() <= 10 for peak in peaks]) >= 0.98
        assert np.mean([np.abs(peaks - peak).min() <= 10 for peak in large]) >= 0.65


# kinetics


def test_kinetics_are_those_that_were_planted():
    # at all places between samples; neither noise nor filter, whose effect is in the next test
    starts = 10 + 12 * np.arange(9) + np.arange(9) / 9 / RATE_HZ
    trace = planted(starts, noise=0, rise_s=0.1, decay_s=1.0)
    peaks = find_peaks(trace)[0]
    found = dataclasses.replace(
        detect_transients(trace, RATE_HZ), smooth=trace, peaks=peaks, prominences=trace[peaks], threshold=0.01
    )
    found = transient_kinetics(clock(len(trace)), trace, found, {}, PARAMETERS)
    fine = np.arange(0, 10, 1e-4)
    kernel = 0.05 * (1 - np.exp(-fine / 0.1)) * np.exp(-fine / 1.0)
    peak = kernel.argmax()
    above = np.flatnonzero(kernel > kernel.max() / 2)
    wanted = {
        "baseline": 0,
        "amplitude": kernel.max(),
        "rise_s": fine[peak] - fine[above[0]],
        "decay_s": fine[above[-1]] - fine[peak],
        "width_s": fine[above[-1]] - fine[above[0]],
        "area": kernel[above].sum() * 1e-4,
    }
    assert len(found) == len(starts)
    np.testing.assert_allclose(found["time"], starts + fine[peak], rtol=0, atol=0.1 / RATE_HZ)
    for name, value in wanted.items():
        np.testing.assert_allclose(
            found[name], value, rtol=0.01, atol=0.1 / RATE_HZ if name.endswith("_s") else 1e-6, err_msg=name
        )


@pytest.mark.parametrize(
    ("trace", "rise_s", "decay_s", "width_s"),
    [("planted", 0.137, 0.473, 0.610), ("corrected", 0.140, 0.476, 0.616)],
)
def test_half_widths_of_the_usual_kernel(dff, trace, rise_s, decay_s, width_s):
    found = measured(dff if trace == "corrected" else planted(onsets(), 600))
    assert len(found) == 29
    means = found[["rise_s", "decay_s", "width_s"]].mean()
    np.testing.assert_allclose(means, [rise_s, decay_s, width_s], rtol=0, atol=0.005)


def test_amplitudes_after_correction_are_as_large_as_planted():
    recording = plant(SCENARIOS["clean"], 0, duration_s=1200)
    trace = correct(unmasked(recording.times, recording.signal, recording.reference), NAMED["robust"]).dff
    found = detect_transients(trace, RATE_HZ)
    true = dataclasses.replace(found, smooth=recording.neural)
    made, wanted = (
        transient_kinetics(recording.times, values, of, {}, PARAMETERS)["amplitude"]
        for values, of in ((trace, found), (recording.neural, true))
    )
    known = np.isfinite(wanted) & (wanted > 0.01)
    assert known.sum() > 150
    assert np.corrcoef(made[known], wanted[known])[0, 1] > 0.95
    assert np.polyfit(wanted[known], made[known], 1)[0] == pytest.approx(1, abs=0.06)


def test_masked_samples_leave_null_what_they_may_hide():
    trace = planted([20, 40, 60, 80, 100])
    trace[round(20.95 * RATE_HZ)] = np.nan  # in the decay; after the half amplitude and out of reach of the detector
    trace[round(39.3 * RATE_HZ) : round(39.65 * RATE_HZ)] = np.nan  # most of the baseline
    found = measured(trace)
    assert len(found) == 5
    np.testing.assert_array_equal(found["amplitude"].isna(), [False, True, False, False, False])
    np.testing.assert_array_equal(found["iei_s"].isna(), [True, True, False, False, False])
    np.testing.assert_allclose(found["iei_s"][2:], 20, atol=0.01)
    slow = planted([20, 40], decay_s=1.5)
    slow[round(20.9 * RATE_HZ)] = np.nan
    found = measured(slow)
    np.testing.assert_array_equal(found[["decay_s", "width_s", "area"]].isna(), [[True] * 3, [False] * 3])
    assert found[["rise_s", "amplitude"]].notna().all(axis=None)
    near = planted([20, 40])
    near[round(20.4 * RATE_HZ)] = np.nan
    np.testing.assert_allclose(measured(near)["time"], 40.18, atol=0.01)


def test_a_transient_that_stays_up_has_no_decay_and_one_on_a_flank_no_half():
    step = planted([]) + 0.05 / (1 + np.exp(np.clip((60 - clock(3600)) / 0.05, -50, 50)))
    step[1810:] += 0.01 * np.exp(-(clock(1790)) / 0.5)
    found = measured(step)
    assert len(found) == 1
    assert found["rise_s"].notna().all()
    assert found[["decay_s", "width_s", "area"]].isna().all(axis=None)
    flank = measured(planted([20], amplitude=0.5) + planted([20.9], amplitude=0.06))
    assert len(flank) == 2
    assert flank["amplitude"][1] < 0
    assert flank.loc[1, ["rise_s", "decay_s", "width_s", "area"]].isna().all()
    assert flank["compound"].all()


def test_the_last_event_before_a_transient_is_named_with_its_trial():
    events = {
        "stimOn_times": np.array([19.0, 39.0, np.nan, 70.0, 99.5]),
        "feedback_times": np.array([19.8, np.nan, np.nan, 71.0, 99.5]),
    }
    found = measured(planted([10, 20, 40, 60, 80, 100]), events)
    names = [None, "feedback_times", "stimOn_times", None, None, "feedback_times"]
    assert found["event"].tolist() == names
    assert found["trial"].tolist() == [pd.NA, 0, 1, pd.NA, pd.NA, 4]
    expected = found["time"] - [np.nan, 19.8, 39.0, np.nan, np.nan, 99.5]
    np.testing.assert_allclose(found["since_event_s"], expected, rtol=0, atol=1e-12)
    assert measured(planted([10]), {"stimOn_times": np.full(3, np.nan)})["event"].tolist() == [None]


def test_transients_close_to_another_are_compound():
    found = measured(planted([10, 20, 21.9, 40, 42.2]))
    assert found["compound"].tolist() == [False, True, True, False, False]


# a recording


def test_the_summary_of_a_recording_is_that_of_its_rows(dff):
    gapped = dff.copy()
    gapped[1000:2800] = np.nan
    found = detect_transients(gapped, RATE_HZ)
    kinetics = transient_kinetics(clock(len(dff)), gapped, found, {}, PARAMETERS)
    row = transient_summary(kinetics, gapped, found, PARAMETERS)
    assert row["n"] == len(kinetics) == 26
    assert row["unmasked_s"] == 540
    assert row["rate_per_min"] == pytest.approx(26 / 9)
    assert row["rate_inverted"] == len(found.troughs) / 9
    assert (row["share_compound"], row["separable"]) == (0, True)
    assert row["threshold"] == found.threshold
    for name in KINETICS:
        values = np.sort(kinetics[name].dropna())
        assert row[f"{name}_median"] == np.median(values)
        assert row[f"{name}_mad"] == np.median(np.abs(values - np.median(values)))


@pytest.mark.parametrize(
    ("rate", "inverted", "wanted"),
    [
        (12, 0.03, True),
        (20.9, 13.5, False),
        (60, 60, False),
        (30, 0, False),
        (29.9, 0, True),
        (0.8, 0.8, True),
        (2, 1, True),
    ],
)
def test_transients_are_told_from_fluctuation_by_troughs(rate, inverted, wanted):
    assert separable(rate, inverted, PARAMETERS) is wanted


def test_a_fluctuating_signal_is_not_separable():
    slow = np.random.default_rng(1).normal(size=600)
    trace = np.interp(clock(600 * RATE_HZ), np.arange(600), slow) + 0.01 * np.random.default_rng(2).normal(size=18000)
    *_, row = all_of(trace, {})
    assert row["rate_inverted"] > 0.8 * row["rate_per_min"] > 1
    assert row["separable"] is False


# around events


def test_windows_end_at_the_next_event_and_leave_masked_time_out():
    trace = planted([20, 40, 60.5, 80])
    trace[round(70.0 * RATE_HZ) : round(70.5 * RATE_HZ)] = np.nan
    events = {
        "stimOn_times": np.array([20.0, 59.0, np.nan, 71.0]),
        "feedback_times": np.array([20.6, 60.0, 40.5, 119.5]),
    }
    kinetics, windows, _ = all_of(trace, events)
    assert windows[["event", "window"]].drop_duplicates().to_numpy().tolist() == [
        [event, window] for event in events for window in ("pre", "post", "late")
    ]
    rows = windows.set_index(["event", "window", "trial"])
    counts, exposures = rows["count"], rows["exposure_s"]
    # windows one after the other, in each the trials in which the event happened
    assert counts["stimOn_times"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert counts["feedback_times"].tolist() == [1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert rows.loc["stimOn_times"].index.get_level_values("trial").tolist() == 3 * [0, 1, 3]
    # of [70, 71) half is masked and the rest too close to it, up to the first sample that is not; the recording ends as well
    half = 0.5 / RATE_HZ
    np.testing.assert_allclose(exposures["stimOn_times"], [1, 1, half, 0.6, 1, 1, 0, 0, 2], rtol=0, atol=1e-9)
    feedback = [1, 1, 1, 1, 1, 1, 1, 0.5 - half, 2, 2, 2, 0]
    np.testing.assert_allclose(exposures["feedback_times"], feedback, rtol=0, atol=1e-9)
    means = rows["mean_amplitude"]
    assert means["stimOn_times", "post", 0] == kinetics["amplitude"][0]
    assert means[counts == 0].isna().all()


@few
@given(
    seed=st.integers(0, 10_000),
    masked=st.lists(st.tuples(st.integers(0, 3599), st.integers(1, 60)), max_size=4),
)
def test_counts_and_exposures_are_those_of_a_plain_loop(seed, masked):
    random = np.random.default_rng(seed)
    trace = planted(np.sort(random.uniform(2, 115, 40)), seed=seed)
    for start, length in masked:
        trace[start : start + length] = np.nan
    events = {name: np.where(random.random(15) < 0.2, np.nan, random.uniform(-5, 125, 15)) for name in "ab"}
    kinetics, windows, _ = all_of(trace, events)
    everything = np.concatenate([*events.values()])
    searched = detect_transients(trace, RATE_HZ).searched
    assert len(windows) == 3 * np.isfinite(everything).sum()
    for row in windows.itertuples():
        at = events[row.event][row.trial]
        first, end = {"pre": (-1, 0), "post": (0, 1), "late": (1, 3)}[row.window]
        later = everything[everything > at]
        since, until = at + first, min(at + end, *later, np.inf)
        inside = kinetics[(kinetics["time"] >= since) & (kinetics["time"] < until)]
        assert row.count == len(inside)
        np.testing.assert_allclose(row.mean_amplitude, inside["amplitude"].mean(), atol=1e-12)
        centres = clock(len(trace))
        half = 0.5 / RATE_HZ
        shares = np.clip(np.minimum(centres + half, until) - np.maximum(centres - half, since), 0, None)
        assert row.exposure_s == pytest.approx(shares[searched].sum(), abs=1e-9)
        assert row.exposure_s > 0 or row.count == 0


def test_rates_over_trials_divide_by_exposure():
    rows = [
        ("a", "pre", 0, 0, 1.0, np.nan),
        ("a", "pre", 1, 1, 1.0, 0.02),
        ("a", "pre", 2, 0, 0.0, np.nan),
        ("a", "post", 0, 2, 1.0, 0.04),
        ("a", "post", 1, 1, 0.5, 0.01),
        ("a", "post", 2, 0, 0.5, np.nan),
        ("b", "late", 0, 0, 0.0, np.nan),
    ]
    windows = pd.DataFrame(rows, columns=["event", "window", "trial", "count", "exposure_s", "mean_amplitude"])
    rates = window_rates(windows).set_index(["event", "window"])
    assert rates["n_trials"].tolist() == [2, 3, 0]
    assert rates["n"].tolist() == [1, 3, 0]
    assert rates["exposure_s"].tolist() == [2, 2, 0]
    np.testing.assert_allclose(rates["rate_per_min"], [30, 90, np.nan])
    np.testing.assert_allclose(rates["probability"], [1 / 2, 2 / 3, np.nan])
    np.testing.assert_allclose(rates["mean_amplitude"], [0.02, 0.03, np.nan])
    # trial 2 has no time before the event: 3 in 1.5 s against 1 in 2 s
    np.testing.assert_allclose(rates["change_from_pre_per_min"], [np.nan, 120 - 30, np.nan])


def test_planted_events_raise_the_rate_and_silent_ones_do_not():
    recording = plant(SCENARIOS["clean"], 0, duration_s=1200)
    trace = correct(unmasked(recording.times, recording.signal, recording.reference), NAMED["robust"]).dff
    _, windows, row = all_of(trace, {"evoked": recording.events, "silent": recording.silent_events})
    rates = window_rates(windows).set_index(["event", "window"])
    assert row["separable"]
    assert rates.loc[("evoked", "post"), "change_from_pre_per_min"] > 30
    assert rates.loc[("evoked", "post"), "probability"] > 0.6
    assert abs(rates.loc[("silent", "post"), "change_from_pre_per_min"]) < 5


# tables and empty traces


def tables(kinetics, _windows, row):
    """The rows as they are stored, after the check against their schemas."""
    frames = zip((TRANSIENTS, TRANSIENT_SUMMARY), (kinetics, pd.DataFrame([row])), strict=True)
    made = []
    for schema, frame in frames:
        assert [*IDENTITY, *frame.columns] == schema.column_names
        made.append(make_table(schema, frame.assign(**IDENTITY)[schema.column_names]).rows)
    return made


def test_rows_are_those_of_the_tables(dff):
    stored = tables(*all_of(dff, {"stimOn_times": onsets(), "feedback_times": onsets() + 0.7}))
    assert [table.num_rows for table in stored] == [29, 1]


@pytest.mark.parametrize(
    "trace",
    [np.empty(0), np.zeros(1), np.zeros(29), np.full(900, np.nan), np.zeros(900), np.tile([0.1, np.nan], 450)],
    ids=["empty", "one sample", "less than a second", "all masked", "constant", "no neighbours"],
)
@pytest.mark.parametrize("events", [{}, {"stimOn_times": np.array([1.0, np.nan, 400.0])}], ids=["no events", "events"])
def test_a_trace_without_anything_to_find_has_empty_tables(trace, events):
    kinetics, windows, row = all_of(trace, events)
    stored = tables(kinetics, windows, row)
    assert [table.num_rows for table in stored] == [0, 1]
    assert len(windows) == 6 * len(events)
    assert row["n"] == 0
    assert row["separable"] is (True if row["threshold"] == 0 else None)
    assert np.isnan(row["amplitude_median"])
    assert windows["count"].sum() == 0
    assert len(window_rates(windows)) == 3 * len(events)


# what holds for any recording


@few
@given(constant=st.floats(-0.5, 0.5), shift_s=st.floats(0, 1e4), scale=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_a_constant_changes_the_baseline_only_and_a_scale_the_sizes_only(constant, shift_s, scale, seed):
    random = np.random.default_rng(seed)
    trace = planted(np.sort(random.uniform(2, 115, 25)), noise=1e-3, seed=seed)
    before, times = measured(trace), clock(len(trace))
    moved = scale * trace + constant
    found = detect_transients(moved, RATE_HZ)
    after = transient_kinetics(times + shift_s, moved, found, {}, PARAMETERS)
    wanted = before.copy()
    wanted["baseline"] = scale * wanted["baseline"] + constant
    wanted["time"] += shift_s
    wanted[["amplitude", "prominence", "area"]] *= scale
    assert len(before) > 0
    pd.testing.assert_frame_equal(after, wanted, check_exact=False, rtol=1e-7, atol=1e-8)


@few
@given(gaps=st.lists(st.tuples(st.integers(0, 3599), st.integers(1, 200)), max_size=5), seed=st.integers(0, 1000))
def test_gaps_break_intervals_and_nothing_is_found_in_them(gaps, seed):
    random = np.random.default_rng(seed)
    trace = planted(np.sort(random.uniform(2, 115, 25)), noise=1e-3, seed=seed)
    for start, length in gaps:
        trace[start : start + length] = np.nan
    found = measured(trace)
    masked_at = np.flatnonzero(np.isnan(trace)) / RATE_HZ
    for place, time in enumerate(found["time"]):
        assert not len(masked_at) or np.abs(masked_at - time).min() > 0.5 - 0.5 / RATE_HZ
        before = found["time"][place - 1] if place else -np.inf
        hidden = not place or ((masked_at > before) & (masked_at < time)).any()
        assert np.isnan(found["iei_s"][place]) == hidden
        assert hidden or found["iei_s"][place] == pytest.approx(time - before)
    known = found[found["width_s"].notna()]
    np.testing.assert_allclose(known["width_s"], known["rise_s"] + known["decay_s"])
    assert (known[["amplitude", "rise_s", "decay_s", "area"]] > 0).all(axis=None)
    assert (known["decay_s"] <= 3).all()
