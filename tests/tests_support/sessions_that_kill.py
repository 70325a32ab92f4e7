"""Work of a session that kills its process, or takes its memory, when the trial table says so; importable by workers."""

import os
import resource
import signal
from pathlib import Path

import psutil

from iblnm_core.session.pipeline import SessionReport, SessionTask, process_session

DEADLY = b"deadly"


def process_or_die(task: SessionTask) -> SessionReport:
    trials = Path(task.folder) / "alf/task_00/_ibl_trials.table.pqt"
    if trials.read_bytes() == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return process_session(task)


HUNGRY = b"hungry"


def process_or_run_out(task: SessionTask) -> SessionReport:
    """Leave the process hardly more memory than it has, when the trial table says so."""
    trials = Path(task.folder) / "alf/task_00/_ibl_trials.table.pqt"
    if trials.read_bytes() != HUNGRY:
        return process_session(task)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**20, hard))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return process_session(task)
