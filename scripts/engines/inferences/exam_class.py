"""Inference engine: any exams -> the class of each, how sure, which images decided it and where on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scripts.engines.case_engine import CaseEngine
from scripts.engines.exam_rows import MAX_REGIONS, MIN_REGION
from scripts.inferers.exam_class_calibration import ExamClassCalibration
from scripts.inferers.exam_localizer import enlarge
from scripts.inferers.regions import regions_from_map
from scripts.loading.exam_batches import join_images
from scripts.networks import ExamClassifier

HEAT_CUT = 0.5  # of what the strongest place of the exam adds: from there on a place belongs to a region


class ExamClassInference(CaseEngine):
    """Classify every exam and write the answers as predictions.

    Each class gets its probability. The class decided on also gets an entry for each region of each image that decided it: an image
    that adds at least an even share of what all images add to this class. `confidence` is small where the decision nearly tips
    over (`ExamClassCalibration.confidence`): exams reviewed from the smallest up show most errors first.

    The output of a batch is {"pictures": [(case id, panels)]}, see `scripts.figures.exam_overlays`.

    Args:
        network: a trained classifier; it is put into eval mode.
        calibration: temperature and threshold.
        size: side of the heat maps in pixels: the square that the images were fitted into.
        frame: of `CaseEngine`.
    """

    outputs = ("pictures",)

    def __init__(self, network: ExamClassifier, calibration: ExamClassCalibration, size: int, **frame: Any) -> None:
        super().__init__(**frame)
        self.network = network.eval()
        self.calibration = calibration
        self.size = size

    def answer(self, case: dict[str, Any]) -> dict[str, list]:
        images, image_index = join_images([case["images"]])
        answer, parts = self.network.contributions(images.to(self.state.device), image_index.to(self.state.device))
        probabilities = self.calibration.probabilities(answer.logits.float().cpu().numpy())
        decision = int(self.calibration.decisions(probabilities)[0])
        confidence = float(self.calibration.confidence(probabilities)[0])
        entries = [
            {"label": name, "probability": float(value), "confidence": confidence}
            for name, value in zip(self.network.classes, probabilities[0], strict=True)
        ]
        seen = self._images(case, parts[0, decision].float().cpu(), answer.attention[0, decision].tolist())
        for image in seen:
            marked = [{"box": list(region.box), "mask": region.mask} for region in image["regions"]]
            shared = {**entries[decision], "image_index": image["index"]}
            entries += [{**shared, **place} for place in marked or [{}]] if image["deciding"] else []
        said = f"{self.network.classes[decision]} {probabilities[0, decision]:.2f}"
        return {
            "pictures": [(case["case_id"], [panel(case, image, said) for image in seen])],
            "predictions": [(case["case_id"], case["record"]["images"], entries)],
        }

    def _images(self, case: dict[str, Any], parts: torch.Tensor, attention: Sequence[float]) -> list[dict[str, Any]]:
        """Of each image that was seen: its place in the record, whether it decided, heat map and regions in its own pixels.

        Args:
            parts: what each place of each image adds to the class decided on, [N, h, w].
            attention: of each image, [N].
        """
        totals = parts.sum((1, 2)).numpy()
        deciding = deciding_images(totals)
        heats = enlarge(parts, self.size, 0.0).numpy()
        native = [view.to_native(heat) for view, heat in zip(case["views"], heats, strict=True)]
        hottest = max(float(np.nanmax(heat)) for heat in native)
        images = []
        for index, heat in enumerate(native):
            cut = HEAT_CUT * hottest
            regions = regions_from_map(heat, cut, MIN_REGION, MAX_REGIONS) if deciding[index] and hottest > 0 else []
            images.append(
                {
                    "index": case["image_indices"][index],
                    "deciding": bool(deciding[index]),
                    "total": float(totals[index]),
                    "attention": attention[index],
                    "heat": heat,
                    "regions": regions,
                }
            )
        return images


def deciding_images(totals: NDArray) -> NDArray[np.bool_]:
    """Which images add at least an even share of what all images that speak for a class add to it; the largest always does."""
    for_it = np.clip(totals, 0, None)
    return (for_it >= for_it.sum() / len(totals)) & (for_it > 0) | (totals == totals.max())


def panel(case: dict[str, Any], image: dict[str, Any], said: str) -> dict[str, Any]:
    """Arguments of `scripts.figures.exam_overlays.exam_picture` for one image."""
    title = f"image {image['index']}, attention {image['attention']:.2f}, adds {image['total']:+.2f} to {said}"
    return {
        "path": case["record"]["images"][image["index"]],
        "heat": image["heat"] if image["deciding"] else None,
        "regions": image["regions"],
        "title": title,
    }
