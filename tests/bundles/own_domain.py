"""A domain of a hospital's own, outside the package: photographs of coloured discs, on which green or violet spots are findings."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np

from scripts.cases.domain import DOMAINS

NAME = "petri"
FINDINGS = {"Green spot": (60, 200, 60), "Violet spot": (170, 70, 200)}
SIDE = 96


def write_domain(folder: Path) -> Path:
    """The three files of the domain; its lexicon is the chest films' with words of its own."""
    own = folder / NAME
    own.mkdir(parents=True)
    about = {
        "title": "photographs of dishes",
        "kind": "image",
        "colour": "rgb",
        "field_of_view": True,
        "lexicons": {"en": "lexicon.json"},
        "prompts": {"dishes": "prompts.json"},
        "phrase": "a dish with {label}",
        "normal_statements": ["the dish is clear"],
        "page": {"whole": "To be seen on this dish"},
    }
    (own / "domain.json").write_text(json.dumps(about))
    lexicon = json.loads((DOMAINS / "cxr" / "lexicon.json").read_text())
    lexicon["findings"] = ["spot*", "green spot*", "violet spot*"]
    (own / "lexicon.json").write_text(json.dumps(lexicon))
    prompts = {name: {"positive": [f"{name.lower()} in the dish"], "negative": [f"no {name.lower()}"]} for name in FINDINGS}
    (own / "prompts.json").write_text(json.dumps(prompts))
    return own


def write_photographs(folder: Path, counts: dict[str, int], seed: int = 1) -> Path:
    """Photographs below `folder`, and the table of their reports, labels and splits, given back; findings.json has boxes."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((SIDE, SIDE + 24))
    dish = np.hypot(rows - SIDE / 2, columns - SIDE / 2 - 12) <= SIDE / 2 - 4
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "photographs").mkdir(parents=True)
    table: list[dict] = []
    findings: dict[str, list[dict]] = {}
    for split, count in counts.items():
        for number in range(count):
            name = f"{split}-{number}"
            frame = np.zeros((*dish.shape, 3), np.uint8)
            frame[dish] = random.integers(200, 230, 3)
            shown = {finding: int(random.random() < 0.5) for finding in FINDINGS}
            for finding in (finding for finding, there in shown.items() if there):
                y, x = random.integers(SIDE // 3, 2 * SIDE // 3, 2)
                frame[np.hypot(rows - y, columns - x - 12) <= 9] = FINDINGS[finding]
                box = [int(x) + 3, int(y) - 9, 19, 19]
                findings.setdefault(name, []).append({"label": finding, "text": f"{finding.lower()} in the dish", "boxes": [box]})
            cv2.imwrite(str(folder / "photographs" / f"{name}.png"), frame[..., ::-1])
            told = [f"{finding} in the dish." if there else f"No {finding.lower()}." for finding, there in shown.items()]
            row = {"study": name, "patient": name, "file": f"{name}.png", "report": " ".join(told), "split": split}
            table.append(row | shown)
    (folder / "findings.json").write_text(json.dumps(findings))
    with open(folder / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return folder / "table.csv"
