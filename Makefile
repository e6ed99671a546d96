# Python 3.11 to 3.13 with venv, git and make are all that must be there; `make help` lists the rest.
PYTHON ?= python3
SHELL := /bin/sh
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# DVC runs the stages through $SHELL.
export SHELL
.DEFAULT_GOAL := help

.PHONY: help
help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "make %-11s %s\n", $$1, $$2}'

.PHONY: repro
repro: .venv/run.stamp ## Reproduce the pipeline and show its result
	@python -m digits.repro

.PHONY: leaderboard
leaderboard: .venv/run.stamp ## Run every recipe over its seeds and rank them; a part: ARGS="--only quick --seeds 0 1"
	@python -m digits.leaderboard $(ARGS)

.PHONY: test
test: .venv/test.stamp ## Run the test suite
	@python -m pytest

.PHONY: lint
lint: .venv/test.stamp ## Lint, format and types, without the tests
	@ruff check
	@ruff format --check
	@mypy

.PHONY: check
check: lint test ## Lint, format, types and tests: what CI runs

.PHONY: bench
bench: .venv/run.stamp ## Measure speed on the data of the last make repro: the tables of benchmarks/README.md
	@for part in machine decoding throughput time_to_accuracy stages; do \
	    python -m benchmarks.$$part || exit; \
	done

.PHONY: lock
lock: ## Pin the newest dependencies by version and hash (needs uv)
	@for extra in "" test; do \
	    uv pip compile pyproject.toml $${extra:+--extra $$extra -c requirements.lock} --universal \
	        --upgrade --fork-strategy fewest --generate-hashes --no-annotate --no-header --quiet \
	        --no-emit-index-url --no-emit-find-links -o requirements$${extra:+-$$extra}.lock || exit; \
	done

.PHONY: clean
clean: ## Remove the environment and what tools leave behind; data, results and DVC's cache stay
	@rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache
	@find benchmarks digits pipeline tests -name __pycache__ -exec rm -rf {} +

# The environment is made anew only when the lock file has changed.
.venv/run.stamp: requirements.lock
.venv/test.stamp: requirements-test.lock
.venv/%.stamp: | .venv/bin/python
	@echo "Installing $< into .venv; this takes a minute or two."
	@python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || \
	    { echo "ERROR: $(PYTHON): expected Python 3.11 to 3.13, received $$($(PYTHON) --version 2>&1 | head -n 1);" \
	        "install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "ERROR: $(PYTHON) has no venv; on Debian: apt-get install python3-venv"; exit 1; } >&2
	@$(PYTHON) -m venv .venv
