"""fVLM at its released size against the published implementation's numbers, where the whole golden set is at hand."""

import json

import numpy as np
import pytest
import torch

from scripts.losses import FVLMLoss
from scripts.losses.fvlm_loss import anatomy_losses, pair_targets
from scripts.networks import FVLM
from scripts.networks.anatomy_pooling import anatomy_tokens
from scripts.weights.fvlm import UNUSED, our_state
from tests.golden.fvlm_fill import ANATOMIES, filled, golden_images

pytestmark = pytest.mark.slow
BERT = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}


@pytest.fixture(scope="module")
def numbers(golden):
    folder = golden / "fvlm" / "A"
    told = json.loads((folder / "released_size_expected.json").read_text())
    return told, np.load(folder / "released_size_expected.npz")


@pytest.fixture(scope="module")
def network(golden, numbers):
    """In float32: the golden run's float64 would take twice the memory and time."""
    shapes = json.loads((golden / "fvlm" / "state_dict_keys.json").read_text())
    network = FVLM.build(
        {
            "volume_encoder": {},
            "text_encoder": BERT,
            "embedding_size": 256,
            "text_pooling": "first",
            "pooling_heads": 4,
            "anatomies": ANATOMIES,
        }
    )
    seed = numbers[0]["weight_seed"]
    kept = {key: shape for key, shape in shapes.items() if not key.startswith(UNUSED)}
    network.load_state_dict(our_state({key: filled(key, shape, seed).float() for key, shape in kept.items()}))
    return network.eval()


def ellipsoids(shape, spec):
    """A label map [D, H, W] of rows (label, centre, radii), painted in order."""
    places = np.ogrid[tuple(slice(side) for side in shape)]
    mask = np.zeros(shape, np.uint8)
    for label, *numbers in spec:
        centre, radii = numbers[:3], numbers[3:]
        mask[sum(((place - c) / r) ** 2 for place, c, r in zip(places, centre, radii, strict=True)) <= 1] = label
    return torch.from_numpy(mask)


def test_loss_and_features(network, numbers):
    told, arrays = numbers
    shape = [112, 256, 352]
    masks = torch.stack([ellipsoids(shape, spec) for spec in told["ellipsoids"]])
    assert [torch.bincount(mask.flatten(), minlength=5).tolist() for mask in masks] == told["voxel_counts"]
    member, cut = anatomy_tokens(masks, 4, network.volume_encoder.patch_size)
    flags = np.unpackbits(arrays["organ_token_flags"], axis=-1)[..., : member.shape[2]].astype(bool)
    assert np.array_equal(member.numpy(), flags) and not cut.any()
    tokens, attention, text_index = [], [], torch.zeros(2, 4, dtype=torch.int64)
    for column, name in enumerate(ANATOMIES):
        for row, patient in enumerate(arrays[f"{name}/patient_ids"]):
            text_index[patient, column] = len(tokens)
            tokens.append(torch.from_numpy(arrays[f"{name}/input_ids"][row]))
            attention.append(torch.from_numpy(arrays[f"{name}/attention_mask"][row]))
    length = int(max(mask.sum() for mask in attention))  # the golden run padded to 384
    inputs = {"tokens": torch.stack(tokens)[:, :length], "attention_mask": torch.stack(attention)[:, :length]}
    normal = ~torch.tensor(told["abnormal"], dtype=torch.bool)
    with torch.inference_mode():
        images = golden_images([2, 1, *shape], told["image_seed"]).float()
        volumes, texts = network(images, masks, **inputs, text_index=text_index, normal=normal, text_ids=text_index)
    for column, name in enumerate(ANATOMIES):
        np.testing.assert_allclose(volumes.anatomies[:, column].numpy(), arrays[f"{name}/image_feat"], atol=2e-5)
        np.testing.assert_allclose(texts.anatomies[:, column].numpy(), arrays[f"{name}/text_feat"], atol=2e-5)
    targets = pair_targets(volumes.present, texts.normal, texts.text_ids).float()
    losses = anatomy_losses(volumes.anatomies, texts.anatomies, volumes.temperature, volumes.present, ~texts.normal, targets)
    for column, name in enumerate(ANATOMIES):
        term = float(losses.image_to_text[column] + losses.text_to_image[column]) / 2
        assert term == pytest.approx(told["terms_f64"][f"{name}_itc"], abs=2e-5), name
    assert float(FVLMLoss()(volumes, texts)["loss"]) == pytest.approx(told["loss_f64"], abs=5e-5)
