"""Which anatomies a domain knows: the structures of a segmentation that make up each, and the words that reports use for it."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, RootModel, ValidationInfo

from scripts.cases.domain import Domain, read_domain
from scripts.cases.values import Text, not_empty
from scripts.files.errors import UserError
from scripts.files.faults import MISSING, Fault
from scripts.files.validation import ErrorCollector, StrictModel, fault, unknown
from scripts.reports.by_anatomy.words import plain_words, read_vocabulary
from scripts.reports.tables import raise_faults, read_json

logger = logging.getLogger(__name__)


class AnatomyTableError(UserError):
    """An anatomy table or label table cannot be used; lists all that is wrong with it."""


@dataclass(frozen=True)
class Anatomy:
    """One anatomy.

    Attributes:
        name: as texts and prompts call it.
        structures: names in a label table whose voxels are its own.
        parts: parts of the body that reports speak of, see `scripts.reports.by_anatomy.words`; several anatomies may share one.
        terms: further words and phrases for it, in the manner of that vocabulary.
    """

    name: str
    structures: tuple[str, ...]
    parts: tuple[str, ...]
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnatomyTable:
    """The anatomies of a network, in the order of their mask values.

    Chest CT comes with "ct_rate", the 4 that fVLM's release has (arXiv 2501.14548), and "wide", 15 of chest and upper abdomen (the
    paper's own 15 are not public). Copy one of scripts/domains/ct/anatomies, change it and give its path to have others.

    Attributes:
        anatomies: in order.
        domain: name or folder of the domain whose lexicon and parts reports are read by.
    """

    anatomies: tuple[Anatomy, ...]
    domain: str

    @classmethod
    def load(cls, name_or_path: str | Path, domain: str | Path | Domain, names: Sequence[str] | None = None) -> "AnatomyTable":
        """Read a table of a domain, or a JSON file of the same form.

        Args:
            name_or_path: name of a file in the domain's folder of anatomies ("ct_rate"), or the path of another.
            domain: name or folder of the domain, or itself.
            names: the anatomies of a network that will look at this table's masks; None for none.

        Raises:
            DomainError: no such domain, or one without anatomies.
            AnatomyTableError: no such table, one of other anatomies than `names` or in another order, or a faulty one: keys
                missing or unknown, a part that the vocabulary does not have, a name twice, a structure in two anatomies; all
                faults are named.
        """
        domain = read_domain(domain)
        path, content = _read(name_or_path, domain, "anatomy table")
        entries, faults = _checked(str(path), content, list(read_vocabulary(domain.reference).parts))
        raise_faults(faults, AnatomyTableError)
        anatomies = [Anatomy(one.name, *map(tuple, (one.structures, one.parts, one.terms))) for one in entries]
        table = cls(tuple(anatomies), domain.reference)
        if names is not None and table.names != list(names):
            known = ", ".join(names)
            raise AnatomyTableError(
                f"{path} has {', '.join(table.names)}, the network knows {known}: give the --anatomies of its training"
            )
        return table

    @property
    def names(self) -> list[str]:
        """Names in order; an anatomy's mask value is its position + 1."""
        return [anatomy.name for anatomy in self.anatomies]

    def lookup(self, structures: Mapping[int, str]) -> np.ndarray:
        """What to make of a segmentation's values: `anatomies = table.lookup(structures)[segmentation]`.

        Args:
            structures: mask value -> structure, see `read_label_table`; several values may share a structure. An anatomy none of
                whose structures is there stays out of all masks, with a warning.

        Returns:
            uint8 [largest value + 1]: mask value of the anatomy, 0 for all else.

        Raises:
            AnatomyTableError: no structure of any anatomy is there.
        """
        value_of = {name: value for value, anatomy in enumerate(self.anatomies, 1) for name in anatomy.structures}
        table = np.zeros(max(structures, default=0) + 1, np.uint8)
        for source, name in structures.items():
            table[source] = value_of.get(name, 0)
        missing = [name for value, name in enumerate(self.names, 1) if value not in table]
        if len(missing) == len(self.names):
            given, wanted = (", ".join(sorted(names)[:5]) for names in (set(structures.values()), value_of))
            raise AnatomyTableError(
                f"no structure of the segmentation ({given}, ...) belongs to any of {', '.join(missing)};"
                f" name them in the label table as the anatomy table does ({wanted}, ...)"
            )
        if missing:
            logger.warning("the label table has no structure of %s: no mask will hold them", ", ".join(missing))
        return table


def normal_template(name: str) -> str:
    """The text of an anatomy on which nothing abnormal is said, as fVLM words it."""
    return f"{name} shows no significant abnormalities."


def is_abnormal(text: str, name: str) -> bool:
    """Whether an anatomy's text counts as abnormal: it does not start with that anatomy's template."""
    return not text.startswith(normal_template(name))


def strip_template(text: str, template: str) -> str:
    """Take the template off a text that starts with it and says more, as the loss does; everywhere, so that nothing may be left."""
    if text == template or not text.startswith(template):
        return text
    return text.replace(template, "").strip()


def read_label_table(name_or_path: str | Path, domain: str | Path | Domain) -> dict[int, str]:
    """Read which structure each value of a segmentation stands for.

    Args:
        name_or_path: name of a file in the domain's folder of anatomies ("totalsegmentator_v2", the 117 classes of its task
            "total"), or the path of a JSON file {"1": "spleen", ...}.
        domain: name or folder of the domain, or itself.

    Raises:
        DomainError: no such domain, or one without anatomies.
        AnatomyTableError: no such table, or a faulty one; all faults are named.
    """
    path, content = _read(name_or_path, read_domain(domain), "label table")
    notes = ErrorCollector(str(path))
    if not isinstance(content, dict) or not content:
        notes.wrong_type("", content, 'an object of structures by mask value, {"1": "spleen", ...}')
    else:
        notes.check(_LabelTable, content)
    raise_faults(notes.faults, AnatomyTableError)
    return {int(value): name for value, name in content.items()}


def _read(name_or_path: str | Path, domain: Domain, what: str) -> tuple[Path, Any]:
    """The file of a name or path, and its content."""
    folder = domain.table("anatomies")
    path = folder / f"{name_or_path}.json"
    if Path(name_or_path).suffix or not path.is_file():
        path = Path(name_or_path)
    known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
    return path, read_json(path, what, f"give the path of a JSON file, or a built-in one: {known}", AnatomyTableError)


def _mask_value(value: str) -> str:
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise fault("bad mask value", "is no whole number above 0", "give the value that the voxels have")
    return value


def _part(name: str, info: ValidationInfo) -> str:
    if name not in info.context:
        raise fault("unknown part", *unknown(name, info.context))
    return name


def _term(term: str) -> str:
    if not plain_words(term):
        raise fault("no word", "holds no letter a to z nor digit", "give a word or phrase that reports use")
    return term


_LabelTable = RootModel[dict[Annotated[str, AfterValidator(_mask_value)], Text]]


class _Entry(StrictModel):
    """An anatomy of a table; the context is the parts that the vocabulary has."""

    name: Text
    structures: Annotated[list[Text], not_empty("structures")]
    parts: list[Annotated[str, AfterValidator(_part)]]
    terms: Annotated[list[Annotated[Text, AfterValidator(_term)]], not_empty("terms")] = Field(default_factory=list)


def _checked(file: str, content: Any, parts: Sequence[str]) -> tuple[list[_Entry], list[Fault]]:
    """The entries of a table, and all its faults."""
    notes = ErrorCollector(file)
    entries = content.get("anatomies") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries or set(content) != {"anatomies"}:
        notes.add("wrong form", "", MISSING, "is not an object with the one key anatomies, a list", "copy the form of ct_rate.json")
        return [], notes.faults
    faults, checked = notes.faults, []
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        notes = ErrorCollector(file, "anatomies", name if isinstance(name, str) and name else f"[{number}]")
        checked.append(notes.check(_Entry, entry, context=parts))
        if isinstance(entry, dict) and entry.get("parts") == [] and not entry.get("terms"):
            notes.add("no words", "parts", [], "no sentence of a report could be on it", "give it parts or terms")
        faults += notes.faults
    return checked, faults or _repeats(file, checked)


def _repeats(file: str, entries: list[_Entry]) -> list[Fault]:
    """Names and structures that stand more than once."""
    notes = ErrorCollector(file, "anatomies")
    names = Counter(entry.name for entry in entries)
    owners = Counter(structure for entry in entries for structure in entry.structures)
    for name in (name for name, count in names.items() if count > 1):
        notes.add("repeated name", "name", name, f"names {names[name]} anatomies", "give each a name of its own")
    for name in (name for name, count in owners.items() if count > 1):
        notes.add("repeated structure", "structures", name, f"stands {owners[name]} times", "keep it once: a voxel has one anatomy")
    return notes.faults
