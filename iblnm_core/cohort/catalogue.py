"""The catalogue: raw session records to one repaired row per session. A pure function of the index."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

import pandas as pd

from iblnm_core.cohort.extended_qc import read_extended_qc
from iblnm_core.errors import InvalidSessionType
from iblnm_core.schemas import SESSION_INDEX, SESSIONS
from iblnm_core.session.metadata import session_type_of
from iblnm_core.sources.base import SourceRecord
from iblnm_core.vocabulary import (
    ANALYSED_SESSION_TYPES,
    EXCLUDED_SUBJECTS,
    NEUROMODULATOR_OF_REGION,
    OTHER_SESSIONS,
    TABLE_OF_FIBERS,
    VIDEO_LABELS,
    normalise_region,
    split_region,
)


def index_frame(records: Iterable[SourceRecord]) -> pd.DataFrame:
    """Return raw session records as the `session_index` table."""
    rows = [{name: _stored(getattr(record, name)) for name in SESSION_INDEX.column_names} for record in records]
    return pd.DataFrame(rows, columns=SESSION_INDEX.column_names)


def _stored(value: Any) -> Any:
    """Return a value of a record as tables and session files can hold it: no text with a zero byte or half a character."""
    if isinstance(value, tuple):
        return [_stored(entry) for entry in value]
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode() if isinstance(value, str) else value


def build_catalogue(index: pd.DataFrame) -> pd.DataFrame:
    """Return the `sessions` table.

    Parameters
    ----------
    index : DataFrame
        The `session_index` table.

    Returns
    -------
    DataFrame
        One row per session, columns of the `sessions` schema. Region names are repaired first; then a session without
        any region takes those of its subject's other sessions, if they agree, else those of the table of fibres; then
        unknown hemispheres are taken from that table. What is doubtful is judged by the metadata rules.
    """
    if index.empty:
        return pd.DataFrame(columns=SESSIONS.column_names)
    records = index.to_dict("records")
    known = _known_regions(records)
    catalogue = pd.DataFrame([_catalogue_row(row, *found) for row, found in zip(records, known, strict=True)])
    dates = pd.to_datetime(catalogue["start_time"].str[:10])
    by_subject = dates.groupby(catalogue["subject"])
    catalogue["day_n"] = (dates - by_subject.transform("min")).dt.days
    catalogue["session_n"] = by_subject.rank(method="dense")
    catalogue["duplicate_of"] = _used_instead(catalogue)
    return catalogue[SESSIONS.column_names]


def _used_instead(catalogue: pd.DataFrame) -> list[str | None]:
    """Return, for a session that another one of its subject and day is used instead of, the id of that one.

    Only sessions that analyses could use at all compete: the longest wins, then the earliest, then the first by id. What became of
    the recordings is not known here; the selection for analyses looks at that too.
    """
    usable = catalogue["session_type"].isin(ANALYSED_SESSION_TYPES) & ~catalogue["subject"].isin(EXCLUDED_SUBJECTS)
    ranked = catalogue[usable].sort_values(
        ["session_length", "start_time", "eid"], ascending=[False, True, True], na_position="last"
    )
    best = ranked.groupby(["subject", "day_n"])["eid"].transform("first")
    instead = dict(zip(ranked["eid"], best, strict=True))
    return [None if instead.get(eid) == eid else instead.get(eid) for eid in catalogue["eid"]]


def _known_regions(records: Sequence[Mapping[Any, Any]]) -> list[tuple[list[str], str]]:
    """Return the repaired brain regions of every session and where they come from.

    A session without any takes those that its subject's other sessions agree on, else those of the table of fibres.
    """
    repaired = [[normalise_region(region) for region in row["regions"]] for row in records]
    of_subject: dict[str, set[tuple[str, ...]]] = {}
    for row, regions in zip(records, repaired, strict=True):
        if regions:
            of_subject.setdefault(row["subject"], set()).add(tuple(regions))
    known = []
    for row, regions in zip(records, repaired, strict=True):
        others = of_subject.get(row["subject"], set())
        implanted = [_region_and_side(fiber)[0] for fiber in _texts(row["implanted"])]
        # a source that names regions and leaves them blank is another matter
        if regions:
            known.append((regions, row["region_source"]))
        elif len(others) == 1:
            known.append((list(next(iter(others))), OTHER_SESSIONS))
        elif implanted:
            known.append((implanted, TABLE_OF_FIBERS))
        else:
            known.append(([], row["region_source"]))
    return known


def _catalogue_row(row: Mapping[Any, Any], regions: list[str], region_source: str) -> dict[str, Any]:
    targets = [target_of(region) for region in regions]
    sides = _implanted_sides(row["implanted"], regions)
    quality = read_extended_qc(row["qc"], row["extended_qc"])
    outcomes = {entry.key: entry.outcome for entry in quality.entries}
    return {
        **{name: row[name] for name in SESSIONS.column_names if name in row},
        "lab": row["lab"] or None,
        "session_type": _session_type(row["task_protocol"]),
        "session_length": session_length(row["start_time"], row["end_time"]),
        "NM": common_neuromodulator(targets),
        "brain_region": regions,
        "hemisphere": [_hemisphere(region, side) for region, side in zip_longest(regions, sides)],
        "target_NM": targets,
        "datasets": list(row["datasets"]),
        "region_source": region_source,
        "filled_regions": list(row["filled_regions"]),
        "fiber_sides": sides,
        "invalid_extended_qc": list(quality.invalid),
        **{label: outcomes.get(label) for label in VIDEO_LABELS},
    }


def _texts(values: Any) -> list[str]:
    """Return a list of texts that may be unknown."""
    return [] if values is None else list(values)


def _region_and_side(fiber: str) -> tuple[str, str]:
    region, _, side = fiber.rpartition(" ")
    return region, side


def _implanted_sides(implanted: Any, regions: Sequence[str]) -> list[str]:
    """Return on which side the table of fibres has each region of a subject; empty without such a table."""
    if implanted is None:
        return []
    fibers = [_region_and_side(fiber) for fiber in implanted]
    found = []
    for region in regions:
        sides = {side for implanted_in, side in fibers if implanted_in == split_region(region)[0]}
        found.append(sides.pop() if len(sides) == 1 else "both" if sides else "absent")
    return found


def _hemisphere(region: str, implanted: str | None) -> str:
    """Return the side that a region is named with, else the one that the table of fibres has, else nothing."""
    return split_region(region)[1] or (implanted if implanted in {"l", "r"} else "")


def _session_type(protocol: str) -> str | None:
    try:
        return session_type_of(protocol)
    except InvalidSessionType:
        return None


def target_of(region: str) -> str | None:
    """Return the target label of a region, None for a region that is no target."""
    bare = split_region(region)[0]
    neuromodulator = NEUROMODULATOR_OF_REGION.get(bare)
    return None if neuromodulator is None else f"{bare}-{neuromodulator}"


def common_neuromodulator(targets: Sequence[str | None]) -> str | None:
    """Return the neuromodulator of a session's targets when all agree."""
    found = {target.rpartition("-")[2] for target in targets if target}
    return found.pop() if len(found) == 1 else None


def session_length(start: str, end: str | None) -> float:
    """Return end minus start in seconds; not a number when either is unknown or they have different conventions.

    Parameters
    ----------
    start, end : str
        ISO 8601.
    """
    try:
        return (datetime.fromisoformat(end or "") - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return math.nan
