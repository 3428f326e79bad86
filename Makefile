# make demo   the main job on a simulated rig, into ./demo (SCENES=FOLDER points the cameras at your photos)
# make test   the test suite
# make check  format, lint, types, docs and tests: what CI runs
# make bench  measures, and rewrites docs/benchmarks.md
# make soak   the full counts of kills and faults, where it was stopped before it goes on
# make docs   rewrites the README's list of commands
# Each sets up its own virtual environment first, with the versions of constraints.txt.

PYTHON ?= python3
VENV   ?= .venv
DEMO   ?= demo
SCENES ?=
# Where pip takes torch from. For a build without CUDA packages (hundreds of MB instead of gigabytes):
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# Test processes side by side: more than two processors need, since half of the tests wait for simulated devices.
WORKERS ?= 3

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check format bench soak docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.ready
	$(BIN)/dpedkit demo $(DEMO) $(if $(SCENES),--scenes $(SCENES))

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: $(VENV)/.ready-dev typecheck
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(MAKE) test

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(VENV)/.ready-dev
	$(BIN)/python tests/soak/run.py --jobs 2; status=$$?; $(BIN)/python tests/bench/run.py --page; exit $$status

bench: $(VENV)/.ready-dev
	$(BIN)/python tests/bench/run.py

docs: $(VENV)/.ready-dev
	$(BIN)/python tests/docs/commands.py

clean:
	rm -rf $(VENV) typecheck build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dpedkit needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing dpedkit into $(VENV); the first time takes a few minutes"
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) --editable ".[all]"
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready tests/system_packages.sh
	$(PIP) --editable ".[all,dev]"
	sh tests/system_packages.sh
	@touch $@

# Type checkers cannot follow an editable install's mapping of folders to packages: they get a tree of links.
typecheck: pyproject.toml $(wildcard dpedkit/*)
	rm -rf typecheck && mkdir -p typecheck/dpedkit
	for f in dpedkit/*; do ln -s "../../$$f" typecheck/dpedkit/; done
	for d in align capture db train; do ln -s "../../$$d" typecheck/dpedkit/; done
