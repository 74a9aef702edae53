"""The volume encoder's start from MAE, its checkpointed activations, and stems of several stages."""

import pytest
import torch
import torch.nn.functional as F

from scripts.files.errors import UserError
from scripts.networks import VolumeEncoder

SIZE, PATCH, HEADS = (8, 8, 16), (4, 4, 4), 2  # a grid of 2 x 2 x 4
WINDOWS = [[0.0, 0.5], [0.4, 1.0]]


def new_encoder(dropout=0.0, **options):
    torch.manual_seed(0)
    return VolumeEncoder(SIZE, PATCH, hidden_size=8, mlp_size=12, layers=3, heads=HEADS, levels=(0,), dropout=dropout, **options)


def published_mae(width=8, layers=3):
    """Weights under the names of the published file, its decoder and patches left in; positions tell their row and column."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(shape, generator=generator) / 3

    state = {"cls_token": draw(1, 1, width), "patch_embed.proj.weight": draw(width, 3, 16, 16), "mask_token": draw(1, 1, 4)}
    for block in range(layers):
        shapes = {"norm1": [width], "attn.qkv": [3 * width, width], "attn.proj": [width, width], "norm2": [width]}
        shapes |= {"mlp.fc1": [12, width], "mlp.fc2": [width, 12]}
        for name, shape in shapes.items():
            state[f"blocks.{block}.{name}.weight"] = draw(*shape)
            state[f"blocks.{block}.{name}.bias"] = draw(shape[0])
    state |= {"norm.weight": draw(width), "norm.bias": draw(width)}
    plane = torch.zeros(1, 1 + 16, width)
    plane[0, 0] = 99  # of the class token
    plane[0, 1:, 0], plane[0, 1:, 1] = torch.arange(16) // 4, torch.arange(16) % 4
    return state | {"pos_embed": plane}


def plain_block(state, name, tokens):
    """A ViT block as MAE's code computes it, from the published names."""
    weights = {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}

    def linear(key, values):
        return values @ weights[f"{key}.weight"].T + weights[f"{key}.bias"]

    def norm(key, values):
        return F.layer_norm(values, values.shape[-1:], weights[f"{key}.weight"], weights[f"{key}.bias"])

    query, key, value = linear("attn.qkv", norm("norm1", tokens)).chunk(3, dim=-1)
    mixed = []
    for part in range(HEADS):
        own = slice(part * 4, part * 4 + 4)
        scores = query[..., own] @ key[..., own].mT / 2
        mixed.append(scores.softmax(-1) @ value[..., own])
    tokens = tokens + linear("attn.proj", torch.cat(mixed, -1))
    return tokens + linear("mlp.fc2", F.gelu(linear("mlp.fc1", norm("norm2", tokens))))


@pytest.mark.parametrize("wrapped", [True, False])
def test_blocks_from_mae_compute_what_maes_blocks_do(tmp_path, wrapped):
    state = published_mae()
    torch.save({"model": state} if wrapped else state, tmp_path / "mae.pth")
    encoder = new_encoder().eval()
    patches = encoder.patch_embeddings.weight.clone()
    encoder.load_mae(tmp_path / "mae.pth")
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for number, block in enumerate(encoder.blocks):
            torch.testing.assert_close(block(tokens), plain_block(state, f"blocks.{number}.", tokens))
    assert torch.equal(encoder.norm.weight, state["norm.weight"]) and torch.equal(encoder.norm.bias, state["norm.bias"])
    assert torch.equal(encoder.patch_embeddings.weight, patches)  # an image's patches say nothing on a volume's


def test_positions_from_mae_are_resized_in_the_plane_and_repeated_along_the_depth(tmp_path):
    torch.save(published_mae(), tmp_path / "mae.pth")
    encoder = new_encoder()
    encoder.load_mae(tmp_path / "mae.pth")
    positions = encoder.position_embeddings.detach().view(2, 2, 4, 8)
    # Four rows become two, each in the middle of the two that it stands for; four columns stay.
    rows, columns = torch.tensor([0.5, 2.5]), torch.arange(4.0)
    for depth in range(2):
        torch.testing.assert_close(positions[depth, :, :, 0], rows[:, None].expand(2, 4))
        torch.testing.assert_close(positions[depth, :, :, 1], columns.expand(2, 4))
        assert not positions[depth, :, :, 2:].any()
    assert encoder.position_embeddings.requires_grad


def test_an_mae_of_another_size_is_refused_with_all_its_faults(tmp_path):
    state = published_mae()
    del state["blocks.1.attn.proj.bias"], state["pos_embed"]
    state["norm.weight"] = torch.zeros(9)
    torch.save({"model": state}, tmp_path / "mae.pth")
    encoder = new_encoder()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with pytest.raises(UserError) as caught:
        encoder.load_mae(tmp_path / "mae.pth")
    faults = "blocks.1.attn.out_proj.bias missing; norm.weight is (9,), not (8,); pos_embed missing or of another width"
    assert str(caught.value) == f"{tmp_path / 'mae.pth'} is no MAE encoder of this size: {faults}"
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def outputs_and_gradients(encoder, seed=3):
    """Levels and gradients of one training step, and how often the blocks ran."""
    runs = []
    for block in encoder.blocks:
        block.register_forward_pre_hook(lambda *_: runs.append(1))
    volumes = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)  # of dropout
    levels = encoder(volumes)
    sum((level * level.detach().cos()).sum() for level in levels).backward()
    return levels, {name: parameter.grad for name, parameter in encoder.named_parameters()}, len(runs)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointed_activations_change_neither_outputs_nor_gradients(dropout):
    plain = outputs_and_gradients(new_encoder(dropout))
    kept = outputs_and_gradients(new_encoder(dropout, checkpointing=True))
    assert (plain[2], kept[2]) == (3, 6)  # each block runs again in the backward pass
    for one, other in zip(plain[0], kept[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert all(gradient is not None and gradient.any() for gradient in plain[1].values())
    torch.testing.assert_close(plain[1], kept[1], rtol=1e-6, atol=1e-7)


def test_an_evaluation_checkpoints_nothing():
    encoder = new_encoder(checkpointing=True).eval()
    assert outputs_and_gradients(encoder)[2] == 3


def test_a_stem_of_two_stages_is_two_strided_convolutions_over_the_statistics():
    encoder = new_encoder(density_windows=WINDOWS, stem=[5, 6]).eval()
    statistics, *layers = encoder.stem
    assert statistics.block == (1, 1, 1)  # a patch of four voxels, halved twice
    for layer in layers:
        if isinstance(layer, torch.nn.BatchNorm3d):
            layer.running_mean.uniform_(0, 0.1)
            layer.running_var.uniform_(0.5, 1)
    volumes = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(4))
    norms = [layer for layer in layers if isinstance(layer, torch.nn.BatchNorm3d)]
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv3d)]
    assert [tuple(layer.weight.shape[:2]) for layer in convolutions] == [(5, 6), (6, 5)]
    with torch.no_grad():
        seen = norms[0](statistics(volumes))
        for layer, norm in zip(convolutions, norms[1:], strict=True):
            seen = norm(F.conv3d(seen, layer.weight, stride=2, padding=1)).relu()
        tokens = encoder.patch_embeddings(seen).flatten(2).mT + encoder.position_embeddings
        for block in encoder.blocks:
            tokens = block(tokens)
        torch.testing.assert_close(encoder(volumes)[-1], encoder.norm(tokens))


@pytest.mark.parametrize("stem", [[], [4], [4, 6]])
def test_a_patch_that_changes_moves_its_own_token_most(stem):
    """Whatever the stages, tokens stand where their patches do, x running fastest."""
    encoder = new_encoder(density_windows=WINDOWS, stem=stem).eval()
    for layer in encoder.stem:
        if isinstance(layer, torch.nn.Conv3d):
            torch.nn.init.constant_(layer.weight, 0.1)  # the place decides, not the draw
    volumes = torch.full((1, 1, *SIZE), 0.3)
    changed = volumes.clone()
    changed[..., 4:8, 0:4, 8:12] = 0.9  # the patch (1, 0, 2) of 2 x 2 x 4
    with torch.no_grad():
        embedded = [encoder.patch_embeddings(encoder.stem(part)).flatten(2).mT for part in (volumes, changed)]
    moved = (embedded[1] - embedded[0]).norm(dim=2)[0]
    assert int(moved.argmax()) == 1 * 8 + 0 * 4 + 2
