"""Figures of diagnostics and of time courses: dots, shares, bands and bars are those of the tables, and nothing is said in words."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from tests_support.drawn_families import draw, outside, smallest_font, texts

from iblnm_core.analyses.task_design import TERMS
from iblnm_core.correction_parameters import CorrectionParameters
from iblnm_core.corrections.checks import CHECKS
from iblnm_core.corrections.diagnostics import MEASURES
from iblnm_core.figures.diagnostic_overview import DIAGNOSTIC_OVERVIEW, SHOWN, check_shares, recordings_measured
from iblnm_core.figures.of_signals import of_signals
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.figures.responses import RESPONSE_FAMILIES
from iblnm_core.figures.theme import DEFAULT
from iblnm_core.figures.time_course import METHODS, TIME_COURSES
from iblnm_core.parameters import Parameters

TARGETS = ("VTA-DA", "DR-5HT", "XX-NEW")
TIMES = np.arange(-10, 20) / 10


def simulated(n=60, seed=0):
    """Tables of diagnostics in which each measure crosses its threshold in some recordings, and some are unknown."""
    random = np.random.default_rng(seed)
    keys = pd.DataFrame({"eid": [f"eid{place // 2:03d}" for place in range(n)], "fiber_idx": np.arange(n) % 2})
    measures = pd.DataFrame({name: random.normal(0.3, 1.0, n) for name in MEASURES})
    measures["bleed_n"], measures["bleed_z"] = 40.0, random.normal(0, 8, n)
    measures["rebound"] = random.integers(0, 2, n).astype(float)
    measures.loc[:5, ["reference_r", "slope", "bleed"]] = np.nan
    quality = pd.concat([keys.assign(band="GCaMP"), measures], axis=1)
    of_reference = keys.assign(band="Isosbestic").reindex(columns=quality.columns)
    whose = keys.assign(subject=[f"mouse{place % 7}" for place in range(n)], target_NM=np.resize(TARGETS, n))
    stored = [
        keys.assign(
            correction=name, is_primary=name == "robust", dark_source=np.resize(["constant", "refused"], n)
        ).assign(residual_r=random.normal(0, 0.15, n), denominator_ratio=random.uniform(0.1, 1, n))
        for name in ("robust", "reference")
    ]
    events = [
        keys.assign(event=event, t=random.normal(0, 6, n), share=random.uniform(0, 0.5, n))
        for event in ("stimOn", "feedback")
    ]
    separable = keys.assign(correction="robust", separable=np.resize([True, False, None], n))
    return {
        "qc_photometry": pd.concat([quality, of_reference], ignore_index=True),
        "qc_signals": whose,
        "corrections": pd.concat(stored, ignore_index=True),
        "event_reference": pd.concat(events, ignore_index=True),
        "transient_summary": separable,
    }


@pytest.fixture(scope="module")
def tables():
    return simulated()


@pytest.fixture(scope="module")
def pictures(tables):
    return draw(DIAGNOSTIC_OVERVIEW, tables)


def test_every_measure_but_the_yes_or_no_has_a_panel_with_all_recordings(pictures, tables):
    assert set(SHOWN) == set(MEASURES) - {"rebound"} | {"residual_r"}
    drawn = pictures["diagnostic_measures"]
    rows = recordings_measured(tables, "GCaMP")
    assert len(rows) == 60
    for axes, measure in zip(drawn.figure.axes, SHOWN, strict=False):
        assert sum(len(dots.get_offsets()) for dots in axes.collections) == rows[measure].notna().sum()
    assert smallest_font(drawn) >= 7
    assert not outside(drawn)
    assert drawn.counts == {"n_recordings": 60, "n_sessions": 30, "n_subjects": 7}


def test_dots_are_filled_exactly_where_their_check_fires_and_thresholds_are_those_of_the_checks(pictures, tables):
    rows = recordings_measured(tables, "GCaMP")
    axes = dict(zip(SHOWN, pictures["diagnostic_measures"].figure.axes, strict=False))
    for check in CHECKS:
        if check.scope != "fibre" or check.measure not in SHOWN:
            continue
        fired = [check.fires(row) for row in rows[list(MEASURES)].to_dict("records")]
        filled = [dots for dots in axes[check.measure].collections if len(dots.get_facecolor())]
        assert sum(len(dots.get_offsets()) for dots in filled) == sum(fired), check.name
        assert check.threshold in {line.get_xdata()[0] for line in axes[check.measure].lines}
    assert {mark.eid for mark in pictures["diagnostic_measures"].marks} <= set(rows["eid"])
    snr = axes["snr"]
    place = [text.get_text() for text in axes["reference_r"].get_yticklabels()].index("DR-5HT")
    [median] = [line for line in snr.lines if line.get_linewidth() > 1.2 and np.mean(line.get_ydata()) == place]
    assert median.get_xdata()[0] == pytest.approx(rows.loc[rows["target_NM"] == "DR-5HT", "snr"].median())


def test_shares_count_recordings_of_which_a_check_can_be_asked(pictures, tables):
    rows = recordings_measured(tables, "GCaMP")
    shares = check_shares(rows, tables).set_index("check")
    whole = shares[shares["target_NM"].isna()]
    assert whole.loc["NegativeReferenceSlope", "n_recordings"] == 54
    fired = (rows["slope"] < 0) & (rows["reference_r"].abs() >= 0.1)
    assert whole.loc["NegativeReferenceSlope", "n_fires"] == fired.sum()
    events = tables["event_reference"]
    locked = events[(events["t"].abs() >= 5) & (events["share"] >= 0.2)]
    assert whole.loc["EventLockedReference", "n_fires"] == len(locked[["eid", "fiber_idx"]].drop_duplicates())
    left = tables["corrections"].query("abs(residual_r) > 0.15")
    assert whole.loc["ResidualReference", "n_fires"] == len(left[["eid", "fiber_idx"]].drop_duplicates())
    assert whole.loc["TransientsNotSeparable", ["n_fires", "n_recordings"]].tolist() == [20, 40]
    assert whole.loc["DarkOffsetImplausible", "n_fires"] == 30
    by_target = shares.dropna(subset=["target_NM"]).groupby("check")["n_fires"].sum()
    assert by_target.to_dict() == whole["n_fires"].to_dict()
    axes = pictures["diagnostic_checks"].figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(whole["share"].tolist())
    assert "20 of 40" in texts(pictures["diagnostic_checks"])
    assert smallest_font(pictures["diagnostic_checks"]) >= 7


def test_a_measure_that_no_recording_has_and_no_recording_are_said_in_words(tables):
    quality = tables["qc_photometry"].assign(bleed=np.nan)
    assert "not known of any" in texts(
        draw(DIAGNOSTIC_OVERVIEW, {**tables, "qc_photometry": quality})["diagnostic_measures"]
    )
    assert {drawn.missing for drawn in draw(DIAGNOSTIC_OVERVIEW, {}).values()} == {
        "no recording has a correction that could be measured"
    }


def courses(correction="robust", unit="dff", events=("stimOn", "feedback")):
    """Tables of two events: seven mice of one target with bands, three of another without, none of a third."""
    random = np.random.default_rng(3)
    group = {"correction": correction, "unit": unit, "n_sessions": 2, "n_trials": 900}
    found, mice, outcomes = [], [], []
    for event in events:
        for target, n in zip(TARGETS, (7, 3, 0), strict=True):
            own = {"target_NM": target, "event": event}
            status, detail = "ok", None
            if n < 6:
                status, detail = (
                    "too_few_subjects",
                    f"{n} mice with enough trials; expected 6; smallest possible p 0.25",
                )
            outcome = {**own, "status": status, "detail": detail}
            outcomes += [{**outcome, "variable": f"{correction}, {method}"} for method in METHODS]
            for term in TERMS:
                curves = 0.01 * random.standard_normal((n, len(TIMES))) + 0.03 * (TIMES > 0.5)
                for number, curve in enumerate(curves):
                    of_mouse = {**group, **own, "subject": f"m{number}", "coefficient": term, "time": TIMES}
                    mice.append(pd.DataFrame({**of_mouse, "estimate": curve}))
                if n < 6:
                    continue
                mean, error = curves.mean(axis=0), curves.std(axis=0) / np.sqrt(n)
                course = {**group, **own, "coefficient": term, "time": TIMES, "estimate": mean, "se": error}
                for name, width in (("", 2.4), ("joint_", 4.0)):
                    course |= {f"{name}lower": mean - width * error, f"{name}upper": mean + width * error}
                course |= {
                    "significant": np.abs(mean) > 4 * error,
                    "n_subjects": n,
                    "joint_quantile": 4.0,
                    "p_joint": 0.02,
                    "p_floor": 0.01,
                }
                found += [
                    pd.DataFrame({**course, "method": method})
                    for method in METHODS
                    if event == "feedback" or method == "two_stage"
                ]
    return {
        "time_courses": pd.concat(found, ignore_index=True).sample(frac=1, random_state=0),
        "time_courses_subjects": pd.concat(mice, ignore_index=True),
        "time_courses_outcomes": pd.DataFrame(outcomes),
    }


@pytest.fixture(scope="module")
def drawn_courses():
    return draw(TIME_COURSES, courses())


def test_an_event_is_a_file_and_a_target_and_a_coefficient_a_panel(drawn_courses):
    names = ("stimOn", "feedback", "feedback_random_intercept")
    assert list(drawn_courses) == [f"time_courses_{name}" for name in names]
    drawn = drawn_courses["time_courses_feedback"]
    assert len(drawn.figure.axes) == len(TERMS) * len(TARGETS)
    titles = [axes.get_title(loc="left").splitlines()[0] for axes in drawn.figure.axes[: len(TARGETS)]]
    assert titles == list(TARGETS)
    assert "contrast\n(dF/F, %)" in [axes.get_ylabel() for axes in drawn.figure.axes]
    for phrase in ("joint over all times", "pointwise", "corrected by robust", "dF/F, %", "7 mice", "900 trials"):
        assert phrase in drawn.caption
    assert "false certainty" in drawn_courses["time_courses_feedback_random_intercept"].caption
    assert all(smallest_font(drawn) >= 7 and not outside(drawn) for drawn in drawn_courses.values())


def test_estimates_bands_mice_and_bars_are_those_of_the_tables(drawn_courses):
    tables = courses()
    axes = drawn_courses["time_courses_feedback"].figure.axes[len(TARGETS) * TERMS.index("contrast")]
    rows = tables["time_courses"].query(
        "event == 'feedback' and target_NM == 'VTA-DA' and coefficient == 'contrast' and method == 'two_stage'"
    )
    rows = rows.sort_values("time")
    lines = [line for line in axes.lines if len(line.get_xdata()) == len(TIMES)]
    np.testing.assert_allclose(lines[-1].get_ydata(), 100 * rows["estimate"])
    assert len(lines) == 8
    light, dark = axes.collections
    assert light.get_alpha() < dark.get_alpha()
    for band, name in ((light, "joint_"), (dark, "")):
        assert to_rgba(band.get_facecolor()[0])[:3] == to_rgba(DEFAULT.target_colour("VTA-DA"))[:3]
        edges = band.get_paths()[0].vertices[:, 1]
        assert edges.min() == pytest.approx(100 * rows[f"{name}lower"].min())
        assert edges.max() == pytest.approx(100 * rows[f"{name}upper"].max())
    bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() > 2]
    covered = [any(low <= time <= high for low, high in bars) for time in rows["time"]]
    assert covered == rows["significant"].tolist()
    assert 0 < sum(covered) < len(covered)


def test_targets_without_bands_say_why_and_show_their_mice(drawn_courses):
    grid = np.reshape(drawn_courses["time_courses_stimOn"].figure.axes, (len(TERMS), len(TARGETS)))
    said = {
        column: {" ".join(text.get_text().split()) for axes in grid[:, column] for text in axes.texts}
        for column in range(len(TARGETS))
    }
    assert said[1] == {"too few subjects: 3 mice with enough trials; expected 6"}
    assert said[2] == {"too few subjects: 0 mice with enough trials; expected 6"}
    assert said[0] == set()
    assert sum(len(line.get_xdata()) == len(TIMES) for line in grid[0, 1].lines) == 3
    [nothing] = draw(TIME_COURSES, {}).values()
    assert nothing.missing == "no selected recording has responses"


def test_files_of_other_corrections_than_the_primary_are_named_by_them():
    found = draw(TIME_COURSES, courses("no_reference", "z", ["stimOn"]))
    assert "time_courses_stimOn_no_reference" in found
    assert "contrast\n(z)" in [axes.get_ylabel() for axes in found["time_courses_stimOn_no_reference"].figure.axes]


def test_captions_of_signals_name_their_correction():
    assert FAMILIES["diagnostic_overview"] is DIAGNOSTIC_OVERVIEW
    assert FAMILIES["time_courses"] is TIME_COURSES
    traces = pd.DataFrame(
        {"target_NM": "VTA-DA", "event": "stimOn", "feedbackType": 1, "contrast": 100.0, "time": TIMES}
    )
    traces = traces.assign(mean=0.1, sem=0.1, n_subjects=3, n_recordings=4, n_trials=100)
    family = RESPONSE_FAMILIES[0]
    for primary in ("robust", "reference"):
        said = f"Signals are corrected by {primary}."
        chosen = dataclasses.replace(Parameters(), corrections=CorrectionParameters(primary=primary))
        assert draw(of_signals(family), {"traces_by_target": traces}, chosen)["mean_traces_VTA_DA"].caption.endswith(
            said
        )
        [nothing] = draw(of_signals(family), {}, chosen).values()
        assert said not in nothing.caption
    assert "corrections" in FAMILIES["mean_traces"].sections
    for name in ("task_performance", "photometry_qc"):
        assert "corrections" not in FAMILIES[name].sections
