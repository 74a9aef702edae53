"""From volumes and their texts by anatomy to batches."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.utils import convert_to_tensor

from scripts.files.atomic import text_id
from scripts.files.errors import UserError
from scripts.loading.dataset import split_rejected
from scripts.reports.by_anatomy.table import is_abnormal, normal_template, strip_template
from scripts.reports.tokens.text_tokenizer import TextTokenizer


class VolumeCollate:
    """Join volumes into a batch; every different text of the batch is tokenized once.

    A text that starts with its anatomy's template says that the anatomy is normal; the template is then taken off, unless nothing
    else is said (fVLM's loss). An anatomy on which the record has no text counts as normal.

    Args:
        tokenizer: turns texts into tokens.
        anatomies: names, in the order of the masks' values.

    Returns (when called): images [B, 1, D, H, W]; inputs (what else the network takes): masks [B, D, H, W], tokens and
    attention_mask [T, L], text_index, text_ids and normal [B, K], see `scripts.networks.FVLM.forward`; records (B of the datalist);
    case_ids; rejected. A batch without any good case holds `case_ids` and `rejected` only.
    """

    def __init__(self, tokenizer: TextTokenizer, anatomies: Sequence[str]) -> None:
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
        index = {text: number for number, text in enumerate(different)}
        inputs = {
            "masks": torch.stack([convert_to_tensor(item["anatomy_mask"])[0] for item in items]),
            **self.tokenizer(different),
            "text_index": torch.tensor([[index[text] for text in row] for row in texts]),
            "text_ids": torch.tensor([[text_id(text) for text in row] for row in texts]),
            "normal": torch.tensor(normal),
        }
        images = torch.stack([convert_to_tensor(item["image"]) for item in items])
        return {**batch, "images": images, "inputs": inputs, "records": [item["record"] for item in items]}


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
