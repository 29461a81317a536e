# The only commands a newcomer needs. `make demo` sets everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false
export DAGSTER_HOME ?= $(abspath $(or $(RECS_HOME),.recs))/dagster

TINY := $(abspath .recs-tiny)

.PHONY: demo dev serve notebook test quick lint audit backtest bench loop cluster chaos docs pictures setup lock clean

demo: setup ## one full week on real data, then a summary
	@$(BIN)/python -m recs_assets run

dev: setup ## the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(or $(PORT),3000)

serve: setup ## the server of the shop's pages on http://127.0.0.1:8000 (docs/api.md)
	@$(BIN)/python -m recs_assets serve $(if $(PORT),--port $(PORT))

notebook: setup ## one customer of the tiny shop, from their orders to the email, in a notebook
	@test -e $(TINY)/published/recs.duckdb || RECS_DATA=examples/tiny_shop RECS_HOME=$(TINY) $(BIN)/python -m recs_assets run
	RECS_DATA=examples/tiny_shop RECS_HOME=$(TINY) $(BIN)/marimo run examples/notebook/one_customer.py

test: setup ## the tests
	@$(BIN)/python -m pytest -n $(or $(WORKERS),2)

quick: setup ## the tests that need no whole week, no dbt, no server and no generated examples
	@$(BIN)/python -m pytest -n $(or $(WORKERS),2) -m "not slow"

lint: setup ## ruff, layers, types, SQL, definitions; the hooks of .pre-commit-config.yaml are the same
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/ty check
	@$(BIN)/sqlfluff lint dbt_project
	@$(BIN)/dg check defs

audit: .venv-audit/.ready ## known vulnerabilities of every locked dependency; sbom.json
	@bash .ci/audit

backtest: setup ## every model at three test anchors; SOURCE=folder of raw files (default: the demo data)
	@$(if $(SOURCE),RECS_DATA=$(abspath $(SOURCE))) $(BIN)/python -m recs_assets backtest $(if $(FOLDS),--folds $(FOLDS))

bench: setup ## wall seconds and peak memory per asset, demo and synthetic; the campaigns' rules alone
	@$(BIN)/python -m benchmarks.weekly
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.rules
	@$(BIN)/python -m benchmarks.serving

loop: setup ## made-up people who answer what is published, week by week, and what is true beside what is found; WEEKS=8
	@$(BIN)/python -m benchmarks.world --weeks $(or $(WEEKS),8) $(if $(FOLDER),--folder $(FOLDER)) $(if $(PICTURE),--picture $(PICTURE))

cluster: setup .venv-cluster/.ready ## weeks on a Spark cluster of this machine beside DuckDB's, and what is killed there (needs Java 17); SHOPS="name=folder ..."
	@PYTHONPATH=tests $(BIN)/python -m helpers.cluster --spark .venv-cluster/lib/python3*/site-packages/pyspark \
	  $(if $(FOLDER),--folder $(FOLDER)) $(foreach shop,$(SHOPS),--shop $(shop))

chaos: setup ## every fault on the tiny shop, as a table; ONLY=family
	@PYTHONPATH=tests $(BIN)/python -m helpers.chaos --only "$(ONLY)"

docs: setup ## the documentation as a site, in site/; a broken link is an error
	@$(BIN)/zensical build --clean --strict

pictures: setup ## docs/images from the demo's finished week (needs a Chromium)
	@$(BIN)/python -m benchmarks.pictures $(or $(RECS_HOME),.recs)

setup: $(VENV)/.ready

# Runs a quiet command with a dot every two seconds, so that the screen never stands still.
dots = ( while sleep 2; do printf .; done ) & ticker=$$!; trap "kill $$ticker 2>/dev/null" EXIT; $(1) && echo " done"

$(VENV)/.ready: requirements.lock pyproject.toml
	@printf "Creating $(VENV) "
	@$(call dots,$(PYTHON) -m venv $(VENV))
	@printf "Installing the hash-locked dependencies (about 250 MB, one to two minutes) "
	@$(call dots,$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock)
	@printf "Installing recs_assets "
	@$(call dots,$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .)
	@printf "Preparing Dagster and dbt "
	@$(call dots,$(BIN)/python -m recs_assets prepare)
	@touch $@

.venv-audit/.ready: audit.lock
	@printf "Creating .venv-audit "
	@$(call dots,$(PYTHON) -m venv .venv-audit)
	@printf "Installing the auditor "
	@$(call dots,.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r audit.lock)
	@touch $@

.venv-cluster/.ready: pyproject.toml
	@printf "Installing Spark (450 MB) "
	@$(call dots,$(PYTHON) -m venv .venv-cluster)
	@$(call dots,.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check pyspark==4.1.3)
	@touch $@

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-strip-extras --custom-compile-command "make lock"
lock: ## resolve requirements.lock and audit.lock again (needs uv)
	$(COMPILE) --group dev --group demo pyproject.toml --output-file requirements.lock
	$(COMPILE) --group pyproject.toml:audit --output-file audit.lock

clean: ## remove everything that was made here
	rm -rf $(VENV) .venv-audit .venv-cluster .recs .recs-tiny .loop site sbom.json dbt_project/target dbt_project/logs
