"""fVLM's network and loss against the published implementation's numbers (tests/golden/README.md)."""

import json

import numpy as np
import pytest
import torch

from scripts.losses.fvlm_loss import FVLMLoss, anatomy_losses, pair_targets
from scripts.networks.anatomy_pooling import anatomy_tokens
from tests.golden.fvlm_fill import ANATOMIES, golden_images, golden_masks, golden_network, published_tensors

CASES = ["mixed", "single_patient_organ", "template_repeated"]


@pytest.fixture(scope="module")
def network(fvlm_golden):
    return golden_network(json.loads((fvlm_golden / "config.json").read_text()))


@pytest.fixture(scope="module")
def cases(fvlm_golden):
    return json.loads((fvlm_golden / "loss_cases.json").read_text())


@pytest.fixture(scope="module")
def expected(fvlm_golden):
    return json.loads((fvlm_golden / "loss_expected.json").read_text())


def near(actual, wanted, atol=1e-7):
    torch.testing.assert_close(actual.detach(), torch.as_tensor(wanted, dtype=actual.dtype), atol=atol, rtol=0)


def case_inputs(case, arrays):
    """Keyword arguments of the network for a golden case; token ids are the stored ones, texts that no loss visits are blank."""
    patients, texts = len(case["boxes"]), case["texts"]
    template = {name: f"{name} shows no significant abnormalities." for name in ANATOMIES}
    normal = torch.tensor([[texts[name][row].startswith(template[name]) for name in ANATOMIES] for row in range(patients)])
    assert (~normal).int().tolist() == case["abnormal"]
    known = {text: number for number, text in enumerate(sorted({text for some in texts.values() for text in some}))}
    text_ids = torch.tensor([[known[texts[name][row]] for name in ANATOMIES] for row in range(patients)])
    length = next(arrays[key].shape[1] for key in arrays.files if key.endswith("input_ids"))
    tokens, masks = [torch.zeros(length, dtype=torch.int64)], [torch.ones(length, dtype=torch.int64)]
    text_index = torch.zeros(patients, len(ANATOMIES), dtype=torch.int64)
    for column, name in enumerate(ANATOMIES):
        if f"{name}/input_ids" in arrays:
            for index, patient in enumerate(arrays[f"{name}/patient_ids"]):
                text_index[patient, column] = len(tokens)
                tokens.append(torch.from_numpy(arrays[f"{name}/input_ids"][index]))
                masks.append(torch.from_numpy(arrays[f"{name}/attention_mask"][index]))
    shape = case["image_shape"]
    return golden_images(shape, case["image_seed"]), {
        "masks": golden_masks(shape[2:], case["boxes"]),
        "tokens": torch.stack(tokens),
        "attention_mask": torch.stack(masks),
        "text_index": text_index,
        "normal": normal,
        "text_ids": text_ids,
    }


@pytest.mark.parametrize("name", CASES)
def test_tokens_features_targets_and_losses(network, cases, expected, fvlm_golden, name):
    arrays = np.load(fvlm_golden / f"loss_{name}.npz")
    images, inputs = case_inputs(cases[name], arrays)
    member, cut = anatomy_tokens(inputs["masks"], len(ANATOMIES), network.volume_encoder.patch_size)
    flags = torch.from_numpy(arrays["organ_mask_flags"])
    assert torch.equal(member.any(2) & ~cut, flags)
    assert torch.equal(member & flags[..., None], torch.from_numpy(arrays["organ_token_flags"]) & flags[..., None])
    volumes, texts = network(images, **inputs)
    assert torch.equal(volumes.present, flags)
    assert float(volumes.temperature.detach()) == expected[name]["temp_after_forward"]
    targets = pair_targets(volumes.present, texts.normal, texts.text_ids).double()
    losses = anatomy_losses(volumes.anatomies, texts.anatomies, volumes.temperature, volumes.present, ~texts.normal, targets)
    counted = [f"{anatomy}_itc" for anatomy, counts in zip(ANATOMIES, losses.counts, strict=True) if counts]
    assert counted == expected[name]["organs_with_loss"]
    for index, anatomy in enumerate(ANATOMIES):
        if f"{anatomy}_itc" not in counted:
            assert losses.image_to_text[index] == losses.text_to_image[index] == 0
            continue
        people = torch.from_numpy(arrays[f"{anatomy}/patient_ids"])
        near(volumes.anatomies[people, index], arrays[f"{anatomy}/image_feat"])
        near(texts.anatomies[people, index], arrays[f"{anatomy}/text_feat"])
        scores = volumes.anatomies[:, index] @ texts.anatomies[:, index].T / volumes.temperature
        near(scores[people][:, people], arrays[f"{anatomy}/sim_i2t"], atol=1e-6)
        rows = targets[index][people][:, people]
        near(rows / rows.sum(1, keepdim=True), arrays[f"{anatomy}/targets"])
        near(torch.stack([losses.image_to_text[index], losses.text_to_image[index]]), expected[name]["i2t_t2i"][anatomy])
    near(FVLMLoss()(volumes, texts)["loss"], expected[name]["loss"])


@pytest.mark.parametrize("name", CASES)
def test_gradients(network, cases, expected, fvlm_golden, name):
    arrays = np.load(fvlm_golden / f"loss_{name}.npz")
    images, inputs = case_inputs(cases[name], arrays)
    network.zero_grad()
    FVLMLoss()(*network(images, **inputs))["loss"].backward()
    found = published_gradients(network)
    for key, norm in expected[name]["grad_norms"].items():
        if ".cls." in key or "token_type" in key:
            assert not norm
        else:
            assert float(found[key].norm()) == pytest.approx(norm or 0, rel=1e-6, abs=1e-9), key
    for key in (key for key in arrays.files if key.startswith("grad/")):
        near(found[key.removeprefix("grad/")], arrays[key])


def published_gradients(network):
    parameters = dict(network.named_parameters())
    return published_tensors({k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in parameters.items()})


def test_levels(network, cases, expected, fvlm_golden):
    arrays = np.load(fvlm_golden / "loss_mixed.npz")
    images, _ = case_inputs(cases["mixed"], arrays)
    with torch.inference_mode():
        levels = network.volume_encoder(images)
    for number, level in enumerate(levels):
        near(level[0, :4], arrays[f"vit_level{number}_p0_tok0_4"])
        assert float(level.norm()) == pytest.approx(expected["mixed"][f"vit_level{number}_norm"], rel=1e-9)
    near(levels[-1][:2, :, :64], arrays["vit_final_first2"])


def test_nothing_to_learn_from_normal_patients_alone(network, cases, expected):
    case = cases["all_normal"]
    assert expected["all_normal"]["loss"] == 0
    shape = case["image_shape"]
    inputs = {
        "masks": golden_masks(shape[2:], case["boxes"]),
        "tokens": torch.full((1, 4), 2),
        "attention_mask": torch.ones(1, 4, dtype=torch.int64),
        "text_index": torch.zeros(3, 4, dtype=torch.int64),
        "normal": torch.ones(3, 4, dtype=torch.bool),
        "text_ids": torch.zeros(3, 4, dtype=torch.int64),
    }
    network.zero_grad()
    loss = FVLMLoss()(*network(golden_images(shape, case["image_seed"]), **inputs))["loss"]
    assert loss == 0
    loss.backward()  # a rank of many must not hang
    assert all(not parameter.grad.any() for parameter in network.parameters() if parameter.grad is not None)


def test_an_optimizer_step(cases, expected, fvlm_golden):
    arrays = np.load(fvlm_golden / "loss_mixed.npz")
    network = golden_network(json.loads((fvlm_golden / "config.json").read_text()))
    images, inputs = case_inputs(cases["mixed"], arrays)
    wanted = expected["mixed"]["adamw_step"]
    optimizer = torch.optim.AdamW(network.parameters(), wanted["lr"], wanted["betas"], wanted["eps"], wanted["weight_decay"])
    before = {key: value.detach().clone() for key, value in network.named_parameters()}
    FVLMLoss()(*network(images, **inputs))["loss"].backward()
    optimizer.step()
    for key, value in network.named_parameters():
        value.grad = value.detach() - before[key]
    for key, change in published_gradients(network).items():
        if "token_type" not in key:
            assert float(change.norm()) == pytest.approx(wanted["param_delta_norm"][key], rel=2e-4), key
    assert float(FVLMLoss()(*network(images, **inputs))["loss"].detach()) == pytest.approx(wanted["loss_after"], rel=1e-4)


def test_text_encoder(network, fvlm_golden):
    arrays = np.load(fvlm_golden / "text_encoder_expected.npz")
    tokens, attention = torch.from_numpy(arrays["input_ids"]), torch.from_numpy(arrays["attention_mask"])
    with torch.inference_mode():
        states = network.text_encoder.bert(tokens, attention_mask=attention).last_hidden_state
        real = attention.bool()
        near(states[real], arrays["last_hidden_state"][real.numpy()])
        near(network.encode_texts(tokens, attention), arrays["text_feat"])
        length = int(attention.sum(1).max())
        near(network.encode_texts(tokens[:, :length], attention[:, :length]), arrays["text_feat"])
