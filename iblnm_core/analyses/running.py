"""An analysis from the stored tables of a root to the tables it makes. What is computed stands in the registry."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from iblnm_core.analyses.analysis import Analysis
from iblnm_core.analyses.outcomes import OUTCOMES, Outcome, Status, outcome_table
from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import TABLES
from iblnm_core.storage.derived import notes_of, recipe, stored_results
from iblnm_core.storage.tables import StoredTable, Table, make_table, read_table


def analysis_recipe(folder: Path, analysis: Analysis, parameters: Parameters) -> dict[str, Any]:
    """Return what the tables of an analysis are made of now.

    Parameters
    ----------
    folder : Path
        The root.
    analysis : Analysis
    parameters : Parameters

    Raises
    ------
    MissingPrerequisite
        When a table that it reads is not stored.
    """
    inputs = [TABLES[name] for name in analysis.reads]
    return recipe(folder, inputs, parameters, analysis.sections, analysis.code_version)


def results_of(
    analysis: Analysis, tables: Mapping[str, pd.DataFrame], parameters: Parameters
) -> dict[str, pd.DataFrame]:
    """Return all tables of an analysis, those without rows too; one without any group says so in its outcomes.

    Parameters
    ----------
    analysis : Analysis
    tables : mapping of str to DataFrame
        What it reads, by name.
    parameters : Parameters
    """
    made = analysis.run(tables, parameters)
    empty = {schema.name: pd.DataFrame(columns=schema.column_names) for schema in analysis.tables}
    results = {name: made[name] if name in made and len(made[name]) else rows for name, rows in empty.items()}
    name = analysis.tables[-1].name
    if name.endswith(OUTCOMES) and results[name].empty:
        nothing = Outcome(name.removesuffix(OUTCOMES), "", "", Status.NO_DATA, 0, 0, detail="nothing to analyse")
        results[name] = outcome_table([nothing]).reindex(columns=analysis.tables[-1].column_names)
    return results


def run_analysis(folder: Path, analysis: Analysis, parameters: Parameters) -> Mapping[str, Table | StoredTable]:
    """Return the tables of an analysis: as they are stored when nothing changed that they are made from, else made anew.

    Parameters
    ----------
    folder : Path
        The root.
    analysis : Analysis
    parameters : Parameters

    Returns
    -------
    mapping of str to Table or StoredTable
        By name; nothing is written.

    Raises
    ------
    MissingPrerequisite
        When a table that it reads is not stored.
    SchemaViolation
    CorruptArtifact
    """
    inputs = {name: TABLES[name] for name in analysis.reads}
    made_from = analysis_recipe(folder, analysis, parameters)
    stored = stored_results(folder, analysis.tables, made_from)
    if stored is not None:
        return stored
    tables = {
        name: read_table(folder, schema, columns=_columns(analysis.reads[name])) for name, schema in inputs.items()
    }
    results = results_of(analysis, tables, parameters)
    return {schema.name: make_table(schema, results[schema.name], notes_of(made_from)) for schema in analysis.tables}


def _columns(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)


def upstream_analyses(names: Iterable[str]) -> list[str]:
    """Return analyses and those they are made from, in the order in which they can run.

    Parameters
    ----------
    names : iterable of str
        Of `ANALYSES`.
    """
    maker = {schema.name: name for name, analysis in ANALYSES.items() for schema in analysis.tables}
    wanted = set(names)
    for name in reversed(tuple(ANALYSES)):
        if name in wanted:
            wanted.update(maker[table] for table in ANALYSES[name].reads if table in maker)
    return [name for name in ANALYSES if name in wanted]
