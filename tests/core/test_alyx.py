"""The Alyx source against a loopback server that speaks as the captured one, failures included."""

import shutil

import pytest
from one.api import ONE
from tests_support.alyx import (
    DATA_PASSWORD,
    PASSWORD,
    TOKEN,
    AlyxServer,
    copied_session,
    write_one_settings,
)
from tests_support.sessions import catalogue_of

from iblnm_core.errors import ConfigurationError, CorruptDataset, SourceUnavailable
from iblnm_core.notebook import PhotometrySession
from iblnm_core.root import create_root
from iblnm_core.sources import alyx_server, downloads
from iblnm_core.sources.alyx import AlyxSource
from iblnm_core.sources.downloads import NotOnServer, RemoteFile

REAL = "355d9c65-04b0-4553-b408-a2b53e44bc05"
NULL_START = "40154f1d-e9ed-42d3-9635-a822d82329f4"
REVISED = "185fd75b-6a28-4832-b30a-0dd60d635b86"
TRIALS, LOCATIONS = "_ibl_trials.table.pqt", "photometryROI.locations.pqt"


@pytest.fixture
def server(shared, real_session):
    real = {path.name: path.read_bytes() for path in real_session.rglob("*") if path.is_file()}
    server = AlyxServer(shared / "alyx_responses", {LOCATIONS: real[LOCATIONS]}, {REAL: real})
    yield server
    server.close()


@pytest.fixture
def home(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_one_settings(tmp_path / "home", server)
    return tmp_path / "home"


@pytest.fixture
def source(home, server, tmp_path):
    return AlyxSource(tmp_path / "cache", server.url, back_off_s=0.01)


def remote(source, eid, name):
    record = next(record for record in source.list_sessions().records if record.eid == eid)
    file = next(RemoteFile.from_text(text) for text in record.remote if name in text)
    return file, source.session_folder(record.folder)


def test_what_a_client_of_one_lists_is_listed(source, server, tmp_path):
    listing = source.list_sessions()
    ONE.cache_clear()
    client = ONE(base_url=server.url, silent=True, cache_rest=None, cache_dir=tmp_path / "one")
    rows = client.alyx.get("/sessions?django=projects__name,ibl_fibrephotometry&limit=1000")
    assert {record.eid for record in listing.records} | {r.record for r in listing.rejected} == {r["id"] for r in rows}
    assert len(listing.records) > 40
    real = next(record for record in listing.records if record.eid == REAL)
    assert real.folder == "cortexlab/Subjects/CQ002/2024-11-05/001"
    assert (real.regions, real.implanted) == (("SI", "PPT"), None)
    assert "alf/task_00/_ibl_trials.table.pqt" in real.datasets
    assert real.end_time == "2024-11-05T13:33:40.128579"
    assert (real.strain, real.line, real.n_subject_rows) == ("C57BL/6J", "Ai148xSert-Cre", 1)


def test_a_record_that_is_no_session_is_its_own_problem(source, server):
    server.details[REAL]["start_time"] = None
    rejected = {entry.record: entry.problem for entry in source.list_sessions().rejected}
    assert rejected[NULL_START] == "number is None; expected a whole number from 0 to 999"
    assert rejected[REAL].startswith("start_time is None")
    assert len(rejected) == 2


def test_the_first_listing_reads_each_session_once_and_a_later_one_only_news(source, server):
    source.list_sessions()
    n_listed = len(server.listed("projects__name,ibl_fibrephotometry"))
    assert server.count(r"^/sessions/") == n_listed
    assert server.count(r"^/(sessions|subjects|datasets)\?") == 2
    # a minute later than everything else
    server.details[REAL] |= {"auto_datetime": "2026-11-22T23:00:00", "users": ["somebody"]}
    again(source).list_sessions()
    server.asked.clear()
    listing = again(source).list_sessions()
    assert server.count(r"^/sessions/") == 1
    assert server.count(r"^/(sessions|subjects|datasets)\?") == 4
    assert not server.count("^/data/")
    assert next(record for record in listing.records if record.eid == REAL).users == ("somebody",)


def again(source):
    """Another command on the same cache."""
    return AlyxSource(source.cache, source.url, back_off_s=0.01)


def test_new_and_deleted_sessions_are_seen(source, server):
    before = {record.eid for record in source.list_sessions().records}
    new = "6f2f5a5e-7a0c-4c1e-9d4a-2f1d6a1b7c11"
    server.details[new] = copied_session(server.details[REAL], new, "2024-12-01")
    gone = next(iter(before - {REAL}))
    del server.details[gone]
    after = {record.eid for record in again(source).list_sessions().records}
    assert after == before - {gone} | {new}


def test_a_changed_dataset_is_seen(source, server):
    source.list_sessions()
    dataset = server.dataset(REAL, TRIALS)
    dataset |= {"hash": "0" * 32, "auto_datetime": "2026-11-23T00:00:00"}
    file, _ = remote(again(source), REAL, TRIALS)
    assert file.md5 == "0" * 32
    dataset["auto_datetime"] = "2026-11-22T00:00:00"
    server.asked.clear()
    again(source).list_sessions()
    assert not server.count("^/sessions/")


def test_a_listed_session_without_details_is_its_own_problem_for_now(source, server):
    server.faults.append((f"^/sessions/{REAL}", "status_404"))
    rejected = {entry.record: entry.problem for entry in source.list_sessions().rejected}
    assert rejected[REAL] == "the server lists it but has no details of it (HTTP 404)"
    assert REAL in {record.eid for record in again(source).list_sessions().records}


def test_an_interrupted_first_listing_goes_on(source, server):
    server.always.append((f"^/sessions/{REAL}", "status_503"))
    with pytest.raises(SourceUnavailable, match="HTTP 503"):
        source.list_sessions()
    server.always.clear()
    read = server.count("^/sessions/") - 4
    server.asked.clear()
    again(source).list_sessions()
    assert server.count("^/sessions/") == len(server.listed("projects__name,ibl_fibrephotometry")) - read


def test_rows_that_come_and_go_while_paging_are_not_lost(source, server, monkeypatch):
    monkeypatch.setattr(alyx_server, "PAGE", 10)
    new = "6f2f5a5e-7a0c-4c1e-9d4a-2f1d6a1b7c11"
    gone = next(
        eid for eid in server.details if eid != REAL and "ibl_fibrephotometry" in server.details[eid]["projects"]
    )

    def change(path):
        if "offset=20" in path:
            server.details.setdefault(new, copied_session(server.details[REAL], new, "2025-12-01"))
            server.details.pop(gone, None)

    server.on_request = change
    listing = source.list_sessions()
    found = {record.eid for record in listing.records} | {entry.record for entry in listing.rejected}
    assert found == {row["id"] for row in server.listed("projects__name,ibl_fibrephotometry")}
    assert new in found
    assert gone not in found


@pytest.mark.parametrize(
    "fault", ["throttled", "status_500", "status_502", "status_503", "html", "cut", "drop", "hang"]
)
def test_passing_trouble_is_waited_out(source, server, fault, monkeypatch):
    monkeypatch.setattr(alyx_server, "TIMEOUT_S", (1.0, 0.5))
    server.faults.append((r"^/subjects", fault))
    assert len(source.list_sessions().records) > 40
    assert server.count("^/subjects") == 2


@pytest.mark.parametrize(
    ("fault", "text", "attempts"),
    [
        ("status_500", "HTTP 500", 2),
        ("status_503", "HTTP 503", 4),
        ("status_414", "HTTP 414", 1),
        ("html", "no JSON", 4),
        ("drop", "ConnectionError", 4),
        ("throttled_for_long", "HTTP 429", 1),
    ],
)
def test_lasting_trouble_is_no_verdict(source, server, fault, text, attempts):
    server.always.append((r"^/subjects", fault))
    with pytest.raises(SourceUnavailable, match=text):
        source.list_sessions()
    assert server.count("^/subjects") == attempts


def test_a_refused_login_says_what_to_do_and_shows_no_secret(source, server):
    server.token = "another"
    with pytest.raises(ConfigurationError, match=r"refuses the login of 'test_user'.*ONE.setup") as error:
        source.check_access()
    assert TOKEN not in str(error.value)
    assert (source.cache.parent / "home" / ".one").is_dir()


def test_a_stored_password_logs_in_and_is_kept_nowhere(source, server, home, tmp_path):
    write_one_settings(home, server, token=None, password=PASSWORD)
    settings = [path.read_text() for path in (home / ".one").iterdir()]
    assert source.list_sessions().records
    assert [path.read_text() for path in (home / ".one").iterdir()] == settings
    kept = [path for path in source.cache.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert not kept
    assert PASSWORD not in repr(source.server.settings)
    write_one_settings(home, server, token=None, password="wrong")
    with pytest.raises(ConfigurationError, match="refuses the login"):
        again(source).check_access()


def test_without_settings_of_one_the_message_says_what_to_set(source, home):
    shutil.rmtree(home / ".one")
    with pytest.raises(ConfigurationError, match=r"ONE is not set up for Alyx.*ONE.setup.*iblnm demo"):
        source.check_access()
    assert not (home / ".one").exists()


def test_without_network_the_message_says_what_to_check(source, server):
    server.close()
    with pytest.raises(ConfigurationError, match="Check the network and the address"):
        source.check_access()


def test_a_dataset_is_fetched_once_whole_and_verified(source, server, real_session):
    file, folder = remote(source, REAL, TRIALS)
    path = source.fetcher.fetch(file, folder)
    assert path.read_bytes() == (real_session / "alf/task_00" / TRIALS).read_bytes()
    asked = server.count(TRIALS.rpartition(".")[0])
    source.fetcher.fetch(file, folder)
    assert server.count(TRIALS.rpartition(".")[0]) == asked


def test_what_a_killed_run_left_is_not_taken(source, server, real_session):
    file, folder = remote(source, REAL, TRIALS)
    (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
    (folder / file.path).write_bytes(b"half a f")
    whole = source.fetcher.fetch(file, folder)
    assert whole.stat().st_size == file.size
    assert [path.name for path in whole.parent.iterdir()] == [TRIALS]


@pytest.mark.parametrize("fault", ["cut", "drop", "status_500", "status_503"])
def test_a_broken_transfer_is_tried_again(source, server, fault):
    file, folder = remote(source, REAL, TRIALS)
    server.faults.append(("^/data/.*_ibl_trials", fault))
    assert source.fetcher.fetch(file, folder).stat().st_size == file.size


@pytest.mark.parametrize("fault", ["cut", "drop", "status_500", "status_401"])
def test_a_transfer_that_never_succeeds_is_no_verdict_and_leaves_nothing(source, server, fault):
    file, folder = remote(source, REAL, TRIALS)
    server.always.append(("^/data/.*_ibl_trials", fault))
    with pytest.raises(SourceUnavailable) as error:
        source.fetcher.fetch(file, folder)
    assert DATA_PASSWORD not in str(error.value)
    assert not [path for path in folder.rglob("*") if "trials" in path.name]


def test_a_dataset_that_the_server_lacks_is_missing(source, server):
    file, folder = remote(source, REAL, TRIALS)
    del server.files[server.file_path(REAL, TRIALS)]
    with pytest.raises(NotOnServer):
        source.fetcher.fetch(file, folder)


@pytest.mark.parametrize(("field", "value", "text"), [("hash", "f" * 32, "MD5"), ("file_size", 7, "registered are 7")])
def test_a_file_that_is_not_the_registered_one_is_corrupt(source, server, field, value, text):
    server.dataset(REAL, TRIALS)[field] = value
    file, folder = remote(source, REAL, TRIALS)
    with pytest.raises(CorruptDataset, match=text):
        source.fetcher.fetch(file, folder)
    assert server.count("^/data/.*_ibl_trials") == 2
    assert not (folder / file.path).exists()


def test_a_disk_without_room_is_said_before_the_transfer(source, server, monkeypatch):
    from iblnm_core.errors import StorageFull

    file, folder = remote(source, REAL, TRIALS)
    monkeypatch.setattr(downloads, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(StorageFull):
        source.fetcher.fetch(file, folder)
    assert not server.count("^/data/.*_ibl_trials")


def test_the_default_revision_is_taken_under_its_plain_name(source, server):
    file, folder = remote(source, REVISED, TRIALS)
    assert file.path == "alf/task_00/_ibl_trials.table.pqt"
    assert "#2024-12-01#" in file.remote_path
    assert source.fetcher.fetch(file, folder) == folder / file.path


def test_no_path_leads_out_of_the_cache(source, server):
    dataset = server.dataset(REAL, TRIALS)
    dataset["collection"] = "../../../../../../etc"
    server.details[REVISED]["subject"] = "../../evil"
    listing = source.list_sessions()
    real = next(record for record in listing.records if record.eid == REAL)
    assert not [path for path in real.datasets if ".." in path or "etc" in path]
    assert REVISED in {entry.record for entry in listing.rejected}


def test_fibres_come_with_their_trajectories_and_from_the_table_beside(source, server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "fibers.csv").write_text("subject,targeted_region,X-ml_um\nCQ002,DRN,0\n")
    server.insertions.append({**server.insertions[0], "id": "other", "subject": "of another project"})
    server.asked.clear()
    fibers = source.list_fibers()
    assert {(fiber.subject, fiber.name, fiber.source) for fiber in fibers} == {
        ("CQ002", "G0", "Alyx"),
        ("CQ002", "G4", "Alyx"),
        ("fip_40", "Region0G", "Alyx"),
        ("fip_40", "Region1G", "Alyx"),
        ("EXM_003", "G0", "Alyx"),
        ("CQ002", "DR", "table of fibres"),
    }
    first = next(fiber for fiber in fibers if (fiber.subject, fiber.name) == ("CQ002", "G0"))
    assert {trajectory.provenance for trajectory in first.trajectories} == {"Planned", "Histology track"}
    assert first.region == "DR"
    # subjects, insertions, trajectories
    assert len(server.asked) == 3


def test_a_server_without_trajectories_is_unavailable_for_fibres(source, server):
    server.always.append(("^/trajectories", "status_404"))
    with pytest.raises(SourceUnavailable, match="no list of trajectories"):
        source.list_fibers()
    assert source.list_sessions().records


@pytest.mark.parametrize("through", ["root", "one"])
def test_a_session_in_a_notebook_has_its_datasets_from_the_server(home, server, tmp_path, monkeypatch, through):
    root = create_root(tmp_path / "root", source="alyx")
    row = catalogue_of(root).sessions[REAL]
    server.register(REAL, "alf/photometry", "photometry.signal.pqt")
    ONE.cache_clear()
    if through == "root":
        session = PhotometrySession(catalogue_of(root).sessions[REAL], root=root)
    else:
        monkeypatch.setenv("IBLNM_ROOT", str(tmp_path / "nowhere"))
        session = PhotometrySession(row, ONE(base_url=server.url, cache_dir=tmp_path / "one", silent=True))
    server.asked.clear()
    session.load_trials()
    assert len(session.trials) == 328
    assert any("_ibl_trials.table" in path for path in server.asked)
    server.asked.clear()
    session.load_trials()
    # what was downloaded is there
    assert not any("_ibl_trials.table" in path for path in server.asked)
