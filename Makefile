# Commands of the project; each sets up .venv on first use. Another interpreter: make setup PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo sample test lint bench

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

# The whole benchmark on the bundled model, offline, on a CPU; the report is runs/demo/report/index.html.
demo: $(STAMP)
	$(BIN)/imagen-bench demo

# What the README shows, drawn again from the demo; a test tells when that is due.
sample: demo
	$(BIN)/imagen-bench report runs/demo --sample --out reports/sample

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict imagen_bench

# Speed as ratios measured in one run, ours beside other implementations; nothing here passes or fails.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps -r tests/benchmarks/peers.txt
	$(BIN)/python tests/benchmarks/imagen_speed.py
	$(BIN)/python tests/benchmarks/sampling_speed.py
	$(BIN)/python tests/benchmarks/metrics_speed.py
