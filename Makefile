# Everything a checkout needs: make demo, make test, make check.  Each sets up .venv first.

PYTHON ?= python3
VENV := .venv
DOCS := .venv-docs
BIN := $(VENV)/bin
ARGS ?=
UV ?= uv
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-quick docs screenshots lint check bench bench-access-ends bench-soak bench-strangers lock release clean
.DEFAULT_GOAL := help

help: ## List the targets
	@echo "make demo    start the demo and open the browser (ARGS='--port 7900 --no-browser')"
	@echo "make test    run the tests, the quick ones first (ARGS='-k sign_in')"
	@echo "make test-quick  run the tests that start no process"
	@echo "make lint    ruff, formatting and mypy"
	@echo "make check   ruff, formatting, mypy and the tests with branch coverage"
	@echo "make bench   measure what the guard adds to a request"
	@echo "make bench-access-ends  measure how fast access ends, by cause (ARGS=--write)"
	@echo "make bench-soak  see whether 200 people for half an hour leave anything behind (ARGS=--write)"
	@echo "make bench-strangers  measure the portal beside thousands of slow connections"
	@echo "make docs    write the generated parts of the documents, and build the site into site/"
	@echo "make screenshots  make the pictures of the pages in docs/pictures again"
	@echo "make setup   make .venv with everything for development"
	@echo "make lock    resolve the dependencies again"
	@echo "make release VERSION=x.y.z  build, try and tag a release; pushes nothing"
	@echo "make clean   remove the environments, the site and caches"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module. On Debian or Ubuntu: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The locks are complete, so pip resolves nothing: a later release of a dependency cannot change what is installed.
INSTALL = $(BIN)/python -m pip install --quiet --no-deps

# Python 3.11 does not start in the C locale if a .pth file has a letter beyond ASCII: so the checkout's path is relative there.
RELATIVE = import glob, os; [open(pth, "w").write(os.path.relpath(".", os.path.realpath(os.path.dirname(pth))) + "\n") for pth in glob.glob("$(VENV)/lib/python*/site-packages/_gradio_portal.pth")]

# A stamp per set of dependencies, so that a second start installs nothing.
$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the portal needs (once) ..."
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-build-isolation --editable .
	@$(BIN)/python -S -c '$(RELATIVE)'
	@$(BIN)/python -m pip check
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing what development needs (once) ..."
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip check
	@touch $@

setup: $(VENV)/.development ## Make .venv with everything for development

# In an environment of its own, so that its pins need not agree with the portal's.
$(DOCS)/.installed: requirements-docs.txt | $(BIN)/python
	@echo "Installing what the documentation's site needs (once) ..."
	@$(BIN)/python -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements-docs.txt
	@$(DOCS)/bin/python -m pip check
	@touch $@

demo: $(VENV)/.runtime ## Start the demo
	@exec $(BIN)/portal demo $(ARGS)

# Each file stays in one process; ARGS=-n0 has all of them in one, for a debugger.
PYTEST = $(BIN)/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

test: $(VENV)/.development ## Run the tests
	@exec $(PYTEST) $(ARGS)

test-quick: $(VENV)/.development ## Run the tests that start no process
	@exec $(PYTEST) -m 'not process' $(ARGS)

lint: $(VENV)/.development ## Run ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/.development $(DOCS)/.installed ## Write the generated parts of the documents, and build the site
	@$(BIN)/python -m tests.architecture.generated
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --strict
	@echo "The site is in site/. To read it with its search: python3 -m http.server --directory site"

screenshots: $(VENV)/.development ## Make the pictures of the pages in docs/pictures again
	@exec $(BIN)/python -m tests.journeys.screenshots

check: lint ## Run everything that a change must pass
	$(PYTEST) --cov --cov-report=term-missing:skip-covered $(ARGS)

bench: $(VENV)/.development ## Measure what the guard adds to a request
	@exec $(BIN)/python -m benchmarks.guard $(ARGS)

bench-access-ends: $(VENV)/.development ## Measure how fast access ends, by cause
	@exec $(BIN)/python -m benchmarks.access_ends $(ARGS)

bench-soak: $(VENV)/.development ## See whether many people for a long time leave anything behind
	@exec $(BIN)/python -m benchmarks.soak $(ARGS)

bench-strangers: $(VENV)/.development ## Measure the portal beside thousands of slow connections
	@exec $(BIN)/python -m benchmarks.slow_strangers $(ARGS)

# hatchling is in both: the project itself is installed without build isolation.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras --upgrade
lock: ## Resolve the dependencies again
	@command -v $(UV) >/dev/null 2>&1 || { echo "There is no $(UV). Install it (https://docs.astral.sh/uv/), or name one: make lock UV=/path/to/uv" >&2; exit 2; }
	echo 'hatchling>=1.27' | $(COMPILE) pyproject.toml - --output-file requirements.txt
	echo 'psycopg[binary]>=3.2,<4' | $(COMPILE) - --constraint requirements.txt --output-file requirements-postgresql.txt
	$(COMPILE) pyproject.toml --extra postgresql --extra redis --group dev --constraint requirements.txt --constraint requirements-postgresql.txt --output-file requirements-dev.txt
	echo 'mkdocs-material>=9.8,<10' | $(COMPILE) - --output-file requirements-docs.txt

release: $(VENV)/.development ## Build, try and tag a release; pushes nothing
	@.ci/release '$(VERSION)'

clean: ## Remove the environments, the site and caches
	rm -rf $(VENV) $(DOCS) site .mypy_cache .pytest_cache .ruff_cache build dist .coverage .coverage.*
