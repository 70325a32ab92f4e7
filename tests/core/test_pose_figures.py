"""Figures of movement in the video: what is drawn equals the tables, few sessions are dots, and what is missing is said."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy.stats import spearmanr
from tests_support.drawn_families import draw, outside, smallest_font, texts

from iblnm_core.analyses.pose_summary import pose_correlations, pose_sessions
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import results_of
from iblnm_core.figures.pose_qc import (
    AGAINST,
    MEASURES,
    POSE_QC,
    TIMING,
    VERDICTS,
    inside_whiskers,
)
from iblnm_core.figures.theme import DEFAULT
from iblnm_core.parameters import Parameters
from iblnm_core.storage.tables import make_table
from iblnm_core.vocabulary import VIDEO_LABELS

NAMES = ["pose_qc_grid", "pose_timing_grid", "pose_corr_grid", "pose_corr_grid_by_date"]
VIOLINS = 50
"""More vertices than this has no marker."""


def stored(n=60, **pose):
    """Tables of as many sessions; the last has no pose, the first no label that is set and no performance."""
    random = np.random.default_rng(5)
    eids = [f"e{number:03d}" for number in range(n)]
    timing = [f"peak_{kind}_{third}" for kind in ("lag", "val") for third in ("early", "mid", "late")]
    rows = pd.DataFrame({"eid": eids, "lp_exists": True, "motion_energy_exists": True, "mean_rt": 1.5})
    measured = {name: random.normal(10, 3, n) for name in (*MEASURES, "motion_energy", "drift", *timing)}
    rows = rows.assign(**{**measured, **pose})
    rows.loc[n - 1, "lp_exists"] = False
    verdicts = {label: random.choice(list(VERDICTS), n, p=[0.1, 0.1, 0.2, 0.2, 0.4]) for label in VIDEO_LABELS}
    video = pd.DataFrame({"eid": eids, "subject": [f"m{k % 4}" for k in range(n)], **verdicts})
    kinds = ["biased", "training", "ephys", "habituation", None]
    video["session_type"] = [kinds[k % 5] for k in range(n)]
    video.loc[0, list(VIDEO_LABELS)] = None
    performance = pd.DataFrame({"eid": eids[1:], "fraction_correct": random.uniform(0.6, 1, n - 1)})
    days = [f"2025-{1 + k % 6:02d}-05T10:00:00" for k in range(n)]
    sessions = pd.DataFrame({"eid": eids, "start_time": days})
    return {"pose": rows, "video": video, "performance": performance, "sessions": sessions}


def drawn_of(tables, n=4):
    """So many of the pictures, which take seconds each, of the analysis of these tables."""
    made = results_of(ANALYSES["pose_summary"], tables, Parameters())
    for schema in ANALYSES["pose_summary"].tables:
        made[schema.name] = make_table(schema, made[schema.name]).rows.to_pandas()
    return draw(replace(POSE_QC, draw=lambda *given: islice(POSE_QC.draw(*given), n)), made)


@pytest.fixture(scope="module")
def tables():
    return stored()


@pytest.fixture(scope="module")
def pictures(tables):
    return drawn_of(tables)


def test_every_picture_has_large_enough_text_and_all_data_inside(pictures):
    assert list(pictures) == NAMES
    for drawn in pictures.values():
        assert not drawn.missing
        assert smallest_font(drawn) >= 7
        assert outside(drawn) == []
        assert drawn.counts == {"n_sessions": 59, "n_subjects": 4}
        assert "59 sessions with a pose of 4 mice" in drawn.caption
    panels = [len(MEASURES) * 8, len(TIMING) * 8, len(MEASURES) * 5, len(MEASURES) * 5 + 1]
    assert [len(drawn.figure.axes) for drawn in pictures.values()] == panels


def test_sessions_have_what_is_derived_of_the_thirds():
    rows = pd.DataFrame({"peak_lag_early": [-0.3], "peak_lag_mid": [np.nan], "peak_lag_late": [0.2], "drift": [-0.5]})
    rows = rows.assign(peak_val_early=0.1, peak_val_mid=np.nan, peak_val_late=0.4, mean_rt=2.0)
    made = stored(2)
    made["pose"] = made["pose"].head(1).assign(**rows.iloc[0])
    (row,) = pose_sessions(made).to_dict("records")
    assert (row["abs_lag"], row["peak_value"], row["abs_drift"]) == (0.3, 0.4, 0.5)
    assert row["log_rt"] == np.log(2)
    assert row["date"] == "2025-01-05"
    assert {row[label] for label in VIDEO_LABELS} == {"NOT_SET"}
    assert np.isnan(row["fraction_correct"])


def test_verdicts_stand_in_order_with_counts_medians_and_colours(pictures):
    drawn = pictures["pose_qc_grid"]
    axes = drawn.figure.axes[0]
    assert [label.get_text() for label in drawn.figure.axes[-1].get_xticklabels()] == list("NCFWP")
    by_verdict = {verdict: drawn.data[drawn.data[VIDEO_LABELS[0]] == verdict]["paw"] for verdict in VERDICTS}
    assert [text.get_text() for text in axes.texts] == [str(len(values)) for values in by_verdict.values()]
    dense = {verdict: values for verdict, values in by_verdict.items() if len(values) >= 10}
    assert 0 < len(dense) < len(VERDICTS)
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_color() == "black"]
    assert medians == [np.median(values[inside_whiskers(values.to_numpy())]) for values in dense.values()]
    violins = [body for body in axes.collections if len(body.get_paths()[0].vertices) > VIOLINS]
    assert [to_hex(body.get_facecolor()[0]) for body in violins] == [DEFAULT.verdicts[verdict] for verdict in dense]


def test_every_open_dot_is_an_outlier_or_one_of_few_and_says_which_session_it_is(pictures):
    drawn = pictures["pose_timing_grid"]
    column = VIDEO_LABELS.index("qc_videoLeft_pin_state")
    axes = drawn.figure.axes[column]
    expected = set()
    for _, rows in drawn.data.groupby(VIDEO_LABELS[column]):
        values = rows["peak_value"].to_numpy()
        expected |= set(rows["eid"][~inside_whiskers(values)] if len(rows) >= 10 else rows["eid"])
    marks = [mark for mark in drawn.marks if mark.axes is axes]
    assert {mark.eid for mark in marks} == expected
    values = drawn.data.set_index("eid")["peak_value"]
    assert all(mark.y == values[mark.eid] for mark in marks)
    assert all("peak value" in mark.words for mark in marks)


@pytest.mark.parametrize("values", [np.full(59, 3.0), np.append(np.full(58, 3.0), 99.0)])
def test_values_that_do_not_vary_are_dots(values):
    drawn = drawn_of(stored(nose=np.append(values, 0)), 1)["pose_qc_grid"]
    for axes in drawn.figure.axes[8:16]:
        assert all(len(dots.get_paths()[0].vertices) <= VIOLINS for dots in axes.collections)
        assert sum(len(dots.get_offsets()) for dots in axes.collections) == 59


def test_correlations_are_ranks_over_sessions_that_have_both(tables, pictures):
    sessions = pose_sessions(tables)
    pairs = pose_correlations(sessions).set_index(["measure", "against"])
    assert len(pairs) == len(MEASURES) * len(AGAINST)
    found = pairs.loc[("nose", "fraction_correct")]
    both = sessions.dropna(subset=["fraction_correct"])
    rho, p = spearmanr(both["nose"], both["fraction_correct"])
    assert (found["rho"], found["p_value"], found["n"]) == (pytest.approx(rho), pytest.approx(p), 58)
    # the time to feedback is the same everywhere
    assert pairs.xs("log_rt", level="against")["rho"].isna().all()
    words = texts(pictures["pose_corr_grid"])
    assert f"rho = {rho:.2f}\np = {p:.2g}, q = {found['q_value']:.2g}" in words
    assert words.count("rho unknown") == len(MEASURES)


def test_there_is_a_dot_per_session_in_the_look_of_its_type_or_the_colour_of_its_date(pictures, tables):
    sessions = pose_sessions(tables)
    by_type, by_date = (pictures[name].figure.axes[0] for name in NAMES[2:])
    sizes = [len(dots.get_offsets()) for dots in by_type.collections]
    kinds = ["training", "biased", "ephys", "habituation", "unknown"]
    known = sessions["fraction_correct"].notna()
    assert sizes == [int((sessions["session_type"] == kind).sum()) for kind in kinds]
    assert len({str(dots.get_paths()[0].vertices.tolist()) for dots in by_type.collections}) == 5
    assert {f"{kind} ({size})" for kind, size in zip(kinds, sizes, strict=True)} <= set(
        texts(pictures["pose_corr_grid"])
    )
    (dots,) = by_date.collections
    drawn = np.asarray(dots.get_offsets())[known]
    np.testing.assert_array_equal(drawn, sessions.loc[known, ["fraction_correct", "paw"]])
    days = (pd.to_datetime(sessions["date"]) - pd.Timestamp(0)).dt.days
    np.testing.assert_array_equal(dots.get_array()[known], days[known])
    limits = {dots.get_clim() for axes in pictures[NAMES[3]].figure.axes[:20] for dots in axes.collections}
    assert limits == {(days.min(), days.max())}
    bar = pictures["pose_corr_grid_by_date"].figure.axes[-1]
    dates = [label.get_text() for label in bar.get_xticklabels()]
    assert (len(dates), dates[0], dates[-1]) == (5, "2025-01-05", "2025-06-05")


def test_the_drawn_table_has_every_dot_with_its_coefficient(pictures):
    data = pictures["pose_corr_grid"].data
    assert data.groupby(["measure", "against"]).size().loc[("paw", "fraction_correct")] == 58
    assert {"eid", "subject", "session_type", "date", "x", "y", "rho", "p_value", "q_value", "n"} <= set(data)


@pytest.mark.parametrize(
    ("n", "pose", "reason"),
    [
        (0, {}, "no session has trials and times of the left camera"),
        (3, {"lp_exists": False}, "none of 3 sessions with camera times has a LightningPose that can be used"),
    ],
)
def test_without_pose_every_picture_says_why(n, pose, reason):
    made = drawn_of({name: rows.head(n) for name, rows in stored(3, **pose).items()})
    assert list(made) == NAMES
    for drawn in made.values():
        assert drawn.missing == reason
        assert reason in texts(drawn)
        assert drawn.data.empty
        assert len(drawn.data.columns) > 3


def test_one_session_and_a_measure_that_nobody_has():
    made = drawn_of(stored(2, tongue_speed=np.nan), 3)
    assert texts(made["pose_qc_grid"]).count("no session\nhas it") == 8
    assert texts(made["pose_corr_grid"]).count("no session\nhas both") == 5 + 3
    for drawn in made.values():
        assert outside(drawn) == []
        assert smallest_font(drawn) >= 7
