"""The bundle as its users run it: train, evaluate, infer, on a handful of phantom films; two ranks; resume."""

import json
import math

import pandas as pd
import pytest
import torch
from monai.bundle import ConfigWorkflow

from scripts.cases.kind import case_id
from scripts.datalists.datalist import load_datalist, save_datalist
from scripts.kinds.image import finding_mask
from scripts.phantoms.cxr import write_phantoms
from scripts.predictions.masks import read_mask
from scripts.predictions.predictions import read_predictions
from tests.bundles.commands import TWO_RANKS, Bundle, tracked

CXR = Bundle("cxr_localization")
SMALL = ["--max_epochs", "1", "--batch_size", "8", "--widen_factor", "0.25", "--film_size", "96", "--input_size", "96"]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, training=24, validation=16, test=16, seed=3, workers=1)
    return folder


@pytest.fixture(scope="module")
def shared(films, tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    return ["--dataset_dir", films, "--tracking_uri", f"sqlite:///{store}"]


@pytest.fixture(scope="module")
def trained(shared, tmp_path_factory):
    output = tmp_path_factory.mktemp("train")
    CXR.run(("train", "phantom"), *shared, *SMALL, "--output_dir", output)
    return output


@pytest.fixture(scope="module")
def evaluated(trained, shared, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluate")
    checkpoint = ["--checkpoint", trained / "checkpoint_last.pt", "--film_size", "96", "--parent_run", trained]
    arguments = [*shared, *checkpoint, "--output_dir", output, "--published_protocol", "True"]
    text = CXR.run(("evaluate", "phantom"), *arguments)
    return output, text


@pytest.mark.slow
def test_training_leaves_what_the_next_steps_need(trained, shared):
    for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
        state = torch.load(trained / name, weights_only=True)
        assert {"network", "optimizer", "lr_scheduler", "image_encoder", "text_encoder", "random_states"} <= set(state)
    assert (trained / "text_model" / "vocab.txt").is_file()
    assert (trained / "mlflow_run_id").is_file()
    metrics, figures = tracked(trained, shared[3])
    names = ("loss", "recall_at_5", "alignment", "uniformity_images", "uniformity_texts")
    assert all(math.isfinite(metrics[f"val/{name}"]) for name in names)
    assert [figure.startswith("heat_maps") for figure in figures] == [True]


@pytest.mark.slow
def test_evaluation_writes_figures_with_intervals(evaluated, trained):
    output, text = evaluated
    metrics = json.loads((output / "metrics.json").read_text())
    everything = metrics["localization"]["all"]
    assert everything["cases"] == len([row for row in pd.read_csv(output / "per_case.csv")["cnr"] if row == row])
    for measure in ("pointing", "cnr", "miou", "mdice"):
        assert everything[measure]["lower"] <= everything[measure]["estimate"] <= everything[measure]["upper"]
    assert metrics["shown"]["negated"]["estimate"] == metrics["shown"]["not_groundable"]["estimate"] == 0
    assert 0 <= metrics["false_regions_at_80_recall"]["rate"] <= 1
    assert 0 <= metrics["classification"]["macro"]["auc"]["estimate"] <= 1
    assert (output / "overlays.png").stat().st_size > 10_000
    assert (trained / "calibration_published.pt").is_file() and not (trained / "calibration.pt").exists()
    assert (output / "published" / "metric.csv").is_file()
    assert "pointing game" in text


@pytest.mark.slow
def test_films_with_boxes_alone_are_evaluated_without_a_calibration(trained, films, shared, tmp_path):
    """As MS-CXR is: a test split alone, no labels."""
    cases = load_datalist(films / "datalist.json").split("test")
    records = [{key: value for key, value in case.items() if key != "labels"} for case in cases]
    save_datalist(tmp_path / "datalist.json", "cxr", {"test": records}, name="boxes", description="test alone")
    where = [*shared, "--dataset_dir", tmp_path, "--output_dir", tmp_path / "out"]
    choice = ["--calibrate", "False", "--calibration", "False", "--film_size", "96", "--truth", "boxes", "--prompts", "cxr"]
    checkpoint = ["--checkpoint", trained / "checkpoint_last.pt"]
    text = CXR.run(("evaluate", "phantom"), *where, *checkpoint, *choice)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(metrics) == {"localization"} and "region_iou" not in metrics["localization"]["all"]
    assert metrics["localization"]["all"]["cases"] == sum(len(record["findings"]) for record in records)
    assert "pointing game" in text and (tmp_path / "out" / "overlays.png").is_file()
    rows = pd.read_csv(tmp_path / "out" / "per_case.csv").query("kind == 'present'")
    finding, row = records[0]["findings"][0], rows[rows["case_id"] == case_id(records[0])].iloc[0]
    truth = finding_mask({"boxes": finding["boxes"]}, read_mask(finding["mask"]).shape)
    assert row["area_fraction"] == pytest.approx(truth.mean())


@pytest.mark.slow
def test_inference_on_one_film_from_the_command_line(evaluated, trained, films, tmp_path):
    film = films / json.loads((films / "datalist.json").read_text())["test"][0]["image"]
    arguments = ["--checkpoint", trained / "checkpoint_last.pt", "--film_size", "96", "--films", film, "--output_dir", tmp_path]
    phrases = ["--phrases", "['left pleural effusion','no pneumothorax']"]
    calibration = ["--calibration", trained / "calibration_published.pt"]
    CXR.run(("inference", "phantom"), *arguments, *phrases, *calibration)
    (case,) = read_predictions(tmp_path)
    assert case["images"] == [str(film)]
    denied = [finding for finding in case["findings"] if finding.text == "no pneumothorax"]
    assert len(denied) == 1 and denied[0].mask is None and denied[0].probability == 0


@pytest.mark.slow
def test_two_ranks_train(shared, tmp_path):
    arguments = [*shared, *SMALL, "--batch_size", "4", "--output_dir", tmp_path]
    CXR.run(("train", "phantom", "multi_gpu_train"), *arguments, launcher=TWO_RANKS)
    assert (tmp_path / "checkpoint_last.pt").is_file()
    states = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["random_states"]
    assert len(states) == 2


def test_train_has_what_monai_tools_look_for(films, tmp_path):
    workflow = ConfigWorkflow(
        workflow_type="train",
        config_file=[str(CXR.folder / "configs" / name) for name in ("train.json", "phantom.json")],
        meta_file=str(CXR.folder / "configs" / "metadata.json"),
        logging_file=False,
        bundle_root=CXR.root,
        dataset_dir=str(films),
        output_dir=str(tmp_path),
    )
    workflow.initialize()
    assert not workflow.check_properties()
