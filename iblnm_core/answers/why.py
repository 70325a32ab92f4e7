"""The answer to why a session, a table or a figure is as it is; and what is said of a name that nobody knows."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import upstream_analyses
from iblnm_core.answers.ground import MAKER, Ground
from iblnm_core.answers.making import (
    CURRENT,
    NOT_STORED,
    analysis_standing,
    figures_standing,
    making_part,
    parameter_part,
    table_standing,
)
from iblnm_core.answers.model import Answer, line
from iblnm_core.answers.session import session_answer, stranger_answer
from iblnm_core.answers.waterfall import groups_part, picture_part, steps_to, waterfall
from iblnm_core.errors import ConfigurationError
from iblnm_core.figures.drawing import FOLDER, stored_family
from iblnm_core.figures.registry import FAMILIES
from iblnm_core.identifiers import is_eid
from iblnm_core.reports.texts import counted, number
from iblnm_core.root import Root
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import stored_table

_HEXADECIMAL = re.compile(r"[0-9a-fA-F-]{8,}")
_NEAR = 3


def why(root: Root, name: str) -> Answer:
    """Return why something is in the results of a root, and from what it came.

    Parameters
    ----------
    root : Root
    name : str
        A session id; a table by name or by its path; or a family of figures, by name or as `figures/NAME`. What is the name of
        both a table and a family is the table.

    Raises
    ------
    ConfigurationError
        When nothing has that name.
    CorruptArtifact
    """
    if is_eid(name):
        return _session(root, name)
    table = _table_named(root, name)
    if table is not None:
        return table_answer(Ground.of(root), table)
    family = name.removeprefix(f"{FOLDER}/").rstrip("/")
    if family in FAMILIES:
        return figure_answer(Ground.of(root), family)
    raise ConfigurationError(_unknown(root, name))


def _session(root: Root, eid: str) -> Answer:
    ground = Ground.of(root)
    account = ground.account
    if eid in ground.subjects:
        return session_answer(ground, eid)
    states = account.statuses[account.statuses["eid"] == eid]
    known = {}
    if len(states):
        known["session_status"] = "; ".join(
            f"{counts} outputs {state}" for state, counts in states["state"].value_counts().items()
        )
    if root.session_file(eid).is_file():
        known["session file"] = "stored"
    if not known:
        raise ConfigurationError(
            f"session {eid} is neither in the catalogue of {root.path} nor stored there{_near(eid, ground.subjects)}"
        )
    return stranger_answer(eid, known)


def _table_named(root: Root, name: str) -> str | None:
    """Return the table of a name or a path, be it from the root or from here."""
    if name in TABLES:
        return name
    path = Path(name)
    for schema in TABLES.values():
        if PurePosixPath(path.as_posix()) == schema.path or path.absolute() == root.path / schema.path:
            return schema.name
    return None


def table_answer(ground: Ground, name: str) -> Answer:
    """Return from what and how a table came.

    Parameters
    ----------
    ground : Ground
    name : str
        Of `TABLES`.
    """
    schema = TABLES[name]
    stored = stored_table(ground.root.path, schema)
    analyses = [MAKER[name]] if name in MAKER else []
    standing = analysis_standing(ground, analyses[0]) if analyses else table_standing(ground, name)
    sentence = (
        NOT_STORED.capitalize() if stored is None else f"{counted(stored.n_rows, 'row')}; {_is_current(standing)}."
    )
    if name in FAMILIES:
        sentence += f" The figures of that name: `iblnm why {FOLDER}/{name}`."
    parts = (
        waterfall(steps_to(ground, [name])),
        groups_part(ground, analyses),
        parameter_part(ground, [name]),
        making_part(ground, [name]),
    )
    title = f"Table {name} ({schema.path}): {schema.description}"
    return Answer(line(title), sentence, tuple(p for p in parts if p is not None and p.rows))


def figure_answer(ground: Ground, name: str) -> Answer:
    """Return from what and how a family of figures came.

    Parameters
    ----------
    ground : Ground
    name : str
        Of `FAMILIES`.
    """
    family = FAMILIES[name]
    files = stored_family(ground.root.path, name)
    analyses = [MAKER[table] for table in family.reads if table in MAKER]
    sentence = f"{NOT_STORED.capitalize()}."
    if files is not None:
        pictures = counted(len(files.figures), "picture")
        empty = sum(bool(figure.missing) for figure in files.figures)
        standing = figures_standing(ground, family, files)
        sentence = f"{pictures}, {number(empty)} empty; {_is_current(standing)}."
    parts = (
        waterfall(steps_to(ground, family.reads, files=files)),
        None if files is None else picture_part(files),
        groups_part(ground, upstream_analyses(analyses)),
        parameter_part(ground, family.reads, family.sections),
        making_part(ground, family.reads, (family, files)),
    )
    title = f"Figures {FOLDER}/{name}: {family.description}"
    return Answer(line(title), sentence, tuple(p for p in parts if p is not None and p.rows))


def _is_current(standing: str) -> str:
    if standing == CURRENT:
        return "what would be made now of what it reads"
    if standing.startswith("no: "):
        return f"not what would be made now: {standing.removeprefix('no: ')}"
    return standing


def _unknown(root: Root, name: str) -> str:
    """Return what is said of a name that nobody knows."""
    if name in ANALYSES:
        tables = ", ".join(schema.name for schema in ANALYSES[name].tables)
        return f"{name} is an analysis; ask about one of its tables: {tables}"
    shown = line(name)[:100]
    if _HEXADECIMAL.fullmatch(name):
        return f"{shown!r} is not a session id{_near(name.lower(), Ground.of(root).subjects)}"
    known = [*TABLES, *(f"{FOLDER}/{family}" for family in FAMILIES), *(str(schema.path) for schema in TABLES.values())]
    return f"{shown!r} is neither a session id, nor a table, nor a family of figures{_near(name, known)}"


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    containing = [known_name for known_name in names if name and name in known_name]
    near = [*containing, *difflib.get_close_matches(name, names, n=_NEAR)]
    near = list(dict.fromkeys(near))[:_NEAR]
    return f"; near: {', '.join(near)}" if near else ""
