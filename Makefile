# Everything runs in a virtual environment of its own. Python 3.11 or newer and a package
# index are all that a machine needs: `make test` on a bare clone installs the rest.

VENV    := .venv
BIN     := $(VENV)/bin
# Tests often wait for the programs that they start: three keep two cores busy.
WORKERS ?= 3

# The first interpreter that is new enough; `make PYTHON=…` overrides it.
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$candidate && break; done)

# Named after what is installed: new requirements mean a new stamp. SERVICE is what it takes
# to run the service, INSTALLED has the tools and what the tests need as well.
stamp      = $(VENV)/.$(1)-$(shell cat $(2) pyproject.toml | cksum | tr ' ' '-')
SERVICE   := $(call stamp,service,requirements/base.txt requirements/build.txt)
INSTALLED := $(call stamp,installed,requirements/dev.txt)

# `make test ORDER=random` shuffles the tests; ORDER=SEED, which it prints, repeats an order.
SEED     := $(if $(ORDER:random=),--randomly-seed=$(ORDER))
SHUFFLED := $(if $(ORDER),-p randomly $(SEED))

# What failed while the machine was full of other tests is run again alone, and the first
# failure that is left ends the run. One that passes alone is a defect of its test: mend it.
ALONE = { echo 'Running again, alone, what failed:' && \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1; }

# The job queues that `make bench` compares with stay out of the way of all else.
PEERS   := .venv-bench
COMPARED := $(PEERS)/.installed-$(shell cksum < requirements/bench.txt | tr ' ' '-')

# Any pip that Python 3.11 or newer brings will do, from 22.3 on.
PIP     := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --require-hashes
STEP    := @sh scripts/step

# --no-header and --no-emit-index-url: no command line, path or host gets into the files.
COMPILE := $(BIN)/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --no-header --no-emit-index-url

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) \
	| while IFS="$$(printf '\t')" read -r name text; do \
		printf '  %-9s %s\n' "$$name" "$$text"; done

.PHONY: install
install: $(INSTALLED) ## Make .venv and install everything, pinned and hashed

.PHONY: check
check: lint types imports test ## Run the whole gate: what must pass before a merge

.PHONY: test
test: $(INSTALLED) ## Run all tests on SQLite and on a Postgres of their own
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(SHUFFLED) || $(ALONE)

.PHONY: fresh
fresh: $(INSTALLED) ## Install into empty environments, and try the wheel in one
	$(BIN)/python -m pytest -n $(WORKERS) tests/fresh

.PHONY: docs
docs: $(INSTALLED) ## Type what the pages tell people to type, and say what is left out
	$(BIN)/python -m pytest -n $(WORKERS) tests/docs

.PHONY: coverage
coverage: $(INSTALLED) ## Run them again with coverage, which slows them by half
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term

.PHONY: lint
lint: $(INSTALLED) ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(INSTALLED) ## Check types
	$(BIN)/mypy

.PHONY: imports
imports: $(INSTALLED) ## Check that imports point downwards only
	$(BIN)/lint-imports

.PHONY: format
format: $(INSTALLED) ## Format, and mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: demo
demo: $(SERVICE) ## Watch every scenario end to end, on SQLite and the simulator
	$(BIN)/tiktok-scheduler demo

.PHONY: example
example: $(INSTALLED) ## Run the TypeScript example against the simulator; needs npm
	$(BIN)/python -m examples.typescript.run

.PHONY: compose-page
compose-page: $(INSTALLED) ## Show the compose page on the simulator; needs npm
	$(BIN)/python -m examples.compose.run

.PHONY: run
run: $(SERVICE) ## Serve the API on loopback, with settings from .env
	$(BIN)/tiktok-scheduler serve

.PHONY: chaos
chaos: $(INSTALLED) ## Kill processes and databases in the middle of posting; minutes
	$(BIN)/python -m chaos

.PHONY: bench
bench: $(INSTALLED) $(COMPARED) ## Measure; figures go to bench/results/
	$(BIN)/python -m bench

.PHONY: lock
lock: $(INSTALLED) ## Pin what pyproject.toml asks for, with hashes
	$(STEP) 'Installing what pins' $(INSTALL) --requirement requirements/lock.txt
	echo 'uv>=0.13' | $(COMPILE) - --output-file requirements/lock.txt
	echo 'hatchling>=1.27' | $(COMPILE) - --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --output-file requirements/base.txt
	$(COMPILE) pyproject.toml --extra otel --output-file requirements/otel.txt
	$(COMPILE) pyproject.toml --group dev --output-file requirements/dev.txt
	$(COMPILE) --group bench --output-file requirements/bench.txt
	$(BIN)/python scripts/pin_every_form.py requirements/*.txt

.PHONY: upgrade
upgrade: ## Pin the newest of everything that fits
	$(MAKE) lock UPGRADE=--upgrade

.PHONY: clean
clean: ## Remove .venv, caches and whatever else can be made again
	rm -rf $(VENV) $(PEERS) build dist htmlcov .coverage .coverage.* *.egg-info .hypothesis \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis \
		examples/typescript/dist examples/typescript/node_modules \
		examples/typescript/src/api.d.ts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" \
		|| { echo 'Python 3.11 or newer is needed: none found.' >&2; exit 1; }
	$(STEP) 'Making $(VENV)' $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo '$(PYTHON) cannot make a virtual environment: install its venv and' \
		'ensurepip modules (on Debian the package python3-venv).' >&2; exit 1; }

$(SERVICE): | $(BIN)/python
	$(STEP) 'Installing what the service needs' $(INSTALL) \
		--requirement requirements/base.txt --requirement requirements/build.txt
	$(STEP) 'Installing the service' \
		$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.service-*
	@touch $@

$(INSTALLED): | $(SERVICE)
	$(STEP) 'Installing tools and what tests need' $(INSTALL) \
		--requirement requirements/dev.txt
	@rm -f $(VENV)/.installed-*
	@touch $@

$(COMPARED): $(INSTALLED)
	@test -x $(PEERS)/bin/python || $(BIN)/python -m venv $(PEERS)
	$(STEP) 'Installing other job queues' $(PEERS)/bin/python -m pip install \
		--disable-pip-version-check --require-hashes --requirement requirements/bench.txt
	@rm -f $(PEERS)/.installed-*
	@touch $@
