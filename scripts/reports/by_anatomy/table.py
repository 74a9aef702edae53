"""Which anatomies a CT task knows: the structures of a segmentation that make up each, and the words that reports use for it."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cases.domain import DOMAINS
from scripts.files.errors import UserError
from scripts.files.faults import MISSING, Fault, describe_faults
from scripts.files.form import ErrorCollector, Form, check_text, list_of, unknown
from scripts.reports.by_anatomy.words import part_names, plain_words

logger = logging.getLogger(__name__)

TABLES = DOMAINS / "ct" / "anatomies"


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
    """The anatomies of a task, in the order of their mask values.

    Built in are "ct_rate", the 4 that fVLM's release has (arXiv 2501.14548), and "wide", 15 of chest and upper abdomen (the paper's
    own 15 are not public). Copy one of scripts/domains/ct/anatomies, change it and give its path to have others.
    """

    anatomies: tuple[Anatomy, ...]

    @classmethod
    def load(cls, name_or_path: str | Path, names: Sequence[str] | None = None) -> "AnatomyTable":
        """Read a built-in table, or a JSON file of the same form.

        Args:
            name_or_path: "ct_rate", "wide", or the file.
            names: the anatomies of a network that will look at this table's masks; None for none.

        Raises:
            AnatomyTableError: no such table, one of other anatomies than `names` or in another order, or a faulty one: keys
                missing or unknown, a part that the vocabulary does not have, a name twice, a structure in two anatomies; all
                faults are named.
        """
        path, content = _read(name_or_path, "anatomy table")
        faults = _table_faults(str(path), content)
        if faults:
            raise AnatomyTableError(describe_faults(faults))
        table = cls(
            tuple(
                Anatomy(entry["name"], *(tuple(entry.get(key, ())) for key in ("structures", "parts", "terms")))
                for entry in content["anatomies"]
            )
        )
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


def read_label_table(name_or_path: str | Path) -> dict[int, str]:
    """Read which structure each value of a segmentation stands for.

    Args:
        name_or_path: "totalsegmentator_v2" (the 117 classes of its task "total"), or a JSON file {"1": "spleen", ...}.

    Raises:
        AnatomyTableError: no such table, or a faulty one; all faults are named.
    """
    path, content = _read(name_or_path, "label table")
    notes = ErrorCollector(str(path))
    if not isinstance(content, dict) or not content:
        notes.wrong_type("", content, 'an object of structures by mask value, {"1": "spleen", ...}')
        content = {}
    for value, name in content.items():
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            notes.add("bad mask value", value, name, "is no whole number above 0", "give the value that the voxels have")
        check_text(notes, value, name)
    if notes.faults:
        raise AnatomyTableError(describe_faults(notes.faults))
    return {int(value): name for value, name in content.items()}


def _read(name_or_path: str | Path, what: str) -> tuple[Path, Any]:
    """The file of a built-in name or path, and its content."""
    path = TABLES / f"{name_or_path}.json"
    if Path(name_or_path).suffix or not path.is_file():
        path = Path(name_or_path)
    try:
        return path, json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        built_in = ", ".join(sorted(file.stem for file in TABLES.glob("*.json")))
        reason = error.strerror or error
        raise AnatomyTableError(f"{what} {path}: {reason}; give the path of a JSON file, or a built-in one: {built_in}") from error
    except ValueError as error:
        raise AnatomyTableError(f"{what} {path}: is not JSON ({error}); compare it with {TABLES / 'ct_rate.json'}") from error


def _check_part(notes: ErrorCollector, key: str, value: Any) -> None:
    if not isinstance(value, str):
        notes.wrong_type(key, value, "the name of a part")
    elif value not in part_names():
        notes.add("unknown part", key, value, *unknown(value, part_names()))


def _check_term(notes: ErrorCollector, key: str, value: Any) -> None:
    check_text(notes, key, value)
    if isinstance(value, str) and value.strip() and not plain_words(value):
        notes.add("no word", key, value, "holds no letter a to z nor digit", "give a word or phrase that reports use")


_ANATOMY = Form(
    {
        "name": check_text,
        "structures": list_of(check_text, "structures", may_be_empty=False),
        "parts": list_of(_check_part, "parts", may_be_empty=True),
    },
    {"terms": list_of(_check_term, "terms", may_be_empty=False)},
)


def _table_faults(file: str, content: Any) -> list[Fault]:
    notes = ErrorCollector(file)
    entries = content.get("anatomies") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries or set(content) != {"anatomies"}:
        notes.add("wrong form", "", MISSING, "is not an object with the one key anatomies, a list", "copy the form of ct_rate.json")
        return notes.faults
    faults = notes.faults
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        notes = ErrorCollector(file, "anatomies", name if isinstance(name, str) and name else f"[{number}]")
        if isinstance(entry, dict):
            _ANATOMY.check(notes, entry)
            if entry.get("parts") == [] and not entry.get("terms"):
                notes.add("no words", "parts", [], "no sentence of a report could be on it", "give it parts or terms")
        else:
            notes.wrong_type("", entry, "an object")
        faults += notes.faults
    return faults or _repeats(file, entries)


def _repeats(file: str, entries: list[dict]) -> list[Fault]:
    """Names and structures that stand more than once."""
    notes = ErrorCollector(file, "anatomies")
    names = Counter(entry["name"] for entry in entries)
    owners = Counter(structure for entry in entries for structure in entry["structures"])
    for name in (name for name, count in names.items() if count > 1):
        notes.add("repeated name", "name", name, f"names {names[name]} anatomies", "give each a name of its own")
    for name in (name for name, count in owners.items() if count > 1):
        notes.add("repeated structure", "structures", name, f"stands {owners[name]} times", "keep it once: a voxel has one anatomy")
    return notes.faults
