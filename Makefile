# The targets use the active interpreter if it runs this checkout, else an environment in .venv that they make.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup demo sweep test test-slow test-kill test-slurm lint bench bench-full bench-data bench-loading bench-startup

RUNS_HERE := import importlib.util, pathlib, sys, sbanet; \
	here = pathlib.Path(sbanet.__file__).resolve().is_relative_to(pathlib.Path("src").resolve()); \
	sys.exit(not (here and importlib.util.find_spec("lightning")))

ifndef PYTHON
ifeq ($(shell python3 -c '$(RUNS_HERE)' 2>/dev/null && echo yes),yes)
PYTHON := python3
else
PYTHON := .venv/bin/python
ENVIRONMENT := .venv/.complete
endif
endif

# One thread a process: two processes with two threads each are slower on two cores than with one.
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(ENVIRONMENT) ## make the environment, unless the active one runs this checkout
	@$(PYTHON) -c 'import sys, sbanet; print("sbanet", sbanet.__version__, "runs with", sys.executable)'

demo: $(ENVIRONMENT) ## train two models on drawn scenes, compare them, write runs/demo/index.html
	$(PYTHON) -m sbanet.demo

sweep: $(ENVIRONMENT) ## train SBANet and it without each of its modules, three seeds each, and compare; again: what is missing
	$(PYTHON) -m sbanet.train -m experiment=ablation_modules recipe=aeroscenes_short sweep.parallel=2
	$(PYTHON) -m sbanet.report runs/ablation_modules baseline=variant=sbanet format=html,markdown out=runs/ablation_modules/report.html

test: $(ENVIRONMENT) ## run the tests that take seconds
	$(PYTEST)

test-slow: $(ENVIRONMENT) ## run the tests that take minutes
	$(PYTEST) -m slow || [ $$? -eq 5 ] # 5: there is none

test-kill: $(ENVIRONMENT) ## kill runs at random moments and compare them with undisturbed ones
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m kill

test-slurm: $(ENVIRONMENT) ## sweep on a SLURM that the tests start (slurm-wlm and munge, as root)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m slurm

bench: $(ENVIRONMENT) ## measure speed and memory beside the peers' way, write benchmarks/results/speed.md
	$(PYTHON) benchmarks/speed.py

bench-full: bench ## and how time and memory grow, write benchmarks/results/curves.md
	$(PYTHON) benchmarks/curves.py

bench-data: $(ENVIRONMENT) ## measure how fast data is read, write benchmarks/results/data.json
	OMP_NUM_THREADS=1 $(PYTHON) benchmarks/data.py

bench-loading: $(ENVIRONMENT) ## measure whether reading data holds training back, write benchmarks/results/loading.json
	$(PYTHON) benchmarks/loading.py

bench-startup: $(ENVIRONMENT) ## measure how soon the commands answer, write benchmarks/results/startup.json
	OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH} $(PYTHON) benchmarks/startup.py

lint: $(ENVIRONMENT) ## ruff and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

.venv/.complete: pyproject.toml requirements.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sbanet needs Python 3.11 or newer; python3 is $$(python3 --version)"; exit 1; }
	python3 -m venv .venv
	.venv/bin/python -m pip install --constraint requirements.lock --editable '.[dev,slurm]'
	touch $@
