"""The same graph on workers in other network namespaces, with its history in Postgres: equal results, and deaths cost nothing."""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy
from tests_support import sessions_that_kill, spread_sessions
from tests_support.postgres import PASSWORD, postgres_server
from tests_support.postgres import why_not as why_no_postgres
from tests_support.stages import SESSION_STAGES

from iblnm_core.cohort.collect import COLLECTED, collected_rows
from iblnm_core.root import create_root
from iblnm_core.schemas import TABLES
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import stored_table

pytest.importorskip("distributed", reason="the package distributed is not installed (extra scale)")
pytest.importorskip("dagster_postgres", reason="the package dagster-postgres is not installed (extra scale)")

from tests_support.dask_cluster import spread_cluster, why_no_namespaces

pytestmark = pytest.mark.scale

VARIABLE = "IBLNM_TEST_POSTGRES"


def add_settings(root, run="", more=""):
    path = root.path / "iblnm.toml"
    path.write_text(path.read_text().replace("[run]\n", f"[run]\n{run}\n") + more)


@pytest.fixture(scope="module")
def spread(tmp_path_factory, copies):
    """Six sessions, one of which kills its first worker and one every worker: on this machine, and on workers elsewhere."""
    why = why_no_namespaces() or why_no_postgres()
    if why:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("spread")
    made = copies(folder / "cache", 6)
    once, deadly = made.eids[1], made.eids[3]
    (made.folders[once] / "kills_once").touch()
    trials = made.folders[deadly] / "alf/task_00/_ibl_trials.table.pqt"
    trials.unlink()
    trials.write_bytes(sessions_that_kill.DEADLY)
    alone = create_root(folder / "alone", cache=made.cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iblnm_dagster.session_step.process_session", sessions_that_kill.process_or_die)
        from iblnm_dagster.runs import LocalRuns

        with LocalRuns(alone) as runs:
            runs.catalogue()
            assert runs.sessions(made.eids).failed == [deadly]
            runs.collect(SESSION_STAGES)
    root = create_root(folder / "spread", cache=made.cache)
    (root.path / spread_sessions.NOTES).mkdir()
    with postgres_server() as address, spread_cluster(folder) as cluster:
        add_settings(root, f'scheduler = "{cluster.address}"', f'\n[dagster]\npostgres_url_env = "{VARIABLE}"\n')
        script = f"from tests_support.spread_sessions import main; main({str(root.path)!r})"
        command = [sys.executable, "-c", script]
        result = cluster.run(command, **{VARIABLE: address})
        assert result.returncode == 0, result.stdout + result.stderr
        notes = [json.loads(path.read_text()) for path in sorted((root.path / spread_sessions.NOTES).glob("*.json"))]
        yield SimpleNamespace(
            alone=alone,
            root=root,
            eids=made.eids,
            once=once,
            deadly=deadly,
            found=json.loads((root.path / spread_sessions.NOTES / spread_sessions.FOUND).read_text()),
            output=result.stdout + result.stderr,
            notes=notes,
            address=address,
        )


def content(root, eid):
    """All parts of a session file as plain values that compare by the bit."""
    with SessionFile(root.session_file(eid), eid) as file:
        parts = {name: file.read(name) for name in file.parts()}

    def plain(values):
        if isinstance(values, np.ndarray):
            return values.dtype.str, values.shape, values.tobytes()
        return list(values)

    return {
        # what is unknown is equal in its text only
        name: ({key: plain(values) for key, values in part.datasets.items()}, repr(sorted(part.attributes.items())))
        for name, part in parts.items()
    }


def test_every_session_arrives_and_is_reported_to_postgres(spread):
    assert spread.found["reports"] == spread.found["reported"] == spread.eids
    assert spread.found["storages"] == [
        "PooledPostgresEventLogStorage",
        "PostgresRunStorage",
        "PostgresScheduleStorage",
    ]
    # the sensor reads the same history: what failed for no known reason is asked for again, and nothing else
    assert spread.found["requested"] == [spread.deadly]
    assert not (spread.root.dagster_home / "history").exists()


def test_results_are_those_of_one_machine_to_the_bit(spread):
    for eid in spread.eids:
        here, there = content(spread.alone, eid), content(spread.root, eid)
        assert set(here) == set(there)
        for part in here:
            assert here[part] == there[part], f"{eid}: {part}"
    for name in COLLECTED:
        here, there = (stored_table(root.path, TABLES[name]) for root in (spread.alone, spread.root))
        assert here.content_hash == there.content_hash, name


def test_sessions_were_computed_in_both_namespaces_and_not_here(spread):
    networks = {note["network"] for note in spread.notes}
    assert len(networks) == 2
    assert str(Path("/proc/self/ns/net").readlink()) not in networks


def test_a_worker_that_dies_repeats_only_what_it_was_at(spread):
    begun = Counter(note["eid"] for note in spread.notes)
    assert begun[spread.once] == 2
    workers = defaultdict(set)
    for note in spread.notes:
        workers[note["eid"]].add(note["pid"])
    fatal = {note["pid"] for note in spread.notes if note["eid"] == spread.deadly}
    fatal.add(next(note["pid"] for note in spread.notes if note["eid"] == spread.once))
    for eid in set(spread.eids) - {spread.once, spread.deadly}:
        # a result may still lie with the worker that dies
        assert begun[eid] == 1 or workers[eid] & fatal, eid


def test_a_session_that_kills_worker_after_worker_fails_alone_with_the_verdict_of_one_machine(spread):
    assert spread.found["failed"] == [spread.deadly]
    here, there = (collected_rows(root, "errors") for root in (spread.alone, spread.root))
    assert here.to_dict("records") == there.to_dict("records")
    [fatal] = there[there["severity"] == "fatal"].to_dict("records")
    assert (fatal["eid"], fatal["error_type"]) == (spread.deadly, "UnexpectedError")
    assert "WorkerDied" in fatal["error_message"]


def test_the_password_is_in_no_file_no_output_and_no_event(spread):
    assert PASSWORD in spread.address
    assert PASSWORD not in spread.output
    files = [path for path in spread.root.path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]
    engine = sqlalchemy.create_engine(spread.address)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(engine).get_table_names()
        assert {"event_logs", "runs", "dynamic_partitions"} <= set(tables)
        for table in tables:
            query = f'select count(*) from "{table}" as t where t::text like :secret'
            assert connection.execute(sqlalchemy.text(query), {"secret": f"%{PASSWORD}%"}).scalar() == 0, table
    engine.dispose()
