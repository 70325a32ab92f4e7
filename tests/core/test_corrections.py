"""Named corrections against check vectors, against the preprocessing step, and where the arithmetic ends."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests_support.corrections import example, mean_response, slow_signal, unmasked

from iblnm_core.corrections.baselines import course_of
from iblnm_core.corrections.compute import correct, correct_all
from iblnm_core.corrections.dark import DarkOffset
from iblnm_core.corrections.diagnostics import residual_r, responses
from iblnm_core.corrections.masks import ONLY_MISSING, dilated
from iblnm_core.corrections.normalisation import centre_and_scale
from iblnm_core.corrections.recipes import NAMED, reference_like, with_epoch
from iblnm_core.corrections.robust import robust_regression
from iblnm_core.corrections.steps import Correction, LowPass, MonotoneBaseline, MotionFit, Polynomial, RobustLowpass
from iblnm_core.corrections.traces import Traces, prepare
from iblnm_core.corrections.transients import transient_peaks
from iblnm_core.demo.planted_fluorescence import SCENARIOS, plant
from iblnm_core.demo.presets import RULER_SEED, ruler_plans
from iblnm_core.demo.recovery import cut_recording
from iblnm_core.demo.session import simulate_session
from iblnm_core.errors import ConstantSignal
from iblnm_core.parameters import PRESETS
from iblnm_core.session.correcting import preprocess
from iblnm_core.session.photometry import recording_from_tables, restrict_to_session
from iblnm_core.session.preprocessing import on_grid, regular_grid
from iblnm_core.session.trials import trials_from_table

COMPUTABLE = [name for name in NAMED if name != "epoch_fit"]


@pytest.fixture(scope="module")
def recording():
    return example()


@pytest.fixture(scope="module")
def results(recording):
    t, signal, reference, _ = recording
    return correct_all(unmasked(t, signal, reference), NAMED.values())


# check vectors


def test_the_example_is_the_one_the_numbers_belong_to(recording):
    _, signal, reference, neural = recording
    found = [signal[0], signal[-1], reference.mean(), neural.max()]
    np.testing.assert_allclose(found, [1.004459, 0.803092, 0.462276, 0.033157], rtol=0, atol=5e-7)


@pytest.mark.parametrize(
    ("step", "at", "error"),
    [
        (RobustLowpass(), [0.989191, 0.805383, 0.795821], 0.00129),
        (MonotoneBaseline(), [0.999908, 0.810278, 0.799793], 0.00064),
    ],
)
def test_baselines_of_the_example(recording, step, at, error):
    t, signal, reference, _ = recording
    course = course_of(unmasked(t, signal, reference), "signal", step)
    np.testing.assert_allclose(course.at_samples[[0, 9000, 17999]], at, rtol=0, atol=2e-6)
    assert (course.at_samples / slow_signal(t)).std() == pytest.approx(error, abs=5e-6)
    assert not course.rebound


@pytest.mark.parametrize(
    ("name", "slope", "sd", "response", "z_response", "correlation", "null_sd"),
    [
        ("reference", 0.5419, 0.005523, 0.02689, 4.870, 0.8550, 0.002870),
        ("robust", 0.4974, 0.005573, 0.02751, 4.937, 0.8732, 0.002720),
        ("dff_exp", 0.4955, 0.005499, 0.02745, 4.992, 0.8860, 0.002543),
        ("control_fit", 0.8762, 0.013103, 0.02752, 2.100, 0.3586, 0.012524),
    ],
)
def test_corrections_of_the_example(recording, results, name, slope, sd, response, z_response, correlation, null_sd):
    neural, result = recording[3], results[name]
    assert result.status == "ok"
    assert result.fit.slope == pytest.approx(slope, rel=2e-4)
    assert result.sd == pytest.approx(sd, abs=1e-5)
    assert mean_response(result.dff) == pytest.approx(response, abs=1e-5)
    assert mean_response(result.in_unit("z")) == pytest.approx(z_response, abs=2e-3)
    assert np.corrcoef(result.dff, neural)[0, 1] == pytest.approx(correlation, abs=2e-4)
    assert result.dff[np.abs(neural) < 1e-4].std() == pytest.approx(null_sd, abs=1e-5)


def test_how_the_robust_correction_of_the_example_is_fitted(results):
    result, fit = results["robust"], results["robust"].fit
    found = [fit.reference_r, fit.slope_ols, fit.intercept, fit.scale, result.mean, result.median, result.mad_sd]
    expected = [0.88479, 0.54972, -0.00102, 0.00129, -0.000204, -0.001112, 0.003025]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    samples = [-0.00482, 0.01107, 0.02285, 0.03317, 0.03139, 0.03316]
    np.testing.assert_allclose(result.dff[600:606], samples, rtol=0, atol=1e-5)


def test_the_exponential_of_the_control_fit_takes_the_slope_from_motion(results):
    fit = results["control_fit"].fit
    assert fit.tau_s == pytest.approx(105.45, abs=0.01)
    assert fit.slope > 1.5 * results["robust"].fit.slope


@pytest.mark.parametrize(("start", "slope"), [(1.0, 0.0), (2.0, -0.001), (0.5, 0.004)])
def test_a_straight_line_is_its_own_robust_baseline(start, slope):
    t = np.arange(18000) / 30
    line = start + slope * t
    course = course_of(unmasked(t, line, None), "signal", RobustLowpass())
    np.testing.assert_allclose(course.at_samples[15:-15], line[15:-15], rtol=0, atol=4e-15 * max(1, line.max()) * 4)


@pytest.mark.parametrize("name", ["robust", "dff_exp"])
def test_scale_of_the_bands_does_not_matter(recording, results, name):
    t, signal, reference, _ = recording
    scaled = correct(unmasked(t, 3 * signal, 7 * reference), NAMED[name])
    np.testing.assert_allclose(scaled.dff, results[name].dff, rtol=0, atol=2e-14)


@pytest.mark.parametrize(("step", "largest"), [(RobustLowpass(), 0.0014), (MonotoneBaseline(), 0.0017)])
def test_a_gap_hardly_changes_the_baseline(recording, step, largest):
    t, signal, reference, _ = recording
    mask = np.zeros(len(t), np.uint8)
    mask[6000:7500] = 1
    whole, gapped = (course_of(Traces(t, signal, reference, m), "signal", step) for m in (0 * mask, mask))
    assert np.abs(gapped.at_samples / whole.at_samples - 1).max() < largest


@pytest.mark.parametrize(
    ("c", "slope", "intercept"),
    [
        (2.0, 2.0053311, 0.9491540),
        (4.685, 2.002904, 0.972101),
        (1.4, 2.013508, 0.876506),
        (3.0, 2.003364, 0.967712),
    ],
)
def test_robust_regression_of_a_line_with_two_outliers(c, slope, intercept):
    x = np.arange(20.0)
    y = 2 * x + 1 + np.where(np.isin(x, (5, 12)), 30.0, 0.0) - 0.1 * (-1) ** x
    fit = robust_regression(x[None], y, c=c)
    np.testing.assert_allclose(fit.least_squares, [1.911278, 4.842857], rtol=0, atol=1e-6)
    np.testing.assert_allclose(fit.coefficients, [slope, intercept], rtol=0, atol=1e-6)
    if c == 2:
        assert fit.scale == pytest.approx(0.1443083, abs=1e-7)


def test_robust_regression_is_that_of_statsmodels(recording):
    import statsmodels.api as sm

    _, signal, reference, _ = recording
    x, y = reference[::30], signal[::30]
    fit = robust_regression(x[None], y)
    model = sm.RLM(y, sm.add_constant(x), M=sm.robust.norms.TukeyBiweight(2.0))
    theirs = model.fit(conv="coefs", tol=1e-12, maxiter=200)
    np.testing.assert_allclose(fit.coefficients[::-1], theirs.params, rtol=1e-4)


def test_normalisation_of_six_numbers():
    values = np.array([0.0, 1, 2, 3, 4, 100])
    for unit, expected in (
        ("z", [-0.5017, None, None, None, -0.3922, 2.2347]),
        ("z_mad", [-1.1241, -0.6745, -0.2248, 0.2248, 0.6745, 43.8418]),
    ):
        centre, scale = centre_and_scale(values, unit)
        for value, wanted in zip((values - centre) / scale, expected, strict=True):
            assert wanted is None or value == pytest.approx(wanted, abs=5e-5)


def test_every_transient_of_the_example_is_found(recording, results):
    t = recording[0]
    peaks = transient_peaks(results["robust"].dff, 30)
    assert len(peaks) == 29
    np.testing.assert_allclose(t[peaks[:3]], [20.167, 40.200, 60.167], atol=5e-4)
    assert len(transient_peaks(results["robust"].dff, 30, inverted=True)) == 0


# the correction that the pipeline has already


@pytest.mark.parametrize("preset", ["default", "reference"])
def test_the_reference_correction_is_the_preprocessing_step(preset):
    parameters = PRESETS[preset]
    recording = cut_recording(simulate_session(ruler_plans()[0], RULER_SEED), parameters)
    signal, reference = (recording.bands[parameters.photometry.__dict__[f"{n}_band"]] for n in ("signal", "reference"))
    values = signal.values[:, 0], reference.values[:, 0]
    times = signal.times, reference.times if preset == "default" else signal.times
    made = preprocess(times[0], values[0], times[1], values[1], parameters.preprocessing, "time")
    traces = prepare(times[0], values[0], times[1], values[1], parameters=ONLY_MISSING)
    result = correct(traces, reference_like(parameters.preprocessing))
    kept = np.isfinite(result.dff)
    gap = parameters.preprocessing.longest_bridged_gap_s
    z = on_grid(regular_grid(times[0], 30.0), result.times[kept], result.in_unit("z")[kept], gap)
    np.testing.assert_allclose(z, made.values, rtol=0, atol=1e-12)
    assert (result.fit.slope, result.mean, result.sd) == pytest.approx(
        (made.iso_slope, made.mean, made.standard_deviation), rel=1e-9, abs=1e-15
    )
    assert result.fit.reference_r**2 == pytest.approx(made.iso_correlation)


# a real recording, nearly silent: what responds to an event in it is motion


@pytest.mark.parametrize(("column", "slope"), [(0, 0.52), (1, 1.09)], ids=["SI", "PPT"])
def test_a_real_recording_keeps_nothing_of_its_reference(real_session, column, slope):
    folder, parameters = real_session / "alf/photometry", PRESETS["default"].photometry
    signal, locations = (pq.read_table(folder / f"{n}.pqt") for n in ("photometry.signal", "photometryROI.locations"))
    trials = trials_from_table(pq.read_table(real_session / "alf/task_00/_ibl_trials.table.pqt"))
    bands = restrict_to_session(recording_from_tables(signal, locations, parameters), trials, parameters).bands
    first, second = bands["GCaMP"], bands["Isosbestic"]
    traces = prepare(first.times, first.values[:, column], second.times, second.values[:, column])
    assert traces.kept.all()
    results = correct_all(traces, NAMED.values())
    assert results["robust"].fit.slope == pytest.approx(slope, abs=0.01)
    left = {name: residual_r(traces, result) for name, result in results.items() if result.status == "ok"}
    assert max(abs(left["robust"]), abs(left["dff_exp"])) < 0.05
    assert left["reference"] > 0.15
    assert left["no_reference"] > 0.6
    events = np.asarray(trials["feedback_times"], float)
    places = np.searchsorted(traces.times, events[np.isfinite(events)])
    t = {name: t_of(responses(results[name].dff, places, traces.rate_hz)) for name in left}
    assert abs(t["robust"]) < 2
    if column == 0:
        # a dip by motion turns into a response, as the slope of the control fit is that of bleaching
        assert t["no_reference"] < -7
        assert t["control_fit"] > 7


def t_of(values):
    known = values[np.isfinite(values)]
    return known.mean() / known.std(ddof=1) * np.sqrt(len(known))


# where the arithmetic ends


@pytest.mark.parametrize("name", COMPUTABLE)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t, s, r: (t, s, r, np.ones(len(t), np.uint8)), "AllSamplesMasked"),
        (lambda t, s, r: (t, np.full_like(s, 0.7), r, np.zeros(len(t), np.uint8)), "ConstantSignal"),
        (lambda t, s, r: (t[:4000], s[:4000], r[:4000], np.zeros(4000, np.uint8)), "TooShortForBaseline"),
        (lambda t, s, _: (t, s, None, np.zeros(len(t), np.uint8)), "MissingReference"),
        (lambda t, s, r: (t, s - s.mean(), r, np.zeros(len(t), np.uint8)), "DegenerateDenominator"),
    ],
)
def test_what_cannot_be_computed_says_why(recording, name, change, reason):
    result = correct(Traces(*change(*recording[:3])), NAMED[name])
    if reason == "MissingReference":
        wanted = ("ok", None) if name.startswith("no_reference") else ("skipped", reason)
    elif reason == "TooShortForBaseline" and name == "reference":
        # a filter takes any length
        wanted = ("ok", None)
    else:
        wanted = ("failed", reason)
    assert (result.status, result.reason) == wanted
    if wanted[1]:
        assert len(result.dff) == 0
        assert result.message
        with pytest.raises(ConstantSignal):
            result.in_unit("z")


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_hardly_any_samples_are_too_few(recording, n):
    t, signal, reference, _ = recording
    for result in correct_all(prepare(t[:n], signal[:n], t[:n], reference[:n]), NAMED.values()).values():
        assert result.status in {"failed", "skipped"} or (n == 30 and result.name == "reference")


def test_a_dead_reference_leaves_the_corrections_that_do_without(recording):
    t, signal = recording[:2]
    for dead in (np.full(len(t), np.nan), np.full(len(t), 0.3)):
        results = correct_all(prepare(t, signal, t, dead), NAMED.values())
        assert {name for name, result in results.items() if result.status == "ok"} == {
            "no_reference",
            "no_reference_exp",
        }
        assert results["robust"].reason == "MissingReference"


def test_masked_samples_everywhere_leave_no_stretch_for_a_slope(recording):
    t, signal, reference, _ = recording
    often = signal.copy()
    often[4::10] = often[5::10] = np.nan
    scattered = correct_all(prepare(t, often, t, reference, parameters=ONLY_MISSING), NAMED.values())
    assert scattered["robust"].reason == scattered["control_fit"].reason == "AllSamplesMasked"
    assert scattered["no_reference"].status == "ok"
    # what is next to a masked sample is not given out
    often[::4] = np.nan
    nothing = correct(prepare(t, often, parameters=ONLY_MISSING), NAMED["no_reference"])
    assert nothing.reason == "AllSamplesMasked"


def test_a_reference_that_moves_against_the_signal_is_not_used(recording, results):
    t, signal, reference, _ = recording
    slow = course_of(unmasked(t, reference, None), "signal", RobustLowpass()).at_samples
    result = correct(unmasked(t, signal, 2 * slow - reference), NAMED["robust"])
    assert result.fit.slope_clipped
    assert result.fit.slope < 0
    np.testing.assert_array_equal(result.dff, results["no_reference"].dff)


def test_a_rebound_is_chosen_where_fluorescence_recovers(recording):
    t = np.arange(30 * 3600) / 30
    noise = 0.004 * np.random.default_rng(1).normal(size=len(t))
    recovering = (1 - 0.1 * (1 - np.exp(-t / 100))) * (1 + 0.25 * (1 - np.exp(-t / 1200)))
    course = course_of(unmasked(t, recovering + noise, None), "signal", MonotoneBaseline())
    assert course.rebound
    never = course_of(unmasked(t, recovering + noise, None), "signal", MonotoneBaseline(rebound=False))
    errors = [(made.at_samples / recovering).std() for made in (course, never)]
    assert errors[0] < 0.002
    assert errors[1] > 0.01


def test_an_epoch_fit_keeps_the_step_that_follows_the_epoch():
    planted = plant(dataclasses.replace(SCENARIOS["motion"], bleaching=1.0), 0)
    step = np.where(planted.times < 1200, 0.0, 0.15)
    traces = prepare(planted.times, planted.signal * (1 + step), planted.times, planted.reference)
    assert correct(traces, NAMED["epoch_fit"]).reason == "MissingEpoch"
    plateaus = {}
    for recipe in (with_epoch(NAMED["epoch_fit"], (0, 1200)), NAMED["dff_exp"]):
        error = correct(traces, recipe).dff - planted.neural
        plateaus[recipe.name] = np.nanmedian(error[planted.times > 1260]) - np.nanmedian(error[planted.times < 1200])
    assert abs(plateaus["epoch_fit"] - 0.15) < 0.04
    assert plateaus["dff_exp"] < 0.06
    assert correct(traces, with_epoch(NAMED["epoch_fit"], (0, 1200))).fit.extrapolation == pytest.approx(3, abs=0.01)


def test_a_polynomial_baseline_follows_a_polynomial():
    t = np.arange(18000) / 30
    slow = 1 + 0.2 * (t / 600) - 0.3 * (t / 600) ** 2
    course = course_of(unmasked(t, slow, None), "signal", Polynomial())
    np.testing.assert_allclose(course.at_samples, slow, rtol=0, atol=2e-5)


def test_steps_that_make_no_correction_are_refused(recording):
    traces = unmasked(*recording[:3])
    for steps in ((MotionFit(),), (LowPass(), LowPass()), (LowPass(), MotionFit(), MotionFit())):
        with pytest.raises(TypeError, match="odd"):
            correct(traces, Correction("odd", steps))


# what holds for any recording

few = settings(max_examples=8, deadline=None, derandomize=True)
short = example(1, 200)


@few
@given(constant=st.floats(0.01, 2.0), name=st.sampled_from(["robust", "dff_exp", "control_fit"]))
def test_a_dark_offset_that_is_known_changes_nothing(constant, name):
    t, signal, reference, _ = short
    offset = DarkOffset(constant, "constant")
    plain = prepare(t, signal, t, reference, parameters=ONLY_MISSING)
    lifted = prepare(t, signal + constant, t, reference + constant, dark=(offset, offset), parameters=ONLY_MISSING)
    found = correct(lifted, NAMED[name]).dff
    np.testing.assert_allclose(found, correct(plain, NAMED[name]).dff, rtol=0, atol=1e-9)


@few
@given(
    starts=arrays(np.int64, 3, elements=st.integers(0, 5900)),
    length=st.integers(1, 60),
    name=st.sampled_from(COMPUTABLE),
)
def test_what_is_masked_spreads_by_two_samples_only(starts, length, name):
    t, signal, reference, _ = short
    signal = signal.copy()
    for start in starts:
        signal[start : start + length] = np.nan
    result = correct(prepare(t, signal, t, reference, parameters=ONLY_MISSING), NAMED[name])
    np.testing.assert_array_equal(np.isnan(result.dff), dilated(np.isnan(signal)))
    assert result.n_masked == np.isnan(signal).sum()


@few
@given(seed=st.integers(0, 1000), slope=st.floats(-2, 2), name=st.sampled_from(["robust", "dff_exp"]))
def test_motion_is_never_added(seed, slope, name):
    t, signal, _, _ = short
    random = np.random.default_rng(seed)
    shared = np.convolve(random.normal(size=len(t) + 29), np.ones(30) / 30, "valid") / 10
    result = correct(unmasked(t, signal * (1 + slope * shared), 1 + shared), NAMED[name])
    plain = correct(unmasked(t, signal * (1 + slope * shared), None), NAMED[name.replace("robust", "no_reference")])
    assert result.fit.slope_clipped == (result.fit.slope < 0)
    if result.fit.slope_clipped and plain.status == "ok":
        np.testing.assert_array_equal(result.dff, plain.dff)


@few
@given(level=st.floats(0.1, 100), slope=st.floats(-1e-3, 1e-3))
def test_a_band_that_is_its_baseline_has_no_change(level, slope):
    t = np.arange(9000) / 30
    band = level * (1 + slope * t)
    course = course_of(unmasked(t, band, None), "signal", RobustLowpass())
    np.testing.assert_allclose((band / course.at_samples)[15:-15], 1, rtol=0, atol=1e-12)


def test_regions_do_not_know_each_other(recording, results):
    t, signal, reference, _ = recording
    other = example(5)
    correct_all(unmasked(*other[:3]), NAMED.values())
    again = correct_all(unmasked(t, signal, reference), reversed(list(NAMED.values())))
    for name in COMPUTABLE:
        np.testing.assert_array_equal(again[name].dff, results[name].dff)
