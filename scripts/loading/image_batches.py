"""From films and reports to batches."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.utils import convert_to_tensor

from scripts.loading.dataset import split_rejected
from scripts.reports.tokens.tokenizers import ReportTokenizer


class ImageCollate:
    """Join cases into a batch: images stacked, reports tokenized to the longest of the batch.

    Cases that hold nothing but a rejection are left out.

    Args:
        tokenizer: turns texts into the tensors that `scripts.networks.TextEncoder` takes.

    Returns (when called): images [B, C, H, W], inputs (what else the network takes: the tokenizer's tensors), case_ids (B strings),
    rejected (list of (case id, reason)). A batch without any good case holds `case_ids` and `rejected` only.
    """

    def __init__(self, tokenizer: ReportTokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        items, batch = split_rejected(items)
        if not items:
            return batch
        images = torch.stack([convert_to_tensor(item["image"]) for item in items])
        return {**batch, "images": images, "inputs": self.tokenizer([item["report"] for item in items])}


class ImageRecordCollate:
    """Join films into a batch and keep what an evaluation needs of each: its record and its way back to native pixels.

    Returns (when called): images [B, 1, S, S], letterboxes (B `Letterbox`), records (B datalist records), case_ids, rejected. A
    batch without any good case holds `case_ids` and `rejected` only.
    """

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        items, batch = split_rejected(items)
        if not items:
            return batch
        return {
            **batch,
            "images": torch.stack([convert_to_tensor(item["image"]) for item in items]),
            "letterboxes": [item["image_letterbox"] for item in items],
            "records": [item["record"] for item in items],
        }
