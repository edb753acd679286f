# The commands of this repository. They need only Python 3.11+, make and git.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# pip cannot check whether an environment matches a lock file, so a stamp file records it.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
# The DuckDB that has the lake's extensions; programs that find it first run on it instead of the environment's own.
LAKE := $(VENV)/lake
LAKE_STAMP := $(VENV)/.installed-lake
STORE_STAMP := $(VENV)/.installed-store
TESTS := $(BIN)/python -m pytest -n 2 --dist worksteal -m "not browser and not daemon and not fuzz and not lake"
LAKE_TESTS := PYTHONPATH=$(LAKE) $(BIN)/python -m pytest -n 2 --dist worksteal \
	-m "lake and not browser and not daemon and not fuzz"

# Where Python is told to keep no bytecode, each of the hundreds of processes of a run compiles the project anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo store test test-lake quick test-daemon test-browser dev bench check fix fuzz fuzz-lake mutation lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(RUN_STAMP)  ## load three simulated studies into warehouse/warehouse.duckdb and show them
	@$(BIN)/redcap-warehouse demo

dev: $(RUN_STAMP)  ## open the Dagster UI over the demo's studies, with the REDCap simulator
	@$(BIN)/python -m pipelines.demo

store: $(STORE_STAMP)  ## make the environment of a machine that loads into a store of several machines

test: $(DEV_STAMP) $(LAKE_STAMP)  ## run the whole test suite: first all but the lake, then the lake
	@failed=0; $(TESTS) || failed=1; $(LAKE_TESTS) || failed=1; exit $$failed

test-lake: $(DEV_STAMP) $(LAKE_STAMP)  ## test the lake, which needs another DuckDB, with a PostgreSQL and an S3 server of its own
	$(LAKE_TESTS)

quick: $(DEV_STAMP)  ## run the tests that need no server and no DuckDB file, for use while editing
	$(BIN)/python -m pytest -q -n 2 --quick -m "not browser and not daemon and not fuzz"

test-daemon: $(DEV_STAMP) $(LAKE_STAMP)  ## kill runs, and a machine of two, under a real Dagster daemon
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

fuzz-lake: $(DEV_STAMP) $(LAKE_STAMP)  ## run the long tests of the lake: every promise of the warehouse, and 60 killed machines
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} PYTHONPATH=$(LAKE) $(BIN)/python -m pytest tests -m "lake and fuzz" -p no:xdist

mutation: $(DEV_STAMP)  ## change single expressions in the modules that protect data, and list the changes that no test detects (MUTANTS=N, SEED=N)
	$(BIN)/python -m tests.mutation.run --mutants $${MUTANTS:-300} --seed $${SEED:-1}

LOCK := --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-strip-extras
# Only what differs: this file is installed over an environment of requirements.lock or requirements-dev.lock.
define LAKE_EXTRAS
import tomllib
extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
print(*sorted({*extras["ducklake"], *extras["s3"]}), sep="\n")
endef
export LAKE_EXTRAS

lock:  ## update the pinned dependencies (needs uv)
	uv pip compile -q pyproject.toml --extra build --extra dev $(LOCK) -o requirements-dev.lock
	uv pip compile -q pyproject.toml --extra build -c requirements-dev.lock $(LOCK) -o requirements.lock
	$(PYTHON) -c "$$LAKE_EXTRAS" | uv pip compile -q - --no-deps $(LOCK) -o requirements-lake.lock

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

# Lays the DuckDB that has the lake's extensions over the one of requirements.lock.
$(STORE_STAMP): requirements-lake.lock $(RUN_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-lake.lock
	@$(BIN)/python -m compileall -q $(VENV)/lib || true
	@touch $@

$(DEV_STAMP): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(VENV)/lib pipelines redcap_source || true
	@touch $@ $(RUN_STAMP)

$(LAKE_STAMP): requirements-lake.lock | $(BIN)/python
	rm -rf $(LAKE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(LAKE) -r requirements-lake.lock
	@$(BIN)/python -m compileall -q $(LAKE) || true
	@touch $@
