"""What answers stand on: the stored tables of a root, who is selected, and how much of each table there is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.running import upstream_analyses
from iblnm_core.cohort.account import Account, read_account
from iblnm_core.errors import CorruptArtifact
from iblnm_core.root import Root
from iblnm_core.schemas import RECORDINGS, TABLES
from iblnm_core.storage.tables import stored_table
from iblnm_core.table_schema import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

MAKER = {schema.name: name for name, analysis in ANALYSES.items() for schema in analysis.tables}
"""The analysis that makes each table of results."""


@dataclass(frozen=True)
class Counts:
    """How much there is of something; None where that is not known."""

    mice: int | None = None
    sessions: int | None = None
    recordings: int | None = None
    rows: int | None = None


@dataclass(frozen=True, eq=False)
class Ground:
    """A root with its account.

    Attributes
    ----------
    root : Root
    account : Account
    """

    root: Root
    account: Account
    _counted: dict[tuple[str, bool], Counts | None] = field(default_factory=dict)
    _runs: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Root) -> "Ground":
        """Read the account of a root."""
        return cls(root, read_account(root))

    @cached_property
    def subjects(self) -> dict[str, str]:
        """Subject by session of the catalogue."""
        sessions = self.account.sessions
        return dict(zip(sessions["eid"], sessions["subject"], strict=True))

    def counts(self, table: str, *, selected: bool = False) -> Counts | None:
        """Return how much there is in a stored table; None when it is not stored.

        Parameters
        ----------
        table : str
        selected : bool
            Count selected sessions only.
        """
        key = (table, selected)
        if key not in self._counted:
            self._counted[key] = self._count(table, selected)
        return self._counted[key]

    def _count(self, table: str, selected: bool) -> Counts | None:
        schema = TABLES[table]
        stored = stored_table(self.root.path, schema)
        if stored is None:
            return None
        if table not in self._runs:
            self._runs[table] = self._read_runs(schema)
        found = self._runs[table]
        if "eid" not in found:
            return Counts(mice=int(found["subject"].nunique()) if "subject" in found else None, rows=stored.n_rows)
        found = found[found["eid"].notna()]
        if selected:
            found = found[found["eid"].isin(self.account.chosen.sessions["eid"])]
        mice = found["subject"] if "subject" in found else found["eid"].map(self.subjects)
        fibers = found.dropna(subset=["fiber_idx"]) if "fiber_idx" in found else None
        return Counts(
            int(mice.nunique()),
            int(found["eid"].nunique()),
            None if fibers is None else len(fibers[["eid", "fiber_idx"]].drop_duplicates()),
            int(found["n_rows"].sum()) if selected else stored.n_rows,
        )

    def _read_runs(self, schema: TableSchema) -> pd.DataFrame:
        """Return sessions, fibres and subjects of a table with the number of rows, each run of equal rows once."""
        keys = [name for name in ("eid", "fiber_idx", "subject") if name in schema.column_names]
        if not keys:
            return pd.DataFrame()
        rows = self._read(schema, keys).to_pandas()
        starts = np.arange(len(rows)) == 0
        for name in keys:
            # equal texts lie together, as tables are stored in the order of their keys
            column = rows[name]
            codes = column.cat.codes.to_numpy() if column.dtype == "category" else column.fillna(-1).to_numpy()
            starts[1:] |= codes[1:] != codes[:-1]
        places = np.flatnonzero(starts)
        runs = rows.iloc[places].astype({name: object for name in keys if name != "fiber_idx"})
        counted: pd.DataFrame = runs.assign(n_rows=np.diff(np.append(places, len(rows))))
        return counted

    def rows_of(self, table: str, eid: str) -> int | None:
        """Return how many rows a stored table has of a session; None when it is not stored."""
        schema = TABLES[table]
        if stored_table(self.root.path, schema) is None:
            return None
        return int(self._read(schema, ["eid"], [("eid", "==", eid)]).num_rows)

    def _read(
        self, schema: TableSchema, columns: Sequence[str], filters: list[tuple[str, str, str]] | None = None
    ) -> "pa.Table":
        """Read columns of a table without making Python objects of millions of texts."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.root.path / schema.path
        try:
            texts = [name for name in columns if name != "fiber_idx"]
            return pq.read_table(path, columns=list(columns), filters=filters, read_dictionary=texts)
        except (pa.ArrowException, OSError) as error:
            raise CorruptArtifact(f"table {schema.name}", "all", str(path), str(error)) from error


def uses_selection(analyses: Iterable[str]) -> bool:
    """Whether any of some analyses, or of those they are made from, uses the selected recordings only.

    Parameters
    ----------
    analyses : iterable of str
    """
    return any(RECORDINGS.name in ANALYSES[name].reads for name in upstream_analyses(analyses))
