"""The classifier of exams: what is trained, layer decay, and contributions that add up to its logits."""

import pytest
import torch

from scripts.losses import ScreeningLoss
from scripts.losses.exam_alignment import ASSIGNMENT_TEMPERATURE
from scripts.networks import ExamClassifier, ExamEncoder, layer_decay_groups
from tests.small_nasvlm import SIZE, new_image_encoder

CLASSES = ["NOR", "BH", "NPC"]
INDEX = torch.tensor([[0, 1, 2], [3, -1, -1]])
LABELS = torch.tensor([2, 0])


def images():
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def new_classifier(kind="resnet", frozen=False, prototypes=None):
    torch.manual_seed(0)
    return ExamClassifier(ExamEncoder(new_image_encoder(kind), attention_size=8), CLASSES, frozen, prototypes)


def step(classifier):
    """One step of gradient descent; names of the tensors that it changed."""
    old = {key: value.clone() for key, value in classifier.state_dict().items()}
    ScreeningLoss()(*classifier(images(), INDEX, LABELS))["loss"].backward()
    torch.optim.SGD([p for p in classifier.parameters() if p.requires_grad], 0.1).step()
    return {key for key, value in classifier.state_dict().items() if not torch.equal(value, old[key])}


def test_a_linear_probe_changes_nothing_but_its_head():
    assert step(new_classifier(frozen=True).train()) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_fine_tuning_trains_all_but_patch_heads_and_pooling(kind):
    classifier = new_classifier(kind).train()
    changed = step(classifier)
    trained = {name for name, parameter in classifier.named_parameters() if parameter.requires_grad}
    assert trained <= changed
    heads = {f"exam_encoder.image_encoder.{head}_head.weight" for head in (["sentence"] if kind == "vit" else ["sentence", "word"])}
    untrained = {name for name, _ in classifier.named_parameters()} - trained
    assert untrained == heads | {name for name in untrained if name.startswith("exam_encoder.pooling.")} > heads


def test_logits_by_hand():
    classifier = new_classifier(prototypes=[1, 2, 1]).eval()
    with torch.inference_mode():
        answer = classifier.classify(images(), INDEX)
        exams = classifier.exam_encoder(images(), INDEX)
        (loss,) = ScreeningLoss()(*classifier(images(), INDEX, LABELS)).values()
    weight, bias = classifier.head.weight.detach(), classifier.head.bias.detach()
    for exam, count in enumerate((3, 1)):
        seen = exams.images[exam, :count]
        cosines = torch.cosine_similarity(seen[:, None], weight[None], dim=2)
        shares = (cosines / ASSIGNMENT_TEMPERATURE).softmax(0)  # as in pretraining
        scores = (shares * (seen @ weight.T)).sum(0) * SIZE**0.5 + bias
        middle = (scores[1:3].exp().sum() / 2).log()
        torch.testing.assert_close(answer.logits[exam], torch.stack([scores[0], middle, scores[3]]))
        torch.testing.assert_close(answer.attention[exam, 0, :count], shares[:, 0])
        torch.testing.assert_close(answer.attention[exam, 1, :count], shares[:, 1:3] @ scores[1:3].softmax(0))
    assert not answer.attention[1, :, 1:].any()
    logs = answer.logits.log_softmax(1)
    torch.testing.assert_close(loss, -(logs[0, 2] + logs[1, 0]) / 2)
    assert torch.equal(answer.image_mask, INDEX >= 0)


def test_a_class_is_found_by_any_of_its_prototypes():
    classifier = new_classifier(prototypes=[1, 2, 1]).eval()
    with torch.inference_mode():
        features = classifier.exam_encoder(images(), INDEX).images[0]
        classifier.start_at([-features[:1], torch.stack([-features[1], features[2]]), -features[:1]], 0.01)
        answer = classifier.classify(images(), INDEX)
    assert answer.logits[0].argmax() == 1 and answer.attention[0, 1].argmax() == 2


def test_statements_must_fit_the_prototypes():
    with pytest.raises(ValueError, match=r"\[1, 1, 1\] prototypes cannot begin as \[1, 2, 1\]"):
        new_classifier().start_at([torch.rand(count, SIZE) for count in (1, 2, 1)], 0.07)


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_contributions_add_up_to_the_logits(kind):
    classifier = new_classifier(kind).eval()
    answer, parts = classifier.contributions(images(), INDEX)
    torch.testing.assert_close(answer, classifier.classify(images(), INDEX))
    assert parts.shape[:3] == (2, 3, 3) and not parts[1, :, 1:].any()
    wanted = answer.logits - classifier.head.bias
    torch.testing.assert_close(parts.sum((2, 3, 4)), wanted - wanted.mean(1, keepdim=True), atol=1e-4, rtol=1e-4)
    assert not parts.requires_grad and parts.std() > 1e-5


def test_contributions_of_several_prototypes_are_their_shares():
    one, several = new_classifier(), new_classifier(prototypes=[1, 2, 1])
    several.head.weight.data = one.head.weight.data[[0, 1, 1, 2]]
    several.head.bias.data = one.head.bias.data[[0, 1, 1, 2]]
    (answer, parts), (again, same) = (c.eval().contributions(images(), INDEX) for c in (one, several))
    torch.testing.assert_close(again, answer)
    torch.testing.assert_close(same, parts)


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_learning_rates_fall_towards_the_input(kind):
    classifier = new_classifier(kind)
    groups = layer_decay_groups(classifier, 1e-4, 1e-3, 0.5)
    rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert len(rate) == sum(len(group["params"]) for group in groups)
    rates = {name: rate.pop(id(parameter)) for name, parameter in classifier.named_parameters() if parameter.requires_grad}
    assert not rate
    encoder = "exam_encoder.image_encoder."
    stem, first, last, top = {
        "resnet": ("backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "backbone.layer4.1.bn2.bias", 5),
        "vit": ("position_embeddings", "blocks.0.attn.qkv.weight", "blocks.1.mlp.linear2.bias", 3),
    }[kind]
    assert rates[encoder + stem] == pytest.approx(1e-4 * 0.5**top)
    assert rates[encoder + first] == pytest.approx(1e-4 * 0.5 ** (top - 1))
    assert rates[encoder + last] == pytest.approx(1e-4 * 0.5)
    assert rates[encoder + "report_head.weight"] == pytest.approx(1e-4)
    assert rates["head.weight"] == rates["head.bias"] == 1e-3
    torch.optim.AdamW(groups, 1e-4)


def test_a_linear_probe_has_one_group():
    (group,) = layer_decay_groups(new_classifier(frozen=True), 1e-4, 1e-3)
    assert [tuple(parameter.shape) for parameter in group["params"]] == [(3, SIZE), (3,)] and group["lr"] == 1e-3


@pytest.mark.parametrize("classes", [["NPC"], ["NPC", "NOR", "NPC"]])
def test_classes_that_are_no_choice(classes):
    with pytest.raises(ValueError, match="two or more different classes"):
        ExamClassifier(ExamEncoder(new_image_encoder()), classes)


@pytest.mark.parametrize("prototypes", [[1, 1], [1, 0, 1]])
def test_prototypes_that_are_none(prototypes):
    with pytest.raises(ValueError, match="number of prototypes, 1 or more"):
        new_classifier(prototypes=prototypes)
