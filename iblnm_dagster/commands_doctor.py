"""The command `iblnm doctor`. What can be wrong with stored files is `iblnm_core.cohort.doctor`'s business; Dagster's records are looked at here."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iblnm_core.cohort.doctor import Ailment
    from iblnm_core.root import Root


@click.command(epilog="\b\nExamples:\n  iblnm doctor --root results")
def doctor(root: Path | None) -> None:
    """Hold the event log against what is on disk, and mend what takes no computing.

    Reads every session file and table to the last byte. Removes temporary files of dead processes, ends runs whose process is dead, and sets
    broken tables aside; for the rest it says which command mends it, and exits with 1.
    """
    from iblnm_core.cohort.doctor import examine
    from iblnm_core.root import open_root

    opened = open_root(root)
    found = examine(opened)
    ended, unreported = _event_log(opened)
    mended, left = [*found.mended, *ended], [*found.left, *unreported]
    click.echo(f"{opened.path}: {found.n_session_files} session files and {found.n_tables} tables read")
    _tell("Mended:", mended)
    _tell("Left:", left)
    if not mended and not left:
        click.echo("nothing is wrong")
    if left:
        sys.exit(1)


def _event_log(root: "Root") -> "tuple[list[Ailment], list[Ailment]]":
    """Return the runs that were ended, and the sessions that are stored and were never reported."""
    import dagster as dg

    from iblnm_core.cohort.collect import session_files
    from iblnm_core.cohort.doctor import Ailment, run_command
    from iblnm_dagster.instance import end_runs_of_dead_processes, explained_event_log, open_instance

    if not (root.dagster_home / "dagster.yaml").is_file():
        return [], []
    with explained_event_log(root.dagster_home):
        instance = open_instance(root.dagster_home)
        try:
            ended = end_runs_of_dead_processes(instance)
            reported = instance.event_log_storage.get_materialized_partitions(dg.AssetKey("session_errors"))
        finally:
            instance.dispose()
    runs = [Ailment(f"run {run_id}", "its process is dead: ended as failed") for run_id in ended]
    missing = sorted(set(session_files(root)) - set(reported))
    return runs, [
        Ailment(eid, "is stored and was never reported to the event log", run_command(root)) for eid in missing
    ]


def _tell(title: str, ailments: "Sequence[Ailment]") -> None:
    if not ailments:
        return
    click.echo(title)
    for ailment in ailments:
        click.echo(f"  {ailment.where}  {ailment.problem}")
    for remedy in dict.fromkeys(ailment.remedy for ailment in ailments if ailment.remedy):
        click.echo(f"  To mend: {remedy}")
