"""Rows that an analysis of a group can use, what becomes of those it cannot, and results as rows. No statistics here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.mixed_model import MixedFit
from iblnm_core.analyses.outcomes import Outcome, Status, false_discovery_rate
from iblnm_core.errors import MissingPrerequisite, SingularDesign

Record = dict[str, Any]
Finding = tuple[Status, list[Record], str | None]
"""Status, rows of the result, and a remark."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials of a group that an analysis can use, or what keeps it from using them.

    Attributes
    ----------
    rows : DataFrame
    obstacle : Status or None
    detail : str or None
        What was left out.
    """

    rows: pd.DataFrame
    obstacle: Status | None
    detail: str | None


def require(frame: pd.DataFrame, needed: Sequence[str]) -> None:
    """Refuse a table of trials without the columns that an analysis takes.

    Parameters
    ----------
    frame : DataFrame
    needed : sequence of str

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    """
    missing = [name for name in needed if name not in frame]
    if missing:
        raise MissingPrerequisite(f"the trials have no column {', '.join(missing)}; found {', '.join(frame.columns)}")


def complete_rows(
    rows: pd.DataFrame,
    needed: Sequence[str],
    *,
    minimum_subjects: int,
    minimum_trials: int = 1,
    two_levels: Sequence[str] = (),
    varying: str = "response",
    levels: Sequence[float] | None = None,
) -> Trials:
    """Return the trials of a group of which everything is known, and whether they are enough.

    Parameters
    ----------
    rows : DataFrame
    needed : sequence of str
        Columns besides subject that must be known, and finite if they are numbers.
    minimum_subjects, minimum_trials : int
    two_levels : sequence of str
        Columns that must take two values.
    varying : str
        Column that must not be constant.
    levels : sequence of float, optional
        Contrasts, percent; trials with another one are left out.
    """
    columns = ["subject", *needed]
    known = {name: _is_known(rows[name]) for name in columns}
    if levels is not None:
        known["contrast"] = rows["contrast"].isin(levels).to_numpy(np.bool_)
    complete: NDArray[np.bool_] = np.all(list(known.values()), axis=0)
    usable, detail, obstacle = rows[complete], None, None
    if not complete.all():
        lacking = ", ".join(name for name, mask in known.items() if not mask.all())
        detail = f"{len(rows) - len(usable)} of {len(rows)} trials left out for {lacking}"
    if usable.empty:
        obstacle = Status.NO_DATA if rows.empty else Status.MISSING_INPUT
    elif usable["subject"].nunique() < minimum_subjects:
        obstacle = Status.TOO_FEW_SUBJECTS
    elif len(usable) < minimum_trials:
        obstacle = Status.TOO_FEW_TRIALS
    elif any(usable[name].nunique() < 2 for name in two_levels):
        obstacle = Status.SINGLE_LEVEL
    elif np.ptp(usable[varying].to_numpy(np.float64)) == 0:
        obstacle = Status.CONSTANT_RESPONSE
    return Trials(usable, obstacle, detail)


def _is_known(values: "pd.Series[Any]") -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        finite: NDArray[np.bool_] = np.isfinite(values.to_numpy(np.float64))
        return finite
    known: NDArray[np.bool_] = values.notna().to_numpy(np.bool_)
    return known


def analysed(
    outcome: partial[Outcome], trials: Trials, analyse: Callable[[pd.DataFrame], Finding]
) -> tuple[Outcome, list[Record]]:
    """Analyse the trials of a group if that is possible; what is wrong with them becomes the outcome.

    Parameters
    ----------
    outcome : partial of Outcome
        With the keys of the group.
    trials : Trials
    analyse : callable
        From usable trials to status, rows of the result and a remark; may raise SingularDesign.
    """
    status, records, remark = trials.obstacle, list[Record](), None
    if status is None:
        try:
            status, records, remark = analyse(trials.rows)
        except SingularDesign as error:
            status, remark = Status.SINGULAR_DESIGN, str(error)
    detail = "; ".join(text for text in (trials.detail, remark) if text) or None
    n_subjects = int(trials.rows["subject"].nunique())
    return outcome(status=status, n_trials=len(trials.rows), n_subjects=n_subjects, detail=detail), records


def status_of(fit: MixedFit) -> Status:
    """Return the status of a fit that came out."""
    return Status.BOUNDARY if fit.at_boundary else Status.OK


def records_of(table: pd.DataFrame) -> list[Record]:
    """Return the rows of a table."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def table_of(records: Sequence[Record], columns: Mapping[str, str], p_values: str | None = None) -> pd.DataFrame:
    """Return a table that has its columns and types also without rows.

    Parameters
    ----------
    records : sequence of dict
    columns : mapping of str to str
        Type by column, in their order.
    p_values : str, optional
        Column whose false discovery rates over all rows become q_value.
    """
    table = pd.DataFrame(list(records), columns=list(columns)).astype(dict(columns))
    if p_values is not None:
        table["q_value"] = false_discovery_rate(table[p_values].to_numpy(np.float64))
    return table
