"""The shape of responses: a trace known by heart, a plain loop, dips, symmetries, masks, means with intervals, tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests_support.sessions import OneSession

from iblnm_core.cohort.collect import collected_rows
from iblnm_core.correction_parameters import MeasureParameters
from iblnm_core.root import create_root
from iblnm_core.schemas.response_measures import RESPONSE_MEASURES
from iblnm_core.session import summary_layout
from iblnm_core.session.corrections_layout import correction_parts
from iblnm_core.session.outputs import ORDINARY
from iblnm_core.session.response_measures import (
    MEASURES,
    BaselineSpread,
    baseline_sd,
    response_measures,
    response_polarity,
    smooth_trace,
)
from iblnm_core.session.shape_stage import measure_rows
from iblnm_core.session.trial_mean_measures import ALL_TRIALS, measure_unit, trial_conditions, trial_mean_measures
from iblnm_core.storage.session_file import SessionFile

PARAMETERS = MeasureParameters()
EARLY = (0.1, 0.35)
SPREAD = BaselineSpread(0.1, 0.05)
TIMES = np.arange(-30, 30) / 30
NAMES = ("a session", "VTA-l", "stimOn_times")
IN_TIME = ("time_to_peak", "latency", "width", "centroid")


def kernel(times):
    """A response that rises with 0.1 s and decays with 0.5 s."""
    after = np.maximum(times, 0)
    return np.where(times >= 0, (1 - np.exp(-after / 0.1)) * np.exp(-after / 0.5), 0.0)


def measured(values, times=TIMES, **options):
    return response_measures(np.atleast_2d(values).astype(float), times, SPREAD, EARLY, PARAMETERS, **options)


def after_event(*samples):
    """A trace that is 0 up to the event, then these samples, then 0."""
    trace = np.zeros(60)
    trace[30 : 30 + len(samples)] = samples
    return trace


@pytest.mark.parametrize(("sign", "unit"), [(1, 1.0), (-1, 1.0), (1, 0.02)])
def test_a_trace_known_by_heart(sign, unit):
    baseline = 0.1
    trace = baseline + sign * unit * kernel(TIMES)
    found = measured(trace - trace[(TIMES >= -0.1) & (TIMES < 0)].mean())
    assert found.polarity == sign
    sized = {"mean": (0.546390, 6), "peak": (0.582812, 6), "slope": (5.2424, 4), "auc": (0.343385, 6)}
    for name, (expected, digits) in sized.items():
        assert round(float(getattr(found, name)[0]) / (sign * unit), digits) == expected, name
    timed = {"time_to_peak": (0.180501, 6), "latency": (0.038773, 6), "width": (0.576942, 6), "centroid": (0.4028, 4)}
    for name, (expected, digits) in timed.items():
        assert round(float(getattr(found, name)[0]), digits) == expected, name
    decay = found.width[0] - (found.time_to_peak[0] - found.latency[0])
    assert round(float(decay), 6) == 0.435214
    assert found.peak_z[0] == pytest.approx(found.peak[0] / SPREAD.smooth_sd)
    assert not found.peak_at_edge[0]
    assert found.masked_fraction[0] == 0


def last_rise(trace, place, level):
    """Samples from the start of the window to the last crossing before a place; not a number without."""
    if not trace[place] >= level:
        return np.nan
    for i in range(place - 1, -1, -1):
        if not trace[i] >= level:
            return i + (level - trace[i]) / (trace[i + 1] - trace[i])
    return np.nan


def measured_by_loop(row, sign):
    """One response, sample by sample; in samples where the function has seconds."""
    trace = sign * row[30:]
    known = np.flatnonzero(~np.isnan(trace))
    found = dict.fromkeys(("peak", "time_to_peak", "latency", "rise", "width"), np.nan)
    found["peak_at_edge"] = False
    if not len(known):
        return found
    place = int(known[np.argmax(trace[known])])
    peak, shift = trace[place], 0.0
    found["peak_at_edge"] = place in {0, 29} or bool(np.isnan(trace[[place - 1, place + 1]]).any())
    if not found["peak_at_edge"]:
        a, b, c = np.polyfit([-1, 0, 1], trace[place - 1 : place + 2], 2)
        if a < -1e-12:
            shift, peak = -b / (2 * a), c - b * b / (4 * a)
    found |= {"peak": peak, "time_to_peak": place + shift}
    if peak <= 0:
        return found
    found["rise"] = last_rise(trace, place, 0.8 * peak) - last_rise(trace, place, 0.2 * peak)
    for i in range(place + 1):
        if trace[i] >= peak / 2:
            found["latency"] = i - 1 + (peak / 2 - trace[i - 1]) / (trace[i] - trace[i - 1]) if i else np.nan
            break
    for i in range(place + 1, 30):
        if not trace[i] >= peak / 2 and trace[place] >= peak / 2:
            fall = i - 1 + (peak / 2 - trace[i - 1]) / (trace[i] - trace[i - 1])
            found["width"] = fall - last_rise(trace, place, peak / 2)
            break
    return found


@given(st.integers(0, 2**20), st.sampled_from([0.0, 0.05, 0.3, 0.97]), st.sampled_from([0.0, 1.0, 3.0]))
@settings(max_examples=40)
def test_measures_are_those_of_a_loop_over_samples(seed, unknown, size):
    random = np.random.default_rng(seed)
    values = size * kernel(TIMES) + random.normal(size=(20, 60))
    values[random.random(values.shape) < unknown] = np.nan
    found = measured(values)
    assume(not np.isnan(found.polarity))
    expected = pd.DataFrame([measured_by_loop(row, found.polarity) for row in values])
    close = {"rtol": 0, "atol": 1e-7}
    np.testing.assert_array_equal(found.peak_at_edge, expected["peak_at_edge"])
    np.testing.assert_allclose(found.peak, found.polarity * expected["peak"], **close)
    for name in ("time_to_peak", "latency", "width"):
        np.testing.assert_allclose(getattr(found, name) * 30, expected[name], **close)
    rises = 0.6 * found.peak * 30 / found.slope
    np.testing.assert_allclose(rises, expected["rise"], **close)


@given(st.integers(0, 2**20), st.floats(1e-3, 1e3))
@settings(max_examples=40)
def test_a_larger_signal_has_larger_sizes_and_the_same_times(seed, factor):
    values = kernel(TIMES) + np.random.default_rng(seed).normal(0, 0.3, (10, 60))
    small, large = measured(values), measured(factor * values)
    assert small.polarity == large.polarity
    for name in MEASURES:
        scale = 1 if name in IN_TIME else factor
        np.testing.assert_allclose(
            getattr(large, name), scale * getattr(small, name), rtol=1e-9, atol=1e-12, err_msg=name
        )
    np.testing.assert_array_equal(small.peak_at_edge, large.peak_at_edge)


@given(st.integers(0, 2**20))
@settings(max_examples=40)
def test_a_mirrored_signal_has_the_other_polarity_and_mirrored_sizes(seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=(10, 60))
    values[random.random(values.shape) < 0.1] = np.nan
    up, down = measured(values), measured(-values)
    assert up.polarity == -down.polarity
    for name in (*IN_TIME, "masked_fraction", "peak_at_edge", "peak_valid", "latency_valid"):
        np.testing.assert_array_equal(getattr(up, name), getattr(down, name), err_msg=name)
    for name in ("mean", "peak", "slope", "auc", "peak_z"):
        np.testing.assert_allclose(getattr(up, name), -getattr(down, name), rtol=1e-12, atol=1e-14, err_msg=name)
    np.testing.assert_array_equal(up.auc_pos, -down.auc_neg)


def test_dips_are_measured_as_dips_even_where_a_trial_also_rises():
    random = np.random.default_rng(1)
    values = random.normal(0, 0.05, (40, 60)) - kernel(TIMES)
    # late in one trial: higher than the dip is deep
    values[7, 56] = 3.0
    found = measured(values)
    assert found.polarity == -1
    assert np.median(found.peak) == pytest.approx(-0.61, abs=0.05)
    assert found.peak[7] < -0.4
    assert np.median(found.time_to_peak) == pytest.approx(0.18, abs=0.03)
    assert (found.auc_neg <= 0).all()
    assert found.auc_pos[7] > 0.08
    np.testing.assert_allclose(found.auc, found.auc_pos + found.auc_neg)


def test_a_few_trials_do_not_decide_the_polarity():
    values = np.tile(0.3 * kernel(TIMES), (50, 1))
    # all but two trials are masked late, where the two dip deeply
    values[:2, 50:] = -5.0
    values[2:, 50:] = np.nan
    assert response_polarity(values, TIMES, PARAMETERS) == 1
    assert response_polarity(values[:2], TIMES, PARAMETERS) == -1


def test_a_peak_at_either_edge_is_the_sample_itself():
    ramp = np.where(TIMES >= 0, TIMES, 0.0)
    decay = np.where(TIMES >= 0, 1 - TIMES, 0.0)
    found = measured([ramp, decay], polarity=1.0)
    np.testing.assert_allclose(found.peak, [29 / 30, 1.0])
    np.testing.assert_allclose(found.time_to_peak, [29 / 30, 0.0])
    assert found.peak_at_edge.all()
    # the ramp never falls again; the decay was above half from the start on
    np.testing.assert_allclose(found.latency, [29 / 60, np.nan])
    np.testing.assert_allclose(found.slope, [1.0, np.nan])
    assert np.isnan(found.width).all()


def test_latency_is_the_first_crossing_and_width_that_of_the_peak():
    found = measured(after_event(0, 6, 0, 0, 10, 0))
    # peak 10 at sample 4 with even neighbours; half is crossed at 5/6 first, and around the peak at 3.5 and 4.5
    assert found.peak[0] == pytest.approx(10)
    assert found.latency[0] * 30 == pytest.approx(5 / 6)
    assert found.width[0] * 30 == pytest.approx(1)
    assert found.slope[0] == pytest.approx(0.6 * 10 / (0.6 / 30))


def test_a_vertex_far_above_its_sample_crosses_no_level():
    # three samples just above 0 beside a deep one: the parabola overshoots more than twice
    trace = np.full(60, -1.0)
    trace[40:42] = 0.01
    found = measured(trace, polarity=1.0)
    assert found.peak[0] > 0.02
    assert np.isnan([found.latency[0], found.slope[0], found.width[0]]).all()


def test_what_never_goes_up_has_no_times_of_a_rise_and_no_valid_peak():
    found = measured(np.full(60, -5.0), polarity=1.0)
    assert found.peak[0] == -5
    assert np.isnan([found.latency[0], found.slope[0], found.width[0], found.centroid[0]]).all()
    assert not found.peak_valid[0]
    assert found.auc[0] == found.auc_neg[0] == pytest.approx(-5 * 29 / 30)
    # a peak of exactly 0, which is reached from below
    flat = measured(np.where(np.arange(60) == 40, 0.0, -1.0), polarity=1.0)
    assert flat.peak[0] == 0
    assert np.isnan([flat.latency[0], flat.slope[0], flat.width[0], flat.centroid[0]]).all()


def test_what_is_masked_counts_in_no_measure():
    whole = kernel(TIMES)
    masked = np.where(TIMES > 0.5, np.nan, whole)
    short = np.where(TIMES > 0.1, np.nan, whole)
    found = measured([whole, masked, short])
    assert found.masked_fraction == pytest.approx([0, 14 / 30, 26 / 30])
    known = TIMES[(TIMES >= 0) & (TIMES <= 0.5)]
    assert found.auc[1] == pytest.approx(np.trapezoid(kernel(known), known))
    assert np.isnan(found.width[1])
    np.testing.assert_array_equal(found.peak_at_edge, [False, False, True])
    assert found.time_to_peak[2] == pytest.approx(0.1)
    assert found.peak[0] == found.peak[1]
    assert found.centroid[1] < found.centroid[0]


@pytest.mark.parametrize(("n_unknown", "is_known"), [(0, True), (1, True), (2, False), (8, False)])
def test_the_early_mean_needs_four_fifths_of_its_samples(n_unknown, is_known):
    trace = kernel(TIMES)
    early = np.flatnonzero((TIMES >= 0.1) & (TIMES < 0.35))
    assert len(early) == 8
    trace[early[8 - n_unknown :]] = np.nan
    found = measured(trace).mean[0]
    assert found == pytest.approx(np.mean(trace[early[: 8 - n_unknown]])) if is_known else np.isnan(found)


def test_trials_without_samples_have_no_measures():
    values = np.vstack([np.full(60, np.nan), kernel(TIMES)])
    found = measured(values)
    for name in MEASURES:
        assert np.isnan(getattr(found, name)).tolist() == [True, False], name
    assert found.masked_fraction.tolist() == [1, 0]
    assert found.peak_at_edge.tolist() == [False, False]
    assert found.peak_valid.tolist() == found.latency_valid.tolist() == [False, True]
    nothing = measured(values[:1])
    assert np.isnan(nothing.polarity)
    assert np.isnan(nothing.peak).all()
    assert len(measured(np.empty((0, 60))).latency) == 0


def test_a_window_without_samples_is_refused():
    with pytest.raises(ValueError, match=r"window \(0.0, 1.0\) holds no sample; responses reach from -1 s to -0.5 s"):
        measured(np.zeros(16), times=TIMES[:16])


def test_areas_and_times_do_not_depend_on_the_sampling_rate():
    fine = np.arange(-120, 120) / 120
    slow, fast = measured(kernel(TIMES)), measured(kernel(fine), times=fine)
    for name in ("auc", "width", "latency", "time_to_peak", "slope", "centroid"):
        # the last sample of the window comes 25 ms later
        assert getattr(fast, name)[0] == pytest.approx(getattr(slow, name)[0], rel=0.06), name


def test_a_response_that_lasts_beyond_the_window_has_a_width_within_the_reach():
    times = np.arange(-30, 120) / 30
    after = np.maximum(times, 0)
    traces = [np.where(times < 0, 0, (1 - np.exp(-after / 0.1)) * np.exp(-after / tau)) for tau in (2.0, 6.0)]
    found = measured(traces, times=times)
    assert 1 < found.width[0] < 2
    # half of this peak is crossed after 3 s
    assert np.isnan(found.width[1])


def test_peaks_of_noise_are_rarely_valid_and_those_of_responses_are():
    random = np.random.default_rng(2)
    noise = random.normal(0, 0.1, (2000, 60))
    sd = baseline_sd(noise, TIMES, (-0.1, 0.0))
    assert sd == pytest.approx(0.1, rel=0.05)
    spread = BaselineSpread(sd, sd)
    found = response_measures(noise, TIMES, spread, EARLY, PARAMETERS)
    assert (found.polarity * found.peak > 0).all()
    assert 0.01 < found.peak_valid.mean() < 0.15
    assert not (found.latency_valid & ~found.peak_valid).any()
    clear = response_measures(noise + kernel(TIMES), TIMES, spread, EARLY, PARAMETERS)
    assert clear.peak_valid.all()
    np.testing.assert_allclose(clear.peak_z, clear.peak / sd)
    unknown = BaselineSpread(np.nan, np.nan)
    assert not response_measures(noise, TIMES, unknown, EARLY, PARAMETERS).peak_valid.any()


def test_the_baseline_is_measured_over_all_trials_and_robustly():
    values = np.tile(np.arange(1.0, 6.0)[:, None], (1, 60))
    values[4] = 1000.0
    values[0, :] = np.nan
    # 2, 3, 4 and 1000: median 3.5, deviations 1.5, 0.5, 0.5, 996.5
    assert baseline_sd(values, TIMES, (-0.1, 0.0)) == pytest.approx(1.0 / 0.6744897501960817)
    assert np.isnan(baseline_sd(np.full((3, 60), np.nan), TIMES, (-0.1, 0.0)))


def test_a_smooth_trace_keeps_what_is_slow_and_what_is_unknown():
    times = np.arange(3000) / 30
    slow, fast = np.sin(2 * np.pi * 0.2 * times), np.sin(2 * np.pi * 10 * times)
    values = slow + fast
    values[1000:1010] = np.nan
    found = smooth_trace(times, values, PARAMETERS.smooth_hz)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    inside = slice(100, 900)
    np.testing.assert_allclose(found[inside], slow[inside], atol=0.02)
    assert np.isnan(smooth_trace(times[:5], np.full(5, np.nan), 3.0)).all()


def means_of(values, conditions=None, names=NAMES, polarity=1.0, parameters=PARAMETERS):
    conditions = {ALL_TRIALS: np.ones(len(values), dtype=bool)} if conditions is None else conditions
    return trial_mean_measures(values, TIMES, conditions, names, "dff", SPREAD, EARLY, parameters, polarity)


def test_measures_of_a_mean_are_those_of_the_mean_trace():
    random = np.random.default_rng(3)
    values = kernel(TIMES) + random.normal(0, 0.5, (60, 60))
    values[random.uniform(0.4, 3, 60)[:, None] < TIMES] = np.nan
    kept = np.arange(60) < 35
    table = means_of(values, {"all": kept}).set_index("measure")
    expected = measured(np.nanmean(values[kept], axis=0), polarity=1.0)
    for name in MEASURES:
        assert table.loc[name, "estimate"] == pytest.approx(getattr(expected, name)[0]), name
    assert (table["n_trials"] == 35).all()
    assert (table["lower"] <= table["upper"]).all()
    sizes = np.nanmean(values[kept][:, (TIMES >= 0.1) & (TIMES < 0.35)], axis=1)
    # half the width of the interval of a mean is about two standard errors
    half = (table.loc["mean", "upper"] - table.loc["mean", "lower"]) / 2
    assert half == pytest.approx(1.96 * sizes.std() / np.sqrt(35), rel=0.15)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    few = MeasureParameters(n_draws=200)
    truth = measured(kernel(TIMES))
    held = {"mean": 0, "auc": 0, "latency": 0}
    for seed in range(60):
        random = np.random.default_rng(seed)
        values = random.gamma(4, 0.25, (40, 1)) * kernel(TIMES) + random.normal(0, 0.1, (40, 60))
        table = means_of(values, parameters=few).set_index("measure")
        for name in held:
            held[name] += table.loc[name, "lower"] <= getattr(truth, name)[0] <= table.loc[name, "upper"]
    assert all(count >= 52 for count in held.values()), held
    assert held["mean"] < 60


def test_draws_depend_on_names_alone():
    values = kernel(TIMES) + np.random.default_rng(4).normal(0, 0.5, (30, 60))
    first = means_of(values)
    pd.testing.assert_frame_equal(first, means_of(values))
    other = means_of(values, names=("a session", "VTA-l", "feedback_times"))
    np.testing.assert_array_equal(first["estimate"], other["estimate"])
    assert not np.allclose(first["lower"], other["lower"])
    everything = np.ones(30, dtype=bool)
    together = means_of(values, {"c0_correct": everything, "all": everything})
    # a condition does not change by what is computed beside it
    pd.testing.assert_frame_equal(together.iloc[len(MEASURES) :].reset_index(drop=True), first)
    assert not np.allclose(together["lower"].iloc[: len(MEASURES)], first["lower"])


def test_a_mean_of_one_trial_has_no_interval_and_one_of_none_no_value():
    values = np.vstack([kernel(TIMES), np.full((2, 60), np.nan)])
    table = means_of(values, {"one": np.array([1, 1, 0], dtype=bool), "none": np.array([0, 1, 1], dtype=bool)})
    one, none = (table[table["condition"] == name] for name in ("one", "none"))
    assert one["estimate"].notna().all()
    assert (one["n_trials"] == 1).all()
    assert (none["n_trials"] == 0).all()
    assert none["estimate"].isna().all()
    assert table[["lower", "upper"]].isna().all(axis=None)
    assert means_of(values, {}).empty


def test_a_measure_that_many_draws_lack_has_no_interval():
    # the first sample lies about half of the peak: in some draws the mean starts above it and has no latency
    random = np.random.default_rng(5)
    step = np.where(TIMES >= 0, 0.47 + 0.53 * kernel(TIMES) / 0.5812, 0.0)
    values = step + random.normal(0, 0.6, (12, 1)) * (TIMES == 0)
    table = means_of(values).set_index("measure")
    assert table.loc["latency", "estimate"] > 0
    assert np.isnan(table.loc["latency", ["lower", "upper"]].astype(float)).all()
    assert table.loc["peak", ["lower", "upper"]].notna().all()


def test_late_samples_of_a_few_trials_do_not_make_the_peak_of_a_mean():
    values = np.tile(kernel(TIMES), (20, 1)) + np.random.default_rng(6).normal(0, 0.01, (20, 60))
    values[2:, 50:] = np.nan
    values[:2, 50:] = 9.0
    table = means_of(values).set_index("measure")
    assert table.loc["peak", "upper"] < 0.65


def test_conditions_are_contrasts_and_outcomes_of_used_trials():
    trials = pd.DataFrame({"contrast": [0, 6.25, 6.25, 100, np.nan, 100], "feedbackType": [1, -1, 1, 1, 1, 1]})
    used = np.array([1, 1, 1, 0, 1, 1], dtype=bool)
    found = {name: np.flatnonzero(members).tolist() for name, members in trial_conditions(trials, used).items()}
    assert found == {
        "all": [0, 1, 2, 4, 5],
        "c0_correct": [0],
        "c6.25_incorrect": [1],
        "c6.25_correct": [2],
        "c100_correct": [5],
    }
    assert list(trial_conditions(pd.DataFrame(index=range(6)), used)) == ["all"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, copies):
    """A session file with all that is made of its responses."""
    folder = tmp_path_factory.mktemp("measures")
    made = copies(folder / "cache", 1)
    (eid,) = made.eids
    root = create_root(folder / "root", cache=made.cache)
    report = OneSession(root, made.folders[eid], eid).run(selected=frozenset(ORDINARY) | {"trial_mean_measures"})
    assert {"response_measures", "trial_mean_measures"} <= report.computed
    return root, eid


def test_a_session_file_has_the_shape_of_every_response(recorded):
    root, eid = recorded
    with SessionFile(root.session_file(eid), eid) as file:
        sizes = summary_layout.read_magnitudes(file)
        scale = {
            index: float(part.attributes["robust/sd"])
            for part in correction_parts(file).values()
            for index in [int(part.attributes["fiber_idx"])]
        }
        parts = [file.read(f"photometry/{group}/measures") for group in file.regions()]
    rows = pd.concat([measure_rows(part) for part in parts], ignore_index=True)
    assert {column.name for column in RESPONSE_MEASURES} <= set(rows)
    assert set(rows["correction"]) == {"robust"}
    both = rows.merge(sizes, on=["fiber_idx", "event", "trial"], validate="one_to_one")
    assert len(both) == len(rows) == len(sizes)
    known = both[both["mean"].notna()]
    assert len(known["event"].unique()) > 1
    # relative change is z times the spread of the trace; the trace is stored with single precision
    expected = known["response"] * known["fiber_idx"].map(scale)
    np.testing.assert_allclose(known["mean"], expected, rtol=1e-4, atol=1e-6)
    assert (known["peak_valid"] <= (np.sign(known["peak"]) == known["polarity"])).all()


def test_the_cohort_table_has_the_shape_of_mean_responses(recorded):
    root, eid = recorded
    rows = collected_rows(root, "trial_mean_measures")
    assert set(rows["eid"]) == {eid}
    assert set(rows["measure"]) == set(MEASURES)
    assert rows["condition"].nunique() > 5
    known = rows.dropna(subset=["estimate", "lower"])
    assert ((known["lower"] <= known["upper"]) & (known["n_trials"] > 1)).all()
    # rewards excite dopamine neurons of the demo: large, early, and so in every mean
    feedback = rows.query("event == 'feedback_times' and condition == 'all' and measure == 'mean'")
    assert (feedback["lower"] > 0).all()
    assert set(feedback["unit"]) == {"dff"}


@pytest.mark.parametrize(
    ("measure", "unit"),
    [("peak", "z"), ("mean", "z"), ("latency", "s"), ("auc_neg", "z s"), ("slope", "z/s"), ("peak_z", "1")],
)
def test_every_measure_has_its_unit(measure, unit):
    assert measure_unit(measure, "z") == unit
