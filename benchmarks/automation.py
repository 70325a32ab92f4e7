"""Seconds of a tick of the sensor on 10,000 sessions: nothing changed, then ten added.

Index, session files and events are generated. Once with datasets on a server, where a tick looks at no dataset, and once with links on
disk, where it looks at each. Stands beside: 10 s and 15 s, no network.
"""

import socket
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg

from iblnm_core.cohort.catalogue import build_catalogue, index_frame
from iblnm_core.cohort.status import Catalogue
from iblnm_core.demo.scale import write_linked_cohort
from iblnm_core.root import create_root
from iblnm_core.schemas import SESSION_INDEX, SESSIONS
from iblnm_core.session import fingerprint, ledger
from iblnm_core.session.fingerprint import library_versions
from iblnm_core.session.outputs import COMPUTED
from iblnm_core.sources.base import SourceRecord
from iblnm_core.sources.downloads import RemoteFile
from iblnm_core.sources.local import LocalSource
from iblnm_core.storage.session_file import update_session_file
from iblnm_core.storage.tables import make_table, write_table
from iblnm_dagster.definitions import build_defs
from iblnm_dagster.instance import open_instance, write_dagster_home

N_SESSIONS = 10_000
N_ADDED = 10
DATASETS = (
    "_ibl_experiment.description.yaml",
    "alf/photometry/photometry.signal.pqt",
    "alf/photometry/photometryROI.locations.pqt",
    "alf/task_00/_ibl_trials.table.pqt",
    "alf/task_00/_ibl_wheel.position.npy",
    "raw_photometry_data/_neurophotometrics_fpData.raw.pqt",
    "raw_task_data_00/_iblrig_taskData.raw.jsonable",
)


def remote_record(number):
    """Return a session as a server lists it."""
    eid = f"00000000-0000-4000-8000-{number:012d}"
    day = f"{2000 + number // 25 // 336}-{number // 25 // 28 % 12 + 1:02d}-{number // 25 % 28 + 1:02d}"
    folder = f"lab/Subjects/MANY-{number % 25:02d}/{day}/001"
    files = [RemoteFile(path, f"{folder}/{path}", 1_000_000 + number, f"{number:032x}") for path in DATASETS]
    return SourceRecord(
        eid=eid,
        subject=f"MANY-{number % 25:02d}",
        start_time=f"{day}T10:00:00",
        number=1,
        lab="lab",
        task_protocol="_iblrig_tasks_biasedChoiceWorld",
        folder=folder,
        datasets=DATASETS,
        end_time=f"{day}T11:00:00",
        regions=("VTA-r",),
        region_source="_ibl_experiment.description.yaml",
        remote=tuple(file.to_text() for file in files),
    )


def write_catalogue(root, records):
    """Store index and catalogue as the assets would."""
    index = make_table(SESSION_INDEX, index_frame(records))
    write_table(root.path, index)
    write_table(root.path, make_table(SESSIONS, build_catalogue(index.rows.to_pandas())))


def write_results(root, eids=None):
    """Store of every session, or of some, that all its outputs are there, and nothing else."""
    catalogue = Catalogue.load(root)
    for task in catalogue.tasks(catalogue.sessions if eids is None else eids):
        inputs = task.inputs()
        provenance = {}
        for name in COMPUTED:
            found = inputs.found(fingerprint.dataset_kinds(name)).items()
            files = tuple(fingerprint.InputFile(path, *stamp, "content") for path, stamp in found)
            code, parameters = fingerprint.code_version(name), fingerprint.parameters_digest(name, root.parameters)
            row = fingerprint.row_digest(name, task.row)
            libraries = library_versions()
            provenance[name] = fingerprint.Provenance("stored", None, name, code, parameters, row, files, {}, libraries)
        parts = ledger.ledger_parts(task.eid, [], provenance)
        update_session_file(Path(task.file), task.eid, lambda _, parts=parts: (parts, lambda _path: False))
    return sorted(catalogue.sessions)


def report(root, eids):
    """Tell Dagster that the sessions are done."""
    write_dagster_home(root.dagster_home)
    with open_instance(root.dagster_home) as instance:
        instance.add_dynamic_partitions("eid", eids)
        for eid in eids:
            instance.report_runless_asset_event(dg.AssetMaterialization("session_errors", partition=eid))


def tick(root, cursor):
    """Return how long a tick took, and what came out; it may open no connection."""
    defs = build_defs(root.path)
    sensor = defs.resolve_sensor_def("due_sessions")
    with open_instance(root.dagster_home) as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs, resources=defs.resources)
        connect, socket.socket.connect = socket.socket.connect, refuse
        started = time.perf_counter()
        result = sensor.evaluate_tick(context)
        seconds = time.perf_counter() - started
        socket.socket.connect = connect
    return seconds, result


def refuse(*_arguments):
    raise AssertionError("a tick talks to no server")


def measure(what, root, records, added):
    write_catalogue(root, records)
    report(root, write_results(root))
    print(f"{what}: {len(records):,} sessions")
    cursor = None
    for name in ("nothing changed, no memo yet", "nothing changed"):
        seconds, result = tick(root, cursor)
        cursor = result.cursor or cursor
        print(f"  {name:<28}{seconds:8.1f} s{len(result.run_requests):4} runs")
        assert not result.run_requests
    write_catalogue(root, [*records, *added])
    seconds, result = tick(root, cursor)
    print(f"  {f'{len(added)} added':<28}{seconds:8.1f} s{len(result.run_requests):4} runs")
    assert len(result.run_requests) == 1
    assert len(result.dynamic_partitions_requests[0].partition_keys) == len(added)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else N_SESSIONS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = create_root(folder / "remote", source="alyx")
        records = [remote_record(number) for number in range(count + N_ADDED)]
        measure("datasets on a server", root, records[:-N_ADDED], records[-N_ADDED:])
        cache = folder / "cache"
        write_linked_cohort(cache, count + N_ADDED, workers=2)
        root = create_root(folder / "local", source="local", cache=cache)
        # the latest ones are added: earlier ones would change the catalogue rows of their siblings
        records = sorted(LocalSource(cache).list_sessions().records, key=lambda record: record.start_time)
        measure("datasets on disk", root, records[:-N_ADDED], records[-N_ADDED:])


if __name__ == "__main__":
    main()
