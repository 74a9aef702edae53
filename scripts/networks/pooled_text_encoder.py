"""BERT that gives one embedding a text: its first token or the mean of its tokens, projected."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from scripts.networks.bert import bert_configuration, load_bert

POOLINGS = ("first", "mean")
MAX_GROUPS, MIN_TEXTS = 4, 16


class PooledTextEncoder(nn.Module):
    """BERT and one linear layer: fVLM's text encoder; NasVLM encodes sentences with it.

    The published code never adds BERT's token-type embeddings; here their table is zero and stays so, which is the same. Texts of
    like length go through BERT together: its cost is in the padding, and most texts are a tenth as long as the longest.

    Args:
        source, pretrained: which BERT, and whether its weights are loaded; see `load_bert`. The published one is
            microsoft/BiomedVLP-CXR-BERT-specialized.
        embedding_size: D.
        pooling: "first", the last hidden state of the first token, as published: it must have been trained to sum up a text;
            "mean", the mean over the tokens of the sum of all hidden states: a BERT with random weights can start from that.

    Raises:
        UserError: the source cannot be loaded.
        ValueError: another pooling.
    """

    def __init__(
        self,
        source: str | dict[str, Any],
        pretrained: bool = True,
        embedding_size: int = 256,
        pooling: str = "first",
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be {' or '.join(POOLINGS)}, got '{pooling}'")
        self.bert = load_bert(source, pretrained)
        self.pooling = pooling
        nn.init.zeros_(self.bert.embeddings.token_type_embeddings.weight).requires_grad_(False)
        self.projection = nn.Linear(self.bert.config.hidden_size, embedding_size)

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Self:
        """The encoder of a network with this architecture, with random weights."""
        size, pooling = architecture["embedding_size"], architecture["text_pooling"]
        return cls(architecture["text_encoder"], embedding_size=size, pooling=pooling)

    @property
    def architecture(self) -> dict[str, Any]:
        """What builds it again: BERT's configuration."""
        return bert_configuration(self.bert)

    def forward(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed texts: tokens and attention_mask [T, L] -> [T, D]."""
        lengths = attention_mask.sum(1)
        order = lengths.argsort()
        parts = []
        for rows in order.chunk(max(1, min(MAX_GROUPS, len(order) // MIN_TEXTS))):
            longest = int(lengths[rows[-1]])
            parts.append(self._pool(tokens[rows, :longest], attention_mask[rows, :longest]))
        return self.projection(torch.cat(parts)[order.argsort()])

    def _pool(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        if self.pooling == "first":
            return self.bert(tokens, attention_mask=attention_mask).last_hidden_state[:, 0]
        states = self.bert(tokens, attention_mask=attention_mask, output_hidden_states=True).hidden_states
        real = attention_mask[..., None].to(states[0].dtype)
        return (torch.stack(states).sum(0) * real).sum(1) / real.sum(1)
