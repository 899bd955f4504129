# trigwatch. `make demo` shows it, `make test` proves it; each does all of its own set-up.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One thread for BLAS: the engines thread over events, and a shared machine is not ours alone.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

# Processes of the test run; JOBS=0 is one after the other in this one.
JOBS ?= 2

.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trigwatch needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	touch $@

$(VENV)/run: deploy/lock/run.txt pyproject.toml | $(VENV)/made
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r deploy/lock/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/dev: deploy/lock/dev.txt pyproject.toml | $(VENV)/made
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r deploy/lock/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/run

.PHONY: demo
demo: $(VENV)/run ## Play a fill with a fault through the whole pipeline, with a page to look at
	$(BIN)/trigwatch demo $(ARGS)

.PHONY: test
test: $(VENV)/dev ## Everything that CI checks, with a real Kafka, Prometheus, Alertmanager and Chromium
	deploy/test-services
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered --ignore=tests/nightly --ignore=tests/bench $(ARGS)

.PHONY: lint
lint: $(VENV)/dev ## Style, types, the import contract, the repository review
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/repo-review .

.PHONY: nightly
nightly: $(VENV)/dev ## The long proofs: millions of inputs a model, 504 random graphs, quiet lumisections, every scenario
	deploy/test-services
	$(BIN)/pytest tests/nightly --timeout=0 -p no:cacheprovider $(ARGS)
	RANDOM_GROUPS=63 $(BIN)/pytest tests/golden/test_random_graphs.py --timeout=0 -p no:cacheprovider

$(VENV)/bench: deploy/lock/bench.txt $(VENV)/dev
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r deploy/lock/bench.txt
	touch $@

.PHONY: bench
bench: $(VENV)/bench ## Events per second of the whole daemon and of each stage, as tables
	for each in tests/bench/bench_*.py; do $(BIN)/python -m tests.bench.$$(basename $$each .py); done

.PHONY: bench-emulator
bench-emulator: $(VENV)/bench ## Events per second of every engine, beside hls4ml, da4ml, HGQ2, conifer and onnxruntime
	$(BIN)/python -m tests.bench.bench_emulator
	$(BIN)/python -m tests.bench.bench_trees

PEERS := river frouros nannyml evidently
.venv-peers/%/made: deploy/lock/peer-%.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

.PHONY: bench-drift
bench-drift: $(VENV)/dev $(PEERS:%=.venv-peers/%/made) ## Lumisections to detection of every fault, false pages, and peers' on the same streams
	$(BIN)/python -m tests.bench.bench_drift
	$(BIN)/python -m tests.bench.bench_drift_peers

.PHONY: format
format: $(VENV)/dev ## Rewrite the code in the house style
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: lock
lock: $(VENV)/made ## Resolve the pinned dependencies anew
	$(BIN)/pip install --quiet uv
	LOCK="$(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-strip-extras"
	$$LOCK --group dev --extra models -o deploy/lock/dev.txt
	$$LOCK --group build -c deploy/lock/dev.txt -o deploy/lock/run.txt
	$$LOCK --group bench --extra models -c deploy/lock/dev.txt -o deploy/lock/bench.txt
	PEER="$${LOCK/pyproject.toml/-}"
	printf 'river>=0.22\n' | $$PEER -o deploy/lock/peer-river.txt
	printf 'frouros>=0.9\nnumpy<2.2\n' | $$PEER -o deploy/lock/peer-frouros.txt
	printf 'nannyml>=0.13\nstatsmodels\nkaleido!=0.2.1.post1\n' | $$PEER -o deploy/lock/peer-nannyml.txt
	printf 'evidently>=0.7\npandas<3\n' | $$PEER -o deploy/lock/peer-evidently.txt

.PHONY: clean
clean: ## Remove what was installed and built here
	rm -rf $(VENV) var build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
