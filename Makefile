# The only commands a newcomer needs. `make demo` sets everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false
export DAGSTER_HOME ?= $(abspath $(or $(RECS_HOME),.recs))/dagster

.PHONY: demo dev test lint bench setup lock clean

demo: setup ## one full week on real data, then a summary
	@$(BIN)/python -m recs_assets run

dev: setup ## the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(or $(PORT),3000)

test: setup ## the tests
	@$(BIN)/python -m pytest -n $(or $(WORKERS),2)

lint: setup ## ruff, layers, definitions, pins
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/dagster definitions validate -w workspace.yaml

bench: setup ## wall seconds and peak memory per asset, demo and synthetic
	@$(BIN)/python -m benchmarks.weekly

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@echo "Setting up $(VENV) from requirements.lock (hash-checked; about 300 MB, one to two minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m recs_assets prepare
	@touch $@

lock: ## resolve requirements.lock again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras \
	  --group dev --group demo pyproject.toml --output-file requirements.lock --custom-compile-command "make lock"

clean: ## remove everything that was made here
	rm -rf $(VENV) .recs dbt_project/target dbt_project/logs
