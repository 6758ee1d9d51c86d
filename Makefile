# `make demo` and `make test` need git, make and Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The versions that the tests ran with.
INSTALL := $(BIN)/python -m pip install --quiet $(PIP_OPTIONS) --constraint requirements.lock --editable

# The tests of a module share a worker, and so its fixtures; tests/conftest.py orders the modules.
PYTEST := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --durations=30

.PHONY: help install demo check test test-slow test-nightly test-lowest docs lock soak compare clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml requirements.lock
	$(INSTALL) .
	@touch $@

$(VENV)/installed-test: $(BIN)/python pyproject.toml requirements.lock
	$(INSTALL) '.[test]'
	@touch $(VENV)/installed $@

install: $(VENV)/installed  ## progan in .venv

demo: $(VENV)/installed  ## the main job on drawn pictures: prepare, train 4x4 to 32x32, export, generate
	$(BIN)/python -m progan.datasets.synthetic demo/pictures --num 1000 --size 64 --simple
	$(BIN)/progan prepare demo/pictures demo/shapes --resolution 64
	$(BIN)/progan train shapes-32 --run demo/run
	rm -rf demo/generator
	$(BIN)/progan export demo/run demo/generator
	$(BIN)/progan generate demo/generator demo/grid.png --num 64
	@echo
	@echo "the picture:    demo/grid.png  (reals: demo/run/stages/0032/samples/reals.png)"
	@echo "the report:     demo/run/report.html"
	@echo "the generator:  demo/generator"
	@echo "the tracking:   demo/mlflow.db; look at it with:"
	@echo "  $(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/demo/mlflow.db"

check: $(VENV)/installed-test  ## linters, type check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests

test: check  ## the same, then the tests that take seconds (5 minutes)
	$(PYTEST) -m 'not slow and not nightly'

test-slow: check  ## the same, then all tests but the nightly ones
	$(PYTEST) -m 'not nightly'

test-nightly: $(VENV)/installed-test test-lowest  ## only what takes many minutes
	PROGAN_REQUIRE="$$PROGAN_REQUIRE buildah" $(PYTEST) -m nightly

LOWEST := .venv-lowest
test-lowest: $(VENV)/installed-test  ## the quick tests with the oldest libraries that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --seed --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[test]'
	PATH=$$PWD/$(LOWEST)/bin:$$PATH $(LOWEST)/bin/pytest -n auto --dist loadfile -m 'not slow and not nightly'
	rm -rf $(LOWEST)

$(VENV)/installed-docs: $(BIN)/python pyproject.toml requirements.lock
	$(INSTALL) '.[docs]'
	@touch $(VENV)/installed $@

docs: $(VENV)/installed-docs  ## the documentation as a site in build/site; links are checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "the documentation: build/site/index.html"

lock: $(VENV)/installed  ## requirements.lock anew, with the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	head -2 requirements.lock > requirements.lock.new
	$(BIN)/uv pip compile --quiet --all-extras --universal --python-version 3.11 --no-header --no-annotate \
	  pyproject.toml >> requirements.lock.new
	mv requirements.lock.new requirements.lock

soak: $(VENV)/installed-test  ## kill a small run 50 times: the same bytes; 200 steps on other ranks: the same curve
	$(BIN)/python tests/helpers/programs/soak.py --kills 50
	PROGAN_LONG_STEPS=200 $(BIN)/pytest tests/distributed/test_ranks_long.py

BASE ?= HEAD~1
COMPARED := build/compare
DIGESTS = tests/helpers/programs/step_digests.py
compare: $(VENV)/installed-test  ## BASE=COMMIT: does a step of every configuration give the same bits as there?
	rm -rf $(COMPARED) && git worktree prune && git worktree add --quiet --detach $(COMPARED)/base $(BASE)
	$(BIN)/python -m progan.datasets.synthetic $(COMPARED)/pictures --num 96 --size 16
	$(BIN)/progan prepare $(COMPARED)/pictures $(COMPARED)/shapes --resolution 16
	for tree in $(COMPARED)/base .; do for ranks in 1 2; do \
	  PYTHONPATH=$$PWD/$$tree/.imports:$$PWD/tests/helpers OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES= \
	  $(BIN)/torchrun --standalone --nproc-per-node=$$ranks $(DIGESTS) $(COMPARED)/shapes \
	  $(COMPARED)/$$(basename $$tree)-$$ranks.json || exit 1; done; done
	for ranks in 1 2; do PYTHONPATH=$$PWD/tests/helpers $(BIN)/python $(DIGESTS) --compare \
	  $(COMPARED)/base-$$ranks.json $(COMPARED)/.-$$ranks.json || exit 1; done
	git worktree remove --force $(COMPARED)/base

clean:  ## remove the environment, the demo and the site
	rm -rf $(VENV) demo build/site build/modules
