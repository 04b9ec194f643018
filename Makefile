# The verbs of this project. `make help` lists them; each sets up what it needs.

VENV ?= .venv
PYTHON ?=
name ?=
only ?=
CI ?=
# 1: what could not run has failed.
STRICT ?= $(if $(filter true,$(CI)),1)

BIN := $(VENV)/bin
SQUAWK := $(BIN)/squawk supabase/migrations/*.sql
# Where money is counted, next to nothing may go untested.
MONEY := */ledger/*,*/roundups/*,*/deposits/*,*/payouts/*,*/mpesa/*,*/goals/*
# Each process of the tests brings a Postgres of its own; a file stays within one. They come in the tree's order: the
# most tests first, as xdist has it, would leave the journeys to the end, few and long, and one process without work.
JOBS ?= 2
IN_PARALLEL := --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder
OLDER_POSTGRES := 15 17
ON_OLDER_POSTGRES := tests/ledger tests/database tests/runtime/test_migrations.py

export PYTHON VENV

MAKEFLAGS += --no-builtin-rules --no-print-directory --warn-undefined-variables
.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:

##@ Start

.PHONY: help
help: ## List the verbs
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## Make .venv with the locked packages (PYTHON=python3.12 chooses one)
	@scripts/set_up.sh

.PHONY: run
run: setup ## Serve the API with a demo saver, its database included (PORT=8000)
	@exec $(BIN)/zanari dev

##@ Check

.PHONY: test
test: setup ## Run all tests (Postgres 18; JOBS=2 processes)
	@$(BIN)/pytest $(IN_PARALLEL)

.PHONY: check
check: setup tools format-check lint types layers migrations-lint dead-code spelling supabase coverage older-postgres ## Run every check, all tests with coverage, the database's on Postgres 15 and 17 too
	@echo "==> Everything$(if $(STRICT),, that could run) has passed"

.PHONY: check-ops
check-ops: setup system-packages tools ## Check what runs it: alerts live, books tampered with, the image, environments, connections
	@$(BIN)/python -m checks

.PHONY: check-the-checks
check-the-checks: setup system-packages tools ## Plant faults in a copy of the tree, and see each check find its own (long; only=rules)
	@$(BIN)/python -m checks --plant $(if $(only),--only $(only))

.PHONY: lint
lint: setup ## Lint the Python
	@echo "==> Lint" && $(BIN)/ruff check

.PHONY: types
types: setup ## Check the types, which is also what keeps built SQL out
	@echo "==> Types" && $(BIN)/basedpyright

.PHONY: layers
layers: setup ## Check who imports whom
	@echo "==> Layers" && $(BIN)/lint-imports --no-logo --no-cache

.PHONY: migrations-lint
migrations-lint: setup ## Check the migrations for what would lock or break a running service
	@echo "==> Migrations" && $(SQUAWK)

.PHONY: dead-code
dead-code: setup ## Find code that nothing uses
	@echo "==> Dead code" && $(BIN)/vulture

.PHONY: spelling
spelling: setup ## Find misspelt words
	@echo "==> Spelling" && $(BIN)/codespell

##@ Change

.PHONY: format
format: setup ## Format the Python, and mend what can be mended
	@$(BIN)/ruff format && $(BIN)/ruff check --fix

.PHONY: migration
migration: setup ## Begin a migration (name=add_nickname)
	@$(BIN)/python scripts/new_migration.py $(name)

.PHONY: db-reset
db-reset: setup ## Throw the embedded database away
	@$(BIN)/python scripts/reset_database.py

.PHONY: openapi
openapi: setup ## Write the API's OpenAPI document to build/openapi.json
	@mkdir -p build && $(BIN)/zanari openapi --output build/openapi.json

.PHONY: bench
bench: setup ## Measure the webhook, the ledger and its sealing on this machine (about 20 minutes)
	@$(BIN)/python benchmarks/webhook.py --entries 10000000 && $(BIN)/python benchmarks/ledger_posting.py && \
		$(BIN)/python benchmarks/sealing.py

# Parts of `check`, which are seldom wanted alone.

.PHONY: format-check
format-check: setup
	@echo "==> Format" && $(BIN)/ruff format --check

# What Debian has: Prometheus, Postgres 15, a pooler, npm where there is none.
.PHONY: system-packages
system-packages:
	@scripts/install_system_packages.sh

# Supabase's CLI and Postgres 17 for the tests. What cannot be had is named by the checks that miss it.
.PHONY: tools
tools:
	@if command -v npm >/dev/null; then \
		cmp -s package-lock.json node_modules/.installed || { \
			echo "==> Installing the Supabase CLI and Postgres 17" && \
			npm install --no-save --loglevel=error && cp package-lock.json node_modules/.installed; \
		} || echo "NOT INSTALLED: npm install failed"; \
	fi

.PHONY: supabase
supabase: setup
	@echo "==> Supabase's own tools" && PYTHONPATH=. $(BIN)/python scripts/check_supabase.py $(if $(STRICT),--strict)

# Run as a script, not as a module: then processes that the tests start are measured too. One that a test killed leaves
# half a file, which `combine` complains of.
.PHONY: coverage
coverage: setup
	@echo "==> Tests with branch coverage"
	@$(BIN)/coverage erase && $(BIN)/coverage run $(BIN)/pytest $(IN_PARALLEL)
	@$(BIN)/coverage combine --quiet 2>/dev/null; rm -f .coverage.*
	@$(BIN)/coverage report && $(BIN)/coverage report --include="$(MONEY)" --fail-under=99 --format=total >/dev/null || \
		{ echo "Coverage is below 99 % where money is decided: $(MONEY)"; exit 1; }

.PHONY: older-postgres
older-postgres: setup
	@for version in $(OLDER_POSTGRES); do \
		echo "==> Ledger, row security and migrations on Postgres $$version"; \
		if said=$$(PYTHONPATH=. $(BIN)/python -m tests.support.postgres_binaries $$version); then \
			$(BIN)/pytest --postgres=$$version $(ON_OLDER_POSTGRES) || exit 1; \
		else \
			echo "$$said"; $(if $(STRICT),exit 1;) \
		fi; \
	done
