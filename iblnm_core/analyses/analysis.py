"""What a cohort analysis is: what it reads, the tables it makes, and the one function behind it. Which there are stands in the registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from iblnm_core.parameters import Parameters
from iblnm_core.table_schema import TableSchema

Tables = Mapping[str, pd.DataFrame]
Columns = tuple[str, ...] | None
"""Columns of a table that are read; None for all."""


@dataclass(frozen=True)
class Judgement:
    """What a check of a table found.

    Attributes
    ----------
    passed : bool
    severe : bool
        Whether what was found is an error; else it is a warning.
    words : tuple of str
        What was found, one thing each.
    """

    passed: bool
    severe: bool
    words: tuple[str, ...]


@dataclass(frozen=True)
class TableCheck:
    """A check of a table that an analysis makes; it stops nothing.

    Attributes
    ----------
    name : str
    table : str
    holds : str
        What holds when it passes.
    judge : callable
        From the rows of the table to what was found.
    """

    name: str
    table: str
    holds: str
    judge: Callable[[pd.DataFrame], Judgement]


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    Attributes
    ----------
    reads : mapping of str to tuple of str or None
        Tables that it is made from, by name, and their columns; all of them where None.
    tables : tuple of TableSchema
        What it makes: the main one first.
    sections : tuple of str
        Sections of the parameters that shape it.
    run : callable
        From the tables and the parameters to rows by table name; a table without rows may be missing.
    stage : str
        The stage of the command line that it belongs to.
    code_version : str
        Raised whenever the computation changes in a way that changes results.
    checks : tuple of TableCheck
        Of its tables.
    """

    reads: Mapping[str, Columns]
    tables: tuple[TableSchema, ...]
    sections: tuple[str, ...]
    run: Callable[[Tables, Parameters], Tables]
    stage: str = "responses"
    code_version: str = "1"
    checks: tuple[TableCheck, ...] = ()
