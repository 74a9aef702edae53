"""From texts to the tokens of a BERT, nothing else."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from scripts.reports.tokens.text_models import load_bert_tokenizer, save_tokenizer


class TextTokenizer:
    """Turn texts into a BERT's tokens, padded to the longest of them and not to a fixed length: BERT's cost is in the padding.

    Args:
        folder_or_name: folder with a BERT tokenizer, or a hub id such as microsoft/BiomedVLP-CXR-BERT-specialized.
        max_tokens: longer texts are cut, [CLS] and [SEP] kept; fVLM's is 384.

    Raises:
        TextModelError: no BERT tokenizer there, or a model with fewer positions than `max_tokens`.
    """

    def __init__(self, folder_or_name: str | Path, max_tokens: int = 384) -> None:
        self.tokenizer = load_bert_tokenizer(folder_or_name, max_tokens)
        self.max_tokens = max_tokens

    def __call__(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Tokens and attention_mask, int64 [T, L], of T texts."""
        encoded = self.tokenizer(list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt")
        return {"tokens": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's files to a folder, from which this class reads them again; nothing to do where they came from."""
        save_tokenizer(self.tokenizer, folder)
