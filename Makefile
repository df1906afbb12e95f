# Two commands matter: `make demo` and `make test`. Both build the locked environment in .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
NODE_MODULES := runtimes/tfjs/node_modules/.package-lock.json
RUN := runs/fashion-mnist

.DEFAULT_GOAL := help
.PHONY: help env demo test test-more lint web mutants bench bench-optimize lock clean

help:
	@echo "make demo   train the default task's server model, ship it, print the table and where the report is"
	@echo "make test   lint, type checks, import contract and all tests"
	@echo "make mutants  break artifacts as deployments do and see that the gate fails them; writes docs/mutants.md"
	@echo "make bench  measure edgeship itself, as ratios, and write docs/benchmarks.md"
	@echo "make bench-optimize  what pruning, clustering, QAT, distillation and calibration reach; writes docs/optimize.md (an hour)"
	@echo "make lock   resolve requirements.lock again (needs uv)"

env: $(VENV)/.done $(NODE_MODULES)

# --without-pip: Debian's python3 has no ensurepip without python3-venv, but its pip can install into another interpreter.
$(VENV)/.done: requirements.lock requirements-uv.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "edgeship needs Python 3.11 or 3.12; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv --without-pip --clear $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

# Node is optional: without it the TF.js artifact is made and checked but not run, and the table says so.
$(NODE_MODULES): runtimes/tfjs/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		cd runtimes/tfjs && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json; \
	else echo "node is not installed: TF.js artifacts will be made and checked, but not run"; fi

demo: env
	$(BIN)/edgeship train fashion-mnist --out $(RUN)
	$(BIN)/edgeship init $(RUN)/server.keras --force
	$(BIN)/edgeship ship $(RUN)/server.keras --out $(RUN)/bundle
	@echo "open the page: $(BIN)/edgeship demo $(RUN)/bundle"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# These need a built page and Chromium, download devices, or take times that a busy machine spoils: `make test-more`, after `make web`.
MORE := tests/browser tests/web_demo tests/devices/test_installed.py tests/devices/test_sshd.py tests/runtimes/test_throughput.py

test: lint
	$(BIN)/pytest -n 2 --dist worksteal $(addprefix --ignore=,$(MORE))

test-more: env web
	$(BIN)/pytest $(MORE)

# The page in which artifacts run in a browser, and the demo page.
web: runtimes/web/dist/built.json web-demo/dist/sw.js

web-demo/dist/sw.js: $(shell find web-demo/src web-demo/public -type f) $(addprefix web-demo/,index.html vite.config.ts package-lock.json)
	cd web-demo && npm ci --silent --ignore-scripts --no-audit --no-fund && npm run --silent build

runtimes/web/dist/built.json: $(addprefix runtimes/web/,package.json package-lock.json index.html vite.config.ts)
	cd runtimes/web && npm ci --silent --ignore-scripts --no-audit --no-fund && npm run --silent build

mutants: env
	$(BIN)/python scripts/mutants.py

bench: env
	$(BIN)/python scripts/bench.py

bench-optimize: env
	$(BIN)/python scripts/bench_optimize.py

lock:
	uv lock --quiet --upgrade
	uv export --quiet --format requirements-txt --no-emit-project --all-extras --group dev --no-header --output-file requirements.lock
	echo "uv" | uv pip compile --quiet --no-header --no-annotate --generate-hashes --universal --python-version 3.11 --output-file requirements-uv.lock -
	$(BIN)/python scripts/lock_devices.py

clean:
	rm -rf $(VENV) runs runtimes/tfjs/node_modules runtimes/web/node_modules runtimes/web/dist web-demo/node_modules web-demo/dist
