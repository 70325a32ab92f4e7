"""Stages of the command line: what each makes, what partial runs keep, and the error log of each."""

import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from tests_support.stages import ONLY_SESSIONS

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.cohort.status import Catalogue
from iblnm_core.root import create_root
from iblnm_core.schemas import STAGE_LOGS
from iblnm_core.session.outputs import COMPUTED, ON_REQUEST, OUTPUTS, STAGES

pytestmark = pytest.mark.graph

POSITION = "alf/task_00/_ibl_wheel.position.npy"
DIGESTS = ("content_digest", "rows_digest")
CAMERA_TIMES = "alf/_ibl_leftCamera.times.npy"
SIGNAL_OUTPUTS = ("photometry_qc", "corrections", "preprocessed_signal", "transients", "responses")


class World:
    """A root over three equal sessions, of which one has no wheel and one no camera times, and `iblnm` on it."""

    def __init__(self, folder, copies):
        self.made = copies(folder / "cache", 3)
        self.sound, self.no_wheel, self.no_video = self.made.eids
        (self.made.folders[self.no_wheel] / POSITION).unlink()
        (self.made.folders[self.no_video] / CAMERA_TIMES).unlink()
        self.root = create_root(folder / "root", cache=self.made.cache)

    def iblnm(self, *arguments):
        command = [sys.executable, "-c", "from iblnm_dagster.cli import main; main()", *map(str, arguments)]
        environment = {**os.environ, "IBLNM_ROOT": str(self.root.path)}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def states(self):
        status = Catalogue.load(self.root).status()
        return {eid: dict(zip(rows["asset"], rows["state"], strict=True)) for eid, rows in status.groupby("eid")}

    def hashes(self, eid):
        """Content hashes of the parts of a session file."""
        found = {}
        with h5py.File(self.root.session_file(eid)) as file:
            file.visititems(
                lambda name, item: (
                    found.update({name: tuple(item.attrs[digest] for digest in DIGESTS)})
                    if DIGESTS[0] in item.attrs
                    else None
                )
            )
        return found

    def table(self, name):
        return pd.read_parquet(self.root.path / f"{name}.pqt")


@pytest.fixture(scope="module")
def world(tmp_path_factory, copies):
    return World(tmp_path_factory.mktemp("stages"), copies)


def test_every_output_belongs_to_a_stage():
    of_sessions = {output.stage for output in OUTPUTS.values()}
    assert of_sessions | {analysis.stage for analysis in ANALYSES.values()} == {*STAGES, "all"}


def test_stages_one_after_the_other_make_what_belongs_to_each(world):
    assert world.iblnm("run", "--only", "query_database").returncode == 0
    never = {**dict.fromkeys(COMPUTED, "never run"), **dict.fromkeys(ON_REQUEST, "on request")}
    assert world.states() == {key: {**never, "session_metadata": "ok"} for key in world.made.eids}
    assert world.iblnm("run", "--only", "photometry").returncode == 0
    # trials are what responses need
    made = dict.fromkeys(("session_metadata", "trials", *SIGNAL_OUTPUTS), "ok")
    assert world.states() == {key: {**never, **made} for key in world.made.eids}
    assert world.iblnm("run", "--only", "task").returncode == 0
    rest = world.iblnm("run", "--from", "wheel")
    # a session without wheel is a failed session, one without video is not
    assert rest.returncode == 1
    assert world.no_wheel in rest.stdout
    assert world.no_video not in rest.stdout
    ok = {**dict.fromkeys(COMPUTED, "ok"), **dict.fromkeys(ON_REQUEST, "on request")}
    assert world.states() == {
        world.sound: ok,
        world.no_wheel: {**ok, "wheel_velocity": "failed"},
        world.no_video: {**ok, "video_qc": "absent", "pose": "absent"},
    }
    assert "nothing is due" in world.iblnm("plan").stdout


def test_a_partial_run_keeps_all_other_groups(world):
    before = world.hashes(world.sound)
    assert {"trials", "performance", "wheel/responses", "video_qc", "trial_regressors"} <= set(before)
    for stage in ("task", "wheel", "video"):
        result = world.iblnm("run", "--only", stage, "--reprocess", "--eid", world.sound)
        assert result.returncode == 0, result.stderr
        after = world.hashes(world.sound)
        # their results are what they were; the ledger says when they were made
        assert {name: value for name, value in after.items() if name != "provenance"} == {
            name: value for name, value in before.items() if name != "provenance"
        }
    assert set(world.states()[world.sound].values()) == {"ok", "on request"}


def test_what_changed_elsewhere_waits_for_its_stage(world):
    camera = world.made.folders[world.sound] / CAMERA_TIMES
    content = camera.read_bytes()
    camera.unlink()
    camera.write_bytes(content[:-8] + content[-16:-8])
    assert world.iblnm("run", "--only", "photometry").stdout.startswith("0 sessions were due")
    assert world.states()[world.sound]["video_qc"] == "out of date"
    assert world.iblnm("run", "--only", "video").stdout.startswith("1 sessions were due: 1 computed")
    log = world.table("metadata/video_log")
    assert log[log["eid"] == world.sound]["error_message"].str.contains("1 frames do not follow").any()


def test_logs_by_stage_are_the_errors_by_stage(world):
    errors = world.table("metadata/errors")
    logs = {stage: world.table(f"metadata/{stage}_log") for stage in STAGE_LOGS}
    assert list(logs["photometry"].columns[:4]) == ["eid", "error_type", "error_message", "traceback"]
    assert {stage: set(rows["stage"]) <= {stage, "all"} for stage, rows in logs.items()} == dict.fromkeys(
        STAGE_LOGS, True
    )
    assert sum(map(len, logs.values())) == len(errors)
    assert logs["wheel"]["error_type"].tolist() == ["MissingExtractedData"]
    assert logs["wheel"]["eid"].tolist() == [world.no_wheel]
    assert set(logs["video"]["error_type"]) >= {"MissingVideoTimestamps"}
    # a stage without rules has no log
    assert set(STAGE_LOGS) == set(STAGES) - {analysis.stage for analysis in ANALYSES.values()}


def test_only_and_from_exclude_each_other(world):
    result = world.iblnm("run", "--only", "task", "--from", "wheel")
    assert result.returncode == 2
    assert "exclude each other" in result.stderr


def test_a_stage_that_goes_wrong_stops_what_follows_unless_told_otherwise(world, break_file):
    table = world.made.cache / "datasets.pqt"
    sound = table.read_bytes()
    position = world.made.folders[world.sound] / POSITION
    moved = np.load(position) + 1e-3
    break_file(table)
    position.unlink()
    np.save(position, moved)
    stopped = world.iblnm("run", *ONLY_SESSIONS)
    assert stopped.returncode == 1
    assert "datasets.pqt" in stopped.stderr
    assert world.states()[world.sound]["wheel_velocity"] == "out of date"
    went_on = world.iblnm("run", "--skip-errors", *ONLY_SESSIONS)
    assert went_on.returncode == 1
    assert "catalogue" in went_on.stderr
    assert "datasets.pqt" in went_on.stderr
    assert world.states()[world.sound]["wheel_velocity"] == "ok"
    table.write_bytes(sound)


def test_a_dagster_home_that_was_deleted_is_no_obstacle(world):
    shutil.rmtree(world.root.dagster_home)
    result = world.iblnm("run", "--only", "task", "--reprocess", "--eid", world.sound)
    assert result.returncode == 0, result.stderr
