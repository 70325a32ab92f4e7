# Everything a developer or a newcomer runs. `make demo` and `make test` work on a bare machine with Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROOT ?= iblnm_demo
FAULT_RECORD := $(CURDIR)/.faults.jsonl

.PHONY: install demo test faults lint format ui bench docs truth lock sbom clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"iblnm needs Python 3.11 or later, $(PYTHON) is {sys.version.split()[0]}: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(STAMP)

demo: install
	$(BIN)/iblnm demo --root $(ROOT)

# the tests of one file may tell one story on one server: they stay together, the longest stories first
test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# faults of every kind, many times each, and the page of how they ended: hours on one core
faults: install
	rm -f $(FAULT_RECORD)
	IBLNM_FAULT_RECORD=$(FAULT_RECORD) IBLNM_KILLS=500 IBLNM_RUN_KILLS=20 IBLNM_MUTATIONS=1000 IBLNM_DAEMON_KILLS=50 IBLNM_RUN_FAULTS=5 \
		$(BIN)/python -m pytest -n 0 --timeout 14400 tests/faults
	PYTHONPATH=tests $(BIN)/python -m tests_support.reliability $(FAULT_RECORD) docs/reliability.md

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	IBLNM_ROOT=$(ROOT) $(BIN)/dagster definitions validate -w workspace.yaml

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: install
	$(BIN)/iblnm ui --root $(ROOT)

bench: install
	$(BIN)/python benchmarks/session.py
	$(BIN)/python benchmarks/corrections.py
	$(BIN)/python benchmarks/psychometric.py
	$(BIN)/python benchmarks/mixed_model.py
	$(BIN)/python benchmarks/permutation.py
	$(BIN)/python benchmarks/cohort_analyses.py
	$(BIN)/python benchmarks/encoding.py
	$(BIN)/python benchmarks/task_encoding.py
	$(BIN)/python benchmarks/nwb.py
	$(BIN)/python benchmarks/reports.py
	$(BIN)/python benchmarks/viewer.py
	$(BIN)/python benchmarks/graph.py
	$(BIN)/python benchmarks/cohort.py
	$(BIN)/python benchmarks/page.py

# the gallery shows the demo cohort
docs: demo
	$(BIN)/python -m iblnm_core.documentation docs
	$(BIN)/iblnm run --root $(ROOT) --only task_encoding || test $$? -eq 1 # 1: sessions failed, as planted
	$(BIN)/python -m iblnm_core.figures.gallery $(ROOT) docs

# planted against recovered, on the ruler cohort; about a minute
truth: install
	$(BIN)/python -m iblnm_core.demo docs/truth.md

# exact versions of everything, for all platforms and Python versions; needs uv
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file requirements.lock

# everything that is installed, as the lock has it
sbom: install
	mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .faults.jsonl
