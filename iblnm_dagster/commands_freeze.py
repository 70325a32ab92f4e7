"""The commands `iblnm freeze` and `iblnm compare`: say how it went. What is frozen and compared is `iblnm_core.freezing`'s business."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from iblnm_core.freezing.wording import Block

_SHOWN = 20


@click.command(epilog="\b\nExamples:\n  iblnm freeze submitted --root results")
@click.argument("name")
def freeze(root: Path | None, name: str) -> None:
    """Keep the numbers of a paper, and all that they rest on, as NAME.

    A root that is not up to date is refused. A freeze is never changed afterwards.
    """
    from iblnm_core.freezing.storing import freeze as write_freeze
    from iblnm_core.root import open_root

    written = write_freeze(open_root(root), name)
    tables, sessions = written.manifest["tables"], written.manifest["sessions"]
    kept = sum(entry["kept"] for entry in tables.values())
    used = sum(bool(entry["fibers"]) for entry in sessions.values())
    click.echo(f"{written.path}")
    click.echo(f"  {len(sessions)} sessions, of which analyses of recordings use {used}")
    click.echo(
        f"  {len(tables)} tables, of which {kept} are kept; {len(written.manifest['figures'])} families of figures"
    )
    for text in written.manifest["unsettled"]:
        click.echo(f"  not settled: {text}")
    click.echo(f"  SHA-256 of the manifest: {written.sha256}")


@click.command(
    epilog="\b\nExamples:\n  iblnm compare submitted now --root results\n  iblnm compare submitted revised --all"
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--all", "everything", is_flag=True, help="Print every row that moved.")
def compare(root: Path | None, before: str, after: str, everything: bool) -> None:
    """Say what changed between two freezes, and why.

    A and B are names of freezes, or `now` for the present state. Told are sessions and why they changed, settings, tables, and the
    numbers that moved, the most important first. Writes the same account as a page that opens from disk.
    """
    from rich.console import Console

    from iblnm_core.freezing.comparing import compare as compare_states
    from iblnm_core.freezing.page import write_comparison
    from iblnm_core.freezing.storing import open_state
    from iblnm_core.freezing.wording import account, summary
    from iblnm_core.root import open_root

    opened = open_root(root)
    comparison = compare_states(open_state(opened, before), open_state(opened, after))
    click.echo(f"{before} → {after}")
    click.echo(summary(comparison))
    console = Console(highlight=False, markup=False, emoji=False)
    for block in account(comparison, None if everything else _SHOWN):
        _tell(console, block)
    click.echo(f"\nPage: {write_comparison(opened, comparison)}")


def _tell(console: "Console", block: "Block") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from iblnm_core.reports.texts import number

    click.echo(f"\n{block.title}")
    for line in block.lines:
        click.echo(f"  {line}")
    if block.rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for place, header in enumerate(block.headers):
            # names stay on one line
            table.add_column(Text(header), overflow="fold", no_wrap=place == 0)
        for row in block.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    if block.left_out:
        click.echo(f"  and {number(block.left_out)} more (--all shows them)")
