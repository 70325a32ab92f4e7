"""The log of labels: what is added stays, whoever writes at the same time and whatever a crash leaves behind."""

import multiprocessing
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.cohort.labels import FILE, add_label, labelled_as, read_labels
from iblnm_core.errors import ConfigurationError, StorageFull
from iblnm_core.identifiers import uuid_from
from iblnm_core.schemas import LABELS
from iblnm_core.storage.tables import make_table, read_table, write_table

EID = uuid_from("labelled")


def test_the_last_word_on_a_recording_counts_and_the_earlier_ones_stay(tmp_path):
    add_label(tmp_path, EID, 0, "reject", note="jump at 300 s", author="ana")
    add_label(tmp_path, EID, 1, "doubtful", author="ana")
    add_label(tmp_path, EID, 0, "keep", note="looked again", author="bo")
    rows = read_labels(tmp_path).rows
    assert rows[["fiber_idx", "verdict", "author", "current"]].to_numpy().tolist() == [
        [0, "reject", "ana", False],
        [1, "doubtful", "ana", True],
        [0, "keep", "bo", True],
    ]
    assert labelled_as(rows, ("reject",)) == set()
    assert labelled_as(rows, ("reject", "doubtful")) == {(EID, 1)}
    write_table(tmp_path, make_table(LABELS, rows))
    assert read_table(tmp_path, LABELS)["note"].tolist() == ["jump at 300 s", "", "looked again"]


def test_a_root_without_labels_has_an_empty_table(tmp_path):
    log = read_labels(tmp_path)
    assert log.unreadable == ()
    assert make_table(LABELS, log.rows).rows.num_rows == 0


@given(note=st.text(max_size=300), author=st.text(min_size=1, max_size=40).filter(str.strip))
def test_any_text_stays_one_line(tmp_path_factory, note, author):
    folder = tmp_path_factory.mktemp("labels")
    for verdict in ("keep", "reject"):
        add_label(folder, EID, 0, verdict, note=note, author=author)
    log = read_labels(folder)
    assert log.unreadable == ()
    assert log.rows["note"].tolist() == [note.strip()] * 2
    assert log.rows["author"].tolist() == [author.strip()] * 2


def test_a_line_cut_short_by_a_crash_costs_itself_alone(tmp_path):
    add_label(tmp_path, EID, 0, "keep", author="ana")
    add_label(tmp_path, EID, 0, "reject", author="ana")
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-20])
    add_label(tmp_path, EID, 0, "doubtful", author="bo")
    log = read_labels(tmp_path)
    assert log.rows["verdict"].tolist() == ["keep", "doubtful"]
    assert len(log.unreadable) == 1
    assert log.unreadable[0].startswith("line 2:")


@pytest.mark.parametrize(
    "changes",
    [
        {"eid": "../../etc/passwd"},
        {"verdict": "good"},
        {"fiber_idx": -1},
        {"fiber_idx": True},
        {"author": "  "},
        {"author": "x" * 101},
        {"note": "x" * 2001},
    ],
    ids=str,
)
def test_what_is_no_label_is_refused_and_nothing_written(tmp_path, changes):
    label = {"eid": EID, "fiber_idx": 0, "verdict": "keep", "author": "ana"} | changes
    with pytest.raises(ConfigurationError):
        add_label(tmp_path, **label)
    assert not (tmp_path / FILE).exists()


def _add(folder, who):
    for _ in range(20):
        add_label(folder, EID, 0, "keep", author=who)


def test_people_label_at_the_same_time(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add, args=(tmp_path, f"person {n}")) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    log = read_labels(tmp_path)
    assert log.unreadable == ()
    assert log.rows["author"].value_counts().tolist() == [20] * 4
    assert log.rows["current"].sum() == 1


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    add_label(tmp_path, EID, 0, "keep", author="ana")
    before = (tmp_path / FILE).read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        add_label(tmp_path, EID, 0, "reject", author="ana")
    assert (tmp_path / FILE).read_bytes() == before
