"""Names of this package in a recorded config that the package of today does not have."""

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"\bscripts(?:\.\w+)+")


def moved_names(config: Mapping[str, Any]) -> dict[str, str]:
    """Names that a config speaks of and that lead nowhere, each with where its last part is defined today, "" for nowhere."""
    names = sorted(set(_NAME.findall(json.dumps(config, default=str))))
    return {name: _defined_at(name.rpartition(".")[2]) for name in names if not _leads_somewhere(name)}


def _leads_somewhere(name: str) -> bool:
    """Whether importing the longest module in a dotted name, and taking the rest as attributes, ends well."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def _defined_at(word: str) -> str:
    definition = re.compile(rf"^(?:class|def) {word}\b", re.MULTILINE)
    files = [file for file in sorted(_SOURCE.rglob("*.py")) if definition.search(file.read_text(encoding="utf-8"))]
    return ".".join((*files[0].relative_to(_SOURCE.parent).with_suffix("").parts, word)) if files else ""
