# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo demo-cxr demo-ct demo-nasal demo-review bundles test lint check bench clean setup

# $(call run,BUNDLE,CONFIG): a bundle's config with its phantom overlay.
run = $(BIN)/python -m monai.bundle run --bundle_root bundles/$(1) \
	--config_file "['bundles/$(1)/configs/$(2).json','bundles/$(1)/configs/phantom.json']"
CXR := bundles/cxr_localization
CT := bundles/ct_anatomy_zeroshot
NASAL := bundles/nasal_pretraining
NPC := bundles/npc_screening
# The demo's Label Studio is always the local one.
REVIEW_PORT ?= 8080
REVIEW_DATA := --data data/label_studio_demo
REVIEW := env -u LABEL_STUDIO_URL -u LABEL_STUDIO_TOKEN $(BIN)/python -m integrations.label_studio
PUSH := $(REVIEW) push $(REVIEW_DATA) --url http://127.0.0.1:$(REVIEW_PORT)

demo: demo-cxr demo-ct demo-nasal demo-review  ## Each bundle: phantoms, a short training from scratch, evaluation also of the weights that ship, one case asked; all pushed to Label Studio
	@echo "Figures:     bundles/*/runs/demo_evaluate/metrics.json, *.csv, *.png"
	@echo "Predictions: bundles/*/runs/demo_inference/predictions.jsonl"
	@echo "Runs:        mlflow/serve.sh, then http://127.0.0.1:5000"
	@$(REVIEW) serve --background $(REVIEW_DATA) --port $(REVIEW_PORT)
	@echo "It stays until: $(BIN)/python -m integrations.label_studio stop $(REVIEW_DATA)"

demo-cxr: FILMS := --dataset_dir data/phantoms/demo_cxr
demo-cxr: $(READY)
	$(BIN)/python -m scripts phantoms cxr --output data/phantoms/demo_cxr --training 800 --validation 100 --test 150
	$(call run,cxr_localization,train) $(FILMS) --max_epochs 3 --output_dir $(CXR)/runs/demo_train --run_name demo_train
	@printf '\n%s\n' "== The network just trained, from scratch, on 800 films and for three epochs =="
	$(call run,cxr_localization,evaluate) $(FILMS) --checkpoint $(CXR)/runs/demo_train/checkpoint_last.pt \
		--output_dir $(CXR)/runs/demo_scratch --run_name demo_scratch --parent_run $(CXR)/runs/demo_train
	@printf '\n%s\n' "== The weights that ship with the bundle, trained the same way for an hour =="
	$(call run,cxr_localization,evaluate) $(FILMS) --checkpoint $(CXR)/models/phantom/model.pt --calibrate False \
		--output_dir $(CXR)/runs/demo_evaluate --run_name demo_evaluate
	$(call run,cxr_localization,inference) $(FILMS) --checkpoint $(CXR)/models/phantom/model.pt \
		--films data/phantoms/demo_cxr/films/film-1-200000.png --output_dir $(CXR)/runs/demo_inference

demo-ct: VOLUMES := --dataset_dir data/phantoms/demo_ct
demo-ct: $(READY)
	$(BIN)/python -m scripts phantoms ct --output data/phantoms/demo_ct_raw --training 50 --validation 25 --test 50
	$(BIN)/python -m scripts preprocess-ct data/phantoms/demo_ct_raw/datalist.json --output data/phantoms/demo_ct \
		--anatomies wide --spacing 5,5,6 --min_size 88,56,64
	$(call run,ct_anatomy_zeroshot,train) $(VOLUMES) --max_epochs 4 --output_dir $(CT)/runs/demo_train --run_name demo_train
	@printf '\n%s\n' "== The weights that ship with the bundle =="
	$(call run,ct_anatomy_zeroshot,evaluate) $(VOLUMES) --checkpoint $(CT)/models/phantom/model.pt --calibrate False \
		--output_dir $(CT)/runs/demo_evaluate --run_name demo_evaluate
	$(call run,ct_anatomy_zeroshot,inference) $(VOLUMES) --checkpoint $(CT)/models/phantom/model.pt \
		--volumes data/phantoms/demo_ct_raw/volumes/volume-1-200000.nii.gz --masks data/phantoms/demo_ct_raw/masks/volume-1-200000.nii.gz --output_dir $(CT)/runs/demo_inference

demo-nasal: EXAMS := --dataset_dir data/phantoms/demo_nasal
demo-nasal: STUDY := $(NPC)/configs/label_efficiency
demo-nasal: $(READY)
	$(BIN)/python -m scripts phantoms nasal --output data/phantoms/demo_nasal --training 150 --validation 30 --test 60
	$(call run,nasal_pretraining,train) $(EXAMS) --max_epochs 2 --output_dir $(NASAL)/runs/demo_train --run_name demo_train
	@printf '\n%s\n' "== The weights that ship with the bundle =="
	$(call run,nasal_pretraining,evaluate) $(EXAMS) --checkpoint $(NASAL)/models/phantom/model.pt --calibrate False \
		--output_dir $(NASAL)/runs/demo_evaluate --run_name demo_evaluate
	@printf '\n%s\n' "== What these weights are worth in labels, a small version of the study in $(NPC)/docs/README.md =="
	rm -rf $(NPC)/runs/demo_study
	$(BIN)/python -m scripts label-efficiency $(STUDY).json,$(STUDY)_phantom.json,$(STUDY)_demo.json \
		--dataset_dir data/phantoms/demo_nasal --output $(NPC)/runs/demo_study --jobs 2 --threads 1
	$(BIN)/python -m scripts phantoms nasal --output data/phantoms/demo_exams --training 0 --validation 0 --test 6 --seed 2
	$(call run,nasal_pretraining,inference) --exams data/phantoms/demo_exams/datalist.json \
		--checkpoint $(NASAL)/models/phantom/model.pt --output_dir $(NASAL)/runs/demo_inference
	$(call run,npc_screening,inference) --exams data/phantoms/demo_exams/datalist.json \
		--checkpoint $(NPC)/models/phantom/model.pt --output_dir $(NPC)/runs/demo_inference

demo-review: $(READY)
	@printf '\n%s\n' "== Label Studio, on this machine alone (the first time it is installed: 1 GB) =="
	$(REVIEW) serve --background $(REVIEW_DATA) --port $(REVIEW_PORT)
	$(PUSH) $(CXR)/runs/demo_inference --project films --datalist data/phantoms/demo_cxr/datalist.json
	$(PUSH) $(NASAL)/runs/demo_inference --project findings --datalist data/phantoms/demo_exams/datalist.json
	$(PUSH) $(NPC)/runs/demo_inference --project screening --datalist data/phantoms/demo_exams/datalist.json
	$(PUSH) $(CT)/runs/demo_inference --project volumes --datalist data/phantoms/demo_ct_raw/datalist.json

# Two processes at a time, a thread each: more would wait for each other on two cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

test: $(READY)  ## The whole suite
	$(PYTEST) tests

lint: $(READY)  ## Style, and which room imports which (the contracts in pyproject.toml)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

check: lint  ## Style, imports and quick tests
	$(PYTEST) -m "not slow" tests

bench: $(READY)  ## Speed and memory, each beside a plain implementation
	$(BIN)/python -m tests.benchmarks

bundles: $(READY)  ## Each bundle exported, unpacked in an empty folder and run there; TorchScript and ONNX beside it
	$(BIN)/python -m tests.export

setup: $(READY)

# Made anew when the pinned packages change.
$(READY): requirements.txt requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' requirements.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:  ## Remove what the demo wrote, and caches; your own runs, their tracking and the environment stay
	-test ! -x $(BIN)/python || $(REVIEW) stop $(REVIEW_DATA)
	rm -rf data/phantoms/demo_* data/label_studio_demo bundles/*/runs/demo_* .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
