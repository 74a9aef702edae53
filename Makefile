# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench clean setup

demo: $(READY)  ## Make phantom films, train, evaluate, infer; prints a table and where to look
	$(BIN)/python -m tests.demo

test: $(READY)  ## The whole suite
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests

check: $(READY)  ## Style and quick tests, under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow" tests

bench: $(READY)  ## Speed and memory, each beside a plain implementation
	$(BIN)/python -m tests.benchmarks

setup: $(READY)

# Made anew when the pinned packages change.
$(READY): requirements.txt requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' requirements.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:  ## Remove what runs and demos wrote; the environment stays
	rm -rf data/phantoms bundles/*/runs mlflow.db mlartifacts .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
