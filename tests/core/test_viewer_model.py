"""What the viewer shows, without a browser: addresses, searches, rows and means of responses, stored and missing parts."""

from dataclasses import replace
from urllib.parse import parse_qsl

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support.demo import plan
from tests_support.sessions import processed_root

from iblnm_core.cohort.labels import add_label, read_labels
from iblnm_core.errors import CorruptArtifact
from iblnm_core.identifiers import uuid_from
from iblnm_core.parameters import Parameters
from iblnm_core.root import create_root
from iblnm_core.schemas import LABELS
from iblnm_core.session.responses import Responses, mask_after_next_event, subtract_baseline
from iblnm_core.storage.tables import make_table, write_table
from iblnm_core.viewer.catalogue import Catalogue, Search, neighbours
from iblnm_core.viewer.ordering import groups, row_order, transformed, visible_trials
from iblnm_core.viewer.rendering import catalogue_html
from iblnm_core.viewer.state import ORDERS, ViewState
from iblnm_core.viewer.stored import Sessions

EVENTS = Parameters().responses.events


# addresses


@given(
    state=st.builds(
        ViewState,
        eid=st.just(uuid_from("a")),
        region=st.text(max_size=20),
        t0=st.none() | st.integers(0, 10_000).map(float),
        t1=st.none() | st.integers(0, 10_000).map(float),
        trial=st.none() | st.integers(0, 2000),
        order=st.sampled_from(ORDERS),
        baseline=st.booleans(),
        wheel=st.booleans(),
    )
)
def test_an_address_brings_the_view_back(state):
    assert ViewState.of_query(dict(parse_qsl(state.query))) == state


@pytest.mark.parametrize(
    "query",
    [
        {"t0": "nan", "t1": "inf", "trial": "-3"},
        {"order": "size", "baseline": "yes", "trial": "first"},
        {"t0": "", "nonsense": "1"},
    ],
)
def test_nonsense_in_an_address_is_left_out(query):
    assert ViewState.of_query(query) == ViewState()


def test_another_session_is_looked_at_in_the_same_way():
    state = ViewState(eid="a", region="VTA", t0=1.0, t1=2.0, trial=3, order="outcome", mask=True)
    assert state.of_other("b") == ViewState(eid="b", order="outcome", mask=True)


# rows and means


def trials_of(outcome, contrast, reaction):
    n = len(outcome)
    stimulus = np.arange(n) * 10.0
    return pd.DataFrame(
        {
            "stimOn_times": stimulus,
            "firstMovement_times": stimulus + reaction,
            "feedback_times": stimulus + np.asarray(reaction) + 0.3,
            "feedbackType": outcome,
            "contrast": contrast,
        }
    ).astype(float)


TRIALS = trials_of(
    outcome=[1, -1, 1, -1, np.nan, 1, -1],
    contrast=[25, 25, 100, 0, 25, 100, 25],
    reaction=[0.5, 0.25, 0.375, np.nan, 0.125, 0.375, 0.625],
)


def test_rows_lie_by_outcome_then_contrast_and_equal_ones_stay_in_order():
    numbers = np.arange(7)
    assert row_order(TRIALS, numbers, "trial").tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert row_order(TRIALS, numbers, "outcome").tolist() == [1, 6, 3, 2, 5, 0, 4]
    assert row_order(TRIALS, numbers, "reaction_time").tolist() == [4, 1, 2, 5, 0, 6, 3]
    # places among the trials that have responses, not their numbers
    assert row_order(TRIALS, np.array([2, 3, 6]), "outcome").tolist() == [2, 1, 0]


def responses_of(rng):
    times = np.arange(-30, 30) / 30
    return Responses(EVENTS, times, np.arange(7), rng.normal(size=(3, 7, 60)), 30, (-1.0, 1.0))


def test_what_follows_is_hidden_before_the_baseline_is_taken_away():
    responses, parameters = responses_of(np.random.default_rng(0)), Parameters()
    both = transformed(responses, TRIALS, parameters, mask=True, baseline=True)
    masked = mask_after_next_event(responses, TRIALS, list(EVENTS))
    expected = subtract_baseline(masked, parameters.magnitudes.baseline_window_s)
    np.testing.assert_array_equal(both.values, expected.values)
    assert transformed(responses, TRIALS, parameters, mask=False, baseline=False) is responses


def test_means_are_of_all_trials_or_of_contrast_and_outcome():
    rows = np.arange(14.0).reshape(7, 2)
    rows[4] = np.nan
    [everything] = groups(rows, TRIALS, "trial")
    assert everything.n_trials == 6
    np.testing.assert_allclose(everything.mean, np.nanmean(rows, axis=0))
    np.testing.assert_allclose(everything.error, np.nanstd(rows, axis=0, ddof=1) / np.sqrt(6))
    by_kind = groups(rows, TRIALS, "outcome")
    assert [(group.name, group.n_trials) for group in by_kind] == [
        ("25 % correct", 1),
        ("100 % correct", 2),
        ("0 % incorrect", 1),
        ("25 % incorrect", 2),
    ]
    assert [group.share for group in by_kind] == [0.25, 1.0, 0.0, 0.25]
    np.testing.assert_allclose(by_kind[1].mean, rows[[2, 5]].mean(axis=0))
    assert np.isnan(by_kind[0].mean).all()


def test_trials_are_seen_when_they_start_in_view():
    assert visible_trials([0.0, 10.0, 20.0, np.nan], (5.0, 20.0)).tolist() == [False, True, True, False]


# the list


SESSIONS = pd.DataFrame(
    {
        "eid": ["a", "b", "c", "d"],
        "subject": ["M1", "M2", "M1", "M3"],
        "date": ["2025-01-03", "2025-01-02", "2025-01-01", "2025-01-04"],
        "session_type": ["biased", "ephys", "biased", "training"],
        "targets": ["VTA-DA, SNc-DA", "LC-NE", "VTA-DA", ""],
        "n_trials": [500.0, 300.0, np.nan, 700.0],
        "fraction_correct": [0.9, 0.8, np.nan, 0.7],
        "state": ["usable", "failed", "not computed", "usable"],
        "n_errors": [0, 2, 0, 1],
        "labels": ["", "reject", "", ""],
        "searched": ["m1 lab_a", "m2 lab_a bandinversion", "m1 lab_b", "m3 lab_b"],
    }
)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), "dabc"),
        (Search(text="LAB_A m1"), "a"),
        (Search(text="bandinv"), "b"),
        (Search(session_type="biased"), "ac"),
        (Search(target="VTA-DA", sort="date"), "ca"),
        (Search(target="DA"), ""),
        (Search(state="usable", sort="n_trials"), "ad"),
        (Search(sort="-fraction_correct"), "abdc"),
        (Search(sort="subject"), "cabd"),
    ],
)
def test_sessions_are_searched_and_sorted(search, found):
    assert "".join(search.of(SESSIONS)["eid"]) == found
    assert (
        Search.of_query(dict(pair.split("=") for pair in search.query.split("&") if pair) | {"text": search.text})
        == search
    )


def test_a_search_of_nonsense_is_the_plain_list():
    query = {"sort": "password", "page": "0x3", "text": " x " * 400}
    search = Search.of_query(query)
    assert (search.sort, search.page, len(search.text)) == ("-date", 1, 200)
    assert Search().sorted_by("date").sort == "date"
    assert Search(sort="date").sorted_by("date").sort == "-date"


def test_neighbours_are_those_of_the_list():
    assert neighbours(SESSIONS, "b") == ("a", "c", 2)
    assert neighbours(SESSIONS, "a") == (None, "b", 1)
    assert neighbours(SESSIONS, "d") == ("c", None, 4)
    assert neighbours(SESSIONS, "z") == (None, "a", None)


# what is stored


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root with one computed session of two fibres."""
    return processed_root(tmp_path_factory.mktemp("viewer"), [plan(minutes=8.0)])


@pytest.fixture
def eid(root):
    return next(root.session_folder.glob("*.h5")).stem


def test_parts_of_a_session_are_read_when_asked_for(root, eid):
    sessions = Sessions(root)
    view = sessions.view(eid)
    assert list(view.recordings.values()) == list(range(len(view.recordings)))
    first = next(iter(view.recordings))
    assert view.band_names(first) == ["GCaMP", "Isosbestic"]
    corrected = view.trace(first, "preprocessed")
    assert abs(np.nanmean(corrected.values)) < 0.1
    assert view.trace(first, "no such band") is None
    start, end = view.extent()
    assert start < corrected.times[0] + 1
    assert end > corrected.times[-1] - 1
    assert view.responses(first).values.shape[2] == 60
    assert view.wheel is not None
    assert np.isnan(view.wheel.values).any()
    assert view.target(first).endswith("-DA")
    assert sessions.view(eid) is view
    assert sessions.view(uuid_from("never seen")) is None


def test_a_session_that_was_computed_anew_is_read_anew(root, eid):
    sessions = Sessions(root)
    before = sessions.view(eid)
    path = root.session_file(eid)
    content = path.read_bytes()
    path.unlink()
    assert sessions.view(eid) is None
    path.write_bytes(content)
    assert sessions.view(eid) is not before


def test_a_broken_part_is_an_error_and_the_others_are_read(root, eid):
    path = root.session_file(eid)
    content = path.read_bytes()
    try:
        with h5py.File(path, "r+") as file:
            first = next(iter(file["photometry"]))
            file[f"photometry/{first}/preprocessed/signal"][5] = 1e6
        view = Sessions(root).view(eid)
        with pytest.raises(CorruptArtifact, match="preprocessed"):
            view.trace(first, "preprocessed")
        assert view.trace(first, "GCaMP") is not None
        assert view.extent()[1] > 60
    finally:
        path.write_bytes(content)


def test_a_root_that_was_just_made_has_an_empty_list(tmp_path):
    (tmp_path / "cache").mkdir()
    root = create_root(tmp_path, cache=tmp_path / "cache")
    sessions = Catalogue(root).sessions()
    assert Search(text="x", target="VTA-DA").of(sessions).empty
    assert b"no session yet" in catalogue_html(sessions, Search())


def test_the_catalogue_follows_its_tables(root, eid):
    catalogue = Catalogue(root)
    [row] = catalogue.sessions().to_dict("records")
    assert (row["eid"], row["state"], row["labels"]) == (eid, "not computed", "")
    add_label(root.path, eid, 0, "doubtful", author="ana")
    write_table(root.path, make_table(LABELS, read_labels(root.path).rows))
    assert catalogue.sessions()["labels"].tolist() == ["doubtful"]
    assert replace(Search(), text="doubtful").of(catalogue.sessions())["eid"].tolist() == [eid]
