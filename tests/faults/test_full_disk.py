"""A disk that is full leaves what was stored as it was, and every writer says so and where."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from tests_support.paths import REPOSITORY
from tests_support.reliability import record
from tests_support.sessions import catalogue_of

from iblnm_core.root import create_root
from iblnm_core.session.pipeline import process_session

pytestmark = pytest.mark.faults

IN_A_NAMESPACE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
"""Mounts of its own, for whoever may make any."""


def test_every_writer_keeps_what_is_stored_and_names_what_it_could_not_write(tmp_path, copies):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=24m tmpfs {disk}"
    if subprocess.run([*IN_A_NAMESPACE, mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small file system (unshare, mount)")
    made = copies(tmp_path / "prepared" / "cache", 1)
    root = create_root(tmp_path / "prepared" / "root", cache=made.cache)
    for task in catalogue_of(root).tasks(made.eids):
        assert not process_session(task).failed
    program = f"{mount} && exec {sys.executable} -m tests_support.full_disk {disk} {tmp_path / 'prepared'}"
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    done = subprocess.run(
        [*IN_A_NAMESPACE, program],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert not result["wrong"], "\n".join(result["wrong"])
    ended = Counter()
    for name, count in result["counts"].items():
        ended[name.rpartition(" ")[2]] += count
    # a writer that needs no more than what was free stores what is new
    assert ended["old"] > 3 * ended["new"]
    record("disk full", ended)
