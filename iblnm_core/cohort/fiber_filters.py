"""Filters that judge single fibres: by what a person said last, by their primary correction. What a selection asks for stands in `selection`."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FiberKeys = set[tuple[str, int]]
"""Session id and position of the fibre in the session's lists."""


def without_primary(corrections: pd.DataFrame, primary: str) -> FiberKeys:
    """Return the fibres that have corrections, but not the primary one: it failed, or another stands in.

    Parameters
    ----------
    corrections : DataFrame
        The `corrections` table.
    primary : str
        Name of the correction.
    """
    there = corrections["is_primary"].astype(bool) & (corrections["correction"] == primary)
    return _keys(corrections) - _keys(corrections[there & (corrections["status"] == "ok")])


def _keys(rows: pd.DataFrame) -> FiberKeys:
    return set(zip(rows["eid"], rows["fiber_idx"].astype(int), strict=True))


def keeps_a_fiber(
    catalogue: pd.DataFrame, judged: FiberKeys, excluded: FiberKeys, targets: Collection[str]
) -> NDArray[np.bool_]:
    """Return which sessions keep a fibre in a target although some are left out.

    Parameters
    ----------
    catalogue : DataFrame
        The `sessions` table.
    judged : set of (str, int)
        Fibres that a filter leaves out; a session without any passes it.
    excluded : set of (str, int)
        All that are left out, by whatever filter.
    targets : collection of str
        Labels; any target when empty.

    Returns
    -------
    ndarray of bool, (n,)
    """
    concerned = catalogue["eid"].isin({eid for eid, _ in judged}).to_numpy(dtype=bool)
    passes = ~concerned
    for place in np.flatnonzero(concerned):
        eid, labels = catalogue["eid"].iloc[place], catalogue["target_NM"].iloc[place]
        passes[place] = any(
            (eid, fiber) not in excluded and (not targets or target in targets) for fiber, target in enumerate(labels)
        )
    return passes
