"""From report to caption, and from cases to batches."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_tensor

from scripts.data.dataset import split_rejected
from scripts.data.reports import report_sentences, sample_caption
from scripts.data.tokenizers import ReportTokenizer


class Captiond(MapTransform, Randomizable):
    """Make a caption of a report: all its sentences, or a random choice of them.

    Args:
        keys: where the report stands; the caption takes its place.
        full_report_chance: how often the whole report is given, in [0, 1]; else a random subset of its sentences in random order
            (see `sample_caption`). 1, for validation, draws nothing.

    Raises:
        ValueError: a report without any sentence that can be used (an empty one, or headings alone), or a chance out of range.
    """

    def __init__(self, keys: str = "report", full_report_chance: float = 1.0) -> None:
        if not 0 <= full_report_chance <= 1:
            raise ValueError(f"full_report_chance must be within 0 and 1, got {full_report_chance}")
        MapTransform.__init__(self, keys)
        self.full_report_chance = full_report_chance

    def randomize(self, data: Any = None) -> None:
        """Nothing to prepare: `sample_caption` draws from the generator itself."""

    def __call__(self, data: dict) -> dict:
        item = dict(data)
        for key in self.keys:
            sentences = report_sentences(item[key])
            if not sentences:
                raise ValueError(f"the {key} holds no sentence: {item[key]!r}")
            if self.full_report_chance == 1:
                item[key] = ". ".join(sentences)
            else:
                item[key] = sample_caption(sentences, self.R, full_report_chance=self.full_report_chance)
        return item


class VisionLanguageCollate:
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


class FilmCollate:
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
