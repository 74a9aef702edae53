"""Domains: what differs between chest films, nasal exams, chest CT and others of the same kind of case, as data.

A domain is a folder: `domain.json`, a lexicon and prompts. Those that ship lie in `scripts/domains`; a hospital's own lies where
it likes and is given by its path. No Python knows a domain's name.
"""

import functools
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scripts.files.errors import UserError

DOMAINS = Path(__file__).resolve().parents[1] / "domains"
"""One folder a domain that ships."""


class DomainError(UserError):
    """A domain cannot be used; the message names the file, the key and the way out."""


class PageTexts(BaseModel):
    """Words of a domain on the expert's page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    whole: str = "To be seen on this image"
    """Heading of what is chosen for the case as a whole."""


class Domain(BaseModel):
    """What a domain's `domain.json` says.

        chest = read_domain(name="cxr")
        chest.kind  # "image"
        chest.phrase_for("Edema")  # "Findings suggesting Edema."

    Attributes:
        name: of the folder.
        folder: that holds the domain.
        title: its cases in a few words, for messages ("chest films").
        kind: kind of case: "image", "exam" or "volume".
        colour: channels that a network sees: "grey" or "rgb".
        field_of_view: whether the lit field of view is found and cut out before anything else.
        lexicons: file of each language, by its code; the first one is the domain's own language.
        prompts: file of each prompt table, by name; the first one is used where none is named.
        phrase: what is asked for a label that comes without words of its own; holds "{label}".
        normal_statements: sentences that describe no lesion: an evaluation asks for them, and a region for one is false.
        regions: names of the regions that sentences and images belong to, in the order of their numbers; empty for none.
        classes: names of the classes of a case as a whole, in the order of their numbers; empty for none.
        screening_tasks: by name, which of `classes` each class of a screening holds; of two the second is the one screened for.
        tables: further files or folders of the domain, by what they hold ("anatomies", "parts").
        page: words on the expert's page.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    folder: Path
    title: str
    kind: Literal["image", "exam", "volume"]
    colour: Literal["grey", "rgb"]
    field_of_view: bool = False
    lexicons: dict[str, str] = Field(min_length=1)
    prompts: dict[str, str] = {}
    phrase: str = "{label}"
    normal_statements: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    screening_tasks: dict[str, dict[str, tuple[str, ...]]] = {}
    tables: dict[str, str] = {}
    page: PageTexts = PageTexts()

    @model_validator(mode="after")
    def _check_view(self) -> "Domain":
        if self.field_of_view and self.colour == "grey":
            raise ValueError('field_of_view is found in colour pictures alone: set colour to "rgb", or field_of_view to false')
        if "{label}" not in self.phrase:
            raise ValueError('phrase must hold "{label}"')
        return self

    @property
    def reference(self) -> str:
        """What documents call it: the name of a domain that ships, else the path of its folder."""
        return self.name if self.folder.parent == DOMAINS else str(self.folder)

    def phrase_for(self, label: str) -> str:
        """The phrase that stands for a label which comes without one."""
        return self.phrase.format(label=label)

    def lexicon(self, language: str | None = None) -> Path:
        """File of a language's lexicon; of the domain's own language by default.

        Raises:
            DomainError: a language that the domain has no lexicon of; names those it has.
        """
        return self._file("lexicon", self.lexicons, language)

    def prompt_table(self, name: str | None = None) -> Path:
        """File of a prompt table; the domain's first by default.

        Raises:
            DomainError: no such table; names those there are.
        """
        return self._file("prompt table", self.prompts, name)

    def table(self, what: str) -> Path:
        """File or folder of something else that the domain needs.

        Raises:
            DomainError: the domain has no such thing; names what it has.
        """
        return self._file("table", self.tables, what)

    def _file(self, what: str, files: dict[str, str], name: str | None) -> Path:
        if not files or (name is not None and name not in files):
            known = ", ".join(files) or "none"
            raise DomainError(f"domain {self.name} ({self.folder}) has no {what} {name or ''}".rstrip() + f"; it has {known}")
        return self.folder / (next(iter(files.values())) if name is None else files[name])


@functools.cache
def known_domains() -> tuple[str, ...]:
    """Names of the domains that ship."""
    return tuple(sorted(file.parent.name for file in DOMAINS.glob("*/domain.json")))


def read_domain(name: "str | Path | Domain") -> Domain:
    """Read a domain by the name of one that ships, or by its folder.

    Raises:
        DomainError: no such domain (the known ones are listed), or a faulty `domain.json`, all faults at once.
    """
    if isinstance(name, Domain):
        return name
    folder = DOMAINS / name if str(name) in known_domains() else Path(name).resolve()
    # Nothing is no name: it would be the folder in which the command was given.
    if not str(name).strip() or not (folder / "domain.json").is_file():
        known = ", ".join(known_domains())
        raise DomainError(f"unknown domain '{name}'; known: {known}; or give the folder of your own, with a domain.json")
    return _read(folder)


@functools.lru_cache(maxsize=64)
def _read(folder: Path) -> Domain:
    file = folder / "domain.json"
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise DomainError(f"{file}: is not an object; copy the form of {DOMAINS / 'cxr' / 'domain.json'}")
        domain = Domain(**content, name=folder.name, folder=folder)
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise DomainError("\n".join([f"{file}: not a domain", *faults])) from error
    except (OSError, ValueError, TypeError) as error:
        raise DomainError(f"{file}: cannot be read ({error})") from error
    named = {**domain.lexicons, **domain.prompts, **domain.tables}
    missing = [name for name in named.values() if not (folder / name).exists()]
    if missing:
        raise DomainError(f"{file}: names files that are not there: {', '.join(missing)}; put them into {folder}")
    return domain
