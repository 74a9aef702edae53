"""BERT that gives one embedding a text: its first token, projected."""

from typing import Any

from torch import Tensor, nn

from scripts.networks.bert import bert_configuration, load_bert


class AnatomyTextEncoder(nn.Module):
    """fVLM's text encoder: BERT's first hidden state -> linear.

    The published code never adds BERT's token-type embeddings; here their table is zero and stays so, which is the same.

    Args:
        source, pretrained: which BERT, and whether its weights are loaded; see `load_bert`. The published one is
            microsoft/BiomedVLP-CXR-BERT-specialized.
        embedding_size: D.

    Raises:
        UserError: the source cannot be loaded.
    """

    def __init__(self, source: str | dict[str, Any], pretrained: bool = True, embedding_size: int = 256) -> None:
        super().__init__()
        self.bert = load_bert(source, pretrained)
        nn.init.zeros_(self.bert.embeddings.token_type_embeddings.weight).requires_grad_(False)
        self.projection = nn.Linear(self.bert.config.hidden_size, embedding_size)

    @property
    def architecture(self) -> dict[str, Any]:
        """What builds it again: BERT's configuration."""
        return bert_configuration(self.bert)

    def forward(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed texts: tokens and attention_mask [T, L] -> [T, D]."""
        states = self.bert(tokens, attention_mask=attention_mask).last_hidden_state
        return self.projection(states[:, 0])
