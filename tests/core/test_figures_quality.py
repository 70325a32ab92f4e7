"""Figures of the quality of signals: what is drawn equals the tables, in the order and the look of the theme; nothing is said in words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tests_support.drawn_families import draw, outside, smallest_font, texts

from iblnm_core.analyses.qc_overview import qc_overview
from iblnm_core.figures.marks import every_month
from iblnm_core.figures.photometry_qc import METRICS, PHOTOMETRY_QC
from iblnm_core.figures.theme import DEFAULT
from iblnm_core.schemas import ERRORS, QC_PHOTOMETRY, SESSIONS

TARGETS = ("LC-NE", "VTA-DA", "XX-NEW")
NAMES = [
    "basic_criteria",
    "metrics_by_target",
    "metric_pairs",
    "components",
    "failures_by_month",
    "bleaching_by_month",
]


def signals(n=60, targets=TARGETS, n_mice=6, **values):
    """Tables of the overview of as many signals, of January and April 2025; the first passes no criterion."""
    random = np.random.default_rng(1)
    place = np.arange(n)
    labels = np.array(targets)[place % len(targets)]
    rows = pd.DataFrame({"eid": [f"e{number:03d}" for number in place], "fiber_idx": 0, "band": "GCaMP"})
    rows = rows.assign(brain_region="VTA-l", verdict="ok", n_unique_samples=0.5, n_band_inversions=0)
    rows = rows.assign(**{metric: random.gamma(2.0, size=n) for metric in METRICS}).assign(**values)
    rows.loc[0, ["n_unique_samples", "n_band_inversions"]] = 0.01, 3
    sessions = SESSIONS.arrow().empty_table().to_pandas().reindex(place)
    lists = {"brain_region": ["VTA-l"], "hemisphere": ["l"]}
    for name, value in lists.items():
        sessions[name] = pd.Series([np.array(value, dtype=object)] * n, dtype=object)
    sessions["target_NM"] = pd.Series([np.array([label], dtype=object) for label in labels], dtype=object)
    months = np.where(place % 2 == 0, "2025-01-05T10:00:00", "2025-04-07T10:00:00")
    sessions = sessions.assign(
        eid=rows["eid"], subject=[f"m{number % n_mice}" for number in place], start_time=months, session_type="biased"
    )
    empty = ERRORS.arrow().empty_table().to_pandas()
    return qc_overview(rows, sessions, empty, minimum_unique_samples=0.05)


@pytest.fixture(scope="module")
def tables():
    made = signals(targets=("LC-NE", "VTA-DA"))
    # a target that the palette does not know
    for name in ("qc_signals", "qc_scores", "qc_distributions", "qc_pca"):
        made[name] = made[name].replace({"target_NM": {"LC-NE": "XX-NEW"}})
    return made


@pytest.fixture(scope="module")
def pictures(tables):
    return draw(PHOTOMETRY_QC, tables)


def test_every_picture_is_drawn_with_units_large_enough_text_and_all_data_inside(pictures):
    assert list(pictures) == NAMES
    for drawn in pictures.values():
        assert not drawn.missing
        assert smallest_font(drawn) >= 7
        assert outside(drawn) == []
        assert drawn.figure.get_figwidth() <= 7.5
        assert "signals" in drawn.caption
    assert [len(pictures[name].figure.axes) for name in NAMES] == [2, 6, 36, 4, 2, 1]
    assert pictures["bleaching_by_month"].figure.axes[0].get_ylabel() == "time constant (s)"
    assert pictures["failures_by_month"].figure.axes[0].get_ylabel() == "signals that fail (%)"


def test_signals_that_fail_and_those_unknown_are_told_apart():
    made = signals(targets=("VTA-DA",), n_unique_samples=[np.nan, np.nan, *[0.5] * 58])
    drawn = draw(PHOTOMETRY_QC, made)["basic_criteria"]
    left, right = drawn.figure.axes
    assert left.get_title(loc="left") == "58 pass, 1 fail, 1 unknown"
    assert [bar.get_height() for bar in right.patches] == [59, 1, 0]
    colours = [to_hex(bar.get_facecolor()) for bar in right.patches]
    assert colours == [DEFAULT.verdicts[verdict] for verdict in ("PASS", "FAIL", "NOT_SET")]
    assert drawn.counts == {"n_recordings": 60, "n_sessions": 60, "n_subjects": 6}


def test_metrics_stand_by_target_in_order_with_median_and_counts_of_the_table(pictures, tables):
    axes = pictures["metrics_by_target"].figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["VTA-DA", "XX-NEW"]
    groups = tables["qc_distributions"].set_index(["metric", "target_NM"]).loc["median_absolute_deviance"]
    medians = [line.get_xdata()[0] for line in axes.lines]
    assert medians == groups.loc[["VTA-DA", "XX-NEW"], "inner_median"].tolist()
    # the first signal fails
    assert [text.get_text() for text in axes.texts] == ["30 / 3", "29 / 3"]
    edges = [to_hex(body.get_edgecolor()[0]) for body in axes.collections if len(body.get_paths()[0].vertices) > 50]
    assert edges == [DEFAULT.target_colour("VTA-DA"), DEFAULT.target_colour("XX-NEW")]


def test_every_dot_says_which_signal_it_is(pictures, tables):
    by_target, components = pictures["metrics_by_target"], pictures["components"]
    dots = [
        (axes, *offset)
        for axes in by_target.figure.axes
        for dots in axes.collections
        if len(dots.get_paths()[0].vertices) <= 50
        for offset in dots.get_offsets().data
    ]
    assert {(mark.axes, mark.x, mark.y) for mark in by_target.marks} == set(dots)
    known = {(row["eid"], round(row["score"], 9)): row for row in tables["qc_scores"].to_dict("records")}
    for mark in by_target.marks:
        row = known[mark.eid, round(mark.x, 9)]
        assert mark.words.startswith(f"{row['subject']}, {row['target_NM']}, fibre {row['fiber_idx']}\n")
    scores = tables["qc_pca"]
    assert [mark.eid for mark in components.marks] == scores["eid"].tolist() * 3
    assert [mark.x for mark in components.marks] == scores["PC1"].tolist() * 3
    assert not pictures["basic_criteria"].marks


def test_few_signals_are_dots_of_their_values():
    drawn = draw(PHOTOMETRY_QC, signals(n=6, targets=("VTA-DA",), n_mice=1))["metrics_by_target"]
    axes = drawn.figure.axes[4]
    assert axes.get_xlabel() == "value (s)"
    dots = np.concatenate([collection.get_offsets()[:, 0] for collection in axes.collections])
    of_tau = drawn.data[drawn.data["metric"] == "bleaching_tau"]
    assert sorted(dots) == pytest.approx(sorted(of_tau["value"]))


def test_correlations_are_those_of_the_table_with_stars_by_q(tables):
    made = dict(tables)
    pairs = made["qc_correlations"].assign(rho=0.1, q_value=0.5)
    pairs.loc[0, ["rho", "q_value"]] = -0.9, 0.0099
    words = texts(draw(PHOTOMETRY_QC, {**made, "qc_correlations": pairs})["metric_pairs"])
    assert words.count("0.10\nq = 0.5") == len(pairs) - 1
    assert "-0.90**\nq = 0.0099" in words


def test_a_metric_that_does_not_vary_and_one_that_nobody_has():
    made = signals(ar_score=0.5, bleaching_tau=np.nan, targets=("VTA-DA",))
    pictures = draw(PHOTOMETRY_QC, made)
    assert texts(pictures["metric_pairs"]).count("constant") == 4
    assert texts(pictures["metrics_by_target"]).count("no signal has it") == 1
    assert pictures["bleaching_by_month"].missing == (
        "none of 60 signals passes the basic criteria and has a time constant"
    )


def test_months_without_signals_are_gaps(pictures, tables):
    rates = pictures["failures_by_month"].figure.axes[0].lines[0].get_ydata()
    expected = tables["qc_monthly"]["rate_fail_unique"].tolist()
    assert np.isnan(rates).tolist() == [False, True, True, False]
    assert [rates[0], rates[-1]] == expected
    tau = pictures["bleaching_by_month"].figure.axes[0].lines[0].get_ydata()
    assert [tau[0], tau[-1]] == tables["qc_monthly"]["tau_mean"].tolist()


def test_without_signals_every_picture_says_so():
    nothing = qc_overview(
        QC_PHOTOMETRY.arrow().empty_table().to_pandas(),
        SESSIONS.arrow().empty_table().to_pandas(),
        ERRORS.arrow().empty_table().to_pandas(),
    )
    pictures = draw(PHOTOMETRY_QC, nothing)
    assert list(pictures) == NAMES
    for drawn in pictures.values():
        assert "no data" in drawn.missing
        assert any(drawn.missing in words for words in texts(drawn))
    assert "0 signals of 0 recordings" in pictures["basic_criteria"].missing


def test_signals_of_which_none_passes_say_that():
    pictures = draw(PHOTOMETRY_QC, signals(n=12, n_unique_samples=0.01, targets=("VTA-DA",)))
    assert pictures["metrics_by_target"].missing == "none of 12 signals passes the basic criteria and has a metric"
    assert not pictures["basic_criteria"].missing
    assert pictures["components"].missing.startswith("missing input: 0 of 0 signals that pass")


def test_months_without_signals_are_gaps_whatever_the_type_of_the_counts():
    monthly = pd.DataFrame(
        {"month": ["2025-04-01", "2025-01-01"], "n": pd.array([3, 5], dtype="Int64"), "x": [1.0, 2.0]}
    )
    found = every_month(monthly)
    np.testing.assert_array_equal(found["n"].to_numpy(np.float64), [5, np.nan, np.nan, 3])
    np.testing.assert_array_equal(found["x"], [2, np.nan, np.nan, 1])
