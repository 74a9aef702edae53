# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench clean setup

BUNDLE := bundles/cxr_localization
RUN := $(BIN)/python -m monai.bundle run --bundle_root $(BUNDLE)
DEMO := --dataset_dir data/phantoms/demo
SHIPPED := $(BUNDLE)/models/phantom/model.pt
with_phantom = --config_file "['$(BUNDLE)/configs/$(1).json','$(BUNDLE)/configs/phantom.json']"

demo: $(READY)  ## Phantom films; a short training from scratch; evaluation of it and of the weights that ship; one film asked
	$(BIN)/python -m scripts phantoms cxr --output data/phantoms/demo --training 1500 --validation 100 --test 150
	$(RUN) $(call with_phantom,train) $(DEMO) --max_epochs 4 --output_dir $(BUNDLE)/runs/demo_train --run_name demo_train
	@echo "\n== The network just trained, from scratch and for two minutes =="
	$(RUN) $(call with_phantom,evaluate) $(DEMO) --checkpoint $(BUNDLE)/runs/demo_train/checkpoint_last.pt \
		--output_dir $(BUNDLE)/runs/demo_scratch --run_name demo_scratch --training_run $(BUNDLE)/runs/demo_train
	@echo "\n== The weights that ship with the bundle, trained the same way for an hour =="
	$(RUN) $(call with_phantom,evaluate) $(DEMO) --checkpoint $(SHIPPED) --calibrate False \
		--output_dir $(BUNDLE)/runs/demo_evaluate --run_name demo_evaluate
	$(RUN) $(call with_phantom,inference) $(DEMO) --checkpoint $(SHIPPED) \
		--films data/phantoms/demo/films/film-1-200000.png --output_dir $(BUNDLE)/runs/demo_inference
	@echo "Figures:     $(BUNDLE)/runs/demo_evaluate/metrics.json, per_case.csv, overlays.png"
	@echo "Predictions: $(BUNDLE)/runs/demo_inference/predictions.jsonl"
	@echo "Runs:        $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5000, then http://127.0.0.1:5000"

test: $(READY)  ## The whole suite
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests

check: $(READY)  ## Style and quick tests
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

clean:  ## Remove what the demo wrote, and caches; your own runs, their tracking and the environment stay
	rm -rf data/phantoms/demo bundles/*/runs/demo_* .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
