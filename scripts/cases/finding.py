"""A finding: one class from a model's answer to predictions.jsonl, to the expert's page and back."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Finding:
    """What is said of a case, or of a place in it.

        Finding("Pneumonia", text="opacity in the left lower lobe", probability=0.82, box=[1310, 1205, 402, 377])

    Boxes and masks are in pixels of the stored image, whatever resizing a network used.

    Attributes:
        label: name of the finding.
        text: words that were asked for, or that describe it.
        anatomy: that it was asked of.
        probability: of the finding being there, in [0, 1].
        confidence: how sure the model is of what it says, in [0, 1].
        image_index: image that it is on, from 0; None is a finding of the case as a whole.
        box: [x, y, width, height].
        mask: bool [H, W] where a model answers, path of a PNG where it is read.
        key_slice: of a volume, the slice that shows most, counted along the stored axis that runs most nearly head to foot.
        saliency: of a volume, in [0, 1]: a nibabel.Nifti1Image where a model answers, path of a NIfTI file where it is read.
        reason: why a phrase got no place, where that is not for want of probability.
    """

    label: str
    text: str | None = None
    anatomy: str | None = None
    probability: float | None = None
    confidence: float | None = None
    image_index: int | None = None
    box: list[float] | None = None
    mask: Any = None
    key_slice: int | None = None
    saliency: Any = None
    reason: str | None = None

    @property
    def has_place(self) -> bool:
        """Whether it has a box or a mask."""
        return self.box is not None or self.mask is not None
