"""AFLoc's checkpoint becomes our network's weights: names, faults, and the published embeddings."""

import json

import numpy as np
import pytest
import torch

from scripts.files.errors import ConversionError
from scripts.weights import load_network
from scripts.weights.afloc import PREFIXES, convert, expected_layout
from tests.golden.fill import filled_state, filled_tensor

RELEASED_BERT = {
    "vocab_size": 28996,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}


def published_name(key):
    for theirs, ours in PREFIXES.items():
        key = key.replace(ours, theirs)
    return key


def published_shapes(resnet, bert):
    """Names and shapes of the published network, pooler and position_ids included, for any size."""
    layout = expected_layout({"name": resnet, "embedding_size": bert["hidden_size"]}, bert)
    shapes = {published_name(key): tuple(value.shape) for key, value in layout.items()}
    shapes["text_encoder.model.embeddings.position_ids"] = (1, bert["max_position_embeddings"])
    shapes["text_encoder.model.pooler.dense.weight"] = (bert["hidden_size"], bert["hidden_size"])
    shapes["text_encoder.model.pooler.dense.bias"] = (bert["hidden_size"],)
    return shapes


def empty_state(shapes):
    """Zeros of any shape that take no room in a file."""
    whole = ("num_batches_tracked", "position_ids")
    return {k: torch.zeros((), dtype=torch.int64 if k.endswith(whole) else None).expand(s) for k, s in shapes.items()}


def save(path, state, **outer):
    torch.save({"state_dict": {f"afloc.{key}": value for key, value in state.items()}, **outer}, path)
    return path


@pytest.fixture(scope="module")
def small_bert(afloc_golden):
    config = json.loads((afloc_golden / "setA" / "bert" / "config.json").read_text())
    return {key: config[key] for key in RELEASED_BERT}


@pytest.fixture(scope="module")
def small(small_bert):
    return empty_state(published_shapes("resnet18", small_bert))


def test_layout_is_that_of_the_released_checkpoint(afloc_golden):
    released = json.loads((afloc_golden / "state_dict_keys.json").read_text())
    assert len(released) == 522
    assert published_shapes("resnet50", RELEASED_BERT) == {key: tuple(shape) for key, shape in released.items()}


def test_released_checkpoint_converts(tmp_path, afloc_golden):
    released = json.loads((afloc_golden / "state_dict_keys.json").read_text())
    path = save(tmp_path / "released.ckpt", empty_state(released), epoch=4, global_step=8600)
    summary = convert(path, tmp_path / "models" / "afloc.pt")
    assert summary["image_encoder"] == {"name": "resnet50", "embedding_size": 768}
    assert summary["text_encoder"] == RELEASED_BERT
    assert summary["source"]["file"] == "released.ckpt" and len(summary["source"]["sha256"]) == 64
    assert (summary["source"]["epoch"], summary["source"]["global_step"]) == (4, 8600)
    assert sorted(summary["dropped"]) == [
        "text_encoder.model.embeddings.position_ids",
        "text_encoder.model.pooler.dense.bias",
        "text_encoder.model.pooler.dense.weight",
    ]
    assert summary["tensors"] == 519
    # 134.57 million as published, less the pooler's.
    assert summary["parameters"] == pytest.approx(134.57e6 - 768 * 769, abs=5e3)
    stored = torch.load(tmp_path / "models" / "afloc.pt", weights_only=True)
    assert stored == {"network": stored["network"]} | {
        key: summary[key] for key in ("format", "source", "network_class", "image_encoder", "text_encoder")
    }
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["afloc.pt"]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_every_depth_is_recognised(tmp_path, name, small_bert):
    path = save(tmp_path / "x.ckpt", empty_state(published_shapes(name, small_bert)))
    assert convert(path, tmp_path / "x.pt", attention_heads=4)["image_encoder"]["name"] == name


def test_unused_weights_are_optional_and_reported(tmp_path, small):
    lean = {k: v for k, v in small.items() if "pooler" not in k and "position_ids" not in k}
    assert convert(save(tmp_path / "lean.ckpt", lean), tmp_path / "lean.pt")["dropped"] == []
    more = lean | {"img_encoder.local_f_embedder.weight": torch.zeros(64, 512, 1, 1)}
    summary = convert(save(tmp_path / "more.ckpt", more), tmp_path / "more.pt")
    assert summary["dropped"] == ["img_encoder.local_f_embedder.weight"]
    assert summary["tensors"] == len(lean)


def test_a_bare_state_dict_converts(tmp_path, small):
    torch.save(small, tmp_path / "bare.pt")
    assert convert(tmp_path / "bare.pt", tmp_path / "x.pt")["image_encoder"]["name"] == "resnet18"


def test_all_faults_are_listed_at_once(tmp_path, small):
    faulty = dict(small)
    del (
        faulty["img_encoder.model.layer4.1.conv2.weight"],
        faulty["text_encoder.model.encoder.layer.2.output.dense.bias"],
    )
    faulty["img_encoder.global_embedder.weight"] = torch.zeros(64, 2048)
    faulty["img_encoder.model.fc.weight"] = torch.zeros(10, 512)
    faulty["img_encoder.model.bn1.bias"] = torch.full((64,), float("nan"))
    faulty["img_encoder.model.bn1.weight"] = torch.zeros(64, dtype=torch.int32)
    with pytest.raises(ConversionError) as fault:
        convert(save(tmp_path / "x.ckpt", faulty), tmp_path / "x.pt")
    assert str(fault.value).splitlines()[1:] == [
        "  missing: img_encoder.model.layer4.1.conv2.weight [512, 512, 3, 3]",
        "  missing: text_encoder.model.encoder.layer.2.output.dense.bias [64]",
        "  type: img_encoder.model.bn1.weight is torch.int32, expected torch.float32",
        "  not finite: img_encoder.model.bn1.bias holds NaN or infinity",
        "  shape: img_encoder.global_embedder.weight is [64, 2048], expected [64, 512]",
        "  unexpected: img_encoder.model.fc.weight [10, 512]",
    ]
    assert not (tmp_path / "x.pt").exists()


def test_a_lost_block_or_layer_is_named_weight_by_weight(tmp_path, small):
    lost = {k: v for k, v in small.items() if ".layer3.1." not in k and "encoder.layer.1." not in k}
    with pytest.raises(ConversionError, match="resnet18 and a BERT of 4 layers") as fault:
        convert(save(tmp_path / "x.ckpt", lost), tmp_path / "x.pt")
    missing = [line.split()[1] for line in str(fault.value).splitlines()[1:]]
    assert sorted(missing) == sorted(set(small) - set(lost))


def test_embedding_sizes_must_agree(tmp_path, small):
    wider = small | {"img_encoder.global_embedder.bias": torch.zeros(768)}
    with pytest.raises(ConversionError, match=r"global_embedder.bias is \[768\], expected \[64\]"):
        convert(save(tmp_path / "x.ckpt", wider), tmp_path / "x.pt")


def test_the_small_published_file_lacks_its_large_weights(tmp_path, afloc_golden):
    with pytest.raises(ConversionError, match=r"word_embeddings\.weight.*position_embeddings\.weight.*intermediate"):
        convert(afloc_golden / "mini_lightning_ckpt" / "mini.ckpt", tmp_path / "x.pt")


@pytest.mark.parametrize("content", [torch.ones(3), {"state_dict": {}}, {"state_dict": [1]}, {}, {"epoch": 3}])
def test_files_of_another_kind_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(ConversionError, match=r"state_dict"):
        convert(tmp_path / "x.ckpt", tmp_path / "x.pt")


def test_entries_that_are_no_plain_tensors_are_refused(tmp_path, small):
    strange = small | {"a": 3, "b": torch.eye(3).to_sparse(), "c": torch.empty(2, device="meta")}
    with pytest.raises(ConversionError, match=r"afloc\.a, afloc\.b, afloc\.c"):
        convert(save(tmp_path / "x.ckpt", strange), tmp_path / "x.pt")


def test_heads_that_do_not_divide_and_output_over_input_are_refused(tmp_path, small):
    path = save(tmp_path / "x.ckpt", small)
    with pytest.raises(ConversionError, match="5 attention heads"):
        convert(path, tmp_path / "x.pt", attention_heads=5)
    with pytest.raises(ConversionError, match="checkpoint itself"):
        convert(path, tmp_path / "." / "x.ckpt")


def test_converted_weights_give_the_published_embeddings(tmp_path, afloc_golden, small_bert):
    published = json.loads((afloc_golden / "setA" / "golden.json").read_text())
    shapes = published_shapes("resnet50", small_bert)
    assert len(shapes) == published["n_keys"]
    for key, (total, absolute) in published["param_checks"].items():
        values = filled_tensor(key, shapes[key], published["seed"]).double()
        assert (values.sum().item(), values.abs().sum().item()) == pytest.approx((total, absolute), rel=1e-9)
    path = save(tmp_path / "x.ckpt", filled_state(shapes, published["seed"]))
    convert(path, tmp_path / "x.pt", attention_heads=4)
    network = load_network("AFLoc", tmp_path / "x.pt")
    with np.load(afloc_golden / "setA" / "golden_slim.npz") as numbers, torch.inference_mode():
        films = torch.from_numpy(numbers["in_batch_u8"][published["collate_order"]][:2, None]) / 255 * 2 - 1
        films = network.image_encoder(films)
        for ours, key in (
            (films.report, "eval_img_emb_g"),
            (films.sentences[:, :, ::6, ::6], "eval_img_emb_l[:, :, ::6, ::6]"),
            (films.words[:, :, ::12, ::12], "eval_img_emb_l2[:, :, ::12, ::12]"),
        ):
            torch.testing.assert_close(ours, torch.from_numpy(numbers[key][:2]), rtol=1e-4, atol=1e-5, msg=key)
        tokens, mask = (torch.from_numpy(numbers[key]) for key in ("in_caption_ids", "in_attention_mask"))
        states = network.text_encoder.bert(tokens, attention_mask=mask, output_hidden_states=True).hidden_states
        # AFLoc's report: last four states summed, the mean of all 97 positions, words past [SEP] being zero.
        report = (torch.stack(states[-4:]).sum(0) * mask[..., None]).sum(1) / tokens.shape[1]
        torch.testing.assert_close(report, torch.from_numpy(numbers["eval_text_emb_r"]), rtol=1e-4, atol=1e-5)
