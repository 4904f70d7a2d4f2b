# mgdata: every command the README names. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OUT ?= demo
ENGINE ?= ray
WORKERS ?= 2
CORPORA ?= ../shared/corpora
LAYOUTS = got10k lasot trackingnet motchallenge

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-teacher test-vllm check real bench bench-gpu bench-vllm plan-full \
  pages schemas \
  constraints pins clean

help:  ## List what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | \
	  while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

# The stamp is as new as the last installation: a new entry point or pin installs again.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

setup: $(VENV)/.installed  ## Make the virtual environment

demo: setup  ## Synthetic corpora to a release you can load: OUT=demo ENGINE=ray WORKERS=2
	@for layout in $(LAYOUTS); do \
	  test -d $(OUT)/corpora/$$layout || \
	  $(BIN)/mgdata synth $$layout $(OUT)/corpora/$$layout --clips 8 --seed 7 || exit $$?; done
	@for layout in $(LAYOUTS); do echo "$$layout: $$layout"; done > $(OUT)/corpora/roots.yaml
	$(BIN)/mgdata run quickstart --roots $(OUT)/corpora/roots.yaml --out $(OUT)/run \
	  --engine $(ENGINE) --workers $(WORKERS)
	@printf 'gallery  ' && $(BIN)/mgdata view $(OUT)/run
	@echo; echo 'Reasoning data, by a teacher that is no model and makes faults:'
	$(BIN)/mgdata run teacher-demo --roots $(OUT)/corpora/roots.yaml --out $(OUT)/taught \
	  --engine $(ENGINE) --workers $(WORKERS)
	@printf 'gallery  ' && $(BIN)/mgdata view $(OUT)/taught

test: setup  ## Run the tests (under ten minutes)
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

test-teacher:  ## Run the teacher's tests on transformers, in .venv-transformers
	$(PYTHON) tests/environments/make.py transformers
	MGDATA_TEACHER=transformers .venv-transformers/bin/pytest tests/teacher_transformers

test-vllm:  ## Run the teacher's tests on vLLM's CPU build, in .venv-vllm
	$(PYTHON) tests/environments/make.py vllm
	MGDATA_TEACHER=vllm .venv-vllm/bin/pytest tests/teacher_vllm

check: setup  ## Lint, format, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

real: setup  ## Build from real corpora and check the release: CORPORA=folder
	@test -d "$(CORPORA)" || { echo "make real: there is no folder $(CORPORA); say CORPORA=folder" >&2; exit 3; }
	MGDATA_CORPORA="$(abspath $(CORPORA))" $(BIN)/pytest -m real

bench: setup  ## Measure the figures, each against its floor
	$(BIN)/python -m tests.benchmarks

bench-gpu:  ## Measure a model of 7B shape on transformers, where there is a GPU
	$(PYTHON) tests/environments/make.py transformers
	.venv-transformers/bin/python -m tests.benchmarks.gpu

bench-vllm:  ## Measure `answer` on vLLM against a bare call of it
	$(PYTHON) tests/environments/make.py vllm
	.venv-vllm/bin/python -m tests.benchmarks.vllm_answers

plan-full: setup  ## Plan the large recipes at published size and audit their groups
	$(BIN)/python -m tests.benchmarks.plan_full

pages: setup  ## Write docs/reference/ anew from the plug-ins' docstrings
	$(BIN)/python -m mgdata.pages

schemas: setup  ## Write schemas/ anew from the structs
	$(BIN)/python -m mgdata.stored

constraints: setup  ## Write constraints.txt anew from what is installed
	$(BIN)/pip list --format=freeze | grep -viE '^(mgdata|pip|setuptools|wheel)==' > constraints.txt

pins:  ## Write the pins in tests/environments/ anew
	$(PYTHON) tests/environments/make.py lock

clean:  ## Remove what was made here, the environments too
	rm -rf $(VENV) .venv-transformers .venv-vllm demo build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
