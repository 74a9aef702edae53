"""The kind "volume": a case is one volume, with a mask of its anatomies."""

from typing import Annotated, ClassVar

from pydantic import Field

from scripts.cases.record import Record
from scripts.cases.values import EMPTY_REPORT, EntryName, FilePath, Labels, Report, Text, not_empty


class VolumeRecord(Record):
    """One volume: NIfTI, a folder with one DICOM series, or a file of the series."""

    ID_KEY: ClassVar[str] = "volume_id"
    PATH_KEYS: ClassVar[tuple[str, ...]] = ("image", "anatomy_mask", "source_image", "source_mask")
    REPORT_KEYS: ClassVar[tuple[str, ...]] = ("reports", "report")

    volume_id: Text
    image: FilePath
    anatomy_mask: FilePath = ""
    report: Report = ""
    reports: Annotated[dict[EntryName, Report], not_empty("texts", "empty report", EMPTY_REPORT)] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    source_image: FilePath = ""
    source_mask: FilePath = ""
