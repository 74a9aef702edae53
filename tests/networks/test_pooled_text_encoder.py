import pytest
import torch

from scripts.networks import PooledTextEncoder

BERT = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def texts(lengths):
    longest = max(lengths)
    generator = torch.Generator().manual_seed(3)
    real = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return torch.randint(5, 40, real.shape, generator=generator) * real, real.long()


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_a_text_is_embedded_alike_alone_and_among_others_of_any_length(pooling):
    torch.manual_seed(0)
    encoder = PooledTextEncoder(BERT, pretrained=False, embedding_size=8, pooling=pooling).eval()
    lengths = [3, 30, 5, 4] * 20
    tokens, mask = texts(lengths)
    together = encoder(tokens, mask)
    for row, length in list(enumerate(lengths))[:6]:
        alone = encoder(tokens[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-4)


def test_texts_of_like_length_share_their_padding():
    encoder = PooledTextEncoder(BERT, pretrained=False, embedding_size=8)
    seen = []
    encoder.bert.register_forward_pre_hook(lambda module, args: seen.append(tuple(args[0].shape)))
    encoder(*texts([4] * 48 + [60] * 16))
    assert seen == [(16, 4)] * 3 + [(16, 60)]


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="first or mean, got 'max'"):
        PooledTextEncoder(BERT, pretrained=False, pooling="max")
