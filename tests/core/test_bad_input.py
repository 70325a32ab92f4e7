"""Bad input gets a typed verdict for its session alone, or a clear refusal; nothing stored is lost."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests_support.sessions import OneSession, catalogue_of, errors_of

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.status import Catalogue, source_of
from iblnm_core.errors import ConfigurationError, StorageFull
from iblnm_core.root import create_root, open_root
from iblnm_core.schemas import SESSION_INDEX, SESSIONS
from iblnm_core.session.pipeline import process_session
from iblnm_core.sources.local import LocalSource
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import make_table, read_table, write_table

TRIALS = "alf/task_00/_ibl_trials.table.pqt"
SIGNAL = "alf/photometry/photometry.signal.pqt"
LOCATIONS = "alf/photometry/photometryROI.locations.pqt"
RAW = "raw_photometry_data/_neurophotometrics_fpData.raw.pqt"
DESCRIPTION = "_ibl_experiment.description.yaml"
SIGNAL_OUTPUTS = {"preprocessed_signal", "responses"}


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


def with_column(name, values):
    return lambda table: table.assign(**{name: values(table[name])})


def without_column(name):
    return lambda table: table.drop(columns=name)


CASES = {
    "truncated trials": (
        TRIALS, None, ("trials", "CorruptDataset"), "_ibl_trials.table.pqt", {"trials"} | SIGNAL_OUTPUTS,
    ),
    "empty trials": (
        TRIALS, lambda t: t.iloc[:0], ("trials", "CorruptDataset"), "0 rows; expected one per trial",
        {"trials"} | SIGNAL_OUTPUTS,
    ),
    "trials without a column": (
        TRIALS, without_column("feedback_times"), ("trials", "CorruptDataset"),
        "column feedback_times missing; found stimOn_times", {"trials"} | SIGNAL_OUTPUTS,
    ),
    "trials of text": (
        TRIALS, with_column("stimOn_times", lambda c: c.astype(str)), ("trials", "CorruptDataset"),
        "column stimOn_times is ", {"trials"} | SIGNAL_OUTPUTS,
    ),
    "truncated signal": (SIGNAL, None, ("photometry_qc", "CorruptDataset"), "photometry.signal.pqt", SIGNAL_OUTPUTS),
    "empty signal": (
        SIGNAL, lambda t: t.iloc[:0], ("photometry_qc", "CorruptDataset"), "0 rows; expected one per frame",
        SIGNAL_OUTPUTS,
    ),
    "signal without times": (
        SIGNAL, without_column("times"), ("photometry_qc", "CorruptDataset"), "column times missing; found",
        SIGNAL_OUTPUTS,
    ),
    "NaN stretch": (
        SIGNAL, with_column("G0", lambda c: c.where((c.index < 5000) | (c.index > 5099))),
        ("photometry_qc", "SignalNotFinite"), "ROI G0 (VTA-l): 100 samples not finite", SIGNAL_OUTPUTS,
    ),
    "float32": (
        SIGNAL, with_column("G1", lambda c: c.astype(np.float32)), ("photometry_qc", "SignalWrongType"),
        "column G1 is float; expected float64", SIGNAL_OUTPUTS,
    ),
    "times that go back": (
        SIGNAL, with_column("times", lambda c: c.where(c.index != 3000, c - 5)),
        ("photometry_qc", "DegenerateSignal"), "do not increase", SIGNAL_OUTPUTS,
    ),
    "constant channel": (
        SIGNAL, with_column("G0", lambda c: c * 0 + 1 / 255), ("preprocessed_signal", "DegenerateSignal"),
        "photometry.signal.pqt: VTA-l: GCaMP band is constant at 0.00392157 (SD 0)", SIGNAL_OUTPUTS,
    ),
    "blank region": (
        LOCATIONS, with_column("brain_region", lambda c: c.where(c.index != "G0", "")),
        ("photometry_qc", "CorruptDataset"), "ROI G0 has no brain region", SIGNAL_OUTPUTS,
    ),
    "region that is a path": (
        LOCATIONS, with_column("brain_region", lambda c: c.where(c.index != "G0", "../x")),
        ("photometry_qc", "AmbiguousRegionMapping"), "'../x' has no match", SIGNAL_OUTPUTS,
    ),
    "unknown raw layout": (
        RAW, lambda t: t.rename(columns={"LedState": "Leds"}), ("photometry_qc", "UnknownRawLayout"),
        "columns FrameCounter, SystemTimestamp, Leds", SIGNAL_OUTPUTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_broken_dataset_gets_its_typed_verdict(session, break_file, case):
    path, change, key, message, absent = CASES[case]
    if change is None:
        break_file(session.folder / path)
    else:
        session.rewrite(path, change)
    report = session.run()
    found = errors_of(report)
    assert set(found) == {key}
    assert message in found[key].error_message
    assert set(report.stopped) == absent
    assert report.verdicts["no_unexpected_error"].passed


def test_what_a_failing_session_no_longer_has_is_superseded(session, few_trials):
    assert not session.run().failed
    few_trials(session.folder)
    assert set(session.run().stopped) == {"responses"}
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        parts = file.parts()
    assert not [part for part in parts if part.endswith("/responses")]
    assert [part for part in parts if part.endswith("/preprocessed")]


def test_a_folder_in_the_place_of_a_file_cannot_be_read(session):
    (session.folder / SIGNAL).unlink()
    (session.folder / SIGNAL).mkdir()
    finding = errors_of(session.run())["photometry_qc", "CorruptDataset"]
    assert (
        finding.error_message == "alf/photometry/photometry.signal.pqt: cannot be read: Is a directory; expected a file"
    )


def test_a_folder_that_cannot_be_entered_is_said_for_its_session_alone(session):
    # a link to itself is unreadable for everybody, root included
    shutil.rmtree(session.folder / "alf/task_00")
    (session.folder / "alf/task_00").symlink_to("task_00")
    report = session.run()
    finding = errors_of(report)["trials", "CorruptDataset"]
    assert finding.error_message == f"{TRIALS}: cannot be read: Too many levels of symbolic links; expected a file"
    assert report.verdicts["photometry_available"].passed


def test_a_session_folder_that_is_gone_lacks_everything(session):
    shutil.rmtree(session.folder)
    found = errors_of(session.run())
    assert set(found) == {("trials", "MissingRawData"), ("photometry_qc", "MissingRawData")}


def test_a_region_of_the_description_that_is_a_path_stops_everything_and_leaves_no_group(session):
    content = yaml.safe_load((session.folder / DESCRIPTION).read_text())
    content["devices"]["neurophotometrics"]["fibers"]["G0"]["location"] = "../../x"
    session.replace(DESCRIPTION, yaml.safe_dump(content).encode())
    report = session.run()
    assert (
        errors_of(report)["session_metadata", "InvalidBrainRegion"].error_message
        == "brain region '../../x' cannot be a name"
    )
    assert set(report.stopped) == {"trials", "photometry_qc", *SIGNAL_OUTPUTS}
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        assert file.parts() == ("errors", "metadata", "provenance", "verdicts")


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("id", "../../etc/passwd", "is not a session id"),
        ("id", "0a1b2c3d-0000-5000-8000-000000000001", "is not a session id"),
        ("subject", "../x", "subject '../x' cannot be a folder name"),
        ("lab", "/root", "lab '/root' cannot be a folder name"),
    ],
)
def test_a_record_with_an_unusable_name_is_rejected_by_name_and_the_others_stay(
    tmp_path, copies, monkeypatch, column, value, problem
):
    made = copies(tmp_path / "cache", 2)
    source = LocalSource(made.cache)
    sessions, datasets = source._tables()
    sessions = sessions.reset_index()
    sessions.loc[0, column] = value
    # ONE itself refuses some of these tables, so they are handed over behind it
    monkeypatch.setattr(source, "_tables", lambda: (sessions.set_index("id"), datasets))
    listing = source.list_sessions()
    assert len(listing.records) == 1
    assert len(listing.rejected) == 1
    assert problem in listing.rejected[0].problem


def test_a_dataset_path_that_leads_out_of_the_session_folder_is_not_looked_at(tmp_path, copies, monkeypatch):
    made = copies(tmp_path / "cache", 1)
    (tmp_path / "cache" / "secret.npy").write_bytes(b"x")
    source = LocalSource(made.cache)
    sessions, datasets = source._tables()
    row = datasets.iloc[[0]].assign(rel_path="../../../../../secret.npy")
    monkeypatch.setattr(source, "_tables", lambda: (sessions, pd.concat([datasets, row])))
    (record,) = source.list_sessions().records
    assert not [path for path in record.datasets if "secret" in path]


def test_a_root_of_another_preset_is_refused(session):
    with pytest.raises(ConfigurationError, match="made with preset 'default' and cannot be used with 'reference'"):
        create_root(session.root.path, preset="reference")


def test_a_root_of_a_later_version_is_refused(session):
    settings = session.root.path / "iblnm.toml"
    settings.write_text(settings.read_text().replace("format = 1", "format = 2"))
    with pytest.raises(ConfigurationError, match=r"later version of iblnm \(format 2; .*knows up to 1\)"):
        open_root(session.root.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 1\n[oops", "cannot be read"),
        ('format = 1\npreset = "fast"', "preset 'fast' is unknown; known are default, reference"),
        ('format = 1\npreset = "default"\n[parameters.trials]\nminimum = 3', "parameter trials.minimum is unknown"),
        ('format = 1\npreset = "default"\n[parameters.trials]\nminimum_trials = "x"', "cannot be used; expected"),
        ('format = 1\npreset = "default"\n[run]\nworkers = 0', "run.workers = 0; expected a whole number"),
    ],
)
def test_broken_settings_are_refused_with_what_is_known(tmp_path, text, message):
    (tmp_path / "iblnm.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        open_root(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_what_was_stored_stays(session, small_disk):
    root = create_root(small_disk / "root", cache=Path(session.root.cache))
    task = catalogue_of(root).tasks([session.eid], frozenset({"trials"}))[0]
    assert not process_session(task).failed
    stored = root.session_file(session.eid)
    before = stored.read_bytes()
    everything = catalogue_of(root).tasks([session.eid])[0]
    with pytest.raises(StorageFull, match=r"no space left to write .*what was stored before is untouched"):
        process_session(everything)
    assert stored.read_bytes() == before
    assert [path.name for path in stored.parent.iterdir() if path.suffix == ".tmp"] == []
