# Python 3.11 to 3.13 with venv, git and make are all that must be there. What people run after
# `make repro` is `digits COMMAND` and DVC, both in .venv/bin.
PYTHON ?= python3
SHELL := /bin/sh
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# DVC runs the stages through $SHELL.
export SHELL
# DVC unpickles its state, and would keep it in /var/tmp, where everybody may write (CVE-2025-69872).
export DVC_SITE_CACHE_DIR ?= $(CURDIR)/.venv/dvc-state
PYTEST := python -m pytest --numprocesses logical --dist worksteal
.DEFAULT_GOAL := help
.PHONY: help env repro test test-slow test-nightly lint check bench lock clean

help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | awk -F'\t' '{printf "make %-13s %s\n", $$1, $$2}'

env: .venv/run.stamp ## Make the environment, .venv

repro: .venv/run.stamp ## Reproduce the pipeline and show its result
	@digits repro

test: .venv/test.stamp ## Run the fast tests
	@$(PYTEST)

test-slow: .venv/test.stamp ## Run the slow core: kills, faults, fuzzing, S3, a browser
	@$(PYTEST) -m slow

test-nightly: .venv/test.stamp ## Run all the others, against real servers, for an hour or more (Debian)
	@tests/install-servers
	@$(PYTEST) -m nightly

lint: .venv/test.stamp ## Lint, format and types, without the tests
	@ruff check
	@ruff format --check
	@mypy

check: lint test ## Lint, format, types and fast tests

bench: .venv/run.stamp ## Measure speed on the data of the last make repro
	@for part in throughput trainings stages; do python -m benchmarks.$$part || exit; done

COMPILE := uv pip compile --universal --upgrade --fork-strategy fewest --generate-hashes \
    --no-annotate --no-header --quiet --no-emit-index-url --no-emit-find-links
lock: .venv/run.stamp ## Pin the newest dependencies by version and hash
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) pyproject.toml -c requirements.lock --extra test -o requirements-test.lock
	@echo uv | $(COMPILE) - -o requirements-uv.lock

clean: ## Remove the environment and what tools leave behind; data, results and DVC's cache stay
	@rm -rf .venv build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find benchmarks digits pipeline tests -name __pycache__ -exec rm -rf {} +

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
# A message has no comma: make would end it there.
FAIL = { echo "ERROR: $(1)" >&2; exit 1; }
PIP := python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes
# uv takes a third of pip's time, but does not read pip's settings: the plain ones are handed on.
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$${PIP_INDEX_URL-$$(pip config get global.index-url 2>/dev/null)}}" \
    UV_FIND_LINKS="$${UV_FIND_LINKS-$$PIP_FIND_LINKS}" \
    uv pip install --quiet --python .venv/bin/python --require-hashes

.venv/run.stamp: requirements.lock
.venv/test.stamp: requirements-test.lock
.venv/%.stamp: | .git .venv/bin/python
	@.venv/bin/python -c 'import pip; $(SUPPORTED)' 2>/dev/null || $(call FAIL,.venv: expected Python 3.11 to 3.13 with pip: rm -rf .venv && make $(MAKECMDGOALS))
	@echo "Installing $< into .venv; this takes half a minute or more."
	@$(PIP) -r requirements-uv.lock && $(UV) -r $< || { echo "Without uv: pip does the same and takes minutes."; $(PIP) -r $<; }
	@printf '#!/bin/sh\nexec "$${0%%/*}/python" -m digits "$$@"\n' > .venv/bin/digits
	@chmod +x .venv/bin/digits
	@touch $@

.venv/bin/python: | .git
	@$(PYTHON) -c 'import ensurepip, venv; $(SUPPORTED)' 2>/dev/null || $(call FAIL,$(PYTHON): expected Python 3.11 to 3.13 with venv (Debian: python3-venv); name another: make PYTHON=python3.12 $(MAKECMDGOALS))
	@$(PYTHON) -m venv --clear .venv
	@mkdir -m 700 .venv/dvc-state
	@echo 'export DVC_SITE_CACHE_DIR="$${DVC_SITE_CACHE_DIR:-$$VIRTUAL_ENV/dvc-state}"' >> .venv/bin/activate

.git: # DVC keeps its experiments in Git. A subfolder of a repository will do.
	@git rev-parse --git-dir >/dev/null 2>&1 || $(call FAIL,$(CURDIR): expected a Git repository (a zip from GitHub is none); clone the project or: git init && git add --all && git commit -m start)
