"""Why one session is in cohort analyses and in each of their tables, or not."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from iblnm_core.analyses.outcomes import OUTCOMES
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.answers.ground import MAKER, Ground, uses_selection
from iblnm_core.answers.making import table_standing
from iblnm_core.answers.model import Answer, Part, line, part
from iblnm_core.answers.waterfall import WITH_RESULT, outcomes_of
from iblnm_core.cohort.account import CRITERIA, FILTER_WORDS, FIXED, Account, verdicts_of
from iblnm_core.cohort.selection import blocking_errors
from iblnm_core.reports.session_tables import flat
from iblnm_core.reports.texts import UNKNOWN, counted, measured, number, without_folders
from iblnm_core.root import Root
from iblnm_core.schemas import LABELS, RECORDINGS, TABLES

FILTER_HEADERS = ("Filter", "Passes", "Found", "Needed", "Decided by")


def session_answer(ground: Ground, eid: str) -> Answer:
    """Return why a session of the catalogue is in cohort analyses, or not.

    Parameters
    ----------
    ground : Ground
    eid : str
    """
    account = ground.account
    row = account.sessions.set_index("eid").loc[eid]
    verdicts = verdicts_of(account, [eid])
    parts = [
        part(
            "Filters of the selection, in order",
            FILTER_HEADERS,
            filter_rows(ground.root, verdicts),
            _notes(ground),
        ),
        _errors(account, eid),
        _outputs(account, eid),
        _labels(account, eid),
        _same_day(account, eid),
        _recordings(account, eid),
        part("Tables of results that name sessions", ("Table", "Rows", "Why"), _results(ground, eid)),
    ]
    kind = row["session_type"] or "of unknown type"
    title = f"Session {eid}: {row['subject']}, {str(row['start_time'])[:10]}, {kind}"
    return Answer(line(title), line(sentence_of(account, eid, verdicts)), tuple(p for p in parts if p.rows or p.notes))


def sentence_of(account: Account, eid: str, verdicts: pd.DataFrame) -> str:
    """Return whether cohort analyses use a session, and what decided it.

    Parameters
    ----------
    account : Account
    eid : str
    verdicts : DataFrame
        Of this session, as `verdicts_of` returns them.
    """
    failed = verdicts[~verdicts["passed"]]
    if failed.empty:
        recordings = account.chosen.recordings
        targets = recordings.loc[recordings["eid"] == eid, "target_NM"]
        return (
            f"In cohort analyses, with {counted(len(targets), 'recording')}: {', '.join(map(str, targets)) or 'none'}."
        )
    first = failed.iloc[0]
    also = f" It fails {counted(len(failed) - 1, 'further filter')}." if len(failed) > 1 else ""
    decided = "no parameter" if first["decided_by"] == FIXED else first["decided_by"]
    return (
        f"Not in cohort analyses: {FILTER_WORDS[first['filter']]} (filter {first['filter']}). Found: {first['found']}; "
        f"needed: {first['needed']}; decided by {decided}.{also}"
    )


def filter_rows(root: Root, verdicts: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the rows that show verdicts of one session, each with the parameter that decides it and its value.

    Parameters
    ----------
    root : Root
    verdicts : DataFrame
        As `verdicts_of` returns them.
    """
    values = flat(root.parameters)
    rows: list[tuple[str, ...]] = []
    for row in verdicts.to_dict("records"):
        name = row["decided_by"]
        decided = f"{name} = {values[name]}" if name in values else name
        rows.append((row["filter"], "yes" if row["passed"] else "no", row["found"], row["needed"], decided))
    return rows


def _notes(ground: Ground) -> list[str]:
    """Return what keeps the account from being that of the stored results."""
    said = {
        RECORDINGS.name: "The stored recordings, on which results stand, are not those of this account",
        LABELS.name: "The table of labels, on which this account stands, is not that of the log",
    }
    standings = {name: table_standing(ground, name) for name in said}
    return [
        f"{said[name]}: {standing.removeprefix('no: ')}. The next `iblnm run` mends that."
        for name, standing in standings.items()
        if standing.startswith("no: ")
    ]


def _errors(account: Account, eid: str) -> Part:
    errors = account.errors[account.errors["eid"] == eid]
    blocking = set(blocking_errors(errors, account.selection).index)
    rows = [
        (
            error["error_type"],
            "yes" if place in blocking else "no",
            UNKNOWN if error["measured"] is None else measured(error["measured"]),
            UNKNOWN if error["threshold"] is None else measured(error["threshold"]),
            error["stage"],
            without_folders(str(error["error_message"])),
        )
        for place, error in zip(errors.index, errors.to_dict("records"), strict=True)
    ]
    # what blocks comes first
    rows.sort(key=lambda row: row[1] == "no")
    return part("Errors", ("Error", "Blocks", "Measured", "Needed", "Stage", "Message"), rows)


def _outputs(account: Account, eid: str) -> Part:
    statuses = account.statuses[account.statuses["eid"] == eid]
    rows = [
        (row["asset"], row["state"], row["reason"] or UNKNOWN, without_folders(str(row["message"] or "")))
        for row in statuses[~statuses["state"].isin(["ok", "on request"])].to_dict("records")
    ]
    return part("Outputs that are not ok", ("Output", "State", "Reason", "Message"), rows)


def _labels(account: Account, eid: str) -> Part:
    labels = account.labels[account.labels["eid"] == eid]
    rows = [
        (
            number(row["fiber_idx"]),
            row["verdict"],
            "last word" if row["current"] else "superseded",
            row["author"],
            row["labelled_at"],
            row["note"],
        )
        for row in labels.to_dict("records")
    ]
    return part("Labels", ("Fibre", "Verdict", "Stands", "Who", "When", "Note"), rows)


def _same_day(account: Account, eid: str) -> Part:
    sessions = account.sessions
    own = sessions[sessions["eid"] == eid].iloc[0]
    same = sessions[(sessions["subject"] == own["subject"]) & (sessions["day_n"] == own["day_n"])]
    title = "Sessions of that mouse and day"
    if len(same) < 2:
        return part(title)
    gave_way = account.chosen.gave_way
    trials = account.performance.set_index("eid")["n_trials"].to_dict()
    rows = [
        (
            row["eid"],
            "this one" if row["eid"] == eid else "",
            row["session_type"],
            number(trials.get(row["eid"])),
            number(row["session_length"]),
            row["start_time"],
            _standing(account, row["eid"], gave_way),
        )
        for row in same.to_dict("records")
    ]
    criteria = ", then ".join(words for words in CRITERIA.values())
    notes = [f"Of several the best is used; what decides, in order: {criteria}."]
    return part(title, ("Session", "", "Type", "Trials", "Length (s)", "Start", "Used"), rows, notes)


def _standing(account: Account, eid: str, gave_way: pd.DataFrame) -> str:
    if eid in gave_way.index:
        return f"no: gives way to {gave_way.loc[eid, 'kept']}"
    reason = account.first_failing.get(eid)
    return "yes" if reason is None else f"no: filter {reason}"


def _recordings(account: Account, eid: str) -> Part:
    row = account.sessions.set_index("eid").loc[eid]
    chosen = account.chosen.recordings
    used = set(chosen.loc[chosen["eid"] == eid, "fiber_idx"])
    labels = account.labels[(account.labels["eid"] == eid) & account.labels["current"].astype(bool)]
    said = dict(zip(labels["fiber_idx"], labels["verdict"], strict=True))
    reason = account.first_failing.get(eid)
    rows = []
    for fiber, region in enumerate(row["brain_region"]):
        side, target = (_at(row[name], fiber) for name in ("hemisphere", "target_NM"))
        why = "yes"
        if fiber not in used:
            targets = account.selection.targets
            out = "its target is not asked for" if targets and target not in targets else f"labelled {said.get(fiber)}"
            why = f"no: {out if reason is None else f'the session is left out by {reason}'}"
        rows.append((number(fiber), region, side or UNKNOWN, target, why))
    return part("Recordings", ("Fibre", "Region", "Side", "Target", "In cohort analyses"), rows)


def _at(values: Any, place: int) -> Any:
    return values[place] if place < len(values) else None


def _results(ground: Ground, eid: str) -> Iterator[tuple[str, ...]]:
    reason = ground.account.first_failing.get(eid)
    for analysis in ANALYSES.values():
        for schema in analysis.tables:
            if "eid" in schema.column_names and not schema.name.endswith(OUTCOMES):
                n_rows = ground.rows_of(schema.name, eid)
                yield (
                    schema.name,
                    UNKNOWN if n_rows is None else number(n_rows),
                    _why(ground, eid, schema.name, n_rows, reason),
                )


def _why(ground: Ground, eid: str, table: str, n_rows: int | None, reason: str | None) -> str:
    """Return why a table of results has, or has not, rows of a session."""
    if n_rows is None:
        return "the table is not stored"
    name = MAKER[table]
    if reason is not None and not n_rows and uses_selection([name]):
        return f"not selected: {reason}"
    outcomes = outcomes_of(ground, name)
    own = outcomes[outcomes["eid"] == eid] if "eid" in outcomes else outcomes.head(0)
    without = own[~own["status"].isin(WITH_RESULT)]
    if len(without):
        return "; ".join(_reasons(without, len(own)))
    if n_rows:
        return (
            "" if reason is None or not uses_selection([name]) else f"made before the session was left out by {reason}"
        )
    lacking = [
        read for read in ANALYSES[name].reads if "eid" in TABLES[read].column_names and not ground.rows_of(read, eid)
    ]
    if lacking:
        return f"nothing of it in {', '.join(lacking)}"
    general = _general_reasons(ground, eid, table, outcomes)
    return f"left out by {name}: {'; '.join(general) or f'it makes: {TABLES[table].description}'}"


def _general_reasons(ground: Ground, eid: str, table: str, outcomes: pd.DataFrame) -> list[str]:
    """Return what the outcomes of groups say that a session can belong to, by its targets."""
    sessions = ground.account.sessions
    (found,) = sessions.loc[sessions["eid"] == eid, "target_NM"]
    targets = [target for target in found if target]
    of_groups = outcomes[outcomes["eid"].isna()] if "eid" in outcomes else outcomes
    of_groups = of_groups[of_groups["target_NM"].isin(["", *targets]) & (of_groups["detail"] != "")]
    # an analysis of several parts says of each which table it is about
    others = {schema.name for schema in ANALYSES[MAKER[table]].tables} - {table, MAKER[table]}
    of_table = of_groups[of_groups["analysis"] == table]
    kept = of_table if len(of_table) else of_groups[~of_groups["analysis"].isin(others)]
    words = [
        f"{target}{' ' if target else ''}{'' if status in WITH_RESULT else f'{status}: '}{detail}"
        for target, status, detail in zip(kept["target_NM"], kept["status"], kept["detail"], strict=True)
    ]
    return list(dict.fromkeys(words))


def _reasons(outcomes: pd.DataFrame, n_groups: int) -> Iterator[str]:
    """Yield each reason with the number of groups that have it."""
    for (status, detail), rows in outcomes.groupby(["status", "detail"], sort=True):
        yield f"{status} in {number(len(rows))} of {counted(n_groups, 'group')}{': ' if detail else ''}{detail}"


def stranger_answer(eid: str, standing: Mapping[str, str]) -> Answer:
    """Return the answer about a session that is stored or was known, and is not in the catalogue.

    Parameters
    ----------
    eid : str
    standing : mapping of str to str
        What is known of it, by where.
    """
    rows = list(standing.items())
    return Answer(
        f"Session {eid}",
        "Not in cohort analyses: it is not in the catalogue, from which they select.",
        (part("What is known of it", ("Where", "What"), rows),),
    )
