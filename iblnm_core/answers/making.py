"""What a table or a family of figures is made from, by which parameters, and whether it is what would be made now."""

from collections.abc import Iterable, Mapping
from typing import Any

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import analysis_recipe, upstream_analyses
from iblnm_core.answers.ground import MAKER, Ground, uses_selection
from iblnm_core.answers.model import Part, part
from iblnm_core.cohort.collect import COLLECTED, OUTPUT_OF, session_files
from iblnm_core.cohort.current import stamp_of
from iblnm_core.cohort.labels import read_labels
from iblnm_core.cohort.selection import account_table, recordings_table
from iblnm_core.errors import MissingPrerequisite
from iblnm_core.figures.drawing import FamilyFiles, family_recipe
from iblnm_core.figures.family import Family
from iblnm_core.parameters import PRESETS
from iblnm_core.reports.session_tables import flat
from iblnm_core.reports.texts import counted
from iblnm_core.schemas import ERRORS, LABELS, PERFORMANCE, RECORDINGS, SELECTION, SESSION_STATUS, SESSIONS, TABLES
from iblnm_core.session.outputs import OUTPUTS, upstream
from iblnm_core.storage.tables import make_table, stored_table

CURRENT = "current"
NOT_STORED = "not stored, or by another version: `iblnm run` makes it"
SECTION_OF_SELECTION = "selection"
"""Of the parameters."""

CHOSEN = (RECORDINGS.name, SELECTION.name)
"""Tables that the selection makes."""


def parameter_part(ground: Ground, tables: Iterable[str], sections: Iterable[str] = ()) -> Part:
    """Return the parameters that shape a result, with the values of the root and of its preset.

    Parameters
    ----------
    ground : Ground
    tables : iterable of str
        The tables that are asked for, or that figures draw. What shapes the outputs of sessions behind results of analyses is left to
        the tables that gather them.
    sections : iterable of str
        Further sections, such as those that a family of figures shows.
    """
    wanted = list(tables)
    analyses = upstream_analyses(MAKER[name] for name in wanted if name in MAKER)
    users: dict[str, list[str]] = {section: [] for section in sections}
    if uses_selection(analyses) or not set(CHOSEN).isdisjoint(wanted):
        users.setdefault(SECTION_OF_SELECTION, []).append("the selection")
    for name in analyses:
        for section in ANALYSES[name].sections:
            users.setdefault(section, []).append(name)
    for output in sorted(upstream(OUTPUT_OF[name] for name in wanted if name in OUTPUT_OF)):
        for section in OUTPUTS[output].parameters:
            users.setdefault(section, []).append(output)
    ours, preset = flat(ground.root.parameters), flat(PRESETS[ground.root.preset])
    rows = [
        (name, value, "as the preset" if value == preset[name] else f"the preset has {preset[name]}")
        for name, value in ours.items()
        if name.partition(".")[0] in users
    ]
    notes = [f"{section}: used by {', '.join(found)}" for section, found in users.items() if found]
    return part("Parameters that shape it", ("Parameter", "Value", f"Preset {ground.root.preset}"), rows, notes)


def making_part(
    ground: Ground, tables: Iterable[str], figures: tuple[Family, FamilyFiles | None] | None = None
) -> Part:
    """Return what a result is made from, step by step, and whether each step is what would be made now.

    Parameters
    ----------
    ground : Ground
    tables : iterable of str
        The tables that are asked for, or that figures draw.
    figures : tuple of Family and FamilyFiles, optional
        The family that draws them, and as it is stored.
    """
    wanted = list(tables)
    analyses = upstream_analyses(MAKER[name] for name in wanted if name in MAKER)
    inputs = dict.fromkeys([*(t for name in analyses for t in ANALYSES[name].reads), *wanted])
    rows = [(name, _sources(name), table_standing(ground, name)) for name in inputs if name not in MAKER]
    rows += [(name, ", ".join(ANALYSES[name].reads), analysis_standing(ground, name)) for name in analyses]
    if figures is not None:
        family, files = figures
        rows.append((f"figures/{family.name}", ", ".join(family.reads), figures_standing(ground, family, files)))
    return part("What it is made from", ("Step", "Reads", "Is it what would be made now"), rows)


def _sources(table: str) -> str:
    """Return what a table is made from that no analysis makes."""
    if table in CHOSEN:
        return ", ".join(schema.name for schema in (SESSIONS, ERRORS, SESSION_STATUS, PERFORMANCE, LABELS))
    return f"session files: {OUTPUT_OF[table]}" if table in OUTPUT_OF else ""


def analysis_standing(ground: Ground, name: str) -> str:
    """Return whether the tables of an analysis are what would be made now, else what differs.

    Parameters
    ----------
    ground : Ground
    name : str
        Of `ANALYSES`.
    """
    analysis = ANALYSES[name]
    folder = ground.root.path
    found = [stored_table(folder, schema) for schema in analysis.tables]
    if any(stored is None for stored in found):
        return NOT_STORED
    inputs = [TABLES[table] for table in analysis.reads]
    try:
        now = analysis_recipe(folder, analysis, ground.root.parameters)
    except MissingPrerequisite:
        missing = [schema.name for schema in inputs if stored_table(folder, schema) is None]
        return f"no: its input {', '.join(missing)} is not stored"
    differing = [d for stored in found if stored is not None for d in differences(stored.notes.get("made_from"), now)]
    return _standing(differing)


def figures_standing(ground: Ground, family: Family, files: FamilyFiles | None) -> str:
    """Return whether the stored pictures of a family are what would be drawn now; what it reads of session files aside.

    Parameters
    ----------
    ground : Ground
    family : Family
    files : FamilyFiles or None
    """
    if files is None:
        return NOT_STORED
    inputs = [TABLES[table] for table in family.reads]
    try:
        now = family_recipe(ground.root.path, family, ground.root.parameters)
    except MissingPrerequisite:
        missing = [schema.name for schema in inputs if stored_table(ground.root.path, schema) is None]
        return f"no: its input {', '.join(missing)} is not stored"
    return _standing(differences(files.made_from, now))


def table_standing(ground: Ground, name: str) -> str:
    """Return whether a table that no analysis makes is what would be made now, as far as stored files say.

    Parameters
    ----------
    ground : Ground
    name : str
        Of `TABLES`.
    """
    stored = stored_table(ground.root.path, TABLES[name])
    if stored is None:
        return NOT_STORED
    if name in COLLECTED:
        now = {eid: stamp_of(path) for eid, path in session_files(ground.root).items()}
        then: Mapping[str, Any] = stored.notes.get("stamps", {})
        changed = [eid for eid in {*now, *then} if now.get(eid) != then.get(eid)]
        return _standing([f"{counted(len(changed), 'session file')} changed since"] if changed else [])
    chosen = ground.account.chosen
    made = {RECORDINGS.name: recordings_table, SELECTION.name: account_table}.get(name)
    if made is not None:
        same = make_table(TABLES[name], made(chosen)).content_hash == stored.content_hash
        return _standing([] if same else ["what it is made from, or a parameter of the selection, changed since"])
    if name == LABELS.name:
        same = make_table(LABELS, read_labels(ground.root.path).rows).content_hash == stored.content_hash
        return _standing([] if same else ["labels were added since"])
    return "made anew by every run"


def differences(then: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two recipes.

    Parameters
    ----------
    then : mapping or None
        As it is kept beside a result; None when nothing is.
    now : mapping
        As `recipe` returns it.
    """
    if then is None:
        return ["it does not say what it was made from"]
    found = [f"{name} changed" for name, content in now["inputs"].items() if then["inputs"].get(name) != content]
    found += [f"{name} is no input any more" for name in then["inputs"].keys() - now["inputs"].keys()]
    for section, values in now["parameters"].items():
        former = then["parameters"].get(section, {})
        found += [
            f"{section}.{name} was {former.get(name)}, is {value}"
            for name, value in values.items()
            if former.get(name) != value
        ]
    for name, what in (("code_version", "its code"), ("matplotlib", "the drawing library")):
        if then.get(name) != now.get(name):
            found.append(f"{what} was version {then.get(name)}, is {now.get(name)}")
    return found


def _standing(differing: Iterable[str]) -> str:
    unique = list(dict.fromkeys(differing))
    return f"no: {'; '.join(unique)}" if unique else CURRENT
