# `make` alone lists what there is. Every target installs what it needs first, and nothing twice: see scripts/setup.

PYTHON_VENV := .venv/bin/python
PYTEST_ARGS ?=

# What `make demo` runs: your own SCRIPT with your own rest, or else the example with its own.
SCRIPT ?=
ifeq ($(SCRIPT),)
SCRIPT := examples/digits/train.py
DATA ?= examples/digits/data
REQUIREMENTS ?= examples/digits/requirements.txt
CONFIG ?= examples/digits/config.json
endif
export SCRIPT DATA REQUIREMENTS CONFIG OUT PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-gpu lint format bench screenshots proto lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## the whole job, end to end, on this machine (SCRIPT= DATA= REQUIREMENTS= CONFIG= OUT= for your own)
	@scripts/setup system venv docker image
	@scripts/with-docker $(PYTHON_VENV) -m p2p.engine.demo --script "$$SCRIPT" \
	  $(if $(DATA),--data "$$DATA") $(if $(REQUIREMENTS),--requirements "$$REQUIREMENTS") \
	  $(if $(CONFIG),--config "$$CONFIG") $(if $(OUT),--out "$$OUT")

test: ## every test but the long ones and those that need a GPU (PYTEST_ARGS= for pytest's own options)
	@scripts/setup system dev docker image browser gui
	@scripts/with-docker $(PYTHON_VENV) -m pytest -m 'not long and not gpu' $(PYTEST_ARGS)

test-long: export HYPOTHESIS_PROFILE = long
test-long: ## the long tests too, and fifty times as many examples for every rule
	@scripts/setup system dev docker image browser gui
	@scripts/with-docker $(PYTHON_VENV) -m pytest -m 'not gpu' $(PYTEST_ARGS)

test-gpu: ## the tests that need an NVIDIA GPU
	@scripts/setup system dev docker image
	@scripts/with-docker $(PYTHON_VENV) -m pytest -m gpu $(PYTEST_ARGS)

lint: ## style, types, import rules, generated code, the rebuilt on-chain program
	@scripts/setup system dev escrow
	@scripts/lint

format: ## let ruff put the code in order
	@scripts/setup system dev
	@.venv/bin/ruff check --fix-only --quiet . ; .venv/bin/ruff format .

bench: ## every benchmark, each beside its reference (BENCH="name ..." for some)
	@scripts/setup system dev docker image gui screen electrum
	@scripts/with-docker scripts/bench $(BENCH)

screenshots: ## pictures of every page of both windows, light and dark, into docs/images/
	@scripts/setup system dev docker image gui screen
	@scripts/with-docker scripts/screenshots

proto: ## generate p2p/wire/gen from proto/
	@scripts/setup system dev
	@$(PYTHON_VENV) scripts/gen_proto.py

lock: ## resolve pyproject.toml anew into requirements/*.txt (needs the network)
	@scripts/setup system dev
	@scripts/lock

clean: ## remove what can be made again: .venv, caches (not the Docker image, not any data)
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
