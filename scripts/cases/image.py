"""The kind "image": a case is one image, a chest film or a fundus photograph, say."""

from typing import Annotated, ClassVar

from pydantic import Field

from scripts.cases.record import Record
from scripts.cases.values import Box, FilePath, Labels, Report, Text, not_empty
from scripts.files.validation import StrictModel


class ImageFinding(StrictModel):
    """A finding of an image: where it is, in pixels of the image, and what names slices of an evaluation."""

    label: Text
    text: Text = ""
    boxes: Annotated[list[Box], not_empty("boxes")] = Field(default_factory=list)
    mask: FilePath = ""
    tags: list[Text] = Field(default_factory=list)


class ImageRecord(Record):
    """One image, with its report, labels and findings as far as they are known."""

    ID_KEY: ClassVar[str] = "study_id"
    PATH_KEYS: ClassVar[tuple[str, ...]] = ("image",)

    study_id: Text
    image: FilePath
    report: Report = ""
    labels: Labels = Field(default_factory=dict)
    findings: list[ImageFinding] = Field(default_factory=list)
