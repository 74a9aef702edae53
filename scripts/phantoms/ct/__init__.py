"""Synthetic CT volumes of the chest and upper abdomen with organ masks, free-text reports and ground truth.

    from scripts.phantoms.ct import write_phantoms
    write_phantoms("data/phantom_ct")

writes `volumes/` (NIfTI, int16 Hounsfield units), `masks/` (uint8, the classes of TotalSegmentator v2 for the 15 anatomies of
the wide table; ribs, muscles and other vessels are drawn but not in the masks; pleural fluid is part of the lung's), a
`datalist.json` of raw records, whose reports still have to be taken apart by anatomy, and `prompts.json`. Spacing, order of
axes, position and field of view differ between volumes, and some are oblique.

Training records hold volume, mask and report, nothing else. Validation and test have labels too: 1 or 0 for every finding whose
anatomy is wholly in the field of view. Where each finding lies is in `lesions/`, and `lesions.json` tells which:

    {"volume-1-100000": {"mask": "lesions/volume-1-100000.nii.gz",
                         "findings": [{"value": 1, "label": "Lung nodule", "anatomy": "lung", "side": "left", "part": "upper",
                                       "text": "Left upper lobe nodule, 14 mm.", "omitted": false, "tags": []}]}}

`value` is the finding's in the mask; `text` the sentence that states it, `omitted` if the report leaves it out; paths are
relative to the file. Five pairs of finding and place (`UNSEEN_PAIRS`) occur in the test split alone; their findings carry the
tag "unseen_pair".
"""

from functools import partial
from pathlib import Path

from scripts.datalists.datalist import save_datalist
from scripts.files.atomic import write_json_atomically
from scripts.phantoms.common.writing import write_cases
from scripts.phantoms.ct.case import write_case
from scripts.phantoms.ct.plan import FINDINGS, SPLITS, UNSEEN_PAIRS
from scripts.phantoms.ct.prompts import prompt_table

__all__ = ["FINDINGS", "UNSEEN_PAIRS", "prompt_table", "write_phantoms"]


def write_phantoms(
    output: str | Path,
    training: int = 2000,
    validation: int = 100,
    test: int = 300,
    seed: int = 1,
    workers: int | None = None,
) -> Path:
    """Write a phantom data set; a volume takes about 1 MB and 0.4 s of one processor.

    A volume depends on (seed, split, index) alone, so that any number of workers writes the same bytes and a larger set
    begins with the smaller one's volumes. Every 25 volumes of a split hold each of the 32 findings four times.

    Args:
        output: folder to write to; made if absent, files of the same names are replaced.
        training: number of volumes, likewise `validation` and `test`.
        seed: of every random choice.
        workers: processes; all processors by default.

    Returns:
        Path of `datalist.json`, written last: where it is, the set is complete.

    Raises:
        ValueError: a negative number of volumes, no volume at all, or fewer than one worker.
    """
    counts = dict(zip(SPLITS, (training, validation, test), strict=True))
    cases = write_cases(partial(write_case, Path(output), seed), counts, workers, "volume")
    output = Path(output)
    datalist = output / "datalist.json"
    datalist.unlink(missing_ok=True)
    for folder in ("volumes", "masks", "lesions"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[dict]] = {split: [] for split in SPLITS}
    lesions: dict[str, dict] = {}
    for split, (record, found) in cases:
        splits[split].append(record)
        if found is not None:
            lesions[record["volume_id"]] = found
    write_json_atomically(output / "prompts.json", prompt_table())
    write_json_atomically(output / "lesions.json", lesions)
    description = f"Synthetic CT volumes made by scripts.phantoms.ct, seed {seed}; no patient is behind them."
    save_datalist(datalist, "ct", {k: v for k, v in splits.items() if v}, name="phantom-ct", description=description)
    return datalist
