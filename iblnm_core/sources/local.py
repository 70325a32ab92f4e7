"""The local source: a ONE cache on disk, read through a ONE client in local mode.

Beside the cache tables it reads what a database would add, when it is there: `subjects.csv`, `fibers.csv` and
`session_details.jsonl`.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from iblnm_core.errors import ConfigurationError
from iblnm_core.identifiers import is_eid
from iblnm_core.sources.base import Listing, Rejected, SourceRecord
from iblnm_core.sources.details import (
    DESCRIPTION,
    is_below,
    planned_blocks_of,
    protocol_of,
    read_description,
    read_rows,
    regions_of,
    task_settings,
)
from iblnm_core.sources.fibers import FiberRecord, fibers_of_table, implanted_fibers
from iblnm_core.sources.values import is_start_time, json_or_none, text_or_none, texts_of
from iblnm_core.vocabulary import is_safe_name

_logger = logging.getLogger(__name__)

_TABLE_COLUMNS = {
    "sessions": ("id", "lab", "subject", "date", "number", "task_protocol", "projects"),
    "datasets": ("eid", "rel_path"),
}
_LARGEST_NUMBER = 999


class LocalSource:
    """Sessions of a local ONE cache.

    Parameters
    ----------
    cache : Path
        Folder that holds the cache tables `sessions.pqt` and `datasets.pqt` and, below it, the session folders.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def session_folder(self, folder: str) -> Path:
        """Return the absolute path of a session folder; see `SessionSource`."""
        return self.cache / folder

    fetcher = None
    """The datasets lie on disk."""

    def check_access(self) -> None:
        """Make sure that the cache tables are there; see `SessionSource`."""
        missing = [name for name in ("sessions.pqt", "datasets.pqt") if not (self.cache / name).is_file()]
        if missing:
            raise ConfigurationError(
                f"{self.cache} is no ONE cache: {' and '.join(missing)} missing. "
                f"For a folder of sessions without cache tables, make them with `iblnm index {self.cache}`"
            )

    def list_sessions(self, *, anew: bool = False) -> Listing:  # noqa: ARG002 - it is read anew every time
        """Return all sessions of the cache tables; see `SessionSource`."""
        sessions, datasets = self._tables()
        by_eid = datasets.groupby("eid", sort=False)["rel_path"]
        paths_by_eid = {str(eid): [path for path in group if isinstance(path, str)] for eid, group in by_eid}
        records, rejected = [], []
        known: set[str] = set()
        for row in sessions.reset_index().to_dict("records"):
            eid = str(row["id"])
            problem = _problem(eid, row, self._details.get(eid, {}))
            if eid in known:
                problem = "it is listed several times; expected once"
            known.add(eid)
            if problem:
                rejected.append(Rejected(eid, problem))
            else:
                records.append(self._record(eid, row, paths_by_eid.get(eid, [])))
        return Listing(tuple(sorted(records, key=lambda record: record.eid)), tuple(rejected))

    def list_fibers(self) -> tuple[FiberRecord, ...]:
        """Return the fibres of `fibers.csv`; see `SessionSource`."""
        return tuple(fibers_of_table(self._fiber_rows or ()))

    def _tables(self) -> tuple[Any, Any]:
        """Return the sessions and datasets tables as the client has them."""
        from one.api import One

        self.check_access()
        try:
            client = One(cache_dir=self.cache, mode="local")
        except Exception as error:
            # a broken table fails in the client in ways of many kinds
            raise self._broken_tables(f"{type(error).__name__}: {error}") from error
        tables = client._cache  # noqa: SLF001 - the public calls go session by session, 5 ms each
        for name, columns in _TABLE_COLUMNS.items():
            if "date_created" not in tables["_meta"]["raw"].get(name, {}):
                # the client leaves such a table out: all its sessions would be gone
                raise self._broken_tables(f"{name}.pqt has no notes of a cache table")
            found = [*tables[name].index.names, *tables[name].columns]
            odd = [column for column in columns if found.count(column) != 1]
            if odd:
                raise self._broken_tables(f"{name}.pqt has not exactly one column {', '.join(odd)}")
        return tables["sessions"], tables["datasets"]

    def _broken_tables(self, problem: str) -> ConfigurationError:
        return ConfigurationError(
            f"the cache tables of {self.cache}, sessions.pqt and datasets.pqt, cannot be read: {problem}. "
            f"Bring them again, or make them with `iblnm index {self.cache}`"
        )

    def _record(self, eid: str, row: Mapping[str, Any], listed: Sequence[str]) -> SourceRecord:
        relative = PurePosixPath(
            row["lab"] or ".",
            "Subjects" if row["lab"] else ".",
            row["subject"],
            str(row["date"]),
            f"{row['number']:03d}",
        )
        folder = self.cache / relative
        # the tables may be older than the folders
        datasets = tuple(sorted({path for path in listed if is_below(path) and _is_there(folder / path)}))
        details = self._details.get(eid, {})
        description = read_description(folder / DESCRIPTION) if DESCRIPTION in datasets else {}
        regions, region_source, filled = regions_of(folder, datasets, description)
        known = self._subjects
        rows = [] if known is None else known.get(row["subject"], [])
        subject = rows[0] if len(rows) == 1 else {}
        return SourceRecord(
            eid=eid,
            subject=row["subject"],
            start_time=_start_time(row, details),
            number=int(row["number"]),
            lab=row["lab"] or "",
            task_protocol=text_or_none(row["task_protocol"]) or protocol_of(description),
            folder=relative.as_posix(),
            datasets=datasets,
            projects=_split(row["projects"]) or tuple(texts_of(description.get("projects"))),
            users=tuple(texts_of(details.get("users"))),
            genotype=tuple(filter(None, (subject.get("genotype") or "").split(";"))),
            end_time=text_or_none(details.get("end_time")),
            strain=text_or_none(subject.get("strain")),
            line=text_or_none(subject.get("line")),
            url=text_or_none(details.get("url")),
            regions=regions,
            region_source=region_source,
            filled_regions=filled,
            n_subject_rows=None if known is None else len(rows),
            implanted=None if self._fibers is None else self._fibers.get(row["subject"], ()),
            qc=text_or_none(details.get("qc")),
            extended_qc=json_or_none(details.get("extended_qc")),
            planned_blocks=planned_blocks_of(details["json"] if "json" in details else task_settings(folder, datasets)),
        )

    @cached_property
    def _subjects(self) -> dict[str, list[dict[str, str]]] | None:
        rows = read_rows(self.cache / "subjects.csv")
        return None if rows is None else _grouped(rows)

    @cached_property
    def _fiber_rows(self) -> list[dict[str, str]] | None:
        return read_rows(self.cache / "fibers.csv")

    @cached_property
    def _fibers(self) -> dict[str, tuple[str, ...]] | None:
        return None if self._fiber_rows is None else implanted_fibers(self._fiber_rows)

    @cached_property
    def _details(self) -> dict[str, dict[str, Any]]:
        path = self.cache / "session_details.jsonl"
        if not path.is_file():
            return {}
        details = {}
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                entry = json.loads(line.decode())
                details[str(entry["id"])] = entry
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                _logger.warning("%s, line %d is left out: %s; expected an object with an id", path, number, error)
        return details


def _grouped(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        grouped.setdefault(row["subject"], []).append(row)
    return grouped


def _problem(eid: str, row: Mapping[str, Any], details: Mapping[str, Any]) -> str | None:
    """Say why a row of the cache tables cannot be a session, None when it can."""
    if not is_eid(eid):
        return f"id {eid!r} is not a session id; expected a UUID of version 3 or 4"
    for field in ("subject", "lab", "task_protocol", "projects"):
        if not isinstance(row[field] or "", str):
            return f"{field} is {row[field]!r}; expected a text"
    for field in ("subject", "lab"):
        name = row[field] or ""
        if (name or field == "subject") and not is_safe_name(name):
            return f"{field} {name!r} cannot be a folder name"
    if not isinstance(row["number"], int) or not 0 <= row["number"] <= _LARGEST_NUMBER:
        return f"number is {row['number']!r}; expected a whole number from 0 to {_LARGEST_NUMBER}"
    start = _start_time(row, details)
    return None if is_start_time(start) else f"start_time is {start!r}; expected a time in ISO 8601"


def _start_time(row: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    return text_or_none(details.get("start_time")) or f"{row['date']}T00:00:00"


def _is_there(path: Path) -> bool:
    """Whether a file is there, readable or not: what cannot be read is its session's verdict, not the end of a listing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _split(projects: Any) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (projects or "").split(","))))
