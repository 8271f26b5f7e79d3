# Each target makes the virtual environment it needs first; the second time that is already there.
VENV ?= .venv
BIN := $(VENV)/bin

# A screen for the tests, where there is none. macOS needs no X server.
ifeq ($(shell uname),Linux)
ifeq ($(DISPLAY),)
SCREEN := xvfb-run -a -s "-screen 0 1600x1000x24"
endif
endif

# Tests run in so many processes, one of which has all windows.
WORKERS ?= 2

# Of each reader.
FUZZ_SECONDS ?= 60

# Through every step of a soak.
SPECIMENS ?= 20000

.DEFAULT_GOAL := help
.PHONY: help demo test lint coverage bench fuzz mutants soak figures screenshots docs clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# Stamps: the package is installed with these extras, as pyproject.toml has them now.
$(VENV)/.with-%: pyproject.toml .ci/install
	.ci/install $* $(VENV)
	@touch $@

demo: $(VENV)/.with-all ## draw specimens, train, embed, cluster; opens napari where there is a display
	$(BIN)/phenoscape demo

test: $(VENV)/.with-test ## run the test suite; ARGS are pytest's, e.g. ARGS="-k envi"
	$(SCREEN) $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(VENV)/.with-dev ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

coverage: $(VENV)/.with-dev ## which lines of the core the suite reaches; below 92 % it fails
	$(SCREEN) $(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term:skip-covered $(ARGS)

bench: $(VENV)/.with-test ## time against the alternatives; ONLY=augment for one file
	$(SCREEN) $(BIN)/python -m tests.benchmarks $(ONLY)

fuzz: $(VENV)/.with-fuzz ## damage files by coverage, each reader so long; FUZZ_SECONDS=600 ONLY=tiff
	$(BIN)/python -m tests.fuzz $(FUZZ_SECONDS) $(ONLY)

mutants: $(VENV)/.with-mutants ## plant faults that the tests must find; ONLY=losses for one room
	$(BIN)/python docs/measure_mutants.py $(ONLY)

soak: $(VENV)/.with-test ## very many specimens through every step, killed and disturbed; SPECIMENS=100000
	$(BIN)/python -m tests.soak $(SPECIMENS)

figures: $(VENV)/.with-mutants ## figures and numbers of the pages, for hours; ONLY=pretrained
	$(SCREEN) $(BIN)/python docs/make_figures.py $(ONLY)

screenshots: $(VENV)/.with-test ## draw every dock, and the tutorial, in a real window into docs/images
	$(SCREEN) $(BIN)/python docs/make_screenshots.py
	$(SCREEN) $(BIN)/python docs/make_walk.py
	$(SCREEN) $(BIN)/python docs/make_walk.py --size 1280x800 --theme light --out docs/images/small

docs: $(VENV)/.with-docs ## build the documentation into docs/site/
	$(BIN)/python docs/make_configuration.py
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python docs/make_command_line.py
	$(BIN)/zensical build --clean --strict -f docs/zensical.toml

clean: ## remove what was made, the virtual environment too
	rm -rf $(VENV) build dist docs/.cache docs/site .pytest_cache .mypy_cache .ruff_cache .hypothesis fuzz mutants
