"""The command `iblnm why`. What the answer is is `iblnm_core.answers`' business; it is imported when the command runs."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from iblnm_core.answers.model import Answer, Part

_WIDTH_OF_FILES = 160
"""Characters of a line where no terminal says how wide it is."""


@click.command(
    epilog="\b\nExamples:\n  iblnm why EID --root results\n  iblnm why modelling_frame\n"
    "  iblnm why results/responses/anova_subject_means.pqt\n  iblnm why figures/task_encoding"
)
@click.argument("name", metavar="EID|TABLE|FIGURE")
def why(root: Path | None, name: str) -> None:
    """Say why a session is in the results or not, and from what a table or a figure came.

    TABLE is the name or the path of a stored table, FIGURE a family of figures or figures/NAME. Reads what is stored; computes nothing.
    """
    from iblnm_core.answers.why import why as answer_to
    from iblnm_core.root import open_root

    _tell(answer_to(open_root(root), name))


def _tell(answer: "Answer") -> None:
    from rich.console import Console

    width = shutil.get_terminal_size((_WIDTH_OF_FILES, 0)).columns
    # texts of the data are no markup
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    console.print(answer.title, style="bold")
    console.print(answer.sentence)
    for shown in answer.parts:
        console.print()
        _tell_part(console, shown)


def _tell_part(console: "Console", shown: "Part") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console.print(shown.title, style="bold")
    for note in shown.notes:
        console.print(note)
    if not shown.rows:
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for header in shown.headers:
        table.add_column(Text(header), overflow="fold")
    for row in shown.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
