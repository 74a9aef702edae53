"""Prompt tables: which findings zero-shot classification asks of which anatomy, and in which words.

A table is a JSON file; to ask for other findings or in other words, copy a built-in one (`scripts/domains/ct/prompts`), change
it and give its path:

    {"about": "Where the findings and their wordings come from.",
     "findings": [{"label": "Emphysema", "anatomy": "lung",
                   "positive": ["Emphysema.", "Emphysematous changes are seen in both lungs."],
                   "negative": ["Not Emphysema.", "No emphysema in either lung."]}]}

A label stands once in a table, because records and predictions know a finding by its label alone.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.cases.domain import DOMAINS
from scripts.files.errors import UserError
from scripts.files.faults import Fault, describe_faults
from scripts.files.form import ErrorCollector, Form, check_text, list_of, unknown

BUILT_IN = {name: DOMAINS / "ct" / "prompts" / f"{name}.json" for name in ("ct_rate", "ct_wide", "rad_chestct")}
"""Tables that come with the project, by name: ct_rate (fVLM's published 16), ct_wide (ours), rad_chestct."""

_WORDINGS = list_of(check_text, "wordings", may_be_empty=False)
_FINDING = Form(
    required={"label": check_text, "anatomy": check_text, "positive": _WORDINGS, "negative": _WORDINGS},
    optional={},
)


class PromptTableError(UserError):
    """A prompt table cannot be used; lists all its faults."""


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


def read_anatomy_prompts(table: str | Path, anatomies: Collection[str] | None = None) -> list[FindingPrompts]:
    """Read a prompt table, findings in its order.

        prompts = read_anatomy_prompts("ct_rate", anatomies=("lung", "heart", "esophagus", "aorta"))

    Args:
        table: name of a built-in table (see `BUILT_IN`), or the path of another.
        anatomies: names that an anatomy may have; None lets any pass.

    Raises:
        PromptTableError: no such table, not JSON, missing or unknown keys, values of another type, empty or repeated
            labels and wordings, unknown anatomies; all faults of the table at once.
    """
    path = BUILT_IN.get(str(table), Path(table))
    content = _read(path)
    notes = ErrorCollector(str(path))
    findings = _findings(notes, content)
    faults = notes.faults + [fault for name, finding in findings for fault in _finding_faults(path, name, finding, anatomies)]
    faults += _repeated(path, [(name, finding) for name, finding in findings if isinstance(finding, dict)])
    if faults:
        raise PromptTableError(describe_faults(faults))
    return [
        FindingPrompts(f["label"], f["anatomy"], positive=tuple(f["positive"]), negative=tuple(f["negative"])) for _, f in findings
    ]


def asked_of(prompts: Sequence[FindingPrompts], anatomy: str) -> list[FindingPrompts]:
    """The same findings and wordings, compared with the features of one anatomy."""
    return [replace(finding, anatomy=anatomy) for finding in prompts]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason, hint = f"cannot be opened ({error.strerror})", f"give a path, or one of {', '.join(BUILT_IN)}"
    except UnicodeDecodeError as error:
        reason, hint = f"is not UTF-8 text (byte {error.start})", "save it as UTF-8"
    except json.JSONDecodeError as error:
        reason, hint = f"is not JSON: {error.msg}, line {error.lineno}, column {error.colno}", "correct it there"
    raise PromptTableError(describe_faults([Fault("unreadable prompt table", str(path), "", "", "", "", reason, hint)]))


def _findings(notes: ErrorCollector, content: Any) -> list[tuple[str, Any]]:
    """Name (label, or "[index]" where it has none) and content of every finding; faults around them are noted."""
    if not isinstance(content, dict):
        notes.wrong_type("", content, 'an object with "about" and "findings"')
        return []
    findings: list = []

    def keep(_: ErrorCollector, key: str, value: Any) -> None:
        findings.append(value)

    form = Form(required={"findings": list_of(keep, "findings", may_be_empty=False)}, optional={"about": check_text})
    form.check(notes, content)
    labels = [finding.get("label") if isinstance(finding, dict) else None for finding in findings]
    names = [label if isinstance(label, str) and label.strip() else f"[{n}]" for n, label in enumerate(labels)]
    return list(zip(names, findings, strict=True))


def _finding_faults(path: Path, name: str, finding: Any, anatomies: Collection[str] | None) -> list[Fault]:
    notes = ErrorCollector(str(path), record=name)
    if not isinstance(finding, dict):
        notes.wrong_type("", finding, "an object")
        return notes.faults
    _FINDING.check(notes, finding)
    anatomy = finding.get("anatomy")
    if anatomies is not None and isinstance(anatomy, str) and anatomy not in anatomies:
        notes.add("unknown anatomy", "anatomy", anatomy, *unknown(anatomy, anatomies))
    return notes.faults


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
                    reason = f"stands at {first} already"
                    notes.add("duplicate wording", place, text, reason, "word it in another way, or take one out")
        faults += notes.faults
    return faults
