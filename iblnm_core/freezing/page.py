"""A comparison as a page that opens from disk."""

from pathlib import Path

from iblnm_core import __version__
from iblnm_core.freezing.comparing import Comparison
from iblnm_core.freezing.storing import FOLDER
from iblnm_core.freezing.wording import Block, account, summary
from iblnm_core.reports.model import Banner, CohortPage, Section, table
from iblnm_core.reports.render import render_cohort
from iblnm_core.reports.texts import number
from iblnm_core.root import Root
from iblnm_core.storage.atomic import write_bytes

MOST_ROWS = 1_000
"""Of each table on a page."""

_OPEN_ROWS = 20
_EXPLAINED = {
    "Numbers": "One line for each row of a table that says something else, with its most important value; changes of "
    "significance (a p- or q-value across 0.05) come first. Sizes are in standard errors of the earlier estimate where the table "
    "has one, else in percent of the larger of the two values.",
    "Tables": "Of large tables and of tables of trials only the summaries of columns are compared: number of known values, mean, "
    "spread and extremes.",
}
_CAPTIONS = {
    "Not up to date": "What one of the two states was behind with",
    "Sessions": "Sessions that came, went or changed, and why",
    "Numbers": "Rows that moved, the most important first",
    "Tables": "Tables that changed, the one with the most important row first",
    "Rows that came or went": "Rows that are in one of the two states only: the first of each table, then the second",
    "Differ by rounding only": "Tables in which no number moved by more than rounding",
    "Figures": "Families of figures, and the pictures whose drawn tables changed",
}


def write_comparison(root: Root, comparison: Comparison) -> Path:
    """Write the page of a comparison; return its path.

    Parameters
    ----------
    root : Root
    comparison : Comparison

    Raises
    ------
    StorageFull
    """
    path = root.path / FOLDER / f"compare_{comparison.before}+{comparison.after}.html"
    write_bytes(path, render_cohort(comparison_page(root, comparison)))
    return path


def comparison_page(root: Root, comparison: Comparison) -> CohortPage:
    """Return what is on the page of a comparison.

    Parameters
    ----------
    root : Root
    comparison : Comparison
    """
    banner = Banner("ok", "Nothing changed", summary(comparison).partition(": ")[2])
    if not comparison.nothing:
        banner = Banner("warning", "Changed", summary(comparison))
    return CohortPage(
        f"{comparison.before} compared with {comparison.after}",
        f"What became of sessions, settings and results from {comparison.before} to {comparison.after}; preset {root.preset}.",
        banner,
        tuple(_section(block) for block in account(comparison, MOST_ROWS)),
        f"Written by iblnm {__version__}.",
    )


def _section(block: Block) -> Section:
    anchor = block.title.lower().replace(" ", "-")
    caption = _CAPTIONS.get(block.title, f"{block.title}, before and after")
    rows = [[cell.replace("\n", "; ") for cell in row] for row in block.rows]
    tables = []
    if block.lines:
        tables.append(table(caption, ("what",), [(line,) for line in block.lines]))
    if rows:
        tables.append(table(caption, block.headers, rows[:_OPEN_ROWS]))
    if len(rows) > _OPEN_ROWS:
        more = f"; {number(block.left_out)} more are not on this page" if block.left_out else ""
        caption = f"{block.title}: {number(len(rows) - _OPEN_ROWS)} more{more}"
        tables.append(table(caption, block.headers, rows[_OPEN_ROWS:], folded=True))
    return Section(f"changes-{anchor}", block.title, text=_EXPLAINED.get(block.title, ""), tables=tuple(tables))
