# The commands of this repository. They need only Python 3.11+, make and git.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# pip cannot check whether an environment matches a lock file, so a stamp file records it.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test quick test-daemon test-browser dev bench check fix fuzz mutation lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(RUN_STAMP)  ## load three simulated studies into warehouse/warehouse.duckdb and show them
	@$(BIN)/redcap-warehouse demo

dev: $(RUN_STAMP)  ## open the Dagster UI over the demo's studies, with the REDCap simulator
	@$(BIN)/python -m pipelines.demo

test: $(DEV_STAMP)  ## run the whole test suite
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not browser and not daemon and not fuzz"

quick: $(DEV_STAMP)  ## run the tests that need no server and no DuckDB file, for use while editing
	$(BIN)/python -m pytest -q -n 2 --quick -m "not browser and not daemon and not fuzz"

test-daemon: $(DEV_STAMP)  ## kill runs under a real Dagster daemon
	$(BIN)/python -m pytest tests/defs -m daemon -p no:xdist

test-browser: $(DEV_STAMP)  ## test the Dagster UI in a real headless Chromium
	$(BIN)/python -m pytest tests/browser -m browser -p no:xdist

bench: $(DEV_STAMP)  ## compare our load with PyCap's and with a bare download, as ratios
	$(BIN)/python -m bench

check: $(DEV_STAMP)  ## lint, check the format, and check types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(DEV_STAMP)  ## fix what lint and format can fix automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(DEV_STAMP)  ## run the property tests for long (FUZZ_EXAMPLES=N, default 2000)
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/python -m pytest tests -m fuzz -p no:xdist

mutation: $(DEV_STAMP)  ## change single expressions in the modules that protect data, and list the changes that no test detects (MUTANTS=N, SEED=N)
	$(BIN)/python -m tests.mutation.run --mutants $${MUTANTS:-300} --seed $${SEED:-1}

lock:  ## update the pinned dependencies (needs uv)
	uv pip compile -q pyproject.toml --extra build --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-strip-extras -o requirements-dev.lock
	uv pip compile -q pyproject.toml --extra build -c requirements-dev.lock --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-strip-extras -o requirements.lock

clean:  ## remove the environment and everything that the demo created
	rm -rf $(VENV) demo warehouse .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "REDCap Warehouse needs Python 3.11 or newer; this is $$($(PYTHON) --version). Use make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# --no-build-isolation: the build tools are pinned in the lock file too.
$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(VENV)/lib pipelines redcap_source || true
	@touch $@

$(DEV_STAMP): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(VENV)/lib pipelines redcap_source || true
	@touch $@ $(RUN_STAMP)
