# Every verb makes what it needs: a private .venv, and in it only the packages of that verb.
# `make PYTHON=python3.13 test` chooses the interpreter; `make test ARGS="-k codec -x"` passes on.

PYTHON ?= python3
ARGS ?=
# What the tests exercise besides the core. An extra that is missing here is untested.
TEST_EXTRAS := async,cli,encrypt,parquet,postgres,s3,schedule,testing,zstd

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -qq install
CODE := $(wildcard src tests examples benchmarks docs/conf.py)

# The .venv belongs to one interpreter and one place: a tag of both is in the stamp's name, so
# that another Python, or a checkout that was moved, gets a new one.
TAG := $(shell $(PYTHON) -c 'import os, sys, zlib; \
	print("%d.%d.%d-%08x" % (*sys.version_info[:3], \
	zlib.crc32((sys.base_prefix + os.getcwd()).encode())))' 2>/dev/null || echo unusable)
VENV_MADE := $(VENV)/.made-$(TAG)
RUN_READY := $(VENV)/.ready-run
TEST_READY := $(VENV)/.ready-test
BENCH_READY := $(VENV)/.ready-bench
DEV_READY := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.PHONY: help demo test prove lint types docs bench check clean
.DELETE_ON_ERROR:
# Two verbs must not install into the one .venv at the same time, whatever -j says.
.NOTPARALLEL:

help: ## Show the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN_READY) ## Run the demonstration
	$(PY) examples/demo.py $(ARGS)

# Two at a time: much of their time goes by in waiting, for a disk, an endpoint, or a process to end.
test: $(TEST_READY) ## Run the tests
	$(PY) -m pytest -n 2 --dist worksteal $(ARGS)

prove: $(TEST_READY) ## Prove that nothing is lost: power cuts, kills and faults at every call
	$(PY) tests/proof/prove.py $(ARGS)

lint: $(DEV_READY) ## Check style, formatting and the direction of imports
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	$(VENV)/bin/lint-imports --no-logo

types: $(DEV_READY) ## Check types with mypy and pyright
	$(PY) -m mypy $(filter-out docs/conf.py,$(CODE))
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(PY) -m pyright

docs: $(DEV_READY) ## Build the documentation into docs/_build/html; a warning is an error
	$(PY) -m sphinx -W --keep-going --quiet -b html docs docs/_build/html

bench: $(BENCH_READY) ## Measure
	$(PY) -m benchmarks $(ARGS)

# The tests come last, so that their closing line is the last line.
check: lint types docs test ## All of lint, types, docs and test

clean: ## Remove everything that make made
	rm -rf $(VENV) build dist docs/_build .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find src tests examples benchmarks docs -name __pycache__ -type d -prune \
		-exec rm -rf {} + 2>/dev/null || true

# ---------------------------------------------------------------------------- the .venv

$(VENV_MADE):
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no '$(PYTHON)'. Choose a Python: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is older." \
		"Choose another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' lacks the venv module." \
		"On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUN_READY): $(VENV_MADE) pyproject.toml
	$(PIP) -e '.[cli]'
	@touch $@

# Dependency groups need pip 25.1, which is newer than the pip inside Python 3.11.
$(TEST_READY): $(VENV_MADE) pyproject.toml
	$(PIP) 'pip>=25.1'
	$(PIP) -e '.[$(TEST_EXTRAS)]' --group test
	@touch $@ $(RUN_READY)

$(BENCH_READY): $(VENV_MADE) pyproject.toml
	$(PIP) 'pip>=25.1'
	$(PIP) -e '.[$(TEST_EXTRAS)]' --group bench
	@touch $@ $(TEST_READY) $(RUN_READY)

$(DEV_READY): $(VENV_MADE) pyproject.toml
	$(PIP) 'pip>=25.1'
	$(PIP) -e '.[all]' --group dev
	@touch $@ $(BENCH_READY) $(TEST_READY) $(RUN_READY)
