# quickspine: `make` alone prints this help.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A machine with an NVIDIA driver gets TensorFlow's CUDA libraries too.
LOCK := $(if $(shell command -v nvidia-smi 2>/dev/null),requirements-cuda.lock,requirements.lock)
OUTSIDE := $(PATH)
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Into .venv, whatever a person's pip settings say of --user, --target and --prefix.
PIP = env -u PIP_TARGET -u PIP_PREFIX -u PIP_ROOT PIP_USER=0 $(BIN)/python -m pip

.DEFAULT_GOAL := help
.PHONY: help setup params repro preset compare test test-all check format ui sync plan report example bench soak lock clean

help:  ## Print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready  ## Make .venv from the hashed lock (two minutes, once)

# It knows its project's folder: of a copied or moved project it would run the other copy's code.
ifneq ($(shell cat $(VENV)/ready 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/ready
endif

$(VENV)/ready: $(LOCK)
	@export PATH="$(OUTSIDE)"; $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "quickspine needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.11" >&2; exit 2; }
	@echo "setting up $(VENV) from $(LOCK)"
	@PATH="$(OUTSIDE)" $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --quiet --disable-pip-version-check --compile --require-hashes -r $(LOCK)
	@$(PIP) install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo '$(CURDIR)' > $@

params: setup
	@python -m quickspine.inputs

repro: params  ## Run what is not up to date: fetch, preprocess, tfrecords, train, finetune, evaluate
	@dvc repro

preset: setup  ## Merge a preset into params.yaml (NAME=quick; without NAME: say which there are)
	@python -m quickspine.presets $(if $(findstring command,$(origin NAME)),'$(NAME)')

compare: setup  ## Show the experiments side by side: the params and results that differ
	@dvc exp show --md --only-changed --drop 'Created|Executor|models$$|(data|src|pipeline)/'

test: setup  ## Run the tests that take minutes: units, one pipeline, one browser, one kill
	@$(PYTEST) -m 'core or not (slow or faults or browser)'

test-all: setup  ## Run every test (QUICKDRAW_MIRROR=folder adds those on real drawings)
	@$(PYTEST)

test-rest: setup  # what `make test` leaves out
	@$(PYTEST) -m '(slow or faults or browser) and not core'

PYTEST = python -m pytest -q --numprocesses $(if $(findstring command,$(origin JOBS)),$(JOBS),2) \
  --dist loadfile --no-loadscope-reorder

check: setup  ## ruff, mypy and the layers of the house
	@ruff check . && ruff format --check . && mypy && mypy --explicit-package-bases tests && \
	  lint-imports --no-logo

format: setup  ## Format the code
	@ruff format . && ruff check --fix .

ui: setup  ## Browse the runs in MLflow on 127.0.0.1 (PORT=5000)
	@python -m quickspine.tracking.ui --port $(if $(findstring command,$(origin PORT)),$(PORT),5000)

sync: setup  ## Record in MLflow the runs that it could not take when they ended
	@python -m quickspine.tracking.sync

plan: params  ## Show which stages `make repro` would run, and why
	@python -m quickspine.plan

report: setup  ## Say where the report is, and the result in words
	@python -m quickspine.evaluation.show

example: setup  ## Compare heads on regression, and write docs/regression.md (three minutes)
	@python -m examples.regression

bench: setup  ## Measure against plain PyTorch and Keras on this machine (ARGS="--quick whole")
	@python -m benchmarks $(ARGS)

soak: setup  ## Kill `dvc repro` at 50 random moments, compare every byte (KILLS=50, an hour)
	@python -m tests.soak --kills $(or $(KILLS),50)

lock: setup  ## Write requirements.lock and requirements-cuda.lock anew from pyproject.toml
	@uv pip compile pyproject.toml --extra dev $(UV_LOCK) -o requirements.lock
	@uv pip compile pyproject.toml --extra dev --extra cuda $(UV_LOCK) -o requirements-cuda.lock

UV_LOCK := --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11

clean:  ## Remove outputs, checkpoints and caches (not mlruns/, not .venv)
	@rm -rf data models evaluation dvc_plots .quickspine .import_linter_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
