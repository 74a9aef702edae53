"""What a sentence of a report says: the same form for every domain."""

from typing import Literal, NamedTuple

from scripts.files.atomic import text_id

Polarity = Literal["present", "negated", "normal", "uncertain"]


class Statement(NamedTuple):
    """A sentence, or a part of one, and what it says of one region.

    Attributes:
        text: as written.
        polarity: whether it states, suspects or denies a finding, or describes a normal state; None: it says nothing known.
        region: region of the domain, or anatomy, that it is on; None where none is known.
        region_index: position of the region among the domain's, -1 for none.
        findings: names of the findings that it states or suspects, in alphabetical order, where the lexicon has names.
    """

    text: str
    polarity: Polarity | None
    region: str | None = None
    region_index: int = -1
    findings: tuple[str, ...] = ()

    @property
    def normal(self) -> bool:
        """Whether it calls the region normal, or denies a finding, and states none."""
        return self.polarity in ("normal", "negated")

    @property
    def statement_id(self) -> int:
        """A number for region and findings (or "normal"), the same in every run and language; 63 bits of SHA-256. -1 unknown.

        The side is no part of it: the image of a left polyp shows what that of a right one shows, mirrored, so the two must not be
        told apart as if one were right and the other wrong.
        """
        if self.region is None or not (self.findings or self.normal):
            return -1
        said = f"{self.region}|{'+'.join(self.findings) or 'normal'}"
        return text_id(said)
