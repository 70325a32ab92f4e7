"""Figures of rigs and of sensitivity: what is drawn equals the tables, gaps and flags are seen, filled is the root's own, nothing is said in words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgba
from tests_support.drawn_families import draw, outside, smallest_font, texts
from tests_support.rigs import LEVEL, simulated_rigs

from iblnm_core.analyses.rig_watch import rig_watch
from iblnm_core.cohort_parameters import RigWatchParameters
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.figures.rig_watch import METRICS, RIG_WATCH, _look
from iblnm_core.figures.sensitivity import EFFECTS, SENSITIVITY
from iblnm_core.figures.theme import DEFAULT

NOISE = "median_absolute_deviance"
OPTIONS = (("blocks", "unbiased"), ("blocks", "all"), ("labels", "without reject"), ("labels", "all used"))


def rigs(n_labs=2, **options):
    """Tables of rigs of which the second grows noisy and has no recordings in April."""
    signals, qc, sessions = simulated_rigs(n_labs, seed=1, drifts={(1, NOISE): 0.3 * LEVEL[NOISE][1]})
    away = sessions["lab"].eq("lab001") & signals["date"].str.startswith("2025-04")
    return rig_watch(signals[~away], qc, sessions, RigWatchParameters(**options), {"n_unique_samples": 0.05})


@pytest.fixture(scope="module")
def tables():
    return rigs()


@pytest.fixture(scope="module")
def pictures(tables):
    return draw(RIG_WATCH, tables)


def panel(drawn, label):
    [axes] = [axes for axes in drawn.figure.axes if axes.get_ylabel() == label]
    return axes


def lines(axes):
    """Those of laboratories."""
    return [line for line in axes.lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 2]


def effects(targets=("VTA-DA", "XX-NEW"), events=("stimOn", "feedback")):
    """A table of made-up effects."""
    rows = []
    for target in targets:
        for event in events:
            for place, effect in enumerate(EFFECTS):
                for number, (choice, option) in enumerate(OPTIONS):
                    row = {"target_NM": target, "event": event, "effect": effect, "choice": choice, "option": option}
                    estimate = 0.5 + place - 0.1 * number
                    row |= {"estimate": estimate, "ci_lower": estimate - 0.2, "ci_upper": estimate + 0.3}
                    row |= {"is_own": number in (0, 2), "n_trials": 1200, "n_subjects": 4, "ratio": 1.0}
                    rows.append({**row, "verdict": "own" if number in (0, 2) else "steady"})
    return pd.DataFrame(rows)


def test_both_families_are_registered():
    assert FAMILIES["rig_watch"] is RIG_WATCH
    assert FAMILIES["sensitivity"] is SENSITIVITY


def test_a_band_is_a_figure_and_a_metric_a_panel(pictures):
    assert list(pictures) == ["rig_watch_GCaMP", "rig_watch_Isosbestic"]
    labels = {name: [axes.get_ylabel() for axes in drawn.figure.axes] for name, drawn in pictures.items()}
    assert labels["rig_watch_GCaMP"] == list(METRICS.values())
    of_both = (NOISE, "percentile_distance", "n_unique_samples")
    assert labels["rig_watch_Isosbestic"] == [METRICS[metric] for metric in of_both]
    for drawn in pictures.values():
        assert smallest_font(drawn) >= 7
        assert not outside(drawn)


def test_lines_are_the_weekly_medians_with_gaps_where_there_are_none(pictures, tables):
    for metric, label in METRICS.items():
        for lab, line in zip(("lab000", "lab001"), lines(panel(pictures["rig_watch_GCaMP"], label)), strict=True):
            weekly = tables["rig_weekly"]
            rows = weekly[(weekly["lab"] == lab) & (weekly["metric"] == metric) & (weekly["band"] == "GCaMP")]
            drawn = line.get_ydata()
            assert drawn[~np.isnan(drawn)].tolist() == rows["median"].tolist()
            assert np.isnan(drawn).any() == (lab == "lab001")
            assert len(drawn) == 26


def test_flagged_weeks_have_shapes_of_their_own(pictures, tables):
    weekly = tables["rig_weekly"]
    axes = panel(pictures["rig_watch_GCaMP"], METRICS[NOISE])
    of_panel = weekly[(weekly["metric"] == NOISE) & (weekly["band"] == "GCaMP")]
    for flag, marker in (("watch", "^"), ("alarm", "D"), ("ok", "o")):
        n_drawn = sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() == marker)
        assert n_drawn == (of_panel["flag"] == flag).sum()
    assert (of_panel["flag"] == "alarm").any()


def test_laboratories_differ_in_line_style_too_and_verdicts_and_numbers_stand_above(pictures, tables):
    drawn = pictures["rig_watch_GCaMP"]
    axes = panel(drawn, METRICS[NOISE])
    assert len({line.get_linestyle() for line in lines(axes)}) == 2
    assert "lab001: alarm" in axes.get_title(loc="left")
    assert "lab000: ok, 208 recordings of 11 mice" in axes.get_title(loc="left")
    assert {"lab000", "lab001"} <= set(texts(drawn))
    assert "fails below 0.05" in texts(drawn)
    assert drawn.counts == {
        "n_recordings": tables["rig_weekly"].query(f"metric == '{NOISE}' and band == 'GCaMP'")["n_recordings"].sum()
    }


def test_many_laboratories_are_counted_by_verdict():
    drawn = draw(RIG_WATCH, rigs(n_labs=5))["rig_watch_GCaMP"]
    title = panel(drawn, METRICS[NOISE]).get_title(loc="left")
    assert title.splitlines()[-1] == "alarm: lab001"
    axes = panel(drawn, METRICS[NOISE])
    # the others stand back: thin, and without quartiles
    assert [line.get_linewidth() > 1 for line in lines(axes)] == [False, True, False, False, False]
    assert len(axes.collections) == 1
    assert not outside(drawn)


def test_all_of_many_laboratories_look_different():
    assert len({_look(place) for place in range(49)}) == 49


def test_weeks_before_those_that_are_looked_at_are_drawn_small():
    made = rigs(n_labs=1, window_weeks=14)
    weekly = made["rig_weekly"].query(f"metric == '{NOISE}' and band == 'GCaMP'")
    assert (weekly["flag"] == "earlier").tolist() == [True] * 12 + [False] * 14
    assert weekly["deviation"].isna().tolist() == (weekly["flag"] == "earlier").tolist()
    axes = panel(draw(RIG_WATCH, made)["rig_watch_GCaMP"], METRICS[NOISE])
    assert [len(line.get_xdata()) for line in axes.lines if line.get_marker() == "."] == [12]


def test_one_week_of_one_laboratory_can_be_drawn():
    signals, qc, sessions = simulated_rigs(n_weeks=1)
    made = rig_watch(signals, qc, sessions, RigWatchParameters(), {})
    drawn = draw(RIG_WATCH, made)["rig_watch_GCaMP"]
    assert "lab000: too few, 8 recordings of 4 mice" in texts(drawn)
    assert not outside(drawn)


def test_no_recording_is_said_in_words():
    [drawn] = draw(RIG_WATCH, {}).values()
    assert "qc_signals" in drawn.missing


@pytest.fixture(scope="module")
def drawn_effects():
    return draw(SENSITIVITY, {"sensitivity": effects().sort_values("option")})


def test_an_effect_is_a_figure_with_a_panel_per_target_and_event(drawn_effects):
    assert list(drawn_effects) == [f"sensitivity_{effect}" for effect in EFFECTS]
    for drawn in drawn_effects.values():
        titles = [axes.get_title(loc="left").splitlines()[0] for axes in drawn.figure.axes]
        assert titles == ["VTA-DA, stimulus", "VTA-DA, feedback", "XX-NEW, stimulus", "XX-NEW, feedback"]
        assert "VTA-DA, stimulus\n1,200 trials of 4 mice" in texts(drawn)
        assert smallest_font(drawn) >= 7
        assert not outside(drawn)
    below = drawn_effects["sensitivity_side"].figure.axes[-1]
    assert below.get_xlabel() == "contra less ipsi (z)"


def test_estimates_and_intervals_are_those_of_the_table_and_the_roots_own_is_filled(drawn_effects):
    table = effects()
    rows = table[(table["effect"] == "side") & (table["target_NM"] == "VTA-DA") & (table["event"] == "stimOn")]
    axes = drawn_effects["sensitivity_side"].figure.axes[0]
    dots = [line for line in axes.lines if line.get_marker() != "None"]
    dots.sort(key=lambda line: -line.get_ydata()[0])
    assert [line.get_xdata()[0] for line in dots] == rows["estimate"].tolist()
    bars = [line.get_xdata() for line in axes.lines if line.get_color() == DEFAULT.target_colour("VTA-DA")]
    ends = sorted(list(bar) for bar in bars if len(bar) == 2 and bar[0] != bar[1])
    assert ends == sorted(rows[["ci_lower", "ci_upper"]].to_numpy().tolist())
    filled = [to_rgba(line.get_markerfacecolor()) != to_rgba("white") for line in dots]
    assert filled == rows["is_own"].tolist()
    assert to_hex(dots[0].get_markerfacecolor()) == DEFAULT.target_colour("VTA-DA")
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"{choice}: {option}" for choice, option in OPTIONS]


def test_effects_that_are_not_robust_are_named_in_words():
    table = effects(("VTA-DA",), ("stimOn",))
    table.loc[table["option"] == "all", "verdict"] = "sign_changed"
    drawn = draw(SENSITIVITY, {"sensitivity": table})["sensitivity_contrast"]
    assert texts(drawn).count("sign") == 1


def test_a_panel_without_result_and_a_table_without_rows_say_so():
    table = effects()
    table = table[(table["target_NM"] != "XX-NEW") | (table["event"] != "feedback")]
    assert "no result" in texts(draw(SENSITIVITY, {"sensitivity": table})["sensitivity_side"])
    outcomes = pd.DataFrame({"status": ["too_few_subjects"] * 2})
    nothing = draw(SENSITIVITY, {"sensitivity_outcomes": outcomes})
    assert nothing["sensitivity_side"].missing == "no target and event could be fitted (2 too few subjects)"
