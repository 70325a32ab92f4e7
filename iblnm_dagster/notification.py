"""Telling people of failed runs: the message, and the sensor that hands it to the command of the root's settings."""

import subprocess
from pathlib import Path

import dagster as dg

from iblnm_dagster.resources import RootResource

_TIMEOUT_S = 60


@dg.run_failure_sensor(name="notify_failed_runs", minimum_interval_seconds=30)
def notify_failed_runs(context: dg.RunFailureSensorContext, root: RootResource) -> dg.SkipReason | None:
    """Hand a message about each failed run to the command of `[notify]` in the root's settings, on its standard input."""
    opened = root.open()
    if not opened.notify_command:
        return dg.SkipReason(f"{opened.path} names no command in [notify]; see docs/automation.md")
    subprocess.run(
        opened.notify_command, input=_message(context, opened.path), text=True, timeout=_TIMEOUT_S, check=True
    )
    return None


def _message(context: dg.RunFailureSensorContext, root: Path) -> str:
    """Return what failed, in which run, and where to look."""
    run = context.dagster_run
    lines = [f"iblnm: run {run.run_id} ({run.job_name}) on {root} failed."]
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        said = data.user_failure_data.description if data.user_failure_data else None
        lines.append(said or (data.error.message.strip() if data.error else event.message or ""))
    if len(lines) == 1:
        lines.append(context.failure_event.message or "It ended without a word: most likely its process was killed.")
    lines.append(f"See `iblnm failures --root {root}`, or the run in `iblnm ui --root {root}`.")
    return "\n".join(lines) + "\n"
