"""What `iblnm demo` does: make the cohort, run the graph on it, compare with the plan, print a page for a newcomer."""

import time
from pathlib import Path

import click

from iblnm_core.cohort.status import stored_ledger
from iblnm_core.demo.cohort import Cohort, write_cohort
from iblnm_core.demo.outcome import Surprise, surprises
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.plants import PLANTS
from iblnm_core.demo.presets import demo_plans
from iblnm_core.demo.truth import write_truth
from iblnm_core.root import Root, create_root
from iblnm_dagster import printing
from iblnm_dagster.updating import Request, update


def run_demo(folder: Path, *, subjects: int | None, sessions: int | None, seed: int) -> bool:
    """Make and run the demo cohort in a folder; return whether exactly what was planted failed."""
    plans = demo_plans(subjects=subjects, sessions=sessions)
    started = time.monotonic()
    workers = printing.cpu_count()
    with printing.counted("sessions written") as progress:
        cohort = write_cohort(folder / "cache", plans, seed=seed, workers=workers, progress=progress)
    with printing.counted("sessions of truth written") as progress:
        write_truth(folder / "truth", plans, seed=seed, workers=workers, progress=progress)
    made = time.monotonic()
    root = create_root(folder, source="local", cache=cohort.cache)
    update(root, Request())
    done = time.monotonic()
    found = [
        surprise for plan, eid in zip(cohort.sessions, cohort.eids, strict=True) for surprise in _of(root, plan, eid)
    ]
    _page(root, cohort, found, made - started, done - made)
    return not found


def _of(root: Root, plan: SessionPlan, eid: str) -> list[Surprise]:
    provenance, verdicts = stored_ledger(root, eid)
    return surprises(plan, eid, provenance, verdicts)


def _verdicts(plan: SessionPlan) -> str:
    """Return the errors that a session must end with; those that no stage looks for yet say so."""
    judged = dict.fromkeys(e.error_type if e.fatal else f"({e.error_type})" for e in plan.expected)
    planted = PLANTS[str(plan.plant)].expected
    later = "nothing: no stage looks for it yet" if any(not e.is_judged for e in planted) else "nothing: it must cope"
    return ", ".join(judged) or later


def _page(root: Root, cohort: Cohort, found: list[Surprise], made_s: float, run_s: float) -> None:
    """Print what was made, what failed, and where to look."""
    broken = [(plan, eid) for plan, eid in zip(cohort.sessions, cohort.eids, strict=True) if plan.plant]
    sound = len(cohort.sessions) - len(broken)
    click.echo(
        f"\nA synthetic cohort of {len(cohort.sessions)} sessions: {sound} sound, {len(broken)} broken on purpose."
    )
    click.echo(f"Written in {made_s:.0f} s, taken through the graph in {run_s:.0f} s.\n")
    if broken:
        click.echo("Broken on purpose, and what the pipeline said (in brackets: advice, which stops nothing):")
        rows = []
        for plan, eid in broken:
            met = "as planned" if not any(s.eid == eid for s in found) else "NOT as planned"
            rows.append([str(plan.plant), eid, met, _verdicts(plan)])
        printing.table(["fault", "session", "outcome", "expected verdict"], rows)
    if found:
        click.echo("\nNot as planned:")
        for surprise in found:
            click.echo(f"  {surprise.eid} ({surprise.plant or 'sound'}): {surprise.text}")
    else:
        click.echo("\nExactly what was planted failed, and nothing else.")
    example = cohort.eids[0]
    click.echo(f"""
Three things to look at next:
  {printing.program()} ui --root {root.path}
      the graph in the browser; red partitions are the broken sessions
  {printing.program()} failures --root {root.path}
      what failed, session by session, with the reason
  {root.session_file(example)}
      one session: signal, responses and trials as HDF5; tables are in {root.path / "metadata"} and {root.path / "data"},
      analyses of the cohort in {root.path / "results"}, their figures on one page: {root.path / "reports" / "cohort.html"}
""")
