"""What is promised of a root after any fault, held against what is really stored."""

import json

import pyarrow.parquet as pq
from tests_support.stages import SESSION_STAGES

from iblnm_core.cohort.collect import session_files
from iblnm_core.cohort.status import Catalogue
from iblnm_core.schemas import TABLES
from iblnm_core.session import ledger
from iblnm_core.session.outputs import COMPUTED, MAY_BE_EMPTY, ORDINARY, OUTPUTS, owner_of_part
from iblnm_core.storage.atomic import is_left_behind
from iblnm_core.storage.session_file import SessionFile, content_digests
from iblnm_core.storage.tables import Table

LEDGER = {"errors", "verdicts", "provenance"}


def contents_of(path, eid):
    """Return a hash of every part of a session file, each verified."""
    with SessionFile(path, eid) as file:
        return {part: content_digests(file.read(part)) for part in file.parts()}


def results_of(path, eid):
    """Return a hash of every part but those that know the times of files."""
    return {part: digest for part, digest in contents_of(path, eid).items() if part not in LEDGER}


def assert_whole(root):
    """Every stored file can be read to the last byte and is what was written."""
    for eid, path in session_files(root).items():
        assert set(contents_of(path, eid)) >= LEDGER
    for schema in TABLES.values():
        path = root.path / schema.path
        if path.exists():
            rows = pq.read_table(path)
            notes = json.loads(rows.schema.metadata[b"iblnm"])
            assert Table(schema, rows, {}).content_hash == notes["content_hash"], path
    for path in [*root.path.glob("metadata/*.json"), *root.path.glob("figures/*/manifest.json")]:
        json.loads(path.read_bytes())


def assert_nothing_left(root):
    """No temporary file is there whose writer is dead."""
    left = [path for path in root.path.rglob(".*.tmp") if is_left_behind(path)]
    assert left == []


def assert_status_is_true(root):
    """The standing of every output agrees with the session files: what is ok is there, and what is not there is not ok."""
    status = Catalogue.load(root).status()
    files = session_files(root)
    for eid, rows in status.groupby("eid"):
        states = rows.set_index("asset")["state"]
        assert set(states.index) == set(COMPUTED)
        owners, provenance = set(), {}
        if eid in files:
            with SessionFile(files[eid], eid) as file:
                owners = {owner_of_part(part) for part in file.parts()}
                provenance = ledger.read_provenance(file)
        for name, state in states.items():
            stored = name in provenance and provenance[name].state == "stored"
            if state == "ok":
                assert stored, (eid, name)
                assert name in owners or name in MAY_BE_EMPTY, (eid, name)
            elif state in {"failed", "absent"}:
                assert name in provenance, (eid, name)
                assert not stored, (eid, name)
                assert name not in owners, (eid, name)
            elif state in {"never run", "on request"}:
                assert name not in provenance, (eid, name)


MADE_BY_STAGES = tuple(name for name in ORDINARY if OUTPUTS[name].stage in SESSION_STAGES)
"""Outputs that a run makes whose test is not about the cohort."""


def assert_up_to_date(root, failed=(), outputs=ORDINARY):
    """Every session is finished and current as far as some outputs go; only those named have failed."""
    catalogue = Catalogue.load(root)
    assert catalogue.due(outputs=outputs) == []
    status = catalogue.status()
    status = status[status["asset"].isin(outputs)]
    assert set(status[~status["state"].isin(["ok", "absent"])]["eid"]) == set(failed)


def assert_promise(root):
    """Hold the promise against a root on which nothing works now."""
    assert_whole(root)
    assert_status_is_true(root)
