"""From the catalogue to a table or a figure: how many mice, sessions and recordings are left after each step, and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from iblnm_core.analyses.outcomes import OUTCOMES, Status
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import upstream_analyses
from iblnm_core.answers.ground import MAKER, Counts, Ground, uses_selection
from iblnm_core.answers.model import Part, part
from iblnm_core.cohort.account import FILTER_WORDS
from iblnm_core.cohort.collect import OUTPUT_OF
from iblnm_core.figures.drawing import FamilyFiles
from iblnm_core.reports.texts import UNKNOWN, counted, number
from iblnm_core.schemas import RECORDINGS, SELECTION, TABLES
from iblnm_core.storage.tables import stored_or_empty

HEADERS = ("Step", "Mice", "Sessions", "Recordings", "Rows", "What becomes of them")

WITH_RESULT = (Status.OK, Status.BOUNDARY)
"""Outcomes of groups that have a result."""

MOST_GROUPS = 40
"""Reasons of groups without a result that are listed."""


@dataclass(frozen=True)
class Step:
    """One step of a waterfall: what is left, and what became of the rest."""

    name: str
    left: Counts
    note: str = ""


def steps_to(
    ground: Ground, tables: Iterable[str], *, files: FamilyFiles | None = None, every_filter: bool = True
) -> list[Step]:
    """Return the steps from the catalogue to tables, and to the figures that are drawn of them.

    Parameters
    ----------
    ground : Ground
    tables : iterable of str
    files : FamilyFiles, optional
        The stored family of figures at the end.
    every_filter : bool
        A step for each filter of the selection, else one for all.
    """
    wanted = list(tables)
    analyses = upstream_analyses(MAKER[name] for name in wanted if name in MAKER)
    selected = uses_selection(analyses) or not {RECORDINGS.name, SELECTION.name}.isdisjoint(wanted)
    steps = [_catalogue(ground)]
    if selected:
        steps += _filters(ground) if every_filter else [_selected_sessions(ground)]
        steps.append(_recordings(ground))
    elif analyses:
        steps.append(Step("selection", Counts(), "not asked: sessions that it leaves out are used, too"))
    seen = {RECORDINGS.name, *(table for table in MAKER)}
    for name in analyses:
        for table in ANALYSES[name].reads:
            if table not in seen:
                seen.add(table)
                steps.append(_rows(ground, table, selected=selected))
        steps += _made(ground, name, wanted)
    steps += [_rows(ground, name, selected=False) for name in wanted if name not in MAKER]
    if files is not None:
        steps.append(_pictures(files))
    return steps


def waterfall(steps: Sequence[Step]) -> Part:
    """Return steps as a table."""
    return part("From the catalogue to it", HEADERS, step_rows(steps))


def step_rows(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    """Return steps as rows of texts; an empty one is a count that the step does not have."""
    return [
        (
            step.name,
            *(
                "" if n is None else number(n)
                for n in (step.left.mice, step.left.sessions, step.left.recordings, step.left.rows)
            ),
            step.note,
        )
        for step in steps
    ]


def groups_part(ground: Ground, analyses: Iterable[str]) -> Part | None:
    """Return the groups that analyses have no result of, by their reason; None when all came out.

    Parameters
    ----------
    ground : Ground
    analyses : iterable of str
    """
    rows: list[tuple[object, ...]] = []
    for name in analyses:
        outcomes = outcomes_of(ground, name)
        without = outcomes[~outcomes["status"].isin(WITH_RESULT)]
        keys = ["analysis", "target_NM", "status", "detail"]
        for (analysis, target, status, detail), groups in without.groupby(keys, sort=True):
            events = ", ".join(dict.fromkeys(groups["event"]))
            made_by = name if analysis == name else f"{name}: {analysis}"
            rows.append((made_by, target or "all", events or "all", number(len(groups)), status, detail))
    if not rows:
        return None
    more = len(rows) - MOST_GROUPS
    notes = (
        [f"The first {MOST_GROUPS} of {len(rows)} reasons; all stand in the tables of outcomes."] if more > 0 else []
    )
    headers = ("Analysis", "Target", "Events", "Groups", "Why", "Detail")
    return part("Groups without a result", headers, rows[:MOST_GROUPS], notes)


def outcomes_of(ground: Ground, analysis: str) -> pd.DataFrame:
    """Return how the groups of an analysis came out; no rows for one that does not say or is not stored.

    Parameters
    ----------
    ground : Ground
    analysis : str
    """
    schema = ANALYSES[analysis].tables[-1]
    if not schema.name.endswith(OUTCOMES):
        return pd.DataFrame(columns=["analysis", "target_NM", "event", "variable", "status", "detail"])
    rows = stored_or_empty(ground.root.path, schema)
    return rows.assign(detail=rows["detail"].fillna(""), variable=rows["variable"].fillna(""))


def status_counts(rows: pd.DataFrame) -> str:
    """Return how many groups came out how, the most frequent first.

    Parameters
    ----------
    rows : DataFrame
        Of a table of outcomes.
    """
    counts = rows["status"].value_counts()
    ordered = sorted(counts.items(), key=lambda pair: (str(pair[0]) not in WITH_RESULT, -pair[1], str(pair[0])))
    return ", ".join(f"{number(count)} {status}" for status, count in ordered)


def _catalogue(ground: Ground) -> Step:
    sessions = ground.account.sessions
    return Step("sessions of the catalogue", _counts_of(sessions))


def _counts_of(sessions: pd.DataFrame) -> Counts:
    fibers = int(sum(len(regions) for regions in sessions["brain_region"]))
    return Counts(int(sessions["subject"].nunique()), len(sessions), fibers)


def _filters(ground: Ground) -> Iterator[Step]:
    sessions, passes = ground.account.sessions, ground.account.chosen.passes
    left = np.ones(len(sessions), dtype=bool)
    for name in passes.columns:
        before = int(left.sum())
        left &= passes[name].to_numpy()
        removed = before - int(left.sum())
        note = f"{counted(removed, 'session')} removed: {FILTER_WORDS[name]}" if removed else "none removed"
        yield Step(f"after {name}", _counts_of(sessions[left]), note)


def _selected_sessions(ground: Ground) -> Step:
    out = len(ground.account.sessions) - len(ground.account.chosen.sessions)
    note = f"{counted(out, 'session')} removed by the filters of the selection"
    return Step("selected sessions", _counts_of(ground.account.chosen.sessions), note)


def _recordings(ground: Ground) -> Step:
    recordings = ground.account.chosen.recordings
    fibers = int(sum(len(regions) for regions in ground.account.chosen.sessions["brain_region"]))
    out = fibers - len(recordings)
    note = f"{counted(out, 'fibre')} removed: not in a target that is asked for, or labelled" if out else "none removed"
    left = Counts(int(recordings["subject"].nunique()), int(recordings["eid"].nunique()), len(recordings))
    return Step("selected recordings", left, note)


def _rows(ground: Ground, table: str, *, selected: bool) -> Step:
    counts = ground.counts(table, selected=selected and "eid" in TABLES[table].column_names)
    if counts is None:
        return Step(f"{table} (table)", Counts(), "not stored")
    if selected and "eid" in TABLES[table].column_names:
        return Step(f"{table} (table)", counts, "of selected sessions")
    return Step(f"{table} (table)", counts, _without_output(ground, table))


def _without_output(ground: Ground, table: str) -> str:
    """Return why sessions have no part in a table that is collected from session files."""
    if table not in OUTPUT_OF:
        return ""
    output, statuses = OUTPUT_OF[table], ground.account.statuses
    rows = statuses[(statuses["asset"] == output) & (statuses["state"] != "ok")]
    if rows.empty:
        return ""
    words = rows["state"] + rows["reason"].map(lambda reason: f" ({reason})" if isinstance(reason, str) else "")
    counts = words.value_counts()
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    said = ", ".join(f"{number(count)} {word}" for word, count in ordered)
    return f"{output} is not ok in {counted(len(rows), 'session')}: {said}"


def _made(ground: Ground, name: str, wanted: Sequence[str]) -> Iterator[Step]:
    """Yield how the groups of an analysis came out, and those of its tables that somebody needs."""
    outcomes = outcomes_of(ground, name)
    if len(outcomes):
        ok = outcomes[outcomes["status"].isin(WITH_RESULT)]
        left = Counts(rows=len(ok))
        if "eid" in ok and ok["eid"].notna().any():
            known = ok[ok["eid"].notna()]
            recordings = len(known[["eid", "fiber_idx"]].drop_duplicates())
            left = Counts(int(known["subject"].nunique()), int(known["eid"].nunique()), recordings, len(ok))
        yield Step(
            f"{name}: groups with a result", left, f"of {counted(len(outcomes), 'group')}: {_outcome_note(outcomes)}"
        )
    used = {table for other in ANALYSES.values() for table in other.reads}
    for schema in ANALYSES[name].tables:
        if schema.name in wanted or (schema.name in used and not schema.name.endswith(OUTCOMES)):
            yield _rows(ground, schema.name, selected=False)


def _outcome_note(outcomes: pd.DataFrame) -> str:
    """Return the counts of outcomes, and what they add in words when it is the same for all of them."""
    details = [detail for detail in outcomes["detail"].unique() if detail]
    counts = status_counts(outcomes)
    return f"{counts} ({details[0]})" if len(details) == 1 else counts


def _pictures(files: FamilyFiles) -> Step:
    empty = sum(bool(figure.missing) for figure in files.figures)
    counts = files.counts
    left = Counts(counts.get("n_subjects"), counts.get("n_sessions"), counts.get("n_recordings"))
    note = f"{counted(len(files.figures), 'picture')}, {number(empty)} empty; the largest counts on any of them"
    return Step(f"figures/{files.folder.name}", left, note)


def picture_part(files: FamilyFiles) -> Part:
    """Return the pictures of a family, each with what was drawn.

    Parameters
    ----------
    files : FamilyFiles
    """
    names = ("n_subjects", "n_sessions", "n_recordings", "n_trials")
    rows = [
        (
            figure.png,
            *(number(figure.counts[name]) if name in figure.counts else UNKNOWN for name in names),
            f"empty: {figure.missing}" if figure.missing else "drawn",
        )
        for figure in files.figures
    ]
    return part("Pictures", ("Picture", "Mice", "Sessions", "Recordings", "Trials", "What is on it"), rows)
