"""From the images of an exam, or the sentences of its report, to one vector."""

import torch
from torch import Tensor, nn


class GatedAttentionPooling(nn.Module):
    """Weighted sum with weights softmax(w . (tanh(V x) * sigmoid(U x))) (Ilse et al., arXiv 1802.04712, equation 9).

    Args:
        size: D of the items.
        attention_size: rows of V and U.
    """

    def __init__(self, size: int, attention_size: int = 128) -> None:
        super().__init__()
        self.content = nn.Linear(size, attention_size)
        self.gate = nn.Linear(size, attention_size)
        self.weight = nn.Linear(attention_size, 1, bias=False)

    def forward(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pool items [B, N, D], of which mask [B, N] (bool) tells the real ones from padding.

        Returns:
            sums [B, D], and weights [B, N] that add up to 1; both are 0 where a row of the mask admits nothing.
        """
        scores = self.weight(self.content(items).tanh() * self.gate(items).sigmoid())[..., 0]
        lowest = torch.finfo(scores.dtype).min  # not -inf: a row that admits nothing would give NaN
        weights = scores.masked_fill(~mask, lowest).softmax(1) * mask
        return (weights[..., None] * items).sum(1), weights
