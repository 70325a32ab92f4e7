"""What several figures have: spread dots, notes in a panel, axes of months, why nothing is selected."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray


def jitter(n: int, seed: int, width: float = 0.15) -> NDArray[np.float64]:
    """Return how far dots stand from the middle of their group, the same at every drawing; a single dot is in it.

    Parameters
    ----------
    n : int
    seed : int
    width : float
        Largest distance.

    Returns
    -------
    ndarray of float64, (n,)
    """
    if n == 1:
        return np.zeros(1)
    return np.random.default_rng(seed).uniform(-width, width, n)


def note(axes: Axes, text: str, *, high: bool = False) -> None:
    """Write a few words into a panel: in its middle, or in the corner above on the left.

    Parameters
    ----------
    axes : Axes
    text : str
    high : bool
        In the corner.
    """
    x, y, ha, va = (0.02, 0.98, "left", "top") if high else (0.5, 0.5, "center", "center")
    axes.text(x, y, text, transform=axes.transAxes, ha=ha, va=va, fontsize=7, color="#404040")


def every_month(monthly: pd.DataFrame) -> pd.DataFrame:
    """Return rows of months with those between them that have none, so that lines have gaps there.

    Parameters
    ----------
    monthly : DataFrame
        With month, the first day of each, ISO.

    Returns
    -------
    DataFrame
        By date; absent months are not numbers.
    """
    dates = pd.to_datetime(monthly["month"])
    numbers = monthly.select_dtypes("number").astype("float64")
    by_date = monthly.assign(**numbers).set_axis(pd.DatetimeIndex(dates)).sort_index()
    return by_date.reindex(pd.date_range(dates.min(), dates.max(), freq="MS"))


def date_axis(axes: Axes) -> None:
    """Give an axis of dates ticks that are few and short."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    # a January says its month, too
    zero_formats = ["", "%b\n%Y", "%b", "%b-%d", "%H:%M", "%H:%M"]
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, zero_formats=zero_formats))  # type: ignore[no-untyped-call]


def why_nothing(selection: pd.DataFrame) -> str:
    """Return in words why nothing of what is selected can be drawn: which filter removed how many sessions.

    Parameters
    ----------
    selection : DataFrame
        The table `selection`.
    """
    if selection.empty:
        return "the catalogue has no session"
    ordered = selection.sort_values("position")
    left = int(ordered["left"].iloc[-1])
    removing = ordered[ordered["removed_in_order"] > 0]
    filters = [f"{name} {n}" for name, n in zip(removing["filter"], removing["removed_in_order"], strict=True)]
    removed = f"filters removed: {', '.join(filters)}" if filters else "no filter removed any"
    return f"{left} sessions are selected ({removed})" + (", and none of them has what is drawn" if left else "")
