# make demo   D, X and H answer questions about pictures        make check   lint, types, import directions, README
# make test   the default test suite                            make format  rewrite the code in the one format
# Each sets up what it needs first, once: .venv, with the versions of constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# two processes: each holds a copy of PyTorch, and most of the suite is one-threaded
TEST_WORKERS ?= 2
# the first of these that is new enough; `make demo PYTHON=/path/to/python` names another
PYTHONS := python3 python3.11 python3.12 python3.13 python3.14
PYTHON ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check format setup clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: $(STAMP) ## D, X and H answer the same questions about pictures, side by side
	$(BIN)/nvlm demo

test: $(STAMP) ## the default test suite: offline, no GPU
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(TEST_WORKERS)

check: $(STAMP) ## lint, format, types, import directions, the README's links and commands
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_imports.py tests/test_readme.py

format: $(STAMP) ## rewrite the code in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP) ## the environment alone

clean: ## remove the environment and every cache; keeps runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# PyTorch goes first and alone, in the constrained version: resolved together with the rest, a newer one may be taken.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	for python in $(or $(PYTHON),$(PYTHONS)); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
		echo "nvlm needs Python 3.11 or newer, and none of these is: $(or $(PYTHON),$(PYTHONS))." >&2; \
		echo "Install one, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version); this takes some minutes, once."; \
	"$$found" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
