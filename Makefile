# Two commands matter: `make demo` and `make test`. Both build the locked environment in .venv first.
# The newest that the lock holds for, runs (a pyenv shim may not) and has pip: make PYTHON=/path/to/python3.12 takes another.
PYTHONS := python3.13 python3.12 python3.11
USABLE := import ctypes, pip, ssl, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(foreach name,$(PYTHONS),$(shell $(name) -c '$(USABLE)' >/dev/null 2>&1 && echo $(name))))
VENV := .venv
BIN := $(VENV)/bin
NODE_MODULES := runtimes/tfjs/node_modules/.package-lock.json
RUN := runs/fashion-mnist

.DEFAULT_GOAL := help
.PHONY: help env clients demo lifecycle test test-more test-machines test-seeds seeds lint references audit pages web wheel mutants bench bench-optimize bench-browser bench-page bench-devices bench-clients bench-mediapipe sizes lock clean

help:
	@echo "make demo   train the default task's server model, ship it, print the table and where the report is"
	@echo "make lifecycle  the whole loop once: train, ship, publish, 260 simulated devices, drift, retrain, experiment, rollback; a timeline (8 minutes)"
	@echo "make test   lint, type checks, import contract and all tests"
	@echo "make test-machines  both commands in bare Debian trees, and an emulated arm64 board (root, an hour and a half)"
	@echo "make clients  what compiles and runs generated client code in tests"
	@echo "make web    build the pages for browsers and serve the demo of the default task"
	@echo "make wheel  the installable package in dist/, with the built pages in it"
	@echo "make mutants  break artifacts as deployments do and see that the gate fails them; writes docs/results/mutants.md"
	@echo "make seeds  untouched and changed artifacts of many seeds: false alarms, and what is found; writes docs/results/seeds.md"
	@echo "make bench  measure edgeship itself, as ratios, and write docs/results/benchmarks.md"
	@echo "make bench-optimize  what pruning, clustering, QAT, distillation and calibration reach; writes docs/results/optimize.md (an hour)"
	@echo "make bench-browser  measure the engines in a browser and write docs/results/browser.md; make bench-page: the demo page"
	@echo "make bench-devices  instructions, parity, arenas and cycles of a few models on devices; writes docs/results/devices.md"
	@echo "make bench-mediapipe  MediaPipe Tasks beside LiteRT on raw pictures; writes docs/results/mediapipe.md"
	@echo "make bench-clients  right clients on 2,000 images, and C preprocessing beside OpenCV; writes docs/results/clients.md"
	@echo "make sizes  what the whole environment takes on disk, one that only runs and judges artifacts, and a device's client"
	@echo "make references  write the pages in docs/ that are made from the code, docs/configuration.md and docs/cli.md"
	@echo "make audit  look up known faults of every locked Python and npm package (needs a network)"
	@echo "make lock   resolve requirements.lock again, keeping its versions where they still fit; UPGRADE=--upgrade takes the newest"

env: $(VENV)/.done $(NODE_MODULES)

# --compile-bytecode: where Python may not write its caches, every TensorFlow process would compile for 12 seconds.
# --without-pip: Debian's python3 has no ensurepip without python3-venv, but its pip can install into another interpreter.
$(VENV)/.done: requirements.lock requirements-uv.lock pyproject.toml
	@$(or $(PYTHON),false) -c '$(USABLE)' >/dev/null 2>&1 || { \
		echo "edgeship needs Python 3.11, 3.12 or 3.13 with pip and venv; $(or $(PYTHON),each of $(PYTHONS)) is missing, fails or lacks them."; \
		echo "Debian, Ubuntu: apt install python3 python3-pip; one elsewhere: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv --without-pip --clear $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install --no-config --quiet --python $(BIN)/python --no-deps --require-hashes --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --no-config --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# Node is optional: without it the TF.js artifact is made and checked but not run, and the table says so. Debian 12's is too old.
# $(call NODE,MAJOR,MINOR) is true where that Node or a later one is here, with npm.
NODE = command -v npm >/dev/null && \
	node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > $(1) || (a == $(1) && b >= $(2)) ? 0 : 1)' 2>/dev/null
FOUND_NODE := `command -v node >/dev/null && echo "Node $$(node --version)" || echo "no Node"`

$(NODE_MODULES): runtimes/tfjs/package-lock.json
	@if $(call NODE,20,0); then \
		cd runtimes/tfjs && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json; \
	else echo "$(FOUND_NODE) with npm is here, and 20 or later is needed: TF.js artifacts will be made and checked, but not run"; fi

demo: env
	$(BIN)/edgeship train fashion-mnist --out $(RUN)
	$(BIN)/edgeship init $(RUN)/server.keras --force
	$(BIN)/edgeship ship $(RUN)/server.keras --out $(RUN)/bundle
	@echo "report:       $(RUN)/bundle/report/index.html"
	@{ $(call NODE,20,19); } || test -f $(PAGE) || echo "the demo page is built by Node 20.19 or later with npm, and $(FOUND_NODE) is here"
	@echo "web demo:     make web   (or: $(BIN)/edgeship demo $(RUN)/bundle)"

# From training to a rollback, with simulated devices and a calendar that runs ahead; runs/lifecycle/timeline.html tells of it.
lifecycle: env pages
	$(BIN)/python -m scripts.lifecycle

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

references: env
	$(BIN)/python -m scripts.maintain.references

# Both advisory databases are asked, also where the first knows a fault; what cannot be looked up fails. pip-audit has an
# environment of its own.
LOCKED_NPM := runtimes/tfjs runtimes/web web-demo
audit: env
	@failed=0; \
	$(BIN)/uv tool run --no-config --from 'pip-audit>=2.9' pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements.lock || failed=1; \
	for folder in $(LOCKED_NPM); do echo "$$folder:"; (cd $$folder && npm audit --package-lock-only --audit-level=moderate) || failed=1; done; \
	exit $$failed

# These ask the package index about other platforms, download devices or a second Python's packages, need an SSH server, take
# times that a busy machine spoils, train for minutes, or ship many candidates: `make test-more`.
MORE := tests/browser/test_throttled_times.py tests/devices/test_installed.py tests/devices/test_sshd.py tests/runtimes/test_throughput.py tests/e2e/gate/test_auto.py tests/packaging/test_platforms.py tests/e2e/test_pages_long.py tests/machines
INSTALLED := tests/packaging/test_packaging.py::test_an_installed_wheel_does_the_main_job_in_a_new_environment
# Tests marked `more` that take times, or all cores.
ALONE := tests/client tests/convert tests/deploy tests/pipeline tests/web_demo
LONG := $(foreach version,pip 3.11 3.12 3.13,$(INSTALLED)[$(version)]) tests/train/test_command.py::test_fashion_mnist_reaches_its_accuracy

# What compiles and runs generated clients: TensorFlow Lite's C library and packages of npm, pinned. Tests name what is missing.
clients: env
	@for lane in client-c client-ts client-ts-litert; do $(BIN)/edgeship runtimes install $$lane || echo "clients of $$lane are not tested"; done

# Tests in a browser are skipped where Chromium or npm is missing, and say so; with CI=true they fail.
test: lint pages clients
	$(BIN)/pytest -n 3 --dist worksteal -m "not more" $(addprefix --ignore=,$(MORE)) $(addprefix --deselect=,$(LONG))

# The first steps on other machines; all of it by test-machines.
test-more: env test-seeds
	$(BIN)/pytest $(MORE) $(LONG) --ignore=tests/machines/test_whole.py
	$(BIN)/pytest -n 2 -m more tests $(addprefix --ignore=,$(MORE) $(ALONE))
	$(BIN)/edgeship runtimes install client-kotlin-jvm
	$(BIN)/pytest -m more $(ALONE)

# Debian trees made by debootstrap, as root (docs/machines.md). Where none can be made this fails, and test-more skips with the reason.
test-machines: env
	CI=true $(BIN)/pytest tests/machines

# No test may hang on what training happens to give: the tests that train, with other seeds and with the kernels of other CPUs
# (oneDNN's of an older one, Eigen's without oneDNN; numpy's of an older one). Half an hour.
TRAINED := tests/mutants/test_mutants.py tests/train/test_command.py tests/optimize/test_apply.py $(addprefix tests/e2e/,test_main_job.py gate/test_splice.py test_workflow.py) $(addprefix --deselect=,$(LONG))
test-seeds: env
	for seed in 1 2 3; do EDGESHIP_TEST_SEED=$$seed $(BIN)/pytest $(TRAINED) || exit 1; done
	ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem $(BIN)/pytest $(TRAINED)
	TF_ENABLE_ONEDNN_OPTS=0 $(BIN)/pytest $(TRAINED)

# Two pages: the one in which artifacts run in a browser, and the demo. Both need Node 20.19 or later with npm to be built.
RUNNER := runtimes/web/dist/built.json
PAGE := web-demo/dist/sw.js
NPM_CI := npm ci --silent --ignore-scripts --no-audit --no-fund

pages:
	@if $(call NODE,20,19); then $(MAKE) --no-print-directory $(RUNNER) $(PAGE); \
	else echo "the pages for browsers are built by Node 20.19 or later with npm, and $(FOUND_NODE) is here: what needs them says so"; fi

web: env pages
	@test -f $(RUN)/bundle/manifest.json || { echo "the pages are built; make demo makes a bundle to show in them"; exit 2; }
	$(BIN)/edgeship demo $(RUN)/bundle

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && $(NPM_CI) && touch node_modules/.package-lock.json

$(PAGE): web-demo/node_modules/.package-lock.json $(shell find -L web-demo/src web-demo/public -type f) $(addprefix web-demo/,index.html package.json vite.config.ts)
	cd web-demo && npm run --silent build

$(RUNNER): runtimes/web/node_modules/.package-lock.json $(shell find runtimes/web/src -type f) $(addprefix runtimes/web/,index.html package.json vite.config.ts) $(addprefix runtimes/tfjs/,batching.mjs graph.mjs)
	cd runtimes/web && npm run --silent build

# From the sdist, as pip does it, with the locked setuptools: an environment of its own would need ensurepip, which Debian keeps
# in python3-venv. Without npm the package comes without the pages, and its commands say so.
wheel: env pages
	$(BIN)/python -m build --no-isolation

mutants: env
	$(BIN)/python -m scripts.bench.mutants

# Ten seeds of two small tasks: a quarter of an hour.
seeds: env
	$(BIN)/python -m scripts.bench.seeds

bench-mediapipe: env
	$(BIN)/edgeship runtimes install mediapipe
	$(BIN)/edgeship runtimes install mediapipe-web
	$(BIN)/python -m scripts.bench.deploy.mediapipe

bench-devices: env
	$(BIN)/python -m scripts.bench.devices.run

bench: env
	$(BIN)/python -m scripts.bench.speed

bench-optimize: env
	$(BIN)/python -m scripts.bench.optimize.run

# Needs what `make demo` leaves, Chromium and a quiet machine for about a quarter of an hour.
bench-browser: env pages
	$(BIN)/python -m scripts.bench.browser.run

bench-page: env pages
	$(BIN)/python -m scripts.bench.browser.demo_page

# Every lane of generated clients that is here, on what `make demo` leaves; OpenCV in a folder of its own.
bench-clients: env clients
	$(BIN)/python -m scripts.bench.deploy.clients

# In MB, as the README says them.
LIGHT := .venv.light
CLIENT := .venv.client
sizes: env
	@$(PYTHON) -m venv --without-pip --clear $(LIGHT)
	@$(PYTHON) -m pip --python $(LIGHT)/bin/python install --quiet --disable-pip-version-check .
	@$(PYTHON) -m venv --without-pip --clear $(CLIENT)
	@$(PYTHON) -m pip --python $(CLIENT)/bin/python install --quiet --disable-pip-version-check ./client
	@du -sm $(VENV) $(LIGHT) $(CLIENT); rm -rf $(LIGHT) $(CLIENT) client/build client/src/*.egg-info

# For every platform and Python from 3.11 at once, wheels only: tests/packaging/test_platforms.py says for which it was resolved in full.
COMPILE := $(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes --only-binary :all: $(UPGRADE)

lock:
	$(COMPILE) --extra all --extra openssf --group dev --output-file requirements.lock pyproject.toml
	echo "uv" | $(COMPILE) --no-config --no-annotate --output-file requirements-uv.lock -
	$(BIN)/python -m scripts.maintain.lock_devices

clean:
	rm -rf $(VENV) runs runtimes/tfjs/node_modules runtimes/web/node_modules runtimes/web/dist web-demo/node_modules web-demo/dist
