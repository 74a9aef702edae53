"""Names and descriptions of runs."""

import pytest

from scripts.tracking.words import config_names, description, run_name


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["run", "--config_file", "['a b/train.json','b/phantom.json']", "--seed", "2"], ["train", "phantom"]),
        (["run", "--config_file=configs/evaluate.yaml"], ["evaluate"]),
        (
            ["run", "--config_file", "['train.json', 'linear_probe.json']", "--meta_file", "metadata.json"],
            ["train", "linear_probe"],
        ),
        (["pytest", "tests/handlers"], []),
    ],
)
def test_configs_of_a_command(words, names):
    assert config_names(words) == names


def test_a_run_is_called_by_its_configs_and_seed():
    assert run_name("training", ["train", "phantom"], 1) == "train phantom, seed 1"
    assert run_name("evaluation", ["evaluate"], None) == "evaluate"
    assert run_name("training", [], 0) == "training, seed 0"


def test_one_sentence_says_what_a_run_is():
    data = {"name": "phantom exams", "sizes": {"training": 12, "test": 4}}
    said = description(
        "training", {"bundle": "npc", "version": "0.1.0"}, ["train", "linear_probe"], data, 3, {"pretrained_checkpoint": "model.pt"}
    )
    assert said == "Training of npc 0.1.0 (train with linear_probe) on phantom exams (training 12, test 4), seed 3, from model.pt."
    assert (
        description("evaluation", {}, [], None, None, {"pretrained_checkpoint": "a.pt", "checkpoint": "b.pt"})
        == "Evaluation, from b.pt."
    )
    assert description("training", {}, ["train"], None, None, {"pretrained_checkpoint": None}) == "Training (train)."
