"""Inference engine: any volumes, any prompt table -> predictions.jsonl and saliency volumes in each volume's own grid."""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from scripts.engines.case_engine import CaseEngine
from scripts.inferers.anatomy_classifier import AnatomyClassifier, Evidence
from scripts.inferers.volume_calibration import VolumeCalibration
from scripts.preparation.volume import to_native


class VolumeInference(CaseEngine):
    """Ask every volume for every finding and write the answers as predictions.

    Every finding whose anatomy is in the volume gets a probability; one that reaches its threshold gets a saliency volume too, and
    the slice through its anatomy that shows most of it.

    The output of a batch is {"answers": [(case, entries of predictions.jsonl)]}.

    Args:
        classifier: answers findings with scores and evidence.
        calibration: probabilities and thresholds.
        frame: of `CaseEngine`; cases hold image, anatomy_mask, `prepared_affine`, `native_shape` and `native_affine`, as
            `scripts.transforms.PrepareVolumed` makes them.
    """

    outputs = ("answers",)

    def __init__(self, classifier: AnatomyClassifier, calibration: VolumeCalibration, **frame: Any) -> None:
        super().__init__(**frame)
        self.classifier = classifier
        self.calibration = calibration

    def answer(self, case: dict[str, Any]) -> dict[str, list]:
        found = self.findings(case)
        return {"answers": [(case, found)], "predictions": [(case["case_id"], [case["record"]["image"]], found)]}

    def findings(self, case: dict[str, Any]) -> list[dict[str, Any]]:
        """Entries of predictions.jsonl for one prepared volume; see `scripts.predictions.predictions`."""
        device = self.classifier.network.temperature.device
        answer = self.classifier(case["image"].to(device), case["anatomy_mask"][0].to(device), evidence=True)
        labels, scores = [finding.label for finding in self.classifier.prompts], answer.scores.tolist()
        probabilities = self.calibration.probability(labels, scores).tolist()
        present = self.calibration.present(labels, scores)
        found = []
        for finding, shows, probability, evidence in zip(
            self.classifier.prompts, present, probabilities, answer.evidence, strict=True
        ):
            if evidence is None:
                continue
            entry = {
                "label": finding.label,
                "text": finding.positive[0],
                "anatomy": finding.anatomy,
                "probability": probability,
                "confidence": max(probability, 1 - probability),
                "image_index": 0,
            }
            if shows:
                entry |= located(evidence, case, self.classifier.network.anatomies.index(finding.anatomy) + 1)
            found.append(entry)
        return found


def located(evidence: Evidence, case: dict[str, Any], anatomy: int) -> dict[str, Any]:
    """Saliency of a finding in the volume's own grid and its key slice; nothing where no token speaks for it.

    Args:
        evidence: where in the prepared volume it lies.
        case: as `scripts.transforms.PrepareVolumed` makes it.
        anatomy: value of the finding's anatomy in the mask.
    """
    prepared = evidence.volume(case["image"].shape[1:]).numpy()
    saliency = to_native(prepared, case["prepared_affine"], case["native_shape"], case["native_affine"])
    if not saliency.any():
        return {}
    image = nib.Nifti1Image(np.round(saliency * 255).clip(0, 255).astype(np.uint8), case["native_affine"])
    image.header.set_slope_inter(1 / 255, 0)
    # Tokens are larger than many an anatomy: on the slice with most evidence of all it need not be seen.
    within = prepared * (case["anatomy_mask"][0].numpy() == anatomy)
    weight = within if within.any() else prepared
    return {"saliency": image, "key_slice": key_slice(weight, case["prepared_affine"], case["native_shape"], case["native_affine"])}


def key_slice(weight: NDArray, affine: NDArray, native_shape: Sequence[int], native_affine: NDArray) -> int:
    """The slice with most weight [D, H, W], counted in another grid along the axis that runs most nearly head to foot.

    Args:
        weight: >= 0, not all 0, axial slices one behind another.
        affine: its voxels to mm.
        native_shape, native_affine: the grid [X, Y, Z] in which the slice is counted.
    """
    level = int(weight.sum((1, 2)).argmax())
    middle = np.average(np.argwhere(weight[level]), axis=0, weights=weight[level][weight[level] > 0])
    native = np.linalg.solve(native_affine, affine @ [level, *middle, 1])
    axis = int(np.abs(native_affine[2, :3] / nib.affines.voxel_sizes(native_affine)).argmax())
    return int(np.clip(round(native[axis]), 0, native_shape[axis] - 1))
