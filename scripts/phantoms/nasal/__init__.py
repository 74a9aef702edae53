"""Synthetic nasal endoscopy exams with reports and ground truth, for demonstrations, tests and continuous integration.

    python -m scripts phantoms nasal --output data/phantom_nasal

writes images and masks (8-bit PNG), `datalist.json` and `prompts.json`. An exam has three to eight images of ten regions and one
report; its class is NOR, BH or NPC, a third each, its site one of three hospitals that differ in colour, resolution and field of
view. "centre C" occurs in the test split only. One exam in five belongs to a hard pair (see `scripts.phantoms.nasal.plan`).

Every record has `site`, and `label` but for most of the training exams, which stand for an archive that nobody labelled: the first
500 have one. Validation and test have `regions` too, the region that each
image shows, and `findings`, an entry for each image that shows one, with box, mask and as `text` the sentence of the report that
states it (none where the report leaves it out).
"""

from functools import partial
from pathlib import Path

from scripts.datalists.datalist import save_datalist
from scripts.files.atomic import write_json_atomically
from scripts.phantoms.common.writing import write_cases
from scripts.phantoms.nasal.case import write_case
from scripts.phantoms.nasal.plan import CLASSES, FINDINGS, REGIONS, SPLITS
from scripts.phantoms.nasal.words import prompt_table

LABELLED = 500
"""Training exams that have a label, the first ones."""

__all__ = ["CLASSES", "FINDINGS", "REGIONS", "prompt_table", "write_phantoms"]


def write_phantoms(
    output: str | Path,
    training: int = 2000,
    validation: int = 200,
    test: int = 400,
    seed: int = 1,
    workers: int | None = None,
) -> Path:
    """Write a phantom data set; an exam takes about 0.3 MB and 0.08 s of one processor.

    An exam depends on (seed, split, index) alone, so that any number of workers writes the same bytes and a larger set
    begins with the smaller one's exams. Every 30 exams of a split hold ten of each class.

    Args:
        output: folder to write to; made if absent, files of the same names are replaced.
        training: number of exams, likewise `validation` and `test`.
        seed: of every random choice.
        workers: processes; all processors by default.

    Returns:
        Path of `datalist.json`, written last: where it is, the set is complete.

    Raises:
        ValueError: a negative number of exams, no exam at all, or fewer than one worker.
    """
    counts = dict(zip(SPLITS, (training, validation, test), strict=True))
    cases = write_cases(partial(write_case, Path(output), seed), counts, workers, "exam")
    output = Path(output)
    datalist = output / "datalist.json"
    datalist.unlink(missing_ok=True)
    for folder in ("images", "masks"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[dict]] = {split: [] for split in SPLITS}
    for split, record in cases:
        if split == "training" and len(splits[split]) >= LABELLED:
            del record["label"]
        splits[split].append(record)
    write_json_atomically(output / "prompts.json", prompt_table())
    description = f"Synthetic nasal endoscopy made by scripts.phantoms.nasal, seed {seed}; no patient is behind it."
    save_datalist(datalist, "nasal", {k: v for k, v in splits.items() if v}, name="phantom-nasal", description=description)
    return datalist
