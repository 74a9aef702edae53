"""Prompt tables by anatomy: which findings zero-shot classification asks of which anatomy, and in which words.

A table is a JSON file; to ask for other findings or in other words, copy one of `scripts/domains/ct/prompts`, change it and give
its path:

    {"about": "Where the findings and their wordings come from.",
     "findings": [{"label": "Emphysema", "anatomy": "lung",
                   "positive": ["Emphysema.", "Emphysematous changes are seen in both lungs."],
                   "negative": ["Not Emphysema.", "No emphysema in either lung."]}]}

A label stands once in a table, because records and predictions know a finding by its label alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo

from scripts.cases.domain import Domain, read_domain
from scripts.cases.values import Text, not_empty
from scripts.files.faults import Fault
from scripts.files.validation import ErrorCollector, StrictModel, fault, unknown
from scripts.reports.prompt_tables import PromptTableError
from scripts.reports.tables import prompt_file, raise_faults, read_json


def _anatomy(name: str, info: ValidationInfo) -> str:
    if info.context is not None and name not in info.context:
        raise fault("unknown anatomy", *unknown(name, info.context))
    return name


_Wordings = Annotated[list[Text], not_empty("wordings")]


class _Finding(StrictModel):
    """An entry of a table; the context is the anatomies that there are, None for any."""

    label: Text
    anatomy: Annotated[Text, AfterValidator(_anatomy)]
    positive: _Wordings
    negative: _Wordings


class _Table(StrictModel):
    """A table around its entries."""

    findings: Annotated[list[Any], not_empty("findings")]
    about: Text | None = None


@dataclass(frozen=True)
class FindingPrompts:
    """A finding and the wordings that say that it is there, and that it is not.

    Attributes:
        label: the finding, as labels and predictions name it.
        anatomy: whose features the wordings are compared with.
        positive, negative: at least one wording each, as written in the table.
    """

    label: str
    anatomy: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]


def read_anatomy_prompts(
    table: str | Path, domain: str | Path | Domain, anatomies: Collection[str] | None = None
) -> list[FindingPrompts]:
    """Read a prompt table, findings in its order.

        prompts = read_anatomy_prompts("ct_rate", "ct", "ct", anatomies=("lung", "heart", "esophagus", "aorta"))

    Args:
        table: name of one of the domain's prompt tables, or the path of another.
        domain: name or folder of the domain, or itself.
        anatomies: names that an anatomy may have; None lets any pass.

    Raises:
        DomainError: no such domain.
        PromptTableError: no such table, not JSON, missing or unknown keys, values of another type, empty or repeated
            labels and wordings, unknown anatomies; all faults of the table at once.
    """
    path, hint = prompt_file(table, read_domain(domain))
    content = read_json(path, "prompt table", hint, PromptTableError)
    notes = ErrorCollector(str(path))
    notes.check(_Table, content)
    entries = content.get("findings") if isinstance(content, dict) else None
    named = [(_name(entry, number), entry) for number, entry in enumerate(entries if isinstance(entries, list) else [])]
    faults, findings = notes.faults, []
    for name, entry in named:
        notes = ErrorCollector(str(path), record=name)
        findings.append(notes.check(_Finding, entry, context=anatomies))
        faults += notes.faults
    faults += _repeated(path, [(name, entry) for name, entry in named if isinstance(entry, dict)])
    raise_faults(faults, PromptTableError)
    return [FindingPrompts(one.label, one.anatomy, tuple(one.positive), tuple(one.negative)) for one in findings]


def asked_of(prompts: Sequence[FindingPrompts], anatomy: str) -> list[FindingPrompts]:
    """The same findings and wordings, compared with the features of one anatomy."""
    return [replace(finding, anatomy=anatomy) for finding in prompts]


def _name(entry: Any, number: int) -> str:
    """What messages call an entry: its label, or "[index]" where it has none."""
    label = entry.get("label") if isinstance(entry, dict) else None
    return label if isinstance(label, str) and label.strip() else f"[{number}]"


def _repeated(path: Path, findings: list[tuple[str, dict]]) -> list[Fault]:
    """Labels that stand twice, and wordings that stand twice in one anatomy: they cannot tell two answers apart."""
    faults: list[Fault] = []
    labels: set[str] = set()
    wordings: dict[tuple[str, str], str] = {}
    for name, finding in findings:
        notes = ErrorCollector(str(path), record=name)
        label = finding.get("label")
        if isinstance(label, str) and label in labels:
            reason, hint = "stands in the table already", "give all its wordings in one entry"
            notes.add("duplicate label", "label", label, reason, hint)
        labels.add(name)
        for key in ("positive", "negative"):
            texts = finding.get(key)
            for number, text in enumerate(texts if isinstance(texts, list) else []):
                if not isinstance(text, str):
                    continue
                place = f"{key}[{number}]"
                asked = (str(finding.get("anatomy")), " ".join(text.lower().split()))
                first = wordings.setdefault(asked, f"{name}, {place}")
                if first != f"{name}, {place}":
                    reason = f"is the same wording as {first}"
                    notes.add("duplicate wording", place, text, reason, "word it in another way, or take one out")
        faults += notes.faults
    return faults
