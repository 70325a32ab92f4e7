"""The classes for notebooks: each equals what the pipeline stores, and the snippets that users know run as they are."""

import contextlib
import re
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from iblphotometry.fpio import PhotometrySessionLoader
from tests_support.sessions import processed_root

from iblnm_core import errors
from iblnm_core.cohort.status import Catalogue
from iblnm_core.demo.presets import demo_plans
from iblnm_core.notebook import (
    RESPONSE_EVENTS,
    PhotometrySession,
    PhotometrySessionGroup,
    collect_session_errors,
    default_connection,
    exception_logger,
)
from iblnm_core.schemas import ERRORS, PERFORMANCE
from iblnm_core.session import ledger
from iblnm_core.session.shape_stage import measure_rows
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import read_table


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root over four sound sessions of two subjects; the tests leave it as it is."""
    return processed_root(
        tmp_path_factory.mktemp("notebook") / "root", demo_plans(subjects=2, sessions=4, clinic=False)
    )


@pytest.fixture
def here(root, monkeypatch):
    """The root as the one that notebooks find."""
    monkeypatch.setenv("IBLNM_ROOT", str(root.path))
    return root


@pytest.fixture(scope="module")
def one(root):
    return default_connection(root)


@pytest.fixture(scope="module")
def catalogue(root):
    return pd.read_parquet(root.path / "metadata" / "sessions.pqt")


@pytest.fixture
def session(here, one, catalogue):
    return PhotometrySession(catalogue.iloc[0], one=one)


def taken_through(session):
    """A session with everything that its methods make."""
    session.load_trials()
    session.load_photometry()
    session.run_raw_qc()
    session.run_sliding_qc()
    session.preprocess()
    session.extract_responses()
    session.load_wheel()
    return session


def test_data_start_empty_and_the_row_is_there(session, catalogue):
    assert not len(session.trials)
    assert session.photometry == {}
    assert session.responses == {}
    assert not len(session.qc)
    assert not session.wheel_velocity.size
    # opinions on corrections, and pose that is not there, stand against any session
    assert {error["asset"] for error in session.errors} <= {"corrections", "transients", "pose"}
    row = catalogue.iloc[0]
    assert (session.eid, session.subject, session.number) == (row["eid"], row["subject"], row["number"])
    assert session.brain_region == list(row["brain_region"])


def test_what_methods_make_is_what_the_pipeline_stores(session):
    stored = PhotometrySession(session.row)
    stored.load_h5()
    made = taken_through(session)
    pd.testing.assert_frame_equal(made.trials[stored.trials.columns], stored.trials, check_dtype=False)
    band = "GCaMP_preprocessed"
    pd.testing.assert_frame_equal(made.photometry[band], stored.photometry[band])
    assert set(made.responses) == set(stored.responses)
    for region, responses in made.responses.items():
        xr.testing.assert_identical(responses, stored.responses[region])
    pd.testing.assert_frame_equal(made.qc[stored.qc.columns], stored.qc)
    xr.testing.assert_identical(made.wheel_velocity, stored.wheel_velocity)
    performance = read_table(stored.root_path, PERFORMANCE).set_index("eid").loc[session.eid]
    found = {**made.basic_performance(), **made.block_performance()}
    assert {name: performance[name] for name in found} == pytest.approx(found, nan_ok=True)
    assert stored.basic_performance() == pytest.approx(made.basic_performance(), nan_ok=True)


def test_what_the_loader_it_extends_can_do_is_there(session):
    assert isinstance(session, PhotometrySessionLoader)
    session.load_session_data(pose=False, motion_energy=False, pupil=False, licks=False, pawstates=False)
    assert len(session.trials)
    assert session.wheel_velocity.size
    assert set(session.photometry) == {"GCaMP", "Isosbestic"}
    assert session.data_info.set_index("name")["is_loaded"].to_dict()["trials"]


def test_validation_finds_nothing_in_a_sound_session(session):
    taken_through(session)
    for name in [name for name in dir(session) if name.startswith("validate_")]:
        getattr(session, name)()
    # opinions on corrections, and pose that is not there, stand against any session
    assert {error["asset"] for error in session.errors} <= {"corrections", "transients", "pose"}


def test_a_region_without_its_side_stands_for_the_only_fibre_there(session):
    session.load_h5()
    region = next(iter(session.responses))
    assert session.responses[region.partition("-")[0]] is session.responses[region]
    with pytest.raises(KeyError, match="none among"):
        session.responses["LC"]


def test_what_is_not_loaded_is_asked_for(session):
    for method in (session.preprocess, session.run_sliding_qc, session.validate_trials_in_photometry_time):
        with pytest.raises(errors.NotLoaded, match=r"call load_photometry\(\) first"):
            method()
    with pytest.raises(errors.NotLoaded, match=r"call preprocess\(\) first"):
        session.extract_responses()
    with pytest.raises(errors.NotLoaded, match=r"call load_trials\(\) first"):
        session.validate_n_trials()


def test_without_a_root_datasets_come_from_the_connection(tmp_path, monkeypatch, one, catalogue):
    monkeypatch.setenv("IBLNM_ROOT", str(tmp_path / "nowhere"))
    session = taken_through(PhotometrySession(catalogue.iloc[0], one=one))
    assert session.responses
    with pytest.raises(errors.ConfigurationError, match=r"not in the index of .*nowhere, and no connection"):
        PhotometrySession(catalogue.iloc[0]).load_trials()
    unknown = {**catalogue.iloc[0], "eid": "6dc209b4-886a-433f-b1a3-3638a2e17637"}
    with pytest.raises(errors.ConfigurationError, match="ONE does not know it"):
        PhotometrySession(unknown, one=one).load_trials()


def test_a_dataset_that_is_gone_is_a_typed_error_of_its_kind(tmp_path):
    mine = processed_root(tmp_path / "root", demo_plans(subjects=1, sessions=1, clinic=False))
    (row,) = Catalogue.load(mine).sessions.values()
    session = PhotometrySession(row, root=mine)
    session.load_trials()
    folder = session.session_path
    (folder / "alf/task_00/_ibl_wheel.position.npy").unlink()
    with pytest.raises(errors.MissingExtractedData, match=r"_ibl_wheel\.position\.npy"):
        session.load_wheel()
    (folder / "alf/photometry/photometry.signal.pqt").unlink()
    (folder / "raw_photometry_data/_neurophotometrics_fpData.raw.pqt").unlink()
    log = []
    session.load_photometry(exlog=log)
    session.run_raw_qc(exlog=log)
    assert [row["error_type"] for row in log] == ["MissingRawData", "MissingRawData"]
    assert session.photometry == {}


def test_methods_raise_typed_errors_or_collect_them(session):
    session.load_trials()
    session.trials = session.trials.iloc[:50].assign(firstMovement_times=np.nan)
    with pytest.raises(errors.InsufficientTrials, match="n_trials=50 < MIN_NTRIALS=90"):
        session.validate_n_trials()
    log = []
    session.validate_n_trials(exlog=log)
    session.validate_event_completeness(exlog=log)
    assert [(row["eid"], row["error_type"]) for row in log] == [
        (session.eid, "InsufficientTrials"),
        (session.eid, "IncompleteEventTimes"),
    ]
    assert list(log[0]) == ["eid", "error_type", "error_message", "traceback"]
    assert "InsufficientTrials" in log[0]["traceback"]
    assert {row["error_type"] for row in session.errors} == {"InsufficientTrials", "IncompleteEventTimes"}


def test_faults_of_the_recording_are_raised(session):
    taken_through(session)
    session.trials = session.trials.assign(stimOn_times=session.trials["stimOn_times"] - 1e4)
    with pytest.raises(errors.TrialsNotInPhotometryTime):
        session.validate_trials_in_photometry_time()
    session.qc = session.qc.assign(n_band_inversions=1, n_unique_samples=0.001)
    with pytest.raises(errors.QCValidationError):
        session.validate_qc()
    with pytest.raises(errors.FewUniqueSamples):
        session.validate_few_unique_samples()
    session.trials = session.trials.assign(probabilityLeft_original=np.resize([0.2, 0.8], len(session.trials)))
    with pytest.raises(errors.BlockStructureBug):
        session.validate_block_structure()


def test_methods_work_on_what_is_in_the_attributes(session):
    taken_through(session)
    before = session.photometry["GCaMP_preprocessed"].copy()
    region = session.photometry["GCaMP"].columns[0]
    session.photometry["GCaMP"] = session.photometry["GCaMP"].assign(
        **{region: lambda frame: frame[region][::-1].to_numpy()}
    )
    session.preprocess()
    after = session.photometry["GCaMP_preprocessed"]
    others = [name for name in before if name != region]
    pd.testing.assert_frame_equal(after[others], before[others])
    assert not np.allclose(after[region], before[region], equal_nan=True)


def test_responses_are_masked_and_baselines_subtracted(session):
    session.load_h5()
    responses = session.responses[next(iter(session.responses))]
    masked = session.mask_subsequent_events(responses, event_order=RESPONSE_EVENTS)
    gap = session.trials["firstMovement_times"] - session.trials["stimOn_times"]
    expected = responses.sel(event="stimOn_times").where(~(responses["time"] > xr.DataArray(gap, dims="trial")))
    xr.testing.assert_allclose(masked.sel(event="stimOn_times"), expected)
    xr.testing.assert_identical(masked.sel(event="feedback_times"), responses.sel(event="feedback_times"))
    flat = session.subtract_baseline(responses)
    window = (responses["time"] >= -0.1 - 1e-9) & (responses["time"] < -1e-9)
    assert float(np.abs(flat[:, :, window.to_numpy()].mean("time")).max()) < 1e-12
    assert flat.dims == responses.dims


def test_the_shape_of_responses_is_that_of_the_session_file(session):
    session.load_h5()
    region = next(iter(session.corrections))
    rows = session.response_measures(region)
    with SessionFile(session.h5_path, session.eid) as stored:
        expected = measure_rows(stored.read(f"photometry/{region}/measures")).drop(columns="fiber_idx")
    pd.testing.assert_frame_equal(rows, expected)
    means = session.mean_response_measures(region).query("condition == 'all' and measure == 'peak'")
    assert (means["lower"] <= means["upper"]).all()
    pairs = session.region_pairs()
    n = len(session.corrections)
    assert len(pairs) == n * (n - 1) // 2


def test_saving_keeps_what_it_does_not_touch_and_marks_what_it_made(tmp_path, here, one, catalogue):
    session = taken_through(PhotometrySession(catalogue.iloc[0], one=one))
    path = tmp_path / "mine.h5"
    path.write_bytes(session.h5_path.read_bytes())
    region = session.photometry["GCaMP_preprocessed"].columns[0]
    session.photometry["GCaMP_preprocessed"][region] = 1.0
    session.save_h5(path, groups=["photometry"])
    with SessionFile(path, session.eid) as mine, SessionFile(session.h5_path, session.eid) as stored:
        assert set(mine.parts()) == set(stored.parts())
        for part in ("trials", "wheel/responses", "performance", f"photometry/{region}/bands"):
            for name, values in stored.read(part).datasets.items():
                np.testing.assert_array_equal(mine.read(part).datasets[name], values)
        provenance = ledger.read_provenance(mine)
    by_hand = {name for name, entry in provenance.items() if entry.code == "by hand"}
    assert by_hand == {"corrections", "preprocessed_signal", "responses", "photometry_qc"}
    again = PhotometrySession(session.row)
    again.load_h5(path)
    assert (again.photometry["GCaMP_preprocessed"][region] == 1).all()


def test_a_new_file_has_everything_that_there_is(tmp_path, session):
    taken_through(session).save_h5(tmp_path / "new.h5")
    again = PhotometrySession({"eid": session.eid, "subject": "?", "start_time": "2000-01-01"})
    again.load_h5(tmp_path / "new.h5")
    assert again.subject == session.subject
    assert again.brain_region == session.brain_region
    pd.testing.assert_frame_equal(again.trials, session.trials[again.trials.columns], check_dtype=False)
    xr.testing.assert_identical(again.wheel_velocity, session.wheel_velocity)
    for region, responses in session.responses.items():
        xr.testing.assert_allclose(again.responses[region], responses)
    some = PhotometrySession(session.row)
    some.load_h5(tmp_path / "new.h5", groups=["trials"])
    assert len(some.trials)
    assert not some.responses


def test_what_was_saved_by_hand_is_made_anew_by_the_next_run(tmp_path):
    mine = processed_root(tmp_path / "root", demo_plans(subjects=1, sessions=1, clinic=False))
    (eid,) = Catalogue.load(mine).sessions
    session = PhotometrySession(Catalogue.load(mine).sessions[eid], default_connection(mine), root=mine)
    taken_through(session).save_h5(groups=["trials"])
    status = Catalogue.load(mine).status().set_index("asset")
    assert status.loc["trials", ["state", "due"]].tolist() == ["out of date", "made by hand"]
    assert Catalogue.load(mine).due() == [eid]


def test_another_sessions_file_and_unknown_groups_are_refused(here, session, catalogue):
    other = PhotometrySession(catalogue.iloc[1])
    with pytest.raises(ValueError, match=f"is the file of session {other.eid}; expected {session.eid}"):
        session.load_h5(other.h5_path)
    with pytest.raises(ValueError, match=r"'videos'.*known are metadata"):
        session.load_h5(groups=["videos"])
    with pytest.raises(FileNotFoundError):
        session.load_h5(here.path / "nothing.h5")


def test_an_id_that_is_a_path_leads_nowhere(tmp_path, here, catalogue):
    session = PhotometrySession({**catalogue.iloc[0], "eid": f"../../../{tmp_path.name}/x"})
    for method in (session.load_h5, session.save_h5):
        with pytest.raises(errors.ConfigurationError, match="x"):
            method()
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("missing", ["eid", "subject", "start_time"])
def test_a_row_needs_id_subject_and_start(missing):
    row = {"eid": "6dc209b4-886a-433f-b1a3-3638a2e17637", "subject": "A", "start_time": pd.Timestamp("2025-01-01")}
    made = PhotometrySession({**row, "number": "2", "genotype": "hom"})
    assert (made.number, made.genotype, made.brain_region, made.session_type) == (2, ["hom"], [], "")
    del row[missing]
    with pytest.raises(errors.ConfigurationError, match=f"{missing} missing"):
        PhotometrySession(row)


def test_a_group_has_the_recordings_of_the_pipeline(here, one, catalogue):
    group = PhotometrySessionGroup.from_catalog(here.path / "metadata" / "sessions.pqt", one=one)
    assert len(group.sessions) == len(catalogue)
    assert len(group) == sum(map(len, catalogue["brain_region"]))
    assert group.recordings["fiber_idx"].tolist() == [
        i for regions in catalogue["brain_region"] for i in range(len(regions))
    ]
    pairs = list(group)
    assert [rec["eid"] for rec, _ in pairs] == [ps.eid for _, ps in pairs]
    # both fibres of a session share one object
    assert len({id(ps) for _, ps in pairs}) == len(catalogue)
    assert group[0][1] is group[1][1]
    assert "GCaMP_preprocessed" not in group[0][1].photometry


def test_filters_replace_each_other_and_say_what_they_removed(here):
    group = PhotometrySessionGroup.from_catalog(here.path / "metadata" / "sessions.pqt")
    everything = len(group)
    target = group.recordings["target_NM"].iloc[0]
    assert set(group.filter_sessions(targetnms=[target]).recordings["target_NM"]) == {target}
    account = group.account.set_index("filter")
    assert account.loc["targets", "removes_alone"] == len(group.catalogue) - len(group.sessions)
    assert "session_types" not in group.filter_sessions(session_types=False).account["filter"].tolist()
    assert len(group) == everything
    subject = group.recordings["subject"].iloc[0]
    group.filter(group.recordings["subject"] == subject)
    assert set(group.recordings["subject"]) == {subject}
    assert len(group.explode_recordings()) == everything
    with pytest.raises(ValueError, match="one value per recording"):
        group.filter([True])
    with pytest.raises(errors.ConfigurationError, match="MissingRawDatum"):
        group.filter_sessions(qc_blockers={"MissingRawDatum"})
    assert len(group.filter_sessions(exclude_subjects=[subject])) < everything


def test_duplicates_are_resolved_on_request(here, catalogue):
    twin = catalogue.iloc[:1].assign(eid="6dc209b4-886a-433f-b1a3-3638a2e17637", number=2, session_length=1.0)
    group = PhotometrySessionGroup(pd.concat([catalogue, twin], ignore_index=True))
    assert len(group.sessions) == len(catalogue) + 1
    group.deduplicate()
    assert set(group.sessions["eid"]) == set(catalogue["eid"])


def count_trials(session):
    if session.subject == "DEMO-DA2":
        raise errors.InsufficientTrials("too few for me")
    return len(session.trials)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_goes_over_sessions_and_errors_are_collected(here, one, workers):
    group = PhotometrySessionGroup.from_catalog(here.path / "metadata" / "sessions.pqt", one=one)
    results = group.process(count_trials, workers=workers)
    assert list(results) == list(dict.fromkeys(group.recordings["eid"]))
    subjects = group.sessions.set_index("eid")["subject"]
    assert {subjects[eid] for eid, n in results.items() if n is None} == {"DEMO-DA2"}
    assert all(n > 90 for n in results.values() if n is not None)
    assert [row["error_type"] for row in group.errors] == ["InsufficientTrials"] * (subjects == "DEMO-DA2").sum()
    assert all(re.search("too few for me", row["traceback"]) for row in group.errors)


def test_opening_a_thousand_sessions_reads_no_session_file(tmp_path, catalogue, monkeypatch):
    rows = pd.concat([catalogue] * 250, ignore_index=True)
    rows["eid"] = [f"00000000-0000-4000-8000-{number:012d}" for number in range(len(rows))]
    (tmp_path / "metadata").mkdir()
    (tmp_path / "data" / "sessions").mkdir(parents=True)
    for eid in rows["eid"]:
        (tmp_path / "data" / "sessions" / f"{eid}.h5").write_bytes(b"not to be opened")
    rows.to_parquet(tmp_path / "metadata" / "sessions.pqt")
    opened = []
    monkeypatch.setattr("h5py.File", lambda *arguments, **_: opened.append(arguments))
    start = time.perf_counter()
    group = PhotometrySessionGroup.from_catalog(tmp_path / "metadata" / "sessions.pqt", duplicates=False)
    assert len(group.sessions) == 1000
    assert sum(1 for _ in group) == len(group) >= 1000
    assert not opened
    with contextlib.suppress(AttributeError):
        group[0][1].load_h5()
    # the trap works
    assert opened
    # generous: it is a matter of seconds at most, not of minutes
    assert time.perf_counter() - start < 60


@exception_logger
def refuse(session):
    raise errors.InvalidBrainRegion("nowhere")


def test_errors_of_rows_and_frames_are_collected(catalogue):
    log = []
    result = catalogue.apply(refuse, axis="columns", exlog=log)
    pd.testing.assert_frame_equal(result, catalogue, check_dtype=False)
    assert [row["eid"] for row in log] == catalogue["eid"].tolist()
    log.clear()
    assert refuse(catalogue, exlog=log) is catalogue
    assert refuse(catalogue.iloc[:0], exlog=log) is not None
    assert refuse(pd.Series({"subject": "A"}), exlog=log) is not None
    assert [row["eid"] for row in log] == [catalogue["eid"].iloc[0], "unknown", "unknown"]
    with pytest.raises(errors.InvalidBrainRegion, match="nowhere"):
        refuse(catalogue.iloc[0])


def test_logged_errors_stand_beside_the_catalogue(here, catalogue, tmp_path):
    first, second = catalogue["eid"].iloc[:2]
    rows = [
        {"eid": first, "error_type": kind, "error_message": text, "traceback": None}
        for kind, text in (("A", "1"), ("A", "1"), ("A", "2"), ("B", "1"))
    ]
    log = [{"eid": second, "error_type": "C", "error_message": "", "traceback": None}]
    found = collect_session_errors(catalogue, [tmp_path / "none.pqt", pd.DataFrame(), pd.DataFrame(rows), log])
    expected = {first: ["A", "A", "B"], second: ["C"]}
    assert found["logged_errors"].tolist() == [expected.get(eid, []) for eid in catalogue["eid"]]
    table = collect_session_errors(catalogue, [here.path / ERRORS.path])
    stored = read_table(here.path, ERRORS)
    assert [len(names) for names in table["logged_errors"]] == [(stored["eid"] == e).sum() for e in table["eid"]]
    assert table["logged_errors"].str.len().sum() > 0


# --- the snippets of the reference's readme, each with its import lines changed ---

IMPORTS = {
    "from one.api import ONE": "from iblnm_core.notebook import default_connection as ONE",
    "from iblnm.io import _get_default_connection": "from iblnm_core.notebook import default_connection as _get_default_connection",
}


def snippet(text, heading, first, last):
    """The lines below a heading, from one that starts in a way to one that starts in another."""
    lines = text.splitlines()
    lines = lines[lines.index(heading) :]
    start = next(i for i, line in enumerate(lines) if line.startswith(first))
    end = next(i for i, line in enumerate(lines) if i >= start and line.startswith(last))
    code = "\n".join(lines[start : end + 1])
    for old, new in IMPORTS.items():
        code = code.replace(old, new)
    return re.sub(
        r"^from iblnm\.(config|data|validation) import", "from iblnm_core.notebook import", code, flags=re.MULTILINE
    )


@pytest.fixture(scope="module")
def readme(shared):
    return (shared / "reference_readme.txt").read_text()


@pytest.fixture
def good_first(here, catalogue, monkeypatch, tmp_path):
    """The root again, where what snippets save does not matter."""
    import shutil

    mine = tmp_path / "mine"
    shutil.copytree(here.path, mine, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("cache"))
    settings = mine / "iblnm.toml"
    settings.write_text(settings.read_text().replace('cache = "cache"', f'cache = "{here.cache}"'))
    monkeypatch.setenv("IBLNM_ROOT", str(mine))
    return mine


def test_the_snippets_of_a_session_run(readme, good_first):
    names = {}

    def run(heading, first, last):
        exec(compile(snippet(readme, heading, first, last), heading, "exec"), names)

    run("Loading from ONE", "import pandas", "ps.load_photometry()")
    assert set(names["ps"].photometry) == {"GCaMP", "Isosbestic"}
    assert {"signed_contrast", "contrast"} <= set(names["ps"].trials)
    run("Validation", "ps.validate_trials_in", "ps.validate_block_structure")
    run("QC", "ps.run_raw_qc", "ps.validate_few_unique")
    assert names["ps"].qc.set_index(["brain_region", "band"]).index.is_unique
    run("Preprocessing and response extraction", "from iblnm.config", "ps.save_h5()")
    run("Working with responses", "region_responses", ")")
    assert names["responses"].dims == ("event", "trial", "time")
    run("Task performance", "perf = ", "fit = ")
    assert {"fraction_correct", "fraction_correct_easy", "nogo_fraction", "psych_50_bias"} <= set(names["perf"])
    assert set(names["fit"]) == {"bias", "threshold", "lapse_left", "lapse_right", "r_squared", "n_trials"}
    run("Loading from HDF5", "from iblnm.config", "ps.load_h5")
    loaded = names["ps"]
    assert "GCaMP_preprocessed" in loaded.photometry
    assert len(loaded.trials)
    assert loaded.responses
    assert loaded.wheel_velocity.size


def test_the_snippets_of_a_group_run(readme, good_first):
    names = {}

    def run(heading, first, last):
        exec(compile(snippet(readme, heading, first, last), heading, "exec"), names)

    run("Usage", "from iblnm.config", ")")
    assert set(names["group"].recordings["session_type"]) <= {"biased", "ephys"}
    assert len(names["group"])
    run("Filtering and subsetting", "# Standard filters", "rec, ps = group[0]")
    assert set(names["group"].recordings["NM"]) == {"DA"}
    assert names["rec"]["eid"] == names["ps"].eid
    names["group"].filter(names["group"].recordings["eid"] == names["ps"].eid)
    names["h5_path"] = names["ps"].h5_path
    run("Iteration", "for rec, ps in group", "    ...")
    assert names["ps"].responses


def test_the_snippets_about_errors_run(readme, good_first, catalogue):
    names = {"df": catalogue.copy(), "bad_session": catalogue.iloc[0], "pytest": pytest}
    code = snippet(readme, "Error Handling", "from iblnm.validation", "    validate_brain_region(bad_session)")
    exec(compile(code, "errors", "exec"), names)
    assert [row["error_type"] for row in names["error_log"]] == ["InvalidBrainRegion"] * len(catalogue)
