"""A handful of phantom exams for the nasal bundles' tests, awkward ones among them."""

import json
from pathlib import Path

import pytest

from scripts.phantoms.nasal import write_phantoms

BROKEN = "exam-without-a-readable-image"


def small_exams(factory: pytest.TempPathFactory) -> Path:
    """Folder with 14, 9 and 9 exams, all classes in each split; in training also one without a readable image, one of a single
    image, and one of twenty."""
    folder = factory.mktemp("phantoms")
    write_phantoms(folder, training=14, validation=9, test=9, seed=5, workers=1)
    (folder / "images" / "broken.png").write_bytes(b"no picture")
    path = folder / "datalist.json"
    content = json.loads(path.read_text())
    first = content["training"][0]
    awkward = {BROKEN: ["images/broken.png"] * 2, "one-image": first["images"][:1], "twenty-images": (first["images"] * 7)[:20]}
    content["training"] += [{**first, "exam_id": name, "patient_id": name, "images": images} for name, images in awkward.items()]
    path.write_text(json.dumps(content))
    return folder
