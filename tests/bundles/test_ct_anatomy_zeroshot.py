"""The CT bundle as its users run it: prepare, train, evaluate, infer, on a handful of phantom volumes; two ranks; the baseline."""

import json
import math

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.bundle import ConfigWorkflow

from scripts.datalists.datalist import load_datalist
from scripts.phantoms.ct import write_phantoms
from scripts.predictions.predictions import read_predictions
from scripts.preparation.prepare import prepare_datalist
from scripts.weights import load_network
from tests.bundles.commands import TWO_RANKS, Bundle, tracked

CT = Bundle("ct_anatomy_zeroshot")
SIZE = "[48,48,56]"
SMALL = ["--volume_size", SIZE, "--window", SIZE]
NETWORK = ["--hidden_size", "32", "--layers", "2", "--levels", "[0]", "--stem", "[4]", "--batch_size", "4", "--max_epochs", "1"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("phantoms") / "ct_raw", training=8, validation=6, test=5, seed=3, workers=1)


@pytest.fixture(scope="module")
def prepared(raw):
    folder = raw.parent.parent / "ct"
    prepare_datalist(raw, folder, "wide", spacing=(8, 8, 10), min_size=(48, 48, 56), workers=1)
    return folder


@pytest.fixture(scope="module")
def shared(prepared, tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    return ["--dataset_dir", prepared, "--tracking_uri", f"sqlite:///{store}", *SMALL[:2]]


@pytest.fixture(scope="module")
def trained(shared, tmp_path_factory):
    output = tmp_path_factory.mktemp("train")
    CT.run(("train", "phantom"), *shared, *NETWORK, "--output_dir", output)
    return output


@pytest.fixture(scope="module")
def evaluated(trained, shared, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluate")
    where = ["--checkpoint", trained / "checkpoint_last.pt", "--output_dir", output, "--parent_run", trained]
    text = CT.run(("evaluate", "phantom"), *shared, *SMALL[2:], *where, "--published_protocol", "True")
    return output, text


@pytest.mark.slow
def test_training_leaves_what_the_next_steps_need(trained, shared):
    state = torch.load(trained / "checkpoint_last.pt", weights_only=True)
    assert {"network", "optimizer", "lr_scheduler", "volume_encoder", "text_encoder", "anatomies", "random_states"} <= set(state)
    assert state["preprocessing"]["volume_size"] == [48, 48, 56] and len(state["anatomies"]) == 15
    assert (trained / "text_model" / "vocab.txt").is_file() and (trained / "mlflow_run_id").is_file()
    metrics, figures = tracked(trained, shared[3])
    names = ("loss", "auc_macro", "alignment", "uniformity_images", "uniformity_texts")
    assert all(math.isfinite(metrics[f"val/{name}"]) for name in names)
    assert [figure.startswith("heat_maps") for figure in figures] == [True]


@pytest.mark.slow
def test_evaluation_writes_figures_with_intervals(evaluated, trained, prepared):
    output, text = evaluated
    metrics, rows = json.loads((output / "metrics.json").read_text()), pd.read_csv(output / "per_case.csv")
    cases = load_datalist(prepared / "datalist.json").split("test")
    assert len(rows) == sum(len(case["labels"]) for case in cases)
    assert metrics["macro"]["auc"]["lower"] <= metrics["macro"]["auc"]["estimate"] <= metrics["macro"]["auc"]["upper"]
    assert set(metrics["groups"]) == set(rows["anatomy"])
    truth = {(case["volume_id"], label): value for case in cases for label, value in case["labels"].items()}
    assert all(truth[row.case_id, row.label] == row.truth for row in rows.itertuples())
    assert rows["score"].notna().all() and rows["calibrated"].between(0, 1).all()
    assert (trained / "calibration.pt").is_file() and (output / "auc.png").stat().st_size > 5_000
    assert "mean" in set(pd.read_csv(output / "published_metrics.csv")["label"]) and "macro" in text


@pytest.mark.slow
def test_inference_on_what_a_scanner_wrote(evaluated, trained, raw, prepared, tmp_path):
    record = load_datalist(raw).split("test")[0]
    where = ["--volumes", record["image"], "--masks", record["anatomy_mask"], "--output_dir", tmp_path, "--dataset_dir", prepared]
    CT.run(("inference", "phantom"), *where, *SMALL, "--spacing", "[8,8,10]", "--checkpoint", trained / "checkpoint_last.pt")
    (case,) = read_predictions(tmp_path)
    volume = nib.load(record["image"])
    assert case["domain"] == "ct" and case["images"] == [record["image"]]
    shown = [finding for finding in case["findings"] if finding.saliency]
    assert shown and len(case["findings"]) >= len(record["labels"])
    assert (tmp_path / "overlays" / f"{case['case_id']}.png").stat().st_size > 10_000
    for finding in shown:
        saliency = nib.load(finding.saliency)
        assert saliency.shape == volume.shape and np.allclose(saliency.affine, volume.affine, atol=1e-4)
        axis = int(np.abs(nib.affines.apply_affine(volume.affine, np.eye(3)) - volume.affine[:3, 3])[:, 2].argmax())
        assert 0 <= finding.key_slice < volume.shape[axis]
        assert 0 < saliency.get_fdata().max() <= 1 + 1e-6  # 255 steps of 1/255 in float32


@pytest.mark.slow
def test_two_ranks_train(shared, tmp_path):
    arguments = [*shared, *NETWORK, "--batch_size", "2", "--output_dir", tmp_path]
    CT.run(("train", "phantom", "multi_gpu_train"), *arguments, launcher=TWO_RANKS)
    assert len(torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["random_states"]) == 2


@pytest.mark.slow
def test_a_pair_of_networks_on_two_ranks_leaves_one_to_use(shared, tmp_path):
    arguments = [*shared, *NETWORK, "--batch_size", "2", "--output_dir", tmp_path, "--co_teaching_weight", "0.3"]
    CT.run(("train", "phantom", "multi_gpu_train"), *arguments, launcher=TWO_RANKS)
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    partner, teachers = state["extra"]["partner"], state["extra"]["teachers"]
    assert (
        state["network"].keys() == partner.keys() == {name[len("0.module.") :] for name in teachers if name.startswith("0.module.")}
    )
    assert teachers["0.n_averaged"] == teachers["1.n_averaged"] == state["iteration"]
    learned = "volume_encoder.blocks.0.mlp.linear1.weight"
    assert not torch.equal(state["network"][learned], partner[learned])
    load_network("FVLM", tmp_path / "checkpoint_last.pt").load_state_dict(state["network"])
    CT.run(("train", "phantom", "multi_gpu_train"), *arguments, "--resume", "True", launcher=TWO_RANKS)


@pytest.mark.slow
def test_the_baseline_contrasts_whole_volumes(shared, tmp_path):
    CT.run(("train", "phantom", "global"), *shared, *NETWORK, "--output_dir", tmp_path)
    where = ["--checkpoint", tmp_path / "checkpoint_last.pt", "--output_dir", tmp_path / "out", "--calibrate", "False"]
    CT.run(("evaluate", "phantom", "global"), *shared, *SMALL[2:], *where, "--calibration", "False")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics["groups"]) == ["whole volume"]


def test_train_has_what_monai_tools_look_for(prepared, tmp_path):
    workflow = ConfigWorkflow(
        workflow_type="train",
        config_file=[str(CT.folder / "configs" / name) for name in ("train.json", "phantom.json")],
        meta_file=str(CT.folder / "configs" / "metadata.json"),
        logging_file=False,
        bundle_root=CT.root,
        dataset_dir=str(prepared),
        output_dir=str(tmp_path),
        volume_size=[48, 48, 56],
    )
    workflow.initialize()
    assert not workflow.check_properties()
    network = workflow.parser.get_parsed_content("network_def")
    assert workflow.parser.get_parsed_content("trained") is network and workflow.parser.get_parsed_content("partner") is None
    optimizer = workflow.parser.get_parsed_content("optimizer")
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters() if p.requires_grad)
