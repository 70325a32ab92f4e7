"""NWB files of real and demo sessions, read back and held against what they were made from."""

import datetime as dt
import errno
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests_support.nwb import Processed, opened, stored, writable_copy
from tests_support.sessions import OneSession

from iblnm_core.corrections.recipes import recipe
from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.plan import CLINIC_PACE, SessionPlan
from iblnm_core.demo.presets import SUBJECTS
from iblnm_core.errors import ConfigurationError, OutdatedSession, StorageFull
from iblnm_core.export.nwb.checking import inspect_file, of_level, schema_errors
from iblnm_core.export.nwb.writing import content_hash, file_image, write_image
from iblnm_core.reports import judging
from iblnm_core.root import open_root
from iblnm_core.session import layout, ledger
from iblnm_core.session.corrections_layout import correction_parts
from iblnm_core.sources.indexing import index_cache
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.verdict_words import BLOCKING, HOLDS, NOT_JUDGED

SIGNAL = "alf/photometry/photometry.signal.pqt"
TRIALS = "alf/task_00/_ibl_trials.table.pqt"

ACCEPTED = {
    "check_experimenter_exists": "the source has login names, which are personal data and no names of people",
    "check_col_not_nan": "the schema demands the emission wavelength, which nobody recorded",
    "check_timestamp_of_the_first_sample_is_not_negative": "the recording starts before the task clock, which is not shifted",
    "check_table_time_columns_are_not_negative": "the same for times outside the synchronised range",
    "check_column_binary_capability": "the index of a fibre stays a number when there are two fibres",
}
UNKNOWN_SUBJECT = {
    "check_subject_age": "no birth date is invented",
    "check_subject_species_exists": "no species is invented",
    "check_institution": "the catalogue does not know it",
    "check_description": "a subject without line has no description",
}
KNOWN_SUBJECT = {
    "species": "Laboratory mouse",
    "sex": "M",
    "birth_date": "2024-06-01",
    "institution": "UCL",
    "line": "Ai148xChat",
    "timezone": "Europe/London",
}


@pytest.fixture(scope="module")
def real(tmp_path_factory, shared):
    folder = tmp_path_factory.mktemp("nwb_real")
    cache = writable_copy(shared / "real_sessions", folder / "cache")
    index_cache(cache)
    return Processed(folder / "root", cache)


@pytest.fixture(scope="module")
def two_fibers(tmp_path_factory, sound_cache):
    return Processed(tmp_path_factory.mktemp("nwb_two"), sound_cache)


def with_fibers(folder, *regions):
    subject = replace(SUBJECTS["DEMO-DA1"], regions=regions)
    plan = SessionPlan(subject, dt.date(2025, 3, 3), 1, "biased", 8.0, pace=CLINIC_PACE)
    return Processed(folder / "root", write_cohort(folder / "cache", [plan]).cache)


@pytest.fixture(scope="module", params=["real", "one_fiber", "five_fibers"])
def session(request, tmp_path_factory):
    if request.param == "one_fiber":
        return with_fibers(tmp_path_factory.mktemp("nwb_one"), "VTA-r")
    if request.param == "five_fibers":
        # the fifth is a second one in the same region
        return with_fibers(tmp_path_factory.mktemp("nwb_five"), "SNc-r", "VTA-l", "VTA-r", "SNc-l", "VTA-l")
    return request.getfixturevalue(request.param)


def folder_of(session):
    return Path(session.task.folder)


def same_bits(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    return found.dtype == expected.dtype and found.shape == expected.shape and found.tobytes() == expected.tobytes()


def test_every_array_comes_back_bit_for_bit(session):
    source = pd.read_parquet(folder_of(session) / SIGNAL).iloc[1:]
    with opened(session.path) as file:
        table = file.lab_meta_data["fiber_photometry"].fiber_photometry_table
        for wavelength, band in ((470, "GCaMP"), (415, "Isosbestic")):
            series = file.acquisition[f"FiberPhotometryResponseSeries{wavelength}nm"]
            frames = source[source["name"] == band]
            rows = [table[int(i)].iloc[0] for i in series.fiber_photometry_table_region.data[:]]
            assert same_bits(series.timestamps[:], frames["times"])
            for column, row in enumerate(rows):
                roi = row["notes"].rpartition("ROI ")[2]
                assert same_bits(series.data[:, column], frames[roi])
                assert row["optical_fiber"].name == f"optical_fiber_{roi}"
                assert row["excitation_wavelength_in_nm"] == wavelength
        with SessionFile(session.root.session_file(session.task.eid), session.task.eid) as results:
            corrected = [signal for _, signal in layout.read_preprocessed(results).values()]
            parts = list(correction_parts(results).values())
        z = file.processing["ophys"]["ZScore"]
        assert len(corrected) == z.data.shape[1] == len(rows) == len(parts)
        for column, signal in enumerate(corrected):
            assert f"{signal.correction} (" in z.description
            assert same_bits(z.data[:, column], signal.values)
        names = session.root.parameters.corrections.names
        series = {name: file.processing["ophys"][f"dff_{name}"] for name in names}
        for name, change in series.items():
            assert change.unit == "a.u. (dF/F)"
            for step in recipe(name, session.root.parameters.preprocessing).steps:
                # what was done to it is what its name stands for
                assert repr(step) in change.description
            for column, part in enumerate(parts):
                assert same_bits(change.data[:, column], part.datasets[f"{name}/dff"])
                assert f"slope {part.attributes[f'{name}/slope']:.6g}" in change.description
        for one in (z, *series.values()):
            grid = one.starting_time + np.arange(len(one.data)) / one.rate
            np.testing.assert_allclose(grid, corrected[0].times, rtol=0, atol=1e-9)
            assert same_bits(one.fiber_photometry_table_region.data[:], z.fiber_photometry_table_region.data[:])


def test_a_fibre_without_a_correction_has_an_empty_column_that_says_why(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    OneSession(None, made.folders[made.eids[0]], made.eids[0]).rewrite(
        SIGNAL, lambda t: t.assign(G1=t["G1"].where(t["name"].astype(str) == "GCaMP", 1 / 255))
    )
    session = Processed(tmp_path / "root", made.cache)
    with opened(session.path) as file:
        series = {name: item for name, item in file.processing["ophys"].data_interfaces.items() if name != "ZScore"}
        empty = {name: np.isnan(one.data[:]).all(axis=0).tolist() for name, one in series.items() if "dff" in name}
        words = {name: one.description.partition("Column 1, ")[2] for name, one in series.items() if "dff" in name}
    needing = {f"dff_{name}": [False, True] for name in ("robust", "reference", "dff_exp")}
    assert empty == {**needing, "dff_no_reference": [True, False]}
    assert words["dff_robust"].startswith("ROI G1 in SNc: NaN: skipped, MissingReference: ")
    with opened(session.path) as file:
        stand_in = file.processing["ophys"]["dff_no_reference"].description
    assert "Column 0, ROI G0 in VTA: NaN: not stored for this fibre. " in stand_in
    assert schema_errors(session.path) == []


def test_the_trial_table_can_be_rebuilt_from_the_file(session):
    alf = pd.read_parquet(folder_of(session) / TRIALS)
    with opened(session.path) as file:
        trials = file.trials.to_dataframe()
        assert all(column.description for column in file.trials.columns)
        known = {name: file.trials[name].description.rpartition("(")[2][:-1] for name in trials}
    copied = {source: name for name, source in known.items() if source in alf and name != "probability_left"}
    for source, name in copied.items():
        assert same_bits(trials[name].to_numpy(), alf[source].to_numpy(np.float64)), source
    for side in ("Left", "Right"):
        contrast = np.where(
            trials["gabor_stimulus_side"] == side.lower(), trials["gabor_stimulus_contrast"] / 100, np.nan
        )
        assert same_bits(contrast, alf[f"contrast{side}"].to_numpy(np.float64))
    choices = trials["mouse_wheel_choice"].map({"counter_clockwise": -1, "none": 0, "clockwise": 1})
    np.testing.assert_array_equal(choices, alf["choice"])
    np.testing.assert_array_equal(trials["choice_side"].map({"right": -1, "none": 0, "left": 1}), alf["choice"])
    np.testing.assert_array_equal(np.where(trials["is_mouse_rewarded"], 1, -1), alf["feedbackType"])
    rebuilt = {*copied, "contrastLeft", "contrastRight", "choice", "feedbackType", "probabilityLeft"}
    assert rebuilt == set(alf.columns)


def test_events_repeat_the_times_of_the_trials(two_fibers):
    with opened(two_fibers.path) as file:
        trials = file.trials.to_dataframe()
        for name, column in (
            ("stimulus_onset", "gabor_stimulus_onset_time"),
            ("first_movement", "wheel_movement_onset_time"),
            ("feedback", "feedback_time"),
        ):
            table = file.events[name]
            known = np.flatnonzero(trials[column].notna())
            np.testing.assert_array_equal(table["trial"].data[:], known)
            np.testing.assert_array_equal(table["timestamp"].data[:], trials[column].to_numpy()[known])


def test_the_wheel_is_there_as_recorded_and_as_velocity(two_fibers):
    alf = folder_of(two_fibers) / "alf" / "task_00"
    with opened(two_fibers.path) as file:
        position, velocity = (file.processing["behavior"][f"Wheel{name}"] for name in ("Position", "Velocity"))
        assert same_bits(position.data[:], np.load(alf / "_ibl_wheel.position.npy"))
        assert same_bits(position.timestamps[:], np.load(alf / "_ibl_wheel.timestamps.npy"))
        assert velocity.starting_time == position.timestamps[0]
        times = velocity.starting_time + np.arange(len(velocity.data)) / velocity.rate
        found, there = np.asarray(velocity.data[:]), np.interp(times, position.timestamps[:], position.data[:])
    # the integral of the velocity is the position, less what the filter smooths
    assert np.abs(np.cumsum(found) / 100 - (there - there[0])).max() < 0.1


def test_times_outside_the_synchronised_range_are_marked(real):
    signal = pd.read_parquet(folder_of(real) / SIGNAL).iloc[1:]
    with opened(real.path) as file:
        marked = file.invalid_times.to_dataframe()
        assert [list(tags) for tags in marked["tags"]] == [["unsynchronised"]] * len(marked)
    inside = np.zeros(len(signal), bool)
    for start, stop in zip(marked["start_time"], marked["stop_time"], strict=True):
        inside |= signal["times"].between(start, stop).to_numpy()
    np.testing.assert_array_equal(inside, ~signal["valid"])


def test_series_have_units_and_columns_descriptions(session):
    with opened(session.path) as file:
        for item in file.objects.values():
            if type(item).__name__ in {"TimeSeries", "FiberPhotometryResponseSeries"}:
                assert item.unit
                assert item.description != "no description"
            if hasattr(item, "colnames"):
                assert all(item[name].description for name in item.colnames)


def test_tables_of_the_file_give_the_record_of_the_session_back(two_fibers):
    with opened(two_fibers.path) as file:
        tables = {
            name: file.processing["misc"][name].to_dataframe() for name in file.processing["misc"].data_interfaces
        }
    with SessionFile(two_fibers.root.session_file(two_fibers.task.eid), two_fibers.task.eid) as results:
        provenance, verdicts = ledger.read_provenance(results), ledger.read_verdicts(results)
    expected = {
        f.path: f.digest for name in ("trials", "photometry_qc", "wheel_velocity") for f in provenance[name].inputs
    }
    assert dict(zip(tables["source_datasets"]["path"], tables["source_datasets"]["hash"], strict=True)) == expected
    software = dict(zip(tables["software"]["software"], tables["software"]["version"], strict=True))
    assert provenance["trials"].libraries.items() <= software.items()
    checks = tables["session_checks"]
    assert set(checks["check"][checks["verdict"] == "holds"]) == {name for name, v in verdicts.items() if v.passed}
    parameters = dict(zip(tables["parameters"]["parameter"], tables["parameters"]["value_json"], strict=True))
    assert parameters["preprocessing.sampling_rate_hz"] == "30.0"
    assert not [name for name in parameters if name.startswith(("encoding", "figures"))]


def test_the_file_of_the_real_session_is_valid(real):
    # those of demo sessions are judged where the command and the asset are tested
    assert schema_errors(real.path) == []


def test_the_inspector_says_what_we_know_of_a_demo_session(two_fibers):
    found = {message.check for message in inspect_file(two_fibers.path)}
    assert found == (ACCEPTED | UNKNOWN_SUBJECT).keys() - {"check_description"}


def test_a_known_subject_leaves_nothing_critical_and_no_violation(real, tmp_path):
    path = stored(real.content(**KNOWN_SUBJECT), tmp_path / "known.nwb")
    messages = inspect_file(path)
    assert {message.check for message in messages} == ACCEPTED.keys()
    assert not of_level(messages, "CRITICAL") + of_level(messages, "BEST_PRACTICE_VIOLATION")


def test_a_broken_file_is_not_valid(two_fibers, tmp_path):
    import h5py

    path = tmp_path / "broken.nwb"
    path.write_bytes(two_fibers.path.read_bytes())
    with h5py.File(path, "a") as file:
        del file["session_start_time"]
    assert any("session_start_time" in error for error in schema_errors(path))
    [message] = of_level(inspect_file(path), "CRITICAL")
    assert message.check == "not_inspected"


def test_two_exports_differ_in_chance_only_and_the_second_changes_nothing(two_fibers, tmp_path):
    before = two_fibers.path.stat()
    again, other = two_fibers.export(), two_fibers.export(out=tmp_path)
    assert (again.outcome, other.outcome) == ("current", "written")
    assert (two_fibers.path.stat().st_ino, two_fibers.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert again.sha256 != other.sha256
    assert again.content_hash == other.content_hash == content_hash(other.path)
    with opened(again.path) as one, opened(other.path) as two:
        assert one.identifier == two.identifier


def test_every_changed_value_changes_the_content_hash(two_fibers):
    import h5py

    image = two_fibers.path.read_bytes()

    def changed(change):
        path = two_fibers.root.path / "changed.nwb"
        path.write_bytes(image)
        with h5py.File(path, "a") as file:
            change(file)
        return content_hash(path)

    def value(file):
        file["acquisition/FiberPhotometryResponseSeries470nm/data"][7, 1] += 1e-12

    def unit(file):
        file["processing/ophys/ZScore/data"].attrs["unit"] = "volts"

    def reference(file):
        links = file["general/fiber_photometry/fiber_photometry_table/excitation_source"]
        links[0] = links[1]

    def by_chance(file):
        file["file_create_date"][0] = "2001-01-01T00:00:00+00:00"

    assert changed(by_chance) == content_hash(image)
    assert len({content_hash(image), *map(changed, (value, unit, reference))}) == 4


def test_a_file_of_other_content_is_replaced_only_when_asked(two_fibers, tmp_path):
    path = tmp_path / two_fibers.path.relative_to(two_fibers.root.path / "exports" / "nwb")
    path.parent.mkdir()
    path.write_bytes(b"somebody else's work")
    with pytest.raises(ConfigurationError, match="--overwrite"):
        two_fibers.export(out=tmp_path)
    assert path.read_bytes() == b"somebody else's work"
    assert two_fibers.export(out=tmp_path, overwrite=True).outcome == "replaced"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "session.nwb"
    path.write_bytes(b"old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        write_image(path, "eid", b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_changed_input_is_refused_with_both_hashes(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    session = Processed(tmp_path / "root", made.cache)
    (entry,) = (f for f in session.report.provenance["photometry_qc"].inputs if f.path == SIGNAL)
    path = folder_of(session) / SIGNAL
    table = pd.read_parquet(path)
    table["G0"] += 1
    path.unlink()
    table.to_parquet(path)
    with pytest.raises(OutdatedSession, match=SIGNAL) as refused:
        session.export()
    assert entry.digest in str(refused.value)
    (now,) = (f.digest for f in session.task.inputs().files(["signal"]))
    assert now in str(refused.value)
    assert f"iblnm run --eid {session.task.eid} --reprocess" in str(refused.value)
    assert not list(session.root.path.rglob("*.nwb"))


def test_other_parameters_than_those_of_the_results_are_refused(tmp_path, copies):
    session = Processed(tmp_path / "root", copies(tmp_path / "cache", 1).cache)
    settings = session.root.path / "iblnm.toml"
    settings.write_text(settings.read_text() + "\n[parameters.preprocessing]\nsampling_rate_hz = 20.0\n")
    session.root = open_root(session.root.path)
    with pytest.raises(OutdatedSession, match="other parameters"):
        session.export()


def test_a_session_without_wheel_fails_and_is_not_blocked(real):
    assert real.report.failed
    assert real.export(skip_blocked=True).outcome != "left out"
    assert real.export().blocked_by == ()


def test_a_blocked_session_is_written_unless_left_out_and_says_what_its_report_says(tmp_path, copies, few_trials):
    made = copies(tmp_path / "cache", 1)
    few_trials(made.folders[made.eids[0]])
    session = Processed(tmp_path / "root", made.cache)
    assert session.export().blocked_by == ("InsufficientTrials",)
    with opened(session.path) as file:
        checks = file.processing["misc"]["session_checks"].to_dataframe()
    assert session.export(skip_blocked=True).outcome == "left out"
    with SessionFile(Path(session.task.file), session.task.eid) as results:
        cards = judging.cards(session.task.eid, ledger.read_verdicts(results), ledger.read_provenance(results))
    found = checks[~checks["verdict"].isin([HOLDS, NOT_JUDGED])]
    assert sorted(zip(found["check"], found["verdict"], strict=True)) == sorted((c.rule, c.word) for c in cards)
    assert found["verdict"].tolist().count(BLOCKING) == 1


def test_one_fiber_can_be_read_without_the_others(two_fibers):
    with opened(two_fibers.path) as file:
        data = file.acquisition["FiberPhotometryResponseSeries470nm"].data
        assert data.chunks[1] == 1
        assert (data.compression, data.shuffle) == ("gzip", True)


def test_the_image_in_memory_is_refused_when_it_does_not_read_back(two_fibers, monkeypatch):
    from iblnm_core.errors import CorruptArtifact
    from iblnm_core.export.nwb import building, writing

    file = building.build_file(two_fibers.content())
    compare = writing._compare

    def late_change(meant, image):
        meant.processing["ophys"]["ZScore"].data.data[3, 0] += 1
        compare(meant, image)

    monkeypatch.setattr(writing, "_compare", late_change)
    with pytest.raises(CorruptArtifact, match="data of ZScore"):
        file_image(file)


def test_without_the_extra_the_command_says_what_to_install(two_fibers):
    code = "import sys; sys.modules['pynwb'] = None; from iblnm_dagster.cli import main; main()"
    command = [sys.executable, "-c", code, "export", two_fibers.task.eid, "--nwb", "--root", str(two_fibers.root.path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert 'pip install "iblnm[nwb]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_opening_a_file_takes_few_reads(two_fibers):
    import h5py
    from pynwb import NWBHDF5IO

    class Counted(io.FileIO):
        n_reads = 0

        def readinto(self, buffer):
            self.n_reads += 1
            return super().readinto(buffer)

    with (
        Counted(two_fibers.path) as counted,
        h5py.File(counted, "r", page_buf_size=2**20) as file,
        NWBHDF5IO(file=file, mode="r") as reader,
    ):
        assert reader.read().trials is not None
        assert 0 < counted.n_reads < 50


def test_the_snippet_of_the_page_reads_a_file(two_fibers, capsys):
    page = (Path(__file__).resolve().parents[2] / "docs" / "nwb.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    path, names = re.findall(r'"(\S+\.nwb)"', snippet)[0], {}
    exec(snippet.replace(path, str(two_fibers.path)), names)
    assert "calcium-dependent; ROI G" in capsys.readouterr().out
    assert len(names["frames"]) == len(names["times"])
    assert len(names["checks"])


def test_the_command_says_what_was_written_and_what_could_not_be(two_fibers, tmp_path):
    from click.testing import CliRunner

    from iblnm_dagster.cli import main

    def run(*words):
        return CliRunner().invoke(main, ["export", *words, "--nwb", "--root", str(two_fibers.root.path)])

    eid = two_fibers.task.eid
    done = run(eid, "--out", str(tmp_path), "--check")
    assert done.exit_code == 0, done.output
    assert f"{eid}  written" in done.output
    assert "0 schema errors" in done.output
    assert "critical: check_subject_age" in done.stderr
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".nwb"]
    settings = two_fibers.root.path / "iblnm.toml"
    sound = settings.read_text()
    settings.write_text(sound + "\n[parameters.wheel]\ncutoff_hz = 10.0\n")
    try:
        refused = run(eid, "--out", str(tmp_path), "--overwrite")
    finally:
        settings.write_text(sound)
    assert refused.exit_code == 1
    assert "problems: 1" in refused.stderr
    assert f"run `iblnm run --eid {eid}`" in refused.stderr
    stranger = run("00000000-0000-4000-8000-000000000000")
    assert stranger.exit_code == 2
