"""The kind "exam": a case is several images and one report."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationInfo

from scripts.cases.record import Record
from scripts.cases.values import Box, FilePath, ImageIndex, Report, Text, check_index, not_empty
from scripts.files.validation import ErrorCollector, StrictModel, fault, unknown, wrong_type


class ExamFinding(StrictModel):
    """A finding of an exam, on one of its images."""

    image_index: ImageIndex
    label: Text
    text: Text = ""
    box: Box = Field(default_factory=list)
    mask: FilePath = ""


def _region(value: Any, info: ValidationInfo) -> str | None:
    if value is not None and not isinstance(value, str):
        raise wrong_type(value, "the name of a region, or null")
    # Where the domain is not known, which is a fault of its own, no region is wrong.
    if value is not None and info.context is not None and value not in info.context.regions:
        raise fault("unknown region", *unknown(value, info.context.regions))
    return value


class ExamRecord(Record):
    """Several images of one examination with their report; `regions` is what each image shows, for evaluation only.

    Validation takes the `scripts.cases.Domain` as its context, whose regions are the known ones.
    """

    ID_KEY: ClassVar[str] = "exam_id"
    PATH_KEYS: ClassVar[tuple[str, ...]] = ("images",)

    exam_id: Text
    images: Annotated[list[FilePath], not_empty("images")]
    report: Report
    label: Text = ""
    findings: list[ExamFinding] = Field(default_factory=list)
    regions: Annotated[list[Annotated[str | None, BeforeValidator(_region)]], not_empty("regions")] = Field(default_factory=list)

    @classmethod
    def check_whole(cls, notes: ErrorCollector, record: dict[str, Any]) -> None:
        """Note images that findings point at and that are not there, and a number of regions other than that of images."""
        findings, images, regions = record.get("findings"), record.get("images"), record.get("regions")
        for number, finding in enumerate(findings if isinstance(findings, list) else []):
            if isinstance(finding, dict):
                check_index(notes, f"findings[{number}].image_index", finding.get("image_index"), images)
        if isinstance(regions, list) and isinstance(images, list) and len(images) != len(regions) > 0 < len(images):
            reason = f"names {len(regions)} regions for {len(images)} images"
            notes.add("bad region count", "regions", regions, reason, "give each image one region, null where it is not known")
