"""Figures of sessions, of responses and of their models: what stands on them is what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tests_support.drawn_families import draw, outside, smallest_font, texts

from iblnm_core.analyses.dataset_overview import STEPS
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import results_of
from iblnm_core.demo.simulated_sessions import simulate_session_tables
from iblnm_core.demo.simulated_tables import (
    OTHER_CHOICES,
    cell_table,
    course_sum_table,
    simulate_tables,
    trace_table,
    vector_table,
)
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.figures.theme import DEFAULT
from iblnm_core.parameters import Parameters

DRAWN = (
    "dataset_overview",
    "learning_curves",
    "mean_traces",
    "contrast_curves",
    "response_models",
    "session_models",
    "baseline_coding",
    "response_vectors",
    "movement_encoding",
    "task_encoding",
    "encoding_model",
)


@pytest.fixture(scope="module")
def cohort():
    """The tables of a cohort of ten mice and five targets, with all analyses that figures of responses draw."""
    made = simulate_tables(n_sessions=40, n_subjects=10, mean_trials=300, seed=4)
    tables = {
        "responses": made.responses,
        "trial_regressors": made.regressors,
        "response_cells": cell_table(made.responses, made.regressors, OTHER_CHOICES),
        "time_course_sums": course_sum_table(made),
        "recordings": made.recordings,
        "response_matrix": vector_table(made, "unbiased"),
        "condition_traces": trace_table(made.recordings),
        **simulate_session_tables(made.recordings),
    }
    needed = {table for name in DRAWN for table in FAMILIES[name].reads}
    wanted = {name for name, analysis in ANALYSES.items() if needed & {schema.name for schema in analysis.tables}}
    wanted |= {"modelling_frame", "mean_traces", "behavioural_view", "glm_coefficients", "response_similarity"}
    for name in [name for name in ANALYSES if name in wanted]:
        analysis = ANALYSES[name]
        read = {table: tables[table] if c is None else tables[table][list(c)] for table, c in analysis.reads.items()}
        tables |= results_of(analysis, read, Parameters())
    return tables


@pytest.fixture(scope="module")
def pictures(cohort):
    return {name: draw(FAMILIES[name], cohort) for name in DRAWN}


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_says_what_it_shows_and_holds_all_its_data(pictures, name):
    assert pictures[name]
    for drawn in pictures[name].values():
        assert not drawn.missing
        assert len(drawn.data)
        assert drawn.caption.endswith(".")
        assert smallest_font(drawn) >= 7
        assert outside(drawn) == []
        for axes in drawn.figure.axes:
            # what has no title or unit has names at its ticks
            named = axes.get_title("left") or axes.get_ylabel() or axes.get_xlabel()
            assert named or not axes.axison or any(tick.get_text() for tick in axes.get_yticklabels())


@pytest.mark.parametrize("name", DRAWN)
def test_a_cohort_of_nothing_is_a_picture_that_says_why(name):
    pictures = draw(FAMILIES[name], {})
    assert pictures
    for drawn in pictures.values():
        assert drawn.missing
        assert drawn.missing in texts(drawn)
        assert drawn.data.empty


@pytest.mark.parametrize("name", DRAWN)
def test_one_mouse_and_an_unknown_target_are_drawn_all_the_same(cohort, name):
    one = {}
    for table in FAMILIES[name].reads:
        rows = cohort[table]
        targets = [column for column in ("target_NM", "target1", "target2", "true", "predicted") if column in rows]
        if targets:
            rows = rows[(rows[targets] == "VTA-DA").all(axis=1)].copy()
            rows[targets] = "XX-$a$"
        if "subject" in rows:
            rows = rows[rows["subject"] == rows["subject"].iloc[0]] if len(rows) else rows
        one[table] = rows
    for drawn in draw(FAMILIES[name], one).values():
        assert drawn.missing or len(drawn.data)


def test_courses_are_the_means_of_the_table_in_the_ramp_of_the_target(cohort, pictures):
    drawn = pictures["mean_traces"]["mean_traces_LC_NE"]
    axes = drawn.figure.axes[0]
    assert axes.get_title("left") == "stimulus, correct"
    rows = cohort["traces_by_target"].query("target_NM == 'LC-NE' and event == 'stimOn' and feedbackType == 1")
    lines = {line.get_label(): line for line in axes.lines if line.get_label().endswith("%")}
    assert list(lines) == ["0 %", "6.25 %", "12.5 %", "25 %", "100 %"]
    own = rows[rows["contrast"] == 25.0]
    np.testing.assert_array_equal(lines["25 %"].get_ydata(), own["mean"])
    np.testing.assert_array_equal(lines["25 %"].get_xdata(), own["time"])
    assert to_hex(lines["25 %"].get_color()) == DEFAULT.contrast_colours("LC-NE")[25.0]
    n_trials = rows.groupby("contrast")["n_trials"].first().sum()
    assert f"{rows['n_subjects'].max()} mice, {n_trials} trials" in texts(drawn)


def test_contrasts_of_both_sides_stand_mirrored_in_equal_steps(cohort, pictures):
    drawn = pictures["contrast_curves"]["contrast_curves_SNc_DA"]
    contra, ipsi = drawn.figure.axes[:2]
    assert contra.xaxis_inverted()
    assert not ipsi.xaxis_inverted()
    here = cohort["contrast_curves"].query("target_NM == 'SNc-DA' and event == 'stimOn'")
    for axes, side in ((contra, "contra"), (ipsi, "ipsi")):
        known = sorted(set(here.loc[here["side"] == side, "contrast"]))
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [f"{contrast:g}" for contrast in known]
        steps = dict(zip((0.0, 6.25, 12.5, 25.0, 100.0), range(5), strict=True))
        assert axes.get_xticks().tolist() == [steps[contrast] for contrast in known]
    correct = next(c for c in ipsi.containers if c.get_label() == "correct")[0]
    rows = cohort["contrast_curves"].query(
        "target_NM == 'SNc-DA' and event == 'stimOn' and side == 'ipsi' and feedbackType == 1"
    )
    np.testing.assert_array_equal(correct.get_ydata(), rows.sort_values("contrast")["mean"])
    incorrect = next(c for c in ipsi.containers if c.get_label() == "incorrect")[0]
    assert (correct.get_linestyle(), incorrect.get_linestyle()) == ("-", "--")
    assert to_hex(correct.get_markerfacecolor()) != to_hex(incorrect.get_markerfacecolor())


def test_targets_come_in_one_order_whatever_the_order_of_rows(cohort):
    shuffled = {name: rows.sample(frac=1, random_state=0) for name, rows in cohort.items()}
    drawn = draw(FAMILIES["response_models"], shuffled)["response_models_feedback"]
    labels = [tick.get_text() for tick in drawn.figure.axes[0].get_yticklabels()]
    assert labels == [target for target in DEFAULT.targets if target in labels]
    assert len(labels) == 5


def test_stars_are_those_of_the_false_discovery_rate(cohort):
    rows = cohort["lmm_coefficients_early"].assign(t_q_value=0.2)
    chosen = (rows["event"] == "feedback") & (rows["term"] == "reward") & (rows["target_NM"] == "VTA-DA")
    rows.loc[chosen, ["t_q_value", "Coef."]] = 0.004, 1.23
    drawn = draw(FAMILIES["response_models"], {**cohort, "lmm_coefficients_early": rows})["response_models_feedback"]
    assert [text for text in texts(drawn) if "*" in text] == ["1.23\n**"]


def test_a_mouse_is_coloured_when_its_test_says_so(cohort):
    tests = cohort["response_ols_persession_dropone_pvalues"]
    subject = tests["subject"].iloc[0]
    for q_value, coloured in ((0.04, True), (0.06, False), (np.nan, False)):
        given = {**cohort, "response_ols_persession_dropone_pvalues": tests.assign(q_value=q_value)}
        drawn = draw(FAMILIES["session_models"], given)["drop_one"]
        faces = {to_hex(c) for axes in drawn.figure.axes for dots in axes.collections for c in dots.get_facecolor()}
        assert bool(faces & set(DEFAULT.targets.values())) is coloured
    assert subject in set(drawn.data["subject"])


def test_bars_of_canonical_correlation_are_filled_when_significant(cohort):
    summary = cohort["cca_summary"]
    assert len(summary)
    for q_value, filled in ((0.01, True), (0.5, False)):
        drawn = draw(FAMILIES["task_encoding"], {**cohort, "cca_summary": summary.assign(q_session=q_value)})
        faces = {
            to_hex(bar.get_facecolor()) for axes in drawn["canonical_correlation"].figure.axes for bar in axes.patches
        }
        assert (faces == {"#ffffff"}) is not filled


def test_cells_of_the_confusion_are_numbers_of_recordings(cohort, pictures):
    drawn = pictures["response_vectors"]["confusion"]
    counted = sorted(int(text) for text in texts(drawn) if text.isdigit())
    expected = cohort["decoding_confusion"].query("features == 'all'")["n_recordings"].tolist()
    assert counted == sorted(expected + [0] * (len(counted) - len(expected)))
    assert sum(counted) == drawn.counts["n_recordings"]


def test_cells_are_filled_up_to_the_step_that_a_session_came_to(cohort, pictures):
    matrix = cohort["session_matrix"]
    for name, drawn in pictures["dataset_overview"].items():
        if name.startswith("sessions"):
            step = name.split("_", 2)[2]
            later = list(STEPS)[list(STEPS).index(step) :]
            assert drawn.counts["n_sessions"] == matrix["step"].isin(later).sum()
            filled = sum(
                len(dots.get_offsets())
                for dots in drawn.figure.axes[0].collections
                if len(dots.get_facecolor()) and to_hex(dots.get_facecolor()[0]) in DEFAULT.session_types.values()
            )
            assert filled == drawn.counts["n_sessions"]


def test_tips_of_fibres_stand_where_they_are_and_unknown_planes_say_so():
    tips = {"tip_ml_um": [-500.0, 500.0, np.nan], "tip_ap_um": [-3100.0, -3200.0, -1.0], "tip_dv_um": [np.nan] * 3}
    fibers = pd.DataFrame(
        {"subject": ["a", "b", "c"], "fiber": "VTA", "brain_region": "VTA", "hemisphere": "l", **tips}
    )
    [drawn] = draw(FAMILIES["fibre_locations"], {"fibers": fibers.assign(provenance="Planned")}).values()
    coronal, _, horizontal = drawn.figure.axes
    assert not coronal.axison
    assert "no fibre has a DV coordinate" in texts(drawn)
    [dots] = horizontal.collections
    np.testing.assert_allclose(dots.get_offsets(), [[-0.5, -3.1], [0.5, -3.2]], atol=0.06)
    assert drawn.caption.startswith("Tips of 2 of 3 implanted fibres of 2 mice")
    [nothing] = draw(FAMILIES["fibre_locations"], {}).values()
    assert nothing.missing == "no implanted fibre is known"


def test_means_over_mice_by_hand():
    from iblnm_core.analyses.response_curves import contrast_curves, traces_by_target

    def trials(subject, contrast, values, eid="a", side="contra"):
        row = {"target_NM": "T", "event": "stimOn", "side": side, "feedbackType": 1, "contrast": contrast}
        return [row | {"eid": eid, "fiber_idx": 0, "subject": subject, "response": value} for value in values]

    rows = [*trials("m1", 0.0, [1.0] * 6), *trials("m1", 0.0, [3.0] * 2, "b"), *trials("m1", 100.0, [4.0] * 4)]
    rows += [*trials("m2", 0.0, [5.5] * 4), *trials("m2", 100.0, [8.0] * 4), *trials("m3", 0.0, [99.0] * 3)]
    curves, outcomes = contrast_curves(pd.DataFrame(rows), minimum_trials=4)
    assert curves["mean"].tolist() == [3.5, 6.0]
    assert curves["n_subjects"].tolist() == [2, 2]
    assert curves["n_recordings"].tolist() == [3, 2]
    assert curves["n_trials"].tolist() == [12, 8]
    np.testing.assert_allclose(curves["sem"], [2.0, 2.0])
    # both mice rise by 2.5: nothing is left when what differs between them is taken out
    np.testing.assert_allclose(curves["sem_within"], [0.0, 0.0], atol=1e-12)
    assert outcomes["status"].tolist() == ["ok"]
    few, said = contrast_curves(pd.DataFrame(rows), minimum_trials=40)
    assert few.empty
    assert said["status"].tolist() == ["too_few_trials"]
    no_side, said = contrast_curves(pd.DataFrame(rows).assign(side=None), minimum_trials=4)
    assert no_side.empty
    assert said["status"].tolist() == ["missing_input"]

    trace = {"fiber_idx": 0, "event": "stimOn_times", "contrast": 0.0, "feedbackType": 1}
    trace |= {"start_s": -0.1, "sampling_rate_hz": 10.0}
    values = {"a": [1.0, np.nan], "b": [3.0, 2.0], "c": [6.0, 4.0], "d": [99.0, 99.0], "e": [5.0, 5.0]}
    n_trials = dict(zip("abcde", (3, 2, 5, 4, 9), strict=True))
    traces = pd.DataFrame(
        [trace | {"eid": eid, "n_trials": n_trials[eid], "response": np.array(values[eid])} for eid in "abcde"]
    )
    recordings = pd.DataFrame(
        {"eid": list("abcd"), "fiber_idx": 0, "subject": ["m1", "m1", "m2", "m3"], "target_NM": "T"}
    )
    found = traces_by_target(traces, recordings, minimum_trials=5)
    assert found["event"].tolist() == ["stimOn", "stimOn"]
    assert found["time"].tolist() == [-0.1, 0.0]
    # what is not known counts in no mean; e is not selected
    assert found["mean"].tolist() == [4.0, 3.0]
    assert found["sem"].tolist() == [2.0, 1.0]
    assert found[["n_subjects", "n_recordings", "n_trials"]].to_numpy().tolist() == [[2, 3, 10]] * 2
    assert traces_by_target(traces, recordings.head(0), minimum_trials=5).empty
