# The verbs of the house. `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := embedded,roads,accelerator,ml,mlflow,peers,maps,web,dev
ARGS ?=
BUILT := api/dashboard/built/index.html
STAMP := $(VENV)/.installed
WARM := $(VENV)/.compiled

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint style imports type bench fuzz docs dashboard clean

help:  ## List the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(STAMP) $(WARM) $(BUILT)  ## Install everything into .venv, build the dashboard, compile the rules, make the roads

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Outrider needs Python 3.11: no '$(PYTHON)' on PATH (set PYTHON=/path/to/python3.11)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv resolves and unpacks several times faster than pip; where it can't be had, pip does the same. Bytecode is made here,
# because some machines forbid Python to leave any, and every process then compiles its sources at its start.
$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || true
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[$(EXTRAS)]'; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'; fi
	@$(BIN)/python -m compileall -q -j 0 models engine api pipelines outrider bench
	@touch $@

# Whoever starts with rules that changed waits for half a minute of compiling, in the midst of the fleet: so it is done here.
RULES := $(shell grep -rlE "(import|,) (estimate_|road_|search_)?rule" --include=*.py engine models)
$(WARM): $(RULES) engine/compiled.py models/geo.py | $(STAMP)
	@$(BIN)/python -m engine.shards.warm_up
	@$(BIN)/python -m engine.roads.warm_up
	@$(BIN)/python -m engine.routing.warm_up
	@touch $@

DASHBOARD_SOURCES := $(shell find dashboard -type f -not -path '*/node_modules/*' 2>/dev/null)
$(BUILT): $(DASHBOARD_SOURCES) | $(STAMP)
	@$(BIN)/python -m api.dashboard.build

dashboard: $(BUILT)  ## Build the dashboard when its sources have changed

demo: setup  ## Plan a fleet's morning and drive it on the live map (ARGS="--seconds 60 --json" passes arguments on)
	@$(BIN)/outrider demo $(ARGS)

# Side by side, whole files of tests share the cores, each side with stores and a stack of its own: first what needs a
# store or nothing, then what needs Ray or a whole Outrider. What kills parts of one under load runs by itself.
SIDE_BY_SIDE := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --numprocesses 2
test: setup  ## Run all tests against real stores, a real Ray and a real browser (ARGS="tests/unit" runs some)
ifeq ($(ARGS),)
	@failed=0; \
	$(SIDE_BY_SIDE) tests/unit tests/contract || failed=1; \
	$(SIDE_BY_SIDE) tests/cluster tests/e2e || failed=1; \
	$(BIN)/python -m pytest tests/chaos || failed=1; \
	exit $$failed
else
	@$(BIN)/python -m pytest $(ARGS)
endif

lint: style imports type  ## Check style, types and import contracts

style: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

imports: $(STAMP)
	@$(BIN)/lint-imports

type: $(STAMP)  ## Check types alone
	@$(BIN)/mypy

bench: setup  ## Measure ingest, latency and memory on this machine
	@$(BIN)/outrider bench ingest --transport ws --batch 100 --drivers 10000 --connections 8 --seconds 15 $(ARGS)
	@$(BIN)/outrider bench latency --rate 50000 --subscribers 4 $(ARGS)
	@$(BIN)/outrider bench memory --drivers 100000 $(ARGS)

fuzz: setup  ## Ask a whole Outrider everything its OpenAPI document allows, for ten minutes
	@$(BIN)/python -m tests.fuzz --seconds 600 $(ARGS)

docs: setup  ## Write the reference pages from the code
	@$(BIN)/outrider docs

clean:  ## Remove what was built, but no data
	rm -rf $(VENV) api/dashboard/built dashboard/node_modules
