"""What an NWB file says of itself: parameters, source datasets, software, and what the checks of the session said."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from iblnm_core.export.nwb import mapping
from iblnm_core.export.nwb.arrays import column
from iblnm_core.export.nwb.content import SessionContent
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.export.nwb.texts import Texts
from iblnm_core.parameters import PRESETS
from iblnm_core.rules import RULES, Severity
from iblnm_core.session.outputs import OUTPUTS, upstream
from iblnm_core.session.verdicts import Finding

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


def verdict_words(finding: Finding | None) -> str:
    """Return a verdict in words.

    Parameters
    ----------
    finding : Finding or None
        None for a rule that holds.
    """
    if finding is None:
        return "holds"
    blocking = finding.severity is Severity.FATAL or finding.blocks_analysis
    return "fails, blocking" if blocking else "warning"


def _checks(content: SessionContent, texts: Texts) -> tuple[str, list[Any]]:
    rows: list[tuple[str, ...]] = []
    for name, rule in RULES.items():
        verdict = content.verdicts.get(name)
        if verdict is None:
            rows.append((name, "", "not judged", "", "", "", rule.description))
        elif verdict.passed:
            rows.append((name, "", verdict_words(None), "", "", "", rule.description))
        else:
            rows += [
                (
                    name,
                    str(finding.severity),
                    verdict_words(finding),
                    texts.clean("checks", finding.measured),
                    texts.clean("checks", finding.threshold),
                    texts.clean("checks", f"{finding.error_type}: {finding.error_message}"),
                    rule.description,
                )
                for finding in verdict.findings
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
            unit = next((unit for suffix, unit in mapping.UNITS_BY_SUFFIX.items() if name.endswith(suffix)), "")
            source = content.preset if value == of_preset[name] else "override"
            rows.append((f"{section}.{name}", json.dumps(value), unit, source))
    names = {
        "parameter": "section and name",
        "value_json": "value, JSON",
        "unit": "empty for numbers without unit and for choices",
        "source": "preset, or override in the settings",
    }
    return "Parameters that shaped what is in this file.", _columns(names, rows)


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
