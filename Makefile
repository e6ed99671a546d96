# Python 3.11 to 3.13 with venv, git and make are all that must be there; `make help` lists the rest.
PYTHON ?= python3
SHELL := /bin/sh
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# DVC runs the stages through $SHELL.
export SHELL
# DVC unpickles its state, and would keep it in /var/tmp, where everybody may write (CVE-2025-69872).
export DVC_SITE_CACHE_DIR ?= $(CURDIR)/.venv/dvc-state
.DEFAULT_GOAL := help

.PHONY: help
help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "make %-19s %s\n", $$1, $$2}'

# By name: remotes beyond folders and HTTP, and the database of several machines that tune together:
# make env EXTRAS="s3 webdav", make tune EXTRAS=cluster.
ASKED := s3 ssh webdav cluster
ifneq ($(filter-out $(ASKED),$(EXTRAS)),)
$(error EXTRAS: expected some of $(ASKED), received $(EXTRAS))
endif
# Extras with a lock of their own.
LOCKED := $(ASKED) export predict tune
ENVIRONMENT := .venv/run.stamp $(EXTRAS:%=.venv/%.stamp)

.PHONY: env
env: $(ENVIRONMENT) ## Make the environment, .venv; with remotes: EXTRAS="s3 webdav"

.PHONY: repro
repro: $(ENVIRONMENT) ## Reproduce the pipeline and show its result
	@python -m digits repro

.PHONY: import
import: .venv/run.stamp ## Make a dataset of tables, arrays or pictures of digits, in whatever form they come: ARGS="NAME SOURCE"
	@python -m digits import $(ARGS)

.PHONY: leaderboard
leaderboard: .venv/run.stamp ## Run what the ledger lacks, and rank all recipes; a part: ARGS="--only quick"
	@python -m digits leaderboard $(ARGS)

.PHONY: report
report: .venv/run.stamp ## Write what the last run says of its model into one page, report/index.html
	@python -m digits report

.PHONY: compare
compare: .venv/run.stamp ## Compare two models on validation: errors fixed, new, and by chance? ARGS="REV REV"
	@python -m digits compare $(ARGS)

.PHONY: export
export: .venv/run.stamp .venv/export.stamp ## Convert the model for other programs, and compare each form with Keras: exported/
	@python -m digits export $(ARGS)

.PHONY: experiments
experiments: .venv/run.stamp ## List the experiments: what they changed, how good they are
	@python -m digits experiments

.PHONY: tune
tune: $(ENVIRONMENT) .venv/tune.stamp ## Search better parameters, here or on many machines, each trial an experiment: ARGS="create --trials 40", work, status, best
	@python -m digits tune $(ARGS)

.PHONY: recover
recover: .venv/run.stamp ## Return to the branch after a killed `dvc exp run`, edits kept
	@python -m digits recover

.PHONY: docs
docs: .venv/run.stamp ## Write the numbers of the committed run into README.md, docs/ and MODEL_CARD.md
	@python -m digits docs

.PHONY: pr-report
pr-report: .venv/run.stamp ## Report what the workspace changes against another revision: BASE=origin/main
	@python -m digits pr-report "$${BASE:-origin/main}"

.PHONY: predict
predict: .venv/run.stamp .venv/predict.stamp ## Read the digits on photographs, scans and drawings: ARGS="PATH..."
	@python -m digits predict $(ARGS)

.PHONY: demo
demo: .venv/run.stamp .venv/predict.stamp ## Draw a digit on a page, and watch what the network makes of it
	@python -m digits demo $(ARGS)

.PHONY: verify-cache
verify-cache: $(ENVIRONMENT) ## Hash every object of DVC's cache, or of its remote, anew: ARGS="--remote --repair"
	@python -m digits verify-cache $(ARGS)

.PHONY: test
test: .venv/test.stamp ## Run the test suite, but for what takes minutes
	@python -m pytest --numprocesses logical --dist worksteal

.PHONY: test-slow
test-slow: .venv/test.stamp ## Run the slow core: kills, faults, fuzzing, S3, the pages typed
	@python -m pytest --numprocesses logical --dist worksteal -m slow

.PHONY: test-nightly
test-nightly: .venv/test.stamp .venv/swift.stamp ## Run all the rest, with real servers (Debian)
	@python -m pytest --numprocesses logical --dist worksteal -m nightly

.PHONY: lint
lint: .venv/test.stamp ## Lint, format and types, without the tests
	@ruff check
	@ruff format --check
	@mypy

.PHONY: check
check: lint test ## Lint, format, types and tests; CI runs test-slow, too

.PHONY: verify-reproducible
verify-reproducible: .venv/run.stamp ## Run the pipeline twice from scratch and compare every file it makes
	@python -m digits verify-reproducible

.PHONY: bench
bench: .venv/run.stamp ## Measure speed on the data of the last make repro: the numbers of benchmarks/README.md
	@for part in machine throughput trainings stages; do \
	    python -m benchmarks.$$part || exit; \
	done

# Options of uv that name no index in a lock.
COMPILE := uv pip compile --universal --upgrade --fork-strategy fewest --generate-hashes \
    --no-annotate --no-header --quiet --no-emit-index-url --no-emit-find-links

.PHONY: lock
lock: ## Pin the newest dependencies by version and hash (needs uv)
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) pyproject.toml -c requirements.lock --extra test -o requirements-test.lock
	@for extra in $(LOCKED); do \
	    $(COMPILE) pyproject.toml -c requirements-test.lock --extra $$extra -o $$extra.tmp && \
	    grep -vxFf requirements.lock $$extra.tmp > requirements-$$extra.lock && \
	    rm $$extra.tmp || exit; \
	done
	@echo swift==2.38.0 | $(COMPILE) --python-version 3.11 - -o requirements-swift.lock

.PHONY: clean
clean: ## Remove the environment and what tools leave behind; data, results and DVC's cache stay
	@rm -rf .venv build .hypothesis .mypy_cache .pytest_cache .ruff_cache models/*.tflite
	@find benchmarks digits pipeline tests -name __pycache__ -exec rm -rf {} +

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
# A .venv that make did not make: uv's has no pip, another's Python may be too old or too new.
CHECK_ENVIRONMENT = .venv/bin/python -c 'import pip; $(SUPPORTED)' 2>/dev/null || \
    { echo "ERROR: .venv: expected Python 3.11 to 3.13 with pip," \
        "received $$(.venv/bin/python --version 2>&1 | head -n 1)$$(.venv/bin/python -c 'import pip' \
        2>/dev/null || echo ' without pip');" \
        "make one anew: rm -rf .venv && make $(MAKECMDGOALS)"; exit 1; } >&2

# The environment is made anew only when the lock file has changed.
.venv/run.stamp: requirements.lock
.venv/test.stamp: requirements-test.lock
# An extra's lock holds only what it adds to the first.
$(LOCKED:%=.venv/%.stamp): .venv/%.stamp: requirements-%.lock .venv/run.stamp
.venv/%.stamp: | .git .venv/bin/python
	@$(CHECK_ENVIRONMENT)
	@echo "Installing $< into .venv; this takes a minute or two."
	@python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Swift has an environment of its own: a server of the tests, not a part of the project.
.venv/swift.stamp: requirements-swift.lock tests/install-servers | .venv/bin/python
	@tests/install-servers
	@$(PYTHON) -m venv .venv/swift
	@.venv/swift/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A link that leads nowhere is taken for none: the Python that it was made with is gone.
.venv/bin/python: | .git
	@! test -L $@ || { echo "ERROR: .venv: expected its Python, received a link to none: an upgrade?" \
	    "make one anew: rm -rf .venv && make $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || \
	    { echo "ERROR: $(PYTHON): expected Python 3.11 to 3.13, received $$($(PYTHON) --version 2>&1 | head -n 1);" \
	        "install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "ERROR: $(PYTHON) has no venv; on Debian: apt-get install python3-venv"; exit 1; } >&2
	@$(PYTHON) -m venv .venv
	@mkdir -m 700 .venv/dvc-state
	@echo 'export DVC_SITE_CACHE_DIR="$${DVC_SITE_CACHE_DIR:-$$VIRTUAL_ENV/dvc-state}"' >> .venv/bin/activate

# DVC keeps its experiments in Git, and a zip from GitHub is no repository. A subfolder of one will do.
.git:
	@git rev-parse --git-dir >/dev/null 2>&1 || \
	    { echo "ERROR: $(CURDIR): expected a Git repository, received none, as in a zip from GitHub;" \
	        "git clone the project instead, or make one here:" \
	        "git init && git add --all && git commit --message start"; exit 1; } >&2
