"""Tables made from other tables: what they were made of, and whether that is what would be made now."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from iblnm_core.errors import MissingPrerequisite
from iblnm_core.parameters import Parameters
from iblnm_core.session.fingerprint import library_versions
from iblnm_core.storage.tables import StoredTable, stored_table
from iblnm_core.table_schema import TableSchema

_MADE_FROM = "made_from"


def recipe(
    folder: Path, inputs: Iterable[TableSchema], parameters: Parameters, sections: Iterable[str], code_version: str
) -> dict[str, Any]:
    """Return what a table is made of, as kept in its notes: contents of its inputs, parameters, version of the code.

    Parameters
    ----------
    folder : Path
        The root.
    inputs : iterable of TableSchema
    parameters : Parameters
    sections : iterable of str
        Sections of the parameters that shape it.
    code_version : str

    Raises
    ------
    MissingPrerequisite
        When an input is not stored as its schema says.
    """
    contents = {}
    for schema in inputs:
        stored = stored_table(folder, schema)
        if stored is None:
            raise MissingPrerequisite(
                f"table {schema.name} ({folder / schema.path}) is absent or of another version; `iblnm run` makes it"
            )
        contents[schema.name] = stored.content_hash
    values = {name: dataclasses.asdict(getattr(parameters, name)) for name in sections}
    return {"inputs": contents, "parameters": _plain(values), "code_version": code_version}


def _plain(values: Any) -> Any:
    """Return values as they come back from JSON: lists for tuples."""
    if isinstance(values, Mapping):
        return {name: _plain(value) for name, value in values.items()}
    return [_plain(value) for value in values] if isinstance(values, list | tuple) else values


def notes_of(made_from: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notes of a table: what it is made of, and the libraries it is made with."""
    return {_MADE_FROM: dict(made_from), "libraries": library_versions()}


def stored_results(
    folder: Path, tables: Iterable[TableSchema], made_from: Mapping[str, Any]
) -> dict[str, StoredTable] | None:
    """Return tables that were made together as they are stored, by name; None when one is not of this recipe.

    Parameters
    ----------
    folder : Path
        The root.
    tables : iterable of TableSchema
    made_from : mapping
        As `recipe` returns it.
    """
    found = {}
    for schema in tables:
        stored = stored_table(folder, schema)
        if stored is None or stored.notes.get(_MADE_FROM) != made_from:
            return None
        found[schema.name] = stored
    return found
