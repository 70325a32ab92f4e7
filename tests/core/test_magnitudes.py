"""The size of every response: by hand, as it is stored, and in its table."""

import numpy as np
import pandas as pd
import pytest
from tests_support.sessions import OneSession, catalogue_of

from iblnm_core.cohort.collect import collect
from iblnm_core.parameters import PRESETS
from iblnm_core.root import create_root
from iblnm_core.schemas import RESPONSES
from iblnm_core.session import layout
from iblnm_core.session.magnitudes import response_magnitudes
from iblnm_core.session.responses import Responses
from iblnm_core.storage.session_file import SessionFile

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
    found = response_magnitudes(counting(5), trials, EVENTS, parameters)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-12)
    # the last event is masked by none
    np.testing.assert_allclose(found[2], expected[0], rtol=0, atol=1e-12)


def test_an_event_without_a_column_masks_nothing():
    trials = trials_of([10, 10.05, 11]).drop(columns="firstMovement_times")
    found = response_magnitudes(counting(1), trials, EVENTS, DEFAULT)
    assert found[0, 0] == pytest.approx(8.5)


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def test_what_is_stored_is_made_of_the_stored_responses(session):
    session.run()
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        rows, trials = layout.read_magnitudes(file), layout.read_trials(file)
        responses = {layout.fiber_index(file, group): r for group, r in layout.read_responses(file).items()}
    assert len(rows) == sum(len(found.events) * len(trials) for found in responses.values())
    for index, found in responses.items():
        values = response_magnitudes(found, trials, EVENTS, DEFAULT)
        of_fiber = rows[rows["fiber_idx"] == index].pivot_table("response", "event", "trial", dropna=False)
        np.testing.assert_array_equal(of_fiber.loc[list(found.events)].to_numpy(), values)


def test_the_table_has_the_task_beside_the_response(session):
    session.run()
    table = collect(session.root, "responses").table.rows.to_pandas()
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
    assert collect(session.root, "responses").table.rows.num_rows == 0
    session.run()
    rows = collect(session.root, "responses").table.rows.to_pandas()
    assert rows["trial"].max() == len(table) - 1


def test_changed_windows_are_made_from_stored_responses(session):
    session.run()
    settings = session.root.path / "iblnm.toml"
    settings.write_text(settings.read_text() + "\n[parameters.magnitudes]\nearly_window_s = [0.1, 0.6]\n")
    root = create_root(session.root.path)
    report = OneSession(root, session.folder, session.eid).run()
    assert report.computed == {"response_magnitudes"}
