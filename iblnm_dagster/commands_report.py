"""The command `iblnm report`. What is on the pages is `iblnm_core.reports`' business; it is imported when the command runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from iblnm_core.reports.writing import WrittenReport


@click.command(epilog="\b\nExamples:\n  iblnm report EID --root results\n  iblnm report --cohort")
@click.argument("eids", metavar="[EID]...", nargs=-1)
@click.option("--cohort", is_flag=True, help="The report of all sessions and analyses; links the sessions' reports.")
def report(root: Path | None, eids: Sequence[str], cohort: bool) -> None:
    """Write pages that open from disk: of the named sessions, or of the cohort; from what is stored."""
    from iblnm_core.reports.writing import write_cohort_report, write_session_report
    from iblnm_core.root import open_root

    if not eids and not cohort:
        raise click.UsageError("name sessions, or give --cohort")
    opened = open_root(root)
    for eid in dict.fromkeys(eids):
        _tell(write_session_report(opened, eid))
    # last, so that it links the others
    if cohort:
        _tell(write_cohort_report(opened))


def _tell(written: "WrittenReport") -> None:
    click.echo(f"{written.path}  {written.size_bytes / 1e6:.1f} MB  {written.verdict}")
