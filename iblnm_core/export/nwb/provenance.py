"""What an NWB file says of itself: parameters, source datasets, software, and what the checks of the session said."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from iblnm_core.cohort.blocking import blocks
from iblnm_core.export.nwb import mapping
from iblnm_core.export.nwb.arrays import column
from iblnm_core.export.nwb.content import SessionContent
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.export.nwb.texts import Texts
from iblnm_core.parameters import PRESETS
from iblnm_core.rules import RULES
from iblnm_core.session.outputs import OUTPUTS, upstream
from iblnm_core.session.verdicts import error_rows
from iblnm_core.verdict_words import BLOCKING, HOLDS, NOT_JUDGED, WARNING

HASH_KIND = "blake2b-128"


def add_records(file: Any, content: SessionContent, texts: Texts) -> None:
    """Add the tables that say what the file was made of and how the session stands.

    Parameters
    ----------
    file : pynwb.NWBFile
    content : SessionContent
    texts : Texts
        Cleans what comes from the source.
    """
    module = file.create_processing_module(
        "misc", "What this file was made of, and what the checks of the session said."
    )
    tables = {
        "session_checks": _checks(content, texts),
        "parameters": _parameters(content),
        "source_datasets": _datasets(content, texts),
        "software": _software(content),
    }
    for name, (description, columns) in tables.items():
        # a table without rows is not written: the format cannot even tell the type of its texts
        if len(columns[0].data):
            table = nwb_libraries().table.DynamicTable(name=name, description=description, columns=columns)
            module.add(table)


def _checks(content: SessionContent, texts: Texts) -> tuple[str, list[Any]]:
    errors = error_rows(content.row["eid"], content.verdicts.values())
    rows: list[tuple[str, ...]] = []
    for name, rule in RULES.items():
        verdict = content.verdicts.get(name)
        if verdict is None or verdict.passed:
            rows.append((name, "", NOT_JUDGED if verdict is None else HOLDS, "", "", "", rule.description))
        rows += [
            (
                name,
                row["severity"],
                BLOCKING if blocks(row, content.lost) else WARNING,
                texts.clean("checks", row["measured"]),
                texts.clean("checks", row["threshold"]),
                texts.clean("checks", f"{row['error_type']}: {row['error_message']}"),
                rule.description,
            )
            for row in errors
            if row["rule"] == name
        ]
    names = {
        "check": "name of the check",
        "severity": "fatal errors stop results of the session, advisory ones are warnings; empty without an error",
        "verdict": "holds, warning, fails (blocking: cohort analyses leave the session out), or not judged because an earlier check failed",
        "measured": "what was found; empty when nothing is measured",
        "needed": "what it was held against",
        "message": "class of the error, and what was found and expected",
        "holds_when": "what the check asks for",
    }
    return "All checks of the session, held ones too.", _columns(names, rows)


def _parameters(content: SessionContent) -> tuple[str, list[Any]]:
    preset = PRESETS[content.preset]
    used = upstream(content.provenance)
    sections = {section for name, output in OUTPUTS.items() if name in used for section in output.parameters}
    rows = []
    for section in (field.name for field in dataclasses.fields(content.parameters)):
        if section not in {*sections, "nwb"}:
            continue
        of_preset = vars(getattr(preset, section))
        for name, value in vars(getattr(content.parameters, section)).items():
            source = content.preset if value == of_preset[name] else "override"
            rows.append((f"{section}.{name}", json.dumps(value), _unit(name), source))
    rows += [(name, json.dumps(value), _unit(name), "rig file") for name, value in content.rig.facts()]
    names = {
        "parameter": "section and name",
        "value_json": "value, JSON",
        "unit": "empty for numbers without unit and for choices",
        "source": "preset, override in the settings, or the rig file that a person wrote",
    }
    return "Parameters that shaped what is in this file, and facts of its rig file.", _columns(names, rows)


def _unit(name: str) -> str:
    return next((unit for suffix, unit in mapping.UNITS_BY_SUFFIX.items() if name.endswith(suffix)), "")


def _datasets(content: SessionContent, texts: Texts) -> tuple[str, list[Any]]:
    found = {file.path: file for file in content.inputs}
    for entry in content.provenance.values():
        found |= {file.path: file for file in entry.inputs if file.path not in found}
    files = [found[path] for path in sorted(found)]
    columns = [
        column("path", "path from the session folder", [texts.clean("paths", file.path) for file in files]),
        column("size_bytes", "size; 0 when only presence matters", np.array([file.size for file in files], np.int64)),
        column(
            "hash",
            "hash of the content, hexadecimal; `present` when only presence matters",
            [file.digest for file in files],
        ),
        column("hash_kind", "kind of the hash", [HASH_KIND if len(file.digest) == 32 else "none" for file in files]),
    ]
    return "Datasets of the source that the session was processed with.", columns


def _software(content: SessionContent) -> tuple[str, list[Any]]:
    versions = nwb_libraries().versions()
    for entry in content.provenance.values():
        versions |= entry.libraries
    names = {"software": "package", "version": "version"}
    return "Software that made the results and this file.", _columns(names, sorted(versions.items()))


def _columns(names: dict[str, str], rows: Sequence[tuple[str, ...]]) -> list[Any]:
    """Return text columns from rows."""
    return [column(name, text, [row[place] for row in rows]) for place, (name, text) in enumerate(names.items())]
