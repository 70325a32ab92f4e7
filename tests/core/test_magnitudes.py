"""The size of every response: by hand, as it is stored, and in its table."""

import numpy as np
import pandas as pd
import pytest
from tests_support.sessions import OneSession, catalogue_of

from iblnm_core.analyses.traces import mean_traces
from iblnm_core.cohort.collect import collected_rows
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.schemas import MEAN_TRACES, RESPONSES
from iblnm_core.session import layout, summary_layout
from iblnm_core.session.magnitudes import fiber_vector, modelled_trials, own_responses, response_sizes
from iblnm_core.session.responses import Responses
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import make_table

EVENTS = ("stimOn_times", "firstMovement_times", "feedback_times")
DEFAULT, REFERENCE = PRESETS["default"].magnitudes, PRESETS["reference"].magnitudes
TRIALS = "alf/task_00/_ibl_trials.table.pqt"


def counting(n_trials):
    """Responses whose samples are their own step numbers, -30 to 29."""
    values = np.broadcast_to(np.arange(-30.0, 30.0), (3, n_trials, 60)).copy()
    return Responses(EVENTS, np.arange(-30, 30) / 30, np.arange(n_trials), values, 30, (-1.0, 1.0))


def trials_of(*rows):
    return pd.DataFrame(rows, columns=EVENTS, dtype=np.float64)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [(REFERENCE, [10.0, 8.0, np.nan, 9.0, 10.0]), (DEFAULT, [8.5, 6.5, np.nan, 7.5, 8.5])],
    ids=["reference", "default"],
)
def test_a_trace_that_counts_its_samples(parameters, expected):
    trials = trials_of([10, 12, 13], [20, 20.21, 21], [30, 30.09, 31], [50, 50.3, 51], [60, np.nan, 61])
    sizes = response_sizes(counting(5), trials, EVENTS, parameters)
    found = sizes.early
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-12)
    # the last event is masked by none
    np.testing.assert_allclose(found[2], expected[0], rtol=0, atol=1e-12)
    # what was before is masked by nothing: samples -12 to -4
    np.testing.assert_allclose(sizes.pre_event, -8.0, rtol=0, atol=1e-12)


def test_an_event_without_a_column_masks_nothing():
    trials = trials_of([10, 10.05, 11]).drop(columns="firstMovement_times")
    found = response_sizes(counting(1), trials, EVENTS, DEFAULT).early
    assert found[0, 0] == pytest.approx(8.5)


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def test_what_is_stored_is_made_of_the_stored_responses(session):
    session.run()
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        rows, trials = summary_layout.read_magnitudes(file), layout.read_trials(file)
        responses = {layout.fiber_index(file, group): r for group, r in layout.read_responses(file).items()}
    assert len(rows) == sum(len(found.events) * len(trials) for found in responses.values())
    for index, found in responses.items():
        sizes = response_sizes(found, trials, EVENTS, DEFAULT)
        for column, values in (("response", sizes.early), ("pre_event", sizes.pre_event)):
            of_fiber = rows[rows["fiber_idx"] == index].pivot_table(column, "event", "trial", dropna=False)
            np.testing.assert_array_equal(of_fiber.loc[list(found.events)].to_numpy(), values)


def test_the_table_has_the_task_beside_the_response(session):
    session.run()
    table = collected_rows(session.root, "responses")
    assert list(table.columns) == RESPONSES.column_names
    row = catalogue_of(session.root).sessions[session.eid]
    assert table.groupby("fiber_idx")["target_NM"].unique().str[0].tolist() == row["target_NM"]
    assert table.groupby("fiber_idx")["hemisphere"].unique().str[0].tolist() == row["hemisphere"]
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        regressors = layout.read_regressors(file)
    one = table[(table["fiber_idx"] == 1) & (table["event"] == "feedback_times")]
    for name in ("signed_contrast", "choice", "probabilityLeft", "reaction_time"):
        np.testing.assert_array_equal(one[name], regressors[name])
    assert one["response_early"].notna().mean() > 0.9


def test_responses_of_one_trial_table_never_stand_beside_those_of_another(session, few_trials):
    session.run()
    table = pd.read_parquet(session.folder / TRIALS).iloc[:-20]
    (session.folder / TRIALS).unlink()
    table.to_parquet(session.folder / TRIALS)
    # the regressors only: magnitudes are still those of the longer table
    session.run(selected=frozenset({"trial_regressors"}))
    assert len(collected_rows(session.root, "responses")) == 0
    session.run()
    rows = collected_rows(session.root, "responses")
    assert rows["trial"].max() == len(table) - 1


def test_changed_windows_are_made_from_stored_responses(session):
    session.run()
    settings = session.root.path / "iblnm.toml"
    settings.write_text(settings.read_text() + "\n[parameters.magnitudes]\nearly_window_s = [0.1, 0.6]\n")
    root = create_root(session.root.path)
    report = OneSession(root, session.folder, session.eid).run()
    assert report.computed == {
        *("response_magnitudes", "response_vector", "condition_traces", "response_cells", "pose"),
        *("response_measures", "time_course_sums"),
    }


def test_vectors_and_traces_are_means_over_the_trials_that_models_use(session):
    session.run()
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        rows, trials = summary_layout.read_magnitudes(file), layout.read_trials(file)
        vectors, traces = summary_layout.read_vectors(file), summary_layout.read_traces(file)
        responses = {layout.fiber_index(file, group): r for group, r in layout.read_responses(file).items()}
    used = modelled_trials(trials, PRESETS["default"].modelling)
    assert 0 < used.sum() == (used & (trials["probabilityLeft"] == 0.5)).sum() < len(trials)
    side = catalogue_of(session.root).sessions[session.eid]["hemisphere"][1]
    contra = trials["stim_side"] == {"l": "right", "r": "left"}[side]
    cell = used & (trials["contrast"] == 100) & contra & (trials["feedbackType"] == 1)
    sizes = rows[(rows["fiber_idx"] == 1) & (rows["event"] == "feedback_times")].set_index("trial")["response"]
    assert vectors[1]["feedback_c100_contra_correct"] == pytest.approx(sizes[cell.to_numpy()].mean())
    own = own_responses(responses[1], trials, EVENTS, DEFAULT)
    kept = (used & (trials["contrast"] == 25) & (trials["feedbackType"] == 1)).to_numpy()
    found = traces[(traces["fiber_idx"] == 1) & (traces["event"] == "feedback_times")]
    found = found[(found["contrast"] == 25) & (found["feedbackType"] == 1)].iloc[0]
    expected = np.nanmean(own.values[own.events.index("feedback_times"), kept], axis=0)
    np.testing.assert_allclose(found["response"], expected, rtol=0, atol=1e-12)
    assert found["n_trials"] <= kept.sum()
    assert found["start_s"] == -1
    assert found["sampling_rate_hz"] == 30


def test_the_matrix_has_a_row_per_recording_and_features_in_the_order_of_a_vector(session):
    session.run()
    matrix, traces = (collected_rows(session.root, name) for name in ("response_matrix", "condition_traces"))
    assert matrix["fiber_idx"].tolist() == [0, 1]
    assert list(matrix.columns[:4]) == ["eid", "target_NM", "fiber_idx", "stimOn_c0_contra_correct"]
    assert matrix.iloc[:, 3:].notna().any().all()
    assert set(traces["event"]) == set(EVENTS)
    selected = matrix[["eid", "fiber_idx", "target_NM"]].assign(subject="a mouse", brain_region="a region").head(1)
    table = mean_traces(traces, selected)
    make_table(MEAN_TRACES, table)
    assert set(table["fiber_idx"]) == {0}
    assert table["time"].min() == -1
    assert 0.0 in set(table["time"])


@pytest.mark.parametrize("preset", ["default", "reference"])
def test_a_fibre_of_unknown_side_has_a_vector_of_nothing_or_one_as_on_the_left(preset):
    parameters = PRESETS[preset]
    trials = pd.DataFrame(
        {
            "contrast": [25.0, 25.0],
            "stim_side": ["right", "left"],
            "feedbackType": [1.0, 1.0],
            "choice": [-1.0, 1.0],
            "probabilityLeft": [0.5, 0.5],
            "stimOn_times": [1.0, 2.0],
            "feedback_times": [1.5, 2.5],
        }
    )
    sizes = pd.DataFrame({"event": "stimOn_times", "trial": [0, 1], "response": [3.0, 5.0]})
    vector = fiber_vector(sizes, trials, None, parameters.modelling, parameters.vectors)
    if preset == "default":
        assert vector.isna().all()
    else:
        assert vector["stimOn_c25_contra_correct"] == 3
        assert vector["stimOn_c25_ipsi_correct"] == 5


def test_a_session_without_choices_has_no_trial_to_model():
    trials = pd.DataFrame({"stimOn_times": [1.0], "feedback_times": [2.0], "probabilityLeft": [0.5]})
    assert modelled_trials(trials, PRESETS["default"].modelling).tolist() == [False]
