"""Pictures of corrections: what is drawn is what is stored, stretches are chosen by rule, what is not there is said in words."""

import dataclasses
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from tests_support.corrections import example, onsets
from tests_support.sessions import OneSession

from iblnm_core import errors
from iblnm_core.correction_parameters import CorrectionParameters
from iblnm_core.figures.correction_comparison import (
    N_DRAWS,
    REFERENCE,
    Comparison,
    compare,
    comparison_figure,
    drawn_trials,
)
from iblnm_core.figures.correction_panel import CLOSE_S, correction_panel, correction_zoom
from iblnm_core.figures.correction_view import (
    correction_view,
    largest_transients,
    mean_around,
    strongest_movement,
    windowed_correlation,
)
from iblnm_core.figures.theme import DEFAULT
from iblnm_core.figures.transient_panel import aligned, rate_over_session, transient_panel
from iblnm_core.notebook import PhotometrySession
from iblnm_core.parameters import PRESETS
from iblnm_core.reports.reading import read_session
from iblnm_core.reports.session import session_report
from iblnm_core.root import create_root
from iblnm_core.session.correcting import correct_fiber
from iblnm_core.session.corrections_layout import corrections_part, trace_of
from iblnm_core.session.magnitudes import own_responses
from iblnm_core.session.responses import extract_responses
from iblnm_core.session.transient_stage import find_transients, transient_rows, transients_part
from iblnm_core.storage.session_file import Part

NAMES = ("GCaMP", "Isosbestic")
ALL = ("reference", "robust", "dff_exp", "control_fit", "no_reference", "no_reference_exp", "spectral")
FLAT = slice(6000, 6060)
EVENTS = ("stimOn_times", "firstMovement_times", "feedback_times")
IDENTITY = ("eid", "VTA")


def trials_of(times):
    shifts = dict(zip(EVENTS, (0.0, 0.4, 1.2), strict=True))
    return pd.DataFrame({event: times + shift for event, shift in shifts.items()})


def parameters_of(primary="robust", stored=ALL):
    return dataclasses.replace(
        PRESETS["default"], corrections=CorrectionParameters(primary=primary, stored=stored, dark="none")
    )


def fibre(reference_gain=1.0, *, with_reference=True, stored=ALL):
    """Corrections, transients and bands of the example recording, of which two seconds of the signal are constant."""
    times, signal, reference, _ = example()
    signal = signal.copy()
    signal[FLAT] = signal[FLAT.start]
    reference = reference.mean() + reference_gain * (reference - reference.mean())
    bands = {"GCaMP": (times, signal.astype(np.float32)), "Isosbestic": (times, reference.astype(np.float32))}
    if not with_reference:
        del bands["Isosbestic"]
    trials, parameters = trials_of(onsets()), parameters_of(stored=stored)
    events = {event: trials[event].to_numpy() for event in EVENTS}
    part = corrections_part(0, correct_fiber(bands["GCaMP"], bands.get("Isosbestic"), parameters, events=events))
    return part, bands, trials, parameters


@pytest.fixture(scope="module")
def made():
    return fibre()


@pytest.fixture(scope="module")
def transients(made):
    part, _, trials, parameters = made
    return transients_part(0, find_transients(part, trials, parameters))


def drawn(draw, *arguments):
    with mpl.rc_context(DEFAULT.rc):
        figure = draw(*arguments)
        figure.draw_without_rendering()
    return figure


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def smallest_font(figure):
    return min(text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text())


def panel_of(made, name="robust"):
    part, bands, _, _ = made
    view = correction_view(part, bands, NAMES, name)
    return view, drawn(correction_panel, view, "VTA-l", DEFAULT)


def line(axes, colour):
    [found] = [line for line in axes.lines if to_hex(line.get_color()) == colour and len(line.get_xdata()) > 2]
    return found


# what is shown


@pytest.mark.parametrize("name", ["robust", "reference", "dff_exp"])
def test_a_panel_draws_what_is_stored(made, name):
    part, bands, _, _ = made
    view, figure = panel_of(made, name)
    raw_signal, raw_reference, changes, corrected, mask, residual, scatter = figure.axes[:7]
    stored = {key: np.asarray(part.datasets[f"{name}/fit/{key}"]) for key in ("times", "baseline_signal", "motion")}
    baseline = line(raw_signal, "#000000")
    np.testing.assert_allclose(
        baseline.get_ydata(),
        np.interp(60 * baseline.get_xdata(), stored["times"], stored["baseline_signal"]),
        rtol=1e-6,
    )
    # dark is subtracted; spikes are not lost, and there is no sample that was not recorded
    values = line(raw_reference, DEFAULT.bands["Isosbestic"]).get_ydata()
    dark = part.attributes["dark_reference"]
    whole = bands["Isosbestic"][1].astype(np.float64)[: len(view.times) + 1] - dark
    assert np.isclose(values[:, None], whole, atol=1e-9).any(axis=1).all()
    assert values.max() == pytest.approx(view.reference.values.max())
    assert np.nanmax(line(changes, "#d55e00").get_ydata()) == pytest.approx(100 * stored["motion"].max(), rel=1e-5)
    trace = 100 * trace_of(part, name)
    shown = line(corrected, "#000000").get_ydata()
    assert (np.nanmin(shown), np.nanmax(shown)) == pytest.approx((trace.min(), trace.max()))
    slopes = [np.diff(found.get_ydata())[0] / np.diff(found.get_xdata())[0] for found in scatter.lines]
    wanted = [part.attributes[f"{name}/slope_ols"], part.attributes[f"{name}/slope"]]
    assert slopes == pytest.approx(wanted[: len(slopes)])
    assert len(slopes) == (1 if name == "reference" else 2)
    assert f"robust {wanted[1]:.3g}" in words(figure) or name == "reference"
    assert [label.get_text().partition(" ")[0] for label in mask.get_yticklabels()] == ["flat", "dilated"]
    # whole minutes of not quite ten
    assert np.isfinite(residual.lines[-1].get_ydata()).sum() == 9
    assert smallest_font(figure) >= 7


def test_what_the_slope_is_fitted_to_has_that_slope(made):
    view, _ = panel_of(made)
    x, y, weight = view.fit_traces
    assert np.polyfit(x, y, 1)[0] == pytest.approx(view.about["slope_ols"], abs=0.01)
    # the square root, as the library weights residuals
    assert np.polyfit(x, y, 1, w=np.sqrt(weight))[0] == pytest.approx(view.about["slope"], abs=0.01)


@pytest.mark.parametrize("name", ALL)
def test_every_named_correction_has_a_picture(made, transients, name):
    view, figure = panel_of(made, name)
    assert f"VTA-l: {name}" in words(figure)
    assert ("fits no slope" in words(figure)) == (view.motion_step is None)
    assert ("uses no reference" in words(figure)) == name.startswith("no_reference")
    zoom = drawn(correction_zoom, view, transient_rows(transients), "VTA-l", DEFAULT)
    assert min(smallest_font(figure), smallest_font(zoom)) >= 7


def test_a_reference_that_moves_against_the_signal_is_said_not_to_be_used():
    part, bands, _, _ = fibre(reference_gain=-1.0, stored=("robust",))
    assert part.attributes["robust/slope_clipped"]
    _, figure = panel_of((part, bands, None, None))
    assert "negative: not used" in words(figure)
    assert "nothing was subtracted: the slope is negative" in words(figure)


def test_without_a_reference_band_its_row_says_so():
    part, bands, trials, parameters = fibre(with_reference=False)
    view = correction_view(part, bands, NAMES)
    assert (view.correction, view.is_primary) == ("no_reference", True)
    assert "no reference band is stored" in words(drawn(correction_panel, view, "VTA-l", DEFAULT))
    zoom = drawn(correction_zoom, view, pd.DataFrame({"time": [], "amplitude": []}), "VTA-l", DEFAULT)
    assert {"there is no reference", "no transient was found"} <= {
        text.get_text() for text in zoom.findobj(mpl.text.Text)
    }
    with pytest.raises(errors.CorrectionUnavailable, match="MissingReference"):
        correction_view(part, bands, NAMES, "robust")
    compared = compare(part, trials, IDENTITY, parameters)
    assert set(compared.unavailable) == {"robust", "reference", "dff_exp", "control_fit", "spectral"}
    assert "not computed: robust" in words(drawn(comparison_figure, {"VTA-l": compared}))


# arithmetic of display


@given(st.lists(st.floats(0, 10, allow_subnormal=False), min_size=2, max_size=6, unique=True), st.integers(0, 2**16))
def test_means_are_of_the_samples_nearest_to_each_time(centres, seed):
    centres = np.sort(centres)
    assume((np.diff(centres) > 1e-6).all())
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(-1, 11, 40))
    values = np.where(random.random(40) < 0.3, np.nan, random.standard_normal(40))
    nearest = np.abs(times[:, None] - centres).argmin(axis=1)
    for place, found in enumerate(mean_around(centres, times, values)):
        own = values[(nearest == place) & np.isfinite(values)]
        assert found == pytest.approx(own.mean()) if len(own) else np.isnan(found)


def test_correlations_are_those_of_each_window_and_unknown_where_little_is_known():
    random = np.random.default_rng(0)
    first, second = random.standard_normal((2, 620))
    first[200:250] = np.nan
    second[400:600] = 1.0
    middles, found = windowed_correlation(np.arange(620) / 10, first, second, 20.0)
    assert middles.tolist() == [10.0, 30.0, 50.0]
    assert found[0] == pytest.approx(np.corrcoef(first[:200], second[:200])[0, 1])
    assert np.isnan(found[1:]).all()


def test_the_close_looks_are_where_the_reference_and_the_transients_are_largest(made):
    view, _ = panel_of(made)
    for place in (100, 400):
        reference = view.fast.reference.copy()
        reference[(view.fast.times > place + 5) & (view.fast.times < place + 55)] *= 3
        moved = dataclasses.replace(view, fast=dataclasses.replace(view.fast, reference=reference))
        assert abs(strongest_movement(moved, CLOSE_S) - place) <= 10


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(-1, 5)), max_size=30))
def test_no_stretch_has_larger_transients(found):
    rows = pd.DataFrame(found, columns=["time", "amplitude"])
    start = largest_transients(np.arange(0, 600, 0.1), rows, 60.0)
    sums = {s: rows.loc[rows["time"].ge(s) & rows["time"].lt(s + 60), "amplitude"].sum() for s in range(0, 540, 10)}
    if start is None:
        assert max(sums.values()) <= 1e-9
    else:
        assert sums[round(start)] == pytest.approx(max(sums.values()))


# responses under every correction


def test_means_and_intervals_are_those_of_the_responses(made):
    part, _, trials, parameters = made
    found = compare(part, trials, IDENTITY, parameters)
    assert list(found.curves) == list(EVENTS)
    for event, curves in found.curves.items():
        assert list(curves) == ["robust", *(name for name in ALL if name != "robust"), REFERENCE]
        for name, curve in curves.items():
            if name != REFERENCE:
                trace = trace_of(part, name)
            else:
                fit = part.datasets
                trace = pd.Series(
                    np.asarray(fit["robust/fit/motion"], float), np.asarray(fit["robust/fit/motion_times"])
                )
            cut = extract_responses(trace.index.to_numpy(), trace.to_numpy(), trials, EVENTS, parameters.responses)
            own = 100 * own_responses(cut, trials, EVENTS, parameters.magnitudes).values[EVENTS.index(event)]
            n = np.isfinite(own).sum(axis=0)
            np.testing.assert_allclose(curve.mean[n >= 2], np.nanmean(own[:, n >= 2], axis=0), atol=1e-9)
            assert np.isnan(curve.mean[n < 2]).all()
            assert curve.n_trials == np.isfinite(own).any(axis=1).sum()
            spread = np.nanstd(own[:, n == n.max()], axis=0, ddof=1)
            width = (curve.upper - curve.lower)[n == n.max()][spread > 0]
            # the interval of draws is a little narrower than that of a normal distribution, and its ends are noisy
            ratio = width / (2 * 1.96 * spread[spread > 0] / np.sqrt(n.max()))
            assert 0.8 < np.median(ratio) < 1.1


def test_draws_follow_from_who_it_is_and_are_whole():
    assert (drawn_trials(7, 1) == drawn_trials(7, 1)).all()
    assert (drawn_trials(7, 1) != drawn_trials(7, 2)).any()
    assert (drawn_trials(7, 1).sum(axis=1) == 7).all()
    assert drawn_trials(7, 1).shape == (N_DRAWS, 7)


def test_lines_differ_in_style_the_reference_is_grey_and_fired_checks_are_named(made):
    part, _, trials, parameters = made
    noted = dict(part.attributes) | {"diagnostics/flat_share": 0.2, "reference/residual_r": 0.3}
    figure = drawn(comparison_figure, {"VTA-l": compare(Part(part.datasets, noted), trials, IDENTITY, parameters)})
    axes = figure.axes[0]
    named = [found for found in axes.lines if not found.get_label().startswith("_")]
    assert len({(found.get_color(), found.get_linestyle()) for found in named}) == len(ALL) + 1
    assert len({found.get_color() for found in named}) == len(ALL) + 1
    [grey] = [found for found in named if found.get_label() == REFERENCE]
    assert len({grey.get_color()[i : i + 2] for i in (1, 3, 5)}) == 1
    assert "FlatSteps" in words(figure)
    assert re.search(r"ResidualReference \([^)]*\breference\b", words(figure))
    assert smallest_font(figure) >= 7
    nothing = Comparison("robust", {}, {"robust": "correction robust failed"}, "none was judged")
    assert "correction robust failed" in words(drawn(comparison_figure, {"VTA-l": nothing}))


# transients


def test_a_transient_panel_shows_all_of_them(made, transients):
    part, *_ = made
    figure = drawn(transient_panel, part, transients, "VTA-l", DEFAULT)
    excerpt, course, amplitudes, rate = figure.axes
    n = transients.attributes["n"]
    assert n == pytest.approx(len(onsets()), abs=2)
    assert f"{n} transients of robust" in words(figure)
    assert f"troughs by the same rules {transients.attributes['rate_inverted']:.3g}" in words(figure)
    assert sum(bar.get_height() for bar in amplitudes.patches) == np.isfinite(transients.datasets["amplitude"]).sum()
    [threshold] = amplitudes.lines
    assert threshold.get_xdata()[0] == pytest.approx(100 * transients.attributes["threshold"])
    rates = rate.lines[0].get_ydata()
    assert len(rates) == 9
    assert np.nansum(rates) == pytest.approx(3 * 9, abs=3)
    mean = course.lines[-1]
    assert mean.get_ydata().max() == pytest.approx(100 * np.median(transients.datasets["amplitude"]), rel=0.25)
    assert abs(mean.get_xdata()[mean.get_ydata().argmax()]) < 0.1
    marks = excerpt.lines[-1].get_xdata()
    assert set(marks) <= set(np.asarray(transients.datasets["time"]))
    assert smallest_font(figure) >= 7


def test_courses_are_relative_to_peak_and_baseline_and_rates_to_what_is_known():
    times = np.arange(0, 130, 0.1)
    values = np.where(times >= 60, np.nan, 2.0)
    offsets, courses = aligned(times, values, pd.DataFrame({"time": [30.05, 59.0], "baseline": [0.5, 1.0]}))
    assert (offsets[0], offsets[-1]) == pytest.approx((-1.0, 3.0))
    np.testing.assert_allclose(courses[0], 1.5)
    assert np.isnan(courses[1, -1])
    middles, rates = rate_over_session(times, values, np.array([1.0, 2.0, 50.0]))
    assert middles.tolist() == [30.0, 90.0]
    assert rates[0] == pytest.approx(3.0)
    assert np.isnan(rates[1])


def test_a_trace_without_transients_says_so(made):
    part, _, trials, parameters = made
    deaf = dataclasses.replace(parameters, transients=dataclasses.replace(parameters.transients, threshold_sd=1e3))
    none = transients_part(0, find_transients(part, trials, deaf))
    shown = words(drawn(transient_panel, part, none, "VTA-l", DEFAULT))
    for phrase in (
        "0 transients of robust",
        "no transient was found",
        "fewer than two",
        "no transient has an amplitude",
    ):
        assert phrase in shown


# report and notebook


@pytest.fixture(scope="module")
def session(tmp_path_factory, copies):
    folder = tmp_path_factory.mktemp("pictured")
    made = copies(folder / "cache", 1)
    (eid,) = made.eids
    one = OneSession(create_root(folder / "root", cache=made.cache), made.folders[eid], eid)
    assert not one.run().failed
    return one


def test_the_page_of_a_session_compares_its_corrections(session):
    stored = read_session(session.root, session.eid)
    [section] = [found for found in session_report(session.root, stored).page.sections if found.anchor == "corrections"]
    [picture] = section.pictures
    assert "VTA-l, stimulus: robust " in picture.alt
    assert "95 % interval over 500 draws of trials, at each time by itself" in picture.caption
    [table] = section.tables
    rows = [row.cells[0].text for row in table.rows]
    stored_names = ("robust (primary)", "reference", "dff_exp")
    assert rows == [f"{region}, {name}" for region in ("VTA-l", "SNc-r") for name in stored_names]
    stored.corrections = {}
    [section] = [found for found in session_report(session.root, stored).page.sections if found.anchor == "corrections"]
    assert section.notices
    assert not section.pictures


def notebook_session(session):
    return PhotometrySession({"eid": session.eid, "subject": "?", "start_time": "2000-01-01"}, root=session.root)


def test_a_notebook_draws_them_from_what_is_stored(session):
    ps = notebook_session(session)
    for method in (ps.plot_correction, ps.plot_correction_zoom, ps.plot_correction_comparison, ps.plot_transients):
        with pytest.raises(errors.NotLoaded, match=r"call load_h5\(\) or preprocess\(\) first"):
            method("VTA")
    ps.load_h5()
    assert "VTA-l: robust (primary correction)" in words(ps.plot_correction("VTA"))
    assert "SNc-r: dff_exp (not the primary" in words(ps.plot_correction_zoom("SNc", "dff_exp"))
    assert "VTA-l, primary correction robust" in words(ps.plot_correction_comparison("VTA"))
    stored = read_session(session.root, session.eid)
    assert "transients of robust" in words(ps.plot_transients("VTA"))
    # bands that were loaded are as good as those that are stored
    fresh = notebook_session(session)
    fresh.load_trials()
    fresh.load_photometry()
    fresh.preprocess()
    [ax, *_], [bx, *_] = (one.plot_correction("VTA").axes for one in (ps, fresh))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), bx.lines[0].get_ydata(), rtol=1e-5)
    with pytest.raises(errors.UnknownCorrection):
        ps.plot_correction("VTA", "best")
    part = stored.corrections["VTA-l"]
    gone = {
        **part.attributes,
        "robust/status": "failed",
        "robust/reason": "TooShortForBaseline",
        "robust/message": "2 s",
    }
    ps.corrections["VTA-l"] = Part(part.datasets, gone)
    for method in (ps.plot_correction, ps.plot_correction_zoom, ps.plot_transients):
        assert "correction robust failed: TooShortForBaseline: 2 s" in words(method("VTA"))
