"""Benchmarks are run by hand; what they import must be there all the same."""

import importlib.util

import pytest
from tests_support.paths import REPOSITORY

BENCHMARKS = sorted((REPOSITORY / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_can_be_loaded_and_run(path, monkeypatch):
    # a benchmark may extend the path for its own imports
    monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # what several share has nothing to run
    assert "__main__" not in path.read_text() or callable(module.main)


def test_make_bench_names_benchmarks_that_exist():
    commands = [
        line.split()[-1] for line in (REPOSITORY / "Makefile").read_text().splitlines() if "benchmarks/" in line
    ]
    assert commands
    assert set(commands) <= {f"benchmarks/{path.name}" for path in BENCHMARKS}
