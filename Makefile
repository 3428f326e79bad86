# `make demo` runs the main job, `make test` the tests; both set up their own .venv first.
PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
# A pip option line for where torch comes from, e.g. TORCH_INDEX="--index-url https://download.pytorch.org/whl/cpu"
# for a build without CUDA packages.
TORCH_INDEX ?=
SCENES  ?=
DEMO    ?= demo
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup demo test typecheck

.typecheck: pyproject.toml
	rm -rf .typecheck && mkdir -p .typecheck/dpedkit
	for f in dpedkit/*; do ln -s "../../$$f" .typecheck/dpedkit/; done
	for d in align capture db train; do ln -s "../../$$d" .typecheck/dpedkit/; done
