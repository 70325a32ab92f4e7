"""Verdicts as pages show them. What blocks a session and whether it is usable is decided where cohort analyses decide it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from iblnm_core.cohort.blocking import SOUND, blocks, lost_outputs
from iblnm_core.cohort.selection import select
from iblnm_core.reports.model import SIGNS, Banner, Card, Cell, Kind, Row, TableView
from iblnm_core.reports.texts import clean, counted, listed, measured, without_folders
from iblnm_core.rules import RULES
from iblnm_core.schemas import ERRORS, SESSION_STATUS, SESSIONS
from iblnm_core.session.fingerprint import Provenance
from iblnm_core.session.outputs import COMPUTED, OUTPUTS
from iblnm_core.session.verdicts import Verdict, error_rows
from iblnm_core.verdict_words import BLOCKING, HOLDS, NOT_JUDGED, WARNING, words_for

_ORDER: Mapping[Kind, int] = {"blocking": 0, "warning": 1, "ok": 2, "unknown": 3}


def sound_sessions(eids: Collection[str], errors: pd.DataFrame, statuses: pd.DataFrame) -> frozenset[str]:
    """Return the sessions that cohort analyses can use, as the selection of cohorts decides it.

    Parameters
    ----------
    eids : collection of str
    errors : DataFrame
        The `errors` table.
    statuses : DataFrame
        The `session_status` table.
    """
    catalogue = pd.DataFrame({"eid": list(eids)}).reindex(columns=SESSIONS.column_names)
    for column in SESSIONS.columns:
        if column.kind == "texts":
            catalogue[column.name] = [()] * len(catalogue)
    return frozenset(select(catalogue, errors, SOUND, statuses=statuses).sessions["eid"])


def is_usable(eid: str, errors: Sequence[Mapping[str, Any]], provenance: Mapping[str, Provenance]) -> bool:
    """Whether cohort analyses can use a session, going by what its file holds.

    Parameters
    ----------
    eid : str
    errors : sequence of mapping
        Its error rows.
    provenance : mapping of str to Provenance
        By output.
    """
    states = {name: "ok" if entry.state == "stored" else "failed" for name, entry in provenance.items()}
    statuses = pd.DataFrame(
        [{"eid": eid, "asset": name, "state": states.get(name, "never run")} for name in COMPUTED],
        columns=SESSION_STATUS.column_names,
    )
    return eid in sound_sessions([eid], pd.DataFrame(errors, columns=ERRORS.column_names), statuses)


def cards(eid: str, verdicts: Mapping[str, Verdict], provenance: Mapping[str, Provenance]) -> list[Card]:
    """Return one card per finding: what blocks first, each kind in the order of the rules.

    Parameters
    ----------
    eid : str
    verdicts : mapping of str to Verdict
        By rule.
    provenance : mapping of str to Provenance
        By output.
    """
    made, lost = [], lost_outputs(provenance)
    for place, row in enumerate(error_rows(eid, verdicts.values())):
        kind: Kind = "blocking" if blocks(row, lost) else "warning"
        words = words_for(str(row["error_family"]).split() or [str(row["error_type"])])
        message = without_folders(clean(row["error_message"]))
        found = message if row["measured"] is None else f"{measured(row['measured'])} ({message})"
        needed = RULES[row["rule"]].description
        if row["threshold"] is not None:
            needed = f"{measured(row['threshold'])} ({needed})"
        made.append(
            Card(
                anchor=f"check-{place + 1}",
                kind=kind,
                title=words.title,
                word=BLOCKING if kind == "blocking" else WARNING,
                meaning=words.meaning,
                measured=found,
                needed=needed,
                action=words.action,
                error_type=clean(row["error_type"]),
                rule=row["rule"],
                traceback="" if row["traceback"] is None else without_folders(clean(row["traceback"])),
            )
        )
    return sorted(made, key=lambda card: _ORDER[card.kind])


def damaged_card(problem: str) -> Card:
    """Return the card of a session file that cannot be read."""
    words = words_for(["CorruptArtifact"])
    return Card(
        "check-file",
        "blocking",
        words.title,
        BLOCKING,
        words.meaning,
        without_folders(clean(problem)),
        "The file is what was written.",
        words.action,
        "CorruptArtifact",
        "stored results",
    )


def held_checks(verdicts: Mapping[str, Verdict]) -> TableView:
    """Return the checks that held, and those that nobody could judge."""
    rows = []
    for name, rule in RULES.items():
        if name in verdicts and not verdicts[name].passed:
            continue
        word = f"{SIGNS['ok']} {HOLDS}" if name in verdicts else f"{SIGNS['unknown']} {NOT_JUDGED}"
        why = "" if name in verdicts else "an earlier check stopped this step, or it was not run"
        rows.append(Row((Cell(rule.description), Cell(word), Cell(rule.asset), Cell(why or name))))
    caption = f"{counted(len(rows), 'check')} that held or could not be judged"
    return TableView(caption, ("Check", "Verdict", "Output", "Name or reason"), tuple(rows), folded=True)


def banner(
    found: Sequence[Card],
    verdicts: Mapping[str, Verdict],
    *,
    usable: bool,
    unavailable: str | None,
    missing: Sequence[str],
) -> Banner:
    """Return the verdict on a session.

    Parameters
    ----------
    found : sequence of Card
    verdicts : mapping of str to Verdict
        By rule; those that were judged.
    usable : bool
        As `is_usable` says.
    unavailable : str or None
        Why the source could not give the session.
    missing : sequence of str
        Outputs that cohort analyses need, and that nobody made yet.
    """
    blocking = [card.title for card in found if card.kind == "blocking"]
    warnings = [card.title for card in found if card.kind == "warning"]
    if blocking:
        return Banner(
            "blocking", "Not usable", f"{counted(len(blocking), 'blocking check')} failed: {listed(blocking)}."
        )
    if not verdicts:
        reason = f" {clean(unavailable)}" if unavailable else ""
        sentence = "The source could not be read; nothing is known about this session yet." if unavailable else ""
        return Banner("unknown", "Not judged", (sentence + reason) or "This session was not computed yet.")
    if not usable:
        return Banner(
            "unknown", "Not judged", f"Nothing blocks, but these outputs were not made yet: {', '.join(missing)}."
        )
    if warnings:
        sentence = f"No blocking check failed. {counted(len(warnings), 'warning')}: {listed(warnings)}."
        return Banner("warning", "Usable, with warnings", sentence)
    return Banner("ok", "Usable", f"All {len(verdicts)} checks held.")


def missing_outputs(provenance: Mapping[str, Provenance]) -> list[str]:
    """Return the outputs that cohort analyses need and that are not stored."""
    return [n for n in SOUND.required_outputs if n not in provenance or provenance[n].state != "stored"]


def why_missing(name: str, provenance: Mapping[str, Provenance], found: Sequence[Card]) -> str:
    """Return a sentence: what is missing, which check says so, and what to materialise.

    Parameters
    ----------
    name : str
        Of the output.
    provenance : mapping of str to Provenance
        By output.
    found : sequence of Card
    """
    entry = provenance.get(name)
    if entry is None:
        return f"No {name} is stored: it was not made yet. To see it, materialise “{name}” of this session."
    if entry.state == "stored":
        return f"“{name}” was made, and is empty: no event is known in enough trials."
    title = next((card.title for card in found if card.error_type == entry.stopped_by), clean(entry.stopped_by))
    return (
        f"No {name} is stored: the check “{title}” ({clean(entry.stopped_by)}) stopped it. "
        f"Once it holds, materialise “{name}” of this session (stage {OUTPUTS[name].stage})."
    )
