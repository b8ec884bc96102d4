# What a developer and the integration run do, each in one target; `make` lists them.
# Nothing has to be installed first but make and CPython 3.11, 3.12 or 3.13: `make setup` creates .venv/ with pip. For Linux and
# macOS; the README says what to type on Windows.

.DEFAULT_GOAL := help
.NOTPARALLEL:
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The first interpreter that runs, is in range and can create virtual environments. Another one: make setup PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)
# Dagster refuses a home that does not exist, and two processes must not create its databases at once.
define PREPARE_HOME
import os
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.settings import load_settings
settings = load_settings()
prepare_workdir(settings)
os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
from proteinx_pipelines.defs.history import create_history
create_history(settings)
print(settings.dagster_home)
endef
export PREPARE_HOME
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(READY) ## Create .venv/ with the pinned versions of everything; nothing to do while it is up to date

# On Linux the constraints name PyTorch with its CUDA libraries, gigabytes; the README says how to do without them.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "CPython 3.11, 3.12 or 3.13 with venv is needed: install one, or name it: make setup PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(VENV)/ with $(PYTHON) (minutes; on Linux with CUDA libraries, gigabytes)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

.PHONY: demo
demo: $(READY) ## Real measurements through a real queue, worker and daemon; two reports
	$(BIN)/proteinx demo

.PHONY: dev
dev: $(READY) ## Dagster's pages on the history of the node in WORKDIR, with the code of this folder
	@home=$$($(BIN)/python -c "$$PREPARE_HOME") && echo "DAGSTER_HOME=$$home" \
	&& DAGSTER_HOME="$$home" $(BIN)/dagster dev

.PHONY: docs
docs: $(READY) ## Write the generated pages: docs/flags.md, docs/api.md, docs/schemas/, the picture of the layers
	$(BIN)/proteinx flags --markdown > docs/flags.md
	$(BIN)/python -m proteinx_pipelines_tests.api_page > docs/api.md
	$(BIN)/python docs/making/layers_picture.py
	$(BIN)/python -m proteinx_pipelines.contract.schema proteinx_pipelines/contract/schemas docs/schemas

# Runs a set of tests and keeps its status: `again` has to know that each set ran to its end. One thread for each process:
# two processes whose threads wait for each other on two cores take four times as long for a boosted model.
ENDED := .pytest_cache/ended
define run_set
mkdir -p $(ENDED); rm -f $(ENDED)/$@; OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(1) $(PYTEST); status=$$?; echo $$status >$(ENDED)/$@; exit $$status
endef

.PHONY: site
site: $(READY) ## Build the documentation into site/, with every link checked; `proteinx docs` opens it
	$(BIN)/mkdocs build --strict --quiet

.PHONY: wheel
wheel: site ## Build the wheel into dist/, with documentation, site and examples
	rm -rf build
	$(PIP) wheel --quiet --no-deps --wheel-dir dist .
	rm -rf build

.PHONY: installed
installed: wheel ## The built wheel in an empty environment: proteinx demo, proteinx docs (minutes, gigabytes)
	$(BIN)/python -m proteinx_pipelines_tests.install_check wheel

.PHONY: extras
extras: wheel ## Each extra beside the pins: resolved, installed, used (many minutes): make extras ONLY="mcp png"
	$(BIN)/python -m proteinx_pipelines_tests.install_check extras $(ONLY)

.PHONY: test
test: unit slow story ## Unit tests (about five minutes on two cores), longer ones, then story tests with a real server, worker and daemon

.PHONY: unit
unit: $(READY) ## Unit tests alone
	@$(call run_set,-m "not story and not slow" -n 2)

.PHONY: slow
slow: $(READY) ## Longer tests alone: trainings, several processes, many examples
	@$(call run_set,-m "slow and not story" -n 2 --durations=5)

# Nodes wait more than they compute: two at a time. The stories of a file share its node and are told in order.
.PHONY: story
story: $(READY) ## Story tests alone: whole nodes, two at a time, the stories of a file in order
	@$(call run_set,-m story -n 2 --dist loadfile -p no:randomly -o timeout=900 --durations=10)

.PHONY: again
again: $(READY) ## The tests that failed last time, once more, one at a time; only where each set ran to its end
	@for set in unit slow story; do \
		case "$$(cat $(ENDED)/$$set 2>/dev/null)" in \
			0|1) ;; \
			*) echo "make $$set did not run to its end; nothing is run again." >&2; exit 1 ;; \
		esac; \
	done
	$(BIN)/python -m pytest -q -n 0 -p no:randomly --last-failed --last-failed-no-failures=none $(PYTEST)

.PHONY: chaos
chaos: $(READY) ## Parts of a node killed at random: make chaos MESSAGES=200 EVERY=10 SEED=7; or a fault of its own: SCENARIO=redis
ifdef SCENARIO
	CHAOS_FULL=1 $(if $(SEED),CHAOS_SEED=$(SEED)) $(if $(JOBS),CHAOS_JOBS=$(JOBS)) $(if $(MESSAGES),CHAOS_MESSAGES=$(MESSAGES)) \
	$(BIN)/python -m pytest -q -s -p no:randomly -o timeout=7200 \
	proteinx_pipelines_tests/chaos/test_*$(SCENARIO)*.py $(PYTEST)
else
	$(BIN)/python -m proteinx_pipelines_tests.chaos.run --messages $(or $(MESSAGES),200) --every $(or $(EVERY),10) \
	$(if $(SEED),--seed $(SEED))
endif

.PHONY: soak
soak: $(READY) ## Many small experiments through one node; memory, descriptors, disk, Redis: make soak EXPERIMENTS=1000
	$(BIN)/python benchmarks/soak.py --experiments $(or $(EXPERIMENTS),1000)

.PHONY: bench
bench: $(READY) ## Every benchmark with three repeats, on a quiet machine; peers as recorded: make bench ONLY="selection files"
	$(BIN)/python benchmarks/run.py $(if $(ONLY),--only $(ONLY))

.PHONY: bench-full
bench-full: $(READY) ## Every benchmark with five repeats and its peers beside it (half an hour or more); records them
	$(BIN)/python benchmarks/run.py --full $(if $(ONLY),--only $(ONLY))

.PHONY: check
check: $(READY) ## Format, lint, spelling, types and the import rule
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/python -m pytest -q proteinx_pipelines_tests/test_layers.py
	env NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir .pytest_cache/site

.PHONY: format
format: $(READY) ## Write the format that check asks for, and what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: clean
clean: ## Remove .venv/ and caches; experiments stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build dist site
