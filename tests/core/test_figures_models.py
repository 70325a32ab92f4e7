"""Figures of models over mice, of variances and of coding against behaviour, on tables made by hand; and the means they show."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tests_support.drawn_families import draw, outside, smallest_font, texts

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.analyses.summaries import baseline_means, baseline_shares, loso_summary, mouse_means
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.figures.theme import DEFAULT

NEW = ("model_reliability", "movement_variance", "variance_components")
TARGETS = ("LC-NE", "VTA-DA", "XX-$a$")
VARIABLES = (None, "choice_side", "log_reaction_time", "peak_velocity")


def _folds():
    """Return both tables of reliability: three mice, and an aggregate that is not their mean."""
    rows = []
    for target in TARGETS:
        for event in ("feedback", "stimOn"):
            for variable in VARIABLES:
                parts = ["interactions", "side", "contrast", *(["reward"] if event == "feedback" else [])]
                for place, part in enumerate(parts + (["movement"] if variable else [])):
                    key = {"target_NM": target, "event": event, "predictor": part, "movement_var": variable}
                    key["family"] = "movement" if variable else "task"
                    for fold, delta in (("m1", 0.1), ("m2", 0.3), ("m3", -0.2), ("aggregate", 0.07)):
                        rows.append({**key, "fold": fold, "n_trials": 50, "r2": 0.25, "delta_r2": delta + place / 100})
    return pd.DataFrame(rows)


def _shares():
    rows = [
        {"target_NM": target, "event": event, "family": "movement", "movement_var": variable, "name": name}
        | {"marginal_r2": share, "conditional_r2": 0.5, "n_trials": 100, "n_subjects": 3}
        for target in TARGETS
        for event in ("stimOn", "feedback")
        for variable in VARIABLES[1:]
        for name, share in (("full", 0.3), ("movement", 0.1), ("interactions", 0.2), ("contrast", 0.9))
    ]
    return pd.DataFrame(rows)


def _variances():
    x = np.linspace(-3, 1, 41)
    summary, outlines = [], []
    for target in TARGETS:
        for component, middle in (("V_mouse", -1.0), ("V_session", 0.0)):
            key = {"target_NM": target, "event": "stimOn", "regressor": "contrast", "component": component}
            numbers = {"mean": 10.0**middle, "hdi_low": 0.0 if component == "V_mouse" else 0.5, "hdi_high": 3.0}
            summary.append({**key, **numbers, "n_mice": 4, "n_sessions": 21, "n_recordings": 22})
            outlines.append(pd.DataFrame({**key, "x": x, "density": np.exp(-2 * (x - middle) ** 2)}))
    return {"response_varcomp_summary": pd.DataFrame(summary), "response_varcomp_violin": pd.concat(outlines)}


@pytest.fixture(scope="module")
def tables():
    folds = _folds()
    return {
        "response_lmm_reliability_cv": folds,
        "response_lmm_reliability_jackknife": folds.assign(delta_r2=folds["delta_r2"] + 1),
        "response_lmm_r2": _shares(),
        **_variances(),
    }


@pytest.fixture(scope="module")
def pictures(tables):
    return {name: draw(FAMILIES[name], tables) for name in NEW}


@pytest.mark.parametrize("name", NEW)
def test_every_picture_says_what_it_shows_and_holds_all_its_data(pictures, name):
    for drawn in pictures[name].values():
        assert not drawn.missing
        assert drawn.caption.endswith(".")
        assert smallest_font(drawn) >= 7
        assert outside(drawn) == []
        assert drawn.counts["n_subjects"] in (3, 4)


@pytest.mark.parametrize("name", NEW)
def test_one_mouse_is_drawn_all_the_same(tables, name):
    rows = {table: rows[rows["target_NM"] == "VTA-DA"] for table, rows in tables.items()}
    for table in ("response_lmm_reliability_cv", "response_lmm_reliability_jackknife"):
        rows[table] = rows[table][rows[table]["fold"].isin(["m1", "aggregate"])]
    for drawn in draw(FAMILIES[name], rows).values():
        assert len(drawn.data)


def test_every_model_has_a_picture_of_each_kind_also_without_result(pictures):
    expected = {
        f"reliability_{kind}_{f'movement_{variable}' if variable else 'task'}"
        for kind in ("cv", "jackknife")
        for variable in VARIABLES
    }
    assert set(pictures["model_reliability"]) == expected
    outcomes = [
        Outcome("task_reliability", "VTA-DA", event, Status.TOO_FEW_SUBJECTS, 80, 2) for event in ("stimOn", "feedback")
    ]
    outcomes.append(Outcome("movement_reliability", "VTA-DA", "stimOn", Status.NO_DATA, 0, 0, variable="peak_velocity"))
    empty = draw(FAMILIES["model_reliability"], {"model_families_outcomes": outcome_table(outcomes)})
    assert set(empty) == expected
    assert empty["reliability_cv_task"].missing == "too few subjects in 2 groups of target and event"
    assert empty["reliability_jackknife_movement_peak_velocity"].missing == "no data in 1 groups of target and event"
    for drawn in empty.values():
        assert drawn.missing in texts(drawn)
        assert drawn.data.empty
    words = {name: next(iter(draw(FAMILIES[name], {}).values())).missing for name in NEW[1:]}
    assert words == {
        "movement_variance": "no selected recording has responses that can be modelled",
        "variance_components": "no recording has a model",
    }


def test_folds_and_their_aggregate_are_those_of_the_table(pictures):
    drawn = pictures["model_reliability"]["reliability_cv_movement_peak_velocity"]
    panels = np.array(drawn.figure.axes).reshape(3, 2)
    assert [axes.get_ylabel() for axes in panels[:, 0]] == ["VTA-DA", "LC-NE", "XX-$a$"]
    assert [axes.get_title("left") for axes in panels[0]] == ["stimulus", "feedback"]
    parts = ["contrast", "side", "outcome", "interactions", "peak velocity"]
    assert [tick.get_text() for tick in panels[-1, 1].get_xticklabels()] == parts
    stimulus = panels[0, 0]
    assert [tick.get_text() for tick in panels[-1, 0].get_xticklabels()] == [p for p in parts if p != "outcome"]
    *of_parts, mean = stimulus.collections
    # in the table: interactions, side, contrast, movement
    heights = [0.02, 0.01, 0.0, 0.03]
    np.testing.assert_allclose(mean.get_offsets()[:, 1], 0.07 + np.array(heights))
    assert to_hex(mean.get_edgecolor()[0]) == "#000000"
    for dots, height in zip(of_parts, heights, strict=True):
        np.testing.assert_allclose(sorted(dots.get_offsets()[:, 1]), np.array([-0.2, 0.1, 0.3]) + height)
        assert dots.get_sizes()[0] < mean.get_sizes()[0]
        assert to_hex(dots.get_facecolor()[0]) == DEFAULT.target_colour("VTA-DA")
    assert "R² 0.250, 3 mice" in texts(drawn)
    for line in panels:
        assert line[0].get_ylim() == line[1].get_ylim()
    other = pictures["model_reliability"]["reliability_jackknife_task"].figure.axes[0].collections[-1]
    np.testing.assert_allclose(other.get_offsets()[:, 1], [1.09, 1.08, 1.07])


def test_models_stand_from_small_to_large_with_a_hatching_beside_the_hue(pictures):
    drawn = pictures["movement_variance"]["movement_variance_feedback"]
    for axes, name in zip(drawn.figure.axes, ("choice side", "log reaction time", "peak velocity"), strict=True):
        assert axes.get_title("left") == name
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["VTA-DA (3)", "LC-NE (3)", "XX-$a$ (3)"]
        bars = sorted(axes.patches, key=lambda bar: bar.get_x())[:3]
        assert [bar.get_height() for bar in bars] == [0.1, 0.2, 0.3]
        assert [bool(bar.get_hatch()) for bar in bars] == [False, True, False]
    assert set(drawn.data["name"]) == {"movement", "interactions", "full"}


def test_halves_of_violins_stand_on_an_axis_of_variances(pictures):
    [drawn] = pictures["variance_components"].values()
    [axes] = drawn.figure.axes
    assert axes.get_yscale() == "log"
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    assert {"0.1", "1"} <= set(ticks)
    assert all(float(text) > 0 for text in ticks)
    left, right = axes.collections[:2]
    outline = left.get_paths()[0].vertices
    # the mode of log10 of the variance between mice is -1
    assert outline[outline[:, 0].argmin(), 1] == pytest.approx(0.1)
    assert outline[:, 0].min() == pytest.approx(-0.4)
    assert outline[:, 0].max() <= 0
    outline = right.get_paths()[0].vertices
    assert outline[outline[:, 0].argmax(), 1] == pytest.approx(1)
    assert outline[:, 0].min() >= 0
    assert right.get_hatch()
    means = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(means, [0.1, 1.0] * 3)
    bars = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 2]
    # an interval down to zero ends where the density does
    assert 0 < bars[0][0] < 0.1
    np.testing.assert_allclose(bars[1], [0.5, 3.0])
    assert texts(drawn).count("4") == 3


def _scores(n=6):
    rows = [
        {"eid": f"e{i}", "target_NM": target, "fiber_idx": 0, "subject": f"m{i % 3}", "event": "stimOn"}
        | {"variant": "linear", "x_score": float(i), "y_score": float(i**2)}
        for target in TARGETS
        for i in range(n)
    ]
    scores = pd.DataFrame(rows)
    scores.loc[0, "x_score"] = np.nan
    one = {"event": "stimOn", "variant": "linear", "n_recordings": n, "n_subjects": 3, "low_n": True}
    one |= {"correlation": 0.9, "p_session": 0.004, "q_session": 0.03}
    summary = pd.DataFrame([{"target_NM": target, **one} for target in TARGETS])
    summary.loc[2, ["p_session", "q_session"]] = np.nan
    return {"cca_scores": scores, "cca_summary": summary}


def test_scores_stand_in_a_panel_each_with_correlation_and_test():
    drawn = draw(FAMILIES["task_encoding"], _scores())["canonical_scores"]
    assert smallest_font(drawn) >= 7
    titles = [axes.get_title("left") for axes in drawn.figure.axes]
    assert titles == [
        "VTA-DA, stimulus\nr 0.90, p 0.004*, n 6 (few)",
        "LC-NE, stimulus\nr 0.90, p 0.004*, n 5 (few)",
        "XX-$a$, stimulus\nr 0.90, no p, n 6 (few)",
    ]
    [filled], [_], [hollow] = (axes.collections for axes in drawn.figure.axes)
    np.testing.assert_array_equal(filled.get_offsets(), [[i**2, i] for i in range(6)])
    assert to_hex(filled.get_facecolor()[0]) == DEFAULT.target_colour("VTA-DA")
    assert len(hollow.get_facecolor()) == 0
    assert outside(drawn) == []
    assert drawn.counts == {"n_recordings": 6, "n_sessions": 6, "n_subjects": 3}


def test_dispersions_stand_by_block_and_event_and_an_unknown_correlation_says_so():
    rows = [
        {"subject": f"m{i}", "target_NM": target, "event": "feedback", "block": block}
        | {"neural_dispersion": 1.0 + i, "behavioral_dispersion": 2.0 - i / 10}
        for block in ("movement", "task")
        for i, target in enumerate(TARGETS)
    ]
    tests = pd.DataFrame(
        [
            {"event": "feedback", "block": "task", "spearman_rho": -0.5, "p_value": 0.25, "n": 3, "n_subjects": 3},
            {
                "event": "feedback",
                "block": "movement",
                "spearman_rho": np.nan,
                "p_value": np.nan,
                "n": 3,
                "n_subjects": 2,
            },
        ]
    )
    drawn = draw(FAMILIES["task_encoding"], {"dispersion": pd.DataFrame(rows), "dispersion_tests": tests})["dispersion"]
    assert [axes.get_title("left") for axes in drawn.figure.axes] == [
        "task terms, feedback\nr -0.50, p 0.250, n 3 (3 mice)",
        "movement terms, feedback\nno correlation, n 3 (2 mice)",
    ]
    places = np.concatenate([dots.get_offsets() for dots in drawn.figure.axes[0].collections])
    np.testing.assert_allclose(places, [[1.9, 2.0], [2.0, 1.0], [1.8, 3.0]])
    assert outside(drawn) == []
    assert smallest_font(drawn) >= 7


def test_means_and_errors_over_mice_by_hand():
    scores = {"delta_r2_contrast": [0.1, 0.3, 0.7], "centred_r2_full": [0.5, 0.5, 0.2]}
    rows = pd.DataFrame(
        {"target_NM": ["T", "T", "U"], "event": "stimOn", "timing_col": "log_reaction_time", "n_trials": 9}
        | {"subject": ["a", "b", "a"], **scores}
    )
    found = loso_summary(rows).set_index(["target_NM", "measure"])
    assert found.loc[("T", "delta_r2_contrast"), ["mean", "sem"]].tolist() == pytest.approx([0.2, 0.1])
    assert found["n_subjects"].to_dict() == {(t, name): n for t, n in (("T", 2), ("U", 1)) for name in scores}
    assert np.isnan(found.loc[("U", "centred_r2_full"), "sem"])
    assert loso_summary(rows.head(0)).empty


def test_the_mean_of_a_mouse_is_over_its_recordings_of_the_target():
    rows = pd.DataFrame(
        {
            "target_NM": ["T", "T", "T", "U"],
            "event": "stimOn",
            "subject": ["a", "a", "b", "a"],
            "r2": [0.2, 0.4, 1.0, 0.9],
        }
    )
    found = mouse_means(rows, ["event"], ["r2"])
    assert found[["target_NM", "subject", "n_recordings"]].to_numpy().tolist() == [
        ["T", "a", 2],
        ["T", "b", 1],
        ["U", "a", 1],
    ]
    np.testing.assert_allclose(found["r2"], [0.3, 1.0, 0.9])


def test_shares_are_of_the_recordings_that_could_be_tested():
    rows = pd.DataFrame(
        {
            "target_NM": ["T", "T", "T", "U"],
            "subject": ["a", "a", "b", "a"],
            "observed_slope": [1.0, 2.0, 5.0, 7.0],
            "observed_r2": 0.1,
            "q_value": [0.01, 0.05, np.nan, np.nan],
        }
    )
    tests = {"performance": rows, "reaction_time": rows.head(0)}
    shares = baseline_shares(tests).set_index(["behaviour", "target_NM"])
    assert list(shares.index) == [("performance", "T"), ("performance", "U")]
    counts = shares[["n_recordings", "n_tested", "n_significant"]]
    assert counts.to_numpy().tolist() == [[3, 2, 1], [1, 0, 0]]
    assert shares["share"].iloc[0] == 0.5
    assert np.isnan(shares["share"].iloc[1])
    means = baseline_means(tests)
    assert means[["behaviour", "target_NM", "subject"]].to_numpy().tolist() == [
        ["performance", "T", "a"],
        ["performance", "T", "b"],
        ["performance", "U", "a"],
    ]
    assert means["observed_slope"].tolist() == [1.5, 5.0, 7.0]


def test_dashes_bars_and_shares_are_numbers_of_tables():
    of_mouse = {"target_NM": "VTA-DA", "event": "stimOn", "subject": "m1"}
    held_out = {**of_mouse, "timing_col": "log_reaction_time", "delta_r2_contrast": [0.1], "delta_r2_timing": 0.2}
    mean = {"target_NM": "VTA-DA", "timing_col": "log_reaction_time", "measure": ["delta_r2_contrast"]}
    given = {"loso_cv_model_comparison": pd.DataFrame(held_out)}
    given["loso_cv_summary"] = pd.DataFrame({**mean, "mean": 0.4, "sem": np.nan, "n_subjects": 1})
    drawn = draw(FAMILIES["movement_encoding"], given)["model_comparison"]
    [bar] = drawn.figure.axes[0].containers
    assert bar[0].get_ydata().tolist() == [0.4]
    assert "VTA-DA\n1 mice" in texts(drawn)

    slope = {
        **of_mouse,
        "eid": "e1",
        "fiber_idx": 0,
        "q_value": [0.01],
        "observed_slope": 0.3,
        "null_slope": 0,
        "null_r2": 0,
    }
    mouse = {"behaviour": ["performance"], "target_NM": "VTA-DA", "subject": "m1", "observed_slope": 0.7}
    share = {"behaviour": ["performance"], "target_NM": "VTA-DA", "n_tested": 8, "n_significant": 2, "share": 0.25}
    given = {"baseline_performance": slope, "baseline_mice": mouse, "baseline_shares": share}
    given = {name: pd.DataFrame(columns) for name, columns in given.items()}
    drawn = draw(FAMILIES["baseline_coding"], given)["baseline_performance"]
    left, right = drawn.figure.axes
    assert [0.7, 0.7] in [list(line.get_ydata()) for line in left.lines]
    assert drawn.data["observed_slope_of_mouse"].tolist() == [0.7]
    assert [bar.get_height() for bar in right.patches] == [0.25]
    assert "2 of 8" in texts(drawn)
