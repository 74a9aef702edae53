"""The bundle as its users run it: train, resume, evaluate, infer, on a handful of phantom exams; bad exams; two ranks."""

import json
import math
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigParser, ConfigWorkflow
from PIL import Image

from scripts.datalists.datalist import load_datalist
from scripts.files.errors import UserError
from scripts.handlers import CheckpointHandler
from scripts.predictions.predictions import read_predictions
from tests.bundles.commands import Bundle, tracked
from tests.bundles.nasal_exams import BROKEN, small_exams

NASAL = Bundle("nasal_pretraining")
NETWORK = {"widen_factor": 0.125, "embedding_size": 32, "image_size": 64, "batch_size": 4, "max_epochs": 1}
SMALL = [part for name, value in NETWORK.items() for part in (f"--{name}", value)]


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    return small_exams(tmp_path_factory)


@pytest.fixture(scope="module")
def shared(exams, tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    return ["--dataset_dir", exams, "--tracking_uri", f"sqlite:///{store}"]


@pytest.fixture(scope="module")
def trained(shared, tmp_path_factory):
    output = tmp_path_factory.mktemp("train")
    NASAL.run(("train", "phantom"), *shared, *SMALL, "--output_dir", output)
    return output


@pytest.fixture(scope="module")
def evaluated(trained, shared, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluate")
    where = ["--checkpoint", trained / "checkpoint_last.pt", "--output_dir", output, "--parent_run", trained]
    text = NASAL.run(("evaluate", "phantom"), *shared, "--image_size", 64, "--pictures", 4, *where)
    return output, text


def workflow(exams, output, **overrides):
    """A training in this process, without tracking."""
    flow = ConfigWorkflow(
        workflow_type="train",
        config_file=[str(NASAL.folder / "configs" / name) for name in ("train.json", "phantom.json")],
        meta_file=str(NASAL.folder / "configs" / "metadata.json"),
        logging_file=False,
        bundle_root=NASAL.root,
        dataset_dir=str(exams),
        output_dir=str(output),
        tracker={"_target_": "tests.bundles.commands.NoTracker"},
        **{**NETWORK, **overrides},
    )
    flow.initialize()
    return flow


@pytest.mark.slow
def test_training_leaves_what_the_next_steps_need(trained, shared):
    for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
        state = torch.load(trained / name, weights_only=True)
        assert {"network", "optimizer", "lr_scheduler", "random_states"} <= set(state)
        assert {"image_encoder", "text_encoder", "patch_level"} <= set(state)
        assert state["preprocessing"]["image_size"] == 64
    assert (trained / "text_model" / "vocab.txt").is_file() and (trained / "mlflow_run_id").is_file()
    metrics, figures = tracked(trained, shared[3])
    names = ("loss", "recall_at_5", "alignment", "uniformity_images", "uniformity_texts")
    assert all(math.isfinite(metrics[f"val/{name}"]) for name in names)
    assert [figure.startswith("heat_maps") for figure in figures] == [True]


@pytest.mark.slow
def test_an_exam_without_a_readable_image_is_set_aside(trained):
    rejected = [json.loads(line) for line in (trained / "rejected.jsonl").read_text().splitlines()]
    assert [entry["case_id"] for entry in rejected] == [BROKEN] and "broken.png" in rejected[0]["reason"]


@pytest.mark.slow
def test_a_run_that_stopped_within_an_epoch_ends_as_if_it_had_not(exams, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    workflow(exams, whole, max_epochs=2).run()
    flow = workflow(exams, stopped, max_epochs=2, save_every_iterations=1)
    trainer = flow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=trainer.state.epoch_length + 2), lambda engine: engine.terminate())
    flow.run()
    workflow(exams, stopped, max_epochs=2, resume=True).run()
    states = [torch.load(folder / "checkpoint_last.pt", weights_only=True) for folder in (whole, stopped)]
    assert states[0]["iteration"] == states[1]["iteration"]
    assert all(torch.equal(states[1]["network"][key], value) for key, value in states[0]["network"].items())


@pytest.mark.slow
def test_evaluation_writes_figures_with_intervals(evaluated, trained, exams):
    output, text = evaluated
    metrics = json.loads((output / "metrics.json").read_text())
    cases = load_datalist(exams / "datalist.json").split("test")
    assert metrics["retrieval"]["cases"] == len(cases)
    for way in ("exam_to_report", "report_to_exam"):
        recalls = [metrics["retrieval"][way][f"recall_at_{k}"]["estimate"] for k in (1, 5, 10)]
        assert recalls == sorted(recalls) and 0 <= recalls[0] <= 1
    for kind in ("assignment", "selection"):
        part = metrics[kind]["all"]
        assert part["hit"]["lower"] <= part["hit"]["estimate"] <= part["hit"]["upper"] and 0 < part["chance"] < 1
    everything = metrics["localization"]["all"]
    found = pd.read_csv(output / "per_finding.csv")
    placed = sum(1 for case in cases for finding in case["findings"] if finding.get("mask"))
    assert len(found) == everything["cases"] == placed
    for measure in ("pointing", "cnr", "miou", "region_iou"):
        assert everything[measure]["lower"] <= everything[measure]["estimate"] <= everything[measure]["upper"]
    rows = pd.read_csv(output / "per_exam.csv")
    assert dict(zip(rows["case_id"], rows["truth"], strict=True)) == {case["exam_id"]: case["label"] for case in cases}
    assert np.allclose(rows[["NOR", "BH", "NPC"]].sum(axis=1), 1, atol=1e-4)
    assert np.sum(metrics["confusion"]["counts"]) == len(cases)
    assert (output / "overlays.png").stat().st_size > 10_000 and (trained / "calibration.pt").is_file()
    assert re.search(r"^localization +cases", text, re.MULTILINE) and "assignment all" in text


@pytest.mark.slow
def test_inference_in_the_images_own_pixels(evaluated, trained, exams, tmp_path):
    record = load_datalist(exams / "datalist.json").split("test")[0]
    folder = tmp_path / "exam"
    folder.mkdir()
    for index, image in enumerate(record["images"]):
        shutil.copy(image, folder / f"{index}.png")
    (folder / "broken.png").write_bytes(b"no picture")  # after the digits: the others keep their places
    where = ["--checkpoint", trained / "checkpoint_last.pt", "--exams", folder, "--prompts", exams / "prompts.json"]
    NASAL.run(("inference", "phantom"), *where, "--image_size", 64, "--output_dir", tmp_path / "out")
    (case,) = read_predictions(tmp_path / "out")
    assert len(case["images"]) == len(record["images"]) + 1
    labels = [finding.label for finding in case["findings"]]
    assert labels[:3] == ["NOR", "BH", "NPC"] and set(json.loads((exams / "prompts.json").read_text())) == set(labels)
    assert sum(finding.probability for finding in case["findings"][:3]) == pytest.approx(1, abs=1e-4)
    for finding in case["findings"][3:]:
        assert finding.image_index < len(record["images"])
        if finding.mask:
            size = Image.open(case["images"][finding.image_index]).size
            assert Image.open(finding.mask).size == size
    embeddings = np.load(tmp_path / "out" / "embeddings.npz")
    assert embeddings["exams"].shape == (1, 32) and embeddings["image_index"].tolist() == list(range(len(record["images"])))
    assert embeddings["attention"].sum() == pytest.approx(1, abs=1e-4)
    assert len(list((tmp_path / "out" / "overlays").glob("*.png"))) == 1


@pytest.mark.slow
def test_two_ranks_train(shared, tmp_path):
    arguments = [*shared, *SMALL, "--output_dir", tmp_path]
    NASAL.run(("train", "phantom", "multi_gpu_train"), *arguments, ranks=2)
    assert len(torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["random_states"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"region_weight": 0, "finding_weight": 0, "patch_weight": 0}, {"duplicates": "negatives"}])
def test_ablations_train(exams, tmp_path, change):
    workflow(exams, tmp_path, **change).run()
    assert (tmp_path / "checkpoint_best.pt").is_file()


def test_held_out_centres_are_pretrained_without(exams, tmp_path):
    parser = workflow(exams, tmp_path, held_out_sites=["centre A", "centre C"]).parser
    for part in ("train", "validate"):
        assert {record["site"] for record in parser.get_parsed_content(f"{part}#dataset").data} == {"centre B"}
    handlers = parser.get_parsed_content("train#handlers")
    (kept,) = (handler.preprocessing for handler in handlers if isinstance(handler, CheckpointHandler))
    assert kept["held_out"] == ["centre A", "centre C"] and kept["centres"] == ["centre B"]
    with pytest.raises((UserError, RuntimeError)) as caught:
        workflow(exams, tmp_path, held_out_sites=["center A"])
    assert "held_out_sites names center A" in str(caught.value) + str(caught.value.__cause__)


def test_an_exam_whose_report_is_its_impression_alone_is_evaluated(exams):
    parser = ConfigParser()
    parser.read_config([NASAL.folder / "configs" / f"{name}.json" for name in ("evaluate", "phantom")])
    parser.update({"image_size": 64, "dataset_dir": str(exams), "cache_dir": None})
    record = load_datalist(exams / "datalist.json").split("test")[0]
    prepare = parser.get_parsed_content("preprocessing")
    assert prepare(dict(record))["sentences"]
    assert prepare({**record, "report": "Impression: Suspected NPC."})["sentences"] == []


def test_train_has_what_monai_tools_look_for(exams, tmp_path):
    assert not workflow(exams, tmp_path).check_properties()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda splits: splits["test"].append({**splits["training"][0], "exam_id": "again"}), "patient in two splits"),
        (lambda splits: splits["training"][1].update(report="  "), "empty report"),
        (lambda splits: splits["training"][1].update(images=[]), "images"),
    ],
)
def test_bad_exams_are_refused_before_anything_runs(exams, tmp_path, change, says):
    content = json.loads((exams / "datalist.json").read_text())
    change(content)
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    with pytest.raises((UserError, RuntimeError)) as caught:
        workflow(exams, tmp_path / "out", datalist=str(tmp_path / "datalist.json"))
    assert says in str(caught.value) + str(caught.value.__cause__)
