"""The files at the root of the cohort's cache: the two tables of a ONE cache, and what a database would know beside them."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblnm_core.demo.identity import LAB, dataset_id
from iblnm_core.demo.plan import SessionPlan, Subject
from iblnm_core.sources.indexing import write_cache_tables
from iblnm_core.vocabulary import NEUROMODULATOR_OF_REGION, PROJECT, split_region

_ORIGIN = "iblnm demo"
# entry of the fibre, as far from Bregma as is usual for the target: lateral, anterior (um), depth (um), tilt (degrees)
_ENTRY = {
    "VTA": (500, -3100, 4300, 0.0),
    "SNc": (1400, -3100, 4100, 0.0),
    "DR": (0, -6540, 4140, 32.0),
    "MR": (0, -6640, 5000, 25.0),
    "LC": (850, -5400, 3500, 0.0),
    "NBM": (1750, -500, 4100, 0.0),
    "SI": (1300, 100, 4600, 0.0),
}
_FIBER_COLUMNS = (
    "subject",
    "targeted_region",
    "neuromodulator",
    "X-ml_um",
    "Y-ap_um",
    "Z-dv_um",
    "depth",
    "theta",
    "phi",
    "roll",
    "expression",
    "fiber_diameter_um",
    "fiber_length_mm",
    "numerical_aperture",
    "fiber_tip",
    "surgery_date",
    "Fiber tip tacking",
    "",
    "notes",
)


@dataclass(frozen=True)
class WrittenSession:
    """What the index needs to know about a session that was written.

    Attributes
    ----------
    plan : SessionPlan
    eid : str
    sizes : mapping of str to int
        Bytes of each dataset by its path below the session folder.
    details : mapping
        Database entry, without the id.
    """

    plan: SessionPlan
    eid: str
    sizes: Mapping[str, int]
    details: Mapping[str, Any]


def write_index(cache: Path, sessions: Iterable[WrittenSession]) -> None:
    """Write everything that stands at the root of the cache beside the sessions themselves.

    Parameters
    ----------
    cache : Path
    sessions : iterable of WrittenSession
        In any order.
    """
    ordered = sorted(sessions, key=lambda session: session.plan.key)
    subjects = list({session.plan.subject.name: session.plan.subject for session in ordered}.values())
    known = [_subject_row(subject) for subject in subjects if subject.in_subjects]
    fibers = [row for subject in subjects if subject.in_fibers for row in _fiber_rows(subject)]
    _write_csv(cache / "subjects.csv", _SUBJECT_COLUMNS, known)
    _write_csv(cache / "fibers.csv", _FIBER_COLUMNS, fibers)
    lines = [json.dumps({"id": session.eid, **session.details}, ensure_ascii=False) for session in ordered]
    (cache / "session_details.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    _write_cache_tables(cache, ordered)


def _write_cache_tables(cache: Path, sessions: Sequence[WrittenSession]) -> None:
    import pandas as pd
    from one.alf.cache import DATASETS_COLUMNS, QC_TYPE, SESSIONS_COLUMNS

    session_rows = [
        {
            "id": session.eid,
            "lab": LAB,
            "subject": session.plan.subject.name,
            "date": session.plan.date,
            "number": session.plan.number,
            "task_protocol": session.details["task_protocol"],
            "projects": PROJECT,
        }
        for session in sessions
    ]
    dataset_rows = [
        {
            "eid": session.eid,
            "id": dataset_id(session.eid, path),
            "rel_path": path,
            "file_size": size,
            # with any other value ONE hashes each file at each load
            "hash": None,
            "exists": True,
            "qc": "PASS",
        }
        for session in sessions
        for path, size in session.sizes.items()
    ]
    session_table = pd.DataFrame(session_rows, columns=list(SESSIONS_COLUMNS))
    session_table = session_table.astype({"number": SESSIONS_COLUMNS["number"]}).set_index("id").sort_index()
    dataset_table = pd.DataFrame(dataset_rows, columns=list(DATASETS_COLUMNS))
    dataset_table = dataset_table.astype({"file_size": "UInt64", "exists": bool, "qc": QC_TYPE})
    dataset_table = dataset_table.set_index(["eid", "id"]).sort_index()
    write_cache_tables(cache, session_table, dataset_table, _ORIGIN)


_SUBJECT_COLUMNS = ("subject", "strain", "line", "genotype", "sex", "birth_date", "lab", "neuromodulator_planted")


def _subject_row(subject: Subject) -> dict[str, Any]:
    values = (
        subject.name,
        subject.strain,
        subject.line,
        ";".join(subject.genotype),
        subject.sex,
        subject.birth_date,
        LAB,
        subject.neuromodulator,
    )
    return dict(zip(_SUBJECT_COLUMNS, values, strict=True))


def _fiber_rows(subject: Subject) -> list[dict[str, Any]]:
    """Return the rows of a subject's fibres; in this table positive means left."""
    rows = []
    for region in subject.regions:
        bare, side = split_region(region)
        lateral, anterior, depth, tilt = _ENTRY[bare]
        rows.append(
            {
                "subject": subject.name,
                "targeted_region": bare,
                "neuromodulator": NEUROMODULATOR_OF_REGION[bare],
                "X-ml_um": -lateral if side == "r" else lateral,
                "Y-ap_um": anterior,
                "depth": depth,
                "theta": tilt,
                # a fibre that enters on the midline stays on it
                "phi": -90 if tilt else 0,
                "roll": 0,
                "expression": 1,
                "fiber_diameter_um": 200,
                "fiber_length_mm": 6.0,
                "numerical_aperture": 0.37,
                "fiber_tip": "flat",
            }
        )
    return rows


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
