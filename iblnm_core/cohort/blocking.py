"""Which errors keep a session out of cohort analyses: the one rule that reports, exported files and the viewer ask."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from iblnm_core.cohort.selection import Selection
from iblnm_core.rules import RULES
from iblnm_core.session.fingerprint import Provenance

SOUND = Selection(
    session_types=(),
    excluded_subjects=frozenset(),
    excluded_eids=frozenset(),
    targets=(),
    minimum_performance=MappingProxyType({}),
    required_contrasts=frozenset(),
    duplicates="kept",
)
"""The part of a selection that asks whether a session is sound: its outputs are there, and no blocker stands."""


def lost_outputs(provenance: Mapping[str, Provenance]) -> dict[str, str | None]:
    """Return the outputs that an error stopped, and the class of that error.

    Parameters
    ----------
    provenance : mapping of str to Provenance
        By output.
    """
    return {name: entry.stopped_by for name, entry in provenance.items() if entry.state != "stored"}


def blocks(row: Mapping[str, Any], lost: Mapping[str, str | None]) -> bool:
    """Whether one error keeps its session out of cohort analyses: a blocker, or it stops an output that they need.

    Parameters
    ----------
    row : mapping
        An error row.
    lost : mapping of str to str
        Outputs of the session that an error stopped, and the class of that error.
    """
    names = set(str(row["error_family"]).split())
    if row["stage"] in SOUND.blocking_stages and not names.isdisjoint(SOUND.blockers):
        return True
    needed = lost.keys() & set(SOUND.required_outputs)
    if row["error_type"] == "UnexpectedError":
        return any(lost[name] == "UnexpectedError" for name in needed)
    rule = RULES.get(str(row["rule"]))
    stopped = (c.stops for c in rule.consequences if c.error.__name__ in names) if rule else ()
    return any(needed.intersection(stops) for stops in stopped)
