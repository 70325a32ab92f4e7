"""The command `iblnm export`: says how it went. How the files are made is `iblnm_core.export`'s business."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iblnm_core.errors import ConfigurationError, IblnmError

if TYPE_CHECKING:
    from iblnm_core.export.nwb.exporting import ExportedFile
    from iblnm_core.root import Root

_EXAMPLES = """\b
Examples:
  iblnm export EID --nwb --root results
  iblnm export EID EID --nwb --out shared --check"""


@click.command(epilog=_EXAMPLES)
@click.argument("eids", metavar="EID...", nargs=-1, required=True)
@click.option("--nwb", is_flag=True, required=True, expose_value=False, help="The format: one NWB file per session.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files.  [default: of the root]"
)
@click.option("--check", is_flag=True, help="Hold each file against the schema and against best practices.")
@click.option("--overwrite", is_flag=True, help="Replace files of other content in the folder given with --out.")
@click.option("--skip-blocked", is_flag=True, help="Leave out sessions with an error that blocks analyses.")
def export(
    root: Path | None, eids: Sequence[str], out: Path | None, check: bool, overwrite: bool, skip_blocked: bool
) -> None:
    """Write sessions in a format that other programs read.

    Exits with 1 when a file could not be made or is not valid; these are listed, and the others are written.
    """
    from iblnm_core.root import open_root

    request = NwbRequest(tuple(eids), out, check=check, overwrite=overwrite, skip_blocked=skip_blocked)
    if not export_nwb(open_root(root), request):
        sys.exit(1)


@dataclass(frozen=True)
class NwbRequest:
    """What was asked for.

    Attributes
    ----------
    eids : tuple of str
    out : Path or None
        Folder for the files, instead of that of the root.
    check : bool
        Hold every file against schema and best practices.
    overwrite : bool
        Replace files of other content in `out`.
    skip_blocked : bool
        Leave sessions out that an error keeps from cohort analyses.
    """

    eids: tuple[str, ...]
    out: Path | None = None
    check: bool = False
    overwrite: bool = False
    skip_blocked: bool = False


def export_nwb(root: "Root", request: NwbRequest) -> bool:
    """Write the NWB files of some sessions, and say how it went; one that cannot be written stops no other.

    Parameters
    ----------
    root : Root
    request : NwbRequest

    Returns
    -------
    bool
        Whether all files were written that were to be, and are valid.

    Raises
    ------
    MissingDependency
        When a library is not installed.
    ConfigurationError
        When a session is not in the catalogue, or a file of other content is in the way.
    """
    from iblnm_core.cohort.status import Catalogue
    from iblnm_core.export.nwb.exporting import export_session
    from iblnm_core.export.nwb.libraries import inspector, nwb_libraries

    nwb_libraries()
    if request.check:
        inspector()
    tasks = {task.eid: task for task in Catalogue.load(root).tasks(request.eids)}
    problems: list[str] = []
    for eid in dict.fromkeys(request.eids):
        try:
            exported = export_session(
                root, tasks[eid], out=request.out, overwrite=request.overwrite, skip_blocked=request.skip_blocked
            )
        except ConfigurationError:
            raise
        except IblnmError as error:
            problems.append(str(error))
            continue
        _tell(exported)
        if request.check and exported.outcome != "left out":
            problems += _checked(exported.path)
    if problems:
        click.echo(f"problems: {len(problems)}", err=True)
        for problem in problems:
            click.echo(f"  {problem}", err=True)
    return not problems


def _tell(exported: "ExportedFile") -> None:
    reasons = ", ".join(exported.blocked_by)
    if exported.outcome == "left out":
        click.echo(f"{exported.eid}  left out: blocked by {reasons}")
        return
    click.echo(f"{exported.eid}  {exported.outcome}  {exported.size_bytes / 1e6:.1f} MB  {exported.path}")
    if reasons:
        click.echo(f"  warning: the session is blocked by {reasons}; the file holds what there is", err=True)


def _checked(path: Path) -> Sequence[str]:
    """Print what the inspector says, and return what makes a file invalid."""
    from iblnm_core.export.nwb.checking import inspect_file, of_level, schema_errors

    messages = inspect_file(path)
    for level, word in (("CRITICAL", "critical"), ("BEST_PRACTICE_VIOLATION", "violation")):
        for message in of_level(messages, level):
            click.echo(f"  {word}: {message}", err=True)
    suggestions = len(of_level(messages, "BEST_PRACTICE_SUGGESTION"))
    errors = schema_errors(path)
    click.echo(f"  checked: {len(errors)} schema errors, {suggestions} suggestions")
    return [f"{path}: {error}" for error in errors]
