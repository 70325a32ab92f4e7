"""From an Alyx server to results on the command line: sixty sessions over loopback, some of them in trouble."""

import os
import re
import subprocess
import sys

import dagster as dg
import pandas as pd
import pytest
from tests_support.alyx import (
    DATA_PASSWORD,
    PASSWORD,
    PROJECT,
    TOKEN,
    AlyxServer,
    copied_session,
    write_one_settings,
)

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.presets import tiny_plans
from iblnm_core.session.outputs import ON_REQUEST
from iblnm_dagster.instance import open_instance

pytestmark = pytest.mark.graph

REAL = "355d9c65-04b0-4553-b408-a2b53e44bc05"
MISSING = "e4762263-f086-4276-a60e-8228f6040d40"
WRONG_HASH = "19a81b3e-a2bd-4f01-b362-05033657270b"
CUT = "52021f9b-6699-4c89-9f59-2c2f508b14f1"
NEW = "6f2f5a5e-7a0c-4c1e-9d4a-2f1d6a1b7c11"
TRIALS = "_ibl_trials.table.pqt"
RECORDING = (
    ("raw_photometry_data", "_neurophotometrics_fpData.raw.pqt"),
    ("alf/photometry", "photometry.signal.pqt"),
    ("alf/photometry", "photometryROI.locations.pqt"),
    ("alf/task_00", "_ibl_wheel.position.npy"),
    ("alf/task_00", "_ibl_wheel.timestamps.npy"),
    ("alf", "_ibl_leftCamera.times.npy"),
)


@pytest.fixture(scope="module")
def world(shared, real_session, tmp_path_factory):
    """The server, a home with ONE's settings, and a root; sessions of the server have the content of a synthetic one."""
    folder = tmp_path_factory.mktemp("alyx")
    cohort = write_cohort(folder / "content", tiny_plans()[:1], seed=1, workers=1)
    contents = {path.name: path.read_bytes() for path in cohort.cache.glob("*/Subjects/**/*") if path.is_file()}
    real = {path.name: path.read_bytes() for path in real_session.rglob("*") if path.is_file()}
    server = AlyxServer(shared / "alyx_responses", contents, {REAL: real})
    for eid, detail in server.details.items():
        # those of other projects are left out elsewhere; here all sixty are to come through
        detail["projects"] = [*detail["projects"], PROJECT] if PROJECT not in detail["projects"] else detail["projects"]
        names = {dataset["name"] for dataset in detail["data_dataset_session_related"]}
        # the captured sessions were registered without their recordings
        for collection, name in RECORDING:
            if names and name not in names:
                server.register(eid, collection, name)
    write_one_settings(folder / "home", server)
    yield World(server, folder)
    server.close()


class World:
    def __init__(self, server, folder):
        self.server, self.folder, self.root = server, folder, folder / "root"

    def iblnm(self, *arguments, home="home"):
        command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()", *map(str, arguments)]
        environment = {**os.environ, "HOME": str(self.folder / home), "IBLNM_ROOT": str(self.root)}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def table(self, name):
        return pd.read_parquet(self.root / f"{name}.pqt")

    def states(self):
        status = self.table("metadata/session_status")
        # encoding models are made on request
        return status[~status["asset"].isin(ON_REQUEST)].set_index(["eid", "asset"])["state"]

    def errors_of(self, eid):
        errors = self.table("metadata/errors")
        return set(errors[(errors["eid"] == eid) & (errors["severity"] == "fatal")]["error_type"])


@pytest.fixture(scope="module")
def first_run(world):
    server = world.server
    del server.files[server.file_path(MISSING, TRIALS)]
    server.dataset(WRONG_HASH, TRIALS)["hash"] = "f" * 32
    server.always.append((re.escape(server.file_path(CUT, TRIALS).rpartition("/")[0]), "cut"))
    return world.iblnm("run", "--source", "alyx")


def test_the_sessions_of_the_server_become_results(world, first_run):
    assert first_run.returncode == 1, first_run.stdout + first_run.stderr
    sessions = world.table("metadata/sessions")
    listed = [row["id"] for row in world.server.listed(f"projects__name,{PROJECT}")]
    assert len(listed) == 60
    assert set(sessions["eid"]) == set(listed) - {"40154f1d-e9ed-42d3-9635-a822d82329f4"}
    states = world.states()
    assert (states[REAL] == "ok").all()
    assert (states.xs("responses", level="asset") == "ok").sum() > 5


def test_records_that_are_no_sessions_are_named_by_the_check(world, first_run):
    with open_instance(world.root / "dagster") as instance:
        key = dg.AssetCheckKey(dg.AssetKey("session_index"), "records_usable")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    evaluation = record.event.dagster_event.event_specific_data
    assert not evaluation.passed
    (problem,) = evaluation.metadata["problems"].value
    assert problem == "40154f1d-e9ed-42d3-9635-a822d82329f4: number is None; expected a whole number from 0 to 999"


def test_the_fibres_of_the_server_have_tips_and_sides(world, first_run):
    fibers = world.table("metadata/fibers").set_index(["subject", "fiber"])
    assert len(fibers) == len(world.server.insertions)
    seen = fibers.loc[("CQ002", "G0")]
    assert (seen["provenance"], seen["hemisphere"]) == ("Histology track", "r")
    assert fibers["tip_ml_um"].notna().sum() >= 3


def test_sessions_do_without_what_else_the_server_cannot_give(world, first_run):
    world.server.always.append(("^/trajectories", "status_500"))
    result = world.iblnm("run")
    world.server.always.pop()
    assert "not everything is up to date" in result.stderr
    assert "/trajectories" in result.stderr
    assert result.stdout.startswith(("0 sessions were due", "1 sessions were due"))


def test_each_trouble_ends_as_its_kind_says(world, first_run):
    assert "MissingExtractedData" in world.errors_of(MISSING)
    assert "CorruptDataset" in world.errors_of(WRONG_HASH)
    # a broken transfer is no verdict: the session stays due
    assert not world.errors_of(CUT)
    assert (world.states()[CUT] == "source unavailable").all()
    assert re.search(
        rf"could not be had from the source and stay due:\n  {CUT}  .*ChunkedEncodingError", first_run.stdout
    )
    planned = world.iblnm("plan").stdout
    assert "1 sessions are due" in planned
    assert re.search(rf"{CUT}  CQ003 +2024-11-14  new ", planned)
    message = world.table("metadata/errors").set_index("eid").loc[[MISSING]]["error_message"]
    assert message.str.contains("registered, but the data server does not have it").any()


def test_nothing_new_asks_little_and_computes_nothing(world, first_run):
    world.server.always.clear()
    mended = world.iblnm("run")
    assert (world.states()[CUT] == "ok").all(), mended.stdout + mended.stderr
    assert "nothing is due" in world.iblnm("plan").stdout
    world.server.asked.clear()
    before = (world.root / "data" / "sessions" / f"{REAL}.h5").stat().st_mtime_ns
    assert world.iblnm("run").returncode == 0
    assert not world.server.count("^/data/")
    assert (world.root / "data" / "sessions" / f"{REAL}.h5").stat().st_mtime_ns == before


def test_a_new_session_and_a_mended_dataset_are_all_that_is_computed(world, first_run):
    server = world.server
    stored = {path: path.stat().st_mtime_ns for path in (world.root / "data" / "sessions").glob("*.h5")}
    server.details[NEW] = copied_session(server.details[REAL], NEW, "2024-12-01")
    dataset = server.dataset(WRONG_HASH, TRIALS)
    server.serve(dataset, {})
    dataset["auto_datetime"] = "2026-12-01T00:00:00"
    result = world.iblnm("run")
    assert not world.errors_of(WRONG_HASH), result.stdout + result.stderr
    changed = {path.stem for path, time in stored.items() if path.stat().st_mtime_ns != time}
    # siblings of the new session keep their rows: it is their latest
    assert changed == {WRONG_HASH}
    assert world.errors_of(NEW)


def test_metadata_is_read_anew_on_request_and_nothing_stored_is_lost(world, first_run):
    stored = {path: path.stat().st_mtime_ns for path in (world.root / "data" / "sessions").glob("*.h5")}
    world.server.details[REAL]["users"] = ["without a new time stamp"]
    assert world.iblnm("run").returncode == 0
    world.server.asked.clear()
    assert world.iblnm("run", "--redownload").returncode == 0
    assert world.server.count("^/sessions/") == len(world.server.listed(f"projects__name,{PROJECT}"))
    changed = {path.stem for path, time in stored.items() if path.stat().st_mtime_ns != time}
    assert changed == {REAL}
    assert (world.states()[REAL] == "ok").all()


def test_extended_quality_control_comes_on_request_and_asks_for_nothing_more(world, first_run):
    assert not (world.root / "metadata" / "sessions_qc.pqt").exists()
    world.server.asked.clear()
    assert world.iblnm("run").returncode == 0
    n_requests = len(world.server.asked)
    world.server.asked.clear()
    assert world.iblnm("run", "--extended-qc").returncode == 0
    assert len(world.server.asked) == n_requests
    table = world.table("metadata/sessions_qc")
    detail = world.server.details[REAL]
    of_real = table[table["eid"] == REAL].set_index("key")
    assert of_real.loc["qc_session", "outcome"] == detail["qc"]
    assert len(of_real) == 1 + len(detail["extended_qc"] or {})
    assert set(table["eid"]) == set(world.table("metadata/sessions")["eid"])


def test_downloads_stay_within_the_limit_and_come_again_when_they_are_needed(world, first_run):
    settings = world.root / "iblnm.toml"
    # a kilobyte
    settings.write_text(settings.read_text().replace("# downloads_gib = 200", "downloads_gib = 1e-6"))
    downloads = world.root / "downloads"
    assert list(downloads.rglob(TRIALS))
    assert world.iblnm("run", "--eid", REAL, "--reprocess").returncode == 0
    assert not list(downloads.rglob(TRIALS))
    assert not list(downloads.rglob("photometry.signal.pqt"))
    assert list(downloads.rglob("_ibl_experiment.description.yaml"))
    # what is stored stays current
    assert f"{REAL}" not in world.iblnm("plan").stdout
    assert (world.states()[REAL] == "ok").all()
    world.server.asked.clear()
    assert world.iblnm("run", "--eid", REAL, "--reprocess").returncode == 0
    assert world.server.count("^/data/.*_ibl_trials.table") >= 1
    assert (world.states()[REAL] == "ok").all()


def test_a_server_that_is_gone_costs_nothing_that_is_stored(world, first_run):
    stored = {path: path.read_bytes() for path in world.root.rglob("*.pqt")}
    world.server.token = "renewed"
    refused = world.iblnm("run")
    world.server.token = TOKEN
    assert refused.returncode == 2
    assert "refuses the login" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in stored} == stored


def test_without_a_login_one_message_says_what_to_set(world, first_run):
    stored = {path: path.read_bytes() for path in world.root.rglob("*.pqt")}
    for root in (world.root, world.folder / "another"):
        refused = world.iblnm("run", "--root", root, "--source", "alyx", home="nobody")
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
        assert "ONE.setup(" in refused.stderr
        assert "iblnm demo" in refused.stderr
    assert {path: path.read_bytes() for path in stored} == stored


def test_no_secret_is_anywhere(world, first_run):
    secrets = [text.encode() for text in (TOKEN, PASSWORD, DATA_PASSWORD)]
    files = [path for path in world.root.rglob("*") if path.is_file()]
    leaks = [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
    assert not leaks
    assert not any(secret.decode() in first_run.stdout + first_run.stderr for secret in secrets)
