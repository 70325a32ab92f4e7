"""Numbers behind the figures of models, as the report of a cohort shows them: read from the stored tables, never worked out here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from iblnm_core.figures.theme import event_label, events_in_order, in_order
from iblnm_core.reports.model import TableView, table
from iblnm_core.reports.texts import UNKNOWN, clean, interval, number, probability
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import read_table

_Record = Mapping[str, Any]
_RATE = "q: false discovery rate over all rows (Benjamini-Hochberg)."


@dataclass(frozen=True)
class Statistics:
    """One table of numbers under the figures of a family.

    Attributes
    ----------
    name : str
        Of the stored table.
    caption : str
        What is estimated, how it is tested and corrected.
    columns : mapping of str to callable
        By header, the text of a cell from a row of the table.
    keys : tuple of str
        Columns that rows are sorted by, after target and event.
    counts : str
        A stored table with the numbers of mice and trials of each target and event; empty when the table itself has them.
    measures : mapping of str to str
        What rows of the column `measure` are called; others are left out. Empty for tables without this column.
    """

    name: str
    caption: str
    columns: Mapping[str, Callable[[_Record], str]]
    keys: tuple[str, ...] = ()
    counts: str = ""
    measures: Mapping[str, str] = field(default_factory=dict)


def _text(column: str) -> Callable[[_Record], str]:
    return lambda row: clean(row[column]).replace(":", " \N{MULTIPLICATION SIGN} ").replace("_", " ")


def _number(column: str) -> Callable[[_Record], str]:
    return lambda row: number(row[column])


def _probability(column: str) -> Callable[[_Record], str]:
    return lambda row: probability(row[column])


def _event(row: _Record) -> str:
    return clean(event_label(str(row["event"])))


def _target(row: _Record) -> str:
    return clean(row["target_NM"])


def _f_statistic(row: _Record) -> str:
    freedom = f"{number(row['Num DF'])}, {number(row['Den DF'])}"
    return UNKNOWN if pd.isna(row["F"]) else f"{number(row['F'])} ({freedom})"


def _recordings(row: _Record) -> str:
    return f"{number(row['n_recordings'])}{' (few)' if row['low_n'] else ''}"


_WHICH: Mapping[str, Callable[[_Record], str]] = {"Target": _target, "Event": _event}
_SIZES = {"Mice": _number("n_subjects"), "Trials": _number("n_trials")}

_HELD_OUT: Mapping[str, str] = {
    "r2_full": "R² of the whole model",
    "delta_r2_contrast": "ΔR² of contrast",
    "delta_r2_timing": "ΔR² of timing",
}

STATISTICS: Mapping[str, tuple[Statistics, ...]] = MappingProxyType(
    {
        "response_models": (
            Statistics(
                "lmm_coefficients_early",
                f"Coefficients of the mixed models of responses (z), intervals and q t-based, for few mice. {_RATE}",
                {
                    **_WHICH,
                    "Term": _text("term"),
                    "Estimate": _number("Coef."),
                    "95 % interval": lambda row: interval(row["t_ci_lower"], row["t_ci_upper"]),
                    "q": _probability("t_q_value"),
                    **_SIZES,
                },
                ("term",),
                "lmm_variance_explained_early",
            ),
            Statistics(
                "anova_subject_means",
                f"Analysis of variance of mice's mean responses. {_RATE}",
                {
                    **_WHICH,
                    "Effect": _text("Source"),
                    "F (degrees of freedom)": _f_statistic,
                    "p": _probability("Pr(>F)"),
                    "q": _probability("q_value"),
                    "Mice": _number("n_subjects"),
                },
                ("Source",),
            ),
        ),
        "baseline_coding": (
            Statistics(
                "baseline_shares",
                "Recordings whose baseline goes with behaviour: q < 0.05 (Benjamini-Hochberg over recordings; p by drawing other sessions).",
                {
                    "Target": _target,
                    "Behaviour": _text("behaviour"),
                    "Significant": _number("n_significant"),
                    "Tested": _number("n_tested"),
                    "Share": _number("share"),
                    "Recordings": _number("n_recordings"),
                },
                ("behaviour",),
            ),
        ),
        "response_vectors": (
            Statistics(
                "decoding_scores",
                "Decoding of the target from response vectors, cross-validated. No test.",
                {
                    "Features": _text("features"),
                    "Accuracy": _number("accuracy"),
                    "Balanced accuracy": _number("balanced_accuracy"),
                    "Chance": _number("chance"),
                    "Recordings": _number("n_recordings"),
                    "Mice": _number("n_subjects"),
                },
                ("features",),
            ),
        ),
        "movement_encoding": (
            Statistics(
                "loso_cv_summary",
                "Held-out comparison: means over the mice that were left out in turn, and their standard error. No test.",
                {
                    **_WHICH,
                    "Timing": _text("timing_col"),
                    "Score": lambda row: _HELD_OUT[row["measure"]],
                    "Mean": _number("mean"),
                    "Standard error": _number("sem"),
                    "Mice": _number("n_subjects"),
                },
                ("timing_col", "measure"),
                measures=_HELD_OUT,
            ),
        ),
        "task_encoding": (
            Statistics(
                "cca_summary",
                "First canonical correlation of coefficients with psychometric parameters; p by permutation of sessions or of mice. "
                "q: of sessions, false discovery rate over all rows (Benjamini-Hochberg). Few: too few recordings for so many variables.",
                {
                    **_WHICH,
                    "Variant": _text("variant"),
                    "Correlation": _number("correlation"),
                    "Held out": _number("held_out_correlation"),
                    "p, sessions": _probability("p_session"),
                    "q": _probability("q_session"),
                    "p, mice": _probability("p_subject"),
                    "Recordings": _recordings,
                    "Sessions": _number("n_sessions"),
                    "Mice": _number("n_subjects"),
                },
                ("variant",),
            ),
        ),
    }
)
"""Tables of numbers by family of figures."""

STATISTICS_READ = tuple(
    dict.fromkeys(
        name for family in STATISTICS.values() for each in family for name in (each.name, each.counts) if name
    )
)
"""Stored tables that these numbers are read from."""


def statistics_tables(root: Path, family: str) -> tuple[TableView, ...]:
    """Return the tables of numbers of a family of figures, folded; those that are not stored or have no row are left out.

    Parameters
    ----------
    root : Path
    family : str

    Raises
    ------
    CorruptArtifact
    """
    views = []
    for each in STATISTICS.get(family, ()):
        rows = _ordered(_read(root, each), each.keys)
        cells = [[shown(row) for shown in each.columns.values()] for row in rows]
        if cells:
            views.append(table(each.caption, tuple(each.columns), cells, folded=True))
    return tuple(views)


def _read(root: Path, statistics: Statistics) -> pd.DataFrame:
    """Return a stored table with its counts; without rows when one of them is not there."""
    try:
        rows = read_table(root, TABLES[statistics.name])
        if statistics.measures:
            rows = rows[rows["measure"].isin(list(statistics.measures))]
        if not statistics.counts:
            return rows
        keys = ["target_NM", "event"]
        counts = read_table(root, TABLES[statistics.counts], columns=[*keys, "n_subjects", "n_trials"])
    except FileNotFoundError:
        return pd.DataFrame()
    return rows.merge(counts, on=keys, how="left")


def _ordered(rows: pd.DataFrame, keys: Sequence[str]) -> list[_Record]:
    """Return rows by target and event in the order of figures, then by keys."""
    places = {}
    for name, order in (("target_NM", in_order), ("event", events_in_order)):
        if name in rows:
            places[name] = {value: place for place, value in enumerate(order(rows[name]))}
    records = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    return sorted(
        records,
        key=lambda row: ([places[name][row[name]] for name in places], [str(row[key]) for key in keys]),
    )
