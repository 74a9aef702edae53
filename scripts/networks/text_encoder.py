"""BERT that gives a report's embedding at three levels."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from scripts.networks.bert import bert_configuration, load_bert


class TextEmbeddings(NamedTuple):
    """A batch of reports.

    report: [B, D]. sentences: [B, D, S] and words: [B, D, W], zero past the last unit; unit 0 is [CLS].
    sentence_lengths, word_lengths: units that count in a contrast, [B].
    """

    report: Tensor
    sentences: Tensor
    words: Tensor
    sentence_lengths: Tensor
    word_lengths: Tensor


class TextEncoder(nn.Module):
    """BERT whose last hidden states are summed and pooled into words, sentences and one report embedding.

    AFLoc's text encoder (arXiv 2401.02044): a word is the sum of its pieces, a sentence the mean of its words, the report the mean
    of all its words, [CLS] and [SEP] included; D is BERT's hidden size, there is no projection. All of this is linear, so the
    layers are summed first, and the pooling is two index additions on the device.

    Args:
        source, pretrained: which BERT, and whether its weights are loaded; see `load_bert`.
        last_layers: how many hidden states are summed, the embedding layer being the first of them.
        report_length: divide the sum of a report's words by this number instead of by their count. The published code divides by
            its padded length, 97; cosines do not feel it, dot products of prompts of different length do.

    Raises:
        UserError: the source cannot be loaded.
        ValueError: more layers asked for than BERT has.
    """

    def __init__(
        self, source: str | dict[str, Any], pretrained: bool = True, last_layers: int = 4, report_length: int | None = None
    ) -> None:
        super().__init__()
        self.bert = load_bert(source, pretrained)
        layers = self.bert.config.num_hidden_layers
        if last_layers > layers + 1:
            raise ValueError(f"last_layers={last_layers}, but '{source}' has {layers} layers")
        self.last_layers = last_layers
        self.report_length = report_length

    @property
    def architecture(self) -> dict[str, Any]:
        """What builds it again: BERT's configuration."""
        return bert_configuration(self.bert)

    @property
    def embedding_size(self) -> int:
        return self.bert.config.hidden_size

    def forward(
        self,
        tokens: Tensor,
        attention_mask: Tensor,
        word_index: Tensor,
        sentence_index: Tensor,
        word_lengths: Tensor,
        sentence_lengths: Tensor,
    ) -> TextEmbeddings:
        """Embed tokenized reports as `scripts.reports.tokens.tokenizers.ReportTokenizer` gives them.

        Args:
            tokens, attention_mask: [B, L].
            word_index: the word of each token, [B, L], -1 for padding.
            sentence_index: the sentence of each word, [B, W], -1 for "." and padding.
            word_lengths, sentence_lengths: units that count, [B].
        """
        states = self.bert(tokens, attention_mask=attention_mask, output_hidden_states=True).hidden_states
        states = torch.stack(states[-self.last_layers :]).sum(0)
        words = _sum_by_index(states, word_index)[:, : sentence_index.shape[1]]
        sentences = _sum_by_index(words, sentence_index)
        counts = _sum_by_index((sentence_index >= 0).to(words.dtype)[..., None], sentence_index)
        sentences = sentences / counts.clamp_min(1)
        length = self.report_length or (word_index.amax(1, keepdim=True) + 1)
        report = words.sum(1) / length
        # Padding columns past the longest text's last unit carry nothing and are left out.
        words = words[:, : int(word_lengths.max())]
        sentences = sentences[:, : int(sentence_lengths.max())]
        return TextEmbeddings(report, sentences.mT, words.mT, sentence_lengths, word_lengths)


def _sum_by_index(values: Tensor, index: Tensor) -> Tensor:
    """Sum values [B, N, D] into [B, N, D] slots by index [B, N]; -1 goes nowhere."""
    slots = values.new_zeros(values.shape[0], values.shape[1] + 1, values.shape[2])
    target = index[..., None].expand(-1, -1, values.shape[2])
    return slots.scatter_add(1, torch.where(target < 0, values.shape[1], target), values)[:, :-1]
