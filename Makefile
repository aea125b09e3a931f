# All set-up happens in .venv, out of `pyproject.toml` alone, the first time and whenever that file has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo serve test bench check clean

help: ## Show what there is to make
	@awk -F ': .*## ' '/^[a-z]+: .*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.product ## Show the main job, offline; ends by itself
	@$(BIN)/loyalty-adapter demo

serve: $(VENV)/.product ## Run the product on SQLite in ./data until Ctrl-C
	@$(BIN)/loyalty-adapter serve

test: $(VENV)/.tests ## Run all tests, ruff and mypy among them
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 --cov --cov-report term:skip-covered --cov-fail-under 95

bench: $(VENV)/.tests ## Measure speed, as ratios of one run
	@$(BIN)/python -m tests.bench

check: $(VENV)/.tests ## Check style, types and the house rules, without the other tests
	@$(BIN)/python -m pytest -q tests/test_house.py

clean: ## Remove the environment and what tools left behind; ./data stays
	@rm -rf $(VENV) .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.product: $(VENV)/.python pyproject.toml
	@echo "setting up $(VENV) …" >&2
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.tests: $(VENV)/.python pyproject.toml
	@echo "setting up $(VENV) with the tools for the tests …" >&2
	@$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/.product
