# Two commands matter: `make demo` and `make test`. Both build the locked environment in .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
NODE_MODULES := runtimes/tfjs/node_modules

.DEFAULT_GOAL := help
.PHONY: help env demo test lint lock bench clean

help:
	@echo "make demo   train the default task's server model, ship it, print the table (about 5 minutes)"
	@echo "make test   lint, type checks and all tests"
	@echo "make bench  measure and write docs/benchmarks.md"
	@echo "make lock   resolve requirements.lock again"

env: $(VENV)/.done

# --without-pip: Debian's python3 has no ensurepip without python3-venv; its pip can install into another interpreter.
$(VENV)/.done: requirements.lock requirements-uv.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "edgeship needs Python 3.11 or 3.12: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv --without-pip --clear $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

lock:
	uv lock --quiet --upgrade
	uv export --quiet --format requirements-txt --no-emit-project --all-extras --group dev --no-header --output-file requirements.lock
	echo "uv" | uv pip compile --quiet --no-header --no-annotate --generate-hashes --universal --python-version 3.11 --output-file requirements-uv.lock -
