"""Rows of large tables found by session and number, without merging text columns of millions of rows."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def row_places(sessions: pd.Index, table: pd.DataFrame, key: str, rows: pd.DataFrame) -> NDArray[np.intp]:
    """Return, for each of some rows, the place of its session and key in a table.

    Parameters
    ----------
    sessions : Index of str
        Sessions that count, each once.
    table : DataFrame
        `eid` and the key, at most one row for each pair of them.
    key : str
        Column of integers from 0, such as the number of a trial.
    rows : DataFrame
        `eid` and the key.

    Returns
    -------
    ndarray of intp, (n,)
        -1 where the table has no such row.
    """
    span = 1 + max((int(part[key].max()) for part in (table, rows) if len(part)), default=0)
    in_table, in_rows = (sessions.get_indexer(pd.Index(part["eid"])) for part in (table, rows))
    known = np.flatnonzero(in_table >= 0)
    numbers = pd.Index(in_table[known] * span + table[key].to_numpy()[known])
    places = numbers.get_indexer(np.where(in_rows >= 0, in_rows * span + rows[key].to_numpy(), -1))
    return np.where(places >= 0, known[places], -1) if len(known) else places
