"""The bundle as its users run it: train from a pretrained checkpoint and from random weights, evaluate, infer; bad input."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from scripts.datalists.datalist import load_datalist
from scripts.files.errors import UserError
from scripts.networks import ExamClassifier
from scripts.predictions.predictions import read_predictions
from scripts.weights import load_network
from tests.bundles.commands import Bundle
from tests.bundles.nasal_exams import BROKEN, small_exams
from tests.small_nasvlm import SIZE, new_network, write_text_model

SCREENING = Bundle("npc_screening")
NETWORK = {"image_size": 64, "batch_size": 4, "max_epochs": 2, "least_exams_per_epoch": 8}
SMALL = [part for name, value in NETWORK.items() for part in (f"--{name}", value)]


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    return small_exams(tmp_path_factory)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A pretrained checkpoint, as far as its form goes."""
    folder = tmp_path_factory.mktemp("pretrained")
    network = new_network(write_text_model(folder / "text_model"))
    about = {"network_class": "NasVLM", "preprocessing": {"image_size": 64}}
    state = {"network": network.state_dict(), **about, **network.architecture}
    torch.save(state, folder / "checkpoint_last.pt")
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def shared(exams, tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    return ["--dataset_dir", exams, "--tracking_uri", f"sqlite:///{store}"]


@pytest.fixture(scope="module")
def probed(shared, start, tmp_path_factory):
    output = tmp_path_factory.mktemp("train")
    SCREENING.run(("train", "phantom", "linear_probe"), *shared, *SMALL, "--pretrained_checkpoint", start, "--output_dir", output)
    return output


@pytest.fixture(scope="module")
def evaluated(probed, shared, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluate")
    where = ["--checkpoint", probed / "checkpoint_best.pt", "--output_dir", output, "--parent_run", probed]
    text = SCREENING.run(("evaluate", "phantom"), *shared, "--image_size", 64, *where)
    return output, text


def workflow(exams, output, overlay, **overrides):
    """A training in this process, without tracking."""
    flow = ConfigWorkflow(
        workflow_type="train",
        config_file=[str(SCREENING.folder / "configs" / f"{name}.json") for name in ("train", "phantom", overlay)],
        meta_file=str(SCREENING.folder / "configs" / "metadata.json"),
        logging_file=False,
        bundle_root=SCREENING.root,
        dataset_dir=str(exams),
        output_dir=str(output),
        tracker={"_target_": "tests.bundles.commands.NoTracker"},
        **{**NETWORK, **overrides},
    )
    flow.initialize()
    return flow


@pytest.mark.slow
def test_a_linear_probe_changes_the_head_alone(probed, start):
    before, after = (torch.load(path, weights_only=True) for path in (start, probed / "checkpoint_last.pt"))
    assert after["classes"] == ["NOR", "BH", "NPC"] and after["preprocessing"]["held_out"] == ["centre C"]
    kept = [key for key in after["network"] if key.startswith("exam_encoder.")]
    assert kept and all(torch.equal(after["network"][key], before["network"][key]) for key in kept)
    rejected = [json.loads(line)["case_id"] for line in (probed / "rejected.jsonl").read_text().splitlines()]
    assert rejected == [BROKEN]


@pytest.mark.slow
def test_fine_tuning_changes_the_encoder_and_resumes(exams, start, tmp_path):
    workflow(exams, tmp_path, "full_finetuning", pretrained_checkpoint=str(start), screening_task="nor_vs_rest", max_epochs=1).run()
    once = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert once["classes"] == ["NOR", "BH or NPC"]
    before = torch.load(start, weights_only=True)["network"]
    moved = [key for key, value in once["network"].items() if key in before and not torch.equal(value, before[key])]
    assert any("layer1" in key for key in moved) and "exam_encoder.image_encoder.report_head.weight" in moved
    options = {"pretrained_checkpoint": str(start), "screening_task": "nor_vs_rest", "max_epochs": 2, "resume": True}
    workflow(exams, tmp_path, "full_finetuning", **options).run()
    assert torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["iteration"] == 2 * once["iteration"]


@pytest.mark.slow
def test_evaluation_writes_figures_with_intervals(evaluated, probed, exams):
    output, text = evaluated
    metrics, rows = json.loads((output / "metrics.json").read_text()), pd.read_csv(output / "per_exam.csv")
    cases = load_datalist(exams / "datalist.json").split("test")
    truth = {case["exam_id"]: ("NOR", "BH", "NPC").index(case["label"]) for case in cases}
    assert dict(zip(rows["case_id"], rows["truth"], strict=True)) == truth
    everything = metrics["slices"]["all"]
    assert everything["accuracy"]["estimate"] == pytest.approx((rows["truth"] == rows["decision"]).mean())
    assert everything["accuracy"]["lower"] <= everything["accuracy"]["estimate"] <= everything["accuracy"]["upper"]
    assert {"held-out centres", "other centres", "site centre C"} <= set(metrics["slices"])
    held_out = sum(case["site"] == "centre C" for case in cases)
    assert metrics["slices"]["held-out centres"]["exams"] == held_out
    assert np.sum(metrics["confusion"]) == len(cases) and metrics["threshold"] is None
    probabilities = rows[[f"probability {name}" for name in metrics["classes"]]].to_numpy()
    logits = rows[[f"logit {name}" for name in metrics["classes"]]].to_numpy()
    assert probabilities == pytest.approx(torch.tensor(logits / metrics["temperature"]).softmax(1).numpy(), abs=1e-6)
    for name in ("confusion", "roc", "reliability"):
        assert (output / f"{name}.png").stat().st_size > 5_000
    assert (probed / "calibration.pt").is_file() and "held-out centres" in text


@pytest.mark.slow
def test_inference_tells_class_confidence_and_deciding_images(evaluated, probed, exams, tmp_path):
    record = load_datalist(exams / "datalist.json").split("test")[0]
    folder = tmp_path / "exam"
    folder.mkdir()
    for index, image in enumerate(record["images"]):
        (folder / f"{index}.png").symlink_to(image)
    where = ["--checkpoint", probed / "checkpoint_best.pt", "--exams", folder, "--output_dir", tmp_path / "out"]
    SCREENING.run(("inference", "phantom"), *where, "--image_size", 64)
    (case,) = read_predictions(tmp_path / "out")
    classes, deciding = case["findings"][:3], case["findings"][3:]
    assert [entry.label for entry in classes] == ["NOR", "BH", "NPC"]
    assert sum(entry.probability for entry in classes) == pytest.approx(1, abs=1e-4)
    decided = max(classes, key=lambda entry: entry.probability).label
    assert deciding and {entry.label for entry in deciding} == {decided}
    assert {entry.image_index for entry in deciding} <= set(range(len(record["images"])))
    (picture,) = (tmp_path / "out" / "overlays").glob("*.png")
    assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_two_ranks_train_from_random_weights(shared, tmp_path):
    arguments = [*shared, *SMALL, "--widen_factor", 0.125, "--embedding_size", SIZE, "--output_dir", tmp_path]
    SCREENING.run(("train", "phantom", "from_scratch", "multi_gpu_train"), *arguments, ranks=2)
    assert len(torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["random_states"]) == 2


def test_every_validation_exam_is_validated_once(exams, start, tmp_path):
    flow = workflow(exams, tmp_path, "linear_probe", pretrained_checkpoint=str(start))
    seen = [name for batch in flow.parser.get_parsed_content("validate#dataloader") for name in batch["case_ids"]]
    assert sorted(seen) == sorted(case["exam_id"] for case in load_datalist(exams / "datalist.json").split("validation"))


def test_classes_may_begin_as_their_signs(exams, start, tmp_path):
    flow = workflow(
        exams, tmp_path, "linear_probe", pretrained_checkpoint=str(start), head_prompts="nasal", screening_task="npc_vs_rest"
    )
    network, directions = (flow.parser.get_parsed_content(name) for name in ("network_def", "head_directions"))
    assert network.classes[1] == "NPC" and network.prototypes == [2, 2]
    assert not network.head.weight[0].any() and not network.head.bias.any()  # what is left when no sign speaks
    ratio = network.head.weight.detach() / torch.cat(directions)
    torch.testing.assert_close(ratio[1:], ratio[1, 0].expand_as(ratio[1:]))


def test_an_evaluation_holds_out_what_the_training_did(exams, start, tmp_path):
    network = ExamClassifier(load_network("NasVLM", start).exam_encoder, ["NOR", "BH", "NPC"])
    facts = {"image_size": 64, "held_out": ["centre A"]}
    about = {"network_class": type(network).__name__, "preprocessing": facts}
    torch.save({"network": network.state_dict(), **about, **network.architecture}, tmp_path / "model.pt")
    parser = ConfigParser()
    parser.read_config([SCREENING.folder / "configs" / f"{name}.json" for name in ("evaluate", "phantom")])
    parser.update({"image_size": 64, "checkpoint": str(tmp_path / "model.pt"), "dataset_dir": str(exams)})
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("network_def")
    assert "held_out ['centre A'] (now ['centre C'])" in str(caught.value) + str(caught.value.__cause__)
    parser.update({"held_out_sites": "centre A"})
    parser.parse(reset=True)
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("network_def")
    assert "held_out_sites must be a list of sites, got 'centre A'" in str(caught.value) + str(caught.value.__cause__)


def test_a_pretraining_that_saw_a_held_out_centre_is_no_start(exams, start, tmp_path):
    state = torch.load(start, weights_only=True)
    state["preprocessing"]["centres"] = ["centre A", "centre C"]
    shutil.copytree(start.parent, tmp_path / "pretrained")
    torch.save(state, tmp_path / "pretrained" / start.name)
    with pytest.raises((UserError, RuntimeError)) as caught:
        workflow(exams, tmp_path, "linear_probe", pretrained_checkpoint=str(tmp_path / "pretrained" / start.name)).run()
    assert "was pretrained on exams of centre C, which held_out_sites names" in str(caught.value) + str(caught.value.__cause__)


def test_train_has_what_monai_tools_look_for(exams, start, tmp_path):
    assert not workflow(exams, tmp_path, "linear_probe", pretrained_checkpoint=str(start)).check_properties()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"screening_task": "cancer"}, "screening_task must be"),
        ({"held_out_sites": ["centre A", "centre B"]}, "no exam of class"),
        ({"held_out_sites": ["center C"]}, "held_out_sites names center C"),
        ({"image_size": 96}, "image_size 64 (now 96)"),
        ({"pretrained_checkpoint": "nowhere.pt"}, "no checkpoint at nowhere.pt"),
        (dict(start="model.pt"), "start is called pretrained_checkpoint now"),
        (dict(held_out=["centre C"]), "held_out is called held_out_sites now"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_runs(exams, start, tmp_path, options, says):
    with pytest.raises((UserError, RuntimeError)) as caught:
        workflow(exams, tmp_path, "linear_probe", **{"pretrained_checkpoint": str(start), **options}).run()
    assert says in str(caught.value) + str(caught.value.__cause__)
