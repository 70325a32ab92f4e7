"""Fibres as sources have them: chronic insertions with their trajectories, and the table `fibers.csv`. What follows is `cohort.fibers`'."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iblnm_core.sources.values import text_or_none
from iblnm_core.vocabulary import TABLE_OF_FIBERS, normalise_region, split_region

ALYX = "Alyx"
RIGHT_SIGN_OF_TABLE = -1
"""In `fibers.csv` positive medio-lateral coordinates are left, everywhere else right."""

_TABLE_COLUMNS = ("X-ml_um", "Y-ap_um", "Z-dv_um", "depth", "theta", "phi")
_ALYX_FIELDS = ("x", "y", "z", "depth", "theta", "phi")


@dataclass(frozen=True)
class Trajectory:
    """One way a fibre is said to go.

    Attributes
    ----------
    provenance : str
        Such as `Histology track`.
    x_um, y_um, z_um : float or None
        Entry: medio-lateral, antero-posterior, dorso-ventral, um.
    depth_um : float or None
    theta_deg, phi_deg : float or None
    saved : str
        When it was saved, ISO 8601.
    identifier : str
    """

    provenance: str
    x_um: float | None
    y_um: float | None
    z_um: float | None
    depth_um: float | None
    theta_deg: float | None
    phi_deg: float | None
    saved: str = ""
    identifier: str = ""


@dataclass(frozen=True)
class FiberRecord:
    """One fibre as a source has it.

    Attributes
    ----------
    subject, name : str
    source : str
        `Alyx` or `table of fibres`.
    region : str or None
        The targeted region, without side.
    trajectories : tuple of Trajectory
    identifier : str
        Of the insertion; empty where rows have none.
    right_sign : int
        Sign of medio-lateral coordinates on the right.
    """

    subject: str
    name: str
    source: str
    region: str | None
    trajectories: tuple[Trajectory, ...]
    identifier: str = ""
    right_sign: int = 1


def fibers_of_table(rows: Sequence[Mapping[str, str]]) -> list[FiberRecord]:
    """Return the fibres of `fibers.csv`, named by their region; a second one in the same region gets `#2`."""
    records: list[FiberRecord] = []
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        region = split_region(normalise_region(row.get("targeted_region") or ""))[0]
        number = seen[row["subject"], region] = seen.get((row["subject"], region), 0) + 1
        trajectory = _trajectory(row, _TABLE_COLUMNS, TABLE_OF_FIBERS)
        name = region if number == 1 else f"{region}#{number}"
        records.append(
            FiberRecord(
                row["subject"], name, TABLE_OF_FIBERS, region or None, (trajectory,), right_sign=RIGHT_SIGN_OF_TABLE
            )
        )
    return records


def implanted_fibers(rows: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the fibres of each subject of `fibers.csv`, in the order of the file, as region and side: `VTA l`, `DR midline`.

    Sides are those of the entries, and a coordinate that is not known is the midline.
    """
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        lateral = RIGHT_SIGN_OF_TABLE * (_number(row.get("X-ml_um")) or 0.0)
        side = "midline" if lateral == 0 else "r" if lateral > 0 else "l"
        region = split_region(normalise_region(row.get("targeted_region") or ""))[0]
        if region:
            found[row["subject"]] = (*found.get(row["subject"], ()), f"{region} {side}")
    return found


def fibers_of_alyx(
    insertions: Iterable[Mapping[str, Any]], trajectories: Iterable[Mapping[str, Any]], subjects: Iterable[str]
) -> list[FiberRecord]:
    """Return the fibres of some subjects.

    Parameters
    ----------
    insertions, trajectories : iterable of mapping
        Chronic insertions and trajectories as Alyx lists them.
    subjects : iterable of str
    """
    wanted = set(subjects)
    by_insertion: dict[str, list[Trajectory]] = {}
    for row in trajectories:
        provenance, saved = text_or_none(row.get("provenance")) or "", text_or_none(row.get("datetime")) or ""
        trajectory = _trajectory(row, _ALYX_FIELDS, provenance, saved, str(row.get("id")))
        by_insertion.setdefault(str(row.get("chronic_insertion")), []).append(trajectory)
    records = []
    for row in insertions:
        subject = text_or_none(row.get("subject"))
        if subject not in wanted or subject is None:
            continue
        about = row.get("json")
        region = text_or_none(about.get("targeted_region")) if isinstance(about, dict) else None
        bare = split_region(normalise_region(region))[0] if region else None
        identifier = str(row.get("id"))
        known = tuple(by_insertion.get(identifier, ()))
        records.append(FiberRecord(subject, text_or_none(row.get("name")) or "", ALYX, bare, known, identifier))
    return records


def _trajectory(
    row: Mapping[str, Any], names: Sequence[str], provenance: str, saved: str = "", identifier: str = ""
) -> Trajectory:
    x, y, z, depth, theta, phi = (_number(row.get(name)) for name in names)
    return Trajectory(provenance, x, y, z, depth, theta, phi, saved, identifier)


def _number(value: Any) -> float | None:
    """Return a finite number, None for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
