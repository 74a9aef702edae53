"""Raw volumes and segmentations of fVLM's golden preprocessing, made from seeds (tests/golden/README.md)."""

from typing import Any

import numpy as np

from scripts.reports.by_anatomy.table import AnatomyTable, read_label_table


def golden_volume(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Stored values int16 and TotalSegmentator's labels uint8 of a case of preprocess_expected.json, both [X, Y, Z]."""
    depth, height, width = case["shape_zyx"]
    random = np.random.RandomState(case["volume_seed"])
    blocks = random.random_sample((-(-depth // 4), -(-height // 8), -(-width // 8)))
    blocks = blocks.repeat(4, 0).repeat(8, 1).repeat(8, 2)[:depth, :height, :width]
    values = np.round(1700 * (0.7 * blocks + 0.3 * random.random_sample((depth, height, width))) - 1250).astype(np.int16)
    labels = np.zeros((depth, height, width), np.uint8)
    for label, *ends in case["totalseg_boxes_zyx"]:
        labels[tuple(slice(*ends[axis : axis + 2]) for axis in (0, 2, 4))] = label
    return values.T, labels.T


def golden_anatomies(labels: np.ndarray) -> np.ndarray:
    """Labels -> fVLM's four anatomies."""
    return AnatomyTable.load("ct_rate", "ct").lookup(read_label_table("totalsegmentator_v2", "ct"))[labels]
