"""Large caches from little content: a thousand sessions by links, and an index of a hundred thousand without files."""

import datetime as dt
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from iblnm_core.demo.cohort import write_cohort
from iblnm_core.demo.files import BEHAVIOUR, SIGNAL, TRIALS
from iblnm_core.demo.identity import LAB, dataset_id
from iblnm_core.demo.index import WrittenSession, write_index
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.presets import demo_plans
from iblnm_core.demo.session import session_content, simulate_session
from iblnm_core.errors import ConfigurationError
from iblnm_core.sources.indexing import write_cache_tables
from iblnm_core.vocabulary import PROJECT

_SUBJECTS = 25
_FIRST_DAY = dt.date(2020, 1, 6)
_INDEXED = (TRIALS, f"{BEHAVIOUR}/_ibl_wheel.position.npy", SIGNAL, "alf/photometry/photometryROI.locations.pqt")


def write_linked_cohort(cache: Path, n_sessions: int = 1000, *, seed: int = 1, workers: int = 1) -> list[str]:
    """Write many sessions of 25 subjects whose files are links to those of the sound demo sessions.

    Every session has its own id, date and database entry. Where the file system has no links, files are copied.

    Parameters
    ----------
    cache : Path
        The folder to be.
    n_sessions : int
    seed, workers
        See `cohort.write_cohort`.

    Returns
    -------
    list of str
        Session ids, sorted.

    Raises
    ------
    ConfigurationError
        When the folder exists.
    """
    if cache.exists():
        raise ConfigurationError(f"{cache} exists; expected a folder to be made")
    plain = [p for p in demo_plans(clinic=False) if p.layout == "standard" and p.session_type != "habituation"]
    source = write_cohort(cache.with_name(f".{cache.name}-source"), plain, seed=seed, workers=workers)
    details = {plan: session_content(simulate_session(plan, seed)).details for plan in plain}
    written = []
    for number in range(n_sessions):
        plan = _content_for(number, plain)
        copy = _copy_of(plan, number)
        target = cache / copy.key.folder
        shutil.copytree(source.cache / plan.key.folder, target, copy_function=_link)
        sizes = {p.relative_to(target).as_posix(): p.stat().st_size for p in target.rglob("*") if p.is_file()}
        written.append(WrittenSession(copy, copy.eid(seed), sizes, _dated(details[plan], copy)))
    write_index(cache, written)
    shutil.rmtree(source.cache)
    return sorted(session.eid for session in written)


def _content_for(number: int, plans: Sequence[SessionPlan]) -> SessionPlan:
    """Return the session whose content a subject's next session has: always of the same mouse, with the same fibres."""
    names = list(dict.fromkeys(plan.subject.name for plan in plans))
    of_mouse = [plan for plan in plans if plan.subject.name == names[number % _SUBJECTS % len(names)]]
    return of_mouse[number // _SUBJECTS % len(of_mouse)]


def _copy_of(plan: SessionPlan, number: int) -> SessionPlan:
    """Return the plan of a session that has the content of another: same fibres, another mouse and day."""
    subject = replace(plan.subject, name=f"MANY-{1 + number % _SUBJECTS:02d}")
    return replace(plan, subject=subject, date=_FIRST_DAY + dt.timedelta(days=number // _SUBJECTS))


def _dated(details: Mapping[str, object], plan: SessionPlan) -> dict[str, object]:
    dated = {name: f"{plan.date}{str(details[name])[10:]}" for name in ("start_time", "end_time")}
    return {**details, **dated}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def write_index_without_files(cache: Path, n_sessions: int = 100_000, *, seed: int = 1) -> None:
    """Write the tables of a ONE cache with so many sessions of four datasets each, and no session folder.

    Parameters
    ----------
    cache : Path
        Made when absent.
    n_sessions : int
    seed : int
    """
    import pandas as pd
    from one.alf.cache import DATASETS_COLUMNS, QC_TYPE, SESSIONS_COLUMNS

    cache.mkdir(parents=True, exist_ok=True)
    plan = demo_plans(clinic=False)[0]
    copies = [_copy_of(plan, number) for number in range(n_sessions)]
    eids = [copy.eid(seed) for copy in copies]
    sessions = pd.DataFrame(
        {
            "id": eids,
            "lab": LAB,
            "subject": [copy.subject.name for copy in copies],
            "date": [copy.date for copy in copies],
            "number": np.array([copy.number for copy in copies], SESSIONS_COLUMNS["number"]),
            "task_protocol": plan.protocol,
            "projects": PROJECT,
        }
    ).set_index("id")
    rows = [(eid, dataset_id(eid, path), path) for eid in eids for path in _INDEXED]
    datasets = pd.DataFrame(rows, columns=["eid", "id", "rel_path"])
    datasets = datasets.assign(file_size=1000, hash=None, exists=True, qc="PASS")
    datasets = datasets.astype({"file_size": "UInt64", "exists": bool, "qc": QC_TYPE})
    datasets = datasets.set_index(["eid", "id"]).sort_index()[[n for n in DATASETS_COLUMNS if n not in {"eid", "id"}]]
    write_cache_tables(cache, sessions.sort_index()[[n for n in SESSIONS_COLUMNS if n != "id"]], datasets, "iblnm demo")
