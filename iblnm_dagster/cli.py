"""The command line `iblnm`. Commands say what to do and print how it went; what they do lives elsewhere.

Heavy packages are imported inside the commands, so that `iblnm --help` answers at once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from iblnm_core import __version__
from iblnm_core.errors import ConfigurationError, IblnmError
from iblnm_core.session.outputs import STAGES
from iblnm_dagster import printing
from iblnm_dagster.commands_doctor import doctor
from iblnm_dagster.commands_export import export
from iblnm_dagster.commands_freeze import compare, freeze
from iblnm_dagster.commands_report import report
from iblnm_dagster.commands_view import view
from iblnm_dagster.commands_why import why

ROOT = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="IBLNM_ROOT",
    show_envvar=True,
    help="Folder of the pipeline instance.  [default: iblnm_data]",
)


class _Commands(click.Group):
    """Commands whose expected errors end in one message: exit code 2 for what the user can set right, else 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            click.echo(f"iblnm: {error}", err=True)
            ctx.exit(2)
        except IblnmError as error:
            click.echo(f"iblnm: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo(
                "iblnm: interrupted. What was finished is stored; the same command goes on from there.", err=True
            )
            ctx.exit(1)


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Fibre-photometry pipeline of the IBL neuromodulator project."""


@main.command(epilog=_examples("iblnm demo", "iblnm demo --root /tmp/demo --subjects 2 --ui"))
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("iblnm_demo"),
    show_default=True,
    help="Folder of the demo; the input goes to its subfolder cache.",
)
@click.option("--subjects", type=click.IntRange(min=1), help="Only the first so many subjects.")
@click.option("--sessions", type=click.IntRange(min=1), help="So many sound sessions.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the cohort.")
@click.option("--ui", is_flag=True, help="Open the web interface on the result.")
def demo(root: Path, subjects: int | None, sessions: int | None, seed: int, ui: bool) -> None:
    """Make a synthetic cohort, run the whole graph on it, and show what came out.

    Some sessions are broken on purpose. Exits with 0 when exactly those failed, as planned.
    """
    from iblnm_dagster.demo import run_demo

    as_planned = run_demo(root.absolute(), subjects=subjects, sessions=sessions, seed=seed)
    if ui:
        _serve(root, "127.0.0.1", 3000)
    if not as_planned:
        sys.exit(1)


@main.command(
    epilog=_examples(
        "iblnm run --root results --source local --cache /data/one",
        "iblnm run --root results --source alyx",
        "iblnm run --root results --failed",
        "iblnm run --root results --only photometry --reprocess",
        "iblnm run --root results --from task",
        "iblnm run --root results --only movement_encoding",
        "iblnm run --root results --eid 6dc209b4-886a-433f-b1a3-3638a2e17637 --reprocess",
    )
)
@ROOT
@click.option("--source", type=click.Choice(["local", "alyx"]), help="Where sessions come from (for a new root).")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of a local ONE cache, or of the downloads (for a new root).",
)
@click.option("--preset", help="Parameter preset, default or reference (for a new root).")
@click.option(
    "--only",
    "only",
    type=click.Choice(STAGES),
    multiple=True,
    help="Only this stage, and what it needs where that is not current; may be given several times.",
)
@click.option("--from", "first", type=click.Choice(STAGES), help="This stage and those after it.")
@click.option("--eid", "eids", multiple=True, metavar="EID", help="Only this session; may be given several times.")
@click.option("--failed", is_flag=True, help="Only sessions that failed, computed again.")
@click.option("--reprocess", is_flag=True, help="Compute also what is current.")
@click.option("--redownload", is_flag=True, help="Read the metadata of all sessions anew; nothing stored is lost.")
@click.option(
    "--extended-qc",
    is_flag=True,
    help="Write metadata/sessions_qc.pqt too: extended quality control by session and key.",
)
@click.option(
    "--skip-errors", is_flag=True, help="Go on when a stage as a whole goes wrong; failed sessions stop none."
)
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.  [default: of the root's settings]")
def run(
    root: Path | None,
    source: str | None,
    cache: Path | None,
    preset: str | None,
    only: Sequence[str],
    first: str | None,
    eids: Sequence[str],
    failed: bool,
    reprocess: bool,
    redownload: bool,
    extended_qc: bool,
    skip_errors: bool,
    workers: int | None,
) -> None:
    """Bring everything up to date: ask the source, compute what is due, collect the tables.

    Stages in order: query_database, photometry, task, wheel, video, responses, movement_encoding, task_encoding, task_performance, qc_overview.
    A session goes through all of its own at once; from responses on there are analyses of the cohort. Stages left out keep what is stored. Without query_database the source is not asked for sessions. Exits with 1 when sessions failed; they are listed.
    """
    from dataclasses import replace

    from iblnm_core.root import create_root
    from iblnm_dagster.updating import Request, update

    stages = _stages(only, first)
    opened = create_root(root, preset=preset, source=source, cache=cache)
    if workers is not None:
        opened = replace(opened, workers=workers)
    request = Request(
        eids=tuple(eids),
        failed=failed,
        reprocess=reprocess,
        redownload=redownload,
        extended_qc=extended_qc,
        stages=stages,
        skip_errors=skip_errors,
    )
    result = update(opened, request)
    printing.run_summary(opened, result)
    if result.failed or result.unavailable or result.problems:
        sys.exit(1)


def _stages(only: Sequence[str], first: str | None) -> tuple[str, ...]:
    if only and first:
        raise click.UsageError("--only and --from exclude each other")
    if only:
        return tuple(stage for stage in STAGES if stage in only)
    return STAGES[STAGES.index(first) :] if first else STAGES


@main.command(epilog=_examples("iblnm index /data/one"))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def index(folder: Path) -> None:
    """Make ONE cache tables for FOLDER, which holds LAB/Subjects/SUBJECT/DATE/NUMBER folders."""
    from iblnm_core.sources.indexing import index_cache

    found = index_cache(folder)
    click.echo(f"{found.cache}: {found.n_sessions} sessions, {found.n_datasets} datasets indexed")


@main.command(epilog=_examples("iblnm status --root results"))
@ROOT
def status(root: Path | None) -> None:
    """Show how many sessions are ok, failed, out of date or never run, for each output."""
    from iblnm_core.cohort.status import Catalogue
    from iblnm_core.root import open_root

    opened = open_root(root)
    printing.status_table(opened, Catalogue.load(opened).status())


@main.command(epilog=_examples("iblnm plan --root results"))
@ROOT
def plan(root: Path | None) -> None:
    """Show what the next run would compute, session by session, and why; the source is not asked.

    Why is one of new, input (a dataset changed), metadata (the catalogue row changed), parameters, code,
    failed unexpectedly, or made by hand (stored from a notebook).
    """
    from iblnm_core.cohort.status import Catalogue
    from iblnm_core.root import open_root

    opened = open_root(root)
    printing.plan_table(opened, Catalogue.load(opened).plan())


@main.command(
    epilog=_examples(
        "iblnm failures --root results", "iblnm failures --type QCValidationError", "iblnm failures --eid EID"
    )
)
@ROOT
@click.option("--type", "error_types", multiple=True, metavar="TYPE", help="Only errors of this class or its family.")
@click.option("--eid", metavar="EID", help="Everything, advisory errors included, about one session.")
def failures(root: Path | None, error_types: Sequence[str], eid: str | None) -> None:
    """Show what failed, session by session, with the typed reason."""
    from iblnm_core.cohort.collect import collected_rows
    from iblnm_core.cohort.status import failures as fatal_rows
    from iblnm_core.root import open_root

    opened = open_root(root)
    errors = collected_rows(opened, "errors")
    rows = errors[errors["eid"] == eid] if eid else fatal_rows(errors, error_types)
    printing.error_rows(rows, everything=eid is not None)


for command in (why, doctor, report, view, export, freeze, compare):
    main.add_command(ROOT(command))


@main.command(epilog=_examples("iblnm ui --root iblnm_demo", "iblnm ui --root results --port 3001"))
@ROOT
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
def ui(root: Path | None, host: str, port: int) -> None:
    """Serve the web interface and the daemon on a root, until interrupted."""
    _serve(root, host, port)


def _serve(root: Path | None, host: str, port: int) -> NoReturn:
    from iblnm_core.root import open_root
    from iblnm_dagster.serving import serve

    sys.exit(serve(open_root(root), host, port))
