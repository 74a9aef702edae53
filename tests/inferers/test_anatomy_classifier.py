"""Zero-shot classification of volumes by anatomy: windows, prompts, evidence."""

from types import SimpleNamespace

import pytest
import torch

from scripts.inferers.anatomy_classifier import AnatomyClassifier
from scripts.networks import FVLM, PooledTextEncoder, VolumeEncoder
from scripts.reports.by_anatomy.prompts import FindingPrompts
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.text_tokenizer import TextTokenizer

PATCH, NAMES = (4, 8, 8), ["lung", "heart", "aorta"]
PROMPTS = [
    FindingPrompts("Nodule", "lung", ("A nodule.", "Nodules are seen."), ("No nodule.",)),
    FindingPrompts("Cardiomegaly", "heart", ("The heart is large.",), ("Normal heart size.", "The heart is not large.")),
    FindingPrompts("Calcification", "aorta", ("Calcified wall.",), ("No calcification.",)),
    FindingPrompts("Emphysema", "lung", ("Emphysema.",), ("No emphysema.",)),
]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    torch.manual_seed(0)
    texts = [text for finding in PROMPTS for text in (*finding.positive, *finding.negative)]
    folder = train_text_model(texts, tmp_path_factory.mktemp("text"), hidden_size=16, layers=2, heads=2)
    encoder = VolumeEncoder((16, 32, 32), PATCH, hidden_size=24, mlp_size=32, layers=3, heads=4, levels=(0, 1))
    network = FVLM(encoder, PooledTextEncoder(str(folder), pretrained=False, embedding_size=8), NAMES).eval()
    with torch.no_grad():
        network.pooling.query_tokens.normal_()
    return network, TextTokenizer(folder, max_tokens=64)


def volume(aorta=True):
    """A lung that fills most of the volume, a heart within it, an aorta that reaches out of the lung's box."""
    image = torch.rand(1, 30, 50, 60, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(30, 50, 60, dtype=torch.uint8)
    mask[4:22, 5:40, 8:50] = 1
    mask[8:16, 14:30, 20:40] = 2
    if aorta:
        mask[18:28, 20:26, 30:36] = 3
    return image, mask


def test_windows_hold_their_anatomies_and_are_shared(parts):
    classifier = AnatomyClassifier(*parts, PROMPTS, window=(16, 32, 32))
    _, mask = volume()
    shared = classifier.windows(mask)
    assert sorted(index for _, places in shared for index in places) == [0, 1, 2]
    assert [places for _, places in shared] == [[0, 1], [2]]
    own = AnatomyClassifier(*parts, PROMPTS, window=(16, 32, 32), published=True).windows(mask)
    assert [places for _, places in own] == [[0], [1], [2]]
    for window, places in shared + own:
        assert all(part.stop - part.start >= least for part, least in zip(window, (16, 32, 32), strict=True))
        for index in places:
            left_out = (mask == index + 1).sum() - (mask[window] == index + 1).sum()
            # The published windows count an organ's extent one voxel short: the first anatomy is larger than its window.
            assert (left_out > 0) == (index == 0 and (window, places) in own)


def test_probability_is_a_softmax_over_both_sides(parts):
    network, tokenizer = parts
    image, mask = volume()
    answer = AnatomyClassifier(network, tokenizer, PROMPTS, window=(32, 64, 64))(image, mask)
    padded = torch.nn.functional.pad(image, (0, 4, 0, 6, 0, 2))[None]
    features = network.encode_volumes(padded, torch.nn.functional.pad(mask, (0, 4, 0, 6, 0, 2))[None])[0][0]
    for finding, probability in zip(PROMPTS, answer.probabilities, strict=True):
        sides = [network.encode_texts(**tokenizer(side)).mean(0) for side in (finding.negative, finding.positive)]
        sides = torch.nn.functional.normalize(torch.stack(sides), dim=1)
        logits = sides @ features[NAMES.index(finding.anatomy)] / network.temperature
        torch.testing.assert_close(probability, logits.softmax(0)[1].detach(), atol=1e-5, rtol=0)


def test_wordings_that_disagree_weigh_no_less_than_one():
    """Two wordings at a right angle have a mean (.5, .5) of length sqrt(.5); the published code brings it to length 1."""
    features = {"one": (1.0, 0.0, 0.0), "two": (0.0, 1.0, 0.0), "none": (0.0, 0.0, -1.0)}
    network = SimpleNamespace(
        anatomies=["lung"],
        temperature=torch.tensor(0.5),
        encode_texts=lambda texts: torch.tensor([features[text] for text in texts]),
    )
    prompts = [FindingPrompts("Nodule", "lung", ("one", "two"), ("none",)), FindingPrompts("Cyst", "lung", ("one",), ("none",))]
    classifier = AnatomyClassifier(network, lambda texts: {"texts": Words(texts)}, prompts)
    half = 0.5**0.5
    torch.testing.assert_close(classifier.directions(), torch.tensor([[half, half, 1.0], [1.0, 0.0, 1.0]]))
    scores = classifier.compare(torch.tensor([[1.0, 0.0, 0.0]]))
    torch.testing.assert_close(scores, torch.tensor([2 * half, 2.0]))


class Words(list):
    """Texts in the place of their tokens."""

    def to(self, device):
        return self


def test_a_missing_anatomy_gives_no_answer(parts):
    image, mask = volume(aorta=False)
    answer = AnatomyClassifier(*parts, PROMPTS, window=(16, 32, 32))(image, mask, evidence=True)
    assert answer.scores.isnan().tolist() == [False, False, True, False]
    assert [evidence is None for evidence in answer.evidence] == [False, False, True, False]


def test_evidence_lies_in_its_anatomy_and_adds_up(parts):
    network, tokenizer = parts
    image, mask = volume()
    classifier = AnatomyClassifier(network, tokenizer, PROMPTS, window=(16, 32, 32))
    answer = classifier(image, mask, evidence=True)
    for finding, evidence in zip(PROMPTS, answer.evidence, strict=True):
        saliency = evidence.volume(mask.shape)
        assert saliency.shape == mask.shape and saliency.min() >= 0 and saliency.max() <= 1
        inside = torch.nn.functional.max_pool3d((mask == NAMES.index(finding.anatomy) + 1).float()[None, None], 25, 1, 12)[0, 0] > 0
        assert not saliency[~inside].any()  # a token and its trilinear rim reach at most 1.5 patches beyond the anatomy
    # The same finding asked the other way round is spoken for where it was spoken against.
    turned = [FindingPrompts(f.label, f.anatomy, f.negative, f.positive) for f in PROMPTS]
    other = AnatomyClassifier(network, tokenizer, turned, window=(16, 32, 32))(image, mask, evidence=True)
    torch.testing.assert_close(other.scores, -answer.scores)
    for one, two in zip(answer.evidence, other.evidence, strict=True):
        torch.testing.assert_close(one.tokens, -two.tokens)


def test_findings_of_unknown_anatomies_are_refused(parts):
    with pytest.raises(ValueError, match="Cirrhosis"):
        AnatomyClassifier(*parts, [*PROMPTS, FindingPrompts("Cirrhosis", "liver", ("a",), ("b",))])
    with pytest.raises(ValueError, match="no findings"):
        AnatomyClassifier(*parts, [])
