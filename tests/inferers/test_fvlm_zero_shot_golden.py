"""Zero-shot probabilities of fVLM against the published implementation's (tests/golden/README.md)."""

import json

import numpy as np
import pytest
import torch

from scripts.inferers.anatomy_classifier import AnatomyClassifier
from scripts.reports.by_anatomy.prompts import read_anatomy_prompts
from tests.golden.fvlm_fill import golden_images, golden_masks, golden_network


class StoredTokens:
    """Stands for the tokenizer: the golden file holds the tokens of each prompt."""

    def __init__(self, prompts, ids):
        self.ids = {}
        for finding in prompts:
            stored = ids[f"{finding.anatomy}_{finding.label}"]
            negative, positive = ([number for number in row if number] for row in stored)  # 0 is padding
            self.ids |= {finding.negative[0]: negative, finding.positive[0]: positive}

    def __call__(self, texts):
        length = max(len(self.ids[text]) for text in texts)
        tokens = torch.tensor([self.ids[text] + [0] * (length - len(self.ids[text])) for text in texts])
        real = torch.tensor([[1] * len(self.ids[text]) + [0] * (length - len(self.ids[text])) for text in texts])
        return {"tokens": tokens, "attention_mask": real}


@pytest.fixture(scope="module")
def expected(fvlm_golden):
    return json.loads((fvlm_golden / "infer_expected.json").read_text())


@pytest.fixture(scope="module")
def classifier(fvlm_golden, expected):
    prompts = read_anatomy_prompts("ct_rate", "ct")
    network = golden_network(json.loads((fvlm_golden / "config.json").read_text()))
    tokens = StoredTokens(prompts, expected["prompt_input_ids"])
    return AnatomyClassifier(network, tokens, prompts, expected["roi"], published=True)


def test_prompts_are_the_published_ones(classifier, expected, fvlm_golden):
    items = [[p.anatomy, p.label, p.negative[0], p.positive[0]] for p in classifier.prompts]
    assert items == expected["test_items"]
    features = np.load(fvlm_golden / "infer_expected.npz")
    for finding, direction in zip(classifier.prompts, classifier.directions(), strict=True):
        negative, positive = features[f"text_feat/{finding.anatomy}_{finding.label}"]
        np.testing.assert_allclose(direction.numpy(), positive - negative, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["released_roi", "small_volume_no_aorta"])
def test_probabilities(classifier, expected, name):
    volume = expected["volumes"][name]
    image, mask = (
        golden_images([1, 1, *volume["shape"]], volume["image_seed"])[0],
        golden_masks(volume["shape"], [volume["boxes"]])[0],
    )
    for window, anatomies in classifier.windows(mask):
        for anatomy in anatomies:
            told = volume["windows"][classifier.network.anatomies[anatomy]]
            patch = classifier.network.volume_encoder.patch_size
            padded = [-(-(part.stop - part.start) // side) * side for part, side in zip(window, patch, strict=True)]
            assert padded == told["crop_then_padded_shape"]
            assert int((mask[window] == anatomy + 1).sum()) == told["organ_voxels_in_window"]
    found = classifier(image, mask).probabilities
    assert found.isnan().tolist() == [f.anatomy not in volume["windows"] for f in classifier.prompts]
    for finding, probability in zip(classifier.prompts, found.tolist(), strict=True):
        key = f"{finding.anatomy}_{finding.label}_{finding.negative[0]}_{finding.positive[0]}"
        if volume["prob_positive"].get(key) is not None:
            assert probability == pytest.approx(volume["prob_positive"][key], abs=1e-6), key
