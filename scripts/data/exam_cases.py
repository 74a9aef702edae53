"""Exams for evaluation and inference: handed on one by one, or joined image by image."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.utils import convert_to_tensor
from torch import Tensor

from scripts.data.dataset import split_rejected


class ExamCases:
    """Hand prepared exams on as they are.

    Returns (when called): cases (items as the transforms made them, with record and case_id), case_ids, rejected.
    """

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        cases, batch = split_rejected(items)
        return {"cases": cases, **batch}


def join_images(exams: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """All images of several exams as one batch.

    Args:
        exams: images [3, S, S] of each of B exams, at least one each.

    Returns:
        images [V, 3, S, S]; image_index [B, N], int64 into V, -1 for padding, N the most images of one exam.
    """
    counts = [len(images) for images in exams]
    index = torch.full((len(exams), max(counts)), -1)
    start = 0
    for row, count in enumerate(counts):
        index[row, :count] = torch.arange(start, start + count)
        start += count
    return torch.stack([convert_to_tensor(image) for images in exams for image in images]), index
