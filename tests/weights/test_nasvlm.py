"""NasVLM and the classifier that starts from it, from their files alone."""

import shutil

import pytest
import torch

from scripts.files.errors import UserError
from scripts.networks import ExamClassifier
from scripts.weights import export_weights, load_network
from scripts.weights.model_file import model_state
from tests.small_nasvlm import new_batch, new_network, write_text_model


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return write_text_model(tmp_path_factory.mktemp("text"))


def saved(network, path, **extra):
    torch.save({**model_state(network, {}), **extra}, path)
    return path


@pytest.mark.parametrize(("kind", "level"), [("resnet", "words"), ("vit", "sentences")])
def test_a_network_comes_back_from_its_file_alone(text_model, tmp_path, kind, level):
    network, (images, inputs) = new_network(text_model, kind, level).eval(), new_batch(text_model)
    path = saved(network, tmp_path / "model.pt", preprocessing={"image_size": 64})
    loaded = load_network("NasVLM", path, {"image_size": 64})
    assert not loaded.training
    with torch.inference_mode():
        for found, wanted in zip(loaded(images, **inputs), network(images, **inputs), strict=True):
            assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
        exams = load_network("NasVLM", path).exam_encoder(images, inputs["image_index"])
    assert torch.equal(exams.exam, found_exam(network, images, inputs))
    with pytest.raises(UserError, match=r"image_size 64 \(now 224\)"):
        load_network("NasVLM", path, {"image_size": 224})


@torch.inference_mode()
def found_exam(network, images, inputs):
    return network.encode_exams(images, inputs["image_index"]).exam


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_a_classifier_starts_from_a_network_and_comes_back(text_model, tmp_path, kind):
    network, (images, inputs) = new_network(text_model, kind), new_batch(text_model)
    encoder = load_network("NasVLM", saved(network, tmp_path / "pretrained.pt")).exam_encoder
    classifier = ExamClassifier(encoder, ["NOR", "BH", "NPC"], frozen=True).eval()
    loaded = load_network("ExamClassifier", saved(classifier, tmp_path / "classifier.pt"))
    assert loaded.classes == ["NOR", "BH", "NPC"]
    with torch.inference_mode():
        wanted, found = (one.classify(images, inputs["image_index"]).logits for one in (classifier, loaded))
    assert torch.equal(found, wanted)
    assert torch.equal(found_exam(network.eval(), images, inputs), loaded.exam_encoder(images, inputs["image_index"]).exam)


def test_exports_of_both_load_again(text_model, tmp_path):
    network, (images, inputs) = new_network(text_model).eval(), new_batch(text_model)
    shutil.copytree(text_model, tmp_path / "run" / "text_model")
    path = export_weights(saved(network, tmp_path / "run" / "checkpoint_best.pt"), tmp_path / "out")
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.pt", "text_model"]
    classifier = ExamClassifier(load_network("NasVLM", path).exam_encoder, ["NOR", "BH", "NPC"]).eval()
    alone = export_weights(saved(classifier, tmp_path / "classifier.pt"), tmp_path / "classifier")
    assert [file.name for file in alone.parent.iterdir()] == ["model.pt"]
    with torch.inference_mode():
        assert torch.equal(found_exam(load_network("NasVLM", path), images, inputs), found_exam(network, images, inputs))
        pairs = [one.classify(images, inputs["image_index"]).logits for one in (load_network("ExamClassifier", alone), classifier)]
    assert torch.equal(*pairs)


def test_files_of_other_networks_are_refused(text_model, tmp_path):
    network = new_network(text_model)
    path = saved(network, tmp_path / "model.pt")
    with pytest.raises(UserError, match="holds a network of class NasVLM, not ExamClassifier"):
        load_network("ExamClassifier", path)
    classifier = saved(ExamClassifier(network.exam_encoder, ["NOR", "NPC"]), tmp_path / "classifier.pt")
    with pytest.raises(UserError, match="holds a network of class ExamClassifier, not NasVLM"):
        load_network("NasVLM", classifier)
    state = torch.load(path, weights_only=True)
    del state["network"]["logit_scale"]
    torch.save(state, path)
    with pytest.raises(UserError, match="does not fit its own architecture: missing logit_scale"):
        load_network("NasVLM", path)
