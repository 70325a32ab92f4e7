"""Which sessions and recordings analyses use, and the account of what each filter removes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core import errors as error_classes
from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.selection import (
    ANALYSIS_BLOCKERS,
    ARTEFACT_SESSIONS,
    REFERENCE_DISQUALIFIERS,
    Selection,
    resolve_duplicates,
    select,
)
from iblnm_core.errors import ConfigurationError, family
from iblnm_core.schemas import ERRORS, SESSION_STATUS, SESSIONS
from iblnm_core.session.outputs import OUTPUTS
from iblnm_core.storage.tables import make_table, read_table, write_table
from iblnm_core.vocabulary import TARGETS

DEFAULT = Selection()
OFF = Selection(
    session_types=(),
    excluded_subjects=frozenset(),
    excluded_eids=frozenset(),
    required_outputs=(),
    blockers=(),
    targets=(),
    minimum_performance={},
    required_contrasts=frozenset(),
    duplicates="kept",
    excluded_labels=(),
)
CONTRASTS = [0.0, 6.25, 12.5, 25.0, 100.0]


def session(eid, day=1, **changes):
    """A session that every filter lets pass."""
    row = dict.fromkeys(SESSIONS.column_names)
    row |= {column.name: [] for column in SESSIONS.columns if column.kind == "texts"}
    sound = {
        "eid": eid,
        "subject": "mouse",
        "start_time": f"2025-03-{day:02d}T10:00:00",
        "number": 1,
        "task_protocol": "",
        "session_type": "biased",
        "lab": "lab",
        "session_length": 3600.0,
        "day_n": day,
        "session_n": float(day),
        "region_source": "",
        "n_subject_rows": 1,
        "brain_region": ["VTA-l"],
        "hemisphere": ["l"],
        "target_NM": ["VTA-DA"],
    }
    return row | sound | changes


def catalogue_of(*sessions):
    return pd.DataFrame(sessions, columns=SESSIONS.column_names)


def errors_of(**error_types):
    """Errors by session: names of classes."""
    rows = [
        {
            "eid": eid,
            "error_type": name,
            "stage": "task",
            "error_family": " ".join(family(getattr(error_classes, name))),
        }
        for eid, names in error_types.items()
        for name in names.split()
    ]
    return pd.DataFrame(rows, columns=ERRORS.column_names)


def statuses_of(eid, **states):
    rows = [{"eid": eid, "asset": asset, "state": state} for asset, state in states.items()]
    return pd.DataFrame(rows, columns=SESSION_STATUS.column_names)


def labels_of(*rows):
    """Last labels: session, fibre, verdict."""
    return pd.DataFrame([(*row, True) for row in rows], columns=["eid", "fiber_idx", "verdict", "current"])


def performance_of(**sessions):
    """Fraction of correct trials and contrasts by session."""
    rows = [{"eid": eid, "fraction_correct": fraction, "contrasts": used} for eid, (fraction, used) in sessions.items()]
    return pd.DataFrame(rows, columns=["eid", "fraction_correct", "contrasts"])


def chosen(selected):
    return list(selected.sessions["eid"])


def assert_removed_only_by(selected, name, eids):
    """The filter removes all sessions but those; no other removes any."""
    alone = selected.account.set_index("filter")["removes_alone"]
    assert alone[alone > 0].index.tolist() == [name]
    assert chosen(selected) == eids


def test_what_nothing_stands_against_is_selected():
    selected = select(catalogue_of(session("a", 1), session("b", 2)), errors_of(), DEFAULT)
    assert chosen(selected) == ["a", "b"]
    assert (selected.account["removes_alone"] == 0).all()


def test_the_defaults_are_names_that_exist():
    assert all(hasattr(error_classes, name) for name in (*ANALYSIS_BLOCKERS, *REFERENCE_DISQUALIFIERS))
    assert set(DEFAULT.targets) <= set(TARGETS)
    assert set(DEFAULT.required_outputs) <= set(OUTPUTS)


# filters


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("lists_parallel", {"hemisphere": []}),
        ("lists_parallel", {"target_NM": ["VTA-DA", "SNc-DA"]}),
        ("session_types", {"session_type": "habituation"}),
        ("session_types", {"session_type": None}),
        ("excluded_subjects", {"subject": "test_mouse"}),
        ("excluded_eids", {"eid": min(ARTEFACT_SESSIONS)}),
        ("targets", {"target_NM": ["PPT-ACh"]}),
        ("targets", {"target_NM": [None]}),
        ("targets", {"brain_region": [], "hemisphere": [], "target_NM": []}),
    ],
)
def test_a_default_filter_removes_what_it_names_and_is_off_when_empty(name, changes):
    catalogue = catalogue_of(session("a", 1), session(**{"eid": "b", "day": 2} | changes))
    assert_removed_only_by(select(catalogue, errors_of(), DEFAULT), name, ["a"])
    if name != "lists_parallel":
        without = select(catalogue, errors_of(), replace(DEFAULT, **{name: type(getattr(DEFAULT, name))()}))
        assert len(without.sessions) == 2
        assert name not in set(without.account["filter"])


def test_unequal_lists_are_removed_even_with_every_filter_off():
    catalogue = catalogue_of(session("a"), session("b", 2, brain_region=["VTA", "SNc"], hemisphere=[]))
    selected = select(catalogue, errors_of(), OFF)
    assert chosen(selected) == ["a"]
    assert selected.account["filter"].tolist() == ["lists_parallel"]
    assert len(selected.recordings) == 1


def test_a_session_of_another_lab_is_removed():
    catalogue = catalogue_of(session("a"), session("b", 2, lab="other"), session("c", 3, lab=None))
    assert_removed_only_by(select(catalogue, errors_of(), Selection(lab="lab")), "lab", ["a"])


def test_subjects_are_judged_by_their_first_session_of_any_type():
    catalogue = catalogue_of(
        session("a", 4, subject="early"),
        session("b", 2, subject="early", session_type="habituation"),
        session("c", 3, subject="late"),
    )
    selected = select(catalogue, errors_of(), replace(OFF, first_session_from="2025-03-03"))
    assert_removed_only_by(selected, "first_session_from", ["c"])


def test_short_sessions_are_removed_when_asked_and_so_are_those_of_unknown_length():
    catalogue = catalogue_of(
        session("a", session_length=1200.0),
        session("b", 2, session_length=1199.0),
        session("c", 3, session_length=np.nan),
    )
    assert len(select(catalogue, errors_of(), DEFAULT).sessions) == 3
    selected = select(catalogue, errors_of(), Selection(minimum_session_length_s=1200.0))
    assert_removed_only_by(selected, "minimum_session_length_s", ["a"])


def test_a_blocker_stands_for_its_special_cases_and_other_errors_block_nothing():
    catalogue = catalogue_of(session("a"), session("b", 2), session("c", 3))
    errors = errors_of(a="FewUniqueSamples InvalidStrain", b="BandInversion", c="InsufficientTrials")
    assert_removed_only_by(select(catalogue, errors, DEFAULT), "blockers", ["a"])
    assert chosen(select(catalogue, errors, Selection(blockers=("BandInversion",)))) == ["a", "c"]
    assert chosen(select(catalogue, errors, Selection(blockers=()))) == ["a", "b", "c"]


def test_the_absence_of_errors_is_no_success():
    catalogue = catalogue_of(*(session(eid, day) for day, eid in enumerate("abcd", 1)))
    ok = {"trials": "ok", "preprocessed_signal": "ok", "responses": "ok"}
    statuses = pd.concat(
        [
            statuses_of("a", **ok, movement="failed"),
            statuses_of("b", **ok | {"responses": "out of date"}),
            statuses_of("c", trials="ok", responses="ok"),
        ]
    )
    assert_removed_only_by(select(catalogue, errors_of(), DEFAULT, statuses=statuses), "processed", ["a"])
    some = Selection(required_outputs=("trials",))
    assert chosen(select(catalogue, errors_of(), some, statuses=statuses)) == ["a", "b", "c"]
    none = Selection(required_outputs=())
    assert chosen(select(catalogue, errors_of(), none, statuses=statuses)) == ["a", "b", "c", "d"]


def test_rejected_recordings_are_left_out_and_sessions_that_have_no_other():
    both = {"brain_region": ["VTA-l", "SNc-l", "XX"], "hemisphere": ["l"] * 3, "target_NM": ["VTA-DA", "SNc-DA", None]}
    catalogue = catalogue_of(session("a", 1, **both), session("b", 2, **both), session("c", 3), session("d", 4))
    labels = labels_of(
        ("a", 0, "reject"), ("b", 0, "reject"), ("b", 1, "reject"), ("c", 0, "doubtful"), ("d", 0, "keep")
    )
    selected = select(catalogue, errors_of(), DEFAULT, labels=labels)
    assert_removed_only_by(selected, "labels", ["a", "c", "d"])
    recordings = selected.recordings[["eid", "fiber_idx"]].to_numpy().tolist()
    assert recordings == [["a", 1], ["c", 0], ["d", 0]]
    strict = select(catalogue, errors_of(), Selection(excluded_labels=("doubtful", "reject")), labels=labels)
    assert chosen(strict) == ["a", "d"]
    lenient = select(catalogue, errors_of(), Selection(excluded_labels=()), labels=labels)
    assert len(lenient.recordings) == 6
    superseded = labels.assign(current=False)
    assert len(select(catalogue, errors_of(), DEFAULT, labels=superseded).recordings) == 6


def test_a_rejected_session_gives_way_to_another_of_its_day():
    catalogue = catalogue_of(session("a", 1, session_length=4000.0), session("b", 1))
    assert chosen(select(catalogue, errors_of(), DEFAULT)) == ["a"]
    assert chosen(select(catalogue, errors_of(), DEFAULT, labels=labels_of(("a", 0, "reject")))) == ["b"]


def test_recordings_under_a_stand_in_are_left_out_and_sessions_that_have_no_other():
    both = {"brain_region": ["VTA-l", "SNc-l"], "hemisphere": ["l"] * 2, "target_NM": ["VTA-DA", "SNc-DA"]}
    catalogue = catalogue_of(session("a", 1, **both), session("b", 2, **both), session("c", 3), session("d", 4))
    rows = [
        ("a", 0, "robust", True, "ok"),
        ("a", 1, "robust", False, "skipped"),
        ("a", 1, "no_reference", True, "ok"),
        ("b", 0, "no_reference", True, "ok"),
        ("b", 1, "robust", True, "failed"),
        ("c", 0, "reference", False, "ok"),
        ("c", 0, "robust", True, "ok"),
    ]
    corrections = pd.DataFrame(rows, columns=["eid", "fiber_idx", "correction", "is_primary", "status"])
    robust = Selection(primary="robust")
    selected = select(catalogue, errors_of(), robust, corrections=corrections)
    # what was never corrected is none of this filter's business
    assert_removed_only_by(selected, "correction", ["a", "c", "d"])
    assert selected.recordings[["eid", "fiber_idx"]].to_numpy().tolist() == [["a", 0], ["c", 0], ["d", 0]]
    assert len(select(catalogue, errors_of(), DEFAULT, corrections=corrections).recordings) == 6
    assert len(select(catalogue, errors_of(), robust).recordings) == 6
    # the only fibre that is not rejected has a stand-in
    rejected = select(catalogue, errors_of(), robust, labels=labels_of(("a", 0, "reject")), corrections=corrections)
    assert chosen(rejected) == ["c", "d"]
    of_one_day = catalogue_of(session("b", 1, session_length=4000.0), session("c", 1))
    assert chosen(select(of_one_day, errors_of(), robust, corrections=corrections)) == ["c"]


def test_what_is_unknown_of_sessions_of_one_day_decides_nothing():
    catalogue = catalogue_of(*(session(eid, 1, session_length=pd.NA) for eid in "cab"))
    performance = performance_of(**dict.fromkeys("abc", (0.9, CONTRASTS)))
    counts = pd.array([pd.NA, pd.NA, 300], dtype="Int64")
    selected = select(catalogue, errors_of(), DEFAULT, performance=performance.assign(n_trials=counts))
    assert chosen(selected) == ["c"]
    assert selected.gave_way["decided_by"].to_dict() == {"a": "n_trials", "b": "n_trials"}
    unknown = select(catalogue, errors_of(), DEFAULT, performance=performance.assign(n_trials=counts[[0, 1, 0]]))
    assert chosen(unknown) == ["a"]
    assert unknown.gave_way["decided_by"].to_dict() == {"b": "eid", "c": "eid"}


def test_performance_has_a_limit_for_training_only():
    catalogue = catalogue_of(
        session("a", 1, session_type="training"),
        session("b", 2, session_type="training"),
        session("c", 3, session_type="training"),
        session("d", 4, session_type="biased"),
    )
    performance = performance_of(a=(0.70, CONTRASTS), b=(0.69, CONTRASTS), c=(np.nan, CONTRASTS), d=(0.2, CONTRASTS))
    assert_removed_only_by(
        select(catalogue, errors_of(), DEFAULT, performance=performance), "minimum_performance", ["a", "d"]
    )
    without = Selection(minimum_performance={})
    assert len(select(catalogue, errors_of(), without, performance=performance).sessions) == 4


def test_contrasts_are_exactly_the_required_ones():
    catalogue = catalogue_of(*(session(eid, day) for day, eid in enumerate("abcde", 1)))
    performance = performance_of(
        a=(0.9, np.array(CONTRASTS[::-1] * 2)),
        b=(0.9, CONTRASTS[1:]),
        c=(0.9, [*CONTRASTS, 50.0]),
        d=(0.9, None),
        e=(0.9, np.nan),
    )
    selected = select(catalogue, errors_of(), DEFAULT, performance=performance)
    assert_removed_only_by(selected, "required_contrasts", ["a"])
    without = Selection(required_contrasts=frozenset())
    assert len(select(catalogue, errors_of(), without, performance=performance).sessions) == 5


def test_a_training_session_without_performance_fails_performance_and_contrasts():
    catalogue = catalogue_of(session("a", session_type="training"), session("b", 2))
    selected = select(catalogue, errors_of(), DEFAULT, performance=performance_of())
    alone = selected.account.set_index("filter")["removes_alone"]
    assert alone["minimum_performance"] == 1
    assert alone["required_contrasts"] == 2
    assert chosen(select(catalogue, errors_of(), DEFAULT)) == ["a", "b"]


@pytest.mark.parametrize(
    "decision",
    [
        {"blockers": ("MissingRawDate",)},
        {"duplicates": "best"},
        {"first_session_from": "March"},
        {"excluded_labels": ("rejected",)},
    ],
    ids=lambda decision: next(iter(decision)),
)
def test_a_misspelt_decision_is_refused(decision):
    with pytest.raises(ConfigurationError, match=next(iter(decision))):
        Selection(**decision)


# recordings


def test_recordings_keep_the_place_that_their_fibre_has_in_the_session():
    catalogue = catalogue_of(
        session("a", brain_region=["PPT-l", "NBM-r"], hemisphere=["l", "r"], target_NM=["PPT-ACh", "NBM-ACh"])
    )
    [recording] = select(catalogue, errors_of(), DEFAULT).recordings.to_dict("records")
    named = {name: recording[name] for name in ("eid", "fiber_idx", "brain_region", "hemisphere", "target_NM")}
    assert named == {
        "eid": "a",
        "fiber_idx": 1,
        "brain_region": "NBM-r",
        "hemisphere": "r",
        "target_NM": "NBM-ACh",
    }
    assert len(select(catalogue, errors_of(), Selection(targets=())).recordings) == 2


def test_recordings_have_one_value_in_every_column():
    catalogue = catalogue_of(
        session("a", brain_region=["VTA-l", "XX"], hemisphere=["l", ""], target_NM=["VTA-DA", None]),
        session("b", 2, datasets=["x", "y"]),
    )
    recordings = select(catalogue, errors_of(), Selection(targets=())).recordings
    assert recordings[["eid", "fiber_idx"]].to_numpy().tolist() == [["a", 0], ["a", 1], ["b", 0]]
    assert recordings["target_NM"].tolist() == ["VTA-DA", None, "VTA-DA"]
    assert recordings["fiber_idx"].dtype == np.int64
    assert not recordings.map(np.iterable).loc[:, ["day_n", "session_length"]].any(axis=None)
    lists = {column.name for column in SESSIONS.columns if column.kind == "texts"}
    assert set(recordings.columns) & lists == {"brain_region", "hemisphere", "target_NM"}
    assert not recordings.map(lambda value: isinstance(value, list)).any(axis=None)


def test_a_session_without_fibres_has_no_recording():
    catalogue = catalogue_of(session("a", brain_region=[], hemisphere=[], target_NM=[]))
    selected = select(catalogue, errors_of(), OFF)
    assert chosen(selected) == ["a"]
    assert selected.recordings.empty
    assert selected.recordings["fiber_idx"].dtype == np.int64


@pytest.mark.parametrize("duplicates", ["resolved", "kept", "reference"])
def test_an_empty_catalogue_gives_empty_tables_with_types(duplicates):
    catalogue = build_catalogue(index_frame([]))
    selected = select(
        catalogue,
        errors_of(),
        Selection(lab="x", first_session_from="2025-01-01", minimum_session_length_s=1.0, duplicates=duplicates),
        performance=performance_of(),
        statuses=statuses_of("a"),
        labels=labels_of(("a", 0, "reject")),
    )
    assert list(selected.sessions.columns) == SESSIONS.column_names
    assert selected.sessions.dtypes[["day_n", "session_length"]].tolist() == [np.int64, np.float64]
    assert selected.recordings.dtypes[["day_n", "session_length", "fiber_idx"]].tolist() == [
        np.int64,
        np.float64,
        np.int64,
    ]
    assert selected.sessions.empty
    assert selected.recordings.empty
    assert (selected.account[["removes_alone", "removed_in_order", "left"]] == 0).all(axis=None)


def test_a_stored_catalogue_gives_what_the_one_in_memory_gives(tmp_path):
    catalogue = catalogue_of(
        session("a", brain_region=["VTA-l", "XX"], hemisphere=["l", ""], target_NM=["VTA-DA", None]),
        session("b", 2, brain_region=["VTA", "SNc"], hemisphere=[], target_NM=["VTA-DA", "SNc-DA"]),
        session("c", 2, session_length=60.0),
    )
    write_table(tmp_path, make_table(SESSIONS, catalogue))
    stored, made = (select(c, errors_of(), DEFAULT) for c in (read_table(tmp_path, SESSIONS), catalogue))
    assert chosen(stored) == chosen(made) == ["a", "c"]
    names = ["eid", "fiber_idx", "brain_region", "hemisphere", "target_NM", "day_n"]
    # parquet keeps whole numbers as the schema has them
    pd.testing.assert_frame_equal(stored.recordings[names], made.recordings[names], check_dtype=False)
    pd.testing.assert_frame_equal(stored.account, made.account)


# duplicates


def test_a_habituation_session_displaces_the_other_of_its_day_by_the_reference_rule_only():
    catalogue = catalogue_of(session("aaa", session_type="habituation"), session("bbb"))
    assert chosen(select(catalogue, errors_of(), DEFAULT)) == ["bbb"]
    assert chosen(select(catalogue, errors_of(), replace(OFF, duplicates="reference"))) == ["aaa"]
    assert chosen(select(catalogue, errors_of(), Selection(duplicates="reference"))) == []


def test_a_session_that_failed_its_quality_control_displaces_a_clean_one_by_the_reference_rule_only():
    catalogue = catalogue_of(session("ccc"), session("ddd"))
    errors = errors_of(ccc="FewUniqueSamples QCValidationError")
    assert chosen(select(catalogue, errors, DEFAULT)) == ["ddd"]
    assert chosen(select(catalogue, errors, replace(OFF, duplicates="reference"))) == ["ccc"]


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
def test_the_reference_rule_keeps_the_first_good_session_by_id(order):
    catalogue = catalogue_of(*(session(eid) for eid in order))
    errors = errors_of(a="MissingRawData")
    reference = replace(OFF, duplicates="reference")
    assert chosen(select(catalogue, errors, reference)) == ["b"]
    all_bad = errors_of(a="MissingRawData", b="InsufficientTrials", c="TrialsNotInPhotometryTime")
    assert chosen(select(catalogue, all_bad, reference)) == ["a"]


def test_the_reference_rule_leaves_out_a_session_without_a_day_and_the_default_keeps_it():
    catalogue = catalogue_of(session("a"), session("b", day_n=None), session("c", day_n=None))
    assert chosen(select(catalogue, errors_of(), Selection(duplicates="reference"))) == ["a"]
    assert chosen(select(catalogue, errors_of(), DEFAULT)) == ["a", "b", "c"]


def test_duplicates_are_kept_when_asked():
    catalogue = catalogue_of(session("a"), session("b"))
    assert chosen(select(catalogue, errors_of(), Selection(duplicates="kept"))) == ["a", "b"]
    assert_removed_only_by(select(catalogue, errors_of(), DEFAULT), "duplicates", ["a"])


@pytest.mark.parametrize(
    "changes",
    [{"session_type": "passive"}, {"eid": min(ARTEFACT_SESSIONS)}, {"hemisphere": []}],
    ids=lambda c: next(iter(c)),
)
def test_a_session_that_no_analysis_could_use_competes_with_none(changes):
    catalogue = catalogue_of(session(**{"eid": "a", "session_length": 9000.0} | changes), session("b"))
    selected = select(catalogue, errors_of(), DEFAULT)
    assert chosen(selected) == ["b"]
    assert selected.account.set_index("filter")["removes_alone"]["duplicates"] == 0


def test_an_unprocessed_session_gives_way_to_a_processed_one():
    catalogue = catalogue_of(session("a", session_length=9000.0), session("b"))
    statuses = statuses_of("b", trials="ok", preprocessed_signal="ok", responses="ok")
    assert chosen(select(catalogue, errors_of(), DEFAULT, statuses=statuses)) == ["b"]


def test_trials_decide_before_length():
    catalogue = catalogue_of(session("a", session_length=9000.0), session("b"), session("c"))
    assert chosen(select(catalogue, errors_of(), DEFAULT)) == ["a"]
    assert chosen(select(catalogue.assign(n_trials=[100, 300, 200]), errors_of(), DEFAULT)) == ["b"]
    performance = performance_of(**dict.fromkeys("abc", (0.9, CONTRASTS))).assign(n_trials=[100, np.nan, 200])
    assert chosen(select(catalogue, errors_of(), DEFAULT, performance=performance)) == ["c"]


SHORT, EARLY = {"session_length": 60.0}, {"start_time": "2025-03-01T08:00:00"}


@pytest.mark.parametrize(
    ("changes", "bad", "n_trials", "kept"),
    [
        ({}, {"a"}, {"a": 200, "b": 100}, "b"),
        (SHORT, {"a", "b"}, {"a": 200, "b": 100}, "a"),
        (SHORT, set(), {"a": 100, "b": 200}, "b"),
        (SHORT, set(), {"b": 100}, "b"),
        (SHORT | EARLY, set(), {}, "a"),
        (EARLY, set(), {"a": 100, "b": 100}, "b"),
        ({}, set(), {}, "a"),
    ],
    ids=["good", "trials of bad ones", "trials", "trials known", "length", "start", "id"],
)
def test_of_two_sessions_the_first_difference_in_rank_decides(changes, bad, n_trials, kept):
    catalogue = catalogue_of(session("a"), session("b", **changes))
    discarded = {"a": "b", "b": "a"}[kept]
    assert resolve_duplicates(catalogue, bad, pd.Series(n_trials, dtype=float)).to_dict() == {discarded: kept}


def test_every_discarded_session_names_the_one_that_is_kept():
    catalogue = catalogue_of(
        session("d"),
        session("c"),
        session("b", start_time="2025-03-01T12:00:00"),
        session("a", session_length=np.nan),
        session("e", subject="other"),
        session("f", 2),
    )
    assert resolve_duplicates(catalogue, set()).to_dict() == {"a": "c", "b": "c", "d": "c"}
    assert resolve_duplicates(catalogue, set("abcd")).to_dict() == {"a": "c", "b": "c", "d": "c"}
    assert resolve_duplicates(catalogue_of(), set()).to_dict() == {}


# account


def test_the_account_tells_what_a_filter_removes_alone_and_after_the_others():
    catalogue = catalogue_of(
        session("a"),
        session("b", 2, session_type="passive"),
        session("c", 3, session_type="passive", subject="test_mouse"),
        session("d", 4, subject="test_mouse", target_NM=["SI-ACh"]),
    )
    account = select(catalogue, errors_of(b="MissingRawData"), DEFAULT).account
    assert account.columns.tolist() == ["filter", "removes_alone", "removed_in_order", "left"]
    assert account.to_numpy().tolist() == [
        ["lists_parallel", 0, 0, 4],
        ["session_types", 2, 2, 2],
        ["excluded_subjects", 2, 1, 1],
        ["excluded_eids", 0, 0, 1],
        ["blockers", 1, 0, 1],
        ["targets", 1, 0, 1],
        ["duplicates", 0, 0, 1],
    ]


def test_nothing_given_is_changed():
    catalogue = catalogue_of(session("b"), session("a")).set_index(pd.Index([7, 7]))
    before = catalogue.copy()
    assert len(select(catalogue, errors_of(), DEFAULT).sessions) == 1
    pd.testing.assert_frame_equal(catalogue, before)


@st.composite
def cohorts(draw):
    """A catalogue with the tables beside it, in which filters and duplicates meet."""
    sessions = []
    for number in range(draw(st.integers(0, 10))):
        labels = draw(st.lists(st.sampled_from(["VTA-DA", "PPT-ACh", None]), max_size=3))
        n_sides = draw(st.sampled_from([len(labels), len(labels), 0]))
        sessions.append(
            session(
                f"e{number}",
                draw(st.integers(1, 2)),
                subject=draw(st.sampled_from(["mouse", "test_mouse"])),
                session_type=draw(st.sampled_from(["training", "biased", "passive", None])),
                session_length=draw(st.sampled_from([60.0, 3600.0, np.nan])),
                brain_region=["region"] * len(labels),
                hemisphere=[""] * n_sides,
                target_NM=labels,
            )
        )
    eids = [row["eid"] for row in sessions]
    names = st.sampled_from(["", "MissingRawData", "BandInversion", "FewUniqueSamples"])
    errors = errors_of(**{eid: draw(names) for eid in eids})
    tried = {eid: (draw(st.sampled_from([0.5, 0.9])), CONTRASTS) for eid in eids if draw(st.booleans())}
    performance = draw(st.sampled_from([None, performance_of(**tried)]))
    rule = draw(st.sampled_from(["resolved", "kept", "reference"]))
    order = draw(st.permutations(range(len(sessions))))
    return catalogue_of(*sessions), errors, performance, replace(DEFAULT, duplicates=rule), order


@settings(deadline=None)
@given(cohorts())
def test_the_account_adds_up_and_the_order_of_rows_decides_nothing(cohort):
    catalogue, errors, performance, selection, order = cohort
    selected = select(catalogue, errors, selection, performance=performance)
    account = selected.account
    assert account["left"].iloc[-1] == len(selected.sessions)
    assert account["removed_in_order"].sum() == len(catalogue) - len(selected.sessions)
    assert (account["removed_in_order"] <= account["removes_alone"]).all()
    assert set(selected.recordings["eid"]) == set(chosen(selected))
    if selection.duplicates != "kept":
        assert not selected.sessions.duplicated(["subject", "day_n"]).any()

    shuffled = select(catalogue.iloc[order], errors.iloc[::-1], selection, performance=performance)
    assert set(chosen(shuffled)) == set(chosen(selected))
    pd.testing.assert_frame_equal(shuffled.account, account)
