"""Kinds of cases: an image, an exam of several images, a volume."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.cases.domain import Domain, read_domain
from scripts.cases.exam import ExamRecord
from scripts.cases.image import ImageRecord
from scripts.cases.record import Record
from scripts.cases.volume import VolumeRecord
from scripts.files.errors import DatalistError


@dataclass(frozen=True)
class Kind:
    """What is special to the records of a kind.

    Attributes:
        name: "image", "exam" or "volume", as `Domain.kind` says it.
        record: what a record of a datalist may hold.
        several_images: whether a case has a list of images.
    """

    name: str
    record: type[Record]
    several_images: bool = False

    @property
    def id_key(self) -> str:
        """Key of a record that tells cases apart."""
        return self.record.ID_KEY

    @property
    def image_key(self) -> str:
        """Key of a record that holds its image file, or files."""
        return self.record.PATH_KEYS[0]

    def images(self, record: dict[str, Any]) -> list[str]:
        """Image files of a record, in order."""
        files = record[self.image_key]
        return list(files) if self.several_images else [files]

    def new_record(self, case_id: str, patient_id: str, images: list[str]) -> dict[str, Any]:
        """A record of a case from its images alone."""
        return {self.id_key: case_id, "patient_id": patient_id, self.image_key: images if self.several_images else images[0]}


KINDS = {
    kind.name: kind
    for kind in (Kind("image", ImageRecord), Kind("exam", ExamRecord, several_images=True), Kind("volume", VolumeRecord))
}


def kind_of(domain: str | Path | Domain) -> Kind:
    """The kind of a domain's cases.

    Raises:
        DomainError: no such domain; the known ones are listed.
    """
    return KINDS[read_domain(domain).kind]


def case_id(record: dict[str, Any]) -> str:
    """Id of a record, whichever its kind.

    Raises:
        DatalistError: the record has none.
    """
    for kind in KINDS.values():
        if kind.id_key in record:
            return record[kind.id_key]
    keys = ", ".join(kind.id_key for kind in KINDS.values())
    raise DatalistError(f"a record without id; its keys are {', '.join(map(str, record))}: add one of {keys}")
