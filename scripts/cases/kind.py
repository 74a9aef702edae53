"""Kinds of cases: an image, an exam of several images, a volume."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.cases.domain import Domain, read_domain
from scripts.files.errors import UserError


@dataclass(frozen=True)
class Kind:
    """What is special to the records of a kind.

    Attributes:
        name: "image", "exam" or "volume", as `Domain.kind` says it.
        id_key: key of a record that tells cases apart.
        image_key: key of a record that holds its image file, or files.
        several_images: whether a case has a list of images.
    """

    name: str
    id_key: str
    image_key: str
    several_images: bool = False

    def case_id(self, record: dict[str, Any]) -> str:
        """Id of a record."""
        return record[self.id_key]

    def images(self, record: dict[str, Any]) -> list[str]:
        """Image files of a record, in order."""
        files = record[self.image_key]
        return list(files) if self.several_images else [files]

    def record(self, case_id: str, patient_id: str, images: list[str]) -> dict[str, Any]:
        """A record of a case from its images alone."""
        return {self.id_key: case_id, "patient_id": patient_id, self.image_key: images if self.several_images else images[0]}


KINDS = {
    kind.name: kind
    for kind in (
        Kind("image", "study_id", "image"),
        Kind("exam", "exam_id", "images", several_images=True),
        Kind("volume", "volume_id", "image"),
    )
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
        UserError: the record has none.
    """
    for kind in KINDS.values():
        if kind.id_key in record:
            return record[kind.id_key]
    keys = ", ".join(kind.id_key for kind in KINDS.values())
    raise UserError(f"a record without id; its keys are {', '.join(map(str, record))}: add one of {keys}")
