"""Broken records, tables and datasets that were found by breaking files at random: each has its typed error, and costs no other session."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests_support.sessions import OneSession, catalogue_of, errors_of

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.status import Catalogue
from iblnm_core.errors import ConfigurationError, CorruptDataset
from iblnm_core.parameters import WheelParameters
from iblnm_core.root import create_root
from iblnm_core.schemas import SESSION_INDEX
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.trials import trials_from_table
from iblnm_core.session.wheel import wheel_velocity
from iblnm_core.sources.base import SourceRecord
from iblnm_core.sources.local import LocalSource
from iblnm_core.storage.tables import make_table

TRIALS = "alf/task_00/_ibl_trials.table.pqt"
DESCRIPTION = "_ibl_experiment.description.yaml"
TIMES = "alf/_ibl_leftCamera.times.npy"


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 2)
    eid = made.eids[0]
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def test_a_region_that_cannot_be_a_name_stops_all_until_it_is_mended(session):
    path = session.folder / DESCRIPTION
    sound = path.read_bytes()
    session.replace(DESCRIPTION, sound.replace(b"VTA-l", b"'../x'"))
    assert {error for _, error in errors_of(session.run())} >= {"InvalidBrainRegion"}
    session.replace(DESCRIPTION, sound)
    assert set(catalogue_of(session.root).reasons(session.eid).values()) >= {"metadata"}
    report = session.run()
    assert not report.failed
    assert set(Catalogue.load(session.root).status().set_index("eid").loc[session.eid, "state"]) == {"ok", "on request"}


def test_a_table_about_all_sessions_that_cannot_be_read_stops_the_listing_and_is_named(session):
    (session.root.cache / "subjects.csv").write_bytes(b"subject,strain\nmouse,\xff\xfe\n")
    with pytest.raises(
        ConfigurationError, match=r"subjects\.csv: .*expected a table of comma-separated values in UTF-8"
    ):
        LocalSource(session.root.cache).list_sessions()


@pytest.mark.parametrize(
    "entry",
    [b'{"id": "EID", "start_time": "2025-04,01"}', b'{"id": "EID", "start_time": "9025-04-01T10:00:00"}'],
)
def test_a_record_with_an_impossible_time_is_left_out_alone(session, entry):
    lines = [entry.replace(b"EID", session.eid.encode()), b"\xff\xfe", b"[" * 100_000]
    (session.root.cache / "session_details.jsonl").write_bytes(b"\n".join(lines))
    listing = LocalSource(session.root.cache).list_sessions()
    assert len(listing.records) == 1
    (rejected,) = listing.rejected
    assert rejected.record == session.eid
    assert "expected a time in ISO 8601" in rejected.problem
    assert len(build_catalogue(index_frame(listing.records))) == 1


def test_texts_that_no_file_can_hold_are_kept_as_far_as_they_can_be():
    record = SourceRecord(
        "e", "mouse", "2025-01-01T10:00:00", 1, "lab", "", "folder", (), strain="a\0b", line="\ud800x"
    )
    row = make_table(SESSION_INDEX, index_frame([record])).rows.to_pylist()[0]
    assert (row["strain"], row["line"]) == ("a\ufffdb", "?x")


@pytest.mark.parametrize("name", ["sessions", "datasets"])
@pytest.mark.parametrize("how", ["truncated", "without notes", "without a column"])
def test_broken_cache_tables_stop_the_listing_and_are_named(session, name, how):
    path = session.root.cache / f"{name}.pqt"
    content, table = path.read_bytes(), pq.read_table(path)
    path.unlink()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "without notes":
        pq.write_table(table.replace_schema_metadata(None), path)
    else:
        pq.write_table(table.drop_columns(["projects" if name == "sessions" else "rel_path"]), path)
    with pytest.raises(ConfigurationError, match=r"sessions\.pqt and datasets\.pqt, cannot be read: .*`iblnm index"):
        LocalSource(session.root.cache).list_sessions()


def test_a_session_that_is_listed_twice_is_left_out_once(session):
    path = session.root.cache / "sessions.pqt"
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table.take([0, 0, 1]), path)
    listing = LocalSource(session.root.cache).list_sessions()
    assert len(listing.records) == 2
    assert [rejected.problem for rejected in listing.rejected] == ["it is listed several times; expected once"]


def test_a_column_that_is_there_twice_is_no_dataset(tmp_path):
    folder = tmp_path / "alf" / "task_00"
    folder.mkdir(parents=True)
    pq.write_table(pa.table([[1.0], [2.0]], names=["intervals_0", "intervals_0"]), folder / "_ibl_trials.table.pqt")
    with pytest.raises(CorruptDataset, match=r"_ibl_trials\.table\.pqt: column intervals_0 exists several times"):
        SessionInputs(tmp_path, [TRIALS]).table("trials_table")


@pytest.mark.parametrize(
    ("sound", "broken"),
    [(b"(50,)", b"(5000000000000000,)"), (b"(50,)", b"(50,("), (b"'<f8'", b"'<f8\0"), (b"{'descr'", b"['descr'")],
)
def test_an_array_with_a_broken_header_has_its_typed_error(tmp_path, sound, broken):
    target = io.BytesIO()
    np.save(target, np.arange(50.0))
    content = target.getvalue()
    assert sound in content
    (tmp_path / "alf").mkdir()
    (tmp_path / TIMES).write_bytes(_same_length(content, sound, broken))
    with pytest.raises(
        CorruptDataset, match=r"_ibl_leftCamera\.times\.npy: \w+: .*; expected a numpy array of numbers"
    ):
        SessionInputs(tmp_path, [TIMES]).array("camera_times")


def _same_length(content, sound, broken):
    """Replace words of a header; its blanks give and take the difference."""
    header, blanks, rest = content.partition(b"    ")
    changed = header.replace(sound, broken)
    return changed + blanks + rest[len(changed) - len(header) :]


def test_a_wheel_that_turned_for_years_and_a_contrast_that_is_no_fraction_are_refused():
    times = np.append(np.arange(100.0), 1e12)
    with pytest.raises(CorruptDataset, match=r"1e\+12 s; expected at most 604800 s, which is a week"):
        wheel_velocity(times, np.zeros(101), WheelParameters())
    columns = (
        "stimOn_times",
        "feedback_times",
        "feedbackType",
        "contrastLeft",
        "contrastRight",
        "intervals_0",
        "intervals_1",
    )
    trials = pd.DataFrame(1.0, index=range(3), columns=list(columns)).assign(contrastRight=[0.5, 1e300, np.nan])
    with pytest.raises(CorruptDataset, match=r"column contrastRight reaches 1e\+300; expected fractions from 0 to 1"):
        trials_from_table(pa.Table.from_pandas(trials))
    assert trials_from_table(pa.Table.from_pandas(trials.iloc[[0, 2]]))["contrast"].tolist() == [50.0, 100.0]
