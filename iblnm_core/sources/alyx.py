"""The Alyx source: sessions of a project on an Alyx server, their details kept on disk so that only news are read."""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from iblnm_core.errors import CorruptDataset
from iblnm_core.identifiers import is_eid
from iblnm_core.sources.alyx_server import AlyxNotFound, AlyxServer, one_settings
from iblnm_core.sources.base import Listing, Rejected, SourceRecord
from iblnm_core.sources.details import (
    DESCRIPTION,
    LOCATIONS,
    is_below,
    planned_blocks_of,
    protocol_of,
    read_description,
    read_rows,
    regions_of,
)
from iblnm_core.sources.downloads import HttpFetcher, NotOnServer, RemoteFile
from iblnm_core.sources.fibers import FiberRecord, fibers_of_alyx, fibers_of_table, implanted_fibers
from iblnm_core.sources.values import is_start_time, json_or_none, text_or_none, texts_of
from iblnm_core.storage.atomic import write_bytes
from iblnm_core.vocabulary import PROJECT, is_safe_name

_OVERLAP = timedelta(minutes=5)
"""Changes saved so long before the latest known one are asked for again: transactions end out of order."""

_logger = logging.getLogger(__name__)


class AlyxSource:
    """Sessions of the project on an Alyx server.

    Parameters
    ----------
    cache : Path
        Folder for details and downloads; a table `fibers.csv` in it is used.
    url : str, optional
        Address of the server; the default one of the user's ONE settings when not given.
    back_off_s : float
        Wait before a request is tried again, doubled for each further attempt, s.
    """

    def __init__(self, cache: Path, url: str | None = None, back_off_s: float = 2.0) -> None:
        self.cache = cache
        self.url = url
        self.back_off_s = back_off_s

    @cached_property
    def server(self) -> AlyxServer:
        """The server with the user's login."""
        return AlyxServer(one_settings(self.url), self.back_off_s)

    @property
    def fetcher(self) -> HttpFetcher:
        """What brings datasets to disk; see `SessionSource`."""
        return HttpFetcher(self.url, self.cache, self.back_off_s)

    def session_folder(self, folder: str) -> Path:
        """Return the absolute path of a session folder; see `SessionSource`."""
        return self.cache / folder

    def check_access(self) -> None:
        """Make sure that the server answers and accepts the user; see `SessionSource`."""
        self.server.check_access()

    def list_sessions(self, *, anew: bool = False) -> Listing:
        """Return all sessions of the project; see `SessionSource`.

        What was read is kept, so that an interrupted first listing goes on from there.
        """
        rows = {row["id"]: row for row in self.server.pages("sessions", f"projects__name,{PROJECT}")}
        subjects = self._subjects()
        changed, latest = self._changed()
        if anew:
            changed = set(rows)
        unread = [eid for eid in rows if is_eid(eid) and (eid in changed or not self._detail_file(eid).is_file())]
        problems: dict[str, str] = {}
        for number, eid in enumerate(unread, 1):
            problem = self._read_detail(eid)
            if problem:
                problems[eid] = problem
            if number % 100 == 0 or number == len(unread):
                _logger.info("%d of %d new or changed sessions read", number, len(unread))
        records, rejected = [], []
        for eid, row in rows.items():
            detail = self._detail(eid) if is_eid(eid) else {}
            latest = max(latest, text_or_none(detail.get("auto_datetime")) or "")
            problem = problems.get(eid) or _problem(eid, {**row, **detail})
            if problem:
                rejected.append(Rejected(eid, problem))
            else:
                records.append(self._record({**row, **detail}, subjects))
        # only now: what an interruption left unread must stay news
        write_bytes(self._cursor_file, json.dumps({**self._cursor, "auto_datetime": latest}).encode())
        return Listing(tuple(sorted(records, key=lambda record: record.eid)), tuple(rejected))

    def list_fibers(self) -> tuple[FiberRecord, ...]:
        """Return the chronic insertions of the project's subjects, and the fibres of `fibers.csv`; see `SessionSource`."""
        subjects = self._subjects()
        # joining subjects, sessions and projects would list an insertion once per session
        insertions = self.server.pages("chronic-insertions", "subject__isnull,False")
        trajectories = self.server.pages("trajectories", "chronic_insertion__isnull,False")
        return (
            *fibers_of_alyx(insertions, trajectories, subjects),
            *fibers_of_table(self._fiber_rows or ()),
        )

    def _subjects(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.server.pages("subjects", f"actions_sessions__projects__name,{PROJECT}"):
            found.setdefault(row["nickname"], []).append(row)
        return found

    def _changed(self) -> tuple[set[str], str]:
        """Return the sessions that were saved, or a dataset of which was, since the last listing; and the latest such time."""
        latest = self._cursor.get("auto_datetime", "")
        if not latest:
            return set(), latest
        since = (datetime.fromisoformat(latest) - _OVERLAP).isoformat()
        saved = self.server.pages("sessions", f"projects__name,{PROJECT},auto_datetime__gte,{since}")
        datasets = self.server.pages("datasets", f"session__projects__name,{PROJECT},auto_datetime__gte,{since}")
        times = [latest, *(str(row.get("auto_datetime") or "") for row in datasets)]
        return {row["id"] for row in saved} | {str(row["session"])[-36:] for row in datasets}, max(times)

    @property
    def _cursor_file(self) -> Path:
        return self.cache / "alyx" / "cursor.json"

    @cached_property
    def _cursor(self) -> dict[str, str]:
        return dict(_read_json(self._cursor_file))

    def _detail_file(self, eid: str) -> Path:
        return self.cache / "alyx" / "sessions" / f"{eid}.json"

    def _read_detail(self, eid: str) -> str | None:
        """Keep the details of a session; return why there are none to keep."""
        try:
            detail = self.server.get(f"/sessions/{eid}")
        except AlyxNotFound:
            # most likely deleted since it was listed
            return "the server lists it but has no details of it (HTTP 404)"
        if not isinstance(detail, dict):
            return f"its details are no record but {type(detail).__name__}"
        write_bytes(self._detail_file(eid), json.dumps(detail).encode())
        return None

    def _detail(self, eid: str) -> Mapping[str, Any]:
        return _read_json(self._detail_file(eid))

    def _record(self, detail: Mapping[str, Any], subjects: Mapping[str, list[dict[str, Any]]]) -> SourceRecord:
        name, lab = detail["subject"], detail.get("lab") or ""
        folder = PurePosixPath(lab or ".", "Subjects", name, detail["start_time"][:10], f"{detail['number']:03d}")
        remote = _remote_files(detail.get("data_dataset_session_related") or (), folder)
        description = self._description(remote, folder)
        there = self._fetched(remote, (LOCATIONS,), folder) if not _is_described(description) else []
        listed = [*(file.path for file in remote if file.path != LOCATIONS), *there]
        regions, source, filled = regions_of(self.cache / folder, listed, description)
        rows = subjects.get(name, [])
        subject = rows[0] if len(rows) == 1 else {}
        return SourceRecord(
            eid=detail["id"],
            subject=name,
            start_time=detail["start_time"],
            number=int(detail["number"]),
            lab=lab,
            task_protocol=text_or_none(detail.get("task_protocol")) or protocol_of(description),
            folder=folder.as_posix(),
            datasets=tuple(file.path for file in remote),
            projects=tuple(texts_of(detail.get("projects"))),
            users=tuple(texts_of(detail.get("users"))),
            genotype=tuple(texts_of(subject.get("genotype"))),
            end_time=text_or_none(detail.get("end_time")),
            strain=text_or_none(subject.get("strain")),
            line=text_or_none(subject.get("line")),
            url=text_or_none(detail.get("url")),
            regions=regions,
            region_source=source,
            filled_regions=filled,
            n_subject_rows=len(rows),
            implanted=None if self._fibers is None else self._fibers.get(name, ()),
            qc=text_or_none(detail.get("qc")),
            extended_qc=json_or_none(detail.get("extended_qc")),
            planned_blocks=planned_blocks_of(detail.get("json")),
            remote=tuple(file.to_text() for file in remote),
        )

    @cached_property
    def _fiber_rows(self) -> list[dict[str, str]] | None:
        return read_rows(self.cache / "fibers.csv")

    @cached_property
    def _fibers(self) -> dict[str, tuple[str, ...]] | None:
        return None if self._fiber_rows is None else implanted_fibers(self._fiber_rows)

    def _description(self, remote: Iterable[RemoteFile], folder: PurePosixPath) -> Mapping[str, Any]:
        fetched = self._fetched(remote, (DESCRIPTION,), folder)
        return read_description(self.cache / folder / DESCRIPTION) if fetched else {}

    def _fetched(self, remote: Iterable[RemoteFile], paths: tuple[str, ...], folder: PurePosixPath) -> list[str]:
        """Fetch small datasets that the record is made of; return those that could be had."""
        had = []
        for file in remote:
            if file.path in paths:
                try:
                    self.fetcher.fetch(file, self.cache / folder)
                except (NotOnServer, CorruptDataset) as error:
                    _logger.warning("%s of session %s is left out: %s", file.path, folder, error)
                else:
                    had.append(file.path)
        return had


def _is_described(description: Mapping[str, Any]) -> bool:
    """Whether a description names a region for every fibre, so that the locations need not be fetched."""
    devices = description.get("devices")
    fibers = (devices.get("neurophotometrics") or {}).get("fibers") if isinstance(devices, dict) else None
    entries = list(fibers.values()) if isinstance(fibers, dict) else []
    return bool(entries) and all(isinstance(entry, dict) and entry.get("location") for entry in entries)


def _problem(eid: str, row: Mapping[str, Any]) -> str | None:
    """Say why a record cannot be a session, None when it can."""
    if not is_eid(eid):
        return f"id {eid!r} is not a session id; expected a UUID of version 3 or 4"
    for field in ("subject", "lab"):
        name = row.get(field) or ""
        if (name or field == "subject") and not (isinstance(name, str) and is_safe_name(name)):
            return f"{field} {name!r} cannot be a folder name"
    if not is_start_time(row.get("start_time")):
        return f"start_time is {row.get('start_time')!r}; expected a time in ISO 8601"
    number = row.get("number")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 999:
        return f"number is {number!r}; expected a whole number from 0 to 999"
    return None


def _remote_files(datasets: Iterable[Any], folder: PurePosixPath) -> list[RemoteFile]:
    """Return the default revisions of the registered datasets that are on the data server, in the order of their paths."""
    from one.alf.path import add_uuid_string

    files = {}
    for dataset in datasets:
        if not isinstance(dataset, dict) or not text_or_none(dataset.get("data_url")):
            continue
        # Alyx writes this truth as a text
        if str(dataset.get("default_revision")) != "True":
            continue
        path = PurePosixPath(dataset.get("collection") or "", str(dataset.get("name"))).as_posix()
        revision = [part for part in PurePosixPath(dataset["data_url"]).parts if part[0] == part[-1] == "#"]
        inside = PurePosixPath(dataset.get("collection") or "", *revision, str(dataset.get("name"))).as_posix()
        if not is_below(path) or not is_below(inside) or not is_eid(str(dataset.get("id"))):
            _logger.warning("dataset %r of %s is left out: no usable path or id", dataset.get("name"), folder)
            continue
        size, md5 = dataset.get("file_size"), text_or_none(dataset.get("hash")) or ""
        remote = add_uuid_string(folder / inside, dataset["id"]).as_posix()
        files[path] = RemoteFile(path, remote, size if isinstance(size, int) else -1, md5)
    return [files[path] for path in sorted(files)]


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}
