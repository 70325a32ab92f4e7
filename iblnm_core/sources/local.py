"""The local source: a ONE cache on disk, read through a ONE client in local mode.

Beside the cache tables it reads what a database would add, when it is there: `subjects.csv`, `fibers.csv` and
`session_details.jsonl`.
"""

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from iblnm_core.errors import ConfigurationError
from iblnm_core.identifiers import is_eid
from iblnm_core.sources.base import Listing, Rejected, SourceRecord, text_or_none
from iblnm_core.vocabulary import is_safe_name, normalise_region, split_region

DESCRIPTION = "_ibl_experiment.description.yaml"
LOCATIONS = "alf/photometry/photometryROI.locations.pqt"

_logger = logging.getLogger(__name__)


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

    def list_sessions(self) -> Listing:
        """Return all sessions of the cache tables; see `SessionSource`."""
        sessions, datasets = self._tables()
        paths_by_eid = {str(eid): group.tolist() for eid, group in datasets.groupby(level=0, sort=False)["rel_path"]}
        records, rejected = [], []
        for row in sessions.reset_index().to_dict("records"):
            eid = str(row["id"])
            problem = _problem(eid, row)
            if problem:
                rejected.append(Rejected(eid, problem))
            else:
                records.append(self._record(eid, row, paths_by_eid.get(eid, [])))
        return Listing(tuple(sorted(records, key=lambda record: record.eid)), tuple(rejected))

    def _tables(self) -> tuple[Any, Any]:
        """Return the sessions and datasets tables as the client has them."""
        from one.api import One

        missing = [name for name in ("sessions.pqt", "datasets.pqt") if not (self.cache / name).is_file()]
        if missing:
            raise ConfigurationError(
                f"{self.cache} is no ONE cache: {' and '.join(missing)} missing. "
                f"For a folder of sessions without cache tables, make them with `iblnm index {self.cache}`"
            )
        client = One(cache_dir=self.cache, mode="local")
        tables = client._cache  # noqa: SLF001 - the public calls go session by session, 5 ms each
        return tables["sessions"], tables["datasets"]

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
        datasets = tuple(sorted(path for path in listed if _is_below(path) and _is_there(folder / path)))
        details = self._details.get(eid, {})
        description = _read_description(folder / DESCRIPTION) if DESCRIPTION in datasets else {}
        regions, region_source, filled = _regions(folder, datasets, description)
        known = self._subjects
        rows = [] if known is None else known.get(row["subject"], [])
        subject = rows[0] if len(rows) == 1 else {}
        return SourceRecord(
            eid=eid,
            subject=row["subject"],
            start_time=text_or_none(details.get("start_time")) or f"{row['date']}T00:00:00",
            number=int(row["number"]),
            lab=row["lab"] or "",
            task_protocol=text_or_none(row["task_protocol"]) or _protocol(description),
            folder=relative.as_posix(),
            datasets=datasets,
            projects=_split(row["projects"]) or tuple(_texts(description.get("projects"))),
            users=tuple(_texts(details.get("users"))),
            genotype=tuple(filter(None, (subject.get("genotype") or "").split(";"))),
            end_time=text_or_none(details.get("end_time")),
            strain=text_or_none(subject.get("strain")),
            line=text_or_none(subject.get("line")),
            url=text_or_none(details.get("url")),
            regions=regions,
            region_source=region_source,
            filled_regions=filled,
            n_subject_rows=None if known is None else len(rows),
            fiber_sides=self._sides(row["subject"], regions),
        )

    def _sides(self, subject: str, regions: Sequence[str]) -> tuple[str, ...]:
        """Return on which side the table of fibres has each region of a subject; empty without such a table."""
        if self._fibers is None:
            return ()
        of_subject = self._fibers.get(subject, {})
        found = []
        for region in regions:
            sides = of_subject.get(split_region(normalise_region(region))[0], set())
            found.append(next(iter(sides)) if len(sides) == 1 else "both" if sides else "absent")
        return tuple(found)

    @cached_property
    def _subjects(self) -> dict[str, list[dict[str, str]]] | None:
        rows = self._csv("subjects.csv")
        return None if rows is None else _grouped(rows)

    @cached_property
    def _fibers(self) -> dict[str, dict[str, set[str]]] | None:
        """Return the sides of a subject's fibres by bare region; in the table positive means left."""
        rows = self._csv("fibers.csv")
        if rows is None:
            return None
        sides: dict[str, dict[str, set[str]]] = {}
        for row in rows:
            lateral = _number(row.get("X-ml_um"))
            side = "midline" if not lateral else "l" if lateral > 0 else "r"
            region = split_region(normalise_region(row.get("targeted_region") or ""))[0]
            sides.setdefault(row["subject"], {}).setdefault(region, set()).add(side)
        return sides

    def _csv(self, name: str) -> list[dict[str, str]] | None:
        """Return the rows of a table beside the cache tables, None when there is none."""
        path = self.cache / name
        if not path.is_file():
            return None
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("subject")]
        if not rows:
            _logger.warning("%s is left out: no row with a subject; expected a column `subject`", path)
        return rows

    @cached_property
    def _details(self) -> dict[str, dict[str, Any]]:
        path = self.cache / "session_details.jsonl"
        if not path.is_file():
            return {}
        details = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                entry = json.loads(line)
                details[str(entry["id"])] = entry
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                _logger.warning("%s, line %d is left out: %s; expected an object with an id", path, number, error)
        return details


def _grouped(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        grouped.setdefault(row["subject"], []).append(row)
    return grouped


def _number(text: str | None) -> float:
    """Return a number of a table, 0 for what is none."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _problem(eid: str, row: Mapping[str, Any]) -> str | None:
    """Say why a row of the cache tables cannot be a session, None when it can."""
    if not is_eid(eid):
        return f"id {eid!r} is not a session id; expected a UUID of version 3 or 4"
    for field in ("subject", "lab"):
        name = row[field] or ""
        if (name or field == "subject") and not is_safe_name(name):
            return f"{field} {name!r} cannot be a folder name"
    return None


def _is_below(path: str) -> bool:
    """Whether a dataset path stays inside the session folder."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def _is_there(path: Path) -> bool:
    """Whether a file is there, readable or not: what cannot be read is its session's verdict, not the end of a listing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read_description(path: Path) -> Mapping[str, Any]:
    """Return the experiment description; one that cannot be read says nothing."""
    import yaml

    try:
        content = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        _logger.warning("%s is left out: %s", path, error)
        return {}
    return content if isinstance(content, dict) else {}


def _regions(
    folder: Path, datasets: Sequence[str], description: Mapping[str, Any]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return the brain regions by fibre, the dataset they come from, and what another dataset had to add.

    They come from the description, and from the locations table when that names none; single blanks are filled from
    there by ROI.
    """
    devices = description.get("devices") or {}
    fibers = (devices.get("neurophotometrics") or {}).get("fibers") if isinstance(devices, dict) else None
    entries = fibers.items() if isinstance(fibers, dict) else ()
    described = {
        str(roi): str((e or {}).get("location") or "").strip() for roi, e in entries if isinstance(e, dict | None)
    }
    if described and all(described.values()):
        return tuple(described.values()), DESCRIPTION, ()
    located = _located_regions(folder / LOCATIONS) if LOCATIONS in datasets else {}
    if not any(described.values()):
        source = LOCATIONS if LOCATIONS in datasets else DESCRIPTION if fibers is not None else ""
        return tuple(located.values()), source, ()
    filled = [roi for roi, region in described.items() if not region and located.get(roi)]
    regions = {**described, **{roi: located[roi] for roi in filled}}
    return tuple(regions.values()), DESCRIPTION, tuple(f"{roi}: {located[roi]}" for roi in filled)


def _located_regions(path: Path) -> dict[str, str]:
    """Return the brain regions of the locations table by ROI."""
    import pandas as pd
    import pyarrow as pa

    try:
        column = pd.read_parquet(path, columns=["brain_region"])["brain_region"]
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        _logger.warning("%s is left out: %s", path, error)
        return {}
    return {str(roi): region if isinstance(region, str) else "" for roi, region in column.items()}


def _protocol(description: Mapping[str, Any]) -> str:
    tasks = description.get("tasks")
    names = [str(name) for task in tasks or () if isinstance(task, dict) for name in task]
    return "/".join(names)


def _split(projects: Any) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (projects or "").split(","))))


def _texts(value: Any) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list) else []
