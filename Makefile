# make demo     environment and the main job on embedded data
# make test     environment and every test
# make test-fast  the tests without a whole run
# make mutants  changes that break the guarantee, each of which a test must notice
# make lint     style, types, one-way imports
# make format   fix what the style check can fix
# make docs     pages of every module in build/docs, from the docstrings
# make lock     new lock files after a change of pyproject.toml
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALLED := $(VENV)/.installed
FFCV := $(VENV)/.ffcv
SLURM := $(VENV)/.slurm
PACKAGES := accounting configs datamodules evaluation evolution launch lightning_modules privimage semantics
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Tests fork, which OpenMP threads do not survive; and they start many interpreters, which read bytecode if it is kept.
TESTING := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header

.PHONY: env demo test test-fast mutants lint format docs lock clean

env: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "PrivImage needs Python 3.11 or newer; give it as make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes --requirement requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: $(INSTALLED)
	$(BIN)/privimage run demo

test: $(INSTALLED) $(FFCV) $(SLURM)
	$(TESTING) $(BIN)/python -m pytest $(PARALLEL)

test-fast: $(INSTALLED)
	$(TESTING) $(BIN)/python -m pytest $(PARALLEL) -m "not slow" --hypothesis-profile fast

mutants: $(INSTALLED)
	$(BIN)/python -m tests.mutants

# FFCV compiles against OpenCV and libjpeg-turbo. Where they cannot be had, its tests skip and say so.
$(FFCV): $(INSTALLED) requirements-ffcv.lock tests/install_ffcv.sh
	@sh tests/install_ffcv.sh $(UV) $(BIN)/python
	@touch $@

$(SLURM): $(INSTALLED) tests/install_slurm.sh
	@sh tests/install_slurm.sh
	@touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED)
	$(BIN)/pdoc --docformat google --output-directory build/docs $(PACKAGES)

lock: $(INSTALLED)
	$(COMPILE) --extra dev pyproject.toml --output-file requirements.lock
	$(COMPILE) --extra dev --extra ffcv --constraint requirements.lock pyproject.toml --output-file requirements-ffcv.lock

clean:
	rm -rf $(VENV) build dist *.egg-info
