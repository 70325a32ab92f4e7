"""What commands print: progress, summaries, tables in the terminal. No command logic."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

    from iblnm_core.root import Root
    from iblnm_core.session.pipeline import SessionReport
    from iblnm_dagster.runs import SessionsRun
    from iblnm_dagster.session_step import Progress

STATES = ("ok", "failed", "out of date", "never run")
"""Always shown; the rarer ones only when a session is in one."""
RARE_STATES = ("absent", "on request", "source unavailable", "interrupted", "delisted")


@contextlib.contextmanager
def session_progress() -> Iterator["Progress"]:
    """Give a function that shows how far a run over sessions is."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("sessions"), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking the source", total=None)
        failed = 0

        def advance(done: int, total: int, report: "SessionReport | None") -> None:
            nonlocal failed
            failed += report is not None and report.failed
            bar.update(task, completed=done, total=total, description=f"{failed} failed")

        yield advance


@contextlib.contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many things of how many are done."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def cpu_count() -> int:
    """Return how many processes this process may run at once."""
    return len(os.sched_getaffinity(0))


def table(headers: list[str], rows: list[list[str]]) -> None:
    """Print rows under headers, columns aligned."""
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    for number, row in enumerate([headers, *rows]):
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            click.echo("  ".join("-" * width for width in widths))


def status_table(root: "Root", status: "pd.DataFrame") -> None:
    """Print how many sessions stand where, by output."""
    click.echo(f"{root.path}: {status['eid'].nunique()} sessions, preset {root.preset}")
    if status.empty:
        return
    counts = status.groupby(["asset", "state"], sort=False)["eid"].nunique()
    states = [*STATES, *(state for state in RARE_STATES if (status["state"] == state).any())]
    rows = [[asset, *(str(counts.get((asset, state), 0)) for state in states)] for asset in status["asset"].unique()]
    table(["output", *states], rows)
    reasons = status[status["state"] == "failed"].groupby("reason")["eid"].nunique().sort_values(ascending=False)
    if len(reasons):
        click.echo(f"\nWhy sessions failed (`{program()} failures` names them):")
        table(["error", "sessions"], [[str(reason), str(count)] for reason, count in reasons.items()])


def plan_table(root: "Root", plan: "pd.DataFrame") -> None:
    """Print what the next run would compute, and why."""
    if plan.empty:
        click.echo(f"{root.path}: nothing is due")
        return
    click.echo(f"{root.path}: {len(plan)} sessions are due")
    counts = plan.groupby("why")["eid"].nunique().sort_values(ascending=False)
    table(["why", "sessions"], [[str(why), str(count)] for why, count in counts.items()])
    click.echo()
    table(list(plan.columns), [[str(value) for value in row] for row in plan.itertuples(index=False)])


def error_rows(rows: "pd.DataFrame", *, everything: bool) -> None:
    """Print error rows, one line each."""
    if rows.empty:
        click.echo("no errors" if everything else "no session failed")
        return
    table(
        ["session", "output", "error", "severity", "message"],
        [
            [row["eid"], row["asset"], row["error_type"], row["severity"], row["error_message"]]
            for row in rows.to_dict("records")
        ],
    )


def run_summary(root: "Root", result: "SessionsRun") -> None:
    """Print how a run went and where its results lie."""
    computed = sum(bool(report.computed) for report in result.reports.values())
    adopted = len(result.reports) - computed
    click.echo(
        f"{len(result.reports)} sessions were due: {computed} computed, {adopted} found unchanged, "
        f"{len(result.failed)} failed"
    )
    for eid in result.failed:
        findings = [f for v in result.reports[eid].verdicts.values() for f in v.findings if f.severity == "fatal"]
        click.echo(f"  {eid}  " + "; ".join(f"{f.error_type}: {f.error_message}" for f in findings))
    if result.unavailable:
        click.echo(f"{len(result.unavailable)} sessions could not be had from the source and stay due:")
        for eid, reason in sorted(result.unavailable.items()):
            click.echo(f"  {eid}  {reason}")
    for problem in result.problems:
        click.echo(f"a stage went wrong and was skipped: {problem}", err=True)
    earlier = result.standing_failed - len(result.failed)
    if earlier > 0:
        click.echo(f"{earlier} sessions failed earlier and are unchanged; `{program()} failures` names them")
    click.echo(f"Session files: {root.session_folder}")
    click.echo(f"Tables:        {root.path / 'metadata'}, {root.path / 'data'}, {root.path / 'results'}")
    click.echo(f"Next:          {program()} status --root {root.path}   or   {program()} ui --root {root.path}")


def program() -> str:
    """Return how this program was called, for commands that a reader is to copy."""
    called = Path(sys.argv[0])
    if called.name != "iblnm" or shutil.which("iblnm") == str(called):
        return "iblnm"
    return os.path.relpath(called)
