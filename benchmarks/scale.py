"""What 1,000 to 100,000 sessions cost beside their computation: catalogue, sensor, events, web interface, space on disk.

The events of one session are real, those of the others copies of them; the catalogue is made up; session files are links. Once with
the history in files of the root, once in Postgres where a server is installed. Prints a table and writes it to
`benchmarks/results/scale.json`; `python benchmarks/scale.py 1000` measures at that size only.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import requests
import sqlalchemy

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "benchmarks")]

from automation import remote_record, tick, write_catalogue, write_results  # noqa: E402 - after the path is there
from graph import make_cache  # noqa: E402
from tests_support.postgres import postgres_server, why_not  # noqa: E402

from iblnm_core.cohort.current import note_current, stamp_of  # noqa: E402
from iblnm_core.cohort.status import Catalogue  # noqa: E402
from iblnm_core.root import create_root, open_root  # noqa: E402
from iblnm_dagster.instance import open_instance, write_dagster_home  # noqa: E402
from iblnm_dagster.runs import LocalRuns  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "scale.json"
VARIABLE = "IBLNM_BENCHMARK_POSTGRES"
SIZES = {1_000: 1.0, 10_000: 0.2, 100_000: 0.02}
"""Number of sessions, and the share of them with all their events; the others have that of `session_errors` alone."""

OPENED = 1_000
"""Session files that are opened to see what opening one costs: they are all alike."""

LINKS = 30_000
"""Links to one file, below the limit of common file systems."""

ASSET_PAGE = """
query Page($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { id
  partitionStats { numMaterialized numPartitions numFailed numMaterializing }
  assetMaterializations(limit: 100) { timestamp runId partition metadataEntries { label } } } } }
"""
PARTITIONS_PAGE = """
query Page($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { id
  partitionKeysByDimension { name type partitionKeys }
  assetPartitionStatuses { ... on DefaultPartitionStatuses {
    materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } } } } }
"""


@contextlib.contextmanager
def timed(seconds, name):
    started = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - started, 4)


def template_home(folder, variable):
    """Take one real session through the graph; return the Dagster home with its events, and its id."""
    cache = make_cache(folder, 1)
    root = create_root(folder / "template", cache=cache)
    if variable:
        with (root.path / "iblnm.toml").open("a") as settings:
            settings.write(f'\n[dagster]\npostgres_url_env = "{variable}"\n')
    with LocalRuns(open_root(root.path)) as runs:
        runs.catalogue()
        [eid] = runs.instance.get_dynamic_partitions("eid")
        assert not runs.sessions([eid]).failed
        runs.instance.delete_dynamic_partition("eid", eid)
    return root.dagster_home, eid


def copy_events(instance, template, eids, share):
    """Copy the events of one session for others: with all their numbers shifted, so that what points to each other still does."""
    with instance.event_log_storage.index_connection() as connection:

        def run(statement, **values):
            return connection.execute(sqlalchemy.text(statement), values)

        run("create temporary table copied(eid text, shift bigint, complete boolean)")
        stride = 10_000
        rows = [
            {"eid": eid, "shift": (number + 1) * stride, "complete": number < share * len(eids)}
            for number, eid in enumerate(eids)
        ]
        connection.execute(sqlalchemy.text("insert into copied values (:eid, :shift, :complete)"), rows)
        pattern, old = f"%{template}%", template
        run(
            "insert into event_logs(id, run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition) "
            "select e.id + c.shift, e.run_id, replace(e.event, :old, c.eid), e.dagster_event_type, e.timestamp, e.step_key, "
            "e.asset_key, replace(e.partition, :old, c.eid) from event_logs e cross join copied c where e.id < :stride "
            "and e.event like :pattern and (c.complete or (e.asset_key = :errors and e.dagster_event_type = 'ASSET_MATERIALIZATION'))",
            old=old, pattern=pattern, stride=stride, errors='["session_errors"]',
        )  # fmt: skip
        run(
            "insert into asset_event_tags(id, event_id, asset_key, key, value, event_timestamp) "
            "select t.id + c.shift, t.event_id + c.shift, t.asset_key, t.key, replace(t.value, :old, c.eid), t.event_timestamp "
            "from asset_event_tags t cross join copied c join event_logs e on e.id = t.event_id "
            "where t.id < :stride and c.complete and e.event like :pattern",
            old=old, pattern=pattern, stride=stride,
        )  # fmt: skip
        run(
            "insert into asset_check_executions(id, asset_key, check_name, partition, run_id, execution_status, evaluation_event, "
            "evaluation_event_timestamp, evaluation_event_storage_id, materialization_event_storage_id) "
            "select a.id + c.shift, a.asset_key, a.check_name, c.eid, a.run_id, a.execution_status, "
            "replace(a.evaluation_event, :old, c.eid), a.evaluation_event_timestamp, a.evaluation_event_storage_id + c.shift, "
            "a.materialization_event_storage_id + c.shift from asset_check_executions a cross join copied c "
            "where a.id < :stride and c.complete and a.partition = :old",
            old=old, stride=stride,
        )  # fmt: skip
        run("drop table copied")
        # what Dagster remembers of the partitions of an asset it finds out anew
        run("update asset_keys set cached_status_data = null")
        return run("select count(*) from event_logs").scalar()


def link_session_files(root, catalogue):
    """Give every session a session file: links to a few that hold what is known of a session and no data."""
    eids = list(catalogue.sessions)
    few = eids[::LINKS]
    write_results(root, few)
    for number, eid in enumerate(eids):
        if eid not in few:
            os.link(root.session_file(few[number // LINKS]), root.session_file(eid))


def catalogue_costs(root, count, seconds):
    """Measure what is done with the catalogue and the session files."""
    records = [remote_record(number) for number in range(count)]
    with timed(seconds, "make and write the catalogue"):
        write_catalogue(root, records)
    with timed(seconds, "load the catalogue"):
        catalogue = Catalogue.load(root)
    link_session_files(root, catalogue)
    states = {eid: catalogue.state(eid) for eid in catalogue.sessions}
    note_current(root, {eid: [stamp_of(root.session_file(eid)), state] for eid, state in states.items()})
    with timed(seconds, "find what is due, nothing changed"):
        assert catalogue.due() == []
    few = dict(list(catalogue.sessions.items())[:OPENED])
    some = type(catalogue)(root, few, catalogue.listed, catalogue.fetcher)
    started = time.perf_counter()
    for eid in some.sessions:
        some._standings(eid)  # noqa: SLF001 - the whole takes many minutes where sessions are many
    seconds["session_status, from opened files"] = round((time.perf_counter() - started) / len(few) * count, 4)
    return list(catalogue.sessions)


@contextlib.contextmanager
def webserver(root, home):
    """Give the address of Dagster's real webserver."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "DAGSTER_HOME": str(home), "IBLNM_ROOT": str(root.path)}
    command = [
        sys.executable,
        "-m",
        "dagster_webserver",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-m",
        "iblnm_dagster.definitions",
    ]
    with (home / "webserver.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 180
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{address}/server_info", timeout=10).ok:
                    break
            assert server.poll() is None, (home / "webserver.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.3)
        yield f"{address}/graphql"
    finally:
        server.terminate()
        server.wait(60)


def ask(address, query, asset):
    variables = {"key": {"path": [asset]}}
    answer = requests.post(address, json={"query": query, "variables": variables}, timeout=300)
    answer.raise_for_status()
    content = answer.json()
    assert "errors" not in content, content
    return len(answer.content), content["data"]["assetNodeOrError"]


def page_costs(root, home, count, seconds):
    """Measure what the web interface asks for when it shows an asset of sessions."""
    with webserver(root, home) as address:
        ask(address, ASSET_PAGE, "session_index")
        with timed(seconds, "asset page, first time"):
            _, node = ask(address, ASSET_PAGE, "session_errors")
        assert node["partitionStats"]["numMaterialized"] == count
        with timed(seconds, "asset page, again"):
            ask(address, ASSET_PAGE, "session_errors")
        with timed(seconds, "partitions page"):
            n_bytes, node = ask(address, PARTITIONS_PAGE, "session_errors")
        assert len(node["assetPartitionStatuses"]["materializedPartitions"]) == count
    return n_bytes


def history_bytes(instance, home):
    if VARIABLE in (home / "dagster.yaml").read_text():
        with instance.event_log_storage.index_connection() as connection:
            return connection.execute(sqlalchemy.text("select pg_database_size(current_database())")).scalar()
    with instance.event_log_storage.index_connection() as connection:
        connection.execute(sqlalchemy.text("pragma wal_checkpoint(truncate)"))
    return sum(path.stat().st_size for path in (home / "history").rglob("*.db"))


def measure(folder, count, share, variable):
    """Measure one size with one kind of history."""
    template, eid = template_home(folder, variable)
    root = create_root(folder / "root", source="alyx")
    shutil.move(template, root.dagster_home)
    home = write_dagster_home(root.dagster_home, variable)
    seconds = {}
    eids = catalogue_costs(root, count, seconds)
    with open_instance(home) as instance:
        with timed(seconds, "add the partitions"):
            instance.add_dynamic_partitions("eid", eids)
        before = history_bytes(instance, home)
        n_events = copy_events(instance, eid, eids, share)
        n_bytes = history_bytes(instance, home) - before
    took, result = tick(root, None)
    assert not result.run_requests
    seconds["tick of the sensor, nothing due"] = round(took, 4)
    page_bytes = page_costs(root, home, count, seconds)
    return {
        "sessions": count,
        "share_with_all_events": share,
        "history": "postgres" if variable else "files",
        "seconds": seconds,
        "events": n_events,
        "history_bytes": n_bytes,
        "partitions_page_bytes": page_bytes,
    }


def model(rows):
    """Fit fixed + per session to the smallest size and the last but one, and hold it against the largest.

    Space goes by sessions with all their events and by those with one.
    """
    small, *_, middle, large = sorted(rows, key=lambda row: row["sessions"])
    fits = {}
    for name in small["seconds"]:
        slope = (middle["seconds"][name] - small["seconds"][name]) / (middle["sessions"] - small["sessions"])
        fixed = small["seconds"][name] - slope * small["sessions"]
        predicted, measured = fixed + slope * large["sessions"], large["seconds"][name]
        fits[name] = {"fixed": fixed, "per_session": slope, "predicted": predicted, "measured": measured}
    counts = np.array([_counts(row) for row in (small, middle)])
    (complete, single), *_ = np.linalg.lstsq(counts, [row["history_bytes"] for row in (small, middle)])
    fits["history_bytes"] = {
        "per_complete_session": complete,
        "per_single_event": single,
        "predicted": float(np.dot(_counts(large), (complete, single))),
        "measured": large["history_bytes"],
    }
    return fits


def _counts(row):
    complete = row["share_with_all_events"] * row["sessions"]
    return complete, row["sessions"] - complete


def print_table(rows, models):
    for history in dict.fromkeys(row["history"] for row in rows):
        mine = [row for row in rows if row["history"] == history]
        print(f"\nhistory in {history}; s" + "".join(f"{row['sessions']:>12,}" for row in mine) + f"{'model':>12}")
        for name in mine[0]["seconds"]:
            predicted = models.get(history, {}).get(name, {}).get("predicted", float("nan"))
            print(f"{name:<44}" + "".join(f"{row['seconds'][name]:>12.3f}" for row in mine) + f"{predicted:>12.2f}")
        for name in ("events", "history_bytes", "partitions_page_bytes"):
            print(f"{name:<44}" + "".join(f"{row[name]:>15,}" for row in mine))


def main():
    sizes = [int(word) for word in sys.argv[1:]] or list(SIZES)
    rows = []
    for variable in (None, VARIABLE):
        if variable and (why := why_not()):
            print(f"no Postgres: {why}")
            continue
        for count in sizes:
            with contextlib.ExitStack() as stack:
                if variable:
                    os.environ[VARIABLE] = stack.enter_context(postgres_server())
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                rows.append(measure(folder, count, SIZES.get(count, 1.0), variable))
                print(json.dumps(rows[-1]), flush=True)
    histories = dict.fromkeys(row["history"] for row in rows)
    models = {h: model([row for row in rows if row["history"] == h]) for h in histories} if len(sizes) > 2 else {}
    print_table(rows, models)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"rows": rows, "models": models}, indent=1) + "\n")


if __name__ == "__main__":
    main()
