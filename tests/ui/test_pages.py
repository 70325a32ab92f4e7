"""What a user sees and does in the web interface: the graph, a batch with a failed session, mending that session.

One story in the order of the tests, as every server costs ten seconds.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from ui.interface import Server, eventually

from iblnm_core.root import create_root
from iblnm_core.schemas import ERRORS, SESSION_STATUS
from iblnm_core.session.outputs import upstream
from iblnm_core.storage.tables import read_table
from iblnm_dagster.definitions import build_defs

pytestmark = pytest.mark.browser

RESPONSES = "/assets/responses?view=partitions"
_FITS = 20
TRIALS = "alf/task_00/_ibl_trials.table.pqt"


def group(name):
    """The page of a group of the graph."""
    return f"/asset-groups~group:%22{name}%22"


@dataclass(frozen=True)
class Cohort:
    """Four sessions, one of them with too few trials."""

    server: Server
    eids: list[str]
    broken: str
    mend: Path
    sound: bytes

    @property
    def root(self):
        return self.server.root


@pytest.fixture(scope="module")
def cohort(serve, copies, few_trials, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    sessions = copies(folder / "cache", 4)
    broken = sessions.eids[1]
    sound = few_trials(sessions.folders[broken])
    root = create_root(folder / "root", source="local", cache=sessions.cache)
    # a root that no command was run on yet: the web interface has to do with it too
    return Cohort(serve(root.path), sessions.eids, broken, sessions.folders[broken] / TRIALS, sound)


@pytest.fixture(scope="module")
def server(cohort):
    return cohort.server


@pytest.fixture
def runs_end(server):
    """Wait until so many runs exist and all have ended."""

    def wait(count, seconds):
        def ended():
            runs = server.runs()
            return len(runs) == count and all(run["status"] in {"SUCCESS", "FAILURE"} for run in runs) and runs

        return eventually(ended, seconds, f"{count} runs ended")

    return wait


def test_the_graph_shows_every_asset(reader):
    specs = build_defs().resolve_all_asset_specs()
    groups = {spec.group_name for spec in specs}
    assert {"catalogue", "session", "tables", "responses"} <= groups
    for name in groups:
        reader.open(group(name))
        # the list beside the graph is sorted, and shows what fits: of a large group, the first ones
        listed = sorted(spec.key.path[-1] for spec in specs if spec.group_name == name)[:_FITS]
        for title in listed:
            reader.page.locator(f'[title="{title}"]').first.wait_for()


def test_sessions_are_registered_by_materialising_the_catalogue(reader, runs_end):
    reader.materialise(group("catalogue"), None)
    (run,) = runs_end(1, 90)
    assert run["status"] == "SUCCESS"
    reader.shows(RESPONSES, 10, Failed=0, Materialized=0, Missing=4)


def test_a_failed_session_is_red_among_green_ones(reader, cohort):
    reader.materialise(group("session"), None)
    reader.button("All")
    reader.button("Launch backfill")
    # the daemon looks for backfills every thirty seconds
    reader.shows(RESPONSES, 90, Failed=1, Materialized=3, Missing=0)
    red = {cohort.broken: "red"}
    assert reader.colours() == dict.fromkeys(cohort.eids, "green") | red
    # what went well of the failed session is there
    reader.shows("/assets/preprocessed_signal?view=partitions", 5, Failed=0, Materialized=4)


def test_a_failed_check_says_why(reader, cohort):
    reader.open("/assets/trials?view=checks&checkDetail=enough_trials")
    # the tabs of the check come below those of the asset, and later
    reader.page.get_by_text("Execution history").wait_for()
    reader.page.get_by_text("Partitions", exact=True).last.click()
    reader.page.get_by_text("Passed (3)").wait_for()
    assert reader.counts()["Failed"] == 1
    assert reader.colours() == dict.fromkeys(cohort.eids, "green") | {cohort.broken: "red"}
    # above the list is the selection, with the same names
    reader.page.locator(f'[title="{cohort.broken}"]').last.click()
    reader.page.get_by_text("error_type").first.wait_for()
    text = reader.text()
    for said in ("InsufficientTrials", "message", "n_trials=60 < MIN_NTRIALS=90", "measured", "threshold"):
        assert said in text


def test_a_mended_session_turns_green_on_its_own(reader, cohort, runs_end):
    cohort.mend.unlink()
    cohort.mend.write_bytes(cohort.sound)
    before = len(cohort.server.runs())

    reader.open(RESPONSES)
    reader.page.locator(f'[title="{cohort.broken}"]').first.click()
    reader.page.get_by_text("did not materialize this asset").wait_for()
    reader.materialise(f"{RESPONSES}&partition={cohort.broken}", "Launch 1 run")
    assert runs_end(before + 1, 60)[0]["status"] == "SUCCESS"
    reader.shows(RESPONSES, 10, Failed=0, Materialized=4)
    assert reader.colours() == dict.fromkeys(cohort.eids, "green")

    reader.materialise(group("tables"), None)
    assert runs_end(before + 2, 60)[0]["status"] == "SUCCESS"
    status = read_table(cohort.root, SESSION_STATUS)
    assert set(status["eid"]) == set(cohort.eids)
    made = status[status["asset"].isin(upstream({"responses"}))]
    assert set(made["state"]) == {"ok"}
    # what was not asked for waits for its turn
    waiting = status[status["due"].notna()]
    assert set(waiting["eid"]) == {cohort.broken}
    assert "wheel_velocity" in set(waiting["asset"])
    errors = read_table(cohort.root, ERRORS)
    assert not (errors["severity"] == "fatal").any()
