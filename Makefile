# `make sweep` runs the first ablation, `make test` checks everything but what is slow, `make test-all` that too,
# `make bench` measures it beside the alternatives, and `make docs` builds the site. Each installs into .venv on its first run.

PYTHON ?= python3
SPEC ?= search_spaces/ablation_memory.yaml
DEVICE ?= cpu
ROUNDS ?= 10
BIN := .venv/bin

.PHONY: sweep test test-all suites chaos bench docs docs-serve lint clean

sweep: .venv/installed
	$(BIN)/python -m orchestrator.sweep $(SPEC)

# One pytest process for each of these folders of tests/ and one for all others, JOBS of them at a time, the longest first;
# `make test-trainer` runs one, with its slow tests. Many tests wait for programs that they start. Each line says whose it is.
JOBS ?= 2
QUICK_SUITES := orchestrator trainer others end_to_end
SUITES := end_to_end orchestrator benchmarks slurm chaos others trainer reports installed
FOLDERS = $(filter-out others,$(SUITES))
SELECTED = $(if $(MARKS),-m '$(MARKS)')

test: .venv/installed
	@$(MAKE) --no-print-directory --jobs $(JOBS) --keep-going SUITES='$(QUICK_SUITES)' MARKS='not slow' suites

test-all: .venv/installed
	@$(MAKE) --no-print-directory --jobs $(JOBS) --keep-going suites

.PHONY: $(SUITES:%=test-%)
suites: lint $(SUITES:%=test-%)

$(FOLDERS:%=test-%): test-%: .venv/installed
	$(call pytest,tests/$*)

test-others: .venv/installed
	$(call pytest,$(FOLDERS:%=--ignore=tests/%))

test-%: SHELL = bash
pytest = @set -o pipefail; $(BIN)/python -m pytest $(SELECTED) $(1) 2>&1 | sed --unbuffered 's/^/$@: /'

# `make chaos ROUNDS=40`, `make chaos FAULTS=kill-driver,full-out`: a disturbed sweep beside an undisturbed one (docs/reliability.md)
chaos: .venv/installed
	$(BIN)/python -m tests.chaos --rounds $(ROUNDS) $(if $(FAULTS),--faults $(FAULTS)) $(if $(JSON),--json $(JSON))

# `make bench DEVICE=cuda`, `make bench JSON=reports/results`, `make bench ONLY="scale busy"`
bench: .venv/installed
	$(BIN)/python -m benchmarks --device $(DEVICE) $(if $(JSON),--json $(JSON)) $(if $(ONLY),--only $(ONLY))

# The site of the documentation, in build/site; a link that leads nowhere is an error. `make docs-serve` shows it while pages change.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "open build/site/index.html"

docs-serve: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Installs again only when the dependencies change. pip would compile to bytecode on one core; a file for a later Python is no error.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
