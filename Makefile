# `make demo` and `make test` need git, make and Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test test-slow soak clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

install: $(VENV)/installed  ## progan in .venv

demo: $(VENV)/installed  ## the main job on drawn pictures: prepare, train 4x4 to 32x32, export, generate
	$(BIN)/python -m progan.datasets.synthetic demo/pictures --num 1000 --size 64
	$(BIN)/progan prepare demo/pictures demo/shapes --resolution 64
	$(BIN)/progan train demo --run demo/run
	rm -rf demo/generator
	$(BIN)/progan export demo/run demo/generator
	$(BIN)/progan generate demo/generator demo/grid.png --num 64
	@echo
	@echo "the picture:    demo/grid.png  (reals: demo/run/stages/0032/samples/reals.png)"
	@echo "the report:     demo/run/report.html"
	@echo "the generator:  demo/generator"
	@echo "the tracking:   demo/mlflow.db; look at it with:"
	@echo "  $(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/demo/mlflow.db"

test: $(VENV)/installed-test  ## linters, type check, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/pytest -m 'not slow'

test-slow: test  ## the same, then the tests that take minutes
	$(BIN)/pytest -m slow

soak: $(VENV)/installed-test  ## kill a small run 50 times; it must end with the same bytes (10 minutes)
	$(BIN)/python tests/helpers/programs/soak.py --kills 50

clean:  ## remove the environment and the demo
	rm -rf $(VENV) demo
