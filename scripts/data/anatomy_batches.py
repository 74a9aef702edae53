"""From volumes and their texts by anatomy to batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.utils import convert_to_tensor
from torch import Tensor

from scripts.data.anatomy_table import is_abnormal, normal_template, strip_template
from scripts.data.dataset import split_rejected
from scripts.data.files import text_id
from scripts.data.text_models import load_bert_tokenizer
from scripts.errors import UserError


class AnatomyTokenizer:
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
        if Path(folder).resolve() != Path(self.tokenizer.name_or_path).resolve():
            self.tokenizer.save_pretrained(folder)


class AnatomyCollate:
    """Join volumes into a batch; every different text of the batch is tokenized once.

    A text that starts with its anatomy's template says that the anatomy is normal; the template is then taken off, unless nothing
    else is said (fVLM's loss). An anatomy on which the record has no text counts as normal.

    Args:
        tokenizer: turns texts into tokens.
        anatomies: names, in the order of the masks' values.

    Returns (when called): images [B, 1, D, H, W]; inputs (what else the network takes): masks [B, D, H, W], tokens and
    attention_mask [T, L], text_index, text_ids and normal [B, K], see `scripts.networks.FVLM.forward`; case_ids; rejected. A batch
    without any good case holds `case_ids` and `rejected` only.
    """

    def __init__(self, tokenizer: AnatomyTokenizer, anatomies: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.anatomies = list(anatomies)

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        items, batch = split_rejected(items)
        if not items:
            return batch
        for item in items:
            check_anatomies(item, self.anatomies)
        said = [[item["reports"].get(name, normal_template(name)) for name in self.anatomies] for item in items]
        normal = [[not is_abnormal(text, name) for name, text in zip(self.anatomies, row, strict=True)] for row in said]
        texts = [
            [strip_template(text, normal_template(name)) for name, text in zip(self.anatomies, row, strict=True)] for row in said
        ]
        different = list(dict.fromkeys(text for row in texts for text in row))
        place = {text: number for number, text in enumerate(different)}
        inputs = {
            "masks": torch.stack([convert_to_tensor(item["anatomy_mask"])[0] for item in items]),
            **self.tokenizer(different),
            "text_index": torch.tensor([[place[text] for text in row] for row in texts]),
            "text_ids": torch.tensor([[text_id(text) for text in row] for row in texts]),
            "normal": torch.tensor(normal),
        }
        return {**batch, "images": torch.stack([convert_to_tensor(item["image"]) for item in items]), "inputs": inputs}


def check_anatomies(case: dict[str, Any], anatomies: Sequence[str]) -> None:
    """See that a prepared case was prepared for a network's anatomies, as far as its texts tell: mask values alone do not.

    Raises:
        UserError: texts on other anatomies.
    """
    others = sorted(case.get("reports", {}).keys() - set(anatomies))
    if others:
        raise UserError(
            f"{case['case_id']} was prepared for other anatomies ({', '.join(others)}) than the network's "
            f"({', '.join(anatomies)}): give the --anatomies of preprocess-ct, or prepare the volumes anew"
        )


class VolumeCollate:
    """Hand prepared volumes on one by one: they differ in size.

    Returns (when called): cases (items as the transforms made them, with record and case_id), case_ids, rejected.
    """

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        cases, batch = split_rejected(items)
        return {"cases": cases, **batch}
