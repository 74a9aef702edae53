"""AFLoc at the size of its paper, with random weights, and inputs for it."""

from collections.abc import Callable

import torch
from torch import Tensor

from scripts.networks import AFLoc, ImageEncoder, TextEncoder

# BERT-base with the vocabulary of Bio_ClinicalBERT.
BERT_BASE = {
    "vocab_size": 28996,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}


def make_network(resnet: str = "resnet50", bert: dict[str, int] = BERT_BASE) -> AFLoc:
    """ResNet-50 on films resized to 299 pixels, BERT-base."""
    torch.manual_seed(0)
    return AFLoc(ImageEncoder(resnet, bert["hidden_size"]), TextEncoder(bert))


def make_films(batch: int, size: int = 224) -> Tensor:
    """Noise in the range of letterboxed films, [batch, 1, size, size]."""
    return torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def make_reports(batch: int, tokens: int = 97, words: int = 62, sentence_words: int = 10) -> dict[str, Tensor]:
    """Tokenized reports of equal length, as `ReportTokenizer` gives them: random vocabulary ids, no padding.

    Args:
        batch: how many.
        tokens: of each, [CLS] and [SEP] included.
        words: of each; the tokens beyond them are further pieces of the first words.
        sentence_words: words of a sentence.
    """
    generator = torch.Generator().manual_seed(2)
    pieces = torch.ones(words + 2, dtype=torch.long)
    pieces[1:-1] += torch.arange(words) < tokens - 2 - words
    word_index = torch.repeat_interleave(torch.arange(words + 2), pieces)
    if len(word_index) != tokens:
        raise ValueError(f"{words} words of one or two pieces cannot fill {tokens} tokens")
    sentences = -(-words // sentence_words)
    sentence_index = torch.full((tokens,), -1)
    sentence_index[0], sentence_index[words + 1] = 0, sentences + 1
    sentence_index[1 : words + 1] = torch.arange(words) // sentence_words + 1
    return {
        "tokens": torch.randint(200, 2000, (batch, tokens), generator=generator),
        "attention_mask": torch.ones(batch, tokens, dtype=torch.long),
        "word_index": word_index.repeat(batch, 1),
        "sentence_index": sentence_index.repeat(batch, 1),
        "word_lengths": torch.full((batch,), words + 1),
        "sentence_lengths": torch.full((batch,), sentences + 1),
    }


def make_step(
    network: AFLoc,
    optimizer: torch.optim.Optimizer,
    loss_function: Callable,
    films: Tensor,
    reports: dict[str, Tensor],
    amp: torch.dtype | None = None,
) -> Callable[[], None]:
    """One training step: embed, contrast, backward, clip at 0.25, update."""

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(films.device.type, amp, enabled=amp is not None):
            loss = loss_function(*network(films, **reports))["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.25)
        optimizer.step()

    return step
