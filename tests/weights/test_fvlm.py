"""fVLM's published checkpoint: every key finds its place, and what comes out computes what went in."""

import json

import pytest
import torch

from scripts.files.errors import ConversionError, UserError
from scripts.networks import FVLM, PooledTextEncoder, VolumeEncoder
from scripts.weights import load_network
from scripts.weights.fvlm import ANATOMIES, UNUSED, convert, expected_layout, our_state
from tests.golden.fvlm_fill import published_tensors

SIZE = (32, 64, 64)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    volumes = VolumeEncoder(SIZE, (16, 16, 32), hidden_size=64, mlp_size=32, layers=11, heads=1)
    bert = {"vocab_size": 30, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 20}
    texts = PooledTextEncoder({**bert, "max_position_embeddings": 16}, embedding_size=8)
    return FVLM(volumes, texts, ANATOMIES).eval()


@pytest.fixture
def published(network):
    """As the released file is: without token types, with queues of an older code and the head of masked words."""
    state = published_tensors(network.state_dict())
    state = {key: value for key, value in state.items() if "token_type" not in key}
    state["text_encoder.embeddings.position_ids"] = torch.arange(16)[None]
    state["text_encoder.cls.predictions.transform.dense.weight"] = torch.zeros(64, 64)
    state["image_queue"], state["queue_ptr"] = torch.zeros(256, 0), torch.zeros(1, dtype=torch.int64)
    return state


def write(path, state):
    torch.save({"model": state, "optimizer": {"lr": 1e-4}, "config": {"run": {"seed": 42}}, "scaler": None, "epoch": 19}, path)
    return path


def test_converted_network_computes_the_same(network, published, tmp_path):
    told = convert(write(tmp_path / "fvlm.pth", published), tmp_path / "out.pt", volume_size=SIZE)
    assert told["source"]["epoch"] == 19 and told["anatomies"] == list(ANATOMIES)
    assert sorted(told["dropped"]) == sorted(key for key in published if key.startswith(UNUSED))
    loaded = load_network("FVLM", tmp_path / "out.pt")
    images, masks = torch.rand(2, 1, *SIZE), torch.randint(0, 5, (2, *SIZE), dtype=torch.uint8)
    tokens, attention = torch.randint(5, 30, (3, 9)), torch.ones(3, 9, dtype=torch.int64)
    with torch.inference_mode():
        for ours, theirs in zip(loaded.encode_volumes(images, masks), network.encode_volumes(images, masks), strict=True):
            torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(loaded.encode_texts(tokens, attention), network.encode_texts(tokens, attention))


def test_every_published_key_finds_its_place(fvlm_golden):
    shapes = json.loads((fvlm_golden.parent / "state_dict_keys.json").read_text())
    assert len(shapes) == 369
    state = our_state({key: torch.empty(shape, device="meta") for key, shape in shapes.items() if not key.startswith(UNUSED)})
    layout = expected_layout(
        {
            "volume_encoder": {},  # the defaults are the released sizes
            "text_encoder": {"vocab_size": 30522},
            "embedding_size": 256,
            "text_pooling": "first",
            "pooling_heads": 4,
            "anatomies": list(ANATOMIES),
        }
    )
    assert {key: value.shape for key, value in state.items()} == {key: value.shape for key, value in layout.items()}


def test_all_faults_are_named_by_their_published_names(published, tmp_path):
    del published["attention.out_proj.bias"]
    published["text_proj.bias"] = torch.zeros(9)
    published["visual_encoder.norm.weight"] = torch.full((64,), torch.nan)
    published["surprise"] = torch.zeros(2)
    with pytest.raises(ConversionError) as fault:
        convert(write(tmp_path / "fvlm.pth", published), tmp_path / "out.pt", volume_size=SIZE)
    for told in ("missing: attention.out_proj.bias [64]", "shape: text_proj.bias is [9], expected [8]", "unexpected: surprise"):
        assert told in str(fault.value)
    assert "not finite: visual_encoder.norm.weight" in str(fault.value)
    assert not (tmp_path / "out.pt").exists()


def test_another_network_is_refused(network, published, tmp_path):
    with pytest.raises(ConversionError, match="is no fVLM checkpoint"):
        convert(write(tmp_path / "other.pth", {"head.weight": torch.zeros(3)}), tmp_path / "out.pt")
    convert(write(tmp_path / "fvlm.pth", published), tmp_path / "out.pt", volume_size=SIZE)
    with pytest.raises(UserError, match="holds a network of class FVLM, not AFLoc"):
        load_network("AFLoc", tmp_path / "out.pt")


def test_the_other_volume_size_is_told(published, tmp_path):
    with pytest.raises(ConversionError, match=r"shape: visual_encoder.patch_embedding.position_embeddings is \[1, 16, 64\]"):
        convert(write(tmp_path / "fvlm.pth", published), tmp_path / "out.pt")
