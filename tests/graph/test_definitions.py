"""The graph as it is wired: a snapshot that shows every change of wiring, and Dagster's own validation."""

import json
import os
import subprocess
import sys

import pytest
from tests_support.paths import REPOSITORY

from iblnm_core.rules import RULES
from iblnm_dagster.definitions import build_defs

SNAPSHOT = REPOSITORY / "tests" / "graph" / "graph_snapshot.json"


def graph_as_text(root):
    graph = build_defs(root).resolve_asset_graph()
    assets = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        assets[key.to_user_string()] = {
            "parents": sorted(parent.to_user_string() for parent in node.parent_keys),
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "partitions": node.partitions_def.name if node.partitions_def else None,
            "code_version": node.code_version,
            "described": bool(node.description),
        }
    checks = {
        f"{key.asset_key.to_user_string()}:{key.name}": {
            "blocking": graph.get_check_spec(key).blocking,
            "partitioned": graph.get_check_spec(key).partitions_def is not None,
        }
        for key in sorted(graph.asset_check_keys, key=str)
    }
    jobs = sorted(job.name for job in build_defs(root).resolve_all_job_defs() if not job.name.startswith("__"))
    return json.dumps({"assets": assets, "checks": checks, "jobs": jobs}, indent=1, sort_keys=True) + "\n"


def test_the_graph_is_as_it_was_last_reviewed(tmp_path):
    """After a wanted change: `IBLNM_UPDATE_SNAPSHOT=1 pytest tests/graph/test_definitions.py`, and review the diff."""
    found = graph_as_text(tmp_path)
    if os.environ.get("IBLNM_UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(found)
    assert found == SNAPSHOT.read_text()


def test_every_rule_is_a_check_of_its_asset(tmp_path):
    keys = build_defs(tmp_path).resolve_asset_graph().asset_check_keys
    found = {(key.asset_key.to_user_string(), key.name) for key in keys}
    assert {(rule.asset, rule.name) for rule in RULES.values()} <= found


def test_dagster_validates_the_workspace_without_a_root(tmp_path):
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(REPOSITORY / "workspace.yaml")]
    environment = {**os.environ, "IBLNM_ROOT": str(tmp_path / "none"), "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not (tmp_path / "none").exists()


def test_the_core_never_imports_dagster():
    code = (
        "import sys, pkgutil, importlib, iblnm_core\n"
        "for module in pkgutil.walk_packages(iblnm_core.__path__, 'iblnm_core.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('dagster', 'iblnm_dagster')))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [[], ["demo"], ["run"], ["index"], ["status"], ["failures"], ["ui"]])
def test_every_command_has_help_with_an_example(command):
    code = "from iblnm_dagster.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage:" in result.stdout
    assert not command or f"iblnm {command[0]}" in result.stdout
