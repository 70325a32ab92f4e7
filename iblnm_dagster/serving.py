"""Webserver and daemon on a root, as child processes that end together."""

import os
import signal
import subprocess
import sys
import time

import click

from iblnm_core.root import Root
from iblnm_core.storage.atomic import locked
from iblnm_dagster.instance import end_runs_of_dead_processes, open_instance, write_dagster_home

_GRACE_S = 10.0


def serve(root: Root, host: str, port: int) -> int:
    """Run webserver and daemon until one ends or the user interrupts.

    Returns
    -------
    int
        Exit code: 0 after an interrupt, 1 when a server ended by itself.
    """
    home = write_dagster_home(root.dagster_home, root.postgres_url_env)
    # opening makes the databases; two servers that make them at once leave them unusable for good
    with locked(root.path / ".lock"), open_instance(home) as instance:
        end_runs_of_dead_processes(instance)
    environment = {**os.environ, "DAGSTER_HOME": str(home), "IBLNM_ROOT": str(root.path)}
    module = ["-m", "iblnm_dagster.definitions"]
    commands = [
        [sys.executable, "-m", "dagster_webserver", "-h", host, "-p", str(port), *module],
        [sys.executable, "-m", "dagster._daemon", "run", *module],
    ]
    # a terminal's interrupt reaches the whole foreground group; own groups let us end them in order
    processes = [subprocess.Popen(command, env=environment, start_new_session=True) for command in commands]
    click.echo(f"Dagster on {root.path}: http://{host}:{port}   (Ctrl-C ends it)")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    else:
        click.echo("iblnm: a server ended; see its messages above", err=True)
        return 1
    finally:
        _end(processes)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _GRACE_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
