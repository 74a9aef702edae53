"""Wordings by which a film or an exam is asked for findings and diagnoses."""

import json
from pathlib import Path

from scripts.cases.domain import DOMAINS
from scripts.files.errors import UserError

BUILT_IN = {name: DOMAINS / name / "prompts.json" for name in ("cxr", "nasal")}
SIDES = ("positive", "negative")


def read_prompts(table: str | Path) -> dict[str, dict[str, list[str]]]:
    """Read a prompt table, {name: {"positive": [...], "negative": [...]}}, names in its order.

    A diagnosis of an exam may instead be {"signs": [names of findings in the table]}, any of which speaks for it; with none, it is
    what is left when no other diagnosis has a sign.

    Args:
        table: "cxr" (the labels of CheXpert, MIMIC-CXR, ChestX-ray14 and RSNA), "nasal" (NOR, BH, NPC and the findings of the nasal
            lexicon), both in English, or the path of a table of your own.

    Raises:
        UserError: no such table, not JSON, or an entry of another form; all faults at once.
    """
    path = BUILT_IN.get(str(table), Path(table))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        known = ", ".join(BUILT_IN)
        raise UserError(
            f"{path} is no prompt table ({error}): give the name of one that ships ({known}), or a JSON file"
        ) from error
    form = '{name: {"positive": [texts], "negative": [texts]}}'
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} must hold {form}")
    worded = {name for name, entry in content.items() if _is_worded(entry)}
    faults = []
    for name, entry in content.items():
        if isinstance(entry, dict) and set(entry) == {"signs"} and isinstance(entry["signs"], list):
            strange = [str(sign) for sign in entry["signs"] if sign not in worded]
            faults += [f"{name}: no wordings in the table for its signs {', '.join(strange)}"] if strange else []
        elif name not in worded:
            faults.append(f'{name}: not of the form {form}, texts of at least one letter, nor {{"signs": [names]}}')
    if faults:
        raise UserError(f"{path}: " + "; ".join(faults))
    return content


def _is_worded(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == set(SIDES)
        and all(isinstance(texts, list) and all(isinstance(t, str) and t.strip() for t in texts) for texts in entry.values())
    )
