"""From the content of a session to an NWB file in memory: general metadata and subject; the rest by modules of its own."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iblnm_core import __version__
from iblnm_core.errors import NwbMetadataIncomplete
from iblnm_core.export.nwb import behaviour, mapping, provenance, signals
from iblnm_core.export.nwb.content import SessionContent
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.export.nwb.texts import Texts

_NAMESPACE = uuid.UUID("5a7d3f0e-96c5-5a0c-8d3b-2f1f6d1c9a41")
"""Of the identifiers of files; any constant would do."""


def build_file(content: SessionContent) -> Any:
    """Return a session as an NWB file in memory.

    Parameters
    ----------
    content : SessionContent

    Returns
    -------
    pynwb.NWBFile

    Raises
    ------
    NwbMetadataIncomplete
        When the session has no start time.
    MissingDependency
        When the libraries are not installed.
    """
    libraries, texts = nwb_libraries(), Texts()
    start, zone_note = session_start(content.row)
    file = libraries.pynwb.NWBFile(
        session_start_time=start,
        timestamps_reference_time=start,
        identifier=_identifier(content),
        session_id=content.row["eid"],
        session_description=texts.clean("session description", _session_description(content)),
        was_generated_by=_software(content, libraries.versions()),
        subject=libraries.pynwb.file.Subject(**_subject(content.row, start, texts)),
        **_general(content, texts),
    )
    signals.add_signals(file, content, texts)
    behaviour.add_behaviour(file, content)
    provenance.add_records(file, content, texts)
    given = [texts.clean("notes", note) for note in content.notes]
    file.notes = " ".join(note for note in (mapping.CLOCK_SENTENCE, zone_note, *given, texts.note()) if note)
    return file


def session_start(row: Mapping[str, Any]) -> tuple[dt.datetime, str | None]:
    """Return the start of a session with its time zone, and a sentence when the zone is unknown.

    Of the hour that autumn repeats, the first is taken.

    Parameters
    ----------
    row : mapping
        Catalogue row; `timezone` is the name of the lab's zone when the catalogue knows it.

    Raises
    ------
    NwbMetadataIncomplete
        When there is no start.
    """
    try:
        start = dt.datetime.fromisoformat(str(row["start_time"]))
    except ValueError as error:
        raise NwbMetadataIncomplete(
            f"session {row['eid']}: start time {row['start_time']!r}; expected one such as 2025-03-17T10:00:00"
        ) from error
    if start.tzinfo is not None:
        return start, None
    try:
        return start.replace(tzinfo=ZoneInfo(str(row.get("timezone") or "")), fold=0), None
    except (ZoneInfoNotFoundError, ValueError):
        return start.replace(tzinfo=dt.UTC), mapping.UNKNOWN_ZONE_SENTENCE


def _identifier(content: SessionContent) -> str:
    """Return an identifier that changes exactly when what the file is made of does."""
    versions = [f"{name}={entry.fingerprint}" for name, entry in sorted(content.provenance.items())]
    facts = [f"{name}={value!r}" for name, value in content.rig.facts()]
    return str(uuid.uuid5(_NAMESPACE, "\n".join([content.row["eid"], mapping.EXPORT_VERSION, *versions, *facts])))


def _session_description(content: SessionContent) -> str:
    fibers = () if content.raw is None else content.raw.fibers
    targets = ", ".join(dict.fromkeys(fiber.target for fiber in fibers))
    kind = content.row["session_type"]
    task = f"IBL decision task ({kind})" if kind else "IBL decision task"
    return f"{task} with fibre photometry in {targets}." if targets else f"{task}."


def _software(content: SessionContent, exporters: Mapping[str, str]) -> list[list[str]]:
    """Return name and version of what made the results and the file, sorted by name."""
    found = {"iblnm": __version__, **exporters}
    for entry in content.provenance.values():
        found |= entry.libraries
    return [[name, version] for name, version in sorted(found.items())]


def _general(content: SessionContent, texts: Texts) -> dict[str, Any]:
    """Return the general fields that are known."""
    row, nwb = content.row, content.parameters.nwb
    fields: dict[str, Any] = {
        "experiment_description": texts.optional("experiment description", nwb.experiment_description),
        "lab": texts.optional("lab", row["lab"]),
        "institution": texts.optional("institution", row.get("institution")),
        "experimenter": [texts.clean("experimenters", name) for name in content.rig.experimenters],
        "protocol": texts.optional("protocol", row["task_protocol"]),
        "keywords": [texts.clean("keywords", word) for word in nwb.keywords],
        "related_publications": [texts.clean("publications", address) for address in nwb.publications],
    }
    return {name: value for name, value in fields.items() if value}


def _subject(row: Mapping[str, Any], start: dt.datetime, texts: Texts) -> dict[str, Any]:
    """Return the fields of the subject that are known; only the sex has a word for the unknown."""
    line, strain = texts.optional("line", row["line"]), texts.optional("strain", row["strain"])
    fields: dict[str, Any] = {
        "subject_id": texts.clean("subject", row["subject"]),
        "species": mapping.SPECIES.get(str(row.get("species"))),
        "sex": mapping.SEXES.get(str(row.get("sex")), "U"),
        "strain": None if strain is not None and strain.lower() == mapping.UNKNOWN else strain,
        "genotype": _genotype(line, row["genotype"], texts),
        "description": f"Alyx line {line}" if line else None,
        "weight": _weight(row.get("weight_g")),
        **_birth(row.get("birth_date"), start),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _genotype(line: str | None, zygosities: list[str], texts: Texts) -> str | None:
    alleles = "; ".join(texts.clean("genotype", zygosity) for zygosity in zygosities if zygosity)
    return ": ".join(part for part in (line, alleles) if part) or None


def _weight(grams: float | None) -> str | None:
    """Return a weight in the format's own form; None when it is unknown or none."""
    return f"{grams / 1000:g} kg" if grams is not None and grams > 0 else None


def _birth(date: object, start: dt.datetime) -> dict[str, Any]:
    """Return date of birth and age at the session, both or neither."""
    try:
        born = dt.date.fromisoformat(str(date))
    except ValueError:
        return {}
    days = (start.date() - born).days
    if days < 0:
        return {}
    midnight = dt.datetime.combine(born, dt.time(), start.tzinfo)
    return {"date_of_birth": midnight, "age": f"P{days}D", "age__reference": "birth"}
