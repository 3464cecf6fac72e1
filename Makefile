# Everything runs in a virtual environment of its own. Python 3.11 or newer and a package
# index are all that a machine needs: `make test` on a bare clone installs the rest.

VENV    := .venv
BIN     := $(VENV)/bin
WORKERS ?= 2

# The first interpreter that is new enough; `make PYTHON=…` overrides it.
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$candidate && break; done)

# Named after what is installed: new requirements mean a new stamp.
INSTALLED := $(VENV)/.installed-$(shell cat requirements/dev.txt pyproject.toml \
	| cksum | tr ' ' '-')

# The job queues that `make bench` compares with stay out of the way of all else.
PEERS   := .venv-bench
COMPARED := $(PEERS)/.installed-$(shell cksum < requirements/bench.txt | tr ' ' '-')

PIP     := $(BIN)/python -m pip --quiet --disable-pip-version-check

# --no-strip-extras: pip before 23.3 takes `coverage` and `coverage[toml]` for two things, and
# wants each of them pinned.
# --no-header and --no-emit-index-url: no command line, path or host gets into the files.
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
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
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

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
demo: $(INSTALLED) ## Watch every scenario end to end, on SQLite and the simulator
	$(BIN)/tiktok-scheduler demo

.PHONY: example
example: $(INSTALLED) ## Run the TypeScript example against the simulator; needs npm
	$(BIN)/python -m examples.typescript.run

.PHONY: compose-page
compose-page: $(INSTALLED) ## Show the compose page on the simulator; needs npm
	$(BIN)/python -m examples.compose.run

.PHONY: run
run: $(INSTALLED) ## Serve the API on loopback, with settings from .env
	$(BIN)/tiktok-scheduler serve

.PHONY: chaos
chaos: $(INSTALLED) ## Kill processes and databases in the middle of posting; minutes
	$(BIN)/python -m chaos

.PHONY: bench
bench: $(INSTALLED) $(COMPARED) ## Measure; figures go to bench/results/
	$(BIN)/python -m bench

.PHONY: lock
lock: $(INSTALLED) ## Pin the newest fitting dependencies, with hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	echo 'hatchling>=1.27' | $(COMPILE) - --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --output-file requirements/base.txt
	$(COMPILE) pyproject.toml --extra otel --output-file requirements/otel.txt
	$(COMPILE) pyproject.toml --group dev --output-file requirements/dev.txt
	$(COMPILE) --group bench --output-file requirements/bench.txt

.PHONY: clean
clean: ## Remove .venv, caches and whatever else can be made again
	rm -rf $(VENV) $(PEERS) build dist htmlcov .coverage .coverage.* *.egg-info .hypothesis \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis \
		examples/typescript/dist examples/typescript/node_modules \
		examples/typescript/src/api.d.ts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED):
	@test -n "$(PYTHON)" \
		|| { echo 'Python 3.11 or newer is needed: none found.' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo '$(PYTHON) cannot make a virtual environment: install its venv and' \
		'ensurepip modules (on Debian the package python3-venv).' >&2; exit 1; }
	$(PIP) install --require-hashes --requirement requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@

$(COMPARED): $(INSTALLED)
	@test -x $(PEERS)/bin/python || $(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install \
		--require-hashes --requirement requirements/bench.txt
	@rm -f $(PEERS)/.installed-*
	@touch $@
