# Two commands do everything on a fresh machine: `make demo` and `make test`; `make demo-train` has more trainings.
PYTHON ?= python3
VENV := .venv
# A comma inside the words of a call.
, := ,
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo demo-ask demo-install demo-cxr demo-ct demo-nasal demo-review demo-learn \
	demo-train demo-train-ct demo-train-nasal demo-train-npc bundles test lint check bench clean setup

# The demo's steps build on each other.
.NOTPARALLEL:

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

# $(call say,WORDS): a headline, what a step shows and how long it takes.
say = @printf '\n%s\n' "== $(1) =="

demo: demo-ask demo-review demo-learn  ## Every bundle asked with the weights that ship, answers in Label Studio, one training from scratch
	@echo "Pictures:    bundles/*/runs/demo_evaluate/*.png, bundles/*/runs/demo_inference/overlays"
	@echo "Figures:     bundles/*/runs/demo_evaluate/metrics.json and *.csv, $(CXR)/runs/demo_learned"
	@echo "Predictions: bundles/*/runs/demo_inference/predictions.jsonl"
	@echo "Runs:        mlflow/serve.sh, then http://127.0.0.1:5000"
	@$(REVIEW) serve --background $(REVIEW_DATA) --port $(REVIEW_PORT)
	@echo "It stays until: $(BIN)/python -m integrations.label_studio stop $(REVIEW_DATA)"
	@echo "More trainings: make demo-train"

demo-ask: demo-cxr demo-nasal demo-ct

# Label Studio is installed while the bundles are asked; `serve` waits for it, or tries again and says why it failed.
demo-install: $(READY)
	@nohup nice $(BIN)/python -c "from integrations.label_studio.server.installation import install; install()" >/dev/null 2>&1 &

demo-cxr: FILMS := --dataset_dir data/phantoms/demo_cxr --checkpoint $(CXR)/models/phantom/model.pt
demo-cxr: demo-install
	$(call say,Chest films (2 minutes): ask one film for three findings$(,) then judge the weights that ship on 100 films that they never saw)
	$(BIN)/python -m scripts phantoms cxr --output data/phantoms/demo_cxr --training 0 --validation 0 --test 100
	$(call run,cxr_localization,inference) $(FILMS) --films data/phantoms/demo_cxr/films/film-1-200000.png \
		--output_dir $(CXR)/runs/demo_inference
	$(call run,cxr_localization,evaluate) $(FILMS) --calibrate False \
		--output_dir $(CXR)/runs/demo_evaluate --run_name demo_evaluate
	@echo "Truth, heat map and regions: $(CXR)/runs/demo_evaluate/overlays.png"

demo-nasal: EXAMS := --dataset_dir data/phantoms/demo_nasal
demo-nasal: demo-install
	$(call say,Nasal exams (2 minutes): find and classify findings by sentences$(,) then screen the same exams for carcinoma)
	$(BIN)/python -m scripts phantoms nasal --output data/phantoms/demo_nasal --training 0 --validation 0 --test 40
	$(BIN)/python -m scripts phantoms nasal --output data/phantoms/demo_exams --training 0 --validation 0 --test 6 --seed 2
	$(call run,nasal_pretraining,inference) --exams data/phantoms/demo_exams/datalist.json \
		--checkpoint $(NASAL)/models/phantom/model.pt --output_dir $(NASAL)/runs/demo_inference
	$(call run,npc_screening,inference) --exams data/phantoms/demo_exams/datalist.json \
		--checkpoint $(NPC)/models/phantom/model.pt --output_dir $(NPC)/runs/demo_inference
	$(call run,nasal_pretraining,evaluate) $(EXAMS) --checkpoint $(NASAL)/models/phantom/model.pt --calibrate False \
		--output_dir $(NASAL)/runs/demo_evaluate --run_name demo_evaluate
	$(call run,npc_screening,evaluate) $(EXAMS) --checkpoint $(NPC)/models/phantom/model.pt --calibrate False \
		--output_dir $(NPC)/runs/demo_evaluate --run_name demo_evaluate
	@echo "Attention and heat maps: $(NASAL)/runs/demo_inference/overlays, $(NPC)/runs/demo_inference/overlays"

demo-ct: VOLUMES := --dataset_dir data/phantoms/demo_ct --checkpoint $(CT)/models/phantom/model.pt
demo-ct: demo-install
	$(call say,CT volumes (1 minute): ask one volume for 32 findings of 15 anatomies$(,) then judge the weights that ship on 12 volumes)
	$(BIN)/python -m scripts phantoms ct --output data/phantoms/demo_ct_raw --training 0 --validation 0 --test 12
	$(call run,ct_anatomy_zeroshot,inference) $(VOLUMES) --volumes data/phantoms/demo_ct_raw/volumes/volume-1-200000.nii.gz \
		--masks data/phantoms/demo_ct_raw/masks/volume-1-200000.nii.gz --output_dir $(CT)/runs/demo_inference
	$(BIN)/python -m scripts preprocess-ct data/phantoms/demo_ct_raw/datalist.json --output data/phantoms/demo_ct \
		--anatomies wide --spacing 5,5,6 --min_size 88,56,64
	$(call run,ct_anatomy_zeroshot,evaluate) $(VOLUMES) --calibrate False \
		--output_dir $(CT)/runs/demo_evaluate --run_name demo_evaluate
	@echo "Key slices with the evidence of their findings: $(CT)/runs/demo_inference/overlays"

demo-review: $(READY)
	$(call say,Label Studio (1 minute$(,) longer while it is being installed: 1 GB$(,) once): all answers as suggestions to accept or refuse)
	$(REVIEW) serve --background $(REVIEW_DATA) --port $(REVIEW_PORT)
	$(PUSH) $(CXR)/runs/demo_inference --project films --datalist data/phantoms/demo_cxr/datalist.json
	$(PUSH) $(NASAL)/runs/demo_inference --project findings --datalist data/phantoms/demo_exams/datalist.json
	$(PUSH) $(NPC)/runs/demo_inference --project screening --datalist data/phantoms/demo_exams/datalist.json
	$(PUSH) $(CT)/runs/demo_inference --project volumes --datalist data/phantoms/demo_ct_raw/datalist.json

# A larger set begins with the smaller one's films: these test films are those of demo-cxr. Small films keep a training from scratch to
# minutes; classification is learned in that time, localization takes the hour of the shipped weights.
SMALL_FILMS := --dataset_dir data/phantoms/demo_films --film_size 96
demo-learn: $(READY)
	$(call say,One training from scratch (13 minutes): 2$(,)000 small films and their reports$(,) no label; then zero-shot AUC on 100 other films)
	$(BIN)/python -m scripts phantoms cxr --output data/phantoms/demo_films --training 2000 --validation 100 --test 100
	$(call run,cxr_localization,train) $(SMALL_FILMS) --input_size 96 --max_epochs 10 --val_interval 5 \
		--output_dir $(CXR)/runs/demo_train --run_name demo_train
	$(call run,cxr_localization,evaluate) $(SMALL_FILMS) --checkpoint $(CXR)/runs/demo_train/checkpoint_last.pt \
		--output_dir $(CXR)/runs/demo_learned --run_name demo_learned --parent_run $(CXR)/runs/demo_train

demo-train: demo-train-ct demo-train-nasal demo-train-npc  ## Short trainings of the other bundles

demo-train-ct: VOLUMES := --dataset_dir data/phantoms/demo_ct_train
demo-train-ct: $(READY)
	$(call say,CT volumes: 200 volumes drawn and prepared$(,) ten epochs from scratch$(,) macro AUC of validation in MLflow)
	$(BIN)/python -m scripts phantoms ct --output data/phantoms/demo_ct_train_raw --training 200 --validation 25 --test 25
	$(BIN)/python -m scripts preprocess-ct data/phantoms/demo_ct_train_raw/datalist.json --output data/phantoms/demo_ct_train \
		--anatomies wide --spacing 5,5,6 --min_size 88,56,64
	$(call run,ct_anatomy_zeroshot,train) $(VOLUMES) --max_epochs 10 --output_dir $(CT)/runs/demo_train --run_name demo_train

demo-train-nasal: EXAMS := --dataset_dir data/phantoms/demo_nasal_train
demo-train-nasal: $(READY)
	$(call say,Nasal exams: 600 exams and their reports$(,) eight epochs from scratch; then retrieval and localization on 60 others)
	$(BIN)/python -m scripts phantoms nasal --output data/phantoms/demo_nasal_train --training 600 --validation 60 --test 60
	$(call run,nasal_pretraining,train) $(EXAMS) --output_dir $(NASAL)/runs/demo_train --run_name demo_train
	$(call run,nasal_pretraining,evaluate) $(EXAMS) --checkpoint $(NASAL)/runs/demo_train/checkpoint_last.pt \
		--output_dir $(NASAL)/runs/demo_learned --run_name demo_learned --parent_run $(NASAL)/runs/demo_train

demo-train-npc: STUDY := $(NPC)/configs/label_efficiency
demo-train-npc: $(READY)
	$(call say,Screening: what the pretraining that ships is worth in labels$(,) a small version of the study in $(NPC)/docs/results.md)
	$(BIN)/python -m scripts phantoms nasal --output data/phantoms/demo_study --training 150 --validation 30 --test 60
	rm -rf $(NPC)/runs/demo_study
	$(BIN)/python -m scripts label-efficiency $(STUDY).json,$(STUDY)_phantom.json,$(STUDY)_demo.json \
		--dataset_dir data/phantoms/demo_study --output $(NPC)/runs/demo_study --jobs 2 --threads 1

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
