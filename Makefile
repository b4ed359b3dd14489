# `make demo` and `make test` do all their own set-up: a virtual environment in .venv, with the
# versions in constraints.txt. They need Python 3.11 or newer, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := engine fsm storage specs cli
TYPED := build/typed/statetape

.PHONY: demo test check bench crash fuzz docs format clean

demo: $(READY)
	$(BIN)/statetape demo

test: $(READY)
	$(BIN)/python -m pytest -q

check: $(READY) $(TYPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p statetape
	$(BIN)/python -m pytest -q tests/test_house_rules.py

bench: $(READY)
	$(BIN)/python -m tests.bench

# The long campaigns; `make test` runs a short version of each.
crash: $(READY)
	STATETAPE_CRASH_TRIALS=10000 POWERCUT_PER_MODE=40000 STATETAPE_FLIPS=100000 \
	$(BIN)/python -m pytest -q tests/crash tests/storage/test_flips.py

fuzz: $(READY)
	STATETAPE_FUZZ=100000 $(BIN)/python -m pytest -q tests/fuzz

# Regenerate what the documentation takes from the program.
docs: $(READY)
	$(BIN)/python -m tests.regenerate

format: $(READY)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# mypy finds the packages by their names, not by their folders.
$(TYPED):
	mkdir -p $(TYPED)
	for folder in $(SOURCES); do ln -sfn ../../../$$folder $(TYPED)/$$folder; done

$(READY): pyproject.toml setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bls,test,check]'
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
