"""ONE cache tables for a folder of sessions that has none. Reads no dataset, writes nothing but the two tables."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblnm_core.errors import ConfigurationError
from iblnm_core.identifiers import uuid_from
from iblnm_core.storage.atomic import atomic_path


@dataclass(frozen=True)
class IndexedCache:
    """What was found."""

    cache: Path
    n_sessions: int
    n_datasets: int


_ORIGIN = "iblnm index"


def index_cache(cache: Path) -> IndexedCache:
    """Write `sessions.pqt` and `datasets.pqt` for all session folders below a folder.

    Session ids are pure functions of lab, subject, date and number, so that an index made anew, or of a copy elsewhere,
    names the same sessions. Hashes are left null: with any other value ONE hashes each file at each load.

    Parameters
    ----------
    cache : Path
        Holds session folders `LAB/Subjects/SUBJECT/YYYY-MM-DD/NNN`.

    Raises
    ------
    ConfigurationError
        When there is no such folder, no session in it, or it has cache tables that somebody else made.
    """
    import pandas as pd
    from one.alf.cache import DATASETS_COLUMNS, QC_TYPE, SESSIONS_COLUMNS

    if not cache.is_dir():
        raise ConfigurationError(f"{cache}: there is no such folder")
    _refuse_foreign_tables(cache)
    sessions: list[dict[str, Any]] = []
    datasets: list[dict[str, Any]] = []
    for folder, parts in _session_folders(cache):
        eid = uuid_from("/".join(parts))
        lab, subject, date, number = parts
        sessions.append(
            {
                "id": eid,
                "lab": lab,
                "subject": subject,
                "date": dt.date.fromisoformat(date),
                "number": int(number),
                "task_protocol": "",
                "projects": "",
            }
        )
        datasets += _dataset_rows(eid, folder)
    if not sessions:
        raise ConfigurationError(f"{cache} holds no session folder LAB/Subjects/SUBJECT/YYYY-MM-DD/NNN")
    session_table = pd.DataFrame(sessions).astype({"number": SESSIONS_COLUMNS["number"]}).set_index("id").sort_index()
    dataset_table = pd.DataFrame(datasets, columns=list(DATASETS_COLUMNS))
    dataset_table = dataset_table.astype({"file_size": "UInt64", "exists": bool, "qc": QC_TYPE})
    dataset_table = dataset_table.set_index(["eid", "id"]).sort_index()
    write_cache_tables(cache, session_table, dataset_table, _ORIGIN)
    return IndexedCache(cache, len(session_table), len(dataset_table))


def write_cache_tables(cache: Path, sessions: Any, datasets: Any, origin: str) -> None:
    """Write the two tables of a ONE cache, each atomically, with the metadata that ONE asks for."""
    from iblutil.io import parquet

    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M")
    for name, table in (("datasets.pqt", datasets), ("sessions.pqt", sessions)):
        with atomic_path(cache / name) as temporary:
            parquet.save(temporary, table, {"date_created": now, "origin": origin, "min_api_version": "3.0.0"})


def _refuse_foreign_tables(cache: Path) -> None:
    """Keep tables that know more than the folders do: ids, protocols, projects."""
    from iblutil.io import parquet

    for name in ("sessions.pqt", "datasets.pqt"):
        path = cache / name
        if path.is_file() and parquet.load(path)[1].get("origin") != _ORIGIN:
            raise ConfigurationError(
                f"{path} is there already and was not made by `iblnm index`; its session ids would change. "
                "Use the cache as it is, or move its tables away first"
            )


def _session_folders(cache: Path) -> Iterator[tuple[Path, tuple[str, str, str, str]]]:
    from one.alf.io import iter_sessions
    from one.alf.path import session_path_parts

    for folder in sorted(iter_sessions(cache)):
        lab, subject, date, number = session_path_parts(folder.relative_to(cache).as_posix(), assert_valid=True)
        yield Path(folder), (lab or "", subject, date, number)


def _dataset_rows(eid: str, folder: Path) -> Iterator[dict[str, Any]]:
    from one.alf.io import iter_datasets

    for path in sorted(iter_datasets(folder)):
        relative = Path(path).as_posix()
        yield {
            "eid": eid,
            "id": uuid_from(f"{eid}|{relative}"),
            "rel_path": relative,
            "file_size": (folder / relative).stat().st_size,
            "hash": None,
            "exists": True,
            "qc": "NOT_SET",
        }
