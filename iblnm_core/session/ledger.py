"""What a session file says of how the session went: errors, rules that held, what outputs were made from."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from iblnm_core.errors import CorruptArtifact
from iblnm_core.session.datasets import DATASET_KINDS
from iblnm_core.session.fingerprint import Provenance
from iblnm_core.session.verdicts import ERROR_COLUMNS, Verdict, error_rows, verdicts_from
from iblnm_core.storage.hdf5 import Values
from iblnm_core.storage.session_file import Part, SessionFile


def ledger_parts(eid: str, verdicts: Iterable[Verdict], provenance: Mapping[str, Provenance]) -> dict[str, Part]:
    """Return the parts that say how the session went: errors, rules that held, what outputs were made from.

    No errors make an empty `errors` group, which says that the session was processed.
    """
    verdicts = list(verdicts)
    rows = error_rows(eid, verdicts)
    errors: dict[str, Values] = {}
    if rows:
        for name in ERROR_COLUMNS:
            column = [row[name] for row in rows]
            errors[name] = np.array(column) if name == "blocks_analysis" else column
    held = sorted(verdict.rule for verdict in verdicts if verdict.passed)
    return {
        "errors": Part(errors),
        "verdicts": Part({"passed": held}),
        "provenance": Part({}, {name: entry.to_json() for name, entry in provenance.items()}),
    }


def read_errors(file: SessionFile) -> list[dict[str, Any]]:
    """Return the error rows of a session file; what a file of the reference pipeline does not know is null."""
    columns = file.read("errors").datasets
    if not columns:
        return []
    unknown = [None] * len(columns["eid"])
    rows = zip(*(columns.get(name, unknown) for name in ERROR_COLUMNS), strict=True)
    return [dict(zip(ERROR_COLUMNS, row, strict=True)) for row in rows]


def read_verdicts(file: SessionFile) -> dict[str, Verdict]:
    """Return what the rules said, by rule."""
    held = [str(name) for name in file.read("verdicts").datasets["passed"]]
    return verdicts_from(held, read_errors(file))


def read_provenance(file: SessionFile) -> dict[str, Provenance]:
    """Return what the stored outputs were made from, by output."""
    attributes = file.read("provenance").attributes
    return {name: Provenance.from_json(text) for name, text in attributes.items()}


def share_trials(file: SessionFile, *outputs: str) -> bool:
    """Whether outputs are stored, and were made from one and the same trial table."""
    provenance = read_provenance(file)
    entries = [provenance[name] for name in outputs if name in provenance]
    if len(entries) < len(outputs) or any(entry.state != "stored" for entry in entries):
        return False
    tables = [
        {file.digest for file in entry.inputs if re.fullmatch(DATASET_KINDS["trials_table"], file.path)}
        for entry in entries
    ]
    return all(table == tables[0] for table in tables)


def read_ledger(file: SessionFile | None) -> tuple[Mapping[str, Provenance], Mapping[str, Verdict]]:
    """Return provenance and verdicts of a stored file; a broken ledger counts as none."""
    try:
        if file is None or "provenance" not in file:
            return {}, {}
        return read_provenance(file), read_verdicts(file)
    except CorruptArtifact:
        return {}, {}
