"""The bill of materials names everything that the lock installs, and is the same every time."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests_support.paths import REPOSITORY


def materials(folder):
    written = folder / "sbom.json"
    tool = Path(sys.executable).with_name("cyclonedx-py")
    command = [tool, "requirements", "requirements.lock", "--pyproject", "pyproject.toml", "--output-reproducible"]
    subprocess.run([*command, "--output-file", written], cwd=REPOSITORY, check=True, capture_output=True)
    return written.read_bytes()


def test_the_bill_of_materials_is_the_lock(tmp_path):
    first = materials(tmp_path)
    named = {(part["name"], part["version"]) for part in json.loads(first)["components"]}
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert named == set(re.findall(r"^([\w.\-]+)==([^\s;\\]+)", lock, re.MULTILINE))
    assert materials(tmp_path) == first
