"""Bad input gets a typed verdict for its session alone, or a clear refusal; nothing stored is lost."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tests_support.bad_input import (
    BEHAVIOUR_OUTPUTS,
    CASES,
    DESCRIPTION,
    RAW,
    SIGNAL,
    SIGNAL_OUTPUTS,
    TRIALS,
    with_column,
)
from tests_support.sessions import OneSession, catalogue_of, errors_of

from iblnm_core.demo.expectations import NO_RESPONSES
from iblnm_core.errors import ConfigurationError, StorageFull
from iblnm_core.root import create_root, open_root
from iblnm_core.session import layout
from iblnm_core.session.outputs import ON_REQUEST
from iblnm_core.session.pipeline import process_session
from iblnm_core.sources.local import LocalSource
from iblnm_core.storage.session_file import SessionFile


@pytest.fixture
def session(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    return OneSession(create_root(tmp_path / "root", cache=made.cache), made.folders[eid], eid)


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
    assert set(session.run().stopped) == {"task_performance", *NO_RESPONSES} - ON_REQUEST
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        parts = file.parts()
    assert not [part for part in parts if part.startswith("photometry/") and part.endswith("/responses")]
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
    assert set(report.stopped) == {"photometry_qc", *BEHAVIOUR_OUTPUTS, *SIGNAL_OUTPUTS, "video_qc"}
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


def test_a_stretch_that_is_not_valid_is_unknown_and_no_more(session):
    session.rewrite(SIGNAL, with_column("valid", lambda c: c & ~((c.index >= 9000) & (c.index < 10_000))))
    times = pd.read_parquet(session.folder / SIGNAL)["times"]
    report = session.run()
    assert not report.failed
    with SessionFile(session.root.session_file(session.eid), session.eid) as file:
        trials, signals, responses = layout.read_trials(file), layout.read_signals(file), layout.read_responses(file)
        quality = layout.read_qc(file)
    gap = times[8999], times[10_000]
    for region, (_, signal) in signals.items():
        unknown = signal.index[signal.isna()]
        assert gap[0] - 0.1 < unknown.min() < gap[0] + 0.1
        assert gap[1] - 0.1 < unknown.max() < gap[1] + 0.1
        at = trials["feedback_times"]
        touched = (at + 0.9 > unknown.min()) & (at - 1 < unknown.max())
        assert 1 < touched.sum() < 20
        rows = responses[region].values[responses[region].events.index("feedback_times")]
        assert np.isnan(rows[touched]).all()
        apart = (at + 1.1 < unknown.min()) | (at - 1.1 > unknown.max())
        assert np.isfinite(rows[apart]).all()
    assert (quality["n_invalid_samples"] > 999).all()


def test_dark_unknown_and_many_coloured_frames_are_counted_and_cost_nothing(session):
    def states(table):
        leds = table["LedState"].to_numpy(copy=True)
        leds[5000:5010], leds[7000:7003] = 1024, 1024
        return table.assign(LedState=leds)

    session.rewrite(RAW, states)
    report = session.run()
    assert not report.failed
    assert not report.stopped
    found = errors_of(report, "advisory")["photometry_qc", "LedStateGap"]
    assert found.error_message == "2 gaps, 13 frames of unknown LED state"
    assert report.verdicts["raw_signal_quality"].passed


def test_few_levels_are_an_advice_and_everything_is_made(session):
    session.rewrite(SIGNAL, with_column("G1", lambda c: c.round(3)))
    report = session.run()
    assert not report.stopped
    found = errors_of(report, "advisory")["photometry_qc", "FewUniqueSamples"]
    assert found.error_message.startswith("Few unique samples: SNc-r/GCaMP=0.0")
    assert not found.blocks_analysis
    assert float(found.threshold) == 0.05
