# What a person does with the project. Needs Python 3.11 or newer and make, nothing else.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo up cluster down test check benchmark lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/runtime ## Make yesterday of every domain from made-up data, and say where it is
	@$(BIN)/batch-platform demo

up: .venv/runtime ## Serve database, webserver, daemon and API until Ctrl-C
	@$(BIN)/batch-platform up

cluster: .venv/cluster ## Serve the same with Redis and two Celery workers, as processes, until Ctrl-C
	@$(BIN)/batch-platform cluster

down: .venv/runtime ## End whatever still runs in the background
	@$(BIN)/batch-platform down

test: .venv/development ## Run all tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: .venv/development ## Lint, format, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

benchmark: .venv/development ## Measure what must be fast against its limits, by hand
	@$(BIN)/python -m benchmarks.chats

lock: ## Resolve the newest allowed versions into constraints.txt (needs uv)
	@uv pip compile --universal --quiet --no-annotate --no-header --all-extras --upgrade pyproject.toml --output-file constraints.txt

clean: ## Remove what runs made (the demo, its database, caches); never a live platform's data
	@if [ -x $(BIN)/batch-platform ]; then BATCH_PLATFORM_PROFILE=demo $(BIN)/batch-platform down || true; fi
	rm -rf var/demo .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.14 is needed, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 demo") if not (3, 11) <= sys.version_info[:2] <= (3, 14) else 0'
	@$(PYTHON) -m venv .venv

.venv/runtime: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing the platform into .venv (once, about a minute) …"
	@$(PIP) --editable .
	@touch $@

.venv/cluster: .venv/runtime
	@$(PIP) --editable '.[celery]'
	@touch $@

.venv/development: .venv/runtime
	@echo "Installing the development tools into .venv …"
	@$(PIP) --editable '.[dev]'
	@touch $@
