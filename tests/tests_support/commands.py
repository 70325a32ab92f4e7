"""The command line as a user has it, in processes of its own."""

import os
import subprocess
import sys

from tests_support.stages import ONLY_SESSIONS

MAIN = "from iblnm_dagster.cli import main; main()"


def start(root, *words, program=MAIN, **environment):
    """Start `iblnm` with some words on a root; `program` may do something before that."""
    command = [sys.executable, "-c", program, words[0], "--root", str(root.path), *words[1:]]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def start_run(root, *words, **options):
    """Start `iblnm run` without the analyses of the cohort."""
    return start(root, "run", *ONLY_SESSIONS, *words, **options)


def ended(process, seconds=240):
    """Wait for a command; return its exit code and what it printed."""
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output
